"""Authentication: whose request this is, by its token and by the headers of impersonation.

Without users, every request is made by the administrator, who may do everything. With users, a
request carries a token: of one of them, or of a service account (`kubectl create token`); one
without is the anonymous user's, who may ask for the version and the health. Roles and bindings say
what a user may do, beside the rules of the users file:

    {"users": [{"name": "ann", "token": "s3cret-of-ann", "groups": ["devs"], "rules": [
        {"verbs": ["get", "list", "watch"], "apiGroups": ["", "apps"],
         "resources": ["*"], "namespaces": ["default"]}]}]}

Rules are additive: what neither a rule nor a role allows is Forbidden.

Source: k8s.io/apiserver/pkg/authentication (request/bearertoken, token/tokenfile),
k8s.io/apiserver/pkg/endpoints/filters/impersonation.go; `kubesim.apiserver.access`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from kubesim.apiserver.access.attributes import (
    ADMIN,
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    EVERYTHING,
    MASTERS_GROUP,
    UNAUTHENTICATED_GROUP,
    RequestAttributes,
    Rule,
    User,
    account_user,
    split_account,
)
from kubesim.apiserver.access.rbac import Authorizer
from kubesim.apiserver.access.tokens import TokenIssuer
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document

MIN_TOKEN_LENGTH = 8
BEARER = "bearer"
NOBODY = User(ANONYMOUS, (UNAUTHENTICATED_GROUP,))  # has sent no token
AUTHENTICATION = "authentication.k8s.io"
AS_USER, AS_GROUP, AS_UID = "impersonate-user", "impersonate-group", "impersonate-uid"
AS_EXTRA = "impersonate-extra-"


class Users:
    """The users of one server.

    Args:
        users: with their tokens; none: every request is the administrator's.
        access: decides what they may do.
        tokens: checks the tokens of service accounts.

    Attributes:
        configured: there are users, so that requests must carry a token.
        access: decides what users may do.
    """

    configured = False

    def __init__(self, users: Iterable[User], access: Authorizer, tokens: TokenIssuer) -> None:
        self._users = tuple(map(_authenticated, users))
        self._tokens = tokens
        self.access = access
        self.configured = bool(self._users)

    @property
    def first(self) -> User:
        """The first configured user; without users, the administrator."""
        return self._users[0] if self._users else ADMIN

    def authenticate(self, headers: Mapping[str, str]) -> User | None:
        """Return the user of a request; None if its token belongs to nobody.

        A request without a bearer token is the anonymous user's, as it is by default.
        Source: k8s.io/apiserver/pkg/authentication/request (anonymous, bearertoken).

        A user who is allowed to impersonate may act as another one: `kubectl --as`.

        Raises:
            Forbidden: the user may not impersonate that user, group, uid or extra.
            BadRequest: groups, uid or extra without a user.
        """
        user = self._by_token(headers)
        if user is None or not any(name.startswith("impersonate-") for name in headers):
            return user
        return self._impersonated(user, headers)

    def find(self, name: str) -> User | None:
        """Return the configured user of a name, or None."""
        if not self._users:
            return ADMIN if name == ADMIN.name else None
        return next((user for user in self._users if user.name == name), None)

    def owner_of(self, token: str, audiences: tuple[str, ...] = ()) -> User | None:
        """Return the user whose token this is, or None.

        Args:
            token: the bearer token.
            audiences: for a service account's token: it must be for one of them; (): the server.
        """
        return self.check(token, audiences)[0]

    def check(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[User | None, str]:
        """Return the user whose token this is, or None and why the token is not valid.

        Args:
            token: the bearer token.
            audiences: for a service account's token: it must be for one of them; (): the server.
        """
        match = None
        for user in self._users:  # compare all tokens, so that the time reveals nothing
            if hmac.compare_digest(token.encode(), user.token.encode()):
                match = user
        if match is None:
            return self._tokens.check(token, *([audiences] if audiences else []))
        return match, ""

    def subject(self, name: str, groups: Iterable[str] = ()) -> User:
        """Return the user that a review or a header describes, with the rules of the users file.

        Args:
            name: of the user.
            groups: of the user.
        """
        configured = self.find(name)
        return User(name, tuple(groups), configured.rules if configured is not None else ())

    def _by_token(self, headers: Mapping[str, str]) -> User | None:
        if not self._users:
            return ADMIN
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != BEARER or not token.strip():
            return NOBODY
        return self.owner_of(token.strip())

    def _impersonated(self, user: User, headers: Mapping[str, str]) -> User:
        """Return the user that a request acts as, if its own user may do that."""
        name, groups = headers.get(AS_USER, ""), _values(headers, AS_GROUP)
        uid, extra = headers.get(AS_UID, ""), list(_extra(headers))
        if not name:
            if groups or uid or extra:
                raise BadRequest("requested groups, uid or extra without impersonating a user")
            return user
        account = split_account(name)
        attempts = [_attempt("users", name)]
        if account is not None:
            attempts = [RequestAttributes("impersonate", "", "serviceaccounts", *account)]
        attempts += [_attempt("groups", group) for group in groups]
        attempts += [
            _attempt(f"userextras/{key}", value, AUTHENTICATION)
            for key, values in extra
            for value in values
        ]
        if uid:
            attempts.append(_attempt("uids", uid, AUTHENTICATION))
        for attempt in attempts:
            self.access.require(user, attempt)
        if account is not None and not groups:
            groups = account_user(*account).groups
        everybody = UNAUTHENTICATED_GROUP if name == ANONYMOUS else AUTHENTICATED_GROUP
        if everybody not in groups:
            groups = (*groups, everybody)
        rules = self.subject(name).rules if self._users else ()
        return User(name, groups, rules, uid=uid, extra=tuple(extra))


def _authenticated(user: User) -> User:
    """Return the user as a member of the group of all who are authenticated."""
    if AUTHENTICATED_GROUP in user.groups:
        return user
    return replace(user, groups=(*user.groups, AUTHENTICATED_GROUP))


def _attempt(resource: str, name: str, group: str = "") -> RequestAttributes:
    return RequestAttributes("impersonate", group, resource, "", name)


def _values(headers: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the values of a header that may be repeated."""
    return tuple(filter(None, headers.get(name, "").split(", ")))


def _extra(headers: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (key, values) of each header of impersonated extra."""
    for name in headers:
        if name.startswith(AS_EXTRA):
            yield unquote(name.removeprefix(AS_EXTRA)), _values(headers, name)


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


__all__ = [
    "ADMIN",
    "AUTHENTICATED_GROUP",
    "EVERYTHING",
    "MASTERS_GROUP",
    "NOBODY",
    "RequestAttributes",
    "Rule",
    "User",
    "Users",
    "read_users",
]
