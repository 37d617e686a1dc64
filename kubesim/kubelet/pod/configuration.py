"""ConfigMaps, Secrets and claims that a pod needs in its environment and its volumes.

A container whose environment refers to a missing object waits as CreateContainerConfigError; the
kubelet tries again every 10 s. A volume that refers to one keeps the whole pod in
ContainerCreating; the mount is tried again after 0.5 s, 1 s, 2 s ... up to 2 minutes, with an Event
FailedMount for each attempt. References marked `optional` may be missing. So does a claim that does
not exist, is not bound or is being deleted; the scheduler sends such a pod to no node, but a pod
that names its node is there at once.

What is there reaches the container as variables and files: `kubesim.kubelet.process`.

>>> source = {"configMapKeyRef": {"name": "c", "key": "k"}}
>>> container = {"env": [{"name": "COLOUR", "valueFrom": source}]}
>>> missing_for_container(container, "default", lambda kind, name: None)
'configmap "c" not found'
>>> missing_for_container(container, "default", lambda kind, name: {"data": {"k": "v"}})
''

Source: pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), pkg/volume/configmap/configmap.go,
pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go (getPVCExtractPV),
pkg/util/goroutinemap/exponentialbackoff.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.volumes import claim_name_of, claim_names, class_of_claim

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ConfigMapVolumeSourceDict,
        ContainerDict,
        PersistentVolumeClaimDict,
        PodDict,
        SecretVolumeSourceDict,
        VolumeDict,
    )

RETRY_SECONDS = 10.0  # backOffPeriod, after CreateContainerConfigError
MOUNT_SECONDS = "kubesim.dev/mount-seconds"
MOUNT_FIRST_SECONDS, MOUNT_MOST_SECONDS = 0.5, 122.0  # back-off of a failed mount

Find = Callable[[str, str], Document | None]
"""find(kind, name) -> the object in the pod's namespace, or None."""

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
CLAIM, VOLUME = "PersistentVolumeClaim", "PersistentVolume"


def missing_for_container(container: ContainerDict, namespace: str, find: Find) -> str:
    """Return why a container's environment cannot be resolved; "" if it can.

    Args:
        container: an entry of the pod's spec.
        namespace: of the pod.
        find: looks up a ConfigMap or Secret.
    """
    for kind, reference in _environment(container):
        if reference.get("optional"):
            continue
        name, key = str(reference.get("name") or ""), reference.get("key")
        existing = find(kind, name)
        if existing is None:
            return f'{kind.lower()} "{name}" not found'
        if key is not None and key not in _keys(existing):
            return f"couldn't find key {key} in {kind} {namespace}/{name}"
    return ""


def missing_for_volumes(pod: PodDict, find: Find) -> str:
    """Return why a pod's volumes cannot be mounted, as Event FailedMount says it; "" if they can.

    Args:
        pod: the pod.
        find: looks up a ConfigMap, Secret, claim or volume.
    """
    if claim_names(pod) and (reason := _unusable_claims(pod, find)):
        return reason
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        for kind, source, name in _volume_sources(volume):
            if source.get("optional"):
                continue
            existing = find(kind, name)
            failed = f'MountVolume.SetUp failed for volume "{volume.get("name")}" : '
            if existing is None:
                return f'{failed}{kind.lower()} "{name}" not found'
            for item in source.get("items") or ():
                if item.get("key") not in _keys(existing):
                    what = "configmap" if kind == CONFIG_MAP else "secret"
                    return f"{failed}{what} references non-existent {what} key: {item.get('key')}"
    return ""


def _unusable_claims(pod: PodDict, find: Find) -> str:
    """Return which volumes cannot be mounted because of their claims, and why; "" if they can."""
    failed, reasons = [], []
    for volume in pod["spec"].get("volumes") or ():
        name = claim_name_of(volume, meta.name_of(pod))
        if name and (reason := _why_unusable(name, find)):
            failed.append(str(volume.get("name")))
            reasons.append(f"error processing PVC {meta.namespace_of(pod)}/{name}: {reason}")
    if not failed:
        return ""
    names = " ".join(sorted(failed))
    return (
        f"Unable to attach or mount volumes: unmounted volumes=[{names}], unattached volumes=[], "
        f"failed to process volumes=[{names}]: {'; '.join(reasons)}"
    )


def _why_unusable(name: str, find: Find) -> str:
    claim = find(CLAIM, name)
    if claim is None:
        return f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
    if meta.is_terminating(claim):
        return "PVC is being deleted"
    if (claim.get("status") or {}).get("phase") != "Bound":
        return "PVC is not bound"
    volume_name = str(claim["spec"].get("volumeName") or "")
    if not volume_name:
        return "PVC has empty pvc.Spec.VolumeName"
    if find(VOLUME, volume_name) is None:
        missing = f'persistentvolumes "{volume_name}" not found'
        return f"failed to fetch PV {volume_name} from API server: {missing}"
    return ""


def _volume_sources(
    volume: VolumeDict,
) -> Iterator[tuple[str, ConfigMapVolumeSourceDict | SecretVolumeSourceDict, str]]:
    """Yield (kind, source, name) of the ConfigMap or Secret that a volume shows."""
    if of_config_map := volume.get("configMap"):
        yield CONFIG_MAP, of_config_map, str(of_config_map.get("name") or "")
    if of_secret := volume.get("secret"):
        yield SECRET, of_secret, str(of_secret.get("secretName") or "")


def mount_delay(attempt: int) -> float:
    """Return the seconds until volumes are tried again.

    Args:
        attempt: number of earlier failures; 0 after the first failure.

    >>> [mount_delay(n) for n in (0, 1, 2, 8, 30)]
    [0.5, 1.0, 2.0, 122.0, 122.0]
    """
    return min(MOUNT_FIRST_SECONDS * float(1 << min(attempt, 10)), MOUNT_MOST_SECONDS)


def mount_seconds(pod: PodDict, find: Find) -> float:
    """Return how long the volumes of a pod's claims take to attach and to mount.

    The longest that a StorageClass of the claims says by the annotation
    ``kubesim.dev/mount-seconds``; 0 without one, or if it is no number.

    Args:
        pod: the pod.
        find: looks up claims and classes.
    """
    longest = 0.0
    for name in claim_names(pod):
        claim = cast("PersistentVolumeClaimDict | None", find(CLAIM, name))
        class_name = "" if claim is None else class_of_claim(claim)
        storage_class = find("StorageClass", class_name) if class_name else None
        if storage_class is not None:
            try:
                seconds = float(meta.annotations_of(storage_class).get(MOUNT_SECONDS, 0))
            except ValueError:
                continue
            longest = max(longest, seconds)
    return longest


def _environment(container: ContainerDict) -> Iterator[tuple[str, ReadOnlyDocument]]:
    """Yield (kind, reference) of each ConfigMap and Secret that the environment refers to."""
    for source in container.get("envFrom") or ():
        if config_map := source.get("configMapRef"):
            yield CONFIG_MAP, config_map
        if secret := source.get("secretRef"):
            yield SECRET, secret
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        if key_of_config_map := origin.get("configMapKeyRef"):
            yield CONFIG_MAP, key_of_config_map
        if key_of_secret := origin.get("secretKeyRef"):
            yield SECRET, key_of_secret


def _keys(source: Document) -> set[str]:
    return {*(source.get("data") or {}), *(source.get("binaryData") or {})}
