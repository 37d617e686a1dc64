"""Objects are stored as Go writes them: canonical quantities, no empty lists, plain base 64."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_pod, a_statefulset

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.quantity import canonical_quantity, parse_quantity

CANONICAL = {
    0.5: "500m",
    1: "1",
    "1024Mi": "1Gi",
    "1000m": "1",
    ".5": "500m",
    "+1": "1",
    "1000": "1k",
    "0.1": "100m",
    "1.5Gi": "1536Mi",
    "0.5Ki": "512",
    "100Ki": "100Ki",
    "1e3": "1e3",
    "12E2": "1200",
    "0Gi": "0",
    "-0": "0",
    "-1500m": "-1500m",
    "-2048Ki": "-2Mi",
    "0.0000000001": "1n",
    "128974848": "128974848",
}


@pytest.mark.parametrize("sent", CANONICAL)
def test_each_quantity_has_one_form(sent: Any) -> None:
    """As Quantity.String of Kubernetes; the form is a fixed point, and of the same amount."""
    form = canonical_quantity(sent)
    assert form == CANONICAL[sent] and canonical_quantity(form) == form
    if sent != "0.0000000001":
        assert parse_quantity(form) == parse_quantity(sent)


@pytest.mark.parametrize("sent", ["", "1 Gi", "abc", "1.2.3", float("nan"), True])
def test_what_is_no_quantity_is_left_to_validation(sent: Any) -> None:
    """It is returned as it is; a cache may return an equal string."""
    form = canonical_quantity(sent)
    assert form is sent or sent is True or (type(form), form) == (str, sent)


def test_quantities_are_stored_in_their_canonical_form(api: KubeAPI) -> None:
    """In a pod, a quota, a claim and a node's status, whichever verb writes them."""
    resources = {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": "1000m"}}
    container = {"name": "main", "image": "nginx", "resources": resources}
    pod = api.create(a_pod(containers=[container]))
    stored = pod["spec"]["containers"][0]["resources"]
    assert stored["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert stored["limits"] == {"cpu": "1"}
    api.create(
        {"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "10"}}}
    )
    changed = api.patch("ResourceQuota", "q", {"spec": {"hard": {"pods": 2000}}})
    assert changed["spec"]["hard"] == {"pods": "2k"}
    applied = {"kind": "ResourceQuota", "metadata": {"name": "r"}, "spec": {"hard": {"cpu": 0.25}}}
    assert api.apply(applied, field_manager="me")["spec"]["hard"] == {"cpu": "250m"}
    assert api.apply(applied, field_manager="you")["spec"]["hard"] == {"cpu": "250m"}


def test_lists_and_maps_without_items_are_absent(api: KubeAPI) -> None:
    """Owner references, finalizers, taints, labels; lists that Go always writes stay."""
    pod = a_pod(nodeSelector={}, volumes=[])
    pod["metadata"] |= {"ownerReferences": [], "finalizers": [], "labels": {}, "annotations": {}}
    created = api.create(pod)
    assert not {"ownerReferences", "finalizers", "labels", "annotations"} & set(created["metadata"])
    assert not {"nodeSelector", "volumes"} & set(created["spec"])
    node = api.create({"kind": "Node", "metadata": {"name": "n"}})
    assert "taints" not in api.update({**node, "spec": {"taints": []}})["spec"]
    created["metadata"]["finalizers"] = ["example.com/f"]
    api.update(created)
    assert "finalizers" not in api.patch("Pod", "web", {"metadata": {"finalizers": []}})["metadata"]


def test_structures_without_fields_stay(api: KubeAPI) -> None:
    """An emptyDir, and the fields of managedFields, mean something although they are empty."""
    pod = api.create(a_pod(volumes=[{"name": "v", "emptyDir": {}}]), field_manager="me")
    assert pod["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
    owned = pod["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:containers"]
    assert owned['k:{"name":"main"}']["."] == {}


def test_an_orphan_has_no_owner_references() -> None:
    """The garbage collector leaves no empty list behind."""
    with Cluster(nodes=1) as cluster:
        cluster.api.create(a_statefulset(replicas=1))
        cluster.sleep(10)
        cluster.api.delete("StatefulSet", "db", propagation_policy="Orphan")
        cluster.sleep(10)
        (pod,) = cluster.api.list("Pod", label_selector="app=db")["items"]
        assert "ownerReferences" not in pod["metadata"]


@pytest.mark.parametrize("type_", ["", None])
def test_an_empty_type_of_a_secret_is_opaque(api: KubeAPI, type_: str | None) -> None:
    """As defaults.go sees it: an empty string is not set."""
    created = api.create({"kind": "Secret", "metadata": {"name": "s"}, "type": type_})
    assert created["type"] == "Opaque"


def test_an_empty_string_takes_the_default(api: KubeAPI) -> None:
    """Also elsewhere."""
    created = api.create(a_pod(restartPolicy="", dnsPolicy=""))
    assert (created["spec"]["restartPolicy"], created["spec"]["dnsPolicy"]) == (
        "Always",
        "ClusterFirst",
    )


def test_line_breaks_in_base64_are_ignored(api: KubeAPI) -> None:
    """`base64` breaks its lines after 76 letters; the stored text is one line."""
    data = {"a": "aGVs\r\nbG8=\n"}
    created = api.create({"kind": "Secret", "metadata": {"name": "s"}, "data": data})
    assert created["data"] == {"a": "aGVsbG8="}
    binary = {"kind": "ConfigMap", "metadata": {"name": "m"}, "binaryData": data}
    assert api.create(binary)["binaryData"] == {"a": "aGVsbG8="}


def test_an_object_without_fields_has_no_managers(api: KubeAPI) -> None:
    """A client that sent no field owns none; applying nothing to such an object changes nothing."""
    empty = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m"}, "data": {}}
    assert "managedFields" not in api.create(empty, field_manager="me")["metadata"]
    api.create({**empty, "metadata": {"name": "n"}})
    before = api.get("ConfigMap", "n")
    applied = api.apply({**empty, "metadata": {"name": "n"}}, field_manager="me")
    assert applied["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("document", "status", "expected"),
    [
        (
            {"kind": "Node"},
            {"capacity": {"cpu": 0.5, "memory": "1024Mi"}, "conditions": []},
            {"capacity": {"cpu": "500m", "memory": "1Gi"}},
        ),
        (
            {"kind": "ResourceQuota", "spec": {"hard": {"cpu": "1000m"}}},
            {"hard": {"cpu": "1000m"}, "used": {"cpu": ".5"}},
            {"hard": {"cpu": "1"}, "used": {"cpu": "500m"}},
        ),
        (
            {
                "kind": "PersistentVolumeClaim",
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "2048Mi"}},
                },
            },
            {"phase": "Bound", "capacity": {"storage": "2048Mi"}},
            {"phase": "Bound", "capacity": {"storage": "2Gi"}},
        ),
    ],
    ids=["node", "quota", "claim"],
)
def test_a_status_is_canonical_too(
    api: KubeAPI, document: dict[str, Any], status: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Replaced or patched; what the client sent is not changed."""
    created = api.create({"apiVersion": "v1", "metadata": {"name": "a"}, **document})
    sent = {**created, "status": status}
    before = str(sent)
    assert api.update_status(sent)["status"] == expected
    assert str(sent) == before
    patched = api.patch(document["kind"], "a", {"status": status}, subresource="status")
    assert patched["status"] == expected
    assert patched["metadata"]["resourceVersion"] == str(
        api.get(document["kind"], "a")["metadata"]["resourceVersion"]
    )


def test_the_status_of_a_pod_is_canonical_if_a_client_writes_it(api: KubeAPI) -> None:
    """The kubelet writes canonical quantities anyway, and most often."""
    created = api.create(a_pod("web"))
    entry = {"name": "main", "image": "a", "ready": True, "restartCount": 0, "imageID": ""}
    entry["allocatedResources"] = {"cpu": "1000m"}
    status = {"status": {"containerStatuses": [entry]}}
    written = api.patch("Pod", "web", status, subresource="status", field_manager="me")
    (container,) = written["status"]["containerStatuses"]
    assert container["allocatedResources"] == {"cpu": "1"}
    assert created["metadata"]["name"] == "web"


def test_null_in_a_map_is_the_zero_value(api: KubeAPI) -> None:
    """As Go reads it: `a:` without a value in YAML is an empty string, a quantity is 0."""
    empty = {"a": None}
    metadata = {"name": "web", "labels": dict(empty), "annotations": dict(empty)}
    container = {"name": "main", "image": "a", "resources": {"requests": {"cpu": None}}}
    spec = {"nodeSelector": dict(empty), "containers": [container]}
    made = api.create({"kind": "Pod", "metadata": metadata, "spec": spec})
    assert made["metadata"]["labels"] == made["metadata"]["annotations"] == {"a": ""}
    assert made["spec"]["nodeSelector"] == {"a": ""}
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "0"}}
    for kind in ("ConfigMap", "Secret"):
        document = {"kind": kind, "metadata": {"name": "x"}, "data": dict(empty)}
        assert api.create(document)["data"] == {"a": ""}
    assert api.update({**document, "data": {"b": None}})["data"] == {"b": ""}


def test_a_job_template_has_no_defaults_of_jobs(api: KubeAPI) -> None:
    """A CronJob's template stays as it was written, but for its pods."""
    pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "a"}]}}
    spec = {"schedule": "@hourly", "jobTemplate": {"spec": {"template": pods}}}
    made = api.create({"kind": "CronJob", "metadata": {"name": "x"}, "spec": spec})
    template = made["spec"]["jobTemplate"]["spec"]
    assert list(template) == ["template"]
    assert template["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
