"""Who asks, and what he may: users with tokens and rules, in the shape of RBAC.

A server without users knows one, who may do everything. With a file of users each request must
carry the token of one of them, and each verb needs a rule that allows it:

    {"users": [{"name": "ann", "token": "s3cret-of-ann", "groups": ["devs"], "rules": [
        {"verbs": ["get", "list", "watch"], "apiGroups": ["", "apps"],
         "resources": ["*"], "namespaces": ["default"]}]}]}

Rules only add; what no rule allows is Forbidden. Real RBAC keeps roles and bindings as objects of
the API; ours reads them once. Left out: service accounts, resourceNames in lists.

Source: k8s.io/api/rbac/v1 (PolicyRule), plugin/pkg/auth/authorizer/rbac, apimachinery/errors
(NewForbidden), apiserver/pkg/endpoints/handlers/responsewriters/errors.go (forbiddenMessage).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kubesim.errors import BadRequest, Forbidden

EVERYBODY = "system:authenticated"
ADMINS = "system:masters"


class RequestAttributes(NamedTuple):
    """What somebody wants to do.

    Attributes:
        verb: get, list, watch, create, update, patch, delete or deletecollection; for a path that
            is no resource: get, post, put, patch or delete.
        group, resource: for example ``apps`` and ``deployments/scale``.
        namespace: "" at the scope of the cluster.
        name: of the object; "" if none is named.
        path: of a request that is for no resource; "" otherwise.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class Rule:
    """What is allowed; ``*`` stands for all.

    Attributes:
        verbs, groups, resources, namespaces, names: each must match. No names: all of them.
        paths: for requests that are for no resource; ``/logs/*`` matches a beginning.
    """

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ("*",)
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def allows(self, attempt: RequestAttributes) -> bool:
        """Whether this rule alone allows it."""
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

    def document(self) -> dict[str, Any]:
        """As a PolicyRule."""
        if self.paths:
            return {"verbs": list(self.verbs), "nonResourceURLs": list(self.paths)}
        made: dict[str, Any] = {
            "verbs": list(self.verbs),
            "apiGroups": list(self.groups),
            "resources": list(self.resources),
        }
        return made | ({"resourceNames": list(self.names)} if self.names else {})


EVERYTHING = (Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",)))


@dataclass(frozen=True)
class User:
    """Somebody who asks.

    Attributes:
        name, groups: who he is.
        rules: what he may.
        token: by which he is known; "": nobody is asked for one.
    """

    name: str
    groups: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    token: str = field(default="", repr=False)

    def may(self, attempt: RequestAttributes) -> bool:
        """Whether any rule allows it."""
        return any(rule.allows(attempt) for rule in self.rules)

    def require(self, attempt: RequestAttributes) -> None:
        """Refuse what no rule allows.

        Raises:
            Forbidden: in the words of the real API server.
        """
        if self.may(attempt):
            return
        if attempt.path:
            said = f'User "{self.name}" cannot {attempt.verb} path "{attempt.path}"'
            raise Forbidden(f"forbidden: {said}")
        where = (
            f'in the namespace "{attempt.namespace}"'
            if attempt.namespace
            else ("at the cluster scope")
        )
        plural = attempt.resource.partition("/")[0]
        resource = f"{plural}.{attempt.group}" if attempt.group else plural
        shown = f'{resource} "{attempt.name}"' if attempt.name else resource
        raise Forbidden(
            f'{shown} is forbidden: User "{self.name}" cannot {attempt.verb} resource '
            f'"{attempt.resource}" in API group "{attempt.group}" {where}',
            kind=plural,
            group=attempt.group,
            name=attempt.name,
        )


ADMIN = User("kubernetes-admin", (ADMINS, EVERYBODY), EVERYTHING)


class Users:
    """Everybody who may ask a server.

    Args:
        users: with their tokens; none: all who come are the administrator.
    """

    def __init__(self, users: Iterable[User] = ()) -> None:
        self._users = tuple(users)

    @property
    def known(self) -> bool:
        """Whether users have to say who they are."""
        return bool(self._users)

    @property
    def first(self) -> User:
        """The first of the file, or the administrator."""
        return self._users[0] if self._users else ADMIN

    def of(self, headers: Mapping[str, str]) -> User | None:
        """The user of a request by its Authorization header; None: nobody whom we know.

        Who may do that can ask in the name of somebody else: `kubectl --as`.

        Raises:
            Forbidden: he may not.
        """
        found = self._by_token(headers)
        if found is None or "impersonate-user" not in headers:
            return found
        name = headers["impersonate-user"]
        found.require(RequestAttributes("impersonate", "", "users", "", name))
        groups = tuple(filter(None, headers.get("impersonate-group", "").split(", ")))
        rules = ADMIN.rules if ADMINS in groups else ()
        return self.named(name) or User(name, (*groups, EVERYBODY), rules)

    def _by_token(self, headers: Mapping[str, str]) -> User | None:
        if not self._users:
            return ADMIN
        said = headers.get("authorization", "").encode()
        found = None
        for user in self._users:  # all are compared, so that the time tells nothing
            if hmac.compare_digest(said, f"Bearer {user.token}".encode()):
                found = user
        return found

    def named(self, name: str) -> User | None:
        """The user of a name; None: there is none."""
        if not self._users:
            return ADMIN if name == ADMIN.name else None
        return next((user for user in self._users if user.name == name), None)


def read_users(path: str | Path) -> list[User]:
    """The users of a file, in the format that the head of this module shows.

    Raises:
        BadRequest: what is wrong with it, and where.
        OSError: it cannot be read.
    """
    try:
        listed = json.loads(Path(path).read_text(encoding="utf-8"))["users"]
        users = [_user(entry) for entry in listed]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(
            f"{path} is no list of users: {type(error).__name__}: {error}",
            hint='write {"users": [{"name": ..., "token": ..., "rules": [...]}]}',
        ) from error
    if not users or len({user.token for user in users}) != len(users):
        raise BadRequest(f"{path}: there must be users, each with a token of his own")
    return users


def _user(entry: Mapping[str, Any]) -> User:
    name, token = entry["name"], entry["token"]
    if not isinstance(name, str) or not isinstance(token, str) or len(token) < 8:
        raise ValueError("name and token are texts, and a token has 8 characters or more")
    rules = tuple(
        Rule(
            _texts(rule, "verbs"),
            _texts(rule, "apiGroups"),
            _texts(rule, "resources"),
            _texts(rule, "namespaces") or ("*",),
            _texts(rule, "resourceNames"),
            _texts(rule, "nonResourceURLs"),
        )
        for rule in entry.get("rules", ())
    )
    return User(name, (*_texts(entry, "groups"), EVERYBODY), rules, token)


def _texts(entry: Mapping[str, Any], key: str) -> tuple[str, ...]:
    listed = entry.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise ValueError(f"{key} is a list of texts")
    return tuple(listed)


def _matches(listed: tuple[str, ...], value: str) -> bool:
    return "*" in listed or value in listed
