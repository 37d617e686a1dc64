"""Containers: ports, pull policy, restart policy, resize policy, host ports; init containers.

Source: pkg/apis/core/validation/validation.go (validateContainerPorts, validateContainers,
validateInitContainers, validateResizePolicy, validatePodHostNetworkDeps).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import PORT_RULE, port_name_errors
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.wellknown import PORT_PROTOCOLS

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodSpecDict

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESIZE_POLICIES = ("NotRequired", "RestartContainer")


def validate_ports(
    container: ContainerDict, path: str, _spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate the ports of a container: names, numbers and protocols.

    Args:
        container: has ports.
        path: its path.
        errors: collects the errors.
    """
    names: set[str] = set()
    for index, port in enumerate(container["ports"]):
        place = f"{path}.ports[{index}]"
        port = port or {}
        if name := port.get("name"):
            messages = port_name_errors(name)
            for message in messages:
                errors.invalid(f"{place}.name", name, message)
            if not messages and name in names:
                errors.duplicate(f"{place}.name", name)
            names.add(name)
        if not port.get("containerPort"):
            errors.required(f"{place}.containerPort")
        elif not 0 < port["containerPort"] < 65536:
            errors.invalid(f"{place}.containerPort", port["containerPort"], PORT_RULE)
        if port.get("hostPort") and not 0 < port["hostPort"] < 65536:
            errors.invalid(f"{place}.hostPort", port["hostPort"], PORT_RULE)
        if port.get("protocol") not in PORT_PROTOCOLS:
            errors.not_supported(f"{place}.protocol", port.get("protocol"), PORT_PROTOCOLS)


def validate_resize_policy(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate what happens to a container when its resources change.

    Args:
        container: has a resizePolicy.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    place = f"{path}.resizePolicy"
    names: set[str | None] = set()
    for index, policy in enumerate(container["resizePolicy"]):
        name, restart = policy.get("resourceName"), policy.get("restartPolicy")
        if name in names:
            errors.duplicate(f"{place}[{index}]", name)
        names.add(name)
        for value, supported in ((name, ("cpu", "memory")), (restart, RESIZE_POLICIES)):
            if not value:
                errors.required(place)
            else:
                errors.one_of(place, value, supported)
        if spec.get("restartPolicy") == "Never" and restart != "NotRequired":
            rule = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            errors.invalid(place, restart, rule)


# -- host ports ------------------------------------------------------------------------------------


def validate_host_ports(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate that a port of the node occurs once among the main containers of a pod.

    Init containers run one after the other: each is checked for itself.

    Args:
        spec: of the pod.
        path: its path.
        errors: collects the errors.
    """
    used: set[str] = set()
    for index, container in enumerate(spec.get("containers") or ()):
        _host_ports_once(container, f"{path}.containers[{index}]", used, errors)
    for container in spec.get("initContainers") or ():
        # Upstream counts the one container that it checks, so that its path always has index 0.
        _host_ports_once(container, f"{path}.initContainers[0]", set(), errors)


def _host_ports_once(
    container: ContainerDict, path: str, used: set[str], errors: FieldErrors
) -> None:
    for index, port in enumerate(container.get("ports") or ()):
        if not (port or {}).get("hostPort"):
            continue
        key = f"{port.get('protocol')}/{port.get('hostIP') or ''}/{port['hostPort']}"
        if key in used:
            errors.duplicate(f"{path}.ports[{index}].hostPort", key)
        used.add(key)


def validate_host_network(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate that in the node's network a container's port is the node's port.

    A template may leave out the node's port: the pods get it as a default.

    Args:
        spec: of a pod with hostNetwork.
        path: its path.
        errors: collects the errors.
    """
    rule = "must match `containerPort` when `hostNetwork` is true"
    for index, container in enumerate(spec.get("containers") or ()):
        for position, port in enumerate(container.get("ports") or ()):
            number = port.get("hostPort") or 0
            if (number or path == "spec") and number != port.get("containerPort"):
                place = f"{path}.containers[{index}].ports[{position}].hostPort"
                errors.invalid(place, number, rule)
