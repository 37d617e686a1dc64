"""The kinds and the objects that every cluster has from the start.

Source: pkg/controlplane (instance.go: the API groups; controller/systemnamespaces),
pkg/apis/scheduling/v1/helpers.go (SystemPriorityClasses).
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.analytics import Analytics
from kubesim.apiserver.clusterkinds import (
    apiservices,
    certificates,
    events,
    flowcontrol,
    ingress,
    networking,
    policies,
    resourceclaims,
    runtimeclasses,
    webhooks,
)
from kubesim.apiserver.core import Core
from kubesim.apiserver.kinds import (
    apps,
    autoscaling,
    batch,
    configuration,
    core,
    crds,
    discovery,
    metrics,
    policy,
    scheduling,
    services,
)
from kubesim.apiserver.registry import Registry
from kubesim.apiserver.verbs.create import ObjectCreator
from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.meta import name_of
from kubesim.store import EtcdStore

FEATURE_GATES = {"HPAScaleToZero": "scale_to_zero", "HPAConfigurableTolerance": "own_tolerance"}
ADMINISTERED = (
    ingress,
    networking,
    webhooks,
    policies,
    apiservices,
    certificates,
    flowcontrol,
    resourceclaims,
    runtimeclasses,
)
SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def default_registry(*, scale_to_zero: bool = False, own_tolerance: bool = False) -> Registry:
    """Return the kinds that every simulated cluster serves.

    Args:
        scale_to_zero: the feature gate HPAScaleToZero (alpha upstream): minReplicas may be 0.
        own_tolerance: the feature gate HPAConfigurableTolerance (alpha upstream): an HPA keeps a
            tolerance of its own for each direction.
    """
    scaling = autoscaling.kinds(scale_to_zero=scale_to_zero, own_tolerance=own_tolerance)
    first = [
        *(events.in_events_group(each) if each.kind == "Event" else each for each in core.KINDS),
        *configuration.KINDS,
        *services.KINDS,
        *apps.KINDS,
        *batch.KINDS,
        *scaling,
    ]
    groups = (discovery, policy, scheduling, *ADMINISTERED, crds, metrics)
    return Registry([*first, *(kind for group in groups for kind in group.KINDS)])


def registry_with(gates: Mapping[str, bool] | None) -> Registry:
    """Return the kinds of a cluster with some feature gates switched, by upstream's names.

    Source: pkg/features/kube_features.go.
    """
    return default_registry(**{FEATURE_GATES[name]: on for name, on in (gates or {}).items()})


def make_store(history_limit: int, clock: Clock, analytics: Analytics) -> EtcdStore:
    """Return the store of a new cluster, which keeps objects and usage samples.

    Args:
        history_limit: changes that it keeps before it compacts.
        clock: writes the timestamps of samples.
        analytics: the log; it is told of each sample.
    """
    store = EtcdStore(
        history_limit=history_limit,
        sample_prefix=metrics.SAMPLE_PREFIX,
        sample_document=metrics.document_maker(clock.timestamp),
        analytics=analytics,
    )
    analytics.attach_samples(store.samples_since)
    return store


def create_system_objects(server: Core, creator: ObjectCreator) -> None:
    """Create the four namespaces and two priority classes of every cluster, if they are missing.

    Args:
        server: whose store gets them.
        creator: sets their defaults and validates them.
    """
    # The priority classes come with the last namespace, in one revision.
    steps: list[list[Document]] = [
        [{"kind": "Namespace", "metadata": {"name": name}}] for name in SYSTEM_NAMESPACES
    ]
    steps[-1] += scheduling.SYSTEM_CLASSES
    for step in steps:
        puts: list[tuple[str, Document]] = []
        for document in step:
            kind = server.registry.find(document["kind"])
            key = kind.key("", name_of(document))
            if server.store.get(key) is None:
                puts.append((key, freeze(creator.complete(document))))
        if puts:
            server.store.txn([], puts)
            if name_of(puts[0][1]) in SYSTEM_NAMESPACES:
                server.log_created(server.registry.find("Namespace"), puts[0][1])
