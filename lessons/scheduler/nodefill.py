"""How full the nodes are, as text and picture.

`fill()` reads a cluster once; a cell that ends with it shows a picture, and its text is the same as
a table. Two runs side by side: ``fill(a, "spread").beside(fill(b, "pack"))``.

The nearest in Kubernetes is "Allocated resources" of `kubectl describe node`.
"""

from __future__ import annotations

from kubesim import Cluster, Table
from lessons.scheduler import still
from lessons.scheduler.nodes import Fill, read_nodes
from lessons.ui.series import check_run


class NodeFill:
    """The nodes of one moment, or several side by side: text, table and picture.

    Args:
        fills: the moments.
    """

    def __init__(self, *fills: Fill) -> None:
        self.fills = fills

    def beside(self, other: NodeFill) -> NodeFill:
        """Return both in one picture."""
        return NodeFill(*self.fills, *other.fills)

    def table(self, which: int = 0) -> Table:
        """Return one row for each node: what is requested, and by which pods."""
        return self.fills[which].table()

    @property
    def used_nodes(self) -> int:
        """Number of nodes that have a pod, in the first picture."""
        return sum(bool(row.pods) for row in self.fills[0].rows)

    def svg(self) -> str:
        """Return the picture."""
        return still.svg(self.fills)

    def __repr__(self) -> str:
        texts = []
        for fill in self.fills:
            waiting = f"\nwithout a node: {' '.join(fill.waiting)}" if fill.waiting else ""
            texts.append(f"{fill.table()}{waiting}")
        return "\n\n".join(texts)

    def _repr_svg_(self) -> str:
        return self.svg()


def fill(cluster: Cluster, title: str = "How full the nodes are") -> NodeFill:
    """Read the nodes of a cluster and the requests of their pods.

    Args:
        cluster: the cluster to read; it is not changed.
        title: heading of the picture.

    Returns:
        text, table and picture; as the last value of a cell it shows its picture.

    Raises:
        BadRequest: an argument of another type.
    """
    check_run(cluster=cluster, title=title)
    return NodeFill(read_nodes(cluster, title))
