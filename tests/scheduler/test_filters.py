"""Filters and scores with little or no state: cases, messages, and resolvable refusals."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import filtered, node, pod, scored

from kubesim.errors import BadRequest
from kubesim.scheduler import Code, CycleState, NodeInfo, Snapshot
from kubesim.scheduler.plugins.imagelocality import ImageLocality, image_score, normalized_image
from kubesim.scheduler.plugins.nodeaffinity import NodeAffinity
from kubesim.scheduler.plugins.nodename import NodeName
from kubesim.scheduler.plugins.nodeports import NodePorts
from kubesim.scheduler.plugins.noderesources import (
    NodeResourcesBalancedAllocation,
    NodeResourcesFit,
    balanced,
    make_shape,
    mean_score,
    shape_score,
)
from kubesim.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from kubesim.scheduler.plugins.tainttoleration import TaintToleration, tolerates

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
UNRESOLVABLE, UNSCHEDULABLE = Code.UNRESOLVABLE, Code.UNSCHEDULABLE


def verdict(plugin: Any, incoming: Any, where: Any, *placed: Any) -> tuple[Code, tuple[str, ...]]:
    """Return code and reasons of one plug-in for one node."""
    status = filtered([plugin], incoming, Snapshot.of([where], placed))[where["metadata"]["name"]]
    return status.code, status.reasons


OK = (Code.SUCCESS, ())


# -- NodeUnschedulable, NodeName, TaintToleration -------------------------------------------------


def test_cordoned_nodes() -> None:
    """A cordoned node is refused unless the pod tolerates the unschedulable taint."""
    cordoned = node(unschedulable=True)
    message = (UNRESOLVABLE, ("node(s) were unschedulable",))
    assert verdict(NodeUnschedulable(), pod(), cordoned) == message
    key = "node.kubernetes.io/unschedulable"
    for toleration, fine in (
        ({"key": key, "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": key, "operator": "Exists", "effect": "NoExecute"}, False),
    ):
        incoming = pod(tolerations=[toleration])
        assert (verdict(NodeUnschedulable(), incoming, cordoned) == OK) is fine
    assert verdict(NodeUnschedulable(), pod(), node()) == OK


def test_node_names() -> None:
    """Only the named node passes."""
    message = (UNRESOLVABLE, ("node(s) didn't match the requested node name",))
    assert verdict(NodeName(), pod(on="n2"), node()) == message
    assert verdict(NodeName(), pod(on="n1"), node()) == OK


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Equal", "value": "v"}, True),
        ({"key": "k", "operator": "", "value": "v"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"value": "v"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "k", "operator": "Exists", "tolerationSeconds": 0}, True),
        ({"key": "k", "operator": "Lt", "value": "v"}, False),
        ({"key": "k"}, False),
    ],
)
def test_tolerations(toleration: dict[str, Any], covers: bool) -> None:
    """Empty effect and key cover all; Equal is the default; seconds are not looked at."""
    assert tolerates(toleration, {"key": "k", "value": "v", "effect": "NoSchedule"}) is covers


def test_the_first_untolerated_hard_taint_is_named() -> None:
    """Taints are checked in order; soft ones never refuse; an empty value leaves `{key: }`."""
    where = node(
        taints=[
            {"key": "soft", "effect": "PreferNoSchedule"},
            {"key": "a", "effect": "NoExecute"},
            {"key": "b", "value": "v", "effect": "NoSchedule"},
        ]
    )
    assert verdict(TaintToleration(), pod(), where) == (
        UNRESOLVABLE,
        ("node(s) had untolerated taint {a: }",),
    )
    incoming = pod(tolerations=[{"key": "a", "operator": "Exists"}])
    assert verdict(TaintToleration(), incoming, where)[1] == (
        "node(s) had untolerated taint {b: v}",
    )
    assert verdict(TaintToleration(), pod(tolerations=[{"operator": "Exists"}]), where) == OK


def test_soft_taints_score_in_reverse() -> None:
    """0, 1, 2, 3 soft taints: 100, 67, 34, 0; a toleration for NoSchedule does not help."""
    nodes = [
        node(f"n{n}", taints=[{"key": f"k{i}", "effect": "PreferNoSchedule"} for i in range(n)])
        for n in range(4)
    ]
    useless = {"operator": "Exists", "effect": "NoSchedule"}
    cycle = scored([TaintToleration()], pod(tolerations=[useless]), Snapshot.of(nodes))
    assert cycle.raw["TaintToleration"] == {"n0": 0, "n1": 1, "n2": 2, "n3": 3}
    assert cycle.scores["TaintToleration"] == {"n0": 100, "n1": 67, "n2": 34, "n3": 0}
    clean = scored([TaintToleration()], pod(), Snapshot.of([node("a"), node("b")]))
    assert clean.scores["TaintToleration"] == {"a": 100, "b": 100}


# -- NodeAffinity ---------------------------------------------------------------------------------


def wants(*terms: Any) -> dict[str, Any]:
    """Return a spec with required node affinity."""
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def expr(key: str, operator: str, *values: str) -> dict[str, Any]:
    """Return a term with one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def named(operator: str, *values: str) -> dict[str, Any]:
    """Return a term that names nodes."""
    field = {"key": "metadata.name", "operator": operator, "values": list(values)}
    return {"matchFields": [field]}


TERMS = [
    (expr("disk", "In", "ssd", "nvme"), True),
    (expr("disk", "In", "hdd"), False),
    (expr("disk", "NotIn", "hdd"), True),
    (expr("nothing", "NotIn", "x"), True),
    (expr("nothing", "In", "x"), False),
    (expr("disk", "Exists"), True),
    (expr("nothing", "Exists"), False),
    (expr("nothing", "DoesNotExist"), True),
    (expr("disk", "DoesNotExist"), False),
    (expr("cores", "Gt", "7"), True),
    (expr("cores", "Gt", "8"), False),
    (expr("cores", "Lt", "9"), True),
    (expr("disk", "Gt", "1"), False),
    (expr("cores", "Gt", "x"), False),
    (expr("cores", "Gt", "1", "2"), False),
    (expr("disk", "In"), False),
    (expr("disk", "Exists", "x"), False),
    (expr("disk", "Like", "s"), False),
    (expr("no such key", "DoesNotExist"), False),
    (expr("-bad", "NotIn", "x"), False),
    (expr("a/b/c", "DoesNotExist"), False),
    (expr("Example.com/x", "DoesNotExist"), False),
    (expr("example.com/x", "DoesNotExist"), True),
    (expr("x" * 64, "DoesNotExist"), False),
    (expr("disk", "In", "ssd", "not a value"), False),
    (expr("disk", "NotIn", "-hdd"), False),
    (expr("disk", "NotIn", "x" * 64), False),
    (expr("disk", "NotIn", ""), True),
    (expr("cores", "Gt", "-1"), False),
    (expr("cores", "Lt", "9223372036854775808"), False),
    (expr("cores", "Lt", "9223372036854775807"), True),
    ({}, False),
    ({"matchExpressions": [], "matchFields": []}, False),
    (named("In", "n1"), True),
    (named("NotIn", "n1"), False),
    (named("NotIn", "n2"), True),
    (named("NotIn", "n2", "n3"), False),
    ({**named("In", "n1"), **expr("disk", "In", "hdd")}, False),
]


@pytest.mark.parametrize(("term", "matches"), TERMS)
def test_terms(term: Any, matches: bool) -> None:
    """All expressions of a term must match; empty and malformed terms match nothing."""
    where = node(labels={"disk": "ssd", "cores": "8"})
    assert NodeAffinity().filter(pod(affinity=wants(term)), NodeInfo(where)).ok is matches


def test_terms_are_ored_and_the_selector_is_anded() -> None:
    """A malformed term does not affect the others; an empty list of terms matches nothing."""
    where, good = node(labels={"disk": "ssd"}), expr("disk", "In", "ssd")
    message = (UNRESOLVABLE, ("node(s) didn't match Pod's node affinity/selector",))
    assert verdict(NodeAffinity(), pod(affinity=wants(expr("x", "Bad"), good)), where) == OK
    selector = {"disk": "hdd"}
    assert (
        verdict(NodeAffinity(), pod(affinity=wants(good), nodeSelector=selector), where) == message
    )
    assert verdict(NodeAffinity(), pod(affinity=wants()), where) == message
    assert verdict(NodeAffinity(), pod(nodeSelector={"disk": "ssd"}), where) == OK


def test_affinity_of_the_configuration_comes_first() -> None:
    """The added affinity has its own message; its preferred terms count, too."""
    plugin = NodeAffinity(
        {
            REQUIRED: {"nodeSelectorTerms": [expr("disk", "In", "ssd")]},
            PREFERRED: [{"weight": 3, "preference": expr("fast", "Exists")}],
        }
    )
    message = (UNRESOLVABLE, ("node(s) didn't match scheduler-enforced node affinity",))
    assert verdict(plugin, pod(nodeSelector={"x": "y"}), node()) == message
    snapshot = Snapshot.of([node("a", labels={"fast": "1"}), node("b")])
    assert scored([plugin], pod(), snapshot).raw["NodeAffinity"] == {"a": 3, "b": 0}


def test_pinned_names_narrow_the_nodes() -> None:
    """Nodes are limited if every term names some; conflicting names refuse the pod."""
    plugin = NodeAffinity()

    def pre(*terms: Any) -> Any:
        snapshot = Snapshot.of([node("n1"), node("n2")])
        return plugin.pre_filter(pod(affinity=wants(*terms)), CycleState(snapshot))

    assert pre(named("In", "n1"), named("In", "n2")).nodes == {"n1", "n2"}
    assert pre(named("In", "n1"), expr("disk", "Exists")).nodes is None
    assert pre(named("NotIn", "n1")).nodes is None
    both = {"matchFields": named("In", "a")["matchFields"] + named("In", "b")["matchFields"]}
    conflict = pre(both)
    assert (conflict.code, conflict.reasons) == (UNRESOLVABLE, ("pod affinity terms conflict",))
    assert plugin.pre_filter(pod(), CycleState(Snapshot([]))).code is Code.SKIP


def test_wishes_score_in_proportion() -> None:
    """Terms with weight 0 and empty terms are left out; all scores are 0 without a match."""
    wishes = [
        {"weight": 2, "preference": expr("disk", "In", "ssd")},
        {"weight": 1, "preference": expr("zone", "In", "a")},
        {"weight": 0, "preference": expr("zone", "In", "a")},
        {"weight": 50, "preference": {}},
    ]
    incoming = pod(affinity={"nodeAffinity": {PREFERRED: wishes}})
    nodes = [
        node("a", labels={"disk": "ssd", "zone": "a"}),
        node("b", labels={"disk": "ssd"}),
        node("c"),
    ]
    cycle = scored([NodeAffinity()], incoming, Snapshot.of(nodes))
    assert cycle.raw["NodeAffinity"] == {"a": 3, "b": 2, "c": 0}
    assert cycle.scores["NodeAffinity"] == {"a": 100, "b": 66, "c": 0}
    nobody = scored([NodeAffinity()], incoming, Snapshot.of([node("c")]))
    assert nobody.scores["NodeAffinity"] == {"c": 0}
    assert scored([NodeAffinity()], pod(), Snapshot.of(nodes)).scores == {}


def test_empty_preferred_terms_score_nothing() -> None:
    """They are listed, so the plug-in takes part: 0 for each node. It skips only without terms."""
    wishes = [{"weight": 50, "preference": {}}, {"weight": 0, "preference": expr("a", "Exists")}]
    incoming = pod(affinity={"nodeAffinity": {PREFERRED: wishes}})
    snapshot = Snapshot.of([node("a"), node("b")])
    cycle = scored([NodeAffinity()], incoming, snapshot)
    assert cycle.scores["NodeAffinity"] == {"a": 0, "b": 0}
    none = pod(affinity={"nodeAffinity": {PREFERRED: []}})
    assert scored([NodeAffinity()], none, snapshot).scores == {}


# -- NodePorts ------------------------------------------------------------------------------------


def port(number: int, protocol: str = "", ip: str = "") -> dict[str, Any]:
    """Return a host port."""
    result: dict[str, Any] = {"containerPort": 80, "hostPort": number}
    return {
        **result,
        **({"protocol": protocol} if protocol else {}),
        **({"hostIP": ip} if ip else {}),
    }


def claims(*ports: Any, init: Any = ()) -> dict[str, Any]:
    """Return a spec with these ports."""
    return {"containers": [{"name": "c", "ports": list(ports)}], "initContainers": list(init)}


@pytest.mark.parametrize(
    ("mine", "theirs", "clash"),
    [
        (port(80), port(80), True),
        (port(80), port(81), False),
        (port(80, "UDP"), port(80), False),
        (port(80, "TCP"), port(80), True),
        (port(80, ip="10.0.0.1"), port(80), True),
        (port(80), port(80, ip="10.0.0.1"), True),
        (port(80, ip="0.0.0.0"), port(80, ip="10.0.0.1"), True),
        (port(80, ip="10.0.0.1"), port(80, ip="10.0.0.2"), False),
        ({"containerPort": 80}, port(80), False),
    ],
)
def test_ports(mine: Any, theirs: Any, clash: bool) -> None:
    """Same protocol and port, and same address or the wildcard."""
    reason = (UNSCHEDULABLE, ("node(s) didn't have free ports for the requested pod ports",))
    result = verdict(NodePorts(), pod(**claims(mine)), node(), pod("o", on="n1", **claims(theirs)))
    assert result == (reason if clash else OK)


def test_ports_of_sidecars_count_those_of_init_containers_do_not() -> None:
    """The ports of ordinary init containers do not count."""
    init = {"name": "i", "ports": [port(80)]}
    sidecar = {**init, "restartPolicy": "Always"}
    for holder, clash in ((init, False), (sidecar, True)):
        other = pod("o", on="n1", **claims(init=[holder]))
        result = verdict(NodePorts(), pod(**claims(port(80))), node(), other)
        assert (result != OK) is clash


# -- NodeResourcesFit -----------------------------------------------------------------------------


def test_all_shortages_in_order() -> None:
    """Pods, cpu, memory, storage, then the others; resolvable while the node is large enough."""
    more = {"ephemeral-storage": "10Gi", "example.com/gpu": "2"}
    where = node(cpu="2", memory="2Gi", pods="1", more=more)
    old = pod("old", "2", "2Gi", on="n1", more=more)
    incoming = pod("p", "1", "1Gi", more={"ephemeral-storage": "1Gi", "example.com/gpu": "1"})
    assert verdict(NodeResourcesFit(), incoming, where, old) == (
        UNSCHEDULABLE,
        (
            "Too many pods",
            "Insufficient cpu",
            "Insufficient memory",
            "Insufficient ephemeral-storage",
            "Insufficient example.com/gpu",
        ),
    )


def test_more_than_the_node_has_is_unresolvable() -> None:
    """One request above the whole node makes the refusal unresolvable."""
    old = pod("old", "2", "1Gi", on="n1")
    assert verdict(NodeResourcesFit(), pod("p", "1", "9Gi"), node(cpu="2"), old) == (
        UNRESOLVABLE,
        ("Insufficient cpu", "Insufficient memory"),
    )
    assert verdict(NodeResourcesFit(), pod(more={"a.b/c": "1"}), node())[0] is UNRESOLVABLE
    assert verdict(NodeResourcesFit(), pod(), node(pods="0"))[0] is UNSCHEDULABLE


def test_a_zero_request_is_never_short() -> None:
    """A zero request is never short, even on an overcommitted node."""
    crowd = [pod(f"p{n}", "3", on="n1") for n in range(3)]
    assert verdict(NodeResourcesFit(), pod("z", "0", "0"), node(cpu="4"), *crowd) == OK
    assert verdict(NodeResourcesFit(), pod("z", "1m"), node(cpu="4"), *crowd)[0] is UNSCHEDULABLE


def test_ignored_resources_hide_extended_ones_alone() -> None:
    """Resources are ignored by name and by group; cpu cannot be ignored."""
    plugin = NodeResourcesFit(ignored_resources=["a.com/x", "cpu"], ignored_groups=["b.com"])
    assert verdict(plugin, pod(more={"a.com/x": "1", "b.com/y": "1"}), node()) == OK
    assert verdict(plugin, pod(more={"a.com/z": "1"}), node())[1] == ("Insufficient a.com/z",)
    assert verdict(plugin, pod("p", "9"), node())[1] == ("Insufficient cpu",)


# -- scores of resources --------------------------------------------------------------------------


def test_worked_examples_of_resource_scores() -> None:
    """Examples 1 and 2 of the specification."""
    incoming, fit, even = (
        pod("p", "1", "2Gi"),
        NodeResourcesFit(),
        NodeResourcesBalancedAllocation(),
    )
    assert (fit.score(incoming, NodeInfo(node())), even.score(incoming, NodeInfo(node()))) == (
        75,
        100,
    )
    wide = NodeInfo(node(cpu="2", memory="16Gi"))
    assert (fit.score(incoming, wide), even.score(incoming, wide)) == (68, 81)
    crowd = NodeInfo(node(), [pod(f"p{n}") for n in range(10)])
    assert (fit.score(incoming, crowd), even.score(incoming, crowd)) == (50, 100)


def test_most_allocated_packs() -> None:
    """A fuller node gets a higher score."""
    plugin = NodeResourcesFit("MostAllocated")
    assert plugin.score(pod("p", "1", "2Gi"), NodeInfo(node())) == 25
    assert plugin.score(pod("p", "9", "9Gi"), NodeInfo(node())) == 100


def test_shapes() -> None:
    """Example 8, flat ends, and points in tens of the configuration."""
    shape = make_shape([(0, 0), (40, 10), (100, 3)])
    assert shape == ((0, 0), (40, 100), (100, 30))
    assert [shape_score(shape, u) for u in (0, 20, 40, 66, 100)] == [0, 50, 100, 70, 30]
    assert shape_score(((10, 50), (20, 60)), 5) == 50
    assert shape_score(((10, 50), (20, 60)), 90) == 60


@pytest.mark.parametrize(
    "points", [(), [(0, 11)], [(50, 1), (50, 2)], [(60, 1), (40, 2)], [(101, 1)], [(-1, 1)]]
)
def test_bad_shapes_are_refused(points: Any) -> None:
    """Utilizations must increase within 0..100, scores must be within 0..10."""
    with pytest.raises(BadRequest):
        NodeResourcesFit("RequestedToCapacityRatio", shape=points)


def test_the_ratio_rounds_and_leaves_zeros_out() -> None:
    """A zero score is left out with its weight; halves are rounded up; 100 % is the maximum."""
    ratio = "RequestedToCapacityRatio"
    shape = make_shape([(0, 0), (100, 10)])
    assert mean_score(ratio, [(0, 100, 9), (50, 100, 1)], shape) == 50
    assert mean_score(ratio, [(1, 100, 1), (2, 100, 1)], shape) == 2
    assert mean_score(ratio, [(1, 100, 2), (2, 100, 1)], shape) == 1
    assert mean_score(ratio, [(300, 100, 1)], shape) == 100
    assert mean_score(ratio, [(0, 100, 1)], shape) == 0


def test_resources_that_do_not_take_part() -> None:
    """A resource without capacity, or a scalar one without request, is left out with its weight."""
    plugin = NodeResourcesFit(resources={"cpu": 1, "memory": 1, "a.com/x": 8})
    gpu = NodeInfo(node(more={"a.com/x": "4"}))
    assert plugin.score(pod("p", "1", "2Gi"), gpu) == 75
    assert plugin.score(pod("p", "1", "2Gi", more={"a.com/x": "4"}), gpu) == 15
    assert plugin.score(pod("p", "1", "2Gi"), NodeInfo(node(memory="0"))) == 75
    assert plugin.score(pod(), NodeInfo(node(cpu="0", memory="0"))) == 0


def test_balance() -> None:
    """One resource scores 100; three use the standard deviation; the result is truncated."""
    assert balanced([]) == 100
    assert balanced([(1, 4)]) == 100
    assert balanced([(9, 4), (0, 4)]) == 50
    assert balanced([(1, 4), (2, 4), (3, 4)]) == 79
    assert scored([NodeResourcesBalancedAllocation()], pod(), Snapshot.of([node()])).scores == {}


def test_unknown_strategies_are_refused() -> None:
    """The hint lists the known strategies."""
    with pytest.raises(BadRequest, match="no strategy"):
        NodeResourcesFit("Random")


# -- ImageLocality --------------------------------------------------------------------------------


def test_images() -> None:
    """Example 7: 500 MiB on two of four nodes gives 23; names without a tag mean latest."""
    mib = 1024 * 1024
    nodes = [node(f"n{n}", images={"big:latest": 500 * mib} if n < 2 else {}) for n in range(4)]
    incoming = pod(containers=[{"name": "c", "image": "big"}])
    cycle = scored([ImageLocality()], incoming, Snapshot.of(nodes))
    assert cycle.scores["ImageLocality"] == {"n0": 23, "n1": 23, "n2": 0, "n3": 0}
    two = pod(containers=[{"name": "c", "image": "big"}], initContainers=[{"image": "big"}])
    assert scored([ImageLocality()], two, Snapshot.of(nodes)).totals["n0"] == 24
    assert (image_score(0, 1), image_score(10**12, 1)) == (0, 100)
    # From 23 MiB to 1,000 MiB a container, in bytes.
    assert (image_score(34_361_835, 1), image_score(34_361_836, 1)) == (0, 1)
    assert (image_score(1_048_575_999, 1), image_score(1_048_576_000, 1)) == (99, 100)
    assert image_score(1_048_576_000, 2) == 49
    assert normalized_image("r.io:5000/a/b") == "r.io:5000/a/b:latest"
