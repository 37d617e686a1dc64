"""The closed loop: load makes pods busy, busy pods make more pods, more pods make less load."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hpa_world import World

from kubesim import Cluster
from kubesim.autoscaler import HorizontalPolicy
from kubesim.traffic import Noisy, Queue, Sine, Spike, Step

NAME = "auto-pod"
KIND = "HorizontalPodAutoscaler"


def edit(cluster: Cluster, **spec: Any) -> None:
    """Change the HPA's spec."""
    hpa = cluster.api.get(KIND, NAME)
    hpa["spec"].update(spec)
    cluster.api.update(hpa)


def sizes(cluster: Cluster) -> list[tuple[float, int]]:
    """(second, new size) of each scaling."""
    found = []
    for decision in cluster.decisions.of(f"hpa/{NAME}"):
        if decision.data.get("written"):
            found.append((decision.time, int(decision.data["to"])))
    return found


def flips(found: list[tuple[float, int]], first: int) -> int:
    """How often growing turned into shrinking or back."""
    steps = [b - a for a, b in pairwise([first, *(size for _, size in found)])]
    return sum((a > 0) != (b > 0) for a, b in pairwise(steps))


def test_a_spike_makes_pods_and_pods_make_it_fast_again() -> None:
    """5 times the load: latency leaps, pods come, latency falls, and the queue is empty."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_traffic(Spike(30, 150, 120, 300), queue=Queue(limit=2000, timeout_seconds=10))
        cluster.sleep(122)
        before = cluster.traffic.ready_pods(NAME)
        cluster.sleep(178)
        rows = {row.time: row for row in cluster.traffic.series(NAME).rows}
        calm, worst = rows[110.0].p95, max(rows[float(t)].p95 for t in range(120, 150))
        assert worst > 10 * calm
        assert cluster.traffic.ready_pods(NAME) > 2 * before
        assert rows[290.0].p95 < worst / 5
        assert rows[290.0].queued == 0
        assert rows[121.0].queued > 0


def test_what_cannot_be_served_is_counted_until_pods_are_there() -> None:
    """Requests are lost while one pod is alone, and none any more when there are enough."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_traffic(Step(20, 120, 60))
        cluster.sleep(180)
        lost = [row.time for row in cluster.traffic.series(NAME).rows if row.lost > 0 and row.ready]
        assert min(lost) >= 60 and max(lost) < 90
        total = cluster.traffic.totals(NAME)
        assert total.offered == pytest.approx(total.served + total.unmet)


def test_a_scale_down_waits_for_the_window() -> None:
    """Load falls at 200; the last high recommendation must be more than 300 s old."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_traffic(Step(100, 10, 200))
        cluster.sleep(200)
        high = sizes(cluster)[-1][1]
        cluster.sleep(298)
        assert sizes(cluster)[-1][1] == high
        cluster.sleep(12)
        moment, low = sizes(cluster)[-1]
        assert low < high and 500 <= moment <= 510


def test_a_policy_spreads_the_scale_down() -> None:
    """One pod a minute, window 0."""
    rules = {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    }
    with Cluster(nodes=3, seed=1) as cluster:
        edit(cluster, behavior={"scaleDown": rules})
        cluster.set_traffic(Step(100, 10, 200))
        cluster.sleep(460)
        down = [(t, size) for t, size in sizes(cluster) if t > 205]
        assert [size for _, size in down][:4] == [down[0][1] - n for n in range(4)]
        assert all(b - a == 60 for (a, _), (b, _) in pairwise(down))


def test_the_start_up_cpu_of_new_pods_makes_no_more_pods() -> None:
    """Java's classic (the HPA runs away to its maximum): a young pod that is not ready is no
    evidence. Here its readiness comes late, as a readiness probe makes it; the load is for 4."""

    def run(ready_at_once: bool) -> int:
        world = World()
        world.workload(replicas=2)
        world.run(2)
        world.hpa(target=50)
        world.clock.sleep(400)  # the first two are old
        for second in range(120):
            size = world.size()
            there = sum(1 for _ in world.api.snapshot("Pod")[0])
            if there < size:
                world.run(size - there, first=there)
                for index in range(there, size):
                    if not ready_at_once:
                        pod = world.api.get("Pod", f"web-{index}")
                        world.set_pod_status(pod, ready="False")
            young = [180.0] * (size - 2)
            world.use(*([80.0 if second < 40 else 40.0] * 2), *young)
            world.clock.sleep(1)
        return world.size()

    assert run(ready_at_once=False) == 4
    assert run(ready_at_once=True) == 10  # a probe that says yes too early


@pytest.mark.parametrize("probed", [True, False])
def test_a_readiness_probe_that_waits_for_the_start_prevents_the_runaway(probed: bool) -> None:
    """A whole cluster of programs that burn 300 m in their first minute, under a load for 3 pods.
    With a probe that says no for that minute the start is no evidence; without one each new pod is
    the reason for the next, up to maxReplicas."""
    options = '{"model": "load", "noise": 0, "startup_seconds": 60, "startup_milli": 300}'
    probe = {
        "httpGet": {"path": "/", "port": 80},
        "initialDelaySeconds": 60,
        "periodSeconds": 5,
    }
    with Cluster(nodes=5, seed=1, metrics_resolution=15) as cluster:
        workload = cluster.api.get("StatefulSet", NAME)
        template = workload["spec"]["template"]
        template["metadata"]["annotations"] = {"kubesim.dev/workload": options}
        if probed:
            template["spec"]["containers"][0]["readinessProbe"] = probe
        cluster.api.update(workload)
        edit(cluster, maxReplicas=30)
        cluster.set_traffic(Step(10, 40, 200))
        cluster.sleep(500)
        found = sizes(cluster)
    if probed:
        assert found == [(210.0, 3)]
    else:
        assert max(size for _, size in found) == 30


def test_without_a_window_the_size_flaps() -> None:
    """Load in waves of two minutes: the default window rides them out, one of 0 follows each."""
    waves = Noisy(Sine(60, 45, 120), 0.1, seed=4)
    turns = {}
    for window in (0, 300):
        with Cluster(nodes=3, seed=1) as cluster:
            edit(cluster, behavior={"scaleDown": {"stabilizationWindowSeconds": window}})
            cluster.set_traffic(waves)
            cluster.sleep(900)
            found = sizes(cluster)
            turns[window] = flips(found, 1)
    assert turns[300] <= 1
    assert turns[0] >= 8


@pytest.mark.parametrize(("resolution", "scraped"), [(15, 210), (60, 240)])
def test_metrics_that_lag_react_later(resolution: float, scraped: float) -> None:
    """The same step of load at 200: with a metrics-server it is unknown before the next scrape."""
    first = {}
    for lag in (None, resolution):
        with Cluster(nodes=3, seed=1, metrics_resolution=lag) as cluster:
            cluster.set_traffic(Step(20, 120, 200))
            cluster.sleep(400)
            first[lag] = next(t for t, size in sizes(cluster) if t > 200 and size > 1)
    assert first[None] <= 205
    assert first[resolution] >= scraped


def test_metrics_that_lag_overshoot() -> None:
    """A queue drains while the metrics still show the full one, so pods are added for nothing:
    with a figure each minute more pods are made than with one each second."""
    most = {}
    for lag in (None, 60):
        with Cluster(nodes=5, seed=1, metrics_resolution=lag) as cluster:
            cluster.set_hpa_config(max_pods=40)
            load = Step(30, 130, 300)
            cluster.set_traffic(load, queue=Queue(limit=20_000, timeout_seconds=600))
            cluster.sleep(700)
            after = [size for t, size in sizes(cluster) if t > 300]
            most[lag] = max(after)
    assert most[60] > most[None]


def test_the_loop_repeats_itself() -> None:
    """The same seed, the same history and the same seconds of traffic."""
    runs = []
    for _ in range(2):
        options: dict[str, Any] = {"metrics_resolution": 15, "policy": HorizontalPolicy()}
        with Cluster(seed=5, digest=True, **options) as cluster:
            cluster.set_traffic(Noisy(Sine(60, 50, 200), 0.3, seed=2), queue=Queue())
            cluster.sleep(300)
            runs.append((cluster.digest(), cluster.traffic.series(NAME).rows))
    assert runs[0] == runs[1]
