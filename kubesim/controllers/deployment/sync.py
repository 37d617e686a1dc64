"""One sync of one Deployment, in upstream's order.

Pause -> revision -> paused: only scale -> legacy rollback -> scaling event: only scale -> strategy
-> revision history -> status. `plan` and `scaling` decide how far it goes.

Source: pkg/controller/deployment/deployment_controller.go (syncDeployment), sync.go (sync),
rolling.go, recreate.go, rollback.go, progress.go (syncRolloutStatus).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import EventRecorder
from kubesim.clock.base import Clock
from kubesim.controllers.deployment import progress, revisions
from kubesim.controllers.deployment.plan import PassPlan, recreate, roll
from kubesim.controllers.deployment.replicasets import ReplicaSetControl
from kubesim.controllers.deployment.rolling import is_complete, new_replica_set_size
from kubesim.controllers.deployment.scaling import explain_no_op, is_scaling_event, scale
from kubesim.controllers.deployment.state import SyncState
from kubesim.controllers.deployment.status import StatusWriter
from kubesim.objects import meta
from kubesim.objects.meta import get_condition

if TYPE_CHECKING:
    from kubesim.objects.types import DeploymentStatusDict, ReplicaSetDict


class DeploymentSync:
    """One sync; an instance is used once.

    Args:
        api: the API server.
        clock: for timestamps and deadlines.
        recorder: for Events.
        counts: the controller's statistics.
        state: the Deployment and its ReplicaSets.

    Attributes:
        plan: what was decided.
        recheck: seconds until the progress deadline must be checked again; None: never.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        recorder: EventRecorder,
        counts: Counter[str],
        state: SyncState,
    ) -> None:
        self._api = api
        self._clock = clock
        self._recorder = recorder
        self._state = state
        self._status = StatusWriter(api, clock, state)
        self._sets = ReplicaSetControl(api, recorder, counts, state, self._status)
        self.plan = PassPlan()
        self.recheck: float | None = None

    def run(self) -> None:
        """Execute the sync."""
        state = self._state
        if meta.is_terminating(state.deployment):
            state.split()
            self._status.write(self._basic_status())
            return
        self._check_paused()
        self._sets.sync_revision()
        if state.paused:
            self._scale_only()
        elif (revision := revisions.rollback_target(state.deployment)) is not None:
            self._roll_back(revision)
        elif is_scaling_event(state.facts()):
            self._scale_only()
            self.plan = explain_no_op(self.plan, state.facts())
        else:
            self._roll_out()

    # -- strategies -----------------------------------------------------------------------------

    def _scale_only(self) -> None:
        """Scale the ReplicaSets after a change of size or during a pause; no rollout progress."""
        self.plan = scale(self._state.facts())
        self._sets.apply(self.plan)
        if self._state.paused and revisions.rollback_target(self._state.deployment) is None:
            self._sets.clean_up_history()
        self._status.write(self._basic_status())

    def _roll_out(self) -> None:
        """Continue the rollout by the Deployment's strategy."""
        state = self._state
        decide = roll if state.facts().rolling else recreate
        self.plan = decide(state.facts())
        if self.plan.create is not None:
            if not self._sets.create_new(self.plan.create, state.facts().surge):
                self.plan = decide(state.facts())
        self._sets.apply(self.plan)
        if not self.plan.sizes and self._is_complete():
            self._sets.clean_up_history()
        self._write_rollout_status()

    def _is_complete(self) -> bool:
        deployment = self._state.deployment
        figures = progress.figures_of(
            deployment.get("status") or {}, meta.generation_of(deployment)
        )
        return is_complete(figures, deployment["spec"]["replicas"])

    # -- legacy rollback ------------------------------------------------------------------------

    def _roll_back(self, revision: int) -> None:
        """Execute the rollback annotation of extensions/v1beta1; revision 0 is the previous one."""
        state = self._state
        if state.new is None:
            self._sets.create_new(self._initial_size(), state.facts().surge)
        if revision == 0:
            revision = revisions.previous_revision(state.everything)
        if revision == 0:
            self._refuse_rollback("RevisionNotFound", "Unable to find last revision.")
            return
        for replicaset in state.everything:
            if revisions.revision_of(replicaset) == revision:
                self._roll_back_to(replicaset, revision)
                return
        self._refuse_rollback("RevisionNotFound", "Unable to find the revision to rollback to.")

    def _roll_back_to(self, replicaset: ReplicaSetDict, revision: int) -> None:
        deployment = self._state.deployment
        name = meta.name_of(deployment)
        current, target = deployment["spec"]["template"], replicaset["spec"]["template"]
        if revisions.equal_ignoring_hash(current, target):
            message = "The rollback revision contains the same template as current deployment "
            self._refuse_rollback("TemplateUnchanged", f'{message}"{name}"')
            return
        self._state.deployment_written(
            self._api.update(revisions.rolled_back(deployment, replicaset))
        )
        message = f'Rolled back deployment "{name}" to revision {revision}'
        self._state.record(message)
        self._recorder.event(self._state.deployment, "Normal", "DeploymentRollback", message)

    def _refuse_rollback(self, reason: str, message: str) -> None:
        state = self._state
        self._recorder.event(state.deployment, "Warning", f"DeploymentRollback{reason}", message)
        state.record(f"refuse the rollback: {message}")
        state.deployment_written(self._api.update(revisions.rolled_back(state.deployment, None)))

    def _initial_size(self) -> int:
        """Return spec.replicas of a new ReplicaSet."""
        facts = self._state.facts()
        return new_replica_set_size(
            replicas=facts.replicas,
            surge=facts.surge,
            new_replicas=0,
            all_replicas=sum(owned.state.replicas for owned in facts.everything),
            recreate=not facts.rolling,
        )

    # -- status ---------------------------------------------------------------------------------

    def _check_paused(self) -> None:
        """Set the condition Progressing after a pause or resume."""
        condition = progress.pause_condition(self._state.deployment, self._clock.timestamp())
        if condition is not None:
            self._status.set_condition(condition)
            self._state.record(condition["message"])

    def _basic_status(self) -> DeploymentStatusDict:
        state = self._state
        now = self._clock.timestamp()
        unavailable = state.facts().unavailable
        return progress.basic_status(
            state.deployment, state.new, state.everything, unavailable, now
        )

    def _write_rollout_status(self) -> None:
        state, now = self._state, self._clock.now()
        before = (get_condition(state.deployment, progress.PROGRESSING) or {}).get("reason")
        status = progress.rollout_status(
            state.deployment,
            state.new,
            state.everything,
            state.facts().unavailable,
            self._clock.timestamp(),
            now,
            self._clock.seconds_at,
        )
        if not self._status.write(status):
            self.recheck = progress.recheck_after(state.deployment, now, self._clock.seconds_at)
        after = get_condition(state.deployment, progress.PROGRESSING) or {}
        if after.get("reason") == progress.TIMED_OUT != before:
            state.record(f"progress deadline exceeded: {after['message']}")
