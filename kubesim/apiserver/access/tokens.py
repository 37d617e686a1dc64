"""Tokens of service accounts: signed claims that a server accepts for a while.

A token is a JSON Web Token with the claims of upstream's. Ours is signed with a secret key of the
process in place of a private key (HS256), so that only this process can check it, and no token
outlives it. The key is never the seed's: whoever knows the seed must not know the tokens.

Source: pkg/serviceaccount/{claims,jwt}.go, pkg/registry/core/serviceaccount/storage/token.go,
pkg/apis/authentication/validation.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime

from kubesim.apiserver.access.attributes import User, account_user
from kubesim.apiserver.core import new_uid
from kubesim.apiserver.registry import ServerView
from kubesim.apiserver.validation import FieldErrors
from kubesim.errors import BadRequest, Conflict, Invalid, NotFound
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.meta import name_of, namespace_of, uid_of

ISSUER = AUDIENCE = "https://kubernetes.default.svc.cluster.local"
GROUP, KIND = "authentication.k8s.io", "TokenRequest"
DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS = 3600, 600, 1 << 32
KEY_BYTES = 32
HEADER = {"alg": "HS256", "typ": "JWT"}
BOUND_KINDS = {"Pod": "pods", "Secret": "secrets"}
EXTRA = "authentication.kubernetes.io/"


class TokenIssuer:
    """Issues tokens of service accounts, and checks them.

    Args:
        core: for the accounts, and the clock.
    """

    def __init__(self, core: ServerView) -> None:
        self._core = core
        self._key = secrets.token_bytes(KEY_BYTES)

    def issue(self, namespace: str, name: str, request: ReadOnlyDocument) -> Document:
        """Answer a TokenRequest.

        Args:
            namespace, name: of the account.
            request: the TokenRequest; its spec may name audiences, a duration and an object to
                which the token is bound.

        Returns:
            The TokenRequest with the token in its status.

        Raises:
            NotFound: there is no such account, or no such object to bind the token to.
            BadRequest, Invalid, Conflict: the request makes no sense.
        """
        account = self._find("serviceaccounts", namespace, name)
        spec = request.get("spec") or {}
        seconds = spec.get("expirationSeconds")
        seconds = DEFAULT_SECONDS if seconds is None else seconds
        _check_seconds(seconds)
        bound = spec.get("boundObjectRef") or {}
        audiences = list(spec.get("audiences") or ()) or [AUDIENCE]
        now = self._epoch()
        about: dict[str, object] = {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": uid_of(account)},
        }
        if bound:
            about |= self._bound_object(namespace, name, bound)
        claims: dict[str, object] = {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": new_uid(self._core.streams("uids/tokens")),
            "kubernetes.io": about,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        clock = self._core.clock
        return {
            "kind": KIND,
            "apiVersion": f"{GROUP}/v1",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "creationTimestamp": clock.timestamp(),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": dict(bound) or None,
            },
            "status": {
                "token": self._sign(claims),
                "expirationTimestamp": clock.timestamp(clock.now() + seconds),
            },
        }

    def issue_for_secret(self, account: ReadOnlyDocument, secret: ReadOnlyDocument) -> str:
        """Return a token that ends with its Secret, for the tokens controller."""
        namespace, name = namespace_of(account), name_of(account)
        about = {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": uid_of(account)},
            "secret": {"name": name_of(secret), "uid": uid_of(secret)},
        }
        claims: dict[str, object] = {
            "aud": [AUDIENCE],
            "iat": self._epoch(),
            "iss": "kubernetes/serviceaccount",
            "jti": uid_of(secret),
            "kubernetes.io": about,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return self._sign(claims)

    def authenticate(self, token: str, audiences: tuple[str, ...] = (AUDIENCE,)) -> User | None:
        """Return the service account whose token this is; None if the token is not valid.

        Args:
            token: the bearer token.
            audiences: the token must be for one of them.
        """
        return self.check(token, audiences)[0]

    def check(
        self, token: str, audiences: tuple[str, ...] = (AUDIENCE,)
    ) -> tuple[User | None, str]:
        """Return the service account whose token this is, or None and why it is not valid.

        Args:
            token: the bearer token.
            audiences: the token must be for one of them.

        Returns:
            The reason is "" for a valid token, and for a string that is no token of this issuer.

        Source: pkg/serviceaccount/jwt.go (AuthenticateToken), pkg/serviceaccount/claims.go.
        """
        claims = self._verified(token)
        if claims is None:
            return None, ""
        if not set(audiences) & set(claims["aud"]):
            issued, target = _quoted(claims["aud"]), _quoted(audiences)
            return None, f"token audiences {issued} is invalid for the target audiences {target}"
        if self._epoch() >= claims.get("exp", self._epoch() + 1):
            return None, "service account token has expired"
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        uid = self._uid("serviceaccounts", namespace, account["name"])
        if not uid:
            return None, f'serviceaccounts "{account["name"]}" not found'
        if uid != account["uid"]:
            return None, f"service account UID ({uid}) does not match claim ({account['uid']})"
        extra = [(f"{EXTRA}credential-id", (f"JTI={claims['jti']}",))]
        for kind, plural in BOUND_KINDS.items():
            bound = about.get(kind.lower())
            if bound is None:
                continue
            if self._uid(plural, namespace, bound["name"]) != bound["uid"]:
                return None, "service account token has been invalidated"  # with its pod
            if kind == "Pod":
                extra += [
                    (f"{EXTRA}pod-name", (bound["name"],)),
                    (f"{EXTRA}pod-uid", (bound["uid"],)),
                ]
        return account_user(namespace, account["name"], account["uid"], extra), ""

    def _bound_object(
        self, namespace: str, account: str, bound: ReadOnlyDocument
    ) -> dict[str, object]:
        """Return the claim about the object that a token is bound to."""
        kind, name = str(bound.get("kind", "")), str(bound.get("name", ""))
        plural = BOUND_KINDS.get(kind)
        if plural is None or bound.get("apiVersion", "v1") != "v1":
            version = bound.get("apiVersion", "v1")
            group, _, version = str(version).rpartition("/")
            raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        existing = self._find(plural, namespace, name)
        if kind == "Pod" and (existing.get("spec") or {}).get("serviceAccountName") != account:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{account}" to pod running with different '
                "serviceaccount name."
            )
        uid = bound.get("uid")
        if uid and uid != uid_of(existing):
            reason = (
                f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            message = f'Operation cannot be fulfilled on {plural} "{name}": {reason}'
            raise Conflict(message, kind=plural, name=name)
        return {kind.lower(): {"name": name, "uid": uid_of(existing)}}

    def _find(self, plural: str, namespace: str, name: str) -> Document:
        kv = self._core.store.get(f"/registry/{plural}/{namespace}/{name}")
        if kv is None:
            raise NotFound(f'{plural} "{name}" not found', kind=plural, name=name)
        document: Document = kv.value
        return document

    def _uid(self, plural: str, namespace: str, name: str) -> str:
        kv = self._core.store.get(f"/registry/{plural}/{namespace}/{name}")
        return "" if kv is None else uid_of(kv.value)

    def _epoch(self) -> int:
        """Return the simulated time in seconds since 1970."""
        return int(datetime.fromisoformat(self._core.clock.timestamp()).timestamp())

    # -- the form of a token ---------------------------------------------------------------------

    def _sign(self, claims: dict[str, object]) -> str:
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (HEADER, claims))
        return f"{signed}.{_encoded(self._signature(signed))}"

    def _signature(self, signed: str) -> bytes:
        return hmac.new(self._key, signed.encode(), hashlib.sha256).digest()

    def _verified(self, token: str) -> Document | None:
        """Return the claims of a token that this issuer signed, or None."""
        signed, _, signature = token.rpartition(".")
        expected = _encoded(self._signature(signed))
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            return None
        payload = signed.partition(".")[2]
        claims: Document = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims


def _quoted(audiences: Iterable[str]) -> str:
    """Return names as Go prints a list of strings."""
    return f"[{' '.join(json.dumps(each) for each in audiences)}]"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _check_seconds(seconds: object) -> None:
    """Refuse a lifetime of less than 10 minutes or more than 2^32 seconds."""
    errors = FieldErrors()
    path = "spec.expirationSeconds"
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise BadRequest(f"{path} must be a whole number")
    if seconds < LEAST_SECONDS:
        errors.invalid(path, seconds, "may not specify a duration less than 10 minutes")
    if seconds > MOST_SECONDS:
        errors.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")
    if errors.causes:
        cause = errors.causes[0]
        message = f'{KIND}.{GROUP} "" is invalid: {cause.field}: {cause.message}'
        raise Invalid(message, kind=KIND, group=GROUP, causes=errors.causes)
