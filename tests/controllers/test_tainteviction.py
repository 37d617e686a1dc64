"""The taint eviction controller: which pods are evicted, when, and what cancels it."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import controller_of
from node_cases import a_replicaset, events, pods_on, terminating

from kubesim import Cluster
from kubesim.controllers import TaintEvictionController
from kubesim.errors import Conflict
from kubesim.objects import meta
from kubesim.objects.meta import get_condition

TAINT = {"key": "maintenance", "effect": "NoExecute"}


@pytest.fixture
def cluster() -> Any:
    """Two nodes, empty."""
    with Cluster(nodes=2, seed=1, hpa=False) as created:
        created.sleep(10)
        yield created


def pod(cluster: Cluster, name: str, seconds: int | None = -1, node: str = "node-1") -> None:
    """A running pod that tolerates the taint for so long; None: for ever; -1: not at all."""
    tolerations = []
    if seconds != -1:
        tolerations = [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute"}]
        if seconds is not None:
            tolerations[0]["tolerationSeconds"] = seconds  # type: ignore[assignment]
    spec = a_replicaset()["spec"]["template"]["spec"]
    spec = {**spec, "tolerations": tolerations, "nodeName": node}
    cluster.api.create({"kind": "Pod", "metadata": {"name": name}, "spec": spec})


def taint(cluster: Cluster, *taints: dict[str, Any], node: str = "node-1") -> None:
    """Set the taints of a node."""
    cluster.api.patch("Node", node, {"spec": {"taints": list(taints)}})


def names(cluster: Cluster) -> list[str]:
    """Pods that are there and not terminating."""
    return [meta.name_of(p) for p in cluster.api.list("Pod")["items"] if not meta.is_terminating(p)]


def test_each_pod_has_its_own_clock(cluster: Cluster) -> None:
    """Not tolerated: now; for 20 s: in 20 s; for ever: never; on another node: never."""
    pod(cluster, "now")
    pod(cluster, "later", 20)
    pod(cluster, "ever", None)
    pod(cluster, "elsewhere", node="node-2")
    cluster.sleep(5)
    taint(cluster, TAINT)
    cluster.sleep(1)
    assert names(cluster) == ["elsewhere", "ever", "later"]
    cluster.sleep(18.9)
    assert names(cluster) == ["elsewhere", "ever", "later"]
    cluster.sleep(0.2)
    assert names(cluster) == ["elsewhere", "ever"]
    cluster.sleep(1000)
    assert names(cluster) == ["elsewhere", "ever"]
    assert events(cluster, "TaintManagerEviction") == [
        (name, "Normal", "TaintManagerEviction", f"Marking for deletion Pod default/{name}")
        for name in ("now", "later")
    ]
    assert "evict now: node-1 has maintenance:NoExecute, which it does not tolerate" in str(
        cluster.explain("pod/now")
    )


def test_the_pod_says_why_it_was_disrupted(cluster: Cluster) -> None:
    """The condition DisruptionTarget is set before the deletion."""
    pod(cluster, "now")
    cluster.sleep(5)
    watch = cluster.api.watch("Pod")
    taint(cluster, TAINT)
    cluster.sleep(1)
    marked = next(e.object for e in watch.poll() if meta.is_terminating(e.object))
    condition = get_condition(marked, "DisruptionTarget")
    assert condition is not None
    assert (condition["status"], condition["reason"], condition["message"]) == (
        "True",
        "DeletionByTaintManager",
        "Taint manager: deleting due to NoExecute taint",
    )


def test_a_taint_that_goes_in_time_cancels(cluster: Cluster) -> None:
    """And a later one starts a new clock."""
    pod(cluster, "later", 20)
    cluster.sleep(5)
    taint(cluster, TAINT)
    cluster.sleep(15)
    taint(cluster)
    cluster.sleep(100)
    assert names(cluster) == ["later"]
    assert [e[3] for e in events(cluster, "TaintManagerEviction")] == [
        "Cancelling deletion of Pod default/later"
    ]
    taint(cluster, TAINT)
    cluster.sleep(19)
    assert names(cluster) == ["later"]
    cluster.sleep(2)
    assert names(cluster) == []


def test_a_toleration_that_comes_later_cancels(cluster: Cluster) -> None:
    """Unlimited calls it off; a longer time changes nothing."""
    pod(cluster, "saved", 20)
    pod(cluster, "lost", 20)
    cluster.sleep(5)
    taint(cluster, TAINT)
    cluster.sleep(10)
    for name, seconds in (("saved", None), ("lost", 500)):
        known = cluster.api.get("Pod", name)
        for toleration in known["spec"]["tolerations"]:
            if toleration["key"] == "maintenance":
                toleration.pop("tolerationSeconds")
                if seconds is not None:
                    toleration["tolerationSeconds"] = seconds
        cluster.api.update(known)
    cluster.sleep(30)
    assert names(cluster) == ["saved"]


def test_a_second_taint_neither_shortens_nor_lengthens(cluster: Cluster) -> None:
    """The timer runs from the first taint; an untolerated taint evicts at once."""
    pod(cluster, "both", 20)
    pod(cluster, "one", 20)
    cluster.sleep(5)
    known = cluster.api.get("Pod", "both")
    short = {"key": "short", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    known["spec"]["tolerations"].append(short)
    cluster.api.update(known)
    taint(cluster, TAINT)
    cluster.sleep(5)
    taint(cluster, TAINT, {"key": "short", "effect": "NoExecute"})
    cluster.sleep(2)
    assert names(cluster) == ["both"]
    cluster.sleep(12)
    assert names(cluster) == ["both"]
    cluster.sleep(2)
    assert names(cluster) == []


def test_a_pod_that_comes_to_a_tainted_node(cluster: Cluster) -> None:
    """Its clock starts when it is seen there."""
    taint(cluster, TAINT)
    cluster.sleep(50)
    pod(cluster, "late", 20)
    cluster.sleep(19)
    assert names(cluster) == ["late"]
    cluster.sleep(2)
    assert names(cluster) == []


def test_another_pod_of_that_name_has_a_clock_of_its_own(cluster: Cluster) -> None:
    """Deleted by hand and recreated: the old clock does not hit it."""
    pod(cluster, "web", 20)
    cluster.sleep(5)
    taint(cluster, TAINT)
    cluster.sleep(15)
    cluster.api.delete("Pod", "web", grace_period_seconds=0)
    cluster.sleep(0.1)
    pod(cluster, "web", 20)
    cluster.sleep(10)
    assert names(cluster) == ["web"]
    cluster.sleep(11)
    assert names(cluster) == []


def test_the_clocks_of_a_deleted_node_run_on(cluster: Cluster) -> None:
    """The taint stays: the pods are evicted when their timers expire."""
    pod(cluster, "later", 20)
    cluster.sleep(5)
    taint(cluster, TAINT)
    cluster.sleep(5)
    cluster.kubelets[0].stop()
    cluster.api.delete("Node", "node-1")
    cluster.sleep(14)
    assert not any(terminating(cluster, "node-1"))
    cluster.sleep(2)
    assert all(terminating(cluster, "node-1"))
    cluster.api.delete("Pod", "later", grace_period_seconds=0)
    cluster.sleep(1)
    assert [e[3] for e in events(cluster, "TaintManagerEviction")] == [
        "Marking for deletion Pod default/later"
    ]


def test_conflicts_only_cost_time(cluster: Cluster) -> None:
    """Six in a row exceed the retries of one attempt: one event, and done at the next."""
    pod(cluster, "now")
    cluster.sleep(5)
    update, calls = cluster.api.update_status, [0]

    def flaky(document: Any, **options: Any) -> Any:
        calls[0] += 1
        if document.get("kind") == "Pod" and calls[0] <= 6:
            raise Conflict("injected")
        return update(document, **options)

    cluster.api.update_status = flaky  # type: ignore[method-assign]
    taint(cluster, TAINT)
    cluster.sleep(5)
    assert names(cluster) == [] and calls[0] > 6
    assert len(events(cluster, "TaintManagerEviction")) == 1


def test_reconciling_twice_does_nothing_more(cluster: Cluster) -> None:
    """Also while a clock runs."""
    pod(cluster, "later", 100)
    cluster.sleep(5)
    taint(cluster, TAINT)
    cluster.sleep(5)
    revision = cluster.store.revision
    for key in ("node/node-1", "pod/default/later", "pod/default/none", "due/default/none"):
        controller_of(cluster, TaintEvictionController).reconcile(key)
        controller_of(cluster, TaintEvictionController).reconcile(key)
    assert cluster.store.revision == revision
    assert len(pods_on(cluster, "node-1")) == 1
