"""One pod's life, on its own worker.

On the live clock that worker is a thread named after the pod, as the original had a goroutine for
each; on the virtual clock it is an entry in the queue. The life of a pod:

    Pending --start delay--> init containers, sidecars --> Running --each second: a sample--> ...
        ... a container exits, fails a probe, exceeds its memory: started again, by the policy
        ... deleted: stops gracefully inside its grace period, writes its last status, is removed
        ... no container will run again: Succeeded or Failed

After each change `lifecycle.plan` says which containers to start next; the status is written once
for all changes of that moment.

A `PodRunner` holds the parts of a pod and decides which of them acts: `ContainerStarter`,
`PodTerminator`, `PodProbes`, `Meter` and `PodStatusManager`, which all share one `PodContext`.

Ours keeps: phases, conditions, container statuses, init containers and sidecars, images, probes,
hooks, restart with back-off, graceful termination, limits, deadlines, events and logs. It leaves
out: ephemeral containers.

Source: pkg/kubelet/pod_workers.go, kuberuntime/kuberuntime_manager.go (SyncPod, killPod).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.verbs.subresources import CommandResult
from kubesim.clock.base import Worker
from kubesim.errors import BadRequest
from kubesim.kubelet.images import ImageStore
from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.behaviour import may_exceed_memory, start_delay
from kubesim.kubelet.pod.containers import (
    CREATING,
    INITIALIZING,
    ContainerState,
    merge_logs,
)
from kubesim.kubelet.pod.context import NodeTools, PodContext
from kubesim.kubelet.pod.image_manager import Pull
from kubesim.kubelet.pod.lifecycle import plan
from kubesim.kubelet.pod.mounter import VolumeMounter
from kubesim.kubelet.pod.phase import INIT, MAIN, RUNNING, TERMINATED, ran_before, should_restart
from kubesim.kubelet.pod.probes import READINESS, STARTUP, PodProbes, ProbeResult
from kubesim.kubelet.pod.starter import ContainerStarter
from kubesim.kubelet.pod.status import PodFailure, PodStatusManager
from kubesim.kubelet.pod.termination import KILL_EXIT_CODE
from kubesim.kubelet.pod.terminator import PodTerminator
from kubesim.kubelet.process.logs import Line, copy_log
from kubesim.kubelet.process.programs import not_found
from kubesim.kubelet.process.volumes import has_storage_limits
from kubesim.kubelet.usage.meter import Load, Meter
from kubesim.kubelet.usage.models import PodModels
from kubesim.objects.pods import container_limits
from kubesim.objects.wellknown import TERMINATION_GRACE_SECONDS
from kubesim.usercode import error_text

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

ERROR_EXIT_CODE = 1  # of a container whose usage model raised
SANDBOX_CHANGED = "Pod sandbox changed, it will be killed and re-created."


class PodRunner:
    """Runs one pod; every method but `lines` is called on its worker.

    Args:
        api, worker, pod, models, tools, ip: see `PodContext`.
        images, pull: the node's images, and how to ask for one.
        load: requests per second that reach the pod.
        ended: called when the pod has ended and needs its worker no more.
        previous: the runner of this very pod before a power cut; its logs are on the disk.
    """

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        pod: PodDict,
        models: PodModels,
        tools: NodeTools,
        ip: str,
        *,
        images: ImageStore,
        pull: Pull,
        load: Load | None,
        ended: Callable[[PodRunner], object],
        previous: PodRunner | None = None,
    ) -> None:
        context = self._context = PodContext(api, worker, pod, models, tools, ip)
        self.worker = worker
        self.name, self.namespace, self.uid = context.name, context.namespace, context.uid
        self.memory_ceiling = _memory_ceiling(context)
        self.has_storage_limits = has_storage_limits(pod)
        self._status = PodStatusManager(context)
        self._probes = PodProbes(context, self._probe_result)
        meter = Meter(
            api,
            worker,
            (self.namespace, self.name),
            pod,
            models,
            load,
            exceeds=frozenset(n for n in context.by_name if may_exceed_memory(pod, n)),
            killed=self._out_of_memory,
            failed=self._model_failed,
        )
        self._terminator = PodTerminator(
            context,
            self._probes,
            meter,
            self._status,
            exited=self._sync,
            finished=lambda: ended(self),
        )
        self._starter = ContainerStarter(
            context,
            self._probes,
            self._status,
            images,
            pull,
            sync=self._sync,
            exit=self._terminator.exit,
            hook_failed=self._terminator.hook_failed,
            ending=lambda: self._terminator.ending,
        )
        self._new_sandbox = False
        if previous is not None:
            for container in context.containers:
                container.log.extend(previous._context.by_name[container.name].log)

    @property
    def pod(self) -> PodDict:
        """The pod with the spec that the kubelet follows now."""
        return self._context.pod

    @property
    def ending(self) -> bool:
        """Whether the pod is stopping or has stopped."""
        return self._terminator.ending

    # -- called by the kubelet --------------------------------------------------------------------

    def start(self) -> None:
        """Prepare the pod, then run it."""
        pod = self._context
        pod.log("PodStart", f"Pod {pod.name} starting ...")
        for warning in pod.warnings:
            pod.warn_annotation(warning)
        if ran_before(pod.pod):
            self._recover()
        self._status.write()
        mounter = VolumeMounter(pod, self._terminator.call_later, self._volumes_mounted)
        mounter.start(start_delay(pod.pod, pod.warn_annotation))
        self._terminator.follow_deadline()

    def refresh(self) -> None:
        """Write the status again, since conditions of readiness gates may have changed."""
        if not self._terminator.over:
            self._status.write()

    def update(self, pod: PodDict) -> None:
        """Follow a changed spec: another image, a deadline.

        A container that runs another image is replaced; one that waits is tried again at once. An
        init container that runs already is not changed.
        """
        if self._terminator.ending:
            return
        before = {c.name: c.image for c in self._context.containers}
        self._context.follow(pod)
        self._terminator.follow_deadline()
        waits = False
        for container in self._context.containers:
            if container.image != before[container.name] and container.busy:
                container.cancel_timers()
                container.release()
                waits = True
        for container in self._context.containers:
            if container.runs_another_definition and container.kind != INIT:
                if not container.stopping:
                    self._terminator.replace(container)
        if waits:
            self._sync()
        else:
            self._status.write()  # with the generation that it has observed

    def delete(self, pod: PodDict, grace_seconds: float) -> None:
        """Stop gracefully, since the pod was marked as deleted: that is a new generation, too.

        Args:
            pod: with its deletionTimestamp.
            grace_seconds: from now.
        """
        self._context.follow(pod)
        self.stop(grace_seconds)

    def stop(self, grace_seconds: float = TERMINATION_GRACE_SECONDS) -> None:
        """Stop gracefully since the pod is being deleted, then delete its object for good.

        A second call may only shorten the grace period.

        Args:
            grace_seconds: from now.
        """
        self._terminator.delete(grace_seconds)

    def fail(self, failure: PodFailure, grace_seconds: float) -> None:
        """Stop the pod and make it Failed.

        Args:
            failure: why, for example its eviction.
            grace_seconds: from now.
        """
        self._terminator.fail(failure, grace_seconds)

    def remove(self) -> None:
        """Stop without a write to the API server, since the object is gone."""
        self._terminator.remove()

    # -- logs -------------------------------------------------------------------------------------

    def lines(self, container: str | None = None, *, previous: bool = False) -> list[Line]:
        """Return the log lines with their seconds; from any thread.

        Args:
            container: name; None: of all containers, in the order of time.
            previous: of the run before the present one, or [].
        """
        chosen = [c for c in self._context.containers if container in (None, c.name)]
        if previous:
            logs = [log for c in chosen if (log := c.log_before) is not None]
            return sorted((line for log in logs for line in copy_log(log)), key=lambda x: x[0])
        return merge_logs(chosen)

    def has_previous(self, container: str) -> bool:
        """Whether the log of a run before the present one is kept."""
        state = self._context.by_name.get(container)
        return state is not None and state.log_before is not None

    def exec(self, container: str, command: Sequence[str], stdin: str) -> CommandResult:
        """Run a command in a container to its end; from any thread.

        Args:
            container: its name.
            command: the program and its arguments.
            stdin: what it reads.

        Raises:
            BadRequest: the container does not run.
        """
        state = self._context.by_name.get(container)
        if state is None or state.state != RUNNING:
            raise BadRequest(f'container not found ("{container}")')
        programs = self._context.programs
        programs.handle_signals(self._starter.signalled)
        result = programs.run(state.spec, command, stdin)
        return result or not_found(command)

    def storage_used(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the bytes in emptyDirs by volume, and in other files and logs by container."""
        return self._context.storage_used()

    # -- start ------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Restore the containers of a pod whose node was switched off: they have terminated.

        The kubelet's memory is empty, so the next start has no delay. In a new sandbox, init
        containers run again.
        """
        pod = self._context
        status = pod.pod["status"]
        entries = status.get("containerStatuses") or [], status.get("initContainerStatuses") or []
        by_name = {str(entry["name"]): entry for statuses in entries for entry in statuses}
        for container in pod.containers:
            if container.name in by_name:
                container.restore(by_name[container.name], pod.now(), pod.timestamp)
        again = [c for c in pod.containers if c.kind == MAIN and self._is_restarted(c)]
        if not again or pod.restart_policy == "Never":
            return  # terminated containers stay terminated; those that never ran are started
        self._new_sandbox = True
        pod.event("Normal", "SandboxChanged", SANDBOX_CHANGED)
        waiting_for_init = len(pod.containers) > len(again)
        for container in pod.containers:
            if container.state == TERMINATED and (container.kind != MAIN or container in again):
                container.wait(INITIALIZING if waiting_for_init else CREATING)

    def _is_restarted(self, container: ContainerState) -> bool:
        """Whether the returned node starts a container that has terminated or never ran."""
        if container.ended is None:
            return True
        return should_restart(self._context.restart_policy, int(container.ended["exitCode"]))

    def _volumes_mounted(self) -> None:
        """Go on: the sandbox is ready for containers."""
        self._status.sandbox_is_ready()
        self._sync()

    # -- sync -------------------------------------------------------------------------------------

    def _sync(self) -> None:
        """Start the containers that are due; called after each change of a container's state."""
        if self._terminator.ending:
            return
        pod = self._context
        while True:
            facts = [container.facts() for container in pod.containers]
            killed = frozenset(c.name for c in pod.containers if c.killed)
            actions = plan(facts, pod.restart_policy, killed, new_sandbox=self._new_sandbox)
            due = [pod.by_name[name] for name in actions.start if not pod.by_name[name].busy]
            if not due or any(container.in_hook for container in pod.containers):
                break
            for container in due:
                if container.kind == MAIN:
                    self._new_sandbox = False
                self._starter.start(container)
                if container.in_hook:
                    break  # the next containers are started after its postStart hook
        if actions.over:
            self._terminator.terminate()
        else:
            self._write_and_start()

    def _write_and_start(self) -> None:
        """Write the status; then probe and sample the containers that were started."""
        pod, started = self._context, self._starter.take_started()
        if not self._status.write():
            return
        if any(container.kind == MAIN for container in started):
            pod.log("PodRunning", f"Pod {pod.name} is running")
        for container in started:
            self._starter.run_program(container)
            if container.in_hook:
                self._starter.run_post_start(container)
        self._terminator.follow_usage()
        for container in started:
            if not container.in_hook:
                self._probes.container_started(container)

    # -- probes and usage -------------------------------------------------------------------------

    def _probe_result(self, container: ContainerState, result: ProbeResult) -> None:
        """React to an attempt of a probe."""
        if container.state != RUNNING or self._terminator.over:
            return
        pod = self._context
        changed = result.after is not result.before
        if not result.ok:
            message = f"{result.kind.capitalize()} probe failed: {result.output}"
            pod.event("Warning", "Unhealthy", message, container)
        if changed or result.failures == 1:
            pod.decide(
                records.probe_record(pod.now(), pod.pod, pod.component, container.name, result)
            )
        if not changed:
            return
        if result.kind == READINESS:
            ready = bool(result.after) and container.started
            container.set_probe_results(started=container.started, ready=ready)
            self._status.write()
        elif result.after is False:
            container.blame(records.probe_cause(result))
            self._terminator.kill(container, result.kind)
        elif result.kind == STARTUP:
            ready = not self._probes.has(container, READINESS)
            container.set_probe_results(started=True, ready=ready)
            self._sync()  # a sidecar that has started lets the next container start

    def _out_of_memory(self, container: ContainerState, used: int) -> None:
        """End a container that used more memory than its limit, in bytes."""
        pod = self._context
        container.blame(records.memory_cause(used, container_limits(container.spec)[1]))
        message = f"Container {container.name} of pod {pod.name} used more memory than its limit"
        pod.log("PodOOMKilled", message, "warn")
        self._terminator.exit(container, KILL_EXIT_CODE, "OOMKilled")

    def _model_failed(self, containers: Sequence[ContainerState], error: BaseException) -> None:
        """End the containers whose usage model raised; all others go on."""
        pod = self._context
        message = error_text(error)
        pod.log("PodError", f"Pod {pod.name} failed: {message}", "error")
        pod.event("Warning", "Failed", f"Error: {message}")
        for container in containers:
            container.write_line(pod.now(), f"[error] {message}")
            self._terminator.exit(container, ERROR_EXIT_CODE, "Error", message)


def _memory_ceiling(pod: PodContext) -> float:
    """Return the most memory that a pod can use, in bytes: its limits, or what its models say."""
    limits = [container_limits(container.spec)[1] for container in pod.containers]
    limited = inf if None in limits else float(sum(limit or 0 for limit in limits))
    return min(limited, pod.models.ceiling())
