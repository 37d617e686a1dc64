"""Counts of log rows, pods and nodes."""

from __future__ import annotations

import json
from typing import Any

from kubesim.analytics import LogRow
from kubesim.simple.summary import nodes_by_condition, summarize


def row(component: str, action: str, level: str = "info") -> LogRow:
    """A log row of which only these three matter."""
    return LogRow(1, 0.0, level, component, action, "")


def node(**conditions: str) -> dict[str, Any]:
    """A node with conditions: type=status."""
    listed = [{"type": type, "status": status} for type, status in conditions.items()]
    return {"metadata": {"name": "n"}, "status": {"conditions": listed}}


def test_an_empty_cluster_has_zeros_in_the_closed_sets() -> None:
    """Levels and phases are always listed; components, actions and conditions if they occur."""
    assert summarize([], [], []) == {
        "logs": {
            "total": 0,
            "lost": 0,
            "by_component": {},
            "by_level": {"debug": 0, "info": 0, "warn": 0, "error": 0},
            "by_action": {},
        },
        "pods": {
            "total": 0,
            "by_phase": {"Pending": 0, "Running": 0, "Succeeded": 0, "Failed": 0, "Unknown": 0},
        },
        "nodes": {"total": 0, "by_condition": {}},
    }


def test_rows_pods_and_nodes_are_counted() -> None:
    """Each row counts once in each of the three groups; names are sorted."""
    rows = [row("Pod", "PodStart"), row("KubeAPI", "CreatedPod"), row("Pod", "PodStop", "warn")]
    pods = [{"status": {"phase": "Running"}}, {"status": {"phase": "Failed"}}, {}]
    nodes = [node(Ready="True"), node(Ready="Unknown", MemoryPressure="False"), {}]
    summary = summarize(rows, pods, nodes, lost=4)
    assert list(summary["logs"]["by_component"].items()) == [("KubeAPI", 1), ("Pod", 2)]
    assert list(summary["logs"]["by_action"]) == ["CreatedPod", "PodStart", "PodStop"]
    assert summary["logs"]["by_level"] == {"debug": 0, "info": 2, "warn": 1, "error": 0}
    assert (summary["logs"]["total"], summary["logs"]["lost"]) == (3, 4)
    assert summary["pods"]["by_phase"]["Pending"] == 1
    assert summary["pods"]["by_phase"]["Failed"] == 1
    assert summary["nodes"]["total"] == 3
    assert summary["nodes"]["by_condition"]["Ready"] == {"True": 1, "False": 0, "Unknown": 1}
    assert json.loads(json.dumps(summary)) == summary


def test_condition_types_are_sorted() -> None:
    """Equal clusters give equal bytes, whatever order the kubelets wrote in."""
    nodes = [node(Ready="True", DiskPressure="False"), node(MemoryPressure="False", Ready="True")]
    assert list(nodes_by_condition(nodes)) == ["DiskPressure", "MemoryPressure", "Ready"]
    assert nodes_by_condition(nodes) == nodes_by_condition(nodes[::-1])
