"""What a record of an attempt is rendered from: the figures of its cycle in a compact form.

A cluster of a thousand nodes makes a hundred scores for each plug-in and pod, and somebody asks
why for one pod in a thousand. So an attempt keeps its figures in a few kilobytes, and the steps and
the table of its record are rendered when they are read.

No counterpart in Kubernetes, where the reasons are counted and the scores are lost.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from kubesim.scheduler.framework.podinfo import pod_info

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict
    from kubesim.scheduler.framework.cycle import Cycle
    from kubesim.scheduler.framework.runtime import Framework
    from kubesim.scheduler.framework.status import Status

MAX_NODES = 100  # rows of a record's table
INT64 = 1 << 63

Numbers: TypeAlias = Sequence[float]
"""Numbers in as few bytes as their values need: bytes, an array, or a tuple."""


def pack(values: Iterable[float]) -> Numbers:
    """Return numbers in as few bytes as they need; each comes back with its value and its type.

    >>> pack([0, 100, 255]), pack([300, 7]), list(pack([0.5, 1.0])), pack([1, 0.5])
    (b'\\x00d\\xff', array('h', [300, 7]), [0.5, 1.0], (1, 0.5))
    """
    numbers = tuple(values)
    types = set(map(type, numbers))
    if types == {float}:
        return array("d", numbers)
    if types != {int}:
        return numbers
    least, most = int(min(numbers)), int(max(numbers))
    if least >= 0 and most <= 255:
        return bytes(numbers)  # type: ignore[arg-type]  # all are int
    if least >= -(1 << 15) and most < 1 << 15:
        return array("h", numbers)
    return array("q", numbers) if least >= -INT64 and most < INT64 else numbers


@dataclass(frozen=True, slots=True)
class PluginScores:
    """The scores of one plug-in, in the order of `AttemptFigures.scored`.

    Attributes:
        plugin, weight: its name, and its weight in the profile.
        raw: as the plug-in returned them.
        normalized: 0 to 100.
    """

    plugin: str
    weight: int
    raw: Numbers
    normalized: Numbers


@dataclass(frozen=True, slots=True)
class AttemptFigures:
    """The results of one attempt to schedule a pod. Of many nodes, the first 100 are kept.

    Attributes:
        node: the chosen node; None: no node.
        request: what the pod requests, by resource.
        evaluated, feasible: numbers of nodes.
        rows: names of evaluated nodes, in the order of evaluation.
        refused: (name, status) of refused nodes.
        absent: the status of the nodes that PreFilter excluded.
        excluded_help: what would end the refusal of PreFilter, if it refused the pod.
        reasons, filters, helps: of all refusals, sorted.
        refused_by: plug-ins that refused a node, or the pod, sorted.
        scored: names of scored nodes.
        scores, totals: theirs.
        best, total: the highest total, and that of the chosen node; None: nothing was scored.
        rival: the node with the next total; "": none.
        gap: how much higher the chosen node's total is.
        ties, post_filter, victims, note: as of `Cycle`.
        error: why the attempt ended before there was a result; "": it did not.
    """

    node: str | None
    request: tuple[tuple[str, int], ...]
    evaluated: int
    feasible: int
    rows: tuple[str, ...]
    refused: tuple[tuple[str, Status], ...]
    absent: Status | None
    excluded_help: str
    reasons: tuple[str, ...]
    filters: tuple[str, ...]
    helps: tuple[str, ...]
    refused_by: tuple[str, ...]
    scored: tuple[str, ...]
    scores: tuple[PluginScores, ...]
    totals: Numbers
    best: int | None
    total: int | None
    rival: str
    gap: int
    ties: int
    post_filter: str
    victims: tuple[str, ...]
    note: str
    error: str


def figures_of(
    pod: PodDict, cycle: Cycle, framework: Framework, node: str | None, error: str = ""
) -> AttemptFigures:
    """Return the figures of an attempt.

    Args:
        pod: the Pod document.
        cycle: the results of the attempt.
        framework: knows the weights.
        node: the chosen node; None: no node.
        error: why the attempt ended before there was a result; "": it did not.
    """
    statuses, totals = cycle.statuses, cycle.totals
    refused = [(name, status) for name, status in statuses.items() if not status.ok]
    distinct = {id(status): status for _, status in refused}.values()
    rows, scored = tuple(islice(statuses, MAX_NODES)), tuple(islice(totals, MAX_NODES))
    rival = max((n for n in totals if n != node), key=totals.__getitem__, default="")
    total = totals.get(node) if node is not None else None
    help = cycle.absent.help if cycle.pre_filter and cycle.absent is not None else ""
    return AttemptFigures(
        node=node,
        request=_requested(pod),
        evaluated=len(statuses),
        feasible=len(statuses) - len(refused),
        rows=rows,
        refused=tuple(refused[:MAX_NODES]),
        absent=cycle.absent,
        excluded_help=help,
        reasons=tuple(sorted({reason for status in distinct for reason in status.reasons})),
        filters=tuple(sorted({status.plugin for status in distinct})),
        helps=tuple(sorted({status.help for status in distinct if status.help})),
        refused_by=tuple(sorted(cycle.refused_by)),
        scored=rows if rows == scored else scored,
        scores=tuple(
            PluginScores(
                plugin,
                framework.weight_of(plugin),
                pack(map(cycle.raw[plugin].__getitem__, scored)),
                pack(map(normalized.__getitem__, scored)),
            )
            for plugin, normalized in cycle.scores.items()
        ),
        totals=pack(map(totals.__getitem__, scored)),
        best=max(totals.values(), default=None),
        total=total,
        rival=rival,
        gap=total - totals[rival] if total is not None and rival else 0,
        ties=cycle.ties,
        post_filter=cycle.post_filter,
        victims=tuple(cycle.victims),
        note=cycle.note,
        error=error,
    )


def _requested(pod: PodDict) -> tuple[tuple[str, int], ...]:
    request = pod_info(pod).request
    others = [(name, amount) for name, amount in request.items() if name not in ("cpu", "memory")]
    return (("cpu_milli", request.cpu_milli), ("memory_bytes", request.memory_bytes), *others)
