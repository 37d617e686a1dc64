"""The disruption controller: writes the allowed disruptions of each PodDisruptionBudget.

The API server grants evictions from that number and decrements it; this controller recalculates it
whenever a pod changes. `plan` has the arithmetic.

Ours keeps expected and desired numbers with the scale of the pods' distinct controllers, evicted
pods that are not terminating yet (for two minutes), conditions, the fail-safe after an error, and
the events. It leaves out the removal of the condition DisruptionTarget of a pod that was not
deleted after all, and the event about a pod that several budgets match.

Source: pkg/controller/disruption/disruption.go,
k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.verbs.eviction import SYNC_FAILED, allowed_condition, budget_condition
from kubesim.client import Controller, RuleStep, Tools
from kubesim.controllers.disruption.plan import (
    Budget,
    BudgetPod,
    Disrupted,
    desired_healthy,
    disruptions_allowed,
    healthy_pods,
    still_disrupted,
    way_out_of_budget,
    way_out_of_unmanaged,
)
from kubesim.controllers.shared.pod_events import affected_labels
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import POD, POD_DISRUPTION_BUDGET
from kubesim.objects.pods import is_ready
from kubesim.objects.selectors import Selector, selector_from
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import (
        LabelSelectorDict,
        OwnerReferenceDict,
        PodDict,
        PodDisruptionBudgetDict,
        PodDisruptionBudgetStatusDict,
    )

RECHECK_MARGIN_SECONDS = 0.001  # a pod is overdue strictly after the timeout
SOURCE = "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/"
EVICTION_SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/"


class CountFailed(Exception):
    """The number of expected pods cannot be calculated; the message says why."""


class DisruptionController(Controller):
    """Reconciles PodDisruptionBudgets, one key at a time."""

    name = "disruption-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._budgets = self.informer(
            POD_DISRUPTION_BUDGET,
            self._budget_changed,
            indexers={"namespace": lambda budget: [meta.namespace_of(budget)]},
        )
        self._pods = self.informer(
            POD,
            self._pod_changed,
            on_demand=True,
            indexers={"namespace": lambda pod: [meta.namespace_of(pod)]},
        )
        self._disrupted: dict[str, dict[str, str]] = {}  # key -> status.disruptedPods as last seen

    # -- watch events ---------------------------------------------------------------------------

    def _budget_changed(self, event: ResourceEvent[PodDisruptionBudgetDict]) -> Iterable[str]:
        if event.type != "DELETED":
            self.demand()
        else:
            self._disrupted.pop(meta.key_of(event.object), None)
            self.forget_decisions(event.object)
        yield meta.key_of(event.object)

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        labels = affected_labels(event, _relevant_state)
        if not labels:
            return
        for budget in self._budgets.by_index("namespace", meta.namespace_of(event.object)):
            selector = _selector_of(budget)
            if any(selector.matches(each) for each in labels):
                yield meta.key_of(budget)

    # -- reconcile ------------------------------------------------------------------------------

    def about(self, key: str) -> PodDisruptionBudgetDict | None:
        """Return the budget itself."""
        return self._budgets.get(key)

    def reconcile(self, key: str) -> None:
        """Recalculate the status, and write it if it changed."""
        budget = self._budgets.get(key)
        if budget is None:
            return
        pods = self._pods_of(budget)
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, unmanaged = self._expected(budget, pods)
        except CountFailed as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            self._fail_safe(budget, str(error))
            return
        if unmanaged:
            message = unmanaged_message(budget["spec"].get("selector"))
            self.recorder.event(budget, "Warning", "UnmanagedPods", message)
        self._write(key, budget, pods, expected)

    def _pods_of(self, budget: PodDisruptionBudgetDict) -> list[PodDict]:
        selector = _selector_of(budget)
        pods = self._pods.by_index("namespace", meta.namespace_of(budget))
        return [pod for pod in pods if selector.matches(meta.labels_of(pod))]

    def _expected(
        self, budget: PodDisruptionBudgetDict, pods: Sequence[PodDict]
    ) -> tuple[int, list[str]]:
        """Return the number of expected pods, and the names of pods without a controller."""
        spec = budget["spec"]
        if spec.get("maxUnavailable") is None:
            if spec.get("minAvailable") is None:
                return 0, []
            if isinstance(spec["minAvailable"], int):
                return len(pods), []
        scales: dict[str, int] = {}
        counted_uids: set[str] = set()
        unmanaged: list[str] = []
        for pod in pods:
            controller = meta.controller_of(pod)
            if controller is None:
                unmanaged.append(meta.name_of(pod))
            elif controller["uid"] not in counted_uids:
                counted_uids.add(controller["uid"])
                uid, scale = self._scale_of(controller, pod)
                scales[uid] = scale
        return sum(scales.values()), unmanaged

    def _scale_of(self, controller: OwnerReferenceDict, pod: PodDict) -> tuple[str, int]:
        """Return uid and spec.replicas of a pod's controller, or of its Deployment."""
        namespace = meta.namespace_of(pod)
        owner = self._owner(controller, namespace)
        if owner is not None and controller["kind"] == "ReplicaSet":
            reference = meta.controller_of(owner)
            if reference is not None and reference["kind"] == "Deployment":
                owner = self._owner(reference, namespace) or owner
        if owner is None:
            raise CountFailed(f'found no controllers for pod "{meta.name_of(pod)}"')
        return meta.uid_of(owner), int(owner["spec"].get("replicas", 1))

    def _owner(self, reference: OwnerReferenceDict, namespace: str) -> Document | None:
        """Return the object that a reference refers to; None if it is gone or was recreated.

        Raises:
            CountFailed: its kind has no scale subresource.
        """
        try:
            kind = self.api.registry.of_object(reference.get("apiVersion", ""), reference["kind"])
            owner = self.api.peek(kind.qualified_kind, reference["name"], namespace)
        except NotFound:
            return None  # unknown kind
        if not kind.scale:
            raise CountFailed(f"{kind.resource} does not implement the scale subresource")
        return owner if owner is not None and meta.uid_of(owner) == reference["uid"] else None

    # -- status and decision records ------------------------------------------------------------

    def _write(
        self, key: str, budget: PodDisruptionBudgetDict, pods: list[PodDict], expected: int
    ) -> None:
        old, now = budget.get("status") or {}, self.clock.now()
        facts = [BudgetPod(meta.name_of(p), is_ready(p), meta.is_terminating(p)) for p in pods]
        seconds_at = self.clock.seconds_at
        disrupted = still_disrupted(facts, old.get("disruptedPods") or {}, now, seconds_at)
        healthy = healthy_pods(facts, disrupted.kept, now, seconds_at)
        desired = desired_healthy(budget_of(budget), expected)
        allowed = disruptions_allowed(healthy=healthy, desired=desired, expected=expected)
        new: PodDisruptionBudgetStatusDict = {
            "observedGeneration": meta.generation_of(budget),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        }
        if disrupted.kept:
            new["disruptedPods"] = disrupted.kept
        with_old: PodDisruptionBudgetStatusDict = {**new, "conditions": old.get("conditions") or []}
        new["conditions"] = allowed_condition(with_old, self.clock.timestamp())
        if new != old:
            self.api.update_status({**budget, "status": new})
            self.counts["written"] += 1
        self._report_overdue(budget, pods, disrupted)
        self._record_evictions(key, budget, old.get("disruptedPods") or {}, new)
        if disrupted.look_again is not None:
            self.queue.add_after(key, disrupted.look_again - now + RECHECK_MARGIN_SECONDS)
        leaving = sum(pod.terminating for pod in facts)
        self._record(budget, new, leaving, "")

    def _fail_safe(self, budget: PodDisruptionBudgetDict, reason: str) -> None:
        """Allow no disruption while the number of expected pods is unknown."""
        old = budget.get("status") or {}
        status: PodDisruptionBudgetStatusDict = {
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
            **old,
            "disruptionsAllowed": 0,
        }
        now = self.clock.timestamp()
        status["conditions"] = budget_condition(status, "False", SYNC_FAILED, reason, now)
        if status != old:
            self.api.update_status({**budget, "status": status})
        self._record(budget, status, 0, reason)

    def _report_overdue(
        self, budget: PodDisruptionBudgetDict, pods: Sequence[PodDict], disrupted: Disrupted
    ) -> None:
        name = f"{meta.namespace_of(budget)}/{meta.name_of(budget)}"
        for pod in pods:
            if meta.name_of(pod) in disrupted.overdue:
                message = f"Pod was expected by PDB {name} to be deleted but it wasn't"
                self.recorder.event(pod, "Warning", "NotDeleted", message)

    def _record_evictions(
        self,
        key: str,
        budget: PodDisruptionBudgetDict,
        disrupted: Mapping[str, str],
        status: PodDisruptionBudgetStatusDict,
    ) -> None:
        """Record a decision for each pod that was evicted since the last sync.

        Args:
            key, budget: of the PodDisruptionBudget.
            disrupted: its status.disruptedPods before this sync.
            status: its new status.
        """
        previous, self._disrupted[key] = self._disrupted.get(key, {}), dict(disrupted)
        healthy, desired = status["currentHealthy"], status["desiredHealthy"]
        counts = {"currentHealthy": healthy, "desiredHealthy": desired}
        binding = f"budget {meta.name_of(budget)} allowed a disruption, and has one less now"
        for name, time in disrupted.items():
            if previous.get(name) != time:
                metadata = {**budget["metadata"], "name": name}
                self.decide(
                    {"kind": "Pod", "metadata": metadata},
                    f"evicted at {time}",
                    steps=(RuleStep("budget", counts, binding, EVICTION_SOURCE),),
                    binding=binding,
                    would_change_if="the budget had allowed none: then 429, try again later",
                )

    def _record(
        self,
        budget: PodDisruptionBudgetDict,
        status: PodDisruptionBudgetStatusDict,
        leaving: int,
        failure: str,
    ) -> None:
        """Record a decision, unless it says what the last one said.

        Args:
            budget: the document.
            status: its new status.
            leaving: number of terminating pods.
            failure: why the number of expected pods is unknown; "" if it is known.
        """
        allowed, healthy = status["disruptionsAllowed"], status["currentHealthy"]
        desired, expected = status["desiredHealthy"], status["expectedPods"]
        verdict = f"{count_of(allowed, 'eviction')} allowed: {healthy} healthy, "
        verdict += f"{desired} needed of {expected}"
        if failure:
            verdict = f"no eviction is allowed: {failure}"
        spec = budget["spec"]
        fields = (
            ("minAvailable", spec.get("minAvailable")),
            ("maxUnavailable", spec.get("maxUnavailable")),
        )
        rule = {field: value for field, value in fields if value is not None}
        counts = {"healthy": healthy, "terminating": leaving}
        counts["disrupted_pods"] = len(status.get("disruptedPods") or ())
        binding = failure or (
            f"{healthy} healthy - {desired} needed"
            if expected
            else "no controller says how many pods there should be"
            if healthy
            else "no pod is expected"
        )
        change = "a pod becomes unhealthy"
        if failure:
            change = way_out_of_unmanaged(healthy)
        elif not allowed:
            change = way_out_of_budget(budget_of(budget), healthy, desired, expected)
        self.decide(
            budget,
            verdict,
            steps=(
                RuleStep(
                    "expect",
                    rule,
                    f"{count_of(expected, 'pod')} expected, {desired} needed",
                    SOURCE,
                ),
                RuleStep("count", counts, f"{healthy} healthy", SOURCE),
            ),
            binding=binding,
            would_change_if=change,
            data={"allowed": allowed, "healthy": healthy, "desired": desired},
            signature=verdict,
            acted=False,
        )


# -- from documents --------------------------------------------------------------------------------


def budget_of(budget: PodDisruptionBudgetDict) -> Budget:
    """Return the spec of a PodDisruptionBudget's document."""
    spec = budget.get("spec") or {}
    always = spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return Budget(spec.get("minAvailable"), spec.get("maxUnavailable"), always)


def unmanaged_message(selector: LabelSelectorDict | None) -> str:
    """Return the message of the event UnmanagedPods, with the selector as Go prints it."""
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


def _selector_of(budget: PodDisruptionBudgetDict) -> Selector:
    return selector_from((budget.get("spec") or {}).get("selector"))


def _relevant_state(pod: PodDict) -> tuple[object, ...]:
    """Return the part of a pod on which budgets depend."""
    controller = meta.controller_of(pod) or {}
    return meta.labels_of(pod), meta.is_terminating(pod), is_ready(pod), controller.get("uid")
