"""Builders for the tests of the API server: small objects, and a server to put them in."""

from __future__ import annotations

from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.metrics import document_maker
from kubesim.clock import LiveClock, NamedStreams, VirtualClock
from kubesim.store import EtcdStore


def make_api(clock: VirtualClock | LiveClock | None = None, **options: Any) -> KubeAPI:
    """A server over an empty store, on virtual time unless a clock is given."""
    clock = clock or VirtualClock()
    store = options.pop("store", None) or EtcdStore(
        sample_document=document_maker(clock.timestamp),
        history_limit=options.pop("history_limit", 10_000),
    )
    return KubeAPI(store, clock, NamedStreams(options.pop("seed", 0)), **options)


def a_pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A pod with one container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "nginx:1.27"}], **spec},
    }


def labelled(document: dict[str, Any], **labels: str) -> dict[str, Any]:
    """The object with these labels."""
    document["metadata"]["labels"] = labels
    return document


def a_statefulset(name: str = "db", **spec: Any) -> dict[str, Any]:
    """A StatefulSet whose selector fits its template."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "postgres:17"}]},
            },
            **spec,
        },
    }


def an_hpa(name: str = "db", **spec: Any) -> dict[str, Any]:
    """An HPA of a StatefulSet."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name},
            "maxReplicas": 5,
            **spec,
        },
    }


def a_config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def a_node(name: str = "node-1", cpu: str = "4") -> dict[str, Any]:
    """A node with a capacity."""
    capacity = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    metadata = {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "status": {"capacity": capacity},
    }


def a_running_pod(api: KubeAPI, name: str = "web", node: str = "node-1", **spec: Any) -> Any:
    """Create a pod, bind it and let it run, as scheduler and kubelet would."""
    pod = api.create(a_pod(name, **spec))
    api.bind(name, "default", node)
    pod["status"] = {"phase": "Running"}
    pod["metadata"].pop("resourceVersion")
    return api.update_status(pod)
