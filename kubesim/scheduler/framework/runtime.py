"""The scheduling framework: runs the plug-ins of a profile at each extension point.

The extension points and what a plug-in has to look like: see `framework.interface`.

Source: pkg/scheduler/framework/runtime/framework.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from kubesim.objects.meta import key_of
from kubesim.scheduler.framework.calls import PluginMethod, call, plugin_failure
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.interface import Plugin
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.profile import Enabled, Entry, Profile, make_profile
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Code, PluginFailed, Status
from kubesim.usercode import USER_ERRORS

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

MAX_NODE_SCORE = 100
MIN_NODE_SCORE = 0
KNOWN_SCORES = 10_000  # normalized scores of local plug-ins that are cached


class Framework:
    """Runs the plug-ins of one profile.

    Args:
        profile: plug-ins, (plug-in, weight) pairs, or a `Profile`.
    """

    def __init__(self, profile: Iterable[Entry] | Plugin) -> None:
        self.profile: Profile = make_profile(profile)
        at = self.profile.plugins_at
        self._gates = at("preEnqueue")
        self.sort = next(iter(at("queueSort")), None)
        self._pre_filters = [PluginMethod(e, "pre_filter", 2) for e in at("preFilter")]
        self._filters = [PluginMethod(e, "filter", 3) for e in at("filter")]
        self._extensions = [e for e in self.profile if hasattr(e.plugin, "add_pod")]
        self._hints = {
            e.name: e if hasattr(e.plugin, "hint") else None for e in reversed(self.profile)
        }
        self.post_filters = at("postFilter")
        self._pre_scores = {e.name: PluginMethod(e, "pre_score", 3) for e in at("preScore")}
        self.scores = at("score")
        self._scores = [PluginMethod(e, "score", 3) for e in self.scores]
        self._normalizers = {
            e.name: PluginMethod(e, "normalize", 2)
            for e in self.scores
            if callable(getattr(e.plugin, "normalize", None))
        }
        # A point's own list comes first: there the weight may differ.
        self._weights = {e.name: e.weight or 1 for e in (*self.profile, *self.scores)}
        self._known: dict[
            tuple[str, int], int
        ] = {}  # normalized score of local plug-ins, by raw score
        self.reserves, self.permits = at("reserve"), at("permit")
        self.pre_binds, self.binds, self.post_binds = at("preBind"), at("bind"), at("postBind")

    # -- once per pod ------------------------------------------------------------------------------

    def gate(self, pod: PodDict) -> Status:
        """Run PreEnqueue; return the first refusal, or success."""
        for enabled in self._gates:
            status = as_status(enabled, "pre_enqueue", call(enabled, "pre_enqueue", pod))
            if not status.ok:
                return status.by(enabled.name)
        return SUCCESS

    def pre_filter(self, pod: PodDict, state: CycleState, cycle: Cycle | None = None) -> Status:
        """Run PreFilter; `nodes` of the result are the nodes to filter, None for all.

        An unresolvable refusal ends the loop at once; an ordinary one is returned after all
        plug-ins have run, since preemption may follow and needs their state.

        Args:
            pod: the pod to schedule.
            state: of this attempt.
            cycle: collects the names of the plug-ins that refuse the pod; None: not collected.

        Raises:
            PluginFailed: a plug-in raised or returned something that is no Status.
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
                    return Status.unresolvable(_disjoint_nodes(sorted(narrowing))).by(pre.name)
        if refused is not None:
            return refused
        return Status(nodes=nodes, plugin=" ".join(sorted(narrowing)))

    # -- filters ----------------------------------------------------------------------------------

    def filter(self, pod: PodDict, node: NodeInfo, state: CycleState | None = None) -> Status:
        """Run the filters on one node; return the first refusal, or success.

        Args:
            pod: the pod to schedule.
            node: the node to evaluate.
            state: of this attempt, after `pre_filter`; None: a new one with this node alone.

        Raises:
            PluginFailed: a plug-in raised, or returned something that is no Status.
        """
        if state is None:
            state = CycleState(Snapshot([node]))
            self.pre_filter(pod, state)
        skipped, run = state.skip_filter, None
        try:  # around the loop, not in it: this is the scheduler's innermost loop
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
        except USER_ERRORS as error:
            if run is None:
                raise
            raise plugin_failure(run.enabled, "filter", error) from error
        return SUCCESS

    def add_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """Add another pod to a copy of a node, and to the plug-ins' counts.

        Args:
            pod: the pod to schedule.
            other: the pod to add.
            node: a copy of the node; it is changed.
            state: a copy of the attempt's state; it is changed.
        """
        node.add(other)
        self._change("add_pod", pod, other, node, state)

    def remove_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """Remove another pod from a copy of a node, and from the plug-ins' counts.

        Args:
            pod: the pod to schedule.
            other: the pod to remove.
            node: a copy of the node; it is changed.
            state: a copy of the attempt's state; it is changed.
        """
        node.remove(key_of(other))
        self._change("remove_pod", pod, other, node, state)

    def _change(
        self, method: str, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState
    ) -> None:
        for enabled in self._extensions:
            if enabled.name not in state.skip_filter:
                call(enabled, method, pod, other, node, state)

    # -- scores -----------------------------------------------------------------------------------

    def score(
        self,
        pod: PodDict,
        nodes: Sequence[NodeInfo],
        cycle: Cycle,
        state: CycleState | None = None,
    ) -> None:
        """Score the feasible nodes: plug-in by plug-in, normalized, weighted, summed.

        Args:
            pod: the pod to schedule.
            nodes: the feasible nodes.
            cycle: receives raw scores, normalized scores and totals.
            state: of this attempt; None: a new one with these nodes.

        Raises:
            PluginFailed: a plug-in raised, or a normalized score is not a number in 0..100.
        """
        state = state if state is not None else CycleState(Snapshot(nodes))
        self.pre_score(pod, nodes, state)
        totals = cycle.start_totals(node.name for node in nodes)
        for run in self._scores:
            if run.name in state.skip_score:
                continue
            raw = {node.name: run(pod, node, state) for node in nodes}
            scores = self._normalized(run.enabled, raw, state)
            weight = run.enabled.weight or 1
            for node_name, value in scores.items():
                totals[node_name] += value * weight
            cycle.raw[run.name] = cast("dict[str, float]", raw)  # `_normalized` checked it
            cycle.scores[run.name] = scores

    def pre_score(self, pod: PodDict, nodes: Sequence[NodeInfo], state: CycleState) -> None:
        """Run PreScore on the feasible nodes; plug-ins that return Skip are not scored.

        Args:
            pod: the pod to schedule.
            nodes: the feasible nodes.
            state: of this attempt; receives the plug-ins that return Skip.
        """
        for name, pre in self._pre_scores.items():
            answer = pre(pod, nodes, state)
            if answer is False or as_status(pre.enabled, "pre_score", answer).code is Code.SKIP:
                state.skip_score.add(name)  # adds nothing to any node's total

    def total_of_one(self, pod: PodDict, node: NodeInfo, state: CycleState) -> int:
        """Return the total of one node; valid while all plug-ins are `local` (see fastpath).

        Args:
            pod: the pod to schedule.
            node: the node to score.
            state: of this attempt, after `pre_score`.
        """
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
        self, enabled: Enabled, raw: Mapping[str, object], state: CycleState
    ) -> dict[str, int]:
        for value in raw.values():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise PluginFailed(f"plugin {enabled.name!r} returned the score {value!r}")
        scores: object = raw
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
        """Return the weight of a plug-in in this profile; 1 if it is not in it."""
        return self._weights.get(plugin, 1)

    def could_help(self, plugin: str, pod: PodDict, event: ClusterEvent) -> bool:
        """Ask a plug-in that refused a pod for its queueing hint.

        Args:
            plugin: name of the plug-in.
            pod: the refused pod.
            event: what happened.

        Returns:
            The plug-in's answer; True if it is not in the profile or gives no hints.

        Raises:
            PluginFailed: the plug-in raised.
        """
        enabled = self._hints.get(plugin)
        return enabled is None or bool(call(enabled, "hint", pod, event))

    def plugin(self, name: str) -> Plugin | None:
        """Return the plug-in of that name, or None."""
        return next((e.plugin for e in self.profile if e.name == name), None)


def as_status(enabled: Enabled, method: str, answer: object) -> Status:
    """Return the status that a plug-in's answer stands for: None and True are success.

    Args:
        enabled: the plug-in.
        method: name of the method that returned the answer; `pre_score` may return False for Skip.
        answer: what the method returned.

    Raises:
        PluginFailed: the answer is something else, or an error.
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


def _disjoint_nodes(plugins: Sequence[str]) -> str:
    if len(plugins) == 1:
        return f"node(s) didn't satisfy plugin {plugins[0]}"
    return f"node(s) didn't satisfy plugin(s) [{' '.join(plugins)}] simultaneously"
