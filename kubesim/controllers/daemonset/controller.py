"""The DaemonSet controller: one pod on each node that should have one.

Which nodes those are is decided by `daemonset_nodes`, what a pass does by `daemonset_plan`; this
file reads, acts and writes the status.

Ours keeps node selection, automatic tolerations, adoption, expectations, slow start, the back-off
of failed pods, both rolling updates, OnDelete, revisions with their limit, status and events. Pods
are pinned to their node by name and bound by the ordinary scheduler. It leaves out: the event about
a selector that selects everything, since the API server refuses it.

Source: pkg/controller/daemon/daemon_controller.go, update.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.client import Decision, RuleStep, Tools
from kubesim.controllers.daemonset.backoff import FailedPodBackOff
from kubesim.controllers.daemonset.history import (
    matching,
    new_revision,
    next_number,
    superfluous,
)
from kubesim.controllers.daemonset.nodes import (
    NodeVerdict,
    daemon_pod,
    summary_of,
    target_of,
    verdict_on,
)
from kubesim.controllers.daemonset.plan import (
    BURST_REPLICAS,
    SOURCE,
    Care,
    DaemonNode,
    DaemonPod,
    DaemonRules,
    RollOut,
    care,
    next_available,
    roll_out,
    rollout_numbers,
    status_of,
)
from kubesim.controllers.shared.podowner import PodOwner, slow_start, error_message
from kubesim.errors import AlreadyExists
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished, node_of, phase_of
from kubesim.objects.wellknown import REVISION_HASH_LABEL

Pods = Mapping[str, Sequence[DaemonPod]]


class DaemonSetController(PodOwner):
    """Reconciles DaemonSets, one key at a time.

    Args:
        watch_latency_seconds: how long news of pods take; more than 0 makes a stale cache visible.
    """

    name = "daemonset-controller"
    kind = "DaemonSet"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._nodes = self.informer("Node", self._node_changed, on_demand=True)
        self._backoff = FailedPodBackOff()
        self._verdicts: dict[tuple[str, str], tuple[Any, Any, Any, NodeVerdict]] = {}

    # -- what wakes it --------------------------------------------------------------------------

    def _owner_changed(self, event: ResourceEvent) -> Iterable[str]:
        if event.type == "DELETED":
            uid = meta.uid_of(event.object)
            self._backoff.forget(f"{uid}/")
            self._verdicts = {k: v for k, v in self._verdicts.items() if k[0] != uid}
        yield from super()._owner_changed(event)

    def _node_changed(self, event: ResourceEvent) -> Iterable[str]:
        node, before = event.object, event.previous
        for daemonset in self.owners.list():
            if event.type == "MODIFIED" and before is not None:
                template = daemonset["spec"]["template"]
                if (
                    _same_place(before, node)
                    or verdict_on(template, before)[:2] == (self._verdict(daemonset, node)[:2])
                ):
                    continue
            yield meta.key_of(daemonset)

    # -- one pass -------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Care for the nodes, go on with the rollout, write the status."""
        daemonset = self.owners.get(key)
        if daemonset is None or meta.is_terminating(daemonset):
            return  # the garbage collector sees to its pods
        revision, old = self._history(daemonset)
        verdicts = [(meta.name_of(n), self._verdict(daemonset, n)) for n in self._nodes.list()]
        nodes = [DaemonNode(name, v.should_run, v.should_continue) for name, v in verdicts]
        documents = {meta.name_of(pod): pod for pod in self.claimed(daemonset)}
        pods = self._by_node(documents.values())
        rules = self._rules(daemonset, revision, sum(node.should_run for node in nodes))
        now = self.clock.now()
        cared, rolled, failures = Care(), RollOut(), list[Exception]()
        waiting = self.unsatisfied_expectations(key)
        if not waiting:
            uid = meta.uid_of(daemonset)
            cared = care(
                nodes, pods, rules, now, lambda node: self._backoff.waiting(f"{uid}/{node}", now)
            )
            self._tell_ended(key, daemonset, cared)
            failures = self._act(key, daemonset, cared, documents, revision)
            rolling = daemonset["spec"]["updateStrategy"]["type"] == "RollingUpdate"
            if rolling and not failures and not self.expectations.unsatisfied(key, now):
                rolled = roll_out(nodes, pods, rules, now)
                failures = self._act(key, daemonset, rolled, documents, revision)
            self._clean_history(daemonset, old, documents.values())
        self._remember(key, daemonset, verdicts, rules, cared, rolled, failures, waiting)
        self._write_status(key, daemonset, nodes, pods, rules, observe=not waiting)
        if failures:
            raise failures[0]

    # -- reading --------------------------------------------------------------------------------

    def _verdict(self, daemonset: Document, node: Document) -> NodeVerdict:
        """What the DaemonSet thinks of a node; worked out once for each change of either."""
        key = meta.uid_of(daemonset), meta.name_of(node)
        facts = daemonset["spec"]["template"], node["metadata"].get("labels"), node.get("spec")
        known = self._verdicts.get(key)
        if known is not None and all(a is b for a, b in zip(known, facts, strict=False)):
            return known[3]
        verdict = verdict_on(facts[0], node)
        self._verdicts[key] = (*facts, verdict)
        return verdict

    def _by_node(self, documents: Iterable[Document]) -> dict[str, list[DaemonPod]]:
        """Pods by the node that they are on or were made for; without those that are all but gone.

        A pod that has ended and is on its way out is only waited for by a finalizer.
        """
        found: dict[str, list[DaemonPod]] = {}
        for pod in documents:
            node = target_of(pod)
            if node and not (is_finished(pod) and meta.is_terminating(pod)):
                found.setdefault(node, []).append(self._facts(pod, node))
        return found

    def _facts(self, pod: Document, node: str) -> DaemonPod:
        ready = get_condition(pod, "Ready") or {}
        since = ready.get("lastTransitionTime")
        return DaemonPod(
            name=meta.name_of(pod),
            node=node,
            bound=bool(node_of(pod)),
            phase=phase_of(pod),
            ready=ready.get("status") == "True",
            ready_since=self.clock.seconds_at(since) if since else None,
            created=self.clock.seconds_at(pod["metadata"]["creationTimestamp"]),
            terminating=meta.is_terminating(pod),
            revision=meta.labels_of(pod).get(REVISION_HASH_LABEL, ""),
        )

    def _rules(self, daemonset: Document, revision: str, desired: int) -> DaemonRules:
        spec = daemonset["spec"]
        rolling = spec["updateStrategy"].get("rollingUpdate") or {}
        given = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        unavailable, surge = rollout_numbers(*given, desired=desired)
        return DaemonRules(revision, spec.get("minReadySeconds") or 0, surge, unavailable)

    # -- versions -------------------------------------------------------------------------------

    def _history(self, daemonset: Document) -> tuple[str, list[Document]]:
        """The hash of the present template, kept as a revision; and the older revisions."""
        kept, _ = self.api.snapshot("ControllerRevision", meta.namespace_of(daemonset))
        mine = [revision for revision in kept if meta.is_owned_by(revision, daemonset)]
        current = matching(daemonset, mine)
        old = [revision for revision in mine if revision is not current]
        number = next_number(old)
        if current is None:
            made = new_revision(daemonset, meta.owner_reference(daemonset), number)
            try:
                current = self.api.create(made)
            except AlreadyExists:
                self._count_collision(daemonset)
                raise
        elif current["revision"] < number:  # its template is used again
            current = self.api.update({**current, "revision": number})
        return str(meta.labels_of(current)[REVISION_HASH_LABEL]), old

    def _count_collision(self, daemonset: Document) -> None:
        """The name of the revision is taken by another template: the next hash will differ."""
        status = daemonset.get("status") or {}
        count = (status.get("collisionCount") or 0) + 1
        self.api.update_status({**daemonset, "status": {**status, "collisionCount": count}})

    def _clean_history(
        self, daemonset: Document, old: Sequence[Document], pods: Iterable[Document]
    ) -> None:
        live = {meta.labels_of(pod).get(REVISION_HASH_LABEL, "") for pod in pods}
        limit = daemonset["spec"]["revisionHistoryLimit"]
        for revision in superfluous(old, limit, live=live):
            name, namespace = meta.name_of(revision), meta.namespace_of(revision)
            self.api.delete("ControllerRevision", name, namespace, uid=meta.uid_of(revision))

    # -- acting ---------------------------------------------------------------------------------

    def _act(
        self,
        key: str,
        daemonset: Document,
        wanted: Care | RollOut,
        documents: Mapping[str, Document],
        revision: str,
    ) -> list[Exception]:
        """Make pods in slow start, then delete; returns what went wrong."""
        owner = meta.owner_reference(daemonset)
        names: Iterator[str] = iter(wanted.create)

        def create() -> Exception | None:
            pod = daemon_pod(daemonset, owner, next(names), revision)
            return self.create_pod(key, daemonset, pod)

        failures = slow_start(min(len(wanted.create), BURST_REPLICAS), create)
        for name in wanted.delete[:BURST_REPLICAS]:
            error = self.delete_pod(key, daemonset, name, meta.uid_of(documents[name]))
            if error is not None:
                failures.append(error)
        return failures

    def _tell_ended(self, key: str, daemonset: Document, cared: Care) -> None:
        """Events about pods that ended, and the back-off of those that failed."""
        namespace, now = meta.namespace_of(daemonset), self.clock.now()
        uid = meta.uid_of(daemonset)
        for pod in cared.waiting:
            self.queue.add_after(key, self._backoff.seconds(f"{uid}/{pod.node}"))
        for pod in cared.failed:
            self._backoff.next(f"{uid}/{pod.node}", now)
            said = f"Found failed daemon pod {namespace}/{pod.name} on node {pod.node}, will try "
            self.recorder.event(daemonset, "Warning", "FailedDaemonPod", f"{said}to kill it")
        for pod in cared.succeeded:
            said = f"Found succeeded daemon pod {namespace}/{pod.name} on node {pod.node}, will "
            self.recorder.event(
                daemonset, "Normal", "SucceededDaemonPod", f"{said}try to delete it"
            )

    # -- telling --------------------------------------------------------------------------------

    def _write_status(
        self,
        key: str,
        daemonset: Document,
        nodes: Sequence[DaemonNode],
        pods: Pods,
        rules: DaemonRules,
        *,
        observe: bool,
    ) -> None:
        old, now = daemonset.get("status") or {}, self.clock.now()
        new = status_of(nodes, pods, rules, now)
        for field in ("collisionCount", "observedGeneration", "conditions"):
            if old.get(field):
                new[field] = old[field]
        if observe:
            new["observedGeneration"] = meta.generation_of(daemonset)
        if new != old:
            self.api.update_status({**daemonset, "status": new})
        moment = next_available(pods, rules.min_ready_seconds, now)
        if moment is not None:
            self.queue.add_after(key, moment - now)

    def _remember(
        self,
        key: str,
        daemonset: Document,
        verdicts: Sequence[tuple[str, NodeVerdict]],
        rules: DaemonRules,
        cared: Care,
        rolled: RollOut,
        failures: Sequence[Exception],
        waiting: int,
    ) -> None:
        """A decision record, unless it would say what the last one said."""
        passed_over = summary_of(verdicts)
        did = [f"create a pod on {name}" for name in (*cared.create, *rolled.create)]
        did += [f"delete {name}" for name in (*cared.delete, *rolled.delete)]
        eligible = sum(verdict.should_run for _, verdict in verdicts)
        reason = rolled.reason or f"{eligible} of {len(verdicts)} nodes should run a pod"
        if waiting:
            reason = f"waiting for {waiting} watch events"
        elif cared.waiting:
            names = ", ".join(pod.node for pod in cared.waiting)
            reason = f"failed pods stay until their back-off is over: {names}"
        said = f"{reason}; {passed_over}"
        if not did and not failures and self._last_reason.get(key) == said:
            return
        self._last_reason[key] = said
        steps = [
            RuleStep("nodes", {"nodes": len(verdicts), "eligible": eligible}, passed_over or "all")
        ]
        if rolled.reason:
            numbers = {"max_unavailable": rules.unavailable, "max_surge": rules.surge}
            steps.append(RuleStep("rolling update", numbers, rolled.reason, SOURCE))
        if failures:
            steps.append(RuleStep("slow start", {}, f"stopped: {error_message(failures[0])}", SOURCE))
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(daemonset),
                component=self.name,
                object=meta.reference("daemonset", key),
                verdict=", ".join(did) or f"nothing to do: {reason}",
                steps=tuple(steps),
                binding=error_message(failures[0]) if failures else reason,
                would_change_if="a node comes, goes, or changes labels or taints; a pod ends, "
                "is deleted or becomes available; or the template changes",
                data={
                    "create": [*cared.create, *rolled.create],
                    "delete": [*cared.delete, *rolled.delete],
                },
            )
        )


def _same_place(one: Document, other: Document) -> bool:
    """Two states of a node between which a DaemonSet sees no difference."""
    taints = [(node.get("spec") or {}).get("taints") for node in (one, other)]
    return taints[0] == taints[1] and meta.labels_of(one) == meta.labels_of(other)
