"""Probes: is a container started, alive, ready? Thresholds as a pure state machine, and its clock.

A container without a readiness probe is ready as soon as it runs. With one, it is ready after
`successThreshold` successes in a row, and unready after `failureThreshold` failures in a row. A
startup probe holds the two others back until it has succeeded once. A failing liveness or startup
probe kills the container; it is started again by the back-off rules.

>>> state = ProbeState("readiness", failure_threshold=2)
>>> [state.observe(ok) for ok in (True, False, True, False, False)]
[True, True, True, True, False]

Ours keeps: all thresholds, initialDelaySeconds, periodSeconds, timeoutSeconds, the events, and the
liveness probe's own grace period. Attempts come at the container's start + initialDelaySeconds,
then once a period; the first attempt of a real kubelet comes up to one period later, since its
ticks began when it took the pod. It leaves out: the network. A workload model with a method
``probe(kind, now) -> bool`` answers for its container; otherwise the annotation
``kubesim.dev/probe`` does, and without one every attempt succeeds.

Source: pkg/kubelet/prober/worker.go (doProbe), prober.go, prober_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from kubesim.clock.base import Timer, Worker
from kubesim.kubelet.pod.behaviour import Answers
from kubesim.kubelet.pod.containers import ContainerState
from kubesim.kubelet.pod.context import PodContext
from kubesim.usercode import USER_ERRORS, error_text

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, ProbeDict

STARTUP, LIVENESS, READINESS = "startup", "liveness", "readiness"
KINDS = (STARTUP, LIVENESS, READINESS)
INITIAL: dict[str, bool | None] = {STARTUP: None, LIVENESS: True, READINESS: False}
PERIOD_SECONDS, TIMEOUT_SECONDS = 10.0, 1.0


@dataclass(slots=True)
class ProbeState:
    """The result of one probe of a container, after its thresholds.

    Attributes:
        kind: startup, liveness or readiness.
        failure_threshold, success_threshold: equal attempts in a row that change the result.
        result: the present result; None: none yet (startup).
        on_hold: the container is being killed; no attempt counts until the next container runs.
    """

    kind: str
    failure_threshold: int = 3
    success_threshold: int = 1
    result: bool | None = field(default=None)
    on_hold: bool = False
    _last: bool | None = None
    _run: int = 0

    def __post_init__(self) -> None:
        self.result = INITIAL[self.kind]

    def observe(self, ok: bool) -> bool | None:
        """Count one attempt; return the result after it."""
        if self.on_hold:
            return self.result
        if ok is self._last:
            self._run += 1
        else:
            self._last, self._run = ok, 1
        if self._run < (self.success_threshold if ok else self.failure_threshold):
            return self.result
        self.result = ok
        if not ok and self.kind != READINESS:
            self.on_hold, self._run = True, 0
        return self.result

    @property
    def failures(self) -> int:
        """Failed attempts in a row so far."""
        return self._run if self._last is False else 0

    def new_container(self) -> None:
        """Reset the result for a new container; the count of equal attempts goes on."""
        self.result = INITIAL[self.kind]
        self.on_hold = False


def command_timed_out(command: Sequence[str], seconds: float) -> str:
    """Return the output of a command that was not finished within timeoutSeconds."""
    return f'command "{" ".join(map(str, command))}" timed out after {seconds:g}s'


def failure_output(kind: str, probe: ProbeDict, ip: str, *, timed_out: bool) -> str:
    """Return the output of a failed attempt, as the probe's handler words it.

    Args:
        kind: startup, liveness or readiness.
        probe: its spec: httpGet, tcpSocket, grpc or exec.
        ip: of the pod.
        timed_out: there was no answer within timeoutSeconds.
    """
    if http := probe.get("httpGet"):
        if not timed_out:
            return f"HTTP probe failed with statuscode: {500 if kind == LIVENESS else 503}"
        scheme = str(http.get("scheme") or "HTTP").lower()
        path = "/" + str(http.get("path") or "/").lstrip("/")
        url = f"{scheme}://{http.get('host') or ip}:{http.get('port')}{path}"
        reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{url}": {reason}'
    if tcp := probe.get("tcpSocket"):
        reason = "i/o timeout" if timed_out else "connect: connection refused"
        return f"dial tcp {tcp.get('host') or ip}:{tcp.get('port')}: {reason}"
    if probe.get("grpc"):
        if timed_out:
            seconds = probe.get("timeoutSeconds") or TIMEOUT_SECONDS
            return f'timeout: failed to connect service "{ip}" within {seconds:g}s'
        return 'service unhealthy (responded with "NOT_SERVING")'
    if timed_out:
        command = (probe.get("exec") or {}).get("command") or ()
        return command_timed_out(command, probe.get("timeoutSeconds") or TIMEOUT_SECONDS)
    return ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One attempt of a probe.

    Attributes:
        kind: startup, liveness or readiness.
        ok: whether the attempt succeeded.
        output: of a failed attempt.
        before, after: the probe's result before and after the attempt.
        failures: failed attempts in a row; 0 after a success.
        threshold: failed attempts in a row that change the result.
    """

    kind: str
    ok: bool
    output: str
    before: bool | None
    after: bool | None
    failures: int
    threshold: int


def probes_of(container: ContainerDict) -> dict[str, ProbeDict]:
    """Return the probes of a container by kind."""
    probes = (
        (STARTUP, container.get("startupProbe")),
        (LIVENESS, container.get("livenessProbe")),
        (READINESS, container.get("readinessProbe")),
    )
    return {kind: probe for kind, probe in probes if probe}


class Prober:
    """Runs the probes of one container on its pod's worker.

    Args:
        container: its spec.
        worker: the pod's.
        now: the clock.
        attempt: makes an attempt: attempt(kind, seconds since the container started, timeout)
            returns whether it succeeds, and its output.
        response_seconds: how long an answer takes.
        ip: of the pod, for messages.
        report: called after each attempt.
    """

    def __init__(
        self,
        container: ContainerDict,
        worker: Worker,
        now: Callable[[], float],
        *,
        attempt: Callable[[str, float, float], tuple[bool, str]],
        response_seconds: float,
        ip: str,
        report: Callable[[ProbeResult], object],
    ) -> None:
        self._specs = probes_of(container)
        self._states = {
            kind: ProbeState(
                kind,
                int(spec.get("failureThreshold") or 3),
                int(spec.get("successThreshold") or 1),
            )
            for kind, spec in self._specs.items()
        }
        self._worker = worker
        self._now = now
        self._check = attempt
        self._response = response_seconds
        self._ip = ip
        self._report = report
        self._timers: dict[str, Timer] = {}
        self._started_at = 0.0

    def has(self, kind: str) -> bool:
        """Whether the container has that probe."""
        return kind in self._specs

    def grace_seconds(self, kind: str) -> int | None:
        """Return the probe's own terminationGracePeriodSeconds, or None."""
        seconds = self._specs[kind].get("terminationGracePeriodSeconds")
        return None if seconds is None else int(seconds)

    def container_started(self, started_at: float) -> None:
        """Reset all results for a container that started at that second, and begin to probe it."""
        self.cancel()
        self._started_at = started_at
        for state in self._states.values():
            state.new_container()
        first = [STARTUP] if STARTUP in self._specs else [LIVENESS, READINESS]
        for kind in first:
            self._begin(kind)

    def keep_only_readiness(self) -> None:
        """Cancel the startup and liveness probes, since the pod is being deleted."""
        for kind in (STARTUP, LIVENESS):
            self._cancel(kind)

    def cancel(self) -> None:
        """Cancel all probes."""
        for kind in KINDS:
            self._cancel(kind)

    def _cancel(self, kind: str) -> None:
        timer = self._timers.pop(kind, None)
        if timer is not None:
            timer.cancel()

    def _begin(self, kind: str) -> None:
        if kind in self._specs:
            delay = float(self._specs[kind].get("initialDelaySeconds") or 0)
            self._schedule(kind, max(self._started_at + delay, self._now()))

    def _schedule(self, kind: str, moment: float) -> None:
        wait = moment - self._now()
        self._timers[kind] = self._worker.call_later(wait, lambda: self._attempt(kind, moment))

    def _attempt(self, kind: str, planned: float) -> None:
        """Begin an attempt; the answer comes at once, later, or after the timeout."""
        timeout = float(self._specs[kind].get("timeoutSeconds") or TIMEOUT_SECONDS)
        if self._response <= 0:
            self._complete(kind, planned, False)
            return
        wait, late = min(self._response, timeout), self._response > timeout
        self._timers[kind] = self._worker.call_later(
            wait, lambda: self._complete(kind, planned, late)
        )

    def _complete(self, kind: str, planned: float, timed_out: bool) -> None:
        """Count the attempt, schedule the next one, and report."""
        state, spec = self._states[kind], self._specs[kind]
        ok, output = False, ""
        if not timed_out:
            timeout = float(spec.get("timeoutSeconds") or TIMEOUT_SECONDS)
            ok, output = self._check(kind, planned - self._started_at, timeout)
        before, threshold = state.result, state.failure_threshold
        failures = 0 if ok else (state.failures if not state.on_hold else 0) + 1
        after = state.observe(ok)
        if not ok:
            output = output or failure_output(kind, spec, self._ip, timed_out=timed_out)
        self._timers.pop(kind, None)
        done = kind == STARTUP and after is True
        if not state.on_hold and not done:
            period = float(spec.get("periodSeconds") or PERIOD_SECONDS)
            next = planned + period
            while next < self._now():  # an answer that took longer than a period
                next += period
            self._schedule(kind, next)
        self._report(ProbeResult(kind, ok, output, before, after, failures, threshold))
        if done and not self._timers:
            for other in (LIVENESS, READINESS):
                self._begin(other)


class PodProbes:
    """The probers of a pod's containers; a pod without probes has none.

    Args:
        context: the pod.
        report: called after each attempt of each container.
    """

    __slots__ = ("_context", "_probers")

    def __init__(
        self, context: PodContext, report: Callable[[ContainerState, ProbeResult], object]
    ) -> None:
        self._context = context
        self._probers = {
            container.name: Prober(
                container.spec,
                context.worker,
                context.now,
                attempt=partial(self._attempt, container),
                response_seconds=container.behaviour.answers.response_seconds,
                ip=context.ip,
                report=partial(report, container),
            )
            for container in context.containers
            if probes_of(container.spec)
        }

    def _attempt(
        self, container: ContainerState, kind: str, age: float, timeout: float
    ) -> tuple[bool, str]:
        """Make an attempt; a workload model decides first, then an annotation, then the command.

        Args:
            container: whose probe it is.
            kind: startup, liveness or readiness.
            age: seconds since it started.
            timeout: seconds that a command may take.
        """
        models = self._context.models
        model = models.own.get(container.name, models.pod)
        probe = getattr(model, "probe", None)
        if callable(probe):
            try:
                return bool(probe(kind, self._context.now())), ""
            except USER_ERRORS as error:
                return False, error_text(error)
        answers = container.behaviour.answers
        command = (probes_of(container.spec)[kind].get("exec") or {}).get("command")
        if command and answers == Answers():
            result = self._context.programs.run(container.spec, command)
            if result is not None and result.seconds > timeout:
                return False, command_timed_out(command, timeout)
            if result is not None:
                return result.code == 0, (result.stdout + result.stderr).strip()
        draw = f"{container.uid}/{container.name}/{container.restarts}/{kind}/{age}"
        return answers.healthy(kind, age, draw), ""

    def has(self, container: ContainerState, kind: str) -> bool:
        """Whether a container has a probe of that kind."""
        prober = self._probers.get(container.name)
        return prober is not None and prober.has(kind)

    def grace_seconds(self, container: ContainerState, kind: str) -> int | None:
        """Return the probe's own terminationGracePeriodSeconds, or None."""
        return self._probers[container.name].grace_seconds(kind)

    def container_started(self, container: ContainerState) -> None:
        """Begin to probe a container that has just started."""
        if container.name in self._probers:
            self._probers[container.name].container_started(container.started_at)

    def container_stopped(self, container: ContainerState) -> None:
        """Cancel the probes of a container that has terminated."""
        if container.name in self._probers:
            self._probers[container.name].cancel()

    def keep_only_readiness(self) -> None:
        """Cancel the startup and liveness probes of all containers."""
        for prober in self._probers.values():
            prober.keep_only_readiness()

    def cancel(self) -> None:
        """Cancel all probes of all containers."""
        for prober in self._probers.values():
            prober.cancel()
