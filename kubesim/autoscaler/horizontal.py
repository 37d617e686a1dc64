"""The loop around the autoscaling policy: look, ask, write, explain.

Each HPA is looked at by its own period. A pass reads the scale of the target, the pods that it
selects and their metrics, asks the policy, and writes the new size, the status, an Event and a
decision record. The policy is a pure function (`policy.HorizontalPolicy`), or one of your own:

    class Cautious:
        def recommend(self, seen):             # an Observation; see kubesim.autoscaler.types
            return seen.current + (seen.current < 5)

    Cluster(policy=Cautious())

Ours adds: the period of each HPA can be set (annotation kubesim.dev/sync-period; in Kubernetes it
is one flag for all, 15 s), and *shadow* mode, in which it decides and records but does not act. It
leaves out: several workers (upstream 5), and the gates of alpha fields, which the API server drops.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler), rate_limiters.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.apiserver.verbs.metricsapis import MetricsAdapter
from kubesim.autoscaler.constants import DEFAULTS, SYNC_PERIOD_SECONDS, PolicyConstants
from kubesim.autoscaler.observer import Observer
from kubesim.autoscaler.policy.horizontal import HorizontalPolicy
from kubesim.autoscaler.policy.normalize import after_rescale
from kubesim.autoscaler.records import (
    RescaleResult,
    checked,
    decision_of,
    from_error,
    log_line,
    short_name,
    status_of,
    unreadable_scale,
    with_conditions,
)
from kubesim.autoscaler.types import AutoscalingPolicy, Observation, Recommendation, State
from kubesim.client import DecisionLog, EventRecorder, Informer, retry_on_conflict
from kubesim.clock.base import Clock, Streams, Timer
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import RESYNC_SECONDS, SYNC_PERIOD
from kubesim.quantity import parse_duration

COMPONENT = "horizontal-pod-autoscaler"
KIND = "HorizontalPodAutoscaler"


@dataclass
class _Due:
    """When an HPA is looked at next, and what is remembered of it."""

    uid: str
    period: float
    timer: Timer
    state: State = field(default_factory=State)


class HorizontalController:
    """Looks at every HPA by its own period.

    Args:
        api, clock, streams, analytics, decisions: the cluster's tools.
        policy: decides; None: the real algorithm.
        sync_period_seconds: for HPAs that do not say.
        constants: settings of the real algorithm.
        metrics: where custom and external metrics come from; None: from the adapter that the API
            server knows; without one they all fail.
        shadow: decide and record, but write nothing: under ``hpa-shadow/NAME``, or, if it is the
            name of a policy, under ``hpa-shadow/NAME/POLICY``.
        name: of the worker and of the event source; give a shadow one of its own.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        streams: Streams,
        analytics: Analytics,
        decisions: DecisionLog,
        *,
        policy: AutoscalingPolicy | None = None,
        sync_period_seconds: float = SYNC_PERIOD_SECONDS,
        constants: PolicyConstants = DEFAULTS,
        metrics: MetricsAdapter | None = None,
        shadow: bool | str = False,
        name: str = COMPONENT,
    ) -> None:
        self.name = name
        self.api = api
        self.clock = clock
        self.analytics = analytics
        self.decisions = decisions
        self.policy: AutoscalingPolicy = policy or HorizontalPolicy()
        self.constants = constants
        self.shadow = shadow
        self.worker = clock.worker(name)
        self.recorder = EventRecorder(api, name)
        self.counts: Counter[str] = Counter()
        self._period = sync_period_seconds
        self._due: dict[str, _Due] = {}
        self._observer = Observer(api, clock, self.worker, metrics, constants)
        self._hpas = Informer(
            api, self.worker, KIND, on_event=self._hpa_event, resync_seconds=RESYNC_SECONDS
        )

    def start(self) -> None:
        """Begin to watch."""
        self._observer.pods.start()
        self._hpas.start()

    def stop(self) -> None:
        """Stop looking."""
        self._hpas.stop()
        self._observer.pods.stop()
        self.worker.stop()

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
        return {**self.counts, "hpas": len(self._due)}

    # -- when to look ----------------------------------------------------------------------------

    def _hpa_event(self, event: ResourceEvent) -> None:
        key, uid = meta.key_of(event.object), meta.uid_of(event.object)
        due = self._due.get(key)
        if due is not None and (event.type == "DELETED" or due.uid != uid):
            # What was remembered goes with it: a new HPA of the same name starts empty.
            due.timer.cancel()
            del self._due[key]
            self._observer.forget(key)
            due = None
        if event.type == "DELETED":
            return
        period = self._period_of(event.object)
        if due is None:
            # The first look comes one period after the HPA does, not at once.
            self._due[key] = _Due(uid, period, self._look_later(key, period))
        elif due.period != period:
            left = due.timer.due - self.clock.now()
            due.timer.cancel()
            due.period = period
            due.timer = self._look_later(key, min(left, period))

    def _look_later(self, key: str, seconds: float) -> Timer:
        return self.worker.call_later(seconds, lambda: self._look(key))

    def _period_of(self, hpa: Document) -> float:
        text = meta.annotations_of(hpa).get(SYNC_PERIOD)
        if text is None:
            return self._period
        try:
            seconds = parse_duration(text)
        except ValueError:
            seconds = 0.0
        if seconds > 0:
            return seconds
        # The API server refuses such a value; an object that came another way must not stop us.
        said = f"{short_name(hpa)}: {SYNC_PERIOD}={text!r} is no period; using {self._period:g} s"
        self.analytics.log("HPA", "BadPeriod", said, "warn")
        return self._period

    def _look(self, key: str) -> None:
        due, hpa = self._due.get(key), self._hpas.get(key)
        if due is None or hpa is None:
            return
        due.timer = self._look_later(key, due.period)
        self.counts["passes"] += 1
        self._pass(hpa, due)

    # -- one pass --------------------------------------------------------------------------------

    def _pass(self, hpa: Document, due: _Due) -> None:
        namespace, target = meta.namespace_of(hpa), hpa["spec"]["scaleTargetRef"]
        said = f"{short_name(hpa)}: the {target['kind']} {target['name']}"
        self.analytics.log("HPA", "Checking", said, "debug")
        try:
            scale = self.api.get_scale(self._target_kind(target), target["name"], namespace)
        except StatusError as error:
            self._no_scale(hpa, error)
            return
        seen = self._observer.observe(hpa, scale, due.state)
        result = self._ask(hpa, seen)
        if result is None:
            return
        due.state = result.state
        outcome = RescaleResult()
        if not self.shadow:
            for type, reason, message in result.events:
                self.recorder.event(hpa, type, reason, message)
            if result.replicas != seen.current and not result.failed:
                outcome = self._rescale(hpa, scale, seen, result)
            if outcome.written:
                due.state = after_rescale(
                    result.state,
                    seen.current,
                    result.replicas,
                    self.clock.now(),
                    seen.behavior,
                    self.constants,
                )
        self._record(hpa, seen, result, outcome)
        now = self.clock.timestamp()
        self._write_status(
            hpa, lambda fresh: status_of(fresh, seen, result, outcome, now, self.constants)
        )

    def _target_kind(self, target: Document) -> str:
        """The kind of a scaleTargetRef. Its group must be right; the version does not matter.

        Raises:
            NotFound: there is no such kind in that group; in upstream's words.
        """
        kind, group = str(target["kind"]), str(target.get("apiVersion") or "").rpartition("/")[0]
        known = [k for k in self.api.registry.kinds() if (k.kind, k.group) == (kind, group)]
        if not known:
            raise NotFound(f'no matches for kind "{kind}" in group "{group}"')
        return known[0].resource

    def _ask(self, hpa: Document, seen: Observation) -> Recommendation | None:
        """What the policy says; None if it raised, which is told and changes nothing."""
        try:
            return checked(seen, self.policy.recommend(seen))
        except Exception as error:  # noqa: BLE001 - a policy of the learner's own
            said = f"the policy raised {type(error).__name__}: {error}"
        self.counts["policy_errors"] += 1
        if not self.shadow:
            self.recorder.event(hpa, "Warning", "PolicyFailed", said)
        self.analytics.log("HPA", "PolicyFailed", f"{short_name(hpa)}: {said}", "error")
        self._keep(hpa, seen, from_error(seen, said), RescaleResult())
        return None

    def _rescale(
        self, hpa: Document, scale: Document, seen: Observation, result: Recommendation
    ) -> RescaleResult:
        """Write the new size. The scale must be as it was read: on a conflict nothing is written,
        and the next pass decides afresh."""
        target, replicas = hpa["spec"]["scaleTargetRef"], result.replicas
        note = f"New size: {replicas}; reason: {result.reason}"
        try:
            self.api.update_scale(
                self._target_kind(target),
                target["name"],
                meta.namespace_of(hpa),
                replicas=replicas,
                resource_version=scale["metadata"].get("resourceVersion"),
            )
        except StatusError as error:
            self.counts["failed_rescales"] += 1
            self.recorder.event(hpa, "Warning", "FailedRescale", f"{note}; error: {error.message}")
            said = f"the HPA controller was unable to update the target scale: {error.message}"
            condition = ("AbleToScale", "False", "FailedUpdateScale", said)
            return RescaleResult(error=error.message, condition=condition)
        self.counts["rescales"] += 1
        self.recorder.event(hpa, "Normal", "SuccessfulRescale", note)
        said = f"the HPA controller was able to update the target scale to {replicas}"
        return RescaleResult(True, condition=("AbleToScale", "True", "SucceededRescale", said))

    # -- telling ---------------------------------------------------------------------------------

    def _record(
        self, hpa: Document, seen: Observation, result: Recommendation, outcome: RescaleResult
    ) -> None:
        action, level, said = "NoScale", "debug", log_line(hpa, seen, result)
        if outcome.error:
            action, level, said = "ScaleFailed", "error", f"{said}: {outcome.error}"
        elif result.failed:
            level = "warn"
        elif outcome.written:
            action, level = "ScaleUp" if result.replicas > seen.current else "ScaleDown", "info"
        if self.shadow:
            action, level = "Shadow", "debug"
        self.analytics.log("HPA", action, said, level)
        self._keep(hpa, seen, result, outcome)

    def _keep(
        self, hpa: Document, seen: Observation, result: Recommendation, outcome: RescaleResult
    ) -> None:
        self.decisions.record(
            decision_of(hpa, seen, result, outcome, self.name, shadow=self.shadow)
        )

    def _no_scale(self, hpa: Document, error: StatusError) -> None:
        """The target is not there, or cannot be scaled."""
        said = f"the HPA controller was unable to get the target's current scale: {error.message}"
        self.analytics.log("HPA", "ScaleFailed", f"{short_name(hpa)}: {said}", "error")
        self.decisions.record(
            unreadable_scale(hpa, said, self.name, self.clock.now(), shadow=self.shadow)
        )
        if not self.shadow:
            self.recorder.event(hpa, "Warning", "FailedGetScale", error.message)
        condition, now = ("AbleToScale", "False", "FailedGetScale", said), self.clock.timestamp()
        self._write_status(
            hpa, lambda fresh: with_conditions(fresh.get("status") or {}, [condition], now)
        )

    def _write_status(self, hpa: Document, make: Callable[[Document], Document]) -> None:
        """Write the status that `make` makes of the newest HPA, if it differs from the stored."""
        if self.shadow:
            return

        def write() -> None:
            fresh = self.api.peek(KIND, meta.name_of(hpa), meta.namespace_of(hpa))
            if fresh is None or meta.uid_of(fresh) != meta.uid_of(hpa):
                return  # deleted meanwhile
            status = make(fresh)
            if status != fresh.get("status"):
                self.api.update_status({**fresh, "status": status})

        try:
            retry_on_conflict(write)
        except StatusError as error:
            self.counts["failed_status"] += 1
            self.recorder.event(hpa, "Warning", "FailedUpdateStatus", error.message)
