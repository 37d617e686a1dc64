"""What a ReplicaSet does next: pure functions of its spec and its pods.

A ReplicaSet keeps the wanted number of equal pods. Terminating and finished pods do not count:
each of them is replaced at once.

>>> plan(3, [], now=0.0).create
3
>>> pods = [ReplicaPod("web-a", RankedPod("1")), ReplicaPod("web-b", RankedPod("2", ready=False))]
>>> plan(1, pods, now=9.0).delete                  # the one that is not ready
('web-b',)

Source: pkg/controller/replicaset/replica_set.go (manageReplicas, getPodsToDelete),
replica_set_utils.go (calculateStatus).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

from kubesim.controllers.shared.ranking import RankedPod, rank_for_deletion
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.meta import set_condition
from kubesim.objects.pods import FINISHED
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ObjectMetaDict,
        OwnerReferenceDict,
        PodDict,
        PodTemplateSpecDict,
        ReplicaSetConditionDict,
        ReplicaSetStatusDict,
    )

BURST_REPLICAS = 500  # pods created or deleted in one sync, at most
REPLICA_FAILURE = "ReplicaFailure"  # the only condition type of a ReplicaSet
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/"


@dataclass(frozen=True, slots=True)
class ReplicaPod:
    """One pod that a ReplicaSet controls.

    Attributes:
        name: of the pod.
        rank: facts for the deletion ranking; also phase, readiness and node.
        terminating: has a deletionTimestamp.
        fully_labeled: carries all labels of the template.
    """

    name: str
    rank: RankedPod
    terminating: bool = False
    fully_labeled: bool = True

    @property
    def active(self) -> bool:
        """Whether it counts as a replica: neither finished nor terminating."""
        return not self.terminating and self.rank.phase not in FINISHED

    def available_from(self, min_ready_seconds: int) -> float | None:
        """Return the second from which it is available (inclusive since 1.34); None: not ready."""
        if not self.rank.ready:
            return None
        if min_ready_seconds == 0:
            return 0.0
        since = self.rank.ready_since
        return None if since is None else since + min_ready_seconds


class PodCounts(NamedTuple):
    """How many pods a ReplicaSet controls.

    Attributes:
        active: neither finished nor terminating.
        labeled, ready: those of the active ones that have all labels of the template; that are
            ready.
        terminating: with a deletionTimestamp.
    """

    active: int = 0
    labeled: int = 0
    ready: int = 0
    terminating: int = 0

    def plus(self, pod: ReplicaPod) -> PodCounts:
        """Return the counts with one more pod."""
        return self._changed(pod, 1)

    def without(self, pod: ReplicaPod) -> PodCounts:
        """Return the counts without one of the pods."""
        return self._changed(pod, -1)

    def _changed(self, pod: ReplicaPod, by: int) -> PodCounts:
        active = by if pod.active else 0
        return PodCounts(
            self.active + active,
            self.labeled + active * pod.fully_labeled,
            self.ready + active * pod.rank.ready,
            self.terminating + by * pod.terminating,
        )


NO_PODS = PodCounts()


def count_pods(pods: Iterable[ReplicaPod]) -> PodCounts:
    """Count pods.

    >>> count_pods([ReplicaPod("a", RankedPod("1")), ReplicaPod("b", RankedPod("2"), True)])
    PodCounts(active=1, labeled=1, ready=1, terminating=1)
    """
    counts = NO_PODS
    for pod in pods:
        counts = counts.plus(pod)
    return counts


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """What to do in one sync.

    Attributes:
        create: number of pods to create.
        delete: names of the pods to delete, in order.
        reason: why, as a sentence fragment.
    """

    create: int = 0
    delete: tuple[str, ...] = ()
    reason: str = ""


def plan(
    replicas: int,
    pods: Sequence[ReplicaPod],
    now: float,
    related: Mapping[str, int] | None = None,
    counts: PodCounts | None = None,
) -> ReplicaPlan:
    """Decide how many pods to create, or which to delete.

    Args:
        replicas: spec.replicas.
        pods: the pods that the ReplicaSet controls, in any order; with `counts` they may be left
            out unless some are surplus.
        now: in seconds; the ranking measures ages from it.
        related: active pods on each node, of all ReplicaSets with the same controller; empty for a
            ReplicaSet without a controller.
        counts: of all its pods; None: `pods` are counted.
    """
    present = (count_pods(pods) if counts is None else counts).active
    missing = replicas - present
    if missing > 0:
        create = min(missing, BURST_REPLICAS)
        capped = f", {create} in one sync" if create < missing else ""
        return ReplicaPlan(create, (), f"{present} of {count_of(replicas, 'pod')}{capped}")
    if missing == 0:
        return ReplicaPlan(reason="matches spec")
    active = [pod for pod in pods if pod.active]
    delete = to_delete(active, min(-missing, BURST_REPLICAS), now, related or {})
    return ReplicaPlan(0, delete, f"{count_of(len(active), 'pod')}, {-missing} beyond {replicas}")


def to_delete(
    active: Sequence[ReplicaPod], count: int, now: float, related: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the names of the `count` pods to delete first; unsorted if all are deleted.

    Args:
        active: active pods.
        count: pods to delete.
        now: in seconds.
        related: as in `plan`.
    """
    if count >= len(active):
        return tuple(pod.name for pod in active)
    by_uid = {pod.rank.uid: pod.name for pod in active}
    ranks = (replace(pod.rank, related_on_node=related.get(pod.rank.node, 0)) for pod in active)
    return tuple(by_uid[rank.uid] for rank in rank_for_deletion(ranks, now)[:count])


def pods_on_nodes(pods: Iterable[ReplicaPod]) -> Counter[str]:
    """Count the active pods on each node; pods without a node are counted under ""."""
    return Counter(pod.rank.node for pod in pods if pod.active)


def status_of(
    pods: Iterable[ReplicaPod],
    *,
    min_ready_seconds: int,
    generation: int,
    now: float,
    counts: PodCounts | None = None,
) -> ReplicaSetStatusDict:
    """Return the counters of status; those that are zero are omitted, except `replicas`.

    Args:
        pods: the pods that the ReplicaSet controls; with `counts` they are needed only for
            `min_ready_seconds`.
        min_ready_seconds: seconds that a pod must be ready before it counts as available.
        generation: the observed metadata.generation.
        now: in seconds.
        counts: of all its pods; None: `pods` are counted.
    """
    pods = list(pods)
    counts = count_pods(pods) if counts is None else counts
    available = counts.ready
    if min_ready_seconds:
        times = [pod.available_from(min_ready_seconds) for pod in pods if pod.active]
        available = sum(time is not None and time <= now for time in times)
    counters = {
        "fullyLabeledReplicas": counts.labeled,
        "readyReplicas": counts.ready,
        "availableReplicas": available,
        "observedGeneration": generation,
    }
    status = {
        "replicas": counts.active,
        **{name: count for name, count in counters.items() if count},
    }
    return cast("ReplicaSetStatusDict", status)


def next_available(pods: Iterable[ReplicaPod], min_ready_seconds: int, now: float) -> float | None:
    """Return the next second after `now` at which a pod becomes available; None: never.

    Args:
        pods: the pods that the ReplicaSet controls.
        min_ready_seconds: as in `status_of`.
        now: in seconds.
    """
    if min_ready_seconds == 0:
        return None
    times = [pod.available_from(min_ready_seconds) for pod in pods if pod.active]
    return min((time for time in times if time is not None and time > now), default=None)


def failure_condition(
    conditions: Sequence[ReplicaSetConditionDict], error: str, *, creating: bool, timestamp: str
) -> list[ReplicaSetConditionDict]:
    """Return status.conditions with ReplicaFailure set after an error, removed without one.

    A ReplicaFailure that is present is not refreshed.

    Args:
        conditions: the present conditions.
        error: the error message, or "".
        creating: the failed calls were creations (else deletions).
        timestamp: RFC 3339 timestamp of this sync.
    """
    present = any(c.get("type") == REPLICA_FAILURE for c in conditions)
    if error and not present:
        reason = "FailedCreate" if creating else "FailedDelete"
        return set_condition(conditions, REPLICA_FAILURE, "True", reason, error, now=timestamp)
    if not error and present:
        return [c for c in conditions if c.get("type") != REPLICA_FAILURE]
    return list(conditions)


def pod_from(
    template: PodTemplateSpecDict, owner: ReadOnlyDocument, owner_ref: OwnerReferenceDict
) -> PodDict:
    """Return the pod to create from a template; the API server generates its name.

    Args:
        template: spec.template of the owner.
        owner: the ReplicaSet.
        owner_ref: the controllerRef to the owner.
    """
    template_metadata = template.get("metadata") or {}
    metadata: ObjectMetaDict = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"].get("namespace", ""),
        "ownerReferences": [owner_ref],
    }
    if template_metadata.get("labels"):
        metadata["labels"] = template_metadata["labels"]
    if template_metadata.get("annotations"):
        metadata["annotations"] = template_metadata["annotations"]
    if template_metadata.get("finalizers"):
        metadata["finalizers"] = template_metadata["finalizers"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
