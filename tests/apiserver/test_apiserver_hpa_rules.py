"""HorizontalPodAutoscaler v2: defaults, and every rule of its validation."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import an_hpa, make_api

from kubesim import Cluster
from kubesim.apiserver import KubeAPI, default_registry
from kubesim.errors import BadRequest, Invalid

REF = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}
MORE = "must be greater than 0"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}


def resource(**target: Any) -> dict[str, Any]:
    shown = {"type": "Utilization", **target}
    return {"type": "Resource", "resource": {"name": "cpu", "target": shown}}


def container_resource(target: Any = None, **fields: Any) -> dict[str, Any]:
    target = target or {"type": "Utilization", "averageUtilization": 50}
    block = {"name": "cpu", "container": "main", "target": target, **fields}
    return {"type": "ContainerResource", "containerResource": block}


def pods(name: Any = "rps", **target: Any) -> dict[str, Any]:
    target = {"type": "AverageValue", **target}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}


def an_object(described: Any = None, **target: Any) -> dict[str, Any]:
    described = described or {"kind": "Service", "name": "web", "apiVersion": "v1"}
    target = {"type": "Value", **target}
    block = {"metric": {"name": "rps"}, "describedObject": described, "target": target}
    return {"type": "Object", "object": block}


def external(**target: Any) -> dict[str, Any]:
    target = {"type": "Value", **target}
    return {"type": "External", "external": {"metric": {"name": "queue"}, "target": target}}


def metrics(*items: Any) -> dict[str, Any]:
    return {"metrics": list(items)}


def up(**rules: Any) -> dict[str, Any]:
    return {"behavior": {"scaleUp": rules}}


def down_policy(**policy: Any) -> dict[str, Any]:
    policy = {"type": "Pods", "value": 1, "periodSeconds": 15, **policy}
    return {"behavior": {"scaleDown": {"policies": [policy]}}}


# field, reason, part of the message, spec
ROWS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("spec.minReplicas", "Invalid", "must be greater than or equal to 1", {"minReplicas": -1}),
    ("spec.maxReplicas", "Invalid", MORE, {"maxReplicas": 0}),
    ("spec.maxReplicas", "Invalid", MORE, {"maxReplicas": None}),
    (
        "spec.maxReplicas",
        "Invalid",
        "must be greater than or equal to `minReplicas`",
        {"minReplicas": 6, "maxReplicas": 5},
    ),
    ("spec.scaleTargetRef.kind", "Required", "", {"scaleTargetRef": {**REF, "kind": ""}}),
    ("spec.scaleTargetRef.name", "Required", "", {"scaleTargetRef": {**REF, "name": ""}}),
    ("spec.scaleTargetRef.kind", "Invalid", "'/'", {"scaleTargetRef": {**REF, "kind": "a/b"}}),
    ("spec.scaleTargetRef.name", "Invalid", "'%'", {"scaleTargetRef": {**REF, "name": "a%b"}}),
    ("spec.scaleTargetRef.name", "Invalid", "'.'", {"scaleTargetRef": {**REF, "name": "."}}),
    ("spec.scaleTargetRef.name", "Invalid", "'..'", {"scaleTargetRef": {**REF, "name": ".."}}),
    (
        "spec.scaleTargetRef.apiVersion",
        "Invalid",
        "unexpected GroupVersion",
        {"scaleTargetRef": {**REF, "apiVersion": "a/b/c"}},
    ),
    (
        "spec.scaleTargetRef.apiVersion",
        "Invalid",
        "must specify API group",
        {"scaleTargetRef": {**REF, "apiVersion": "v1"}},
    ),
    (
        "spec.scaleTargetRef.apiVersion",
        "Required",
        "must specify API group",
        {"scaleTargetRef": {**REF, "apiVersion": ""}},
    ),
    ("spec.metrics[0].type", "Required", "metric source type", metrics({})),
    ("spec.metrics[0].type", "NotSupported", '"Resource"', metrics({"type": "Magic"})),
    ("spec.metrics[0].resource", "Required", "must populate", metrics({"type": "Resource"})),
    (
        "spec.metrics[0].pods",
        "Forbidden",
        "given metric source only",
        metrics({**resource(averageUtilization=50), "pods": {}}),
    ),
    ("spec.metrics[0].pods.metric.name", "Required", "", metrics(pods("", averageValue="1"))),
    ("spec.metrics[0].pods.metric.name", "Invalid", "'/'", metrics(pods("a/b", averageValue="1"))),
    (
        "spec.metrics[0].resource.name",
        "Required",
        "resource name",
        metrics({"type": "Resource", "resource": {"target": {"type": "Utilization"}}}),
    ),
    (
        "spec.metrics[0].resource.name",
        "Required",
        "",
        metrics({"type": "Resource", "resource": {}}),
    ),
    (
        "spec.metrics[0].containerResource.name",
        "Required",
        "resource name",
        metrics(container_resource(name="")),
    ),
    (
        "spec.metrics[0].containerResource.container",
        "Required",
        "must specify a container",
        metrics(container_resource(container="")),
    ),
    (
        "spec.metrics[0].containerResource.container",
        "Invalid",
        "RFC 1123 label",
        metrics(container_resource(container="Main")),
    ),
    (
        "spec.metrics[0].object.describedObject.kind",
        "Required",
        "",
        metrics(an_object({"name": "web"}, value="1")),
    ),
    (
        "spec.metrics[0].object.describedObject.name",
        "Invalid",
        "'/'",
        metrics(an_object({"kind": "Service", "name": "a/b"}, value="1")),
    ),
    ("spec.metrics[0].pods.target.type", "Required", "", metrics(pods(type="", averageValue="1"))),
    (
        "spec.metrics[0].pods.target.type",
        "Invalid",
        "must be either Utilization, Value, or AverageValue",
        metrics(pods(type="Mean", averageValue="1")),
    ),
    ("spec.metrics[0].external.target.value", "Invalid", "positive", metrics(external(value="0"))),
    (
        "spec.metrics[0].pods.target.averageValue",
        "Invalid",
        "must be positive",
        metrics(pods(averageValue="-1")),
    ),
    (
        "spec.metrics[0].resource.target.averageUtilization",
        "Invalid",
        MORE,
        metrics(resource(averageUtilization=0)),
    ),
    (
        "spec.metrics[0].resource.target.averageUtilization",
        "Required",
        "must set either a target raw value or a target utilization",
        metrics(resource()),
    ),
    (
        "spec.metrics[0].resource.target.averageValue",
        "Forbidden",
        "may not set both",
        metrics(resource(averageUtilization=50, averageValue="100m")),
    ),
    (
        "spec.metrics[0].containerResource.target.averageUtilization",
        "Required",
        "",
        metrics(container_resource({"type": "Utilization"})),
    ),
    (
        "spec.metrics[0].containerResource.target.averageValue",
        "Forbidden",
        "",
        metrics(container_resource({"type": "V", "averageUtilization": 1, "averageValue": "1"})),
    ),
    ("spec.metrics[0].pods.target.averageValue", "Required", "positive", metrics(pods())),
    ("spec.metrics[0].object.target.averageValue", "Required", "", metrics(an_object())),
    ("spec.metrics[0].external.target.averageValue", "Required", "", metrics(external())),
    (
        "spec.metrics[0].external.target.value",
        "Forbidden",
        "may not set both",
        metrics(external(value="1", averageValue="1")),
    ),
    (
        "spec.behavior.scaleUp.stabilizationWindowSeconds",
        "Invalid",
        "must be greater than or equal to zero",
        up(stabilizationWindowSeconds=-1),
    ),
    (
        "spec.behavior.scaleUp.stabilizationWindowSeconds",
        "Invalid",
        "must be less than or equal to 3600",
        up(stabilizationWindowSeconds=3601),
    ),
    ("spec.behavior.scaleUp.selectPolicy", "NotSupported", '"Max"', up(selectPolicy="Most")),
    ("spec.behavior.scaleUp.policies", "Required", "at least one Policy", up(policies=[])),
    (
        "spec.behavior.scaleDown.policies[0].type",
        "NotSupported",
        '"Percent", "Pods"',
        down_policy(type="Nodes"),
    ),
    (
        "spec.behavior.scaleDown.policies[0].value",
        "Invalid",
        "must be greater than zero",
        down_policy(value=0),
    ),
    (
        "spec.behavior.scaleDown.policies[0].value",
        "Invalid",
        "must be greater than zero",
        down_policy(value=-5),
    ),
    (
        "spec.behavior.scaleDown.policies[0].periodSeconds",
        "Invalid",
        "must be greater than zero",
        down_policy(periodSeconds=0),
    ),
    (
        "spec.behavior.scaleDown.policies[0].periodSeconds",
        "Invalid",
        "must be less than or equal to 1800",
        down_policy(periodSeconds=1801),
    ),
]


@pytest.mark.parametrize(("field", "reason", "text", "spec"), ROWS)
def test_every_rule(api: KubeAPI, field: str, reason: str, text: str, spec: dict[str, Any]) -> None:
    """Each violation is one cause with field, reason and upstream's message."""
    with pytest.raises(Invalid) as refused:
        api.create(an_hpa(**spec))
    causes = [cause for cause in refused.value.causes if cause.field == field]
    assert [cause.reason for cause in causes] == [f"FieldValue{reason}"], refused.value.causes
    assert text in causes[0].message
    assert refused.value.message.startswith('HorizontalPodAutoscaler.autoscaling "db" is invalid: ')
    assert api.peek("hpa", "db") is None


GOOD: list[dict[str, Any]] = [
    {"minReplicas": 5, "maxReplicas": 5},
    metrics(resource(averageUtilization=300)),
    metrics(resource(averageValue="100m"), container_resource()),
    metrics(pods(averageValue="1k"), an_object(value="10"), external(averageValue="3")),
    metrics(an_object(value="1", averageValue="1")),  # both are fine for Object
    metrics({**pods(averageValue="1"), "resource": None}),
    up(stabilizationWindowSeconds=3600, selectPolicy="Disabled", tolerance="0"),
    down_policy(periodSeconds=1800, value=1_000_000),
    {"behavior": {}},
    {"behavior": {"scaleDown": None}},
    {"scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "rc"}},
    # The type of a target is not checked against the field that is filled.
    metrics({**pods(type="Utilization", averageValue="1")}),
]


@pytest.mark.parametrize("spec", GOOD)
def test_what_may_be(api: KubeAPI, spec: dict[str, Any]) -> None:
    """Values at the edges of the rules are valid."""
    api.create(an_hpa(**spec))


def test_all_errors_come_together(api: KubeAPI) -> None:
    """One error lists all violations."""
    spec = {
        "minReplicas": 0,
        "maxReplicas": 0,
        **metrics({"type": "Magic"}, resource()),
        **up(policies=[], selectPolicy="x"),
    }
    with pytest.raises(Invalid) as refused:
        api.create(an_hpa(**spec))
    assert [cause.field for cause in refused.value.causes] == [
        "spec.minReplicas",
        "spec.maxReplicas",
        "spec.metrics",
        "spec.metrics[0].type",
        "spec.metrics[1].resource.target.averageUtilization",
        "spec.behavior.scaleUp.selectPolicy",
        "spec.behavior.scaleUp.policies",
    ]
    assert refused.value.message.startswith(
        'HorizontalPodAutoscaler.autoscaling "db" is invalid: [spec.minReplicas: Invalid value: 0: '
        "must be greater than or equal to 1, spec.maxReplicas: "
    )


def test_scale_to_zero_is_a_feature_gate() -> None:
    """With the gate minReplicas may be 0, but only with an Object or External metric."""
    api = make_api(registry=default_registry(scale_to_zero=True))
    api.create(an_hpa("a", minReplicas=0, **metrics(external(value="1"))))
    with pytest.raises(Invalid, match=r"spec.metrics: Forbidden: .* scaling to zero replicas"):
        api.create(an_hpa("b", minReplicas=0))
    with pytest.raises(Invalid, match="greater than or equal to 0"):
        api.create(an_hpa("c", minReplicas=-1, **metrics(external(value="1"))))


def test_an_own_tolerance_is_a_feature_gate(api: KubeAPI) -> None:
    """Off, as in 1.34: the field is dropped, unless the stored HPA has one from earlier days."""
    behavior = {"scaleUp": {"tolerance": "50m"}, "scaleDown": {"tolerance": "0.2"}}
    stored = api.create(an_hpa("a", behavior=behavior))["spec"]["behavior"]
    assert "tolerance" not in stored["scaleUp"] and "tolerance" not in stored["scaleDown"]
    patch = {"spec": {"behavior": {"scaleUp": {"tolerance": "50m"}}}}
    kind = "HorizontalPodAutoscaler"
    changed = api.patch(kind, "a", patch, "default")["spec"]["behavior"]["scaleUp"]
    assert "tolerance" not in changed
    gated = make_api(registry=default_registry(own_tolerance=True))
    kept = gated.create(an_hpa("a", behavior=behavior))["spec"]["behavior"]
    assert (kept["scaleUp"]["tolerance"], kept["scaleDown"]["tolerance"]) == ("50m", "200m")
    with pytest.raises(Invalid, match=r"scaleUp.tolerance: Invalid value: .* greater than or eq"):
        gated.create(an_hpa("b", **up(tolerance="-0.1")))
    with Cluster(0, hpa=False, feature_gates={"HPAConfigurableTolerance": True}) as cluster:
        assert cluster.api.create(an_hpa("a", behavior=behavior))["spec"]["behavior"] == kept
    with pytest.raises(BadRequest, match="HPAConfigurableTolerance, HPAScaleToZero"):
        Cluster(feature_gates={"HPATolerance": True})


def test_defaults(api: KubeAPI) -> None:
    """One replica, 80 % CPU; without a behavior none is written."""
    spec = api.create(an_hpa())["spec"]
    assert spec["minReplicas"] == 1
    assert spec["metrics"] == [resource(averageUtilization=80)]
    assert "behavior" not in spec
    again = api.create(an_hpa("two", metrics=None, minReplicas=None))["spec"]
    assert again["minReplicas"] == 1 and len(again["metrics"]) == 1


def test_defaults_of_the_behavior(api: KubeAPI) -> None:
    """A behavior gets defaults on both sides, except the scale-down window."""
    behavior = api.create(an_hpa(behavior={}))["spec"]["behavior"]
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    assert behavior["scaleUp"] == {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent],
    }
    assert behavior["scaleDown"] == {"selectPolicy": "Max", "policies": [percent]}
    one = {"type": "Pods", "value": 1, "periodSeconds": 60}
    given = {"scaleDown": {"policies": [one], "stabilizationWindowSeconds": 0}}
    behavior = api.create(an_hpa("two", behavior=given))["spec"]["behavior"]
    assert behavior["scaleDown"] == {
        "policies": [one],
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
    }


@pytest.mark.parametrize("period", ["soon", "0s", "-5s", "25h", "5", ""])
def test_the_period_annotation_is_checked(api: KubeAPI, period: str) -> None:
    """A wrong sync period in the annotation is refused, too."""
    hpa = an_hpa()
    hpa["metadata"]["annotations"] = {"kubesim.dev/sync-period": period}
    with pytest.raises(Invalid, match=r"metadata.annotations\[kubesim.dev/sync-period\]"):
        api.create(hpa)
    hpa["metadata"]["annotations"] = {"kubesim.dev/sync-period": "1m30s"}
    api.create(hpa)
