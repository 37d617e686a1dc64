"""One tree of errors, shared by the store, the API server, the clocks and the REST server.

Each error that a client can meet carries what a Kubernetes `Status` carries: an HTTP `code` and a
machine-readable `reason`; and, because people learn here, a `hint` that says how to mend it.

    KubeSimError
    |-- StatusError               what the API server answers: code, reason, hint, details
    |   |-- BadRequest            400  the request cannot be understood
    |   |-- Forbidden             403  understood, and refused
    |   |-- NotFound              404  (also a LookupError)
    |   |-- MethodNotAllowed      405
    |   |-- AlreadyExists         409  the name is taken
    |   |-- Conflict              409  somebody wrote in between: read again, then retry
    |   |-- Expired               410  that revision is compacted: list again, then watch
    |   |-- TooLarge              413
    |   |-- UnsupportedMediaType  415
    |   |-- Invalid               422  field errors, each with its path (also a ValueError)
    |   |-- TooManyRequests       429
    |   `-- Timeout               504  the server cannot answer in time (or not yet)
    |-- Compacted                 the store: that revision is no longer kept
    |-- FutureRevision            the store: that revision does not exist yet
    |-- WatchClosed               the watch was closed by its owner or by the store's shutdown
    |-- FrozenDocument            somebody tried to change a shared document (also a TypeError)
    |-- ClockError                a clock was used against its rules (sleeping inside a worker, ...)
    `-- WorkerFailed              a component raised; re-raised in the driver's next call

Source of codes and reasons: k8s.io/apimachinery/pkg/api/errors and metav1.StatusReason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class KubeSimError(Exception):
    """Root of every error that kubesim raises on purpose."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One field error of an `Invalid` answer, as in metav1.StatusCause.

    Attributes:
        field: path of the field, for example ``spec.containers[0].name``; "" if it is about none.
        reason: FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
            FieldValueForbidden, FieldValueDuplicate ...
        message: what is wrong with the value, in the API server's words.
    """

    field: str
    reason: str
    message: str


class StatusError(KubeSimError):
    """An answer of the API server that is not success.

    Args:
        message: the text that a client prints.
        hint: how to mend it, for a learner; may be empty.
        kind: plural resource name or kind that the error is about.
        group: API group of that kind; "" for the core group.
        name: name of the object that the error is about.
        causes: field errors.
        retry_after_seconds: when it makes sense to try again, if the server knows.
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
        """The error as a Kubernetes `Status` document, ready for the wire."""
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
            "reason": self.reason,
            "code": self.code,
        }
        if details:
            document["details"] = details
        return document


class BadRequest(StatusError, ValueError):
    """400: the request cannot be understood as it stands."""

    code, reason = 400, "BadRequest"


class Forbidden(StatusError):
    """403: the request is understood and refused; asking again does not help."""

    code, reason = 403, "Forbidden"


class NotFound(StatusError, LookupError):
    """404: no such object (or no such kind)."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(StatusError):
    """405: the resource exists, the verb is not for it."""

    code, reason = 405, "MethodNotAllowed"


class AlreadyExists(StatusError):
    """409: an object of that name exists."""

    code, reason = 409, "AlreadyExists"


class Conflict(StatusError):
    """409: the resourceVersion sent is not the current one; read the object again, then retry."""

    code, reason = 409, "Conflict"


class Expired(StatusError):
    """410: the resourceVersion asked for is compacted; list again and watch from there."""

    code, reason = 410, "Expired"


class TooLarge(StatusError):
    """413: the body is larger than the server takes."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(StatusError):
    """415: the body is in a format that the server does not read."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(StatusError, ValueError):
    """422: the object breaks rules of its kind; `causes` lists every broken one."""

    code, reason = 422, "Invalid"


class TooManyRequests(StatusError):
    """429: not now; `retry_after_seconds` says when."""

    code, reason = 429, "TooManyRequests"


class Timeout(StatusError):
    """504: not answered in time; for example a revision that the store has not reached yet."""

    code, reason = 504, "Timeout"


class Compacted(KubeSimError):
    """The store no longer keeps that revision (etcd: `mvcc: required revision has been compacted`).

    Attributes:
        revision: the revision asked for.
        compact_revision: the oldest revision that can still be asked for is this plus one.
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
    """A stored document is shared by everybody and cannot be changed in place."""

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


def mapping_hint(name: str, known: Mapping[str, Any] | Sequence[str], limit: int = 6) -> str:
    """A short 'existing: a, b, c' hint for a NotFound error."""
    names = sorted(known)[:limit]
    if not names:
        return "there are none yet"
    more = "" if len(known) <= limit else f", ... {len(known) - limit} more"
    return f"no {name!r} here; existing: {', '.join(names)}{more}"
