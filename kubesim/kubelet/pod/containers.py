"""One container of a pod as its kubelet knows it: state, history, identity and log.

It is a record, not an actor: `kubelet.pod` decides what happens, this file keeps it and writes the
container's part of the pod's status.

Source: staging/src/k8s.io/api/core/v1/types.go (ContainerStatus), pkg/kubelet/kubelet_pods.go
(convertToAPIContainerStatuses), pkg/kubelet/container/runtime.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kubesim.clock import keyed_bytes
from kubesim.clock.base import Timer
from kubesim.kubelet.pod.backoff import CrashBackOff, PullBackOff
from kubesim.kubelet.pod.behaviour import Behaviour
from kubesim.kubelet.pod.phase import INIT, MAIN, RUNNING, SIDECAR, TERMINATED, WAITING, Container
from kubesim.objects.frozen import Document
from kubesim.objects.pods import containers_of, is_sidecar

LOG_LINES = 100  # kept for each run of a container
LOST_EXIT_CODE = 255  # what a runtime says of a container whose end it did not see
CREATING, INITIALIZING = "ContainerCreating", "PodInitializing"
TICK_LINE = "[tick] Pod is running..."

Line = tuple[float, str]
Log = deque[Line | float]  # a bare float stands for TICK_LINE at that second
Timestamp = Callable[[float], str]


class ContainerLife:
    """What the kubelet knows of one container.

    Attributes:
        spec: the container in the pod's spec.
        kind: main, init or sidecar.
        state: waiting, running or terminated.
        reason, message: why it waits.
        restarts: starts after the first.
        started, ready: what its probes say.
        started_at, exited_at: seconds.
        ended: its termination, as a document, while it is terminated.
        last: the termination before the present state.
        busy: a back-off or an image is waited for; it starts by itself then.
        killed: the kubelet killed it for a failed probe, so it is started again.
        stopping: it was told to stop and has not exited yet.
        timers: what is due while it runs, waits or stops.
    """

    __slots__ = (
        "backoff",
        "behaviour",
        "busy",
        "ended",
        "exited_at",
        "killed",
        "kind",
        "last",
        "log",
        "message",
        "name",
        "previous_log",
        "pulls",
        "ready",
        "reason",
        "restarts",
        "spec",
        "started",
        "started_at",
        "state",
        "stopping",
        "timers",
        "uid",
    )

    def __init__(self, spec: Document, kind: str, uid: str, behaviour: Behaviour) -> None:
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
        self.ended: Document | None = None
        self.last: Document | None = None
        self.backoff = CrashBackOff()
        self.pulls: PullBackOff | None = None  # made when an image does not come
        self.busy = self.killed = self.stopping = False
        self.timers: list[Timer] = []
        self.log: Log = deque(maxlen=LOG_LINES)
        self.previous_log: Log | None = None

    @property
    def image(self) -> str:
        """The image as the spec has it."""
        return str(self.spec.get("image", ""))

    @property
    def ran(self) -> bool:
        """It has run before its present state."""
        return self.ended is not None or self.last is not None

    def facts(self) -> Container:
        """What the pure rules want to know."""
        return Container(
            self.state,
            int(self.ended["exitCode"]) if self.ended else 0,
            self.restarts,
            self.ready,
            self.name,
            self.kind,
            self.started,
            int(self.last["exitCode"]) if self.last else None,
        )

    # -- what happens to it -----------------------------------------------------------------------

    def wait(self, reason: str, message: str = "") -> None:
        """It waits; its termination, if it had one, becomes its last state."""
        self.state, self.reason, self.message = WAITING, reason, message
        self.started = self.ready = False
        if self.ended is not None:
            self.last, self.ended = self.ended, None

    def run(self, now: float) -> None:
        """It runs: a new process with a new log."""
        if self.ran:
            self.restarts += 1
            self.previous_log, self.log = self.log, deque(maxlen=LOG_LINES)
        self.wait("")
        self.state, self.started_at = RUNNING, now
        self.busy = self.killed = self.stopping = False

    def exit(self, now: float, code: int, reason: str, message: str, timestamp: Timestamp) -> None:
        """It ended."""
        self.cancel()
        self.state, self.exited_at = TERMINATED, now
        self.started = self.stopping = False
        self.ready = self.kind == INIT and code == 0
        self.ended = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "startedAt": timestamp(self.started_at),
            "finishedAt": timestamp(now),
            "containerID": self.id,
        }
        if said := message or self.behaviour.termination_message:
            self.ended["message"] = said[:4096]  # MaxContainerTerminationMessageLength

    def adopt(self, status: Document, now: float, timestamp: Timestamp) -> None:
        """Take over what a status says: the kubelet was restarted and knows nothing.

        A container that ran is found dead, with the exit code of an unseen end.
        """
        state = status.get("state") or {}
        self.restarts = int(status.get("restartCount") or 0)
        self.last = (status.get("lastState") or {}).get("terminated")
        if "terminated" in state:
            self.state, self.ended = TERMINATED, dict(state["terminated"])
        elif "running" in state:
            self.exit(now, LOST_EXIT_CODE, "Unknown", "", timestamp)
            self.ended = {**(self.ended or {}), "startedAt": state["running"].get("startedAt")}
        elif self.last is not None:
            self.state, self.ended, self.last = TERMINATED, dict(self.last), None
            self.started = self.ready = False
        self.exited_at = now

    def cancel(self) -> None:
        """Call off what was due."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    @property
    def log_before(self) -> Log | None:
        """The log of the run that `lastState` speaks of; None if there was none."""
        if self.state == WAITING and self.last is not None:
            return self.log
        return self.previous_log

    def say(self, now: float, line: str) -> None:
        """A line of its log."""
        self.log.append((now, line))

    # -- how it is told ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The runtime's name for this run of it."""
        run = keyed_bytes(f"container/{self.uid}/{self.name}/{self.restarts}", 32)
        return f"kubesim://{run.hex()}"

    def status(self, timestamp: Timestamp) -> Document:
        """Its entry in containerStatuses or initContainerStatuses."""
        status: Document = {
            "name": self.name,
            "image": self.image,
            "imageID": image_id(self.image) if self.state != WAITING or self.ran else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self._state(timestamp),
            "lastState": {"terminated": self.last} if self.last is not None else {},
        }
        if self.state != WAITING or self.ran:
            status["containerID"] = (self.ended or self.last or {}).get("containerID", self.id)
            if self.state == RUNNING:
                status["containerID"] = self.id
        return status

    def _state(self, timestamp: Timestamp) -> Document:
        if self.state == RUNNING:
            return {"running": {"startedAt": timestamp(self.started_at)}}
        if self.state == TERMINATED:
            return {"terminated": self.ended}
        why = {"reason": self.reason} | ({"message": self.message} if self.message else {})
        return {"waiting": why}


@lru_cache(maxsize=1024)  # thousands of pods share a handful of images
def image_id(image: str) -> str:
    """What a registry would resolve an image to: one digest for each name."""
    return f"{image.partition('@')[0]}@sha256:{keyed_bytes(f'image/{image}', 32).hex()}"


def lives_of(pod: Document, behaviour: Callable[[str, str], Behaviour]) -> list[ContainerLife]:
    """All containers of a pod, init containers and sidecars first, in the order of the spec.

    Args:
        pod: the pod.
        behaviour: of a container, by name and kind.
    """
    uid = str(pod["metadata"]["uid"])
    inits: list[Any] = (pod.get("spec") or {}).get("initContainers") or []
    found = [
        *((spec, SIDECAR if is_sidecar(spec) else INIT) for spec in inits),
        *((spec, MAIN) for spec in containers_of(pod)),
    ]
    lives = [
        ContainerLife(spec, kind, uid, behaviour(str(spec["name"]), kind)) for spec, kind in found
    ]
    for life in lives:
        life.reason = INITIALIZING if inits else CREATING
    return lives


def merged_log(lives: list[ContainerLife]) -> list[Line]:
    """The kept lines of several containers in the order of time; from any thread."""
    found = [line for life in lives for line in copied(life.log)]
    return sorted(found, key=lambda line: line[0]) if len(lives) > 1 else found


def copied(log: Log) -> list[Line]:
    """The kept lines with their seconds; from any thread."""
    while True:
        try:
            kept = list(log)
        except RuntimeError:  # appended to while it was copied: try again
            continue
        return [line if isinstance(line, tuple) else (line, TICK_LINE) for line in kept]
