"""Probes: is a container started, alive, ready? Thresholds as a pure state machine, and its clock.

A container without a readiness probe is ready as soon as it runs. With one, it is ready after
`successThreshold` successes in a row, and unready after `failureThreshold` failures in a row. A
startup probe holds the two others back until it has succeeded once. A failing liveness or startup
probe costs the container its life; it is started again by the back-off rules.

>>> state = ProbeState("readiness", failure_threshold=2)
>>> [state.observe(ok) for ok in (True, False, True, False, False)]
[True, True, True, True, False]

Ours keeps: all thresholds, initialDelaySeconds, periodSeconds, timeoutSeconds, the events, and the
liveness probe's own grace. Attempts come at the container's start + initialDelaySeconds, then each
period; a real kubelet's ticks began when it took the pod, so that its first attempt comes up to one
period later. It leaves out: the network. What a container answers is in its pod's annotations
(`kubelet.behaviour`) or in its workload model.

Source: pkg/kubelet/prober/worker.go (doProbe), prober.go, prober_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubesim.clock.base import Timer, Worker

STARTUP, LIVENESS, READINESS = "startup", "liveness", "readiness"
KINDS = (STARTUP, LIVENESS, READINESS)
INITIAL: dict[str, bool | None] = {STARTUP: None, LIVENESS: True, READINESS: False}
PERIOD_SECONDS, TIMEOUT_SECONDS = 10.0, 1.0


@dataclass(slots=True)
class ProbeState:
    """What one probe of a container believes.

    Attributes:
        kind: startup, liveness or readiness.
        failure_threshold, success_threshold: equal results in a row that it takes to be believed.
        result: what is believed; None: nothing yet (startup).
        on_hold: the container is being killed for it; nothing counts until there is a new one.
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
        """Take in the result of one attempt; returns what is believed now."""
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
        """Failures in a row so far."""
        return self._run if self._last is False else 0

    def new_container(self) -> None:
        """A new container: what was believed of the old one is forgotten, the count is not."""
        self.result = INITIAL[self.kind]
        self.on_hold = False


def failure_output(kind: str, probe: Mapping[str, Any], ip: str, *, timed_out: bool) -> str:
    """What a handler says of a failed attempt.

    Args:
        kind: of the probe.
        probe: its spec: httpGet, tcpSocket, grpc or exec.
        ip: of the pod.
        timed_out: no answer within timeoutSeconds.
    """
    if http := probe.get("httpGet"):
        if not timed_out:
            return f"HTTP probe failed with statuscode: {500 if kind == LIVENESS else 503}"
        scheme = str(http.get("scheme") or "HTTP").lower()
        path = "/" + str(http.get("path") or "/").lstrip("/")
        url = f"{scheme}://{http.get('host') or ip}:{http.get('port')}{path}"
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{url}": {why}'
    if tcp := probe.get("tcpSocket"):
        why = "i/o timeout" if timed_out else "connect: connection refused"
        return f"dial tcp {tcp.get('host') or ip}:{tcp.get('port')}: {why}"
    if probe.get("grpc"):
        if timed_out:
            seconds = probe.get("timeoutSeconds") or TIMEOUT_SECONDS
            return f'timeout: failed to connect service "{ip}" within {seconds:g}s'
        return 'service unhealthy (responded with "NOT_SERVING")'
    if timed_out:
        command = " ".join(map(str, (probe.get("exec") or {}).get("command") or ()))
        seconds = probe.get("timeoutSeconds") or TIMEOUT_SECONDS
        return f'command "{command}" timed out after {seconds:g}s'
    return ""


@dataclass(frozen=True, slots=True)
class ProbeNews:
    """What an attempt brought, for whoever owns the container.

    Attributes:
        kind: of the probe.
        ok: the attempt succeeded.
        output: what a failed one said.
        before, after: what was believed before and is now.
        failures: failures in a row; 0 after a success.
        threshold: how many of them it takes.
    """

    kind: str
    ok: bool
    output: str
    before: bool | None
    after: bool | None
    failures: int
    threshold: int


class Prober:
    """The probes of one container, on its pod's worker.

    Args:
        container: its spec.
        worker: the pod's.
        now: the clock.
        healthy: answers an attempt: (kind, seconds since the container started).
        response_seconds: how long an answer takes.
        ip: of the pod, for messages.
        tell: hears of each attempt.
    """

    def __init__(
        self,
        container: Mapping[str, Any],
        worker: Worker,
        now: Callable[[], float],
        *,
        healthy: Callable[[str, float], bool],
        response_seconds: float,
        ip: str,
        tell: Callable[[ProbeNews], None],
    ) -> None:
        self._specs = {k: container[f"{k}Probe"] for k in KINDS if container.get(f"{k}Probe")}
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
        self._healthy = healthy
        self._response = response_seconds
        self._ip = ip
        self._tell = tell
        self._timers: dict[str, Timer] = {}
        self._started_at = 0.0

    def has(self, kind: str) -> bool:
        """Whether the container has that probe."""
        return kind in self._specs

    def grace_seconds(self, kind: str) -> int | None:
        """The probe's own terminationGracePeriodSeconds, if it has one."""
        seconds = self._specs[kind].get("terminationGracePeriodSeconds")
        return None if seconds is None else int(seconds)

    def container_started(self) -> None:
        """There is a new container: believe nothing of it yet, and begin."""
        self.cancel()
        self._started_at = self._now()
        for state in self._states.values():
            state.new_container()
        first = [STARTUP] if STARTUP in self._specs else [LIVENESS, READINESS]
        for kind in first:
            self._begin(kind)

    def keep_only_readiness(self) -> None:
        """The pod is being deleted: whether it lives is no question any more."""
        for kind in (STARTUP, LIVENESS):
            self._cancel(kind)

    def cancel(self) -> None:
        """No further attempt."""
        for kind in KINDS:
            self._cancel(kind)

    def _cancel(self, kind: str) -> None:
        timer = self._timers.pop(kind, None)
        if timer is not None:
            timer.cancel()

    def _begin(self, kind: str) -> None:
        if kind in self._specs:
            delay = float(self._specs[kind].get("initialDelaySeconds") or 0)
            self._at(kind, max(self._started_at + delay, self._now()))

    def _at(self, kind: str, moment: float) -> None:
        wait = moment - self._now()
        self._timers[kind] = self._worker.call_later(wait, lambda: self._attempt(kind, moment))

    def _attempt(self, kind: str, planned: float) -> None:
        """Ask; the answer comes at once, after a while, or never."""
        timeout = float(self._specs[kind].get("timeoutSeconds") or TIMEOUT_SECONDS)
        if self._response <= 0:
            self._judge(kind, planned, False)
            return
        wait, late = min(self._response, timeout), self._response > timeout
        self._timers[kind] = self._worker.call_later(wait, lambda: self._judge(kind, planned, late))

    def _judge(self, kind: str, planned: float, timed_out: bool) -> None:
        state, spec = self._states[kind], self._specs[kind]
        ok = not timed_out and self._healthy(kind, planned - self._started_at)
        before, threshold = state.result, state.failure_threshold
        failures = 0 if ok else (state.failures if not state.on_hold else 0) + 1
        after = state.observe(ok)
        output = "" if ok else failure_output(kind, spec, self._ip, timed_out=timed_out)
        self._timers.pop(kind, None)
        done = kind == STARTUP and after is True
        if not state.on_hold and not done:
            period = float(spec.get("periodSeconds") or PERIOD_SECONDS)
            next = planned + period
            while next < self._now():  # an answer that took longer than a period
                next += period
            self._at(kind, next)
        self._tell(ProbeNews(kind, ok, output, before, after, failures, threshold))
        if done and not self._timers:
            for other in (LIVENESS, READINESS):
                self._begin(other)
