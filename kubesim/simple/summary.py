"""Counts of the analytics log, of the pods and of the nodes: the response to GET /api/summary.

>>> summary = summarize([], [{"status": {"phase": "Running"}}, {}], [])
>>> summary["pods"]["by_phase"]
{'Pending': 1, 'Running': 1, 'Succeeded': 0, 'Failed': 0, 'Unknown': 0}

Levels, phases and condition statuses are closed sets, so each of their members is listed, with a
zero if need be. Components, actions and condition types are listed if they occur, by name.

No counterpart in Kubernetes, where `kubectl get --raw /metrics` is the nearest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

from kubesim.analytics import LEVELS, LogRow
from kubesim.objects.pods import phase_of

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")  # core/v1 PodPhase
STATUSES = ("True", "False", "Unknown")  # core/v1 ConditionStatus


class LogSummary(TypedDict):
    """Counts of the rows of the analytics log that are kept.

    Attributes:
        total: number of rows kept.
        lost: number of older rows that the bounded log has dropped; no other count includes them.
    """

    total: int
    lost: int
    by_component: dict[str, int]
    by_level: dict[str, int]
    by_action: dict[str, int]


class PodSummary(TypedDict):
    """Counts of all pods."""

    total: int
    by_phase: dict[str, int]


class NodeSummary(TypedDict):
    """Counts of all nodes; `by_condition` maps a condition type to counts by status."""

    total: int
    by_condition: dict[str, dict[str, int]]


class Summary(TypedDict):
    """The response to GET /api/summary."""

    logs: LogSummary
    pods: PodSummary
    nodes: NodeSummary


def summarize(
    rows: Sequence[LogRow], pods: Sequence[PodDict], nodes: Sequence[NodeDict], *, lost: int = 0
) -> Summary:
    """Count log rows, pods and nodes. Pure.

    Args:
        rows: the rows of the analytics log.
        pods: all pods.
        nodes: all nodes.
        lost: number of rows that the log no longer keeps.

    Returns:
        The summary; every value is JSON data.
    """
    levels = Counter(row.level for row in rows)
    phases = Counter(phase_of(pod) for pod in pods)
    return {
        "logs": {
            "total": len(rows),
            "lost": lost,
            "by_component": _sorted_counts(row.component for row in rows),
            "by_level": {level: levels[level] for level in LEVELS},
            "by_action": _sorted_counts(row.action for row in rows),
        },
        "pods": {
            "total": len(pods),
            "by_phase": {phase: phases[phase] for phase in PHASES},
        },
        "nodes": {"total": len(nodes), "by_condition": nodes_by_condition(nodes)},
    }


def nodes_by_condition(nodes: Iterable[NodeDict]) -> dict[str, dict[str, int]]:
    """Count nodes by condition type and condition status. Pure.

    >>> ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    >>> nodes_by_condition([ready, ready])
    {'Ready': {'True': 2, 'False': 0, 'Unknown': 0}}
    """
    counts = Counter(
        (str(condition.get("type")), str(condition.get("status")))
        for node in nodes
        for condition in (node.get("status") or {}).get("conditions") or ()
    )
    types = sorted({type for type, _status in counts})
    return {type: {status: counts[type, status] for status in STATUSES} for type in types}


def _sorted_counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
