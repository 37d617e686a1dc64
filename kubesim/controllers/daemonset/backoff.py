"""The back-off with which failed daemon pods are deleted: 1 s, doubling to 15 min, by node.

A kubelet that refuses a pod, and a controller that at once makes another, would keep each other
busy for ever.

>>> backoff = FailedPodBackOff()
>>> backoff.next("agent/node-1", now=0.0)           # the first one is deleted at once
>>> backoff.waiting("agent/node-1", now=0.5), backoff.waiting("agent/node-1", now=1.0)
(True, False)
>>> backoff.next("agent/node-1", now=1.0)
>>> backoff.seconds("agent/node-1")
2.0

Source: k8s.io/client-go/util/flowcontrol/backoff.go; pkg/controller/daemon/daemon_controller.go.
"""

from __future__ import annotations

FIRST_SECONDS = 1.0
MAX_SECONDS = 900.0
FORGOTTEN_FACTOR = 2  # after so many times the maximum without a failure, it begins anew


class FailedPodBackOff:
    """By a text that names DaemonSet and node: how long, and since when."""

    def __init__(self, first: float = FIRST_SECONDS, most: float = MAX_SECONDS) -> None:
        self._first, self._most = first, most
        self._entries: dict[str, tuple[float, float]] = {}  # (seconds, since)

    def next(self, key: str, now: float) -> None:
        """A failed pod is deleted now; the one after it waits longer."""
        seconds, since = self._entries.get(key, (0.0, now))
        fresh = not seconds or now - since > FORGOTTEN_FACTOR * self._most
        self._entries[key] = (self._first if fresh else min(2 * seconds, self._most), now)

    def waiting(self, key: str, now: float) -> bool:
        """Whether the last deletion was less than the back-off ago."""
        seconds, since = self._entries.get(key, (0.0, now))
        if now - since > FORGOTTEN_FACTOR * self._most:
            return False
        return bool(seconds) and now - since < seconds

    def seconds(self, key: str) -> float:
        """The present back-off; 0 if there is none."""
        return self._entries.get(key, (0.0, 0.0))[0]

    def forget(self, prefix: str) -> None:
        """Drop the entries of a DaemonSet that is gone."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]
