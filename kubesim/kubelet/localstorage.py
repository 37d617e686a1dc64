"""Eviction of a pod that writes more to the node's disk than its limits allow.

Every 10 s the kubelet compares what is in a pod's emptyDirs with their sizeLimit, then what the pod
and each container have written with their limits of ephemeral-storage. An emptyDir in memory is a
tmpfs of the size of its limit: it cannot grow beyond it.

>>> volumes = [{"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}]
>>> pod = {"spec": {"volumes": volumes, "containers": [{"name": "main"}]}}
>>> exceeded_limit(pod, {"cache": 2_000_000}, {})
'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '

Source: pkg/kubelet/eviction/eviction_manager.go (localStorageEviction), helpers.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesim.client import Decision, RuleStep
from kubesim.kubelet.eviction import amount
from kubesim.kubelet.pod.records import pod_record
from kubesim.kubelet.process.volumes import storage_limit
from kubesim.objects.pods import is_sidecar
from kubesim.quantity import parse_memory

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

SOURCE = "https://kubernetes.io/docs/concepts/storage/ephemeral-storage/"


def exceeded_limit(pod: PodDict, volumes: Mapping[str, int], own: Mapping[str, int]) -> str:
    """Return the message of the first limit that a pod exceeds; "": none.

    Args:
        pod: the pod.
        volumes: bytes in its emptyDirs by name; those in memory are negative.
        own: bytes in other files by container, logs included.
    """
    for volume in pod["spec"].get("volumes") or ():
        limit = str((volume.get("emptyDir") or {}).get("sizeLimit") or "0")
        if 0 < parse_memory(limit) < volumes.get(volume["name"], 0):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    containers = pod["spec"]["containers"]
    if not any(map(storage_limit, containers)):
        return ""
    total = sum(own.values()) + sum(max(0, size) for size in volumes.values())
    if total > (limit_of_pod := _pod_limit(pod)):
        return (
            "Pod ephemeral local storage usage exceeds the total limit of containers "
            f"{amount(limit_of_pod)}. "
        )
    for container in containers:
        limit = storage_limit(container)
        if limit and 0 < parse_memory(limit) < own.get(container["name"], 0):
            name = container["name"]
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def _pod_limit(pod: PodDict) -> int:
    """Return the limit of a pod: of its containers together, or of its largest init container."""
    spec = pod["spec"]
    inits = spec.get("initContainers") or []
    together = [*spec["containers"], *(c for c in inits if is_sidecar(c))]
    largest = max((parse_memory(storage_limit(c) or "0") for c in inits), default=0)
    return max(sum(parse_memory(storage_limit(c) or "0") for c in together), largest)


def storage_record(now: float, pod: PodDict, component: str, message: str) -> Decision:
    """Return why a pod was evicted that exceeds a limit of local storage.

    Args:
        now: second.
        pod: the pod.
        component: name of the kubelet.
        message: of the Event.
    """
    return pod_record(
        now,
        pod,
        component,
        "evicted: it wrote more than its limit allows",
        RuleStep("limit", {}, message, SOURCE),
        binding="the limit",
        would_change_if="it wrote less, or its limit were higher",
        data={},
    )
