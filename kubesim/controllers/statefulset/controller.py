"""The StatefulSet controller: keeps pods with ordinals, in order.

`plan` decides what to do; the controller reads objects, executes the plan and writes the status. A
pod that is deleted is recreated under its name; scaling down deletes the highest ordinals.

Ours keeps both management policies, rolling updates with a partition and, behind its gate,
maxUnavailable, revision history with its limit (as ControllerRevision objects), adoption, volume
claims with their retention policy, status and events to the letter. It leaves out the repair of a
pod's identity labels, and automatic rollback.

Source: pkg/controller/statefulset/stateful_set_control.go, stateful_pod_control.go,
pkg/controller/history/controller_history.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, RuleStep, Tools
from kubesim.controllers.shared.controllerrefs import claim
from kubesim.controllers.shared.podowner import error_message
from kubesim.controllers.shared.podstatus import STARTING, families, why_not_ready
from kubesim.controllers.shared.refusals import way_out_of
from kubesim.controllers.statefulset import revisions
from kubesim.controllers.statefulset.plan import (
    SetPod,
    SetSpec,
    StatefulSetPlan,
    ordinal_of,
    plan,
    resolve_max_unavailable,
    revision_for,
    status_of,
)
from kubesim.controllers.statefulset.volumeclaims import keep_claims, missing_claims, volumes_of
from kubesim.errors import AlreadyExists, Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import thaw
from kubesim.objects.kindnames import CONTROLLER_REVISION, POD, STATEFUL_SET
from kubesim.objects.meta import get_condition
from kubesim.objects.pods import is_ready, phase_of
from kubesim.objects.selectors import selector_from
from kubesim.objects.wellknown import REVISION_HASH_LABEL

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ControllerRevisionDict,
        PodDict,
        PodTemplateSpecDict,
        StatefulSetDict,
        StatefulSetStatusDict,
    )

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/"
REPAIR = f"{SOURCE}#forced-rollback"


class StatefulSetController(Controller):
    """Reconciles StatefulSets, one key at a time.

    Args:
        max_unavailable: the feature gate MaxUnavailableStatefulSet (alpha and off in 1.34): updates
            respect spec.updateStrategy.rollingUpdate.maxUnavailable.
        options: of the base class.
    """

    name = "statefulset-controller"

    def __init__(self, tools: Tools, *, max_unavailable: bool = False, **options: float) -> None:
        super().__init__(tools, **options)
        self._max_unavailable_enabled = max_unavailable
        self._sets = self.informer(STATEFUL_SET, self._set_changed)
        self._pods = self.informer(
            POD, self._pod_changed, indexers={"owner": _owner_uid_or_namespace}
        )

    def _set_changed(self, event: ResourceEvent[StatefulSetDict]) -> Iterable[str]:
        if event.type == "DELETED":
            self.forget_decisions(event.object)
        yield meta.key_of(event.object)

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        pod = event.object
        controller = meta.controller_of(pod)
        if controller is not None:
            if controller["kind"] == "StatefulSet":
                yield f"{meta.namespace_of(pod)}/{controller['name']}"
        elif event.type != "DELETED":
            parent = meta.name_of(pod).rpartition("-")[0]  # a possible adopter
            if parent and self._sets.get(f"{meta.namespace_of(pod)}/{parent}") is not None:
                yield f"{meta.namespace_of(pod)}/{parent}"

    def about(self, key: str) -> StatefulSetDict | None:
        """Return the StatefulSet itself."""
        return self._sets.get(key)

    def reconcile(self, key: str) -> None:
        """Plan, execute the plan, and write the status, also after a failure."""
        statefulset = self._sets.get(key)
        if statefulset is None:
            return  # the garbage collector deletes its pods
        pods = self._pods_of(statefulset)
        spec = self._spec_of(statefulset)
        facts = [self._facts(ordinal, pod) for ordinal, pod in pods.items()]
        if meta.is_terminating(statefulset):
            self._write_status(statefulset, spec, facts)
            return
        self._ensure_revision(statefulset, spec.update_revision)
        decision = plan(spec, facts, self.clock.now())
        if not decision.create:
            self._record(statefulset, pods, decision)
        if decision.look_again is not None:
            self.queue.add_after(key, max(0.0, decision.look_again - self.clock.now()))
        try:
            for ordinal, pod in pods.items():
                condemned = not spec.start <= ordinal < spec.start + spec.replicas
                keep_claims(self.api, statefulset, pod, ordinal, condemned=condemned)
            for ordinal in decision.create:
                self._create(statefulset, spec, ordinal)
            for ordinal in decision.delete:
                self._delete(statefulset, pods[ordinal])
        except StatusError as error:
            if decision.create and not isinstance(error, (Conflict, NotFound, AlreadyExists)):
                self._record(statefulset, pods, decision, error_message(error))
            raise
        else:
            if decision.create:
                self._record(statefulset, pods, decision)
        finally:
            self._write_status(statefulset, spec, facts)

    # -- reading --------------------------------------------------------------------------------

    def _pods_of(self, statefulset: StatefulSetDict) -> dict[int, PodDict]:
        """Adopt and release pods; return those that the StatefulSet controls, by ordinal."""
        by_ordinal: dict[int, PodDict] = {}
        name = meta.name_of(statefulset)
        candidates = [
            *self._pods.by_index("owner", meta.uid_of(statefulset)),
            *self._pods.by_index("owner", meta.namespace_of(statefulset)),
        ]
        named = [pod for pod in candidates if ordinal_of(name, meta.name_of(pod)) is not None]
        selector = selector_from(statefulset["spec"].get("selector"))
        for pod in claim(self.api, statefulset, selector, named):
            ordinal = ordinal_of(name, meta.name_of(pod))
            if ordinal is not None:
                by_ordinal[ordinal] = pod
        return dict(sorted(by_ordinal.items()))

    def _spec_of(self, statefulset: StatefulSetDict) -> SetSpec:
        spec = statefulset["spec"]
        strategy = spec.get("updateStrategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        max_unavailable = resolve_max_unavailable(rolling.get("maxUnavailable"), spec["replicas"])
        return SetSpec(
            name=meta.name_of(statefulset),
            replicas=spec["replicas"],
            start=(spec.get("ordinals") or {}).get("start", 0),
            parallel=spec["podManagementPolicy"] == "Parallel",
            rolling=strategy.get("type", "RollingUpdate") == "RollingUpdate",
            partition=rolling.get("partition", 0),
            min_ready_seconds=spec.get("minReadySeconds", 0),
            update_revision=revisions.template_revision(
                meta.name_of(statefulset), spec["template"]
            ),
            max_unavailable=max_unavailable if self._max_unavailable_enabled else None,
        )

    def _facts(self, ordinal: int, pod: PodDict) -> SetPod:
        condition = get_condition(pod, "Ready") or {}
        since = condition.get("lastTransitionTime")
        return SetPod(
            ordinal=ordinal,
            phase=phase_of(pod),
            ready=is_ready(pod),
            ready_since=self.clock.seconds_at(since) if since else 0.0,
            terminating=meta.is_terminating(pod),
            revision=meta.labels_of(pod).get(REVISION_HASH_LABEL, ""),
        )

    # -- revision history -----------------------------------------------------------------------

    def _owned_revisions(self, statefulset: StatefulSetDict) -> list[ControllerRevisionDict]:
        namespace = meta.namespace_of(statefulset)
        revisions = self.api.snapshot(CONTROLLER_REVISION, namespace)[0]
        return [revision for revision in revisions if meta.is_owned_by(revision, statefulset)]

    def _ensure_revision(self, statefulset: StatefulSetDict, name: str) -> None:
        """Store the current template as a revision; a reused revision gets the next number."""
        existing = self.api.peek(CONTROLLER_REVISION, name, meta.namespace_of(statefulset))
        status = statefulset.get("status") or {}
        if existing is not None and status.get("updateRevision") == name:
            return
        number = revisions.next_number(self._owned_revisions(statefulset))
        if existing is None:
            self.api.create(revisions.revision_document(statefulset, number))
        elif meta.is_owned_by(existing, statefulset) and revisions.number_of(existing) < number - 1:
            self.api.update({**existing, "revision": number})

    def _truncate_history(
        self, statefulset: StatefulSetDict, status: StatefulSetStatusDict
    ) -> None:
        """Delete unused revisions beyond revisionHistoryLimit."""
        limit = statefulset["spec"].get("revisionHistoryLimit")
        owned = self._owned_revisions(statefulset)
        if limit is None or len(owned) <= limit:
            return
        pods = self._pods.by_index("owner", meta.uid_of(statefulset))
        live = {meta.labels_of(pod).get(REVISION_HASH_LABEL, "") for pod in pods}
        live |= {status["currentRevision"], status["updateRevision"]}
        for revision in revisions.beyond_history_limit(owned, live, limit):
            try:
                self.api.delete(
                    "ControllerRevision", meta.name_of(revision), meta.namespace_of(revision)
                )
            except NotFound:
                continue

    def _template(
        self, statefulset: StatefulSetDict, revision: str, spec: SetSpec
    ) -> PodTemplateSpecDict:
        if revision != spec.update_revision:
            namespace = meta.namespace_of(statefulset)
            stored = self.api.peek(CONTROLLER_REVISION, revision, namespace)
            if stored is not None:
                return revisions.template_of(stored)
        return thaw(statefulset["spec"]["template"])

    # -- pods -----------------------------------------------------------------------------------

    def _create(self, statefulset: StatefulSetDict, spec: SetSpec, ordinal: int) -> None:
        name = f"{spec.name}-{ordinal}"
        current = (statefulset.get("status") or {}).get("currentRevision", "")
        revision = revision_for(spec, ordinal, current)
        template = self._template(statefulset, revision, spec)
        metadata = template.setdefault("metadata", {})
        labels = metadata.setdefault("labels", {})
        labels.update({REVISION_HASH_LABEL: revision, NAME_LABEL: name, INDEX_LABEL: str(ordinal)})
        metadata["name"], metadata["namespace"] = name, meta.namespace_of(statefulset)
        metadata["ownerReferences"] = [meta.owner_reference(statefulset)]
        template["spec"].setdefault("hostname", name)
        template["spec"].setdefault("subdomain", statefulset["spec"].get("serviceName", ""))
        if statefulset["spec"].get("volumeClaimTemplates"):
            volumes = template["spec"].get("volumes") or []
            template["spec"]["volumes"] = volumes_of(statefulset, ordinal, volumes)
            self._create_claims(statefulset, name, ordinal)
        subject = f"Pod {name} in StatefulSet {spec.name}"
        try:
            self.api.create({"kind": "Pod", "apiVersion": "v1", **template})
        except AlreadyExists:
            raise  # the cache is stale, or another controller owns the pod: retry
        except Exception as error:
            self._record_event(
                statefulset, "create", f"{subject} failed error: {error_message(error)}", ok=False
            )
            raise
        self.counts["created"] += 1
        self._record_event(statefulset, "create", f"{subject} successful")

    def _create_claims(self, statefulset: StatefulSetDict, pod: str, ordinal: int) -> None:
        """Create the claims of a pod that do not exist; existing ones are used again."""
        subject = f"Pod {pod} in StatefulSet {meta.name_of(statefulset)}"
        for desired in missing_claims(self.api, statefulset, pod, ordinal):
            name = meta.name_of(desired)
            try:
                self.api.create(desired)
            except Exception as error:
                message = f"Claim {name} for {subject} failed error: {error_message(error)}"
                self._record_event(statefulset, "create", message, ok=False)
                raise
            self._record_event(statefulset, "create", f"Claim {name} {subject} success")

    def _delete(self, statefulset: StatefulSetDict, pod: PodDict) -> None:
        name = meta.name_of(pod)
        subject = f"Pod {name} in StatefulSet {meta.name_of(statefulset)}"
        try:
            self.api.delete("Pod", name, meta.namespace_of(pod), uid=meta.uid_of(pod))
        except NotFound:
            return  # the watch event is on its way
        except Exception as error:
            self._record_event(
                statefulset, "delete", f"{subject} failed error: {error_message(error)}", ok=False
            )
            raise
        self.counts["deleted"] += 1
        self._record_event(statefulset, "delete", f"{subject} successful")

    def _record_event(
        self, statefulset: StatefulSetDict, verb: str, rest: str, *, ok: bool = True
    ) -> None:
        reason = ("Successful" if ok else "Failed") + verb.title()
        kind = "Normal" if ok else "Warning"
        self.recorder.event(statefulset, kind, reason, f"{verb} {rest}")

    # -- status and decision records ------------------------------------------------------------

    def _write_status(
        self, statefulset: StatefulSetDict, spec: SetSpec, facts: list[SetPod]
    ) -> None:
        old = statefulset.get("status") or {}
        new = status_of(spec, facts, old.get("currentRevision", ""), self.clock.now())
        new["observedGeneration"] = meta.generation_of(statefulset)
        new["collisionCount"] = 0
        if new != old:
            self.api.update_status({**statefulset, "status": new})
            self._truncate_history(statefulset, new)

    def _record(
        self,
        statefulset: StatefulSetDict,
        pods: dict[int, PodDict],
        plan: StatefulSetPlan,
        refusal: str = "",
    ) -> None:
        """Record a decision.

        Args:
            statefulset, pods: the documents; pods by ordinal.
            plan: what the controller does.
            refusal: the API server's answer to its request; "": it agreed.
        """
        steps, change = self._explain(statefulset, pods, plan)
        if refusal:
            steps.append(RuleStep("request", {}, f"refused: {refusal}", SOURCE))
            change = way_out_of(refusal)
        name = meta.name_of(statefulset)
        actions = [f"create {name}-{ordinal}" for ordinal in plan.create]
        actions += [f"delete {name}-{ordinal}" for ordinal in plan.delete]
        self.decide(
            statefulset,
            f"cannot {', '.join(actions)}"
            if refusal
            else ", ".join(actions) or f"nothing to do: {plan.reason}",
            steps=steps,
            binding=refusal or plan.reason,
            would_change_if=change,
            data={"create": list(plan.create), "delete": list(plan.delete)},
            signature=refusal + plan.reason + "".join(str(dict(step.inputs)) for step in steps[1:]),
            acted=bool(actions) and not refusal,
        )

    def _explain(
        self, statefulset: StatefulSetDict, pods: dict[int, PodDict], plan: StatefulSetPlan
    ) -> tuple[list[RuleStep], str]:
        """Return the steps of a decision, what a blocking pod waits for, and what would help."""
        spec, facts = statefulset["spec"], [self._facts(o, pod) for o, pod in pods.items()]
        inputs = {
            "replicas": spec["replicas"],
            "pods": len(pods),
            "healthy": sum(pod.healthy for pod in facts),
            "policy": spec["podManagementPolicy"],
        }
        steps = [RuleStep("compare", inputs, plan.reason, SOURCE)]
        pod = pods.get(plan.waits_for) if plan.waits_for is not None else None
        if pod is None or plan.create or plan.delete:
            return steps, "spec.replicas, the template, or a pod's state changes"
        name, reason = meta.name_of(pod), why_not_ready(pod)
        if reason not in STARTING:
            steps.append(RuleStep("pod", families({reason: 1}), f"{name}: {reason}"))
        change = f"{name} becomes available"
        if meta.is_terminating(pod):
            change = f"{name} has stopped, so that its name is free"
        set_spec = self._spec_of(statefulset)
        current = meta.labels_of(pod).get(REVISION_HASH_LABEL, "")
        desired = revision_for(set_spec, plan.waits_for or 0, current)
        if current != desired and not set_spec.parallel and not meta.is_terminating(pod):
            result = f"{name} is of {current}; a pod that is not ready is not replaced by {desired}"
            steps.append(
                RuleStep("forced rollback", {"has": current, "wants": desired}, result, REPAIR)
            )
            change += f", or somebody deletes {name}: a new template alone does not repair it"
        return steps, change


def _owner_uid_or_namespace(pod: PodDict) -> Iterable[str]:
    """Index pods by the uid of their controller, and orphans by their namespace."""
    controller = meta.controller_of(pod)
    return [controller["uid"] if controller is not None else meta.namespace_of(pod)]
