"""The StatefulSet controller: keeps numbered pods as their StatefulSet wants them.

What to do is decided by `statefulset_plan.plan`; this file reads, acts and writes the status. Kill
a pod and it comes back under its name; shrink the set and the highest numbers go.

Ours keeps both management policies, rolling updates with a partition and, behind its gate,
maxUnavailable, revisions with their history limit (as ControllerRevision objects), adoption, volume
claims as plain objects with their retention policy, status and events to the letter. It leaves out:
binding of claims, repair of a pod's identity labels, automatic rollback.

Source: pkg/controller/statefulset/stateful_set_control.go, stateful_pod_control.go,
pkg/controller/history/controller_history.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, RuleStep, Tools
from kubesim.controllers.shared.controllerrefs import claim
from kubesim.controllers.shared.podstatus import STARTING, families, why_not_ready
from kubesim.controllers.statefulset import revisions
from kubesim.controllers.statefulset.plan import (
    Plan,
    SetPod,
    SetSpec,
    ordinal_of,
    plan,
    resolve_max_unavailable,
    revision_for,
    status_of,
)
from kubesim.controllers.statefulset.volumeclaims import keep_claims, missing_claims, volumes_of
from kubesim.errors import AlreadyExists, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.pods import is_ready, phase_of
from kubesim.objects.selectors import selector_from
from kubesim.objects.wellknown import REVISION_HASH_LABEL

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/"
REPAIR = f"{SOURCE}#forced-rollback"


class StatefulSetController(Controller):
    """Reconciles StatefulSets, one key at a time.

    Args:
        max_unavailable: the feature gate MaxUnavailableStatefulSet (alpha and off in 1.34): updates
            obey spec.updateStrategy.rollingUpdate.maxUnavailable.
    """

    name = "statefulset-controller"

    def __init__(self, tools: Tools, *, max_unavailable: bool = False, **options: float) -> None:
        super().__init__(tools, **options)
        self._many = max_unavailable
        self._sets = self.informer("StatefulSet", lambda event: [meta.key_of(event.object)])
        self._pods = self.informer("Pod", self._owners, indexers={"owner": _owner_uid_or_orphan})
        self._last_reason: dict[str, str] = {}

    def _owners(self, event: ResourceEvent) -> Iterable[str]:
        pod = event.object
        controller = meta.controller_of(pod)
        if controller is not None:
            if controller["kind"] == "StatefulSet":
                yield f"{meta.namespace_of(pod)}/{controller['name']}"
        elif event.type != "DELETED":
            parent = meta.name_of(pod).rpartition("-")[0]  # it may be adopted
            if parent and self._sets.get(f"{meta.namespace_of(pod)}/{parent}") is not None:
                yield f"{meta.namespace_of(pod)}/{parent}"

    def about(self, key: str) -> Document | None:
        """The StatefulSet itself."""
        return self._sets.get(key)

    def reconcile(self, key: str) -> None:
        """One pass: plan, act, write the status, also after a failure."""
        statefulset = self._sets.get(key)
        if statefulset is None:
            self._last_reason.pop(key, None)
            return  # the garbage collector sees to its pods
        pods = self._pods_of(statefulset)
        spec = self._spec_of(statefulset)
        facts = [self._facts(ordinal, pod) for ordinal, pod in pods.items()]
        if meta.is_terminating(statefulset):
            self._write_status(statefulset, spec, facts)
            return
        self._ensure_revision(statefulset, spec.update_revision)
        decided = plan(spec, facts, self.clock.now())
        self._remember(key, statefulset, pods, decided)
        if decided.look_again is not None:
            self.queue.add_after(key, max(0.0, decided.look_again - self.clock.now()))
        try:
            for ordinal, pod in pods.items():
                condemned = not spec.start <= ordinal < spec.start + spec.replicas
                keep_claims(self.api, statefulset, pod, ordinal, condemned=condemned)
            for ordinal in decided.create:
                self._create(statefulset, spec, ordinal)
            for ordinal in decided.delete:
                self._delete(statefulset, pods[ordinal])
        finally:
            self._write_status(statefulset, spec, facts)

    # -- reading --------------------------------------------------------------------------------

    def _pods_of(self, statefulset: Document) -> dict[int, Document]:
        """By ordinal; orphans that match the selector and the name are adopted."""
        found: dict[int, Document] = {}
        name = meta.name_of(statefulset)
        candidates = [
            *self._pods.by_index("owner", meta.uid_of(statefulset)),
            *self._pods.by_index("owner", meta.namespace_of(statefulset)),
        ]
        mine = [pod for pod in candidates if ordinal_of(name, meta.name_of(pod)) is not None]
        selector = selector_from(statefulset["spec"].get("selector"))
        for pod in claim(self.api, statefulset, selector, mine):
            ordinal = ordinal_of(name, meta.name_of(pod))
            if ordinal is not None:
                found[ordinal] = pod
        return dict(sorted(found.items()))

    def _spec_of(self, statefulset: Document) -> SetSpec:
        spec = statefulset["spec"]
        strategy = spec.get("updateStrategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        many = resolve_max_unavailable(rolling.get("maxUnavailable"), spec["replicas"])
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
            max_unavailable=many if self._many else None,
        )

    def _facts(self, ordinal: int, pod: Document) -> SetPod:
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

    # -- revisions ------------------------------------------------------------------------------

    def _known_revisions(self, statefulset: Document) -> list[Document]:
        namespace = meta.namespace_of(statefulset)
        known = self.api.snapshot("ControllerRevision", namespace)[0]
        return [revision for revision in known if meta.is_owned_by(revision, statefulset)]

    def _ensure_revision(self, statefulset: Document, name: str) -> None:
        """Keep the template under its revision; one that is used again gets the next number."""
        known = self.api.peek("ControllerRevision", name, meta.namespace_of(statefulset))
        status = statefulset.get("status") or {}
        if known is not None and status.get("updateRevision") == name:
            return
        number = revisions.next_number(self._known_revisions(statefulset))
        if known is None:
            self.api.create(revisions.revision_document(statefulset, number))
        elif meta.is_owned_by(known, statefulset) and revisions.number_of(known) < number - 1:
            self.api.update({**known, "revision": number})

    def _trim_revisions(self, statefulset: Document, status: Document) -> None:
        limit = statefulset["spec"].get("revisionHistoryLimit")
        known = self._known_revisions(statefulset)
        if limit is None or len(known) <= limit:
            return
        pods = self._pods.by_index("owner", meta.uid_of(statefulset))
        live = {meta.labels_of(pod).get(REVISION_HASH_LABEL, "") for pod in pods}
        live |= {status["currentRevision"], status["updateRevision"]}
        for revision in revisions.to_trim(known, live, limit):
            try:
                self.api.delete(
                    "ControllerRevision", meta.name_of(revision), meta.namespace_of(revision)
                )
            except NotFound:
                continue  # somebody else did

    def _template(self, statefulset: Document, revision: str, spec: SetSpec) -> Document:
        if revision != spec.update_revision:
            namespace = meta.namespace_of(statefulset)
            kept = self.api.peek("ControllerRevision", revision, namespace)
            if kept is not None:
                return revisions.template_of(kept)
        return thaw(statefulset["spec"]["template"])

    # -- acting ---------------------------------------------------------------------------------

    def _create(self, statefulset: Document, spec: SetSpec, ordinal: int) -> None:
        name = f"{spec.name}-{ordinal}"
        current = (statefulset.get("status") or {}).get("currentRevision", "")
        revision = revision_for(spec, ordinal, current)
        template = self._template(statefulset, revision, spec)
        metadata = template.setdefault("metadata", {})
        labels = metadata.setdefault("labels", {})
        labels.update({REVISION_HASH_LABEL: revision, NAME_LABEL: name, INDEX_LABEL: str(ordinal)})
        metadata.update(
            name=name,
            namespace=meta.namespace_of(statefulset),
            ownerReferences=[meta.owner_reference(statefulset)],
        )
        template["spec"].setdefault("hostname", name)
        template["spec"].setdefault("subdomain", statefulset["spec"].get("serviceName", ""))
        if statefulset["spec"].get("volumeClaimTemplates"):
            volumes = template["spec"].get("volumes") or []
            template["spec"]["volumes"] = volumes_of(statefulset, ordinal, volumes)
            self._claim(statefulset, name, ordinal)
        about = f"Pod {name} in StatefulSet {spec.name}"
        try:
            self.api.create({"kind": "Pod", "apiVersion": "v1", **template})
        except AlreadyExists:
            # A pod of that name whose news has not come yet, or somebody else's: look again then.
            raise
        except Exception as error:
            self._tell(statefulset, "create", f"{about} failed error: {_words_of(error)}", ok=False)
            raise
        self.counts["created"] += 1
        self._tell(statefulset, "create", f"{about} successful")

    def _claim(self, statefulset: Document, pod: str, ordinal: int) -> None:
        """Make the claims of a pod that are missing; those of its last life are used again."""
        about = f"Pod {pod} in StatefulSet {meta.name_of(statefulset)}"
        for wanted in missing_claims(self.api, statefulset, pod, ordinal):
            name = meta.name_of(wanted)
            try:
                self.api.create(wanted)
            except Exception as error:
                said = f"Claim {name} for {about} failed error: {_words_of(error)}"
                self._tell(statefulset, "create", said, ok=False)
                raise
            self._tell(statefulset, "create", f"Claim {name} {about} success")

    def _delete(self, statefulset: Document, pod: Document) -> None:
        name = meta.name_of(pod)
        about = f"Pod {name} in StatefulSet {meta.name_of(statefulset)}"
        try:
            self.api.delete("Pod", name, meta.namespace_of(pod), uid=meta.uid_of(pod))
        except NotFound:
            return  # its news is on the way
        except Exception as error:
            self._tell(statefulset, "delete", f"{about} failed error: {_words_of(error)}", ok=False)
            raise
        self.counts["deleted"] += 1
        self._tell(statefulset, "delete", f"{about} successful")

    def _tell(self, statefulset: Document, verb: str, rest: str, *, ok: bool = True) -> None:
        reason = ("Successful" if ok else "Failed") + verb.title()
        kind = "Normal" if ok else "Warning"
        self.recorder.event(statefulset, kind, reason, f"{verb} {rest}")

    # -- telling --------------------------------------------------------------------------------

    def _write_status(self, statefulset: Document, spec: SetSpec, facts: list[SetPod]) -> None:
        old = statefulset.get("status") or {}
        new = status_of(spec, facts, old.get("currentRevision", ""), self.clock.now())
        new["observedGeneration"] = meta.generation_of(statefulset)
        new["collisionCount"] = 0
        if new != old:
            self.api.update_status({**statefulset, "status": new})
            self._trim_revisions(statefulset, new)

    def _remember(
        self, key: str, statefulset: Document, pods: dict[int, Document], decided: Plan
    ) -> None:
        """A decision record, unless it would say what the last one said."""
        steps, unless = self._why(statefulset, pods, decided)
        words = "".join(str(dict(step.inputs)) for step in steps[1:])
        if not (decided.create or decided.delete) and self._last_reason.get(key) == (
            decided.reason + words
        ):
            return
        self._last_reason[key] = decided.reason + words
        name = meta.name_of(statefulset)
        did = [f"create {name}-{o}" for o in decided.create]
        did += [f"delete {name}-{o}" for o in decided.delete]
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(statefulset),
                component=self.name,
                object=meta.reference("statefulset", meta.key_of(statefulset)),
                verdict=", ".join(did) or f"nothing to do: {decided.reason}",
                steps=tuple(steps),
                binding=decided.reason,
                would_change_if=unless,
                data={"create": list(decided.create), "delete": list(decided.delete)},
            )
        )

    def _why(
        self, statefulset: Document, pods: dict[int, Document], decided: Plan
    ) -> tuple[list[RuleStep], str]:
        """The figures, and what the pod that holds everything up waits for itself."""
        spec, facts = statefulset["spec"], [self._facts(o, pod) for o, pod in pods.items()]
        inputs = {
            "replicas": spec["replicas"],
            "pods": len(pods),
            "healthy": sum(pod.healthy for pod in facts),
            "policy": spec["podManagementPolicy"],
        }
        steps = [RuleStep("compare", inputs, decided.reason, SOURCE)]
        pod = pods.get(decided.waits_for) if decided.waits_for is not None else None
        if pod is None or decided.create or decided.delete:
            return steps, "spec.replicas, the template, or a pod's state changes"
        name, word = meta.name_of(pod), why_not_ready(pod)
        if word not in STARTING:
            steps.append(RuleStep("pod", families({word: 1}), f"{name}: {word}"))
        unless = f"{name} becomes available"
        this = self._spec_of(statefulset)
        kept = meta.labels_of(pod).get(REVISION_HASH_LABEL, "")
        wanted = revision_for(this, decided.waits_for or 0, kept)
        if kept != wanted and not this.parallel and not meta.is_terminating(pod):
            said = f"{name} is of {kept}; a pod that is not ready is not replaced by {wanted}"
            steps.append(RuleStep("forced rollback", {"has": kept, "wants": wanted}, said, REPAIR))
            unless += f", or somebody deletes {name}: a new template alone does not repair it"
        return steps, unless


def _words_of(error: BaseException) -> str:
    """An error as the API server words it, without our hints."""
    return error.message if isinstance(error, StatusError) else str(error)


def _owner_uid_or_orphan(pod: Document) -> Iterable[str]:
    """Orphans are found under their namespace."""
    controller = meta.controller_of(pod)
    return [controller["uid"] if controller is not None else meta.namespace_of(pod)]
