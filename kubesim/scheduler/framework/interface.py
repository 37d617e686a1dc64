"""The extension points of the scheduling framework, one Protocol for each.

A scheduler plug-in is a class with a `name` and at least one of the methods below. Two of them are
enough for most ideas:

    filter(pod, node)   may this pod run on this node? Return a Status with a reason if not
    score(pod, node)    how good is this node for the pod, from 0 to 100?
    normalize(scores)   optional: scale the raw scores of all nodes to 0..100

>>> from kubesim.scheduler.framework.status import SUCCESS
>>> class OddNodes:
...     name = "OddNodes"
...     def filter(self, pod, node):
...         odd = int(node.name[-1]) % 2
...         return SUCCESS if odd else Status.unschedulable("node(s) had an even number")

A plug-in that looks at more than one node takes one more argument, the `CycleState` of the current
attempt. It stores what it counts in `state[self.name]` and finds all nodes in `state.snapshot`.
The extension points, in the order in which they run:

    pre_enqueue(pod)                     may the pod enter the active queue?
    less(a, b)                           does queued pod a go before b? (one plug-in of a profile)
    pre_filter(pod, state)               once: SUCCESS, SKIP, Status.only(nodes), or a refusal
    add_pod(pod, other, node, state)     what if another pod ran there? (remove_pod: did not run)
    filter(pod, node, state)             for each node
    post_filter(pod, cycle, state)       no node is feasible: can preemption make room?
    pre_score(pod, nodes, state)         once: SUCCESS or SKIP
    score(pod, node, state)              for each feasible node
    normalize(scores, state)             once, all raw scores by node
    reserve, unreserve(pod, node, state) take a resource of the plug-in's own; give it back
    permit(pod, node, state)             SUCCESS, a refusal, or Status.wait(seconds)
    pre_bind, bind, post_bind(pod, node, state)
    hint(pod, event)                     could this event help a pod that the plug-in refused?

`node` is a `NodeInfo` in filter, score, add_pod and remove_pod, and a node's name after that. The
last argument may be left out wherever it is the state. The framework runs the plug-ins in order,
stops at the first refusal of a node, checks the bounds of scores, applies weights and assembles the
message; no plug-in does any of that.

The members are properties of a callable type, since a plug-in may leave the state out; a plain
method satisfies them.

Source: pkg/scheduler/framework/interface.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

Answer: TypeAlias = Status | bool | None
"""What a plug-in may return: a Status; None and True mean success."""

OnPod: TypeAlias = Callable[["PodDict"], Answer] | Callable[["PodDict", CycleState], Answer]
OnNode: TypeAlias = (
    Callable[["PodDict", NodeInfo], Answer] | Callable[["PodDict", NodeInfo, CycleState], Answer]
)
OnNodeName: TypeAlias = (
    Callable[["PodDict", str], Answer] | Callable[["PodDict", str, CycleState], Answer]
)
OnPlacement: TypeAlias = (
    Callable[["PodDict", str], object] | Callable[["PodDict", str, CycleState], object]
)


class PreEnqueuePlugin(Protocol):
    """PreEnqueue: keep a pod out of the active queue until it is ready to be scheduled."""

    def pre_enqueue(self, pod: PodDict, /) -> Answer:
        """Return success, or a refusal: the pod then waits without being tried."""


class QueuedPodInfo(Protocol):
    """A pod in the scheduling queue, as QueueSort sees it."""

    @property
    def priority(self) -> int:
        """spec.priority; 0 if the pod has none."""

    @property
    def since(self) -> float:
        """Simulated second at which the pod entered the queue or was refused last."""


class QueueSortPlugin(Protocol):
    """QueueSort: the order of the active queue; a profile has one of them."""

    def less(self, a: QueuedPodInfo, b: QueuedPodInfo, /) -> bool:
        """Return whether pod a is tried before pod b."""


class PreFilterPlugin(Protocol):
    """PreFilter: check the pod, or count over all nodes, once per attempt."""

    @property
    def pre_filter(self) -> OnPod:
        """pre_filter(pod, state): success; SKIP leaves out the plug-in's filter;
        `Status.only(nodes)` limits the nodes; an unresolvable refusal ends the attempt."""


class PreFilterExtensions(Protocol):
    """Preemption tries out what would be if pods came or went; the plug-in updates its counts."""

    def add_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState, /) -> None:
        """Count another pod on a node.

        Args:
            pod: the pod to schedule.
            other: the pod to count.
            node: the node of `other`.
            state: the copy of the state to change.
        """

    def remove_pod(
        self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState, /
    ) -> None:
        """No longer count another pod on a node; the arguments are those of `add_pod`."""


class FilterPlugin(Protocol):
    """Filter: decide for one node whether the pod may run there."""

    @property
    def filter(self) -> OnNode:
        """filter(pod, node, state): success, or a refusal with reasons."""


class PostFilterPlugin(Protocol):
    """PostFilter: no node is feasible; make room for the pod."""

    @property
    def post_filter(
        self,
    ) -> Callable[[PodDict, Cycle], Answer] | Callable[[PodDict, Cycle, CycleState], Answer]:
        """post_filter(pod, cycle, state): success with `nominated`, or why no room can be made."""


class PreScorePlugin(Protocol):
    """PreScore: count over the feasible nodes, once per attempt."""

    @property
    def pre_score(
        self,
    ) -> (
        Callable[[PodDict, Sequence[NodeInfo]], Answer]
        | Callable[[PodDict, Sequence[NodeInfo], CycleState], Answer]
    ):
        """pre_score(pod, nodes, state): success, or SKIP: the plug-in does not score this pod."""


class ScorePlugin(Protocol):
    """Score: say how good a feasible node is."""

    @property
    def score(
        self,
    ) -> Callable[[PodDict, NodeInfo], float] | Callable[[PodDict, NodeInfo, CycleState], float]:
        """score(pod, node, state): a raw score; without NormalizeScore within 0..100.

        Args:
            pod: the pod.
            node: a node that passed the filters.
            state: cycle state, for what a plug-in keeps between its extension points.
        """


class NormalizeScorePlugin(Protocol):
    """NormalizeScore: scale the raw scores of all nodes to 0..100."""

    @property
    def normalize(
        self,
    ) -> (
        Callable[[dict[str, int]], Mapping[str, float]]
        | Callable[[dict[str, int], CycleState], Mapping[str, float]]
    ):
        """normalize(scores, state): raw score by node name -> score by node name."""


class ReservePlugin(Protocol):
    """Reserve: take something for a pod that is assumed on a node, before it is bound.

    A plug-in that has a method `unreserve(pod, node, state)` gives it back when the binding fails;
    that method must not fail and may be called twice.
    """

    @property
    def reserve(self) -> OnNodeName:
        """reserve(pod, node name, state): success, or a refusal."""


class PermitPlugin(Protocol):
    """Permit: hold a pod back before it is bound, for example until its group is complete."""

    @property
    def permit(self) -> OnNodeName:
        """permit(pod, node name, state): success, a refusal, or `Status.wait(seconds)`."""


class PreBindPlugin(Protocol):
    """PreBind: prepare the node before the binding is written."""

    @property
    def pre_bind(self) -> OnNodeName:
        """pre_bind(pod, node name, state): success, or a refusal."""


class BindPlugin(Protocol):
    """Bind: write the binding; the first plug-in that does not return SKIP has done it."""

    @property
    def bind(self) -> OnNodeName:
        """bind(pod, node name, state): success, SKIP, or a refusal."""


class PostBindPlugin(Protocol):
    """PostBind: clean up after a pod was bound."""

    @property
    def post_bind(self) -> OnPlacement:
        """post_bind(pod, node name, state): the result is ignored."""


class EnqueueExtensions(Protocol):
    """Queueing hint: say whether an event could make a pod schedulable that was refused."""

    def hint(self, pod: PodDict, event: ClusterEvent, /) -> bool:
        """Return whether the event could help; without this method every event could."""


class LocalPlugin(Protocol):
    """A plug-in whose answers depend on one node and on the pod's class only (see `fastpath`)."""

    @property
    def local(self) -> bool | Callable[[PodDict, Snapshot], bool]:
        """True, or local(pod, snapshot) -> whether that holds for this pod in this cluster."""


Plugin: TypeAlias = (
    PreEnqueuePlugin
    | QueueSortPlugin
    | PreFilterPlugin
    | FilterPlugin
    | PostFilterPlugin
    | PreScorePlugin
    | ScorePlugin
    | ReservePlugin
    | PermitPlugin
    | PreBindPlugin
    | BindPlugin
    | PostBindPlugin
)
"""An object that joins at least one extension point; `name` defaults to its class's name."""

# Extension point -> the method that joins it. In configurations points are written as on the left.
POINTS: Mapping[str, str] = {
    "preEnqueue": "pre_enqueue",
    "queueSort": "less",
    "preFilter": "pre_filter",
    "filter": "filter",
    "postFilter": "post_filter",
    "preScore": "pre_score",
    "score": "score",
    "reserve": "reserve",
    "permit": "permit",
    "preBind": "pre_bind",
    "bind": "bind",
    "postBind": "post_bind",
}
