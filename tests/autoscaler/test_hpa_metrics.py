"""Several metrics: the largest proposal wins, and a failed metric stops every shrinking."""

from __future__ import annotations

import pytest
from hpa_builders import broken, condition, cpu, decide, external, plain, reasons, rules_of

from kubesim.autoscaler import Metric, Reading

UP, DOWN, HOLD = cpu(900, 900, 900, 900, 900), cpu(*[250] * 5), cpu(*[500] * 5)  # 9, 3 and 5 pods


@pytest.mark.parametrize(
    ("metrics", "proposal", "failed"),
    [
        ((UP, DOWN), 9, False),
        ((DOWN, UP), 9, False),
        ((DOWN, HOLD), 5, False),
        ((DOWN,), 3, False),
        ((DOWN, broken()), None, True),  # 3 is below 5, and the other is not known
        ((broken(), DOWN), None, True),
        ((HOLD, broken()), 5, False),  # equal to current: used normally
        ((UP, broken()), 9, False),
        ((broken(), UP, broken()), 9, False),
        ((broken(),), None, True),
        ((broken(), broken()), None, True),
    ],
)
def test_the_largest_wins_and_failures_stop_shrinking(metrics, proposal, failed) -> None:
    """Five pods; whatever the order."""
    result = decide(*metrics, current=5)
    assert result.failed is failed
    assert condition(result, "ScalingActive")[0] == ("False" if failed else "True")
    if failed:
        assert result.replicas == 5
        assert result.state.recommendations == ()  # nothing is logged
    else:
        assert result.data["proposal"] == proposal
        assert result.state.recommendations == ((proposal, 1000.0),)


def test_every_failing_metric_has_its_event_and_the_first_its_reason() -> None:
    """Also when another one succeeds, the events come."""
    first, second = broken("Pods", "p", name="qps"), broken("External", "e")
    result = decide(first, second, DOWN, current=5)
    assert reasons(result) == [
        "FailedGetPodsMetric",
        "FailedGetExternalMetric",
        "FailedComputeMetricsReplicas",
    ]
    assert condition(result, "ScalingActive") == ("False", "FailedGetPodsMetric")
    assert result.events[-1][2] == (
        "invalid metrics (2 invalid out of 3), first error is: failed to get pods metric value: p"
    )
    assert reasons(decide(first, second, UP, current=5)) == [
        "FailedGetPodsMetric",
        "FailedGetExternalMetric",
    ]


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        ("Resource", "FailedGetResourceMetric"),
        ("ContainerResource", "FailedGetContainerResourceMetric"),
        ("Pods", "FailedGetPodsMetric"),
        ("Object", "FailedGetObjectMetric"),
        ("External", "FailedGetExternalMetric"),
        ("Guess", "InvalidMetricSourceType"),
    ],
)
def test_each_type_fails_with_its_own_reason(type, reason) -> None:
    """The condition and the event."""
    result = decide(broken(type), current=2)
    assert condition(result, "ScalingActive") == ("False", reason)
    assert reasons(result) == [reason, "FailedComputeMetricsReplicas"]
    assert all(kind == "Warning" for kind, _, _ in result.events)


def test_messages_are_upstream_s() -> None:
    """The message is upstream's, so that a web search finds it."""
    metric, _ = cpu(1)
    error = "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
    result = decide((metric, Reading(error=error)))
    said = f"failed to get cpu utilization: {error}"
    assert result.events[0][2] == said
    assert result.conditions[-1][3] == f"the HPA was unable to compute the replica count: {said}"
    assert result.events[1][2] == (
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric "
        f"value: {said}"
    )


@pytest.mark.parametrize(
    ("problem", "said", "reason", "events"),
    [
        ("SelectorRequired", "", "InvalidSelector", "SelectorRequired"),
        ("InvalidSelector", "couldn't convert", "InvalidSelector", "InvalidSelector"),
        ("AmbiguousSelector", "two of them", "AmbiguousSelector", "AmbiguousSelector"),
    ],
)
def test_a_bad_selector_fails_the_pass(problem, said, reason, events) -> None:
    """Before any metric is evaluated."""
    result = decide(UP, current=5, selector_problem=problem, selector_message=said)
    assert (result.failed, result.replicas, result.readings) == (True, 5, ())
    assert condition(result, "ScalingActive") == ("False", reason)
    assert reasons(result) == [events, "FailedComputeMetricsReplicas"]
    assert result.state.recommendations == ()


def test_a_bad_selector_does_not_keep_the_size_outside_the_bounds() -> None:
    """Branches without metrics need no selector."""
    result = decide(UP, current=5, maximum=3, selector_problem="SelectorRequired")
    assert (result.failed, result.replicas) == (False, 3)


def test_the_readings_keep_their_places() -> None:
    """status.currentMetrics has one entry for each metric, blank where it failed."""
    result = decide(UP, broken(), plain(10, 10, 10, 10, 10, target=10), current=5)
    assert [None if p is None else p.replicas for p in result.readings] == [9, None, 5]


def test_the_winner_is_named() -> None:
    """It is in the condition, the event and its own step."""
    result = decide(cpu(500, 500, 500, 500), external(800, average=100), current=4)
    assert result.reason == "external metric queue(nil) above target"
    assert result.conditions[1][3].endswith("a replica count from external metric queue(nil)")
    assert "largest" in rules_of(result)
    assert "largest" not in rules_of(decide(UP, current=5))


def test_of_several_zeros_the_last_is_named() -> None:
    """Upstream starts from 0 and replaces it by anything."""
    zeros = [(Metric("External", name, average_milli=1), Reading(total_milli=0)) for name in "ab"]
    result = decide(*zeros, current=2)
    assert result.conditions[1][3].endswith("external metric b(nil)")
    equal = [(Metric("External", name, average_milli=1), Reading(total_milli=5)) for name in "ab"]
    assert decide(*equal, current=2).reason == "external metric a(nil) above target"


def test_no_metric_at_all_fails() -> None:
    """The API server fills in CPU 80 %; a pass without any cannot decide."""
    assert decide(current=2).failed


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric(utilization=50), "cpu resource utilization (percentage of request)"),
        (Metric(average_milli=50), "cpu resource"),
        (
            Metric("ContainerResource", "cpu", "main", utilization=50),
            "cpu container resource utilization (percentage of request)",
        ),
        (
            Metric("ContainerResource", "memory", "main", average_milli=1),
            "memory resource",  # upstream leaves the container out here
        ),
        (Metric("Pods", "qps", average_milli=1), "pods metric qps"),
        (Metric("Object", "hits", "", "Value", about="Ingress"), "Ingress metric hits"),
        (Metric("External", "q", selector="S"), "external metric q(S)"),
    ],
)
def test_names_of_metrics(metric, name) -> None:
    """As conditions and events write them."""
    assert metric.described() == name


def test_an_average_wins_over_the_type() -> None:
    """Resource metrics take averageValue whenever it is set, whatever target.type says."""
    metric, reading = cpu(300, 300)
    both = Metric(utilization=1, average_milli=300, target_type="Utilization")
    assert decide((both, reading), current=2).replicas == 2
    assert metric.by_request and not both.by_request
