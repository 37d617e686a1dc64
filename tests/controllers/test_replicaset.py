"""ReplicaSets: the plan as rows, and the controller on virtual time, with faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from deployment_cases import workload
from hypothesis import given
from hypothesis import strategies as st

from kubesim import Cluster
from kubesim.controllers.replicaset.controller import slow_start
from kubesim.controllers.replicaset.plan import (
    ReplicaPod,
    failure_condition,
    next_available,
    plan,
    status_of,
)
from kubesim.controllers.shared.controllerrefs import claim_action
from kubesim.controllers.shared.expectations import Expectations
from kubesim.controllers.shared.ranking import RankedPod
from kubesim.errors import Cause, Forbidden
from kubesim.objects.selectors import parse_label_selector


def pod(name: str, **facts: Any) -> ReplicaPod:
    """A pod that is ready since second 0; facts about the pod or about its rank."""
    own = {key: facts.pop(key) for key in ("terminating", "fully_labeled") if key in facts}
    return ReplicaPod(name, RankedPod(**{"uid": name, "ready_since": 0.0, **facts}), **own)


@pytest.mark.parametrize(
    ("replicas", "pods", "create", "delete"),
    [
        (3, [], 3, ()),
        (3, [pod("a"), pod("b")], 1, ()),
        (2, [pod("a"), pod("b", terminating=True)], 1, ()),
        (2, [pod("a"), pod("b", phase="Failed", ready=False)], 1, ()),
        (2, [pod("a"), pod("b", phase="Succeeded", ready=False)], 1, ()),
        (2, [pod("a"), pod("b")], 0, ()),
        (1, [pod("a"), pod("b", ready=False)], 0, ("b",)),
        (1, [pod("a"), pod("b", terminating=True)], 0, ()),
        (1, [pod("a", deletion_cost=5), pod("b"), pod("c", deletion_cost=-5)], 0, ("c", "b")),
        (0, [pod("b"), pod("a")], 0, ("b", "a")),
        (2000, [], 500, ()),
        (0, [pod(str(n)) for n in range(600)], 0, tuple(str(n) for n in range(500))),
    ],
)
def test_what_a_pass_does(replicas: int, pods: list[ReplicaPod], create: int, delete: Any) -> None:
    """Terminating and ended pods do not count; at most 500 at once; ranked only if some stay."""
    decided = plan(replicas, pods, now=100.0)
    if len(pods) <= 500:
        assert (decided.create, decided.delete) == (create, delete)
    else:
        assert len(decided.delete) == 500
    assert decided.reason


def test_crowded_nodes_are_relieved_first() -> None:
    """Pods of all ReplicaSets of the Deployment count, and only where there is a Deployment."""
    pods = [pod("a", node="one"), pod("b", node="two")]
    assert plan(1, pods, 9.0, {"one": 1, "two": 3}).delete == ("b",)
    assert plan(1, pods, 9.0).delete == ("a",)  # both count 0: equal ages, so the order stays


def test_the_status_leaves_out_what_is_zero() -> None:
    """Counters of active pods; available at the very second that minReadySeconds are over."""
    pods = [
        pod("a", ready_since=90.0),
        pod("b", ready_since=91.0, fully_labeled=False),
        pod("c", ready=False),
        pod("d", terminating=True),
        pod("e", ready_since=None),
    ]
    assert status_of(pods, min_ready_seconds=10, generation=3, now=100.0) == {
        "replicas": 4,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 1,
        "observedGeneration": 3,
    }
    assert next_available(pods, 10, 100.0) == 101.0
    assert next_available(pods, 0, 100.0) is None
    empty = status_of([], min_ready_seconds=0, generation=1, now=0.0)
    assert empty == {"replicas": 0, "observedGeneration": 1}


def test_a_failure_is_reported_once_and_forgotten_after_a_good_pass() -> None:
    """The condition is not refreshed while it is there."""
    first = failure_condition([], "quota", creating=True, timestamp="t1")
    assert first == [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "lastTransitionTime": "t1",
            "reason": "FailedCreate",
            "message": "quota",
        }
    ]
    assert failure_condition(first, "other", creating=False, timestamp="t2") == first
    assert failure_condition(first, "", creating=True, timestamp="t3") == []
    failed = failure_condition([], "no", creating=False, timestamp="t")
    assert failed[0]["reason"] == "FailedDelete"


def test_slow_start_stops_after_the_first_batch_with_a_failure() -> None:
    """Ten wanted where five are accepted: seven calls, two failures, three never tried."""
    calls: list[int] = []

    def create() -> Exception | None:
        calls.append(1)
        return None if len(calls) <= 5 else ValueError("full")

    assert len(slow_start(10, create)) == 2
    assert len(calls) == 7


OWNER = {"metadata": {"uid": "mine"}}
LEAVING = {"metadata": {"uid": "mine", "deletionTimestamp": "t"}}


def thing(labels: str, controller: str = "", **metadata: Any) -> dict[str, Any]:
    """A document with a label ``app``."""
    owners = [{"uid": controller, "controller": True}] if controller else []
    return {"metadata": {"labels": {"app": labels}, "ownerReferences": owners, **metadata}}


@pytest.mark.parametrize(
    ("owner", "obj", "expected"),
    [
        (OWNER, thing("web", "mine"), "keep"),
        (OWNER, thing("web", "other"), "ignore"),
        (OWNER, thing("web"), "adopt"),
        (OWNER, thing("db"), "ignore"),
        (OWNER, thing("db", "mine"), "release"),
        (OWNER, thing("web", deletionTimestamp="t"), "ignore"),
        (LEAVING, thing("web"), "ignore"),
        (LEAVING, thing("db", "mine"), "ignore"),
        (LEAVING, thing("web", "mine"), "keep"),
    ],
)
def test_who_owns_what(owner: Any, obj: Any, expected: str) -> None:
    """Another controller's objects are left alone, whatever their labels say."""
    assert claim_action(owner, parse_label_selector("app=web"), obj) == expected


@given(st.lists(st.tuples(st.sampled_from("mdsg"), st.integers(0, 4))))
def test_expectations_count_each_pod_once(steps: list[tuple[str, int]]) -> None:
    """Whatever the order, and however often events repeat: the count is that of the open uids."""
    expected = Expectations()
    created: set[str] = set()
    deleted: set[str] = set()
    for step, number in steps:
        uid = str(number)
        if step == "m":
            expected.expect_creation("key", uid, now=0.0)
            created.add(uid)
        elif step == "d":
            expected.expect_deletion("key", uid, now=0.0)
            deleted.add(uid)
        elif step == "s":
            expected.creation_observed(uid)
            created.discard(uid)
        else:
            expected.deletion_observed(uid)
            created.discard(uid)
            deleted.discard(uid)
        assert expected.unsatisfied("key", now=300.0) == len(created) + len(deleted)
    assert expected.unsatisfied("key", now=301.0) == 0
    assert expected.unsatisfied("key", now=0.0) == 0, "expired expectations are dropped"


# -- the controller on virtual time ----------------------------------------------------------------


def replicaset(name: str = "web", replicas: int = 3, **spec: Any) -> dict[str, Any]:
    """A ReplicaSet of small pods."""
    return workload("ReplicaSet", name, replicas, "100m", "64Mi", **spec)


@pytest.fixture
def cluster() -> Any:
    """Three nodes, nothing on them."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        yield created


def pods_of(cluster: Cluster) -> list[dict[str, Any]]:
    """Pods that are not terminating, by name."""
    items = cluster.api.list("Pod")["items"]
    return [p for p in items if "deletionTimestamp" not in p["metadata"]]


def events(cluster: Cluster, reason: str) -> list[str]:
    """Messages of the events of a reason, about ReplicaSets."""
    return [
        event["message"]
        for event in cluster.api.list("Event")["items"]
        if event["reason"] == reason and event["involvedObject"]["kind"] == "ReplicaSet"
    ]


def test_pods_are_made_named_reported_and_counted(cluster: Cluster) -> None:
    """Names carry five characters of the suffix alphabet; the status has the API's fields."""
    cluster.api.create(replicaset())
    cluster.sleep(10)
    pods = pods_of(cluster)
    assert len(pods) == 3
    for created in pods:
        prefix, _, suffix = created["metadata"]["name"].rpartition("-")
        assert prefix == "web"
        assert len(suffix) == 5
        assert set(suffix) <= set("bcdfghjklmnpqrstvwxz2456789")
        assert created["metadata"]["generateName"] == "web-"
    assert cluster.api.get("ReplicaSet", "web")["status"] == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "observedGeneration": 1,
    }
    names = sorted(p["metadata"]["name"] for p in pods)
    assert sorted(events(cluster, "SuccessfulCreate")) == [f"Created pod: {n}" for n in names]
    assert "create 3 pods" in str(cluster.explain("replicaset/web").decisions[0])


def test_a_deleted_pod_is_replaced_before_it_has_gone(cluster: Cluster) -> None:
    """Terminating pods do not count."""
    cluster.api.create(replicaset())
    cluster.sleep(10)
    victim = pods_of(cluster)[0]["metadata"]["name"]
    cluster.api.delete("Pod", victim)
    cluster.sleep(0.5)
    assert len(pods_of(cluster)) == 3
    assert victim not in {p["metadata"]["name"] for p in pods_of(cluster)}


def test_scaling_down_deletes_the_cheapest(cluster: Cluster) -> None:
    """pod-deletion-cost decides between equal pods."""
    cluster.api.create(replicaset(replicas=4))
    cluster.sleep(10)
    cheap = pods_of(cluster)[2]["metadata"]["name"]
    note = {"controller.kubernetes.io/pod-deletion-cost": "-10"}
    cluster.api.patch("Pod", cheap, {"metadata": {"annotations": note}})
    cluster.api.update_scale("ReplicaSet", "web", replicas=3)
    cluster.sleep(5)
    assert cheap not in {p["metadata"]["name"] for p in pods_of(cluster)}
    assert events(cluster, "SuccessfulDelete") == [f"Deleted pod: {cheap}"]


def test_orphans_are_adopted_and_strangers_released(cluster: Cluster) -> None:
    """A matching orphan is adopted; a pod whose label changes is released, and replaced."""
    orphan = replicaset()["spec"]["template"]
    cluster.api.create(
        {"kind": "Pod", **orphan, "metadata": {"name": "bare", **orphan["metadata"]}}
    )
    cluster.sleep(5)
    cluster.api.create(replicaset(replicas=2))
    cluster.sleep(10)
    pods = {p["metadata"]["name"]: p for p in pods_of(cluster)}
    assert len(pods) == 2
    assert pods["bare"]["metadata"]["ownerReferences"][0]["name"] == "web"
    cluster.api.patch("Pod", "bare", {"metadata": {"labels": {"app": "debug"}}})
    cluster.sleep(10)
    pods = {p["metadata"]["name"]: p for p in pods_of(cluster)}
    assert len(pods) == 3
    assert not pods["bare"]["metadata"].get("ownerReferences")


def test_min_ready_seconds_are_checked_again(cluster: Cluster) -> None:
    """Ready at once, available ten seconds later, without any event in between."""
    cluster.api.create(replicaset(minReadySeconds=10))
    cluster.wait_until(
        lambda: (cluster.api.get("ReplicaSet", "web").get("status") or {}).get("readyReplicas") == 3
    )
    assert "availableReplicas" not in cluster.api.get("ReplicaSet", "web")["status"]
    cluster.sleep(11)
    assert cluster.api.get("ReplicaSet", "web")["status"]["availableReplicas"] == 3


def failing(cluster: Cluster, error: Callable[[], Exception], after: int) -> dict[str, int]:
    """Let creations of pods fail from the n-th on; returns a counter and a switch."""
    state = {"calls": 0, "on": 1}
    create = cluster.api.create

    def flaky(document: Any, **options: Any) -> Any:
        if document.get("kind") == "Pod" and state["on"]:
            state["calls"] += 1
            if state["calls"] > after:
                raise error()
        return create(document, **options)

    cluster.api.create = flaky  # type: ignore[method-assign]
    return state


def test_a_refused_creation_is_reported_and_retried(cluster: Cluster) -> None:
    """FailedCreate as Event and condition with the server's message; removed once it works."""
    message = 'pods "web" is forbidden: exceeded quota'
    state = failing(cluster, lambda: Forbidden(message, hint="ours"), after=5)
    cluster.api.create(replicaset(replicas=10))
    cluster.sleep(5)
    assert len(pods_of(cluster)) == 5
    assert state["calls"] < 40, "a full quota costs one call in each later pass"
    condition = cluster.api.get("ReplicaSet", "web")["status"]["conditions"][0]
    assert (condition["reason"], condition["message"]) == ("FailedCreate", message)
    assert events(cluster, "FailedCreate") == [f"Error creating: {message}"]
    state["on"] = 0
    cluster.sleep(30)
    status = cluster.api.get("ReplicaSet", "web")["status"]
    assert status["readyReplicas"] == 10
    assert "conditions" not in status


def test_a_terminating_namespace_is_no_failure(cluster: Cluster) -> None:
    """Nothing that anybody could mend: no event, no condition."""
    cause = Cause("metadata.namespace", "NamespaceTerminating", "gone soon")
    failing(cluster, lambda: Forbidden("terminating", causes=[cause]), after=0)
    cluster.api.create(replicaset())
    cluster.sleep(10)
    assert events(cluster, "FailedCreate") == []
    assert "conditions" not in cluster.api.get("ReplicaSet", "web")["status"]
