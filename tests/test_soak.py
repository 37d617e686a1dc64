"""A soak: all controllers at once, random edits and faults, and what must hold afterwards.

The invariants are those that hold in every cluster: wishes are met, nobody lives without an owner,
no node is overcommitted, no autoscaler left its bounds in any committed state, every cache equals
the store, and the same seed gives the same run, faults included.
"""

from __future__ import annotations

import os
from collections import defaultdict
from random import Random
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver.watching import ResourceWatch
from kubesim.client import Informer
from kubesim.errors import Conflict, Expired, StatusError, WorkerFailed
from kubesim.objects import meta
from kubesim.objects.meta import is_condition_true
from kubesim.objects.pods import is_finished, node_of, pod_requests
from kubesim.quantity import parse_cpu_milli, parse_memory
from kubesim.traffic import Sine

ROUNDS = int(os.environ.get("KUBESIM_SOAK_ROUNDS", "40"))  # edits in one run; more before a release
SETTLE_SECONDS = 1_800.0


def template(app: str, cpu: str, image: str = "nginx:1") -> dict[str, Any]:
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu}}}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}}


def workload(kind: str, name: str, replicas: int) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": template(name, "100m"),
    }
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


class Faults:
    """Conflicts before 4 % of the components' writes, and 1 % of their watches are lost."""

    def __init__(self, cluster: Cluster, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = True
        self.conflicts = self.losses = 0
        rng = Random(seed)
        commit, poll, clock = cluster.api.core.commit, ResourceWatch.poll, cluster.clock

        def flaky_commit(*arguments: Any, **options: Any) -> Any:
            if self.on and clock.current_worker() and rng.random() < 0.04:
                self.conflicts += 1
                raise Conflict("injected")
            return commit(*arguments, **options)

        def flaky_poll(watch: ResourceWatch, limit: int | None = None) -> Any:
            if self.on and clock.current_worker() and rng.random() < 0.01:
                self.losses += 1
                raise Expired("injected")
            return poll(watch, limit)

        monkeypatch.setattr(cluster.api.core, "commit", flaky_commit)
        monkeypatch.setattr(ResourceWatch, "poll", flaky_poll)


class Experiment:
    """One run: a cluster with everything in it, and somebody who keeps changing it."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rng = Random(seed)
        self.cluster = Cluster(nodes=5, seed=seed, digest=True)
        self.api = self.cluster.api
        self.faults = Faults(self.cluster, seed, monkeypatch)
        self.edits = (
            self.scale,
            self.new_image,
            self.kill_a_pod,
            self.cordon_or_not,
            self.power_cut,
            self.new_traffic,
            self.new_bounds,
            self.new_job,
            self.remove_and_make_again,
        )

    def prepare(self) -> None:
        self.api.create(workload("Deployment", "web", 6))
        self.api.create(workload("Deployment", "api", 3))
        self.api.create(workload("ReplicaSet", "alone", 2))
        daemons = workload("DaemonSet", "agent", 0)
        del daemons["spec"]["replicas"]
        self.api.create(daemons)
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        self.api.create({"kind": "Service", "metadata": {"name": "web"}, "spec": service})
        budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
        document = {"kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": budget}
        self.api.create(document)
        self.cluster.set_traffic(Sine(base=40, amplitude=35, period_seconds=900))

    def run(self) -> None:
        self.prepare()
        for _ in range(ROUNDS):
            self.sleep(self.rng.choice((1, 5, 20, 60)))
            try:
                self.rng.choice(self.edits)()
            except StatusError:
                continue  # somebody was faster, or it is gone: a user would look again
        self.faults.on = False
        for kubelet in self.cluster.kubelets:
            kubelet.recover()
            self.cordon(kubelet.node_name, on=False)
        self.sleep(SETTLE_SECONDS)

    def sleep(self, seconds: float) -> None:
        """Time passes; a component's failure is kept for the end."""
        end = self.cluster.clock.now() + seconds
        while self.cluster.clock.now() < end:
            try:
                self.cluster.sleep(end - self.cluster.clock.now())
            except WorkerFailed:
                continue

    # -- edits ----------------------------------------------------------------------------------

    def scale(self) -> None:
        kind, name = self.rng.choice(
            (("Deployment", "web"), ("Deployment", "api"), ("ReplicaSet", "alone"))
        )
        self.api.update_scale(kind, name, replicas=self.rng.randrange(0, 12))

    def new_image(self) -> None:
        kind, name = self.rng.choice((("Deployment", "web"), ("DaemonSet", "agent")))
        image = f"nginx:{self.rng.randrange(5)}"
        change = {"spec": {"template": template(name, "100m", image)}}
        self.api.patch(kind, name, change)

    def kill_a_pod(self) -> None:
        pods, _ = self.api.snapshot("Pod")
        if pods:
            pod = self.rng.choice(sorted(pods, key=meta.key_of))
            grace = self.rng.choice((None, 0, 5))
            name, namespace = meta.name_of(pod), meta.namespace_of(pod)
            self.api.delete("Pod", name, namespace, grace_period_seconds=grace)

    def cordon(self, node: str, *, on: bool) -> None:
        self.api.patch("Node", node, {"spec": {"unschedulable": on or None}})

    def cordon_or_not(self) -> None:
        node = self.rng.choice(self.cluster.kubelets).node_name
        self.cordon(node, on=self.rng.random() < 0.5)

    def power_cut(self) -> None:
        kubelet = self.rng.choice(self.cluster.kubelets)
        kubelet.fail()
        self.sleep(self.rng.choice((5, 100, 500)))
        kubelet.recover()

    def new_traffic(self) -> None:
        self.cluster.set_traffic(self.rng.choice((None, 10, 60, 150)))

    def new_bounds(self) -> None:
        least = self.rng.randrange(1, 4)
        self.cluster.set_hpa_config(min_pods=least, max_pods=least + self.rng.randrange(0, 8))

    def new_job(self) -> None:
        name = f"job-{self.rng.randrange(4)}"
        pod = template(name, "50m")
        pod["metadata"]["annotations"] = {"kubesim.dev/run-seconds": "20"}
        pod["spec"]["restartPolicy"] = "Never"
        spec = {"completions": 3, "parallelism": 2, "template": pod}
        self.api.create({"kind": "Job", "metadata": {"name": name}, "spec": spec})

    def remove_and_make_again(self) -> None:
        policy = self.rng.choice(("Background", "Foreground"))
        self.api.delete("Deployment", "api", propagation_policy=policy)
        self.sleep(60)
        self.api.create(workload("Deployment", "api", self.rng.randrange(1, 5)))


def soaked(seed: int, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    with monkeypatch.context() as patches:
        experiment = Experiment(seed, patches)
        try:
            experiment.run()
            check_everything(experiment)
        finally:
            experiment.cluster.close()
    return experiment


# -- what must hold --------------------------------------------------------------------------------


def check_everything(experiment: Experiment) -> None:
    cluster = experiment.cluster
    assert experiment.faults.conflicts > 20 and experiment.faults.losses > 5
    assert [str(failure) for failure in cluster.failures] == []
    pods = cluster.api.snapshot("Pod")[0]
    check_wishes(cluster, pods)
    check_owners(cluster, pods)
    check_nodes(cluster, pods)
    check_runners(cluster, pods)
    check_bounds(cluster)
    check_caches(cluster)


def check_wishes(cluster: Cluster, pods: list[Any]) -> None:
    """Every workload has the ready pods that it wants, and its status says so."""
    ready = defaultdict(int)
    for pod in pods:
        if is_condition_true(pod, "Ready") and not meta.is_terminating(pod):
            ready[meta.labels_of(pod).get("app", "")] += 1
    for kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        for found in cluster.api.snapshot(kind)[0]:
            if meta.controller_of(found) is not None:
                continue  # a Deployment's ReplicaSet: counted there
            wanted, status = found["spec"]["replicas"], found.get("status") or {}
            name = f"{kind} {meta.name_of(found)}"
            assert ready[meta.name_of(found)] == wanted, name
            assert status.get("replicas", 0) == status.get("readyReplicas", 0) == wanted, name
            assert status["observedGeneration"] == found["metadata"]["generation"], name
    daemons = cluster.api.get("DaemonSet", "agent")["status"]
    assert daemons["desiredNumberScheduled"] == daemons["numberReady"] == len(cluster.kubelets)
    for job in cluster.api.snapshot("Job")[0]:
        assert is_condition_true(job, "Complete") or is_condition_true(job, "Failed"), job["status"]
        assert not (job["status"].get("uncountedTerminatedPods") or {}).get("succeeded")


def check_owners(cluster: Cluster, pods: list[Any]) -> None:
    """Nobody outlives all of its owners, and nothing is stuck on its way out."""
    everything = [
        obj
        for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "EndpointSlice")
        for obj in cluster.api.snapshot(kind)[0]
    ] + pods
    alive = {meta.uid_of(obj) for obj in everything}
    alive |= {meta.uid_of(obj) for obj in cluster.api.snapshot("Service")[0]}
    for obj in everything:
        owners = [r["uid"] for r in obj["metadata"].get("ownerReferences") or ()]
        known = [
            r["uid"] for r in obj["metadata"].get("ownerReferences") or () if r["kind"] != "Node"
        ]
        assert not known or any(uid in alive for uid in owners), meta.key_of(obj)
        assert not meta.is_terminating(obj), meta.key_of(obj)
    endpoints = {
        endpoint["targetRef"]["uid"]
        for found in cluster.api.snapshot("EndpointSlice")[0]
        if meta.labels_of(found).get("kubernetes.io/service-name") == "web"
        for endpoint in found["endpoints"]
    }
    serving = {
        meta.uid_of(pod)
        for pod in pods
        if meta.labels_of(pod).get("app") == "web" and not is_finished(pod)
    }
    assert endpoints == serving


def check_nodes(cluster: Cluster, pods: list[Any]) -> None:
    """All nodes are back, free of taints, and none has more than it offers."""
    nodes = {meta.name_of(node): node for node in cluster.api.snapshot("Node")[0]}
    used: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for pod in pods:
        if not is_finished(pod):
            assert node_of(pod) in nodes, f"{meta.key_of(pod)} waits for a node"
            asked, sums = pod_requests(pod), used[node_of(pod)]
            sums[0] += asked.cpu_milli
            sums[1] += asked.memory_bytes
            sums[2] += 1
    for name, node in nodes.items():
        assert is_condition_true(node, "Ready"), name
        assert not node["spec"].get("taints"), name
        offered = node["status"]["allocatable"]
        limits = (
            parse_cpu_milli(offered["cpu"]),
            parse_memory(offered["memory"]),
            int(offered["pods"]),
        )
        assert all(taken <= most for taken, most in zip(used[name], limits, strict=True)), name


def check_runners(cluster: Cluster, pods: list[Any]) -> None:
    """Each running pod ticks, on one node alone; no worker is left of a pod that is gone."""
    running = {meta.key_of(pod) for pod in pods if pod["status"]["phase"] == "Running"}
    workers = [name.removeprefix("pod/") for name in cluster.clock.workers() if "pod/" in name]
    assert sorted(workers) == sorted(running)
    for pod in pods:
        if meta.key_of(pod) in running:
            sample = cluster.api.sample(meta.namespace_of(pod), meta.name_of(pod))
            assert sample is not None and cluster.clock.now() - sample[0] <= 1.0, meta.key_of(pod)


def check_bounds(cluster: Cluster) -> None:
    """In no committed state had the autoscaler left its bounds (H1)."""
    bounds: tuple[int, int] | None = None
    for row in cluster.api.audit.rows():
        if row.after is None:
            continue
        if row.key.endswith("horizontalpodautoscalers/default/auto-pod"):
            bounds = (row.after["spec"]["minReplicas"], row.after["spec"]["maxReplicas"])
        elif row.key.endswith("statefulsets/default/auto-pod") and row.before is not None:
            if row.actor == "horizontal-pod-autoscaler" and bounds is not None:
                if row.before["spec"]["replicas"] != row.after["spec"]["replicas"]:
                    assert bounds[0] <= row.after["spec"]["replicas"] <= bounds[1], row


def check_caches(cluster: Cluster) -> None:
    """Every informer's cache equals the store (C1)."""
    synced = 0
    for component in cluster.components:
        for informer in vars(component).values():
            if not isinstance(informer, Informer) or not informer.synced:
                continue  # it watches on demand, and there was none
            there = {
                meta.key_of(obj): obj["metadata"]["resourceVersion"]
                for obj in cluster.api.snapshot(informer._kind, informer._namespace)[0]
                if informer._matches(obj)
            }
            cached = {
                meta.key_of(obj): obj["metadata"]["resourceVersion"] for obj in informer.list()
            }
            assert cached == there, f"{component.name}: {informer._kind}"
            synced += 1
    assert synced > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_edits_and_faults_everything_is_as_it_was_wanted(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conflicts, lost watches, power cuts, cordons, new images; then half an hour of calm."""
    soaked(seed, monkeypatch)


@pytest.mark.slow
def test_a_soak_repeats_itself_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same seed, same faults, same history."""
    first, second = (soaked(4, monkeypatch).cluster for _ in range(2))
    assert first.digest() == second.digest()
