"""The log of one run of a container.

Source: pkg/kubelet/kuberuntime/logs.
"""

from __future__ import annotations

from collections import deque

from kubesim.objects.wellknown import TICK_LINE

LOG_LINES = 100  # kept for each run of a container

Line = tuple[float, str]
Log = deque[Line | float]
"""Log lines with their seconds; a bare second stands for `TICK_LINE` at that second."""


class NoLog:
    """A log that keeps nothing."""

    def append(self, second: float, /) -> None:
        """Forget the line."""


NO_LOG = NoLog()


def new_log() -> Log:
    """Return an empty log."""
    return deque(maxlen=LOG_LINES)


def copy_log(log: Log) -> list[Line]:
    """Return the lines of a log with their seconds; from any thread."""
    while True:
        try:
            retained = list(log)
        except RuntimeError:  # appended to while it was copied: try again
            continue
        return [line if isinstance(line, tuple) else (line, TICK_LINE) for line in retained]
