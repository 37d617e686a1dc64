"""Cluster events: what changed, as plug-ins are told of it when they are asked for a hint.

A pod that was refused waits until something happens that could help it. Each plug-in that refused
it is asked, with the event: `hint(pod, event) -> bool`. A plug-in without that method is taken to
say yes to everything.

Source: pkg/scheduler/framework/events.go, pkg/scheduler/eventhandlers.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.objects import meta
from kubesim.objects.frozen import Document

NODE_ADD = "NodeAdd"
NODE_UPDATE = "NodeUpdate"
NODE_DELETE = "NodeDelete"
POD_ADD = "AssignedPodAdd"
POD_UPDATE = "AssignedPodUpdate"
POD_DELETE = "AssignedPodDelete"
POD_ITSELF = "UnscheduledPodUpdate"  # the waiting pod itself was changed
ANYTHING = "UnschedulableTimeout"  # nothing happened: it has waited for long enough


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """Something that happened.

    Attributes:
        kind: one of the names above.
        old: the object before; None for an addition.
        new: the object after; None for a deletion.
        node: of a pod event, the node's document, if it is known.
    """

    kind: str
    old: Document | None = None
    new: Document | None = None
    node: Document | None = None

    @property
    def about_node(self) -> bool:
        """A node was added, changed or deleted."""
        return self.kind in (NODE_ADD, NODE_UPDATE, NODE_DELETE)

    @property
    def about_placed_pod(self) -> bool:
        """A pod that has a node was added, changed or deleted."""
        return self.kind in (POD_ADD, POD_UPDATE, POD_DELETE)

    def spec_changed(self, *fields: str) -> bool:
        """One of these fields of spec differs; true if there was nothing before."""
        if self.old is None or self.new is None:
            return True
        before, after = self.old.get("spec") or {}, self.new.get("spec") or {}
        return any(before.get(field) != after.get(field) for field in fields)

    def labels_changed(self) -> bool:
        """The labels differ; true if there was nothing before, or is nothing after."""
        if self.old is None or self.new is None:
            return True
        return meta.labels_of(self.old) != meta.labels_of(self.new)
