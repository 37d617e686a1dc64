"""WorkQueue: keys to process, one at a time.

Fair: first in, first out. Stingy: a key that is added five times before it is processed is
processed once; a key that is added while it is processed is processed again afterwards. A failing
key is requeued with a growing delay.

>>> from kubesim.clock import VirtualClock
>>> clock = VirtualClock()
>>> queue = WorkQueue(clock.worker("example"), lambda key: print(clock.now(), key))
>>> for key in ("a", "b", "a"):
...     queue.add(key)
>>> queue.add_after("c", 2.0)
>>> clock.sleep(5)
0.0 a
0.0 b
2.0 c

Source: k8s.io/client-go/util/workqueue (doc.go, queue.go, default_rate_limiters.go).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kubesim.clock.base import Worker

BASE_DELAY_SECONDS = 0.005  # DefaultControllerRateLimiter: 5 ms ...
MAX_DELAY_SECONDS = 1000.0  # ... doubling to 1000 s


class WorkQueue:
    """A queue of keys in front of one function, on one worker.

    Args:
        worker: the worker on which `process` runs.
        process: called with one key at a time; it handles its own errors.
        base_delay_seconds, max_delay_seconds: first and longest back-off of a failing key.
    """

    def __init__(
        self,
        worker: Worker,
        process: Callable[[str], None],
        *,
        base_delay_seconds: float = BASE_DELAY_SECONDS,
        max_delay_seconds: float = MAX_DELAY_SECONDS,
    ) -> None:
        self._worker = worker
        self._process = process
        self._base = base_delay_seconds
        self._max = max_delay_seconds
        # Used on the worker only. Invariants, as in client-go's queue.go:
        self._queue: deque[str] = deque()  # in order; each key is in _dirty, none is in _processing
        self._dirty: set[str] = set()  # to be processed
        self._processing: str | None = None  # is being processed; may be dirty again
        self._failures: dict[str, int] = {}
        self._retrying: set[str] = set()  # failed keys whose back-off has not ended
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, key: str) -> None:
        """Queue a key. Call it on the worker, or before the worker runs."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key != self._processing:
            self._queue.append(key)
            self._schedule()

    def add_after(self, key: str, seconds: float) -> None:
        """Queue a key after a delay in simulated seconds."""
        self._worker.call_later(seconds, lambda: self.add(key))

    def add_rate_limited(self, key: str) -> float:
        """Queue a key after the back-off for its failures; return the delay in seconds.

        If an earlier back-off of the key has not ended, which is sooner, it is not queued twice.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._base * 2.0 ** min(failures, 60), self._max)
        if key not in self._retrying:
            self._retrying.add(key)
            self._worker.call_later(delay, lambda: self._retry(key))
        return delay

    def _retry(self, key: str) -> None:
        self._retrying.discard(key)
        self.add(key)

    def forget(self, key: str) -> None:
        """Reset the failures of a key: its next back-off is the first one again."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """Return the failures of a key since the last `forget`."""
        return self._failures.get(key, 0)

    def _schedule(self) -> None:
        # One key for each callback: a long queue does not delay the informers.
        if not self._scheduled and self._queue:
            self._scheduled = True
            self._worker.call_soon(self._run_one)

    def _run_one(self) -> None:
        self._scheduled = False
        key = self._queue.popleft()
        self._dirty.discard(key)
        self._processing = key
        try:
            self._process(key)
        finally:
            self._processing = None
            if key in self._dirty:
                self._queue.append(key)
            self._schedule()
