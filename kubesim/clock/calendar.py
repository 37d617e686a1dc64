"""Simulated seconds as dates: RFC 3339 texts as metav1.Time writes them, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

VIRTUAL_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""The date at which every virtual clock starts, so that runs repeat to the letter."""

CACHED_TEXTS = 512  # pods of one second all ask for the same text


class Calendar:
    """Converts between simulated seconds and dates.

    Args:
        epoch: the UTC date at which the simulated second was 0.0.
    """

    def __init__(self, epoch: datetime) -> None:
        self.epoch = epoch
        self._texts: dict[int, str] = {}

    def timestamp(self, seconds: float) -> str:
        """RFC 3339 in UTC, cut to whole seconds, as metav1.Time.

        >>> Calendar(VIRTUAL_EPOCH).timestamp(61.9)
        '2025-01-01T00:01:01Z'
        """
        whole = int(seconds)
        text = self._texts.get(whole)
        if text is None:
            if len(self._texts) >= CACHED_TEXTS:
                self._texts = {}
            moment = self.epoch.replace(microsecond=0) + timedelta(seconds=whole)
            text = self._texts[whole] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return text

    def seconds_at(self, timestamp: str) -> float:
        """Simulated seconds of an RFC 3339 text; fractions and offsets are understood.

        Raises:
            ValueError: the text is no RFC 3339 date and time.

        >>> Calendar(VIRTUAL_EPOCH).seconds_at("2025-01-01T01:01:01.5+01:00")
        61.5
        """
        try:
            moment = datetime.fromisoformat(timestamp)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ValueError(f"{timestamp!r} is no RFC 3339 time such as 2025-01-01T00:00:00Z")
        return (moment - self.epoch.replace(microsecond=0)).total_seconds()
