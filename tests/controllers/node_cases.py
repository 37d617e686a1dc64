"""Shared by the tests about nodes: a cluster, dead kubelets, and what to read."""

from __future__ import annotations

from typing import Any

from deployment_cases import workload

from kubesim import Cluster
from kubesim.objects import meta

READY = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def a_replicaset(replicas: int = 3, name: str = "web", **pod_spec: Any) -> dict[str, Any]:
    """A ReplicaSet of small pods."""
    created = workload("ReplicaSet", name, replicas, "100m", "64Mi")
    created["spec"]["template"]["spec"].update(pod_spec)
    return created


def fail(cluster: Cluster, *numbers: int) -> None:
    """The power of these nodes is cut: no word to the API server."""
    for number in numbers:
        cluster.kubelets[number - 1].stop()


def revive(cluster: Cluster, number: int) -> None:
    """What a kubelet writes first when it is back: its status, Ready."""
    node = cluster.api.get("Node", f"node-{number}")
    now = cluster.clock.timestamp()
    for condition in node["status"]["conditions"]:
        status = "True" if condition["type"] == "Ready" else "False"
        condition.update(status=status, lastHeartbeatTime=now, lastTransitionTime=now)
    cluster.api.update_status(node)


def set_ready(cluster: Cluster, name: str, status: str) -> None:
    """A kubelet that is alive reports this Ready status."""
    node = cluster.api.get("Node", name)
    for condition in node["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition.update(status=status, lastHeartbeatTime=cluster.clock.timestamp())
    cluster.api.update_status(node)


def until(cluster: Cluster, second: float) -> None:
    """Let time pass until that second."""
    cluster.sleep(second - cluster.clock.now())


def ready_of(cluster: Cluster, name: str) -> str:
    """Status of the node's Ready condition."""
    conditions = cluster.api.get("Node", name)["status"]["conditions"]
    return next(c["status"] for c in conditions if c["type"] == "Ready")


def taints(cluster: Cluster, name: str) -> list[str]:
    """``key:effect`` of each taint, without the prefix."""
    node = cluster.api.get("Node", name)
    result = node["spec"].get("taints") or ()
    return [f"{t['key'].removeprefix('node.kubernetes.io/')}:{t['effect']}" for t in result]


def pods_on(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    """The pods that are bound to a node."""
    return [p for p in cluster.api.list("Pod")["items"] if p["spec"].get("nodeName") == name]


def terminating(cluster: Cluster, name: str) -> list[bool]:
    """Of each pod on a node: whether it is being deleted."""
    return [meta.is_terminating(pod) for pod in pods_on(cluster, name)]


def events(cluster: Cluster, *reasons: str) -> list[tuple[str, str, str, str]]:
    """(object, type, reason, message) of the events of these reasons, in order of time."""
    result = [e for e in cluster.api.list("Event")["items"] if e["reason"] in reasons]
    result.sort(key=lambda e: (e["firstTimestamp"], e["involvedObject"]["name"]))
    return [(e["involvedObject"]["name"], e["type"], e["reason"], e["message"]) for e in result]


def tainted_at(cluster: Cluster, name: str) -> str:
    """When a node got its NoExecute taint; "" if it has none."""
    result = cluster.api.get("Node", name)["spec"].get("taints") or ()
    return next((t["timeAdded"] for t in result if t["effect"] == "NoExecute"), "")
