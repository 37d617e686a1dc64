"""The decision record of one scheduling attempt, with a table of node by plug-in.

No counterpart in Kubernetes, where the reasons are counted and the scores are lost.
"""

from __future__ import annotations

from kubesim.client import RuleStep
from kubesim.quantity import count_of
from kubesim.scheduler.explain.figures import AttemptFigures

SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/"


class AttemptRecord:
    """Renders the fields of a decision record from the figures of an attempt.

    Args:
        figures: of the attempt.
    """

    __slots__ = ("figures",)

    def __init__(self, figures: AttemptFigures) -> None:
        self.figures = figures

    def __call__(self) -> dict[str, object]:
        """Return the fields of a `Decision` that explain the attempt."""
        figures = self.figures
        data = {
            "node": figures.node,
            "table": table_rows(figures),
            "victims": list(figures.victims),
        }
        return {
            "steps": tuple(_steps(figures)),
            "binding": _binding(figures),
            "would_change_if": _would_change_if(figures),
            "data": data,
        }


def _steps(figures: AttemptFigures) -> list[RuleStep]:
    steps = [_filter_step(figures)] if figures.evaluated or not figures.error else []
    if figures.error:
        steps.append(RuleStep("error", {}, figures.error, SOURCE))
    for scores in figures.scores:
        pairs = zip(figures.scored, scores.normalized, strict=True)
        result = ", ".join(f"{node}={score}" for node, score in pairs)
        steps.append(RuleStep(f"score {scores.plugin}", {"weight": scores.weight}, result, SOURCE))
    if figures.scored:
        pairs = zip(figures.scored, figures.totals, strict=True)
        totals = ", ".join(f"{node}={total}" for node, total in pairs)
        note = f"; {figures.ties} nodes tie, one chosen at random" if figures.ties > 1 else ""
        steps.append(RuleStep("total", {}, f"{totals}{note}", SOURCE))
    if figures.note:
        steps.append(RuleStep("search", {}, figures.note, SOURCE))
    if figures.victims:
        victims = ", ".join(figures.victims)
        steps.append(RuleStep("preemption", {}, f"makes room: {victims}", SOURCE))
    elif figures.post_filter:
        reason = figures.post_filter.removeprefix("preemption: ")
        steps.append(RuleStep("preemption", {}, reason, SOURCE))
    return steps


def _filter_step(figures: AttemptFigures) -> RuleStep:
    verb = "is" if figures.feasible == 1 else "are"
    result = f"{figures.feasible} of {count_of(figures.evaluated, 'node')} {verb} feasible"
    for node, status in figures.refused:
        result += f"; {node}: {', '.join(status.reasons)} ({status.plugin})"
    if figures.absent is not None:
        result += f"; others: {', '.join(figures.absent.reasons)} ({figures.absent.plugin})"
    inputs = {**dict(figures.request), "nodes": figures.evaluated}
    return RuleStep("filter", inputs, result, SOURCE)


def table_rows(figures: AttemptFigures) -> list[dict[str, object]]:
    """Return one row for each node: the plug-in that refused it and why, or all scores.

    `scores` holds, for each plug-in, the raw score, the normalized one, and that times the weight.
    """
    rows, refused = [], dict(figures.refused)
    position = {node: number for number, node in enumerate(figures.scored)}
    for name in figures.rows:
        status = refused.get(name)
        row: dict[str, object] = {"node": name, "feasible": status is None}
        if status is not None:
            row |= {"plugin": status.plugin, "reasons": list(status.reasons)}
        number = position.get(name)
        if number is not None:
            scores = {}
            for each in figures.scores:
                raw, value = each.raw[number], each.normalized[number]
                weighted = value * each.weight
                scores[each.plugin] = {"raw": raw, "normalized": value, "weighted": weighted}
                row[each.plugin] = value
            total = figures.totals[number]
            row |= {"scores": scores, "total": total, "best": total == figures.best}
        rows.append(row)
    return rows


def _binding(figures: AttemptFigures) -> str:
    node, plugins = figures.node, figures.refused_by
    if figures.error:
        return figures.error
    if node is None:
        return f"no feasible node (refused by {', '.join(plugins)})" if plugins else "no node"
    if figures.total is None:
        return f"{node} is the only feasible node"
    return f"{node} has the highest total, {figures.total}"


def _would_change_if(figures: AttemptFigures) -> str:
    if figures.error:
        return "the code that failed were mended; the pod is tried again after a back-off"
    if figures.node is None:
        if figures.victims:
            return f"{', '.join(figures.victims)} were deleted"
        if figures.excluded_help:
            return figures.excluded_help
        if not figures.reasons:
            return "a node were added"
        helps = "".join(f"; {help}" for help in figures.helps)
        filters, reasons = ", ".join(figures.filters), ", ".join(figures.reasons)
        return f"one node passed these filters: {filters} (now: {reasons}){helps}"
    if figures.note and figures.total is not None:
        tie = ", or the random choice" if figures.ties > 1 else ""
        return f"another node had a higher total{tie}"
    if not figures.rival:
        return "another node were feasible"
    if not figures.gap:
        return f"the random choice fell on {figures.rival}"
    return f"{figures.rival} scored more than {figures.gap} points higher"
