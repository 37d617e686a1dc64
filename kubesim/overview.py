"""What is there, as small tables for people; kubectl gets tables of its own from the API server."""

from __future__ import annotations

from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.table import Table


def pods_table(api: KubeAPI, namespace: str | None = None) -> Table:
    """The pods by name: phase, node, CPU in millicores, memory in MB, restarts.

    Args:
        api: the API server.
        namespace: None: all.
    """
    pods, _ = api.snapshot("Pod", namespace)
    rows = [_pod_row(api, pod) for pod in pods]
    return Table(
        ("pod", "status", "node", "cpu [m]", "memory [MB]", "restarts"), sorted(rows), "pods"
    )


def _pod_row(api: KubeAPI, pod: Document) -> tuple[Any, ...]:
    sample = api.sample(meta.namespace_of(pod), meta.name_of(pod))
    containers = sample[2] if sample else ()
    status = pod.get("status", {})
    return (
        meta.name_of(pod),
        "Terminating" if meta.is_terminating(pod) else status.get("phase", "Pending"),
        pod["spec"].get("nodeName", ""),
        sum(container[1] for container in containers),
        sum(container[2] for container in containers) // 1_000_000,
        sum(c.get("restartCount", 0) for c in status.get("containerStatuses", ())),
    )
