"""Defaults and validation of a Job's podFailurePolicy and successPolicy.

Source: pkg/apis/batch/validation/validation.go (validatePodFailurePolicy, validateSuccessPolicy,
validateIndexesFormat), pkg/apis/batch/v1/defaults.go.
"""

from __future__ import annotations

from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
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
            errors.invalid(rule_path, None, detail)
        elif codes is None and not patterns:
            detail = "specifying one of OnExitCodes and OnPodConditions is required"
            errors.invalid(rule_path, None, detail)
        elif codes is not None:
            _validate_codes(
                spec, errors.mapping(f"{rule_path}.onExitCodes", codes), rule_path, errors
            )
        else:
            _validate_patterns(patterns, rule_path, errors)


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
            if not (limit.isascii() and limit.isdigit()):
                return 0, f'cannot convert string to integer for index: "{limit}"'
            number = int(limit)
            if number >= completions:
                return 0, f'too large index: "{limit}"'
            if number <= last:
                return 0, f"non-increasing order, previous: {last}, current: {number}"
            first = number if position == 0 else first
            last = number
        total += last - first + 1
    return total, ""
