"""The scheduling framework: extension points, and who runs them.

A scheduler plug-in is a class with a `name` and one or more of these methods:

    filter(pod, node)   may this pod run on this node? a Status, with a reason if not
    score(pod, node)    how good is this node, 0 to 100?
    normalize(scores)   optional: bring raw scores into 0..100, all nodes at once

>>> class OddNodes:
...     name = "OddNodes"
...     def filter(self, pod, node):
...         odd = int(node.name[-1]) % 2
...         return SUCCESS if odd else Status.unschedulable("node(s) had an even number")

A plug-in that must look at more than one node takes one argument more, the `CycleState` of this
attempt, in which it keeps what it counted (`state[self.name]`) and finds all nodes
(`state.snapshot`). All extension points, in the order in which they run:

    pre_enqueue(pod)                     may the pod be tried at all?
    less(a, b)                           does queued pod a go before b? (one plug-in of a profile)
    pre_filter(pod, state)               once: SUCCESS, SKIP, Status.only(nodes), or a refusal
    add_pod(pod, other, node, state)     what if another pod were there (remove_pod: were gone)?
    filter(pod, node, state)             for each node
    post_filter(pod, cycle, state)       no node was good enough: can room be made?
    pre_score(pod, nodes, state)         once: SUCCESS or SKIP
    score(pod, node, state)              for each node that passed
    normalize(scores, state)             once, all raw scores by node
    reserve, unreserve(pod, node, state) take something of one's own; give it back
    permit(pod, node, state)             SUCCESS, a refusal, or Status.wait(seconds)
    pre_bind, bind, post_bind(pod, node, state)
    hint(pod, event)                     could this event help a pod that the plug-in refused?

`node` is a `NodeInfo` in filter, score, add_pod and remove_pod, and a node's name after that. The
framework runs the plug-ins in order, stops at the first refusal of a node, checks the bounds of
scores, applies weights and puts the message together; no plug-in does any of that.

Source: pkg/scheduler/framework/interface.go, pkg/scheduler/framework/runtime/framework.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubesim.objects.frozen import Document
from kubesim.objects.meta import key_of
from kubesim.scheduler.framework.calls import Call, call, failed
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.profile import Enabled, Profile, make_profile
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Code, PluginFailed, Status

MAX_NODE_SCORE = 100
MIN_NODE_SCORE = 0
KNOWN_SCORES = 10_000  # normalized scores of local plug-ins that are kept


class Framework:
    """Runs the plug-ins of one profile.

    Args:
        profile: plug-ins, (plug-in, weight) pairs, or a `Profile`.
    """

    def __init__(self, profile: Any) -> None:
        self.profile: Profile = make_profile(profile)
        at = self.profile.plugins_at
        self._gates = at("preEnqueue")
        self.sort = next(iter(at("queueSort")), None)
        self._pre_filters = [Call(e, "pre_filter", 2) for e in at("preFilter")]
        self._filters = [Call(e, "filter", 3) for e in at("filter")]
        self._changes = [e for e in self.profile if hasattr(e.plugin, "add_pod")]
        self.post_filters = at("postFilter")
        self._pre_scores = {e.name: Call(e, "pre_score", 3) for e in at("preScore")}
        self.scores = at("score")
        self._scores = [Call(e, "score", 3) for e in self.scores]
        self._normalizers = {
            e.name: Call(e, "normalize", 2)
            for e in self.scores
            if callable(getattr(e.plugin, "normalize", None))
        }
        # A point's own list comes first: there the weight may differ.
        self._weights = {e.name: e.weight or 1 for e in (*self.profile, *self.scores)}
        self._known: dict[tuple[str, int], int] = {}  # scores of local plug-ins, by raw score
        self.reserves, self.permits = at("reserve"), at("permit")
        self.pre_binds, self.binds, self.post_binds = at("preBind"), at("bind"), at("postBind")

    # -- before and around the nodes --------------------------------------------------------------

    def gate(self, pod: Document) -> Status:
        """May the pod enter the queue at all?"""
        for enabled in self._gates:
            status = as_status(enabled, "pre_enqueue", call(enabled, "pre_enqueue", pod))
            if not status.ok:
                return status.by(enabled.name)
        return SUCCESS

    def pre_filter(self, pod: Document, state: CycleState, cycle: Cycle | None = None) -> Status:
        """Let each plug-in look around once; `nodes` of the answer are those to filter.

        An unresolvable refusal ends it at once; an ordinary one only after all have run, since
        preemption may follow.
        """
        refused: Status | None = None
        nodes: frozenset[str] | None = None
        narrowing: list[str] = []
        for pre in self._pre_filters:
            status = as_status(pre.enabled, "pre_filter", pre(pod, state))
            if status.code is Code.SKIP:
                state.skip_filter.add(pre.name)
                continue
            if status.rejected:
                if cycle is not None:
                    cycle.refused_by.add(pre.name)
                if status.code is Code.UNRESOLVABLE:
                    return status.by(pre.name)
                refused = status.by(pre.name)
                continue
            if status.nodes is not None:
                narrowing.append(pre.name)
                nodes = status.nodes if nodes is None else nodes & status.nodes
                if not nodes:
                    if cycle is not None:
                        cycle.refused_by.update(narrowing)
                    return Status.unresolvable(_nowhere(sorted(narrowing))).by(pre.name)
        if refused is not None:
            return refused
        return Status(nodes=nodes, plugin=" ".join(sorted(narrowing)))

    # -- filters ----------------------------------------------------------------------------------

    def filter(self, pod: Document, node: NodeInfo, state: CycleState | None = None) -> Status:
        """Run the filters on one node; the first refusal ends it.

        Args:
            pod, node: who, and where.
            state: of this attempt, after `pre_filter`; None: made here from this node alone.

        Raises:
            PluginFailed: a plug-in raised, or returned nonsense.
        """
        if state is None:
            state = CycleState(Snapshot([node]))
            self.pre_filter(pod, state)
        skipped, run = state.skip_filter, None
        try:  # once around the loop: this is the innermost of the scheduler's loops
            for run in self._filters:
                if run.name in skipped:
                    continue
                function = run.function
                answer = function(pod, node, state) if run.stateful else function(pod, node)
                if answer is SUCCESS or answer is None or answer is True:
                    continue
                status = as_status(run.enabled, "filter", answer)
                if status.rejected:
                    return status.by(run.name)
        except Exception as error:
            raise (failed(run.enabled, "filter", error) if run is not None else error) from error
        return SUCCESS

    def add_pod(self, pod: Document, other: Document, node: NodeInfo, state: CycleState) -> None:
        """As if `other` were on the node, too: in the node's copy and in the plug-ins' states."""
        node.add(other)
        self._change("add_pod", pod, other, node, state)

    def remove_pod(self, pod: Document, other: Document, node: NodeInfo, state: CycleState) -> None:
        """As if `other` were gone."""
        node.remove(key_of(other))
        self._change("remove_pod", pod, other, node, state)

    def _change(
        self, method: str, pod: Document, other: Document, node: NodeInfo, state: CycleState
    ) -> None:
        for enabled in self._changes:
            if enabled.name not in state.skip_filter:
                call(enabled, method, pod, other, node, state)

    # -- scores -----------------------------------------------------------------------------------

    def score(
        self,
        pod: Document,
        nodes: Sequence[NodeInfo],
        cycle: Cycle,
        state: CycleState | None = None,
    ) -> None:
        """Score the feasible nodes: plug-in by plug-in, normalized, weighted, summed.

        Raises:
            PluginFailed: a plug-in raised, or a score is no number of 0..100 in the end.
        """
        state = state if state is not None else CycleState(Snapshot(nodes))
        self.pre_score(pod, nodes, state)
        cycle.totals = {node.name: 0 for node in nodes}
        for run in self._scores:
            if run.name in state.skip_score:
                continue
            raw = {node.name: run(pod, node, state) for node in nodes}
            scores = self._normalized(run.enabled, raw, state)
            weight = run.enabled.weight or 1
            for node_name, value in scores.items():
                cycle.totals[node_name] += value * weight
            cycle.raw[run.name] = raw
            cycle.scores[run.name] = scores

    def pre_score(self, pod: Document, nodes: Sequence[NodeInfo], state: CycleState) -> None:
        """Let each plug-in look at the feasible nodes once; who has nothing to say steps aside."""
        for name, pre in self._pre_scores.items():
            answer = pre(pod, nodes, state)
            if answer is False or as_status(pre.enabled, "pre_score", answer).code is Code.SKIP:
                state.skip_score.add(name)  # that adds nothing to anybody

    def total_of_one(self, pod: Document, node: NodeInfo, state: CycleState) -> int:
        """The total of one node by itself; for plug-ins that are `local` (see fastpath)."""
        total = 0
        for run in self._scores:
            if run.name in state.skip_score:
                continue
            raw = run(pod, node, state)
            score = self._known.get((run.name, raw)) if type(raw) is int else None
            if score is None:
                score = self._normalized(run.enabled, {node.name: raw}, state)[node.name]
                if type(raw) is int and len(self._known) < KNOWN_SCORES:
                    self._known[run.name, raw] = score
            total += score * (run.enabled.weight or 1)
        return total

    def _normalized(
        self, enabled: Enabled, raw: Mapping[str, Any], state: CycleState
    ) -> dict[str, int]:
        for value in raw.values():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise PluginFailed(f"plugin {enabled.name!r} returned the score {value!r}")
        scores: Any = raw
        if enabled.name in self._normalizers:
            scores = self._normalizers[enabled.name](dict(raw), state)
        checked: dict[str, int] = {}
        for name in raw:
            value = scores.get(name) if isinstance(scores, Mapping) else None
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise PluginFailed(f"plugin {enabled.name!r} returned the score {value!r}")
            if not MIN_NODE_SCORE <= value <= MAX_NODE_SCORE:
                raise PluginFailed(
                    f"plugin {enabled.name!r} returns an invalid score {value}, it should in "
                    f"the range of [{MIN_NODE_SCORE}, {MAX_NODE_SCORE}] after normalizing"
                )
            checked[name] = int(value)
        return checked

    def weight_of(self, plugin: str) -> int:
        """The weight of a plug-in in this profile."""
        return self._weights.get(plugin, 1)

    def plugin(self, name: str) -> Any:
        """The plug-in of that name; None if the profile has none."""
        return next((e.plugin for e in self.profile if e.name == name), None)


def as_status(enabled: Enabled, method: str, answer: Any) -> Status:
    """The status that a plug-in meant: None and True are success.

    Raises:
        PluginFailed: it returned something else, or an error.
    """
    if answer is None or answer is True:
        return SUCCESS
    if answer is False and method == "pre_score":
        return SKIP
    if not isinstance(answer, Status):
        raise PluginFailed(
            f"plugin {enabled.name!r} returned {answer!r} from {method}; return SUCCESS or "
            "Status.unschedulable(reason)"
        )
    if answer.code is Code.ERROR:
        raise PluginFailed(f"running {method} of plugin {enabled.name!r}: {answer.message}")
    return answer


def _nowhere(plugins: Sequence[str]) -> str:
    if len(plugins) == 1:
        return f"node(s) didn't satisfy plugin {plugins[0]}"
    return f"node(s) didn't satisfy plugin(s) [{' '.join(plugins)}] simultaneously"
