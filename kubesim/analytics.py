"""Analytics: the lifecycle log of the simulated system.

Every lifecycle event has a component, a level, an action tag and a message, and is printed the way
the original simulator did:

>>> log = Analytics(lambda: 0.0, sink=print)
>>> log.log("EtcdStore", "Initialized", "Initialized in-memory etcd-style store.")
[INFO] EtcdStore: Initialized in-memory etcd-style store.
>>> log.log("KubeAPI", "CreatedPod", "ID=4f1c, Name=auto-pod-0")
[INFO] KubeAPI: CreatedPod: ID=4f1c, Name=auto-pod-0

Rows are kept in a bounded ring and read by *cursor*: a reader says which row it saw last and gets
those after it, so a chart that repaints and a file that tails never fight over the log.

>>> page = log.since(0, component="KubeAPI")
>>> [row.action for row in page.rows], page.cursor
(['CreatedPod'], 2)
>>> log.since(page.cursor).rows
[]

Usage samples - one for each pod and second - are metrics, and metrics are rows too (action
``Metrics``, level debug). Writing a row for each would cost more than the sample itself, so
`metrics_since` makes them from the store's own samples when somebody asks.

The nearest relative in Kubernetes is the structured log of each component (klog) together with the
audit log of the API server; neither can be read back by a client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from kubesim.table import Table

LEVELS = ("debug", "info", "warn", "error")
CAPACITY = 10_000  # rows kept

SampleReader = Callable[[int, int | None], tuple[Sequence[tuple[int, str, tuple[Any, ...]]], bool]]
"""reader(after_revision, limit) -> ([(revision, key, sample), ...], lost)."""


class LogRow(NamedTuple):
    """One lifecycle event.

    Attributes:
        serial: number of the row, from 1, without gaps.
        time: simulated second.
        level: debug, info, warn or error.
        component: who says it, for example ``KubeAPI``.
        action: what happened, as a tag: ``CreatedPod``, ``PodStart``, ``ScaleUp``.
        message: the same for people.
    """

    serial: int
    time: float
    level: str
    component: str
    action: str
    message: str

    def __str__(self) -> str:
        # "EtcdStore: Initialized in-memory ..." would say the tag twice.
        tag = "" if self.message.startswith(self.action) else f"{self.action}: "
        return f"[{self.level.upper()}] {self.component}: {tag}{self.message}"


@dataclass(frozen=True, slots=True)
class Page:
    """Rows since a cursor.

    Attributes:
        rows: the rows, oldest first.
        cursor: what to ask for next.
        lost: how many rows after the old cursor were dropped from the ring before they were read.
    """

    rows: list[LogRow]
    cursor: int
    lost: int = 0

    def table(self) -> Table:
        """The rows as a table."""
        return as_table(self.rows)


def as_table(rows: Iterable[LogRow]) -> Table:
    """Log rows as a table: time, level, component, action, message."""
    return Table(
        ("time [s]", "level", "component", "action", "message"),
        [(row.time, row.level, row.component, row.action, row.message) for row in rows],
    )


class Analytics:
    """The bounded log.

    Any thread may write and read: appending to a bounded deque and counting are single atomic
    steps, and readers copy the ring before they look at it.

    Args:
        now: tells the simulated second.
        capacity: rows kept; the oldest go first.
        sink: called with the printed form of each row of at least `sink_level`.
        sink_level: the least level that is printed.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        capacity: int = CAPACITY,
        sink: Callable[[str], None] | None = None,
        sink_level: str = "info",
    ) -> None:
        self._now = now
        self._rows: deque[LogRow] = deque(maxlen=capacity)
        self._serials = iter(range(1, 1 << 62))
        self._sink = sink
        self._sink_rank = _rank(sink_level)
        self._samples: SampleReader | None = None

    def log(self, component: str, action: str, message: str, level: str = "info") -> None:
        """Add a row.

        Raises:
            ValueError: an unknown level.
        """
        rank = _rank(level)
        row = LogRow(next(self._serials), self._now(), level, component, action, message)
        self._rows.append(row)
        if self._sink is not None and rank >= self._sink_rank:
            self._sink(str(row))

    def since(
        self,
        cursor: int = 0,
        *,
        component: str | None = None,
        level: str | None = None,
        action: str | None = None,
        contains: str | None = None,
        since_seconds: float | None = None,
        limit: int | None = None,
    ) -> Page:
        """Return the oldest rows after a cursor that pass every filter given.

        Args:
            cursor: serial of the last row seen; 0 for all that are kept.
            component: only this component.
            level: only rows of at least this level.
            action: only this action tag.
            contains: only rows whose message contains this string.
            since_seconds: only rows of this simulated second or later.
            limit: at most so many rows; the cursor then stands after the last one returned.
        """
        least = _rank(level) if level is not None else 0
        # Two threads may append in the other order than they drew their serials.
        rows = sorted(self._snapshot())
        oldest = rows[0].serial if rows else 1
        newest = rows[-1].serial if rows else cursor
        wanted = (
            row
            for row in rows
            if row.serial > cursor
            and (component is None or row.component == component)
            and (action is None or row.action == action)
            and (contains is None or contains in row.message)
            and (since_seconds is None or row.time >= since_seconds)
            and LEVELS.index(row.level) >= least
        )
        found = list(islice(wanted, limit)) if limit is not None else list(wanted)
        if limit is not None and len(found) == limit and found:
            newest = found[-1].serial
        return Page(found, max(cursor, newest), max(0, oldest - cursor - 1))

    def table(self, last: int = 20, **filters: Any) -> Table:
        """The newest rows as a table; filters as in `since`."""
        return as_table(self.since(0, **filters).rows[-last:])

    def attach_samples(self, reader: SampleReader) -> None:
        """Tell where usage samples are read; done once, by the composition root."""
        self._samples = reader

    def metrics_since(self, revision: int = 0, limit: int | None = 1_000) -> Page:
        """Usage samples as rows; the cursor is the store revision of the last one.

        Each message reads ``default/auto-pod-0 cpu=134m memory=76MB``. `lost` is 1 if samples
        after the cursor were dropped before they were read, else 0.
        """
        if self._samples is None:
            return Page([], revision)
        samples, lost = self._samples(revision, limit)
        rows = [
            LogRow(rev, sample[0], "debug", "Pod", "Metrics", _usage_text(key, sample))
            for rev, key, sample in samples
        ]
        return Page(rows, rows[-1].serial if rows else revision, int(lost))

    def _snapshot(self) -> list[LogRow]:
        # Copying a deque while another thread appends raises RuntimeError; it is rare: try again.
        while True:
            try:
                return list(self._rows)
            except RuntimeError:
                continue


class NullAnalytics(Analytics):
    """A log that keeps nothing, for parts that are used by themselves."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0, capacity=0)

    def log(self, component: str, action: str, message: str, level: str = "info") -> None:
        """Forget the row."""


def _rank(level: str) -> int:
    try:
        return LEVELS.index(level)
    except ValueError:
        raise ValueError(f"no level {level!r}; levels are {', '.join(LEVELS)}") from None


def _usage_text(key: str, sample: tuple[Any, ...]) -> str:
    namespace, _, name = key.rpartition("/")
    cpu = sum(container[1] for container in sample[2])
    memory = sum(container[2] for container in sample[2])
    return f"{namespace.rpartition('/')[2]}/{name} cpu={cpu}m memory={memory // 1_000_000}MB"
