"""The scheduler's plug-ins: each one idea, one class, one reason.

Ours, so far: SchedulingGates, NodeUnschedulable, NodeName, TaintToleration, NodeSelector (the
nodeSelector part of NodeAffinity), NodeResourcesFit with LeastAllocated, and
NodeResourcesBalancedAllocation. Still out: node affinity terms, ports, topology spread, inter-pod
affinity, images, volumes.

Source: pkg/scheduler/framework/plugins/*; weights from apis/config/v1/default_plugins.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.objects.frozen import Document
from kubesim.objects.pods import pod_requests
from kubesim.scheduler.framework import (
    MAX_NODE_SCORE,
    SCORING_DEFAULT,
    SUCCESS,
    Enabled,
    NodeInfo,
    Status,
)

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether one toleration covers one taint.

    An empty effect or key covers all; Exists needs no value; Equal (the default) needs the same.
    """
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.get("effect"):
        return False
    if key and key != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated_taint(
    pod: Document, taints: list[Document], effects: tuple[str, ...]
) -> Document | None:
    """The first taint with one of these effects that no toleration of the pod covers."""
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None


class SchedulingGates:
    """A pod with gates waits outside the queue until the last one is removed."""

    name = "SchedulingGates"

    def pre_enqueue(self, pod: Document) -> Status:
        """Success without gates."""
        gates = (pod.get("spec") or {}).get("schedulingGates")
        if not gates:
            return SUCCESS
        names = " ".join(str(gate.get("name", "")) for gate in gates)
        return Status.unresolvable(f"waiting for scheduling gates: [{names}]")


class NodeUnschedulable:
    """A cordoned node takes no pod that does not tolerate it."""

    name = "NodeUnschedulable"

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """spec.unschedulable of the node."""
        if not (node.node.get("spec") or {}).get("unschedulable"):
            return SUCCESS
        if untolerated_taint(pod, [UNSCHEDULABLE_TAINT], ("NoSchedule",)) is None:
            return SUCCESS
        return Status.unresolvable("node(s) were unschedulable")


class NodeName:
    """A pod that names its node goes there or nowhere."""

    name = "NodeName"

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """spec.nodeName of the pod."""
        wanted = pod["spec"].get("nodeName")
        if not wanted or wanted == node.name:
            return SUCCESS
        return Status.unresolvable("node(s) didn't match the requested node name")


class TaintToleration:
    """Taints keep pods away that do not tolerate them; soft ones only make a node less liked."""

    name = "TaintToleration"

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """NoSchedule and NoExecute taints must be tolerated."""
        taints = (node.node.get("spec") or {}).get("taints") or []
        taint = untolerated_taint(pod, taints, ("NoSchedule", "NoExecute"))
        if taint is None:
            return SUCCESS
        said = f"{taint.get('key', '')}: {taint.get('value') or ''}"
        return Status.unresolvable(f"node(s) had untolerated taint {{{said}}}")

    def score(self, pod: Document, node: NodeInfo) -> int:
        """Number of PreferNoSchedule taints that are not tolerated; reversed by `normalize`."""
        taints = (node.node.get("spec") or {}).get("taints") or []
        tolerations = [
            toleration
            for toleration in pod["spec"].get("tolerations") or ()
            if toleration.get("effect") in (None, "", "PreferNoSchedule")
        ]
        return sum(
            taint.get("effect") == "PreferNoSchedule"
            and not any(tolerates(toleration, taint) for toleration in tolerations)
            for taint in taints
        )

    def normalize(self, scores: dict[str, int]) -> dict[str, int]:
        """The most disliked node gets 0, a clean one 100."""
        most = max(scores.values(), default=0)
        if most == 0:
            return dict.fromkeys(scores, MAX_NODE_SCORE)
        return {
            name: MAX_NODE_SCORE - MAX_NODE_SCORE * score // most for name, score in scores.items()
        }


class NodeSelector:
    """All pairs of spec.nodeSelector must be labels of the node (a part of NodeAffinity)."""

    name = "NodeAffinity"

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """spec.nodeSelector of the pod."""
        wanted = pod["spec"].get("nodeSelector") or {}
        if all(node.labels.get(key) == value for key, value in wanted.items()):
            return SUCCESS
        return Status.unresolvable("node(s) didn't match Pod's node affinity/selector")


class NodeResourcesFit:
    """What the pod asks for must be free; among nodes, the emptier one is liked better."""

    name = "NodeResourcesFit"

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """Every shortage is named; asking for more than the whole node can never be resolved."""
        request = pod_requests(pod)
        reasons = []
        if len(node.pods) + 1 > node.max_pods:
            reasons.append("Too many pods")
        too_large = False
        for resource, asked, used, offered in (
            ("cpu", request.cpu_milli, node.requested.cpu_milli, node.allocatable.cpu_milli),
            (
                "memory",
                request.memory_bytes,
                node.requested.memory_bytes,
                node.allocatable.memory_bytes,
            ),
        ):
            if asked > 0 and asked > offered - used:
                reasons.append(f"Insufficient {resource}")
                too_large = too_large or asked > offered
        if not reasons:
            return SUCCESS
        return Status.unresolvable(*reasons) if too_large else Status.unschedulable(*reasons)

    def score(self, pod: Document, node: NodeInfo) -> int:
        """LeastAllocated: the mean over CPU and memory of the free part, in whole percent."""
        request = pod_requests(pod, SCORING_DEFAULT)
        parts = []
        for asked, used, offered in (
            (request.cpu_milli, node.scoring.cpu_milli, node.allocatable.cpu_milli),
            (request.memory_bytes, node.scoring.memory_bytes, node.allocatable.memory_bytes),
        ):
            if offered > 0:
                parts.append(least_allocated(asked + used, offered))
        return sum(parts) // len(parts) if parts else 0


def least_allocated(requested: int, allocatable: int) -> int:
    """100 for an empty node, 0 for a full one; integer arithmetic as upstream.

    >>> least_allocated(1000, 4000), least_allocated(5000, 4000)
    (75, 0)
    """
    if requested > allocatable:
        return 0
    return (allocatable - requested) * MAX_NODE_SCORE // allocatable


class NodeResourcesBalancedAllocation:
    """A node is liked if the pod leaves its CPU and memory used to a similar part."""

    name = "NodeResourcesBalancedAllocation"

    def pre_score(self, pod: Document, nodes: list[NodeInfo]) -> bool:
        """A pod that asks for nothing balances nothing."""
        return any(pod_requests(pod))

    def score(self, pod: Document, node: NodeInfo) -> int:
        """100 minus half the difference of the two used parts, in percent; real requests only."""
        request = pod_requests(pod)
        fractions = [
            min((asked + used) / offered, 1.0)
            for asked, used, offered in (
                (request.cpu_milli, node.requested.cpu_milli, node.allocatable.cpu_milli),
                (
                    request.memory_bytes,
                    node.requested.memory_bytes,
                    node.allocatable.memory_bytes,
                ),
            )
            if offered > 0
        ]
        deviation = abs(fractions[0] - fractions[1]) / 2 if len(fractions) == 2 else 0.0
        return int((1 - deviation) * MAX_NODE_SCORE)


def default_profile() -> list[Enabled]:
    """The default plug-ins in order, with upstream's weights."""
    return [
        Enabled(SchedulingGates()),
        Enabled(NodeUnschedulable()),
        Enabled(NodeName()),
        Enabled(TaintToleration(), 3),
        Enabled(NodeSelector(), 2),
        Enabled(NodeResourcesFit(), 1),
        Enabled(NodeResourcesBalancedAllocation(), 1),
    ]
