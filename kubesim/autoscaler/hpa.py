"""The loop around the autoscaling policy: read, ask, write, explain.

Each HPA is looked at by its own period. A pass reads the scale of the target, the pods that it
selects and their metrics, asks the policy, and writes the new size, the status, an Event and a
decision record. The policy is a pure function (`policy.HorizontalPolicy`), or one of your own.

Ours adds: the period of each HPA can be set (annotation kubesim.dev/sync-period; in Kubernetes it
is one flag for all, 15 s), and *shadow* mode, in which it decides and records but does not act.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.autoscaler.normalize import after_rescale
from kubesim.autoscaler.policy import HorizontalPolicy
from kubesim.autoscaler.reading import (
    MetricsSource,
    behavior_of,
    facts_of,
    metrics_of,
    read_metric,
)
from kubesim.autoscaler.records import decision_of, from_number, status_of, unreadable_scale
from kubesim.autoscaler.types import (
    AutoscalingPolicy,
    Constants,
    Observation,
    Recommendation,
    State,
)
from kubesim.client import DecisionLog, EventRecorder, Informer, Step, retry_on_conflict
from kubesim.clock.base import Clock, Streams, Timer
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.annotations import SYNC_PERIOD
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import Selector, parse_label_selector
from kubesim.quantity import parse_duration

SYNC_PERIOD_SECONDS = 15.0  # --horizontal-pod-autoscaler-sync-period
RESYNC_SECONDS = 600.0
COMPONENT = "horizontal-pod-autoscaler"


@dataclass
class _Due:
    """When an HPA is looked at next, and what is remembered of it."""

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
        metrics: where custom and external metrics come from.
        shadow: decide and record, but do not act.
    """

    def __init__(
        self,
        api: KubeAPI,
        *,
        clock: Clock,
        streams: Streams,
        analytics: Analytics,
        decisions: DecisionLog,
        policy: AutoscalingPolicy | None = None,
        sync_period_seconds: float = SYNC_PERIOD_SECONDS,
        constants: Constants | None = None,
        metrics: MetricsSource | None = None,
        shadow: bool = False,
        name: str = COMPONENT,
    ) -> None:
        self.name = name
        self.api = api
        self.clock = clock
        self.analytics = analytics
        self.decisions = decisions
        self.policy: AutoscalingPolicy = policy or HorizontalPolicy()
        self.constants = constants or Constants()
        self.shadow = shadow
        self.worker = clock.worker(name)
        self.recorder = EventRecorder(api, name)
        self.counts: Counter[str] = Counter()
        self._metrics = metrics
        self._period = sync_period_seconds
        self._due: dict[str, _Due] = {}
        resync = RESYNC_SECONDS
        self._pods = Informer(api, self.worker, "Pod", resync_seconds=resync)
        self._hpas = Informer(
            api,
            self.worker,
            "HorizontalPodAutoscaler",
            on_event=self._hpa_event,
            resync_seconds=resync,
        )

    def start(self) -> None:
        """Begin to watch."""
        self._pods.start()
        self._hpas.start()

    def stop(self) -> None:
        """Stop looking."""
        self._hpas.stop()
        self._pods.stop()
        self.worker.stop()

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
        return {**self.counts, "hpas": len(self._due)}

    # -- when to look ----------------------------------------------------------------------------

    def _hpa_event(self, event: ResourceEvent) -> None:
        key = meta.key_of(event.object)
        if event.type == "DELETED":
            due = self._due.pop(key, None)
            if due is not None:
                due.timer.cancel()
            return
        period = self._period_of(event.object)
        due = self._due.get(key)
        if due is None:
            # The first look comes one period after the HPA does.
            self._due[key] = _Due(period, self._look_later(key, period))
        elif due.period != period:
            left = due.timer.due - self.clock.now()
            due.timer.cancel()
            due.period = period
            due.timer = self._look_later(key, min(left, period))

    def _look_later(self, key: str, seconds: float) -> Timer:
        return self.worker.call_later(seconds, lambda: self._look(key))

    def _period_of(self, hpa: Document) -> float:
        text = meta.annotations_of(hpa).get(SYNC_PERIOD)
        return self._period if text is None else parse_duration(text)

    def _look(self, key: str) -> None:
        due, hpa = self._due.get(key), self._hpas.get(key)
        if due is None or hpa is None:
            return
        due.timer = self._look_later(key, due.period)
        self.counts["passes"] += 1
        try:
            self._pass(key, hpa, due)
        except StatusError as error:  # somebody wrote in between: the next pass is soon
            self.counts["conflicts"] += 1
            self.analytics.log("HPA", "PassLost", f"{key}: {error}", "warn")

    # -- one pass ----------------------------------------------------------------------------------

    def _pass(self, key: str, hpa: Document, due: _Due) -> None:
        namespace, target = meta.namespace_of(hpa), hpa["spec"]["scaleTargetRef"]
        try:
            scale = self.api.get_scale(target["kind"], target["name"], namespace)
        except StatusError as error:
            self._no_scale(hpa, error)
            return
        seen = self._observe(hpa, scale, due)
        try:
            result = self.policy.recommend(seen)
        except Exception as error:  # noqa: BLE001 - a policy of the learner's own
            self._policy_failed(hpa, seen, error)
            return
        if not isinstance(result, Recommendation):
            result = from_number(seen, result)
        due.state = result.state
        replicas = result.replicas
        conditions = list(result.conditions)
        rescaled = False
        if replicas != seen.current and not result.failed:
            rescaled, condition = self._rescale(hpa, scale, replicas, result.reason)
            conditions.append(condition)
            if rescaled:
                up = seen.behavior.up if seen.behavior is not None else None
                down = seen.behavior.down if seen.behavior is not None else None
                due.state = after_rescale(
                    result.state, seen.current, replicas, self.clock.now(), up, down
                )
        for type, reason, message in result.events:
            self.recorder.event(hpa, type, reason, message)
        self._record(hpa, seen, result)
        self._write_status(hpa, seen, result, conditions, rescaled)

    def _observe(self, hpa: Document, scale: Document, due: _Due) -> Observation:
        namespace = meta.namespace_of(hpa)
        selector = parse_label_selector(scale["status"]["selector"])
        pods = self._selected(namespace, selector)
        entries = hpa["spec"].get("metrics") or []
        problem = ""
        if selector.empty:
            problem = "InvalidSelector"
        elif self._ambiguous(hpa, pods):
            problem = "AmbiguousSelector"
        readings = tuple(
            (metric, read_metric(self.api, namespace, metric, entry, pods, self._metrics))
            for metric, entry in zip(metrics_of(hpa), entries, strict=True)
        )
        return Observation(
            name=meta.name_of(hpa),
            now=self.clock.now(),
            current=scale["spec"]["replicas"],
            status_replicas=scale["status"]["replicas"],
            minimum=hpa["spec"].get("minReplicas", 1),
            maximum=hpa["spec"]["maxReplicas"],
            metrics=readings,
            pods=tuple(facts_of(pod, self.clock.seconds_at) for pod in pods),
            behavior=behavior_of(hpa),
            selector_problem=problem,
            constants=self.constants,
            state=due.state,
        )

    def _selected(self, namespace: str, selector: Selector) -> list[Document]:
        if selector.empty:
            return []
        return [
            pod
            for pod in self._pods.list()
            if meta.namespace_of(pod) == namespace and selector.matches(meta.labels_of(pod))
        ]

    def _ambiguous(self, hpa: Document, pods: Sequence[Document]) -> bool:
        """True if another HPA selects one of these pods, too."""
        for other in self._hpas.list():
            same = meta.uid_of(other) == meta.uid_of(hpa)
            if same or meta.namespace_of(other) != meta.namespace_of(hpa):
                continue
            target = other["spec"]["scaleTargetRef"]
            try:
                scale = self.api.get_scale(target["kind"], target["name"], meta.namespace_of(other))
            except StatusError:
                continue
            selector = parse_label_selector(scale["status"]["selector"])
            if not selector.empty and any(selector.matches(meta.labels_of(p)) for p in pods):
                return True
        return False

    def _rescale(
        self, hpa: Document, scale: Document, replicas: int, reason: str
    ) -> tuple[bool, tuple[str, str, str, str]]:
        """Write the new size: (done, the condition that tells)."""
        target, namespace = hpa["spec"]["scaleTargetRef"], meta.namespace_of(hpa)
        before = scale["spec"]["replicas"]
        if self.shadow:
            said = f"shadow mode: {replicas} is not written"
            return False, ("AbleToScale", "True", "ShadowMode", said)
        version = scale["metadata"].get("resourceVersion")

        def write() -> Document:
            # The status of a busy target changes all the time; only its size must be as read.
            fresh = self.api.get_scale(target["kind"], target["name"], namespace)
            version = fresh["metadata"].get("resourceVersion")
            return self.api.update_scale(
                target["kind"],
                target["name"],
                namespace,
                replicas=replicas,
                resource_version=version,
            )

        try:
            retry_on_conflict(write)
        except StatusError as error:
            said = f"the HPA controller was unable to update the target scale: {error.message}"
            note = f"New size: {replicas}; reason: {reason}; error: {error.message}"
            self.recorder.event(hpa, "Warning", "FailedRescale", note)
            self.analytics.log("HPA", "ScaleFailed", f"{meta.key_of(hpa)}: {said}", "error")
            return False, ("AbleToScale", "False", "FailedUpdateScale", said)
        self.counts["rescales"] += 1
        note = f"New size: {replicas}; reason: {reason}"
        self.recorder.event(hpa, "Normal", "SuccessfulRescale", note)
        action = "ScaleUp" if replicas > before else "ScaleDown"
        said = f"{target['name']}: {before} -> {replicas} replicas, {reason or 'history'}"
        self.analytics.log("HPA", action, said)
        done = f"the HPA controller was able to update the target scale to {replicas}"
        return version is not None, ("AbleToScale", "True", "SucceededRescale", done)

    # -- telling -----------------------------------------------------------------------------------

    def _write_status(
        self,
        hpa: Document,
        seen: Observation,
        result: Recommendation,
        conditions: Sequence[tuple[str, str, str, str]],
        rescaled: bool,
    ) -> None:
        old = hpa.get("status") or {}
        now = self.clock.timestamp()
        new = status_of(old, seen, result, conditions, rescaled=rescaled, now=now)
        if new == old:
            return

        def write() -> None:
            current = self.api.get("HorizontalPodAutoscaler", seen.name, meta.namespace_of(hpa))
            self.api.update_status({**current, "status": new})

        try:
            retry_on_conflict(write)
        except NotFound:
            return  # deleted meanwhile
        except StatusError as error:
            self.recorder.event(hpa, "Warning", "FailedUpdateStatus", error.message)

    def _record(self, hpa: Document, seen: Observation, result: Recommendation) -> None:
        decision = decision_of(hpa, seen, result, self.name, self.clock.now(), self.shadow)
        self.analytics.log("HPA", "Checked", f"{seen.name}: {decision.verdict}", "debug")
        self.decisions.record(decision)

    def _no_scale(self, hpa: Document, error: StatusError) -> None:
        said = f"the HPA controller was unable to get the target's current scale: {error.message}"
        self.recorder.event(hpa, "Warning", "FailedGetScale", error.message)
        old = hpa.get("status") or {}
        kept = set_condition(
            old.get("conditions") or (),
            "AbleToScale",
            "False",
            "FailedGetScale",
            said,
            now=self.clock.timestamp(),
        )
        self.decisions.record(unreadable_scale(hpa, said, self.name, self.clock.now()))
        if kept != old.get("conditions"):
            self.api.update_status({**hpa, "status": {**old, "conditions": kept}})

    def _policy_failed(self, hpa: Document, seen: Observation, error: Exception) -> None:
        """A policy of the learner's own raised: that is told, and the loop goes on."""
        said = f"the policy raised {type(error).__name__}: {error}"
        self.counts["policy_errors"] += 1
        self.recorder.event(hpa, "Warning", "PolicyFailed", said)
        self.analytics.log("HPA", "PolicyFailed", f"{seen.name}: {said}", "error")
        self._record(
            hpa,
            seen,
            Recommendation(
                seen.current,
                failed=True,
                steps=(Step("policy", {"current": seen.current}, said),),
                binding=said,
                would_change_if="the policy returned a number of replicas",
                data={"from": seen.current, "to": seen.current},
            ),
        )
