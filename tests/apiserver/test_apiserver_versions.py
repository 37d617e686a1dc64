"""Kinds in several versions, and the core group's smaller kinds."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import an_hpa

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.kinds.autoscaling_v1 import from_v2, to_v2
from kubesim.errors import BadRequest, Invalid

CPU = {"type": "Utilization", "averageUtilization": 50}
RPS = {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}
METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "target": CPU}},
    {"type": "Pods", "pods": RPS},
]


def an_old_hpa(**spec: Any) -> dict[str, Any]:
    return {**an_hpa(**spec), "apiVersion": "autoscaling/v1"}


def test_v1_is_stored_as_v2_and_read_as_both(api: KubeAPI) -> None:
    """kubectl autoscale of old clients: a CPU target becomes a metric, and back."""
    made = api.create(an_old_hpa(targetCPUUtilizationPercentage=50))
    assert made["apiVersion"] == "autoscaling/v2"
    assert made["spec"]["metrics"] == METRICS[:1]
    old = api.convert(api.get("hpa", "db"), "autoscaling/v1")
    assert old["apiVersion"] == "autoscaling/v1"
    assert old["spec"]["targetCPUUtilizationPercentage"] == 50
    assert "metrics" not in old["spec"]


def test_v1_without_a_target_gets_the_default(api: KubeAPI) -> None:
    """No CPU target: 80 %, as in v2."""
    metrics = api.create(an_old_hpa())["spec"]["metrics"]
    assert metrics[0]["resource"]["target"]["averageUtilization"] == 80


def test_a_patch_in_v1(api: KubeAPI) -> None:
    """A v1 client patches what it sees, gets what it sees, and other metrics stay."""
    api.create(an_hpa(metrics=METRICS))
    patch = {"spec": {"targetCPUUtilizationPercentage": 70}}
    old = api.patch("hpa", "db", patch, api_version="autoscaling/v1")
    assert old["spec"]["targetCPUUtilizationPercentage"] == 70
    metrics = api.get("hpa", "db")["spec"]["metrics"]
    assert metrics[0]["resource"]["target"]["averageUtilization"] == 70
    assert metrics[1] == METRICS[1]


@pytest.mark.parametrize(
    "spec",
    [
        {"maxReplicas": 3},
        {"maxReplicas": 3, "metrics": METRICS},
        {"maxReplicas": 3, "metrics": METRICS[1:], "behavior": {"scaleUp": {"policies": []}}},
        {"maxReplicas": 3, "metrics": METRICS, "unknown": {"kept": None}},
    ],
)
def test_there_and_back_is_the_same(spec: dict[str, Any]) -> None:
    """v2 -> v1 -> v2 loses nothing: what v1 has no field for travels in annotations."""
    status = {
        "conditions": [{"type": "AbleToScale", "status": "True"}],
        "currentMetrics": [{"type": "Pods", "pods": {"current": {"averageValue": "3"}}}],
    }
    hpa = {"metadata": {"name": "a", "annotations": {"mine": "1"}}, "spec": spec, "status": status}
    assert to_v2(from_v2(hpa)) == hpa


def test_versions_that_are_not_served(api: KubeAPI) -> None:
    """An unknown version is refused, whichever way it comes."""
    with pytest.raises(BadRequest, match='no matches for kind "HorizontalPodAutoscaler"'):
        api.create({**an_hpa(), "apiVersion": "autoscaling/v3"})
    made = api.create(an_hpa())
    with pytest.raises(BadRequest, match="autoscaling/v3"):
        api.convert(made, "autoscaling/v3")
    assert api.registry.at("autoscaling", "v1", "horizontalpodautoscalers") is not None
    assert api.registry.at("autoscaling", "v3", "horizontalpodautoscalers") is None


def test_strict_decoding_knows_the_version(api: KubeAPI) -> None:
    """A field of v1 is no unknown field in v1."""
    hpa = an_old_hpa(targetCPUUtilizationPercentage=50)
    assert api.create(hpa, field_validation="Strict", dry_run=True)


@pytest.mark.parametrize(
    ("group", "version", "plural", "kind"),
    [
        ("", "v1", "pods", "Pod"),
        ("metrics.k8s.io", "v1beta1", "pods", "PodMetrics"),
        ("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics"),
        ("apps", "v1", "deployments", "Deployment"),
        ("", "v1", "deployments", None),
        ("apps", "v1", "deploy", None),
        ("", "v2", "pods", None),
    ],
)
def test_kinds_by_their_place(
    api: KubeAPI, group: str, version: str, plural: str, kind: str | None
) -> None:
    """Group, version and plural lead to a kind, or to none."""
    found = api.registry.at(group, version, plural)
    assert (found.kind if found else None) == kind


# -- smaller kinds ---------------------------------------------------------------------------------


def make(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, **fields}


def test_texts_of_a_secret_are_stored_in_base_64(api: KubeAPI) -> None:
    """`stringData` is written, and `data` is read."""
    made = api.create(make("Secret", stringData={"a": "hello"}, data={"b": "aGk="}))
    assert made["data"] == {"b": "aGk=", "a": "aGVsbG8="}
    assert made["type"] == "Opaque" and "stringData" not in made


def test_a_claim_waits_for_a_volume(api: KubeAPI) -> None:
    """Defaults of a PersistentVolumeClaim."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made = api.create(make("PersistentVolumeClaim", spec=spec))
    assert made["status"] == {"phase": "Pending"} and made["spec"]["volumeMode"] == "Filesystem"
    made["spec"]["accessModes"] = ["ReadOnlyMany"]
    with pytest.raises(Invalid, match="spec is immutable"):
        api.update(made)


LONG = "k" * 254
RULES = [
    (make("ConfigMap", data={"a b": "c"}), "data[a b]"),
    (make("ConfigMap", data={"": "c"}), "data[]"),
    (make("ConfigMap", data={"..": "c"}), "data[..]"),
    (make("ConfigMap", data={"..c": "c"}), "data[..c]"),
    (make("ConfigMap", data={LONG: "c"}), f"data[{LONG}]"),
    (make("ConfigMap", binaryData={"a/b": "aGk="}), "binaryData[a/b]"),
    (make("ConfigMap", data={"a": "c"}, binaryData={"a": "aGk="}), "binaryData[a]"),
    (make("ConfigMap", data={"a": "x" * (1024 * 1024 + 1)}), ""),
    (make("Secret", data={"a b": "aGk="}), "data[a b]"),
    (make("Secret", data={"a/b": "aGk="}), "data[a/b]"),
    (make("Secret", type="kubernetes.io/tls", data={"tls.crt": ""}), "data[tls.key]"),
    (make("ResourceQuota", spec={"hard": {"foo": "1"}}), "spec.hard[foo]"),
    (make("ResourceQuota", spec={"hard": {"pods": "1500m"}}), "spec.hard[pods]"),
    (make("ResourceQuota", spec={"hard": {"pods": "1"}, "scopes": ["Big"]}), "spec.scopes"),
    (make("LimitRange", spec={"limits": [{"type": "House"}]}), "spec.limits[0].type"),
    (make("PersistentVolumeClaim", spec={"accessModes": ["Any"]}), "spec.accessModes"),
    (make("Endpoints", subsets=[{"addresses": [{"ip": "here"}]}]), "subsets[0].addresses[0].ip"),
]


@pytest.mark.parametrize(("document", "field"), RULES)
def test_rules_of_the_smaller_kinds(api: KubeAPI, document: dict[str, Any], field: str) -> None:
    """Each rule names its field."""
    with pytest.raises(Invalid) as refused:
        api.create(document)
    assert refused.value.causes[0].field == field


def test_a_secret_keeps_its_type_and_an_immutable_one_its_data(api: KubeAPI) -> None:
    """What may not change in a secret."""
    made = api.create(make("Secret", data={"a": "aGk="}, immutable=True))
    for change in ({"type": "x"}, {"data": {}}, {"immutable": False}):
        with pytest.raises(Invalid):
            api.update({**made, **change})


def test_the_others_are_documents(api: KubeAPI) -> None:
    """ServiceAccounts, quotas, limits and Endpoints are kept as they came."""
    for kind, fields in (
        ("ServiceAccount", {"automountServiceAccountToken": False}),
        ("ResourceQuota", {"spec": {"hard": {"pods": "1"}}}),
        ("LimitRange", {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}]}]}),
    ):
        made = api.create(make(kind, **fields))
        assert all(made[field] == value for field, value in fields.items())
