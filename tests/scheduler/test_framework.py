"""The framework: every extension point, profiles, and what broken plug-ins do."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import node, pod, scored

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.scheduler import (
    SKIP,
    SUCCESS,
    Code,
    Cycle,
    CycleState,
    Enabled,
    Framework,
    Snapshot,
    Status,
    configured_profile,
    default_profile,
    make_profile,
)
from kubesim.scheduler.framework.events import NODE_ADD, ClusterEvent
from kubesim.scheduler.framework.messages import event_note, fit_message
from kubesim.scheduler.framework.runtime import as_status
from kubesim.scheduler.framework.status import PluginFailed
from kubesim.scheduler.registry import REGISTRY, read_profile
from kubesim.scheduler.search import post_filter

NODES = [node("n1"), node("n2"), node("n3")]


class Part:
    """A plug-in made of functions."""

    def __init__(self, name: str, **methods: Any) -> None:
        self.name = name
        for method, function in methods.items():
            setattr(self, method, function)


def pre(*plugins: Any, cycle: Cycle | None = None) -> tuple[Status, CycleState]:
    """Run PreFilter."""
    state = CycleState(Snapshot.of(NODES))
    return Framework(list(plugins)).pre_filter(pod(), state, cycle), state


# -- status and state -----------------------------------------------------------------------------


def test_status_codes() -> None:
    """Skip and Wait are neither success nor refusal; the message joins the reasons."""
    assert (SUCCESS.ok, SKIP.ok, SKIP.rejected, Status.wait(1).rejected) == (
        True,
        False,
        False,
        False,
    )
    no = Status.unresolvable("a", "b").by("P")
    assert (no.rejected, no.message, no.plugin) == (True, "a, b", "P")


def test_cycle_state_clones_are_independent() -> None:
    """Values with a clone method are cloned by it, others are copied."""

    class Value:
        """Counts its clones."""

        def __init__(self, n: int) -> None:
            self.n = n

        def clone(self) -> Value:
            """Return a clone with a higher number."""
            return Value(self.n + 1)

    state = CycleState(Snapshot([]))
    state["own"], state["plain"] = Value(0), {"a": [1]}
    state.skip_filter.add("X")
    twin = state.clone()
    twin["plain"]["a"].append(2)
    twin.skip_filter.add("Y")
    assert (twin["own"].n, state["plain"], state.skip_filter) == (1, {"a": [1]}, {"X"})


# -- PreFilter ------------------------------------------------------------------------------------


def test_pre_filter_narrows_and_skips() -> None:
    """Node sets are intersected; the filter of a plug-in that returns Skip does not run."""
    one = Part("A", pre_filter=lambda p, s: Status.only(["n1", "n2"]))
    two = Part("B", pre_filter=lambda p, s: Status.only(["n2", "n3"]))
    status, _ = pre(one, two)
    assert (status.nodes, status.plugin) == ({"n2"}, "A B")
    aside = Part("S", pre_filter=lambda p, s: SKIP, filter=lambda p, n: Status.unschedulable("no"))
    status, state = pre(aside)
    assert state.skip_filter == {"S"}
    framework = Framework([aside])
    assert framework.filter(pod(), state.snapshot["n1"], state).ok


def test_pre_filter_node_sets_that_exclude_each_other() -> None:
    """One plug-in is named alone, several together, sorted."""
    never = Part("B", pre_filter=lambda p, s: Status.only([]))
    some = Part("A", pre_filter=lambda p, s: Status.only(["n1"]))
    assert pre(never)[0].reasons == ("node(s) didn't satisfy plugin B",)
    other = Part("B", pre_filter=lambda p, s: Status.only(["n2"]))
    assert pre(other, some)[0].reasons == ("node(s) didn't satisfy plugin(s) [A B] simultaneously",)


def test_pre_filter_refusals() -> None:
    """After an ordinary refusal the other plug-ins run; an unresolvable one ends the loop."""
    ran: list[str] = []

    def says(name: str, status: Status) -> Part:
        def run(p: Any, s: Any) -> Status:
            ran.append(name)
            return status

        return Part(name, pre_filter=run)

    cycle = Cycle()
    soft = says("soft", Status.unschedulable("not now"))
    status, _ = pre(soft, says("fine", SUCCESS), cycle=cycle)
    assert (status.reasons, status.plugin, ran) == (("not now",), "soft", ["soft", "fine"])
    assert cycle.refused_by == {"soft"}
    ran.clear()
    status, _ = pre(says("hard", Status.unresolvable("never")), soft)
    assert (status.code, ran) == (Code.UNRESOLVABLE, ["hard"])


# -- scores ---------------------------------------------------------------------------------------


def test_weights_skips_and_normalization() -> None:
    """Weight 0 counts as 1; plug-ins that return Skip are not scored."""
    by_name = Part("A", score=lambda p, n: int(n.name[-1]))
    reverse = Part(
        "B",
        score=lambda p, n: int(n.name[-1]),
        normalize=lambda scores: {name: 100 - score for name, score in scores.items()},
    )
    silent = Part("C", pre_score=lambda p, n: SKIP, score=lambda p, n: 100)
    old_style = Part("D", pre_score=lambda p, n: False, score=lambda p, n: 100)
    profile = [(by_name, 10), (reverse, 0), silent, old_style]
    cycle = scored(profile, pod(), Snapshot.of(NODES))
    assert cycle.totals == {"n1": 10 + 99, "n2": 20 + 98, "n3": 30 + 97}
    assert set(cycle.scores) == {"A", "B"}
    assert cycle.raw["B"] == {"n1": 1, "n2": 2, "n3": 3}


@pytest.mark.parametrize(
    "plugin",
    [
        Part("P", score=lambda p, n: 101),
        Part("P", score=lambda p, n: -1),
        Part("P", score=lambda p, n: "many"),
        Part("P", score=lambda p, n: True),
        Part("P", score=lambda p, n: 1, normalize=lambda scores: None),
        Part("P", score=lambda p, n: 1, normalize=lambda scores: {"n1": 1}),
        Part("P", score=lambda p, n: 1 // 0),
        Part("P", pre_score=lambda p, n: "yes", score=lambda p, n: 1),
    ],
)
def test_scores_out_of_bounds_fail_the_cycle(plugin: Any) -> None:
    """Results that are not numbers fail, too; the message names the plug-in."""
    with pytest.raises(PluginFailed, match="'P'"):
        scored([plugin], pod(), Snapshot.of(NODES))


def test_what_filters_may_answer() -> None:
    """None and True are success; an error status and other values fail."""
    enabled = Enabled(Part("P", filter=lambda p, n: None))
    assert as_status(enabled, "filter", None).ok
    assert as_status(enabled, "filter", True).ok
    for answer in (False, "no", 7, Status.error("broken")):
        with pytest.raises(PluginFailed):
            as_status(enabled, "filter", answer)


def test_plug_ins_with_and_without_state() -> None:
    """Methods work with and without the state."""

    class Both:
        """A filter that takes the state."""

        name = "Both"

        def filter(self, pod: Any, node: Any, state: CycleState) -> Status:
            """Succeed if the snapshot is complete."""
            return SUCCESS if len(state.snapshot) == 3 else Status.unschedulable("?")

    framework, snapshot = Framework([Both()]), Snapshot.of(NODES)
    assert framework.filter(pod(), snapshot["n1"], CycleState(snapshot)).ok
    assert not framework.filter(pod(), snapshot["n1"]).ok


# -- PostFilter -----------------------------------------------------------------------------------


def test_post_filters_pile_up_reasons_until_one_succeeds() -> None:
    """A success ends the chain, an unresolvable answer too."""
    one = Part("A", post_filter=lambda p, c: Status.unschedulable("one"))
    two = Part("B", post_filter=lambda p, c, s: Status.unschedulable("two"))
    done = Part("C", post_filter=lambda p, c, s: Status(nominated="n1"))
    end = Part("D", post_filter=lambda p, c, s: Status.unresolvable("end"))

    def run(*plugins: Any) -> Status:
        state = CycleState(Snapshot.of(NODES))
        return post_filter(Framework(list(plugins)), pod(), Cycle(), state)

    assert run(one, two).reasons == ("one", "two")
    result = run(one, done, two)
    assert (result.ok, result.nominated, result.plugin) == (True, "n1", "C")
    assert run(one, end, done).reasons == ("end",)
    assert run().reasons == ()


def test_words_of_a_cluster_with_device_claims() -> None:
    """The message comes before the one of preemption."""
    config = {"plugins": {"postFilter": {"enabled": [{"name": "DynamicResources"}]}}}
    with Cluster(nodes=1, seed=1, hpa=False, profile=configured_profile(config)) as cluster:
        cluster.sleep(1)
        cluster.api.create(pod("p", "99"))
        cluster.sleep(1)
        assert reason_of(cluster.api.get("Pod", "p"))[1] == (
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )


# -- messages -------------------------------------------------------------------------------------


def test_messages_count_nodes_that_were_not_looked_at() -> None:
    """Excluded nodes share one reason; a message of PreFilter stands alone."""
    outside = Status.unresolvable("node(s) didn't satisfy plugin(s) [NodeAffinity]")
    cycle = Cycle({"n1": Status.unschedulable("Insufficient cpu")}, outside)
    assert fit_message(cycle, 4) == (
        "0/4 nodes are available: 1 Insufficient cpu, "
        "3 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )
    early = Cycle(absent=Status.unresolvable("x"), pre_filter="x", post_filter="preemption: y.")
    assert fit_message(early, 4) == "0/4 nodes are available: x. preemption: y."
    assert fit_message(Cycle({"n1": Status.unschedulable()}), 1) == "0/1 nodes are available:"


def test_reasons_are_sorted_as_text() -> None:
    """`10` before `2`, digits before letters, upper before lower case."""
    refused = [("a", 10), ("b", 2), ("Z", 2)]
    statuses = {
        f"{reason}{n}": Status.unschedulable(reason)
        for reason, count in refused
        for n in range(count)
    }
    assert fit_message(Cycle(statuses), 14) == "0/14 nodes are available: 10 a, 2 Z, 2 b."


def test_long_notes_are_cut_within_the_limit() -> None:
    """A note has at most 1,024 characters; a cut one ends with ` ...`."""
    assert event_note("x" * 1024) == "x" * 1024
    assert (len(event_note("x" * 1025)), event_note("x" * 1025)[-4:]) == (1024, " ...")


# -- profiles -------------------------------------------------------------------------------------


def names(framework: Framework) -> list[str]:
    """Return the names of the scoring plug-ins, in order."""
    return [e.name for e in framework.scores]


def test_the_default_profile() -> None:
    """Order and weights of the specification; the best total is 1,200 points."""
    profile = default_profile()
    scoring = {e.name: e.weight for e in profile if e.joins("score")}
    assert scoring == {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "NodeResourcesFit": 1,
        "PodTopologySpread": 2,
        "InterPodAffinity": 2,
        "NodeResourcesBalancedAllocation": 1,
        "ImageLocality": 1,
    }
    assert sum(scoring.values()) * 100 == 1200
    filters = [e.name for e in profile if e.joins("filter")]
    assert filters == [
        "NodeUnschedulable",
        "NodeName",
        "TaintToleration",
        "NodeAffinity",
        "NodePorts",
        "NodeResourcesFit",
        "VolumeRestrictions",
        "NodeVolumeLimits",
        "VolumeBinding",
        "VolumeZone",
        "PodTopologySpread",
        "InterPodAffinity",
    ]
    assert [e.name for e in profile if e.joins("postFilter")] == ["DefaultPreemption"]
    gates = [e.name for e in profile if e.joins("preEnqueue")]
    assert gates == ["SchedulingGates", "DefaultPreemption"]


def test_multi_point_and_single_points() -> None:
    """A point's own list comes first; `*` clears; an entry replaces the default in its place."""
    config = {
        "plugins": {
            "multiPoint": {
                "enabled": [{"name": "Mine"}, {"name": "TaintToleration", "weight": 9}],
                "disabled": [{"name": "ImageLocality"}],
            },
            "score": {
                "enabled": [{"name": "NodeResourcesFit", "weight": 7}],
                "disabled": [{"name": "NodeAffinity"}],
            },
        }
    }
    mine = Part("Mine", score=lambda p, n: 1)
    framework = Framework(configured_profile(config, Mine=lambda args: mine))
    assert names(framework) == [
        "NodeResourcesFit",
        "TaintToleration",
        "PodTopologySpread",
        "InterPodAffinity",
        "NodeResourcesBalancedAllocation",
        "Mine",
    ]
    weights = {e.name: e.weight for e in framework.scores}
    assert (weights["NodeResourcesFit"], weights["TaintToleration"], weights["Mine"]) == (7, 9, 1)
    bare = {"plugins": {"score": {"disabled": [{"name": "*"}]}}}
    assert names(Framework(configured_profile(bare))) == []
    nothing = {"plugins": {"multiPoint": {"disabled": [{"name": "*"}]}}}
    assert configured_profile(nothing) == []


def test_plug_in_arguments() -> None:
    """Arguments have the names of a KubeSchedulerConfiguration."""
    args = {
        "NodeResourcesFit": {
            "scoringStrategy": {
                "type": "RequestedToCapacityRatio",
                "resources": [{"name": "cpu", "weight": 3}],
                "requestedToCapacityRatio": {
                    "shape": [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]
                },
            },
            "ignoredResources": ["a.com/x"],
        },
        "NodeResourcesBalancedAllocation": {"resources": [{"name": "cpu"}]},
        "PodTopologySpread": {"defaultingType": "List"},
        "InterPodAffinity": {"hardPodAffinityWeight": 50},
        "DefaultPreemption": {"minCandidateNodesAbsolute": 3},
        "NodeAffinity": {"addedAffinity": {}},
    }
    config = {"pluginConfig": [{"name": n, "args": a} for n, a in args.items()]}
    framework = Framework(configured_profile(config))
    fit = framework.plugin("NodeResourcesFit")
    assert (fit.strategy, fit.resources) == ("RequestedToCapacityRatio", {"cpu": 3})
    assert framework.plugin("NodeResourcesBalancedAllocation").resources == ("cpu",)
    assert set(REGISTRY) - {e.name for e in default_profile()} == {"DynamicResources"}


def test_a_configuration_is_a_profile() -> None:
    """A cluster accepts a configuration; it may set the percentage of nodes."""
    packing = {"scoringStrategy": {"type": "MostAllocated"}}
    config = {
        "percentageOfNodesToScore": 30,
        "pluginConfig": [{"name": "NodeResourcesFit", "args": packing}],
        "plugins": {"score": {"disabled": [{"name": "NodeResourcesBalancedAllocation"}]}},
    }
    with Cluster(nodes=3, seed=1, hpa=False, profile=config) as cluster:
        cluster.sleep(1)
        for n in range(4):
            cluster.api.create(pod(f"p{n}", "500m"))
        cluster.sleep(1)
        used = {p["spec"]["nodeName"] for p in cluster.api.list("Pod")["items"]}
        assert len(used) == 1
        assert cluster.scheduler.framework.profile.percentage == 30
        cluster.restart_scheduler({"plugins": {"score": {"disabled": [{"name": "*"}]}}})
        assert cluster.scheduler.framework.scores == []


@pytest.mark.parametrize(
    "config",
    [
        {"plugins": {"scoring": {}}},
        {"plugins": {"score": {"enabled": [{"name": "Nobody"}]}}},
        {"plugins": {"multiPoint": {"enabled": [{"name": "Nobody"}]}}},
    ],
)
def test_unknown_names_in_a_configuration_are_refused(config: Any) -> None:
    """Unknown names are BadRequest with a hint."""
    with pytest.raises(BadRequest):
        configured_profile(config)


def test_what_is_no_plug_in_is_refused() -> None:
    """A class in place of an object is refused, too."""
    with pytest.raises(BadRequest, match="not a scheduler plug-in"):
        make_profile([object()])
    with pytest.raises(BadRequest, match="is a class"):
        make_profile([Part])
    assert [e.name for e in make_profile(Part("P", score=lambda p, n: 1))] == ["P"]


class Blind:
    """A plug-in for wrong profiles."""

    name = "Blind"

    def score(self, pod: Any, node: Any) -> int:
        """Return the same for every node."""
        return 1


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("NodeName", "a list of plug-ins, not the string 'NodeName'"),
        (3, "3 is not a scheduler plug-in"),
        ([(Blind(), "heavy")], "weight of a plug-in must be a number, not 'heavy'"),
        ([(Blind(), None)], "weight of a plug-in must be a number, not None"),
        ({"plugins": ["Blind"]}, "plugins of a scheduler configuration must be a mapping"),
        ({"plugins": {"score": 3}}, "plugins.score of a scheduler configuration must be a mapping"),
        ({"plugins": {"score": {"enabled": ["Blind"]}}}, "enabled .* list of entries with a name"),
        ({"plugins": {"multiPoint": {"disabled": 7}}}, "disabled .* list of entries with a name"),
        ({"pluginConfig": [{"args": {}}]}, "pluginConfig .* list of entries with a name"),
    ],
)
def test_a_wrong_profile_says_what_is_expected(profile: Any, message: str) -> None:
    """Each wrong part is BadRequest, from the cluster's constructor, too."""
    with pytest.raises(BadRequest, match=message) as refused:
        read_profile(profile)
    assert refused.value.hint
    with pytest.raises(BadRequest, match=message):
        Cluster(nodes=1, hpa=False, profile=profile)


def test_a_hint_is_asked_of_the_first_plug_in_of_a_name() -> None:
    """A plug-in without hints, or one that left the profile, never keeps a pod waiting."""
    event = ClusterEvent(NODE_ADD, new=node("n4"))
    refusing = Part("A", filter=lambda p, n: None, hint=lambda p, e: False)
    helping = Part("A", filter=lambda p, n: None, hint=lambda p, e: True)
    silent = Part("B", filter=lambda p, n: None)
    framework = Framework([refusing, helping, silent])
    answers = [framework.could_help(name, pod(), event) for name in ("A", "B", "deleted")]
    assert answers == [False, True, True]


# -- Reserve, Permit, Bind on a cluster -----------------------------------------------------------


class Late:
    """A plug-in that logs every extension point from Reserve to PostBind."""

    name = "Late"

    def __init__(self, log: list[str], **answers: Any) -> None:
        self.log, self.answers, self.handle = log, answers, None

    def attach(self, handle: Any) -> None:
        """Keep the handle."""
        self.handle = handle

    def _say(self, point: str, pod: Any, node: str) -> Any:
        self.log.append(f"{point} {pod['metadata']['name']}")
        answer = self.answers.get(point, SUCCESS)
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reserve(self, pod: Any, node: str) -> Any:
        """Reserve."""
        return self._say("reserve", pod, node)

    def unreserve(self, pod: Any, node: str) -> Any:
        """Unreserve."""
        return self._say("unreserve", pod, node)

    def permit(self, pod: Any, node: str) -> Any:
        """Permit."""
        return self._say("permit", pod, node)

    def pre_bind(self, pod: Any, node: str) -> Any:
        """PreBind."""
        return self._say("pre_bind", pod, node)

    def bind(self, pod: Any, node: str) -> Any:
        """Bind, before the default one."""
        return self._say("bind", pod, node)

    def post_bind(self, pod: Any, node: str) -> Any:
        """PostBind."""
        return self._say("post_bind", pod, node)


def run(seconds: float = 3.0, **answers: Any) -> tuple[list[str], Any, Cluster]:
    """Schedule one pod; return the log, the pod, and the closed cluster."""
    log: list[str] = []
    answers.setdefault("bind", SKIP)
    profile = [Late(log, **answers), *default_profile()]
    with Cluster(nodes=1, seed=1, hpa=False, profile=profile) as cluster:
        cluster.sleep(1)
        cluster.api.create(pod("p", "1"))
        cluster.sleep(seconds)
        document = cluster.api.get("Pod", "p")
    return [entry.removesuffix(" p") for entry in log], document, cluster


def reason_of(document: Any) -> tuple[str, str]:
    """Return reason and message of the PodScheduled condition."""
    result = next(c for c in document["status"]["conditions"] if c["type"] == "PodScheduled")
    return result.get("reason", ""), result.get("message", "")


def test_the_whole_way() -> None:
    """The order is Reserve, Permit, PreBind, Bind (skipped), PostBind."""
    log, document, _ = run()
    assert log == ["reserve", "permit", "pre_bind", "bind", "post_bind"]
    assert document["spec"]["nodeName"] == "node-1"


def test_a_bind_plug_in_that_succeeds_ends_the_chain() -> None:
    """A Bind plug-in that succeeds is not checked."""
    log, document, cluster = run(bind=SUCCESS)
    assert log == ["reserve", "permit", "pre_bind", "bind", "post_bind"]
    assert "nodeName" not in document["spec"]
    assert cluster.scheduler.cache.is_assumed("default/p")


@pytest.mark.parametrize("point", ["reserve", "permit", "pre_bind"])
def test_a_refusal_after_the_filters(point: str) -> None:
    """A refusal runs Unreserve; the message counts one node and the plug-in is named."""
    log, document, cluster = run(**{point: Status.unschedulable("not today")})
    assert log.index("unreserve") == log.index(point) + 1
    assert "post_bind" not in log
    assert reason_of(document) == ("Unschedulable", "0/1 nodes are available: 1 not today.")
    assert cluster.scheduler.cache.nodes["node-1"].requested.cpu_milli == 0


@pytest.mark.parametrize("point", ["reserve", "permit", "pre_bind", "bind"])
def test_an_error_after_the_filters(point: str) -> None:
    """An error runs Unreserve and is reported; the pod is retried after its back-off."""
    good = SKIP if point == "bind" else SUCCESS
    log, document, _ = run(
        8.0, **{point: [RuntimeError("oops"), RuntimeError("again"), good, good]}
    )
    assert log.count("unreserve") == 2
    assert log[-1] == "post_bind"
    assert document["spec"]["nodeName"] == "node-1"


def test_unreserve_runs_in_reverse_order() -> None:
    """Unreserve also runs for plug-ins whose Reserve did not run."""
    order: list[str] = []

    def tracked(name: str, status: Status) -> Part:
        return Part(
            name,
            reserve=lambda p, n: status,
            unreserve=lambda p, n: order.append(name),
        )

    parts = [tracked("A", SUCCESS), tracked("B", Status.unschedulable("no")), tracked("C", SUCCESS)]
    profile = [*default_profile(), *parts]
    with Cluster(nodes=1, seed=1, hpa=False, profile=profile) as cluster:
        cluster.api.create(pod("p"))
        cluster.sleep(0.5)
    assert order[:3] == ["C", "B", "A"]


def test_failures_that_hold_nobody_up_are_told() -> None:
    """Failures in PostBind, Unreserve and QueueSort are logged and change no outcome."""

    def fails(*_: Any) -> Any:
        raise RuntimeError("oops")

    late = Part("Late", post_bind=fails, reserve=lambda p, n: SUCCESS, unreserve=fails)
    once = [Status.unschedulable("not yet"), SUCCESS, SUCCESS, SUCCESS]
    gate = Part("Gate", permit=lambda p, n: once.pop(0))
    profile = [Part("Sort", less=fails), *default_profile(), late, gate]
    with Cluster(nodes=1, seed=1, hpa=False, profile=profile) as cluster:
        for n in range(3):
            cluster.api.create(pod(f"p{n}", "100m"))
        cluster.sleep(400)
        placed = [p["spec"].get("nodeName") for p in cluster.api.list("Pod")["items"]]
        assert placed == ["node-1"] * 3
        rows = cluster.analytics.since(action="PluginFailed", level="error").rows
        text = " ".join(str(row) for row in rows)
        for method in ("less", "post_bind", "unreserve"):
            assert f"running {method} of plugin" in text
        assert list(cluster.failures) == []


def waiting_cluster(seconds: float) -> tuple[Cluster, Late]:
    """Return a cluster whose Permit plug-in makes pods wait."""
    late = Late([], permit=Status.wait(seconds), bind=SKIP)
    cluster = Cluster(nodes=1, seed=1, hpa=False, profile=[late, *default_profile()])
    cluster.sleep(1)
    cluster.api.create(pod("p", "1"))
    cluster.sleep(2)
    return cluster, late


def test_permit_waits_until_it_is_allowed() -> None:
    """A waiting pod's resources are taken, and it is not bound."""
    cluster, late = waiting_cluster(100.0)
    with cluster:
        assert cluster.scheduler.statistics()["permit"] == 1
        assert cluster.scheduler.cache.nodes["node-1"].requested.cpu_milli == 1000
        assert "nodeName" not in cluster.api.get("Pod", "p")["spec"]
        assert late.handle is not None
        assert late.handle.allow("default/p", "Late")
        assert not late.handle.allow("default/p", "Late")
        cluster.sleep(1)
        assert cluster.api.get("Pod", "p")["spec"]["nodeName"] == "node-1"


def test_a_permit_that_is_never_given_times_out() -> None:
    """A time-out is a refusal; the resources are released."""
    cluster, late = waiting_cluster(5.0)
    with cluster:
        cluster.sleep(4)
        text = "rejected due to timeout after waiting 5s at plugin Late"
        expected = ("Unschedulable", f"0/1 nodes are available: 1 {text}.")
        assert reason_of(cluster.api.get("Pod", "p")) == expected
        assert "unreserve p" in late.log


def test_a_pod_that_is_deleted_while_it_waits_is_forgotten() -> None:
    """The resources of a deleted waiting pod are released."""
    cluster, _ = waiting_cluster(100.0)
    with cluster:
        cluster.api.delete("Pod", "p")
        cluster.sleep(1)
        assert cluster.scheduler.statistics()["permit"] == 0
        assert cluster.scheduler.cache.nodes["node-1"].requested.cpu_milli == 0
        assert len(cluster.scheduler.queue) == 0


def test_a_victim_that_waits_in_permit_is_rejected_and_not_deleted() -> None:
    """A preempted waiting pod is rejected and returns to the queue."""

    class HoldLow:
        """A Permit plug-in that makes pods without priority wait."""

        name = "HoldLow"

        def permit(self, pod: Any, node: str) -> Status:
            """Wait five minutes for pods without priority."""
            return SUCCESS if pod["spec"].get("priority") else Status.wait(300)

    profile = [*default_profile(), HoldLow()]
    with Cluster(nodes=1, seed=1, hpa=False, node_cpu="1", profile=profile) as cluster:
        cluster.sleep(1)
        cluster.api.create(
            {
                "kind": "PriorityClass",
                "apiVersion": "scheduling.k8s.io/v1",
                "metadata": {"name": "high"},
                "value": 1000,
            }
        )
        cluster.api.create(pod("low", "1"))
        cluster.sleep(1)
        cluster.api.create(pod("high", "1", priorityClassName="high"))
        cluster.sleep(5)
        assert cluster.api.get("Pod", "high")["spec"]["nodeName"] == "node-1"
        low = cluster.api.get("Pod", "low")
        assert "deletionTimestamp" not in low["metadata"]
        notes = [e for e in cluster.api.list("Event")["items"] if e["reason"] == "Preempted"]
        assert [e["involvedObject"]["name"] for e in notes] == ["low"]


def test_permits_are_never_longer_than_fifteen_minutes() -> None:
    """The wait is limited to 15 minutes."""
    cluster, _ = waiting_cluster(10_000.0)
    with cluster:
        cluster.sleep(905)
        text = reason_of(cluster.api.get("Pod", "p"))[1]
        assert "after waiting 15m0s at plugin Late" in text


def test_only_the_cycle_sets_its_attributes() -> None:
    """The search, the plug-ins and the scheduler call its methods."""
    import ast
    from pathlib import Path

    import kubesim

    writes = [
        f"{path.name}:{node.lineno}"
        for path in sorted((Path(kubesim.__file__).parent / "scheduler").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("cycle", "search")
    ]
    assert writes == []
