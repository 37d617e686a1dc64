"""VolumeRestrictions: claims that one pod alone may use, and disks that one node alone may mount.

Source: pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.volumes import READ_WRITE_ONCE_POD, claim_names
from kubesim.scheduler.framework import events
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status
from kubesim.scheduler.volumes.podclaims import concerns_claim

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, VolumeDict

DISK_CONFLICT = "node(s) had no available disk"
POD_CONFLICT = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)
# Source of a volume -> the field that tells one disk from another. AWS refuses two readers, too.
DISKS = {"gcePersistentDisk": "pdName", "awsElasticBlockStore": "volumeID", "iscsi": "iqn"}


@dataclass
class RestrictionState:
    """What the plug-in keeps for one attempt.

    Attributes:
        exclusive: names of the pod's claims that only one pod may use.
        users: how often other pods use them.
    """

    exclusive: frozenset[str]
    users: int

    def clone(self) -> RestrictionState:
        """Return an independent copy."""
        return RestrictionState(self.exclusive, self.users)


class VolumeRestrictions:
    """Filter nodes by ReadWriteOncePod claims and by the disks that are mounted on them."""

    name = "VolumeRestrictions"

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True for pods without claims and disks (see fastpath)."""
        volumes = (pod.get("spec") or {}).get("volumes")
        return not volumes or not (claim_names(pod) or any(map(_disk_of, volumes)))

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Count the pods that use the pod's exclusive claims; skip a pod without such volumes."""
        volumes = (pod.get("spec") or {}).get("volumes")
        if not volumes:
            return SKIP
        has_disk = any(map(_disk_of, volumes))
        exclusive = set()
        for name in claim_names(pod):
            claim = state.snapshot.world.claim(name, meta.namespace_of(pod))
            if claim is None:
                if name in _ephemeral_claims(pod):
                    continue  # VolumeBinding has the better text
                return Status.unresolvable(f'persistentvolumeclaim "{name}" not found').with_help(
                    f"somebody creates this claim in the namespace {meta.namespace_of(pod)}"
                )
            if READ_WRITE_ONCE_POD in (claim["spec"].get("accessModes") or ()):
                exclusive.add(name)
        users = sum(
            uses_of(other, pod, exclusive)
            for node in (state.snapshot if exclusive else ())
            for other in node.pods.values()
        )
        if not has_disk and not users:
            return SKIP
        state[self.name] = RestrictionState(frozenset(exclusive), users)
        return SUCCESS

    def add_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """Count another pod's exclusive claims.

        Args:
            pod: the pod to schedule.
            other: the pod to count.
            node: its node.
            state: the copy to change.
        """
        kept: RestrictionState = state[self.name]
        users = kept.users + uses_of(other, pod, kept.exclusive)
        state[self.name] = RestrictionState(kept.exclusive, users)

    def remove_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """No longer count another pod's exclusive claims.

        Args:
            pod: the pod to schedule.
            other: the pod that goes.
            node: its node.
            state: the copy to change.
        """
        kept: RestrictionState = state[self.name]
        users = kept.users - uses_of(other, pod, kept.exclusive)
        state[self.name] = RestrictionState(kept.exclusive, users)

    def filter(self, pod: PodDict, node: NodeInfo, state: CycleState) -> Status:
        """Refuse a node with the same disk, and every node while another pod has the claim."""
        disks = [disk for volume in pod["spec"]["volumes"] if (disk := _disk_of(volume))]
        if disks and any(
            _conflict(disk, other) for disk in disks for other in _disks_on(node.pods.values())
        ):
            return Status.unschedulable(DISK_CONFLICT)
        kept: RestrictionState = state[self.name]
        if kept.users <= 0:
            return SUCCESS
        claims = ", ".join(sorted(kept.exclusive))
        return Status.unschedulable(POD_CONFLICT).with_help(
            f"the pod that uses the claim {claims} ends or is deleted (ReadWriteOncePod: one pod)"
        )

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a pod with the same volumes was deleted, or a claim was added."""
        if event.kind in (events.CLAIM_ADD, events.CLAIM_UPDATE):
            return concerns_claim(pod, event)
        if event.kind != events.POD_DELETE or event.old is None:
            return False
        other = cast("PodDict", event.old)
        if uses_of(other, pod, set(claim_names(pod))):
            return True
        own = [disk for volume in pod["spec"].get("volumes") or () if (disk := _disk_of(volume))]
        return any(_conflict(disk, freed) for disk in own for freed in _disks_on([other]))


def uses_of(other: PodDict, pod: PodDict, claims: Iterable[str]) -> int:
    """Return how many of a pod's claims another pod of its namespace uses.

    Args:
        other: the other pod.
        pod: the pod.
        claims: names of the claims.
    """
    if not claims or meta.namespace_of(other) != meta.namespace_of(pod):
        return 0
    names = set(claims)
    return sum(name in names for name in claim_names(other))


def _ephemeral_claims(pod: PodDict) -> set[str]:
    volumes = pod["spec"].get("volumes") or ()
    name = meta.name_of(pod)
    return {f"{name}-{v.get('name')}" for v in volumes if v.get("ephemeral") is not None}


Disk = tuple[str, ReadOnlyDocument]
"""(source, its fields)"""


def _disk_of(volume: VolumeDict) -> Disk | None:
    fields: ReadOnlyDocument = volume
    for source in (*DISKS, "rbd"):
        if fields.get(source) is not None:
            return source, fields[source]
    return None


def _disks_on(pods: Iterable[PodDict]) -> Iterator[Disk]:
    for pod in pods:
        for volume in pod["spec"].get("volumes") or ():
            if disk := _disk_of(volume):
                yield disk


def _conflict(one: Disk, other: Disk) -> bool:
    """Return whether two volumes are one disk that is not only read."""
    source, fields = one
    if other[0] != source:
        return False
    others = other[1]
    readers = bool(fields.get("readOnly")) and bool(others.get("readOnly"))
    if source == "rbd":
        same = bool(set(fields.get("monitors") or ()) & set(others.get("monitors") or ()))
        same = same and all(fields.get(name) == others.get(name) for name in ("pool", "image"))
        return same and not readers
    field = DISKS[source]
    if fields.get(field) != others.get(field):
        return False
    return source == "awsElasticBlockStore" or not readers
