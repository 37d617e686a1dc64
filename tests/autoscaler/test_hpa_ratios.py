"""The arithmetic: truncating integers, doubles, tolerance; and samples to proposals."""

from __future__ import annotations

import pytest
from hpa_builders import cpu, decide, plain, pod, pods, rules_of

from kubesim.autoscaler import Behavior, Metric, PolicyConstants, Reading, Rules, Sample
from kubesim.autoscaler.observer import added_up
from kubesim.autoscaler.policy.replica_calculator import (
    Tolerance,
    ceiling,
    propose_per_pod,
    truncated,
)
from kubesim.autoscaler.records import quantity_text


@pytest.mark.parametrize(
    ("ratio", "held"),
    [
        (0.9, True),
        (1.1, True),
        (1.0, True),
        (0.8999999999999999, False),
        (1.1000000000000003, False),
        (1.1000000000000001, True),  # the same double as 1.1
        (0.0, False),
        (2.0, False),
    ],
)
def test_the_tolerance_is_inclusive_on_both_sides(ratio, held) -> None:
    """From 0.9 to 1.1, both of them in; up to 1.32 exactly 1.1 acted."""
    assert Tolerance().holds(ratio) is held


@pytest.mark.parametrize(
    ("up", "down", "ratio", "held"),
    [
        (0.0, 0.0, 1.0, True),
        (0.0, 0.0, 1.01, False),  # 0: act on any difference
        (0.05, 0.1, 1.06, False),
        (0.05, 0.1, 0.94, True),
        (0.1, 0.05, 0.94, False),
        (2.0, 0.1, 3.0, True),  # above 1 is allowed
        (0.1, 1.5, 0.0, True),
    ],
)
def test_each_direction_has_its_own_tolerance(up, down, ratio, held) -> None:
    """behavior.scaleUp.tolerance and behavior.scaleDown.tolerance."""
    assert Tolerance(up, down).holds(ratio) is held


@pytest.mark.parametrize(
    ("side", "used", "wanted", "held"),
    [
        ("up", 530, 2, False),  # 1.06 is outside 1.05
        ("up", 520, 1, True),
        ("down", 470, 1, False),  # 0.94 is outside 0.95; ceil(0.94) is 1 again
        ("down", 540, 1, True),  # upwards the controller's 0.1 still holds
        ("up", 460, 1, True),  # and downwards here
    ],
)
def test_a_behavior_overrides_the_tolerance(side, used, wanted, held) -> None:
    """A tolerance of 0.05 for one direction, 50 % being the target."""
    behavior = Behavior(**{side: Rules(window_seconds=0, tolerance=0.05)})
    result = decide(cpu(used), behavior=behavior)
    assert (result.replicas, result.binding == "tolerance") == (wanted, held)


def test_the_controller_s_tolerance_is_a_parameter() -> None:
    """--horizontal-pod-autoscaler-tolerance."""
    assert decide(cpu(540)).replicas == 1
    assert decide(cpu(540), constants=PolicyConstants(tolerance=0.05)).replicas == 2


@pytest.mark.parametrize(
    ("used", "percent", "wanted"),
    [
        ((549, 549), 54, 2),  # 54.9 % -> 54 %, 1.08
        ((550, 550), 55, 2),  # exactly 1.1 holds
        ((559, 559), 55, 2),  # 55.9 % is still 55 %
        ((560, 560), 56, 3),
        ((450, 450), 45, 2),  # exactly 0.9 holds
        ((449, 450), 44, 2),  # 44.95 % is 44 %: 0.88 acts, and ceil(1.76) is 2 again
        ((250, 250), 25, 1),
        ((251, 251), 25, 1),  # 25.1 % is 25 %: without truncation ceil(1.004) were 2
    ],
)
def test_the_percentage_is_truncated_before_the_ratio(used, percent, wanted) -> None:
    """Two pods of 1000m against a target of 50 %."""
    result = decide(cpu(*used), current=2)
    assert (result.data["utilization"], result.replicas) == (percent, wanted)


def test_it_is_a_quotient_of_sums() -> None:
    """A pod of 100m at 200 % and one of 1900m at 10 %: 390 / 2000 = 19 %, not 105 %."""
    metric = Metric(utilization=50)
    reading = Reading({"p0": Sample(200), "p1": Sample(190)}, {"p0": 100, "p1": 1900})
    proposal = propose_per_pod(metric, reading, pods(2), current=2, now=0.0)
    assert (proposal.utilization, proposal.replicas) == (19, 1)
    assert proposal.average_milli == 195


def test_ceilings_are_taken_of_doubles() -> None:
    """124/60 x 15 is exactly 31, and in doubles a little more."""
    used = [1240] * 15
    result = decide(cpu(*used, request=1000, target=60), current=15, maximum=100)
    assert (result.data["utilization"], result.data["proposal"]) == (124, 32)


def test_plain_values_are_truncated_averages() -> None:
    """(100 + 121) / 2 = 110, and 110 / 100 is within the tolerance."""
    result = decide(plain(100, 121, target=100), current=2)
    assert (result.data["average_milli"], result.replicas) == (110, 2)
    assert decide(plain(100, 122, target=100), current=2).replicas == 3


def test_negative_values_truncate_towards_zero() -> None:
    """As Go divides: -7 / 2 is -3."""
    assert truncated(-7, 2) == -3
    assert decide(plain(-3, -4, target=100), current=2).data["average_milli"] == -3


def test_samples_of_pods_that_are_not_selected_count_for_plain_values() -> None:
    """Upstream does not filter them: they shift the average, and in step 6 they are counted."""
    metric, reading = plain(100, 100, target=100)
    reading.samples["stray"] = Sample(1000)  # type: ignore[index]
    simple = decide((metric, reading), current=2)
    assert simple.data["average_milli"] == 400
    assert simple.data["proposal"] == 8  # 4.0 x 2 ready pods
    damped = decide((metric, reading), current=3, pods=pods(3))  # p2 is missing: used 0
    assert damped.data["proposal"] == 12  # (1200 / 4) / 100 = 3.0, x 4 entries


def test_strays_have_no_request_and_so_no_utilization() -> None:
    """They are left out of the sums, and counted among the entries when pods are missing."""
    metric, reading = cpu(2000, missing=1)
    reading.samples["stray"] = Sample(9000)  # type: ignore[index]
    result = decide((metric, reading), current=2)
    assert result.data["utilization"] == 200
    assert result.data["proposal"] == 6  # 2000 / 2000 = 100 %, 2.0 x 3 entries


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading(), "did not receive metrics for targeted pods (pods might be unready)"),
        (Reading({"p0": Sample(5)}, {"p0": 0}), "no metrics returned matched known pods"),
        (Reading(error="no answer"), "no answer"),
    ],
)
def test_a_metric_that_says_nothing_fails(reading, said) -> None:
    """No sample, nothing requested, an error: never taken for zero."""
    result = decide((Metric(utilization=50), reading))
    assert result.failed and result.replicas == 1
    assert said in result.events[0][2]


def test_no_pod_at_all_fails() -> None:
    """The selector selects nothing yet."""
    result = decide(cpu(500), pods=())
    assert "no pods returned by selector" in result.events[0][2]


def test_all_pods_unready_fails() -> None:
    """kubernetes#64088: no samples left, no scaling."""
    young = pod(started=995.0, ready=False, ready_changed=995.0)
    assert decide(cpu(900), pods=(young,)).failed


# -- section 8: assumptions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "wanted", "held"),
    [
        ((400, 400), 3, True),  # 0.8; with the third at 100 %: 60 %, the other side of 1
        ((100, 100), 3, False),  # 40 %: ceil(0.8 x 3)
        ((10,) * 8, 3, False),  # 1080 / 9000 = 12 %: ceil(0.24 x 9)
        ((250, 250, 250, 250), 4, False),  # 2000 / 5000 = 40 %: ceil(0.8 x 5)
    ],
)
def test_missing_pods_are_assumed_busy_when_shrinking(used, wanted, held) -> None:
    """One more pod without a sample, at its whole request; the target is 50 %."""
    result = decide(cpu(*used, missing=1), current=len(used) + 1)
    assert result.data["proposal"] == wanted
    assert ("reverses" in result.steps[-3].result) is held


def test_missing_pods_are_assumed_at_the_target_if_that_is_above_their_request() -> None:
    """Target 200 %: a missing pod is assumed at 200 %, formerly at 100 %."""
    result = decide(cpu(1000, 1000, missing=2, target=200), current=4)
    # First reading 100 %: 0.5. Filled: (2000 + 4000) / 4000 = 150 %: 0.75 x 4 = 3.
    assert result.data["proposal"] == 3


def test_missing_pods_are_assumed_exactly_at_a_plain_target() -> None:
    """(0 + 0 + 100 + 100) / 4 = 50: ceil(0.5 x 4) = 2."""
    group = pods(4)
    assert decide(plain(0, 0, target=100), current=4, pods=group).data["proposal"] == 2


def test_missing_pods_are_assumed_idle_when_growing() -> None:
    """Three at 100 % of a target 50 % and one unknown: 75 %, ceil(1.5 x 4) = 6."""
    result = decide(cpu(1000, 1000, 1000, missing=1), current=4)
    assert result.data["proposal"] == 6
    assert result.data["utilization"] == 100  # reported is the first reading


def test_unready_pods_stay_out_when_shrinking() -> None:
    """They are put back only to damp growth."""
    young = pod("p3", started=995.0, ready=False, ready_changed=995.0)
    result = decide(cpu(100, 100, 100, 900), current=4, pods=(*pods(3), young))
    assert result.data["proposal"] == 1  # 10 / 50 x 3


def test_unready_pods_alone_call_for_no_second_reading_when_shrinking() -> None:
    """Six ready pods of a workload with 2 desired: ceil(0.6 x 6) = 4, and no rule damps that."""
    young = pod("p6", started=995.0, ready=False, ready_changed=995.0)
    result = decide(cpu(*[300] * 6, 900), current=2, pods=(*pods(6), young))
    assert (result.data["proposal"], "second reading" in rules_of(result)) == (4, False)


def test_unready_pods_stay_out_when_shrinking_even_beside_missing_ones() -> None:
    """Only the missing one is filled in."""
    young = pod("p8", started=995.0, ready=False, ready_changed=995.0)
    group = (*pods(8), young)
    metric, reading = cpu(*[50] * 7, missing=2)
    reading.samples["p8"] = Sample(900, 1000.0, 15.0)  # type: ignore[index]
    result = decide((metric, reading), current=9, pods=group)
    # 7 x 50 + 1000 over 8 x 1000 = 16 %: ceil(0.32 x 8) = 3
    assert result.data["proposal"] == 3


def test_exactly_on_target_assumes_nothing() -> None:
    """Ratio 1: kept, whichever pods are missing."""
    result = decide(plain(100, target=100), current=5, pods=pods(5))
    assert (result.replicas, result.binding) == (5, "tolerance")
    assert "nothing is assumed" in str([s.result for s in result.steps])


def test_the_ready_pods_are_multiplied_not_the_replicas() -> None:
    """spec.replicas 10 with 3 pods so far, at twice the target: 6, not 20."""
    assert decide(cpu(1000, 1000, 1000), current=10, pods=pods(3)).data["proposal"] == 6


@pytest.mark.parametrize(
    ("used", "current", "held"),
    [
        # Growing by the ratio, and the number would shrink: 4 of 10 replicas known, one missing.
        ((900, 900, 900, 900), 10, "the number would move against the ratio"),
        ((900, 900, 900, 900), 5, ""),
    ],
)
def test_the_number_never_moves_against_the_ratio(used, current, held) -> None:
    """r2 = 72 / 50 = 1.44, times 5 entries is 8: with 10 replicas that is fewer, so kept."""
    result = decide(cpu(*used, missing=1), current=current, pods=pods(5))
    assert result.data["proposal"] == (10 if held else 8)
    assert (result.binding == held) is bool(held)


def test_the_number_never_moves_against_a_falling_ratio() -> None:
    """r2 below 1, yet more pods than replicas: kept."""
    group = pods(6)  # 6 pods of a workload that already wants 2
    result = decide(cpu(300, 300, 300, 300, 300, missing=1), current=2, pods=group)
    # 30 % -> (1500 + 1000) / 6000 = 41 %: 0.82 x 6 = 5, more than 2
    assert (result.data["proposal"], result.binding) == (
        2,
        "the number would move against the ratio",
    )


# -- small things ---------------------------------------------------------------------------------


def test_ceiling_stops_at_an_int32() -> None:
    """Value targets and external averages saturate."""
    assert ceiling(2.0**40) == ceiling(float("inf")) == 2**31 - 1
    assert ceiling(3.0000001) == 4


def test_series_saturate_at_64_bits() -> None:
    """External series are added up."""
    assert added_up([2**63 - 1, 1]) == 2**63 - 1
    assert added_up([1, 2]) == 3


@pytest.mark.parametrize(
    ("milli", "text"),
    [
        (1, "1m"),
        (1000, "1"),
        (1500, "1500m"),
        (4_000_000, "4k"),
        (134_217_728_000, "134217728"),
        (-2000, "-2"),
    ],
)
def test_quantities_are_written_as_kubernetes_does(milli, text) -> None:
    """Decimal suffixes, the shortest exact form."""
    assert quantity_text(milli) == text
