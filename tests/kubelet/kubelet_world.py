"""Builders for the tests of pods: manifests with annotations, and what a pod's status says."""

from __future__ import annotations

import json
from typing import Any

from kubesim import Cluster


def container(name: str = "main", **fields: Any) -> dict[str, Any]:
    """Return one container of a spec."""
    return {"name": name, "image": "x", **fields}


def a_pod(
    name: str = "p",
    *containers: dict[str, Any],
    init: tuple[dict[str, Any], ...] = (),
    notes: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a pod; annotations have no prefix here, and values other than strings become JSON."""
    annotations = {
        f"kubesim.dev/{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in (notes or {}).items()
    }
    fields = {"containers": list(containers) or [container()], **spec}
    if init:
        fields["initContainers"] = list(init)
    return {"kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": fields}


def status(cluster: Cluster, name: str = "p") -> dict[str, Any]:
    """Return a pod's status."""
    return cluster.api.get("Pod", name)["status"]


def main(cluster: Cluster, name: str = "p", container: str = "main") -> dict[str, Any]:
    """Return the status of one container, of any kind."""
    found = status(cluster, name)
    every = [*found.get("containerStatuses", ()), *found.get("initContainerStatuses", ())]
    return next(entry for entry in every if entry["name"] == container)


def condition(cluster: Cluster, type: str, name: str = "p") -> dict[str, Any]:
    """Return one condition of a pod."""
    return next(c for c in status(cluster, name)["conditions"] if c["type"] == type)


def events(cluster: Cluster, name: str = "p") -> list[tuple[str, str, str, int]]:
    """Return (type, reason, message, count) of the events about one object, oldest first."""
    found = [e for e in cluster.api.list("Event")["items"] if e["involvedObject"]["name"] == name]
    found.sort(key=lambda e: (e["firstTimestamp"], int(e["metadata"]["resourceVersion"])))
    return [(e["type"], e["reason"], e["message"], e["count"]) for e in found]


def reasons(cluster: Cluster, name: str = "p") -> list[str]:
    """Return the reasons of the events about one object."""
    return [reason for _, reason, _, _ in events(cluster, name)]


def probe(**fields: Any) -> dict[str, Any]:
    """Return an HTTP probe."""
    return {"httpGet": {"path": "/healthz", "port": 8080}, **fields}
