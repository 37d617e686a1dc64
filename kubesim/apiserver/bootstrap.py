"""The kinds and the objects that every cluster has from the start.

Source: pkg/controlplane (instance.go: the API groups; controller/systemnamespaces),
pkg/apis/scheduling/v1/helpers.go (SystemPriorityClasses), pkg/registry/rbac/rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.analytics import Analytics
from kubesim.apiserver.access.policy import PolicyObject, bootstrap_policy
from kubesim.apiserver.clusterkinds import (
    apiservices,
    certificates,
    events,
    flowcontrol,
    ingress,
    networking,
    policies,
    rbac,
    replication,
    resourceclaims,
    runtimeclasses,
    webhooks,
)
from kubesim.apiserver.core import Core, new_uid
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
from kubesim.apiserver.storagekinds import storage, volumes
from kubesim.apiserver.upkeep import Upkeep
from kubesim.apiserver.verbs.create import ObjectCreator
from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document, FrozenDict, freeze
from kubesim.objects.meta import name_of, namespace_of
from kubesim.objects.wellknown import DEFAULT_ACCOUNT, ROOT_CA
from kubesim.store import EtcdStore
from kubesim.store.quota import QUOTA_BYTES

FEATURE_GATES = {"HPAScaleToZero": "scale_to_zero", "HPAConfigurableTolerance": "own_tolerance"}
ADMINISTERED = (
    rbac,
    ingress,
    networking,
    webhooks,
    policies,
    apiservices,
    certificates,
    flowcontrol,
    resourceclaims,
    runtimeclasses,
    storage,
)
SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
CA_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBgDCCASegAwIBAgIUKftmjUyI6uxfIf47Qjx9KrT3HYIwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMzAyMjMyMjZaGA8yMTI2MTEw
NjIyMzIyNlowFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABOQrmjDFzP6/tB6uyMN3Bi9ZKEiDsxuS6YcHsugXQERX65DrSpjk
h42n1lBhuy1Nw+e0cDJsW9XRmjep3aasaXGjUzBRMB0GA1UdDgQWBBSNEXNIqh87
DMFl0ZKNHlm+swYuijAfBgNVHSMEGDAWgBSNEXNIqh87DMFl0ZKNHlm+swYuijAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIDy39GHy6XYdXtKkoXxZ
fquxjd6VuVPAznwfcTFpngsfAiB0j/Le3f6FVlG4nVGJENiQ/3YPhLqJXRyWHQG3
iHHQVA==
-----END CERTIFICATE-----
"""
ROOT_CA_DATA: Document = freeze({"ca.crt": CA_CERTIFICATE})
ROOT_CA_ANNOTATIONS: Document = freeze(
    {
        "kubernetes.io/description": "Contains a CA bundle that can be used to verify the "
        "kube-apiserver when using internal endpoints such as the internal service IP or "
        "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
        "clusters."
    }
)
ROOT_CA_METADATA: Document = freeze({"annotations": ROOT_CA_ANNOTATIONS})
NOTHING: Document = freeze({})


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
        *volumes.KINDS,
        *services.KINDS,
        *replication.KINDS,
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


def make_store(
    history_limit: int, quota_bytes: int, clock: Clock, analytics: Analytics
) -> EtcdStore:
    """Return the store of a new cluster, which keeps objects and usage samples.

    Args:
        history_limit: changes that it keeps before it compacts.
        quota_bytes: a write that exceeds it is refused; 0: the default; below 0: no quota.
        clock: writes the timestamps of samples.
        analytics: the log; it is told of each sample.
    """
    store = EtcdStore(
        history_limit=history_limit,
        quota_bytes=quota_bytes or QUOTA_BYTES,
        sample_prefix=metrics.SAMPLE_PREFIX,
        sample_document=metrics.document_maker(clock.timestamp),
        analytics=analytics,
    )
    analytics.attach_samples(store.samples_since)
    return store


def create_system_objects(server: Core, creator: ObjectCreator, upkeep: Upkeep) -> None:
    """Create what every cluster has from the start, if it is missing.

    That is: four namespaces; two priority classes; the class `standard`; the Service `kubernetes`
    with its endpoints; the roles and bindings of the system; flow schemas, priority levels and
    APIServices. Where pods get accounts, each namespace has one, and the server's certificate, as
    if their controllers had run already.

    Args:
        server: whose store gets them.
        creator: sets their defaults and validates them.
        upkeep: has the server's own objects.
    """
    # All else comes with the last namespace, in one revision.
    steps: list[list[Document]] = [
        [{"kind": "Namespace", "metadata": {"name": name}}] for name in SYSTEM_NAMESPACES
    ]
    steps[-1] += (*scheduling.SYSTEM_CLASSES, storage.STANDARD_CLASS)
    steps[-1] += services.kubernetes_service()
    for step in steps:
        puts: list[tuple[str, Document]] = []
        for document in step:
            kind = server.registry.find(document["kind"])
            key = kind.key(namespace_of(document) if kind.namespaced else "", name_of(document))
            if server.store.get(key) is None:
                puts.append((key, freeze(creator.complete(document))))
        if step is steps[-1]:
            puts += _missing_objects(server)
            puts += upkeep.missing_objects(server.streams("uids/bootstrap"))
        if puts:
            server.store.txn([], puts)
            if name_of(puts[0][1]) in SYSTEM_NAMESPACES:
                server.log_created(server.registry.find("Namespace"), puts[0][1])


def _missing_objects(server: Core) -> list[tuple[str, Document]]:
    """Return (key, object) of the missing accounts, certificates, roles and bindings.

    Later namespaces get account and certificate from two controllers. What the objects of all
    clusters share is frozen once, since tests make thousands of clusters.
    """
    objects: list[PolicyObject] = []
    for namespace in SYSTEM_NAMESPACES if server.service_accounts else ():
        data = {"data": ROOT_CA_DATA}
        objects += (
            PolicyObject("ServiceAccount", namespace, DEFAULT_ACCOUNT, NOTHING, NOTHING),
            PolicyObject("ConfigMap", namespace, ROOT_CA, ROOT_CA_METADATA, data),
        )
    kinds = {each.kind: server.registry.by_kind.get(each.kind) for each in objects}
    uids, now = server.streams("uids/bootstrap"), server.clock.timestamp()
    puts: list[tuple[str, Document]] = []
    for each in (*objects, *bootstrap_policy()):
        if each.kind not in kinds:
            kinds[each.kind] = server.registry.by_kind.get(each.kind)
        kind = kinds[each.kind]
        if kind is None:
            continue  # a registry of the caller's own
        key = kind.key(each.namespace, each.name)
        if server.store.get(key) is not None:
            continue
        metadata: Document = {"name": each.name}
        if each.namespace:
            metadata["namespace"] = each.namespace
        metadata |= {**each.metadata, "uid": new_uid(uids), "creationTimestamp": now}
        head = {"kind": each.kind, "apiVersion": kind.api_version}
        document = {**head, "metadata": FrozenDict(metadata), **each.content}
        puts.append((key, FrozenDict(document)))
    return puts
