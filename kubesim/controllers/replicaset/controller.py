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
    ReplicaPlan,
    ReplicaPod,
    failure_condition,
    next_available,
    plan,
    pod_from,
    pods_on_nodes,
    status_of,
)
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
        self._facts: dict[str, tuple[PodDict, object, ReplicaPod]] = {}  # by uid of the pod

    def owner_indexers(self) -> dict[str, Indexer[ReplicaSetDict]]:
        """Index ReplicaSets by namespace and by their Deployment's uid."""
        return {**super().owner_indexers(), "owner": _controller_uid}

    def about(self, key: str) -> None:
        """Record no Event about a failing key: FailedCreate and FailedDelete report the error."""

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        if event.type == "DELETED":
            self._facts.pop(meta.uid_of(event.object), None)
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
            surplus = sum(pod.active for pod in pods) > desired  # only then pods are ranked
            related = self._related_pods(replicaset) if surplus else {}
            decision = plan(desired, pods, now, related)
            failures = self._manage_replicas(key, replicaset, decision, pods)
        self._record(replicaset, pods, decision, failures)
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

    def _pods_of(self, replicaset: ReplicaSetDict) -> list[ReplicaPod]:
        """Adopt and release pods; return the facts of those that the ReplicaSet controls."""
        labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels")
        facts: list[ReplicaPod] = []
        changed: list[PodDict] = []
        for pod in self.pods.by_index("owner", meta.uid_of(replicaset)):
            cached = self._facts.get(pod["metadata"]["uid"])
            if cached is not None and cached[0] is pod and cached[1] is labels:
                facts.append(cached[2])
            else:
                changed.append(pod)
        changed += self.pods.by_index("owner", meta.namespace_of(replicaset))
        for pod in claim(self.api, replicaset, self.selector(replicaset), changed):
            fact = facts_of(pod, labels or {}, self.clock.seconds_at)
            self._facts[meta.uid_of(pod)] = (pod, labels, fact)
            facts.append(fact)
        return facts

    def _related_pods(self, replicaset: ReplicaSetDict) -> dict[str, int]:
        """Count the active pods on each node, of all ReplicaSets of the same Deployment."""
        controller = meta.controller_of(replicaset)
        if controller is None or replicaset["spec"]["replicas"] == 0:
            return {}
        pods: list[ReplicaPod] = []
        for other in self.owners.by_index("owner", controller["uid"]):
            for pod in self.pods.by_index("owner", meta.uid_of(other)):
                cached = self._facts.get(meta.uid_of(pod))
                if cached is not None:
                    pods.append(cached[2])
        return pods_on_nodes(pods)

    # -- status and decision records ------------------------------------------------------------

    def _write_status(
        self,
        key: str,
        replicaset: ReplicaSetDict,
        pods: Sequence[ReplicaPod],
        failures: Sequence[Exception],
    ) -> None:
        old, spec, now = replicaset.get("status") or {}, replicaset["spec"], self.clock.now()
        min_ready_seconds = spec.get("minReadySeconds") or 0
        generation = meta.generation_of(replicaset)
        new = status_of(pods, min_ready_seconds=min_ready_seconds, generation=generation, now=now)
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
        available_at = next_available(pods, min_ready_seconds, now)
        if available_at is not None:
            self.queue.add_after(key, available_at - now)

    def _record(
        self,
        replicaset: ReplicaSetDict,
        pods: Sequence[ReplicaPod],
        plan: ReplicaPlan,
        failures: Sequence[Exception],
    ) -> None:
        acted = bool(plan.create or plan.delete)
        inputs = {
            "replicas": replicaset["spec"]["replicas"],
            "active": sum(pod.active for pod in pods),
            "terminating": sum(pod.terminating for pod in pods),
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
