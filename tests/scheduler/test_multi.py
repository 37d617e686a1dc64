"""Several schedulers side by side, each with its own pods."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import pod

from kubesim import Cluster
from kubesim.errors import BadRequest, NotFound
from kubesim.scheduler import NodeInfo, Status, default_profile


class Fullest:
    """A whole scheduler in one method: pack."""

    name = "Fullest"

    def choose(self, pod: Any, nodes: list[NodeInfo]) -> NodeInfo | None:
        """Return the fullest node with enough resources."""
        fitting = [n for n in nodes if n.allocatable.cpu_milli - n.requested.cpu_milli >= 500]
        return max(fitting, key=lambda n: (n.requested.cpu_milli, n.name), default=None)


class Loves:
    """A plug-in that is a profile by itself."""

    name = "Loves"

    def score(self, pod: Any, node: NodeInfo) -> int:
        """Prefer one node."""
        return 100 if node.name == "node-2" else 0


def placed(cluster: Cluster, *pods: Any) -> dict[str, str]:
    """Create pods, let time pass; return node by pod name."""
    cluster.sleep(1)
    for item in pods:
        cluster.api.create(item)
    cluster.sleep(5)
    items = cluster.api.list("Pod")["items"]
    return {p["metadata"]["name"]: p["spec"].get("nodeName", "") for p in items}


def test_each_scheduler_places_the_pods_that_name_it() -> None:
    """A policy, a plug-in and the default; a pod with an unknown schedulerName stays pending."""
    own = {"pack": Fullest(), "love": Loves(), "list": [Loves()]}
    with Cluster(nodes=3, seed=1, hpa=False, schedulers=own) as cluster:
        nodes = placed(
            cluster,
            *(pod(f"packed-{n}", "500m", schedulerName="pack") for n in range(4)),
            *(pod(f"loved-{n}", "100m", schedulerName="love") for n in range(2)),
            pod("listed", schedulerName="list"),
            *(pod(f"plain-{n}", "500m") for n in range(3)),
            pod("lost", schedulerName="nobody"),
        )
        assert len({nodes[f"packed-{n}"] for n in range(4)}) == 1
        assert {nodes["loved-0"], nodes["loved-1"], nodes["listed"]} == {"node-2"}
        assert all(nodes[f"plain-{n}"] for n in range(3))
        assert nodes["lost"] == ""
        with pytest.raises(NotFound) as lost:
            cluster.explain("pod/lost")
        assert (
            "no scheduler serves its schedulerName 'nobody' (served: default-scheduler, pack,"
            in str(lost.value.hint)
        )
        conditions = cluster.api.get("Pod", "lost")["status"].get("conditions", [])
        assert not [c for c in conditions if c["type"] == "PodScheduled"]
        events = cluster.api.list("Event")["items"]
        reporters = {
            e["involvedObject"]["name"]: e["reportingComponent"]
            for e in events
            if e["reason"] == "Scheduled"
        }
        assert (reporters["packed-0"], reporters["plain-0"]) == ("pack", "default-scheduler")
        assert "lost" not in {e["involvedObject"]["name"] for e in events}
        assert cluster.statistics()["pack"]["scheduled"] == 4


def test_a_policy_that_wants_no_node_leaves_the_pod_waiting() -> None:
    """The policy is asked again after an event."""
    with Cluster(nodes=1, seed=1, hpa=False, node_cpu="1", schedulers={"p": Fullest()}) as cluster:
        pods = [pod(f"p{n}", "500m", schedulerName="p") for n in range(3)]
        nodes = placed(cluster, *pods)
        assert list(nodes.values()).count("") == 1
        waiting = next(name for name, node in nodes.items() if not node)
        verdict = cluster.explain(f"pod/{waiting}").latest.verdict
        assert verdict == "0/1 nodes are available: 1 node(s) weren't chosen by Fullest."
        cluster.api.delete("Pod", next(name for name, node in nodes.items() if node))
        cluster.sleep(60)
        assert cluster.api.get("Pod", waiting)["spec"]["nodeName"] == "node-1"


@pytest.mark.parametrize("answer", ["node-9", RuntimeError("oops")])
def test_a_broken_policy_is_seen(answer: Any) -> None:
    """A failure leaves an Event, a log row and a record; other schedulers keep running."""

    class Broken:
        """Names a node that does not exist, or raises."""

        name = "Broken"

        def choose(self, pod: Any, nodes: Any) -> Any:
            """Return the wrong answer."""
            if isinstance(answer, Exception):
                raise answer
            return answer

    with Cluster(nodes=1, seed=1, hpa=False, schedulers={"b": Broken()}) as cluster:
        nodes = placed(cluster, pod("bad", schedulerName="b"), pod("good"))
        assert (nodes["bad"], nodes["good"]) == ("", "node-1")
        record = cluster.explain("pod/bad").latest
        assert "Broken" in record.verdict and record.binding == record.verdict
        assert [step.rule for step in record.steps] == ["error"]
        assert record.would_change_if.startswith("the code that failed were mended")
        assert cluster.analytics.since(action="PluginFailed", level="error").rows


@pytest.mark.parametrize("given", [{"default-scheduler": []}, {"": []}, {"x": object()}, ["x"]])
def test_what_cannot_be_a_scheduler_is_refused(given: Any) -> None:
    """A wrong entry is BadRequest."""
    with pytest.raises(BadRequest):
        Cluster(nodes=1, hpa=False, schedulers=given)


def test_same_seed_same_placements() -> None:
    """Two schedulers have random streams of their own."""
    runs = []
    for _ in range(2):
        own = {"love": Loves()}
        with Cluster(nodes=3, seed=5, hpa=False, schedulers=own, digest=True) as cluster:
            placed(cluster, *(pod(f"p{n}", "100m") for n in range(5)))
            runs.append(cluster.digest())
    assert runs[0] == runs[1]


class Refuses:
    """A filter that refuses every node."""

    name = "Refuses"

    def filter(self, pod: Any, node: NodeInfo) -> Status:
        """Refuse."""
        return Status.unschedulable("node(s) did not please")


def test_a_restart_with_another_profile_tries_the_waiting_pods_again() -> None:
    """Bound pods stay on their nodes; the statistics start from zero."""
    with Cluster(nodes=2, seed=1, hpa=False) as cluster:
        before = placed(cluster, pod("first", "100m"))
        cluster.restart_scheduler([*default_profile(), Refuses()])
        assert placed(cluster, pod("second", "100m")) == {**before, "second": ""}
        assert "2 node(s) did not please" in cluster.explain("pod/second").latest.verdict
        cluster.restart_scheduler()
        assert placed(cluster)["second"] != ""
        assert placed(cluster)["first"] == before["first"]
        assert cluster.statistics()["default-scheduler"]["scheduled"] == 1


def test_a_restart_with_nonsense_changes_nothing() -> None:
    """The old scheduler keeps running."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        with pytest.raises(BadRequest, match="is a class"):
            cluster.restart_scheduler([Refuses])
        assert placed(cluster, pod("p")) == {"p": "node-1"}


def test_a_policy_may_take_the_place_of_the_default_scheduler() -> None:
    """It has the default name, so that pods need no schedulerName."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        cluster.restart_scheduler(Fullest())
        nodes = placed(cluster, *(pod(f"p{n}", "500m") for n in range(4)))
        assert len(set(nodes.values())) == 1
