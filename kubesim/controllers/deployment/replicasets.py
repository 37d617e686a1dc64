"""Writes to the ReplicaSets of one Deployment: create, scale, annotate, clean up.

`plan` and `sync` decide what is written.

Source: pkg/controller/deployment/sync.go (getNewReplicaSet, scaleReplicaSet, cleanupDeployment).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import EventRecorder
from kubesim.controllers.deployment import progress, revisions
from kubesim.controllers.deployment.plan import PassPlan
from kubesim.controllers.deployment.state import SyncState
from kubesim.controllers.deployment.status import StatusWriter
from kubesim.errors import AlreadyExists, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import REPLICA_SET
from kubesim.objects.meta import get_condition
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import DeploymentDict, ReplicaSetDict

FAILED_CREATE = "ReplicaSetCreateError"


class ReplicaSetControl:
    """Writes the ReplicaSets of the Deployment of one sync.

    Args:
        api: the API server.
        recorder: for Events about the Deployment.
        counts: the controller's statistics.
        state: the Deployment and its ReplicaSets; renewed by each write.
        status: writes the Deployment's status.
    """

    def __init__(
        self,
        api: KubeAPI,
        recorder: EventRecorder,
        counts: Counter[str],
        state: SyncState,
        status: StatusWriter,
    ) -> None:
        self._api = api
        self._recorder = recorder
        self._counts = counts
        self._state = state
        self._status = status

    # -- revisions ------------------------------------------------------------------------------

    def sync_revision(self) -> None:
        """Find the new ReplicaSet; update its annotations and the Deployment's revision."""
        state = self._state
        state.split()
        if state.new is None:
            return
        new, metadata = state.new, state.new["metadata"]
        present = meta.annotations_of(new)
        desired = revisions.annotations_for_new(
            state.deployment, present, revisions.next_revision(state.old)
        )
        min_ready_seconds = state.deployment["spec"].get("minReadySeconds") or 0
        if desired != present or (new["spec"].get("minReadySeconds") or 0) != min_ready_seconds:
            before, after = present.get(revisions.REVISION), desired.get(revisions.REVISION)
            changed: ReplicaSetDict = {
                **new,
                "metadata": {**metadata, "annotations": desired},
                "spec": {**new["spec"], "minReadySeconds": min_ready_seconds},
            }
            state.new_written(self._api.update(changed))
            if before != after:
                name = meta.name_of(new)
                state.record(f"{name} is revision {after} now, it was {before}")
        self._annotate_revision(desired.get(revisions.REVISION, ""))
        if get_condition(state.deployment, progress.PROGRESSING) is None:
            message = f'Found new replica set "{meta.name_of(new)}"'
            self._status.set_progressing("True", "FoundNewReplicaSet", message)

    def _annotate_revision(self, revision: str) -> None:
        """Write the revision into the Deployment's annotations."""
        deployment = self._state.deployment
        annotations = meta.annotations_of(deployment)
        if annotations.get(revisions.REVISION) != revision:
            metadata = deployment["metadata"]
            annotations = {**annotations, revisions.REVISION: revision}
            changed: DeploymentDict = {
                **deployment,
                "metadata": {**metadata, "annotations": annotations},
            }
            self._state.deployment_written(self._api.update(changed))

    # -- creation -------------------------------------------------------------------------------

    def create_new(self, size: int, surge: int) -> bool:
        """Create the ReplicaSet of the current template.

        Args:
            size: its spec.replicas.
            surge: the Deployment's resolved maxSurge.

        Returns:
            False if it existed, but not in the cache.

        Raises:
            AlreadyExists: another ReplicaSet has its name; the next sync uses another hash.
            StatusError: the API server refused the creation.
        """
        state = self._state
        revision = revisions.next_revision(state.old)
        reference = meta.owner_reference(state.deployment)
        desired = revisions.new_replica_set(
            state.deployment, reference, size=size, surge=surge, revision=revision
        )
        name, created = desired["metadata"]["name"], True
        try:
            state.new_written(self._api.create(desired))
        except AlreadyExists:
            state.new_written(self._existing_or_collision(name))
            created = False
        except StatusError as error:
            if not any(cause.reason == "NamespaceTerminating" for cause in error.causes):
                message = f'Failed to create new replica set "{name}": {error.message}'
                self._status.set_progressing("False", FAILED_CREATE, message)
                self._recorder.event(state.deployment, "Warning", FAILED_CREATE, message)
            raise
        if created:
            self._counts["created"] += 1
            state.record(f"create {name} with {count_of(size, 'pod')}")
            if size > 0:
                self._report_scaled("up", name, 0, size)
        self._annotate_revision(str(revision))
        if created:
            message = f'Created new replica set "{name}"'
            self._status.set_progressing("True", "NewReplicaSetCreated", message)
        return created

    def _existing_or_collision(self, name: str) -> ReplicaSetDict:
        """Return the ReplicaSet of that name if it is the wanted one: the cache is stale.

        Raises:
            AlreadyExists: a hash collision.
        """
        deployment = self._state.deployment
        existing = self._api.peek(REPLICA_SET, name, meta.namespace_of(deployment))
        if (
            existing is not None
            and meta.is_owned_by(existing, deployment)
            and revisions.equal_ignoring_hash(
                existing["spec"]["template"], deployment["spec"]["template"]
            )
        ):
            return existing
        self._counts["collisions"] += 1
        self._status.count_collision()
        raise AlreadyExists(f'replicasets.apps "{name}" already exists', kind="ReplicaSet")

    # -- scaling and clean-up -------------------------------------------------------------------

    def apply(self, plan: PassPlan) -> None:
        """Scale ReplicaSets, and refresh their size annotations, as planned."""
        by_name = {meta.name_of(rs): rs for rs in self._state.everything}
        for name in dict.fromkeys((*plan.sizes, *plan.refresh)):
            if name in by_name:
                replicas = by_name[name]["spec"]["replicas"]
                self._scale(by_name[name], plan.sizes.get(name, replicas))

    def _scale(self, replicaset: ReplicaSetDict, size: int) -> None:
        before, name = replicaset["spec"]["replicas"], meta.name_of(replicaset)
        facts = self._state.facts()
        desired = revisions.replicas_annotations(facts.replicas, facts.surge)
        present = meta.annotations_of(replicaset)
        if size == before and all(present.get(key) == value for key, value in desired.items()):
            return
        changed: ReplicaSetDict = {
            **replicaset,
            "metadata": {**replicaset["metadata"], "annotations": {**present, **desired}},
            "spec": {**replicaset["spec"], "replicas": size},
        }
        self._state.replicaset_written(replicaset, self._api.update(changed))
        if size != before:
            self._counts["scaled"] += 1
            self._state.record(f"scale {name} {before} -> {size}")
            self._report_scaled("up" if size > before else "down", name, before, size)

    def _report_scaled(self, direction: str, name: str, before: int, size: int) -> None:
        message = f"Scaled {direction} replica set {name} from {before} to {size}"
        self._recorder.event(self._state.deployment, "Normal", "ScalingReplicaSet", message)

    def clean_up_history(self) -> None:
        """Delete empty old ReplicaSets beyond revisionHistoryLimit."""
        limit = self._state.deployment["spec"].get("revisionHistoryLimit")
        for replicaset in revisions.beyond_history_limit(self._state.old, limit):
            name = meta.name_of(replicaset)
            try:
                self._api.delete(
                    "ReplicaSet", name, meta.namespace_of(replicaset), uid=meta.uid_of(replicaset)
                )
            except NotFound:
                continue
            self._counts["cleaned"] += 1
            self._state.record(f"delete {name}, beyond revisionHistoryLimit {limit}")
