"""The explanation of one scheduling attempt: a table of node by plug-in.

No counterpart in Kubernetes, where the reasons are counted and the scores are lost.
"""

from __future__ import annotations

from typing import Any

from kubesim.client import Decision, Step
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import pod_requests
from kubesim.scheduler.framework import Cycle, Framework

SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/"
MAX_NODES = 100  # rows of the table that a record keeps


def attempt_record(
    now: float,
    component: str,
    pod: Document,
    cycle: Cycle,
    framework: Framework,
    node: str | None,
    message: str,
) -> Decision:
    """The decision record of one attempt.

    Args:
        now: simulated second.
        component: the scheduler's name.
        pod: which pod.
        cycle: what the plug-ins said.
        framework: for the weights.
        node: where it goes; None: nowhere.
        message: the text of the Event.
    """
    name, namespace = meta.name_of(pod), meta.namespace_of(pod)
    request = pod_requests(pod)
    refused = {n: s for n, s in cycle.statuses.items() if not s.ok}
    asked = {"cpu_milli": request.cpu_milli, "memory_bytes": request.memory_bytes}
    steps = [
        Step(
            "filter",
            {**asked, "nodes": len(cycle.statuses)},
            f"{len(cycle.feasible)} of {len(cycle.statuses)} nodes are feasible"
            + "".join(
                f"; {n}: {', '.join(s.reasons)} ({s.plugin})"
                for n, s in list(refused.items())[:MAX_NODES]
            ),
            SOURCE,
        )
    ]
    for plugin, scores in cycle.raw.items():
        weight = framework.weight_of(plugin)
        result = ", ".join(f"{n}={score}" for n, score in list(scores.items())[:MAX_NODES])
        steps.append(Step(f"score {plugin}", {"weight": weight}, result, SOURCE))
    if cycle.totals:
        best = max(cycle.totals.values())
        ties = [n for n, total in cycle.totals.items() if total == best]
        totals = ", ".join(f"{n}={total}" for n, total in list(cycle.totals.items())[:MAX_NODES])
        note = f"; {len(ties)} nodes tie, drawn by lot" if len(ties) > 1 else ""
        steps.append(Step("total", {}, f"{totals}{note}", SOURCE))
    return Decision(
        time=now,
        revision=meta.resource_version_of(pod),
        component=component,
        object=f"pod/{name if namespace == 'default' else f'{namespace}/{name}'}",
        verdict=message,
        steps=tuple(steps),
        binding=_binding(cycle, node),
        would_change_if=_would_change_if(cycle, node),
        data={"node": node, "table": table_rows(cycle)},
    )


def table_rows(cycle: Cycle) -> list[dict[str, Any]]:
    """One row for each node: refused by whom and why, or the score of each plug-in and the sum."""
    rows = []
    for name, status in list(cycle.statuses.items())[:MAX_NODES]:
        row: dict[str, Any] = {"node": name, "feasible": status.ok}
        if not status.ok:
            row |= {"plugin": status.plugin, "reasons": list(status.reasons)}
        for plugin, scores in cycle.raw.items():
            if name in scores:
                row[plugin] = scores[name]
        if name in cycle.totals:
            row["total"] = cycle.totals[name]
        rows.append(row)
    return rows


def _binding(cycle: Cycle, node: str | None) -> str:
    if node is None:
        plugins = sorted({s.plugin for s in cycle.statuses.values() if not s.ok})
        return f"no feasible node (refused by {', '.join(plugins)})" if plugins else "no node"
    if not cycle.totals:
        return f"{node} is the only feasible node"
    return f"{node} has the highest total, {cycle.totals[node]}"


def _would_change_if(cycle: Cycle, node: str | None) -> str:
    if node is None:
        reasons = sorted({r for s in cycle.statuses.values() for r in s.reasons})
        return f"one node were free of: {', '.join(reasons)}" if reasons else "a node were added"
    rivals = {n: total for n, total in cycle.totals.items() if n != node}
    if not rivals:
        return "another node were feasible"
    second = max(rivals, key=lambda n: rivals[n])
    gap = cycle.totals[node] - rivals[second]
    return f"{second} scored more than {gap} points higher" if gap else f"the lot fell on {second}"
