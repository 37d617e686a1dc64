"""The end of containers and of pods: exits, kills, graceful deletion, eviction, deadlines.

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainersWithSyncResult),
pkg/kubelet/kubelet.go (SyncTerminatingPod, SyncTerminatedPod), pkg/kubelet/active_deadline.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.base import PodBase
from kubesim.kubelet.pod.containers import ContainerLife
from kubesim.kubelet.pod.phase import INIT, MAIN, RUNNING, SIDECAR, TERMINATED
from kubesim.kubelet.pod.probing import PodProbes
from kubesim.kubelet.pod.status import Verdict, delete_for_good
from kubesim.kubelet.pod.termination import KILL_EXIT_CODE, Stopper
from kubesim.kubelet.usage.meter import Meter
from kubesim.objects.wellknown import TERMINATION_GRACE_SECONDS

STOP_LINE = "[stop] Pod is stopping..."
ERROR_EXIT_CODE = 1
DEADLINE = Verdict(
    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
)


class PodEnding(PodBase):
    """How it ends; the runner brings the rest."""

    _meter: Meter
    _probes: PodProbes
    _ended: Callable[[Any], None]
    _deleting = False
    _stop_began = 0.0

    def _sync(self) -> None:
        """Start what is to be started now; called after each change of a container's state."""
        raise TypeError("the runner says what is started next")

    # -- from the kubelet -------------------------------------------------------------------------

    def stop(self, grace_seconds: float = TERMINATION_GRACE_SECONDS) -> None:
        """The pod is being deleted: stop gracefully, show the last state, then let it go.

        Called again, it may only shorten the time.
        """
        if self._over:
            return
        self._deleting = True
        if self._stopper is not None:
            self._stopper.shorten(self._stop_began + grace_seconds)
            return
        self._probes.keep_only_readiness()
        self._stop_all(grace_seconds)

    def end(self, verdict: Verdict, grace_seconds: float) -> None:
        """The kubelet ends the pod (evicted, out of time): it stops, and is Failed."""
        if self._over or self._stopper is not None:
            return
        self._verdict = verdict
        self._probes.cancel()
        self._stop_all(grace_seconds)

    def vanish(self) -> None:
        """The object is gone: stop without a word to the API server."""
        if not self._over:
            self._tell("PodGone", f"Pod {self.name} was removed", "debug")
            self._finish()
        self.api.forget_metrics(self.namespace, self.name)

    # -- one container ----------------------------------------------------------------------------

    def _exit(self, life: ContainerLife, code: int, reason: str = "", message: str = "") -> None:
        """A container exited by itself."""
        if life.state == RUNNING and not self._over:
            life.say(self._now(), f"[exit] Pod exited with code {code}")
            self._gone(life, code, reason, message)

    def _gone(self, life: ContainerLife, code: int, reason: str = "", message: str = "") -> None:
        """A container is gone, for whatever reason."""
        if life.state != RUNNING or self._over:
            return
        self._probes.container_stopped(life)
        life.exit(self._now(), code, reason, message, self._timestamp)
        if self._stopper is None:
            self._sync()
            return
        self._follow()
        self._stopper.left(life)

    def _kill(self, life: ContainerLife, kind: str) -> None:
        """A container failed a probe: kill it inside its grace; it is started again."""
        own = self._probes.grace_seconds(life, kind)
        grace = self._grace() if own is None else float(own)
        said = f"Container {life.name} failed {kind} probe"
        if self._policy != "Never":
            said = f"{said}, will be restarted"

        def exited(life: ContainerLife, code: int) -> None:
            life.killed = True
            self._gone(life, code)

        Stopper(
            [life],
            self.worker,
            self._now,
            self._now() + grace,
            killing=lambda _life: self._event("Normal", "Killing", said),
            exited=exited,
            changed=self._write_status,
            done=lambda: None,
        ).begin()

    def _out_of_memory(self, life: ContainerLife) -> None:
        said = f"Container {life.name} of pod {self.name} used more memory than its limit"
        self._tell("PodOOMKilled", said, "warn")
        self._exit(life, KILL_EXIT_CODE, "OOMKilled")

    def _crash(self, lives: Sequence[ContainerLife], error: Exception) -> None:
        """The usage model raised: its containers fail, and nobody else."""
        said = f"{type(error).__name__}: {error}"
        self._tell("PodError", f"Pod {self.name} failed: {said}", "error")
        self._event("Warning", "Failed", f"Error: {said}")
        for life in lives:
            life.say(self._now(), f"[error] {said}")
            self._exit(life, ERROR_EXIT_CODE, "Error", said)

    def _follow(self) -> None:
        """Samples are taken of what runs now."""
        self._meter.follow([x for x in self._lives if x.state == RUNNING and x.kind != INIT])

    # -- the whole pod ----------------------------------------------------------------------------

    def _out_of_time(self) -> None:
        """activeDeadlineSeconds are over."""
        if self._over or self._stopper is not None:
            return
        self._event("Normal", DEADLINE.reason, DEADLINE.message)
        seconds = self.pod["spec"]["activeDeadlineSeconds"]
        change = f"activeDeadlineSeconds were more than {seconds}"
        record = records.ended_record(
            self._now(), self.pod, self._component, DEADLINE.reason, DEADLINE.message, change
        )
        self._decide(record)
        self.end(DEADLINE, self._grace())

    def _wind_up(self) -> None:
        """No main container will run again: stop what still runs, then say how it ended."""
        if any(x.state == RUNNING for x in self._lives):
            self._write_status()
        self._stop(self._grace())

    def _stop_all(self, grace_seconds: float) -> None:
        for timer in self._timers:
            timer.cancel()
        for life in self._lives:
            life.cancel()
            life.busy = False
            if life.state == RUNNING and life.kind != SIDECAR:
                life.say(self._now(), STOP_LINE)
        self._stop(grace_seconds)

    def _stop(self, grace_seconds: float) -> None:
        now = self._stop_began = self._now()
        self._stopper = Stopper(
            self._lives,
            self.worker,
            self._now,
            now + grace_seconds,
            killing=lambda x: self._event("Normal", "Killing", f"Stopping container {x.name}"),
            exited=self._gone,
            changed=self._write_status,
            done=self._conclude,
        )
        self._stopper.begin()

    def _conclude(self) -> None:
        """Nothing runs any more. A deleted pod is let go, another one keeps its object."""
        self._over = True
        if self._deleting:
            self._let_go()
            return
        self._write_status(ended=self._verdict is not None)
        counted = [life.ended for life in self._lives if life.kind != SIDECAR and life.ended]
        codes = [int(ended["exitCode"]) for ended in counted]
        code = next((code for code in codes if code), 0)
        if self._verdict is not None:
            self._tell("PodFailed", f"Pod {self.name} was ended: {self._verdict.reason}", "warn")
        else:
            action = "PodSucceeded" if code == 0 else "PodFailed"
            self._tell(action, f"Pod {self.name} ended with exit code {code}")
        self._finish()

    def _let_go(self) -> None:
        """Show the last state, then delete the object for good."""
        codes = [life.ended["exitCode"] for life in self._lives if life.ended]
        for life in self._lives:
            if life.kind != MAIN or life.state == TERMINATED:
                continue
            if life.last is not None:  # it waited to be started again
                life.state, life.ended, life.last = TERMINATED, life.last, None
            else:  # it never ran
                life.exit(self._now(), 0, "Completed", "", self._timestamp)
        self._write_status(ended=True)
        killed = KILL_EXIT_CODE in codes
        how = "was killed at the end of its grace" if killed else "stopped gracefully"
        self._tell("PodStop", f"Pod {self.name} {how}")
        delete_for_good(self.api, self.namespace, self.name, self.uid)
        self._finish()

    def _finish(self) -> None:
        self._over = True
        for timer in self._timers:
            timer.cancel()
        for life in self._lives:
            life.cancel()
        self._probes.cancel()
        self._meter.stop()
        self.api.forget_metrics(self.namespace, self.name)
        self._ended(self)
