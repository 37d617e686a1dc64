"""How containers are stopped: preStop, SIGTERM, SIGKILL, inside one grace period.

The grace period covers everything: the preStop hook runs first, the process has the rest of the
time after SIGTERM, and it is killed if it still runs at the end. It always has two seconds after
SIGTERM. Main containers are stopped together; sidecars follow one at a time, in reverse order of
their start, within the same grace period.

>>> stop_times(now=0.0, deadline=30.0, pre_stop_seconds=5.0, stop_seconds=3.0)
Stop(term_at=5.0, exit_at=8.0, killed=False)
>>> stop_times(now=0.0, deadline=30.0, pre_stop_seconds=0.0, stop_seconds=60.0)
Stop(term_at=0.0, exit_at=30.0, killed=True)
>>> stop_times(now=0.0, deadline=30.0, pre_stop_seconds=40.0, stop_seconds=60.0)  # by the hook
Stop(term_at=30.0, exit_at=32.0, killed=True)

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainer, setTerminationGracePeriod),
kuberuntime_termination_order.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from kubesim.clock.base import Worker
from kubesim.kubelet.pod.containers import ContainerState
from kubesim.kubelet.pod.phase import RUNNING, SIDECAR
from kubesim.kubelet.process.hooks import handler_seconds
from kubesim.kubelet.process.process import Process

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict

MINIMUM_SECONDS = 2.0  # minimumGracePeriodInSeconds: after SIGTERM, whatever is left
KILL_EXIT_CODE = 137  # 128 + SIGKILL


class Stop(NamedTuple):
    """The times at which one container is stopped.

    Attributes:
        term_at: simulated second of SIGTERM.
        exit_at: second at which the process is gone.
        killed: whether it had to be killed.
    """

    term_at: float
    exit_at: float
    killed: bool


def stop_times(now: float, deadline: float, pre_stop_seconds: float, stop_seconds: float) -> Stop:
    """Return when a container receives SIGTERM and when it is gone.

    Args:
        now: second at which the kubelet begins to stop it.
        deadline: second at which the grace period ends.
        pre_stop_seconds: how long its preStop hook runs.
        stop_seconds: how long its process needs after SIGTERM; infinite if it ignores SIGTERM.
    """
    term_at = now + max(0.0, min(pre_stop_seconds, deadline - now))
    kill_at = max(deadline, term_at + MINIMUM_SECONDS)
    exit_at = term_at + stop_seconds
    return Stop(term_at, min(exit_at, kill_at), exit_at > kill_at)


def pre_stop_seconds(container: ContainerDict) -> float:
    """Return how many seconds a container's preStop hook takes if its command is not simulated.

    >>> pre_stop_seconds({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}})
    5.0
    >>> pre_stop_seconds({"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 7"]}}}})
    7.0
    """
    return handler_seconds((container.get("lifecycle") or {}).get("preStop") or {})


def stop_order(mains: Sequence[str], sidecars: Sequence[str]) -> list[list[str]]:
    """Return the groups of containers that are stopped together, the first group first.

    Args:
        mains: names of main containers, and of an init container that is running.
        sidecars: names in the order of the spec.

    >>> stop_order(["web", "log"], ["proxy", "mesh"])
    [['web', 'log'], ['mesh'], ['proxy']]
    """
    return [list(mains), *([name] for name in reversed(sidecars))]


class Stopper:
    """Stops containers in groups, one group after the other, inside one grace period.

    Steps that take no time happen at once, in the call that asked for them.

    Args:
        containers: the containers to stop, in the order of the spec.
        worker, now: the pod's worker and the clock.
        deadline: second at which the grace period ends.
        killing: called with each container when its turn comes.
        pre_stop: runs a container's preStop hook; returns how many seconds that takes.
        exited: called with each container that is gone, and its exit code.
        changed: called when some containers are gone and others are not.
        done: called when all are gone.
    """

    __slots__ = (
        "_changed",
        "_deadline",
        "_done",
        "_exited",
        "_groups",
        "_killing",
        "_now",
        "_pre_stop",
        "_signalled",
        "_stopping",
        "_worker",
    )

    def __init__(
        self,
        containers: Sequence[ContainerState],
        worker: Worker,
        now: Callable[[], float],
        deadline: float,
        *,
        killing: Callable[[ContainerState], object],
        pre_stop: Callable[[ContainerState], float],
        exited: Callable[[ContainerState, int], object],
        changed: Callable[[], object],
        done: Callable[[], object],
    ) -> None:
        by_name = {c.name: c for c in containers if c.state == RUNNING}
        order = stop_order(
            [name for name, c in by_name.items() if c.kind != SIDECAR],
            [name for name, c in by_name.items() if c.kind == SIDECAR],
        )
        self._groups = [[by_name[name] for name in group] for group in order if group]
        self._worker = worker
        self._now = now
        self._deadline = deadline
        self._killing = killing
        self._pre_stop = pre_stop
        self._exited = exited
        self._changed = changed
        self._done = done
        self._signalled: set[str] = set()  # containers whose program got SIGTERM
        # By name: the container, since when, and the seconds of its preStop hook.
        self._stopping: dict[str, tuple[ContainerState, float, float]] = {}

    def begin(self) -> None:
        """Stop the first group, and the next ones as far as that takes no time."""
        while self._groups and not self._stopping:
            for container in self._groups.pop(0):
                if container.state == RUNNING:  # it may have ended by itself in the meantime
                    container.begin_stop()
                    self._killing(container)
                    entry = (container, self._now(), self._pre_stop(container))
                    self._stopping[container.name] = entry
            for container, _, _ in list(self._stopping.values()):
                self._schedule(container)
        if not self._stopping:
            self._done()

    def shorten(self, deadline: float) -> None:
        """Move the end of the grace period forward; a later deadline is ignored."""
        if deadline >= self._deadline:
            return
        self._deadline = deadline
        for container, _, _ in list(self._stopping.values()):
            self._schedule(container)
        if not self._stopping:
            self.begin()

    def left(self, container: ContainerState) -> None:
        """Record that a container that was asked to stop exited by itself."""
        if self._stopping.pop(container.name, None) is not None and not self._stopping:
            self.begin()

    def _schedule(self, container: ContainerState) -> None:
        """Compute when a container is gone, and set the timer for it."""
        container.cancel_timers()
        _, since, pre_stop = self._stopping[container.name]
        process, seconds = container.process, container.behaviour.stop_seconds
        if process is not None and process.catches_term and not seconds:
            seconds = inf  # its trap decides
        times = stop_times(since, self._deadline, pre_stop, seconds)
        if process is not None and seconds == inf and container.name not in self._signalled:
            self._signal_later(container, process, times.term_at)
        code = KILL_EXIT_CODE if times.killed else container.behaviour.stop_exit_code
        wait = times.exit_at - self._now()
        if wait <= 0:
            self._stopped(container, code)
            return
        timer = self._worker.call_later(wait, lambda: self._stopped_later(container, code))
        container.timers.append(timer)

    def _signal_later(self, container: ContainerState, process: Process, term_at: float) -> None:
        """Send SIGTERM to a program that has a trap for it."""

        def send() -> None:
            self._signalled.add(container.name)
            process.terminate()

        wait = max(0.0, term_at - self._now())
        container.timers.append(self._worker.call_later(wait, send))

    def _stopped(self, container: ContainerState, code: int) -> None:
        self._stopping.pop(container.name, None)
        self._exited(container, code)

    def _stopped_later(self, container: ContainerState, code: int) -> None:
        self._stopped(container, code)
        if self._stopping or self._groups:
            self._changed()
        if not self._stopping:
            self.begin()
