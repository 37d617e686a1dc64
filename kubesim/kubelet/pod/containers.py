"""One container of a pod as its kubelet knows it: state, history, identity and log.

A `ContainerState` is a record: the runner decides what happens, the record keeps it and renders the
container's part of the pod's status.

Source: staging/src/k8s.io/api/core/v1/types.go (ContainerStatus), pkg/kubelet/kubelet_pods.go
(convertToAPIContainerStatuses), pkg/kubelet/container/runtime.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from kubesim.clock import keyed_bytes
from kubesim.clock.base import Timer
from kubesim.kubelet.pod.backoff import CrashBackOff, PullBackOff
from kubesim.kubelet.pod.behaviour import Behaviour
from kubesim.kubelet.pod.phase import INIT, MAIN, RUNNING, SIDECAR, TERMINATED, WAITING, Container
from kubesim.kubelet.process.logs import NO_LOG, Line, Log, copy_log, new_log
from kubesim.kubelet.process.process import Process
from kubesim.kubelet.usage.meter import TickLog
from kubesim.objects.pods import is_sidecar

if TYPE_CHECKING:
    from kubesim.kubelet.pod.phase import EndCause
    from kubesim.objects.types import (
        ContainerDict,
        ContainerStateDict,
        ContainerStateTerminatedDict,
        ContainerStateWaitingDict,
        ContainerStatusDict,
        PodDict,
    )

LONG_IMAGE = 1_000  # characters; at most one longer name is kept
LOST_EXIT_CODE = 255  # reported by a runtime for a container whose end it did not see
MESSAGE_LENGTH = 4096  # MaxContainerTerminationMessageLength
CREATING, INITIALIZING = "ContainerCreating", "PodInitializing"

Timestamp = Callable[[float], str]
"""timestamp(second) -> RFC 3339 string."""


class ContainerState:
    """What the kubelet knows of one container.

    Args:
        uid: of the pod.
        behaviour: what the simulated container does.

    Attributes:
        spec: the container in the pod's spec.
        kind: main, init or sidecar.
        state: waiting, running or terminated.
        reason, message: why it waits.
        restarts: starts after the first.
        started, ready: the results of its probes.
        started_at, exited_at: seconds.
        ended: its termination as a document, while it is terminated.
        last: the termination before the present state.
        busy: a timer or an image pull will start it; the runner must not.
        in_hook: it runs, and its postStart hook has not ended: its status says that it waits.
        killed: the kubelet killed it for a failed probe, so it is started again.
        cause: why the kubelet ended its last run; None: it ended by itself.
        stopping: it received SIGTERM or runs its preStop hook, and has not exited yet.
        timers: the timers of its present state.
        process: its program, if its command is understood.
        run_image: the image of its present or last run, which the status shows: the spec may name
            another one by now.
    """

    __slots__ = (
        "backoff",
        "behaviour",
        "busy",
        "cause",
        "ended",
        "exited_at",
        "in_hook",
        "killed",
        "kind",
        "last",
        "log",
        "message",
        "name",
        "previous_log",
        "process",
        "pulls",
        "ready",
        "reason",
        "restarts",
        "run_image",
        "spec",
        "started",
        "started_at",
        "state",
        "stopping",
        "timers",
        "uid",
    )

    def __init__(self, spec: ContainerDict, kind: str, uid: str, behaviour: Behaviour) -> None:
        self.spec = spec
        self.kind = kind
        self.uid = uid
        self.behaviour = behaviour
        self.name = str(spec["name"])
        self.state = WAITING
        self.reason, self.message = CREATING, ""
        self.restarts = 0
        self.started = self.ready = False
        self.started_at = self.exited_at = 0.0
        self.ended: ContainerStateTerminatedDict | None = None
        self.last: ContainerStateTerminatedDict | None = None
        self.backoff = CrashBackOff()
        self.pulls: PullBackOff | None = None  # created by the first failed pull
        self.busy = self.killed = self.stopping = self.in_hook = False
        self.cause: EndCause | None = None
        self.timers: list[Timer] = []
        self.process: Process | None = None
        self.run_image = ""
        self.log: Log = new_log()
        self.previous_log: Log | None = None

    @property
    def image(self) -> str:
        """The image as written in the spec."""
        return str(self.spec.get("image", ""))

    @property
    def runs_another_definition(self) -> bool:
        """Whether it runs, and the spec names another image by now.

        Source: pkg/kubelet/container/helpers.go (HashContainer: of the name and the image).
        """
        return self.state == RUNNING and self.run_image != self.image

    @property
    def has_run_before(self) -> bool:
        """Whether it has run before its present state."""
        return self.ended is not None or self.last is not None

    def facts(self) -> Container:
        """Return its state as the pure rules take it."""
        return Container(
            WAITING if self.in_hook else self.state,
            int(self.ended["exitCode"]) if self.ended else 0,
            self.restarts,
            self.ready,
            self.name,
            self.kind,
            self.started,
            int(self.last["exitCode"]) if self.last else None,
        )

    # -- transitions ------------------------------------------------------------------------------

    def wait(self, reason: str, message: str = "") -> None:
        """Make it wait; its termination, if it had one, becomes its last state."""
        self.state, self.reason, self.message = WAITING, reason, message
        self.started = self.ready = False
        if self.ended is not None:
            self.last, self.ended = self.ended, None

    def run(self, now: float) -> None:
        """Make it run: a new process with a new log."""
        if self.has_run_before:
            self.restarts += 1
            self.previous_log, self.log = self.log, new_log()
        self.wait("")
        self.state, self.started_at, self.run_image = RUNNING, now, self.image
        self.busy = self.killed = self.stopping = False
        self.process = self.cause = None

    def begin_hook(self) -> None:
        """Note that it runs, and that its postStart hook begins."""
        self.in_hook, self.reason = True, CREATING

    def end_hook(self) -> None:
        """Note that its postStart hook has succeeded."""
        self.in_hook = False

    def attach(self, process: Process) -> None:
        """Let it run a program, whose lines are its log."""
        self.process = process

    def exit(self, now: float, code: int, reason: str, message: str, timestamp: Timestamp) -> None:
        """Make it terminated.

        Args:
            now: second of the exit.
            code: exit code.
            reason: of the termination; "": Completed or Error, by the exit code.
            message: of the termination; "": the one that its behaviour leaves behind.
            timestamp: renders seconds.
        """
        self.cancel_timers()
        if self.process is not None:
            self.process.stop()
        self.state, self.exited_at = TERMINATED, now
        self.started = self.stopping = self.in_hook = False
        self.ready = self.kind == INIT and code == 0
        self.ended = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "startedAt": timestamp(self.started_at),
            "finishedAt": timestamp(now),
            "containerID": self.id,
        }
        if final_message := message or self.behaviour.termination_message:
            self.ended["message"] = final_message[:MESSAGE_LENGTH]

    def restore(self, status: ContainerStatusDict, now: float, timestamp: Timestamp) -> None:
        """Take over the state in a pod's status, after the kubelet lost its memory.

        A container that ran is now terminated, with the exit code of an end that was not observed.

        Args:
            status: its entry in containerStatuses or initContainerStatuses.
            now: second.
            timestamp: renders seconds.
        """
        state = status.get("state") or {}
        self.restarts = int(status.get("restartCount") or 0)
        self.last = (status.get("lastState") or {}).get("terminated")
        if "terminated" in state:
            self.state, self.ended = TERMINATED, {**state["terminated"]}
        elif "running" in state:
            self.exit(now, LOST_EXIT_CODE, "Unknown", "", timestamp)
            started = cast(str, state["running"].get("startedAt"))
            self.ended = {**(self.ended or {}), "startedAt": started}
        elif self.last is not None:
            self.state, self.ended, self.last = TERMINATED, {**self.last}, None
            self.started = self.ready = False
        self.exited_at = now
        self.run_image = str(status.get("image") or "") if self.has_run_before else ""

    def give_up(self, now: float, timestamp: Timestamp) -> None:
        """Make a container that waits terminated, since its pod is deleted.

        Its last termination becomes its state again; one that never ran is Completed.
        """
        if self.last is not None:
            self.state, self.ended, self.last = TERMINATED, self.last, None
        else:
            self.exit(now, 0, "Completed", "", timestamp)

    def follow(self, spec: ContainerDict) -> None:
        """Take over its entry in a changed spec.

        The back-offs of another image start over, since their keys name the image.
        Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go (doBackOff: GetStableKey).
        """
        if spec.get("image") != self.spec.get("image"):
            self.backoff, self.pulls = CrashBackOff(), None
        self.spec = spec

    def renew(self) -> None:
        """Make it startable again at once after its end, whatever the policy of its pod."""
        self.wait(CREATING)
        self.busy = False

    def hold(self) -> None:
        """Mark it busy: a timer or an image pull starts it, not the next sync."""
        self.busy = True

    def release(self) -> None:
        """Mark it startable again."""
        self.busy = False

    def begin_stop(self) -> None:
        """Note that it was told to stop."""
        self.stopping = True

    def blame(self, cause: EndCause) -> None:
        """Note why the kubelet ends its run."""
        self.cause = cause

    def mark_killed(self) -> None:
        """Note that the kubelet killed it for a failed probe."""
        self.killed = True

    def set_probe_results(self, *, started: bool, ready: bool) -> None:
        """Set what its probes say."""
        self.started, self.ready = started, ready

    def pull_failed(self) -> float:
        """Count a failed image pull; return the seconds to the next attempt."""
        self.pulls = self.pulls or PullBackOff()
        return self.pulls.delay()

    def pull_succeeded(self) -> None:
        """Reset the back-off of its image pulls, and make it startable."""
        self.pulls = None
        self.busy = False

    def cancel_timers(self) -> None:
        """Cancel the timers of its present state."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    # -- log --------------------------------------------------------------------------------------

    @property
    def log_before(self) -> Log | None:
        """The log of the run that `lastState` describes; None if there was no such run."""
        if self.state == WAITING and self.last is not None:
            return self.log
        return self.previous_log

    @property
    def tick_log(self) -> TickLog:
        """Where its ticks are written: its log, unless its own program writes that."""
        return self.log if self.process is None else NO_LOG

    def write_line(self, now: float, line: str) -> None:
        """Append a line to its log."""
        self.log.append((now, line))

    # -- status -----------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The container ID of this run."""
        run = keyed_bytes(f"container/{self.uid}/{self.name}/{self.restarts}", 32)
        return f"kubesim://{run.hex()}"

    def status(self, timestamp: Timestamp) -> ContainerStatusDict:
        """Return its entry in containerStatuses or initContainerStatuses."""
        began = self.state != WAITING or self.has_run_before
        status: ContainerStatusDict = {
            "name": self.name,
            "image": self.run_image or self.image,
            "imageID": image_id(self.run_image or self.image) if began else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self._state(timestamp),
            "lastState": {"terminated": self.last} if self.last is not None else {},
        }
        if began:
            status["containerID"] = (self.ended or self.last or {}).get("containerID", self.id)
            if self.state == RUNNING:
                status["containerID"] = self.id
        return status

    def _state(self, timestamp: Timestamp) -> ContainerStateDict:
        if self.state == RUNNING and not self.in_hook:
            return {"running": {"startedAt": timestamp(self.started_at)}}
        if self.state == TERMINATED:
            return {"terminated": self.ended or {}}
        waiting: ContainerStateWaitingDict = {"reason": self.reason}
        if self.message:
            waiting["message"] = self.message
        return {"waiting": waiting}


@lru_cache(maxsize=1024)  # thousands of pods share a handful of images
def image_id(image: str) -> str:
    """Return the image ID that a registry would resolve an image to: one digest for each name."""
    if len(image) > LONG_IMAGE:
        image_id.cache_clear()
    return f"{image.partition('@')[0]}@sha256:{keyed_bytes(f'image/{image}', 32).hex()}"


def container_states(
    pod: PodDict, behaviour: Callable[[str, str], Behaviour]
) -> list[ContainerState]:
    """Return the waiting containers of a pod: init containers and sidecars, then main ones.

    Args:
        pod: the pod.
        behaviour: called as behaviour(container name, kind).
    """
    uid, spec = str(pod["metadata"]["uid"]), pod.get("spec") or {}
    inits: list[ContainerDict] = spec.get("initContainers") or []
    entries: list[tuple[ContainerDict, str]] = [
        *((entry, SIDECAR if is_sidecar(entry) else INIT) for entry in inits),
        *((entry, MAIN) for entry in spec.get("containers") or ()),
    ]
    states = [
        ContainerState(entry, kind, uid, behaviour(str(entry["name"]), kind))
        for entry, kind in entries
    ]
    for state in states:
        state.reason = INITIALIZING if inits else CREATING
    return states


def merge_logs(containers: Sequence[ContainerState]) -> list[Line]:
    """Return the log lines of several containers in the order of time; from any thread."""
    lines = [line for container in containers for line in copy_log(container.log)]
    return sorted(lines, key=lambda line: line[0]) if len(containers) > 1 else lines
