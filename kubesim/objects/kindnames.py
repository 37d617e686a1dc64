"""Names of built-in kinds that carry the type of their objects.

A component that knows its kind names it by such a constant; a type checker then knows what comes
back: `api.peek(POD, ...)` is a `PodDict` or None, `informer(POD, ...)` is an `Informer[PodDict]`. A
kind that is known only as a string gives a `Document`.

>>> POD
'Pod'

Real counterpart: the typed clients and listers of client-go (`CoreV1().Pods()`, `PodLister`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from kubesim.objects.frozen import ReadOnlyDocument

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ControllerRevisionDict,
        CronJobDict,
        CSINodeDict,
        DaemonSetDict,
        DeploymentDict,
        EndpointSliceDict,
        HorizontalPodAutoscalerDict,
        JobDict,
        LeaseDict,
        NamespaceDict,
        NodeDict,
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        PodDict,
        PodDisruptionBudgetDict,
        ReplicaSetDict,
        ResourceQuotaDict,
        ServiceDict,
        StatefulSetDict,
        StorageClassDict,
    )

D = TypeVar("D", bound=ReadOnlyDocument)
"""The type of a kind's objects: a TypedDict, or `Document`."""


class KindName(Generic[D]):
    """What a type checker sees in place of the string: the name of a kind with objects `D`."""


CONTROLLER_REVISION = cast("KindName[ControllerRevisionDict]", "ControllerRevision")
CSI_NODE = cast("KindName[CSINodeDict]", "CSINode")
CRON_JOB = cast("KindName[CronJobDict]", "CronJob")
DAEMON_SET = cast("KindName[DaemonSetDict]", "DaemonSet")
DEPLOYMENT = cast("KindName[DeploymentDict]", "Deployment")
ENDPOINT_SLICE = cast("KindName[EndpointSliceDict]", "EndpointSlice")
HORIZONTAL_POD_AUTOSCALER = cast("KindName[HorizontalPodAutoscalerDict]", "HorizontalPodAutoscaler")
JOB = cast("KindName[JobDict]", "Job")
LEASE = cast("KindName[LeaseDict]", "Lease")
NAMESPACE = cast("KindName[NamespaceDict]", "Namespace")
NODE = cast("KindName[NodeDict]", "Node")
PERSISTENT_VOLUME = cast("KindName[PersistentVolumeDict]", "PersistentVolume")
PERSISTENT_VOLUME_CLAIM = cast("KindName[PersistentVolumeClaimDict]", "PersistentVolumeClaim")
POD = cast("KindName[PodDict]", "Pod")
POD_DISRUPTION_BUDGET = cast("KindName[PodDisruptionBudgetDict]", "PodDisruptionBudget")
REPLICA_SET = cast("KindName[ReplicaSetDict]", "ReplicaSet")
RESOURCE_QUOTA = cast("KindName[ResourceQuotaDict]", "ResourceQuota")
SERVICE = cast("KindName[ServiceDict]", "Service")
STATEFUL_SET = cast("KindName[StatefulSetDict]", "StatefulSet")
STORAGE_CLASS = cast("KindName[StorageClassDict]", "StorageClass")
