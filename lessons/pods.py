"""Short ways to write pods, so that a lesson's cell shows what matters and nothing else.

>>> pod("web", cpu="500m", memory="1Gi")["spec"]["containers"][0]["resources"]
{'requests': {'cpu': '500m', 'memory': '1Gi'}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim import Cluster
from kubesim.scheduler.framework.resources import request_of


def pod(
    name: str,
    cpu: str = "",
    memory: str = "",
    *,
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A pod with one container that asks for so much.

    Args:
        name: of the pod.
        cpu, memory: requests, as Kubernetes quantities; "" asks for nothing.
        labels: of the pod.
        spec: further parts of its spec, for example ``nodeSelector={"disk": "ssd"}``.
    """
    asked = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container = {"name": "main", "image": "app:1", "resources": {"requests": asked}}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"containers": [container], **spec},
    }


def place(cluster: Cluster, *pods: Mapping[str, Any], seconds: float = 1.0) -> dict[str, str]:
    """Create pods one after the other, and let the scheduler place each before the next comes.

    Args:
        cluster: on the virtual clock.
        pods: documents, for example from `pod`.
        seconds: simulated time for each.

    Returns:
        name -> node, of these pods; "" for one that waits.
    """
    for document in pods:
        cluster.api.create(document)
        cluster.sleep(seconds)
    return {name: where(cluster, name) for name in (p["metadata"]["name"] for p in pods)}


def where(cluster: Cluster, name: str) -> str:
    """The node of a pod; "" if it has none, or is gone."""
    found = cluster.api.peek("Pod", name, "default")
    return str(found["spec"].get("nodeName", "")) if found is not None else ""


def asks(document: Mapping[str, Any]) -> tuple[int, int]:
    """What a pod asks for: CPU in millicores, memory in bytes.

    >>> asks(pod("web", cpu="500m", memory="1Gi"))
    (500, 1073741824)
    """
    request = request_of(document)
    return request.cpu_milli, request.memory_bytes
