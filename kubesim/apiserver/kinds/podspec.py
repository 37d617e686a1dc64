"""Defaults and validation of pod specs, in pods and in pod templates.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from kubesim.apiserver.fields import FieldErrors, fill
from kubesim.apiserver.metadata import LABEL_RULE
from kubesim.objects.frozen import Document
from kubesim.objects.meta import valid_dns1123_label
from kubesim.objects.wellknown import (
    DEFAULT_SCHEDULER,
    PORT_PROTOCOLS,
    TAINT_EFFECTS,
    TERMINATION_GRACE_SECONDS,
)
from kubesim.quantity import Amount, parse_cpu_milli, parse_memory, parse_quantity

CONTAINER_LISTS = ("containers", "initContainers")
PORT_RULE = "must be between 1 and 65535, inclusive"
RESTART_POLICIES = ("Always", "OnFailure", "Never")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROBE_DEFAULTS = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}


# -- defaults --------------------------------------------------------------------------------------


def default_pod_spec(spec: Document) -> None:
    """Set the defaults that pods and pod templates share."""
    fill(spec, "restartPolicy", "Always")
    fill(spec, "terminationGracePeriodSeconds", TERMINATION_GRACE_SECONDS)
    fill(spec, "dnsPolicy", "ClusterFirst")
    fill(spec, "schedulerName", DEFAULT_SCHEDULER)
    fill(spec, "securityContext", {})
    for field in CONTAINER_LISTS:
        for container in objects_in(spec.get(field)):
            _default_container(container)


def _default_container(container: Document) -> None:
    image = container.get("image")
    if isinstance(image, str):
        tag = image.rpartition("/")[2].partition(":")[2]
        policy = "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
        fill(container, "imagePullPolicy", policy)
    fill(container, "terminationMessagePath", "/dev/termination-log")
    fill(container, "terminationMessagePolicy", "File")
    fill(container, "resources", {})
    resources = container["resources"]
    if isinstance(resources, dict) and isinstance(resources.get("limits"), dict):
        # A limit without a request is a request of the same size.
        fill(resources, "requests", {})
        if isinstance(resources["requests"], dict):
            for name, limit in resources["limits"].items():
                fill(resources["requests"], name, limit)
    for port in objects_in(container.get("ports")):
        fill(port, "protocol", "TCP")
    for probe in PROBES:
        if isinstance(container.get(probe), dict):
            for field, value in PROBE_DEFAULTS.items():
                fill(container[probe], field, value)


def objects_in(value: object) -> Iterator[Document]:
    """Yield the objects in a list; nothing if it is not a list (validation reports that)."""
    return (
        (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
    )


# -- validation ------------------------------------------------------------------------------------


def validate_pod_spec(spec: Document, path: str, errors: FieldErrors) -> None:
    """Validate a pod spec.

    Args:
        spec: the pod spec.
        path: its path in the object.
        errors: collects the errors.
    """
    if not spec.get("containers"):
        errors.required(f"{path}.containers")
    seen: set[str] = set()
    for field in CONTAINER_LISTS:
        for item_path, container in errors.items(f"{path}.{field}", spec.get(field)):
            _validate_container(container, item_path, seen, errors)
    policy = spec.get("restartPolicy")
    if policy not in RESTART_POLICIES:
        errors.not_supported(f"{path}.restartPolicy", policy, RESTART_POLICIES)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None:
        errors.whole_number(f"{path}.terminationGracePeriodSeconds", grace)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        errors.whole_number(f"{path}.activeDeadlineSeconds", deadline, 1)
    if spec.get("nodeSelector") is not None:
        errors.strings(f"{path}.nodeSelector", spec["nodeSelector"])
    for field in ("nodeName", "schedulerName", "serviceAccountName", "priorityClassName"):
        if spec.get(field) is not None and not isinstance(spec[field], str):
            errors.invalid(f"{path}.{field}", spec[field], "must be a string")
    overhead = errors.mapping(f"{path}.overhead", spec.get("overhead"))
    _validate_amounts(overhead, f"{path}.overhead", errors)
    pod_level = errors.mapping(f"{path}.resources", spec.get("resources"))
    validate_resources(pod_level, f"{path}.resources", errors)
    for item_path, gate in errors.items(f"{path}.schedulingGates", spec.get("schedulingGates")):
        if not gate.get("name"):
            errors.required(f"{item_path}.name")
    for item_path, toleration in errors.items(f"{path}.tolerations", spec.get("tolerations")):
        _validate_toleration(toleration, item_path, errors)


def _validate_container(
    container: Document, path: str, seen: set[str], errors: FieldErrors
) -> None:
    name = container.get("name")
    if not name:
        errors.required(f"{path}.name")
    elif not valid_dns1123_label(name):
        errors.invalid(f"{path}.name", name, LABEL_RULE)
    elif name in seen:
        errors.duplicate(f"{path}.name", name)
    else:
        seen.add(str(name))
    image = container.get("image")
    if not image or not isinstance(image, str):
        errors.required(f"{path}.image")
    elif image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    resources = errors.mapping(f"{path}.resources", container.get("resources"))
    validate_resources(resources, f"{path}.resources", errors)
    for item_path, port in errors.items(f"{path}.ports", container.get("ports")):
        if port.get("containerPort") is None:
            errors.required(f"{item_path}.containerPort")
        elif type(port["containerPort"]) is not int or not 0 < port["containerPort"] < 65536:
            errors.invalid(f"{item_path}.containerPort", port["containerPort"], PORT_RULE)
        if port.get("protocol") not in PORT_PROTOCOLS:
            errors.not_supported(f"{item_path}.protocol", port.get("protocol"), PORT_PROTOCOLS)
    for item_path, variable in errors.items(f"{path}.env", container.get("env")):
        if not variable.get("name"):
            errors.required(f"{item_path}.name")


def validate_resources(resources: Document, path: str, errors: FieldErrors) -> None:
    """Validate requests and limits: quantities, and no request above its limit.

    Args:
        resources: a ResourceRequirements.
        path: its path in the object.
        errors: collects the errors.
    """
    if not resources:
        return
    limits, requests = (
        errors.mapping(f"{path}.{side}", resources.get(side)) for side in ("limits", "requests")
    )
    maxima = _validate_amounts(limits, f"{path}.limits", errors)
    for name, request in _validate_amounts(requests, f"{path}.requests", errors).items():
        limit = maxima.get(name)
        if request is not None and limit is not None and request > limit:
            rule = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.invalid(f"{path}.requests", requests[name], rule)


def _validate_amounts(
    amounts: Document, path: str, errors: FieldErrors
) -> dict[str, int | Fraction | None]:
    """Parse amounts; None for one that is not a quantity."""
    return {
        name: (
            errors.quantity(f"{path}[{name}]", value, _PARSERS[name])
            if name in _PARSERS
            else errors.quantity(f"{path}[{name}]", value, parse_quantity)
        )
        for name, value in amounts.items()
    }


_PARSERS: dict[str, Callable[[Amount], int]] = {"cpu": parse_cpu_milli, "memory": parse_memory}


def _validate_toleration(toleration: Document, path: str, errors: FieldErrors) -> None:
    operator = toleration.get("operator") or "Equal"
    if operator not in ("Equal", "Exists"):
        errors.not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    if operator == "Exists" and toleration.get("value"):
        rule = "value must be empty when `operator` is 'Exists'"
        errors.invalid(f"{path}.operator", toleration.get("value"), rule)
    if not toleration.get("key") and operator != "Exists":
        rule = (
            'operator must be Exists when `key` is empty, which means "match all values and all '
            'keys"'
        )
        errors.invalid(f"{path}.operator", operator, rule)
    effect = toleration.get("effect")
    if effect and effect not in TAINT_EFFECTS:
        errors.not_supported(f"{path}.effect", effect, sorted(TAINT_EFFECTS))
    seconds = toleration.get("tolerationSeconds")
    if seconds is not None:
        if type(seconds) is not int:
            errors.invalid(f"{path}.tolerationSeconds", seconds, "must be a whole number")
        if effect != "NoExecute":
            rule = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.invalid(f"{path}.effect", effect or "", rule)
