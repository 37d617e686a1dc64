"""What a pod needs besides its images: ConfigMaps and Secrets in its environment and its volumes.

A container whose environment names one that is not there waits as CreateContainerConfigError, and
is tried again each 10 s. A volume that names one keeps the whole pod in ContainerCreating; it is
tried again after 0.5 s, 1 s, 2 s ... up to 2 minutes, with an event FailedMount each time. What is
`optional` may be missing.

The contents are not given to anybody: a simulated container reads no file and no variable.

>>> source = {"configMapKeyRef": {"name": "c", "key": "k"}}
>>> container = {"env": [{"name": "COLOUR", "valueFrom": source}]}
>>> missing_for_container(container, "default", lambda kind, name: None)
'configmap "c" not found'
>>> missing_for_container(container, "default", lambda kind, name: {"data": {"k": "v"}})
''

Source: pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), pkg/volume/configmap/configmap.go,
pkg/util/goroutinemap/exponentialbackoff.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

RETRY_SECONDS = 10.0  # backOffPeriod: a container that could not be configured
MOUNT_FIRST_SECONDS, MOUNT_MOST_SECONDS = 0.5, 122.0  # of a volume that could not be mounted

Find = Callable[[str, str], Mapping[str, Any] | None]
"""find(kind, name) -> the object in the pod's namespace, or None."""

CONFIG_MAP, SECRET = "ConfigMap", "Secret"


def missing_for_container(container: Mapping[str, Any], namespace: str, find: Find) -> str:
    """Why a container's environment cannot be made; "" if it can.

    Args:
        container: of the spec.
        namespace: of the pod.
        find: looks up a ConfigMap or Secret.
    """
    for kind, reference in _environment(container):
        if reference.get("optional"):
            continue
        name, key = str(reference.get("name") or ""), reference.get("key")
        found = find(kind, name)
        if found is None:
            return f'{kind.lower()} "{name}" not found'
        if key is not None and key not in _keys(found):
            return f"couldn't find key {key} in {kind} {namespace}/{name}"
    return ""


def missing_for_volumes(pod: Mapping[str, Any], find: Find) -> str:
    """Why a pod's volumes cannot be mounted: the text of the event FailedMount; "" if they can.

    Args:
        pod: the pod.
        find: looks up a ConfigMap or Secret.
    """
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        for kind, field, name_field in (
            (CONFIG_MAP, "configMap", "name"),
            (SECRET, "secret", "secretName"),
        ):
            source = volume.get(field)
            if not source or source.get("optional"):
                continue
            name = str(source.get(name_field) or "")
            found = find(kind, name)
            said = f'MountVolume.SetUp failed for volume "{volume.get("name")}" : '
            if found is None:
                return f'{said}{kind.lower()} "{name}" not found'
            for item in source.get("items") or ():
                if item.get("key") not in _keys(found):
                    what = "configmap" if kind == CONFIG_MAP else "secret"
                    return f"{said}{what} references non-existent {what} key: {item.get('key')}"
    return ""


def mount_delay(attempt: int) -> float:
    """Seconds until volumes are tried again.

    Args:
        attempt: how often it failed before; 0 after the first failure.

    >>> [mount_delay(n) for n in (0, 1, 2, 8, 30)]
    [0.5, 1.0, 2.0, 122.0, 122.0]
    """
    return min(MOUNT_FIRST_SECONDS * float(1 << min(attempt, 10)), MOUNT_MOST_SECONDS)


def _environment(container: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, reference) of each ConfigMap and Secret that the environment names."""
    for source in container.get("envFrom") or ():
        for kind, field in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
            if source.get(field):
                yield kind, source[field]
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        for kind, field in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
            if origin.get(field):
                yield kind, origin[field]


def _keys(found: Mapping[str, Any]) -> set[str]:
    return {*(found.get("data") or {}), *(found.get("binaryData") or {})}
