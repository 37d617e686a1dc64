"""The persistent volume controller: binds claims to volumes, and reclaims volumes.

A claim gets the volume that names it, else the smallest one that fits, else a new one of its
StorageClass; a claim of a class with WaitForFirstConsumer waits until the scheduler has chosen a
node for its pod. A volume whose claim is gone is kept, deleted or recycled by its reclaim policy.
`plan` decides; the controller reads and writes.

Ours keeps the phases, annotations and Events of upstream, and looks again at claims that wait every
15 s. It leaves out in-tree provisioners: `provisioner` simulates an external one. A new volume is
offered to waiting claims at once (upstream: within 15 s).

Source: pkg/controller/volume/persistentvolume/pv_controller.go, pv_controller_base.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, RuleStep, Tools
from kubesim.controllers.persistentvolume.plan import (
    BIND,
    BOUND,
    DELETE,
    LOSE,
    PROVISION,
    RECYCLE,
    UNBIND,
    WAIT,
    ClaimPlan,
    VolumePlan,
    plan_claim,
    plan_volume,
    unbound,
    without,
)
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.kindnames import (
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    STORAGE_CLASS,
)
from kubesim.objects.pods import node_of
from kubesim.objects.volumes import (
    BETA_STORAGE_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    STORAGE_PROVISIONER,
    bound_volume,
    claim_names,
    class_of_claim,
    default_class,
    has_class,
    is_fully_bound,
)

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ObjectMetaDict,
        PersistentVolumeClaimDict,
        PersistentVolumeClaimStatusDict,
        PersistentVolumeDict,
        PersistentVolumeStatusDict,
        StorageClassDict,
    )

SYNC_SECONDS = 15.0  # pvClaimBinderSyncPeriod
SOURCE = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding"
CHANGES = {  # what would change a decision about a claim, by its action
    PROVISION: "the provisioner makes a volume",
    WAIT: "a pod that uses the claim is scheduled",
    LOSE: "the claim is deleted and created again",
}


class PersistentVolumeController(Controller):
    """Reconciles claims and volumes; keys are ``claim/NAMESPACE/NAME`` and ``volume/NAME``."""

    name = "persistentvolume-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._volumes = self.informer(PERSISTENT_VOLUME, self._volume_changed)
        self._claims = self.informer(PERSISTENT_VOLUME_CLAIM, self._claim_changed)
        self._classes = self.informer(STORAGE_CLASS, self._class_changed)

    # -- watch events ---------------------------------------------------------------------------

    def _claim_changed(self, event: ResourceEvent[PersistentVolumeClaimDict]) -> Iterable[str]:
        claim = event.object
        if event.type == "DELETED":
            self.forget_decisions(claim)
            volume = (claim.get("spec") or {}).get("volumeName")
            if volume:
                yield f"volume/{volume}"
        else:
            yield f"claim/{meta.key_of(claim)}"

    def _volume_changed(self, event: ResourceEvent[PersistentVolumeDict]) -> Iterable[str]:
        volume = event.object
        if event.type != "DELETED":
            yield f"volume/{meta.name_of(volume)}"
        reference = (volume.get("spec") or {}).get("claimRef")
        if reference is not None:
            yield f"claim/{reference.get('namespace')}/{reference.get('name')}"
        elif event.type != "DELETED" and (volume.get("status") or {}).get("phase") == "Available":
            yield from self._waiting_claims()

    def _class_changed(self, event: ResourceEvent[StorageClassDict]) -> Iterable[str]:
        return self._waiting_claims() if event.type == "ADDED" else ()

    def _waiting_claims(self) -> Iterable[str]:
        for claim in self._claims.list():
            if not is_fully_bound(claim):
                yield f"claim/{meta.key_of(claim)}"

    # -- reconcile ------------------------------------------------------------------------------

    def about(self, key: str) -> PersistentVolumeClaimDict | PersistentVolumeDict | None:
        """Return the claim or the volume."""
        kind, _, name = key.partition("/")
        return self._claims.get(name) if kind == "claim" else self._volumes.get(name)

    def reconcile(self, key: str) -> None:
        """Plan for a claim or a volume, and do it."""
        kind, _, rest = key.partition("/")
        if kind == "volume":
            volume = self.api.peek(PERSISTENT_VOLUME, rest)
            if volume is not None:
                self._sync_volume(volume)
            return
        namespace, _, name = rest.partition("/")
        claim = self.api.peek(PERSISTENT_VOLUME_CLAIM, name, namespace)
        if claim is not None:
            self._sync_claim(claim)

    # -- claims ---------------------------------------------------------------------------------

    def _sync_claim(self, claim: PersistentVolumeClaimDict) -> None:
        named = (claim.get("spec") or {}).get("volumeName")
        if named:
            own = self.api.peek(PERSISTENT_VOLUME, named)
            volumes = [] if own is None else [own]
        else:
            volumes = self.api.snapshot(PERSISTENT_VOLUME)[0]
        storage_class = None
        if name := class_of_claim(claim):
            storage_class = self.api.peek(STORAGE_CLASS, name)
        plan = plan_claim(claim, volumes, storage_class)
        if plan.action == WAIT:
            plan = plan_claim(claim, volumes, storage_class, self._unscheduled_pods(claim))
        self._record(claim, plan)
        if plan.action == BIND and plan.volume is not None:
            self._bind(plan.volume, claim)
            return
        if plan.action != LOSE and not has_class(claim) and self._set_default_class(claim):
            return
        if plan.event is not None and (plan.action != LOSE or _phase(claim) != "Lost"):
            self.recorder.event(claim, *plan.event)
        if plan.action == LOSE:
            self._set_claim_phase(claim, "Lost")
            return
        if plan.action == PROVISION and storage_class is not None:
            self._ask_provisioner(claim, storage_class)
        else:
            self._set_claim_phase(claim, "Pending")
        self.queue.add_after(f"claim/{meta.key_of(claim)}", SYNC_SECONDS)

    def _unscheduled_pods(self, claim: PersistentVolumeClaimDict) -> list[str]:
        """Return the names of the pods that use a claim and are on no node yet."""
        pods = self.api.snapshot(POD, meta.namespace_of(claim))[0]
        name = meta.name_of(claim)
        return [meta.name_of(p) for p in pods if not node_of(p) and name in claim_names(p)]

    def _set_default_class(self, claim: PersistentVolumeClaimDict) -> bool:
        """Give a claim without a class the default one, if there is one by now."""
        chosen = default_class(self._classes.list())
        if chosen is None:
            return False
        spec = {**claim["spec"], "storageClassName": meta.name_of(chosen)}
        self.api.update({**claim, "spec": spec})
        return True

    def _ask_provisioner(
        self, claim: PersistentVolumeClaimDict, storage_class: StorageClassDict
    ) -> None:
        """Name the provisioner in the claim: it makes the volume."""
        provisioner = str(storage_class.get("provisioner"))
        annotations = meta.annotations_of(claim)
        if annotations.get(STORAGE_PROVISIONER) != provisioner:
            named = dict.fromkeys((BETA_STORAGE_PROVISIONER, STORAGE_PROVISIONER), provisioner)
            metadata = {**claim["metadata"], "annotations": {**annotations, **named}}
            self.api.update({**claim, "metadata": metadata})

    def _bind(self, volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> None:
        """Write the binding into both objects, the volume first; each step may be done already."""
        bound = bound_volume(volume, claim)
        if bound is not volume:
            volume = self.api.update(bound)
            self.counts["bound"] += 1
        volume = self._set_volume_phase(volume, BOUND)
        annotations = dict(meta.annotations_of(claim))
        spec = claim["spec"]
        if spec.get("volumeName") != meta.name_of(volume):
            spec = {**spec, "volumeName": meta.name_of(volume)}
            annotations[BOUND_BY_CONTROLLER] = "yes"
        annotations[BIND_COMPLETED] = "yes"
        if spec is not claim["spec"] or annotations != meta.annotations_of(claim):
            metadata: ObjectMetaDict = {**claim["metadata"], "annotations": annotations}
            new: PersistentVolumeClaimDict = {**claim, "metadata": metadata, "spec": spec}
            claim = self.api.update(new)
        self._set_claim_phase(claim, BOUND, volume)

    def _set_claim_phase(
        self,
        claim: PersistentVolumeClaimDict,
        phase: str,
        volume: PersistentVolumeDict | None = None,
    ) -> None:
        """Write the phase of a claim; a bound one has access modes and capacity of its volume."""
        old = claim.get("status") or {}
        new: PersistentVolumeClaimStatusDict = {**old, "phase": phase}
        if volume is None:
            new = without(new, "accessModes", "capacity")
        else:
            new["accessModes"] = list(volume["spec"].get("accessModes") or ())
            if old.get("phase") != BOUND or not old.get("capacity"):
                new["capacity"] = dict(volume["spec"].get("capacity") or {})
        if new != old:
            self.api.update_status({**claim, "status": new})

    # -- volumes --------------------------------------------------------------------------------

    def _sync_volume(self, volume: PersistentVolumeDict) -> None:
        reference = volume["spec"].get("claimRef")
        claim = None
        if reference is not None:
            name, namespace = str(reference.get("name")), reference.get("namespace")
            claim = self.api.peek(PERSISTENT_VOLUME_CLAIM, name, namespace)
        plan = plan_volume(volume, claim)
        before = _phase(volume)
        if plan.phase:
            message = plan.event[2] if plan.event is not None and plan.phase == "Failed" else ""
            volume = self._set_volume_phase(volume, plan.phase, message)
        if plan.event is not None and (plan.phase != "Failed" or before != "Failed"):
            self.recorder.event(volume, *plan.event)
        self._execute(volume, plan)
        if plan.claim and claim is not None:
            self.queue.add(f"claim/{meta.key_of(claim)}")

    def _execute(self, volume: PersistentVolumeDict, plan: VolumePlan) -> None:
        if plan.action == DELETE:
            try:
                self.api.delete("PersistentVolume", meta.name_of(volume), uid=meta.uid_of(volume))
            except NotFound:
                return
        elif plan.action in (RECYCLE, UNBIND):
            volume = self.api.update(unbound(volume))
            self._set_volume_phase(volume, "Available")

    def _set_volume_phase(
        self, volume: PersistentVolumeDict, phase: str, message: str = ""
    ) -> PersistentVolumeDict:
        """Write the phase of a volume, and since when it is in it."""
        old = volume.get("status") or {}
        if old.get("phase") == phase and (old.get("message") or "") == message:
            return volume
        new: PersistentVolumeStatusDict = {
            **without(old, "message", "reason"),
            "phase": phase,
            "lastPhaseTransitionTime": self.clock.timestamp(),
        }
        if message:
            new["message"] = message
        changed: PersistentVolumeDict = {**volume, "status": new}
        return self.api.update_status(changed)

    # -- decision records -----------------------------------------------------------------------

    def _record(self, claim: PersistentVolumeClaimDict, plan: ClaimPlan) -> None:
        """Record why a claim is bound, or what it waits for."""
        spec = claim.get("spec") or {}
        inputs: dict[str, object] = {
            "class": class_of_claim(claim) or "(none)",
            "requests": (spec.get("resources") or {}).get("requests") or {},
            "accessModes": spec.get("accessModes") or [],
        }
        if plan.volume is not None:
            verdict = f"bound to the volume {meta.name_of(plan.volume)}"
            reason = "the volume that names the claim, or else the smallest one that fits"
        elif plan.event is not None:
            verdict, reason = f"not bound: {plan.event[2]}", plan.event[1]
        else:
            verdict = f"not bound: the volume {spec.get('volumeName')} does not exist, or is taken"
            reason = "spec.volumeName"
        change = "" if plan.volume is not None else CHANGES.get(plan.action, _MORE_VOLUMES)
        self.decide(
            claim,
            verdict,
            steps=(RuleStep("find a volume", inputs, reason, SOURCE),),
            binding=reason,
            would_change_if=change,
            signature=verdict,
            acted=False,
        )


_MORE_VOLUMES = (
    "somebody creates a volume that fits (class, access modes, size), or the claim names a "
    "StorageClass with a provisioner"
)


def _phase(document: PersistentVolumeClaimDict | PersistentVolumeDict) -> str:
    return str((document.get("status") or {}).get("phase") or "")
