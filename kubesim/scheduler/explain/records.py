"""The decision record of one scheduling attempt, with a table of node by plug-in.

No counterpart in Kubernetes, where the reasons are counted and the scores are lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import Decision, RuleStep
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.quantity import count_of
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.podinfo import pod_info
from kubesim.scheduler.framework.runtime import Framework

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/"
MAX_NODES = 100  # rows of a record's table


def attempt_record(
    now: float,
    component: str,
    pod: PodDict,
    cycle: Cycle,
    framework: Framework,
    node: str | None,
    message: str,
) -> Decision:
    """Return the decision record of one attempt.

    Args:
        now: simulated second.
        component: the scheduler's name.
        pod: the Pod document.
        cycle: the results of the attempt.
        framework: knows the weights.
        node: the chosen node; None: no node.
        message: the note of the Event.
    """
    steps = [_filter_step(pod, cycle)]
    for plugin, scores in cycle.scores.items():
        weight = framework.weight_of(plugin)
        result = ", ".join(f"{n}={score}" for n, score in list(scores.items())[:MAX_NODES])
        steps.append(RuleStep(f"score {plugin}", {"weight": weight}, result, SOURCE))
    if cycle.totals:
        totals = ", ".join(f"{n}={total}" for n, total in list(cycle.totals.items())[:MAX_NODES])
        note = f"; {cycle.ties} nodes tie, one chosen at random" if cycle.ties > 1 else ""
        steps.append(RuleStep("total", {}, f"{totals}{note}", SOURCE))
    if cycle.note:
        steps.append(RuleStep("search", {}, cycle.note, SOURCE))
    if cycle.victims:
        steps.append(RuleStep("preemption", {}, f"makes room: {', '.join(cycle.victims)}", SOURCE))
    elif cycle.post_filter:
        reason = cycle.post_filter.removeprefix("preemption: ")
        steps.append(RuleStep("preemption", {}, reason, SOURCE))
    return Decision(
        time=now,
        revision=meta.resource_version_of(pod),
        component=component,
        object=meta.reference("pod", meta.key_of(pod)),
        verdict=message,
        steps=tuple(steps),
        binding=_binding(cycle, node),
        would_change_if=_would_change_if(cycle, node),
        data={"node": node, "table": table_rows(cycle, framework), "victims": cycle.victims},
    )


def _filter_step(pod: PodDict, cycle: Cycle) -> RuleStep:
    request = pod_info(pod).request
    refused = {n: s for n, s in cycle.statuses.items() if not s.ok}
    requested = {"cpu_milli": request.cpu_milli, "memory_bytes": request.memory_bytes}
    requested |= {name: amount for name, amount in request.items() if name not in ("cpu", "memory")}
    feasible = len(cycle.feasible)
    verb = "is" if feasible == 1 else "are"
    result = f"{feasible} of {count_of(len(cycle.statuses), 'node')} {verb} feasible"
    for node, status in list(refused.items())[:MAX_NODES]:
        result += f"; {node}: {', '.join(status.reasons)} ({status.plugin})"
    if cycle.absent is not None:
        result += f"; others: {', '.join(cycle.absent.reasons)} ({cycle.absent.plugin})"
    return RuleStep("filter", {**requested, "nodes": len(cycle.statuses)}, result, SOURCE)


def table_rows(cycle: Cycle, framework: Framework) -> list[Document]:
    """Return one row for each node: the plug-in that refused it and why, or all scores.

    `scores` holds, for each plug-in, the raw score, the normalized one, and that times the weight.
    """
    rows = []
    best = max(cycle.totals.values(), default=None)
    weights = {plugin: framework.weight_of(plugin) for plugin in cycle.scores}
    for name, status in list(cycle.statuses.items())[:MAX_NODES]:
        row: Document = {"node": name, "feasible": status.ok}
        if not status.ok:
            row |= {"plugin": status.plugin, "reasons": list(status.reasons)}
        scores = {}
        for plugin, normalized in cycle.scores.items():
            if name in normalized:
                value, weight = normalized[name], weights[plugin]
                raw = cycle.raw[plugin][name]
                scores[plugin] = {"raw": raw, "normalized": value, "weighted": value * weight}
                row[plugin] = value
        if name in cycle.totals:
            row |= {"scores": scores, "total": cycle.totals[name]}
            row["best"] = cycle.totals[name] == best
        rows.append(row)
    return rows


def _binding(cycle: Cycle, node: str | None) -> str:
    if node is None:
        plugins = sorted(cycle.refused_by)
        return f"no feasible node (refused by {', '.join(plugins)})" if plugins else "no node"
    if not cycle.totals:
        return f"{node} is the only feasible node"
    return f"{node} has the highest total, {cycle.totals[node]}"


def _would_change_if(cycle: Cycle, node: str | None) -> str:
    if node is None:
        if cycle.victims:
            return f"{', '.join(cycle.victims)} were deleted"
        if cycle.pre_filter and cycle.absent is not None and cycle.absent.help:
            return cycle.absent.help
        reasons = sorted({r for s in cycle.statuses.values() for r in s.reasons})
        if not reasons:
            return "a node were added"
        filters = sorted({s.plugin for s in cycle.statuses.values() if not s.ok})
        helps = [f"; {help}" for help in sorted({s.help for s in cycle.statuses.values()}) if help]
        passed = f"one node passed these filters: {', '.join(filters)} (now: {', '.join(reasons)})"
        return passed + "".join(helps)
    if cycle.note and cycle.totals:
        tie = ", or the random choice" if cycle.ties > 1 else ""
        return f"another node had a higher total{tie}"
    rivals = {n: total for n, total in cycle.totals.items() if n != node}
    if not rivals:
        return "another node were feasible"
    second = max(rivals, key=lambda n: rivals[n])
    gap = cycle.totals[node] - rivals[second]
    if not gap:
        return f"the random choice fell on {second}"
    return f"{second} scored more than {gap} points higher"
