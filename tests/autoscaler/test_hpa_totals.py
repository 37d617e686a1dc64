"""Object and External metrics: one total, compared with a value or with an average."""

from __future__ import annotations

import pytest
from hpa_builders import NOW, broken, decide, external, pod, pods

from kubesim.autoscaler import Metric, Reading
from kubesim.autoscaler.constants import MAX_REPLICAS
from kubesim.autoscaler.policy.totals import propose_total


def objects(total: int | None, **target) -> tuple[Metric, Reading]:
    return Metric("Object", "hits", about="Ingress", **target), Reading(total_milli=total)


@pytest.mark.parametrize(
    ("total", "current", "ready", "proposal"),
    [
        (150, 10, 6, 9),  # ceil(1.5 x 6): a scale-*down* from 10
        (110, 10, 6, 10),  # within the tolerance: current, not 6
        (90, 10, 6, 10),
        (111, 10, 6, 7),
        (89, 10, 6, 6),
        (500, 3, 0, 0),  # nobody ready: 0
        (0, 4, 4, 0),
        (250, 0, 0, 3),  # from zero: ceil(ratio), no tolerance, no pods
        (100, 0, 0, 1),
        (1, 0, 0, 1),
        (0, 0, 0, 0),
    ],
)
def test_a_value_target_multiplies_the_ready_pods(total, current, ready, proposal) -> None:
    """Target 100; `ready` of the pods are Running and Ready."""
    group = (*pods(ready), *pods(current - ready, first=ready, ready=False)) if current else ()
    metric, reading = external(total, value=100)
    found = propose_total(metric, reading, group, current=current, status_replicas=current)
    assert (found.replicas, found.value_milli, found.average_milli) == (proposal, total, None)


def test_ready_means_now_and_terminating_pods_count() -> None:
    """No initialization period, no delay; a dying pod that still serves counts."""
    group = (
        pod("p0", started=NOW, ready_changed=NOW),
        pod("p1", terminating=True),
        pod("p2", phase="Pending"),
        pod("p3", ready=False),
        pod("p4", ready="Unknown"),
        pod("p5", phase="Succeeded"),
    )
    metric, reading = external(300, value=100)
    found = propose_total(metric, reading, group, current=6, status_replicas=6)
    assert (found.ready, found.replicas) == (2, 6)


def test_a_value_target_without_any_pod_fails() -> None:
    """Except within the tolerance, or from zero."""
    result = decide(external(500, value=100), current=3, pods=())
    assert result.failed
    assert "unable to calculate ready pods" in result.events[0][2]
    assert not decide(external(105, value=100), current=3, pods=()).failed


@pytest.mark.parametrize(
    ("total", "status_replicas", "proposal", "average"),
    [
        (4_500_000, 30, 45, 150_000),
        (3_300_000, 30, 30, 110_000),  # 1.1 holds, and gives status.replicas
        (3_301_000, 30, 34, 110_034),  # reported is rounded up
        (2_700_000, 30, 30, 90_000),
        (2_699_000, 30, 27, 89_967),
        (250_000, 0, 3, 0),  # no replica yet: the tolerance cannot hold
        (0, 0, 0, 0),
        (0, 5, 0, 0),
    ],
)
def test_an_average_target_compares_with_status_replicas(
    total, status_replicas, proposal, average
) -> None:
    """Target 100 for each pod; spec.replicas (7) plays no part."""
    metric, reading = external(total, average=100_000)
    found = propose_total(metric, reading, (), current=7, status_replicas=status_replicas)
    assert (found.replicas, found.average_milli, found.value_milli) == (proposal, average, None)


def test_totals_saturate() -> None:
    """A size is an int32."""
    metric, reading = external(2**62, value=1)
    found = propose_total(metric, reading, pods(1), current=1, status_replicas=1)
    assert found.replicas == MAX_REPLICAS
    metric, reading = external(2**62, average=1)
    found = propose_total(metric, reading, (), current=1, status_replicas=1)
    assert found.replicas == MAX_REPLICAS


def test_external_takes_the_average_whenever_it_is_set() -> None:
    """Whatever target.type says."""
    metric = Metric("External", "q", target_type="Value", average_milli=100, value_milli=1)
    result = decide((metric, Reading(total_milli=300)), current=2)
    assert result.data["proposal"] == 3


@pytest.mark.parametrize(
    ("target", "proposal"),
    [
        ({"target_type": "Value", "value_milli": 100}, 8),
        ({"target_type": "AverageValue", "average_milli": 100}, 4),
        ({"target_type": "Value", "average_milli": 100}, None),
        ({"target_type": "AverageValue", "value_milli": 100}, None),
        ({"target_type": "Value", "value_milli": 100, "average_milli": 1}, 8),
    ],
)
def test_an_object_metric_needs_type_and_field_to_agree(target, proposal) -> None:
    """Else it fails."""
    result = decide(objects(400, **target), current=2)
    assert result.failed is (proposal is None)
    if proposal is None:
        assert "neither a value target nor an average value target" in result.events[0][2]
        assert result.events[0][1] == "FailedGetObjectMetric"
    else:
        assert result.data["proposal"] == proposal


@pytest.mark.parametrize("metric", [objects(None, target_type="Value", value_milli=1), broken()])
def test_no_answer_is_no_zero(metric) -> None:
    """An empty answer fails the metric."""
    assert decide(metric, current=2).failed


def test_how_they_are_named() -> None:
    """Events name an Object average like an external metric, with Go's print of its selector."""
    value = objects(1, target_type="Value", value_milli=1)[0]
    average = objects(1, target_type="AverageValue", average_milli=1)[0]
    assert value.described() == "Ingress metric hits"
    assert average.described() == "external metric hits(nil)"
    assert external(1, value=1)[0].described() == "external metric queue(nil)"


def test_the_reported_average_stays_within_64_bits() -> None:
    """The quotient is a double, which rounds 2^63 - 1 up by one."""
    metric, reading = external(2**63 - 1, average=100)
    found = propose_total(metric, reading, pods(1), current=1, status_replicas=1)
    assert found.average_milli == 2**63 - 1
