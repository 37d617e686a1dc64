"""What a ReplicaSet needs next: pure functions of its spec and its pods.

A ReplicaSet keeps a number of equal pods alive. Pods that are on their way out, or that have ended,
do not count: for each of them there is another one at once.

>>> plan(3, [], now=0.0).create
3
>>> pods = [ReplicaPod("web-a", RankedPod("1")), ReplicaPod("web-b", RankedPod("2", ready=False))]
>>> plan(1, pods, now=9.0).delete                  # the one that serves nobody goes first
('web-b',)

Source: pkg/controller/replicaset/replica_set.go (manageReplicas, getPodsToDelete),
replica_set_utils.go (calculateStatus).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubesim.controllers.shared.ranking import RankedPod, rank_for_deletion
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import FINISHED

BURST_REPLICAS = 500  # pods made or deleted in one pass, at most
REPLICA_FAILURE = "ReplicaFailure"  # the one type of condition that a ReplicaSet has
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/"


@dataclass(frozen=True, slots=True)
class ReplicaPod:
    """One pod that a ReplicaSet owns.

    Attributes:
        name: of the pod.
        rank: what the deletion ranking looks at; also phase, readiness and node.
        terminating: has a deletionTimestamp.
        fully_labeled: carries all labels of the template.
    """

    name: str
    rank: RankedPod
    terminating: bool = False
    fully_labeled: bool = True

    @property
    def active(self) -> bool:
        """It counts as a replica: not ended and not on its way out."""
        return not self.terminating and self.rank.phase not in FINISHED

    def available_from(self, min_ready_seconds: int) -> float | None:
        """The second from which it is available (inclusive since 1.34); None: it is not ready."""
        if not self.rank.ready:
            return None
        if min_ready_seconds == 0:
            return 0.0
        since = self.rank.ready_since
        return None if since is None else since + min_ready_seconds


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """What to do in this pass.

    Attributes:
        create: how many pods to make.
        delete: names of the pods that go, the first first.
        reason: why, in words.
    """

    create: int = 0
    delete: tuple[str, ...] = ()
    reason: str = ""


def plan(
    replicas: int,
    pods: Sequence[ReplicaPod],
    now: float,
    related: Mapping[str, int] | None = None,
) -> ReplicaPlan:
    """How many pods to make, or which to delete.

    Args:
        replicas: spec.replicas.
        pods: those that the ReplicaSet owns, in any order.
        now: in seconds, for the age classes of the ranking.
        related: active pods on each node, of all ReplicaSets with the same controller. A ReplicaSet
            without a controller has none, and its pods' nodes make no difference.
    """
    active = [pod for pod in pods if pod.active]
    missing = replicas - len(active)
    if missing > 0:
        create = min(missing, BURST_REPLICAS)
        capped = f", {create} in one pass" if create < missing else ""
        return ReplicaPlan(create, (), f"{len(active)} of {replicas} pods{capped}")
    if missing == 0:
        return ReplicaPlan(reason="as wanted")
    delete = to_delete(active, min(-missing, BURST_REPLICAS), now, related or {})
    return ReplicaPlan(0, delete, f"{len(active)} pods, {-missing} beyond {replicas}")


def to_delete(
    active: Sequence[ReplicaPod], count: int, now: float, related: Mapping[str, int]
) -> tuple[str, ...]:
    """Names of the `count` pods that go first. Who deletes all of them sorts nothing."""
    if count >= len(active):
        return tuple(pod.name for pod in active)
    by_uid = {pod.rank.uid: pod.name for pod in active}
    ranks = (replace(pod.rank, related_on_node=related.get(pod.rank.node, 0)) for pod in active)
    return tuple(by_uid[rank.uid] for rank in rank_for_deletion(ranks, now)[:count])


def pods_on_nodes(pods: Iterable[ReplicaPod]) -> Counter[str]:
    """Active pods on each node; those without a node are counted under ""."""
    return Counter(pod.rank.node for pod in pods if pod.active)


def status_of(
    pods: Sequence[ReplicaPod], *, min_ready_seconds: int, generation: int, now: float
) -> Document:
    """The counters of status, as the API writes them: what is zero is left out, but `replicas`.

    Args:
        pods: those that the ReplicaSet owns.
        min_ready_seconds: ready so long before a pod counts as available.
        generation: the metadata.generation that was looked at.
        now: in seconds.
    """
    replicas = labeled = ready = available = 0
    for pod in pods:
        if not pod.active:
            continue
        replicas += 1
        labeled += pod.fully_labeled
        if pod.rank.ready:
            ready += 1
            moment = pod.available_from(min_ready_seconds)
            available += moment is not None and moment <= now
    counted = {
        "fullyLabeledReplicas": labeled,
        "readyReplicas": ready,
        "availableReplicas": available,
        "observedGeneration": generation,
    }
    return {"replicas": replicas, **{name: count for name, count in counted.items() if count}}


def next_available(pods: Iterable[ReplicaPod], min_ready_seconds: int, now: float) -> float | None:
    """The earliest second after `now` at which one of the pods becomes available; None: never."""
    if min_ready_seconds == 0:
        return None
    moments = [pod.available_from(min_ready_seconds) for pod in pods if pod.active]
    later = [moment for moment in moments if moment is not None and moment > now]
    return min(later, default=None)


def failure_condition(
    conditions: Sequence[Document], error: str, *, creating: bool, timestamp: str
) -> list[Document]:
    """status.conditions after a pass: ReplicaFailure set once, and gone after a pass without error.

    Args:
        conditions: those of the status so far.
        error: what went wrong; "" if nothing did.
        creating: pods were missing (else there were too many).
        timestamp: RFC 3339, of this pass.
    """
    present = any(c.get("type") == REPLICA_FAILURE for c in conditions)
    if error and not present:
        reason = "FailedCreate" if creating else "FailedDelete"
        return set_condition(conditions, REPLICA_FAILURE, "True", reason, error, now=timestamp)
    if not error and present:
        return [c for c in conditions if c.get("type") != REPLICA_FAILURE]
    return list(conditions)  # it is not refreshed while it is there


def pod_from(
    template: Mapping[str, Any], owner: Mapping[str, Any], owner_ref: Document
) -> Document:
    """The pod that a template makes; the API server finds its name by generateName.

    Args:
        template: spec.template of the owner.
        owner: the ReplicaSet.
        owner_ref: a reference to it, as its controller.
    """
    given = template.get("metadata") or {}
    metadata: Document = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"].get("namespace", ""),
        "ownerReferences": [owner_ref],
    }
    for field in ("labels", "annotations", "finalizers"):
        if given.get(field):
            metadata[field] = given[field]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
