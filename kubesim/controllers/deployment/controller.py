"""The Deployment controller: rolls pods from one version of a template to the next.

A Deployment creates no pods. It keeps one ReplicaSet for each version of its template and shifts
replicas from the old ones to the new one; ReplicaSets create and delete the pods. `sync` executes
one sync, `plan` and `scaling` decide how far it goes, with the arithmetic of `rolling`; `revisions`
has the revision history, `progress` the status. The controller watches, queues and explains.

Ours keeps RollingUpdate and Recreate, proportional scaling, pause, revisions, history, the legacy
rollback annotation, hash collisions, conditions, the progress deadline and events to the letter. It
leaves out `terminatingReplicas` and `podReplacementPolicy` (behind gates in 1.34).

Source: pkg/controller/deployment/deployment_controller.go, sync.go, rolling.go, recreate.go,
rollback.go, progress.go, util/deployment_util.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.controllers.deployment import decisions
from kubesim.controllers.deployment.decisions import RolloutSignature
from kubesim.controllers.deployment.plan import COMPLETE, PassPlan
from kubesim.controllers.deployment.state import SyncState
from kubesim.controllers.deployment.sync import DeploymentSync
from kubesim.controllers.shared.controllerrefs import claim
from kubesim.controllers.shared.podstatus import why_not_ready
from kubesim.controllers.shared.refusals import way_out_of
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.kindnames import DEPLOYMENT, POD, REPLICA_SET
from kubesim.objects.pods import is_finished
from kubesim.objects.selectors import Selector, selector_from

if TYPE_CHECKING:
    from kubesim.objects.types import DeploymentDict, OwnerReferenceDict, PodDict, ReplicaSetDict

MAX_RETRIES = 15  # failures in a row after which a key is dropped (maxRetries)
POD_RECHECK_SECONDS = 1.0  # between a change of a waiting rollout's pod and the next sync
MAX_DELAY_SECONDS = 1000.0  # of the back-off; 15 failures reach 82 s
SELECTING_ALL = "This deployment is selecting all pods. A non-empty selector is required."
RESUME = "spec.paused is removed (kubectl rollout resume)"


class DeploymentController(Controller):
    """Reconciles Deployments, one key at a time.

    Args:
        watch_latency_seconds: delay of the watch events of ReplicaSets; more than 0 lets tests
            and lessons observe a stale cache.
        options: of the base class.
    """

    name = "deployment-controller"
    max_retries = MAX_RETRIES
    max_delay_seconds = MAX_DELAY_SECONDS

    def __init__(
        self, tools: Tools, *, watch_latency_seconds: float = 0.0, **options: float
    ) -> None:
        super().__init__(tools, **options)
        self._deployments = self.informer(
            DEPLOYMENT,
            self._deployment_changed,
            indexers={"namespace": lambda deployment: [meta.namespace_of(deployment)]},
        )
        self._sets = self.informer(
            REPLICA_SET,
            self._set_changed,
            indexers={"owner": _controller_uid_or_namespace},
            latency_seconds=watch_latency_seconds,
        )
        self._pods = self.informer(POD, self._pod_changed, indexers={"owner": _controller_uid})
        self._selectors: dict[str, Selector] = {}  # by uid of the Deployment: it is immutable
        self._pod_rechecks: set[str] = set()  # keys that are queued for a change of a pod

    # -- watch events ---------------------------------------------------------------------------

    def _deployment_changed(self, event: ResourceEvent[DeploymentDict]) -> Iterable[str]:
        if event.type == "DELETED":
            self._selectors.pop(meta.uid_of(event.object), None)
            self.forget_decisions(event.object)
        yield meta.key_of(event.object)

    def _set_changed(self, event: ResourceEvent[ReplicaSetDict]) -> Iterable[str]:
        replicaset = event.object
        controller = meta.controller_of(replicaset)
        if event.previous is not None:
            before = meta.controller_of(event.previous)
            if before is not None and before != controller:
                yield from _key_of_owner(replicaset, before)
        if controller is not None:
            yield from _key_of_owner(replicaset, controller)
        elif event.type != "DELETED":
            yield from self._keys_of_adopters(replicaset)

    def _keys_of_adopters(self, replicaset: ReplicaSetDict) -> Iterable[str]:
        labels = meta.labels_of(replicaset)
        for deployment in self._deployments.by_index("namespace", meta.namespace_of(replicaset)):
            if self._selector(deployment).matches(labels):
                yield meta.key_of(deployment)

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        """Queue a Recreate rollout when an old pod is deleted, and a waiting one on pod changes.

        Upstream does only the first. Ours also syncs a second after a pod's reason changes, so that
        the explanation of a stuck rollout is up to date; such a sync writes nothing.
        """
        pod, before = event.object, event.previous
        controller = meta.controller_of(pod)
        if controller is None or controller["kind"] != "ReplicaSet":
            return
        replicaset = self._sets.get(f"{meta.namespace_of(pod)}/{controller['name']}")
        owner = meta.controller_of(replicaset) if replicaset is not None else None
        if replicaset is None or owner is None:
            return
        key = f"{meta.namespace_of(pod)}/{owner['name']}"
        deployment = self._deployments.get(key)
        if deployment is None:
            return
        if event.type == "DELETED":
            if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
                yield key
        elif before is not None and key not in self._pod_rechecks:
            if decisions.is_waiting(self.last_signature(deployment)):
                if why_not_ready(before) != why_not_ready(pod):
                    self._pod_rechecks.add(key)
                    self.queue.add_after(key, POD_RECHECK_SECONDS)

    # -- reconcile ------------------------------------------------------------------------------

    def about(self, key: str) -> DeploymentDict | None:
        """Return the Deployment itself."""
        return self._deployments.get(key)

    def reconcile(self, key: str) -> None:
        """Claim ReplicaSets, then execute one sync."""
        pods_changed = key in self._pod_rechecks
        self._pod_rechecks.discard(key)
        deployment = self._deployments.get(key)
        if deployment is None:
            return  # the garbage collector deletes its ReplicaSets
        selector = self._selector(deployment)
        if selector.empty:
            self._refuse(deployment)
            return
        candidates = (
            *self._sets.by_index("owner", meta.uid_of(deployment)),
            *self._sets.by_index("owner", meta.namespace_of(deployment)),
        )
        sets = claim(self.api, deployment, selector, candidates)
        state = SyncState(
            deployment,
            sets,
            count_old_pods=lambda name: self._count_old_pods(sets, name),
            seconds_at=self.clock.seconds_at,
        )
        sync = DeploymentSync(self.api, self.clock, self.recorder, self.counts, state)
        sync.run()
        if sync.recheck is not None:
            self.queue.add_after(key, sync.recheck)
        self._record(state, sync.plan, pods_changed)

    def _refuse(self, deployment: DeploymentDict) -> None:
        """Reject a Deployment whose empty selector would select every pod of the namespace."""
        self.recorder.event(deployment, "Warning", "SelectingAll", SELECTING_ALL)
        status, generation = deployment.get("status") or {}, meta.generation_of(deployment)
        if status.get("observedGeneration", 0) < generation:
            observed = {**status, "observedGeneration": generation}
            self.api.update_status({**deployment, "status": observed})

    def _selector(self, deployment: DeploymentDict) -> Selector:
        uid = meta.uid_of(deployment)
        selector = self._selectors.get(uid)
        if selector is None:
            selector = selector_from(deployment["spec"].get("selector"))
            self._selectors[uid] = selector
        return selector

    def _pods_of(self, replicaset: ReplicaSetDict) -> Iterable[PodDict]:
        return self._pods.by_index("owner", meta.uid_of(replicaset))

    def _count_old_pods(self, sets: Iterable[ReplicaSetDict], new_name: str) -> int:
        """Count the unfinished pods of all ReplicaSets but one; terminating pods count."""
        return sum(
            not is_finished(pod)
            for replicaset in sets
            if meta.name_of(replicaset) != new_name
            for pod in self._pods_of(replicaset)
        )

    # -- decision records -----------------------------------------------------------------------

    def _record(self, state: SyncState, plan: PassPlan, pods_changed: bool) -> None:
        """Record a decision, unless it says what the last one said.

        What the new pods wait for makes a new record only if this sync was queued for a change of a
        pod (`pods_changed`), so that ten pods that start do not make ten records.
        """
        deployment = state.deployment
        steps, binding = list(plan.steps), plan.binding
        if plan.waiting:
            pods = self._pods_of(state.new) if state.new is not None else ()
            steps += decisions.new_pod_steps(deployment, state.new, pods)
            steps.append(decisions.deadline_step(deployment, self.clock.seconds_at))
        failure = next((step.result for step in steps if step.rule == "replica failure"), "")
        way_out = way_out_of(failure) if failure else plan.unless
        if state.paused:
            binding = f"spec.paused: only changes of size are made ({binding})"
        verdict = "; ".join(state.actions)
        if not verdict:
            verdict = decisions.WAITING if plan.waiting else "nothing to do"
            verdict += f": {binding.partition('; ')[0]}"
            if binding == COMPLETE:
                verdict = "rollout complete"
        last = self.last_signature(deployment)
        last_pods = last.pods if isinstance(last, RolloutSignature) else ""
        signature = decisions.signature_of(
            verdict,
            binding,
            steps,
            waiting=plan.waiting and not state.actions,
            pods=None if pods_changed else last_pods,
        )
        status = deployment.get("status") or {}
        self.decide(
            deployment,
            verdict,
            steps=steps,
            binding=failure or binding,
            would_change_if=RESUME if state.paused else way_out,
            data={
                "replicas": status.get("replicas", 0),
                "updated": status.get("updatedReplicas", 0),
                "available": status.get("availableReplicas", 0),
                "sizes": {meta.name_of(rs): rs["spec"]["replicas"] for rs in state.everything},
            },
            signature=signature,
            acted=False,
        )


def _key_of_owner(replicaset: ReplicaSetDict, controller: OwnerReferenceDict) -> Iterable[str]:
    if controller["kind"] == "Deployment":
        yield f"{meta.namespace_of(replicaset)}/{controller['name']}"


def _controller_uid(obj: ReadOnlyDocument) -> Iterable[str]:
    controller = meta.controller_of(obj)
    return [controller["uid"]] if controller is not None else []


def _controller_uid_or_namespace(replicaset: ReplicaSetDict) -> Iterable[str]:
    """Index ReplicaSets by the uid of their controller, and orphans by their namespace."""
    return _controller_uid(replicaset) or [meta.namespace_of(replicaset)]
