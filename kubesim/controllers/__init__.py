"""The controllers: control loops that move the current state towards the desired state.

Real counterpart: kube-controller-manager.
"""

from kubesim.client import Controller
from kubesim.controllers.attachdetach import AttachDetachController, VolumeAttacher
from kubesim.controllers.clusterrole import ClusterRoleAggregationController
from kubesim.controllers.cronjob import CronJobController
from kubesim.controllers.daemonset import DaemonSetController
from kubesim.controllers.deployment import DeploymentController
from kubesim.controllers.disruption import DisruptionController
from kubesim.controllers.endpoints import EndpointsController, EndpointSliceMirroringController
from kubesim.controllers.endpointslice import EndpointSliceController
from kubesim.controllers.garbage import GarbageCollector
from kubesim.controllers.job import JobController
from kubesim.controllers.namespace import NamespaceController
from kubesim.controllers.node import (
    NodeLifecycleController,
    PodGarbageCollector,
    TaintEvictionController,
)
from kubesim.controllers.persistentvolume import (
    EphemeralVolumeController,
    PersistentVolumeController,
    VolumeProtectionController,
    VolumeProvisioner,
)
from kubesim.controllers.quota import ResourceQuotaController
from kubesim.controllers.replicaset import ReplicaSetController, ReplicationManager
from kubesim.controllers.serviceaccount import (
    RootCAPublisher,
    ServiceAccountController,
    TokensController,
)
from kubesim.controllers.statefulset import StatefulSetController

CONTROLLERS: tuple[type[Controller], ...] = (  # in boot order
    StatefulSetController,
    ReplicaSetController,
    DeploymentController,
    DaemonSetController,
    JobController,
    CronJobController,
    EndpointSliceController,
    DisruptionController,
    GarbageCollector,
    NamespaceController,
    NodeLifecycleController,
    TaintEvictionController,
    PodGarbageCollector,
    ResourceQuotaController,
    ServiceAccountController,
    RootCAPublisher,
    TokensController,
    ClusterRoleAggregationController,
    PersistentVolumeController,
    VolumeProtectionController,
    VolumeProvisioner,
    EphemeralVolumeController,
    EndpointsController,
    EndpointSliceMirroringController,
    ReplicationManager,
    AttachDetachController,
    VolumeAttacher,
)

__all__ = [
    "CONTROLLERS",
    "AttachDetachController",
    "ClusterRoleAggregationController",
    "CronJobController",
    "DaemonSetController",
    "DeploymentController",
    "DisruptionController",
    "EndpointSliceController",
    "EndpointSliceMirroringController",
    "EndpointsController",
    "EphemeralVolumeController",
    "GarbageCollector",
    "JobController",
    "NamespaceController",
    "NodeLifecycleController",
    "PersistentVolumeController",
    "PodGarbageCollector",
    "ReplicaSetController",
    "ReplicationManager",
    "ResourceQuotaController",
    "RootCAPublisher",
    "ServiceAccountController",
    "StatefulSetController",
    "TaintEvictionController",
    "TokensController",
    "VolumeAttacher",
    "VolumeProtectionController",
    "VolumeProvisioner",
]
