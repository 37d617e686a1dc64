"""Cluster events: what changed, as it is passed to the plug-ins' queueing hints.

A refused pod waits until something happens that could help it. The scheduler passes each event to
the plug-ins that refused the pod: `hint(pod, event) -> bool`. A plug-in without that method counts
as answering True to every event.

Source: pkg/scheduler/framework/events.go, pkg/scheduler/eventhandlers.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict

NODE_ADD = "NodeAdd"
NODE_UPDATE = "NodeUpdate"
NODE_DELETE = "NodeDelete"
POD_ADD = "AssignedPodAdd"
POD_UPDATE = "AssignedPodUpdate"
POD_DELETE = "AssignedPodDelete"
POD_ITSELF = "UnscheduledPodUpdate"  # the waiting pod itself was changed
CLAIM_ADD = "PersistentVolumeClaimAdd"
CLAIM_UPDATE = "PersistentVolumeClaimUpdate"
VOLUME_ADD = "PersistentVolumeAdd"
VOLUME_UPDATE = "PersistentVolumeUpdate"
CLASS_ADD = "StorageClassAdd"
CLASS_UPDATE = "StorageClassUpdate"
CSI_NODE_ADD = "CSINodeAdd"
CSI_NODE_UPDATE = "CSINodeUpdate"
ANYTHING = "UnschedulableTimeout"  # no event: the pod has waited for the longest time allowed

STORAGE_EVENTS = frozenset(
    {
        CLAIM_ADD,
        CLAIM_UPDATE,
        VOLUME_ADD,
        VOLUME_UPDATE,
        CLASS_ADD,
        CLASS_UPDATE,
        CSI_NODE_ADD,
        CSI_NODE_UPDATE,
    }
)


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """A change in the cluster.

    Attributes:
        kind: one of the names above.
        old: the object before; None for an addition.
        new: the object after; None for a deletion.
        node: for a pod event, the document of the pod's node, if it is known.
    """

    kind: str
    old: ReadOnlyDocument | None = None
    new: ReadOnlyDocument | None = None
    node: NodeDict | None = None

    @property
    def about_node(self) -> bool:
        """Whether a node was added, changed or deleted."""
        return self.kind in (NODE_ADD, NODE_UPDATE, NODE_DELETE)

    @property
    def about_placed_pod(self) -> bool:
        """Whether a pod that is assigned to a node was added, changed or deleted."""
        return self.kind in (POD_ADD, POD_UPDATE, POD_DELETE)

    @property
    def about_storage(self) -> bool:
        """Whether a claim, a volume, a StorageClass or a CSINode was added or changed."""
        return self.kind in STORAGE_EVENTS

    def spec_changed(self, *fields: str) -> bool:
        """Return whether one of these fields of spec differs; True without an old or new object."""
        if self.old is None or self.new is None:
            return True
        before, after = self.old.get("spec") or {}, self.new.get("spec") or {}
        return any(before.get(field) != after.get(field) for field in fields)

    def labels_changed(self) -> bool:
        """Return whether the labels differ; True without an old or new object."""
        if self.old is None or self.new is None:
            return True
        return meta.labels_of(self.old) != meta.labels_of(self.new)
