"""Which pods belong to a Service: what the Endpoints and the EndpointSlice controllers share.

Source: k8s.io/endpointslice/util/controller_utils.go (podEndpointsChanged,
GetPodServiceMemberships), pkg/controller/endpoint/endpoints_controller.go (syncService).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.pods import is_finished, is_ready

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, ServiceDict


def has_endpoints(service: ServiceDict) -> bool:
    """Return whether controllers keep its endpoints: it has a selector and is no ExternalName."""
    spec = service.get("spec") or {}
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def selects(service: ServiceDict, labels: Mapping[str, str]) -> bool:
    """Return whether a Service selects pods with these labels; an empty selector selects none."""
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def endpoint_state(pod: PodDict) -> tuple[object, ...]:
    """Return the part of a pod on which its endpoints depend."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    return (
        meta.labels_of(pod),
        meta.is_terminating(pod),
        is_finished(pod),
        is_ready(pod),
        status.get("podIP"),
        status.get("podIPs"),
        spec.get("nodeName"),
        meta.uid_of(pod),
    )


def label_pairs(pod: PodDict) -> Iterable[str]:
    """Return the keys of a pod in an index by label: ``NAMESPACE/KEY=VALUE``."""
    namespace = meta.namespace_of(pod)
    return [f"{namespace}/{key}={value}" for key, value in meta.labels_of(pod).items()]
