"""The HorizontalPodAutoscaler controller: the control loop around the autoscaling policy.

Each HPA is synced once in its period. A pass reads the scale of the target, the selected pods and
their metrics, calls the policy, and writes the new size, the status, an Event and a decision
record. The policy is a pure function (`policy.horizontal.HorizontalPolicy`), or your own:

    class Cautious:
        def recommend(self, observation):      # see kubesim.autoscaler.types.Observation
            return observation.current + (observation.current < 5)

    Cluster(policy=Cautious())

Ours adds: the period of each HPA can be set (annotation kubesim.dev/sync-period; in Kubernetes it
is one flag for all, 15 s), and *shadow* mode, in which the controller decides and records but does
not act. It leaves out: several workers (upstream 5), and the gates of alpha fields, which the API
server drops.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler), rate_limiters.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

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
from kubesim.autoscaler.types import (
    AutoscalingPolicy,
    Observation,
    Recommendation,
    State,
    checked_policy,
)
from kubesim.client import DecisionLog, EventRecorder, Informer, retry_on_conflict
from kubesim.clock.base import Clock, Streams, Timer
from kubesim.errors import Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import HORIZONTAL_POD_AUTOSCALER
from kubesim.objects.wellknown import RESYNC_SECONDS, SYNC_PERIOD
from kubesim.quantity import parse_duration
from kubesim.usercode import USER_ERRORS, error_text

if TYPE_CHECKING:
    from kubesim.objects.types import (
        CrossVersionObjectReferenceDict,
        HorizontalPodAutoscalerDict,
        HorizontalPodAutoscalerStatusDict,
        ScaleDict,
    )

COMPONENT = "horizontal-pod-autoscaler"


@dataclass
class _SyncEntry:
    """The next sync of an HPA, and the state that its policy needs."""

    uid: str
    period: float
    timer: Timer
    state: State = field(default_factory=State)


class HorizontalController:
    """Syncs every HPA once in its period.

    Args:
        api, clock, streams, analytics, decisions: the cluster's tools.
        policy: the autoscaling policy; None: the real algorithm.
        sync_period_seconds: of HPAs without an annotation.
        constants: settings of the real algorithm.
        metrics: source of custom and external metrics; None: the adapter that is registered with
            the API server; without one these metrics fail.
        shadow: decide and record, but write nothing: under ``hpa-shadow/NAME``, or, if it is the
            name of a policy, under ``hpa-shadow/NAME/POLICY``.
        name: of the worker and of the event source; a shadow needs its own.

    Raises:
        BadRequest: the policy has no method `recommend`.
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
        self.policy = HorizontalPolicy() if policy is None else checked_policy(policy)
        self.constants = constants
        self.shadow = shadow
        self.worker = clock.worker(name)
        self.recorder = EventRecorder(api, name)
        self.counts: Counter[str] = Counter()
        self._period = sync_period_seconds
        self._entries: dict[str, _SyncEntry] = {}
        self._observer = Observer(api, clock, self.worker, metrics, constants)
        self._hpas = Informer(
            api,
            self.worker,
            HORIZONTAL_POD_AUTOSCALER,
            on_event=self._hpa_event,
            resync_seconds=RESYNC_SECONDS,
        )

    def start(self) -> None:
        """Begin to watch."""
        self._observer.pods.start()
        self._hpas.start()

    def stop(self) -> None:
        """Stop watching."""
        self._hpas.stop()
        self._observer.pods.stop()
        self.worker.stop()

    def statistics(self) -> Document:
        """Return counts for tests and tables."""
        return {**self.counts, "hpas": len(self._entries)}

    # -- schedule --------------------------------------------------------------------------------

    def _hpa_event(self, event: ResourceEvent[HorizontalPodAutoscalerDict]) -> None:
        key, uid = meta.key_of(event.object), meta.uid_of(event.object)
        entry = self._entries.get(key)
        if entry is not None and (event.type == "DELETED" or entry.uid != uid):
            # Its state is dropped, too: a new HPA of the same name starts empty.
            entry.timer.cancel()
            del self._entries[key]
            self._observer.forget(key)
            entry = None
        if event.type == "DELETED":
            return
        period = self._period_of(event.object)
        if entry is None:
            # The first sync comes one period after the HPA was created, not at once.
            self._entries[key] = _SyncEntry(uid, period, self._sync_later(key, period))
        elif entry.period != period:
            remaining = entry.timer.due - self.clock.now()
            entry.timer.cancel()
            entry.period = period
            entry.timer = self._sync_later(key, min(remaining, period))

    def _sync_later(self, key: str, seconds: float) -> Timer:
        return self.worker.call_later(seconds, lambda: self._sync(key))

    def _period_of(self, hpa: HorizontalPodAutoscalerDict) -> float:
        """Return the sync period of an HPA in seconds, by its annotation."""
        text = meta.annotations_of(hpa).get(SYNC_PERIOD)
        if text is None:
            return self._period
        try:
            seconds = parse_duration(text)
        except ValueError:
            seconds = 0.0
        if seconds > 0:
            return seconds
        # The API server rejects such a value; an object that came another way is tolerated.
        name, default = short_name(hpa), f"using {self._period:g} s"
        message = f"{name}: {SYNC_PERIOD}={text!r} is not a period; {default}"
        self.analytics.log("HPA", "BadPeriod", message, "warn")
        return self._period

    def _sync(self, key: str) -> None:
        """Run one pass over an HPA, and schedule the next one."""
        entry, hpa = self._entries.get(key), self._hpas.get(key)
        if entry is None or hpa is None:
            return
        entry.timer = self._sync_later(key, entry.period)
        self.counts["passes"] += 1
        self._reconcile(hpa, entry)

    # -- one pass --------------------------------------------------------------------------------

    def _reconcile(self, hpa: HorizontalPodAutoscalerDict, entry: _SyncEntry) -> None:
        """Observe, decide, write the size and the status, and record the decision."""
        namespace, target = meta.namespace_of(hpa), hpa["spec"]["scaleTargetRef"]
        message = f"{short_name(hpa)}: the {target['kind']} {target['name']}"
        self.analytics.log("HPA", "Checking", message, "debug")
        try:
            read = self.api.get_scale(self._target_kind(target), target["name"], namespace)
        except StatusError as error:
            self._scale_unreadable(hpa, error)
            return
        scale = cast("ScaleDict", read)
        observation = self._observer.observe(hpa, scale, entry.state)
        result = self._recommend(hpa, observation)
        if result is None:
            return
        entry.state = result.state
        outcome = RescaleResult()
        if not self.shadow:
            for type, reason, message in result.events:
                self.recorder.event(hpa, type, reason, message)
            if result.replicas != observation.current and not result.failed:
                outcome = self._rescale(hpa, scale, observation, result)
            if outcome.written:
                entry.state = after_rescale(
                    result.state,
                    observation.current,
                    result.replicas,
                    self.clock.now(),
                    observation.behavior,
                    self.constants,
                )
        self._record(hpa, observation, result, outcome)
        now = self.clock.timestamp()
        self._write_status(
            hpa, lambda fresh: status_of(fresh, observation, result, outcome, now, self.constants)
        )

    def _target_kind(self, target: CrossVersionObjectReferenceDict) -> str:
        """Return the kind of a scaleTargetRef; its group has to match, its version does not.

        Raises:
            NotFound: there is no such kind in that group; the message is upstream's.
        """
        kind, group = str(target["kind"]), str(target.get("apiVersion") or "").rpartition("/")[0]
        candidate = self.api.registry.by_kind.get(kind)
        if candidate is not None and candidate.group == group:
            return kind
        if f"{kind}.{group}" in self.api.registry.by_kind:  # another group has the bare name
            return f"{kind}.{group}"
        raise NotFound(f'no matches for kind "{kind}" in group "{group}"')

    def _recommend(
        self, hpa: HorizontalPodAutoscalerDict, observation: Observation
    ) -> Recommendation | None:
        """Call the policy; return None if it raised, which is reported and changes nothing."""
        try:
            return checked(observation, self.policy.recommend(observation))
        except USER_ERRORS as error:  # a policy of the user's own
            message = f"the policy raised {error_text(error)}"
        self.counts["policy_errors"] += 1
        if not self.shadow:
            self.recorder.event(hpa, "Warning", "PolicyFailed", message)
        self.analytics.log("HPA", "PolicyFailed", f"{short_name(hpa)}: {message}", "error")
        self._record_decision(hpa, observation, from_error(observation, message), RescaleResult())
        return None

    def _rescale(
        self,
        hpa: HorizontalPodAutoscalerDict,
        scale: ScaleDict,
        observation: Observation,
        result: Recommendation,
    ) -> RescaleResult:
        """Write the new size over the scale that was read.

        After a conflict nothing is written, and the next pass decides again.
        """
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
            message = f"the HPA controller was unable to update the target scale: {error.message}"
            condition = ("AbleToScale", "False", "FailedUpdateScale", message)
            return RescaleResult(error=error.message, condition=condition)
        self.counts["rescales"] += 1
        self.recorder.event(hpa, "Normal", "SuccessfulRescale", note)
        message = f"the HPA controller was able to update the target scale to {replicas}"
        return RescaleResult(True, condition=("AbleToScale", "True", "SucceededRescale", message))

    # -- log, decision record, status ------------------------------------------------------------

    def _record(
        self,
        hpa: HorizontalPodAutoscalerDict,
        observation: Observation,
        result: Recommendation,
        outcome: RescaleResult,
    ) -> None:
        action, level, message = "NoScale", "debug", log_line(hpa, observation, result)
        if outcome.error:
            action, level, message = "ScaleFailed", "error", f"{message}: {outcome.error}"
        elif result.failed:
            level = "warn"
        elif outcome.written:
            action, level = (
                "ScaleUp" if result.replicas > observation.current else "ScaleDown",
                "info",
            )
        if self.shadow:
            action, level = "Shadow", "debug"
        self.analytics.log("HPA", action, message, level)
        self._record_decision(hpa, observation, result, outcome)

    def _record_decision(
        self,
        hpa: HorizontalPodAutoscalerDict,
        observation: Observation,
        result: Recommendation,
        outcome: RescaleResult,
    ) -> None:
        self.decisions.record(
            decision_of(hpa, observation, result, outcome, self.name, shadow=self.shadow)
        )

    def _scale_unreadable(self, hpa: HorizontalPodAutoscalerDict, error: StatusError) -> None:
        """Report that the target does not exist, or cannot be scaled."""
        message = (
            f"the HPA controller was unable to get the target's current scale: {error.message}"
        )
        self.analytics.log("HPA", "ScaleFailed", f"{short_name(hpa)}: {message}", "error")
        self.decisions.record(
            unreadable_scale(hpa, message, self.name, self.clock.now(), shadow=self.shadow)
        )
        if not self.shadow:
            self.recorder.event(hpa, "Warning", "FailedGetScale", error.message)
        now = self.clock.timestamp()
        condition = ("AbleToScale", "False", "FailedGetScale", message)
        self._write_status(
            hpa, lambda fresh: with_conditions(fresh.get("status") or {}, [condition], now)
        )

    def _write_status(
        self,
        hpa: HorizontalPodAutoscalerDict,
        render: Callable[[HorizontalPodAutoscalerDict], HorizontalPodAutoscalerStatusDict],
    ) -> None:
        """Write what `render` returns for the HPA, if it differs from its status.

        The HPA is the one that the pass began with, as upstream. If another client has written it
        since then, the newest one is read.
        """
        if self.shadow:
            return

        def write(current: HorizontalPodAutoscalerDict) -> None:
            status = render(current)
            if status != current.get("status"):
                self.api.update_status({**current, "status": status})

        def write_newest() -> None:
            newest = self.api.peek(
                HORIZONTAL_POD_AUTOSCALER, meta.name_of(hpa), meta.namespace_of(hpa)
            )
            if newest is not None and meta.uid_of(newest) == meta.uid_of(hpa):
                write(newest)  # otherwise it was deleted in the meantime

        try:
            try:
                write(hpa)
            except (Conflict, NotFound):
                retry_on_conflict(write_newest)
        except StatusError as error:
            self.counts["failed_status"] += 1
            self.recorder.event(hpa, "Warning", "FailedUpdateStatus", error.message)
