"""Group metrics.k8s.io: usage samples of pods, as the metrics-server serves them.

A kubelet passes each sample to the API server as a tuple, and the store keeps the tuple:

    (seconds, window_seconds, ((container, cpu_milli, memory_bytes), ...))

The API converts it to a PodMetrics document. NodeMetrics are computed when they are read: the sum
over the node's pods, since a simulated node runs nothing else. The real metrics-server scrapes the
kubelets every 15 s and keeps the newest points in memory; kubesim keeps them in the store, so that
they have revisions and can be watched.

Source: k8s.io/metrics/pkg/apis/metrics/v1beta1 (PodMetrics, NodeMetrics).
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver.registry import Kind, ServerView
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of, namespace_of
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.wellknown import METRICS_GROUP
from kubesim.quantity import format_cpu, format_duration
from kubesim.store import SAMPLE_PREFIX, Sample, sample_key


def document_maker(timestamp: Callable[[float], str]) -> Callable[[str, Sample], Document]:
    """Return the function that converts samples to documents, for the store.

    Args:
        timestamp: formats a simulated second as an RFC 3339 string.
    """

    def document(key: str, sample: Sample) -> Document:
        namespace, _, name = key.removeprefix(SAMPLE_PREFIX).partition("/")
        seconds, window, containers = sample
        return {
            "kind": "PodMetrics",
            "apiVersion": f"{METRICS_GROUP}/v1beta1",
            "metadata": {"name": name, "namespace": namespace},
            "timestamp": timestamp(seconds),
            "window": format_duration(window),
            "containers": [
                {
                    "name": container,
                    "usage": {"cpu": format_cpu(cpu), "memory": f"{-(-memory // 1024)}Ki"},
                }
                for container, cpu, memory in containers
            ],
        }

    return document


def node_metrics(
    api: ServerView, usage: Callable[[str, str], Sample | None] | None = None
) -> list[Document]:
    """Return the NodeMetrics of all nodes: the sum over their pods.

    Args:
        api: the API server.
        usage: (namespace, name) -> sample of a pod, as a metrics-server serves it; None: the newest
            sample.
    """
    used: dict[str, list[Sample]] = {}
    for kv in api.store.list(api.registry.find("Pod").prefix).items:
        namespace, name = namespace_of(kv.value), name_of(kv.value)
        sample = (
            usage(namespace, name) if usage else api.samples.sample(sample_key(namespace, name))
        )
        if sample is not None and node_of(kv.value) and not is_finished(kv.value):
            used.setdefault(node_of(kv.value), []).append(sample)
    now = api.clock.now()
    nodes = [kv.value for kv in api.store.list(api.registry.find("Node").prefix).items]
    return [_node_document(api, node, used.get(name_of(node), []), now) for node in nodes]


def _node_document(api: ServerView, node: Document, samples: list[Sample], now: float) -> Document:
    containers = [container for sample in samples for container in sample[2]]
    cpu = sum(container[1] for container in containers)
    memory = sum(container[2] for container in containers)
    return {
        "kind": "NodeMetrics",
        "apiVersion": f"{METRICS_GROUP}/v1beta1",
        "metadata": {
            "name": name_of(node),
            "labels": dict(node["metadata"].get("labels") or {}),
            "creationTimestamp": api.clock.timestamp(),
        },
        "timestamp": api.clock.timestamp(max((sample[0] for sample in samples), default=now)),
        "window": format_duration(max((sample[1] for sample in samples), default=0.0)),
        "usage": {"cpu": format_cpu(cpu), "memory": f"{-(-memory // 1024)}Ki"},
    }


KINDS = (
    Kind(
        "PodMetrics",
        "pods",
        group=METRICS_GROUP,
        version="v1beta1",
        status=False,
        read_only=True,
    ),
    Kind(
        "NodeMetrics",
        "nodes",
        group=METRICS_GROUP,
        version="v1beta1",
        namespaced=False,
        status=False,
        read_only=True,
        compute=node_metrics,
    ),
)

__all__ = ["KINDS", "SAMPLE_PREFIX", "document_maker", "node_metrics", "sample_key"]
