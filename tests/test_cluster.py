"""Whole clusters on virtual time: determinism, the seed's promises, closing, failures."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest, NotFound, WorkerFailed
from kubesim.traffic import Sine


def busy_run(seed: int, seconds: float = 300.0) -> str:
    """A run with everything in it: traffic, scaling, bare pods, a kill, a config change."""
    with Cluster(nodes=3, seed=seed, digest=True) as cluster:
        cluster.set_traffic(40)
        cluster.sleep(seconds / 3)
        pod = cluster.api.create_pod("by-hand", run_seconds=20)
        cluster.set_hpa_config(target_cpu=50, max_pods=8)
        cluster.sleep(seconds / 3)
        cluster.api.delete_pod(cluster.api.list_pods()[0]["id"])
        cluster.set_traffic(5)
        cluster.sleep(seconds / 3)
        assert pod["name"] == "by-hand"
        return cluster.digest()


def test_the_same_seed_gives_the_same_run() -> None:
    """Every change of every key, samples included, compared as a digest."""
    assert busy_run(7) == busy_run(7)


def test_another_seed_gives_another_run() -> None:
    """The digest changes with the seed."""
    assert busy_run(7, 60) != busy_run(8, 60)


def test_the_same_seed_gives_the_same_run_in_another_process() -> None:
    """The result does not depend on the hash seed of the process or on earlier clusters."""
    import subprocess
    import sys

    code = (
        "from kubesim import Cluster\n"
        "with Cluster(seed=3, digest=True) as c:\n"
        "    c.set_traffic(30); c.sleep(120); print(c.digest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("0", "1", "4711")
    }
    assert len(digests) == 1, digests


def test_a_simulated_hour_writes_every_sample() -> None:
    """Ten pods for an hour: a sample for each pod and second, none left out."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_hpa_config(min_pods=10, max_pods=10)
        cluster.sleep(60)
        before = cluster.store.revision
        samples = cluster.store.samples_since(before)[0]
        cluster.sleep(100)
        samples = list(cluster.store.samples_since(before)[0])
        by_pod: dict[str, list[float]] = {}
        for _revision, key, sample in samples:
            by_pod.setdefault(key, []).append(sample[0])
        assert len(by_pod) == 10
        for times in by_pod.values():
            assert len(times) == 100
            assert all(b - a == pytest.approx(1.0) for a, b in pairwise(times))


def test_the_seed_pod_stays_within_the_seed_s_numbers() -> None:
    """100-200 millicores and 50-100 MB, new each second."""
    with Cluster(nodes=1, seed=2, hpa=False) as cluster:
        identity = cluster.api.create_pod("my-first-pod")["id"]
        seen = set()
        assert cluster.api.get_pod(identity)["status"] == "Pending"
        for _ in range(60):
            cluster.sleep(1)
            record = cluster.api.get_pod(identity)
            if record["cpu"]:
                assert 100 <= record["cpu"] <= 200
                assert 50 <= record["memory"] <= 100
                seen.add((record["cpu"], record["memory"]))
        assert record["status"] == "Running"
        assert "[tick] Pod is running..." in record["logs"]
        assert len(seen) > 40


def test_a_killed_pod_of_the_workload_comes_back_under_its_name() -> None:
    """The StatefulSet controller keeps the replica count: kill a pod and it comes back."""
    with Cluster(nodes=3, seed=4) as cluster:
        cluster.set_hpa_config(min_pods=3, max_pods=3)
        cluster.sleep(60)
        victim = next(p for p in cluster.api.list_pods() if p["name"] == "auto-pod-1")
        cluster.api.delete_pod(victim["id"])
        cluster.sleep(10)
        after = {p["name"]: p for p in cluster.api.list_pods()}
        assert sorted(after) == ["auto-pod-0", "auto-pod-1", "auto-pod-2"]
        assert after["auto-pod-1"]["id"] != victim["id"]
        assert after["auto-pod-1"]["status"] == "Running"


def test_a_bare_pod_is_nobody_else_s_business() -> None:
    """No autoscaler counts or removes a pod that was made by hand; deleted, it stays away."""
    with Cluster(nodes=3, seed=5) as cluster:
        cluster.sleep(30)
        identity = cluster.api.create_pod("mine")["id"]
        cluster.sleep(300)
        assert cluster.api.get_pod(identity)["status"] == "Running"
        cluster.api.delete_pod(identity)
        cluster.sleep(60)
        with pytest.raises(NotFound, match="Pod not found"):
            cluster.api.get_pod(identity)
        assert "mine" not in [p["name"] for p in cluster.api.list_pods()]


def test_finite_pods_end_and_are_still_listed() -> None:
    """Run time over: Succeeded, or Failed with a non-zero exit code."""
    with Cluster(nodes=1, seed=6, hpa=False) as cluster:
        good = cluster.api.create_pod("good", run_seconds=10)["id"]
        bad = cluster.api.create_pod("bad", run_seconds=10, exit_code=3)["id"]
        cluster.sleep(60)
        assert cluster.api.get_pod(good)["status"] == "Succeeded"
        assert cluster.api.get_pod(bad)["status"] == "Failed"
        assert len(cluster.api.list_pods()) == 2


def test_more_load_means_more_pods_and_less_load_for_each() -> None:
    """A closed loop: the autoscaler adds pods, and the load of each decreases."""
    with Cluster(nodes=3, seed=8) as cluster:
        cluster.set_traffic(60)
        cluster.sleep(4)  # before the autoscaler looks for the first time
        crowded = max(p["cpu"] for p in cluster.api.list_pods())
        cluster.sleep(300)
        pods = cluster.api.list_pods()
        assert len(pods) > 3
        assert max(p["cpu"] for p in pods) < crowded
        explanation = cluster.explain("hpa/auto-pod")
        assert "replicas" in str(explanation)
        assert explanation.latest.steps
        assert any(d.data["to"] > d.data["from"] for d in explanation.decisions)


def test_replicas_never_leave_the_bounds() -> None:
    """In every committed state of the scale, min <= replicas <= max."""
    with Cluster(nodes=3, seed=9) as cluster:
        watch = cluster.api.watch("StatefulSet")
        cluster.set_traffic(Sine(base=70, amplitude=70, period_seconds=600))
        seen = []
        for low, high in ((2, 6), (1, 4), (3, 9)):
            cluster.set_hpa_config(min_pods=low, max_pods=high)
            cluster.sleep(6)  # one look after the change
            watch.poll()
            cluster.sleep(1200)
            seen += [
                (low, event.object["spec"]["replicas"], high)
                for event in watch.poll()
                if event.object["metadata"]["name"] == "auto-pod"
            ]
        assert len({replicas for _, replicas, _ in seen}) > 4
        assert all(low <= replicas <= high for low, replicas, high in seen), seen


def test_the_virtual_clock_starts_no_thread() -> None:
    """On virtual time there is nothing to race with."""
    before = threading.active_count()
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.sleep(60)
        assert threading.active_count() == before


@pytest.mark.live
def test_on_the_live_clock_each_pod_is_a_thread_named_after_it() -> None:
    """Closing stops all threads; the original had a goroutine for each pod."""
    before = {thread.name for thread in threading.enumerate()}
    with Cluster(nodes=2, seed=1, clock="live", speed=20) as cluster:
        cluster.api.create_pod("by-hand")
        assert cluster.wait_until(
            lambda: [p["status"] for p in cluster.api.list_pods()] == ["Running"] * 2, 3_000
        )
        names = {thread.name for thread in threading.enumerate()} - before
        assert "pod/default/by-hand" in names
        assert "pod/default/auto-pod-0" in names
    left = {thread.name for thread in threading.enumerate()} - before
    assert left == set()


@pytest.mark.live
def test_delete_answers_after_the_pod_is_gone_on_threads_too() -> None:
    """delete_pod returns when the pod has stopped and its object is gone."""
    with Cluster(nodes=1, seed=1, clock="live", speed=20, hpa=False) as cluster:
        watch = cluster.api.watch("Pod")
        identity = cluster.api.create_pod("by-hand")["id"]
        cluster.wait_until(lambda: cluster.api.get_pod(identity)["status"] == "Running", 3_000)
        cluster.api.delete_pod(identity)
        assert cluster.api.list_pods() == []
        events = watch.poll()
        assert events[-1].type == "DELETED"
        assert events[-1].object["status"]["phase"] == "Succeeded"


def test_a_component_that_fails_is_seen() -> None:
    """On virtual time the caller gets the error, the log keeps it, and the cluster continues."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.clock.worker("mine").call_later(5, lambda: 1 / 0)
        with pytest.raises(WorkerFailed, match=r"mine.*ZeroDivisionError"):
            cluster.sleep(10)
        cluster.sleep(60)
        assert cluster.failures[0].worker == "mine"
        assert any(row.component == "mine" for row in cluster.analytics.since(level="error").rows)
        assert cluster.api.list_pods()[0]["status"] == "Running"


def test_bad_arguments_say_what_to_write() -> None:
    """Every mistake gets a sentence that says how to correct it."""
    with pytest.raises(BadRequest, match='"virtual" or "live"'):
        Cluster(clock="wall")
    with pytest.raises(BadRequest, match="nodes must be 0 or more"):
        Cluster(nodes=-1)
    with Cluster(nodes=1, hpa=False) as cluster:
        with pytest.raises(BadRequest, match="kind/name"):
            cluster.explain("auto-pod")
        with pytest.raises(NotFound, match="no decision about"):
            cluster.explain("hpa/nobody")
        with pytest.raises(BadRequest, match="digest=True"):
            cluster.digest()


def test_closing_twice_is_harmless() -> None:
    """close() may be called again, for example by a with block after a cell."""
    cluster = Cluster(nodes=1)
    cluster.close()
    cluster.close()


def test_a_node_more_helps_a_pod_that_waits() -> None:
    """It registers itself with its own options; the others are those of the cluster."""
    with Cluster(nodes=1, hpa=False, node_cpu="1", node_memory="2Gi") as cluster:
        asks = {"requests": {"cpu": "3"}}
        large = {"name": "large", "image": "x", "resources": asks}
        spec = {"containers": [large]}
        cluster.api.create({"kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
        cluster.sleep(5)
        assert "0/1 nodes are available" in cluster.explain("pod/p").latest.verdict
        cluster.add_node(cpu="4", labels={"disk": "ssd"})
        cluster.sleep(15)
        assert cluster.api.get("Pod", "p")["spec"]["nodeName"] == "node-2"
        node = cluster.node("node-2").document
        assert node["metadata"]["labels"]["disk"] == "ssd"
        assert (
            node["status"]["capacity"] | {"cpu": "4", "memory": "2Gi"}
            == (node["status"]["capacity"])
        )
        with pytest.raises(BadRequest, match="there is a node 'node-2' already"):
            cluster.add_node("node-2")
