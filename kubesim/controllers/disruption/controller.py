"""The disruption controller: says in each PodDisruptionBudget how many pods may be evicted now.

The API server grants evictions from that number and takes each off at once; this controller counts
anew whenever a pod changes. The arithmetic is in `disruption`; this file reads, counts and writes.

Ours keeps expected and desired numbers with the scale of the pods' distinct controllers, the memory
of evicted pods that are not on their way out yet (two minutes), conditions, the safe state after an
error, and the events. It leaves out: taking back the condition DisruptionTarget of a pod that was
not deleted after all, and the event about a pod that several budgets match.

Source: pkg/controller/disruption/disruption.go,
k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.verbs.eviction import SYNC_FAILED, allowed_condition, budget_condition
from kubesim.client import Controller, Decision, RuleStep, Tools
from kubesim.controllers.disruption.plan import (
    Budget,
    BudgetPod,
    Disrupted,
    desired_healthy,
    disruptions_allowed,
    healthy_pods,
    still_disrupted,
)
from kubesim.controllers.shared.pod_events import affected_labels
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_ready
from kubesim.objects.selectors import Selector, selector_from

RECHECK_MARGIN_SECONDS = 0.001  # overdue is strictly after the timeout
SOURCE = "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/"
EVICTION_SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/"


class CountFailed(Exception):
    """The number of expected pods cannot be worked out; the message says why."""


class DisruptionController(Controller):
    """Reconciles PodDisruptionBudgets, one key at a time."""

    name = "disruption-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._budgets = self.informer(
            "PodDisruptionBudget",
            self._budget_changed,
            indexers={"namespace": lambda budget: [meta.namespace_of(budget)]},
        )
        self._pods = self.informer(
            "Pod",
            self._pod_changed,
            on_demand=True,
            indexers={"namespace": lambda pod: [meta.namespace_of(pod)]},
        )
        self._last: dict[str, str] = {}
        self._evicted: dict[str, dict[str, str]] = {}  # budget -> pod -> when, as last seen

    # -- what wakes it --------------------------------------------------------------------------

    def _budget_changed(self, event: ResourceEvent) -> Iterable[str]:
        if event.type != "DELETED":
            self.demand()
        yield meta.key_of(event.object)

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        labels = affected_labels(event, _seen_of)
        if not labels:
            return
        for budget in self._budgets.by_index("namespace", meta.namespace_of(event.object)):
            selector = _selector_of(budget)
            if any(selector.matches(found) for found in labels):
                yield meta.key_of(budget)

    # -- one pass -------------------------------------------------------------------------------

    def about(self, key: str) -> Document | None:
        """The budget itself."""
        return self._budgets.get(key)

    def reconcile(self, key: str) -> None:
        """Count, and write the status if it changed."""
        budget = self._budgets.get(key)
        if budget is None:
            self._last.pop(key, None)
            self._evicted.pop(key, None)
            return
        pods = self._pods_of(budget)
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, unmanaged = self._expected(budget, pods)
        except CountFailed as error:
            said = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", said)
            self._fail_safe(key, budget, str(error))
            return
        if unmanaged:
            said = unmanaged_message(budget["spec"].get("selector"))
            self.recorder.event(budget, "Warning", "UnmanagedPods", said)
        self._write(key, budget, pods, expected)

    def _pods_of(self, budget: Document) -> list[Document]:
        selector = _selector_of(budget)
        pods = self._pods.by_index("namespace", meta.namespace_of(budget))
        return [pod for pod in pods if selector.matches(meta.labels_of(pod))]

    def _expected(self, budget: Document, pods: Sequence[Document]) -> tuple[int, list[str]]:
        """How many pods there should be, and the names of those that nothing controls."""
        spec = budget["spec"]
        if spec.get("maxUnavailable") is None:
            if spec.get("minAvailable") is None:
                return 0, []
            if isinstance(spec["minAvailable"], int):
                return len(pods), []
        scales: dict[str, int] = {}
        known: set[str] = set()
        unmanaged: list[str] = []
        for pod in pods:
            controller = meta.controller_of(pod)
            if controller is None:
                unmanaged.append(meta.name_of(pod))
            elif controller["uid"] not in known:
                known.add(controller["uid"])
                uid, scale = self._scale_of(controller, pod)
                scales[uid] = scale
        return sum(scales.values()), unmanaged

    def _scale_of(self, controller: Document, pod: Document) -> tuple[str, int]:
        """uid and wanted size of what controls a pod: of the Deployment, if there is one."""
        namespace = meta.namespace_of(pod)
        found = self._owner(controller, namespace)
        if found is not None and controller["kind"] == "ReplicaSet":
            above = meta.controller_of(found)
            if above is not None and above["kind"] == "Deployment":
                found = self._owner(above, namespace) or found
        if found is None:
            raise CountFailed(f'found no controllers for pod "{meta.name_of(pod)}"')
        return meta.uid_of(found), int(found["spec"].get("replicas", 1))

    def _owner(self, reference: Document, namespace: str) -> Document | None:
        """The object that a reference means, if it is that very one; it must have a scale."""
        try:
            kind = self.api.registry.find(reference["kind"])
            found = self.api.peek(kind.kind, reference["name"], namespace)
        except NotFound:
            return None  # no such kind
        if not kind.scale:
            raise CountFailed(f"{kind.resource} does not implement the scale subresource")
        return found if found is not None and meta.uid_of(found) == reference["uid"] else None

    # -- telling --------------------------------------------------------------------------------

    def _write(self, key: str, budget: Document, pods: list[Document], expected: int) -> None:
        old, now = budget.get("status") or {}, self.clock.now()
        facts = [BudgetPod(meta.name_of(p), is_ready(p), meta.is_terminating(p)) for p in pods]
        seconds_at = self.clock.seconds_at
        disrupted = still_disrupted(facts, old.get("disruptedPods") or {}, now, seconds_at)
        healthy = healthy_pods(facts, disrupted.kept, now, seconds_at)
        desired = desired_healthy(budget_of(budget), expected)
        allowed = disruptions_allowed(healthy=healthy, desired=desired, expected=expected)
        new: Document = {
            "observedGeneration": meta.generation_of(budget),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        }
        if disrupted.kept:
            new["disruptedPods"] = disrupted.kept
        with_old = {**new, "conditions": old.get("conditions") or ()}
        new["conditions"] = allowed_condition(with_old, self.clock.timestamp())
        if new != old:
            self.api.update_status({**budget, "status": new})
            self.counts["written"] += 1
        self._tell_overdue(budget, pods, disrupted)
        self._remember_evicted(key, budget, old.get("disruptedPods") or {}, new)
        if disrupted.look_again is not None:
            self.queue.add_after(key, disrupted.look_again - now + RECHECK_MARGIN_SECONDS)
        leaving = sum(pod.terminating for pod in facts)
        self._remember(key, budget, new, leaving, "")

    def _fail_safe(self, key: str, budget: Document, why: str) -> None:
        """Nothing is allowed while nobody knows what should be there."""
        old = budget.get("status") or {}
        status: Document = {
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
            **old,
            "disruptionsAllowed": 0,
        }
        now = self.clock.timestamp()
        status["conditions"] = budget_condition(status, "False", SYNC_FAILED, why, now)
        if status != old:
            self.api.update_status({**budget, "status": status})
        self._remember(key, budget, status, 0, why)

    def _tell_overdue(
        self, budget: Document, pods: Sequence[Document], disrupted: Disrupted
    ) -> None:
        place = f"{meta.namespace_of(budget)}/{meta.name_of(budget)}"
        for pod in pods:
            if meta.name_of(pod) in disrupted.overdue:
                said = f"Pod was expected by PDB {place} to be deleted but it wasn't"
                self.recorder.event(pod, "Warning", "NotDeleted", said)

    def _remember_evicted(
        self, key: str, budget: Document, noted: Mapping[str, str], status: Document
    ) -> None:
        """A decision record for each pod that was evicted at this budget's expense."""
        known, self._evicted[key] = self._evicted.get(key, {}), dict(noted)
        namespace = meta.namespace_of(budget)
        for name, when in noted.items():
            if known.get(name) == when:
                continue
            counts = {field: status[field] for field in ("currentHealthy", "desiredHealthy")}
            said = f"budget {meta.name_of(budget)} allowed a disruption, and has one less now"
            self.decisions.record(
                Decision(
                    time=self.clock.now(),
                    revision=meta.resource_version_of(budget),
                    component=self.name,
                    object=meta.reference("pod", f"{namespace}/{name}"),
                    verdict=f"evicted at {when}",
                    steps=(RuleStep("budget", counts, said, EVICTION_SOURCE),),
                    binding=said,
                    would_change_if="the budget had allowed none: then 429, try again later",
                )
            )

    def _remember(
        self, key: str, budget: Document, status: Document, leaving: int, failed: str
    ) -> None:
        """A decision record, unless it would say what the last one said."""
        allowed, healthy = status["disruptionsAllowed"], status["currentHealthy"]
        desired, expected = status["desiredHealthy"], status["expectedPods"]
        verdict = f"{allowed} evictions allowed: {healthy} healthy, {desired} needed of {expected}"
        if failed:
            verdict = f"no eviction is allowed: {failed}"
        if self._last.get(key) == verdict:
            return
        self._last[key] = verdict
        spec = budget["spec"]
        fields = ("minAvailable", "maxUnavailable")
        rule = {field: spec[field] for field in fields if spec.get(field) is not None}
        counted = {"healthy": healthy, "on_their_way_out": leaving}
        counted["evicted_not_yet_gone"] = len(status.get("disruptedPods") or ())
        binding = failed or (
            "no pod is expected" if not expected else f"{healthy} healthy - {desired} needed"
        )
        more = f"{desired + 1} pods are healthy" if not allowed else "a pod ceases to be healthy"
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(budget),
                component=self.name,
                object=meta.reference("poddisruptionbudget", key),
                verdict=verdict,
                steps=(
                    RuleStep("expect", rule, f"{expected} pods expected, {desired} needed", SOURCE),
                    RuleStep("count", counted, f"{healthy} healthy", SOURCE),
                ),
                binding=binding,
                would_change_if=f"{more}, or the budget or the pods' controllers are scaled",
                data={"allowed": allowed, "healthy": healthy, "desired": desired},
            )
        )


# -- small readings --------------------------------------------------------------------------------


def budget_of(budget: Document) -> Budget:
    """The spec of a PodDisruptionBudget's document."""
    spec = budget.get("spec") or {}
    always = spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return Budget(spec.get("minAvailable"), spec.get("maxUnavailable"), always)


def unmanaged_message(selector: Document | None) -> str:
    """The text of the event UnmanagedPods; it shows the selector as Go prints it."""
    labels = (selector or {}).get("matchLabels") or {}
    pairs = "".join(f"{key}: {labels[key]}," for key in sorted(labels))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{item['key']},Operator:{item['operator']},"
        f"Values:[{' '.join(item.get('values') or ())}],}},"
        for item in (selector or {}).get("matchExpressions") or ()
    )
    shown = (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {shown}) were found to be "
        "unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may "
        'result in undefined behavior. To account for these pods please set ".spec.minAvailable" '
        "field of the PDB to an integer value."
    )


def _selector_of(budget: Document) -> Selector:
    return selector_from((budget.get("spec") or {}).get("selector"))


def _seen_of(pod: Document) -> tuple[Any, ...]:
    """What of a pod makes a difference for budgets."""
    controller = meta.controller_of(pod) or {}
    return meta.labels_of(pod), meta.is_terminating(pod), is_ready(pod), controller.get("uid")
