"""The policies that come along, as cases; and shadows in a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.autoscaler import (
    HorizontalPolicy,
    Metric,
    Observation,
    PodFacts,
    Predictive,
    QueueDriven,
    Reading,
    Sample,
    State,
)
from kubesim.autoscaler.policy.predictive import trend
from kubesim.autoscaler.policy.queue_driven import pods_for
from kubesim.errors import BadRequest, NotFound
from kubesim.traffic import Ramp


def seen(now: float, current: int, percent: float, state: State, **more: Any) -> Observation:
    """Pods that all use so many percent of their request; target 50."""
    pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(current))
    samples = {pod.name: Sample(round(percent * 2), now, 1) for pod in pods}
    reading = Reading(samples, dict.fromkeys(samples, 200))
    return Observation(
        now=now,
        current=current,
        maximum=20,
        metrics=((Metric(utilization=50), reading),),
        pods=pods,
        state=state,
        **more,
    )


def play(policy: Any, loads: list[float], current: int = 4) -> list[Any]:
    """A shadow has one pass every 15 s; its state is kept, its recommendations are not followed."""
    state, found = State(), []
    for index, percent in enumerate(loads):
        result = policy.recommend(seen(15.0 * index, current, percent, state))
        state = result.state
        found.append(result)
    return found


# -- predictive ------------------------------------------------------------------------------------


def test_a_line_through_points() -> None:
    """Least squares; one second alone makes no line."""
    assert trend([(0, 1), (10, 2), (20, 6)], 30) == pytest.approx(8.0)
    with pytest.raises(ValueError, match="two seconds"):
        trend([(5, 1), (5, 2)], 10)
    with pytest.raises(ValueError, match="two seconds"):
        trend([], 10)


def test_it_grows_before_the_load_does() -> None:
    """40, 44, 48 percent against 50: the real one holds; in a minute it will be 64: 5.12 pods."""
    real = [result.replicas for result in play(HorizontalPolicy(), [40, 44, 48])]
    ahead = play(Predictive(ahead_seconds=60), [40, 44, 48])
    assert real == [4, 4, 4]
    assert [result.replicas for result in ahead] == [4, 4, 6]
    assert ahead[-1].reason == "demand of 5.1 pods expected in 60 s"
    assert ahead[-1].binding == "the prediction"
    assert ahead[-1].steps[-1].rule == "predict"
    assert ahead[-1].data["expected"] == pytest.approx(5.12)


def test_it_needs_three_points_and_forgets_old_ones() -> None:
    """Two points are a guess; those older than the history do not count."""
    assert [r.replicas for r in play(Predictive(), [40, 48])] == [4, 4]
    results = play(Predictive(history_seconds=30), [10, 20, 30, 40, 44, 48])
    assert len(results[-1].state.memory) == 3


@pytest.mark.parametrize("loads", [[80, 60, 40, 30, 20], [50] * 5, [40, 44, 48, 90], [10, 90, 10]])
def test_it_never_wants_fewer_than_the_real_one(loads: list[float]) -> None:
    """Falling demand changes nothing: it shrinks exactly as the real algorithm does."""
    real, ahead = play(HorizontalPolicy(), loads), play(Predictive(), loads)
    assert all(a.replicas >= r.replicas for a, r in zip(ahead, real, strict=True))


def test_what_it_wanted_is_held_by_the_window() -> None:
    """A prediction that did not come true is taken back after 300 s, not at the next sync."""
    results = play(Predictive(), [40, 44, 48])
    assert (6, 30.0) in results[-1].state.recommendations
    state = results[-1].state
    calm = Predictive().recommend(seen(45.0, 6, 30, state))
    assert calm.replicas == 6
    late = Predictive().recommend(seen(331.0, 6, 30, replace(state, memory=None)))
    assert late.replicas == 4


def test_limits_hold_for_a_prediction_as_well() -> None:
    """The burst limit without behavior: twice the size; and maxReplicas."""
    results = play(Predictive(ahead_seconds=600), [40, 44, 49])
    assert results[-1].replicas == 8
    top = replace(seen(45.0, 4, 52, results[-1].state), maximum=5)
    assert Predictive(ahead_seconds=600).recommend(top).replicas == 5


def test_failed_metrics_are_no_demand() -> None:
    """The real algorithm's failure is handed on, and nothing is remembered."""
    nothing = replace(seen(0.0, 4, 40, State()), metrics=((Metric(utilization=50), Reading()),))
    result = Predictive().recommend(nothing)
    assert result.failed and result.state.memory is None


# -- queue-driven ----------------------------------------------------------------------------------


def queue(now: float, current: int, messages: float | None, state: State) -> Observation:
    """A queue as an External metric."""
    total = None if messages is None else round(messages * 1000)
    reading = Reading(total_milli=total, error="" if total is not None else "no queue")
    pods = tuple(PodFacts(f"p{n}") for n in range(current))
    metric = Metric("External", "queue", average_milli=1)
    return Observation(now, current, 50, ((metric, reading),), pods, state=state)


@pytest.mark.parametrize(
    ("waiting", "arriving", "pods"),
    [(0, 0, 0), (0, 20, 1), (0, 21, 2), (1200, 0, 1), (1201, 0, 2), (600, 30, 2), (0, -5, 0)],
)
def test_pods_serve_what_arrives_and_empty_the_queue(waiting, arriving, pods) -> None:
    """20 messages a second and pod; 60 s to empty it."""
    assert pods_for(waiting, arriving, per_pod=20, drain_seconds=60) == pods


def test_growth_tells_what_arrives() -> None:
    """2 pods at work serve 40/s, and the queue still grows by 20/s: 60/s arrive."""
    policy = QueueDriven(per_pod=20, drain_seconds=60)
    first = policy.recommend(queue(0.0, 2, 100, State()))
    second = policy.recommend(queue(15.0, 2, 400, first.state))
    assert second.replicas == pods_for(400, 60, 20, 60) == 4
    assert second.steps[0].inputs["arriving_per_second"] == 60
    assert second.data["queue"] == 400


def test_it_shrinks_after_the_cooldown_only() -> None:
    """120 s are 8 syncs of 15 s: the need of second 0 counts until it is 120 s old."""
    policy, state, sizes = QueueDriven(per_pod=20), State(), []
    for index in range(10):
        result = policy.recommend(queue(15.0 * index, 5, 3000 if index == 0 else 0, state))
        state = result.state
        sizes.append(result.replicas)
    assert sizes == [8] + [5] * 7 + [0] * 2  # the bounds of the HPA lift 0 to minReplicas


def test_without_a_queue_it_changes_nothing() -> None:
    """The failing metric's words are kept."""
    result = QueueDriven(per_pod=20).recommend(queue(0.0, 5, None, State()))
    assert (result.replicas, result.failed, result.binding) == (5, True, "no queue")


@pytest.mark.parametrize(("per_pod", "drain"), [(0, 60), (-1, 60), (5, 0)])
def test_rates_of_nothing_are_refused(per_pod: float, drain: float) -> None:
    """A pod that serves nothing never empties a queue."""
    with pytest.raises(BadRequest):
        QueueDriven(per_pod, drain)


def test_the_queue_driven_policy_empties_a_real_queue() -> None:
    """100 requests/s and a policy that ignores CPU: after two minutes no request waits."""
    from kubesim.traffic import Queue

    metric = {
        "type": "External",
        "external": {
            "metric": {"name": "queue_length"},
            "target": {"type": "AverageValue", "averageValue": "1"},
        },
    }
    with Cluster(nodes=2, seed=1, policy=QueueDriven(per_pod=48)) as cluster:
        hpa = cluster.api.get("HorizontalPodAutoscaler", "auto-pod")
        hpa["spec"]["metrics"] = [metric]
        cluster.api.update(hpa)
        cluster.set_traffic(100, queue=Queue(limit=1e6, timeout_seconds=600))
        cluster.sleep(120)
        assert cluster.traffic.last("auto-pod").queued == 0
        assert 3 <= cluster.traffic.ready_pods("auto-pod") <= 5


# -- shadows ---------------------------------------------------------------------------------------


def test_shadows_record_beside_the_real_one_and_change_nothing() -> None:
    """With and without shadows the history is the same, to the byte."""
    digests = []
    for shadows in (None, {"predictive": Predictive(), "queue": QueueDriven(20)}):
        with Cluster(seed=2, digest=True, shadow_policies=shadows) as cluster:
            cluster.set_traffic(Ramp(10, 120, 0, 200))
            cluster.sleep(200)
            digests.append(cluster.digest())
            if shadows:
                table = cluster.shadows()
                decision = cluster.explain("hpa-shadow/auto-pod/predictive").latest
    assert digests[0] == digests[1]
    assert table.columns == ("time [s]", "pods", "real", "predictive", "queue")
    assert len(table) == 40
    assert all(row[3] >= row[2] for row in table)
    assert any(row[3] > row[2] for row in table)
    assert (decision.component, decision.data["policy"]) == ("shadow/predictive", "predictive")
    assert decision.data["written"] is False
    assert decision.verdict.startswith("shadow: ")


def test_a_shadow_sees_what_the_real_one_sees_in_the_same_instant() -> None:
    """It observes before the real one writes: two copies of one policy agree at every sync."""
    with Cluster(seed=2, shadow_policies={"same": HorizontalPolicy()}) as cluster:
        cluster.set_traffic(Ramp(10, 120, 0, 200))
        cluster.sleep(300)
        assert all(row[2] == row[3] for row in cluster.shadows())


@pytest.mark.parametrize("policies", [{"a/b": Predictive()}, {"": Predictive()}, {"x": object()}])
def test_a_shadow_needs_a_name_and_a_policy(policies: dict[str, Any]) -> None:
    """Refused when the cluster is made."""
    with pytest.raises(BadRequest):
        Cluster(nodes=0, hpa=False, shadow_policies=policies)


def test_side_by_side_needs_a_decision() -> None:
    """Before the first sync there is no decision to show."""
    with Cluster(nodes=0) as cluster, pytest.raises(NotFound):
        cluster.shadows("web")
