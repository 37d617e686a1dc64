"""One tree of errors, shared by the store, the API server, the clocks and the REST server.

An error that a client can receive has the HTTP `code` and the machine-readable `reason` of a
Kubernetes `Status`, and a `hint` that says how to solve the problem.

    KubeSimError
    |-- StatusError               an error response of the API server: code, reason, hint, details
    |   |-- BadRequest            400  the request is malformed (also a ValueError)
    |   |-- Forbidden             403  the request is not allowed
    |   |-- NotFound              404  (also a LookupError)
    |   |-- MethodNotAllowed      405
    |   |-- AlreadyExists         409  an object of that name exists
    |   |-- Conflict              409  another client wrote in between: read again, then retry
    |   |-- Expired               410  that revision is compacted: list again, then watch
    |   |-- TooLarge              413
    |   |-- UnsupportedMediaType  415
    |   |-- Invalid               422  field errors, each with its path (also a ValueError)
    |   |-- TooManyRequests       429
    |   |-- Timeout               504  the server cannot respond in time (or not yet)
    |   |-- NoSpace               500  the quota of the store is used up: delete objects
    |   `-- GenericStatusError    any code; the reason follows from it
    |-- Compacted                 the store: that revision is no longer kept
    |-- FutureRevision            the store: that revision does not exist yet
    |-- WatchClosed               the watch was closed by its owner or by the store's shutdown
    |-- FrozenDocument            a shared document must not be changed (also a TypeError)
    |-- ClockError                a clock was used against its rules (sleeping inside a worker, ...)
    `-- WorkerFailed              a component raised; re-raised in the driver's next call

Source of codes and reasons: k8s.io/apimachinery/pkg/api/errors and metav1.StatusReason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class KubeSimError(Exception):
    """The base class of all errors that kubesim raises."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One field error of an `Invalid` answer, as in metav1.StatusCause.

    Attributes:
        field: path of the field, for example ``spec.containers[0].name``; "" for no field.
        reason: FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
            FieldValueForbidden, FieldValueDuplicate ...
        message: what is wrong with the value, as kube-apiserver words it.
    """

    field: str
    reason: str
    message: str


class StatusError(KubeSimError):
    """An error response of the API server.

    Args:
        message: the text that a client prints.
        hint: how to solve the problem; may be empty.
        kind: plural resource name or kind of the object.
        group: API group of that kind; "" for the core group.
        name: name of the object.
        causes: field errors.
        retry_after_seconds: after which time to retry, if the server knows.
    """

    code: int = 500
    reason: str = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        kind: str = "",
        name: str = "",
        causes: Sequence[Cause] = (),
        retry_after_seconds: int | None = None,
        group: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.kind = kind
        self.group = group
        self.name = name
        self.causes = tuple(causes)
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def status(self) -> dict[str, Any]:
        """Return the error as a Kubernetes `Status` document."""
        details: dict[str, Any] = {}
        if self.name:
            details["name"] = self.name
        if self.group:
            details["group"] = self.group
        if self.kind:
            details["kind"] = self.kind
        if self.causes:
            details["causes"] = [
                {"reason": c.reason, "message": c.message} | ({"field": c.field} if c.field else {})
                for c in self.causes
            ]
        if self.retry_after_seconds is not None:
            details["retryAfterSeconds"] = self.retry_after_seconds
        document: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            document["reason"] = self.reason
        if details:
            document["details"] = details
        document["code"] = self.code
        return document


class BadRequest(StatusError, ValueError):
    """400: the request is malformed."""

    code, reason = 400, "BadRequest"


class Forbidden(StatusError):
    """403: the request is not allowed; do not retry it."""

    code, reason = 403, "Forbidden"


class NotFound(StatusError, LookupError):
    """404: no such object, or no such kind."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(StatusError):
    """405: the resource does not support the verb."""

    code, reason = 405, "MethodNotAllowed"


class AlreadyExists(StatusError):
    """409: an object of that name exists."""

    code, reason = 409, "AlreadyExists"


class Conflict(StatusError):
    """409: the resourceVersion is not the current one; read the object again, then retry."""

    code, reason = 409, "Conflict"


class Expired(StatusError):
    """410: the resourceVersion is compacted; list again and watch from there."""

    code, reason = 410, "Expired"


class TooLarge(StatusError):
    """413: the body is larger than the server accepts."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(StatusError):
    """415: the server does not support the media type of the body."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(StatusError, ValueError):
    """422: the object violates rules of its kind; `causes` lists every violation."""

    code, reason = 422, "Invalid"


class TooManyRequests(StatusError):
    """429: retry after `retry_after_seconds`."""

    code, reason = 429, "TooManyRequests"


class Timeout(StatusError):
    """504: no response in time, for example because the store has not reached a revision yet."""

    code, reason = 504, "Timeout"


class NoSpace(StatusError):
    """500: the quota of the store is used up; reads, deletions and compactions go on.

    kube-apiserver hands on etcd's error as it is, so its Status has no reason.

    Source: etcd api/v3rpc/rpctypes/error.go (ErrNoSpace); k8s.io/apiserver/pkg/endpoints/handlers/
    responsewriters/status.go (ErrorToAPIStatus: StatusReasonUnknown).
    """

    code, reason = 500, ""

    def __init__(self) -> None:
        super().__init__(
            "etcdserver: mvcc: database space exceeded",
            hint="delete objects, then compact and defragment the store, and disarm its alarm",
        )


REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    408: "Timeout",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class GenericStatusError(StatusError):
    """An error whose reason follows from its HTTP code (upstream: NewGenericServerResponse)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = REASONS.get(code, "Unknown")


class Compacted(KubeSimError):
    """The store no longer keeps that revision (etcd: `mvcc: required revision has been compacted`).

    Attributes:
        revision: the requested revision.
        compact_revision: the oldest available revision is this plus one.
    """

    def __init__(self, revision: int, compact_revision: int) -> None:
        super().__init__(
            f"revision {revision} has been compacted; the store keeps changes after "
            f"revision {compact_revision}. List again and watch from the revision of that list."
        )
        self.revision = revision
        self.compact_revision = compact_revision


class FutureRevision(KubeSimError):
    """A revision that no write has reached yet (etcd: `required revision is a future one`)."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is in the future; the newest is {current}")
        self.revision = revision
        self.current = current


class WatchClosed(KubeSimError):
    """The watch is closed; open a new one."""


class FrozenDocument(KubeSimError, TypeError):
    """A stored document is shared by all readers and cannot be changed in place."""

    def __init__(self) -> None:
        super().__init__(
            "this document is shared with the store and every cache, so it cannot be changed in "
            "place; take a copy with kubesim.objects.thaw(document), change that, and write it "
            "back with KubeAPI.update"
        )


class ClockError(KubeSimError, RuntimeError):
    """A clock was used against its rules; the message says which."""


class WorkerFailed(KubeSimError):
    """A callback raised inside a worker.

    Attributes:
        worker: name of the worker.
        error: what was raised (also the `__cause__`).
    """

    def __init__(self, worker: str, error: BaseException) -> None:
        super().__init__(f"worker {worker!r} failed: {type(error).__name__}: {error}")
        self.worker = worker
        self.error = error


def mapping_hint(name: str, available: Mapping[str, object] | Sequence[str], limit: int = 6) -> str:
    """Return a short 'available: a, b, c' hint for a NotFound error.

    Args:
        name: the name that does not exist.
        available: the names that exist.
        limit: maximal number of names in the hint.
    """
    names = sorted(available)[:limit]
    if not names:
        return "there are none yet"
    more = "" if len(available) <= limit else f", ... {len(available) - limit} more"
    return f"no {name!r} here; available: {', '.join(names)}{more}"
