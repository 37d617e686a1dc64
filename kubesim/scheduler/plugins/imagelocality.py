"""ImageLocality: prefer nodes that have the pod's images already.

Source: pkg/scheduler/framework/plugins/imagelocality/image_locality.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.quantity import MEBIBYTE
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

LEAST_BYTES = 23 * MEBIBYTE  # below this, pulling takes little time anyway
MOST_BYTES = 1000 * MEBIBYTE  # per container


class ImageLocality:
    """Score: bytes of the pod's images on the node, scaled by the part of nodes that have them."""

    name = "ImageLocality"
    local = True  # the nodes that have an image change only when nodes do (see fastpath)

    def score(self, pod: PodDict, node: NodeInfo, state: CycleState) -> int:
        """Return 0 to 100."""
        spec = pod.get("spec") or {}
        containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        present_bytes = 0
        if node.images:
            nodes = len(state.snapshot)
            for container in containers:
                image = normalized_image(str(container.get("image") or ""))
                if image in node.images:
                    spread = state.snapshot.nodes_with_image(image) / nodes
                    present_bytes += int(node.images[image] * spread)
        return image_score(present_bytes, len(containers))


def image_score(found_bytes: int, containers: int) -> int:
    """Scale bytes to a score: 0 up to LEAST_BYTES, 100 from MOST_BYTES per container.

    Args:
        found_bytes: bytes of the pod's images that the node has.
        containers: number of containers of the pod, at least 1.

    >>> image_score(250 * MEBIBYTE, 1)
    23
    """
    most = MOST_BYTES * containers
    clamped = max(LEAST_BYTES, min(found_bytes, most))
    return 100 * (clamped - LEAST_BYTES) // (most - LEAST_BYTES)


def normalized_image(name: str) -> str:
    """Add ``:latest`` to an image name without a tag.

    >>> normalized_image("nginx"), normalized_image("host:5000/web"), normalized_image("web:1")
    ('nginx:latest', 'host:5000/web:latest', 'web:1')
    """
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"
