"""cluster.node(): cordon, taint, drain, the power switch, and how a node is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim import Cluster
from kubesim.ctl.drain import drain_plan
from kubesim.ctl.node import parse_taint
from kubesim.errors import BadRequest, Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.pods import is_ready

CONTAINER = {
    "name": "main",
    "image": "kubesim/pod",
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
}


def pod(
    name: str = "p", owner: str = "ReplicaSet", phase: str = "Running", **spec: Any
) -> dict[str, Any]:
    """A pod as a drain sees it; an owner of "" is none."""
    metadata: dict[str, Any] = {"name": name, "namespace": "default"}
    if owner:
        reference = {"apiVersion": "apps/v1", "kind": owner, "name": "web", "uid": "u"}
        metadata["ownerReferences"] = [{**reference, "controller": True}]
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


EMPTY_DIR = [{"name": "cache", "emptyDir": {}}]
DAEMON = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/p"
STORAGE = (
    "cannot delete Pods with local storage (use --delete-emptydir-data to override): default/p"
)
BARE = "cannot delete Pods that declare no controller (use --force to override): default/p"
GONE = 'cannot delete daemonsets.apps "web" not found: default/p'


@pytest.mark.parametrize(
    ("one", "options", "goes", "warnings", "errors"),
    [
        (pod(), {}, True, [], []),
        (pod(owner=""), {}, False, [], [BARE]),
        (pod(owner=""), {"force": True}, True, ["deleting Pods that declare no controller"], []),
        (pod(owner="", phase="Succeeded"), {}, True, [], []),
        (pod(owner="DaemonSet"), {}, False, ["ignoring DaemonSet-managed Pods"], []),
        (pod(owner="DaemonSet"), {"ignore_daemonsets": False}, False, [], [DAEMON]),
        (pod(owner="DaemonSet", phase="Failed"), {"ignore_daemonsets": False}, True, [], []),
        (pod(owner="DaemonSet"), {"daemonset_exists": lambda *_: False}, False, [], [GONE]),
        (pod(volumes=EMPTY_DIR), {}, False, [], [STORAGE]),
        (
            pod(volumes=EMPTY_DIR),
            {"delete_emptydir_data": True},
            True,
            [],  # kubectl has a word for it, and loses it on the way
            [],
        ),
        (pod(volumes=EMPTY_DIR, phase="Failed"), {}, True, [], []),
        (pod(owner="", volumes=EMPTY_DIR), {}, False, [], [STORAGE]),  # told one by one
        (pod(owner="", volumes=EMPTY_DIR), {"delete_emptydir_data": True}, False, [], [BARE]),
        (
            pod(owner="DaemonSet"),
            {"daemonset_exists": lambda *_: False, "force": True},
            True,
            [],
            [],
        ),
        (pod(volumes=[{"name": "c", "configMap": {"name": "c"}}]), {}, True, [], []),
    ],
)
def test_which_pods_a_drain_takes(
    one: dict[str, Any],
    options: dict[str, Any],
    goes: bool,
    warnings: list[str],
    errors: list[str],
) -> None:
    """DaemonSet pods stay; bare pods and local data need an option; finished pods are evicted."""
    plan = drain_plan([one], **options)
    assert bool(plan.evict) is goes
    assert plan.warnings == tuple(f"{text}: default/p" for text in warnings)
    assert plan.errors == tuple(errors)
    assert plan.skipped == (() if goes else ("default/p",))


def test_mirror_pods_are_passed_over() -> None:
    """Mirror pods belong to the kubelet, not to the API server."""
    static = pod(owner="")
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    plan = drain_plan([static])
    assert (plan.evict, plan.warnings, plan.errors) == ((), (), ())


@given(
    st.lists(
        st.builds(
            pod,
            name=st.sampled_from("abc"),
            owner=st.sampled_from(["", "ReplicaSet", "DaemonSet"]),
            phase=st.sampled_from(["Pending", "Running", "Succeeded"]),
            volumes=st.sampled_from([[], EMPTY_DIR]),
        )
    )
)
def test_with_every_word_said_nothing_stands_in_the_way(pods: list[dict[str, Any]]) -> None:
    """Each pod is evicted or left alone, once; only those of DaemonSets are left alone."""
    plan = drain_plan(pods, force=True, delete_emptydir_data=True)
    assert not plan.errors
    assert len(plan.evict) + len(plan.skipped) == len(pods)
    left = [p for p in pods if p not in plan.evict]
    assert all(p["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet" for p in left)


def test_pods_are_listed_together() -> None:
    """One message for all its pods."""
    plan = drain_plan([pod("a", owner=""), pod("b", owner=""), pod("c")])
    assert plan.errors == (BARE.replace("default/p", "default/a, default/b"),)


# -- on a cluster ----------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Any:
    """Three nodes with a ReplicaSet of five pods."""
    with Cluster(nodes=3, seed=1, hpa=False) as made:
        made.api.create(
            {
                "kind": "ReplicaSet",
                "metadata": {"name": "web"},
                "spec": {
                    "replicas": 5,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [CONTAINER]},
                    },
                },
            }
        )
        made.sleep(20)
        yield made


def on_node(cluster: Cluster, name: str = "node-2") -> list[str]:
    """Keys of the pods that are bound to a node."""
    pods = cluster.api.list("Pod")["items"]
    return [meta.key_of(p) for p in pods if p["spec"].get("nodeName") == name]


def test_a_drain_in_kubectl_s_words(cluster: Cluster) -> None:
    """Cordon, evict, wait; the ReplicaSet creates the pods on other nodes."""
    keys = on_node(cluster)
    assert keys
    report = cluster.node("node-2").drain()
    assert report.drained and sorted(report.evicted) == keys
    lines = [line for _, line in report.lines]
    assert lines[0] == "node/node-2 cordoned"
    assert lines[1 : 1 + len(keys)] == [f"evicting pod {key}" for key in keys]
    assert lines[-1] == "node/node-2 drained"
    assert sorted(lines[1 + len(keys) : -1]) == [
        f"pod/{key.partition('/')[2]} evicted" for key in keys
    ]
    assert on_node(cluster) == []
    cluster.sleep(20)
    assert cluster.api.get("ReplicaSet", "web")["status"]["readyReplicas"] == 5
    assert on_node(cluster) == [], "nothing comes back while it is cordoned"
    assert "node-2 is drained" in str(cluster.explain("node/node-2"))
    why = str(cluster.explain(f"pod/{keys[0].partition('/')[2]}"))
    assert "evicted: node-2 is being drained" in why and "allowed at once" in why
    again = cluster.node("node-2").drain()
    assert [line for _, line in again.lines] == [
        "node/node-2 already cordoned",
        "node/node-2 drained",
    ]


def test_a_bare_pod_stands_in_the_way(cluster: Cluster) -> None:
    """No pod is evicted then, but the node is cordoned; with force all pods are evicted."""
    spec = {"containers": [CONTAINER], "nodeName": "node-2"}
    cluster.api.create({"kind": "Pod", "metadata": {"name": "bare"}, "spec": spec})
    cluster.sleep(5)
    before = on_node(cluster)
    node = cluster.node("node-2")
    report = node.drain()
    assert not report.drained and not node.schedulable
    assert report.errors == [
        'unable to drain node "node-2" due to error: cannot delete Pods that declare no controller '
        "(use --force to override): default/bare"
    ]
    assert on_node(cluster) == before
    forced = node.drain(force=True)
    assert forced.drained and "default/bare" in forced.evicted
    assert "Warning: deleting Pods that declare no controller: default/bare" in str(forced)


def budget(cluster: Cluster, unavailable: int) -> None:
    """A budget that allows a number of missing pods."""
    if cluster.api.peek("PodDisruptionBudget", "web") is None:
        spec = {"maxUnavailable": unavailable, "selector": {"matchLabels": {"app": "web"}}}
        cluster.api.create(
            {"kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}
        )
    patch = {"spec": {"maxUnavailable": unavailable}}
    cluster.api.patch("PodDisruptionBudget", "web", patch)


def test_a_budget_is_asked_again_every_five_seconds(cluster: Cluster) -> None:
    """429, five seconds, 429, ... until the budget allows it; each refusal is reported."""
    budget(cluster, 0)
    cluster.sleep(1)
    keys = on_node(cluster)
    begun = cluster.clock.now()
    worker = cluster.clock.worker("test/budget")
    worker.call_later(12.0, lambda: budget(cluster, 5))
    report = cluster.node("node-2").drain()
    assert report.drained and sorted(report.evicted) == keys
    assert report.refusals == 3 * len(keys)
    name = keys[0].partition("/")[2]
    refused = (
        f'error when evicting pods/"{name}" -n "default" (will retry after 5s): Cannot evict pod '
        "as it would violate the pod's disruption budget."
    )
    tries = [line for _, line in report.lines if line == f"evicting pod {keys[0]}"]
    assert len(tries) == 4, "each attempt is reported"
    told = [(second - begun, line) for second, line in report.lines if line == refused]
    assert told == [(0.0, refused), (5.0, refused), (10.0, refused)]
    assert "refused 3 times, the last time: The disruption budget web needs 5 healthy pods" in str(
        cluster.explain(f"pod/{name}")
    )
    worker.stop()


def test_a_budget_of_one_lets_the_pods_go_one_by_one(cluster: Cluster) -> None:
    """Never more than one of the five is missing, whatever the drain asks for."""
    budget(cluster, 1)
    cluster.sleep(1)
    fewest = [5]

    def count() -> None:
        pods = cluster.api.snapshot("Pod")[0]
        ready = sum(is_ready(p) and not meta.is_terminating(p) for p in pods)
        fewest[0] = min(fewest[0], ready)

    worker = cluster.clock.worker("test/count")
    worker.every(0.1, count)
    for name in ("node-1", "node-2"):
        report = cluster.node(name).drain()
        assert report.drained and on_node(cluster, name) == []
    assert fewest[0] == 4
    assert report.refusals > 0
    assert cluster.wait_until(lambda: len(on_node(cluster, "node-3")) == 5)
    worker.stop()


def test_a_drain_gives_up_after_its_timeout(cluster: Cluster) -> None:
    """A budget that never allows it, and a machine that never stops its pods."""
    budget(cluster, 0)
    cluster.sleep(1)
    key = on_node(cluster)[0]
    begun = cluster.clock.now()
    report = cluster.node("node-2").drain(timeout_seconds=22)
    assert cluster.clock.now() == begun + 22
    name = key.partition("/")[2]
    expected = f'error when evicting pods/"{name}" -n "default": global timeout reached: 22s'
    assert expected in report.errors
    assert "node-2 is not drained" in str(cluster.explain("node/node-2"))
    cluster.api.delete("PodDisruptionBudget", "web")
    cluster.node("node-2").fail()
    report = cluster.node("node-2").drain(timeout_seconds=30)
    assert report.errors[0] == (
        f'error when waiting for pod "{name}" in namespace "default" to terminate: global timeout '
        "reached: 30s"
    )


def test_an_error_that_is_no_refusal_is_told(cluster: Cluster) -> None:
    """Another error is not retried, and the drain fails."""

    def broken(*_args: Any, **_options: Any) -> Any:
        raise StatusError("broken")

    cluster.api.evict = broken  # type: ignore[method-assign]
    report = cluster.node("node-2").drain()
    assert not report.drained
    assert all(error.endswith(": broken") for error in report.errors)


def test_cordon_and_uncordon(cluster: Cluster) -> None:
    """The taint follows; the second call writes nothing and says so."""
    node = cluster.node("node-1")
    assert node.cordon() == "node/node-1 cordoned"
    cluster.sleep(1)
    assert node.taints() == ["node.kubernetes.io/unschedulable:NoSchedule"]
    revision = cluster.store.revision
    assert node.cordon() == "node/node-1 already cordoned"
    assert cluster.store.revision == revision
    assert node.uncordon() == "node/node-1 uncordoned"
    assert node.uncordon() == "node/node-1 already uncordoned"
    cluster.sleep(1)
    assert node.taints() == [] and node.schedulable


def test_taint_and_untaint(cluster: Cluster) -> None:
    """By key, value and effect, as kubectl takes them."""
    node = cluster.node("node-1")
    assert node.taint("dedicated=gpu:NoSchedule") == "node/node-1 tainted"
    node.taint("dedicated:NoExecute")
    assert node.taints() == ["dedicated=gpu:NoSchedule", "dedicated:NoExecute"]
    with pytest.raises(BadRequest, match="already has dedicated taint"):
        node.taint("dedicated=cpu:NoSchedule")
    node.taint("dedicated=cpu:NoSchedule", overwrite=True)
    assert node.taints() == ["dedicated:NoExecute", "dedicated=cpu:NoSchedule"]
    assert node.untaint("dedicated:NoExecute") == "node/node-1 untainted"
    assert node.taints() == ["dedicated=cpu:NoSchedule"]
    with pytest.raises(BadRequest, match='taint "dedicated:NoExecute" not found'):
        node.untaint("dedicated:NoExecute")
    node.untaint("dedicated-")
    assert node.taints() == []


@pytest.mark.parametrize("text", ["", "a", "a:", ":NoSchedule", "a=b", "a:Never"])
def test_a_taint_that_is_none(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(BadRequest, match="invalid taint spec"):
        parse_taint(text)


def test_conflicts_are_tried_again(cluster: Cluster) -> None:
    """Another client writes the node in between."""
    update, calls = cluster.api.update, [0]

    def flaky(document: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] % 2:
            raise Conflict("injected")
        return update(document, **options)

    cluster.api.update = flaky  # type: ignore[method-assign]
    node = cluster.node("node-1")
    node.cordon()
    node.taint("a:NoSchedule")
    node.untaint("a")
    node.uncordon()
    assert calls[0] == 8 and node.schedulable


def test_the_power_switch(cluster: Cluster) -> None:
    """Down: NotReady after 50 s, pods replaced after 300 s; up: Ready, without taints."""
    node = cluster.node("node-2")
    node.fail()
    node.fail()
    cluster.sleep(60)
    assert not node.ready
    assert "node-2 is NotReady" in str(cluster.explain("node/node-2").history())
    cluster.sleep(400)
    assert cluster.api.get("ReplicaSet", "web")["status"]["readyReplicas"] == 5
    assert all(
        meta.is_terminating(cluster.api.get("Pod", key.partition("/")[2]))
        for key in on_node(cluster)
    )
    node.recover()
    cluster.sleep(10)
    assert node.ready and node.taints() == []
    assert on_node(cluster) == [], "what was deleted meanwhile is removed for good"


def test_a_short_cut_costs_nothing(cluster: Cluster) -> None:
    """Within the tolerations the same pods become ready again."""
    before = on_node(cluster)
    node = cluster.node("node-2")
    node.fail()
    cluster.sleep(100)
    assert not any(is_ready(cluster.api.get("Pod", k.partition("/")[2])) for k in before)
    node.recover()
    cluster.sleep(30)
    assert on_node(cluster) == before
    assert all(is_ready(cluster.api.get("Pod", k.partition("/")[2])) for k in before)
    assert node.taints() == []


def test_a_node_without_a_machine(cluster: Cluster) -> None:
    """A Node object without a simulated machine: everything but fail and recover."""
    with pytest.raises(NotFound):
        cluster.node("ghost")
    cluster.api.create({"kind": "Node", "metadata": {"name": "ghost"}})
    ghost = cluster.node("ghost")
    assert ghost.cordon() == "node/ghost cordoned"
    with pytest.raises(BadRequest, match="is not simulated"):
        ghost.fail()
    cluster.api.delete("Node", "ghost")
    assert "there is no such Node object" in str(ghost)
    assert "there is no such Node object" in ghost._repr_html_()


def test_how_a_node_is_shown(cluster: Cluster) -> None:
    """As text and as HTML: facts, conditions, resources, pods, events, newest decision."""
    node = cluster.node("node-2")
    node.drain()
    node.taint("a=b:NoSchedule")
    text, html = str(node), node._repr_html_()
    for part in (
        "Name:          node-2",
        "a=b:NoSchedule",
        "Unschedulable: true",
        "node-2 is drained (drain)",
        "KubeletReady",
        "RegisteredNode",
    ):
        assert part in text
        assert part.rpartition(": ")[2].strip() in html
    cpu = node.allocated().to_dicts()[0]
    assert (cpu["requested"], cpu["allocatable"], cpu["of it"]) == (0, 4000, "0%")
    busy = cluster.node("node-1")
    assert len(busy.pods()) == len(on_node(cluster, "node-1"))
    asked = busy.allocated().to_dicts()[0]["requested"]
    assert asked == 100 * len(on_node(cluster, "node-1"))


def node_events(cluster: Cluster, name: str = "node-1") -> list[tuple[str, str]]:
    """(reason, message) of a kubelet's Events about its node, in the order of time."""
    events = cluster.api.list("Event")["items"]
    about = [e for e in events if e["involvedObject"]["name"] == name]
    return [(e["reason"], e["message"]) for e in about if e["source"]["component"] == "kubelet"]


def test_the_start_of_a_kubelet_is_recorded() -> None:
    """As `kubectl describe node` shows it."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.sleep(1)
        status = "Node node-1 status is now: "
        assert node_events(cluster) == [
            ("Starting", "Starting kubelet."),
            ("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods"),
            ("NodeHasSufficientMemory", f"{status}NodeHasSufficientMemory"),
            ("NodeHasNoDiskPressure", f"{status}NodeHasNoDiskPressure"),
            ("NodeHasSufficientPID", f"{status}NodeHasSufficientPID"),
        ]


def test_cordon_and_uncordon_are_recorded() -> None:
    """By the kubelet, at its next status sync (recordNodeSchedulableEvent)."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.sleep(1)
        before = len(node_events(cluster))
        cluster.node("node-1").cordon()
        cluster.sleep(10)
        status = "Node node-1 status is now: "
        cordoned = ("NodeNotSchedulable", f"{status}NodeNotSchedulable")
        assert node_events(cluster)[before:] == [cordoned]
        cluster.node("node-1").uncordon()
        cluster.sleep(30)
        uncordoned = ("NodeSchedulable", f"{status}NodeSchedulable")
        assert node_events(cluster)[before:] == [cordoned, uncordoned]


def test_the_lease_of_a_deleted_node_goes_with_it() -> None:
    """It belongs to its Node; without a Node, the kubelet renews and creates none."""
    with Cluster(nodes=2, seed=1, hpa=False) as cluster:
        cluster.sleep(1)
        lease = cluster.api.get("Lease", "node-2", "kube-node-lease")
        uid = cluster.api.get("Node", "node-2")["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "Node", "name": "node-2", "uid": uid}
        assert lease["metadata"]["ownerReferences"] == [owner]
        cluster.api.delete("Node", "node-2")
        cluster.sleep(30)
        assert cluster.api.peek("Lease", "node-2", "kube-node-lease") is None
        assert cluster.api.peek("Lease", "node-1", "kube-node-lease") is not None


def test_nodes_can_be_used_before_time_moves() -> None:
    """Cordon, taint, read and drain at t=0: the kubelets register first, and keep it."""
    with Cluster(nodes=3, seed=1) as cluster:
        assert cluster.node("node-1").cordon() == "node/node-1 cordoned"
        assert cluster.node("node-2").taint("a=b:NoSchedule") == "node/node-2 tainted"
        assert not cluster.node("node-3").drain().errors
        assert "node-1" in str(cluster.node("node-1"))
        rows = (row for row in cluster.api.audit.rows() if row.key.endswith("/nodes/node-1"))
        created = next(rows)
        assert (created.actor, created.before) == ("kubelet/node-1", None)
        cluster.sleep(30)
        assert not cluster.node("node-1").schedulable
        assert not cluster.node("node-3").schedulable
        assert "a=b:NoSchedule" in cluster.node("node-2").taints()
        assert all(cluster.node(f"node-{n}").ready for n in (1, 2, 3))
        assert cluster.node("node-2").uncordon() == "node/node-2 already uncordoned"


def test_a_new_machine_and_a_deleted_node() -> None:
    """A node that was added at this instant can be cordoned; a deleted one stays deleted."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.sleep(5)
        assert cluster.add_node("big").cordon() == "node/big cordoned"
        cluster.api.delete("Node", "node-1")
        with pytest.raises(NotFound):
            cluster.node("node-1").cordon()


@pytest.mark.live
def test_a_live_node_is_waited_for() -> None:
    """The kubelet's own thread registers it."""
    with Cluster(nodes=3, clock="live", speed=20, hpa=False) as cluster:
        for name in ("node-1", "node-2", "node-3"):
            assert cluster.node(name).cordon() == f"node/{name} cordoned"
