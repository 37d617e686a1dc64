"""The DaemonSet controller: runs one pod on each eligible node.

`nodes.verdict_on` decides which nodes are eligible, `plan` what one sync does; the controller reads
objects, executes the plan and writes the status.

Ours keeps node selection, automatic tolerations, adoption, expectations, slow start, the back-off
of failed pods, both rolling updates, OnDelete, revision history with its limit, status and events.
Pods get a node affinity on the node's name and are bound by the default scheduler. It leaves out
the event about a selector that selects everything, since the API server refuses such a DaemonSet.

Source: pkg/controller/daemon/daemon_controller.go, update.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import RuleStep, Tools
from kubesim.controllers.daemonset.backoff import FailedPodBackOff
from kubesim.controllers.daemonset.history import (
    beyond_history_limit,
    matching,
    new_revision,
    next_number,
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
    DaemonNode,
    DaemonPod,
    DaemonRules,
    NodePodsPlan,
    RollingUpdatePlan,
    next_available,
    plan_node_pods,
    roll_out,
    rollout_numbers,
    status_of,
)
from kubesim.controllers.shared.podowner import PodOwner, error_message, slow_start
from kubesim.controllers.shared.refusals import way_out_of
from kubesim.errors import AlreadyExists
from kubesim.objects import meta
from kubesim.objects.kindnames import CONTROLLER_REVISION, NODE
from kubesim.objects.meta import get_condition
from kubesim.objects.pods import is_finished, node_of, phase_of
from kubesim.objects.wellknown import REVISION_HASH_LABEL
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import ControllerRevisionDict, DaemonSetDict, NodeDict, PodDict

PodsByNode = Mapping[str, Sequence[DaemonPod]]


class DaemonSetController(PodOwner["DaemonSetDict"]):
    """Reconciles DaemonSets, one key at a time.

    Args:
        tools: of the cluster.
        options: ``watch_latency_seconds``, the delay of the watch events of pods; more than 0
            lets tests and lessons observe a stale cache.
    """

    name = "daemonset-controller"
    kind = "DaemonSet"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._nodes = self.informer(NODE, self._node_changed, on_demand=True)
        self._backoff = FailedPodBackOff()
        self._verdicts: dict[tuple[str, str], tuple[object, object, object, NodeVerdict]] = {}

    # -- watch events ---------------------------------------------------------------------------

    def _owner_changed(self, event: ResourceEvent[DaemonSetDict]) -> Iterable[str]:
        if event.type == "DELETED":
            uid = meta.uid_of(event.object)
            self._backoff.forget(f"{uid}/")
            self._verdicts = {k: v for k, v in self._verdicts.items() if k[0] != uid}
        yield from super()._owner_changed(event)

    def _node_changed(self, event: ResourceEvent[NodeDict]) -> Iterable[str]:
        node, before = event.object, event.previous
        for daemonset in self.owners.list():
            if event.type == "MODIFIED" and before is not None:
                template = daemonset["spec"]["template"]
                if (
                    _equal_for_daemons(before, node)
                    or verdict_on(template, before)[:2] == (self._verdict(daemonset, node)[:2])
                ):
                    continue
            yield meta.key_of(daemonset)

    # -- reconcile ------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Create and delete pods, continue the rolling update, and write the status."""
        daemonset = self.owners.get(key)
        if daemonset is None or meta.is_terminating(daemonset):
            return  # the garbage collector deletes its pods
        revision, old = self._sync_history(daemonset)
        verdicts = [(meta.name_of(n), self._verdict(daemonset, n)) for n in self._nodes.list()]
        nodes = [DaemonNode(name, v.should_run, v.should_continue) for name, v in verdicts]
        documents = {meta.name_of(pod): pod for pod in self.claimed(daemonset)}
        pods = self._by_node(documents.values())
        rules = self._rules(daemonset, revision, sum(node.should_run for node in nodes))
        now = self.clock.now()
        node_pods, update, failures = NodePodsPlan(), RollingUpdatePlan(), list[Exception]()
        waiting = self.unsatisfied_expectations(key)
        if not waiting:
            uid = meta.uid_of(daemonset)
            node_pods = plan_node_pods(
                nodes, pods, rules, now, lambda node: self._backoff.waiting(f"{uid}/{node}", now)
            )
            self._report_finished_pods(key, daemonset, node_pods)
            failures = self._sync_pods(key, daemonset, node_pods, documents, revision)
            rolling = daemonset["spec"]["updateStrategy"]["type"] == "RollingUpdate"
            if rolling and not failures and not self.expectations.unsatisfied(key, now):
                update = roll_out(nodes, pods, rules, now)
                failures = self._sync_pods(key, daemonset, update, documents, revision)
            self._clean_up_history(daemonset, old, documents.values())
        self._record(daemonset, verdicts, rules, node_pods, update, failures, waiting)
        self._write_status(key, daemonset, nodes, pods, rules, observe=not waiting)
        if failures:
            raise failures[0]

    # -- reading --------------------------------------------------------------------------------

    def _verdict(self, daemonset: DaemonSetDict, node: NodeDict) -> NodeVerdict:
        """Return whether a node is eligible; cached until the template or the node changes."""
        key = meta.uid_of(daemonset), meta.name_of(node)
        facts = daemonset["spec"]["template"], node["metadata"].get("labels"), node.get("spec")
        cached = self._verdicts.get(key)
        if cached is not None and all(a is b for a, b in zip(cached, facts, strict=False)):
            return cached[3]
        verdict = verdict_on(facts[0], node)
        self._verdicts[key] = (*facts, verdict)
        return verdict

    def _by_node(self, documents: Iterable[PodDict]) -> dict[str, list[DaemonPod]]:
        """Group pods by the node that they run on or were created for.

        Finished pods that are terminating are omitted: only a finalizer keeps them.
        """
        by_node: dict[str, list[DaemonPod]] = {}
        for pod in documents:
            node = target_of(pod)
            if node and not (is_finished(pod) and meta.is_terminating(pod)):
                by_node.setdefault(node, []).append(self._facts(pod, node))
        return by_node

    def _facts(self, pod: PodDict, node: str) -> DaemonPod:
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

    def _rules(self, daemonset: DaemonSetDict, revision: str, desired: int) -> DaemonRules:
        spec = daemonset["spec"]
        rolling = spec["updateStrategy"].get("rollingUpdate") or {}
        limits = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        unavailable, surge = rollout_numbers(*limits, desired=desired)
        return DaemonRules(revision, spec.get("minReadySeconds") or 0, surge, unavailable)

    # -- revision history -----------------------------------------------------------------------

    def _sync_history(self, daemonset: DaemonSetDict) -> tuple[str, list[ControllerRevisionDict]]:
        """Store the current template as a revision; return its hash, and the old revisions."""
        revisions, _ = self.api.snapshot(CONTROLLER_REVISION, meta.namespace_of(daemonset))
        owned = [revision for revision in revisions if meta.is_owned_by(revision, daemonset)]
        current = matching(daemonset, owned)
        old = [revision for revision in owned if revision is not current]
        number = next_number(old)
        if current is None:
            document = new_revision(daemonset, meta.owner_reference(daemonset), number)
            try:
                current = self.api.create(document)
            except AlreadyExists:
                self._count_collision(daemonset)
                raise
        elif current["revision"] < number:  # the template was rolled back
            renumbered: ControllerRevisionDict = {**current, "revision": number}
            current = self.api.update(renumbered)
        return str(meta.labels_of(current)[REVISION_HASH_LABEL]), old

    def _count_collision(self, daemonset: DaemonSetDict) -> None:
        """Increment collisionCount: another template has the same hash, so the next one differs."""
        status = daemonset.get("status") or {}
        count = (status.get("collisionCount") or 0) + 1
        self.api.update_status({**daemonset, "status": {**status, "collisionCount": count}})

    def _clean_up_history(
        self,
        daemonset: DaemonSetDict,
        old: Sequence[ControllerRevisionDict],
        pods: Iterable[PodDict],
    ) -> None:
        live = {meta.labels_of(pod).get(REVISION_HASH_LABEL, "") for pod in pods}
        limit = daemonset["spec"]["revisionHistoryLimit"]
        for revision in beyond_history_limit(old, limit, live=live):
            name, namespace = meta.name_of(revision), meta.namespace_of(revision)
            self.api.delete("ControllerRevision", name, namespace, uid=meta.uid_of(revision))

    # -- pods -----------------------------------------------------------------------------------

    def _sync_pods(
        self,
        key: str,
        daemonset: DaemonSetDict,
        plan: NodePodsPlan | RollingUpdatePlan,
        documents: Mapping[str, PodDict],
        revision: str,
    ) -> list[Exception]:
        """Create pods with slow start, then delete pods; return the errors."""
        owner = meta.owner_reference(daemonset)
        names: Iterator[str] = iter(plan.create)

        def create() -> Exception | None:
            pod = daemon_pod(daemonset, owner, next(names), revision)
            return self.create_pod(key, daemonset, pod)

        failures = slow_start(min(len(plan.create), BURST_REPLICAS), create)
        for name in plan.delete[:BURST_REPLICAS]:
            error = self.delete_pod(key, daemonset, name, meta.uid_of(documents[name]))
            if error is not None:
                failures.append(error)
        return failures

    def _report_finished_pods(
        self, key: str, daemonset: DaemonSetDict, node_pods: NodePodsPlan
    ) -> None:
        """Record Events about finished pods, and update the back-off of failed ones."""
        namespace, now = meta.namespace_of(daemonset), self.clock.now()
        uid = meta.uid_of(daemonset)
        for pod in node_pods.waiting:
            self.queue.add_after(key, self._backoff.seconds(f"{uid}/{pod.node}"))
        for pod in node_pods.failed:
            self._backoff.next(f"{uid}/{pod.node}", now)
            message = (
                f"Found failed daemon pod {namespace}/{pod.name} on node {pod.node}, will try "
            )
            self.recorder.event(daemonset, "Warning", "FailedDaemonPod", f"{message}to kill it")
        for pod in node_pods.succeeded:
            message = f"Found succeeded daemon pod {namespace}/{pod.name} on node {pod.node}"
            message += ", will try to delete it"
            self.recorder.event(daemonset, "Normal", "SucceededDaemonPod", message)

    # -- status and decision records ------------------------------------------------------------

    def _write_status(
        self,
        key: str,
        daemonset: DaemonSetDict,
        nodes: Sequence[DaemonNode],
        pods: PodsByNode,
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
        available_at = next_available(pods, rules.min_ready_seconds, now)
        if available_at is not None:
            self.queue.add_after(key, available_at - now)

    def _record(
        self,
        daemonset: DaemonSetDict,
        verdicts: Sequence[tuple[str, NodeVerdict]],
        rules: DaemonRules,
        node_pods: NodePodsPlan,
        update: RollingUpdatePlan,
        failures: Sequence[Exception],
        waiting: int,
    ) -> None:
        ineligible = summary_of(verdicts)
        create = [*node_pods.create, *update.create]
        delete = [*node_pods.delete, *update.delete]
        actions = [f"create a pod on {name}" for name in create]
        actions += [f"delete {name}" for name in delete]
        eligible = sum(verdict.should_run for _, verdict in verdicts)
        reason = (
            update.reason or f"{eligible} of {count_of(len(verdicts), 'node')} should run a pod"
        )
        if waiting:
            reason = f"waiting for {count_of(waiting, 'watch event')}"
        elif node_pods.waiting:
            names = ", ".join(pod.node for pod in node_pods.waiting)
            reason = f"failed pods stay until their back-off is over: {names}"
        figures = {"nodes": len(verdicts), "eligible": eligible}
        steps = [RuleStep("nodes", figures, ineligible or "all")]
        if update.reason:
            numbers = {"max_unavailable": rules.unavailable, "max_surge": rules.surge}
            steps.append(RuleStep("rolling update", numbers, update.reason, SOURCE))
        error = error_message(failures[0]) if failures else ""
        if error:
            steps.append(RuleStep("slow start", {}, f"stopped: {error}", SOURCE))
        self.decide(
            daemonset,
            ", ".join(actions) or f"nothing to do: {reason}",
            steps=steps,
            binding=error or reason,
            would_change_if=way_out_of(error)
            if error
            else "a node is added, removed, or changes labels or taints; a pod ends, "
            "is deleted or becomes available; or the template changes",
            data={"create": create, "delete": delete},
            signature=f"{reason}; {ineligible}",
            acted=bool(actions or failures),
        )


def _equal_for_daemons(one: NodeDict, other: NodeDict) -> bool:
    """Return whether two states of a node have the same labels and taints."""
    taints = [(node.get("spec") or {}).get("taints") for node in (one, other)]
    return taints[0] == taints[1] and meta.labels_of(one) == meta.labels_of(other)
