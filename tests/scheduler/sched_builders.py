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
    """A node of that size; its hostname label is its name."""
    found = {HOST: name, **({ZONE: zone} if zone else {}), **(labels or {})}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": found},
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
    """A pod that asks for so much; `on` is the node that it is bound to."""
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v is not None}
    container = {
        "name": "main",
        "image": "x:1",
        "resources": {"requests": {**requests, **(more or {})}},
    }
    found = {"containers": [container], **({"nodeName": on} if on else {}), **spec}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "labels": dict(labels or {}),
        },
        "spec": found,
    }


def filtered(plugins: Any, who: Mapping[str, Any], snapshot: Snapshot) -> dict[str, Status]:
    """What the plug-ins say of each node; a refusal by PreFilter is said of all."""
    framework = plugins if isinstance(plugins, Framework) else Framework(plugins)
    state = CycleState(snapshot)
    first = framework.pre_filter(dict(who), state)
    if not first.ok:
        return {n.name: first for n in snapshot}
    wanted = [n for n in snapshot if first.nodes is None or n.name in first.nodes]
    return {n.name: framework.filter(dict(who), n, state) for n in wanted}


def passing(plugins: Any, who: Mapping[str, Any], snapshot: Snapshot) -> list[str]:
    """The names of the nodes that pass, sorted."""
    return sorted(n for n, status in filtered(plugins, who, snapshot).items() if status.ok)


def scored(
    plugins: Any,
    who: Mapping[str, Any],
    snapshot: Snapshot,
    candidates: Iterable[str] | None = None,
) -> Cycle:
    """The scores of the candidates (None: all nodes); no filters run."""
    framework = Framework(plugins)
    cycle, state = Cycle(), CycleState(snapshot)
    names = None if candidates is None else set(candidates)
    nodes = [n for n in snapshot if names is None or n.name in names]
    framework.score(dict(who), nodes, cycle, state)
    return cycle
