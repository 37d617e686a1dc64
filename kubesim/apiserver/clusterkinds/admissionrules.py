"""What webhooks and admission policies share: the rules by which they match requests.

Source: pkg/apis/admissionregistration/validation/validation.go (validateRule,
validateMatchResources, validateMatchConditions), pkg/apis/admissionregistration/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.apiserver.clusterkinds.rules import validate_path_segment
from kubesim.apiserver.podvalidation.formats import validate_label_name
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in

GROUP = "admissionregistration.k8s.io"
FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
SELECTORS = ("namespaceSelector", "objectSelector")
MAX_CONDITIONS = 64


def default_match(holder: Document, rules: Sequence[str]) -> None:
    """Default to equivalent versions, empty selectors and every scope.

    Args:
        holder: a webhook, or the match resources of a policy; it is changed.
        rules: names of its lists of rules.
    """
    fill(holder, "matchPolicy", "Equivalent")
    for selector in SELECTORS:
        fill(holder, selector, {})
    for field in rules:
        for rule in objects_in(holder.get(field)):
            fill(rule, "scope", "*")


def validate_rule(rule: Document, path: str, errors: FieldErrors) -> None:
    """Validate which requests a rule matches: operations, groups, versions, resources, scope.

    Args:
        rule: a RuleWithOperations.
        path: its path.
        errors: collects the errors.
    """
    operations = rule.get("operations") or []
    if not operations:
        errors.required(f"{path}.operations")
    _only_wildcard(operations, f"{path}.operations", "operations", errors)
    for index, operation in enumerate(operations):
        errors.one_of(f"{path}.operations[{index}]", operation, OPERATIONS)
    for field, named in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        if not rule.get(field):
            errors.required(f"{path}.{field}")
        _only_wildcard(rule.get(field) or [], f"{path}.{field}", named, errors)
    for index, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            errors.required(f"{path}.apiVersions[{index}]")
    _validate_resources(rule.get("resources") or [], f"{path}.resources", errors)
    if rule.get("scope") is not None:
        errors.one_of(f"{path}.scope", rule["scope"], SCOPES)


def _only_wildcard(values: list[str], path: str, named: str, errors: FieldErrors) -> None:
    if len(values) > 1 and "*" in values:
        errors.invalid(path, values, f"if '*' is present, must not specify other {named}")


def _validate_resources(resources: list[str], path: str, errors: FieldErrors) -> None:
    if not resources:
        errors.required(path)
    all_subresources: set[str] = set()
    all_resources: set[str] = set()
    plain = False
    for index, each in enumerate(resources):
        resource, slash, sub = (each or "").partition("/")
        if not each:
            errors.required(f"{path}[{index}]")
        elif not slash:
            plain = each != "*"
        else:
            if resource in all_subresources:
                detail = f"if '{resource}/*' is present, must not specify {each}"
                errors.invalid(f"{path}[{index}]", each, detail)
            if sub in all_resources:
                detail = f"if '*/{sub}' is present, must not specify {each}"
                errors.invalid(f"{path}[{index}]", each, detail)
            if sub == "*":
                all_subresources.add(resource)
            if resource == "*":
                all_resources.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        errors.invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and plain:
        detail = "if '*' is present, must not specify other resources without subresources"
        errors.invalid(path, resources, detail)


def validate_match_resources(resources: Document, path: str, errors: FieldErrors) -> None:
    """Validate which requests a policy or binding matches.

    Args:
        resources: its MatchResources, with defaults.
        path: its path.
        errors: collects the errors.
    """
    errors.one_of(f"{path}.matchPolicy", resources.get("matchPolicy"), MATCH_POLICIES)
    for selector in SELECTORS:
        validate_selector(resources.get(selector), f"{path}.{selector}", errors)
    for field in ("resourceRules", "excludeResourceRules"):
        for item, rule in errors.items(f"{path}.{field}", resources.get(field)):
            names: list[str] = rule.get("resourceNames") or []
            for index, name in enumerate(names):
                validate_path_segment(f"{item}.resourceNames[{index}]", name or "", errors)
                if name in names[:index]:
                    errors.duplicate(f"{item}.resourceNames[{index}]", name)
            validate_rule(rule, item, errors)


def validate_conditions(conditions: object, path: str, errors: FieldErrors) -> None:
    """Validate match conditions; their expressions (CEL) are not compiled.

    Args:
        conditions: the MatchConditions.
        path: their path.
        errors: collects the errors.
    """
    listed = errors.items(path, conditions)
    if len(listed) > MAX_CONDITIONS:
        errors.too_many(path, len(listed), MAX_CONDITIONS)
    names: set[str] = set()
    for item, condition in listed:
        if not (condition.get("expression") or "").strip():
            errors.required(f"{item}.expression")
        name = condition.get("name")
        if not name:
            errors.required(f"{item}.name")
            continue
        validate_label_name(f"{item}.name", name, errors)
        if name in names:
            errors.duplicate(f"{item}.name", name)
        names.add(name)
