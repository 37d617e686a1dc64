"""Simulated seconds as dates: RFC 3339 strings as metav1.Time writes them, and back."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

VIRTUAL_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""The date at which every virtual clock starts, so that runs are repeatable byte for byte."""

RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"
CACHED_TIMESTAMPS = 512  # all pods of one second need the same string


class Timestamps(dict[int, str]):
    """RFC 3339 strings by whole simulated second, formatted at the first look-up.

    Args:
        epoch: the UTC date at which the simulated second was 0.

    >>> Timestamps(VIRTUAL_EPOCH)[61]
    '2025-01-01T00:01:01Z'
    """

    def __init__(self, epoch: datetime) -> None:
        super().__init__()
        self._epoch = epoch.replace(microsecond=0)

    def __missing__(self, second: int) -> str:
        if len(self) >= CACHED_TIMESTAMPS:
            self.clear()
        formatted = (self._epoch + timedelta(seconds=second)).strftime(RFC_3339)
        self[second] = formatted
        return formatted


class Calendar:
    """Converts between simulated seconds and dates.

    Args:
        epoch: the UTC date at which the simulated second was 0.0.

    Attributes:
        timestamps: the string of each whole second; cut to whole seconds, as metav1.Time.
    """

    def __init__(self, epoch: datetime) -> None:
        self.epoch = epoch
        self.timestamps = Timestamps(epoch)
        self._lock = threading.Lock()
        self._nanoseconds = 0

    def unique_nanoseconds(self, seconds: float) -> int:
        """Return a simulated second as nanoseconds since 1970, above all that it returned before.

        On the virtual clock many things happen in one instant; their order is kept.

        >>> calendar = Calendar(VIRTUAL_EPOCH)
        >>> [calendar.unique_nanoseconds(1.5) for _ in range(2)]
        [1735689601500000000, 1735689601500000001]
        """
        moment = int(self.epoch.timestamp()) * 1_000_000_000 + round(seconds * 1e9)
        with self._lock:
            self._nanoseconds = max(moment, self._nanoseconds + 1)
            return self._nanoseconds

    def seconds_at(self, timestamp: str) -> float:
        """Parse an RFC 3339 string; return its simulated seconds. Fractions and offsets count.

        Raises:
            ValueError: the string is not an RFC 3339 date and time.

        >>> Calendar(VIRTUAL_EPOCH).seconds_at("2025-01-01T01:01:01.5+01:00")
        61.5
        """
        try:
            moment = datetime.fromisoformat(timestamp)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ValueError(f"{timestamp!r} is not an RFC 3339 time such as 2025-01-01T00:00:00Z")
        return (moment - self.epoch.replace(microsecond=0)).total_seconds()
