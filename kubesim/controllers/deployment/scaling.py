"""Sizes of a Deployment's ReplicaSets when the Deployment is scaled: pure functions, with reasons.

Each ReplicaSet is annotated with the spec.replicas of its Deployment (desired-replicas). While an
active ReplicaSet has another value, syncs only scale. This is how a write of the HPA takes effect,
also in the middle of a rollout.

>>> old = OwnedSet(ReplicaSetState("web-old", 8, 8, max_replicas=13), desired=10)
>>> new = OwnedSet(ReplicaSetState("web-new", 5, 0, created=9.0, max_replicas=13), desired=10)
>>> facts = DeploymentFacts(50, Fenceposts(6, 12), new, (old,), new_name="web-new")
>>> is_scaling_event(facts), scale(facts).sizes
(True, {'web-old': 34, 'web-new': 22})

Source: pkg/controller/deployment/sync.go (scale, isScalingEvent),
util/deployment_util.go (FindActiveOrLatest, IsSaturated).
"""

from __future__ import annotations

from dataclasses import replace

from kubesim.client.decisions import RuleStep
from kubesim.controllers.deployment.plan import SOURCE, DeploymentFacts, OwnedSet, PassPlan
from kubesim.controllers.deployment.rolling import Fenceposts, ReplicaSetState, proportional_sizes

__all__ = [
    "DeploymentFacts",
    "Fenceposts",
    "OwnedSet",
    "ReplicaSetState",
    "explain_no_op",
    "is_scaling_event",
    "scale",
]

PROPORTIONAL = f"{SOURCE}#proportional-scaling"


def is_scaling_event(facts: DeploymentFacts) -> bool:
    """Return whether spec.replicas changed since an active ReplicaSet was scaled."""
    return any(
        owned.active and owned.desired is not None and owned.desired != facts.replicas
        for owned in facts.everything
    )


def scale(facts: DeploymentFacts) -> PassPlan:
    """Plan a sync after the Deployment was scaled, or while it is paused."""
    active = [owned for owned in facts.everything if owned.active]
    if len(active) <= 1:
        return _scale_the_only_one(facts, active)
    if facts.new is not None and _is_saturated(facts, facts.new):
        sizes = {owned.state.name: 0 for owned in facts.old if owned.active}
        step = RuleStep("saturated", {}, f"{facts.new_name} has all pods: the old ones go", SOURCE)
        return PassPlan(sizes=sizes, steps=(step,), binding="the new ReplicaSet is complete")
    if not facts.rolling:
        reason = "Recreate does not share a change of size among several ReplicaSets"
        return PassPlan(steps=(RuleStep("scale", {}, reason, SOURCE),), binding=reason)
    desired = proportional_sizes(
        [owned.state for owned in active],
        replicas=facts.replicas,
        surge=facts.surge,
        status_replicas=facts.status_replicas,
    )
    before = {owned.state.name: owned.state.replicas for owned in active}
    figures = {
        "replicas": facts.replicas,
        "maxSurge": facts.surge,
        "allowed": facts.replicas + facts.surge if facts.replicas else 0,
        "pods": sum(before.values()),
    }
    result = ", ".join(f"{name} {before[name]} -> {size}" for name, size in desired.items())
    return PassPlan(
        sizes={name: size for name, size in desired.items() if size != before[name]},
        refresh=tuple(desired),
        steps=(RuleStep("proportional scaling", figures, result, PROPORTIONAL),),
        binding="each ReplicaSet gets its share; the largest also what is left over",
    )


def _scale_the_only_one(facts: DeploymentFacts, active: list[OwnedSet]) -> PassPlan:
    """Scale the only active ReplicaSet; without any, the new one, else the newest old one.

    As upstream, a ReplicaSet that has the desired size keeps its annotations: a new size that
    equals the size of the only active old ReplicaSet remains a scaling event.
    """
    if active:
        only = active[0]
    elif facts.new is not None:
        only = facts.new
    elif facts.old:
        only = facts.old[-1]
    else:
        return PassPlan(binding="there is no ReplicaSet yet")
    before, name = only.state.replicas, only.state.name
    if before == facts.replicas:
        return PassPlan(binding=f"{name} matches spec.replicas")
    result = f"{name} {before} -> {facts.replicas}"
    step = RuleStep("scale", {"replicas": facts.replicas}, result, SOURCE)
    return PassPlan(sizes={name: facts.replicas}, steps=(step,), binding="spec.replicas")


def _is_saturated(facts: DeploymentFacts, new: OwnedSet) -> bool:
    desired = facts.replicas
    return new.state.replicas == new.desired == new.state.available == desired


def explain_no_op(plan: PassPlan, facts: DeploymentFacts) -> PassPlan:
    """Explain a scaling event that changes nothing, and therefore blocks the rollout.

    Upstream writes no annotation when there is nothing to scale, so the next sync finds the same
    scaling event, and the rollout never continues.

    Args:
        plan: the plan of `scale`.
        facts: the facts after the sync.

    Returns:
        The plan, with the explanation if the scaling event remains.
    """
    if plan.sizes or plan.refresh or not is_scaling_event(facts):
        return plan
    figures = {
        owned.state.name: owned.desired
        for owned in facts.everything
        if owned.active and owned.desired is not None and owned.desired != facts.replicas
    }
    names = ", ".join(f"{name} was scaled last for {size}" for name, size in figures.items())
    result = f"{names}, but spec.replicas is {facts.replicas}: "
    result += "each sync only scales, and changes nothing"
    step = RuleStep("scaling event", {"replicas": facts.replicas, **figures}, result, PROPORTIONAL)
    return replace(
        plan,
        steps=(*plan.steps, step),
        binding=f"a scaling event that never ends; {plan.binding}",
        unless="spec.replicas is changed once more",
        waiting=True,
    )
