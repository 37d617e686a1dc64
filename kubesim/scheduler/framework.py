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

The framework runs them in order, stops at the first refusal of a node, checks the bounds of scores,
applies weights and puts the message together; no plug-in does any of that.

Ours keeps: PreEnqueue (scheduling gates), Filter, Score, NormalizeScore, Bind. It leaves out, so
far: PreFilter, PostFilter (preemption), Reserve, Permit, PreBind.

Source: pkg/scheduler/framework/interface.go, pkg/scheduler/framework/runtime/framework.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import NOTHING, PodResources, pod_requests
from kubesim.quantity import parse_cpu_milli, parse_memory

MAX_NODE_SCORE = 100
MIN_NODE_SCORE = 0
# What a container without a request counts for when nodes are compared (not when they are
# filtered): framework/types.go, DefaultMilliCPURequest and DefaultMemoryRequest.
SCORING_DEFAULT = PodResources(100, 200 * 1024 * 1024)


class Code(Enum):
    """What a filter says of a node."""

    SUCCESS = "success"
    UNSCHEDULABLE = "unschedulable"  # not now; removing pods might help
    UNRESOLVABLE = "unresolvable"  # nothing that happens to other pods helps


@dataclass(frozen=True, slots=True)
class Status:
    """The answer of a filter.

    Attributes:
        code: success, or which kind of no.
        reasons: why not, in kube-scheduler's words.
        plugin: who said so; the framework fills it in.
    """

    code: Code = Code.SUCCESS
    reasons: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def ok(self) -> bool:
        """The node is fine."""
        return self.code is Code.SUCCESS

    @classmethod
    def unschedulable(cls, *reasons: str) -> Status:
        """No, for now."""
        return cls(Code.UNSCHEDULABLE, reasons)

    @classmethod
    def unresolvable(cls, *reasons: str) -> Status:
        """No, whatever becomes of other pods."""
        return cls(Code.UNRESOLVABLE, reasons)


SUCCESS = Status()


@dataclass(slots=True)
class NodeInfo:
    """A node and what is taken of it: what plug-ins look at.

    Attributes:
        node: the document, frozen.
        allocatable: what it offers.
        max_pods: how many pods it takes; a node that does not say takes none.
        requested: sum of what its pods asked for.
        scoring: the same with the defaults for containers that asked for nothing.
        pods: its pods by key; bound ones and assumed ones, finished ones not.
    """

    node: Document
    allocatable: PodResources = NOTHING
    max_pods: int = 0
    requested: PodResources = NOTHING
    scoring: PodResources = NOTHING
    pods: dict[str, Document] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The node's name."""
        return meta.name_of(self.node)

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return meta.labels_of(self.node)

    def set_node(self, node: Document) -> None:
        """Take over a newer state of the node."""
        self.node = node
        offered = (node.get("status") or {}).get("allocatable") or {}
        self.allocatable = PodResources(
            parse_cpu_milli(offered.get("cpu", 0)), parse_memory(offered.get("memory", 0))
        )
        self.max_pods = int(offered.get("pods", 0))

    def add(self, pod: Document) -> None:
        """Count a pod; counting it again replaces it."""
        key = meta.key_of(pod)
        self.remove(key)
        self.pods[key] = pod
        self.requested += pod_requests(pod)
        self.scoring += pod_requests(pod, SCORING_DEFAULT)

    def remove(self, key: str) -> None:
        """No longer count a pod."""
        pod = self.pods.pop(key, None)
        if pod is not None:
            self.requested = _minus(self.requested, pod_requests(pod))
            self.scoring = _minus(self.scoring, pod_requests(pod, SCORING_DEFAULT))


def _minus(a: PodResources, b: PodResources) -> PodResources:
    return PodResources(a.cpu_milli - b.cpu_milli, a.memory_bytes - b.memory_bytes)


@dataclass(frozen=True)
class Enabled:
    """One plug-in of a profile.

    Attributes:
        plugin: an object with a name and the methods of its extension points.
        weight: of its score; 0 counts as 1.
    """

    plugin: Any
    weight: int = 1

    @property
    def name(self) -> str:
        """The plug-in's name."""
        return str(getattr(self.plugin, "name", type(self.plugin).__name__))


Profile = Sequence[Enabled]


def make_profile(plugins: Sequence[Any]) -> list[Enabled]:
    """A profile from plug-ins, (plug-in, weight) pairs or `Enabled` records.

    Raises:
        BadRequest: something in it is no plug-in; the message says what one needs.
    """
    profile = []
    for item in plugins:
        if isinstance(item, tuple) and len(item) == 2:
            item = Enabled(item[0], int(item[1]) or 1)
        elif not isinstance(item, Enabled):
            item = Enabled(item)
        methods = ("filter", "score", "pre_enqueue")
        if not any(callable(getattr(item.plugin, method, None)) for method in methods):
            raise BadRequest(
                f"{item.plugin!r} is no scheduler plug-in",
                hint="give it a name and a method filter(pod, node) or score(pod, node)",
            )
        profile.append(item)
    return profile


class PluginFailed(Exception):
    """A plug-in raised, or broke the framework's rules; the pod is tried again later."""


@dataclass
class Cycle:
    """What one attempt to place a pod found out; the material of its explanation.

    Attributes:
        statuses: what the filters said of each node.
        raw: plug-in -> node -> score as the plug-in gave it (normalized).
        totals: node -> sum of weight * score.
    """

    statuses: dict[str, Status] = field(default_factory=dict)
    raw: dict[str, dict[str, int]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)

    @property
    def feasible(self) -> list[str]:
        """The nodes that passed every filter."""
        return [name for name, status in self.statuses.items() if status.ok]


class Framework:
    """Runs the plug-ins of one profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = list(profile)
        self._filters = [e for e in profile if callable(getattr(e.plugin, "filter", None))]
        self._scores = [e for e in profile if callable(getattr(e.plugin, "score", None))]
        self._gates = [e for e in profile if callable(getattr(e.plugin, "pre_enqueue", None))]

    def gate(self, pod: Document) -> Status:
        """May the pod enter the queue at all?"""
        for enabled in self._gates:
            status = _call(enabled, "pre_enqueue", pod)
            if not status.ok:
                return Status(status.code, status.reasons, enabled.name)
        return SUCCESS

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """Run the filters on one node; the first refusal ends it."""
        for enabled in self._filters:
            status = _call(enabled, "filter", pod, node)
            if status is None or status is True:
                continue
            if not isinstance(status, Status):
                raise PluginFailed(
                    f"plugin {enabled.name!r} returned {status!r} from filter; return SUCCESS or "
                    "Status.unschedulable(reason)"
                )
            if not status.ok:
                return Status(status.code, status.reasons, enabled.name)
        return SUCCESS

    def score(self, pod: Document, nodes: Sequence[NodeInfo], cycle: Cycle) -> None:
        """Score the feasible nodes: plug-in by plug-in, normalized, weighted, summed."""
        cycle.totals = {node.name: 0 for node in nodes}
        for enabled in self._scores:
            wants = getattr(enabled.plugin, "pre_score", None)
            if callable(wants) and not _call(enabled, "pre_score", pod, nodes):
                continue  # it has nothing to say: that adds nothing to anybody
            scores = {node.name: _call(enabled, "score", pod, node) for node in nodes}
            normalize: Callable[..., Any] | None = getattr(enabled.plugin, "normalize", None)
            if callable(normalize):
                scores = _call(enabled, "normalize", scores)
            for name, value in scores.items():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise PluginFailed(f"plugin {enabled.name!r} returned the score {value!r}")
                if not MIN_NODE_SCORE <= value <= MAX_NODE_SCORE:
                    raise PluginFailed(
                        f"plugin {enabled.name!r} returns an invalid score {value}, it should in "
                        f"the range of [{MIN_NODE_SCORE}, {MAX_NODE_SCORE}] after normalizing"
                    )
                scores[name] = int(value)
                cycle.totals[name] += int(value) * enabled.weight
            cycle.raw[enabled.name] = scores

    def weight_of(self, plugin: str) -> int:
        """The weight of a plug-in in this profile."""
        return next(e.weight for e in self.profile if e.name == plugin)


def _call(enabled: Enabled, method: str, *arguments: Any) -> Any:
    try:
        return getattr(enabled.plugin, method)(*arguments)
    except Exception as error:
        said = f"running {method} of plugin {enabled.name!r}: {type(error).__name__}: {error}"
        raise PluginFailed(said) from error


def fit_message(cycle: Cycle, nodes: int) -> str:
    """Why no node was good enough, in kube-scheduler's words.

    Every reason of every node is counted; the counted texts are sorted as texts.

    >>> refused = Status.unschedulable("Insufficient cpu", "Insufficient memory")
    >>> fit_message(Cycle({"a": refused, "b": Status.unschedulable("Insufficient cpu")}), 2)
    '0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu.'
    """
    if nodes == 0:
        return "no nodes available to schedule pods"
    counts: dict[str, int] = {}
    for status in cycle.statuses.values():
        for reason in status.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    listed = sorted(f"{count} {reason}" for reason, count in counts.items())
    message = f"0/{nodes} nodes are available:"
    return f"{message} {', '.join(listed)}." if listed else message
