"""ConfigMaps, Secrets and accounts that a pod's volumes need before they can be mounted.

A volume that refers to a missing object keeps the whole pod in ContainerCreating; the mount is
tried again after 0.5 s, 1 s, 2 s ... up to 2 minutes, with an Event FailedMount for each attempt.
Sources marked `optional` may be missing, and may lack a key.

What exists reaches the container as files: `kubesim.kubelet.process.volumes`.

>>> pod = {"spec": {"volumes": [{"name": "v", "projected": {"sources": [
...     {"configMap": {"name": "c"}}, {"secret": {"name": "s", "optional": True}}]}}]}}
>>> failed_mounts(pod, lambda kind, name: None)
{'v': 'MountVolume.SetUp failed for volume "v" : configmap "c" not found'}
>>> failed_mounts(pod, lambda kind, name: {"data": {"k": "v"}})
{}

Source: pkg/volume/configmap/configmap.go (MakePayload), pkg/volume/secret/secret.go,
pkg/volume/projected/projected.go (collectData), pkg/util/goroutinemap/exponentialbackoff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from kubesim.kubelet.process.environment import CONFIG_MAP, SECRET, Find
from kubesim.objects.frozen import Document, ReadOnlyDocument

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, VolumeDict

SERVICE_ACCOUNT = "ServiceAccount"
MOUNT_FIRST_SECONDS, MOUNT_MOST_SECONDS = 0.5, 122.0  # back-off of a failed mount
# Kind -> what upstream says about a key that it lacks.
MISSING_KEY = {
    CONFIG_MAP: "configmap references non-existent config key: {}",
    SECRET: "references non-existent secret key: {}",
}


def failed_mounts(pod: PodDict, find: Find) -> dict[str, str]:
    """Return why volumes of a pod cannot be mounted, as Events FailedMount say it.

    Args:
        pod: the pod.
        find: looks up a ConfigMap, Secret or ServiceAccount.

    Returns:
        Name of each volume that cannot be mounted -> message.
    """
    spec = pod.get("spec") or {}
    account = str(spec.get("serviceAccountName") or "default")
    failed = {}
    for volume in spec.get("volumes") or ():
        if reasons := list(_reasons(volume, account, find)):
            reason = reasons[0] if len(reasons) == 1 else f"[{', '.join(reasons)}]"
            name = str(volume.get("name"))
            failed[name] = f'MountVolume.SetUp failed for volume "{name}" : {reason}'
    return failed


def _reasons(volume: VolumeDict, account: str, find: Find) -> Iterator[str]:
    """Yield what the sources of a volume lack."""
    if of_config_map := volume.get("configMap"):
        yield from _missing(CONFIG_MAP, of_config_map.get("name"), of_config_map, find)
    elif of_secret := volume.get("secret"):
        yield from _missing(SECRET, of_secret.get("secretName"), of_secret, find)
    elif projected := volume.get("projected"):
        yield from dict.fromkeys(_reasons_of_projection(projected, account, find))


def _reasons_of_projection(
    projected: Mapping[str, object], account: str, find: Find
) -> Iterator[str]:
    for source in cast("list[Document]", projected.get("sources") or ()):
        if of_config_map := source.get("configMap"):
            yield from _missing(CONFIG_MAP, of_config_map.get("name"), of_config_map, find)
        elif of_secret := source.get("secret"):
            yield from _missing(SECRET, of_secret.get("name"), of_secret, find)
        elif source.get("serviceAccountToken") and find(SERVICE_ACCOUNT, account) is None:
            yield f'failed to fetch token: serviceaccounts "{account}" not found'


def _missing(kind: str, name: object, source: ReadOnlyDocument, find: Find) -> Iterator[str]:
    """Yield that an object, or the first of the listed keys, does not exist."""
    existing = find(kind, str(name or ""))
    optional = source.get("optional")
    if existing is None:
        if not optional:
            yield f'{kind.lower()} "{name or ""}" not found'
        return
    if optional or not source.get("items"):
        return
    keys = {*(existing.get("data") or {}), *(existing.get("binaryData") or {})}
    for item in source["items"]:
        if item.get("key") not in keys:
            yield MISSING_KEY[kind].format(item.get("key"))
            return


def mount_delay(attempt: int) -> float:
    """Return the seconds until volumes are tried again.

    Args:
        attempt: number of earlier failures; 0 after the first failure.

    >>> [mount_delay(n) for n in (0, 1, 2, 8, 30)]
    [0.5, 1.0, 2.0, 122.0, 122.0]
    """
    return min(MOUNT_FIRST_SECONDS * float(1 << min(attempt, 10)), MOUNT_MOST_SECONDS)
