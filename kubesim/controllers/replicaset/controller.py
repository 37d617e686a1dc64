"""The ReplicaSet controller: keeps the desired number of equal pods.

`plan` decides how many pods to create and which to delete; the controller claims pods, executes the
plan and writes the status. Deployments are built on ReplicaSets; this controller ignores them.

Ours keeps adoption and release, expectations, slow start, the deletion ranking, minReadySeconds,
status, conditions and events to the letter. `ReplicationManager` runs the same rules for
ReplicationControllers, the older kind. Ours leaves out `terminatingReplicas` (behind a gate until
1.35).

Source: pkg/controller/replicaset/replica_set.go, replica_set_utils.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import RuleStep, Tools
from kubesim.client.informer import Indexer
from kubesim.controllers.replicaset.plan import (
    SOURCE,
    PodCounts,
    ReplicaPlan,
    ReplicaPod,
    failure_condition,
    next_available,
    plan,
    pod_from,
    pods_on_nodes,
    status_of,
)
from kubesim.controllers.replicaset.podset import PodSet
from kubesim.controllers.shared.controllerrefs import claim
from kubesim.controllers.shared.podowner import PodOwner, error_message, slow_start
from kubesim.controllers.shared.ranking import DELETION_COST, parse_deletion_cost, rank_of
from kubesim.controllers.shared.refusals import way_out_of
from kubesim.objects import meta
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, ReplicaSetDict


class ReplicaSetController(PodOwner["ReplicaSetDict"]):
    """Reconciles ReplicaSets, one key at a time.

    Args:
        watch_latency_seconds: delay of the watch events of pods; more than 0 lets tests and
            lessons observe a stale cache.
        options: of the base class.
    """

    name = "replicaset-controller"
    kind = "ReplicaSet"
    pods_on_demand = False  # nearly every cluster has a ReplicaSet

    def __init__(
        self, tools: Tools, *, watch_latency_seconds: float = 0.0, **options: float
    ) -> None:
        super().__init__(tools, watch_latency_seconds=watch_latency_seconds, **options)
        self._pod_sets: dict[str, PodSet] = {}  # by uid of the ReplicaSet

    def owner_indexers(self) -> dict[str, Indexer[ReplicaSetDict]]:
        """Index ReplicaSets by namespace and by their Deployment's uid."""
        return {**super().owner_indexers(), "owner": _controller_uid}

    def about(self, key: str) -> None:
        """Record no Event about a failing key: FailedCreate and FailedDelete report the error."""

    def _owner_changed(self, event: ResourceEvent[ReplicaSetDict]) -> Iterable[str]:
        if event.type == "DELETED":
            self._pod_sets.pop(meta.uid_of(event.object), None)
        return super()._owner_changed(event)

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        for pod in (event.object, event.previous):
            controller = meta.controller_of(pod) if pod is not None else None
            pods = self._pod_sets.get(controller["uid"]) if controller is not None else None
            if pods is not None:
                pods.pod_changed(event.object)
        return super()._pod_changed(event)

    # -- reconcile ------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Claim pods, create or delete some, and write the status."""
        replicaset = self.owners.get(key)
        if replicaset is None:
            return  # the garbage collector deletes its pods
        pods = self._pods_of(replicaset)
        decision, failures = ReplicaPlan(), []
        now = self.clock.now()
        if waiting := self.unsatisfied_expectations(key):
            decision = ReplicaPlan(reason=f"waiting for {count_of(waiting, 'watch event')}")
        elif not meta.is_terminating(replicaset):
            desired = replicaset["spec"]["replicas"]
            surplus = pods.counts.active > desired  # only then pods are ranked
            related = self._related_pods(replicaset) if surplus else {}
            facts = pods.facts() if surplus else []
            decision = plan(desired, facts, now, related, pods.counts)
            failures = self._manage_replicas(key, replicaset, decision, facts)
        self._record(replicaset, pods.counts, decision, failures)
        self._write_status(key, replicaset, pods, failures)
        if failures:
            raise failures[0]

    def _manage_replicas(
        self, key: str, replicaset: ReplicaSetDict, plan: ReplicaPlan, pods: Sequence[ReplicaPod]
    ) -> list[Exception]:
        """Create or delete pods; return the errors."""
        if plan.create:
            pod = pod_from(
                replicaset["spec"]["template"], replicaset, meta.owner_reference(replicaset)
            )
            return slow_start(plan.create, lambda: self.create_pod(key, replicaset, pod))
        uids = {pod.name: pod.rank.uid for pod in pods} if plan.delete else {}
        results = (self.delete_pod(key, replicaset, name, uids[name]) for name in plan.delete)
        return [error for error in results if error is not None]

    # -- reading --------------------------------------------------------------------------------

    def _pods_of(self, replicaset: ReplicaSetDict) -> PodSet:
        """Adopt and release pods; return those that the ReplicaSet controls."""
        labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels")
        uid = meta.uid_of(replicaset)
        pods = self._pod_sets.get(uid)
        if pods is None or pods.labels is not labels:
            pods = self._pod_sets[uid] = PodSet(labels)
            for pod in self.pods.by_index("owner", uid):
                pods.pod_changed(pod)
        candidates = [pod for pod in pods.take_changed() if self.pods.get(meta.key_of(pod)) is pod]
        # A pod that was just released is among the changed ones, and an orphan: it is claimed once.
        changed = set(map(meta.uid_of, candidates))
        orphans = self.pods.by_index("owner", meta.namespace_of(replicaset))
        candidates += [pod for pod in orphans if meta.uid_of(pod) not in changed]
        try:
            claimed = claim(self.api, replicaset, self.selector(replicaset), candidates)
        except Exception:
            del self._pod_sets[uid]  # what was taken is not lost: the retry reads all pods again
            raise
        for pod in claimed:
            pods.put(meta.uid_of(pod), facts_of(pod, labels or {}, self.clock.seconds_at))
        return pods

    def _related_pods(self, replicaset: ReplicaSetDict) -> dict[str, int]:
        """Count the active pods on each node, of all ReplicaSets of the same Deployment."""
        controller = meta.controller_of(replicaset)
        if controller is None or replicaset["spec"]["replicas"] == 0:
            return {}
        pods: list[ReplicaPod] = []
        for other in self.owners.by_index("owner", controller["uid"]):
            related = self._pod_sets.get(meta.uid_of(other))
            if related is not None:
                pods += related.facts()
        return pods_on_nodes(pods)

    # -- status and decision records ------------------------------------------------------------

    def _write_status(
        self,
        key: str,
        replicaset: ReplicaSetDict,
        pods: PodSet,
        failures: Sequence[Exception],
    ) -> None:
        old, spec, now = replicaset.get("status") or {}, replicaset["spec"], self.clock.now()
        min_ready_seconds = spec.get("minReadySeconds") or 0
        generation = meta.generation_of(replicaset)
        facts = pods.facts() if min_ready_seconds else []
        new = status_of(
            facts,
            min_ready_seconds=min_ready_seconds,
            generation=generation,
            now=now,
            counts=pods.counts,
        )
        conditions = failure_condition(
            old.get("conditions") or (),
            error_message(failures[0]) if failures else "",
            creating=new["replicas"] < spec["replicas"],
            timestamp=self.clock.timestamp(),
        )
        if conditions:
            new["conditions"] = conditions
        if new != old:
            self.api.update_status({**replicaset, "status": new})
        available_at = next_available(facts, min_ready_seconds, now)
        if available_at is not None:
            self.queue.add_after(key, available_at - now)

    def _record(
        self,
        replicaset: ReplicaSetDict,
        counts: PodCounts,
        plan: ReplicaPlan,
        failures: Sequence[Exception],
    ) -> None:
        acted = bool(plan.create or plan.delete)
        inputs = {
            "replicas": replicaset["spec"]["replicas"],
            "active": counts.active,
            "terminating": counts.terminating,
        }
        signature = (plan.reason, *inputs.values())
        if not acted and self.last_signature(replicaset) == signature:
            return
        verdict = f"nothing to do: {plan.reason}"
        if plan.create:
            verdict = f"create {count_of(plan.create, 'pod')}"
        elif plan.delete:
            verdict = f"delete {', '.join(plan.delete)}"
        steps = [RuleStep("compare", inputs, plan.reason, SOURCE)]
        error = error_message(failures[0]) if failures else ""
        if error:
            steps.append(RuleStep("slow start", {}, f"stopped: {error}", SOURCE))
        self.decide(
            replicaset,
            verdict,
            steps=steps,
            binding=error or plan.reason,
            would_change_if=way_out_of(error)
            if error
            else "spec.replicas changes, or a pod ends, is deleted or is released",
            data={"create": plan.create, "delete": list(plan.delete)},
            signature=signature,
            acted=acted,
        )


def facts_of(
    pod: PodDict, template_labels: Mapping[str, str], seconds_at: Callable[[str], float]
) -> ReplicaPod:
    """Return the facts of a pod that the plan uses.

    Args:
        pod: the document.
        template_labels: labels of the template, for fullyLabeledReplicas.
        seconds_at: converts an RFC 3339 timestamp to seconds.
    """
    metadata, labels = pod["metadata"], meta.labels_of(pod)
    cost = parse_deletion_cost(meta.annotations_of(pod).get(DELETION_COST))
    rank = rank_of(pod, seconds_at, cost)
    complete = all(labels.get(key) == value for key, value in template_labels.items())
    return ReplicaPod(metadata["name"], rank, "deletionTimestamp" in metadata, complete)


def _controller_uid(replicaset: ReplicaSetDict) -> Iterable[str]:
    controller = meta.controller_of(replicaset)
    return [controller["uid"]] if controller is not None else []
