"""KubeAPI: the only door to the store, and what every component and every client talks to.

>>> from kubesim.clock import NamedStreams, VirtualClock
>>> from kubesim.store import EtcdStore
>>> api = KubeAPI(EtcdStore(), VirtualClock(), NamedStreams(7))
>>> pod = api.create_pod("my-first-pod")
>>> pod["status"], api.get("Pod", "my-first-pod")["metadata"]["resourceVersion"]
('Pending', '5')
>>> watch = api.watch("pods")
>>> api.bind("my-first-pod", "default", "node-1")
>>> [(event.type, event.object["spec"]["nodeName"]) for event in watch.poll()]
[('MODIFIED', 'node-1')]

What a verb returns is the caller's own copy; what a watch, `peek` or `snapshot` hands out is shared
and frozen. Components call these methods in the process; clients outside reach the same methods
over HTTP (kubesim.rest).

The verbs stand in files of their own: reading, writing, patchverb, deleting, eviction,
subresources, scaling, metricsapis, seedverbs and crds.

Source: kube-apiserver; k8s.io/apiserver/pkg/registry/generic.
"""

from __future__ import annotations

from kubesim.analytics import Analytics
from kubesim.apiserver.kinds import (
    apps,
    autoscaling,
    batch,
    configuration,
    core,
    crds,
    cronjobs,
    discovery,
    metrics,
    policy,
    scheduling,
    services,
)
from kubesim.apiserver.kinds.crds import CustomKinds
from kubesim.apiserver.registry import Registry
from kubesim.apiserver.seed import SeedView
from kubesim.apiserver.seedverbs import SeedVerbs
from kubesim.apiserver.verbs.eviction import EvictionVerb
from kubesim.apiserver.verbs.metricsapis import MetricsApis
from kubesim.clock.base import Clock, Streams
from kubesim.objects import meta
from kubesim.objects.frozen import Document, freeze
from kubesim.store import EtcdStore

SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def default_registry(*, scale_to_zero: bool = False) -> Registry:
    """The kinds that every simulated cluster has.

    Args:
        scale_to_zero: the feature gate HPAScaleToZero (alpha upstream): minReplicas may be 0.
    """
    scaling = autoscaling.kinds(scale_to_zero=scale_to_zero)
    first = [
        *core.KINDS,
        *configuration.KINDS,
        *services.KINDS,
        *apps.KINDS,
        *batch.KINDS,
        *cronjobs.KINDS,
        *scaling,
    ]
    groups = (discovery, policy, scheduling, crds, metrics)
    return Registry([*first, *(kind for group in groups for kind in group.KINDS)])


class KubeAPI(CustomKinds, SeedVerbs, EvictionVerb, MetricsApis):
    """The API server.

    Args:
        store: where everything is kept.
        clock: for timestamps, and for `delete_pod` to wait on.
        streams: for uids and name suffixes.
        analytics: where creations and deletions are logged.
        registry: the kinds; None: those of `default_registry`.

    Attributes:
        seed: the original simulator's records, with their JSON.
    """

    def __init__(
        self,
        store: EtcdStore,
        clock: Clock,
        streams: Streams,
        *,
        analytics: Analytics | None = None,
        registry: Registry | None = None,
    ) -> None:
        super().__init__(store, clock, streams, registry or default_registry(), analytics)
        self._log_sources = {}
        self._leases = {}
        for kind in self.registry.kinds():
            if kind.trigger_field:
                store.trigger(kind.prefix, kind.trigger_field)
        self._load_definitions()
        self._boot()
        self.seed = SeedView(self)

    def _boot(self) -> None:
        """Make what every cluster is born with: four namespaces and two priority classes."""
        # The classes come with the last namespace, in one revision.
        steps: list[list[Document]] = [
            [{"kind": "Namespace", "metadata": {"name": name}}] for name in SYSTEM_NAMESPACES
        ]
        steps[-1] += scheduling.SYSTEM_CLASSES
        for step in steps:
            puts = []
            for document in step:
                kind, name = self.registry.find(document["kind"]), meta.name_of(document)
                if self.peek(kind.kind, name) is None:
                    made = freeze(self._create(document, None, True, {}))
                    puts.append((kind.key("", name), made))
            if puts:
                self.store.txn([], puts)
                if meta.name_of(puts[0][1]) in SYSTEM_NAMESPACES:
                    self._created(self.registry.find("Namespace"), puts[0][1])
