"""Decision records of Deployments: what a sync did, and what a waiting rollout waits for.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from kubesim.client import RuleStep
from kubesim.controllers.deployment import progress
from kubesim.controllers.shared.podstatus import families, reasons_of
from kubesim.objects.meta import get_condition

if TYPE_CHECKING:
    from kubesim.objects.types import DeploymentDict, PodDict, ReplicaSetDict

WAITING = "waiting"
PROGRESS_SOURCE = (
    "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment"
)


class RolloutSignature(NamedTuple):
    """What tells one decision about a Deployment from the one before.

    Attributes:
        state: "waiting" if the rollout is under way and the sync did nothing; else "".
        verdict, binding: of the decision.
        pods: what the new pods wait for.
        failure: why the new ReplicaSet cannot create pods.
    """

    state: str
    verdict: str
    binding: str
    pods: str
    failure: str


def is_waiting(signature: object) -> bool:
    """Return whether the last decision about a Deployment was to wait."""
    return isinstance(signature, RolloutSignature) and signature.state == WAITING


def signature_of(
    verdict: str, binding: str, steps: Iterable[RuleStep], *, waiting: bool, pods: str | None
) -> RolloutSignature:
    """Return the signature of a decision.

    Args:
        verdict, binding, steps: of the decision.
        waiting: the rollout is under way, and the sync did nothing.
        pods: what the last decision said of the new pods, if that is not to make a new record;
            None: it is read from the steps.
    """
    failure = "".join(step.result for step in steps if step.rule == "replica failure")
    if pods is None:
        pods = "".join(str(families(step.inputs)) for step in steps if step.rule == "new pods")
    return RolloutSignature(WAITING if waiting else "", verdict, binding, pods, failure)


def new_pod_steps(
    deployment: DeploymentDict, new: ReplicaSetDict | None, pods: Iterable[PodDict]
) -> list[RuleStep]:
    """Return why the pods of the new ReplicaSet are not available.

    Args:
        deployment: the document.
        new: its new ReplicaSet, if it exists.
        pods: the pods of that ReplicaSet.
    """
    if new is None:
        return []
    reasons = reasons_of(pods)
    if "Ready" in reasons:
        min_ready_seconds = deployment["spec"].get("minReadySeconds") or 0
        available = (new.get("status") or {}).get("availableReplicas", 0)
        if min_ready_seconds and reasons["Ready"] > available:
            count = reasons["Ready"] - available
            reasons[f"ready, but not yet for {min_ready_seconds} s"] = count
        reasons.pop("Ready")
    steps = []
    if reasons:
        summary = ", ".join(f"{count} x {reason}" for reason, count in reasons.items())
        steps.append(RuleStep("new pods", reasons, summary))
    failure = get_condition(new, progress.FAILURE)
    if failure is not None:
        figures = {"replicas": new["spec"]["replicas"], **reasons}
        steps.append(RuleStep("replica failure", figures, str(failure.get("message"))))
    return steps


def deadline_step(deployment: DeploymentDict, seconds_at: Callable[[str], float]) -> RuleStep:
    """Return when the progress deadline of a waiting rollout passes.

    Args:
        deployment: the document.
        seconds_at: converts an RFC 3339 timestamp to seconds.
    """
    deadline = progress.deadline_of(deployment)
    condition = progress.progressing_of(deployment)
    if deadline is None or condition is None:
        return RuleStep("progress deadline", {}, "no deadline is set", PROGRESS_SOURCE)
    updated = condition["lastUpdateTime"]
    figures = {"progressDeadlineSeconds": deadline, "lastUpdateTime": updated}
    if condition.get("reason") == progress.TIMED_OUT:
        result = "exceeded: the rollout is reported as failed, but continues"
        result += " when a pod becomes available"
    elif condition.get("reason") == progress.FINISHED:
        result = "does not run: this version was available once"
    else:
        end = seconds_at(updated) + deadline
        result = f"the rollout is reported as failed after t={end:g} s, unless it progresses"
    return RuleStep("progress deadline", figures, result, PROGRESS_SOURCE)
