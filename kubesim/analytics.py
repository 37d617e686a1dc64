"""Analytics: the lifecycle log of the simulated system.

Every row has a component, a level, an action and a message, and is printed as the original
simulator printed it:

>>> log = Analytics(lambda: 0.0, sink=print)
>>> log.log("EtcdStore", "Initialized", "Initialized in-memory etcd-style store.")
[INFO] EtcdStore: Initialized in-memory etcd-style store.
>>> log.log("KubeAPI", "CreatedPod", "ID=4f1c, Name=auto-pod-0")
[INFO] KubeAPI: CreatedPod: ID=4f1c, Name=auto-pod-0

The newest rows are kept, and read by *cursor*: a reader passes the serial of the last row it has
seen and gets the rows after it, so that any number of readers can follow the log.

>>> page = log.since(0, component="KubeAPI")
>>> [row.action for row in page.rows], page.cursor
(['CreatedPod'], 2)
>>> log.since(page.cursor).rows
[]

Usage samples, one per pod and second, can be read as rows as well (action ``Metrics``, level
debug). To write each as a row would cost more than the sample itself, so `metrics_since` makes the
rows from the store's samples when it is called.

The nearest counterpart in Kubernetes is the structured log of each component (klog), together with
the audit log of the API server; clients can read neither.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypedDict, Unpack

from kubesim.table import Table
from kubesim.usercode import USER_ERRORS, error_text

LEVELS = ("debug", "info", "warn", "error")
_RANKS = {level: rank for rank, level in enumerate(LEVELS)}
CAPACITY = 10_000  # rows kept

UsageSample = tuple[float, float, tuple[tuple[str, int, int], ...]]
"""(simulated second, window in seconds, (container, millicores, bytes) of each container)."""
SampleReader = Callable[[int, int | None], tuple[Sequence[tuple[int, str, UsageSample]], bool]]
"""reader(after_revision, limit) -> ([(revision, key, sample), ...], lost)."""


class LogRow(NamedTuple):
    """One row of the log.

    Attributes:
        serial: number of the row, from 1, without gaps.
        time: simulated second.
        level: debug, info, warn or error.
        component: the component that wrote it, for example ``KubeAPI``.
        action: what happened, as a tag: ``CreatedPod``, ``PodStart``, ``ScaleUp``.
        message: what happened, as text.
    """

    serial: int
    time: float
    level: str
    component: str
    action: str
    message: str

    def __str__(self) -> str:
        # "EtcdStore: Initialized: Initialized in-memory ..." would repeat the tag.
        tag = "" if self.message.startswith(self.action) else f"{self.action}: "
        return f"[{self.level.upper()}] {self.component}: {tag}{self.message}"


@dataclass(frozen=True, slots=True)
class Page:
    """Rows after a cursor.

    Attributes:
        rows: the rows, oldest first.
        cursor: the cursor for the next call.
        lost: number of rows after the old cursor that were dropped before they were read.
    """

    rows: list[LogRow]
    cursor: int
    lost: int = 0

    def table(self) -> Table:
        """Return the rows as a table."""
        return as_table(self.rows)


def as_table(rows: Iterable[LogRow]) -> Table:
    """Return log rows as a table: time, level, component, action, message."""
    return Table(
        ("time [s]", "level", "component", "action", "message"),
        [(row.time, row.level, row.component, row.action, row.message) for row in rows],
    )


class Filters(TypedDict, total=False):
    """The filters of `Analytics.since` as keyword arguments."""

    component: str | None
    level: str | None
    action: str | None
    contains: str | None
    since_seconds: float | None
    limit: int | None


class Analytics:
    """The bounded log.

    Any thread may write and read: appending to a bounded deque and counting are atomic, and readers
    copy the rows before they filter them.

    Args:
        now: returns the simulated second.
        capacity: maximal number of rows; the oldest are dropped.
        sink: called with the printed form of each row of at least `sink_level`. The log never harms
            the components that write to it: a sink that raises is not called again.
        sink_level: the lowest level that is printed.

    Attributes:
        unprinted: number of rows that the sink did not get, from the one at which it raised.
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
        self._sink_failed = False
        self._sink_failures = iter(range(1 << 62))
        self.unprinted = 0
        self._samples: SampleReader | None = None

    def log(self, component: str, action: str, message: str, level: str = "info") -> None:
        """Add a row.

        Args:
            component: the component that writes it.
            action: what happened, as a tag.
            message: what happened, as text.
            level: debug, info, warn or error.

        Raises:
            ValueError: an unknown level.
        """
        rank = _RANKS.get(level)
        if rank is None:
            raise _unknown_level(level)
        row = LogRow(next(self._serials), self._now(), level, component, action, message)
        self._rows.append(row)
        if self._sink is not None and rank >= self._sink_rank:
            self._print(self._sink, row)

    def _print(self, sink: Callable[[str], None], row: LogRow) -> None:
        """Pass a row to the sink; switch the sink off, with one warning, if it raises."""
        if self._sink_failed:
            self.unprinted += 1
            return
        try:
            sink(str(row))
        except USER_ERRORS as error:  # the sink is the user's
            self._sink_failed = True
            self.unprinted += 1
            if next(self._sink_failures) > 0:
                return  # it raised in several threads at once: the first one reports it
            message = f"the sink is switched off: it raised {error_text(error)}"
            self.log("Analytics", "SinkFailed", message, "warn")
            with suppress(RuntimeWarning):  # a filter may turn the warning into an error
                warnings.warn(message, RuntimeWarning, stacklevel=3)

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
            cursor: serial of the last row seen; 0: all kept rows.
            component: only rows of this component.
            level: only rows of at least this level.
            action: only rows with this action.
            contains: only rows whose message contains this string.
            since_seconds: only rows of this simulated second or later.
            limit: maximal number of rows; the new cursor is then that of the last one returned.

        Raises:
            ValueError: an unknown level.
        """
        least = _rank(level) if level is not None else 0
        # Two threads may append in another order than they got their serials.
        rows = sorted(self._snapshot())
        oldest = rows[0].serial if rows else 1
        newest = rows[-1].serial if rows else cursor
        selected = (
            row
            for row in rows
            if row.serial > cursor
            and (component is None or row.component == component)
            and (action is None or row.action == action)
            and (contains is None or contains in row.message)
            and (since_seconds is None or row.time >= since_seconds)
            and LEVELS.index(row.level) >= least
        )
        result = list(islice(selected, limit)) if limit is not None else list(selected)
        if limit is not None and len(result) == limit and result:
            newest = result[-1].serial
        return Page(result, max(cursor, newest), max(0, oldest - cursor - 1))

    def table(self, last: int = 20, **filters: Unpack[Filters]) -> Table:
        """Return the newest rows as a table.

        Args:
            last: maximal number of rows.
            filters: as in `since`.
        """
        return as_table(self.since(0, **filters).rows[-last:])

    def attach_samples(self, reader: SampleReader) -> None:
        """Set the function that reads usage samples; the cluster calls this once."""
        self._samples = reader

    def metrics_since(self, revision: int = 0, limit: int | None = 1_000) -> Page:
        """Return usage samples as rows; the cursor is the store revision of the last one.

        A message reads ``default/auto-pod-0 cpu=134m memory=76MB``. `lost` is 1 if samples after
        the cursor were dropped before they were read, otherwise 0.

        Args:
            revision: cursor of the previous call; 0: all kept samples.
            limit: maximal number of rows; None: no limit.
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
        # Copying a deque while another thread appends raises RuntimeError, rarely: try again.
        while True:
            try:
                return list(self._rows)
            except RuntimeError:
                continue


class NullAnalytics(Analytics):
    """A log that keeps no rows, for components that are used without a cluster."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0, capacity=0)

    def log(self, component: str, action: str, message: str, level: str = "info") -> None:
        """Discard the row."""


def _rank(level: str) -> int:
    rank = _RANKS.get(level)
    if rank is None:
        raise _unknown_level(level)
    return rank


def _unknown_level(level: str) -> ValueError:
    return ValueError(f"no level {level!r}; levels are {', '.join(LEVELS)}")


def _usage_text(key: str, sample: UsageSample) -> str:
    namespace, _, name = key.rpartition("/")
    cpu = sum(container[1] for container in sample[2])
    memory = sum(container[2] for container in sample[2])
    return f"{namespace.rpartition('/')[2]}/{name} cpu={cpu}m memory={memory // 1_000_000}MB"
