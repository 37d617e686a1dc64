"""The Deployment controller: moves pods from one version of a template to the next.

A Deployment makes no pods. It keeps one ReplicaSet for each version of its template and shifts
numbers from the old ones to the new one, a pass at a time; ReplicaSets make and delete the pods.
How far a pass goes is decided by `deployment_plan`, on the arithmetic of `rollout`; revisions are
in `deployment_revisions`, status in `deployment_status`, reading and writing in `deployment_sets`,
the order of a pass in `deployment_pass`. This file watches, queues and explains.

Ours keeps RollingUpdate and Recreate, proportional scaling, pause, revisions, history, the legacy
rollback annotation, hash collisions, conditions, the progress deadline and events to the letter. It
leaves out `terminatingReplicas` and `podReplacementPolicy` (behind gates in 1.34).

Source: pkg/controller/deployment/deployment_controller.go, sync.go, rolling.go, recreate.go,
rollback.go, progress.go, util/deployment_util.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, RuleStep, Tools
from kubesim.controllers.deployment import progress as status
from kubesim.controllers.deployment.sync import DeploymentPass
from kubesim.controllers.shared.controllerrefs import claim
from kubesim.controllers.shared.podstatus import families, reasons_of, why_not_ready
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished
from kubesim.objects.selectors import Selector, selector_from

MAX_RETRIES = 15  # failures in a row after which a key is dropped (maxRetries)
LOOK_AGAIN_SECONDS = 1.0  # after a pod of a waiting rollout has changed
MAX_DELAY_SECONDS = 1000.0  # of the back-off; 15 failures reach 82 s
SELECTING_ALL = "This deployment is selecting all pods. A non-empty selector is required."
WAITING = "waiting"
RESUME = "spec.paused is taken away (rollout resume)"
STARTING = (
    "Pending",
    "ContainerCreating",
    "PodInitializing",
    "Terminating",
    "Running",
    "not ready",
)
PROGRESS_SOURCE = (
    "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment"
)


class DeploymentController(Controller):
    """Reconciles Deployments, one key at a time.

    Args:
        watch_latency_seconds: how long news of ReplicaSets take; more than 0 makes a stale cache
            visible.
    """

    name = "deployment-controller"
    max_retries = MAX_RETRIES
    max_delay_seconds = MAX_DELAY_SECONDS

    def __init__(
        self, tools: Tools, *, watch_latency_seconds: float = 0.0, **options: float
    ) -> None:
        super().__init__(tools, **options)
        self._deployments = self.informer(
            "Deployment",
            self._deployment_changed,
            indexers={"namespace": lambda deployment: [meta.namespace_of(deployment)]},
        )
        self._sets = self.informer(
            "ReplicaSet",
            self._set_changed,
            indexers={"owner": _controller_uid_or_orphan},
            latency_seconds=watch_latency_seconds,
        )
        self._pods = self.informer("Pod", self._pod_changed, indexers={"owner": _controller_uid})
        self._selectors: dict[str, Selector] = {}  # by uid of the Deployment: it never changes
        self._last: dict[str, tuple[str, ...]] = {}  # by key: what its last record said
        self._looking: set[str] = set()  # keys whose waiting pods are looked at in a moment

    # -- what wakes it --------------------------------------------------------------------------

    def _deployment_changed(self, event: ResourceEvent) -> Iterable[str]:
        if event.type == "DELETED":
            self._selectors.pop(meta.uid_of(event.object), None)
        yield meta.key_of(event.object)

    def _set_changed(self, event: ResourceEvent) -> Iterable[str]:
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

    def _keys_of_adopters(self, replicaset: Document) -> Iterable[str]:
        labels = meta.labels_of(replicaset)
        for deployment in self._deployments.by_index("namespace", meta.namespace_of(replicaset)):
            if self._selector(deployment).matches(labels):
                yield meta.key_of(deployment)

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        """Recreate waits for the last old pod to go; a stuck rollout says what its pods wait for.

        Upstream wakes for the first reason alone. Ours also looks again, a second later, when the
        word for a pod changes, so that the explanation is as new as the pods are; such a pass
        writes nothing.
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
        elif before is not None and self._last.get(key, ("",))[0] == WAITING:
            if key not in self._looking and why_not_ready(before) != why_not_ready(pod):
                self._looking.add(key)
                self.queue.add_after(key, LOOK_AGAIN_SECONDS)

    # -- one pass -------------------------------------------------------------------------------

    def about(self, key: str) -> Document | None:
        """The Deployment itself."""
        return self._deployments.get(key)

    def reconcile(self, key: str) -> None:
        """Claim ReplicaSets, then one pass: scale, roll, tell."""
        looked = key in self._looking
        self._looking.discard(key)
        deployment = self._deployments.get(key)
        if deployment is None:
            self._last.pop(key, None)
            return  # the garbage collector sees to its ReplicaSets
        selector = self._selector(deployment)
        if selector.empty:
            self._refuse(deployment)
            return
        candidates = (
            *self._sets.by_index("owner", meta.uid_of(deployment)),
            *self._sets.by_index("owner", meta.namespace_of(deployment)),
        )
        sets = claim(self.api, deployment, selector, candidates)
        this = DeploymentPass(
            self.api,
            self.clock,
            self.recorder,
            self.counts,
            deployment,
            sets,
            lambda name: self._count_old_pods(sets, name),
        )
        this.run()
        if this.recheck is not None:
            self.queue.add_after(key, this.recheck)
        self._remember(key, this, looked)

    def _refuse(self, deployment: Document) -> None:
        """An empty selector would take every pod of the namespace."""
        self.recorder.event(deployment, "Warning", "SelectingAll", SELECTING_ALL)
        counted, generation = deployment.get("status") or {}, meta.generation_of(deployment)
        if counted.get("observedGeneration", 0) < generation:
            seen = {**counted, "observedGeneration": generation}
            self.api.update_status({**deployment, "status": seen})

    def _selector(self, deployment: Document) -> Selector:
        uid = meta.uid_of(deployment)
        selector = self._selectors.get(uid)
        if selector is None:
            selector = selector_from(deployment["spec"].get("selector"))
            self._selectors[uid] = selector
        return selector

    def _pods_of(self, replicaset: Document) -> Iterable[Document]:
        return self._pods.by_index("owner", meta.uid_of(replicaset))

    def _count_old_pods(self, sets: Iterable[Document], new_name: str) -> int:
        """Pods of all ReplicaSets but one that have not ended; terminating ones count."""
        return sum(
            not is_finished(pod)
            for replicaset in sets
            if meta.name_of(replicaset) != new_name
            for pod in self._pods_of(replicaset)
        )

    # -- telling --------------------------------------------------------------------------------

    def _remember(self, key: str, this: DeploymentPass, looked: bool) -> None:
        """A decision record, unless it would say what the last one said.

        What its pods wait for makes a new record only when they were `looked` at on purpose, so
        that ten pods that start do not make ten records.
        """
        plan, deployment = this.plan, this.deployment
        steps = list(plan.steps)
        binding = plan.binding
        if plan.waiting:
            steps += self._what_pods_wait_for(this)
            steps.append(self._progress(deployment))
        if deployment["spec"].get("paused"):
            binding = f"spec.paused: only changes of size are made ({binding})"
        verdict = "; ".join(this.did)
        if not verdict:
            verdict = WAITING if plan.waiting else "nothing to do"
            verdict += f": {binding.partition('; ')[0]}"
        last = self._last.get(key, ("", "", "", "", ""))
        failure = "".join(step.result for step in steps if step.rule == "replica failure")
        pods = "".join(str(families(step.inputs)) for step in steps if step.rule == "new pods")
        state = WAITING if plan.waiting and not this.did else ""
        said = (state, verdict, binding, pods if looked else last[3], failure)
        if said == last:
            return
        self._last[key] = said
        counted = deployment.get("status") or {}
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(deployment),
                component=self.name,
                object=meta.reference("deployment", meta.key_of(deployment)),
                verdict=verdict,
                steps=tuple(steps),
                binding=binding,
                would_change_if=RESUME if deployment["spec"].get("paused") else plan.unless,
                data={
                    "replicas": counted.get("replicas", 0),
                    "updated": counted.get("updatedReplicas", 0),
                    "available": counted.get("availableReplicas", 0),
                    "sizes": {meta.name_of(rs): rs["spec"]["replicas"] for rs in this.everything},
                },
            )
        )

    def _what_pods_wait_for(self, this: DeploymentPass) -> list[RuleStep]:
        """What keeps the pods of the new ReplicaSet from being available, as far as they say."""
        if this.new is None:
            return []
        found = reasons_of(self._pods_of(this.new))
        if "Ready" in found:
            ready_for = this.deployment["spec"].get("minReadySeconds") or 0
            available = (this.new.get("status") or {}).get("availableReplicas", 0)
            if ready_for and found["Ready"] > available:
                found[f"ready, but not yet for {ready_for} s"] = found["Ready"] - available
            found.pop("Ready")
        steps = []
        if found:
            said = ", ".join(f"{count} x {reason}" for reason, count in found.items())
            steps.append(RuleStep("new pods", found, said))
        failure = get_condition(this.new, status.FAILURE)
        if failure is not None:
            figures = {"replicas": this.new["spec"]["replicas"], **found}
            steps.append(RuleStep("replica failure", figures, str(failure.get("message"))))
        return steps

    def _progress(self, deployment: Document) -> RuleStep:
        """How long the rollout may go on like this before it is called failed."""
        deadline, known = status.deadline_of(deployment), get_condition(deployment, "Progressing")
        if deadline is None or known is None:
            said = "no deadline is set: it may take for ever"
            return RuleStep("progress deadline", {}, said, PROGRESS_SOURCE)
        figures = {"progressDeadlineSeconds": deadline, "lastUpdateTime": known["lastUpdateTime"]}
        if known.get("reason") == status.TIMED_OUT:
            said = (
                "exceeded: the rollout is called failed, but goes on when a pod becomes available"
            )
        elif known.get("reason") == status.FINISHED:
            said = "does not run: this version was available once"
        else:
            end = self.clock.seconds_at(known["lastUpdateTime"]) + deadline
            said = f"the rollout is called failed after t={end:g} s, unless a pod gets on"
        return RuleStep("progress deadline", figures, said, PROGRESS_SOURCE)


def _key_of_owner(replicaset: Document, controller: Document) -> Iterable[str]:
    if controller["kind"] == "Deployment":
        yield f"{meta.namespace_of(replicaset)}/{controller['name']}"


def _controller_uid(obj: Document) -> Iterable[str]:
    controller = meta.controller_of(obj)
    return [controller["uid"]] if controller is not None else []


def _controller_uid_or_orphan(replicaset: Document) -> Iterable[str]:
    """Orphans are found under their namespace."""
    return _controller_uid(replicaset) or [meta.namespace_of(replicaset)]
