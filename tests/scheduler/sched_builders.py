"""Documents and snapshots for the scheduler's tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubesim.scheduler import Cycle, CycleState, Framework, Snapshot, Status

GI = 1024**3
MI = 1024**2
ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def node(
    name: str = "n1",
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    labels: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
    images: Mapping[str, int] | None = None,
    zone: str = "",
    **spec: Any,
) -> dict[str, Any]:
    """Return a node of that size, with its name as hostname label."""
    result = {HOST: name, **({ZONE: zone} if zone else {}), **(labels or {})}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": result},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **(more or {})},
            "images": [{"names": [n], "sizeBytes": s} for n, s in (images or {}).items()],
        },
    }


def pod(
    name: str = "p",
    cpu: str | None = None,
    memory: str | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    namespace: str = "default",
    on: str = "",
    more: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a pod with these requests, bound to the node `on`."""
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v is not None}
    container = {
        "name": "main",
        "image": "x:1",
        "resources": {"requests": {**requests, **(more or {})}},
    }
    result = {"containers": [container], **({"nodeName": on} if on else {}), **spec}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "labels": dict(labels or {}),
        },
        "spec": result,
    }


def filtered(plugins: Any, incoming: Mapping[str, Any], snapshot: Snapshot) -> dict[str, Status]:
    """Return the status of each node; a refusal by PreFilter applies to all."""
    framework = plugins if isinstance(plugins, Framework) else Framework(plugins)
    state = CycleState(snapshot)
    first = framework.pre_filter(dict(incoming), state)
    if not first.ok:
        return {n.name: first for n in snapshot}
    wanted = [n for n in snapshot if first.nodes is None or n.name in first.nodes]
    return {n.name: framework.filter(dict(incoming), n, state) for n in wanted}


def passing(plugins: Any, incoming: Mapping[str, Any], snapshot: Snapshot) -> list[str]:
    """Return the sorted names of the feasible nodes."""
    return sorted(n for n, status in filtered(plugins, incoming, snapshot).items() if status.ok)


def scored(
    plugins: Any,
    incoming: Mapping[str, Any],
    snapshot: Snapshot,
    candidates: Iterable[str] | None = None,
) -> Cycle:
    """Score the candidates (None: all nodes) without running filters."""
    framework = Framework(plugins)
    cycle, state = Cycle(), CycleState(snapshot)
    names = None if candidates is None else set(candidates)
    nodes = [n for n in snapshot if names is None or n.name in names]
    framework.score(dict(incoming), nodes, cycle, state)
    return cycle
