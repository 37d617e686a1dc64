"""Builders for the tests of the API server: small objects, and a server to put them in."""

from __future__ import annotations

from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.kinds.metrics import document_maker
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


def a_template(name: str = "web", labels: dict[str, str] | None = None, **spec: Any) -> Any:
    """A pod template with the label ``app``."""
    containers = [{"name": "main", "image": "nginx:1.27"}]
    return {
        "metadata": {"labels": {"app": name} if labels is None else labels},
        "spec": {"containers": containers, **spec},
    }


def a_workload(kind: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Deployment, ReplicaSet or DaemonSet whose selector fits its template."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": a_template(name),
            **spec,
        },
    }


def a_job(name: str = "pi", template: Any = None, **spec: Any) -> dict[str, Any]:
    """A Job whose pods run once."""
    pod = a_template(name, {}, restartPolicy="Never") if template is None else template
    metadata = {"name": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"template": pod, **spec},
    }


def a_service(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Service of one port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }


def a_budget(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A PodDisruptionBudget of the pods with the label ``app``."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, **spec},
    }


def a_priority(name: str = "high", value: int = 1000, **fields: Any) -> dict[str, Any]:
    """A PriorityClass."""
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        **fields,
    }


def a_slice(name: str = "web-abc", **fields: Any) -> dict[str, Any]:
    """An EndpointSlice with one endpoint."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": True}}],
        "ports": [{"port": 80}],
        **fields,
    }
