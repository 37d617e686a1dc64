"""What the verbs of the API server share: their tools, and their words for what went wrong.

Source of the messages: k8s.io/apimachinery/pkg/api/errors.
"""

from __future__ import annotations

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver.registry import Kind, Registry
from kubesim.clock.base import Clock, Streams
from kubesim.errors import AlreadyExists, Conflict, NotFound
from kubesim.store import Store


class Base:
    """The API server's tools.

    Attributes:
        store: the only door to it is here.
        clock: for timestamps.
        streams: for uids and name suffixes.
        registry: the kinds.
        analytics: the lifecycle log.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        streams: Streams,
        registry: Registry,
        analytics: Analytics | None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.streams = streams
        self.registry = registry
        self.analytics = analytics or NullAnalytics()

    def not_found(self, kind: Kind, name: str) -> NotFound:
        """The error for an object that is not there."""
        return NotFound(f'{kind.resource} "{name}" not found', kind=kind.plural, name=name)

    def conflict(self, kind: Kind, name: str) -> Conflict:
        """The error for a write that somebody else came before."""
        return Conflict(
            f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been '
            "modified; please apply your changes to the latest version and try again",
            kind=kind.plural,
            name=name,
        )

    def already_exists(self, kind: Kind, name: str) -> AlreadyExists:
        """The error for a name that is taken."""
        return AlreadyExists(
            f'{kind.resource} "{name}" already exists', kind=kind.plural, name=name
        )
