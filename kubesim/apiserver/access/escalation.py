"""Escalation: who writes a role or a binding may not grant more than they hold.

A user may grant rules that all their own rules together cover, or any rules with the verb
`escalate` on the role; a binding may also be written with the verb `bind` on its role. Only who may
do everything may aggregate roles.

Source: pkg/registry/rbac/{role,clusterrole,rolebinding,clusterrolebinding}/policybased/storage.go,
pkg/registry/rbac/validation/rule.go (ConfirmNoEscalation, Covers), policy_compact.go,
pkg/registry/rbac/helpers.go, escalation_check.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from kubesim.apiserver.access.attributes import (
    EVERYTHING,
    MASTERS_GROUP,
    RequestAttributes,
    Rule,
    User,
    requester,
    rules_of,
)
from kubesim.apiserver.access.rbac import Authorizer
from kubesim.apiserver.registry import ServerView
from kubesim.errors import Forbidden
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of, namespace_of
from kubesim.objects.wellknown import RBAC_GROUP

AGGREGATION = "must have cluster-admin privileges to use the aggregationRule"


def admit_role(api: ServerView, role: Document, old: Document | None) -> None:
    """Refuse a Role or ClusterRole with rules that its writer does not hold.

    Args:
        api: for the roles and bindings.
        role: the new role.
        old: the stored one; None at creation.

    Raises:
        Forbidden: the writer's rules do not cover those of the role.
    """
    user = requester()
    if user is None or MASTERS_GROUP in user.groups or _only_owners_changed(role, old):
        return
    authorizer = Authorizer(api.store)
    plural = "roles" if role["kind"] == "Role" else "clusterroles"
    name, namespace = name_of(role), namespace_of(role)
    attempt = RequestAttributes("escalate", RBAC_GROUP, plural, namespace, name)
    if authorizer.decide(user, attempt).allowed:
        return
    rules = _rules_or_none(role)
    if rules is None:
        return
    message = missing_rights(authorizer, user, namespace, rules)
    if not message and (role.get("aggregationRule") or (old or {}).get("aggregationRule")):
        if missing_rights(authorizer, user, "", EVERYTHING):
            message = AGGREGATION
    if message:
        raise _refused(plural, name, message)


def admit_binding(api: ServerView, binding: Document, old: Document | None) -> None:
    """Refuse a binding of a role with rules that its writer does not hold.

    Args:
        api: for the roles and bindings.
        binding: the new binding.
        old: the stored one; None at creation.

    Raises:
        Forbidden: the writer may not bind the role, and does not hold its rules.
        NotFound: there is no such role, so that nobody can say what it grants.
    """
    user = requester()
    if user is None or MASTERS_GROUP in user.groups or _only_owners_changed(binding, old):
        return
    reference = binding.get("roleRef")
    if not isinstance(reference, dict):
        return  # validation refuses it
    authorizer = Authorizer(api.store)
    namespace, role = namespace_of(binding), str(reference.get("name", ""))
    plural = "roles" if reference.get("kind") == "Role" else "clusterroles"
    attempt = RequestAttributes("bind", RBAC_GROUP, plural, namespace, role)
    if authorizer.decide(user, attempt).allowed:
        return
    rules = authorizer.rules_of_reference(reference, namespace)
    message = missing_rights(authorizer, user, namespace, rules)
    if message:
        kind = "rolebindings" if binding["kind"] == "RoleBinding" else "clusterrolebindings"
        raise _refused(kind, name_of(binding), message)


def _refused(plural: str, name: str, message: str) -> Forbidden:
    text = f'{plural}.{RBAC_GROUP} "{name}" is forbidden: {message}'
    return Forbidden(text, kind=plural, group=RBAC_GROUP, name=name)


def _only_owners_changed(new: Document, old: Document | None) -> bool:
    """Whether an update changes owners and finalizers alone, as the garbage collector does it."""
    if old is None:
        return False
    ignored = ("ownerReferences", "finalizers", "resourceVersion", "managedFields")
    before, after = (
        {k: v for k, v in document["metadata"].items() if k not in ignored}
        for document in (old, new)
    )
    rest_before, rest_after = (
        {k: v for k, v in document.items() if k != "metadata"} for document in (old, new)
    )
    return before == after and rest_before == rest_after


def _rules_or_none(role: Document) -> list[Rule] | None:
    """Return the rules of a role; None if they are malformed, which validation refuses."""
    try:
        return rules_of(role)
    except (TypeError, AttributeError):
        return None


def missing_rights(
    authorizer: Authorizer, user: User, namespace: str, rules: Iterable[Rule]
) -> str:
    """Return the message about rules that a user does not hold; "" if the user holds all.

    Args:
        authorizer: knows the user's rules.
        user: the user.
        namespace: where the rules are granted; "": everywhere.
        rules: what is granted.
    """
    owned, errors = authorizer.rules(user, namespace)
    missing = uncovered(owned, rules)
    if not missing:
        return ""
    groups = f"[{' '.join(_quoted(group) for group in user.groups)}]"
    listed = "\n".join(sorted({describe(rule) for rule in compact(missing)}))
    message = (
        f"user {_quoted(user.name)} (groups={groups}) is attempting to grant RBAC permissions not "
        f"currently held:\n{listed}"
    )
    return f"{message}; resolution errors: [{' '.join(errors)}]" if errors else message


def uncovered(owned: Iterable[Rule], granted: Iterable[Rule]) -> list[Rule]:
    """Return the smallest parts of the granted rules that no owned rule covers.

    >>> owned = [Rule(("get", "list"), ("",), ("pods",))]
    >>> uncovered(owned, [Rule(("get", "delete"), ("",), ("pods",))])
    [Rule(verbs=('delete',), groups=('',), resources=('pods',), namespaces=('*',), names=(), \
paths=())]
    """
    owned = list(owned)
    parts = (part for rule in granted for part in _broken_down(rule))
    return [part for part in parts if not any(_covers(rule, part) for rule in owned)]


def _broken_down(rule: Rule) -> Iterator[Rule]:
    """Yield the rule's parts: one verb with one resource and name, or with one path."""
    for group, resource, verb in product(rule.groups, rule.resources, rule.verbs):
        for name in rule.names or ("",):
            yield Rule((verb,), (group,), (resource,), names=(name,) if name else ())
    for path, verb in product(rule.paths, rule.verbs):
        yield Rule((verb,), paths=(path,))


def _covers(owned: Rule, part: Rule) -> bool:
    """Whether a rule allows all that a part of another rule allows."""
    if not ("*" in owned.verbs or part.verbs[0] in owned.verbs):
        return False
    if part.paths:
        path = part.paths[0]
        return any(
            each in ("*", path) or (each.endswith("*") and path.startswith(each.rstrip("*")))
            for each in owned.paths
        )
    if not ("*" in owned.groups or part.groups[0] in owned.groups):
        return False
    resource = part.resources[0]
    sub = resource.partition("/")[2]
    if not ("*" in owned.resources or resource in owned.resources):
        if not (sub and f"*/{sub}" in owned.resources):
            return False
    return not owned.names or (bool(part.names) and part.names[0] in owned.names)


def compact(parts: Iterable[Rule]) -> list[Rule]:
    """Join parts that differ in their verb alone."""
    verbs: dict[Rule, list[str]] = {}
    for part in parts:
        same = Rule((), part.groups, part.resources, names=part.names, paths=part.paths)
        verbs.setdefault(same, []).extend(part.verbs)
    return [
        Rule(tuple(dict.fromkeys(each)), r.groups, r.resources, names=r.names, paths=r.paths)
        for r, each in verbs.items()
    ]


def describe(rule: Rule) -> str:
    """Return a rule as upstream's messages show it.

    >>> describe(Rule(("get", "list"), ("",), ("pods",)))
    '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}'
    """
    fields = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.paths),
        ("ResourceNames", rule.names),
        ("Verbs", rule.verbs),
    )
    shown = [f"{name}:[{' '.join(map(_quoted, values))}]" for name, values in fields if values]
    return "{" + ", ".join(shown) + "}"


def _quoted(value: str) -> str:
    """Return a string as Go's %q shows it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
