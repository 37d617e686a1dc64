"""The base of controllers that keep one object of a fixed name in each namespace."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.errors import AlreadyExists, Forbidden, NotFound
from kubesim.objects import meta
from kubesim.objects.kindnames import NAMESPACE

if TYPE_CHECKING:
    from kubesim.objects.types import NamespaceDict


Manifest = dict[str, object]


class PerNamespaceController(Controller):
    """Keeps one object in each namespace that is not being deleted.

    Args:
        tools: the parts of the cluster that all components share.
        options: of the base class.

    Attributes:
        kind, object_name: of the object.
    """

    kind = ""
    object_name = ""

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._namespaces = self.informer(NAMESPACE, self._namespace_changed)
        self._objects = self.informer(
            self.kind, self._object_changed, field_selector=f"metadata.name={self.object_name}"
        )

    @abstractmethod
    def desired(self, existing: Mapping[str, object] | None) -> Manifest | None:
        """Return the object as it should be, without its namespace; None if it is right already.

        Args:
            existing: the object in the cache; None if it is missing.
        """

    def _namespace_changed(self, event: ResourceEvent[NamespaceDict]) -> Iterable[str]:
        return () if event.type == "DELETED" else (meta.name_of(event.object),)

    def _object_changed(self, event: ResourceEvent[Manifest]) -> Iterable[str]:
        return (meta.namespace_of(event.object),)

    def reconcile(self, key: str) -> None:
        """Create the object of a namespace if it is missing, and restore it if it was changed."""
        namespace = self._namespaces.get(key)
        if namespace is None or meta.is_terminating(namespace):
            return
        existing = self._objects.get(f"{key}/{self.object_name}")
        document = self.desired(existing)
        if document is None:
            return
        if existing is not None:
            self.api.update(document)
            self.counts["updated"] += 1
            return
        try:
            created = self.api.create(document, namespace=key)
        except (AlreadyExists, NotFound, Forbidden):
            return  # the cache is behind, or the namespace was deleted in the meantime
        self.counts["created"] += 1
        self.decide(
            created,
            f"create {self.kind} {self.object_name} in the namespace {key}",
            binding="every namespace has one",
            would_change_if=f"the namespace {key} were deleted",
        )
