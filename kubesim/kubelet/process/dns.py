"""Names of Services, as the cluster's DNS answers them to a pod.

Source: the Kubernetes DNS specification (https://github.com/kubernetes/dns/blob/master/docs/specification.md),
pkg/kubelet/network/dns/dns.go (the search domains of a pod).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubesim.objects.types import ServiceDict

Lookup = Callable[[str, str], "ServiceDict | None"]
"""lookup(name, namespace) -> the Service, or None."""
Endpoints = Callable[[str, str], list[str]]
"""endpoints(service, namespace) -> the IP addresses of its ready pods."""

SUFFIX = ".svc.cluster.local"


def resolve(name: str, namespace: str, lookup: Lookup, endpoints: Endpoints) -> list[str]:
    """Return the addresses of a DNS name; [] if there is no such name.

    Args:
        name: such as ``web``, ``web.shop`` or ``web.shop.svc.cluster.local``.
        namespace: of the pod that asks.
        lookup: finds a Service.
        endpoints: the pods behind a headless Service.

    >>> service = {"spec": {"clusterIP": "10.96.0.7"}}
    >>> find = lambda name, namespace: service if name == "web" else None
    >>> resolve("web.shop.svc.cluster.local", "default", find, lambda *_: [])
    ['10.96.0.7']
    >>> resolve("nothing", "default", find, lambda *_: [])
    []
    """
    if name in ("localhost", "127.0.0.1"):
        return ["127.0.0.1"]
    short = name.rstrip(".").removesuffix(SUFFIX).removesuffix(".svc")
    service_name, _, service_namespace = short.partition(".")
    if "." in service_namespace:
        return []
    service_namespace = service_namespace or namespace
    service = lookup(service_name, service_namespace)
    if service is None:
        return []
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return [str(spec.get("externalName"))]
    address = str(spec.get("clusterIP") or "")
    if address in ("", "None"):
        return endpoints(service_name, service_namespace)
    return [address]
