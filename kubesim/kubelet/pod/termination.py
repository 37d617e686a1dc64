"""How a container is stopped, second by second: preStop, SIGTERM, SIGKILL. Pure functions.

The grace period is one budget for everything: the preStop hook runs inside it, what is left is for
the process after SIGTERM, and a process that is still there at the end is killed. Two seconds after
SIGTERM are always given. Main containers are stopped together; sidecars after them, one at a time,
the one that was started last first, inside the same budget.

>>> stop_times(now=0.0, deadline=30.0, pre_stop_seconds=5.0, stop_seconds=3.0)
Stop(term_at=5.0, exit_at=8.0, killed=False)
>>> stop_times(now=0.0, deadline=30.0, pre_stop_seconds=0.0, stop_seconds=60.0)
Stop(term_at=0.0, exit_at=30.0, killed=True)
>>> stop_times(now=0.0, deadline=30.0, pre_stop_seconds=40.0, stop_seconds=60.0)  # the hook ate it
Stop(term_at=30.0, exit_at=32.0, killed=True)

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainer, setTerminationGracePeriod),
kuberuntime_termination_order.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kubesim.clock.base import Worker
from kubesim.kubelet.pod.containers import ContainerLife
from kubesim.kubelet.pod.phase import RUNNING, SIDECAR

MINIMUM_SECONDS = 2.0  # minimumGracePeriodInSeconds: after SIGTERM, whatever is left
TERM_EXIT_CODE = 143  # 128 + SIGTERM: a process that does not catch it
KILL_EXIT_CODE = 137  # 128 + SIGKILL
_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")


class Stop(NamedTuple):
    """When what happens to one container.

    Attributes:
        term_at: simulated second of SIGTERM.
        exit_at: at which the process is gone.
        killed: it had to be killed.
    """

    term_at: float
    exit_at: float
    killed: bool


def stop_times(now: float, deadline: float, pre_stop_seconds: float, stop_seconds: float) -> Stop:
    """When a container gets SIGTERM and when it is gone.

    Args:
        now: second at which it is told to stop.
        deadline: second at which the grace ends.
        pre_stop_seconds: how long its preStop hook runs.
        stop_seconds: how long its process needs after SIGTERM; infinite if it ignores that.
    """
    term_at = now + max(0.0, min(pre_stop_seconds, deadline - now))
    kill_at = max(deadline, term_at + MINIMUM_SECONDS)
    exit_at = term_at + stop_seconds
    return Stop(term_at, min(exit_at, kill_at), exit_at > kill_at)


def pre_stop_seconds(container: Mapping[str, Any]) -> float:
    """How long a container's preStop hook takes.

    A ``sleep`` action says so; of a command its ``sleep N`` is taken; other commands and HTTP
    requests answer at once.

    >>> pre_stop_seconds({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}})
    5.0
    >>> pre_stop_seconds({"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 7"]}}}})
    7.0
    """
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    if hook.get("sleep"):
        return float(hook["sleep"].get("seconds") or 0)
    command = " ".join(map(str, (hook.get("exec") or {}).get("command") or ()))
    return sum(float(found) for found in _SLEEP.findall(command))


def stop_order(mains: Sequence[str], sidecars: Sequence[str]) -> list[list[str]]:
    """Groups of containers that are stopped together, the first group first.

    Args:
        mains: names of main containers, and of an init container that still runs.
        sidecars: names in the order of the spec.

    >>> stop_order(["web", "log"], ["proxy", "mesh"])
    [['web', 'log'], ['mesh'], ['proxy']]
    """
    return [list(mains), *([name] for name in reversed(sidecars))]


class Stopper:
    """Stops containers in groups, one group after the other, inside one grace period.

    Everything that takes no time is done at once, in the call that asked for it.

    Args:
        lives: the containers to stop, in the order of the spec.
        worker, now: the pod's worker and the clock.
        deadline: second at which the grace ends.
        killing: told of each container when its turn comes.
        exited: told of each container that is gone, with its exit code.
        changed: called when some are gone and others are not.
        done: called when all are.
    """

    def __init__(
        self,
        lives: Sequence[ContainerLife],
        worker: Worker,
        now: Callable[[], float],
        deadline: float,
        *,
        killing: Callable[[ContainerLife], Any],
        exited: Callable[[ContainerLife, int], Any],
        changed: Callable[[], Any],
        done: Callable[[], Any],
    ) -> None:
        by_name = {life.name: life for life in lives if life.state == RUNNING}
        order = stop_order(
            [name for name, life in by_name.items() if life.kind != SIDECAR],
            [name for name, life in by_name.items() if life.kind == SIDECAR],
        )
        self._groups = [[by_name[name] for name in group] for group in order if group]
        self._worker = worker
        self._now = now
        self._deadline = deadline
        self._killing = killing
        self._exited = exited
        self._changed = changed
        self._done = done
        self._told: dict[str, tuple[ContainerLife, float]] = {}  # who is stopping, since when

    def begin(self) -> None:
        """Stop the first group, and go on as far as that takes no time."""
        while self._groups and not self._told:
            for life in self._groups.pop(0):
                if life.state == RUNNING:  # it may have ended by itself meanwhile
                    life.stopping = True
                    self._told[life.name] = (life, self._now())
                    self._killing(life)
            for life, _ in list(self._told.values()):
                self._set(life)
        if not self._told:
            self._done()

    def shorten(self, deadline: float) -> None:
        """A second deletion gave less time."""
        if deadline >= self._deadline:
            return
        self._deadline = deadline
        for life, _ in list(self._told.values()):
            self._set(life)
        if not self._told:
            self.begin()

    def left(self, life: ContainerLife) -> None:
        """A container that was told to stop ended by itself."""
        if self._told.pop(life.name, None) is not None and not self._told:
            self.begin()

    def _set(self, life: ContainerLife) -> None:
        """Work out anew when a container is gone, and wait for that."""
        life.cancel()
        _, since = self._told[life.name]
        pre_stop = pre_stop_seconds(life.spec)
        times = stop_times(since, self._deadline, pre_stop, life.behaviour.stop_seconds)
        code = KILL_EXIT_CODE if times.killed else life.behaviour.stop_exit_code
        wait = times.exit_at - self._now()
        if wait <= 0:
            self._gone(life, code)
            return
        life.timers.append(self._worker.call_later(wait, lambda: self._gone_later(life, code)))

    def _gone(self, life: ContainerLife, code: int) -> None:
        self._told.pop(life.name, None)
        self._exited(life, code)

    def _gone_later(self, life: ContainerLife, code: int) -> None:
        self._gone(life, code)
        if self._told or self._groups:
            self._changed()
        if not self._told:
            self.begin()
