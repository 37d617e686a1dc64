"""The protection controllers: claims in use and bound volumes are not removed.

A claim that is being deleted keeps its finalizer ``kubernetes.io/pvc-protection`` while a pod on a
node uses it, a volume ``kubernetes.io/pv-protection`` while it is bound. Upstream has a controller
for each; ours is one. Pods are watched once a claim in use is being deleted.

Source: pkg/controller/volume/pvcprotection/pvc_protection_controller.go,
pkg/controller/volume/pvprotection/pv_protection_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, RuleStep, Tools
from kubesim.controllers.persistentvolume.plan import without
from kubesim.objects import meta
from kubesim.objects.kindnames import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.volumes import CLAIM_FINALIZER, VOLUME_FINALIZER, claim_name_of

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ObjectMetaDict,
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        PodDict,
    )

D = TypeVar("D", "PersistentVolumeClaimDict", "PersistentVolumeDict")
SOURCE = (
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/"
    "#storage-object-in-use-protection"
)


def uses_claim(pod: PodDict, name: str) -> bool:
    """Return whether a pod holds a claim: it is on a node, and has it as a volume.

    A finished pod still does, unless the claim is that of an ephemeral volume.

    Args:
        pod: a pod of the claim's namespace.
        name: of the claim.
    """
    if not node_of(pod):
        return False
    for volume in pod["spec"].get("volumes") or ():
        if claim_name_of(volume, meta.name_of(pod)) == name:
            if volume.get("ephemeral") is None or not is_finished(pod):
                return True
    return False


class VolumeProtectionController(Controller):
    """Sets and removes the finalizers of claims and volumes."""

    name = "pvc-protection-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._claims = self.informer(PERSISTENT_VOLUME_CLAIM, self._claim_changed)
        self._volumes = self.informer(PERSISTENT_VOLUME, self._volume_changed)
        self._pods = self.informer(POD, self._pod_changed, on_demand=True)
        self._watches_pods = False

    def _claim_changed(self, event: ResourceEvent[PersistentVolumeClaimDict]) -> Iterable[str]:
        if event.type != "DELETED" and _is_due(event.object, CLAIM_FINALIZER):
            yield f"claim/{meta.key_of(event.object)}"

    def _volume_changed(self, event: ResourceEvent[PersistentVolumeDict]) -> Iterable[str]:
        if event.type != "DELETED" and _is_due(event.object, VOLUME_FINALIZER):
            yield f"volume/{meta.name_of(event.object)}"

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        pod = event.object
        if event.type != "DELETED" and not is_finished(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if name := claim_name_of(volume, meta.name_of(pod)):
                yield f"claim/{meta.namespace_of(pod)}/{name}"

    def reconcile(self, key: str) -> None:
        """Add a missing finalizer; remove it from an object that is deleted and not in use."""
        kind, _, rest = key.partition("/")
        if kind == "volume":
            volume = self.api.peek(PERSISTENT_VOLUME, rest)
            if volume is not None and _is_due(volume, VOLUME_FINALIZER):
                bound = (volume.get("status") or {}).get("phase") == "Bound"
                user = "it is bound to a claim" if bound else ""
                self._sync(volume, VOLUME_FINALIZER, user, "the claim is deleted")
            return
        namespace, _, name = rest.partition("/")
        claim = self.api.peek(PERSISTENT_VOLUME_CLAIM, name, namespace)
        if claim is not None and _is_due(claim, CLAIM_FINALIZER):
            pods = self._users(claim) if meta.is_terminating(claim) else []
            user = f"it is used by the pod {', '.join(pods)}" if pods else ""
            self._sync(claim, CLAIM_FINALIZER, user, "its pods are deleted")

    def _users(self, claim: PersistentVolumeClaimDict) -> list[str]:
        """Return the names of the pods that hold a claim; from then on pods are watched."""
        pods = self.api.snapshot(POD, meta.namespace_of(claim))[0]
        users = [meta.name_of(pod) for pod in pods if uses_claim(pod, meta.name_of(claim))]
        if users and not self._watches_pods:
            self._watches_pods = True
            self.demand()
            # Look again once the pods are listed: they may be gone by then.
            self.queue.add(f"claim/{meta.key_of(claim)}")
        return users

    def _sync(self, document: D, finalizer: str, user: str, change: str) -> None:
        finalizers = list(document["metadata"].get("finalizers") or ())
        if not meta.is_terminating(document):
            finalizers.append(finalizer)
        elif user:
            self.decide(
                document,
                f"not deleted yet: {user}",
                steps=(RuleStep("in use", {"finalizer": finalizer}, user, SOURCE),),
                binding=finalizer,
                would_change_if=change,
                signature=user,
                acted=False,
            )
            return
        else:
            finalizers.remove(finalizer)
        metadata: ObjectMetaDict = {**document["metadata"], "finalizers": finalizers}
        if not finalizers:
            metadata = without(metadata, "finalizers")
        self.api.update({**document, "metadata": metadata})


def _is_due(document: PersistentVolumeClaimDict | PersistentVolumeDict, finalizer: str) -> bool:
    """Return whether the finalizer is missing, or its object is being deleted."""
    has_it = finalizer in (document["metadata"].get("finalizers") or ())
    return has_it == meta.is_terminating(document)
