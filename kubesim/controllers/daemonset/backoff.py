"""Back-off for the deletion of failed daemon pods: 1 s, doubling to 15 min, per node.

Without it, a kubelet that rejects a pod and a controller that replaces it at once would loop.

>>> backoff = FailedPodBackOff()
>>> backoff.next("agent/node-1", now=0.0)           # the first failed pod is deleted at once
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
RESET_FACTOR = 2  # the back-off is reset after this multiple of its maximum without a failure


class FailedPodBackOff:
    """The back-off of each key (DaemonSet uid and node name).

    Args:
        first: initial back-off, in seconds.
        most: maximum back-off, in seconds.
    """

    def __init__(self, first: float = FIRST_SECONDS, most: float = MAX_SECONDS) -> None:
        self._first, self._most = first, most
        self._entries: dict[str, tuple[float, float]] = {}  # (seconds, since)

    def next(self, key: str, now: float) -> None:
        """Note that a failed pod is deleted now, and double the back-off of the next one."""
        seconds, since = self._entries.get(key, (0.0, now))
        fresh = not seconds or now - since > RESET_FACTOR * self._most
        self._entries[key] = (self._first if fresh else min(2 * seconds, self._most), now)

    def waiting(self, key: str, now: float) -> bool:
        """Return whether the last deletion is more recent than the back-off."""
        seconds, since = self._entries.get(key, (0.0, now))
        if now - since > RESET_FACTOR * self._most:
            return False
        return bool(seconds) and now - since < seconds

    def seconds(self, key: str) -> float:
        """Return the current back-off in seconds, or 0."""
        return self._entries.get(key, (0.0, 0.0))[0]

    def forget(self, prefix: str) -> None:
        """Drop the entries of a deleted DaemonSet."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]
