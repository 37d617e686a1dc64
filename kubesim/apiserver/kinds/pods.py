"""Pods: defaults and validation of pods, and of the pod specs in templates.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
plugin/pkg/admission/defaulttolerationseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from kubesim.apiserver.validation import LABEL_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_label
from kubesim.objects.pods import CONTAINER_LISTS, qos_class
from kubesim.objects.wellknown import (
    DEFAULT_SCHEDULER,
    NOT_READY,
    PORT_PROTOCOLS,
    TAINT_EFFECTS,
    TERMINATION_GRACE_SECONDS,
    UNREACHABLE,
)
from kubesim.quantity import Amount, parse_cpu_milli, parse_memory, parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

PORT_RULE = "must be between 1 and 65535, inclusive"
RESTART_POLICIES = ("Always", "OnFailure", "Never")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROBE_DEFAULTS = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}


TOLERATION_SECONDS = 300  # --default-not-ready-toleration-seconds

# -- defaults of pod specs -------------------------------------------------------------------------


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


# -- validation of pod specs -----------------------------------------------------------------------


def validate_pod_spec(spec: Document, path: str, errors: FieldErrors) -> None:
    """Validate a pod spec.

    Args:
        spec: the pod spec.
        path: its path in the object.
        errors: collects the errors.
    """
    if not spec.get("containers"):
        errors.required(f"{path}.containers")
    names: set[str] = set()
    for field in CONTAINER_LISTS:
        for item_path, container in errors.items(f"{path}.{field}", spec.get(field)):
            _validate_container(container, item_path, names, errors)
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
    container: Document, path: str, names: set[str], errors: FieldErrors
) -> None:
    name = container.get("name")
    if not name:
        errors.required(f"{path}.name")
    elif not isinstance(name, str) or not _is_label(name):
        errors.invalid(f"{path}.name", name, LABEL_RULE)
    elif name in names:
        errors.duplicate(f"{path}.name", name)
    else:
        names.add(str(name))
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


_is_label = lru_cache(maxsize=4096)(valid_dns1123_label)


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
            errors.quantity(f"{path}[{name}]", value, _parser(name, value))
            if name in PARSERS
            else errors.quantity(f"{path}[{name}]", value, parse_quantity)
        )
        for name, value in amounts.items()
    }


def _parser(name: str, value: object) -> Callable[[Amount], int]:
    """Return the parser of a resource; it keeps strings, of which thousands of pods share few."""
    return (CACHING_PARSERS if type(value) is str else PARSERS)[name]


PARSERS: dict[str, Callable[[Amount], int]] = {"cpu": parse_cpu_milli, "memory": parse_memory}
CACHING_PARSERS: dict[str, Callable[[Amount], int]] = {
    name: lru_cache(maxsize=4096)(parse) for name, parse in PARSERS.items()
}


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


# -- pods ------------------------------------------------------------------------------------------


def default_pod(pod: Document) -> None:
    """Set the defaults of a pod, and the tolerations that admission adds."""
    fill(pod, "spec", {})
    spec = pod["spec"]
    if not isinstance(spec, dict):
        return
    default_pod_spec(spec)
    fill(spec, "enableServiceLinks", True)
    fill(spec, "serviceAccountName", "default")
    fill(spec, "tolerations", [])
    tolerations = spec["tolerations"]
    if isinstance(tolerations, list):
        for key in (NOT_READY, UNREACHABLE):
            if not any(_tolerates_no_execute(toleration, key) for toleration in tolerations):
                tolerations.append(
                    {
                        "key": key,
                        "operator": "Exists",
                        "effect": "NoExecute",
                        "tolerationSeconds": TOLERATION_SECONDS,
                    }
                )
    if pod.get("status") is None:
        pod["status"] = {"phase": "Pending", **_qos_class(pod), **_scheduling_gated(spec)}


def _scheduling_gated(spec: Document) -> Document:
    """Return the condition of a pod with scheduling gates (applySchedulingGatedCondition)."""
    if not spec.get("schedulingGates"):
        return {}
    message = "Scheduling is blocked due to non-empty scheduling gates"
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    return {"conditions": [{**condition, "message": message}]}


def _qos_class(pod: Document) -> Document:
    """Return status.qosClass; {} for a spec that validation is going to refuse."""
    try:
        return {"qosClass": qos_class(cast("PodDict", pod))}
    except (ValueError, TypeError, AttributeError):
        return {}


def _tolerates_no_execute(toleration: object, key: str) -> bool:
    if not isinstance(toleration, dict):
        return False
    covers_key = toleration.get("key") in (None, "", key)
    return covers_key and toleration.get("effect") in (None, "", "NoExecute")


def validate_pod(pod: Document, errors: FieldErrors) -> None:
    """Validate a pod."""
    validate_pod_spec(errors.mapping("spec", pod.get("spec")), "spec", errors)


POD_IS_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def validate_pod_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a pod's spec, except of images, the deadline and added tolerations.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before == after:
        return
    if not isinstance(after, dict) or _fixed_part(before) != _fixed_part(after):
        errors.forbidden("spec", POD_IS_FIXED)
        return
    gates = [gate.get("name") for gate in before.get("schedulingGates") or ()]
    for gate in objects_in(after.get("schedulingGates")):
        if gate.get("name") not in gates:
            rule = "only deletion is allowed, but found new scheduling gate"
            errors.forbidden("spec.schedulingGates", f"{rule} '{gate.get('name')}'")
    tolerations = _without_seconds(after)
    if any(toleration not in tolerations for toleration in _without_seconds(before)):
        errors.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )
    deadline, previous = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if previous is not None and (deadline is None or deadline > previous):
        rule = "must be less than or equal to previous value"
        errors.invalid("spec.activeDeadlineSeconds", deadline, rule)


def _without_seconds(spec: Document) -> list[Document]:
    """Return the tolerations without tolerationSeconds."""
    tolerations = spec.get("tolerations") or []
    return [{k: v for k, v in item.items() if k != "tolerationSeconds"} for item in tolerations]


def _fixed_part(spec: Document) -> Document:
    """Return a pod spec without the fields that may change."""
    may_change = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
    fixed = {k: v for k, v in spec.items() if k not in may_change}
    for field in CONTAINER_LISTS:
        if isinstance(spec.get(field), list):
            fixed[field] = [
                {k: v for k, v in item.items() if k != "image"} if isinstance(item, dict) else item
                for item in spec[field]
            ]
    return fixed
