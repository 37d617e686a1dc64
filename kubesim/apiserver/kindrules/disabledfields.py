"""Fields of pods whose features Kubernetes 1.34 has off by default: a write drops them.

Upstream lets an object keep such a field that it has already; here no stored object has one.
Single fields of other kinds are dropped beside their defaults.

Source: pkg/features/kube_features.go, pkg/api/pod/util.go (dropDisabledFields and what it calls).
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.pods import CONTAINER_LISTS

EVERY_CONTAINER_LIST = (*CONTAINER_LISTS, "ephemeralContainers")
# Fields of a spec, beside volumes, and of a container that are, or may have, one that is dropped.
IN_SPEC = frozenset(("hostnameOverride", "ephemeralContainers", "lifecycle", "restartPolicyRules"))
IN_CONTAINER = IN_SPEC | {"restartPolicy"}
SOURCES = ("clusterTrustBundle", "podCertificate")  # of a projected volume


def drop_disabled_fields(spec: Document) -> None:
    """Drop the fields of a pod spec, of a pod or of a template, whose features are off.

    hostnameOverride (HostnameOverride), lifecycle.stopSignal (ContainerStopSignals),
    restartPolicyRules and restartPolicy, but for the one that makes a sidecar of an init container
    (ContainerRestartRules), volumes of the type image, with their mounts (ImageVolume), and two
    projected sources (ClusterTrustBundleProjection, PodCertificateRequest).
    """
    spec.pop("hostnameOverride", None)
    images = _drop_volumes(spec)
    for field in EVERY_CONTAINER_LIST:
        for container in objects_in(spec.get(field)):
            container.pop("restartPolicyRules", None)
            if field != "initContainers" or container.get("restartPolicy") != "Always":
                container.pop("restartPolicy", None)
            lifecycle = container.get("lifecycle")
            if isinstance(lifecycle, dict) and lifecycle.pop("stopSignal", None) is not None:
                if not lifecycle:
                    del container["lifecycle"]
            if images:
                _keep(container, "volumeMounts", lambda mount: mount.get("name") not in images)


def _drop_volumes(spec: Document) -> set[str]:
    """Drop volumes of images, and projected sources; return the names of these volumes."""
    volumes = spec.get("volumes")
    if not isinstance(volumes, list):
        return set()
    for volume in objects_in(volumes):
        projected = volume.get("projected")
        if isinstance(projected, dict):
            for source in objects_in(projected.get("sources")):
                for field in SOURCES:
                    source.pop(field, None)
    images = {str(v.get("name")) for v in objects_in(volumes) if v.get("image") is not None}
    if images:
        _keep(spec, "volumes", lambda volume: volume.get("image") is None)
    return images


def _keep(holder: Document, field: str, rule: Callable[[Document], bool]) -> None:
    """Keep the objects of a list that a rule is true of; an empty list is absent."""
    if isinstance(holder.get(field), list):
        holder[field] = [item for item in holder[field] if not isinstance(item, dict) or rule(item)]
        if not holder[field]:
            del holder[field]
