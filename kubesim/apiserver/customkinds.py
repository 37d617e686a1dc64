"""Custom kinds in the server: every write of a CustomResourceDefinition updates the registry.

In Kubernetes several controllers of the apiextensions server do this a moment later; here it is
part of the write.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go,
pkg/controller/{establish,finalizer}.
"""

from __future__ import annotations

from kubesim.apiserver.clusterkinds.apiservices import services_of
from kubesim.apiserver.core import Core
from kubesim.apiserver.kindrules.definitions import CLEANUP
from kubesim.apiserver.kindrules.servedversions import is_terminating
from kubesim.apiserver.kinds.crds import DEFINITION, kind_of_definition
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.upkeep import Upkeep
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.meta import name_of


class CustomKinds:
    """Keeps the registry in step with the stored definitions.

    Args:
        core: of the server; definitions that its store has already are registered.
        upkeep: registers their APIServices.
    """

    def __init__(self, core: Core, upkeep: Upkeep) -> None:
        self._core = core
        self._upkeep = upkeep
        self._watched: set[str] = set()  # prefixes of the kinds whose definitions terminate
        for kv in core.store.list(DEFINITION.prefix).items:
            core.registry.define(kind_of_definition(kv.value))
            self._watch_removals(kv.value)
        core.after_commit(DEFINITION.prefix, self._definition_changed)

    def register_kind(self, kind: Kind) -> None:
        """Register a kind from Python; every verb serves it from now on.

        Raises:
            AlreadyExists: there is a kind of that name, or of that plural in its group.
        """
        self._core.registry.register(kind)

    def _definition_changed(self, before: Document | None, after: Document | None) -> None:
        """Register the kind of a definition that was written, or retire that of a deleted one."""
        if after is not None:
            self._core.registry.define(kind_of_definition(after))
            self._watch_removals(after)
        elif before is not None:
            self._retire(kind_of_definition(before))
        self._upkeep.register(services_of(before) | services_of(after))

    def _watch_removals(self, definition: Document) -> None:
        """Remove a definition that is being deleted when the last of its objects is."""
        prefix = kind_of_definition(definition).prefix
        if not is_terminating(definition) or prefix in self._watched:
            return
        self._watched.add(prefix)
        key = DEFINITION.key("", name_of(definition))

        def removed(_before: Document | None, after: Document | None) -> None:
            if after is None:
                self._finish(key, prefix)

        self._core.after_commit(prefix, removed)

    def _finish(self, key: str, prefix: str) -> None:
        """Take the cleanup finalizer from a definition without objects, and remove it."""
        core = self._core
        while (kv := core.store.get(key)) is not None and is_terminating(kv.value):
            metadata = kv.value["metadata"]
            finalizers = list(metadata.get("finalizers") or ())
            if CLEANUP not in finalizers or core.store.list(prefix).items:
                return
            finalizers.remove(CLEANUP)
            if not finalizers:
                if core.remove(DEFINITION, kv):
                    return
                continue
            kept = {**kv.value, "metadata": {**metadata, "finalizers": finalizers}}
            compare, put = [(key, kv.mod_revision)], [(key, freeze(kept))]
            if core.commit(compare, put, before=kv.value).succeeded:
                return

    def _retire(self, defined: Kind) -> None:
        """Remove all objects of a kind, and the kind."""
        core, kind = self._core, self._core.registry.find(defined.qualified_kind)
        for kv in core.store.list(kind.prefix).items:
            if core.commit([], deletes=[kv.key], before=kv.value).succeeded:
                core.log_deleted(kind, kv.value)
        core.registry.retire(kind)
