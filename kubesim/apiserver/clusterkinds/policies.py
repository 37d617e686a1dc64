"""Group admissionregistration.k8s.io: admission policies and their bindings.

They are only kept: no expression (CEL) is compiled or evaluated. A write that one would have judged
gets a warning (`kubesim.apiserver.verbs.advice`). Kubernetes 1.34 serves MutatingAdmissionPolicy
(v1beta1) only if its operator turns that version on; kubesim always serves it.

Source: pkg/apis/admissionregistration/validation/validation.go, v1/defaults.go.
"""

from __future__ import annotations

import re

from kubesim.apiserver.clusterkinds.admissionrules import (
    FAILURE_POLICIES,
    GROUP,
    REINVOCATION_POLICIES,
    default_match,
    validate_conditions,
    validate_match_resources,
)
from kubesim.apiserver.clusterkinds.rules import (
    validate_path_segment,
)
from kubesim.apiserver.kinds.services import NAME_RULE, valid_service_name
from kubesim.apiserver.podvalidation.formats import validate_dns_subdomain, validate_label_name
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind, KindVersion
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of

NOT_FOUND_ACTIONS = ("Deny", "Allow")
VALIDATION_ACTIONS = ("Audit", "Deny", "Warn")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
PATCH_TYPES = ("ApplyConfiguration", "JSONPatch")
MAX_AUDIT_ANNOTATIONS = 20
MAX_VALUE_EXPRESSION = 5 * 1024
RULES = ("resourceRules", "excludeResourceRules")
AT_LEAST_ONE = "validations or auditAnnotations must contain at least one item"
NOT_EVALUATED = "its expressions are not evaluated"
EXCLUSIVE = "name and selector are mutually exclusive"
DENY_AND_WARN = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the "
    "API response and headers serves no purpose)"
)
_IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_RESERVED = re.compile(
    "true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|"
    "namespace|return|var|void|while"
)


# -- policies --------------------------------------------------------------------------------------


def default_policy(policy: Document) -> None:
    """Default to the failure policy Fail, and fill the match constraints."""
    fill(policy, "spec", {})
    spec = policy["spec"]
    if isinstance(spec, dict):
        fill(spec, "failurePolicy", "Fail")
        if isinstance(spec.get("matchConstraints"), dict):
            default_match(spec["matchConstraints"], RULES)


def validate_validating_policy(policy: Document, errors: FieldErrors) -> None:
    """Validate a ValidatingAdmissionPolicy."""
    spec: Document = policy.get("spec") or {}
    _validate_policy(spec, errors)
    validations = errors.items("spec.validations", spec.get("validations"))
    annotations = errors.items("spec.auditAnnotations", spec.get("auditAnnotations"))
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            errors.required(f"spec.{field}", AT_LEAST_ONE)
    for path, validation in validations:
        _validate_validation(validation, path, errors)
    if len(annotations) > MAX_AUDIT_ANNOTATIONS:
        detail = f"must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations"
        errors.invalid("spec.auditAnnotations", spec["auditAnnotations"], detail)
    keys: set[str] = set()
    for path, annotation in annotations:
        key = annotation.get("key") or ""
        validate_label_name(f"{path}.key", f"{name_of(policy)}/{key}", errors)
        expression = (annotation.get("valueExpression") or "").strip()
        if not expression:
            errors.required(f"{path}.valueExpression", "valueExpression is not specified")
        elif len(expression.encode()) > MAX_VALUE_EXPRESSION:
            detail = f"must not exceed {MAX_VALUE_EXPRESSION} bytes in length"
            errors.required(f"{path}.valueExpression", detail)
        if key in keys:
            errors.duplicate(f"{path}.key", key)
        keys.add(key)


def _validate_validation(validation: Document, path: str, errors: FieldErrors) -> None:
    if not (validation.get("expression") or "").strip():
        errors.required(f"{path}.expression", "expression is not specified")
    by_expression, message = validation.get("messageExpression") or "", validation.get("message")
    if by_expression and not by_expression.strip():
        detail = "must be non-empty if specified"
        errors.invalid(f"{path}.messageExpression", by_expression, detail)
    if message and not message.strip():
        errors.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif message and re.search(r"[\n\r]", message.strip()):
        errors.invalid(f"{path}.message", message, "message must not contain line breaks")
    if validation.get("reason") is not None:
        errors.one_of(f"{path}.reason", validation["reason"], REASONS)


def validate_mutating_policy(policy: Document, errors: FieldErrors) -> None:
    """Validate a MutatingAdmissionPolicy."""
    spec: Document = policy.get("spec") or {}
    _validate_policy(spec, errors)
    mutations = errors.items("spec.mutations", spec.get("mutations"))
    if not mutations:
        errors.required("spec.mutations", "mutations must contain at least one item")
    for path, mutation in mutations:
        kind = mutation.get("patchType")
        if not kind:
            errors.required(f"{path}.patchType")
        elif errors.one_of(f"{path}.patchType", kind, PATCH_TYPES):
            field = kind[:1].lower() + kind[1:] if kind != "JSONPatch" else "jsonPatch"
            if not ((mutation.get(field) or {}).get("expression") or "").strip():
                errors.required(f"{path}.{field}.expression", "expression is not specified")
    policy_name = spec.get("reinvocationPolicy")
    if not policy_name:
        errors.required("spec.reinvocationPolicy")
    else:
        errors.one_of("spec.reinvocationPolicy", policy_name, REINVOCATION_POLICIES)


def _validate_policy(spec: Document, errors: FieldErrors) -> None:
    """Validate what both kinds of policies have: constraints, parameters, variables."""
    errors.one_of("spec.failurePolicy", spec.get("failurePolicy"), FAILURE_POLICIES)
    if spec.get("paramKind") is not None:
        _validate_param_kind(spec["paramKind"], "spec.paramKind", errors)
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.required("spec.matchConstraints")
    else:
        validate_match_resources(constraints, "spec.matchConstraints", errors)
        if not constraints.get("resourceRules"):
            errors.required("spec.matchConstraints.resourceRules")
    validate_conditions(spec.get("matchConditions"), "spec.matchConditions", errors)
    for path, variable in errors.items("spec.variables", spec.get("variables")):
        name = variable.get("name") or ""
        if not name.strip():
            errors.required(f"{path}.name", "name is not specified")
        elif not _IDENTIFIER.fullmatch(name) or _RESERVED.fullmatch(name):
            errors.invalid(f"{path}.name", name, "name is not a valid CEL identifier")
        if not (variable.get("expression") or "").strip():
            errors.required(f"{path}.expression", "expression is not specified")


def _validate_param_kind(params: Document, path: str, errors: FieldErrors) -> None:
    named, kind = params.get("apiVersion") or "", params.get("kind") or ""
    group, _, version = named.rpartition("/")
    if not named:
        errors.required(f"{path}.apiVersion")
    elif named.count("/") > 1:
        detail = f"unexpected GroupVersion string: {named}"
        errors.invalid(f"{path}.apiVersion", named, detail)
    else:
        if group:
            validate_dns_subdomain(f"{path}.apiVersion", group, errors)
        if not version:
            errors.invalid(f"{path}.apiVersion", named, "version must be specified")
        elif not valid_service_name(version):
            errors.invalid(f"{path}.apiVersion", version, NAME_RULE)
    if not kind:
        errors.required(f"{path}.kind")
    elif not valid_service_name(kind.lower()):
        detail = f"may have mixed case, but should otherwise match: {NAME_RULE}"
        errors.invalid(f"{path}.kind", kind, detail)


# -- bindings --------------------------------------------------------------------------------------


def default_binding(binding: Document) -> None:
    """Default to the denial of requests whose parameters are missing; fill the match resources."""
    fill(binding, "spec", {})
    spec = binding["spec"]
    if not isinstance(spec, dict):
        return
    if isinstance(spec.get("paramRef"), dict):
        fill(spec["paramRef"], "parameterNotFoundAction", "Deny")
    if isinstance(spec.get("matchResources"), dict):
        default_match(spec["matchResources"], RULES)


def validate_binding(binding: Document, errors: FieldErrors) -> None:
    """Validate the policy of a binding, its parameters and the requests that it matches."""
    spec: Document = binding.get("spec") or {}
    if not spec.get("policyName"):
        errors.required("spec.policyName")
    else:
        validate_dns_subdomain("spec.policyName", spec["policyName"], errors)
    if spec.get("paramRef") is not None:
        _validate_param_ref(spec["paramRef"], "spec.paramRef", errors)
    if spec.get("matchResources") is not None:
        # Upstream's path has this spelling.
        validate_match_resources(spec["matchResources"], "spec.matchResouces", errors)


def validate_validating_binding(binding: Document, errors: FieldErrors) -> None:
    """Validate a ValidatingAdmissionPolicyBinding."""
    validate_binding(binding, errors)
    path = "spec.validationActions"
    actions: list[str] = (binding.get("spec") or {}).get("validationActions") or []
    for index, action in enumerate(actions):
        errors.one_of(f"{path}[{index}]", action, VALIDATION_ACTIONS)
        if action in actions[:index]:
            errors.duplicate(f"{path}[{index}]", action)
    if {"Deny", "Warn"} <= set(actions):
        errors.invalid(path, actions, DENY_AND_WARN)
    if not actions:
        errors.required(path, "at least one validation action is required")


def _validate_param_ref(reference: Document, path: str, errors: FieldErrors) -> None:
    name, selector = reference.get("name") or "", reference.get("selector")
    if name:
        validate_path_segment(f"{path}.name", name, errors)
    if selector is not None:
        validate_selector(selector, f"{path}.selector", errors)
    if name and selector is not None:
        for field in ("name", "selector"):
            errors.forbidden(f"{path}.{field}", EXCLUSIVE)
    if not name and selector is None:
        errors.required(path, "one of name or selector must be specified")
    action = reference.get("parameterNotFoundAction")
    errors.one_of(f"{path}.parameterNotFoundAction", action, NOT_FOUND_ACTIONS)


KINDS = (
    Kind(
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        group=GROUP,
        namespaced=False,
        categories=("api-extensions",),
        default=default_policy,
        kept=NOT_EVALUATED,
        validate=validate_validating_policy,
    ),
    Kind(
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        group=GROUP,
        namespaced=False,
        categories=("api-extensions",),
        default=default_binding,
        kept=NOT_EVALUATED,
        validate=validate_validating_binding,
        status=False,
    ),
    Kind(
        "MutatingAdmissionPolicy",
        "mutatingadmissionpolicies",
        group=GROUP,
        version="v1beta1",
        versions=(KindVersion("v1alpha1"),),
        namespaced=False,
        categories=("api-extensions",),
        default=default_policy,
        kept=NOT_EVALUATED,
        validate=validate_mutating_policy,
        status=False,
    ),
    Kind(
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        group=GROUP,
        version="v1beta1",
        versions=(KindVersion("v1alpha1"),),
        namespaced=False,
        categories=("api-extensions",),
        default=default_binding,
        kept=NOT_EVALUATED,
        validate=validate_binding,
        status=False,
    ),
)
