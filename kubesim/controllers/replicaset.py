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
from kubesim.client import Controller, Decision, Step
from kubesim.controllers.ranking import (
    DELETION_COST,
    RankedPod,
    parse_deletion_cost,
    slow_start_batches,
)
from kubesim.controllers.replicaset_claims import claim
from kubesim.controllers.replicaset_expectations import Expectations
from kubesim.controllers.replicaset_plan import (
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
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import node_of, phase_of
from kubesim.objects.selectors import Selector, selector_from

RETRY_MARGIN_SECONDS = 0.001  # after the moment at which expectations are overdue


class ReplicaSetController(Controller):
    """Reconciles ReplicaSets, one key at a time.

    Args:
        watch_latency_seconds: how long news of pods take; more than 0 makes a stale cache visible.
    """

    name = "replicaset-controller"

    def __init__(self, *args: Any, watch_latency_seconds: float = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sets = self.informer(
            "ReplicaSet",
            self._set_changed,
            indexers={"owner": _controller_uid, "namespace": lambda rs: [meta.namespace_of(rs)]},
        )
        self._pods = self.informer(
            "Pod",
            self._pod_changed,
            indexers={"owner": _controller_uid_or_orphan},
            latency_seconds=watch_latency_seconds,
        )
        self.expectations = Expectations()
        self._facts: dict[str, tuple[Document, Any, ReplicaPod]] = {}  # by uid of the pod
        self._selectors: dict[str, Selector] = {}  # by uid of the ReplicaSet: it never changes
        self._last_reason: dict[str, str] = {}

    # -- what wakes it --------------------------------------------------------------------------

    def _set_changed(self, event: ResourceEvent) -> Iterable[str]:
        key = meta.key_of(event.object)
        if event.type == "DELETED":
            self.expectations.forget(key)
            self._selectors.pop(meta.uid_of(event.object), None)
        yield key

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        pod, uid = event.object, meta.uid_of(event.object)
        if event.type == "DELETED":
            self.expectations.gone(uid)
            self._facts.pop(uid, None)
        elif meta.is_terminating(pod):
            self.expectations.gone(uid)
        else:
            self.expectations.seen(uid)
        controller = meta.controller_of(pod)
        if event.previous is not None:
            before = meta.controller_of(event.previous)
            if before is not None and before != controller:
                yield from self._key_of_owner(pod, before)
        if controller is not None:
            yield from self._key_of_owner(pod, controller)
        elif event.type == "ADDED" or (event.type == "MODIFIED" and _freed(event)):
            yield from self._who_might_adopt(pod)

    def _key_of_owner(self, pod: Document, controller: Document) -> Iterable[str]:
        if controller["kind"] == "ReplicaSet":
            yield f"{meta.namespace_of(pod)}/{controller['name']}"

    def _who_might_adopt(self, pod: Document) -> Iterable[str]:
        labels = meta.labels_of(pod)
        for replicaset in self._sets.by_index("namespace", meta.namespace_of(pod)):
            if self._selector(replicaset).matches(labels):
                yield meta.key_of(replicaset)

    # -- one pass -------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Claim pods, make or delete some, write the status."""
        replicaset = self._sets.get(key)
        if replicaset is None:
            self._last_reason.pop(key, None)
            return  # the garbage collector sees to its pods
        pods = self._pods_of(replicaset)
        decided, failures = ReplicaPlan(), []
        now = self.clock.now()
        if waiting := self.expectations.waiting(key, now):
            self.counts["waited"] += 1
            overdue = self.expectations.expiry(key) + RETRY_MARGIN_SECONDS
            self.queue.add_after(key, overdue - now)
            decided = ReplicaPlan(reason=f"news of {waiting} pods are on their way")
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
            return in_batches(decided.create, lambda: self._create(key, replicaset, pod))
        uids = {pod.name: pod.rank.uid for pod in pods} if decided.delete else {}
        tried = (self._delete(key, replicaset, name, uids[name]) for name in decided.delete)
        return [error for error in tried if error is not None]

    def _create(self, key: str, replicaset: Document, pod: Document) -> Exception | None:
        try:
            made = self.api.create(pod)
        except Exception as error:  # noqa: BLE001 - told in an Event and in the condition
            if isinstance(error, StatusError) and any(
                cause.reason == "NamespaceTerminating" for cause in error.causes
            ):
                return None  # nothing that anybody could mend
            self.counts["failed"] += 1
            said = f"Error creating: {words_of(error)}"
            self.recorder.event(replicaset, "Warning", "FailedCreate", said)
            return error
        self.counts["created"] += 1
        self.expectations.made(key, meta.uid_of(made), self.clock.now())
        said = f"Created pod: {meta.name_of(made)}"
        self.recorder.event(replicaset, "Normal", "SuccessfulCreate", said)
        return None

    def _delete(self, key: str, replicaset: Document, name: str, uid: str) -> Exception | None:
        try:
            self.api.delete("Pod", name, meta.namespace_of(replicaset), uid=uid)
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001 - told in an Event and in the condition
            self.counts["failed"] += 1
            said = f"Error deleting: {words_of(error)}"
            self.recorder.event(replicaset, "Warning", "FailedDelete", said)
            return error
        self.counts["deleted"] += 1
        self.expectations.deleted(key, uid, self.clock.now())
        self.recorder.event(replicaset, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        return None

    # -- reading --------------------------------------------------------------------------------

    def _selector(self, replicaset: Document) -> Selector:
        uid = meta.uid_of(replicaset)
        selector = self._selectors.get(uid)
        if selector is None:
            selector = selector_from(replicaset["spec"].get("selector"))
            self._selectors[uid] = selector
        return selector

    def _pods_of(self, replicaset: Document) -> list[ReplicaPod]:
        """The facts of the pods that belong to a ReplicaSet, after adoption and release."""
        labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels")
        found: list[ReplicaPod] = []
        unknown: list[Document] = []
        for pod in self._pods.by_index("owner", meta.uid_of(replicaset)):
            known = self._facts.get(pod["metadata"]["uid"])
            if known is not None and known[0] is pod and known[1] is labels:
                found.append(known[2])
            else:
                unknown.append(pod)
        unknown += self._pods.by_index("owner", meta.namespace_of(replicaset))
        for pod in claim(self.api, replicaset, self._selector(replicaset), unknown):
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
        for other in self._sets.by_index("owner", controller["uid"]):
            for pod in self._pods.by_index("owner", meta.uid_of(other)):
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
            words_of(failures[0]) if failures else "",
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
        name, namespace = meta.name_of(replicaset), meta.namespace_of(replicaset)
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
        steps = [Step("compare", inputs, decided.reason, SOURCE)]
        if failures:
            steps.append(Step("slow start", {}, f"stopped: {words_of(failures[0])}", SOURCE))
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(replicaset),
                component=self.name,
                object=f"replicaset/{name if namespace == 'default' else f'{namespace}/{name}'}",
                verdict=verdict,
                steps=tuple(steps),
                binding=words_of(failures[0]) if failures else decided.reason,
                would_change_if="spec.replicas changes, or a pod ends, is deleted or is released",
                data={"create": decided.create, "delete": list(decided.delete)},
            )
        )


def in_batches(count: int, create: Callable[[], Exception | None]) -> list[Exception]:
    """Call `create` in batches of 1, 2, 4 ...; after a batch with a failure the rest is skipped.

    Args:
        count: how many are wanted.
        create: makes one; returns what went wrong, or None.
    """
    for size in slow_start_batches(count):
        tried = [create() for _ in range(size)]
        failures = [error for error in tried if error is not None]
        if failures:
            return failures
    return []


def facts_of(
    pod: Document, template_labels: Document, seconds_at: Callable[[str], float]
) -> ReplicaPod:
    """What the plan looks at, from a pod's document.

    Args:
        pod: the document.
        template_labels: labels of the template, for fullyLabeledReplicas.
        seconds_at: seconds of an RFC 3339 text.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    ready = get_condition(pod, "Ready") or {}
    since = ready.get("lastTransitionTime")
    labels = meta.labels_of(pod)
    rank = RankedPod(
        uid=metadata["uid"],
        node=node_of(pod),
        phase=phase_of(pod),
        ready=ready.get("status") == "True",
        ready_since=seconds_at(since) if since else None,
        created=seconds_at(metadata["creationTimestamp"]),
        restarts=max(
            (c.get("restartCount") or 0 for c in status.get("containerStatuses") or ()), default=0
        ),
        deletion_cost=parse_deletion_cost(meta.annotations_of(pod).get(DELETION_COST)),
    )
    complete = all(labels.get(key) == value for key, value in template_labels.items())
    return ReplicaPod(metadata["name"], rank, "deletionTimestamp" in metadata, complete)


def words_of(error: BaseException) -> str:
    """An error as the API server words it, without our hints."""
    return error.message if isinstance(error, StatusError) else str(error)


def _freed(event: ResourceEvent) -> bool:
    """An orphan that may have become adoptable: its labels or its controller changed."""
    before = event.previous
    return before is None or (
        meta.labels_of(before) != meta.labels_of(event.object)
        or meta.controller_of(before) is not None
    )


def _controller_uid(obj: Document) -> Iterable[str]:
    controller = meta.controller_of(obj)
    return [controller["uid"]] if controller is not None else []


def _controller_uid_or_orphan(pod: Document) -> Iterable[str]:
    """Orphans are found under their namespace."""
    return _controller_uid(pod) or [meta.namespace_of(pod)]
