"""Short ways to write pods and to see where they go.

A manifest has many lines that a lesson does not need; `pod()` writes the ones that matter.

>>> pod("web", cpu="500m", memory="1Gi")["spec"]["containers"][0]["resources"]
{'requests': {'cpu': '500m', 'memory': '1Gi'}}

The nearest in Kubernetes is `kubectl run --dry-run=client -o yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from kubesim import Cluster
from kubesim.arguments import check_arguments, instance_of, mapping_of, optional
from kubesim.objects import Document
from kubesim.objects.kindnames import POD
from kubesim.scheduler.framework.resources import request_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


STRING = instance_of(str, "a string")
OPTIONS = {"name": STRING, "labels": optional(mapping_of(STRING, "strings"))}


def pod(
    name: str,
    cpu: str = "",
    memory: str = "",
    *,
    labels: Mapping[str, str] | None = None,
    **spec: object,
) -> Document:
    """Return a pod with one container.

    Args:
        name: name of the pod.
        cpu, memory: requests, as Kubernetes quantities; "" requests nothing.
        labels: labels of the pod.
        spec: further fields of its spec, for example ``nodeSelector={"disk": "ssd"}``.

    Raises:
        BadRequest: a name or labels of another type.
    """
    check_arguments(OPTIONS, {"name": name, "labels": labels})
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container = {"name": "main", "image": "app:1", "resources": {"requests": requests}}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"containers": [container], **spec},
    }


def place(cluster: Cluster, *pods: Document, seconds: float = 1.0) -> dict[str, str]:
    """Create pods one by one, and let the scheduler place each before the next is created.

    Args:
        cluster: a cluster on the virtual clock.
        pods: documents, for example from `pod`.
        seconds: simulated time for each pod.

    Returns:
        the node of each pod, by the pod's name; "" for a pod that waits.

    Raises:
        BadRequest: the first argument is not a cluster.
    """
    check_arguments({"cluster": instance_of(Cluster, "a Cluster")}, {"cluster": cluster})
    for document in pods:
        cluster.api.create(document)
        cluster.sleep(seconds)
    return {name: where(cluster, name) for name in (p["metadata"]["name"] for p in pods)}


def where(cluster: Cluster, name: str) -> str:
    """Return the node of a pod; "" if the pod has no node or does not exist."""
    document = cluster.api.peek(POD, name, "default")
    return str(document["spec"].get("nodeName", "")) if document is not None else ""


def asks(document: Document) -> tuple[int, int]:
    """Return what a pod requests: CPU in millicores, memory in bytes.

    >>> asks(pod("web", cpu="500m", memory="1Gi"))
    (500, 1073741824)
    """
    request = request_of(cast("PodDict", document))
    return request.cpu_milli, request.memory_bytes
