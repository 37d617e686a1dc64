"""Update metadata.managedFields at every write: which objects are tracked, and which are not.

Field ownership is tracked for objects that a client created under a name (every client over HTTP
has one), or applied. The simulator's own components give no name: the objects that they create
carry no managedFields, and cost nothing. When a component changes the spec or metadata of an object
that is tracked, the changed fields move to that component's program (kube-controller-manager,
kube-scheduler, kubelet); its status writes are not tracked.

Source: k8s.io/apimachinery/pkg/util/managedfields/internal (fieldmanager.go, skipnonapplied.go).
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver.fieldmanager.managed import (
    UPDATE,
    Writer,
    after_creation,
    after_update,
    documents_of,
    entries_of,
    is_changed,
    is_reset,
    owned_values,
)
from kubesim.apiserver.registry import Kind
from kubesim.objects.frozen import Document

PROGRAMS = {"kubelet": "kubelet", "scheduler": "kube-scheduler"}
# The controllers whose names do not end in -controller.
CONTROLLERS = ("garbage-collector", "pod-garbage-collector", "horizontal-pod-autoscaler")


class FieldManager:
    """Sets managedFields of objects that are written.

    Args:
        timestamp: returns the present time as RFC 3339.
        actor: returns the name of the component that writes.
    """

    def __init__(self, timestamp: Callable[[], str], actor: Callable[[], str]) -> None:
        self._timestamp = timestamp
        self._actor = actor

    def created(self, kind: Kind, new: Document, manager: str) -> None:
        """Set the managedFields of a new object.

        Args:
            kind: of the object.
            new: the object; its metadata is changed in place.
            manager: the client's name.
        """
        writer = Writer(manager, UPDATE, kind.api_version)
        entry = after_creation(kind, new, writer, self._timestamp())
        if entry.paths:  # a client that sent no field owns none
            new["metadata"]["managedFields"] = documents_of([entry])

    def updated(
        self, kind: Kind, old: Document, new: Document, manager: str, subresource: str = ""
    ) -> None:
        """Set the managedFields of a changed object.

        Args:
            kind: of the object.
            old: the stored object.
            new: the object that replaces it; its metadata is changed in place.
            manager: the client's name; "": a component of the simulator.
            subresource: "" for the object itself; or "status", "scale".
        """
        before = old["metadata"].get("managedFields")
        metadata = new["metadata"]
        sent = metadata.get("managedFields")
        if not before and not sent:
            return
        if is_reset(new):
            metadata.pop("managedFields")
            return
        metadata["managedFields"] = sent or before
        if not manager:
            if not is_changed(old, new):
                return
            manager = manager_of(self._actor())
        writer = Writer(manager, UPDATE, kind.api_version, subresource)
        old_set, new_set = (
            owned_values(kind, each, subresource, structures=True) for each in (old, new)
        )
        if old_set != new_set:
            entries = after_update(entries_of(new), old_set, new_set, writer, self._timestamp())
            metadata["managedFields"] = documents_of(entries)


def manager_of(actor: str) -> str:
    """Return the program that a component belongs to: the manager of the fields it writes.

    >>> [manager_of(name) for name in ("deployment-controller", "scheduler/mine", "kubelet/node-1")]
    ['kube-controller-manager', 'kube-scheduler', 'kubelet']
    >>> manager_of("client")
    'client'
    """
    program = PROGRAMS.get(actor.partition("/")[0])
    if program is None:
        is_controller = actor.endswith("-controller") or actor in CONTROLLERS
        program = "kube-controller-manager" if is_controller else actor
    return program
