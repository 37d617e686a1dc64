"""The requests of the pods on each node, and what the node offers.

The nearest in Kubernetes is "Allocated resources" of `kubectl describe node`. Pods of one group
share the label ``app``, or a name up to its number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubesim import Cluster, Table
from kubesim.ctl.describe_node import taint_text
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.wellknown import UNSCHEDULABLE, ZONE_LABEL
from kubesim.quantity import MEBIBYTE
from kubesim.scheduler import NodeInfo
from kubesim.scheduler.multi import current_snapshot
from lessons.ui.html import natural


@dataclass(frozen=True)
class Part:
    """The requests of one pod.

    Attributes:
        name: name of the pod.
        group: pods of one group have one colour.
        cpu: in millicores.
        memory: in bytes.
    """

    name: str
    group: str
    cpu: int
    memory: int

    def takes(self, resource: str) -> int:
        """Return the amount of ``cpu`` or ``memory``."""
        return self.cpu if resource == "cpu" else self.memory


@dataclass(frozen=True)
class NodeRow:
    """One node and its pods.

    Attributes:
        name, zone: of the node; zone is "" without the label.
        cpu, memory: allocatable, in millicores and bytes.
        pods: sorted by name.
        notes: "cordoned", and its taints.
    """

    name: str
    zone: str
    cpu: int
    memory: int
    pods: tuple[Part, ...]
    notes: tuple[str, ...]

    def offers(self, resource: str) -> int:
        """Return the amount of ``cpu`` or ``memory``."""
        return self.cpu if resource == "cpu" else self.memory

    def taken(self, resource: str) -> int:
        """Return the sum of its pods' requests."""
        return sum(part.takes(resource) for part in self.pods)

    def share(self, resource: str) -> float:
        """Return its pods' requests as a share of what it offers; 1.0 is full."""
        return self.taken(resource) / max(1, self.offers(resource))

    def used(self, resource: str) -> str:
        """Return requested and offered in words, ``2500 of 4000 (62 %)``; memory in MiB."""
        unit = 1 if resource == "cpu" else MEBIBYTE
        percent = round(100 * self.share(resource))
        return f"{self.taken(resource) // unit} of {self.offers(resource) // unit} ({percent} %)"


@dataclass(frozen=True)
class Fill:
    """All nodes at one moment.

    Attributes:
        title: heading of the picture.
        rows: the nodes, by name.
        waiting: names of the pods that have no node.
    """

    title: str
    rows: tuple[NodeRow, ...]
    waiting: tuple[str, ...]

    @property
    def groups(self) -> list[str]:
        """Return the groups of the placed pods, sorted."""
        return sorted({part.group for row in self.rows for part in row.pods})

    def table(self) -> Table:
        """Return one row for each node."""
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


def read_nodes(cluster: Cluster, title: str = "") -> Fill:
    """Return the nodes and the requests of their pods."""
    nodes = sorted(current_snapshot(cluster.api).nodes, key=lambda node: natural(node.name))
    pods = cluster.api.snapshot(POD)[0]
    waiting = [meta.name_of(pod) for pod in pods if not node_of(pod) and not is_finished(pod)]
    return Fill(title, tuple(map(_row, nodes)), tuple(sorted(waiting, key=natural)))


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
    """Return what keeps pods away: "cordoned", and the taints as kubectl writes them."""
    taints = [taint_text(taint) for taint in node.taints if taint.get("key") != UNSCHEDULABLE]
    return (*(["cordoned"] if node.unschedulable else []), *taints)


def group_of(name: str, app: str = "") -> str:
    """Return the group of a pod: the label ``app``, or the name without its number.

    >>> group_of("web-3"), group_of("web-3", "shop"), group_of("database")
    ('web', 'shop', 'database')
    """
    return app or re.sub(r"-?\d+$", "", name) or name
