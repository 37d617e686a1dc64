"""The start of a container: back-off, image, environment, then the process.

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (startContainer),
kuberuntime_manager.go (doBackOff).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kubesim.kubelet.images import ImageStore
from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.behaviour import INIT_SECONDS, has_an_end, start_error
from kubesim.kubelet.pod.containers import ContainerState
from kubesim.kubelet.pod.context import PodContext
from kubesim.kubelet.pod.image_manager import ImageManager, Pull
from kubesim.kubelet.pod.phase import INIT, RUNNING
from kubesim.kubelet.pod.probes import READINESS, STARTUP, PodProbes
from kubesim.kubelet.pod.status import PodStatusManager
from kubesim.kubelet.process.configuration import RETRY_SECONDS, missing_for_container
from kubesim.kubelet.process.hooks import run_hook
from kubesim.kubelet.process.process import Process
from kubesim.kubelet.process.volumes import has_sub_path_expression
from kubesim.usercode import USER_ERRORS

ENDING_SIGNALS = frozenset({"TERM", "INT", "QUIT"})
START_ERROR_CODE = 128  # exit code of a container whose process could not be started


class ContainerStarter:
    """Starts the containers of one pod.

    Args:
        context: the pod.
        probes: tell whether a container counts as started and ready at once.
        status: written while a container waits for its image.
        images, pull: the node's images, and how to ask for one.
        sync: called after a container was started by a timer or an image pull.
        exit: called with a container whose program ends, and its exit code.
        hook_failed: called with a container whose postStart hook failed.
        ending: whether the pod is stopping or has stopped.
    """

    __slots__ = (
        "_context",
        "_ending",
        "_exit",
        "_hook_failed",
        "_image_manager",
        "_images",
        "_probes",
        "_pull",
        "_started",
        "_status",
        "_sync",
    )

    def __init__(
        self,
        context: PodContext,
        probes: PodProbes,
        status: PodStatusManager,
        images: ImageStore,
        pull: Pull,
        *,
        sync: Callable[[], object],
        exit: Callable[[ContainerState, int], object],
        hook_failed: Callable[[ContainerState], object],
        ending: Callable[[], bool],
    ) -> None:
        self._context, self._probes, self._status = context, probes, status
        self._images, self._pull = images, pull
        self._sync, self._exit, self._ending = sync, exit, ending
        self._hook_failed = hook_failed
        self._image_manager: ImageManager | None = None  # created when an image is not present
        self._started: list[ContainerState] = []

    def start(self, container: ContainerState) -> None:
        """Start a container, at once or after the back-off of one that keeps exiting."""
        if container.ended is not None:
            delay = container.backoff.delay(container.exited_at)
            self._record_restart(container, delay)
            if delay > 0:
                self._wait_for_restart(container, delay)
                return
        self._launch(container)

    def take_started(self) -> list[ContainerState]:
        """Return the containers that were started since the last call."""
        started, self._started = self._started, []
        return started

    # -- back-off ---------------------------------------------------------------------------------

    def _wait_for_restart(self, container: ContainerState, delay: float) -> None:
        pod = self._context
        container.hold()
        pod_id = f"{pod.name}_{pod.namespace}({pod.uid})"
        waiting = f"back-off {delay:g}s restarting failed container={container.name} pod={pod_id}"
        container.wait("CrashLoopBackOff", waiting)
        message = f"Back-off restarting failed container {container.name} in pod {pod_id}"
        pod.at_each_sync(
            container,
            container.exited_at + delay,
            lambda: pod.event("Warning", "BackOff", message, container),
        )
        pod.log("PodBackOff", f"Pod {pod.name} waits {delay:g}s before its next start", "warn")
        remaining = container.exited_at + delay - pod.now()
        pod.call_later(container, remaining, lambda: self._launch_held(container))

    def _launch_held(self, container: ContainerState) -> None:
        """Launch a container whose timer has run out."""
        container.cancel_timers()
        container.release()
        self._launch(container)
        self._sync()

    def _record_restart(self, container: ContainerState, delay: float) -> None:
        pod = self._context
        pod.decide(
            records.restart_record(
                pod.now(),
                pod.pod,
                pod.component,
                container=container.name,
                ended=container.ended or {},
                policy=pod.restart_policy,
                restarts=container.restarts,
                delay=delay,
                killed=container.killed,
                cause=container.cause,
            )
        )

    # -- image ------------------------------------------------------------------------------------

    def _launch(self, container: ContainerState) -> None:
        """Run a container as soon as its image is present."""
        policy = str(container.spec.get("imagePullPolicy") or "IfNotPresent")
        if self._images.has(container.image, policy):
            message = f'Container image "{container.image}" already present on machine'
            self._context.event("Normal", "Pulled", message, container)
            self._images.note(container.image)
            self._configure(container)
            return
        if self._image_manager is None:
            self._image_manager = ImageManager(
                self._context,
                self._pull,
                self._status,
                ready=self._image_ready,
                retry=self._launch_again,
            )
        self._image_manager.ensure_image_exists(container, policy)

    def _launch_again(self, container: ContainerState) -> None:
        """Try again to get an image that did not come."""
        self._launch(container)
        self._sync()

    def _image_ready(self, container: ContainerState) -> None:
        if not self._ending():
            self._configure(container)
            self._sync()

    # -- environment and process ------------------------------------------------------------------

    def _configure(self, container: ContainerState) -> None:
        """Resolve the container's environment, then run it."""
        pod = self._context
        missing = missing_for_container(container.spec, pod.namespace, pod.find)
        if not missing and has_sub_path_expression(container.spec):
            missing = pod.programs.sub_path_error(container.spec)
        if not missing:
            self._run(container)
            return
        container.hold()
        container.wait("CreateContainerConfigError", missing)
        pod.event("Warning", "Failed", f"Error: {missing}", container)
        pod.decide(
            records.waiting_record(
                pod.now(), pod.pod, pod.component, container.name, missing, RETRY_SECONDS
            )
        )
        pod.call_later(container, RETRY_SECONDS, lambda: self._launch_held(container))

    def _run(self, container: ContainerState) -> None:
        """Start the container's process."""
        pod = self._context
        alone = not any(c.state == RUNNING and c is not container for c in pod.containers)
        if container.has_run_before:
            try:
                pod.models.renew(container.name, alone=alone)
            except USER_ERRORS as error:  # a user's factory: the old model goes on
                pod.log("PodError", f"Pod {pod.name}: no new model: {error}", "error")
        container.run(pod.now())
        pod.event("Normal", "Created", f"Created container: {container.name}", container)
        if error_message := start_error(container.spec):
            pod.event("Warning", "Failed", f"Error: {error_message}", container)
            container.exit(pod.now(), START_ERROR_CODE, "StartError", error_message, pod.timestamp)
            return
        if (container.spec.get("lifecycle") or {}).get("postStart") and container.kind != INIT:
            container.begin_hook()
        else:
            self._set_first_results(container)
        pod.event("Normal", "Started", f"Started container {container.name}", container)
        self._started.append(container)

    def _set_first_results(self, container: ContainerState) -> None:
        """Without such probes, a container is started and ready at once."""
        started = not self._probes.has(container, STARTUP) and container.kind != INIT
        ready = started and not self._probes.has(container, READINESS)
        container.set_probe_results(started=started, ready=ready)

    def run_post_start(self, container: ContainerState) -> None:
        """Run the postStart hook of a container that has just been started.

        Until it has ended, the container counts as waiting, no other one is started, and no probe
        runs. Its effects on files come at once, before the program of the container goes on.
        """
        pod = self._context
        hook = (container.spec.get("lifecycle") or {}).get("postStart") or {}
        result = run_hook(hook, partial(pod.programs.run, container.spec))
        end = self._hook_succeeded if result.ok else self._hook_failed
        pod.call_later(container, result.seconds, partial(end, container))

    def _hook_succeeded(self, container: ContainerState) -> None:
        if not container.in_hook or self._ending():
            return
        container.end_hook()
        self._set_first_results(container)
        self._probes.container_started(container)
        self._sync()

    def run_program(self, container: ContainerState) -> None:
        """Begin to run a container's program; an annotation that says when it exits wins."""
        pod, behaviour = self._context, container.behaviour
        seconds, code = behaviour.run_seconds, behaviour.exit_code
        run = pod.programs.main(container.spec) if seconds is None else None
        if run is not None:
            process = Process(
                run,
                pod.worker,
                write=lambda _stream, line: container.write_line(pod.now(), line),
                exited=partial(self._exit, container),
                foreign=lambda _words: self._default_seconds(container),
                signals=pod.programs.signals(container.spec),
            )
            container.attach(process)
            pod.call_later(container, 0.0, process.go_on)
            return
        seconds = self._default_seconds(container) if seconds is None else seconds
        if seconds is not None:
            pod.call_later(container, seconds, partial(self._exit, container, code))

    def signalled(self, name: str, signal: str) -> None:
        """End a container whose program, which is not simulated, got a signal; from any thread."""
        pod = self._context
        container = next((c for c in pod.containers if c.name == name), None)
        if container is None or container.process is not None or signal not in ENDING_SIGNALS:
            return
        code = container.behaviour.stop_exit_code
        pod.worker.call_soon(lambda: self._exit(container, code))

    def _default_seconds(self, container: ContainerState) -> float | None:
        """Return how long a program runs that is not simulated; None: it is a server."""
        pod = self._context
        if not has_an_end(pod.pod, container.kind):
            return None
        return INIT_SECONDS if container.kind == INIT else pod.tools.job_seconds
