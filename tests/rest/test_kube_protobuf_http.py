"""Protobuf over a real socket: what Go clients write, read back and delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kube_http import DEPLOYMENTS, MAPS, PODS, Kube, deployment, kube
from test_kube_protobuf import envelope, text, whole
from test_kube_protobuf_table import MESSAGES, component, encode, encode_value, parts_of

from kubesim import Cluster
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema import data
from kubesim.errors import NotFound
from kubesim.rest.serializer.protobuf import CONTENT_TYPE

pytestmark = pytest.mark.live


@pytest.fixture
def served() -> Iterator[tuple[Cluster, Kube]]:
    """A cluster and a client."""
    with kube() as made:
        yield made


def as_protobuf(document: dict[str, Any], message: str) -> bytes:
    """A document as a Go client sends it."""
    return envelope(document["apiVersion"], document["kind"], encode(message, document))


def test_a_deployment_written_back_as_protobuf_loses_nothing(
    served: tuple[Cluster, Kube],
) -> None:
    """Read, change a label, write: the pod template stays as it was, and no pod is replaced."""
    cluster, ask = served
    wanted = deployment("web")
    pod = wanted["spec"]["template"]["spec"]
    pod["securityContext"] = {"runAsNonRoot": False, "fsGroup": 2000}
    pod["automountServiceAccountToken"] = False
    pod["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]
    pod["volumes"].append({"name": "e", "emptyDir": {}})
    pod["containers"][0]["securityContext"] = {"capabilities": {"drop": ["ALL"]}}
    pod["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    assert ask("POST", DEPLOYMENTS, wanted).status == 201
    cluster.sleep(5)
    read = ask("GET", f"{DEPLOYMENTS}/web").body
    read["metadata"]["labels"] = {"seen": "yes"}
    body = as_protobuf(read, "k8s.io.api.apps.v1.Deployment")
    written = ask("PUT", f"{DEPLOYMENTS}/web", body, CONTENT_TYPE)
    assert written.status == 200
    assert written.body["spec"] == read["spec"]
    assert written.body["metadata"]["labels"] == {"seen": "yes"}
    assert written.body["metadata"]["generation"] == read["metadata"]["generation"]


def as_go_writes_it(document: dict[str, Any], message: str) -> bytes:
    """The message of an object, with the zeros that Go writes for what it holds by value."""
    body = encode(message, document)
    modes = {name: mode for _, name, _, mode in data.messages()[component(message)]}
    for number, name, label, kind in parts_of(message):
        if name not in document and modes.get(name) == "value" and label == "optional":
            body += encode_value(number, kind, ZEROS[kind]) if kind in ZEROS else text(number, b"")
    return body


def objects_of(cluster: Cluster) -> Iterator[tuple[Kind, str, str]]:
    """(kind, message, path) of the objects of every built-in kind that the cluster has."""
    for kind in cluster.api.registry.kinds():
        message = MESSAGES.get(data.kinds().get(f"{kind.api_version} {kind.kind}", ""))
        if message is None or kind.read_only:
            continue
        root = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
        for item in cluster.api.list(kind.kind)["items"][:3]:
            metadata = item["metadata"]
            space = f"/namespaces/{metadata['namespace']}" if kind.namespaced else ""
            yield kind, message, f"{root}{space}/{kind.plural}/{metadata['name']}"


def test_every_kind_written_back_as_protobuf_loses_nothing(served: tuple[Cluster, Kube]) -> None:
    """What each Go controller does: read, change a label, write back whole."""
    cluster, ask = served
    for manifest in sorted(MANIFESTS.glob("*.yaml")):
        with suppress(NotFound):  # a kind that is not served
            cluster.apply(manifest)
    cluster.apply(FURTHER)
    cluster.sleep(65)
    kinds = set()
    for kind, message, path in objects_of(cluster):
        read = ask("GET", path).body
        read["metadata"].setdefault("labels", {})["changed"] = "yes"
        body = envelope(read["apiVersion"], read["kind"], as_go_writes_it(read, message))
        written = ask("PUT", path, body, CONTENT_TYPE)
        assert written.status == 200, (path, written.body)
        for document in (read, written.body):
            for field in ("managedFields", "resourceVersion"):
                document["metadata"].pop(field, None)
        lost = {k: v for k, v in read.items() if v and written.body.get(k) != v}
        assert not lost, (path, lost, written.body)
        assert not any(written.body[name] for name in set(written.body) - set(read)), path
        kinds.add(kind.kind)
    assert {"CronJob", "Job", "Pod", "ResourceQuota", "Service", "ServiceAccount"} <= kinds


def test_scale_eviction_and_deletion_take_protobuf(served: tuple[Cluster, Kube]) -> None:
    """The objects of requests, with zeros that are meant."""
    cluster, ask = served
    assert ask("POST", DEPLOYMENTS, deployment("web")).status == 201
    cluster.sleep(5)
    name = ask("GET", PODS).body["items"][0]["metadata"]["name"]
    metadata = text(1, text(1, name) + text(3, "default"))
    evicted = ask(
        "POST", f"{PODS}/{name}/eviction", envelope("policy/v1", "Eviction", metadata), CONTENT_TYPE
    )
    assert evicted.status == 201
    scale = text(1, text(1, "web") + text(3, "default")) + text(2, whole(1, 0))
    body = envelope("autoscaling/v1", "Scale", scale)
    assert ask("PUT", f"{DEPLOYMENTS}/web/scale", body, CONTENT_TYPE).status == 200
    assert ask("GET", f"{DEPLOYMENTS}/web").body["spec"]["replicas"] == 0
    options = envelope("apps/v1", "DeleteOptions", text(2, text(1, "another")))
    refused = ask("DELETE", f"{DEPLOYMENTS}/web", options, CONTENT_TYPE)
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    options = envelope("apps/v1", "DeleteOptions", text(4, "Background"))
    assert ask("DELETE", f"{DEPLOYMENTS}/web", options, CONTENT_TYPE).status == 200


def test_what_has_no_message_is_an_unsupported_media_type(served: tuple[Cluster, Kube]) -> None:
    """Custom kinds, and patches, which have media types of their own."""
    _, ask = served
    assert (
        ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", TABS).status == 201
    )
    body = envelope("example.com/v1", "Tab", text(1, text(1, "a")))
    for method, path in (
        ("POST", "/apis/example.com/v1/namespaces/default/tabs"),
        ("PUT", "/apis/example.com/v1/namespaces/default/tabs/a"),
        ("PATCH", f"{MAPS}/a"),
    ):
        refused = ask(method, path, body, CONTENT_TYPE)
        assert (refused.status, refused.body["kind"]) == (415, "Status")
        assert refused.body["reason"] == "UnsupportedMediaType"
    unknown = ask("POST", MAPS, envelope("v1", "Unheard", b""), CONTENT_TYPE)
    assert (unknown.status, unknown.body["reason"]) == (400, "BadRequest")


MANIFESTS = Path(__file__).parent.parent / "newcomer"
ZEROS = {"string": "", "bool": False, "int32": 0, "int64": 0, "double": 0.0, "bytes": ""}
META = {"name": "further"}
BUDGET_SPEC = {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}
FURTHER: list[dict[str, Any]] = [
    {"kind": "ConfigMap", "apiVersion": "v1", "metadata": META, "binaryData": {"a": "/w=="}},
    {"kind": "Secret", "apiVersion": "v1", "metadata": META, "data": {"a": "/w=="}},
    {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": META}
    | {"automountServiceAccountToken": False, "imagePullSecrets": [{"name": "a"}]},
    {"kind": "ResourceQuota", "apiVersion": "v1", "metadata": META}
    | {"spec": {"hard": {"pods": "100", "requests.cpu": "50"}, "scopes": ["NotBestEffort"]}},
    {"kind": "LimitRange", "apiVersion": "v1", "metadata": META}
    | {"spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}},
    {"kind": "PodDisruptionBudget", "apiVersion": "policy/v1", "metadata": META}
    | {"spec": BUDGET_SPEC},
]
TABS: dict[str, Any] = {
    "kind": "CustomResourceDefinition",
    "apiVersion": "apiextensions.k8s.io/v1",
    "metadata": {"name": "tabs.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "tabs", "kind": "Tab"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}
