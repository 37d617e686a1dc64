"""DaemonSets: which nodes, which pods, how far a rollout goes; rows for the pure functions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.controllers.daemonset.backoff import FailedPodBackOff
from kubesim.controllers.daemonset.history import (
    beyond_history_limit,
    matching,
    new_revision,
    next_number,
    patch_of,
)
from kubesim.controllers.daemonset.nodes import (
    daemon_pod,
    daemon_tolerations,
    target_of,
    verdict_on,
)
from kubesim.controllers.daemonset.plan import (
    DaemonNode,
    DaemonPod,
    DaemonRules,
    by_age,
    next_available,
    plan_node_pods,
    roll_out,
    rollout_numbers,
    status_of,
)
from kubesim.objects.nodeaffinity import REQUIRED, pinned, pinned_node, wants_node


def node(name: str = "n", labels: Any = None, *taints: str) -> dict[str, Any]:
    """A node with taints written ``key:effect``."""
    listed = [dict(zip(("key", "effect"), taint.split(":"), strict=True)) for taint in taints]
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": {"taints": listed}}


def requires(**term: Any) -> dict[str, Any]:
    """A pod spec with one required term of node affinity."""
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}}


def rule(key: str, operator: str, *values: str) -> dict[str, Any]:
    """One expression."""
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, True),
        ({"nodeSelector": {"disk": "ssd"}}, True),
        ({"nodeSelector": {"disk": "hdd"}}, False),
        ({"nodeSelector": {"gpu": ""}}, False),
        (requires(matchExpressions=[rule("disk", "In", "ssd", "nvme")]), True),
        (requires(matchExpressions=[rule("disk", "NotIn", "ssd")]), False),
        (requires(matchExpressions=[rule("disk", "Exists")]), True),
        (requires(matchExpressions=[rule("disk", "DoesNotExist")]), False),
        (requires(matchExpressions=[rule("cores", "Gt", "7")]), True),
        (requires(matchExpressions=[rule("cores", "Lt", "8")]), False),
        (requires(matchExpressions=[rule("cores", "Gt", "+7")]), False),  # no label value
        (requires(matchExpressions=[rule("cores", "Gt", "many")]), False),
        (requires(matchExpressions=[rule("disk", "Exists", "ssd")]), False),
        (requires(matchExpressions=[rule("disk", "In")]), False),
        (requires(matchFields=[rule("metadata.name", "In", "n")]), True),
        (requires(matchFields=[rule("metadata.name", "NotIn", "n")]), False),
        (requires(matchFields=[rule("metadata.name", "In", "n", "m")]), False),
        (requires(matchFields=[rule("metadata.uid", "In", "n")]), False),
        (requires(), False),
        ({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}, False),
    ],
)
def test_which_nodes_a_pod_spec_wants(spec: Any, wanted: bool) -> None:
    """Selector and required affinity together; what makes no sense holds for no node."""
    assert wants_node(spec, node("n", {"disk": "ssd", "cores": "8"})) is wanted


def test_pinning_replaces_the_required_terms_alone() -> None:
    """What the template wishes for, and its pod affinity, stay."""
    wishes = [{"weight": 1}]
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    affinity = requires(matchExpressions=[rule("disk", "Exists")])["affinity"]
    affinity = {"podAffinity": {"x": 1}, "nodeAffinity": {**affinity["nodeAffinity"]}}
    affinity["nodeAffinity"][preferred] = wishes
    spec = pinned(affinity, "node-7")
    assert pinned_node(spec) == "node-7"
    assert spec["affinity"]["podAffinity"] == {"x": 1}
    assert spec["affinity"]["nodeAffinity"][preferred] == wishes
    assert pinned_node({}) == ""
    assert pinned_node(requires(matchFields=[rule("metadata.name", "In", "a", "b")])) == ""
    assert target_of({"spec": {**spec, "nodeName": "node-1"}}) == "node-1"
    assert target_of({"spec": spec}) == "node-7"


@pytest.mark.parametrize(
    ("spec", "place", "expected"),
    [
        ({}, node(), (True, True)),
        ({"nodeName": "n"}, node(), (True, True)),
        ({"nodeName": "m"}, node(), (False, False)),
        ({"nodeSelector": {"a": "b"}}, node(), (False, False)),
        ({}, node("n", None, "gpu:NoSchedule"), (False, True)),
        ({}, node("n", None, "gpu:NoExecute"), (False, False)),
        ({}, node("n", None, "gpu:PreferNoSchedule"), (True, True)),
        ({}, node("n", None, "gpu:NoSchedule", "down:NoExecute"), (False, False)),
        ({"tolerations": [{"operator": "Exists"}]}, node("n", None, "g:NoExecute"), (True, True)),
        (
            {"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]},
            node("n", None, "g:NoExecute", "g:NoSchedule"),
            (False, True),
        ),
        ({}, node("n", None, "node.kubernetes.io/unreachable:NoExecute"), (True, True)),
        ({}, node("n", None, "node.kubernetes.io/not-ready:NoExecute"), (True, True)),
        ({}, node("n", None, "node.kubernetes.io/unschedulable:NoSchedule"), (True, True)),
        ({}, node("n", None, "node.kubernetes.io/memory-pressure:NoSchedule"), (True, True)),
        ({}, node("n", None, "node.kubernetes.io/network-unavailable:NoSchedule"), (False, True)),
        (
            {"hostNetwork": True},
            node("n", None, "node.kubernetes.io/network-unavailable:NoSchedule"),
            (True, True),
        ),
        ({}, node("n", None, "node.kubernetes.io/not-ready:NoSchedule"), (False, True)),
    ],
)
def test_what_a_daemonset_thinks_of_a_node(spec: Any, place: Any, expected: Any) -> None:
    """Name and affinity: neither run nor stay; NoSchedule: stay; NoExecute: delete."""
    result = verdict_on({"spec": spec}, place)
    assert (result.should_run, result.should_continue) == expected
    assert bool(result.why) is not result.should_run


def test_automatic_tolerations_have_no_limit() -> None:
    """A toleration of the template's with a limit in time gives way to the one without."""
    mine = {
        "key": "node.kubernetes.io/unreachable",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 5,
    }
    other = {"key": "gpu", "operator": "Exists"}
    result = daemon_tolerations({"tolerations": [other, mine]})
    assert result[0] == other
    keys = [(t.get("key", "").rpartition("/")[2], t.get("effect")) for t in result[1:]]
    assert keys == [
        ("unreachable", "NoExecute"),
        ("not-ready", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ]
    assert not any("tolerationSeconds" in toleration for toleration in result)
    assert len(daemon_tolerations({"hostNetwork": True})) == 7


def test_a_daemon_pod_is_pinned_and_labelled() -> None:
    """With its revision and the generation of its template, if that is known."""
    daemonset = {
        "metadata": {
            "name": "agent",
            "namespace": "default",
            "annotations": {"deprecated.daemonset.template.generation": "3"},
        },
        "spec": {"template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}},
    }
    pod = daemon_pod(daemonset, {"kind": "DaemonSet"}, "node-2", "h4sh")
    assert pod["metadata"]["generateName"] == "agent-"
    assert pod["metadata"]["labels"] == {
        "app": "a",
        "controller-revision-hash": "h4sh",
        "pod-template-generation": "3",
    }
    assert target_of(pod) == "node-2"


# -- pods on nodes ---------------------------------------------------------------------------------


def pod(name: str, place: str = "n", **facts: Any) -> DaemonPod:
    """A pod of the present template (``new``) that is ready since second 0."""
    return DaemonPod(name, place, **{"revision": "new", "ready_since": 0.0, **facts})


def old(name: str, place: str = "n", **facts: Any) -> DaemonPod:
    """A pod of another template."""
    return pod(name, place, **{"revision": "old", **facts})


def grouped(*pods: DaemonPod) -> dict[str, list[DaemonPod]]:
    """Pods by node."""
    result: dict[str, list[DaemonPod]] = {}
    for each in pods:
        result.setdefault(each.node, []).append(each)
    return result


NODE = DaemonNode("n")
STAYS = DaemonNode("n", should_run=False)
LEAVES = DaemonNode("n", should_run=False, should_continue=False)
PLAIN, SURGE = DaemonRules("new"), DaemonRules("new", surge=1, unavailable=0)


@pytest.mark.parametrize(
    ("place", "pods", "rules", "create", "delete"),
    [
        (NODE, [], PLAIN, ("n",), ()),
        (NODE, [pod("a")], PLAIN, (), ()),
        (STAYS, [], PLAIN, (), ()),
        (STAYS, [pod("a")], PLAIN, (), ()),
        (LEAVES, [pod("a")], PLAIN, (), ("a",)),
        (LEAVES, [pod("a", terminating=True)], PLAIN, (), ()),
        # A pod on its way out is waited for; with surge it is not.
        (NODE, [pod("a", terminating=True)], PLAIN, (), ()),
        (NODE, [pod("a", terminating=True)], SURGE, ("n",), ()),
        (STAYS, [pod("a", terminating=True)], SURGE, (), ()),
        (NODE, [pod("a", phase="Failed", ready=False)], PLAIN, (), ("a",)),
        (NODE, [pod("a", phase="Succeeded", ready=False)], PLAIN, (), ("a",)),
        (NODE, [pod("a", phase="Failed", ready=False)], SURGE, ("n",), ("a",)),
        (LEAVES, [pod("a", phase="Failed", ready=False)], PLAIN, (), ("a",)),
        # Doubles: the oldest stays, a placed one before all.
        (NODE, [pod("b", created=5.0), pod("a", created=9.0)], PLAIN, (), ("a",)),
        (NODE, [pod("b", created=5.0), pod("a", created=5.0)], PLAIN, (), ("b",)),
        (NODE, [pod("b", created=5.0, bound=False), pod("a", created=9.0)], PLAIN, (), ("b",)),
        # Surge: an old one stays beside a new one that is not available yet.
        (NODE, [old("o"), pod("a", ready=False)], SURGE, (), ()),
        (NODE, [old("o"), pod("a")], SURGE, (), ("o",)),
        (NODE, [old("o", ready=False), pod("a", ready=False)], SURGE, (), ("o",)),
        (
            NODE,
            [old("o"), old("p", created=1.0), pod("a", ready=False), pod("b", created=1.0)],
            SURGE,
            (),
            ("b", "p"),
        ),
        (NODE, [pod("a"), pod("z", "gone", bound=False), pod("y", "gone")], PLAIN, (), ("z",)),
    ],
)
def test_the_care_of_one_node(place: Any, pods: Any, rules: Any, create: Any, delete: Any) -> None:
    """One pod on each eligible node; finished, duplicate and misplaced pods are deleted."""
    result = plan_node_pods([place], grouped(*pods), rules, 100.0)
    assert (result.create, result.delete) == (create, delete)


def test_a_failed_pod_waits_while_the_back_off_runs() -> None:
    """It is neither deleted nor replaced meanwhile."""
    failed = pod("a", phase="Failed", ready=False)
    result = plan_node_pods([NODE], grouped(failed), PLAIN, 0.0, lambda name: name == "n")
    assert (result.create, result.delete, result.waiting) == ((), (), (failed,))


def test_the_back_off_doubles_and_is_forgotten() -> None:
    """At once, 1 s, 2 s, 4 s ... 15 min; reset after more than twice the maximum."""
    backoff, now = FailedPodBackOff(), 0.0
    waits = []
    for _ in range(12):
        backoff.next("k", now)
        waits.append(backoff.seconds("k"))
        assert backoff.waiting("k", now + waits[-1] - 0.01)
        now += waits[-1]
        assert not backoff.waiting("k", now)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    backoff.next("k", now + 900.0)  # exactly twice the maximum after the last one
    assert backoff.seconds("k") == 900.0
    backoff.next("k", now + 900.0 + 1800.1)
    assert backoff.seconds("k") == 1.0
    assert not backoff.waiting("other", now)
    backoff.forget("k")
    assert backoff.seconds("k") == 0.0


# -- the rolling update ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unavailable", "surge", "desired", "expected"),
    [
        (1, 0, 3, (1, 0)),
        ("10%", 0, 3, (1, 0)),
        ("34%", 0, 3, (2, 0)),
        (0, "1%", 10, (0, 1)),
        (0, "25%", 10, (0, 3)),
        (None, None, 4, (1, 0)),
        (0, 0, 4, (1, 0)),
        (0, 0, 0, (0, 0)),
        ("50%", 0, 0, (0, 0)),
    ],
)
def test_both_percentages_round_up(
    unavailable: Any, surge: Any, desired: int, expected: tuple[int, int]
) -> None:
    """Unlike a Deployment's; if both are 0 while there are nodes, unavailable is 1."""
    assert rollout_numbers(unavailable, surge, desired=desired) == expected


def nodes(count: int) -> list[DaemonNode]:
    """Nodes 0, 1, ..."""
    return [DaemonNode(str(n)) for n in range(count)]


@pytest.mark.parametrize(
    ("pods", "unavailable", "delete"),
    [
        ([old("a", "0"), old("b", "1"), old("c", "2")], 1, ("a",)),
        ([old("a", "0"), old("b", "1"), old("c", "2")], 2, ("a", "b")),
        ([old("a", "0"), old("b", "1"), old("c", "2")], 9, ("a", "b", "c")),
        # An empty node, an unavailable new pod, one on its way out: each counts.
        ([old("a", "0"), old("b", "1")], 1, ()),
        ([pod("a", "0", ready=False), old("b", "1"), old("c", "2")], 1, ()),
        ([old("a", "0", terminating=True), old("b", "1"), old("c", "2")], 1, ()),
        ([pod("a", "0"), old("b", "1"), old("c", "2")], 1, ("b",)),
        # Old pods that serve nobody go without counting.
        ([old("a", "0", ready=False), old("b", "1"), old("c", "2")], 1, ("a", "b")),
        ([old("a", "0", ready=False), old("b", "1", ready=False)], 1, ("a", "b")),
        ([pod("a", "0"), pod("b", "1"), pod("c", "2")], 1, ()),
        # A node with doubles is left to plan_node_pods.
        ([old("a", "0"), old("z", "0"), old("b", "1"), old("c", "2")], 1, ()),
        ([old("a", "0"), old("z", "0"), old("b", "1"), old("c", "2")], 2, ("b",)),
    ],
)
def test_how_many_old_pods_may_go(pods: Any, unavailable: int, delete: Any) -> None:
    """maxUnavailable minus what is missing already."""
    rules = DaemonRules("new", unavailable=unavailable)
    result = roll_out(nodes(3), grouped(*pods), rules, 100.0)
    assert (result.create, result.delete) == ((), delete)


@pytest.mark.parametrize(
    ("pods", "surge", "create", "delete"),
    [
        ([old("a", "0"), old("b", "1"), old("c", "2")], 1, ("0",), ()),
        ([old("a", "0"), old("b", "1"), old("c", "2")], 2, ("0", "1"), ()),
        # A new pod that is not available yet holds its place; one that is lets the old one go.
        ([old("a", "0"), pod("x", "0", ready=False), old("b", "1"), old("c", "2")], 1, (), ()),
        ([old("a", "0"), pod("x", "0"), old("b", "1"), old("c", "2")], 1, ("1",), ("a",)),
        # Old pods that serve nobody are replaced beyond the surge.
        ([old("a", "0", ready=False), old("b", "1"), old("c", "2")], 1, ("0", "1"), ()),
        ([pod("a", "0"), pod("b", "1"), pod("c", "2")], 1, (), ()),
    ],
)
def test_how_many_new_pods_may_come_first(pods: Any, surge: int, create: Any, delete: Any) -> None:
    """maxSurge minus those that are not available yet."""
    rules = DaemonRules("new", surge=surge, unavailable=0)
    result = roll_out(nodes(3), grouped(*pods), rules, 100.0)
    assert (result.create, result.delete) == (create, delete)


def test_a_node_that_is_left_keeps_its_pod_until_another_can_stand_in() -> None:
    """With surge: a misplaced available pod is deleted only if enough others are available."""
    rules = DaemonRules("new", surge=1, unavailable=0)
    left = DaemonNode("1", should_run=False)
    short = roll_out([DaemonNode("0"), left], grouped(old("b", "1")), rules, 9.0)
    assert short.delete == ()
    enough = roll_out([DaemonNode("0"), left], grouped(pod("a", "0"), old("b", "1")), rules, 9.0)
    assert enough.delete == ("b",)
    broken = old("b", "1", ready=False)
    assert roll_out([DaemonNode("0"), left], grouped(broken), rules, 9.0).delete == ("b",)


@given(
    st.integers(1, 6),
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.booleans()), max_size=10
    ),
    st.integers(1, 4),
)
def test_a_pass_never_takes_more_than_it_may(count: int, raw: Any, unavailable: int) -> None:
    """At most maxUnavailable nodes lose an available old pod."""
    pods = grouped(
        *(
            DaemonPod(f"p{i}", str(n), ready=ready, terminating=going, revision=f"{new}")
            for i, (n, ready, going, new) in enumerate(raw)
            if n < count
        )
    )
    rules = DaemonRules("True", unavailable=unavailable)
    result = roll_out(nodes(count), pods, rules, 9.0)
    # An old pod that serves nobody goes without being counted; all else that is missing counts.
    staying = [[p for p in pods.get(str(n), ()) if not p.terminating] for n in range(count)]
    counted = [s for s in staying if not (len(s) == 1 and (s[0].revision != "True" or s[0].ready))]
    hit = {
        p.node
        for existing in pods.values()
        for p in existing
        if p.name in result.delete and p.ready
    }
    assert len(hit) <= max(0, unavailable - len(counted))
    assert not {p.name for t in pods.values() for p in t if p.revision == "True"} & set(
        result.delete
    )


# -- status and versions ---------------------------------------------------------------------------


def test_the_counters_of_status() -> None:
    """The oldest pod of each node counts; where none should run it is misscheduled."""
    places = [*nodes(4), DaemonNode("4", should_run=False), LEAVES]
    pods = grouped(
        pod("a", "0"),
        old("b", "1", ready=False),
        pod("c", "2", ready_since=95.0),
        pod("d", "4"),
        pod("e", "n", terminating=True),
        old("x", "0", created=5.0),
    )
    rules = DaemonRules("new", min_ready_seconds=10)
    assert status_of(places, pods, rules, 100.0) == {
        "desiredNumberScheduled": 4,
        "currentNumberScheduled": 3,
        "numberMisscheduled": 2,
        "numberReady": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 1,
        "numberUnavailable": 3,
    }
    assert next_available(pods, 10, 100.0) == 105.0
    assert next_available(pods, 0, 100.0) is None
    assert [p.name for p in by_age(pods["0"])] == ["a", "x"]


def daemonset(image: str) -> dict[str, Any]:
    """A DaemonSet's document."""
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": image}]}}
    metadata = {"name": "agent", "namespace": "default", "uid": "u"}
    return {"metadata": metadata, "spec": {"template": template}}


def test_a_template_is_found_again() -> None:
    """By its content; of twins the newest."""
    first = new_revision(daemonset("a"), {"uid": "u"}, 1)
    second = new_revision(daemonset("b"), {"uid": "u"}, 2)
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["labels"]["app"] == "a"
    assert patch_of(daemonset("a"))["spec"]["template"]["$patch"] == "replace"
    assert matching(daemonset("a"), [first, second]) is first
    twin = {**first, "revision": 5}
    assert matching(daemonset("a"), [first, twin, second]) is twin
    assert matching(daemonset("c"), [first, second]) is None
    assert next_number([first, twin]) == 6
    assert next_number([]) == 1


def revision(number: int, text: str) -> dict[str, Any]:
    """A kept revision."""
    labels = {"controller-revision-hash": text}
    return {"metadata": {"name": f"agent-{text}", "labels": labels}, "revision": number}


@pytest.mark.parametrize(
    ("limit", "live", "deleted"),
    [(3, "", ""), (2, "", "a"), (0, "", "abc"), (2, "a", "b"), (0, "ab", "c"), (1, "abc", "")],
)
def test_which_old_revisions_go(limit: int, live: str, deleted: str) -> None:
    """The oldest beyond the limit, but none from which a pod is alive."""
    kept = [revision(3, "c"), revision(1, "a"), revision(2, "b")]
    result = beyond_history_limit(kept, limit, live=set(live))
    assert "".join(r["metadata"]["labels"]["controller-revision-hash"] for r in result) == deleted
