"""VolumeZone: a pod goes to the zone that its bound volumes name in their labels.

Source: pkg/scheduler/framework/plugins/volumezone/volume_zone.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.volumes import claim_names, class_of_claim, delays_binding
from kubesim.objects.wellknown import REGION_LABEL, ZONE_LABEL
from kubesim.scheduler.framework import events
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status
from kubesim.scheduler.volumes.podclaims import concerns_claim

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeClaimDict, PodDict

CONFLICT = "node(s) had no available volume zone"
BETA_ZONE, BETA_REGION = (
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
STABLE = {BETA_ZONE: ZONE_LABEL, BETA_REGION: REGION_LABEL}
TOPOLOGY_LABELS = (BETA_ZONE, BETA_REGION, ZONE_LABEL, REGION_LABEL)
SEPARATOR = "__"  # between the zones of a volume that is in several


class VolumeZone:
    """Filter nodes by the zone and region labels of bound volumes."""

    name = "VolumeZone"

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True for pods without claims (see fastpath)."""
        return not claim_names(pod)

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Read the zones and regions of the pod's volumes; skip a pod without any."""
        names = claim_names(pod)
        if not names:
            return SKIP
        world, namespace = state.snapshot.world, meta.namespace_of(pod)
        topologies: list[tuple[str, frozenset[str]]] = []
        for name in names:
            claim = world.claim(name, namespace)
            if claim is None:
                return Status.unresolvable(f'persistentvolumeclaim "{name}" not found')
            volume_name = claim["spec"].get("volumeName")
            if not volume_name:
                if reason := self._reason_without_volume(claim, state):
                    return Status.unresolvable(reason)
                continue
            volume = world.volume(volume_name)
            if volume is None:
                return Status.unresolvable(f'persistentvolume "{volume_name}" not found')
            labels = meta.labels_of(volume)
            topologies += [
                (key, frozenset(labels[key].split(SEPARATOR)))
                for key in TOPOLOGY_LABELS
                if key in labels
            ]
        if not topologies:
            return SKIP
        state[self.name] = tuple(topologies)
        return SUCCESS

    @staticmethod
    def _reason_without_volume(claim: PersistentVolumeClaimDict, state: CycleState) -> str:
        """Return why a claim without a volume refuses the pod; "" if it waits for the pod."""
        class_name = class_of_claim(claim)
        if not class_name:
            return "PersistentVolumeClaim had no pv name and storageClass name"
        storage_class = state.snapshot.world.storage_class(class_name)
        if storage_class is None:
            return f'storageclass.storage.k8s.io "{class_name}" not found'
        return "" if delays_binding(storage_class) else "PersistentVolume had no name"

    def filter(self, pod: PodDict, node: NodeInfo, state: CycleState) -> Status:
        """Refuse a node in another zone; a node without zone and region passes."""
        if not any(key in node.labels for key in TOPOLOGY_LABELS):
            return SUCCESS
        topologies: tuple[tuple[str, frozenset[str]], ...] = state[self.name]
        for key, values in topologies:
            value = node.labels.get(key)
            if value is None:
                value = node.labels.get(STABLE.get(key, ""))
            if value not in values:
                return Status.unresolvable(CONFLICT)
        return SUCCESS

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a claim of the pod, a volume, a class or a node's labels changed."""
        if event.kind in (events.CLAIM_ADD, events.CLAIM_UPDATE):
            return concerns_claim(pod, event)
        if event.kind in (events.NODE_UPDATE, events.VOLUME_UPDATE):
            return event.labels_changed()
        return event.kind in (events.CLASS_ADD, events.NODE_ADD, events.VOLUME_ADD)
