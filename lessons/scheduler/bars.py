"""The description of the node chart: for each node a bar of CPU and one of memory.

Each bar is 100 % of what the node offers; its segments are the requests of the pods. A node that
keeps pods away (cordoned or tainted) is hatched. `lessons.scheduler.chart` draws the description
live, `lessons.scheduler.still` as a picture.

Kubernetes has no counterpart; the figures are those of `kubectl describe node`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubesim.quantity import MEBIBYTE
from lessons.scheduler.nodes import Fill, NodeRow, Part
from lessons.ui.charts.theme import LIGHT, Theme

RESOURCES = (("cpu", "CPU"), ("memory", "mem."))
TICKS = (0, 25, 50, 75, 100)  # percent
AXIS_LABEL = "requested [% of what the node offers]"
SHADE = 0.45  # opacity of a segment, so that a name in the text colour stays legible


@dataclass(frozen=True)
class Segment:
    """The request of one pod.

    Attributes:
        pod: name of the pod.
        group: pods of one group have one colour.
        left, right: edges, in percent of what the node offers.
        amount: the request in words, for example ``500m`` or ``512Mi``.
    """

    pod: str
    group: str
    left: float
    right: float
    amount: str


@dataclass(frozen=True)
class Bar:
    """One resource of a node.

    Attributes:
        label: name of the resource.
        segments: from left to right.
        figures: what is requested and what there is, in words.
    """

    label: str
    segments: tuple[Segment, ...]
    figures: str


@dataclass(frozen=True)
class NodeBars:
    """The bars of one node.

    Attributes:
        node, zone: names; "" for no zone.
        notes: what keeps pods away: "cordoned", and taints.
        bars: one for each resource.
    """

    node: str
    zone: str
    notes: tuple[str, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class BarChart:
    """All nodes at one moment.

    Attributes:
        title: heading.
        nodes: from top to bottom.
        waiting: names of the pods without a node.
        most: end of the axis; 1.0 is 100 %.
    """

    title: str
    nodes: tuple[NodeBars, ...]
    waiting: tuple[str, ...]
    most: float


def bar_chart(fill: Fill) -> BarChart:
    """Return the description of the node chart."""
    shares = [row.share(key) for row in fill.rows for key, _ in RESOURCES]
    nodes = tuple(
        NodeBars(
            row.name,
            row.zone,
            row.notes,
            tuple(_bar(row, key, label) for key, label in RESOURCES),
        )
        for row in fill.rows
    )
    return BarChart(fill.title, nodes, fill.waiting, max([1.0, *shares]))


def group_numbers(fills: Sequence[Fill]) -> dict[str, str]:
    """Return the number of each group's colour, the same in all pictures, as a text."""
    groups = sorted({group for fill in fills for group in fill.groups})
    return {group: str(n % len(LIGHT.groups)) for n, group in enumerate(groups)}


def group_colours(fills: Sequence[Fill], theme: Theme) -> dict[str, str]:
    """Return a colour for each group of pods, the same in all pictures."""
    return {group: theme.groups[int(number)] for group, number in group_numbers(fills).items()}


def figures(row: NodeRow, key: str) -> str:
    """Return what is requested and what there is, in cores or GiB.

    Args:
        row: the node.
        key: ``cpu`` or ``memory``.
    """
    if key == "cpu":
        return f"{row.taken(key) / 1000:g} of {row.offers(key) / 1000:g} cores"
    return f"{row.taken(key) / 1024**3:.3g} of {row.offers(key) / 1024**3:.3g} Gi"


def _bar(row: NodeRow, key: str, label: str) -> Bar:
    segments, left = [], 0.0
    for part in row.pods:
        right = left + 100 * part.takes(key) / max(1, row.offers(key))
        segments.append(Segment(part.name, part.group, left, right, _amount(part, key)))
        left = right
    return Bar(label, tuple(segments), figures(row, key))


def _amount(part: Part, key: str) -> str:
    return f"{part.cpu}m" if key == "cpu" else f"{part.memory // MEBIBYTE}Mi"
