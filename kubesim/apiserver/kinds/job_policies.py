"""Defaults and validation of a Job's podFailurePolicy and successPolicy, and of its status.

Source: pkg/apis/batch/validation/validation.go (validatePodFailurePolicy, validateSuccessPolicy,
validateIndexesFormat, ValidateJobStatusUpdate), pkg/apis/batch/v1/defaults.go,
pkg/registry/batch/job/strategy.go (getStatusValidationOptions).
"""

from __future__ import annotations

from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.errors import Cause
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.intstr import parse_int
from kubesim.objects.pods import CONTAINER_LISTS

MAX_RULES = 20
MAX_CODES = 255
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")


def default_failure_policy(spec: Document) -> None:
    """Default the status of each pod condition pattern to True."""
    policy = spec.get("podFailurePolicy")
    for rule in objects_in(policy.get("rules") if isinstance(policy, dict) else None):
        for pattern in objects_in(rule.get("onPodConditions")):
            fill(pattern, "status", "True")


def validate_failure_policy(spec: Document, errors: FieldErrors) -> None:
    """Validate each rule: an action, and either exit codes or pod conditions."""
    path = "spec.podFailurePolicy"
    policy = errors.mapping(path, spec.get("podFailurePolicy"))
    rules = errors.items(f"{path}.rules", policy.get("rules"))
    if len(rules) > MAX_RULES:
        errors.too_many(f"{path}.rules", len(rules), MAX_RULES)
    for rule_path, rule in rules:
        action = rule.get("action")
        if not action:
            errors.required(f"{rule_path}.action", f"valid values: {_listed(ACTIONS)}")
        elif action not in ACTIONS:
            errors.not_supported(f"{rule_path}.action", action, ACTIONS)
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            detail = "requires the backoffLimitPerIndex to be set"
            errors.invalid(f"{rule_path}.action", action, detail)
        codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None and patterns:
            detail = "specifying both OnExitCodes and OnPodConditions is not supported"
            _invalid(rule_path, detail, errors)
        elif codes is None and not patterns:
            detail = "specifying one of OnExitCodes and OnPodConditions is required"
            _invalid(rule_path, detail, errors)
        elif codes is not None:
            _validate_codes(
                spec, errors.mapping(f"{rule_path}.onExitCodes", codes), rule_path, errors
            )
        else:
            _validate_patterns(patterns, rule_path, errors)


def _invalid(path: str, detail: str, errors: FieldErrors) -> None:
    """Add an error that does not show the value (field.OmitValueType)."""
    errors.causes.append(Cause(path, "FieldValueInvalid", f"Invalid value: {detail}"))


def _listed(values: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def _validate_codes(spec: Document, rule: Document, rule_path: str, errors: FieldErrors) -> None:
    path = f"{rule_path}.onExitCodes"
    operator = rule.get("operator")
    if not operator:
        errors.required(f"{path}.operator", f"valid values: {_listed(OPERATORS)}")
    elif operator not in OPERATORS:
        errors.not_supported(f"{path}.operator", operator, OPERATORS)
    name = rule.get("containerName")
    if name is not None and name not in _container_names(spec):
        detail = "must be one of the container or initContainer names in the pod template"
        errors.invalid(f"{path}.containerName", name, detail)
    values = rule.get("values")
    if not isinstance(values, list) or not values:
        errors.invalid(f"{path}.values", values or [], "at least one value is required")
        return
    if len(values) > MAX_CODES:
        errors.too_many(f"{path}.values", len(values), MAX_CODES)
    previous: int | None = None
    for index, code in enumerate(values):
        if not errors.whole_number(f"{path}.values[{index}]", code, least=-(2**31)):
            return
        if code == 0 and operator == "In":
            errors.invalid(f"{path}.values[{index}]", code, "must not be 0 for the In operator")
        if previous is not None and code == previous:
            errors.duplicate(f"{path}.values[{index}]", code)
        elif previous is not None and code < previous:
            errors.invalid(f"{path}.values", values, "must be ordered")
            return
        previous = code


def _container_names(spec: Document) -> set[object]:
    template = spec.get("template")
    pod_spec = template.get("spec") if isinstance(template, dict) else None
    if not isinstance(pod_spec, dict):
        return set()
    return {
        container.get("name")
        for field in CONTAINER_LISTS
        for container in objects_in(pod_spec.get(field))
    }


def _validate_patterns(patterns: object, rule_path: str, errors: FieldErrors) -> None:
    path = f"{rule_path}.onPodConditions"
    items = errors.items(path, patterns)
    if len(items) > MAX_RULES:
        errors.too_many(path, len(items), MAX_RULES)
    for item, pattern in items:
        if not pattern.get("type"):
            errors.required(f"{item}.type")
        errors.one_of(f"{item}.status", pattern.get("status"), ("False", "True", "Unknown"))


def validate_success_policy(spec: Document, errors: FieldErrors) -> None:
    """Validate the success policy of an indexed Job."""
    path = "spec.successPolicy"
    if spec.get("successPolicy") is None:
        return
    policy = errors.mapping(path, spec["successPolicy"])
    completions = spec.get("completions")
    if spec.get("completionMode") != "Indexed" or not isinstance(completions, int):
        errors.invalid(path, policy, "requires indexed completion mode")
        return
    rules = errors.items(f"{path}.rules", policy.get("rules"))
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        errors.required(f"{path}.rules", detail)
    elif len(rules) > MAX_RULES:
        errors.too_many(f"{path}.rules", len(rules), MAX_RULES)
    for rule_path, rule in rules:
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        most, counted = completions, "specified completions"
        if count is None and indexes is None:
            detail = "at least one of succeededCount or succeededIndexes must be specified"
            errors.required(rule_path, detail)
        if indexes is not None:
            total, message = read_indexes(indexes, completions)
            if message:
                detail = f"error parsing succeededIndexes: {message}"
                errors.invalid(f"{rule_path}.succeededIndexes", indexes, detail)
            else:
                most, counted = total, "indexes in the specified succeededIndexes field"
        if count is None or not errors.whole_number(f"{rule_path}.succeededCount", count):
            continue
        if count > most:
            detail = f"must be less than or equal to {most} (the number of {counted})"
            errors.invalid(f"{rule_path}.succeededCount", count, detail)


def read_indexes(text: object, completions: int) -> tuple[int, str]:
    """Return how many indexes a string such as ``1,3-5`` names, and what is wrong with it.

    >>> read_indexes("1,3-5", 6), read_indexes("3,1", 6)
    ((4, ''), (0, 'non-increasing order, previous: 3, current: 1'))
    """
    if not isinstance(text, str):
        return 0, "it is not a string"
    total, last = 0, -1
    for interval in text.split(",") if text else ():
        limits = interval.split("-")
        if len(limits) > 2:
            rule = "that an index interval can have at most two parts separated by '-'"
            return 0, f'the fragment "{interval}" violates the requirement {rule}'
        first = last + 1
        for position, limit in enumerate(limits):
            number = parse_int(limit)
            if number is None:
                return 0, f'cannot convert string to integer for index: "{limit}"'
            if number >= completions:
                return 0, f'too large index: "{limit}"'
            if number <= last:
                return 0, f"non-increasing order, previous: {last}, current: {number}"
            first = number if position == 0 else first
            last = number
        total += last - first + 1
    return total, ""


# -- status ----------------------------------------------------------------------------------------


def validate_job_status_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Validate the fields of a Job's status that changed; counters and verdicts only go forward.

    Args:
        new, old: the Job with its new and with its stored status.
        errors: receives the violations.
    """
    status, before = new.get("status") or {}, old.get("status") or {}
    _validate_index_fields(new["spec"], status, before, errors)
    conditions = _true_conditions(status)
    for type in ("Failed", "Complete", "FailureTarget", "SuccessCriteriaMet"):
        if type in _true_conditions(before) and type not in conditions:
            terminal = "" if type == "SuccessCriteriaMet" else "terminal "
            detail = f"cannot disable the {terminal}{type}=True condition"
            _invalid("status.conditions", detail, errors)
    spec = new["spec"]
    elastic = spec.get("completionMode") == "Indexed"
    elastic = elastic and spec.get("completions") == spec.get("parallelism")
    for counter in ("failed",) if elastic else ("failed", "succeeded"):
        value = status.get(counter) or 0
        if value < (before.get(counter) or 0):
            errors.invalid(f"status.{counter}", value, f"cannot decrease the {counter} counter")


def _validate_index_fields(
    spec: Document, status: Document, before: Document, errors: FieldErrors
) -> None:
    """Validate completedIndexes and failedIndexes, where they changed."""
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    completed_changed = completed != (before.get("completedIndexes") or "")
    failed_changed = failed != before.get("failedIndexes")
    completions, per_index = spec.get("completions"), spec.get("backoffLimitPerIndex")
    if completions is not None and completed_changed:
        _validate_index_format("completedIndexes", completed, completions, errors)
    if completions is not None and failed_changed and per_index is not None and failed is not None:
        _validate_index_format("failedIndexes", failed, completions, errors)
    if completed_changed and completed and spec.get("completionMode") != "Indexed":
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.invalid("status.completedIndexes", completed, detail)
    if failed_changed and failed is not None and per_index is None:
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.invalid("status.failedIndexes", failed, detail)
    if (completed_changed or failed_changed) and failed is not None and completions is not None:
        common = [
            max(first, other)
            for first, last in _intervals(completed, completions)
            for other, end in _intervals(failed, completions)
            if first <= end and other <= last
        ]
        if common:
            detail = f"failedIndexes and completedIndexes overlap at index: {min(common)}"
            errors.invalid("status.failedIndexes", failed, detail)


def _validate_index_format(field: str, text: str, completions: int, errors: FieldErrors) -> None:
    _, message = read_indexes(text, completions)
    if message:
        errors.invalid(f"status.{field}", text, f"error parsing {field}: {message}")


def _intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """Return the intervals of a string such as ``1,3-5`` that can be parsed."""
    intervals = []
    for interval in text.split(","):
        if interval and not read_indexes(interval, completions)[1]:
            limits = [int(limit) for limit in interval.split("-")]
            intervals.append((limits[0], limits[-1]))
    return intervals


def _true_conditions(status: Document) -> set[object]:
    return {
        condition.get("type")
        for condition in objects_in(status.get("conditions"))
        if condition.get("status") == "True"
    }
