"""Custom kinds in the server: every write of a CustomResourceDefinition updates the registry.

In Kubernetes several controllers of the apiextensions server do this a moment later; here it is
part of the write.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go,
pkg/controller/{establish,finalizer}.
"""

from __future__ import annotations

from kubesim.apiserver.clusterkinds.apiservices import services_of
from kubesim.apiserver.core import Core
from kubesim.apiserver.kinds.crds import DEFINITION, kind_of_definition
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.upkeep import Upkeep
from kubesim.objects.frozen import Document


class CustomKinds:
    """Keeps the registry in step with the stored definitions.

    Args:
        core: of the server; definitions that its store has already are registered.
        upkeep: registers their APIServices.
    """

    def __init__(self, core: Core, upkeep: Upkeep) -> None:
        self._core = core
        self._upkeep = upkeep
        for kv in core.store.list(DEFINITION.prefix).items:
            core.registry.define(kind_of_definition(kv.value))
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
        elif before is not None:
            self._retire(kind_of_definition(before))
        self._upkeep.register(services_of(before) | services_of(after))

    def _retire(self, defined: Kind) -> None:
        """Remove all objects of a kind, and the kind."""
        core, kind = self._core, self._core.registry.find(defined.qualified_kind)
        for kv in core.store.list(kind.prefix).items:
            if core.commit([], deletes=[kv.key], before=kv.value).succeeded:
                core.log_deleted(kind, kv.value)
        core.registry.retire(kind)
