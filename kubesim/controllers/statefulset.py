"""The StatefulSet controller: keeps numbered pods as their StatefulSet wants them.

What to do is decided by `statefulset_plan.plan`; this file reads, acts and writes the status. Kill
a pod and it comes back under its name; shrink the set and the highest numbers go.

Ours keeps both management policies, rolling updates with a partition, revisions (as
ControllerRevision objects), status and events to the letter. It leaves out: volume claims,
`maxUnavailable` (behind a gate), automatic rollback, trimming of old revisions by use.

Source: pkg/controller/statefulset/stateful_set_control.go, stateful_pod_control.go,
pkg/controller/history/controller_history.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, Step
from kubesim.clock import keyed_bytes
from kubesim.controllers.statefulset_plan import (
    Plan,
    SetPod,
    SetSpec,
    ordinal_of,
    plan,
    revision_for,
)
from kubesim.errors import AlreadyExists
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.pods import is_ready, phase_of

REVISION_LABEL = "controller-revision-hash"
NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/"


class StatefulSetController(Controller):
    """Reconciles StatefulSets, one key at a time."""

    name = "statefulset-controller"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sets = self.informer("StatefulSet", lambda event: [meta.key_of(event.object)])
        self._pods = self.informer("Pod", self._owners, indexers={"owner": _owner_uid})
        self._last_reason: dict[str, str] = {}

    def _owners(self, event: ResourceEvent) -> Iterable[str]:
        controller = meta.controller_of(event.object)
        if controller is not None and controller["kind"] == "StatefulSet":
            yield f"{meta.namespace_of(event.object)}/{controller['name']}"

    def about(self, key: str) -> Document | None:
        """The StatefulSet itself."""
        return self._sets.get(key)

    def reconcile(self, key: str) -> None:
        """One pass: plan, act, write the status."""
        statefulset = self._sets.get(key)
        if statefulset is None:
            self._last_reason.pop(key, None)
            return  # the garbage collector sees to its pods
        if meta.is_terminating(statefulset):
            return
        pods = self._pods_of(statefulset)
        spec = self._spec_of(statefulset)
        self._ensure_revision(statefulset, spec.update_revision)
        facts = [self._facts(ordinal, pod) for ordinal, pod in pods.items()]
        decided = plan(spec, facts, self.clock.now())
        self._remember(key, statefulset, facts, decided)
        for ordinal in decided.create:
            self._create(statefulset, spec, ordinal)
        for ordinal in decided.delete:
            self._delete(statefulset, pods[ordinal])
        if decided.look_again is not None:
            self.queue.add_after(key, max(0.0, decided.look_again - self.clock.now()))
        self._write_status(statefulset, spec, facts)

    # -- reading --------------------------------------------------------------------------------

    def _pods_of(self, statefulset: Document) -> dict[int, Document]:
        found: dict[int, Document] = {}
        for pod in self._pods.by_index("owner", meta.uid_of(statefulset)):
            ordinal = ordinal_of(meta.name_of(statefulset), meta.name_of(pod))
            if ordinal is not None:
                found[ordinal] = pod
        return dict(sorted(found.items()))

    def _spec_of(self, statefulset: Document) -> SetSpec:
        spec = statefulset["spec"]
        strategy = spec.get("updateStrategy") or {}
        return SetSpec(
            name=meta.name_of(statefulset),
            replicas=spec["replicas"],
            start=(spec.get("ordinals") or {}).get("start", 0),
            parallel=spec["podManagementPolicy"] == "Parallel",
            rolling=strategy.get("type", "RollingUpdate") == "RollingUpdate",
            partition=(strategy.get("rollingUpdate") or {}).get("partition", 0),
            min_ready_seconds=spec.get("minReadySeconds", 0),
            update_revision=template_revision(meta.name_of(statefulset), spec["template"]),
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
            revision=meta.labels_of(pod).get(REVISION_LABEL, ""),
        )

    # -- acting ---------------------------------------------------------------------------------

    def _ensure_revision(self, statefulset: Document, revision: str) -> None:
        """Keep the template under its revision, so that it can be used again."""
        namespace = meta.namespace_of(statefulset)
        if self.api.peek("ControllerRevision", revision, namespace) is not None:
            return
        number = sum(
            meta.is_owned_by(known, statefulset)
            for known in self.api.snapshot("ControllerRevision", namespace)[0]
        )
        self.api.create(
            {
                "kind": "ControllerRevision",
                "metadata": {
                    "name": revision,
                    "namespace": namespace,
                    "labels": dict(meta.labels_of(statefulset["spec"]["template"])),
                    "ownerReferences": [meta.owner_reference(statefulset)],
                },
                "revision": number + 1,
                "data": {"spec": {"template": statefulset["spec"]["template"]}},
            }
        )

    def _template(self, statefulset: Document, revision: str, spec: SetSpec) -> Document:
        if revision != spec.update_revision:
            namespace = meta.namespace_of(statefulset)
            kept = self.api.peek("ControllerRevision", revision, namespace)
            if kept is not None:
                return thaw(kept["data"]["spec"]["template"])  # type: ignore[no-any-return]
        return thaw(statefulset["spec"]["template"])  # type: ignore[no-any-return]

    def _create(self, statefulset: Document, spec: SetSpec, ordinal: int) -> None:
        name = f"{spec.name}-{ordinal}"
        current = (statefulset.get("status") or {}).get("currentRevision", "")
        revision = revision_for(spec, ordinal, current)
        template = self._template(statefulset, revision, spec)
        metadata = template.setdefault("metadata", {})
        labels = metadata.setdefault("labels", {})
        labels.update({REVISION_LABEL: revision, NAME_LABEL: name, INDEX_LABEL: str(ordinal)})
        metadata.update(
            name=name,
            namespace=meta.namespace_of(statefulset),
            ownerReferences=[meta.owner_reference(statefulset)],
        )
        template["spec"].setdefault("hostname", name)
        template["spec"].setdefault("subdomain", statefulset["spec"].get("serviceName", ""))
        pod = {"kind": "Pod", "apiVersion": "v1", **template}
        try:
            self.api.create(pod)
        except AlreadyExists:
            # A pod of that name whose news has not come yet, or somebody else's: look again then.
            raise
        except Exception as error:
            said = f"create Pod {name} in StatefulSet {spec.name} failed error: {error}"
            self.recorder.event(statefulset, "Warning", "FailedCreate", said)
            raise
        self.counts["created"] += 1
        said = f"create Pod {name} in StatefulSet {spec.name} successful"
        self.recorder.event(statefulset, "Normal", "SuccessfulCreate", said)

    def _delete(self, statefulset: Document, pod: Document) -> None:
        name = meta.name_of(pod)
        self.api.delete("Pod", name, meta.namespace_of(pod), uid=meta.uid_of(pod))
        self.counts["deleted"] += 1
        said = f"delete Pod {name} in StatefulSet {meta.name_of(statefulset)} successful"
        self.recorder.event(statefulset, "Normal", "SuccessfulDelete", said)

    # -- telling --------------------------------------------------------------------------------

    def _write_status(self, statefulset: Document, spec: SetSpec, facts: list[SetPod]) -> None:
        old = statefulset.get("status") or {}
        new = status_of(spec, facts, old.get("currentRevision", ""), self.clock.now())
        new["observedGeneration"] = meta.generation_of(statefulset)
        new["collisionCount"] = 0
        if new != old:
            self.api.update_status({**statefulset, "status": new})

    def _remember(
        self, key: str, statefulset: Document, facts: list[SetPod], decided: Plan
    ) -> None:
        """A decision record, unless it would say what the last one said."""
        if not (decided.create or decided.delete) and self._last_reason.get(key) == decided.reason:
            return
        self._last_reason[key] = decided.reason
        name, namespace = meta.name_of(statefulset), meta.namespace_of(statefulset)
        healthy = sum(pod.healthy for pod in facts)
        inputs = {
            "replicas": statefulset["spec"]["replicas"],
            "pods": len(facts),
            "healthy": healthy,
            "policy": statefulset["spec"]["podManagementPolicy"],
        }
        did = [f"create {name}-{o}" for o in decided.create]
        did += [f"delete {name}-{o}" for o in decided.delete]
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(statefulset),
                component=self.name,
                object=f"statefulset/{name if namespace == 'default' else f'{namespace}/{name}'}",
                verdict=", ".join(did) or f"nothing to do: {decided.reason}",
                steps=(Step("compare", inputs, decided.reason, SOURCE),),
                binding=decided.reason,
                would_change_if="spec.replicas, the template, or a pod's state changes",
                data={"create": list(decided.create), "delete": list(decided.delete)},
            )
        )


def template_revision(set_name: str, template: Document) -> str:
    """The name of a template's revision: a stable hash of its content.

    Upstream hashes a Go memory dump, which nobody outside Go can repeat; any stable hash will do.
    """
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(keyed_bytes(text, 4), "big")
    digits = "".join("bcdfghjklmnpqrstvwxz2456789"[ord(digit) % 27] for digit in str(number))
    return f"{set_name}-{digits}"


def status_of(spec: SetSpec, pods: list[SetPod], current_revision: str, now: float) -> Document:
    """status of a StatefulSet; terminating pods count in `replicas` but not as current or updated.

    Args:
        spec: what is wanted.
        pods: the pods of the set.
        current_revision: of the status so far; "" at first.
        now: in seconds.
    """
    current = current_revision or spec.update_revision
    alive = [pod for pod in pods if not pod.terminating]
    updated = sum(pod.revision == spec.update_revision for pod in alive)
    ready = sum(pod.healthy for pod in pods)
    if spec.rolling and updated == ready == spec.replicas == len(pods):
        current = spec.update_revision  # the update is done
    return {
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": sum(pod.available(spec.min_ready_seconds, now) for pod in pods),
        "currentReplicas": sum(pod.revision == current for pod in alive),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": spec.update_revision,
    }


def _owner_uid(pod: Document) -> Iterable[str]:
    controller = meta.controller_of(pod)
    return [controller["uid"]] if controller is not None else []
