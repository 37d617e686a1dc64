"""A kind is unique within its group only: knative's Service, two Gateways (faults.md C14)."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_service, make_api

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.ctl import apply as manifests
from kubesim.errors import AlreadyExists, NotFound
from kubesim.objects.references import parse_reference

Document = dict[str, Any]


def definition(group: str, kind: str, plural: str) -> Document:
    """A CustomResourceDefinition of a namespaced kind."""
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    approved = {"api-approved.kubernetes.io": "unapproved, a test"}  # for groups of k8s.io
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": approved},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def custom(group: str, kind: str, name: str = "web", **fields: Any) -> Document:
    """An object of a custom kind."""
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"size": 1},
        **fields,
    }


KNATIVE = "serving.knative.dev"
ISTIO, GATEWAYS = "networking.istio.io", "gateway.networking.k8s.io"


@pytest.fixture
def api() -> KubeAPI:
    """A server with knative's Service and two kinds of Gateways."""
    server = make_api()
    server.create(definition(KNATIVE, "Service", "services"))
    server.create(definition(ISTIO, "Gateway", "gateways"))
    server.create(definition(GATEWAYS, "Gateway", "gateways"))
    return server


def test_the_bare_name_belongs_to_the_first(api: KubeAPI) -> None:
    """The others are found with their group, as kubectl finds them."""
    find = api.registry.find
    assert (find("Service").group, find("services").group, find("svc").group) == ("", "", "")
    for name in ("Service.serving.knative.dev", "services.serving.knative.dev"):
        assert find(name).group == KNATIVE
    assert find("Gateway").group == ISTIO
    assert find(f"gateways.v1.{GATEWAYS}").group == GATEWAYS
    assert api.registry.of_object("serving.knative.dev/v1", "Service").group == KNATIVE
    reference = parse_reference("services.serving.knative.dev/web", api.registry)
    assert find(reference.kind).group == KNATIVE


def test_objects_of_both_live_side_by_side(api: KubeAPI) -> None:
    """apiVersion decides; each verb reaches its own, also in an apply."""
    plain = api.create(a_service("web"))
    made = api.create(custom(KNATIVE, "Service"))
    assert (plain["apiVersion"], made["apiVersion"]) == ("v1", "serving.knative.dev/v1")
    made["spec"]["size"] = 2
    assert api.update(made)["spec"] == {"size": 2}
    assert api.get("Service", "web")["spec"]["type"] == "ClusterIP"
    name = f"Service.{KNATIVE}"
    assert api.patch(name, "web", {"spec": {"size": 3}})["spec"] == {"size": 3}
    applied = api.apply(custom(GATEWAYS, "Gateway"), field_manager="me")
    assert applied["apiVersion"] == f"{GATEWAYS}/v1"
    assert api.list("Gateway")["items"] == []
    for action in ("configured", "unchanged"):
        ((shown, result),) = manifests.apply(api, custom(KNATIVE, "Service", spec={"size": 4})).rows
        assert (shown, result) == ("service.serving.knative.dev/web", action)
    manifests.delete(api, custom(KNATIVE, "Service"))
    assert api.get("Service", "web")["metadata"]["uid"] == plain["metadata"]["uid"]
    with pytest.raises(NotFound):
        api.get(name, "web")


def test_a_second_kind_of_that_name_in_one_group_is_refused(api: KubeAPI) -> None:
    """Though its plural is another one."""
    with pytest.raises(AlreadyExists, match='has a kind called "Service" already'):
        api.create(definition(KNATIVE, "Service", "others"))


def test_a_name_that_becomes_free_goes_to_the_next(api: KubeAPI) -> None:
    """After the first Gateway's definition is deleted; the other's objects stay."""
    api.create(custom(ISTIO, "Gateway"))
    api.create(custom(GATEWAYS, "Gateway"))
    api.delete("crd", f"gateways.{ISTIO}")
    assert api.registry.find("Gateway").group == GATEWAYS
    assert [each["apiVersion"] for each in api.list("Gateway")["items"]] == [f"{GATEWAYS}/v1"]
    api.delete("crd", f"gateways.{GATEWAYS}")
    with pytest.raises(NotFound):
        api.create(custom(GATEWAYS, "Gateway", "again"))


def test_owners_are_found_by_their_group() -> None:
    """The collector deletes what knative's Service owned, and not what the core Service owns."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.apply(definition(KNATIVE, "Service", "services"))
        cluster.sleep(60)
        cluster.apply(a_service("web"))
        cluster.apply(custom(KNATIVE, "Service"))
        for group, name in (("", "of-core"), (KNATIVE, "of-knative")):
            kind = f"Service.{group}" if group else "Service"
            owner = cluster.api.get(kind, "web")
            reference = {
                "apiVersion": owner["apiVersion"],
                "kind": "Service",
                "name": "web",
                "uid": owner["metadata"]["uid"],
            }
            config = {"kind": "ConfigMap", "metadata": {"name": name}}
            config["metadata"] = {"name": name, "ownerReferences": [reference]}
            cluster.api.create(config)
        cluster.sleep(30)
        assert owned_maps(cluster) == ["of-core", "of-knative"]
        cluster.api.delete(f"Service.{KNATIVE}", "web")
        cluster.sleep(30)
        assert owned_maps(cluster) == ["of-core"]


def owned_maps(cluster: Cluster) -> list[str]:
    """The names of the ConfigMaps that have an owner."""
    items = cluster.api.list("ConfigMap", "default")["items"]
    return [each["metadata"]["name"] for each in items if each["metadata"].get("ownerReferences")]


def test_a_namespace_is_emptied_of_both() -> None:
    """Each kind's objects are deleted, whatever the kinds are called."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.apply(definition(KNATIVE, "Service", "services"))
        cluster.api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
        cluster.api.create(a_service("web"), namespace="shop")
        cluster.api.create(custom(KNATIVE, "Service"), namespace="shop")
        cluster.api.delete("Namespace", "shop")
        cluster.sleep(60)
        assert cluster.api.peek("Namespace", "shop") is None
        assert cluster.api.list(f"Service.{KNATIVE}")["items"] == []
