"""What a node contains, without its name: nodes with equal contents get equal totals.

The plug-ins of the default profile read of a node its labels, taints, size, images, and what its
pods request; for a pod without node affinity they do not care which node it is. So the total of one
node is the total of each node like it, and a cluster of a thousand equal nodes is evaluated once.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from kubesim.objects.wellknown import HOSTNAME_LABEL
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.runtime import Framework

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict

OWN = "kubesim.scheduler."  # modules of the plug-ins that are known to read contents alone
MOST_TOTALS = 20_000  # kept for each class of pods


def reads_contents(framework: Framework) -> bool:
    """Return whether all plug-ins are those of the default profile, as they come.

    Other plug-ins may score a node by its name.
    """
    plugins = [enabled.plugin for enabled in (*framework.profile, *framework.scores)]
    return all(
        type(plugin).__module__.startswith(OWN) and not getattr(plugin, "reads_names", False)
        for plugin in plugins
    )


def ignores_names(pod: PodDict) -> bool:
    """Return whether a pod may not select nodes by their names."""
    spec = pod.get("spec") or {}
    return not spec.get("affinity") and HOSTNAME_LABEL not in (spec.get("nodeSelector") or {})


class NodeContents:
    """The contents of nodes as values that can be compared."""

    def __init__(self) -> None:
        self._fixed: dict[str, tuple[NodeDict, int]] = {}  # node -> (document, number)
        self._numbers: dict[Hashable, int] = {}  # of what does not change with its pods

    def of(self, node: NodeInfo) -> Hashable:
        """Return the contents of a node."""
        fixed = self._fixed.get(node.name)
        if fixed is None or fixed[0] is not node.node:
            number = self._numbers.setdefault(_fixed_contents(node), len(self._numbers))
            fixed = self._fixed[node.name] = (node.node, number)
        return (
            fixed[1],
            len(node.pods),
            tuple(node.requested.items()),
            tuple(node.scoring.items()),
            tuple(node.ports()),
        )

    def clear(self) -> None:
        """Forget all nodes."""
        self._fixed.clear()
        self._numbers.clear()


def _fixed_contents(node: NodeInfo) -> Hashable:
    labels = frozenset(item for item in node.labels.items() if item[0] != HOSTNAME_LABEL)
    return (
        labels,
        repr(node.taints),
        node.unschedulable,
        tuple(node.allocatable.items()),
        node.max_pods,
        tuple(node.images.items()),
    )
