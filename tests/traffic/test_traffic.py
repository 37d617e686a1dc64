"""Traffic: models as rows, and how ready pods share it."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.traffic import Constant, Noisy, Ramp, Replay, Sine, Spike, Step


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        (Constant(5), {0: 5, 100: 5}),
        (Constant(-5), {0: 0}),
        (Step(1, 9, 10), {9.9: 1, 10: 9}),
        (Ramp(0, 100, 10, 100), {0: 0, 10: 0, 60: 50, 110: 100, 500: 100}),
        (Ramp(0, 100, 10, 0), {9: 0, 10: 100}),
        (Spike(1, 9, 10, 5), {9: 1, 10: 9, 14.9: 9, 15: 1}),
        (Sine(10, 5, 40), {0: 10, 10: 15, 30: 5}),
        (Sine(0, 5, 40), {30: 0}),
        (Replay([(10, 1), (20, 2)]), {0: 0, 10: 1, 19: 1, 20: 2, 99: 2}),
    ],
)
def test_models_are_functions_of_time(model: Any, rates: dict[float, float]) -> None:
    """Never negative; the same answer each time."""
    for moment, rate in rates.items():
        assert model.rate(moment) == pytest.approx(rate)
        assert model.rate(moment) == model.rate(moment)


def test_noise_is_keyed() -> None:
    """Around the model, new each second, the same for the same seed."""
    noisy = Noisy(Constant(100), 0.1, seed=1)
    rates = [noisy.rate(float(t)) for t in range(100)]
    assert all(90 <= rate <= 110 for rate in rates)
    assert len(set(rates)) > 50
    assert rates == [Noisy(Constant(100), 0.1, seed=1).rate(float(t)) for t in range(100)]


@pytest.mark.parametrize("points", [[], [(1, 1), (1, 2)], [(2, 1), (1, 2)]])
def test_a_replay_needs_rising_seconds(points: list[tuple[float, float]]) -> None:
    """And at least one."""
    with pytest.raises(BadRequest):
        Replay(points)


def test_ready_pods_share_equally_and_more_pods_have_less_each() -> None:
    """The closed loop of the data plane."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_hpa_config(min_pods=2, max_pods=2)
        cluster.set_traffic(30)
        cluster.sleep(20)
        pods = cluster.api.snapshot("Pod")[0]
        now = cluster.clock.now()
        assert [cluster.traffic.load_for(pod, now) for pod in pods] == [15.0, 15.0]
        cluster.set_hpa_config(min_pods=3, max_pods=3)
        cluster.sleep(20)
        assert cluster.traffic.ready_pods("auto-pod") == 3
        assert cluster.traffic.load_for(pods[0], now) == 10.0
        assert cluster.traffic.offered("auto-pod") == 30
        bare = cluster.api.create_pod("bare")
        cluster.sleep(5)
        document = cluster.api.peek("Pod", "bare")
        assert cluster.traffic.load_for(document, now) is None  # type: ignore[arg-type]
        assert bare["name"] == "bare"


def test_a_pod_on_its_way_out_gets_no_more() -> None:
    """Pods that are ready and not terminating serve requests."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.set_traffic(30)
        cluster.sleep(3)
        pod = cluster.api.snapshot("Pod")[0][0]
        assert cluster.traffic.load_for(pod, 0.0) == 30.0
        cluster.api.patch("Pod", "auto-pod-0", {"metadata": {"finalizers": ["x.dev/wait"]}})
        cluster.api.delete("Pod", "auto-pod-0")
        cluster.sleep(2)
        assert cluster.traffic.ready_pods("auto-pod") == 0


def test_ending_the_traffic_brings_the_original_s_pods_back() -> None:
    """100-200 millicores at random, whatever was before."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.set_traffic(0)
        cluster.sleep(10)
        assert cluster.api.list_pods()[0]["cpu"] < 50
        cluster.set_traffic(None)
        cluster.sleep(5)
        assert cluster.api.list_pods()[0]["cpu"] >= 100
        assert cluster.traffic.routes() == []


def test_bad_routes_are_refused() -> None:
    """No model, or a selector that selects everything."""
    with Cluster(nodes=0, hpa=False) as cluster:
        with pytest.raises(BadRequest, match="rate"):
            cluster.set_traffic(object())
        with pytest.raises(BadRequest, match="selector"):
            cluster.traffic.route("x", "", Constant(1))
