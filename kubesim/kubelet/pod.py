"""One pod's life, on a worker of its own.

On the live clock that worker is a thread named after the pod, as the original had a goroutine for
each; on the virtual clock it is an entry in the queue. The life:

    Pending --start delay--> Running --each second: a sample and a log line--> ...
        ... deleted: stops gracefully, last state Succeeded, then the object goes
        ... run time over: Succeeded or Failed, or started again (CrashLoopBackOff)

Status is written only over the state that was read (resourceVersion, uid), so a pod that was
deleted meanwhile never comes back to life.

Ours keeps: phases, conditions, container statuses, restart with back-off, graceful termination,
events and logs. All containers of a pod share one fate and split the pod's usage. It leaves out, so
far: init containers, probes, images, volumes.

Source: pkg/kubelet/pod_workers.go, kuberuntime/kuberuntime_manager.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.client import EventRecorder
from kubesim.clock.base import Timer, Worker
from kubesim.errors import Conflict, NotFound
from kubesim.kubelet.backoff import CrashBackOff
from kubesim.kubelet.phase import Container, conditions, phase, ran_before, should_restart
from kubesim.kubelet.workload import Workload
from kubesim.objects import meta
from kubesim.objects.annotations import EXIT_CODE, RUN_SECONDS, START_SECONDS
from kubesim.objects.frozen import Document
from kubesim.objects.pods import container_limits, containers_of

TICK_SECONDS = 1.0
START_DELAY_SECONDS = 1.0
LOG_LINES = 100  # kept for each pod
TICK_LINE = "[tick] Pod is running..."
STOP_LINE = "[stop] Pod is stopping..."
ERROR_EXIT_CODE = 1
LOST_EXIT_CODE = 255  # what a runtime says of a container whose end it did not see
SANDBOX_CHANGED = "Pod sandbox changed, it will be killed and re-created."

Load = Callable[[Document, float], float | None]


class PodRunner:
    """Runs one pod; every method but `lines` is called on its worker.

    Args:
        api: the API server.
        worker: the pod's own serial lane.
        pod: as it was bound.
        workload: what it uses.
        ip: its address.
        recorder, analytics: where its kubelet tells what happens.
        load: requests per second that reach it.
        ended: called when the pod has come to its end and needs its worker no more.
        found: the runner of this very pod before the power was cut; its log is on the disk.
    """

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        pod: Document,
        workload: Workload,
        *,
        ip: str,
        recorder: EventRecorder,
        analytics: Analytics,
        load: Load | None,
        ended: Callable[[PodRunner], None],
        found: PodRunner | None = None,
    ) -> None:
        self.api = api
        self.worker = worker
        self.pod = pod
        self.name = meta.name_of(pod)
        self.namespace = meta.namespace_of(pod)
        self.uid = meta.uid_of(pod)
        self._workload = workload
        self._ip = ip
        self._recorder = recorder
        self._analytics = analytics
        self._load = load
        self._ended = ended
        self._policy = str(pod["spec"].get("restartPolicy", "Always"))
        self._names = [str(container["name"]) for container in containers_of(pod)]
        self._log: deque[tuple[float, str] | float] = deque(maxlen=LOG_LINES)  # float: a tick
        self._backoff = CrashBackOff()
        self._state = "waiting"
        self._reason = "ContainerCreating"
        self._restarts = 0
        self._exit_code = 0
        self._started_at = self._exited_at = 0.0
        self._last_exit: Document | None = None
        self._timers: list[Timer] = []
        self._over = False
        if found is not None:
            self._log.extend(found._log)

    # -- what happens ---------------------------------------------------------------------------

    def start(self) -> None:
        """The kubelet took the pod: prepare it, then run it."""
        self._tell("PodStart", f"Pod {self.name} starting ...")
        if ran_before(self.pod) and not self._survive():
            return
        self._write_status()
        delay = self._seconds(START_SECONDS, START_DELAY_SECONDS)
        self._later(START_DELAY_SECONDS if delay is None else delay, self._run)

    def _survive(self) -> bool:
        """The node was switched off under this pod: its containers are found dead.

        The kubelet's memory is empty: the next start has no delay. False: it is not started again.
        """
        old = self.pod["status"]["containerStatuses"][0]
        self._restarts = int(old.get("restartCount") or 0)
        running = (old.get("state") or {}).get("running")
        if running is not None:
            self._exited_at = self.api.clock.now()
            self._exit_code = LOST_EXIT_CODE
            self._last_exit = {
                **self._terminated("Unknown"),
                "startedAt": running.get("startedAt"),
            }
        else:
            self._last_exit = (old.get("lastState") or {}).get("terminated")
            self._exit_code = (self._last_exit or {}).get("exitCode", 0)
        if not should_restart(self._policy, self._exit_code):
            self._state = "terminated"
            self._write_status()
            self._tell("PodFailed", f"Pod {self.name} did not survive the power cut")
            self._finish()
            return False
        self._event("Normal", "SandboxChanged", SANDBOX_CHANGED)
        self._restarts += running is not None
        return True

    def _run(self) -> None:
        """The containers run."""
        self._state, self._started_at = "running", self.api.clock.now()
        for container in containers_of(self.pod):
            image = container.get("image", "")
            present = f'Container image "{image}" already present on machine'
            self._event("Normal", "Pulled", present)
            self._event("Normal", "Created", f"Created container {container['name']}")
            self._event("Normal", "Started", f"Started container {container['name']}")
        if not self._write_status():
            return
        self._tell("PodRunning", f"Pod {self.name} is running")
        self._timers.append(self.worker.every(TICK_SECONDS, self._make_tick(), spread=True))
        run_seconds = self._seconds(RUN_SECONDS, None)
        if run_seconds is not None:
            code = self._seconds(EXIT_CODE, 0.0) or 0.0
            self._later(run_seconds, lambda: self._exit(int(code)))

    def _make_tick(self) -> Callable[[], None]:
        """What happens each second, with everything that it needs bound beforehand.

        This runs a million times a second on virtual time: no attribute chains, no formatting. The
        log keeps the bare second, which stands for the line that every tick says.
        """
        write = self.api.metrics_writer(self.namespace, self.name)
        now, usage, load, pod = self.api.clock.now, self._workload.usage, self._load, self.pod
        log, first, others = self._log.append, self._names[0], self._names[1:]
        limits = [container_limits(container)[0] for container in containers_of(pod)]
        limit = None if None in limits else sum(part or 0 for part in limits)

        def tick() -> None:
            try:
                moment = now()
                requests = load(pod, moment) if load is not None else None
                cpu, memory = usage(moment, requests)
            except Exception as error:  # noqa: BLE001 - the pod's own code: the pod fails, not we
                self._crash(error)
                return
            if limit is not None and cpu > limit:
                cpu = limit  # throttled
            log(moment)
            if others:
                write(moment, TICK_SECONDS, *self._split(first, others, cpu, memory))
            else:
                write(moment, TICK_SECONDS, first, cpu, memory)

        return tick

    @staticmethod
    def _split(first: str, others: list[str], cpu: int, memory: int) -> tuple[Any, ...]:
        """(name, CPU, memory, name ...) in equal parts; the first takes what does not divide."""
        parts = len(others) + 1
        rest = (part for name in others for part in (name, cpu // parts, memory // parts))
        taken = parts - 1
        return (first, cpu - cpu // parts * taken, memory - memory // parts * taken, *rest)

    def _crash(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"
        self._log.append((self.api.clock.now(), f"[error] {said}"))
        self._tell("PodError", f"Pod {self.name} failed: {said}", "error")
        self._event("Warning", "Failed", f"Error: {said}")
        self._exit(ERROR_EXIT_CODE, "Error", said)

    def _exit(self, code: int, reason: str = "", message: str = "") -> None:
        """The containers exited by themselves."""
        if self._state != "running":
            return
        self._cancel()
        now = self.api.clock.now()
        self._state, self._exit_code, self._exited_at = "terminated", code, now
        self._last_exit = self._terminated(reason or ("Completed" if code == 0 else "Error"))
        if message:
            self._last_exit["message"] = message
        self._log.append((now, f"[exit] Pod exited with code {code}"))
        self.api.forget_metrics(self.namespace, self.name)
        if should_restart(self._policy, code):
            self._restart()
            return
        self._write_status()
        action = "PodSucceeded" if code == 0 else "PodFailed"
        self._tell(action, f"Pod {self.name} ended with exit code {code}")
        self._finish()

    def _restart(self) -> None:
        """Start again at once, or after the back-off of a container that keeps exiting."""
        delay = self._backoff.delay(self._exited_at)
        self._restarts += 1
        if delay == 0:
            self._run()
            return
        self._state, self._reason = "waiting", "CrashLoopBackOff"
        self._write_status(
            f"back-off {delay:g}s restarting failed container={self._names[0]} "
            f"pod={self.name}_{self.namespace}({self.uid})"
        )
        said = f"Back-off restarting failed container {self._names[0]} in pod "
        self._event("Warning", "BackOff", f"{said}{self.name}_{self.namespace}({self.uid})")
        self._tell("PodBackOff", f"Pod {self.name} waits {delay:g}s before its next start", "warn")
        self._later(delay, self._run)

    def stop(self) -> None:
        """The pod is being deleted: stop gracefully, show the last state, then let it go."""
        if self._over:
            return
        self._cancel()
        for name in self._names:
            self._event("Normal", "Killing", f"Stopping container {name}")
        self._log.append((self.api.clock.now(), STOP_LINE))
        if self._state == "running" or self._restarts == 0:
            self._state, self._exit_code, self._exited_at = "terminated", 0, self.api.clock.now()
            self._last_exit = self._terminated("Completed")
        else:
            self._state = "terminated"
        self._write_status(ended=True)
        self._tell("PodStop", f"Pod {self.name} stopped gracefully")
        delete_for_good(self.api, self.namespace, self.name, self.uid)
        self._finish()

    def vanish(self) -> None:
        """The object is gone: stop without a word to the API server."""
        if not self._over:
            self._cancel()
            self._tell("PodGone", f"Pod {self.name} was removed", "debug")
            self._finish()
        self.api.forget_metrics(self.namespace, self.name)

    def _finish(self) -> None:
        self._over = True
        self._cancel()
        self.api.forget_metrics(self.namespace, self.name)
        self._ended(self)

    # -- what is told ---------------------------------------------------------------------------

    def lines(self) -> list[tuple[float, str]]:
        """The kept log lines with their seconds; from any thread."""
        while True:
            try:
                kept = list(self._log)
            except RuntimeError:  # appended to while it was copied: try again
                continue
            return [line if isinstance(line, tuple) else (line, TICK_LINE) for line in kept]

    def _write_status(self, message: str = "", *, ended: bool = False) -> bool:
        """Write the status over the newest state of this very pod; False if it is gone."""
        while True:
            pod = self.api.peek("Pod", self.name, self.namespace)
            if pod is None or meta.uid_of(pod) != self.uid:
                return False
            try:
                self.api.update_status({**pod, "status": self._status(pod, message, ended)})
                return True
            except Conflict:
                continue  # somebody wrote in between: take his state and write over that
            except NotFound:
                return False

    def _status(self, pod: Document, message: str, ended: bool) -> Document:
        old = pod.get("status") or {}
        ready = self._state == "running"
        facts = [
            Container(self._state, self._exit_code, self._restarts, ready, name)
            for name in self._names
        ]
        now = self.api.clock.timestamp()
        pod_phase = phase(facts, self._policy, ended=ended)
        statuses = [
            {
                "name": container["name"],
                "image": container.get("image", ""),
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": self._restarts,
                "state": self._container_state(message),
                "lastState": {"terminated": self._last_exit}
                if self._last_exit is not None and self._restarts
                else {},
            }
            for container in containers_of(pod)
        ]
        return {
            **old,
            "phase": pod_phase,
            "conditions": conditions(old.get("conditions") or (), facts, pod_phase, now),
            "hostIP": old.get("hostIP", ""),
            "podIP": self._ip,
            "podIPs": [{"ip": self._ip}],
            "startTime": old.get("startTime") or now,
            "containerStatuses": statuses,
        }

    def _container_state(self, message: str) -> Document:
        timestamp = self.api.clock.timestamp
        if self._state == "running":
            return {"running": {"startedAt": timestamp(self._started_at)}}
        if self._state == "terminated":
            return {"terminated": self._last_exit or self._terminated("Completed")}
        return {"waiting": {"reason": self._reason} | ({"message": message} if message else {})}

    def _terminated(self, reason: str) -> Document:
        timestamp = self.api.clock.timestamp
        return {
            "exitCode": self._exit_code,
            "reason": reason,
            "startedAt": timestamp(self._started_at),
            "finishedAt": timestamp(self._exited_at),
        }

    def _tell(self, action: str, message: str, level: str = "info") -> None:
        self._analytics.log("Pod", action, message, level)

    def _event(self, type: str, reason: str, message: str) -> None:
        self._recorder.event(self.pod, type, reason, message)

    def _seconds(self, annotation: str, default: float | None) -> float | None:
        """A number from an annotation; a malformed one is told, and the default taken."""
        text = meta.annotations_of(self.pod).get(annotation)
        if text is None:
            return default
        try:
            value = float(text)
            if 0 <= value < 1e9:
                return value
        except ValueError:
            value = -1.0
        said = f"annotation {annotation}: {text[:40]!r} is no number of 0 or more; it is ignored"
        self._event("Warning", "InvalidAnnotation", said)
        return default

    def _later(self, seconds: float, fn: Callable[[], Any]) -> None:
        self._timers.append(self.worker.call_later(seconds, fn))

    def _cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def delete_for_good(api: KubeAPI, namespace: str, name: str, uid: str) -> None:
    """Remove the object of a pod that has stopped, unless it is gone or another pod by now."""
    while True:
        known = api.peek("Pod", name, namespace)
        if known is None or meta.uid_of(known) != uid:
            return
        try:
            api.delete("Pod", name, namespace, grace_period_seconds=0, uid=uid)
            return
        except NotFound:
            return
        except Conflict:
            continue  # it changed between the look and the deletion
