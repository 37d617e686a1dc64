"""Words of failing metrics, to the letter: conditions, events and the summary of the pass."""

from __future__ import annotations

from typing import Any

import pytest
from hpa_builders import decide
from hpa_world import World

from kubesim.autoscaler import Metric, Reading
from kubesim.autoscaler.observer import no_request, request_milli

FAILED = Reading(error="E")
SUMMARY = "invalid metrics (1 invalid out of 1), first error is: "


@pytest.mark.parametrize(
    ("metric", "reason", "said", "summary"),
    [
        (
            Metric(utilization=50),
            "FailedGetResourceMetric",
            "failed to get cpu utilization: E",
            "failed to get cpu resource metric value: failed to get cpu utilization: E",
        ),
        (
            Metric(average_milli=50),
            "FailedGetResourceMetric",
            "failed to get cpu usage: E",
            "failed to get cpu resource metric value: failed to get cpu usage: E",
        ),
        (
            Metric("ContainerResource", "cpu", "main", utilization=50),
            "FailedGetContainerResourceMetric",
            "failed to get cpu utilization: E",
            "failed to get main container metric value: failed to get cpu utilization: E",
        ),
        (
            Metric("Pods", "qps", average_milli=1),
            "FailedGetPodsMetric",
            "E",
            "failed to get pods metric value: E",
        ),
        (
            Metric("Object", "hits", "", "Value", value_milli=1),
            "FailedGetObjectMetric",
            "E",
            "failed to get object metric value: E",
        ),
        (
            Metric("Object", "hits", "", "AverageValue", average_milli=1),
            "FailedGetObjectMetric",
            "E",
            "failed to get object metric value: failed to get hits object metric: E",
        ),
        (
            Metric("External", "q", average_milli=1),
            "FailedGetExternalMetric",
            "E",
            "failed to get q external metric value: failed to get q external metric: E",
        ),
        (
            Metric("External", "q", value_milli=1),
            "FailedGetExternalMetric",
            "E",
            "failed to get q external metric value: failed to get external metric q: E",
        ),
    ],
)
def test_each_type_words_its_failure_in_its_way(metric, reason, said, summary) -> None:
    """The event of the metric, the condition, and the event of the pass."""
    result = decide((metric, FAILED))
    assert [event[1:] for event in result.events] == [
        (reason, said),
        ("FailedComputeMetricsReplicas", f"{SUMMARY}{summary}"),
    ]
    condition = next(c for c in result.conditions if c[0] == "ScalingActive")
    assert condition[1:] == (
        "False",
        reason,
        f"the HPA was unable to compute the replica count: {said}",
    )


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (
            Metric(),
            "invalid resource metric source: neither an average utilization target nor an average "
            "value (usage) target was set",
        ),
        (
            Metric("External", "q"),
            "invalid external metric source: neither a value target nor an average value target "
            "was set",
        ),
    ],
)
def test_a_metric_without_any_target_says_so(metric, said) -> None:
    """The API server lets none through; one that came another way must not stop the loop."""
    result = decide((metric, Reading(total_milli=5)))
    assert result.events[0][2] == said


def pod(*containers: tuple[str, dict[str, str]], **spec: Any) -> dict[str, Any]:
    """A pod whose containers have requests."""
    listed = [{"name": name, "resources": {"requests": asked}} for name, asked in containers]
    return {"metadata": {"name": "p"}, "spec": {"containers": listed, **spec}}


SIDECAR = {"name": "proxy", "restartPolicy": "Always"}
WHOLE = {"resources": {"requests": {"memory": "1Gi"}}}


@pytest.mark.parametrize(
    ("document", "container", "milli", "said"),
    [
        (
            pod(("a", {"cpu": "1"}), ("b", {})),
            "",
            None,
            "missing request for cpu in container b of Pod p",
        ),
        (pod(("a", {"cpu": "1"}), ("b", {})), "a", 1000, None),
        (pod(("a", {"cpu": "1"})), "c", None, "container c not found in Pod p"),
        (
            pod(("a", {"cpu": "1"}), initContainers=[SIDECAR]),
            "",
            None,
            "missing request for cpu in container proxy of Pod p",
        ),
        (pod(("a", {"cpu": "1"}), ("b", {}), **WHOLE), "", 1000, None),
        (pod(("a", {}), **WHOLE), "", None, "missing pod-level request for cpu in Pod p"),
        (pod(("a", {}), resources={"requests": {"cpu": "2"}}), "", 2000, None),
        (
            pod(("a", {}), resources={"requests": {"cpu": "2"}}),
            "a",
            None,
            "missing request for cpu in container a of Pod p",
        ),
    ],
)
def test_what_a_pod_asks_for_and_what_is_missing(document, container, milli, said) -> None:
    """Containers, sidecars, the pod as a whole; a named container comes before the whole."""
    assert request_milli(document, "cpu", container) == milli
    if said is not None:
        assert no_request(document, "cpu", container) == said


def test_the_container_without_a_request_is_named_in_the_event() -> None:
    """As `kubectl describe hpa` shows it."""
    world = World()
    world.workload()
    world.run(1)
    naked = world.api.get("Pod", "web-0")
    world.api.delete("Pod", "web-0", grace_period_seconds=0)
    del naked["spec"]["containers"][0]["resources"]
    naked["metadata"] = {"name": "web-0", "labels": {"app": "web"}}
    world.set_pod_status(world.api.create(naked))
    world.hpa()
    world.steady(50, seconds=16)
    assert world.events("FailedGetResourceMetric")[0][1] == (
        "failed to get cpu utilization: missing request for cpu in container main of Pod web-0"
    )


def test_without_any_pod_there_are_no_metrics() -> None:
    """Upstream reads metrics before it lists pods."""
    world = World()
    world.workload()
    world.hpa()
    world.clock.sleep(16)
    assert world.events("FailedGetResourceMetric")[0][1] == (
        "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics "
        "returned from resource metrics API"
    )


def test_an_object_metric_says_of_what() -> None:
    """The described object, with its namespace."""
    world = World()
    world.workload()
    world.run(1)
    about = {"apiVersion": "v1", "kind": "Service", "name": "front"}
    target = {"type": "Value", "value": "2"}
    source = {"describedObject": about, "metric": {"name": "hits"}, "target": target}
    world.hpa(metrics=[{"type": "Object", "object": source}])
    world.clock.sleep(16)
    message = world.events("FailedGetObjectMetric")[0][1]
    assert message.startswith("unable to get metric hits: ")
    assert message.endswith(" on Service default/front")
