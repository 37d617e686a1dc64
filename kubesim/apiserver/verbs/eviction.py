"""Eviction: a deletion that PodDisruptionBudgets may refuse.

`kubectl drain` and descheduler tools evict pods instead of deleting them. The answer depends on the
PodDisruptionBudgets that match the pod: the disruption controller writes to their status how many
disruptions are allowed, and an eviction takes one from that number when it is granted, by
compare-and-set, so two drains never take the same one.

>>> ready = BudgetStatus(allowed=0, healthy=2, desired=2)
>>> eviction_verdict([ready], phase="Running", terminating=False, ready=True).name
'REFUSE'
>>> eviction_verdict([ready], phase="Running", terminating=False, ready=False).name
'DELETE'

Ours keeps all rules and messages. If the pod changes between the check and the deletion, ours
checks again at once; upstream asks the client to retry.

Source: pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, cast

from kubesim.apiserver.core import Core, view_of
from kubesim.apiserver.verbs.delete import Deleter
from kubesim.errors import Cause, Conflict, Forbidden, StatusError, TooManyRequests
from kubesim.objects import meta
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.meta import get_condition, set_condition
from kubesim.objects.pods import is_finished, is_ready, phase_of
from kubesim.objects.selectors import selector_from
from kubesim.objects.wellknown import DEFAULT_NAMESPACE, DISRUPTION_TARGET
from kubesim.store import KeyValue

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ConditionDict,
        PodDict,
        PodDisruptionBudgetDict,
        PodDisruptionBudgetStatusDict,
    )

RETRY_SECONDS = 10  # Retry-After while a budget's status is not up to date
MAX_DISRUPTED_PODS = 2000  # evictions that the disruption controller has not confirmed yet
DISRUPTION_ALLOWED = "DisruptionAllowed"
DISRUPTION_BUDGET = "DisruptionBudget"  # the reason of the cause in a refusal
SYNC_FAILED = "SyncFailed"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
AMBIGUOUS = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
    "support."
)


class EvictionVerdict(Enum):
    """The answer of the eviction subresource."""

    DELETE = "delete the pod, the budget is not touched"
    CONSUME = "delete the pod and take one from the budget"
    RETRY = "429: the budget's status is not up to date yet"
    REFUSE = "429: it would violate the budget"
    AMBIGUOUS = "500: more than one budget matches"


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The figures that the disruption controller wrote last.

    Attributes:
        allowed: status.disruptionsAllowed.
        healthy: status.currentHealthy.
        desired: status.desiredHealthy.
        observed: the status belongs to the newest generation.
        always_allow_unhealthy: of the spec.
    """

    allowed: int
    healthy: int
    desired: int
    observed: bool = True
    always_allow_unhealthy: bool = False


def eviction_verdict(
    budgets: list[BudgetStatus], *, phase: str, terminating: bool, ready: bool
) -> EvictionVerdict:
    """Decide whether one pod may be evicted.

    Args:
        budgets: statuses of the budgets that match the pod.
        phase: of the pod; a pod that is not running is always evicted.
        terminating: the pod has a deletionTimestamp.
        ready: condition Ready is True.
    """
    if phase in ("Pending", "Succeeded", "Failed") or terminating or not budgets:
        return EvictionVerdict.DELETE
    if len(budgets) > 1:
        return EvictionVerdict.AMBIGUOUS
    budget = budgets[0]
    enough = budget.healthy >= budget.desired > 0
    if not ready and (budget.always_allow_unhealthy or enough):
        return EvictionVerdict.DELETE
    if not budget.observed:
        return EvictionVerdict.RETRY
    return EvictionVerdict.CONSUME if budget.allowed > 0 else EvictionVerdict.REFUSE


def _budget_in(kv: KeyValue) -> PodDisruptionBudgetDict:
    """Return a stored PodDisruptionBudget with its resourceVersion."""
    return cast("PodDisruptionBudgetDict", view_of(kv))


def budget_status(budget: PodDisruptionBudgetDict) -> BudgetStatus:
    """Read the figures of a PodDisruptionBudget; missing ones count 0."""
    status, spec = budget.get("status") or {}, budget.get("spec") or {}
    return BudgetStatus(
        allowed=status.get("disruptionsAllowed") or 0,
        healthy=status.get("currentHealthy") or 0,
        desired=status.get("desiredHealthy") or 0,
        observed=(status.get("observedGeneration") or 0) >= meta.generation_of(budget),
        always_allow_unhealthy=spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow",
    )


def why_refused(budget: PodDisruptionBudgetDict) -> str:
    """Return the message of the cause, for a budget that allows no disruption now."""
    name, status = meta.name_of(budget), budget_status(budget)
    condition = get_condition(budget, DISRUPTION_ALLOWED) or {}
    message = condition.get("message") if condition.get("status") == "False" else ""
    base = f"The disruption budget {name}"
    if message and condition.get("reason") == SYNC_FAILED:
        # Its figures are out of date.
        return f"{base} does not allow evicting pods currently because it failed sync: {message}"
    if status.healthy <= status.desired:
        return f"{base} needs {status.desired} healthy pods and has {status.healthy} currently"
    if message:
        detail = f"({condition.get('reason')}): {message}"
        return f"{base} does not allow evicting pods currently {detail}"
    return f"{base} does not allow evicting pods currently"


def allowed_condition(status: PodDisruptionBudgetStatusDict, now: str) -> list[ConditionDict]:
    """Return status.conditions with DisruptionAllowed as the allowed disruptions require.

    Args:
        status: of the budget; its disruptionsAllowed and observedGeneration are read.
        now: the present time, RFC 3339.
    """
    enough = (status.get("disruptionsAllowed") or 0) > 0
    reason = "SufficientPods" if enough else "InsufficientPods"
    state = "True" if enough else "False"
    return budget_condition(status, state, reason, "", now)


def budget_condition(
    status: PodDisruptionBudgetStatusDict, state: str, reason: str, message: str, now: str
) -> list[ConditionDict]:
    """Return status.conditions with DisruptionAllowed and its observedGeneration set.

    Args:
        status: of the budget.
        state: "True" or "False".
        reason, message: of the condition.
        now: the present time, RFC 3339.
    """
    old = status.get("conditions") or ()
    conditions = set_condition(old, DISRUPTION_ALLOWED, state, reason, message, now)
    generation = status.get("observedGeneration") or 0
    return [
        {**condition, "message": message, "observedGeneration": generation}
        if condition["type"] == DISRUPTION_ALLOWED
        else condition
        for condition in conditions
    ]


class Evictions:
    """evict.

    Args:
        core: of the server.
        deleter: deletes the pod once the eviction is granted.
    """

    def __init__(self, core: Core, deleter: Deleter) -> None:
        self._core = core
        self._deleter = deleter

    def evict(
        self,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        uid: str | None = None,
        resource_version: str | int | None = None,
        dry_run: bool = False,
    ) -> Document:
        """Delete a pod if the budgets allow it; return a Status document with status Success.

        Args:
            name: of the pod.
            namespace: None: ``default``.
            grace_period_seconds: seconds to stop in; None: as the pod says.
            uid, resource_version: evict only the pod with these.
            dry_run: check everything, and change nothing.

        Raises:
            TooManyRequests: a budget does not allow it now; its cause names the budget.
            StatusError: code 500: more than one budget matches the pod.
            NotFound: there is no such pod.
            Conflict: a precondition does not hold.
        """
        core, kind = self._core, self._core.registry.find("Pod")
        namespace = namespace or DEFAULT_NAMESPACE
        self._deleter.check_deletable(kind, name, grace_period_seconds)
        while True:
            kv = core.store.get(kind.key(namespace, name))
            if kv is None:
                raise core.not_found(kind, name, namespace)
            core.check_preconditions(kind, kv, uid, resource_version)
            pod = cast("PodDict", kv.value)
            budgets = self.budgets_of(pod)
            verdict = eviction_verdict(
                [budget_status(_budget_in(budget)) for budget in budgets],
                phase=phase_of(pod),
                terminating=meta.is_terminating(pod),
                ready=is_ready(pod),
            )
            _raise_refusal(verdict, budgets)
            if verdict is EvictionVerdict.CONSUME and not self._consume(budgets[0], pod, dry_run):
                continue  # another eviction was faster: read the budget again
            revision = self._mark_target(kv, dry_run)
            if revision is None and verdict is not EvictionVerdict.CONSUME:
                continue  # the pod changed: it may be ready now, and protected
            free = verdict is EvictionVerdict.CONSUME or is_finished(pod)
            exact = None if free or meta.is_terminating(pod) or dry_run else revision
            try:
                self._deleter.delete(
                    "Pod",
                    name,
                    namespace,
                    grace_period_seconds=grace_period_seconds,
                    uid=meta.uid_of(pod),
                    resource_version=exact,
                    dry_run=dry_run,
                )
            except Conflict:
                if exact is None:
                    raise
                continue
            return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def budgets_of(self, pod: PodDict) -> list[KeyValue]:
        """Return the budgets whose selector matches the pod."""
        kind = self._core.registry.find("PodDisruptionBudget")
        labels = meta.labels_of(pod)
        return [
            kv
            for kv in self._core.store.list(kind.prefix_of(meta.namespace_of(pod))).items
            if selector_from((kv.value.get("spec") or {}).get("selector")).matches(labels)
        ]

    def _consume(self, budget: KeyValue, pod: PodDict, dry_run: bool) -> bool:
        """Take one disruption from a budget; return False if the budget changed in the meantime."""
        status: PodDisruptionBudgetStatusDict = budget.value["status"]
        disrupted = status.get("disruptedPods") or {}
        name = meta.name_of(budget.value)
        if len(disrupted) > MAX_DISRUPTED_PODS:
            reason = (
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
            )
            message = f'poddisruptionbudget.policy "{name}" is forbidden: {reason}'
            raise Forbidden(message, kind="poddisruptionbudget", group="policy", name=name)
        if dry_run:
            return True
        now = self._core.clock.timestamp()
        remaining = status["disruptionsAllowed"] - 1
        disrupted = {**disrupted, meta.name_of(pod): now}
        new: PodDisruptionBudgetStatusDict = {
            **status,
            "disruptionsAllowed": remaining,
            "disruptedPods": disrupted,
        }
        if remaining == 0:
            new["conditions"] = allowed_condition(new, now)
        document: Document = freeze({**budget.value, "status": new})
        compare, put = [(budget.key, budget.mod_revision)], [(budget.key, document)]
        return self._core.commit(compare, put, before=budget.value).succeeded

    def _mark_target(self, kv: KeyValue, dry_run: bool) -> int | None:
        """Set the condition DisruptionTarget; return the pod's revision, None if it changed."""
        status = kv.value.get("status") or {}
        old = status.get("conditions") or ()
        reason, message = "EvictionByEvictionAPI", "Eviction API: evicting"
        now = self._core.clock.timestamp()
        conditions = set_condition(old, DISRUPTION_TARGET, "True", reason, message, now)
        if dry_run or conditions == old:
            return kv.mod_revision
        document: Document = freeze({**kv.value, "status": {**status, "conditions": conditions}})
        put = [(kv.key, document)]
        result = self._core.commit([(kv.key, kv.mod_revision)], put, before=kv.value)
        return result.revision if result.succeeded else None


def _raise_refusal(verdict: EvictionVerdict, budgets: list[KeyValue]) -> None:
    """Raise the error of a verdict that refuses the eviction."""
    if verdict is EvictionVerdict.AMBIGUOUS:
        listed = ", ".join(meta.name_of(budget.value) for budget in budgets)
        raise StatusError(AMBIGUOUS, hint=f"they are: {listed}; let their selectors not overlap")
    if verdict is EvictionVerdict.RETRY:
        name = meta.name_of(budgets[0].value)
        message = f"The disruption budget {name} is still being processed by the server."
        cause = Cause("", DISRUPTION_BUDGET, message)
        raise TooManyRequests(REFUSED, causes=[cause], retry_after_seconds=RETRY_SECONDS)
    if verdict is EvictionVerdict.REFUSE:
        cause = Cause("", DISRUPTION_BUDGET, why_refused(_budget_in(budgets[0])))
        raise TooManyRequests(REFUSED, causes=[cause])


__all__ = ["BudgetStatus", "EvictionVerdict", "Evictions", "eviction_verdict"]
