"""The state of one Deployment sync: the Deployment and its ReplicaSets, renewed by each write.

A later write of the same sync must carry the newest resourceVersion. The writers therefore store in
`SyncState` what the API server returned.

Source: pkg/controller/deployment/sync.go (getAllReplicaSetsAndSyncRevision).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesim.controllers.deployment import progress, revisions
from kubesim.controllers.deployment.plan import DeploymentFacts, OwnedSet
from kubesim.controllers.deployment.rolling import ReplicaSetState, resolve_fenceposts
from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import DeploymentDict, ReplicaSetDict


@dataclass
class SyncState:
    """A Deployment and its ReplicaSets during one sync.

    Attributes:
        deployment: the document; replaced by each write of this sync.
        sets: its ReplicaSets as they were read.
        count_old_pods: returns the number of unfinished pods of all ReplicaSets but the named one.
        seconds_at: converts an RFC 3339 timestamp to seconds.
        new: the ReplicaSet of the current template; None: it does not exist.
        old: all other ReplicaSets, oldest first.
        actions: what this sync did, for the decision record.
    """

    deployment: DeploymentDict
    sets: Sequence[ReplicaSetDict]
    count_old_pods: Callable[[str], int]
    seconds_at: Callable[[str], float]
    new: ReplicaSetDict | None = None
    old: list[ReplicaSetDict] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)

    @property
    def everything(self) -> list[ReplicaSetDict]:
        """All ReplicaSets, the new one last."""
        return self.old if self.new is None else [*self.old, self.new]

    @property
    def paused(self) -> bool:
        """spec.paused."""
        return bool(self.deployment["spec"].get("paused"))

    @property
    def watches_progress(self) -> bool:
        """Whether spec.progressDeadlineSeconds is set."""
        return progress.deadline_of(self.deployment) is not None

    def split(self) -> None:
        """Find the new ReplicaSet; all others are old."""
        self.new = revisions.find_new(self.deployment, self.sets)
        self.old = [rs for rs in revisions.oldest_first(self.sets) if rs is not self.new]

    def record(self, action: str) -> None:
        """Append an action to the list for the decision record."""
        self.actions.append(action)

    def deployment_written(self, written: DeploymentDict) -> None:
        """Replace the Deployment by the document that a write returned."""
        self.deployment = written

    def new_written(self, written: ReplicaSetDict) -> None:
        """Set the new ReplicaSet to the document that a write returned."""
        self.new = written

    def replicaset_written(self, replicaset: ReplicaSetDict, written: ReplicaSetDict) -> None:
        """Replace a ReplicaSet by the document that a write returned."""
        if self.new is replicaset:
            self.new = written
        self.old = [written if rs is replicaset else rs for rs in self.old]

    def facts(self) -> DeploymentFacts:
        """Return the facts that the plan uses."""
        spec = self.deployment["spec"]
        strategy = spec.get("strategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        name = meta.name_of(self.new) if self.new is not None else ""
        recreate = strategy.get("type") == "Recreate"
        return DeploymentFacts(
            replicas=spec["replicas"],
            fenceposts=resolve_fenceposts(
                max_surge=rolling.get("maxSurge"),
                max_unavailable=rolling.get("maxUnavailable"),
                replicas=spec["replicas"],
            ),
            new=self._owned_set(self.new) if self.new is not None else None,
            old=tuple(map(self._owned_set, self.old)),
            rolling=not recreate,
            status_replicas=(self.deployment.get("status") or {}).get("replicas", 0),
            old_pods=self.count_old_pods(name) if recreate else 0,
            new_name=name or revisions.name_of_new(self.deployment),
        )

    def _owned_set(self, replicaset: ReplicaSetDict) -> OwnedSet:
        status = replicaset.get("status") or {}
        state = ReplicaSetState(
            name=meta.name_of(replicaset),
            replicas=replicaset["spec"]["replicas"],
            available=status.get("availableReplicas", 0),
            created=self.seconds_at(replicaset["metadata"]["creationTimestamp"]),
            max_replicas=revisions.number_in(replicaset, revisions.MAX) or 0,
        )
        desired = revisions.number_in(replicaset, revisions.DESIRED)
        return OwnedSet(state, desired, status.get("replicas", 0))
