"""The end of containers and of pods: exits, kills, graceful deletion, eviction, deadlines.

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainersWithSyncResult),
pkg/kubelet/kubelet.go (SyncTerminatingPod, SyncTerminatedPod), pkg/kubelet/active_deadline.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kubesim.clock.base import Timer
from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.containers import ContainerState
from kubesim.kubelet.pod.context import PodContext
from kubesim.kubelet.pod.phase import INIT, MAIN, RUNNING, SIDECAR, TERMINATED
from kubesim.kubelet.pod.probes import PodProbes
from kubesim.kubelet.pod.status import PodFailure, PodStatusManager, delete_pod_object
from kubesim.kubelet.pod.termination import KILL_EXIT_CODE, Stopper
from kubesim.kubelet.process.hooks import run_hook
from kubesim.kubelet.process.logs import copy_log
from kubesim.kubelet.usage.meter import Meter

FALLBACK_LINES, FALLBACK_LENGTH = 80, 2048  # of the log, as a termination message
STOP_LINE = "[stop] Pod is stopping..."
DEADLINE = PodFailure(
    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
)


class PodTerminator:
    """Ends containers, and the pod as a whole.

    Args:
        context: the pod.
        probes, meter, status: the other parts that have to stop with it.
        exited: called after a container of a pod that goes on has exited: start what is due.
        finished: called when the pod has ended and needs its worker no more.

    Attributes:
        over: every container has stopped, and nothing happens any more.
    """

    __slots__ = (
        "_context",
        "_deleting",
        "_exited",
        "_failure",
        "_finished",
        "_meter",
        "_probes",
        "_status",
        "_stop_began",
        "_stopper",
        "_timers",
        "over",
    )

    def __init__(
        self,
        context: PodContext,
        probes: PodProbes,
        meter: Meter[ContainerState],
        status: PodStatusManager,
        *,
        exited: Callable[[], object],
        finished: Callable[[], object],
    ) -> None:
        self._context = context
        self._probes, self._meter, self._status = probes, meter, status
        self._exited, self._finished = exited, finished
        self._timers: list[Timer] = []  # of the pod as a whole, cancelled when it stops
        self._stopper: Stopper | None = None
        self._stop_began = 0.0
        self._failure: PodFailure | None = None
        self._deleting = False
        self.over = False

    @property
    def ending(self) -> bool:
        """The pod is stopping or has stopped."""
        return self.over or self._stopper is not None

    def call_later(self, seconds: float, fn: Callable[[], object]) -> None:
        """Call `fn` after some seconds, unless the pod stops before."""
        self._timers.append(self._context.worker.call_later(seconds, fn))

    # -- the whole pod ----------------------------------------------------------------------------

    def delete(self, grace_seconds: float) -> None:
        """Stop gracefully, write the last status, then delete the object for good.

        A second call may only shorten the grace period.

        Args:
            grace_seconds: from now.
        """
        if self.over:
            return
        self._deleting = True
        if self._stopper is not None:
            self._stopper.shorten(self._stop_began + grace_seconds)
            return
        self._probes.keep_only_readiness()
        self._stop_all(grace_seconds)

    def fail(self, failure: PodFailure, grace_seconds: float) -> None:
        """Stop the pod and make it Failed: it was evicted, or its deadline has passed.

        Args:
            failure: why.
            grace_seconds: from now.
        """
        if self.ending:
            return
        self._failure = failure
        self._probes.cancel()
        self._stop_all(grace_seconds)

    def deadline_passed(self) -> None:
        """Fail the pod, since activeDeadlineSeconds have passed."""
        if self.ending:
            return
        pod = self._context
        pod.event("Normal", DEADLINE.reason, DEADLINE.message)
        seconds = pod.pod["spec"]["activeDeadlineSeconds"]
        change = f"activeDeadlineSeconds were more than {seconds}"
        pod.decide(
            records.ended_record(
                pod.now(), pod.pod, pod.component, DEADLINE.reason, DEADLINE.message, change
            )
        )
        self.fail(DEADLINE, pod.grace_seconds)

    def follow_deadline(self) -> None:
        """Set the timer of activeDeadlineSeconds; call it again when that has become shorter."""
        pod = self._context
        deadline = pod.pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None:
            remaining = pod.active_since + float(deadline) - pod.now()
            self.call_later(remaining, self.deadline_passed)

    def terminate(self) -> None:
        """Stop what still runs, since no main container will run again."""
        pod = self._context
        if any(container.state == RUNNING for container in pod.containers):
            self._status.write()
        self._stop(pod.grace_seconds)

    def remove(self) -> None:
        """Stop without a write to the API server, since the object is gone."""
        pod = self._context
        if not self.over:
            pod.log("PodGone", f"Pod {pod.name} was removed", "debug")
            self._finish()
        pod.api.forget_metrics(pod.namespace, pod.name)

    def _stop_all(self, grace_seconds: float) -> None:
        """Cancel everything that was to come, then stop the containers that run."""
        pod = self._context
        for timer in self._timers:
            timer.cancel()
        for container in pod.containers:
            container.cancel_timers()
            container.release()
            own_log = container.kind == SIDECAR or container.process is not None
            if container.state == RUNNING and not own_log:
                container.write_line(pod.now(), STOP_LINE)
        self._stop(grace_seconds)

    def _stop(self, grace_seconds: float) -> None:
        pod = self._context
        now = self._stop_began = pod.now()
        self._stopper = Stopper(
            pod.containers,
            pod.worker,
            pod.now,
            now + grace_seconds,
            killing=lambda c: pod.event("Normal", "Killing", f"Stopping container {c.name}", c),
            pre_stop=self._run_pre_stop,
            exited=self._terminated,
            changed=self._status.write,
            done=self._conclude,
        )
        self._stopper.begin()

    def _conclude(self) -> None:
        """Finish a pod without running containers; only a deleted one loses its object."""
        self.over = True
        if self._deleting:
            self._conclude_deletion()
            return
        pod, failure = self._context, self._failure
        self._status.write_final(ended=failure is not None, failure=failure)
        counted = [c.ended for c in pod.containers if c.kind != SIDECAR and c.ended]
        codes = [int(ended["exitCode"]) for ended in counted]
        code = next((code for code in codes if code), 0)
        if failure is not None:
            pod.log("PodFailed", f"Pod {pod.name} was ended: {failure.reason}", "warn")
        else:
            action = "PodSucceeded" if code == 0 else "PodFailed"
            pod.log(action, f"Pod {pod.name} ended with exit code {code}")
        self._finish()

    def _conclude_deletion(self) -> None:
        """Write the last status, then delete the object for good."""
        pod = self._context
        codes = [container.ended["exitCode"] for container in pod.containers if container.ended]
        for container in pod.containers:
            if container.kind == MAIN and container.state != TERMINATED:
                container.give_up(pod.now(), pod.timestamp)
        self._status.write_final(ended=True, failure=self._failure)
        killed = KILL_EXIT_CODE in codes
        how = "was killed at the end of its grace" if killed else "stopped gracefully"
        pod.log("PodStop", f"Pod {pod.name} {how}")
        delete_pod_object(pod.api, pod.namespace, pod.name, pod.uid)
        self._finish()

    def _finish(self) -> None:
        self.over = True
        for timer in self._timers:
            timer.cancel()
        for container in self._context.containers:
            container.cancel_timers()
        self._probes.cancel()
        self._meter.stop()
        self._context.api.forget_metrics(self._context.namespace, self._context.name)
        self._finished()

    # -- one container ----------------------------------------------------------------------------

    def exit(
        self, container: ContainerState, code: int, reason: str = "", message: str = ""
    ) -> None:
        """End a container that exited by itself.

        Args:
            container: which; nothing happens if it does not run.
            code: exit code.
            reason, message: of its termination; "": by the exit code.
        """
        if container.state == RUNNING and not self.over:
            if container.process is None:
                now = self._context.now()
                container.write_line(now, f"[exit] Pod exited with code {code}")
            self._terminated(container, code, reason, message)

    def kill(self, container: ContainerState, probe_kind: str) -> None:
        """Kill a container that failed a probe inside its grace; it is started again.

        Args:
            container: which.
            probe_kind: liveness or startup.
        """
        pod = self._context
        own_grace = self._probes.grace_seconds(container, probe_kind)
        grace = pod.grace_seconds if own_grace is None else float(own_grace)
        message = f"Container {container.name} failed {probe_kind} probe"
        if pod.restart_policy != "Never":
            message = f"{message}, will be restarted"

        if container.kind == SIDECAR:
            message = f"Init container {container.name} failed {probe_kind} probe"

        def exited(container: ContainerState, code: int) -> None:
            container.mark_killed()
            self._terminated(container, code)

        self._stop_one(container, message, grace, exited)

    def replace(self, container: ContainerState) -> None:
        """Kill a container whose definition changed; it is started again whatever the policy.

        Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go (computePodActions,
        computeInitContainerActions).
        """
        pod = self._context
        message = f"Container {container.name} definition changed, will be restarted"
        if container.kind == SIDECAR:
            message = f"Init container {container.name} definition changed"
        before = container.run_image
        pod.decide(
            records.replaced_record(
                pod.now(), pod.pod, pod.component, container.name, before, container.image
            )
        )

        def exited(container: ContainerState, code: int) -> None:
            self._terminated(container, code, again=True)

        self._stop_one(container, message, pod.grace_seconds, exited)

    def hook_failed(self, container: ContainerState) -> None:
        """Kill a container whose postStart hook failed; the policy of its pod decides on the rest.

        Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (startContainer).
        """
        pod = self._context
        pod.event("Warning", "FailedPostStartHook", "PostStartHook failed", container)
        pod.decide(records.hook_record(pod.now(), pod.pod, pod.component, container.name))
        self._stop_one(container, "FailedPostStartHook", pod.grace_seconds, self._terminated)

    def _stop_one(
        self,
        container: ContainerState,
        message: str,
        grace_seconds: float,
        exited: Callable[[ContainerState, int], object],
    ) -> None:
        """Stop one container of a pod that goes on.

        Args:
            container: which.
            message: of the Event.
            grace_seconds: from now.
            exited: called with the container and its exit code.
        """
        pod = self._context
        Stopper(
            [container],
            pod.worker,
            pod.now,
            pod.now() + grace_seconds,
            killing=lambda c: pod.event("Normal", "Killing", message, c),
            pre_stop=self._run_pre_stop,
            exited=exited,
            changed=self._status.write,
            done=lambda: None,
        ).begin()

    def _run_pre_stop(self, container: ContainerState) -> float:
        """Run a container's preStop hook; return the seconds that it takes."""
        pod = self._context
        hook = (container.spec.get("lifecycle") or {}).get("preStop")
        if hook is None:
            return 0.0
        result = run_hook(hook, partial(pod.programs.run, container.spec))
        if not result.ok:
            pod.event("Warning", "FailedPreStopHook", "PreStopHook failed", container)
        return result.seconds

    def follow_usage(self) -> None:
        """Sample the usage of the containers that run now."""
        containers = self._context.containers
        self._meter.follow([c for c in containers if c.state == RUNNING and c.kind != INIT])

    def _terminated(
        self,
        container: ContainerState,
        code: int,
        reason: str = "",
        message: str = "",
        *,
        again: bool = False,
    ) -> None:
        """Note that a container has terminated, for whatever reason.

        Args:
            container: which.
            code: exit code.
            reason, message: of its termination; "": by the exit code, or its last words.
            again: it is started again, whatever the policy of its pod.
        """
        if container.state != RUNNING or self.over:
            return
        self._probes.container_stopped(container)
        message = message or self._last_words(container, code)
        container.exit(self._context.now(), code, reason, message, self._context.timestamp)
        if self._stopper is None:
            if again:
                container.renew()
            self._exited()
            return
        self.follow_usage()
        self._stopper.left(container)

    def _last_words(self, container: ContainerState, code: int) -> str:
        """Return the termination message that a program left: its file, or the end of its log."""
        if container.process is None:
            return ""
        message = self._context.programs.termination_message(container.spec)
        fallback = container.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if message or code == 0 or not fallback:
            return message
        lines = [line for _, line in copy_log(container.log)][-FALLBACK_LINES:]
        return "".join(f"{line}\n" for line in lines)[-FALLBACK_LENGTH:]
