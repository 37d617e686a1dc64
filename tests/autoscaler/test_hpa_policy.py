"""The pass: its four branches, its conditions, and the worked examples of the specification."""

from __future__ import annotations

import pytest
from hpa_builders import (
    NOW,
    broken,
    condition,
    cpu,
    decide,
    external,
    plain,
    pod,
    pods,
    reasons,
    rules_of,
    seen,
)

from kubesim.autoscaler import Behavior, HorizontalPolicy, Rules, ScalingPolicy, State
from kubesim.autoscaler.policy.normalize import after_rescale

ABOVE, BELOW = (
    "cpu resource utilization (percentage of request) above target",
    "All metrics below target",
)


def run(proposals, *, behavior=None, current=1, state=None, maximum=100, minimum=1):
    """Passes at given seconds with given proposals; returns the sizes."""
    state = State() if state is None else state
    sizes = []
    for now, wish in proposals:
        metric = external(wish, average=1)  # proposes exactly `wish`
        result = decide(
            metric,
            current=current,
            status_replicas=1_000_000,  # never within the tolerance
            now=float(now),
            behavior=behavior,
            state=state,
            maximum=maximum,
            minimum=minimum,
        )
        state = after_rescale(result.state, current, result.replicas, float(now), behavior)
        current = result.replicas
        sizes.append(current)
    return sizes


# -- section 3 ------------------------------------------------------------------------------------


def test_the_first_pass_seeds_the_log_with_the_size_it_found() -> None:
    """That is what delays the very first scale-down by the full window."""
    first = decide(cpu(100, 100, 100), current=3, state=State())
    assert first.state.recommendations == ((3, NOW), (1, NOW))
    assert (first.replicas, first.binding) == (3, "stabilization")
    assert decide(cpu(100, 100, 100), current=3).replicas == 1


@pytest.mark.parametrize(
    ("current", "minimum", "maximum", "replicas", "reason"),
    [
        (0, 1, 10, 0, ""),  # paused
        (0, 3, 10, 0, ""),
        (12, 1, 10, 10, "Current number of replicas above Spec.MaxReplicas"),
        (2, 3, 10, 3, "Current number of replicas below Spec.MinReplicas"),
        (100, 1, 10, 10, "Current number of replicas above Spec.MaxReplicas"),
    ],
)
def test_the_branches_that_look_at_no_metric(current, minimum, maximum, replicas, reason) -> None:
    """At once: no policy, no window, no tolerance, nothing logged, no reading reported."""
    slow = Behavior(Rules(select="Disabled"), Rules(window_seconds=3600, select="Disabled"))
    for metric in (cpu(*[900] * current), broken()):
        result = decide(
            metric, current=current, minimum=minimum, maximum=maximum, behavior=slow, state=State()
        )
        assert (result.replicas, result.reason) == (replicas, reason)
        assert result.state.recommendations == ((current, NOW),)  # the seed and nothing else
        assert (result.readings, result.events, result.failed) == ((), (), False)
        assert condition(result, "ScalingLimited") is None
        paused = ("False", "ScalingDisabled") if current == 0 else None
        assert condition(result, "ScalingActive") == paused
        assert condition(result, "AbleToScale") == ("True", "SucceededGetScale")


@pytest.mark.parametrize("current", [1, 10])
def test_on_the_bounds_the_metrics_decide(current) -> None:
    """Equal to min or max is inside."""
    result = decide(cpu(*[500] * current), current=current, minimum=1, maximum=10)
    assert condition(result, "ScalingActive") == ("True", "ValidMetricFound")


def test_scaling_from_and_to_zero_where_it_is_permitted() -> None:
    """minReplicas 0: not paused; a Value target gives ceil(ratio), and may stay 0."""
    kwargs = {"current": 0, "minimum": 0, "pods": (), "status_replicas": 0}
    assert decide(external(250, value=100), **kwargs).replicas == 3
    assert decide(external(0, value=100), **kwargs).replicas == 0
    assert decide(external(250, average=100), **kwargs).replicas == 3
    assert decide(cpu(), **kwargs).failed  # no pods, no CPU
    assert decide(external(0, value=100), current=2, minimum=0).replicas == 0
    lifted = decide(external(0, value=100), current=2, minimum=1)
    assert (lifted.replicas, condition(lifted, "ScalingLimited")) == (1, ("True", "TooFewReplicas"))


# -- conditions and the reason of the event --------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "more", "able", "limited", "replicas", "reason"),
    [
        (cpu(500, 500), {}, "ReadyForNewScale", ("False", "DesiredWithinRange"), 2, ""),
        (cpu(900, 900), {}, "ReadyForNewScale", ("False", "DesiredWithinRange"), 4, ABOVE),
        (cpu(100, 100), {}, "ReadyForNewScale", ("False", "DesiredWithinRange"), 1, BELOW),
        (cpu(0, 0), {}, "ReadyForNewScale", ("True", "TooFewReplicas"), 1, BELOW),
        (cpu(900, 900), {"maximum": 3}, "ReadyForNewScale", ("True", "TooManyReplicas"), 3, ABOVE),
        (
            cpu(9000, 9000),
            {},
            "ReadyForNewScale",
            ("True", "ScaleUpLimit"),
            4,
            ABOVE,
        ),
        (
            cpu(100, 100),
            {"state": State(((2, 900.0),))},
            "ScaleDownStabilized",
            ("False", "DesiredWithinRange"),
            2,
            "",
        ),
        (  # only history moves the size: no reason
            cpu(500, 500),
            {"state": State(((3, 900.0),))},
            "ScaleDownStabilized",
            ("False", "DesiredWithinRange"),
            3,
            "",
        ),
        (
            cpu(900, 900),
            {"state": State(((2, 900.0),)), "behavior": Behavior(Rules(window_seconds=200))},
            "ScaleUpStabilized",
            ("False", "DesiredWithinRange"),
            2,
            "",
        ),
        (
            cpu(100, 100),
            {"state": State(((2, 900.0),)), "behavior": Behavior()},
            "ScaleDownStabilized",
            ("False", "DesiredWithinRange"),
            2,
            "",
        ),
        (
            cpu(100, 100, 100, 100),
            {
                "current": 4,
                "behavior": Behavior(down=Rules(0, None, (ScalingPolicy("Pods", 1, 60),))),
            },
            "ReadyForNewScale",
            ("True", "ScaleDownLimit"),
            3,
            BELOW,
        ),
    ],
)
def test_conditions_and_reason(metric, more, able, limited, replicas, reason) -> None:
    """What each combination tells."""
    result = decide(metric, **{"current": 2, **more})
    assert condition(result, "AbleToScale") == ("True", able)
    assert condition(result, "ScalingLimited") == limited
    assert (result.replicas, result.reason) == (replicas, reason)
    assert result.events == ()


def test_conditions_come_in_the_order_of_first_use() -> None:
    """AbleToScale, ScalingActive, then AbleToScale again, then ScalingLimited."""
    kinds = [kind for kind, *_ in decide(cpu(500)).conditions]
    assert kinds == ["AbleToScale", "ScalingActive", "AbleToScale", "ScalingLimited"]


def test_every_rule_leaves_a_step_with_its_source() -> None:
    """What explain() prints."""
    assert rules_of(decide(cpu(900, missing=1), current=2)) == [
        "sort pods",
        "first reading",
        "assume",
        "second reading",
        "proposal",
        "stabilize",
        "limit",
    ]
    result = decide(external(300, value=100), current=2, behavior=Behavior())
    assert rules_of(result) == ["reading", "proposal", "stabilize", "policies", "limit"]
    assert all(step.source.startswith("pkg/controller/podautoscaler/") for step in result.steps)


def test_the_policies_step_says_where_the_number_comes_from() -> None:
    """website#26452: where does the 40 in the example come from?"""
    down = Rules(0, "Max", (ScalingPolicy("Pods", 4, 60), ScalingPolicy("Percent", 10, 60)))
    result = decide(
        external(10, average=1), current=80, status_replicas=999_999, behavior=Behavior(down=down)
    )
    step = next(step for step in result.steps if step.rule == "policies")
    assert step.inputs["Percent 10 per 60 s"] == "80 -> 72"
    assert step.inputs["Pods 4 per 60 s"] == "80 -> 76"
    assert result.replicas == 72


def test_the_same_observation_gives_the_same_recommendation() -> None:
    """The policy keeps nothing between two passes."""
    policy, case = HorizontalPolicy(), seen(cpu(900, 800, missing=1), current=3)
    assert policy.recommend(case) == policy.recommend(case)
    policy.recommend(seen(cpu(1), current=1))
    assert policy.recommend(case) == HorizontalPolicy().recommend(case)


# -- section 19: the worked examples ---------------------------------------------------------------


def test_example_1_plain_growth() -> None:
    """84 % against 60 %: ceil(1.4 x 4) = 6, under the burst limit of 8."""
    result = decide(cpu(200, 220, 180, 240, request=250, target=60), current=4)
    assert (result.data["utilization"], result.replicas) == (84, 6)
    assert condition(result, "ScalingLimited") == ("False", "DesiredWithinRange")


def test_example_2_truncation_holds() -> None:
    """55.23 % becomes 55 %: ratio 1.1, inside the tolerance."""
    result = decide(cpu(552, 552, 553, target=50), current=3)
    assert (result.data["utilization"], result.replicas, result.binding) == (55, 3, "tolerance")


def test_example_3_an_unready_pod_damps_growth() -> None:
    """72 % would mean 5; with the new pod as idle it is 54 %, inside the tolerance."""
    young = pod("p3", started=NOW - 20, ready=False, ready_changed=NOW - 20)
    result = decide(cpu(720, 720, 720, 900), current=4, pods=(*pods(3), young))
    assert (result.replicas, result.binding) == (4, "tolerance")
    assert decide(cpu(720, 720, 720), current=3).replicas == 5


def test_example_4_missing_pods_damp_shrinking() -> None:
    """25 % with four at 100 %: 55 %, the other side of 1."""
    result = decide(cpu(*[250] * 6, missing=4), current=10)
    assert (result.data["utilization"], result.replicas) == (25, 10)


def test_example_5_external_per_pod() -> None:
    """A queue of 4500, target 100: 45 pods; the average reported is 150."""
    result = decide(external(4_500_000, average=100_000), current=30, maximum=60)
    assert (result.replicas, result.data["average_milli"]) == (45, 150_000)


def test_example_6_external_total() -> None:
    """150 against 100 with 6 of 10 ready: 9, a scale-down."""
    group = (*pods(6), *pods(4, first=6, ready=False))
    result = decide(external(150, value=100), current=10, pods=group)
    assert (result.replicas, result.reason) == (9, "All metrics below target")


def test_example_7_burst() -> None:
    """Demand for 30 from 1: without a behavior 4, 8, 16, 30; with `{}` 5, 10, 20, 30."""
    wishes = [(t, 30) for t in (0, 15, 30, 45)]
    assert run(wishes) == [4, 8, 16, 30]
    assert run(wishes, behavior=Behavior()) == [5, 10, 20, 30]


def test_example_8_policy_budget() -> None:
    """2 pods per 60 s: exactly 60 s old no longer counts."""
    down = Rules(0, None, (ScalingPolicy("Pods", 2, 60),))
    wishes = [(0, 10), (15, 1), (30, 1), (74, 1), (75, 1)]
    assert run(wishes, behavior=Behavior(down=down), current=10) == [10, 8, 8, 8, 6]


def test_example_9_both_logs_count() -> None:
    """300 Percent per 300 s, current 6, 4 added and 2 removed: 4 x 4 = 16."""
    up = Rules(0, None, (ScalingPolicy("Percent", 300, 300),))
    state = State((), ups=((4, NOW - 200),), downs=((2, NOW - 100),))
    metric = external(50, average=1)
    result = decide(metric, current=6, state=state, behavior=Behavior(up))
    assert (result.replicas, condition(result, "ScalingLimited")) == (16, ("True", "ScaleUpLimit"))


def test_example_10_scale_up_window() -> None:
    """The smallest wish of the last 60 s."""
    behavior = Behavior(Rules(window_seconds=60))
    wishes = [(0, 2), (15, 8), (30, 6), (59, 9), (60, 9)]
    assert run(wishes, behavior=behavior, current=2) == [2, 2, 2, 2, 6]


def test_example_11_partial_failure() -> None:
    """3 and unknown: stays 5, inactive. 7 and unknown: 7."""
    low, high = decide(external(3, average=1), broken(), current=5), None
    assert (low.replicas, condition(low, "ScalingActive")) == (
        5,
        ("False", "FailedGetExternalMetric"),
    )
    high = decide(external(7, average=1), broken(), current=5)
    assert (high.replicas, reasons(high)) == (7, ["FailedGetExternalMetric"])


def test_example_12_max_wins() -> None:
    """CPU on target proposes 4, the queue 8."""
    result = decide(cpu(500, 500, 500, 500), plain(20, 20, 20, 20, target=10), current=4)
    assert result.replicas == 8
