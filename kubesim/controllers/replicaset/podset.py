"""The pods of one ReplicaSet, with counts that are kept by differences.

Each pod that starts changes its status several times, and each change is a sync of its ReplicaSet.
Counting all pods in each of these syncs costs the square of their number; here a sync looks at the
pods that changed since the last one.

Source: pkg/controller/replicaset/replica_set_utils.go (calculateStatus), for what is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesim.controllers.replicaset.plan import NO_PODS, PodCounts, ReplicaPod
from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class PodSet:
    """The facts of the pods that one ReplicaSet controls.

    Args:
        labels: of the template; facts are made anew if it has others.

    Attributes:
        counts: of the pods.
    """

    def __init__(self, labels: Mapping[str, str] | None) -> None:
        self.labels = labels
        self.counts: PodCounts = NO_PODS
        self._facts: dict[str, ReplicaPod] = {}  # by uid
        self._changed: dict[str, PodDict] = {}  # by uid; pods to look at

    def facts(self) -> list[ReplicaPod]:
        """Return the facts of all pods."""
        return list(self._facts.values())

    def pod_changed(self, pod: PodDict) -> None:
        """Note that a pod was created, changed, adopted, released or deleted."""
        self._changed[meta.uid_of(pod)] = pod

    def take_changed(self) -> list[PodDict]:
        """Return the pods that changed since the last call; they are no longer counted."""
        changed, self._changed = self._changed, {}
        for uid in changed:
            fact = self._facts.pop(uid, None)
            if fact is not None:
                self.counts = self.counts.without(fact)
        return list(changed.values())

    def put(self, uid: str, fact: ReplicaPod) -> None:
        """Add the facts of a pod that `take_changed` returned, or of an adopted one."""
        before = self._facts.get(uid)
        if before is not None:
            self.counts = self.counts.without(before)
        self._facts[uid] = fact
        self.counts = self.counts.plus(fact)
