"""The RBAC authorizer: which bindings give rules to a user, and whether one of them allows this.

Rules are additive: what no rule allows is forbidden. A ClusterRoleBinding holds in all namespaces
and at cluster scope, a RoleBinding in its own namespace. The group system:masters may do
everything, whatever roles there are. The rules of the users file of `serve` are read like roles
that are bound to their user alone.

Source: plugin/pkg/auth/authorizer/rbac/rbac.go, pkg/registry/rbac/validation/rule.go,
k8s.io/apiserver/pkg/authorization/authorizerfactory (NewPrivilegedGroups).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubesim.apiserver.access.attributes import (
    ACCOUNT_PREFIX,
    MASTERS_GROUP,
    RequestAttributes,
    Rule,
    User,
    forbidden,
    rules_of,
)
from kubesim.errors import NotFound
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.meta import name_of, namespace_of
from kubesim.objects.wellknown import RBAC_GROUP
from kubesim.store import Store

PREFIX = f"/registry/{RBAC_GROUP}/"
CLUSTER_BINDINGS, BINDINGS = f"{PREFIX}clusterrolebindings/", f"{PREFIX}rolebindings/"


class Grant(NamedTuple):
    """The rules that one binding gives to a user.

    Attributes:
        source: the binding, its role and the subject that is the user, as a message names them.
        rules: of the role; none if it does not exist.
        missing: the message about a role that does not exist; "": it does.
    """

    source: str
    rules: list[Rule]
    missing: str = ""


class AccessDecision(NamedTuple):
    """Whether something is allowed, and why.

    Attributes:
        allowed: whether it is.
        reason: as the authorizer states it; "": no reason.
    """

    allowed: bool
    reason: str = ""


class Authorizer:
    """Decides what users may do, by the roles and bindings in the store.

    Args:
        store: has the roles and bindings.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, user: User, attempt: RequestAttributes) -> AccessDecision:
        """Return whether a user may do something, and why."""
        if MASTERS_GROUP in user.groups:
            return AccessDecision(True)
        if user.may(attempt):
            return AccessDecision(True, "allowed by the users file")
        errors = []
        for grant in self.grants(user, attempt.namespace):
            if grant.missing:
                errors.append(grant.missing)
            if any(rule.allows(attempt) for rule in grant.rules):
                return AccessDecision(True, f"RBAC: allowed by {grant.source}")
        if not errors:
            return AccessDecision(False)
        # As Go joins errors: each once, in brackets if there are several.
        unique = list(dict.fromkeys(errors))
        reason = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
        return AccessDecision(False, f"RBAC: {reason}")

    def require(self, user: User, attempt: RequestAttributes) -> None:
        """Raise an error unless a user may do something.

        Raises:
            Forbidden: with kube-apiserver's message.
        """
        decision = self.decide(user, attempt)
        if not decision.allowed:
            raise forbidden(user, attempt, decision.reason)

    def rules(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """Return all rules of a user in a namespace, and the messages about missing roles."""
        granted = [rule for rule in user.rules if rule.holds_in(namespace)]
        errors = []
        for grant in self.grants(user, namespace):
            granted += grant.rules
            if grant.missing:
                errors.append(grant.missing)
        return granted, errors

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """Yield what each binding gives to a user.

        Args:
            user: the user.
            namespace: whose RoleBindings count, too; "": ClusterRoleBindings alone.
        """
        for kv in self._store.list(CLUSTER_BINDINGS).items:
            binding = kv.value
            subject = _subject_of(binding, user, "")
            if subject is not None:
                yield self._grant(binding, f'"{name_of(binding)}"', subject)
        if not namespace:
            return
        for kv in self._store.list(f"{BINDINGS}{namespace}/").items:
            binding = kv.value
            subject = _subject_of(binding, user, namespace)
            if subject is not None:
                yield self._grant(binding, f'"{name_of(binding)}/{namespace}"', subject)

    def _grant(self, binding: ReadOnlyDocument, named: str, subject: ReadOnlyDocument) -> Grant:
        reference, namespace = binding["roleRef"], namespace_of(binding)
        kind, role = reference.get("kind"), reference.get("name")
        shown = str(subject.get("name"))
        if subject.get("kind") == "ServiceAccount":
            shown = f"{shown}/{subject.get('namespace') or namespace}"
        source = f'{binding["kind"]} {named} of {kind} "{role}" to {subject.get("kind")} "{shown}"'
        try:
            return Grant(source, self.rules_of_reference(reference, namespace))
        except NotFound as error:
            return Grant(source, [], error.message)

    def rules_of_reference(self, reference: ReadOnlyDocument, namespace: str) -> list[Rule]:
        """Return the rules of the role that a binding refers to.

        Args:
            reference: the binding's roleRef.
            namespace: of the binding.

        Raises:
            NotFound: there is no such role.
        """
        name, is_role = str(reference.get("name")), reference.get("kind") == "Role"
        plural = "roles" if is_role else "clusterroles"
        where = f"{namespace}/{name}" if is_role else name
        kv = self._store.get(f"{PREFIX}{plural}/{where}")
        if kv is None:
            raise NotFound(
                f'{plural[:-1]}.{RBAC_GROUP} "{name}" not found',
                kind=plural,
                group=RBAC_GROUP,
                name=name,
            )
        return rules_of(kv.value)


def _subject_of(binding: ReadOnlyDocument, user: User, namespace: str) -> ReadOnlyDocument | None:
    """Return the subject of a binding that is the user, or None."""
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User":
            if name == user.name:
                return subject  # type: ignore[no-any-return]  # an item of a document
        elif kind == "Group":
            if name in user.groups:
                return subject  # type: ignore[no-any-return]  # an item of a document
        elif kind == "ServiceAccount":
            where = subject.get("namespace") or namespace
            if where and user.name == f"{ACCOUNT_PREFIX}{where}:{name}":
                return subject  # type: ignore[no-any-return]  # an item of a document
    return None
