"""Objects that the API server keeps by itself: its APIServices, flow schemas and priority levels.

They exist from the start. A flow schema or a priority level that is deleted is created again, and
an APIService of a custom kind exists as long as its definition: in Kubernetes a controller inside
the API server does both within a minute; here it is part of the write.

Source: k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap, pkg/registry/flowcontrol/ensurer;
k8s.io/kube-aggregator/pkg/controllers/autoregister/autoregister_controller.go,
pkg/controlplane/controller/crdregistration/crdregistration_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from kubesim.apiserver.clusterkinds import apiservices, flowcontrol
from kubesim.apiserver.clusterkinds.apiservices import (
    built_in_services,
    is_of_custom_kind,
    local_service,
    services_of,
)
from kubesim.apiserver.clusterkinds.flowdefaults import flow_object, flow_schemas, priority_levels
from kubesim.apiserver.core import Core, new_uid
from kubesim.apiserver.kinds.crds import DEFINITION
from kubesim.apiserver.registry import Kind
from kubesim.objects.frozen import FrozenDict
from kubesim.objects.meta import name_of

if TYPE_CHECKING:
    from random import Random

(API_SERVICE,) = apiservices.KINDS
FLOW_SCHEMA, LEVEL = flowcontrol.KINDS
NAMES_OF = {LEVEL: priority_levels, FLOW_SCHEMA: flow_schemas, API_SERVICE: built_in_services}
MAKERS = {kind: partial(flow_object, kind.kind) for kind in (LEVEL, FLOW_SCHEMA)} | {
    API_SERVICE: partial(local_service)  # each called with (name, uid, timestamp)
}


class Upkeep:
    """Keeps the objects of the API server itself.

    Args:
        core: of the server.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        core.after_commit(f"/registry/{flowcontrol.GROUP}/", self._changed)
        core.after_commit(API_SERVICE.prefix, self._changed)

    def missing_objects(self, uids: Random) -> Iterator[tuple[str, FrozenDict]]:
        """Yield (key, object) of what every cluster has and this one does not.

        Args:
            uids: the stream of their uids.
        """
        core, now = self._core, self._core.clock.timestamp()
        for kind, names in NAMES_OF.items():
            if kind.kind not in core.registry.by_kind:
                continue  # a registry of the caller's own
            for name in names():
                key = kind.key("", name)
                if core.store.get(key) is None:
                    yield key, MAKERS[kind](name, new_uid(uids), now)

    def register(self, services: Iterable[str]) -> None:
        """Register the versions of custom kinds, and remove those that no definition serves.

        Args:
            services: the names of their APIServices.
        """
        core = self._core
        definitions = core.store.list(DEFINITION.prefix).items
        served = {name for kv in definitions for name in services_of(kv.value)}
        for name in sorted(services):
            stored = core.store.get(key := API_SERVICE.key("", name))
            if stored is None:
                if name in served:
                    self._create(API_SERVICE, name)
            elif name not in served and is_of_custom_kind(stored.value):
                core.commit([(key, stored.mod_revision)], deletes=[key], before=stored.value)

    def _changed(self, before: object, after: object) -> None:
        """Create again what was deleted; APIServices of Kubernetes' groups are not."""
        if after is not None or not isinstance(before, dict):
            return
        name, kind = name_of(before), before["kind"]
        if kind == API_SERVICE.kind:
            if is_of_custom_kind(before):
                self.register([name])
            return
        kept = FLOW_SCHEMA if kind == FLOW_SCHEMA.kind else LEVEL
        if name in NAMES_OF[kept]():
            self._create(kept, name)

    def _create(self, kind: Kind, name: str) -> None:
        core = self._core
        if kind.kind in core.registry.by_kind:
            uid, now = core.new_uid(kind), core.clock.timestamp()
            key = kind.key("", name)
            core.commit([(key, 0)], [(key, MAKERS[kind](name, uid, now))])
