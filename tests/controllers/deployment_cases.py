"""Shared by the tests of Deployments: a manifest, changes, and what to read."""

from __future__ import annotations

from typing import Any

from kubesim import Cluster

NEVER_READY = {"kubesim.dev/start-seconds": "100000"}
REVISION = "deployment.kubernetes.io/revision"


def workload(
    kind: str, name: str, replicas: int, cpu: str, memory: str, **spec: Any
) -> dict[str, Any]:
    """A workload of the group apps whose pods ask for this much."""
    labels = {"app": name}
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    container = {"name": "main", "image": "kubesim/pod", "resources": resources}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def deployment(name: str = "web", replicas: int = 10, **spec: Any) -> dict[str, Any]:
    """A Deployment of small pods."""
    return workload("Deployment", name, replicas, "50m", "32Mi", **spec)


def change(cluster: Cluster, version: str, name: str = "web", **notes: str) -> None:
    """Another template: an annotation of the pods says which version they are."""
    annotations = {"version": version, "kubesim.dev/start-seconds": None, **notes}
    template = {"metadata": {"annotations": annotations}}
    cluster.api.patch("Deployment", name, {"spec": {"template": template}})


def break_it(cluster: Cluster, version: str) -> None:
    """Another template, whose pods never become ready."""
    note = {"version": version, **NEVER_READY}
    template = {"metadata": {"annotations": note}}
    cluster.api.patch("Deployment", "web", {"spec": {"template": template}})


def sizes(cluster: Cluster) -> dict[str, int]:
    """spec.replicas of each ReplicaSet, by the revision that it has."""
    return {
        rs["metadata"]["annotations"][REVISION]: rs["spec"]["replicas"]
        for rs in cluster.api.list("ReplicaSet")["items"]
    }


def status(cluster: Cluster, name: str = "web") -> dict[str, Any]:
    """The Deployment's status."""
    return cluster.api.get("Deployment", name).get("status") or {}


def condition(cluster: Cluster, type: str = "Progressing") -> dict[str, Any]:
    """One of its conditions; {} if there is none."""
    return next((c for c in status(cluster).get("conditions", ()) if c["type"] == type), {})


def events(cluster: Cluster, reason: str = "ScalingReplicaSet") -> list[str]:
    """Messages of the events about Deployments, in order."""
    result = [
        event
        for event in cluster.api.list("Event")["items"]
        if event["reason"] == reason and event["involvedObject"]["kind"] == "Deployment"
    ]
    result.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    return [event["message"] for event in result]


def versions(cluster: Cluster) -> dict[str, int]:
    """How many pods that are not terminating there are of each version."""
    counted: dict[str, int] = {}
    for pod in cluster.api.list("Pod")["items"]:
        if "deletionTimestamp" not in pod["metadata"]:
            version = (pod["metadata"].get("annotations") or {}).get("version", "1")
            counted[version] = counted.get(version, 0) + 1
    return counted
