"""StatefulSets: the plan as rows, and the controller under faults."""

from __future__ import annotations

import random
from typing import Any

import pytest

from kubesim import Cluster, autopod
from kubesim.apiserver import KubeAPI
from kubesim.controllers.statefulset_plan import (
    SetPod,
    SetSpec,
    ordinal_of,
    plan,
    revision_for,
)
from kubesim.errors import Conflict

OK = {"revision": "new"}


def spec(replicas: int, **options: Any) -> SetSpec:
    """A spec with the newest revision called "new"."""
    return SetSpec("web", replicas, update_revision="new", **options)


def pod(ordinal: int, **facts: Any) -> SetPod:
    """A healthy pod of the newest revision."""
    return SetPod(ordinal, **{**OK, **facts})


@pytest.mark.parametrize(
    ("wanted", "pods", "create", "delete"),
    [
        (spec(3), [], (0,), ()),
        (spec(3), [pod(0)], (1,), ()),
        (spec(3), [pod(0, ready=False)], (), ()),
        (spec(3), [pod(0, terminating=True)], (), ()),
        (spec(3), [pod(0, phase="Failed")], (), (0,)),
        (spec(3), [pod(0, phase="Succeeded")], (), (0,)),
        (spec(2), [pod(0), pod(1), pod(2)], (), (2,)),
        (spec(1), [pod(0), pod(1), pod(2)], (), (2,)),
        (spec(1), [pod(0), pod(1, ready=False), pod(2)], (), ()),
        (spec(1), [pod(0), pod(1), pod(2, ready=False)], (), (2,)),
        (spec(1), [pod(0), pod(1, terminating=True)], (), ()),
        (spec(2, start=5), [], (5,), ()),
        (spec(3, parallel=True), [], (0, 1, 2), ()),
        (spec(3, parallel=True), [pod(1, ready=False)], (0, 2), ()),
        (spec(1, parallel=True), [pod(0), pod(1), pod(2)], (), (2, 1)),
        (spec(2, parallel=True), [pod(0, phase="Failed"), pod(1)], (), (0,)),
        (spec(2), [pod(0, revision="old"), pod(1, revision="old")], (), (1,)),
        (spec(2), [pod(0, revision="old"), pod(1)], (), (0,)),
        (spec(2), [pod(0, revision="old"), pod(1, ready=False)], (), ()),
        (spec(2, partition=1), [pod(0, revision="old"), pod(1)], (), ()),
        (spec(2, rolling=False), [pod(0, revision="old"), pod(1)], (), ()),
        (spec(2, parallel=True), [pod(0, revision="old"), pod(1, revision="old")], (), (1,)),
        (spec(0), [pod(0)], (), (0,)),
        (spec(2), [pod(0), pod(1)], (), ()),
    ],
)
def test_the_next_step(wanted: SetSpec, pods: list[SetPod], create: Any, delete: Any) -> None:
    """Ordered: one at a time; parallel: all at once; updates from the highest down."""
    decided = plan(wanted, pods, now=100.0)
    assert (decided.create, decided.delete) == (create, delete)
    assert decided.reason


def test_availability_is_inclusive_and_looked_at_again() -> None:
    """Ready for minReadySeconds, the moment itself included (1.34)."""
    wanted = spec(2, min_ready_seconds=10)
    young = [pod(0, ready_since=91.0)]
    assert plan(wanted, young, now=100.0).look_again == 101.0
    assert plan(wanted, young, now=101.0).create == (1,)


def test_names_carry_ordinals() -> None:
    """Only canonical numbers of this very set."""
    assert [ordinal_of("web", name) for name in ("web-0", "web-12", "web-01", "web-x", "db-1")] == [
        0,
        12,
        None,
        None,
        None,
    ]
    assert revision_for(spec(3, partition=2), 1, "old") == "old"
    assert revision_for(spec(3, partition=2), 2, "old") == "new"


def names(cluster: Cluster) -> list[str]:
    """Pods of the workload that are not on their way out."""
    return sorted(p["name"] for p in cluster.api.list_pods() if p["status"] == "Running")


@pytest.fixture
def cluster() -> Any:
    """Three nodes, and a set of three that no autoscaler touches."""
    with Cluster(nodes=3, seed=1, hpa=False) as made:
        made.api.create(autopod.workload("web", replicas=3))
        yield made


def test_scaling_up_and_down(cluster: Cluster) -> None:
    """The highest numbers come last and go first."""
    cluster.sleep(5)
    assert names(cluster) == ["web-0", "web-1", "web-2"]
    cluster.api.update_scale("StatefulSet", "web", replicas=5)
    cluster.sleep(5)
    assert names(cluster) == [f"web-{n}" for n in range(5)]
    cluster.api.update_scale("StatefulSet", "web", replicas=2)
    cluster.sleep(5)
    assert names(cluster) == ["web-0", "web-1"]
    status = cluster.api.get("StatefulSet", "web")["status"]
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (2, 2, 2)
    assert "web-2" in str(cluster.explain("statefulset/web").decisions)


def test_a_rolling_update_replaces_one_pod_at_a_time(cluster: Cluster) -> None:
    """From the highest ordinal down; each next one when the last is ready."""
    cluster.sleep(5)
    watch = cluster.api.watch("Pod")
    patch = {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}
    cluster.api.patch("StatefulSet", "web", patch)
    cluster.sleep(60)
    gone = [e.object["metadata"]["name"] for e in watch.poll() if e.type == "DELETED"]
    assert gone == ["web-2", "web-1", "web-0"]
    pods = cluster.api.list("Pod")["items"]
    assert all(p["metadata"]["annotations"]["v"] == "2" for p in pods)
    status = cluster.api.get("StatefulSet", "web")["status"]
    assert status["currentRevision"] == status["updateRevision"]


def test_deleting_the_set_collects_its_pods(cluster: Cluster) -> None:
    """The garbage collector looks at uids: a set made anew does not own the old pods."""
    cluster.sleep(5)
    cluster.api.delete("StatefulSet", "web")
    cluster.sleep(5)
    assert cluster.api.list_pods() == []


def test_pods_of_a_node_that_is_gone_are_removed_and_made_anew(cluster: Cluster) -> None:
    """Pod garbage collection after its quarantine, then the controller and the scheduler."""
    cluster.sleep(5)
    node = cluster.api.get("Pod", "web-0")["spec"]["nodeName"]
    cluster.api.delete("Node", node)
    cluster.sleep(70)
    assert names(cluster) == ["web-0", "web-1", "web-2"]
    assert cluster.api.get("Pod", "web-0")["spec"]["nodeName"] != node


class Flaky:
    """Makes a share of all writes fail with a Conflict, seeded."""

    def __init__(self, api: KubeAPI, share: float, seed: int) -> None:
        rng = random.Random(seed)
        self.raised = 0
        for verb in ("create", "update", "update_status", "update_scale", "delete"):
            setattr(api, verb, self._wrap(getattr(api, verb), rng, share))

    def _wrap(self, verb: Any, rng: random.Random, share: float) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if rng.random() < share:
                self.raised += 1
                raise Conflict("injected")
            return verb(*args, **options)

        return call


@pytest.mark.parametrize("seed", range(8))
def test_conflicts_everywhere_change_nothing_in_the_end(seed: int) -> None:
    """One write in ten fails; the set still gets where it should."""
    with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
        cluster.sleep(1)
        flaky = Flaky(cluster.api, 0.1, seed)
        for attempt in range(20):
            try:
                cluster.api.create(autopod.workload("web", replicas=4))
                break
            except Conflict:
                assert attempt < 19
        cluster.sleep(300)
        assert flaky.raised > 0
        running = {p["name"] for p in cluster.api.list_pods() if p["status"] == "Running"}
        assert running == {f"web-{n}" for n in range(4)}


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_ties_does_not_matter(seed: int) -> None:
    """Shuffled ties: the same end."""
    from kubesim.clock import VirtualClock

    with Cluster(nodes=3, hpa=False, clock=VirtualClock(shuffle_seed=seed)) as cluster:
        cluster.api.create(autopod.workload("web", replicas=3))
        cluster.sleep(10)
        cluster.api.update_scale("StatefulSet", "web", replicas=6)
        cluster.sleep(10)
        cluster.api.update_scale("StatefulSet", "web", replicas=2)
        cluster.sleep(20)
        assert names(cluster) == ["web-0", "web-1"]


def test_reconciling_twice_does_nothing_more(cluster: Cluster) -> None:
    """Level-triggered: the second time there is nothing left to do."""
    cluster.sleep(10)
    revision = cluster.store.revision
    controller = cluster.controllers[0]
    objects = cluster.api.snapshot("Pod")[0]
    controller.reconcile("default/web")
    controller.reconcile("default/web")
    assert cluster.store.revision == revision
    assert cluster.api.snapshot("Pod")[0] == objects
