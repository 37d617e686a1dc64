"""Group autoscaling: HorizontalPodAutoscaler v2, its defaults and validation.

Source: pkg/apis/autoscaling/v2/defaults.go, pkg/apis/autoscaling/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.apiserver.kinds.autoscaling_v1 import from_v2, to_v2
from kubesim.apiserver.registry import Kind, KindVersion, ServerView
from kubesim.apiserver.validation import LABEL_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.meta import valid_dns1123_label
from kubesim.objects.wellknown import SYNC_PERIOD
from kubesim.quantity import parse_duration, parse_quantity

CPU_TARGET_PERCENT = 80  # DefaultCPUUtilization
MAX_WINDOW_SECONDS = 3600  # MaxStabilizationWindowSeconds
MAX_PERIOD_SECONDS = 1800  # MaxPeriodSeconds
SOURCES = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}
SCALE_UP_POLICIES = (
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
)
SCALE_DOWN_POLICIES = ({"type": "Percent", "value": 100, "periodSeconds": 15},)


def default_hpa(hpa: Document) -> None:
    """Set the defaults: minReplicas 1, CPU at 80 %, and scaling rules if there is a behavior."""
    fill(hpa, "spec", {})
    spec = hpa["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_TARGET_PERCENT}
        resource = {"name": "cpu", "target": target}
        spec["metrics"] = [{"type": "Resource", "resource": resource}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        fill(behavior, "scaleUp", {})
        fill(behavior, "scaleDown", {})
        up, down = behavior["scaleUp"], behavior["scaleDown"]
        if isinstance(up, dict):
            fill(up, "stabilizationWindowSeconds", 0)
            _default_rules(up, SCALE_UP_POLICIES)
        if isinstance(down, dict):
            # The window stays unset: the controller uses its own (300 s).
            _default_rules(down, SCALE_DOWN_POLICIES)


def _default_rules(rules: Document, policies: tuple[Document, ...]) -> None:
    fill(rules, "selectPolicy", "Max")
    fill(rules, "policies", [dict(policy) for policy in policies])


def validate_hpa(hpa: Document, errors: FieldErrors) -> None:
    """Validate an HPA of autoscaling/v2."""
    _validate_hpa(hpa, errors, least=1)


def validate_hpa_to_zero(hpa: Document, errors: FieldErrors) -> None:
    """Validate an HPA with the feature gate HPAScaleToZero, which is off by default."""
    _validate_hpa(hpa, errors, least=0)


def _validate_hpa(hpa: Document, errors: FieldErrors, *, least: int) -> None:
    spec = errors.mapping("spec", hpa.get("spec"))
    metrics = errors.items("spec.metrics", spec.get("metrics"))
    minimum, maximum = spec.get("minReplicas"), spec.get("maxReplicas")
    scales_to_zero = any(m.get("type") in ("Object", "External") for _, m in metrics)
    valid = errors.whole_number("spec.minReplicas", minimum, least)
    # The real server reads a missing number as 0, and its message says so.
    maximum = 0 if maximum is None else maximum
    rule = "must be greater than 0"
    valid &= errors.whole_number("spec.maxReplicas", maximum, 1, rule=rule)
    if valid and int(maximum) < int(minimum or 0):
        rule = "must be greater than or equal to `minReplicas`"
        errors.invalid("spec.maxReplicas", maximum, rule)
    if minimum == 0 and not scales_to_zero:
        rule = (
            "must specify at least one Object or External metric to support scaling to zero "
            "replicas"
        )
        errors.forbidden("spec.metrics", rule)
    reference = spec.get("scaleTargetRef")
    _validate_reference(reference, "spec.scaleTargetRef", errors)
    _validate_target_version(reference, "spec.scaleTargetRef.apiVersion", errors)
    for path, metric in metrics:
        _validate_metric(metric, path, errors)
    if spec.get("behavior") is not None:
        behavior = errors.mapping("spec.behavior", spec["behavior"])
        for side in ("scaleUp", "scaleDown"):
            if behavior.get(side) is not None:
                path = f"spec.behavior.{side}"
                _validate_rules(errors.mapping(path, behavior[side]), path, errors)
    _validate_period(hpa, errors)


def _validate_period(hpa: Document, errors: FieldErrors) -> None:
    """Validate kubesim's annotation with the sync period of the controller."""
    period = ((hpa.get("metadata") or {}).get("annotations") or {}).get(SYNC_PERIOD)
    if period is None:
        return
    path = f"metadata.annotations[{SYNC_PERIOD}]"
    try:
        seconds = parse_duration(period)
    except ValueError as error:
        errors.invalid(path, period, str(error))
        return
    if not 0 < seconds <= 86_400:
        errors.invalid(path, period, "must be longer than 0s and at most 24h")


def _validate_reference(reference: object, path: str, errors: FieldErrors) -> None:
    target = errors.mapping(path, reference)
    for field in ("kind", "name"):
        value = target.get(field)
        if not value:
            errors.required(f"{path}.{field}")
        else:
            _validate_segment(value, f"{path}.{field}", errors)


def _validate_target_version(reference: object, path: str, errors: FieldErrors) -> None:
    """Validate apiVersion of the target: group and version; only core kinds have no group."""
    target = reference if isinstance(reference, dict) else {}
    version = target.get("apiVersion") or ""
    if not isinstance(version, str) or version.count("/") > 1:
        errors.invalid(path, version, f"unexpected GroupVersion string: {version}")
    elif "/" not in version and target.get("kind") != "ReplicationController":
        if version:
            errors.invalid(path, version, "must specify API group, for example apps/v1")
        else:
            errors.required(path, "must specify API group, for example apps/v1")


def _validate_segment(value: object, path: str, errors: FieldErrors) -> None:
    """Validate a name that becomes one segment of a URL path."""
    if not isinstance(value, str):
        errors.invalid(path, value, "must be a string")
    elif value in (".", ".."):
        errors.invalid(path, value, f"may not be '{value}'")
    else:
        for character in "/%":
            if character in value:
                errors.invalid(path, value, f"may not contain '{character}'")


def _validate_metric(metric: Document, path: str, errors: FieldErrors) -> None:
    type_ = metric.get("type")
    if not type_:
        errors.required(f"{path}.type", "must specify a metric source type")
        return
    if not isinstance(type_, str) or type_ not in SOURCES:
        errors.not_supported(f"{path}.type", type_, sorted(SOURCES))
        return
    for field in SOURCES.values():
        if field == SOURCES[type_]:
            if metric.get(field) is None:
                detail = "must populate information for the given metric source"
                errors.required(f"{path}.{field}", detail)
        elif metric.get(field) is not None:
            detail = "must populate the given metric source only"
            errors.forbidden(f"{path}.{field}", detail)
    source = errors.mapping(f"{path}.{SOURCES[type_]}", metric.get(SOURCES[type_]))
    if metric.get(SOURCES[type_]) is not None:
        _validate_source(type_, source, f"{path}.{SOURCES[type_]}", errors)


def _validate_source(type_: str, source: Document, path: str, errors: FieldErrors) -> None:
    if type_ in ("Resource", "ContainerResource"):
        if not source.get("name"):
            errors.required(f"{path}.name", "must specify a resource name")
    else:
        name = errors.mapping(f"{path}.metric", source.get("metric")).get("name")
        if not name:
            errors.required(f"{path}.metric.name", "must specify a metric name")
        else:
            _validate_segment(name, f"{path}.metric.name", errors)
    if type_ == "ContainerResource":
        container = source.get("container")
        if not container:
            errors.required(f"{path}.container", "must specify a container")
        elif not valid_dns1123_label(container):
            errors.invalid(f"{path}.container", container, LABEL_RULE)
    if type_ == "Object":
        _validate_reference(source.get("describedObject"), f"{path}.describedObject", errors)
    _validate_target(type_, errors.mapping(f"{path}.target", source.get("target")), path, errors)


def _validate_target(type_: str, target: Document, path: str, errors: FieldErrors) -> None:
    path = f"{path}.target"
    kind = target.get("type")
    if not kind:
        errors.required(f"{path}.type", "must specify a metric target type")
    elif kind not in ("Utilization", "Value", "AverageValue"):
        errors.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        if target.get(field) is not None:
            errors.positive_quantity(f"{path}.{field}", target[field], parse_quantity)
    utilization = target.get("averageUtilization")
    if utilization is not None:
        rule = "must be greater than 0"
        errors.whole_number(f"{path}.averageUtilization", utilization, 1, rule=rule)
    average, value = target.get("averageValue"), target.get("value")
    if type_ in ("Resource", "ContainerResource"):
        if utilization is None and average is None:
            detail = "must set either a target raw value or a target utilization"
            errors.required(f"{path}.averageUtilization", detail)
        elif utilization is not None and average is not None:
            detail = "may not set both a target raw value and a target utilization"
            errors.forbidden(f"{path}.averageValue", detail)
    elif type_ == "Pods":
        if average is None:
            errors.required(f"{path}.averageValue", "must specify a positive target averageValue")
    elif value is None and average is None:
        detail = "must set either a target value for metric or a per-pod target"
        errors.required(f"{path}.averageValue", detail)
    elif type_ == "External" and value is not None and average is not None:
        detail = "may not set both a target value for metric and a per-pod target"
        errors.forbidden(f"{path}.value", detail)


def _validate_rules(rules: Document, path: str, errors: FieldErrors) -> None:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None:
        field = f"{path}.stabilizationWindowSeconds"
        rule = "must be greater than or equal to zero"
        errors.whole_number(field, window, 0, MAX_WINDOW_SECONDS, rule)
    select = rules.get("selectPolicy")
    if select not in (None, "Max", "Min", "Disabled"):
        errors.not_supported(f"{path}.selectPolicy", select, ("Disabled", "Max", "Min"))
    if rules.get("policies") == []:
        errors.required(f"{path}.policies", "must specify at least one Policy")
    for item, policy in errors.items(f"{path}.policies", rules.get("policies")):
        errors.one_of(f"{item}.type", policy.get("type"), ("Percent", "Pods"))
        rule = "must be greater than zero"
        errors.whole_number(f"{item}.value", policy.get("value"), 1, rule=rule)
        period = policy.get("periodSeconds")
        errors.whole_number(f"{item}.periodSeconds", period, 1, MAX_PERIOD_SECONDS, rule)
    if rules.get("tolerance") is not None:
        errors.quantity(f"{path}.tolerance", rules["tolerance"], parse_quantity)


def drop_tolerance(_server: ServerView, hpa: Document, old: ReadOnlyDocument | None) -> None:
    """Remove behavior.scaleUp.tolerance and scaleDown.tolerance, unless the HPA had one before.

    Source: pkg/registry/autoscaling/horizontalpodautoscaler/strategy.go (dropDisabledFields); the
    feature gate HPAConfigurableTolerance is alpha, and off, in 1.34.
    """
    if old is None or not any("tolerance" in rules for rules in _rules_of(old)):
        for rules in _rules_of(hpa):
            if isinstance(rules, dict):
                rules.pop("tolerance", None)


def _rules_of(hpa: Mapping[str, object]) -> list[Mapping[str, object]]:
    spec = hpa.get("spec")
    behavior = spec.get("behavior") if isinstance(spec, Mapping) else None
    sides = behavior if isinstance(behavior, Mapping) else {}
    return [
        side for side in (sides.get("scaleUp"), sides.get("scaleDown")) if isinstance(side, Mapping)
    ]


def kinds(*, scale_to_zero: bool = False, own_tolerance: bool = False) -> tuple[Kind, ...]:
    """Return the kinds of the group.

    Args:
        scale_to_zero: the feature gate HPAScaleToZero (alpha upstream): minReplicas may be 0.
        own_tolerance: the feature gate HPAConfigurableTolerance (alpha upstream): an HPA keeps a
            tolerance of its own for each direction.
    """
    return (
        Kind(
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            group="autoscaling",
            version="v2",
            short_names=("hpa",),
            categories=("all",),
            versions=(KindVersion("v1", to_v2, from_v2),),
            default=default_hpa,
            admit=None if own_tolerance else drop_tolerance,
            validate=validate_hpa_to_zero if scale_to_zero else validate_hpa,
            zero_status={"desiredReplicas": 0},
        ),
    )
