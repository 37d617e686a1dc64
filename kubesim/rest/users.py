"""Authentication and authorization: users, tokens, RBAC rules.

Without users, every request is made by the administrator, who may do everything. With users, each
request must carry the token of one of them, and a rule of that user must allow it:

    {"users": [{"name": "ann", "token": "s3cret-of-ann", "groups": ["devs"], "rules": [
        {"verbs": ["get", "list", "watch"], "apiGroups": ["", "apps"],
         "resources": ["*"], "namespaces": ["default"]}]}]}

Rules are additive: what no rule allows is Forbidden. Kubernetes keeps roles and bindings as API
objects; ours are read once from a file. Left out: service accounts, resourceNames in lists.

Source: k8s.io/api/rbac/v1 (PolicyRule), plugin/pkg/auth/authorizer/rbac, k8s.io/apiserver
(authorizer.Attributes; responsewriters/errors.go: forbiddenMessage), apimachinery (NewForbidden).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kubesim.errors import BadRequest, Forbidden
from kubesim.objects.frozen import Document

AUTHENTICATED_GROUP = "system:authenticated"
MASTERS_GROUP = "system:masters"
MIN_TOKEN_LENGTH = 8


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


EVERYTHING = (Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",)))


@dataclass(frozen=True)
class User:
    """A user of the API server.

    Attributes:
        name, groups: the identity.
        rules: what the user is allowed to do.
        token: the bearer token that authenticates the user; "": no request carries one.
    """

    name: str
    groups: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    token: str = field(default="", repr=False)

    def may(self, attempt: RequestAttributes) -> bool:
        """Whether any rule allows the attempt."""
        return any(rule.allows(attempt) for rule in self.rules)

    def require(self, attempt: RequestAttributes) -> None:
        """Raise an error unless a rule allows the attempt.

        Raises:
            Forbidden: with kube-apiserver's message.
        """
        if self.may(attempt):
            return
        if attempt.path:
            raise Forbidden(
                f'forbidden: User "{self.name}" cannot {attempt.verb} path "{attempt.path}"'
            )
        scope = (
            f'in the namespace "{attempt.namespace}"'
            if attempt.namespace
            else ("at the cluster scope")
        )
        plural = attempt.resource.partition("/")[0]
        resource = f"{plural}.{attempt.group}" if attempt.group else plural
        subject = f'{resource} "{attempt.name}"' if attempt.name else resource
        raise Forbidden(
            f'{subject} is forbidden: User "{self.name}" cannot {attempt.verb} resource '
            f'"{attempt.resource}" in API group "{attempt.group}" {scope}',
            kind=plural,
            group=attempt.group,
            name=attempt.name,
        )


ADMIN = User("kubernetes-admin", (MASTERS_GROUP, AUTHENTICATED_GROUP), EVERYTHING)


class Users:
    """The users of one server.

    Args:
        users: with their tokens; none: every request is the administrator's.

    Attributes:
        configured: there are users, so that requests must carry a token.
    """

    configured = False

    def __init__(self, users: Iterable[User] = ()) -> None:
        self._users = tuple(users)
        self.configured = bool(self._users)

    @property
    def first(self) -> User:
        """The first configured user; without users, the administrator."""
        return self._users[0] if self._users else ADMIN

    def authenticate(self, headers: Mapping[str, str]) -> User | None:
        """Return the user of a request; None if its token is not a configured user's.

        A user who is allowed to impersonate may act as another one: `kubectl --as`.

        Raises:
            Forbidden: the user may not impersonate.
        """
        user = self._by_token(headers)
        if user is None or "impersonate-user" not in headers:
            return user
        name = headers["impersonate-user"]
        user.require(RequestAttributes("impersonate", "", "users", "", name))
        groups = tuple(filter(None, headers.get("impersonate-group", "").split(", ")))
        rules = ADMIN.rules if MASTERS_GROUP in groups else ()
        return self.find(name) or User(name, (*groups, AUTHENTICATED_GROUP), rules)

    def find(self, name: str) -> User | None:
        """Return the user of a name, or None."""
        if not self._users:
            return ADMIN if name == ADMIN.name else None
        return next((user for user in self._users if user.name == name), None)

    def _by_token(self, headers: Mapping[str, str]) -> User | None:
        if not self._users:
            return ADMIN
        authorization = headers.get("authorization", "").encode()
        match = None
        for user in self._users:  # compare all tokens, so that the time reveals nothing
            if hmac.compare_digest(authorization, f"Bearer {user.token}".encode()):
                match = user
        return match


def read_users(path: str | Path) -> list[User]:
    """Read users from a JSON file; the docstring of this module shows the format.

    Raises:
        BadRequest: the file is malformed; the message says what is wrong.
        OSError: the file cannot be read.
    """
    try:
        listed = json.loads(Path(path).read_text(encoding="utf-8"))["users"]
        users = [_parse_user(entry) for entry in listed]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(
            f"{path} is not a list of users: {type(error).__name__}: {error}",
            hint='write {"users": [{"name": ..., "token": ..., "rules": [...]}]}',
        ) from error
    if not users or len({user.token for user in users}) != len(users):
        raise BadRequest(f"{path}: there must be at least one user, and no token twice")
    return users


def _parse_user(entry: Document) -> User:
    name, token = entry["name"], entry["token"]
    if not isinstance(name, str) or not isinstance(token, str) or len(token) < MIN_TOKEN_LENGTH:
        raise ValueError(
            f"name and token must be strings, and a token has {MIN_TOKEN_LENGTH} or more characters"
        )
    rules = tuple(
        Rule(
            _strings(rule, "verbs"),
            _strings(rule, "apiGroups"),
            _strings(rule, "resources"),
            _strings(rule, "namespaces") or ("*",),
            _strings(rule, "resourceNames"),
            _strings(rule, "nonResourceURLs"),
        )
        for rule in entry.get("rules", ())
    )
    return User(name, (*_strings(entry, "groups"), AUTHENTICATED_GROUP), rules, token)


def _strings(entry: Document, key: str) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} must be a list of strings")
    return tuple(values)


def _matches(patterns: tuple[str, ...], value: str) -> bool:
    return "*" in patterns or value in patterns
