"""Job arithmetic: how many pods a Job wants, when it backs off, which indexes it still lacks.

Ours keeps upstream's rules for non-indexed, work-queue and indexed Jobs as pure functions; the
controller around them reads and writes.

>>> wanted_active(parallelism=3, completions=5, succeeded=4, active=2)
1
>>> backoff_seconds([1, 2, 3, 4, 5, 6, 7])[-1]
600.0
>>> format_indexes([1, 2, 4, 5, 7, 8, 9])
'1,2,4,5,7-9'

Source: pkg/controller/job/job_controller.go, backoff_utils.go, indexed_job_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count, islice

BACKOFF_SECONDS = 10.0  # DefaultJobPodFailureBackOff
MAX_BACKOFF_SECONDS = 600.0  # MaxJobPodFailureBackOff
MAX_PODS_A_SYNC = 500


def wanted_active(*, parallelism: int, completions: int | None, succeeded: int, active: int) -> int:
    """How many pods should be active.

    Args:
        parallelism: spec.parallelism.
        completions: spec.completions; None for a work queue.
        succeeded: pods (or indexes) that succeeded so far.
        active: pods active now.
    """
    if completions is not None:
        return max(0, min(parallelism, completions - succeeded))
    # A work queue: once one pod succeeded, no new ones are started.
    return active if succeeded > 0 else parallelism


def backoff_limit_exceeded(
    *, failed: int, limit: int, restarts_of_active: int = 0, on_failure: bool = False
) -> bool:
    """Whether the Job failed too often: pods count strictly above, restarts from the limit on."""
    if failed > limit:
        return True
    if not on_failure:
        return False
    return restarts_of_active > 0 if limit == 0 else restarts_of_active >= limit


def backoff_for(failures: int) -> float:
    """Seconds to wait after the last failure, by the failures since the last success."""
    if failures <= 0:
        return 0.0
    return float(min(BACKOFF_SECONDS * 2 ** (failures - 1), MAX_BACKOFF_SECONDS))


def backoff_seconds(failures: Iterable[int]) -> list[float]:
    """`backoff_for` of each, for tables and charts."""
    return [backoff_for(number) for number in failures]


def missing_indexes(
    *, completions: int, succeeded: set[int], active: set[int], failed: set[int], limit: int
) -> list[int]:
    """The lowest indexes that are neither active nor finished, at most `limit`."""
    taken = succeeded | active | failed
    free = (index for index in range(completions) if index not in taken)
    return list(islice(free, max(0, limit)))


def format_indexes(indexes: Iterable[int]) -> str:
    """status.completedIndexes: runs of three and more as a range, shorter ones as a list."""
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
