"""Routes in a running cluster: Services, queues, series, models that fail."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.traffic import Queue, Spike, Step
from kubesim.traffic.endpoints import serving_pods
from kubesim.traffic.series import Series


def a_cluster(pods: int = 1, **options: Any) -> Cluster:
    """auto-pod with a fixed number of pods, each good for 48 requests per second."""
    cluster = Cluster(nodes=2, seed=1, **options)
    cluster.set_hpa_config(min_pods=pods, max_pods=pods)
    cluster.sleep(20)
    return cluster


def web_pod(name: str) -> dict[str, Any]:
    """A bare pod that follows its load, without noise."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "web"},
            "annotations": {"kubesim.dev/workload": '{"model": "load", "noise": 0}'},
        },
        "spec": {"containers": [{"name": "main", "image": "web"}]},
    }


def slice_of(cluster: Cluster, **ready: bool) -> dict[str, Any]:
    """An EndpointSlice of a Service `shop`, as its controller would write it."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "shop-x",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "shop"},
        },
        "addressType": "IPv4",
        "ports": [],
        "endpoints": [
            {
                "addresses": ["10.0.0.9"],
                "conditions": {"ready": value},
                "targetRef": {
                    "kind": "Pod",
                    "name": name,
                    "uid": cluster.api.get("Pod", name)["metadata"]["uid"],
                },
            }
            for name, value in ready.items()
        ],
    }


def load(cluster: Cluster, name: str) -> float | None:
    """Requests per second that reach a pod."""
    pod = cluster.api.peek("Pod", name)
    assert pod is not None
    return cluster.traffic.load_for(pod, cluster.clock.now())


def test_a_service_s_endpoints_share_its_requests() -> None:
    """Ready endpoints in equal parts, others nothing, as the EndpointSlice says."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        for name in "abc":
            cluster.api.create(web_pod(name))
        cluster.traffic.to_service("shop", Step(60, 60, 0))
        cluster.sleep(5)
        assert [load(cluster, name) for name in "abc"] == [None] * 3  # no endpoints yet
        flow = cluster.traffic.last("shop")
        assert flow is not None and (flow.ready, flow.lost) == (0, 60)
        slice = cluster.api.create(slice_of(cluster, a=True, b=True, c=False))
        cluster.sleep(2)
        assert [load(cluster, name) for name in "abc"] == [30.0, 30.0, 0.0]
        assert cluster.traffic.last("shop").served == 60
        cluster.api.update({**slice_of(cluster, a=True), "metadata": slice["metadata"]})
        cluster.sleep(3)
        assert [load(cluster, name) for name in "abc"] == [60.0, None, None]
        assert cluster.traffic.last("shop").lost == pytest.approx(12)  # 48 is what one can do
        cluster.api.delete("EndpointSlice", "shop-x")
        cluster.sleep(3)
        assert cluster.traffic.ready_pods("shop") == 0


@pytest.mark.parametrize(
    ("endpoints", "serving"),
    [
        ([("a", {})], ("a",)),  # a condition that is not said is true
        ([("a", {"ready": False}), ("b", {"ready": True})], ("b",)),
        ([("a", {"ready": False, "serving": True, "terminating": True})], ("a",)),
        (
            [
                ("a", {"ready": False, "serving": True, "terminating": True}),
                ("b", {"ready": True}),
            ],
            ("b",),
        ),
        ([("a", {"ready": False, "serving": False, "terminating": True})], ()),
        ([("b", {}), ("a", {}), ("b", {})], ("a", "b")),
        ([("", {})], ()),
    ],
)
def test_who_serves(endpoints, serving) -> None:
    """kube-proxy's rule: the ready ones; only without any, those that leave and still serve."""
    slices = [
        {
            "endpoints": [
                {"conditions": conditions, "targetRef": {"kind": "Pod", "uid": uid}}
                for uid, conditions in endpoints
            ]
        }
    ]
    assert serving_pods(slices) == serving


def test_without_a_queue_the_excess_is_lost_at_once() -> None:
    """60 requests per second, one pod that can serve 48."""
    with a_cluster() as cluster:
        cluster.set_traffic(60)
        cluster.sleep(11)
        rows = cluster.traffic.series("auto-pod").rows
        assert {(row.served, row.queued) for row in rows} == {(48.0, 0.0)}
        assert [row.lost for row in rows] == pytest.approx([12.0] * len(rows))
        totals = cluster.traffic.totals("auto-pod")
        assert totals.unmet == pytest.approx(totals.offered / 5)


def test_with_a_queue_a_pod_works_on_until_it_is_empty() -> None:
    """10 s of 60/s on a pod that serves 48: 120 wait, and cost CPU afterwards."""
    with a_cluster() as cluster:
        begin = cluster.clock.now()
        cluster.set_traffic(Spike(0, 60, begin, 10), queue=Queue(limit=500, timeout_seconds=30))
        cluster.sleep(10)
        assert cluster.traffic.last("auto-pod").queued == pytest.approx(120)
        cluster.sleep(2)
        assert cluster.api.list_pods()[0]["cpu"] > 450
        cluster.sleep(5)
        flow = cluster.traffic.last("auto-pod")
        assert (flow.served, flow.queued) == (0, 0)
        assert cluster.api.list_pods()[0]["cpu"] < 50
        assert cluster.traffic.totals("auto-pod").unmet == 0


def test_a_pod_that_two_routes_reach_serves_both() -> None:
    """20 and 20 are 40 requests/s of 48; 40 and 40 are more than it can do, and 32 are lost."""
    with a_cluster() as cluster:
        cluster.set_traffic(20)
        cluster.traffic.route("more", "app=auto-pod", Step(20, 40, cluster.clock.now() + 10))
        cluster.sleep(8)
        assert load(cluster, "auto-pod-0") == 40
        assert cluster.traffic.last("more").lost == cluster.traffic.last("auto-pod").lost == 0
        cluster.set_traffic(40)
        cluster.sleep(8)
        flows = [cluster.traffic.last(name) for name in ("more", "auto-pod")]
        assert sum(flow.served for flow in flows) == pytest.approx(48)
        assert sum(flow.lost for flow in flows) == pytest.approx(32)
        cluster.traffic.remove("more")
        cluster.sleep(2)
        assert load(cluster, "auto-pod-0") == 40
        assert cluster.traffic.last("auto-pod").lost == 0


def test_more_pods_make_it_faster() -> None:
    """The same requests on one pod and on three."""
    seen = {}
    for pods in (1, 3):
        with a_cluster(pods) as cluster:
            cluster.set_traffic(40)
            cluster.sleep(5)
            seen[pods] = cluster.traffic.last("auto-pod").p95
    assert seen[3] < seen[1] / 4


def test_a_chart_reads_by_cursor() -> None:
    """Each second once; what fell out of the ring is counted."""
    with a_cluster() as cluster:
        cluster.set_traffic(10)
        cluster.sleep(5)
        first = cluster.traffic.series("auto-pod")
        cluster.sleep(3)
        second = cluster.traffic.series("auto-pod", first.cursor)
        assert len(first.rows) == 5 and len(second.rows) == 3
        assert second.rows[0].time == first.rows[-1].time + 1
        assert cluster.traffic.series("auto-pod", second.cursor).rows == []
        assert second.table().column("offered [1/s]") == [10.0] * 3
        with pytest.raises(BadRequest, match="nobody"):
            cluster.traffic.series("nobody")


def test_a_series_is_bounded_and_counts_what_is_lost() -> None:
    """A ring of three."""
    with a_cluster() as cluster:
        cluster.set_traffic(10)
        cluster.sleep(6)
        flows = cluster.traffic.series("auto-pod").rows
    ring = Series(kept=3)
    for flow in flows:
        ring.append(flow)
    page = ring.since(1)
    assert (page.rows, page.cursor, page.lost) == (flows[-3:], 6, 2)
    assert ring.totals.offered == 60


def test_new_traffic_under_the_same_name_goes_on() -> None:
    """Waiting requests keep waiting, and the series has no gap."""
    with a_cluster() as cluster:
        cluster.set_traffic(100, queue=Queue(1000, 60))
        cluster.sleep(4)
        waiting = cluster.traffic.last("auto-pod").queued
        cluster.set_traffic(0, queue=Queue(1000, 60))
        cluster.sleep(1)
        assert cluster.traffic.last("auto-pod").queued == pytest.approx(waiting - 48)
        assert len(cluster.traffic.series("auto-pod").rows) == 5


def test_no_traffic_costs_no_second() -> None:
    """The ring grows only while there is a route; afterwards the timer ends."""
    with a_cluster() as cluster:
        cluster.set_traffic(10)
        cluster.sleep(3)
        cluster.set_traffic(None)
        cluster.sleep(3)
        assert cluster.traffic._timer is None
        cluster.set_traffic(10)
        cluster.sleep(3)
        assert len(cluster.traffic.series("auto-pod").rows) >= 2


def test_a_model_that_raises_is_told_and_sends_nothing() -> None:
    """The balancer logs an error row and continues."""

    class Broken:
        def rate(self, now: float) -> float:
            raise ZeroDivisionError("no users")

    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.set_traffic(Broken(), "web")
        cluster.set_traffic(5, "other")
        cluster.sleep(3)
        row = cluster.analytics.since(component="Traffic", level="error").rows[-1]
        assert "ZeroDivisionError: no users" in row.message
        assert cluster.traffic.last("web").offered == 0
        assert cluster.traffic.last("other").lost == 5


def test_a_program_that_starts_uses_more() -> None:
    """startup_milli for startup_seconds after each start; what it can serve stays the same."""
    pod = web_pod("slow")
    options = '{"model": "load", "noise": 0, "startup_seconds": 20, "startup_milli": 300}'
    pod["metadata"]["annotations"] = {"kubesim.dev/workload": options}
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.api.create(pod)
        cluster.sleep(10)
        assert cluster.api.list_pods()[0]["cpu"] == 320
        cluster.sleep(20)
        assert cluster.api.list_pods()[0]["cpu"] == 20


def test_a_deployment_behind_a_real_service() -> None:
    """Controllers all the way: Deployment, pods, EndpointSlices, requests; 3 pods, then 1."""
    labels = {"app": "web"}
    template = web_pod("unused")
    template["metadata"].pop("name")
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": template["metadata"], "spec": template["spec"]},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {"selector": labels, "ports": [{"port": 80}]},
    }
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        cluster.api.create(deployment)
        cluster.api.create(service)
        cluster.set_traffic(90, service="shop")
        cluster.sleep(15)
        flow = cluster.traffic.last("shop")
        assert (flow.ready, flow.served, flow.lost) == (3, 90, 0)
        assert {pod["cpu"] for pod in cluster.api.list_pods()} == {320}
        cluster.api.update_scale("Deployment", "web", replicas=1)
        cluster.sleep(15)
        flow = cluster.traffic.last("shop")
        assert (flow.ready, flow.served) == (1, 48)
        cluster.api.delete("Service", "shop")
        cluster.sleep(5)
        assert cluster.traffic.ready_pods("shop") == 0


def test_a_retry_storm_outlives_its_cause_until_there_are_more_pods() -> None:
    """One pod can serve 40 requests/s; after half a minute of 120 it serves no request in time.
    The autoscaler, let loose, ends it."""
    patience = Queue(limit=400, timeout_seconds=5, retries=0.9, wasted_work=True)
    with a_cluster(1) as cluster:
        begin = cluster.clock.now() + 30
        cluster.set_traffic(Spike(40, 120, begin, 30), queue=patience)
        cluster.sleep(25)
        assert cluster.traffic.last("auto-pod").served == 40
        cluster.sleep(300)
        assert cluster.traffic.last("auto-pod").served == 0
        assert cluster.api.list_pods()[0]["cpu"] > 450
        cluster.set_hpa_config(min_pods=1, max_pods=10)
        cluster.sleep(60)
        assert cluster.traffic.last("auto-pod").served == pytest.approx(40)
        totals = cluster.traffic.totals("auto-pod")
        assert totals.retried > totals.offered and totals.unmet < totals.timed_out + totals.lost


@pytest.mark.live
def test_on_the_live_clock_the_seconds_come_as_well() -> None:
    """20 simulated seconds in one; the balancer is a named thread."""
    with Cluster(nodes=1, seed=1, clock="live", speed=20.0) as cluster:
        cluster.set_traffic(30, queue=Queue())

        def served() -> bool:
            flow = cluster.traffic.last("auto-pod")
            return flow is not None and flow.served > 0

        assert cluster.wait_until(served, 3_000)
        assert "traffic" in cluster.clock.workers()
        rows = cluster.traffic.series("auto-pod").rows
        assert all(a.time < b.time for a, b in pairwise(rows))
