"""The ephemeral volume controller: makes the claim of each generic ephemeral volume of a pod.

The claim is named by pod and volume, and owned by the pod, so that it is deleted with it. A claim
of that name that another owner has is left alone; the scheduler refuses the pod then.

Ours watches pods that are on no node: the claim of a pod that names its node itself is not made.

Source: pkg/controller/volume/ephemeral/controller.go (syncHandler, handleVolume).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.errors import AlreadyExists
from kubesim.objects import meta
from kubesim.objects.kindnames import PERSISTENT_VOLUME_CLAIM, POD
from kubesim.objects.volumes import claim_name_of

if TYPE_CHECKING:
    from kubesim.objects.types import ObjectMetaDict, PersistentVolumeClaimDict, PodDict, VolumeDict


def claim_for(pod: PodDict, volume: VolumeDict) -> PersistentVolumeClaimDict:
    """Return the claim of an ephemeral volume.

    Args:
        pod: the pod, with its uid.
        volume: an entry of spec.volumes with `ephemeral`.

    >>> pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "uid": "1"}}
    >>> claim_for(pod, {"name": "scratch", "ephemeral": {}})["metadata"]["name"]
    'p-scratch'
    """
    template = volume["ephemeral"].get("volumeClaimTemplate") or {}
    of_template = template.get("metadata") or {}
    metadata: ObjectMetaDict = {
        "name": claim_name_of(volume, meta.name_of(pod)),
        "namespace": meta.namespace_of(pod),
        "ownerReferences": [meta.owner_reference({"apiVersion": "v1", "kind": "Pod", **pod})],
    }
    if annotations := of_template.get("annotations"):
        metadata["annotations"] = annotations
    if labels := of_template.get("labels"):
        metadata["labels"] = labels
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": template.get("spec") or {},
    }


class EphemeralVolumeController(Controller):
    """Makes the claims of pods with ephemeral volumes."""

    name = "ephemeral-volume-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._pods = self.informer(POD, self._pod_changed, field_selector="spec.nodeName=")

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        volumes = event.object["spec"].get("volumes")
        if volumes and event.type != "DELETED":
            if any(volume.get("ephemeral") is not None for volume in volumes):
                yield meta.key_of(event.object)

    def about(self, key: str) -> PodDict | None:
        """Return the pod itself."""
        return self._pods.get(key)

    def reconcile(self, key: str) -> None:
        """Make the claims that do not exist."""
        namespace, _, name = key.partition("/")
        pod = self.api.peek(POD, name, namespace)
        if pod is None or meta.is_terminating(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if volume.get("ephemeral") is None:
                continue
            claim = claim_for(pod, volume)
            if self.api.peek(PERSISTENT_VOLUME_CLAIM, meta.name_of(claim), namespace) is None:
                try:
                    self.api.create(claim)
                    self.counts["created"] += 1
                except AlreadyExists:
                    continue
