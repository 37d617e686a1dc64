"""OpenAPI version 2: whole, with the names of the real server, as JSON and as protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kube_http import Kube, kube
from test_kube_protobuf_http import TABS

from kubesim import Cluster
from kubesim.apiserver.schema.schemas import references
from kubesim.rest.serializer import gnostic
from kubesim.rest.serializer.protobuf import _fields

pytestmark = pytest.mark.live
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Cluster, Kube]]:
    """A cluster and a client."""
    with kube() as pair:
        yield pair


@pytest.fixture
def document(served: tuple[Cluster, Kube]) -> Any:
    """The document as JSON."""
    return served[1]("GET", "/openapi/v2").body


def operations(document: Any) -> dict[str, Any]:
    """The operations by name."""
    return {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_every_reference_leads_somewhere(document: Any) -> None:
    """Of the paths and of the definitions; each kind has its list."""
    names = references(document["definitions"], "#/definitions/")
    names |= references(document["paths"], "#/definitions/")
    assert names <= set(document["definitions"]) and len(names) > 300
    assert "io.k8s.api.apps.v1.DeploymentList" in document["definitions"]


def test_the_definitions_are_in_the_words_of_version_2(document: Any) -> None:
    """Int-or-string and quantities are strings; merge keys and kinds are extensions."""
    definitions = document["definitions"]
    quantity = definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity["type"] == "string" and "x-kubernetes-quantity" not in quantity
    port = definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert (port["type"], port["format"]) == ("string", "int-or-string")
    containers = definitions["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    (gvk,) = definitions["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert gvk == {"group": "apps", "kind": "Deployment", "version": "v1"}


def test_operations_have_the_names_of_the_real_server(document: Any) -> None:
    """By which generated clients name their methods; no name stands twice."""
    expected = {
        "listCoreV1NamespacedPod",
        "listCoreV1PodForAllNamespaces",
        "createCoreV1NamespacedPod",
        "deleteCoreV1CollectionNamespacedPod",
        "readCoreV1Node",
        "replaceAppsV1NamespacedDeployment",
        "patchAppsV1NamespacedDeploymentStatus",
        "readAppsV1NamespacedDeploymentScale",
        "deleteBatchV1NamespacedCronJob",
        "connectCoreV1GetNamespacedPodExec",
        "readCoreV1NamespacedPodLog",
        "createCoreV1NamespacedPodEviction",
        "listApiextensionsV1CustomResourceDefinition",
        "readCoreV1NamespaceStatus",
    }
    named = operations(document)
    assert expected <= set(named)
    assert len(named) == sum(len(set(item) - {"parameters"}) for item in document["paths"].values())
    patch = named["patchAppsV1NamespacedDeployment"]
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert "application/strategic-merge-patch+json" in patch["consumes"]


def test_every_path_is_served(served: tuple[Cluster, Kube], document: Any) -> None:
    """A GET of each one is answered by its resource: found, or not found by its name."""
    _, ask = served
    for path, item in document["paths"].items():
        if "get" not in item or path.endswith(("/exec", "/attach", "/portforward")):
            continue
        reply = ask("GET", path.replace("{namespace}", "default").replace("{name}", "none"))
        if "{name}" in path:
            assert (reply.status, reply.body["details"]["name"]) == (404, "none"), path
        else:
            assert reply.status == 200, path


def test_as_protobuf(served: tuple[Cluster, Kube], document: Any) -> None:
    """The messages of gnostic; the same names; unchanged, it is not sent again."""
    _, ask = served
    ask.connection.request("GET", "/openapi/v2", headers={"Accept": PROTOBUF})
    reply = ask.connection.getresponse()
    body = reply.read()
    media = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert (reply.status, reply.headers["Content-Type"]) == (200, media)
    assert body == gnostic.document(document)
    top = {number: raw for number, _, raw in _fields(body)}
    for number, entry, section in ((8, 2, "paths"), (9, 1, "definitions")):
        items = [raw for field, _, raw in _fields(top[number]) if field == entry]
        names = [{n: raw for n, _, raw in _fields(item)}[1].decode() for item in items]
        assert names == list(document[section])
    tag = reply.headers["ETag"]
    again = ask("GET", "/openapi/v2", Accept=PROTOBUF, If_None_Match=tag)
    assert (again.status, again.body) == (304, "")


def test_a_custom_kind_changes_the_document() -> None:
    """It has paths and a definition of its own, and the tag differs."""
    with kube() as (_, ask):
        before = ask("GET", "/openapi/v2").headers["ETag"]
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        assert ask("POST", definitions, TABS).status == 201
        reply = ask("GET", "/openapi/v2")
        assert reply.headers["ETag"] != before
        assert "listExampleComV1NamespacedTab" in operations(reply.body)
        assert "com.example.v1.Tab" in reply.body["definitions"]
