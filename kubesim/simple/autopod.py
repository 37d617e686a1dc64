"""The workload of the original simulator, as real Kubernetes objects.

Its pods are called ``auto-pod-0``, ``auto-pod-1`` ...: numbered names are what a StatefulSet gives,
and `podManagementPolicy: Parallel` makes it start and stop them all at once, as the original did.
The HorizontalPodAutoscaler of the same name keeps their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import SYNC_PERIOD

if TYPE_CHECKING:
    from kubesim.objects.types import StatefulSetDict

NAME = "auto-pod"
TARGET_CPU = 70  # percent of the request
MIN_PODS = 1
MAX_PODS = 10
INTERVAL = "5s"  # the original's; kube-controller-manager: every 15 s
CPU_REQUEST = "200m"
CPU_LIMIT = "500m"
MEMORY_REQUEST = "128Mi"


def workload(name: str = NAME, replicas: int = MIN_PODS) -> StatefulSetDict:
    """Return the StatefulSet that the autoscaler scales."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": "kubesim/pod",
                            "resources": {
                                "requests": {"cpu": CPU_REQUEST, "memory": MEMORY_REQUEST},
                                "limits": {"cpu": CPU_LIMIT},
                            },
                        }
                    ]
                },
            },
        },
    }


def autoscaler(
    name: str = NAME,
    *,
    target_cpu: int = TARGET_CPU,
    min_pods: int = MIN_PODS,
    max_pods: int = MAX_PODS,
    interval: str = INTERVAL,
) -> Document:
    """Return the HorizontalPodAutoscaler (autoscaling/v2) of that StatefulSet.

    Args:
        name: of the StatefulSet.
        target_cpu: percent of the request.
        min_pods, max_pods: bounds of the number of pods.
        interval: the sync period, as a Go duration.
    """
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {SYNC_PERIOD: interval},
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name},
            "minReplicas": min_pods,
            "maxReplicas": max_pods,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": target_cpu},
                    },
                }
            ],
        },
    }
