"""How full the nodes are: what their pods ask for, of what they offer.

`fill()` looks at a cluster once; a cell that ends with it shows a picture, and its text is the same
as a table. Pods of one group (their label ``app``, or their name without its number) look alike.

Two runs side by side: ``fill(a, "spread").beside(fill(b, "pack"))``.

The nearest in Kubernetes is "Allocated resources" of `kubectl describe node`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubesim import Cluster, Table
from kubesim.ctl.describe_node import taint_text
from kubesim.objects import meta
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.wellknown import UNSCHEDULABLE, ZONE_LABEL
from kubesim.scheduler import NodeInfo
from kubesim.scheduler.multi import current_snapshot

MIB = 1024**2


@dataclass(frozen=True)
class Part:
    """What one pod takes of its node.

    Attributes:
        name: of the pod.
        group: of pods that look alike.
        cpu: in millicores.
        memory: in bytes.
    """

    name: str
    group: str
    cpu: int
    memory: int

    def takes(self, resource: str) -> int:
        """The amount of ``cpu`` or ``memory``."""
        return self.cpu if resource == "cpu" else self.memory


@dataclass(frozen=True)
class NodeRow:
    """One node and its pods.

    Attributes:
        name, zone: of the node; "" if it says no zone.
        cpu, memory: what it offers, in millicores and bytes.
        pods: in the order of their names.
        notes: its taints, and "cordoned".
    """

    name: str
    zone: str
    cpu: int
    memory: int
    pods: tuple[Part, ...]
    notes: tuple[str, ...]

    def offers(self, resource: str) -> int:
        """The amount of ``cpu`` or ``memory``."""
        return self.cpu if resource == "cpu" else self.memory

    def taken(self, resource: str) -> int:
        """What its pods ask for."""
        return sum(part.takes(resource) for part in self.pods)

    def share(self, resource: str) -> float:
        """What its pods ask for, as a part of what it offers; 1.0 is full."""
        return self.taken(resource) / max(1, self.offers(resource))

    def used(self, resource: str) -> str:
        """In words, for example ``2500 of 4000``; memory in MiB."""
        unit = 1 if resource == "cpu" else MIB
        percent = round(100 * self.share(resource))
        return f"{self.taken(resource) // unit} of {self.offers(resource) // unit} ({percent} %)"


@dataclass(frozen=True)
class Fill:
    """All nodes at one moment.

    Attributes:
        title: what it shows.
        rows: the nodes, by name.
        waiting: names of the pods that have no node.
    """

    title: str
    rows: tuple[NodeRow, ...]
    waiting: tuple[str, ...]

    @property
    def groups(self) -> list[str]:
        """The groups of the placed pods, sorted."""
        return sorted({part.group for row in self.rows for part in row.pods})

    def table(self) -> Table:
        """One row a node."""
        zones = any(row.zone for row in self.rows)
        notes = any(row.notes for row in self.rows)
        columns = ["node", *(["zone"] if zones else []), "CPU [m]", "memory [Mi]", "pods"]
        columns += ["notes"] if notes else []
        rows = []
        for row in self.rows:
            cells = [row.name, *([row.zone] if zones else []), row.used("cpu"), row.used("memory")]
            cells.append(" ".join(part.name for part in row.pods) or "-")
            rows.append([*cells, *([", ".join(row.notes)] if notes else [])])
        return Table(columns, rows, self.title)


class NodeFill:
    """One look at a cluster, or several side by side: text, table and picture.

    Args:
        fills: what was seen.
    """

    def __init__(self, *fills: Fill) -> None:
        self.fills = fills

    def beside(self, other: NodeFill) -> NodeFill:
        """Both in one picture."""
        return NodeFill(*self.fills, *other.fills)

    def table(self, which: int = 0) -> Table:
        """One row a node: what is taken of it, and by whom."""
        return self.fills[which].table()

    @property
    def used_nodes(self) -> int:
        """How many nodes of the first look have any pod."""
        return sum(bool(row.pods) for row in self.fills[0].rows)

    def svg(self) -> str:
        """The picture."""
        from lessons.scheduler.still import svg

        return svg(self.fills)

    def __repr__(self) -> str:
        texts = []
        for fill in self.fills:
            waiting = f"\nwithout a node: {' '.join(fill.waiting)}" if fill.waiting else ""
            texts.append(f"{fill.table()}{waiting}")
        return "\n\n".join(texts)

    def _repr_svg_(self) -> str:
        return self.svg()


def fill(cluster: Cluster, title: str = "How full the nodes are") -> NodeFill:
    """Look at the nodes of a cluster and at what their pods ask for.

    Args:
        cluster: which; it is not changed.
        title: of the picture.
    """
    return NodeFill(look(cluster, title))


def look(cluster: Cluster, title: str = "") -> Fill:
    """The figures alone."""
    nodes = sorted(current_snapshot(cluster.api).nodes, key=lambda node: natural(node.name))
    pods = cluster.api.snapshot("Pod")[0]
    waiting = sorted(meta.name_of(pod) for pod in pods if not node_of(pod) and not is_finished(pod))
    return Fill(title, tuple(map(_row, nodes)), tuple(waiting))


def _row(node: NodeInfo) -> NodeRow:
    parts = sorted(
        (
            Part(
                meta.name_of(pod),
                group_of(meta.name_of(pod), meta.labels_of(pod).get("app", "")),
                node.infos[key].request.cpu_milli,
                node.infos[key].request.memory_bytes,
            )
            for key, pod in node.pods.items()
        ),
        key=lambda part: natural(part.name),
    )
    return NodeRow(
        node.name,
        str(node.labels.get(ZONE_LABEL, "")),
        node.allocatable.cpu_milli,
        node.allocatable.memory_bytes,
        tuple(parts),
        notes_of(node),
    )


def notes_of(node: NodeInfo) -> tuple[str, ...]:
    """What keeps pods away: "cordoned", and its taints as kubectl writes them."""
    taints = [taint_text(taint) for taint in node.taints if taint.get("key") != UNSCHEDULABLE]
    return (*(["cordoned"] if node.unschedulable else []), *taints)


def group_of(name: str, app: str = "") -> str:
    """Pods of one group look alike: the label ``app``, or the name without its number.

    >>> group_of("web-3"), group_of("web-3", "shop"), group_of("database")
    ('web', 'shop', 'database')
    """
    return app or re.sub(r"-?\d+$", "", name) or name


def natural(name: str) -> list[tuple[str, int]]:
    """The key of an order in which numbers count as numbers.

    >>> sorted(["web-10", "web-9", "db"], key=natural)
    ['db', 'web-9', 'web-10']
    """
    return [(text, int(n) if n else -1) for text, n in re.findall(r"([^0-9]*)([0-9]*)", name)]
