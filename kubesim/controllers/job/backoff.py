"""Job arithmetic: wanted pods, backoffLimit, back-off, completion indexes.

Ours keeps upstream's rules for NonIndexed, work-queue and Indexed Jobs as pure functions.

>>> wanted_active(parallelism=3, completions=5, succeeded=4, active=2)
1
>>> backoff_seconds([1, 2, 3, 4, 5, 6, 7])[-1]
600.0
>>> format_indexes([1, 2, 4, 5, 7, 8, 9])
'1,2,4,5,7-9'

Source: pkg/controller/job/job_controller.go, backoff_utils.go, indexed_job_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count, islice
from typing import NamedTuple

from kubesim.objects.intstr import parse_int

BACKOFF_SECONDS = 10.0  # DefaultJobPodFailureBackOff
MAX_BACKOFF_SECONDS = 600.0  # MaxJobPodFailureBackOff
MAX_PODS_A_SYNC = 500


def wanted_active(*, parallelism: int, completions: int | None, succeeded: int, active: int) -> int:
    """Return how many pods should be active.

    Args:
        parallelism: spec.parallelism.
        completions: spec.completions; None for a work queue.
        succeeded: number of pods (or indexes) that succeeded.
        active: number of active pods.
    """
    if completions is not None:
        return max(0, min(parallelism, completions - succeeded))
    # A work queue: once one pod succeeded, no new pods are created.
    return active if succeeded > 0 else parallelism


def backoff_limit_exceeded(
    *, failed: int, limit: int, restarts_of_active: int = 0, on_failure: bool = False
) -> bool:
    """Return whether a Job exceeds its backoffLimit.

    Args:
        failed: number of failed pods; the limit is exceeded strictly above it.
        limit: spec.backoffLimit.
        restarts_of_active: sum of the restart counts of active pods; the limit itself exceeds.
        on_failure: restartPolicy is OnFailure: restarts count.
    """
    if failed > limit:
        return True
    if not on_failure:
        return False
    return restarts_of_active > 0 if limit == 0 else restarts_of_active >= limit


def backoff_for(failures: int) -> float:
    """Return the seconds to wait after the last of `failures` failures since the last success."""
    if failures <= 0:
        return 0.0
    return float(min(BACKOFF_SECONDS * 2 ** (failures - 1), MAX_BACKOFF_SECONDS))


def backoff_seconds(failures: Iterable[int]) -> list[float]:
    """Return `backoff_for` of each number, for tables and charts."""
    return [backoff_for(number) for number in failures]


def missing_indexes(
    *, completions: int, succeeded: set[int], active: set[int], failed: set[int], limit: int
) -> list[int]:
    """Return the lowest completion indexes that are neither active nor finished.

    Args:
        completions: spec.completions.
        succeeded, active, failed: indexes that get no new pod.
        limit: maximum number of indexes.
    """
    used = succeeded | active | failed
    free = (index for index in range(completions) if index not in used)
    return list(islice(free, max(0, limit)))


def format_indexes(indexes: Iterable[int]) -> str:
    """Format status.completedIndexes: runs of three and more as a range, shorter ones as a list."""
    ordered = sorted(set(indexes))
    parts: list[str] = []
    start = 0
    for end in count(1):
        if end < len(ordered) and ordered[end] == ordered[end - 1] + 1:
            continue
        run = ordered[start:end]
        if len(run) >= 3:
            parts.append(f"{run[0]}-{run[-1]}")
        else:
            parts.extend(str(index) for index in run)
        start = end
        if end >= len(ordered):
            return ",".join(parts)
    return ""


def parse_indexes(text: str, completions: int) -> frozenset[int]:
    """Parse status.completedIndexes or succeededIndexes.

    Indexes from `completions` on are dropped, and intervals that cannot be parsed are skipped.

    >>> sorted(parse_indexes("1,4,7-9", 9)), sorted(parse_indexes("0,1-foo,3", 9))
    ([1, 4, 7, 8], [0, 3])
    """
    indexes: set[int] = set()
    for interval in text.split(",") if text else ():
        limits = interval.split("-")
        first = parse_int(limits[0])
        last = parse_int(limits[1]) if len(limits) > 1 else first
        if first is None or last is None:
            continue
        if first >= completions:
            break
        indexes.update(range(first, min(last + 1, completions)))
    return frozenset(indexes)


class BackoffRecord(NamedTuple):
    """The failures of a Job that determine the back-off of its next pod.

    Attributes:
        failures: since the last success.
        last: second at which the last of them finished, or None.
    """

    failures: int = 0
    last: float | None = None

    def after(self, succeeded: Sequence[float], failed: Sequence[float]) -> BackoffRecord:
        """Return the record after more pods finished.

        Args:
            succeeded, failed: seconds at which they finished. A success clears the failures that
                finished before it or at the same time.

        >>> BackoffRecord().after([], [10.0, 12.0])
        BackoffRecord(failures=2, last=12.0)
        >>> BackoffRecord(2, 12.0).after([20.0], [20.0, 21.0])
        BackoffRecord(failures=1, last=21.0)
        """
        if succeeded:
            late = [time for time in failed if time > max(succeeded)]
            return BackoffRecord(len(late), max(late, default=None))
        earlier = [] if self.last is None else [self.last]
        return BackoffRecord(self.failures + len(failed), max([*earlier, *failed], default=None))

    def remaining(self, now: float) -> float:
        """Return the seconds until the back-off is over; 0: a pod may be created now."""
        if self.last is None:
            return 0.0
        return max(0.0, self.last + backoff_for(self.failures) - now)
