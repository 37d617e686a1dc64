"""The ReplicaSets of one Deployment, as one pass reads and writes them.

What a pass has written it goes on with, so that a later write of the same pass carries the newest
resourceVersion. What is to be done is decided elsewhere (`deployment_plan`, `deployment_pass`).

Source: pkg/controller/deployment/sync.go (getNewReplicaSet, scaleReplicaSet, cleanupDeployment).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kubesim.apiserver import KubeAPI
from kubesim.client import EventRecorder
from kubesim.clock.base import Clock
from kubesim.controllers.deployment import progress as status
from kubesim.controllers.deployment import revisions
from kubesim.controllers.deployment.plan import DeploymentFacts, OwnedSet, PassPlan
from kubesim.controllers.deployment.rolling import ReplicaSetState, resolve_fenceposts
from kubesim.errors import AlreadyExists, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document

FAILED_CREATE = "ReplicaSetCreateError"


@dataclass
class OwnedSets:
    """A Deployment and its ReplicaSets during one pass.

    Attributes:
        api, clock, recorder, counts: what the controller has.
        deployment: the document; renewed by each write of this pass.
        sets: its ReplicaSets, as they were read.
        old_pods: counts pods that have not ended, of all ReplicaSets but the one named.
        did: what was changed, in words.
        new, old: the ReplicaSet of the present template, and all others, oldest first.
    """

    api: KubeAPI
    clock: Clock
    recorder: EventRecorder
    counts: Counter[str]
    deployment: Document
    sets: Sequence[Document]
    old_pods: Callable[[str], int]
    did: list[str] = field(default_factory=list)
    new: Document | None = None
    old: list[Document] = field(default_factory=list)

    # -- reading --------------------------------------------------------------------------------

    @property
    def everything(self) -> list[Document]:
        """All ReplicaSets, the new one last."""
        return self.old if self.new is None else [*self.old, self.new]

    def facts(self) -> DeploymentFacts:
        """What the plan looks at."""
        spec = self.deployment["spec"]
        strategy = spec.get("strategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        name = meta.name_of(self.new) if self.new is not None else ""
        recreating = strategy.get("type") == "Recreate"
        return DeploymentFacts(
            replicas=spec["replicas"],
            fenceposts=resolve_fenceposts(
                max_surge=rolling.get("maxSurge"),
                max_unavailable=rolling.get("maxUnavailable"),
                replicas=spec["replicas"],
            ),
            new=self._owned(self.new) if self.new is not None else None,
            old=tuple(map(self._owned, self.old)),
            rolling=not recreating,
            status_replicas=(self.deployment.get("status") or {}).get("replicas", 0),
            old_pods=self.old_pods(name) if recreating else 0,
            new_name=name or revisions.name_of_new(self.deployment),
        )

    def _owned(self, replicaset: Document) -> OwnedSet:
        counted = replicaset.get("status") or {}
        state = ReplicaSetState(
            name=meta.name_of(replicaset),
            replicas=replicaset["spec"]["replicas"],
            available=counted.get("availableReplicas", 0),
            created=self.clock.seconds_at(replicaset["metadata"]["creationTimestamp"]),
            max_replicas=revisions.number_in(replicaset, revisions.MAX) or 0,
        )
        desired = revisions.number_in(replicaset, revisions.DESIRED)
        return OwnedSet(state, desired, counted.get("replicas", 0))

    def _split(self) -> None:
        self.new = revisions.find_new(self.deployment, self.sets)
        self.old = [rs for rs in revisions.oldest_first(self.sets) if rs is not self.new]

    # -- revisions ------------------------------------------------------------------------------

    def _sync_revision(self) -> None:
        """Find the new ReplicaSet and bring its annotations and the Deployment's up to date."""
        self._split()
        if self.new is None:
            return
        new, metadata = self.new, self.new["metadata"]
        present = meta.annotations_of(new)
        wanted = revisions.annotations_for_new(
            self.deployment, present, revisions.next_revision(self.old)
        )
        ready_for = self.deployment["spec"].get("minReadySeconds") or 0
        if wanted != present or (new["spec"].get("minReadySeconds") or 0) != ready_for:
            before, after = present.get(revisions.REVISION), wanted.get(revisions.REVISION)
            self.new = self.api.update(
                {
                    **new,
                    "metadata": {**metadata, "annotations": wanted},
                    "spec": {**new["spec"], "minReadySeconds": ready_for},
                }
            )
            if before != after:
                self.did.append(f"{meta.name_of(new)} is revision {after} now, it was {before}")
        self._note_revision(wanted.get(revisions.REVISION, ""))
        if self._progress_matters() and get_condition(self.deployment, status.PROGRESSING) is None:
            said = f'Found new replica set "{meta.name_of(new)}"'
            self._set_progress("True", "FoundNewReplicaSet", said)

    def _note_revision(self, revision: str) -> None:
        """The Deployment says which revision it is at."""
        notes = meta.annotations_of(self.deployment)
        if notes.get(revisions.REVISION) != revision:
            metadata = self.deployment["metadata"]
            annotations = {**notes, revisions.REVISION: revision}
            self.deployment = self.api.update(
                {**self.deployment, "metadata": {**metadata, "annotations": annotations}}
            )

    def _make_new(self, size: int, surge: int) -> bool:
        """Make the ReplicaSet of the present template; False if it was there already.

        Raises:
            AlreadyExists: another one has its name; the next pass tries another hash.
            StatusError: it could not be made.
        """
        revision = revisions.next_revision(self.old)
        reference = meta.owner_reference(self.deployment)
        wanted = revisions.new_replica_set(
            self.deployment, reference, size=size, surge=surge, revision=revision
        )
        name, made = wanted["metadata"]["name"], True
        try:
            self.new = self.api.create(wanted)
        except AlreadyExists:
            self.new, made = self._known_or_collision(name), False
        except StatusError as error:
            if not any(cause.reason == "NamespaceTerminating" for cause in error.causes):
                said = f'Failed to create new replica set "{name}": {error.message}'
                if self._progress_matters():
                    self._set_progress("False", FAILED_CREATE, said)
                self.recorder.event(self.deployment, "Warning", FAILED_CREATE, said)
            raise
        if made:
            self.counts["created"] += 1
            self.did.append(f"create {name} with {size} pods")
            if size > 0:
                self._tell_scaled("up", name, 0, size)
        self._note_revision(str(revision))
        if made and self._progress_matters():
            self._set_progress("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return made

    def _known_or_collision(self, name: str) -> Document:
        """The ReplicaSet that has the name, if it is ours: our cache is late. Else a collision."""
        known = self.api.peek("ReplicaSet", name, meta.namespace_of(self.deployment))
        if (
            known is not None
            and meta.is_owned_by(known, self.deployment)
            and revisions.equal_ignoring_hash(
                known["spec"]["template"], self.deployment["spec"]["template"]
            )
        ):
            return known
        counted = self.deployment.get("status") or {}
        collisions = (counted.get("collisionCount") or 0) + 1
        self.counts["collisions"] += 1
        self._write({**counted, "collisionCount": collisions})
        raise AlreadyExists(f'replicasets.apps "{name}" already exists', kind="ReplicaSet")

    # -- writing --------------------------------------------------------------------------------

    def _apply(self, plan: PassPlan) -> None:
        known = {meta.name_of(rs): rs for rs in self.everything}
        for name in dict.fromkeys((*plan.sizes, *plan.refresh)):
            if name in known:
                replicas = known[name]["spec"]["replicas"]
                self._scale_one(known[name], plan.sizes.get(name, replicas))

    def _scale_one(self, replicaset: Document, size: int) -> None:
        before, name = replicaset["spec"]["replicas"], meta.name_of(replicaset)
        facts = self.facts()
        notes = revisions.replicas_annotations(facts.replicas, facts.surge)
        present = meta.annotations_of(replicaset)
        if size == before and all(present.get(key) == value for key, value in notes.items()):
            return
        metadata = {**replicaset["metadata"], "annotations": {**present, **notes}}
        written = self.api.update(
            {**replicaset, "metadata": metadata, "spec": {**replicaset["spec"], "replicas": size}}
        )
        if self.new is replicaset:
            self.new = written
        self.old = [written if rs is replicaset else rs for rs in self.old]
        if size != before:
            self.counts["scaled"] += 1
            self.did.append(f"scale {name} {before} -> {size}")
            self._tell_scaled("up" if size > before else "down", name, before, size)

    def _tell_scaled(self, direction: str, name: str, before: int, size: int) -> None:
        said = f"Scaled {direction} replica set {name} from {before} to {size}"
        self.recorder.event(self.deployment, "Normal", "ScalingReplicaSet", said)

    def _clean_up(self) -> None:
        """Old ReplicaSets beyond the history limit go, as far as they are empty."""
        limit = self.deployment["spec"].get("revisionHistoryLimit")
        for replicaset in revisions.to_clean_up(self.old, limit):
            name = meta.name_of(replicaset)
            try:
                self.api.delete(
                    "ReplicaSet", name, meta.namespace_of(replicaset), uid=meta.uid_of(replicaset)
                )
            except NotFound:
                continue  # somebody else did
            self.counts["cleaned"] += 1
            self.did.append(f"delete {name}, beyond revisionHistoryLimit {limit}")

    def _progress_matters(self) -> bool:
        return status.deadline_of(self.deployment) is not None

    def _set_progress(self, value: str, reason: str, message: str) -> None:
        now = self.clock.timestamp()
        self._set_condition(status.condition(status.PROGRESSING, value, reason, message, now))

    def _set_condition(self, condition: Document) -> None:
        counted = self.deployment.get("status") or {}
        conditions = status.with_condition(counted.get("conditions") or (), condition)
        self._write({**counted, "conditions": conditions})

    def _write(self, counted: Document) -> bool:
        """Write the status if it is another one; True if it was."""
        if counted == (self.deployment.get("status") or {}):
            return False
        self.deployment = self.api.update_status({**self.deployment, "status": counted})
        return True
