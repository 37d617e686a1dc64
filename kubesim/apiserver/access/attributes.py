"""Users, rules, and what a request attempts: the values that authorization works on.

>>> rule = Rule(("get",), ("apps",), ("*/scale",))
>>> rule.allows(RequestAttributes("get", "apps", "deployments/scale", "shop", "web"))
True
>>> rule.allows(RequestAttributes("get", "apps", "deployments", "shop", "web"))
False

Source: k8s.io/api/rbac/v1 (PolicyRule), pkg/apis/rbac/v1/evaluation_helpers.go, k8s.io/apiserver
(user.Info, authorizer.Attributes; responsewriters/errors.go: forbiddenMessage).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from kubesim.errors import Forbidden
from kubesim.objects.frozen import Document, ReadOnlyDocument

AUTHENTICATED_GROUP = "system:authenticated"
UNAUTHENTICATED_GROUP = "system:unauthenticated"
MASTERS_GROUP = "system:masters"
ANONYMOUS = "system:anonymous"
ACCOUNT_PREFIX = "system:serviceaccount:"
ACCOUNTS_GROUP = "system:serviceaccounts"


class RequestAttributes(NamedTuple):
    """What a user attempts to do: the attributes that authorization rules are matched with.

    Attributes:
        verb: get, list, watch, create, update, patch, delete or deletecollection; for a
            non-resource path: get, post, put, patch or delete.
        group, resource: for example ``apps`` and ``deployments/scale``.
        namespace: "" at cluster scope.
        name: of the object; "" if the request names none.
        path: of a non-resource request; "" otherwise.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule that allows something (RBAC's PolicyRule); ``*`` matches everything.

    Attributes:
        verbs, groups, resources, namespaces, names: each must match; no names match every name.
            A rule of a role matches every namespace: its binding says in which it holds.
        paths: non-resource paths; ``/logs/*`` matches by prefix.
    """

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ("*",)
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def allows(self, attempt: RequestAttributes) -> bool:
        """Whether this rule allows the attempt."""
        if not _matches(self.verbs, attempt.verb):
            return False
        if attempt.path:
            return any(
                path in ("*", attempt.path)
                or (path.endswith("*") and attempt.path.startswith(path[:-1]))
                for path in self.paths
            )
        whole, _, part = attempt.resource.partition("/")
        resource = _matches(self.resources, attempt.resource) or (
            bool(part) and f"*/{part}" in self.resources
        )
        named = not self.names or attempt.name in self.names
        inside = _matches(self.namespaces, attempt.namespace)
        return (
            bool(whole) and _matches(self.groups, attempt.group) and resource and named and inside
        )

    def holds_in(self, namespace: str) -> bool:
        """Whether this rule is about a namespace; "": about all of them."""
        return _matches(self.namespaces, namespace)

    def policy_rule(self) -> Document:
        """Return the rule as a PolicyRule document."""
        if self.paths:
            return {"verbs": list(self.verbs), "nonResourceURLs": list(self.paths)}
        rule: Document = {
            "verbs": list(self.verbs),
            "apiGroups": list(self.groups),
            "resources": list(self.resources),
        }
        return rule | ({"resourceNames": list(self.names)} if self.names else {})


def _matches(patterns: tuple[str, ...], value: str) -> bool:
    return "*" in patterns or value in patterns


def rules_of(role: ReadOnlyDocument) -> list[Rule]:
    """Return the rules of a Role or ClusterRole."""
    return [
        Rule(
            tuple(rule.get("verbs") or ()),
            tuple(rule.get("apiGroups") or ()),
            tuple(rule.get("resources") or ()),
            names=tuple(rule.get("resourceNames") or ()),
            paths=tuple(rule.get("nonResourceURLs") or ()),
        )
        for rule in role.get("rules") or ()
    ]


EVERYTHING = (Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",)))


@dataclass(frozen=True)
class User:
    """A user of the API server: a person, a component, or a service account.

    Attributes:
        name, groups: the identity.
        rules: what the users file allows this user, beside the roles that are bound to it.
        token: the bearer token that authenticates the user; "": no request carries one.
        uid: of the service account; "" for other users.
        extra: further facts that authentication found, by key.
    """

    name: str
    groups: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    token: str = field(default="", repr=False)
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def may(self, attempt: RequestAttributes) -> bool:
        """Whether one of the user's own rules allows the attempt; roles are not asked."""
        return any(rule.allows(attempt) for rule in self.rules)

    def info(self) -> Document:
        """Return the identity as a UserInfo document."""
        document: Document = {"username": self.name}
        if self.uid:
            document["uid"] = self.uid
        document["groups"] = list(self.groups)
        if self.extra:
            document["extra"] = {key: list(values) for key, values in self.extra}
        return document


def account_user(
    namespace: str,
    name: str,
    uid: str = "",
    extra: Iterable[tuple[str, tuple[str, ...]]] = (),
) -> User:
    """Return the user that a service account is.

    Args:
        namespace, name, uid: of the account.
        extra: further facts, by key.

    >>> account_user("shop", "robot").name
    'system:serviceaccount:shop:robot'
    """
    groups = (ACCOUNTS_GROUP, f"{ACCOUNTS_GROUP}:{namespace}", AUTHENTICATED_GROUP)
    return User(f"{ACCOUNT_PREFIX}{namespace}:{name}", groups, uid=uid, extra=tuple(extra))


def split_account(username: str) -> tuple[str, str] | None:
    """Return (namespace, name) of a service account's user name; None for other users."""
    if not username.startswith(ACCOUNT_PREFIX):
        return None
    namespace, colon, name = username.removeprefix(ACCOUNT_PREFIX).partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None


ADMIN = User("kubernetes-admin", (MASTERS_GROUP, AUTHENTICATED_GROUP), EVERYTHING)


def forbidden(user: User, attempt: RequestAttributes, reason: str = "") -> Forbidden:
    """Return the error of an attempt that nothing allows, with kube-apiserver's message.

    Args:
        user: the user.
        attempt: what is not allowed.
        reason: of the authorizer; "": none.
    """
    end = f": {reason}" if reason else ""
    if attempt.path:
        message = f'User "{user.name}" cannot {attempt.verb} path "{attempt.path}"{end}'
        return Forbidden(f"forbidden: {message}")
    scope = (
        f'in the namespace "{attempt.namespace}"' if attempt.namespace else "at the cluster scope"
    )
    plural = attempt.resource.partition("/")[0]
    resource = f"{plural}.{attempt.group}" if attempt.group else plural
    subject = f'{resource} "{attempt.name}"' if attempt.name else resource
    return Forbidden(
        f'{subject} is forbidden: User "{user.name}" cannot {attempt.verb} resource '
        f'"{attempt.resource}" in API group "{attempt.group}" {scope}{end}',
        kind=plural,
        group=attempt.group,
        name=attempt.name,
    )


# -- the user behind a write -----------------------------------------------------------------------

_requester: ContextVar[User | None] = ContextVar("requester", default=None)


@contextmanager
def requested_by(user: User) -> Iterator[None]:
    """Let the checks of RBAC objects know whose writes those inside this block are."""
    token = _requester.set(user)
    try:
        yield
    finally:
        _requester.reset(token)


def requester() -> User | None:
    """Return the user of the current request; None: a component, or Python, which may all."""
    return _requester.get()
