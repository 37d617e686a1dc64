"""HPA folklore: rules that people misread, each with the thread in which they did."""

from __future__ import annotations

import pytest
from hpa_builders import NOW, cpu, decide, external, pod, pods

from kubesim.autoscaler import Behavior, Metric, Reading, Rules, Sample, ScalingPolicy, State
from kubesim.autoscaler.policy.normalize import after_rescale


def play(wishes, *, behavior=None, current, period=15.0):
    """Proposals, one each period; returns (second, size) of each pass."""
    state, sizes = State(), []
    for index, wish in enumerate(wishes):
        now = index * period
        result = decide(
            external(wish, average=1),
            current=current,
            status_replicas=1_000_000,
            now=now,
            behavior=behavior,
            state=state,
            maximum=1000,
        )
        state = after_rescale(result.state, current, result.replicas, now, behavior)
        current = result.replicas
        sizes.append((now, current))
    return sizes


def test_the_window_is_no_waiting_time() -> None:
    """kubernetes#101371, #97473: shrinking starts when the last *high wish* is 300 s old.

    A high wish in between starts the clock again, and lower ones do not.
    """
    wishes = [10] + [2] * 10 + [8] + [2] * 40
    sizes = dict(play(wishes, current=10))
    assert {sizes[t] for t in range(0, 301, 15)} == {10}  # the seed and the first wish
    assert {sizes[t] for t in range(315, 466, 15)} == {8}  # the 8 of t = 165 is 300 s old at 465
    assert {sizes[t] for t in range(480, 766, 15)} == {2}


def test_scale_up_uses_the_smallest_wish_of_its_window() -> None:
    """website#42493: not the highest. website#25997: and it does not wait, either."""
    behavior = Behavior(up=Rules(window_seconds=60))
    sizes = play([4, 20, 6, 12, 12, 12], current=4, behavior=behavior)
    # At t = 60 the 4s of t = 0 are out: the smallest of 20, 6, 12, 12 is 6. At 90 the 6 is out.
    assert [size for _, size in sizes] == [4, 4, 4, 4, 6, 6]
    more = play([4, 20, 6, 12, 12, 12, 12], current=4, behavior=behavior)
    assert more[-1] == (90.0, 12)


@pytest.mark.parametrize("wish", [1, 3])
def test_history_never_scales_up_during_a_scale_down(wish) -> None:
    """kubernetes#96671, #98174: a real bug, cured by clamping current into the envelope."""
    behavior = Behavior(down=Rules(300, None, (ScalingPolicy("Pods", 2, 60),)))
    state = State(recommendations=((20, NOW - 100),))
    result = decide(
        external(wish, average=1), current=5, behavior=behavior, state=state, status_replicas=999
    )
    assert result.replicas == 5  # the 20 holds it; it does not push it
    classic = decide(external(wish, average=1), current=5, state=state, status_replicas=999)
    assert classic.replicas == 10  # without a behavior it does (burst: 2 x 5)


def test_the_start_of_a_period_counts_what_came_and_what_went() -> None:
    """kubernetes#108354: 5 came and 5 went within the period, so it began with 10."""
    rules = Rules(0, None, (ScalingPolicy("Pods", 3, 60),))
    state = State((), ups=((5, NOW - 30),), downs=((5, NOW - 20),))
    behavior = Behavior(rules, rules)
    up = decide(external(99, average=1), current=10, state=state, behavior=behavior)
    down = decide(external(1, average=1), current=10, state=state, behavior=behavior)
    assert (up.replicas, down.replicas) == (13, 7)


def test_where_the_40_comes_from() -> None:
    """website#26452: 80 pods, 4 pods or 10 percent a minute, target 10.

    The documentation: 8 in the first minute, then 10 percent of what is left, rounded *up* in
    pods removed, until 40, from where 4 pods are more. In doubles the sizes are cut, not rounded.
    """
    down = Rules(0, None, (ScalingPolicy("Pods", 4, 60), ScalingPolicy("Percent", 10, 60)))
    sizes = [s for _, s in play([10] * 16, current=80, behavior=Behavior(down=down), period=60)]
    assert sizes == [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10, 10, 10]


@pytest.mark.parametrize(("used", "wanted"), [(550, 100), (560, 113)])
def test_ten_percent_of_many_pods_is_a_big_step(used, wanted) -> None:
    """kubernetes#116984: at 100 pods the tolerance hides ten; 1.12 x 100 is 112.00000000000001."""
    assert decide(cpu(*[used] * 100), current=100, maximum=500).replicas == wanted


def test_a_smaller_tolerance_takes_smaller_steps() -> None:
    """And is what the per-direction tolerance of newer releases is for."""
    fine = Behavior(Rules(tolerance=0.01))
    assert decide(cpu(*[550] * 100), current=100, maximum=500, behavior=fine).replicas == 111


def test_a_rolling_update_s_surge_pods_count() -> None:
    """kubernetes#138505: 10 replicas and 3 surge pods, all ready, at a ratio of 1.12.

    The pods that are there are multiplied, not the replicas: ceil(1.12 x 13) = 15.
    """
    assert decide(cpu(*[560] * 13), current=10, pods=pods(13)).replicas == 15
    assert decide(cpu(*[550] * 13), current=10, pods=pods(13)).replicas == 10


def test_start_up_cpu_does_not_run_away() -> None:
    """kubernetes#28692: a JVM burns three times its request while it starts, unready."""
    young = [pod(f"p{n}", started=NOW - 20, ready=False, ready_changed=NOW - 20) for n in (1, 2, 3)]
    result = decide(cpu(600, 3000, 3000, 3000), current=4, pods=(pod(), *young))
    assert result.data["utilization"] == 60  # the one that serves
    assert result.replicas == 4  # 600 / 4000 = 15 %: the direction flips
    trusting = decide(cpu(600, 3000, 3000, 3000), current=4)
    assert trusting.replicas == 8  # had they been ready: 240 %, up to the burst limit


def test_ready_too_early_and_it_does() -> None:
    """The same pods without a readiness probe, ready since their start: the sample's window lies
    after that, so it is believed."""
    early = [pod(f"p{n}", started=NOW - 20, ready_changed=NOW - 20) for n in (1, 2, 3)]
    assert decide(cpu(600, 3000, 3000, 3000), current=4, pods=(pod(), *early)).replicas == 8


def test_nobody_ready_nothing_scaled() -> None:
    """kubernetes#64088: all pods unready, no sample counts, the pass fails."""
    young = [pod(f"p{n}", started=NOW - 20, ready=False, ready_changed=NOW - 20) for n in range(3)]
    result = decide(cpu(900, 900, 900), current=3, pods=tuple(young))
    assert (result.failed, result.replicas) == (True, 3)


def test_hot_canaries_hide_in_the_average() -> None:
    """argo-rollouts#4607: 10 canaries at 109 %, 12 stable at 32.3 %, on average 67.2 %.

    Against 70 % the ratio is 0.96, inside the tolerance: nothing is done. (67.2 is cut to 67.)
    """
    result = decide(cpu(*[1090] * 10, *[323] * 12, target=70), current=22)
    assert (result.data["utilization"], result.replicas, result.binding) == (67, 22, "tolerance")


def test_the_request_is_the_yardstick_not_the_limit() -> None:
    """A pod with a small request seems busy: 120m of 100m is 120 %, whatever its limit."""
    metric = Metric(utilization=60)
    reading = Reading({"p0": Sample(120, NOW, 15.0)}, {"p0": 100})
    assert decide((metric, reading)).replicas == 2


def test_a_sidecar_s_request_counts_as_well() -> None:
    """A busy container of 500m and an idle sidecar that requests 500m: 50 %, not 100 %."""
    whole = (Metric(utilization=60), Reading({"p0": Sample(500, NOW, 15.0)}, {"p0": 1000}))
    main = (
        Metric("ContainerResource", "cpu", "main", utilization=60),
        Reading({"p0": Sample(500, NOW, 15.0)}, {"p0": 500}),
    )
    assert (decide(whole).replicas, decide(main).replicas) == (1, 2)


def test_two_metrics_never_average() -> None:
    """CPU proposes 2, the queue 9: the largest counts, not a mean."""
    assert decide(cpu(100, 100, 100, 100, 100), external(9, average=1), current=5).replicas == 9


def test_a_cpu_metric_alone_never_leaves_zero() -> None:
    """Scaled to 0 by hand it stays there: there is nothing to measure."""
    assert decide(cpu(), current=0, pods=()).replicas == 0
    woken = decide(cpu(900), current=0, pods=(), minimum=0)
    assert (woken.failed, woken.replicas) == (True, 0)
