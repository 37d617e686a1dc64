"""What the verbs of the API server share: their tools, and their words for what went wrong.

Source of the messages: k8s.io/apimachinery/pkg/api/errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from typing import Any

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver.audit import AuditLog
from kubesim.apiserver.registry import Kind, Registry
from kubesim.clock.base import Clock, Streams
from kubesim.errors import AlreadyExists, Conflict, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import EtcdStore, TxnResult

NOT_ALLOWED = "the server does not allow this method on the requested resource"
EXAMPLES = 5  # names that a NotFound shows


class _Copies:
    """Streams that start where the real ones stand, and leave them there."""

    def __init__(self, streams: Streams, drawn: dict[str, Any]) -> None:
        self.seed = streams.seed
        self._streams = streams
        self._drawn = drawn

    def __call__(self, name: str) -> Any:
        if name not in self._drawn:
            self._drawn[name] = copy(self._streams(name))
        return self._drawn[name]


_copies: ContextVar[dict[str, Any] | None] = ContextVar("copies", default=None)


@contextmanager
def drawing_copies(wanted: bool) -> Iterator[None]:
    """Inside this block whatever is drawn at random will be drawn again by whoever comes next.

    Args:
        wanted: False: randomness as ever.
    """
    token = _copies.set({} if wanted else None)
    try:
        yield
    finally:
        _copies.reset(token)


class Base:
    """The API server's tools.

    Attributes:
        store: the only door to it is here.
        clock: for timestamps.
        registry: the kinds.
        analytics: the lifecycle log.
        audit: who wrote what, and when.
    """

    def __init__(
        self,
        store: EtcdStore,
        clock: Clock,
        streams: Streams,
        registry: Registry,
        analytics: Analytics | None,
    ) -> None:
        self.store = store
        self.clock = clock
        self._streams = streams
        self.registry = registry
        self.analytics = analytics or NullAnalytics()
        self.audit = AuditLog(clock)

    @property
    def streams(self) -> Streams:
        """Randomness for uids and name suffixes; in a dry run, copies that leave no trace."""
        drawn = _copies.get()
        return self._streams if drawn is None else _Copies(self._streams, drawn)

    def _commit(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, Any]] = (),
        deletes: Sequence[str] = (),
        *,
        before: Document | None = None,
        lease: int = 0,
    ) -> TxnResult:
        """Write one object by compare-and-set, and keep a row of it in the audit log."""
        done = self.store.txn(compare, puts, deletes, lease=lease)
        if done.succeeded:
            for key, value in puts:
                self.audit.wrote(done.revision, key, before, value)
            for key in deletes:
                self.audit.wrote(done.revision, key, before, None)
            self._committed(puts, deletes, before)
        return done

    def _committed(
        self, puts: Sequence[tuple[str, Any]], deletes: Sequence[str], before: Document | None
    ) -> None:
        """A write has landed: what the server itself has to do about it."""

    def not_found(self, kind: Kind, name: str, namespace: str | None = None) -> NotFound:
        """The error for an object that is not there; its hint names some that are."""
        prefix = kind.prefix_of(namespace or DEFAULT_NAMESPACE)
        there = self.store.list(prefix, limit=EXAMPLES)
        names = [kv.key.removeprefix(prefix) for kv in there.items]
        listed = ", ".join(names) + (", ..." if there.more else "")
        hint = f"existing: {listed}" if names else "there are none"
        if kind.namespaced:
            hint += f" in namespace {namespace or DEFAULT_NAMESPACE}"
        said = f'{kind.resource} "{name}" not found'
        return NotFound(said, hint=hint, kind=kind.plural, group=kind.group, name=name)

    def conflict(self, kind: Kind, name: str, why: str = "") -> Conflict:
        """The error for a write that somebody else came before, or whose condition fails."""
        why = why or (
            "the object has been modified; please apply your changes to the latest version and "
            "try again"
        )
        return Conflict(
            f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}',
            kind=kind.plural,
            group=kind.group,
            name=name,
        )

    def already_exists(self, kind: Kind, name: str) -> AlreadyExists:
        """The error for a name that is taken."""
        said = f'{kind.resource} "{name}" already exists'
        return AlreadyExists(said, kind=kind.plural, group=kind.group, name=name)

    def _created(self, kind: Kind, document: Document) -> None:
        """An object was created: tell the lifecycle log, but for what is written all day."""
        # Pods are printed, as in the original simulator; other kinds are there for who asks.
        if not kind.ttl_seconds and kind.kind != "Lease":
            said = f"ID={meta.uid_of(document)}, Name={meta.name_of(document)}"
            level = "info" if kind.kind == "Pod" else "debug"
            self.analytics.log("KubeAPI", f"Created{kind.kind}", said, level)

    def _deleted(self, kind: Kind, document: Document) -> None:
        """An object is gone for good."""
        if not kind.ttl_seconds and kind.kind != "Lease":
            said = f"ID={meta.uid_of(document)}, Name={meta.name_of(document)}"
            level = "info" if kind.kind == "Pod" else "debug"
            self.analytics.log("KubeAPI", f"Deleted{kind.kind}", said, level)
