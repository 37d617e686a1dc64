"""ReplicaSets: the plan as rows, and the controller on virtual time, with faults."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from deployment_cases import workload
from hypothesis import given
from hypothesis import strategies as st

from kubesim import Cluster
from kubesim.controllers.replicaset import controller as controllers
from kubesim.controllers.replicaset.controller import slow_start
from kubesim.controllers.replicaset.plan import (
    ReplicaPod,
    count_pods,
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


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["Running", "Failed"])
        ),
        max_size=8,
    ),
    st.integers(0, 4),
    st.integers(0, 8),
)
def test_counts_stand_for_the_pods(facts: Any, replicas: int, without: int) -> None:
    """Plan and status are the same with counts that were kept by differences."""
    pods = [
        pod(str(n), terminating=gone, ready=ready, fully_labeled=labeled, phase=phase)
        for n, (gone, ready, labeled, phase) in enumerate(facts)
    ]
    counts = count_pods(pods)
    for removed in pods[:without]:
        counts = counts.without(removed)
    rest = pods[without:]
    assert counts == count_pods(rest)
    assert plan(replicas, rest, 9.0, counts=counts) == plan(replicas, rest, 9.0)
    options: Any = {"generation": 1, "now": 9.0}
    for seconds in (0, 9, 10):
        expected = status_of(rest, min_ready_seconds=seconds, **options)
        assert expected == status_of(
            rest if seconds else [], min_ready_seconds=seconds, counts=counts, **options
        )


def controller_of(cluster: Cluster) -> Any:
    """The running controller."""
    return next(each for each in cluster.components if each.name == "replicaset-controller")


@pytest.mark.parametrize("seed", range(4))
def test_the_counts_are_those_of_all_pods(cluster: Cluster, seed: int) -> None:
    """After pods were relabelled, adopted, deleted and failed, and the template changed."""
    random, api = Random(seed), cluster.api
    api.create(replicaset(replicas=4))
    for step in range(40):
        pods = pods_of(cluster)
        action = random.choice(("label", "delete", "orphan", "scale", "template", "fail", "disown"))
        if action == "orphan":
            orphan = {"name": f"orphan-{step}", "labels": {"app": "web"}}
            container = {"name": "main", "image": "nginx"}
            api.create({"kind": "Pod", "metadata": orphan, "spec": {"containers": [container]}})
        elif action == "scale":
            api.patch("ReplicaSet", "web", {"spec": {"replicas": random.randrange(6)}})
        elif action == "template":
            template = {"metadata": {"labels": {"step": str(step % 3)}}}
            api.patch("ReplicaSet", "web", {"spec": {"template": template}})
        elif pods:
            name = random.choice(pods)["metadata"]["name"]
            if action == "delete":
                api.delete("Pod", name, grace_period_seconds=random.choice((0, 5)))
            elif action == "label":
                api.patch("Pod", name, {"metadata": {"labels": {"app": "other"}}})
            elif action == "disown":
                api.patch("Pod", name, {"metadata": {"ownerReferences": None}})
            else:
                api.patch("Pod", name, {"spec": {"activeDeadlineSeconds": 1}})
        cluster.sleep(random.choice((0, 0.5, 3)))
        web = api.get("ReplicaSet", "web")
        kept = controller_of(cluster)._pod_sets[web["metadata"]["uid"]]
        assert kept.counts == count_pods(kept.facts())
        cluster.sleep(10)
        labels = web["spec"]["template"]["metadata"]["labels"]
        owned = [
            controllers.facts_of(each, labels, cluster.clock.seconds_at)
            for each in pods_of(cluster)
            if (each["metadata"].get("ownerReferences") or [{}])[0].get("uid")
            == web["metadata"]["uid"]
        ]
        kept = controller_of(cluster)._pod_sets[web["metadata"]["uid"]]
        assert sorted(kept.facts(), key=lambda fact: fact.name) == sorted(
            owned, key=lambda fact: fact.name
        )
        assert api.get("ReplicaSet", "web")["status"].get("replicas") == kept.counts.active


def test_a_sync_looks_at_the_pods_that_changed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pod a few times while fifty start, and not fifty times."""
    read: list[str] = []
    real = controllers.facts_of

    def facts_of(pod: Any, labels: Any, seconds_at: Any) -> ReplicaPod:
        read.append(pod["metadata"]["name"])
        return real(pod, labels, seconds_at)

    monkeypatch.setattr(controllers, "facts_of", facts_of)
    cluster.api.create(replicaset(replicas=50))
    cluster.sleep(30)
    assert cluster.api.get("ReplicaSet", "web")["status"]["readyReplicas"] == 50
    assert len(read) <= 50 * 6


def test_a_claim_that_fails_is_made_up_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pods of the failed sync are counted by the next one."""
    cluster.api.create(replicaset(replicas=3))
    cluster.sleep(10)
    failures = [Forbidden("no"), Forbidden("no")]
    real = controllers.claim

    def claim(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*arguments)

    monkeypatch.setattr(controllers, "claim", claim)
    cluster.api.delete("Pod", pods_of(cluster)[0]["metadata"]["name"])
    cluster.sleep(60)
    assert failures == []
    assert cluster.api.get("ReplicaSet", "web")["status"]["readyReplicas"] == 3
    assert len(pods_of(cluster)) == 3


def test_a_pod_without_its_owner_is_adopted_again_and_counted_once(cluster: Cluster) -> None:
    """It is both a changed pod and an orphan."""
    cluster.api.create(replicaset(replicas=3))
    cluster.sleep(10)
    names = sorted(pod["metadata"]["name"] for pod in pods_of(cluster))
    for name in names:
        cluster.api.patch("Pod", name, {"metadata": {"ownerReferences": None}})
        cluster.sleep(20)
    assert sorted(pod["metadata"]["name"] for pod in pods_of(cluster)) == names
    assert events(cluster, "SuccessfulDelete") == []
    assert cluster.api.get("ReplicaSet", "web")["status"]["readyReplicas"] == 3
