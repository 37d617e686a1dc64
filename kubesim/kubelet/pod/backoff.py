"""Back-off of crashed containers (CrashLoopBackOff) and failed image pulls (ImagePullBackOff).

>>> backoff = CrashBackOff()
>>> [backoff.delay(exited_at=0.0) for _ in range(7)]
[0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0]

Source: pkg/kubelet/kubelet.go (backOffPeriod, MaxContainerBackOff),
k8s.io/client-go/util/flowcontrol/backoff.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.clock.streams import keyed_fraction

INITIAL_SECONDS = 10.0  # backOffPeriod
SYNC_JITTER = 0.5  # workerBackOffPeriodJitterFactor
MAX_SECONDS = 300.0  # MaxContainerBackOff
FORGET_SECONDS = 2 * MAX_SECONDS  # the back-off of a container that ran longer is reset


def sync_seconds(draw: str) -> float:
    """Return the seconds between two syncs of a pod in back-off: 10 to 15.

    Each of them records the Event BackOff again. Up to 1.34 a back-off is an error of the sync
    (kubernetes/kubernetes#123602).

    Args:
        draw: name of the draw; the same name gives the same result.

    Source: pkg/kubelet/pod_workers.go (completeWork).
    """
    return INITIAL_SECONDS * (1 + SYNC_JITTER * keyed_fraction(f"sync/{draw}"))


@dataclass(slots=True)
class CrashBackOff:
    """The back-off of one container; the kubelet keeps it in memory.

    Attributes:
        current: seconds that the container waits after its next crash; 0 before the first.
        updated: second of its last change.
    """

    current: float = 0.0
    updated: float = 0.0

    def delay(self, exited_at: float) -> float:
        """Return the seconds from the exit to the next start; the first restart has no delay.

        Args:
            exited_at: second of the exit.
        """
        if self.current == 0.0 or exited_at - self.updated > FORGET_SECONDS:
            self.current = INITIAL_SECONDS
            self.updated = exited_at
            return 0.0
        wait = self.current
        self.current = min(self.current * 2, MAX_SECONDS)
        self.updated = exited_at + wait
        return wait


@dataclass(slots=True)
class PullBackOff:
    """The back-off of one container's image pulls: 10 s after the first failure.

    >>> backoff = PullBackOff()
    >>> [backoff.delay() for _ in range(7)]
    [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    """

    current: float = 0.0

    def delay(self) -> float:
        """Return the seconds from this failure to the next attempt."""
        self.current = min(self.current * 2, MAX_SECONDS) if self.current else INITIAL_SECONDS
        return self.current
