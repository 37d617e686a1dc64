"""Group rbac.authorization.k8s.io: Role, ClusterRole and their bindings.

A role is a list of rules, each of which allows verbs on resources or on paths; a binding gives a
role to users, groups and service accounts. `kubesim.apiserver.access` reads both.

Source: pkg/apis/rbac/validation/validation.go, pkg/apis/rbac/v1/defaults.go,
k8s.io/apimachinery/pkg/api/validation/path (IsValidPathSegmentName).
"""

from __future__ import annotations

from functools import partial

from kubesim.apiserver.access.escalation import admit_binding, admit_role
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_subdomain
from kubesim.objects.wellknown import RBAC_GROUP

SERVICE_ACCOUNT, USER, GROUP = "ServiceAccount", "User", "Group"
SUBJECT_KINDS = (SERVICE_ACCOUNT, USER, GROUP)
FORBIDDEN_IN_NAMES = ("/", "%")


def name_faults(name: str) -> list[str]:
    """Return what keeps a name from being one segment of a path.

    >>> name_faults("system:controller:job-controller"), name_faults("a/b")
    ([], ["may not contain '/'"])
    """
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{sign}'" for sign in FORBIDDEN_IN_NAMES if sign in name]


def _is_string(name: object) -> bool:
    return isinstance(name, str)


def _validate_own_name(document: Document, errors: FieldErrors) -> None:
    """Validate the name of an object; it may hold ``:`` and upper-case letters."""
    name = document["metadata"].get("name")
    for fault in name_faults(name) if isinstance(name, str) else ():
        errors.invalid("metadata.name", name, fault)


# -- roles -----------------------------------------------------------------------------------------


def default_role(role: Document) -> None:
    """Show the rules also if there are none, as Go does."""
    role.setdefault("rules", None)


def validate_rule(rule: Document, path: str, errors: FieldErrors, *, namespaced: bool) -> None:
    """Validate a PolicyRule.

    Args:
        rule: the rule.
        path: its path.
        errors: collects the errors.
        namespaced: it is the rule of a Role.
    """
    if not rule.get("verbs"):
        errors.required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs")
    if urls:
        where = f"{path}.nonResourceURLs"
        if namespaced:
            errors.invalid(where, urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            errors.invalid(where, urls, detail)
        return
    if not rule.get("apiGroups"):
        detail = "resource rules must supply at least one api group"
        errors.required(f"{path}.apiGroups", detail)
    if not rule.get("resources"):
        detail = "resource rules must supply at least one resource"
        errors.required(f"{path}.resources", detail)


def validate_role(role: Document, errors: FieldErrors, *, namespaced: bool = True) -> None:
    """Validate the rules of a Role or a ClusterRole, and what a ClusterRole aggregates.

    Args:
        role: the role.
        errors: collects the errors.
        namespaced: it is a Role.
    """
    _validate_own_name(role, errors)
    for path, rule in errors.items("rules", role.get("rules")):
        validate_rule(rule, path, errors, namespaced=namespaced)
    aggregation = role.get("aggregationRule")
    if namespaced or aggregation is None:
        return
    selectors = aggregation.get("clusterRoleSelectors")
    where = "aggregationRule.clusterRoleSelectors"
    if not selectors:
        detail = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        errors.required(where, detail)
    for path, selector in errors.items(where, selectors):
        validate_selector(selector, path, errors)


# -- bindings --------------------------------------------------------------------------------------


def default_binding(binding: Document) -> None:
    """Set the API groups of the role and of the subjects."""
    reference = binding.get("roleRef")
    if isinstance(reference, dict):
        fill(reference, "apiGroup", RBAC_GROUP)
    for subject in objects_in(binding.get("subjects")):
        if subject.get("kind") in (USER, GROUP):
            fill(subject, "apiGroup", RBAC_GROUP)


def validate_binding(binding: Document, errors: FieldErrors, *, namespaced: bool = True) -> None:
    """Validate the reference to the role, and the subjects.

    Args:
        binding: the RoleBinding or ClusterRoleBinding.
        errors: collects the errors.
        namespaced: it is a RoleBinding.
    """
    _validate_own_name(binding, errors)
    reference = errors.mapping("roleRef", binding.get("roleRef"))
    group, name = reference.get("apiGroup") or "", reference.get("name")
    if group != RBAC_GROUP:
        errors.not_supported("roleRef.apiGroup", group, (RBAC_GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    errors.one_of("roleRef.kind", reference.get("kind") or "", kinds)
    if not name:
        errors.required("roleRef.name")
    else:
        for fault in name_faults(name):
            errors.invalid("roleRef.name", name, fault)
    for path, subject in errors.items("subjects", binding.get("subjects")):
        _validate_subject(subject, path, errors, namespaced=namespaced)


def _validate_subject(
    subject: Document, path: str, errors: FieldErrors, *, namespaced: bool
) -> None:
    kind, name, group = (subject.get(field) or "" for field in ("kind", "name", "apiGroup"))
    if not name:
        errors.required(f"{path}.name")
    if kind == SERVICE_ACCOUNT:
        if name and not valid_dns1123_subdomain(name):
            errors.invalid(f"{path}.name", name, SUBDOMAIN_RULE)
        if group:
            errors.not_supported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            errors.required(f"{path}.namespace")
    elif kind in (USER, GROUP):
        if not name:
            errors.invalid(f"{path}.name", name, f"{kind.lower()} name cannot be empty")
        if group != RBAC_GROUP:
            errors.not_supported(f"{path}.apiGroup", group, (RBAC_GROUP,))
    else:
        errors.not_supported(f"{path}.kind", kind, SUBJECT_KINDS)


def validate_binding_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid another role: whoever may change subjects may not change what they are given.

    Args:
        new, old: the binding after and before the update.
        errors: receives the violations.
    """
    if new.get("roleRef") != old.get("roleRef"):
        errors.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def _kind(kind: str, plural: str, *, namespaced: bool, binding: bool) -> Kind:
    validate = validate_binding if binding else validate_role
    return Kind(
        kind,
        plural,
        group=RBAC_GROUP,
        namespaced=namespaced,
        valid_name=_is_string,
        name_rule="must be a string",
        default=default_binding if binding else default_role,
        admit=admit_binding if binding else admit_role,
        validate=partial(validate, namespaced=namespaced),
        validate_update=validate_binding_update if binding else None,
        status=False,
        counts_generation=False,
    )


KINDS = (
    _kind("ClusterRole", "clusterroles", namespaced=False, binding=False),
    _kind("ClusterRoleBinding", "clusterrolebindings", namespaced=False, binding=True),
    _kind("Role", "roles", namespaced=True, binding=False),
    _kind("RoleBinding", "rolebindings", namespaced=True, binding=True),
)
