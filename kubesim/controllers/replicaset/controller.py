"""The ReplicaSet controller: keeps a number of equal pods alive.

How many to make, and which to delete, is decided by `replicaset_plan`; this file reads, claims
pods, acts and writes the status. It is what a Deployment is made of, and knows nothing of it.

Ours keeps adoption and release, expectations, slow start, the deletion ranking, minReadySeconds,
status, conditions and events to the letter. It leaves out: ReplicationController (the older kind
that shares this code upstream), `terminatingReplicas` (behind a gate until 1.35).

Source: pkg/controller/replicaset/replica_set.go, replica_set_utils.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.client import Decision, RuleStep, Tools
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
from kubesim.controllers.shared.podowner import PodOwner, slow_start, error_message
from kubesim.controllers.shared.ranking import DELETION_COST, parse_deletion_cost, rank_of
from kubesim.objects import meta
from kubesim.objects.frozen import Document


class ReplicaSetController(PodOwner):
    """Reconciles ReplicaSets, one key at a time.

    Args:
        watch_latency_seconds: how long news of pods take; more than 0 makes a stale cache visible.
    """

    name = "replicaset-controller"
    kind = "ReplicaSet"
    pods_on_demand = False  # nearly every cluster has one; the order of its news stays as recorded

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._facts: dict[str, tuple[Document, Any, ReplicaPod]] = {}  # by uid of the pod

    def owner_indexers(self) -> dict[str, Indexer]:
        """Also by the Deployment, whose pods spread over nodes together."""
        return {**super().owner_indexers(), "owner": _controller_uid}

    def about(self, key: str) -> None:
        """No Event about a failing key: FailedCreate and FailedDelete have told what is wrong."""

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        if event.type == "DELETED":
            self._facts.pop(meta.uid_of(event.object), None)
        return super()._pod_changed(event)

    # -- one pass -------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Claim pods, make or delete some, write the status."""
        replicaset = self.owners.get(key)
        if replicaset is None:
            return  # the garbage collector sees to its pods
        pods = self._pods_of(replicaset)
        decided, failures = ReplicaPlan(), []
        now = self.clock.now()
        if waiting := self.unsatisfied_expectations(key):
            decided = ReplicaPlan(reason=f"waiting for {waiting} watch events")
        elif not meta.is_terminating(replicaset):
            wanted = replicaset["spec"]["replicas"]
            shrinks = sum(pod.active for pod in pods) > wanted  # else nothing is ranked
            related = self._related(replicaset) if shrinks else {}
            decided = plan(wanted, pods, now, related)
            failures = self._act(key, replicaset, decided, pods)
        self._remember(key, replicaset, pods, decided, failures)
        self._write_status(key, replicaset, pods, failures)
        if failures:
            raise failures[0]

    def _act(
        self, key: str, replicaset: Document, decided: ReplicaPlan, pods: Sequence[ReplicaPod]
    ) -> list[Exception]:
        if decided.create:
            pod = pod_from(
                replicaset["spec"]["template"], replicaset, meta.owner_reference(replicaset)
            )
            return slow_start(decided.create, lambda: self.create_pod(key, replicaset, pod))
        uids = {pod.name: pod.rank.uid for pod in pods} if decided.delete else {}
        tried = (self.delete_pod(key, replicaset, name, uids[name]) for name in decided.delete)
        return [error for error in tried if error is not None]

    # -- reading --------------------------------------------------------------------------------

    def _pods_of(self, replicaset: Document) -> list[ReplicaPod]:
        """The facts of the pods that belong to a ReplicaSet, after adoption and release."""
        labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels")
        found: list[ReplicaPod] = []
        unknown: list[Document] = []
        for pod in self.pods.by_index("owner", meta.uid_of(replicaset)):
            known = self._facts.get(pod["metadata"]["uid"])
            if known is not None and known[0] is pod and known[1] is labels:
                found.append(known[2])
            else:
                unknown.append(pod)
        unknown += self.pods.by_index("owner", meta.namespace_of(replicaset))
        for pod in claim(self.api, replicaset, self.selector(replicaset), unknown):
            facts = facts_of(pod, labels or {}, self.clock.seconds_at)
            self._facts[meta.uid_of(pod)] = (pod, labels, facts)
            found.append(facts)
        return found

    def _related(self, replicaset: Document) -> dict[str, int]:
        """Active pods on each node, of all ReplicaSets of the same Deployment."""
        controller = meta.controller_of(replicaset)
        if controller is None or replicaset["spec"]["replicas"] == 0:
            return {}
        pods: list[ReplicaPod] = []
        for other in self.owners.by_index("owner", controller["uid"]):
            for pod in self.pods.by_index("owner", meta.uid_of(other)):
                known = self._facts.get(meta.uid_of(pod))
                if known is not None:
                    pods.append(known[2])
        return pods_on_nodes(pods)

    # -- telling --------------------------------------------------------------------------------

    def _write_status(
        self,
        key: str,
        replicaset: Document,
        pods: Sequence[ReplicaPod],
        failures: Sequence[Exception],
    ) -> None:
        old, spec, now = replicaset.get("status") or {}, replicaset["spec"], self.clock.now()
        ready_for = spec.get("minReadySeconds") or 0
        generation = meta.generation_of(replicaset)
        new = status_of(pods, min_ready_seconds=ready_for, generation=generation, now=now)
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
        moment = next_available(pods, ready_for, now)
        if moment is not None:
            self.queue.add_after(key, moment - now)

    def _remember(
        self,
        key: str,
        replicaset: Document,
        pods: Sequence[ReplicaPod],
        decided: ReplicaPlan,
        failures: Sequence[Exception],
    ) -> None:
        """A decision record, unless it would say what the last one said."""
        idle = not (decided.create or decided.delete)
        if idle and self._last_reason.get(key) == decided.reason:
            return
        self._last_reason[key] = decided.reason
        active = sum(pod.active for pod in pods)
        inputs = {
            "replicas": replicaset["spec"]["replicas"],
            "active": active,
            "terminating": sum(pod.terminating for pod in pods),
        }
        verdict = f"nothing to do: {decided.reason}"
        if decided.create:
            verdict = f"create {decided.create} pods"
        elif decided.delete:
            verdict = f"delete {', '.join(decided.delete)}"
        steps = [RuleStep("compare", inputs, decided.reason, SOURCE)]
        if failures:
            steps.append(RuleStep("slow start", {}, f"stopped: {error_message(failures[0])}", SOURCE))
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(replicaset),
                component=self.name,
                object=meta.reference("replicaset", meta.key_of(replicaset)),
                verdict=verdict,
                steps=tuple(steps),
                binding=error_message(failures[0]) if failures else decided.reason,
                would_change_if="spec.replicas changes, or a pod ends, is deleted or is released",
                data={"create": decided.create, "delete": list(decided.delete)},
            )
        )


def facts_of(
    pod: Document, template_labels: Document, seconds_at: Callable[[str], float]
) -> ReplicaPod:
    """What the plan looks at, from a pod's document.

    Args:
        pod: the document.
        template_labels: labels of the template, for fullyLabeledReplicas.
        seconds_at: seconds of an RFC 3339 text.
    """
    metadata, labels = pod["metadata"], meta.labels_of(pod)
    cost = parse_deletion_cost(meta.annotations_of(pod).get(DELETION_COST))
    rank = rank_of(pod, seconds_at, cost)
    complete = all(labels.get(key) == value for key, value in template_labels.items())
    return ReplicaPod(metadata["name"], rank, "deletionTimestamp" in metadata, complete)


def _controller_uid(replicaset: Document) -> Iterable[str]:
    controller = meta.controller_of(replicaset)
    return [controller["uid"]] if controller is not None else []
