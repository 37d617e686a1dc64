"""Node records: the nodes as GET /api/nodes shows them.

A record has the six keys of the original simulator's records (id, name, status, cpu, memory, logs),
then capacity, allocatable, the sum of the requests, and the names of the pods.

No counterpart in Kubernetes, where it is `kubectl describe node`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from kubesim.objects import meta
from kubesim.objects.meta import is_condition_true
from kubesim.objects.pods import NOTHING, is_finished, node_of, pod_requests
from kubesim.quantity import MEBIBYTE, MEGABYTE
from kubesim.store import Sample

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict

LOG_LINES = 10  # newest lines of the kubelet's log

SampleReader = Callable[[str, str], Sample | None]
"""reader(namespace, name) -> the newest usage sample of a pod."""
NodeLogReader = Callable[[str], Sequence[tuple[float, str]]]
"""reader(node name) -> lines of the kubelet's log with their simulated seconds."""


class NodeRequests(TypedDict):
    """What the pods of a node request: CPU and memory as quantities, and their number."""

    cpu: str
    memory: str
    pods: int


class NodeRecord(TypedDict):
    """A node; `cpu` is the usage in millicores, `memory` in MB (10^6 bytes)."""

    id: str
    name: str
    status: str
    cpu: int
    memory: int
    logs: list[str]
    capacity: Mapping[str, str | float]
    allocatable: Mapping[str, str | float]
    requested: NodeRequests
    pods: list[str]


def node_records(
    nodes: Iterable[NodeDict],
    pods: Iterable[PodDict],
    sample_of: SampleReader,
    log_of: NodeLogReader,
) -> list[NodeRecord]:
    """Return the records of nodes.

    Args:
        nodes: the nodes, in the order of the records.
        pods: all pods; those that are not bound or have finished do not count.
        sample_of: reads the newest usage sample of a pod.
        log_of: reads the log of a node's kubelet.
    """
    by_node: dict[str, list[PodDict]] = {}
    for pod in pods:
        if node_of(pod) and not is_finished(pod):
            by_node.setdefault(node_of(pod), []).append(pod)
    records = []
    for node in nodes:
        name = meta.name_of(node)
        records.append(_record(node, by_node.get(name, []), sample_of, log_of(name)))
    return records


def _record(
    node: NodeDict,
    pods: Sequence[PodDict],
    sample_of: SampleReader,
    log: Sequence[tuple[float, str]],
) -> NodeRecord:
    cpu = memory = 0
    requested = NOTHING
    for pod in pods:
        requested += pod_requests(pod)
        sample = sample_of(meta.namespace_of(pod), meta.name_of(pod))
        for _container, cpu_milli, memory_bytes in sample[2] if sample is not None else ():
            cpu, memory = cpu + cpu_milli, memory + memory_bytes
    status = node.get("status") or {}
    return {
        "id": meta.uid_of(node),
        "name": meta.name_of(node),
        "status": "Ready" if is_condition_true(node, "Ready") else "NotReady",
        "cpu": cpu,
        "memory": memory // MEGABYTE,
        "logs": [line for _, line in log[-LOG_LINES:]],
        "capacity": _shown(status.get("capacity") or {}),
        "allocatable": _shown(status.get("allocatable") or {}),
        "requested": {
            "cpu": f"{requested.cpu_milli}m",
            "memory": f"{requested.memory_bytes // MEBIBYTE}Mi",
            "pods": len(pods),
        },
        "pods": sorted(meta.name_of(pod) for pod in pods),
    }


def _shown(resources: Mapping[str, str | float]) -> Mapping[str, str | float]:
    """Return the resources of a node without its disk and huge pages, which no record counts."""
    return {
        name: amount
        for name, amount in resources.items()
        if name != "ephemeral-storage" and not name.startswith("hugepages-")
    }
