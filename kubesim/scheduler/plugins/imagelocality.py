"""ImageLocality: a node that has the images already is liked better.

Source: pkg/scheduler/framework/plugins/imagelocality/image_locality.go.
"""

from __future__ import annotations

from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo

MIB = 1024 * 1024
LEAST_BYTES = 23 * MIB  # below that, pulling is quick anyway
MOST_BYTES = 1000 * MIB  # per container


class ImageLocality:
    """Bytes of the pod's images that the node has, damped by how few nodes have them."""

    name = "ImageLocality"
    local = True  # who else has an image changes only when nodes do (see fastpath)

    def score(self, pod: Document, node: NodeInfo, state: CycleState) -> int:
        """0 to 100."""
        spec = pod.get("spec") or {}
        containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        found = 0
        if node.images:
            nodes = len(state.snapshot)
            for container in containers:
                image = normalized_image(str(container.get("image") or ""))
                if image in node.images:
                    spread = state.snapshot.nodes_with_image(image) / nodes
                    found += int(node.images[image] * spread)
        return image_score(found, len(containers))


def image_score(found_bytes: int, containers: int) -> int:
    """100 for all that could be hoped for, 0 for as good as nothing.

    >>> image_score(250 * MIB, 1)
    23
    """
    most = MOST_BYTES * containers
    found = max(LEAST_BYTES, min(found_bytes, most))
    return 100 * (found - LEAST_BYTES) // (most - LEAST_BYTES)


def normalized_image(name: str) -> str:
    """With ``:latest`` if it names no tag.

    >>> normalized_image("nginx"), normalized_image("host:5000/web"), normalized_image("web:1")
    ('nginx:latest', 'host:5000/web:latest', 'web:1')
    """
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"
