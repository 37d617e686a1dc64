"""Probes and lifecycle hooks: one handler each, and figures in their bounds.

Source: pkg/apis/core/validation/validation.go (validateProbe, validateHandler, validateLifecycle).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import NOT_NEGATIVE, validate_port
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import ReadOnlyDocument

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodSpecDict, ProbeDict
    from kubesim.objects.types.containers import HTTPGetActionDict, LifecycleHandlerDict

ContainerRule = Callable[["ContainerDict", str, "PodSpecDict", FieldErrors], None]

HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
SCHEMES = ("HTTP", "HTTPS")
HEADER_RULE = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    "regex used for validation is '[-A-Za-z0-9]+')"
)
ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"
_HEADER = re.compile(r"[-A-Za-z0-9]+", re.ASCII)


def validate_liveness(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate a liveness probe, which succeeds at once.

    Args:
        container: has the probe.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    _validate_probe(container["livenessProbe"], f"{path}.livenessProbe", spec, errors)
    _succeeds_at_once(container["livenessProbe"], f"{path}.livenessProbe", errors)


def validate_startup(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate a startup probe, which succeeds at once.

    Args:
        container: has the probe.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    _validate_probe(container["startupProbe"], f"{path}.startupProbe", spec, errors)
    _succeeds_at_once(container["startupProbe"], f"{path}.startupProbe", errors)


def validate_readiness(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate a readiness probe, which kills nothing and so has no grace period.

    Args:
        container: has the probe.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    probe, place = container["readinessProbe"], f"{path}.readinessProbe"
    _validate_probe(probe, place, spec, errors)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None:
        rule = "must not be set for readinessProbes"
        errors.invalid(f"{place}.terminationGracePeriodSeconds", grace, rule)


def validate_lifecycle(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate the hooks of a container.

    Args:
        container: has a lifecycle.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    lifecycle = container["lifecycle"]
    for name, handler in (
        ("postStart", lifecycle.get("postStart")),
        ("preStop", lifecycle.get("preStop")),
    ):
        if handler is not None:
            _validate_handler(handler, f"{path}.lifecycle.{name}", spec, errors)


def for_sidecars(field: str, rule: ContainerRule) -> ContainerRule:
    """Return the rule about a probe or the hooks of an init container: only sidecars have them.

    Args:
        field: of the container.
        rule: about the field of a main container or sidecar.
    """

    def validate(
        container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
    ) -> None:
        if container.get("restartPolicy") == "Always":
            rule(container, path, spec, errors)
        else:
            errors.forbidden(f"{path}.{field}", ONLY_SIDECARS)

    return validate


def _succeeds_at_once(probe: ProbeDict, path: str, errors: FieldErrors) -> None:
    if probe.get("successThreshold") != 1:
        errors.invalid(f"{path}.successThreshold", probe.get("successThreshold"), "must be 1")


def _validate_probe(probe: ProbeDict, path: str, spec: PodSpecDict, errors: FieldErrors) -> None:
    _validate_handler(probe, path, spec, errors)
    for field, value in (
        ("initialDelaySeconds", probe.get("initialDelaySeconds")),
        ("timeoutSeconds", probe.get("timeoutSeconds")),
        ("periodSeconds", probe.get("periodSeconds")),
        ("successThreshold", probe.get("successThreshold")),
        ("failureThreshold", probe.get("failureThreshold")),
    ):
        if value is not None and value < 0:
            errors.invalid(f"{path}.{field}", value, NOT_NEGATIVE)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")


def _validate_handler(
    handler: ProbeDict | LifecycleHandlerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate that there is exactly one handler, and what it does."""
    actions: ReadOnlyDocument = handler
    kinds = [kind for kind in HANDLERS if actions.get(kind) is not None]
    for kind in kinds[1:]:
        errors.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    match kinds[0] if kinds else "":
        case "":
            errors.required(path, "must specify a handler type")
        case "exec":
            if not actions["exec"].get("command"):
                errors.required(f"{path}.exec.command")
        case "httpGet":
            _validate_http(actions["httpGet"], f"{path}.httpGet", errors)
        case "tcpSocket" | "grpc" as kind:
            validate_port(f"{path}.{kind}.port", actions[kind].get("port") or 0, errors)
        case "sleep":
            grace = spec.get("terminationGracePeriodSeconds")
            seconds = actions["sleep"].get("seconds") or 0
            if grace is not None and not 0 <= seconds <= grace:
                rule = "must be non-negative and less than terminationGracePeriodSeconds"
                errors.invalid(f"{path}.sleep", seconds, f"{rule} ({grace})")


def _validate_http(action: HTTPGetActionDict, path: str, errors: FieldErrors) -> None:
    port = action.get("port")
    validate_port(f"{path}.port", 0 if port is None else port, errors)
    errors.one_of(f"{path}.scheme", action.get("scheme") or "HTTP", SCHEMES)
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        if not _HEADER.fullmatch(name):
            errors.invalid(f"{path}.httpHeaders", name, HEADER_RULE)
