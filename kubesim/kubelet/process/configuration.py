"""ConfigMaps and Secrets that a container needs in its environment.

A container whose environment refers to a missing object waits as CreateContainerConfigError; the
kubelet tries again every 10 s. References marked `optional` may be missing.

What exists reaches the container as variables: `kubesim.kubelet.process.environment`.

>>> source = {"configMapKeyRef": {"name": "c", "key": "k"}}
>>> container = {"env": [{"name": "COLOUR", "valueFrom": source}]}
>>> missing_for_container(container, "default", lambda kind, name: None)
'configmap "c" not found'
>>> missing_for_container(container, "default", lambda kind, name: {"data": {"k": "v"}})
''

Source: pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubesim.kubelet.process.environment import CONFIG_MAP, SECRET, Find
from kubesim.objects.frozen import ReadOnlyDocument

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict

RETRY_SECONDS = 10.0  # backOffPeriod, after CreateContainerConfigError


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
        if key is not None and key not in (existing.get("data") or {}):
            return f"couldn't find key {key} in {kind} {namespace}/{name}"
    return ""


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
