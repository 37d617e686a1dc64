"""NodeVolumeLimits: a node takes no more volumes of a CSI driver than its CSINode allows.

Ours counts the volumes of the pods on the node; it leaves out VolumeAttachments without a pod, and
in-tree volumes that are migrated to CSI.

Source: pkg/scheduler/framework/plugins/nodevolumelimits/csi.go.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.objects.volumes import claim_names, class_of_claim
from kubesim.scheduler.framework import events
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import ObjectLister, Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status
from kubesim.scheduler.volumes.podclaims import concerns_claim

if TYPE_CHECKING:
    from kubesim.objects.types import CSINodeDict, PodDict

EXCEEDED = "node(s) exceed max volume count"


class NodeVolumeLimits:
    """Filter nodes by the number of CSI volumes."""

    name = "NodeVolumeLimits"

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True for pods without claims (see fastpath)."""
        return not claim_names(pod)

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Skip a pod without claims."""
        return SUCCESS if claim_names(pod) else SKIP

    def filter(self, pod: PodDict, node: NodeInfo, state: CycleState) -> Status:
        """Refuse a node on which a driver would have too many volumes."""
        world = state.snapshot.world
        csi_node = world.csi_node(node.name)
        if csi_node is None:
            return SUCCESS
        new = volumes_of(pod, world)
        limits = limits_of(csi_node)
        if not new or not limits:
            return SUCCESS
        attached: dict[str, str] = {}
        for other in node.pods.values():
            attached |= volumes_of(other, world)
        counts = Counter(attached.values())
        more = Counter(driver for volume, driver in new.items() if volume not in attached)
        for driver, count in more.items():
            if driver in limits and counts[driver] + count > limits[driver]:
                return Status.unschedulable(EXCEEDED)
        return SUCCESS

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a pod with claims was deleted, or a limit or a claim changed."""
        if event.kind in (events.CLAIM_ADD, events.CLAIM_UPDATE):
            return concerns_claim(pod, event)
        if event.kind == events.POD_DELETE and event.old is not None:
            return bool(claim_names(cast("PodDict", event.old)))
        return event.kind in (events.CSI_NODE_ADD, events.CSI_NODE_UPDATE, events.NODE_ADD)


def limits_of(csi_node: CSINodeDict) -> dict[str, int]:
    """Return the limit of each driver that has one."""
    limits = {}
    for driver in (csi_node.get("spec") or {}).get("drivers") or ():
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            limits[str(driver.get("name"))] = int(count)
    return limits


def volumes_of(pod: PodDict, world: ObjectLister) -> dict[str, str]:
    """Return the CSI volumes of a pod: unique name -> driver.

    A claim that is not bound yet counts as a volume of its class's provisioner.

    Args:
        pod: the pod.
        world: reads claims, volumes and classes.
    """
    volumes = {}
    namespace = meta.namespace_of(pod)
    for name in claim_names(pod):
        claim = world.claim(name, namespace)
        if claim is None:
            continue
        volume_name = (claim.get("spec") or {}).get("volumeName")
        volume = world.volume(volume_name) if volume_name else None
        if volume is not None:
            csi = volume["spec"].get("csi")
            if csi is not None:
                volumes[f"{csi.get('driver')}/{csi.get('volumeHandle')}"] = str(csi.get("driver"))
            continue
        class_name = class_of_claim(claim)
        storage_class = world.storage_class(class_name) if class_name else None
        if storage_class is not None:
            driver = str(storage_class.get("provisioner"))
            volumes[f"{driver}/{namespace}/{name}"] = driver
    return volumes
