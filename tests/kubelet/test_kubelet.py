"""Pods: phases as rows, the crash loop's timeline, stopping, failing, refusing, leaking nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest, NotFound
from kubesim.kubelet.pod.backoff import CrashBackOff
from kubesim.kubelet.pod.phase import Container, conditions, phase, should_restart
from kubesim.kubelet.usage.workload import LoadWorkload, SeedWorkload

W, R, T = "waiting", "running", "terminated"


@pytest.mark.parametrize(
    ("containers", "policy", "ended", "expected"),
    [
        ([], "Always", False, "Pending"),
        ([Container(W)], "Always", False, "Pending"),
        ([Container(R)], "Always", False, "Running"),
        ([Container(R), Container(W)], "Always", False, "Pending"),
        ([Container(R), Container(T, exit_code=1)], "Never", False, "Running"),
        ([Container(T)], "Never", False, "Succeeded"),
        ([Container(T)], "OnFailure", False, "Succeeded"),
        ([Container(T)], "Always", False, "Running"),
        ([Container(T, exit_code=1)], "Never", False, "Failed"),
        ([Container(T, exit_code=1)], "OnFailure", False, "Running"),
        ([Container(T, exit_code=1)], "Always", False, "Running"),
        ([Container(W, restarts=2)], "Always", False, "Running"),
        ([Container(T)], "Always", True, "Succeeded"),
        ([Container(T, exit_code=137)], "Always", True, "Failed"),
        ([Container(T), Container(T, exit_code=1)], "Never", False, "Failed"),
    ],
)
def test_phases(containers: list[Container], policy: str, ended: bool, expected: str) -> None:
    """CrashLoopBackOff is not a phase; a pod with Always never succeeds unless it is deleted."""
    assert phase(containers, policy, ended=ended) == expected


@pytest.mark.parametrize(
    ("policy", "code", "deleted", "again"),
    [
        ("Always", 0, False, True),
        ("Always", 1, False, True),
        ("OnFailure", 0, False, False),
        ("OnFailure", 1, False, True),
        ("Never", 1, False, False),
        ("Always", 1, True, False),
    ],
)
def test_restarts(policy: str, code: int, deleted: bool, again: bool) -> None:
    """Always restarts after exit 0, too; a deleted pod never."""
    assert should_restart(policy, code, deleted=deleted) is again


def test_conditions_say_what_is_not_ready() -> None:
    """With the kubelet's reasons and message."""
    found = {
        c["type"]: c
        for c in conditions([], [Container(R, name="a"), Container(W, name="b")], "Pending", "t")
    }
    assert found["Ready"]["reason"] == "ContainersNotReady"
    assert found["Ready"]["message"] == "containers with unready status: [a b]"
    assert conditions([], [Container(T)], "Succeeded", "t")[2]["reason"] == "PodCompleted"


def test_the_back_off_is_forgotten_after_ten_minutes_of_running() -> None:
    """Strictly more than 600 s after its last update."""
    backoff = CrashBackOff()
    assert [backoff.delay(0.0), backoff.delay(1.0)] == [0.0, 10.0]
    assert backoff.delay(11.0 + 600.0) == 20.0
    again = CrashBackOff()
    again.delay(0.0)
    again.delay(1.0)
    assert again.delay(11.0 + 600.1) == 0.0


def crashing(name: str = "crash", **annotations: str) -> dict[str, Any]:
    """A pod whose container exits with 1 as soon as it runs."""
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": {
                "kubesim.dev/run-seconds": "0",
                "kubesim.dev/exit-code": "1",
                **annotations,
            },
        },
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def test_a_crash_loop_on_the_clock(cluster: Cluster) -> None:
    """Starts at 1, 1, 11, 31, 71, 151, 311, then each 300 s."""
    cluster.api.create(crashing())
    cluster.sleep(1300)
    starts = [r.time for r in cluster.analytics.since(action="PodRunning").rows]
    assert starts == [1, 1, 11, 31, 71, 151, 311, 611, 911, 1211]
    pod = cluster.api.get("Pod", "crash")
    state = pod["status"]["containerStatuses"][0]
    assert pod["status"]["phase"] == "Running"
    assert state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert state["lastState"]["terminated"]["exitCode"] == 1
    assert state["restartCount"] == 9  # of ten starts; it rises when the container starts
    assert any(e["reason"] == "BackOff" for e in cluster.api.list("Event")["items"])


def test_on_failure_stops_at_success(cluster: Cluster) -> None:
    """A container that exits with 0 stays completed; one that fails is restarted."""
    good, bad = crashing("good"), crashing("bad")
    good["metadata"]["annotations"]["kubesim.dev/exit-code"] = "0"
    for pod in (good, bad):
        pod["spec"]["restartPolicy"] = "OnFailure"
        cluster.api.create(pod)
    cluster.sleep(30)
    phases = {p["name"]: p["status"] for p in cluster.api.list_pods()}
    assert phases == {"good": "Succeeded", "bad": "Running"}


def test_a_watch_sees_succeeded_before_the_pod_is_gone(cluster: Cluster) -> None:
    """Graceful: marked, Succeeded, DELETED; the samples go with it."""
    identity = cluster.api.create_pod("p")["id"]
    cluster.sleep(5)
    watch = cluster.api.watch("Pod")
    cluster.api.delete_pod(identity)
    seen = [(e.type, e.object["status"]["phase"]) for e in watch.poll()]
    assert seen == [("MODIFIED", "Running"), ("MODIFIED", "Succeeded"), ("DELETED", "Succeeded")]
    assert cluster.api.sample("default", "p") is None
    assert "pod/default/p" not in cluster.clock.workers()


def test_a_force_deleted_pod_stops_by_itself(cluster: Cluster) -> None:
    """Its object vanished: the worker ends and writes nothing more."""
    cluster.api.create_pod("p")
    cluster.sleep(5)
    cluster.api.delete("Pod", "p", grace_period_seconds=0)
    cluster.sleep(5)
    assert "pod/default/p" not in cluster.clock.workers()
    assert cluster.api.sample("default", "p") is None
    with pytest.raises(NotFound):
        cluster.api.get("Pod", "p")


def test_a_pod_made_anew_under_its_name_is_another_pod(cluster: Cluster) -> None:
    """The old one's status never lands on the new one."""
    cluster.api.create_pod("p")
    cluster.sleep(5)
    cluster.api.delete("Pod", "p", grace_period_seconds=0)
    again = cluster.api.create_pod("p")
    assert again["status"] == "Pending"
    cluster.sleep(5)
    assert cluster.api.get_pod(again["id"])["status"] == "Running"


class Explodes:
    """A workload of the learner's own with a mistake in it."""

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Works for a while."""
        if now > 5:
            raise RuntimeError("boom")
        return 100, 1_000_000


def test_an_exception_in_a_pod_fails_that_pod_alone() -> None:
    """Restarted by its policy or Failed, reported as Event and log row; the others go on."""
    workloads = {"bad": lambda _c: Explodes()}
    with Cluster(nodes=1, hpa=False, workloads=workloads, job_seconds=60) as cluster:
        for name, policy in (("never", "Never"), ("always", "Always")):
            pod = crashing(name)
            pod["metadata"]["annotations"] = {"kubesim.dev/workload": '{"model": "bad"}'}
            pod["spec"]["restartPolicy"] = policy
            cluster.api.create(pod)
        cluster.api.create_pod("good")
        cluster.sleep(20)
        pods = {p["name"]: p for p in cluster.api.list_pods()}
        assert pods["never"]["status"] == "Failed"
        assert pods["always"]["status"] == "Running"
        assert pods["good"]["status"] == "Running"
        assert any("RuntimeError: boom" in line for line in pods["never"]["logs"])
        assert cluster.analytics.since(action="PodError", level="error").rows
        assert not cluster.failures


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"model": "nope"}', '{"model": "load", "x": 1}', '"seed"']
)
def test_a_bad_workload_annotation_is_refused_in_words(cluster: Cluster, text: str) -> None:
    """The pod fails with a reason; nothing else happens."""
    pod = crashing("p")
    pod["metadata"]["annotations"] = {"kubesim.dev/workload": text}
    cluster.api.create(pod)
    cluster.sleep(5)
    status = cluster.api.get("Pod", "p")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidWorkload")
    assert "kubesim.dev/workload" in status["message"]


def test_a_node_refuses_what_does_not_fit(cluster: Cluster) -> None:
    """Bound past the scheduler: OutOfcpu, and the pod is Failed."""
    big = crashing("big")
    big["spec"]["nodeName"] = "node-1"
    big["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "5"}}
    cluster.api.create(big)
    cluster.sleep(5)
    status = cluster.api.get("Pod", "big")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")


def test_usage_is_a_pure_function_of_seed_pod_and_second() -> None:
    """Adding a pod, or reading in another order, changes the usage of no other pod."""
    one, two = SeedWorkload(7, "a"), SeedWorkload(7, "a")
    forward = [one.usage(float(t), None) for t in range(200)]
    backward = [two.usage(float(t), None) for t in reversed(range(200))]
    assert forward == backward[::-1]
    assert forward != [SeedWorkload(7, "b").usage(float(t), None) for t in range(200)]
    cpus = {cpu for cpu, _ in forward}
    memories = {memory for _, memory in forward}
    assert min(cpus) >= 100
    assert max(cpus) <= 200
    assert min(memories) >= 50_000_000
    assert max(memories) <= 100_000_000
    assert len(cpus) > 60

    def numbers(extra: int) -> list[tuple[Any, ...]]:
        with Cluster(nodes=1, seed=3, hpa=False) as cluster:
            cluster.api.create_pod("mine")
            for number in range(extra):
                cluster.api.create_pod(f"other-{number}")
            cluster.sleep(20)
            key = "/registry/metrics.k8s.io/pods/default/mine"
            return [row[2] for row in cluster.store.samples_since(0)[0] if row[1] == key]

    assert numbers(0) == numbers(5)


def test_load_costs_cpu_up_to_the_capacity() -> None:
    """10 millicores for each request per second, 20 idle, capped."""
    model = LoadWorkload(1, "a", noise=0)
    assert model.usage(0.0, None)[0] == 20
    assert model.usage(0.0, 10.0)[0] == 120
    assert model.usage(0.0, 1000.0)[0] == 500
    assert model.capacity_rps() == 48


def test_several_containers_split_the_usage(cluster: Cluster) -> None:
    """Parts add up to the whole."""
    pod = crashing("p")
    del pod["metadata"]["annotations"]
    pod["spec"]["containers"] = [{"name": n, "image": "x"} for n in ("a", "b", "c")]
    cluster.api.create(pod)
    cluster.sleep(5)
    containers = cluster.api.sample("default", "p")[2]  # type: ignore[index]
    assert [c[0] for c in containers] == ["a", "b", "c"]
    assert 100 <= sum(c[1] for c in containers) <= 200


def test_nodes_give_signs_of_life(cluster: Cluster) -> None:
    """A Lease, renewed each ten seconds."""
    cluster.sleep(25)
    lease = cluster.api.get("Lease", "node-1", "kube-node-lease")
    assert lease["spec"]["renewTime"] == "2025-01-01T00:00:20.000000Z"
    node = cluster.api.get("Node", "node-1")
    assert node["status"]["capacity"] == {
        "cpu": "4",
        "ephemeral-storage": "100Gi",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": "8Gi",
        "pods": "110",
    }


def test_a_thousand_births_and_deaths_leave_nothing_behind(cluster: Cluster) -> None:
    """No worker, no key but what was there, no sample."""
    cluster.sleep(5)
    workers, keys = cluster.clock.workers(), cluster.store.statistics()["keys"]
    for number in range(1000):
        identity = cluster.api.create_pod(f"p{number}")["id"]
        if number % 10 == 0:
            cluster.sleep(2)
        cluster.api.delete_pod(identity)
    cluster.sleep(4000)
    assert cluster.clock.workers() == workers
    assert cluster.store.statistics()["keys"] <= keys + 2


@pytest.mark.live
def test_deleting_during_a_tick_never_resurrects_a_pod() -> None:
    """Sixty pods on threads, deleted while they write, switched as often as possible."""
    import sys

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with Cluster(nodes=3, seed=1, hpa=False, clock="live", speed=50) as cluster:
            for number in range(60):  # a node has room for twenty
                cluster.api.create_pod(f"p{number}")
            assert cluster.wait_until(
                lambda: sum(p["status"] == "Running" for p in cluster.api.list_pods()) > 40, 3_000
            )
            for record in cluster.api.list_pods():
                cluster.api.delete("Pod", record["name"])
            assert cluster.wait_until(lambda: cluster.api.list_pods() == [], 3_000)
            cluster.sleep(20)
            assert cluster.api.list_pods() == []
            assert not any(t.name.startswith("pod/") for t in threading.enumerate())
            assert not cluster.failures
    finally:
        sys.setswitchinterval(interval)


def test_statistics_are_read_while_a_pod_is_removed(cluster: Cluster) -> None:
    """On the live clock another thread reads them between the two steps of a removal."""
    cluster.api.create(crashing("web"))
    cluster.sleep(3)
    node = next(k for k in cluster.kubelets if "default/web" in k._workers.runners)
    workers = node._workers
    before = node.statistics()["running"]
    runner = workers.runners.pop("default/web")  # the first step; its requests are still counted
    assert node.statistics()["running"] == before
    workers.runners["default/web"] = runner


@pytest.mark.parametrize("factory", [3, "load", object()])
def test_a_factory_that_cannot_be_called_is_refused(factory: object) -> None:
    """The message says what is expected."""
    with pytest.raises(BadRequest, match="workloads must be a mapping from names to functions"):
        Cluster(nodes=1, workloads={"mine": factory})  # type: ignore[dict-item]


def test_a_factory_that_creates_no_model_costs_its_pod_the_admission() -> None:
    """The pod is refused; the message says what a workload model needs."""
    with Cluster(nodes=1, hpa=False, workloads={"mine": lambda context: 3}) as cluster:
        pod = crashing("p")
        pod["metadata"]["annotations"] = {"kubesim.dev/workload": '{"model": "mine"}'}
        cluster.api.create(pod)
        cluster.sleep(3)
        status = cluster.api.get("Pod", "p")["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidWorkload")
        assert "must have a method usage(now, load)" in status["message"]
