"""The metrics-server: two points, windows, young containers, restarts; and what lag does."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.autoscaler.metrics.metrics_server import Point, next_points, usage_between
from kubesim.errors import BadRequest, MethodNotAllowed
from kubesim.traffic import Step

OLD, LAST = Point(30.0, 300.0, 1, 0.0), Point(45.0, 600.0, 2, 0.0)


@pytest.mark.parametrize(
    ("known", "new", "points"),
    [
        # the first scrape of an old container: no figure yet
        ((None, None), OLD, (None, OLD)),
        # the usual: the last point becomes the one before
        ((None, OLD), LAST, (OLD, LAST)),
        ((OLD, LAST), Point(60, 900, 3, 0), (LAST, Point(60, 900, 3, 0))),
        # younger than the resolution and 10 s old at least: it counts from its start
        ((None, None), Point(60, 70, 3, 48), (Point(48, 0, 3, 48), Point(60, 70, 3, 48))),
        ((None, None), Point(58, 70, 3, 48), (Point(48, 0, 3, 48), Point(58, 70, 3, 48))),
        # too young, or just as old as the resolution
        ((None, None), Point(57, 70, 3, 48), (None, Point(57, 70, 3, 48))),
        ((None, None), Point(63, 70, 3, 48), (None, Point(63, 70, 3, 48))),
        # started anew since: the older point goes
        ((OLD, LAST), Point(53, 9, 3, 46), (None, Point(53, 9, 3, 46))),
        # scraped twice at one point: it replaces itself
        ((OLD, LAST), LAST, (OLD, LAST)),
        ((None, LAST), LAST, (None, LAST)),
    ],
)
def test_which_points_are_kept(known, new, points) -> None:
    """Rows for each rule, at a resolution of 15 s."""
    assert next_points(known, new, 15.0) == points


def test_usage_is_a_difference_of_counters() -> None:
    """300 millicore seconds in 15 s; a fraction is rounded up; memory is the last one."""
    assert usage_between(OLD, LAST) == (45.0, 15.0, 20, 2)
    assert usage_between(OLD, LAST._replace(cpu=601.0))[2] == 21


def a_cluster(resolution: float | None = 15, **options: Any) -> Cluster:
    """One pod of auto-pod, kept at that number."""
    cluster = Cluster(nodes=1, seed=1, metrics_resolution=resolution, **options)
    cluster.set_hpa_config(min_pods=1, max_pods=1)
    return cluster


def test_a_new_pod_has_no_figure_before_its_second_scrape() -> None:
    """It started at second 1; scraped at 15 (14 s old, so that it counts from its start)."""
    with a_cluster() as cluster:
        cluster.set_traffic(20)
        cluster.sleep(14)
        assert cluster.api.usage("default", "auto-pod-0") is None
        assert cluster.api.list("PodMetrics")["items"] == []
        cluster.sleep(2)
        second, window, ((name, cpu, _),) = cluster.api.usage("default", "auto-pod-0")
        assert (name, 200 < cpu < 240) == ("main", True)
        assert 12 <= window <= 14 and 13 <= second <= 15


def test_a_figure_is_old_and_covers_a_window() -> None:
    """20 requests/s until second 50, then 40: at 61 the window from 45 to 60 shows a part of it."""
    with a_cluster() as cluster:
        cluster.set_traffic(Step(20, 40, 50))
        cluster.sleep(59)
        before = cluster.api.usage("default", "auto-pod-0")[2][0][1]
        cluster.sleep(2)
        second, window, ((_, mixed, _),) = cluster.api.usage("default", "auto-pod-0")
        cluster.sleep(15)
        after = cluster.api.usage("default", "auto-pod-0")[2][0][1]
        assert (second, window) == (59.0, 15.0)
        assert 210 < before < 230 < mixed < 400 < after < 440
        assert cluster.api.list_pods()[0]["cpu"] > 380  # the seed's record is of this second


def test_podmetrics_are_what_the_metrics_server_serves() -> None:
    """By name and namespace; and like the real one it offers no watch."""
    with a_cluster() as cluster:
        cluster.sleep(40)
        found = cluster.api.get("PodMetrics", "auto-pod-0")
        assert found["window"] == "15s"
        assert found["timestamp"] == "2025-01-01T00:00:29Z"
        assert cluster.api.list("PodMetrics", "kube-system")["items"] == []
        with pytest.raises(MethodNotAllowed):
            cluster.api.watch("PodMetrics")


def test_a_node_s_figure_is_the_sum_of_its_pods() -> None:
    """`kubectl top nodes` and `kubectl top pods` tell of the same scrape."""
    with a_cluster() as cluster:
        cluster.set_traffic(Step(20, 40, 46))
        cluster.sleep(50)
        (pod,) = cluster.api.list("PodMetrics")["items"]
        (node,) = cluster.api.list("NodeMetrics")["items"]
        assert node["usage"]["cpu"] == pod["containers"][0]["usage"]["cpu"]
        assert (node["window"], node["timestamp"]) == (pod["window"], pod["timestamp"])


def test_without_it_autoscalers_see_the_last_second() -> None:
    """The default, as before."""
    with a_cluster(None) as cluster:
        cluster.sleep(5.5)
        sample = cluster.api.usage("default", "auto-pod-0")
        assert sample == cluster.api.sample("default", "auto-pod-0")
        assert sample[1] == 1.0


def test_a_pod_that_is_gone_is_forgotten_and_a_new_one_of_its_name_starts_anew() -> None:
    """The counter of the old one is not mixed up with that of the new."""
    with a_cluster() as cluster:
        cluster.set_traffic(40)
        cluster.sleep(50)
        cluster.api.delete("Pod", "auto-pod-0")
        cluster.sleep(30)
        usage = cluster.api.usage("default", "auto-pod-0")
        assert usage is None or 350 < usage[2][0][1] < 450
        cluster.set_hpa_config(min_pods=1, max_pods=2)
        cluster.api.update_scale("StatefulSet", "auto-pod", replicas=0)
        cluster.sleep(40)
        assert cluster.metrics_server.statistics()["pods"] == 0


def test_a_restarted_container_loses_its_older_point() -> None:
    """It runs 40 s and exits; counters never run backwards."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "job",
            "annotations": {
                "kubesim.dev/workload": '{"model": "load", "noise": 0, "idle_milli": 50}',
                "kubesim.dev/run-seconds": "40",
            },
        },
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }
    with Cluster(nodes=1, seed=1, hpa=False, metrics_resolution=15) as cluster:
        cluster.api.create(pod)
        seen = []
        for _ in range(40):
            cluster.sleep(5)
            usage = cluster.api.usage("default", "job")
            seen.append(None if usage is None else usage[2][0][1])
        assert set(seen) == {None, 50}
        assert seen.count(50) > 10


def test_containers_are_counted_apart() -> None:
    """Two containers share the pod's usage."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "two",
            "annotations": {"kubesim.dev/workload": '{"model": "load", "noise": 0}'},
        },
        "spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]},
    }
    with Cluster(nodes=1, seed=1, hpa=False, metrics_resolution=10) as cluster:
        cluster.api.create(pod)
        cluster.sleep(31)
        assert [c[:2] for c in cluster.api.usage("default", "two")[2]] == [("a", 10), ("b", 10)]


@pytest.mark.parametrize("resolution", [0, 9.9, -15, float("nan")])
def test_a_resolution_below_ten_seconds_is_refused(resolution: float) -> None:
    """As by the real one."""
    with pytest.raises(BadRequest, match="at least 10 seconds"):
        Cluster(nodes=0, hpa=False, metrics_resolution=resolution)


def test_the_autoscaler_fails_while_there_is_no_figure_and_then_goes_on() -> None:
    """FailedGetResourceMetric in the first seconds of a cluster, as everybody has seen it."""
    with Cluster(nodes=1, seed=1, metrics_resolution=30) as cluster:
        cluster.set_traffic(40)
        cluster.sleep(20)
        conditions = cluster.api.get("HorizontalPodAutoscaler", "auto-pod")["status"]["conditions"]
        assert conditions[1]["reason"] == "FailedGetResourceMetric"
        cluster.sleep(60)
        conditions = cluster.api.get("HorizontalPodAutoscaler", "auto-pod")["status"]["conditions"]
        assert conditions[1]["reason"] == "ValidMetricFound"
