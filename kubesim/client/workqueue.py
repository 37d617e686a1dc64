"""WorkQueue: keys that want attention, each worked on once at a time.

Fair: first in, first out. Stingy: a key that is added five times before it is worked on is worked
on once; one that is added while it is worked on is worked on again afterwards. Failing keys come
back with a growing delay.

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
        worker: the serial lane on which `process` runs.
        process: called with one key at a time; it deals with its own errors.
        base_delay_seconds, max_delay_seconds: of the back-off of failing keys.
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
        # Touched on the worker alone. Invariants, as in client-go's queue.go:
        self._queue: deque[str] = deque()  # in order; every one is in _dirty, none in _processing
        self._dirty: set[str] = set()  # wants attention
        self._processing: str | None = None  # is being worked on; may be dirty again
        self._failures: dict[str, int] = {}
        self._retrying: set[str] = set()  # failed keys that come back by themselves
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, key: str) -> None:
        """Ask for attention. On the worker, or before anything runs."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key != self._processing:
            self._queue.append(key)
            self._schedule()

    def add_after(self, key: str, seconds: float) -> None:
        """Ask for attention later."""
        self._worker.call_later(seconds, lambda: self.add(key))

    def add_rate_limited(self, key: str) -> float:
        """Ask for attention after the back-off of this key's failures; returns the delay.

        A key that is on its way back already, which is sooner, is not queued a second time.
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
        """The key is well: its next failure starts the back-off anew."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """Failures of a key since it was last well."""
        return self._failures.get(key, 0)

    def _schedule(self) -> None:
        # One key for each callback: a long queue does not keep the informers waiting.
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
