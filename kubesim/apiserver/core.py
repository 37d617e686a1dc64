"""The core of the API server: what every verb needs, and the errors that several verbs raise.

`Core` holds the store, the clock, the random streams, the kinds, the audit log and the lifecycle
log. Each verb is a separate part (kubesim.apiserver.verbs) that gets the core in its constructor.

Source of the messages: k8s.io/apimachinery/pkg/api/errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from typing import TYPE_CHECKING

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver.audit import AuditLog
from kubesim.apiserver.registry import Kind, Registry
from kubesim.apiserver.validation import FieldErrors
from kubesim.clock.base import Clock, Streams
from kubesim.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Invalid,
    MethodNotAllowed,
    NotFound,
)
from kubesim.objects.frozen import Document, FrozenDict, freeze
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import KeyValue, SampleStore, Store, TxnResult

if TYPE_CHECKING:
    from random import Random

NOT_ALLOWED = "the server does not allow this method on the requested resource"
MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)
SHARED_LEASE_SECONDS = 60.0  # objects of one minute share a lease (upstream: 60 s)
EXAMPLES = 5  # names that a NotFound shows

CommitHook = Callable[[Document | None, Document | None], None]
"""hook(before, after): called after a write of an object has been committed."""


def view_of(kv: KeyValue) -> Document:
    """Return the object at one revision, with its resourceVersion; built once for each revision.

    The store's revision is the object's resourceVersion. It is not stored inside the object, since
    it is known only after the write; as in the real API server it is set when the object is read.
    """
    view = kv.view
    return view if view is not None else kv.keep_view(at_revision(kv.value, kv.mod_revision))


def at_revision(value: Document, revision: int) -> Document:
    """Return the frozen object with a resourceVersion; all but its metadata is shared."""
    metadata = FrozenDict({**value["metadata"], "resourceVersion": str(revision)})
    return FrozenDict({**value, "metadata": metadata})


def freeze_or_refuse(value: Document) -> Document:
    """Return the frozen document.

    Raises:
        BadRequest: it holds a value that JSON cannot express.
    """
    try:
        frozen: Document = freeze(value)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"the object is not valid JSON: {error}") from error
    return frozen


class _StreamCopies:
    """Streams that start where the real ones are, and leave those untouched."""

    def __init__(self, streams: Streams, copies: dict[str, Random]) -> None:
        self.seed = streams.seed
        self._streams = streams
        self._copies = copies

    def __call__(self, name: str) -> Random:
        if name not in self._copies:
            self._copies[name] = copy(self._streams(name))
        return self._copies[name]


_dry_run_copies: ContextVar[dict[str, Random] | None] = ContextVar("dry_run_copies", default=None)


@contextmanager
def streams_unchanged() -> Iterator[None]:
    """Draw from copies of the random streams inside this block: a dry run changes no later run."""
    token = _dry_run_copies.set({})
    try:
        yield
    finally:
        _dry_run_copies.reset(token)


class Core:
    """What the parts of the API server share.

    Args:
        store: keeps the objects.
        samples: keeps the usage samples of pods; usually the same store.
        clock: for timestamps.
        streams: for uids and name suffixes.
        registry: the kinds.
        analytics: the lifecycle log; None: nothing is logged.
        service_accounts: the admission plug-in ServiceAccount is on.

    Attributes:
        audit: every committed write: by which client, and when.
    """

    def __init__(
        self,
        store: Store,
        samples: SampleStore,
        clock: Clock,
        streams: Streams,
        registry: Registry,
        analytics: Analytics | None,
        service_accounts: bool = False,
    ) -> None:
        self.service_accounts = service_accounts
        self.store = store
        self.samples = samples
        self.clock = clock
        self.registry = registry
        self.analytics = analytics or NullAnalytics()
        self.audit = AuditLog(clock, store.maintenance.quota)
        self._streams = streams
        self._leases: dict[str, tuple[float, int]] = {}  # by kind: (granted at, lease id)
        self._uid_streams: dict[str, Random] = {}  # by kind
        self._hooks: list[tuple[str, CommitHook]] = []

    @property
    def streams(self) -> Streams:
        """Randomness for uids and name suffixes; in a dry run, copies of the streams."""
        copies = _dry_run_copies.get()
        return self._streams if copies is None else _StreamCopies(self._streams, copies)

    def new_uid(self, kind: Kind) -> str:
        """Return the uid of a new object of a kind."""
        if _dry_run_copies.get() is not None:
            return new_uid(self.streams(f"uids/{kind.plural}"))
        stream = self._uid_streams.get(kind.plural)
        if stream is None:
            stream = self._uid_streams[kind.plural] = self._streams(f"uids/{kind.plural}")
        return new_uid(stream)

    def kind_of(self, document: object) -> Kind:
        """Return the kind of a document that a client sent.

        Raises:
            BadRequest: the document names no kind, or a version that is not served.
            NotFound: there is no such kind.
            MethodNotAllowed: clients may not write objects of that kind.
        """
        if not isinstance(document, dict) or not document.get("kind"):
            raise BadRequest("Object 'Kind' is missing", hint='write, for example, {"kind": "Pod"}')
        registry = self.registry
        name = str(document["kind"])
        kind = registry.by_kind.get(name) or registry.find(name)
        version = document.get("apiVersion", kind.api_version)
        if version != kind.api_version:
            kind = registry.of_object(str(version), name)  # several groups may have such a kind
        if kind.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        if kind.custom and registry.is_retired(kind):
            message = f'no matches for kind "{kind.kind}" in version "{kind.api_version}"'
            raise NotFound(message, hint="its CustomResourceDefinition was deleted")
        if version != kind.api_version and kind.version_of(str(version)) is None:
            message = f'no matches for kind "{kind.kind}" in version "{version}"'
            raise BadRequest(message, hint=f"use {kind.api_version}")
        metadata = document.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise BadRequest("metadata must be an object")
        return kind

    # -- writing to the store --------------------------------------------------------------------

    def commit(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, Document]] = (),
        deletes: Sequence[str] = (),
        *,
        before: Document | None = None,
        lease: int = 0,
    ) -> TxnResult:
        """Write one object by compare-and-set, and record the write in the audit log.

        Args:
            compare: (key, expected revision) pairs; 0: the key must not exist.
            puts: the new state, if the object is written.
            deletes: its key, if the object is deleted.
            before: the state that is replaced; None for a new object.
            lease: the lease that the key is attached to; 0: none.

        Returns:
            The result of the transaction; if a comparison failed, nothing was written.
        """
        result = self.store.txn(compare, puts, deletes, lease=lease)
        if result.succeeded:
            for key, value in puts:
                self.audit.record(result.revision, key, before, value)
            for key in deletes:
                self.audit.record(result.revision, key, before, None)
            for prefix, hook in self._hooks:
                for key, value in puts:
                    if key.startswith(prefix):
                        hook(before, value)
                for key in deletes:
                    if key.startswith(prefix):
                        hook(before, None)
        return result

    def lease_for(self, kind: Kind) -> int:
        """Return the lease with which objects of a kind expire."""
        store, now = self.store, self.clock.now()
        granted, lease = self._leases.get(kind.resource, (0.0, 0))
        if not lease or now - granted >= SHARED_LEASE_SECONDS:
            store.expire(now)
            lease = store.grant(kind.ttl_seconds + SHARED_LEASE_SECONDS, now=now)
            self._leases[kind.resource] = (now, lease)
        return lease

    def after_commit(self, prefix: str, hook: CommitHook) -> None:
        """Call `hook` after each committed write of a key under `prefix`."""
        self._hooks.append((prefix, hook))

    def log_created(self, kind: Kind, document: Document) -> None:
        """Log the creation of an object in the lifecycle log; Events and Leases are left out."""
        self._log("Created", kind, document)

    def log_deleted(self, kind: Kind, document: Document) -> None:
        """Log the removal of an object in the lifecycle log; Events and Leases are left out."""
        self._log("Deleted", kind, document)

    def _log(self, action: str, kind: Kind, document: Document) -> None:
        # Pods are printed, as in the original simulator; other kinds are kept for readers.
        if not kind.ttl_seconds and kind.kind != "Lease":
            metadata = document["metadata"]
            message = f"ID={metadata.get('uid', '')}, Name={metadata.get('name', '')}"
            level = "info" if kind.kind == "Pod" else "debug"
            self.analytics.log("KubeAPI", f"{action}{kind.kind}", message, level)

    def remove(self, kind: Kind, kv: KeyValue) -> bool:
        """Remove an object for good; return False if another client has changed it."""
        result = self.commit([(kv.key, kv.mod_revision)], deletes=[kv.key], before=kv.value)
        if result.succeeded:
            self.log_deleted(kind, kv.value)
        return result.succeeded

    # -- errors that several verbs raise ---------------------------------------------------------

    def check_preconditions(
        self, kind: Kind, kv: KeyValue, uid: str | None, resource_version: str | int | None
    ) -> None:
        """Check the uid and the resourceVersion that a client expects.

        Args:
            kind: of the object.
            kv: the stored object.
            uid: "" or None: any.
            resource_version: "", "0" or None: any.

        Raises:
            Conflict: the stored object has another one.
        """
        metadata = kv.value["metadata"]
        if uid and uid != metadata["uid"]:
            reason = (
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
                f"{metadata['uid']}. The object might have been deleted and then recreated"
            )
            raise self.conflict(kind, metadata["name"], reason)
        if resource_version and str(resource_version) not in ("0", str(kv.mod_revision)):
            raise self.conflict(kind, metadata["name"])

    def not_found(self, kind: Kind, name: str, namespace: str | None = None) -> NotFound:
        """Return the error for a missing object; its hint lists some that exist.

        Args:
            kind: of the object.
            name: of the object.
            namespace: None: ``default``.
        """
        prefix = kind.prefix_of(namespace or DEFAULT_NAMESPACE)
        existing = self.store.list(prefix, limit=EXAMPLES)
        names = [kv.key.removeprefix(prefix) for kv in existing.items]
        listed = ", ".join(names) + (", ..." if existing.more else "")
        hint = f"existing: {listed}" if names else "there are none"
        if kind.namespaced:
            hint += f" in namespace {namespace or DEFAULT_NAMESPACE}"
        message = f'{kind.resource} "{name}" not found'
        return NotFound(message, hint=hint, kind=kind.plural, group=kind.group, name=name)

    def conflict(self, kind: Kind, name: str, reason: str = "") -> Conflict:
        """Return the error for a write whose precondition does not hold.

        Args:
            kind: of the object.
            name: of the object.
            reason: "": another client has modified the object.
        """
        message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {reason or MODIFIED}'
        return Conflict(message, kind=kind.plural, group=kind.group, name=name)

    def already_exists(self, kind: Kind, name: str) -> AlreadyExists:
        """Return the error for a name that is taken."""
        message = f'{kind.resource} "{name}" already exists'
        return AlreadyExists(message, kind=kind.plural, group=kind.group, name=name)


def raise_if_invalid(kind: Kind, name: str, errors: FieldErrors) -> None:
    """Refuse a write that broke rules.

    Args:
        kind: of the object.
        name: of the object.
        errors: the broken rules.

    Raises:
        Invalid: there are errors; `causes` has each.
    """
    if errors.causes:
        listed = [f"{cause.field}: {cause.message}" for cause in errors.causes]
        details = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
        message = f'{kind.qualified_kind} "{name}" is invalid: {details}'
        causes = errors.causes
        raise Invalid(message, kind=kind.kind, group=kind.group, name=name, causes=causes)


__all__ = [
    "NOT_ALLOWED",
    "Core",
    "at_revision",
    "freeze_or_refuse",
    "raise_if_invalid",
    "streams_unchanged",
    "view_of",
]


def new_uid(rng: Random) -> str:
    """Return a UUID (version 4) from a seeded stream."""
    bits = rng.getrandbits(128)
    bits = bits & ~(0xF << 76) | (0x4 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
