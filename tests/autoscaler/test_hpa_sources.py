"""Where metrics come from: usage samples, custom and external sources, and no answer at all."""

from __future__ import annotations

from typing import Any

import pytest
from hpa_world import World

from kubesim.autoscaler import Sample


def a_world(replicas: int = 1, **options: Any) -> World:
    world = World(**options)
    world.workload(replicas=replicas)
    world.run(replicas)
    return world


def test_no_sample_at_all_fails_with_upstream_s_words() -> None:
    """Once samples arrive, the HPA continues."""
    world = a_world()
    world.hpa()
    world.clock.sleep(16)
    said = (
        "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics "
        "returned from resource metrics API"
    )
    assert world.events("FailedGetResourceMetric") == [("FailedGetResourceMetric", said, 1)]
    assert world.condition("ScalingActive") == ("False", "FailedGetResourceMetric")
    assert world.status()["currentMetrics"] == [{"type": ""}]
    rows = world.analytics.since(component="HPA", level="warn").rows
    assert [row.action for row in rows] == ["NoScale"]
    world.steady(200, seconds=15)
    assert world.size() == 4


class Source:
    """Custom and external metrics of a test."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[Any] = []

    def pods_metric(self, namespace, name, pods):
        self.asked.append((namespace, name, tuple(pods)))
        return {pod: Sample(self.values[name], 10.0) for pod in pods}

    def object_metric(self, namespace, kind, object_name, name):
        self.asked.append((namespace, kind, object_name, name))
        return self.values[name]

    def external_metric(self, namespace, name, selector):
        self.asked.append((namespace, name, selector))
        return self.values[name]


POD_METRIC = {
    "type": "Pods",
    "pods": {
        "metric": {"name": "qps"},
        "target": {"type": "AverageValue", "averageValue": "100"},
    },
}
OBJECT_METRIC = {
    "type": "Object",
    "object": {
        "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "front"},
        "metric": {"name": "hits"},
        "target": {"type": "Value", "value": "2k"},
    },
}
EXTERNAL_METRIC = {
    "type": "External",
    "external": {
        "metric": {"name": "queue", "selector": {"matchLabels": {"q": "mail"}}},
        "target": {"type": "AverageValue", "averageValue": "30"},
    },
}


@pytest.mark.parametrize(
    ("metric", "values", "asked", "size", "current"),
    [
        (POD_METRIC, {"qps": 250_000}, ("default", "qps", ("web-0",)), 3, {"averageValue": "250"}),
        (
            OBJECT_METRIC,
            {"hits": 4_000_000},
            ("default", "Service", "front", "hits"),
            2,
            {"value": "4k"},
        ),
        (EXTERNAL_METRIC, {"queue": [60_000, 30_000]}, ("default", "queue", "q=mail"), 3, None),
    ],
)
def test_custom_and_external_metrics_come_from_a_source(
    metric, values, asked, size, current
) -> None:
    """Its values are in milli units; status shows them as quantities, with the names of spec."""
    source = Source(**values)
    world = a_world(metrics=source)
    world.hpa(metrics=[metric])
    world.clock.sleep(16)
    assert (world.size(), source.asked) == (size, [asked])
    (entry,) = world.status()["currentMetrics"]
    field = next(key for key in entry if key != "type")
    if current is not None:
        assert entry[field]["current"] == current
    wanted = {key: value for key, value in metric[field].items() if key != "target"}
    assert {key: value for key, value in entry[field].items() if key != "current"} == wanted


def test_an_average_of_an_object_does_not_name_the_object() -> None:
    """Upstream leaves describedObject blank in this one case; a value names it."""
    world = a_world(metrics=Source(hits=4_000_000))
    source = OBJECT_METRIC["object"] | {"target": {"type": "AverageValue", "averageValue": "2k"}}
    world.hpa(metrics=[{"type": "Object", "object": source}])
    world.clock.sleep(16)
    (entry,) = world.status()["currentMetrics"]
    assert entry["object"]["describedObject"] == {"kind": "", "name": ""}
    assert entry["object"]["metric"] == {"name": "hits"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "no metrics returned from external metrics API"),
        (Source(queue=[]), "no metrics returned from external metrics API"),
        (Source(), "KeyError: 'queue'"),
    ],
)
def test_a_metric_without_an_answer_fails_with_its_reason(source, said) -> None:
    """No source, an empty answer, a source that raises: never zero."""
    world = a_world(replicas=3, metrics=source)
    world.hpa(metrics=[EXTERNAL_METRIC])
    world.clock.sleep(16)
    assert world.size() == 3
    assert world.condition("ScalingActive") == ("False", "FailedGetExternalMetric")
    message = world.events("FailedGetExternalMetric")[0][1]
    assert said in message
    assert message.startswith(
        "unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string"
        "{q: mail,},MatchExpressions:[]LabelSelectorRequirement{},}"
    )


@pytest.mark.parametrize(
    ("metric", "size", "field", "current"),
    [
        (
            {
                "type": "Resource",
                "resource": {
                    "name": "memory",
                    "target": {"type": "Utilization", "averageUtilization": 50},
                },
            },
            3,
            "resource",
            {"averageUtilization": 130, "averageValue": "130M"},
        ),
        (
            {
                "type": "Resource",
                "resource": {
                    "name": "memory",
                    "target": {"type": "AverageValue", "averageValue": "70M"},
                },
            },
            2,
            "resource",
            {"averageValue": "130M"},
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "main",
                    "target": {"type": "Utilization", "averageUtilization": 40},
                },
            },
            2,
            "containerResource",
            {"averageUtilization": 75, "averageValue": "150m"},
        ),
    ],
)
def test_resource_metrics(metric, size, field, current) -> None:
    """Memory in bytes, one container's CPU; a request of 100M and 200m."""
    world = a_world()
    world.hpa(metrics=[metric])
    for _ in range(16):
        world.use(75, memory=130_000_000)
        world.clock.sleep(1)
    assert world.size() == size
    assert world.status()["currentMetrics"][0][field]["current"] == current


def test_a_container_that_no_pod_has_fails_the_metric() -> None:
    """There is no request to divide by."""
    resource = {
        "name": "cpu",
        "container": "sidecar",
        "target": {"type": "Utilization", "averageUtilization": 40},
    }
    world = a_world()
    world.hpa(metrics=[{"type": "ContainerResource", "containerResource": resource}])
    world.steady(90, seconds=16)
    assert world.condition("ScalingActive") == ("False", "FailedGetContainerResourceMetric")
