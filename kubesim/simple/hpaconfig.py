"""The original's HPA configuration, as a projection of the HorizontalPodAutoscaler ``auto-pod``.

    target_cpu   spec.metrics, Resource cpu: averageUtilization, percent of the request
    min_pods     spec.minReplicas
    max_pods     spec.maxReplicas
    interval     annotation kubesim.dev/sync-period: the sync period of this HPA

A change is one write of one document: either all keys are changed or none is.

No counterpart in Kubernetes, where it is `kubectl edit hpa auto-pod`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from kubesim.errors import BadRequest, Conflict, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.kindnames import HORIZONTAL_POD_AUTOSCALER, KindName
from kubesim.objects.wellknown import SYNC_PERIOD
from kubesim.quantity import parse_duration
from kubesim.simple.autopod import INTERVAL, NAME

if TYPE_CHECKING:
    from kubesim.objects.types import (
        HorizontalPodAutoscalerDict,
        HorizontalPodAutoscalerSpecDict,
        MetricTargetDict,
    )

KIND = "HorizontalPodAutoscaler"
KEYS = ("target_cpu", "min_pods", "max_pods", "interval")
MAX_PODS = 1_000
MAX_TARGET = 10_000
MAX_INTERVAL_SECONDS = 86_400.0
ATTEMPTS = 10

Config = Document
"""{target_cpu, min_pods, max_pods, interval}; the values are those of the HPA."""


class ObjectClient(Protocol):
    """The API server's verbs that this file uses."""

    def peek(
        self, kind: KindName[HorizontalPodAutoscalerDict], name: str, /
    ) -> HorizontalPodAutoscalerDict | None:
        """Return one object, or None."""

    def update(self, document: HorizontalPodAutoscalerDict, /) -> HorizontalPodAutoscalerDict:
        """Replace an object; return it as it was stored."""


def config_of(hpa: HorizontalPodAutoscalerDict) -> Config:
    """Return the configuration of an HPA."""
    spec = hpa["spec"]
    return {
        "target_cpu": _cpu_target(spec).get("averageUtilization"),
        "min_pods": spec.get("minReplicas", 1),
        "max_pods": spec["maxReplicas"],
        "interval": meta.annotations_of(hpa).get(SYNC_PERIOD, INTERVAL),
    }


def apply_config(
    hpa: HorizontalPodAutoscalerDict, changes: Mapping[str, object]
) -> HorizontalPodAutoscalerDict:
    """Return a changed copy of an HPA; keys left out keep their values.

    Raises:
        BadRequest: the first bad value, with field, rule and value; "Invalid interval format" for
            an interval that is not a duration.
    """
    if unknown := sorted(str(key) for key in changes.keys() - set(KEYS)):
        raise BadRequest(f"unknown key {unknown[0]!r}; known keys are {', '.join(KEYS)}")
    new = config_of(hpa) | dict(changes)
    _check_number("target_cpu", new["target_cpu"], 1, MAX_TARGET)
    _check_number("min_pods", new["min_pods"], 1, MAX_PODS)
    _check_number("max_pods", new["max_pods"], 1, MAX_PODS)
    if new["min_pods"] > new["max_pods"]:
        raise BadRequest(
            f"min_pods must not be above max_pods: {new['min_pods']} > {new['max_pods']}"
        )
    _check_interval(new["interval"])
    changed: HorizontalPodAutoscalerDict = thaw(hpa)
    changed["spec"]["minReplicas"] = new["min_pods"]
    changed["spec"]["maxReplicas"] = new["max_pods"]
    _cpu_target(changed["spec"])["averageUtilization"] = new["target_cpu"]
    changed["metadata"].setdefault("annotations", {})[SYNC_PERIOD] = new["interval"]
    return changed


def read(api: ObjectClient) -> Config:
    """Return the present configuration.

    Raises:
        NotFound: "HPA not configured".
    """
    hpa = api.peek(HORIZONTAL_POD_AUTOSCALER, NAME)
    if hpa is None:
        raise NotFound("HPA not configured")
    return config_of(hpa)


def write(api: ObjectClient, changes: Mapping[str, object]) -> Config:
    """Change the configuration; return the new one, with all keys.

    Raises:
        NotFound: "HPA not configured".
        BadRequest: a bad value; nothing is changed.
    """
    for attempt in range(ATTEMPTS):
        hpa = api.peek(HORIZONTAL_POD_AUTOSCALER, NAME)
        if hpa is None:
            raise NotFound("HPA not configured")
        try:
            return config_of(api.update(apply_config(hpa, changes)))
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _cpu_target(spec: HorizontalPodAutoscalerSpecDict) -> MetricTargetDict:
    """Return the target of the CPU metric; {} if the HPA has no such metric."""
    for metric in spec.get("metrics") or ():
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            return resource["target"]
    return {}


def _check_number(key: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        shown = repr(value)[:60]
        raise BadRequest(f"{key} must be a whole number from {least} to {most}, not {shown}")


def _check_interval(value: object) -> None:
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise BadRequest("Invalid interval format") from error
    if not 0 < seconds <= MAX_INTERVAL_SECONDS:
        raise BadRequest("Invalid interval format")
