"""How far one sync of a Deployment goes: pure functions from sizes to sizes, with their reasons.

`rolling` has the arithmetic. `roll` and `recreate` apply it in order (up before down), and keep the
figures as steps of the decision record. `scaling` handles a change of the Deployment's size.

>>> old = OwnedSet(ReplicaSetState("web-old", 10, 10))
>>> facts = DeploymentFacts(10, Fenceposts(3, 2), new=None, old=(old,), new_name="web-new")
>>> roll(facts).create, roll(facts).sizes
(3, {'web-old': 8})

Source: pkg/controller/deployment/rolling.go, recreate.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kubesim.client.decisions import RuleStep
from kubesim.controllers.deployment.rolling import (
    Fenceposts,
    ReplicaSetState,
    max_unavailable_of,
    new_replica_set_size,
    scale_down_old,
)
from kubesim.quantity import count_of

SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/"
ROLLING = f"{SOURCE}#rolling-update-deployment"
COMPLETE = "complete"
RECREATE = f"{SOURCE}#recreate-deployment"


@dataclass(frozen=True, slots=True)
class OwnedSet:
    """One ReplicaSet of a Deployment.

    Attributes:
        state: name, spec.replicas, availableReplicas, creation, max-replicas.
        desired: annotation desired-replicas; None if it is missing or malformed.
        pods: status.replicas.
    """

    state: ReplicaSetState
    desired: int | None = None
    pods: int = 0

    @property
    def active(self) -> bool:
        """Whether spec.replicas is greater than 0."""
        return self.state.replicas > 0


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """The facts that one sync uses.

    Attributes:
        replicas: spec.replicas.
        fenceposts: maxSurge and maxUnavailable, resolved.
        new: the ReplicaSet of the current template; None if it does not exist yet.
        old: all other ReplicaSets, oldest first.
        rolling: strategy RollingUpdate (else Recreate).
        status_replicas: status.replicas of the Deployment.
        old_pods: unfinished pods of old ReplicaSets, terminating ones included.
        new_name: name of the new ReplicaSet, also before it exists.
    """

    replicas: int
    fenceposts: Fenceposts
    new: OwnedSet | None
    old: tuple[OwnedSet, ...]
    rolling: bool = True
    status_replicas: int = 0
    old_pods: int = 0
    new_name: str = ""

    @property
    def surge(self) -> int:
        """maxSurge as a number of pods; 0 for Recreate."""
        return self.fenceposts.surge if self.rolling else 0

    @property
    def unavailable(self) -> int:
        """maxUnavailable as a number of pods."""
        return max_unavailable_of(self.fenceposts.unavailable, self.replicas, rolling=self.rolling)

    @property
    def everything(self) -> tuple[OwnedSet, ...]:
        """All ReplicaSets, the new one last."""
        return self.old if self.new is None else (*self.old, self.new)


@dataclass(frozen=True, slots=True)
class PassPlan:
    """What one sync does.

    Attributes:
        create: spec.replicas of the new ReplicaSet to create; None: none is created.
        sizes: new spec.replicas by name, of ReplicaSets that change.
        refresh: names of ReplicaSets whose annotations are written even at the same size.
        steps: the rules applied, with their figures.
        binding: the limit that kept the sync from going further.
        unless: the change that would let it go further.
        waiting: the rollout is under way, and this sync cannot continue it.
    """

    create: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    refresh: tuple[str, ...] = ()
    steps: tuple[RuleStep, ...] = ()
    binding: str = ""
    unless: str = "spec.replicas or the template changes"
    waiting: bool = False


# -- rolling update --------------------------------------------------------------------------------


def roll(facts: DeploymentFacts) -> PassPlan:
    """Plan one sync of a rolling update: scale up, or else down, as far as the limits allow."""
    total = sum(owned.state.replicas for owned in facts.everything)
    steps = [_limits(facts)]
    if facts.new is None:
        create = new_replica_set_size(
            replicas=facts.replicas, surge=facts.surge, new_replicas=0, all_replicas=total
        )
        steps.append(_up(facts, 0, create, total))
        created = OwnedSet(ReplicaSetState(facts.new_name, create), facts.replicas)
        down = _down(replace(facts, new=created), steps)
        return replace(down, create=create, waiting=False)
    before = facts.new.state.replicas
    size = _new_size(facts, facts.new, total)
    if size != facts.replicas or size != before:
        steps.append(_up(facts, before, size, total))
    if size != before:
        limit = "spec.replicas" if size == facts.replicas else f"maxSurge {facts.surge}"
        return PassPlan(
            sizes={facts.new_name: size},
            steps=tuple(steps),
            binding=limit,
            unless="one sync scales either up or down; the next one handles the old ReplicaSets",
        )
    return _down(facts, steps)


def _new_size(facts: DeploymentFacts, new: OwnedSet, total: int) -> int:
    current = new.state.replicas
    if current >= facts.replicas:
        return facts.replicas
    return new_replica_set_size(
        replicas=facts.replicas, surge=facts.surge, new_replicas=current, all_replicas=total
    )


def _limits(facts: DeploymentFacts) -> RuleStep:
    figures = {
        "replicas": facts.replicas,
        "maxSurge": facts.surge,
        "maxUnavailable": facts.unavailable,
    }
    result = (
        f"at most {count_of(facts.replicas + facts.surge, 'pod')}, "
        f"at least {facts.replicas - facts.unavailable} available"
    )
    return RuleStep("limits", figures, result, ROLLING)


def _up(facts: DeploymentFacts, before: int, size: int, total: int) -> RuleStep:
    room = facts.replicas + facts.surge - total
    figures = {"pods": total, "room": room, "missing": facts.replicas - before}
    if size == before < facts.replicas:
        result = f"{facts.new_name} stays at {size}: {count_of(total, 'pod')}, "
        result += count_of(total + room, "is allowed", "are allowed")
        return RuleStep("scale up", figures, result, ROLLING)
    return RuleStep("scale up", figures, f"{facts.new_name} {before} -> {size}", ROLLING)


def _down(facts: DeploymentFacts, steps: list[RuleStep]) -> PassPlan:
    """Scale down the old ReplicaSets: unavailable pods first, then what maxUnavailable allows."""
    assert facts.new is not None
    new, old = facts.new.state, [owned.state for owned in facts.old]
    before = {state.name: state.replicas for state in old}
    unavailable = max(0, new.replicas - new.available)
    if not sum(before.values()):
        return _without_old_pods(facts, steps, unavailable)
    sizes = scale_down_old(
        old, new, replicas=facts.replicas, unavailable=facts.fenceposts.unavailable
    )
    minimum = facts.replicas - facts.unavailable
    available = new.available + sum(state.available for state in old)
    total = sum(before.values()) + new.replicas
    allowed = total - minimum - (new.replicas - new.available)
    figures = {
        "pods": total,
        "available": available,
        "minAvailable": minimum,
        "newUnavailable": unavailable,
        "allowed": max(0, allowed),
    }
    formula = f"{count_of(total, 'pod')} - {minimum} that must stay - "
    formula += f"{count_of(unavailable, 'new one')} not available = {allowed}"
    result = ", ".join(f"{name} {before[name]} -> {size}" for name, size in sizes.items())
    result = f"{result} ({formula})" if sizes else f"no pod may be removed now ({formula})"
    steps.append(RuleStep("scale down", figures, result, ROLLING))
    if sizes:
        limit = f"maxUnavailable {facts.unavailable}: {minimum} must stay available"
        unless = "a new pod becomes available, or maxUnavailable is raised"
        return PassPlan(sizes=sizes, steps=tuple(steps), binding=limit, unless=unless)
    limit = f"maxUnavailable {facts.unavailable}: {minimum} must stay available, {available} "
    limit += "is" if available == 1 else "are"
    if unavailable:
        limit = f"{_not_available(unavailable, new.replicas)}; {limit}"
    unless = _changes_that_help(facts, unavailable, allowed)
    return PassPlan(steps=tuple(steps), binding=limit, unless=unless, waiting=True)


def _without_old_pods(facts: DeploymentFacts, steps: list[RuleStep], unavailable: int) -> PassPlan:
    """Return the plan when no old ReplicaSet has replicas: complete, or wait for new pods."""
    assert facts.new is not None
    if not unavailable:
        return PassPlan(steps=tuple(steps), binding=COMPLETE)
    limit = _not_available(unavailable, facts.new.state.replicas)
    more = count_of(unavailable, "more pod")
    verb = "becomes" if unavailable == 1 else "become"
    unless = f"{more} of {facts.new_name} {verb} available"
    return PassPlan(steps=tuple(steps), binding=limit, unless=unless, waiting=True)


def _not_available(unavailable: int, replicas: int) -> str:
    verb = "is" if unavailable == 1 else "are"
    return f"{unavailable} of {count_of(replicas, 'new pod')} {verb} not available"


def _changes_that_help(facts: DeploymentFacts, unavailable: int, allowed: int) -> str:
    """Return the smallest changes after which an old pod may be deleted.

    Both budgets must be positive: `allowed` counts all pods, the other one available pods.
    """
    short = max(1, 1 - allowed)
    changes = []
    if unavailable >= short:
        pods = "a pod" if short == 1 else f"{short} pods"
        changes.append(f"{pods} of {facts.new_name} become{'s' if short == 1 else ''} available")
    changes.append(f"maxUnavailable is raised to {facts.unavailable + short}")
    changes.append("the template is changed or rolled back")
    return ", or ".join(changes)


# -- recreate --------------------------------------------------------------------------------------


def recreate(facts: DeploymentFacts) -> PassPlan:
    """Plan one sync of Recreate: delete all old pods, and only then create new ones."""
    sizes = {owned.state.name: 0 for owned in facts.old if owned.active}
    if sizes:
        result = ", ".join(f"{name} -> 0" for name in sizes)
        step = RuleStep("stop the old", {"old": len(sizes)}, result, RECREATE)
        return PassPlan(
            sizes=sizes,
            steps=(step,),
            binding="strategy Recreate",
            unless="all old pods have ended: then the new ones start",
        )
    status_pods = sum(owned.pods for owned in facts.old)
    if status_pods or facts.old_pods:
        remaining = max(status_pods, facts.old_pods)
        still_there = count_of(remaining, "old pod has not ended", "old pods have not ended")
        step = RuleStep("wait", {"oldPods": remaining}, still_there, RECREATE)
        return PassPlan(
            steps=(step,),
            binding=still_there,
            unless=f"{count_of(remaining, 'old pod ends', 'old pods end')}: "
            "only then new ones are created",
            waiting=True,
        )
    figures = {"replicas": facts.replicas}
    before = facts.new.state.replicas if facts.new is not None else 0
    if facts.new is not None and before == facts.replicas:
        return _without_old_pods(facts, [], max(0, before - facts.new.state.available))
    result = f"{facts.new_name} {before} -> {facts.replicas}"
    step = RuleStep("start the new", figures, result, RECREATE)
    if facts.new is None:
        return PassPlan(create=facts.replicas, steps=(step,), binding="spec.replicas")
    return PassPlan(sizes={facts.new_name: facts.replicas}, steps=(step,), binding="spec.replicas")
