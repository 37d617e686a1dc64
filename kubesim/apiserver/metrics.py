"""metrics.k8s.io: usage samples of pods, as the metrics-server serves them.

A kubelet hands each sample to the API server as a tuple, and the store keeps it as it is:

    (seconds, window_seconds, ((container, cpu_milli, memory_bytes), ...))

Read through the API, it is a PodMetrics document. The real metrics-server scrapes the kubelets each
15 s and keeps the newest points in memory; ours keeps them in the store, so that they have
revisions and can be watched.

Source: k8s.io/metrics/pkg/apis/metrics/v1beta1 (PodMetrics).
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver.registry import Kind
from kubesim.objects.frozen import Document
from kubesim.quantity import format_cpu, format_duration
from kubesim.store import Sample

GROUP = "metrics.k8s.io"
SAMPLE_PREFIX = f"/registry/{GROUP}/pods/"

KINDS = (
    Kind(
        "PodMetrics",
        "pods",
        group=GROUP,
        version="v1beta1",
        status=False,
        read_only=True,
    ),
)


def sample_key(namespace: str, name: str) -> str:
    """Where a pod's samples stand in the store."""
    return f"{SAMPLE_PREFIX}{namespace}/{name}"


def document_maker(timestamp: Callable[[float], str]) -> Callable[[str, Sample], Document]:
    """What the store needs to make documents of samples: it knows no calendar itself.

    Args:
        timestamp: makes RFC 3339 text of simulated seconds.
    """

    def document(key: str, sample: Sample) -> Document:
        namespace, _, name = key.removeprefix(SAMPLE_PREFIX).partition("/")
        seconds, window, containers = sample
        return {
            "kind": "PodMetrics",
            "apiVersion": f"{GROUP}/v1beta1",
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
