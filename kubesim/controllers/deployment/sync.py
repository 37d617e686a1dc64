"""One pass over one Deployment, in upstream's order.

Pause -> revision -> paused: only scale -> legacy rollback -> scaling event: only scale -> strategy
-> history -> status. How far it goes is decided by `deployment_plan`; what it reads and writes is
in `deployment_sets`.

Source: pkg/controller/deployment/deployment_controller.go (syncDeployment), sync.go (sync),
rolling.go, recreate.go, rollback.go, progress.go (syncRolloutStatus).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubesim.controllers.deployment import progress as status
from kubesim.controllers.deployment import revisions
from kubesim.controllers.deployment.plan import (
    PassPlan,
    recreate,
    roll,
)
from kubesim.controllers.deployment.replicasets import OwnedSets
from kubesim.controllers.deployment.rolling import is_complete, new_replica_set_size
from kubesim.controllers.deployment.scaling import is_scaling_event, scale, with_standstill
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document


@dataclass
class DeploymentPass(OwnedSets):
    """One pass; use it once.

    Attributes:
        plan: what was decided.
        recheck: in how many seconds the deadline is to be looked at again; None: no need.
    """

    plan: PassPlan = field(default_factory=PassPlan)
    recheck: float | None = None

    def run(self) -> None:
        """Do the pass."""
        if meta.is_terminating(self.deployment):
            self._split()
            self._write(self._basic_status())
            return
        self._check_paused()
        self._sync_revision()
        if self.deployment["spec"].get("paused"):
            self._only_scale()
        elif (revision := revisions.rollback_target(self.deployment)) is not None:
            self._roll_back(revision)
        elif is_scaling_event(self.facts()):
            self._only_scale()
            self.plan = with_standstill(self.plan, self.facts())
        else:
            self._roll_out()

    # -- strategies -----------------------------------------------------------------------------

    def _only_scale(self) -> None:
        """A change of size, or a pause: no progress, and Progressing stays as it is."""
        self.plan = scale(self.facts())
        self._apply(self.plan)
        paused = self.deployment["spec"].get("paused")
        if paused and revisions.rollback_target(self.deployment) is None:
            self._clean_up()
        self._write(self._basic_status())

    def _roll_out(self) -> None:
        decide = roll if self.facts().rolling else recreate
        self.plan = decide(self.facts())
        if self.plan.create is not None and not self._make_new(
            self.plan.create, self.facts().surge
        ):
            self.plan = decide(self.facts())
        self._apply(self.plan)
        if not self.plan.sizes and self._is_complete():
            self._clean_up()
        self._write_rollout_status()

    def _is_complete(self) -> bool:
        generation = meta.generation_of(self.deployment)
        figures = status.figures_of(self.deployment.get("status") or {}, generation)
        return is_complete(figures, self.deployment["spec"]["replicas"])

    def _roll_back(self, revision: int) -> None:
        """The legacy annotation of extensions/v1beta1: take the template of an old revision."""
        if self.new is None:
            self._make_new(self._first_size(), self.facts().surge)
        if revision == 0:
            revision = revisions.previous_revision(self.everything)
        if revision == 0:
            self._rollback_refused("RevisionNotFound", "Unable to find last revision.")
            return
        name = meta.name_of(self.deployment)
        for replicaset in self.everything:
            if revisions.revision_of(replicaset) != revision:
                continue
            now, then = self.deployment["spec"]["template"], replicaset["spec"]["template"]
            if revisions.equal_ignoring_hash(now, then):
                said = "The rollback revision contains the same template as current deployment "
                self._rollback_refused("TemplateUnchanged", f'{said}"{name}"')
                return
            self.deployment = self.api.update(revisions.rolled_back(self.deployment, replicaset))
            said = f'Rolled back deployment "{name}" to revision {revision}'
            self.did.append(said)
            self.recorder.event(self.deployment, "Normal", "DeploymentRollback", said)
            return
        self._rollback_refused("RevisionNotFound", "Unable to find the revision to rollback to.")

    def _rollback_refused(self, why: str, message: str) -> None:
        self.recorder.event(self.deployment, "Warning", f"DeploymentRollback{why}", message)
        self.did.append(f"refuse the rollback: {message}")
        self.deployment = self.api.update(revisions.rolled_back(self.deployment, None))

    def _first_size(self) -> int:
        """How many pods the new ReplicaSet begins with."""
        facts = self.facts()
        return new_replica_set_size(
            replicas=facts.replicas,
            surge=facts.surge,
            new_replicas=0,
            all_replicas=sum(owned.state.replicas for owned in facts.everything),
            recreate=not facts.rolling,
        )

    # -- status ---------------------------------------------------------------------------------

    def _check_paused(self) -> None:
        found = status.pause_condition(self.deployment, self.clock.timestamp())
        if found is not None:
            self._set_condition(found)
            self.did.append(found["message"])

    def _basic_status(self) -> Document:
        facts, now = self.facts(), self.clock.timestamp()
        return status.basic_status(
            self.deployment, self.new, self.everything, facts.unavailable, now
        )

    def _write_rollout_status(self) -> None:
        now = self.clock.now()
        before = (get_condition(self.deployment, status.PROGRESSING) or {}).get("reason")
        counted = status.rollout_status(
            self.deployment,
            self.new,
            self.everything,
            self.facts().unavailable,
            self.clock.timestamp(),
            now,
            self.clock.seconds_at,
        )
        if not self._write(counted):
            self.recheck = status.recheck_after(self.deployment, now, self.clock.seconds_at)
        after = get_condition(self.deployment, status.PROGRESSING) or {}
        if after.get("reason") == status.TIMED_OUT != before:
            self.did.append(f"give up waiting: {after['message']}")
