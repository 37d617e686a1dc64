"""A simulated external attacher: attaches and detaches what VolumeAttachments name.

It serves every driver. Attaching takes as long as the class of the volume says (annotation
``kubesim.dev/mount-seconds``; 0 s without it); detaching takes no time.

Source: github.com/kubernetes-csi/external-attacher/pkg/controller/csi_handler.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.objects import meta
from kubesim.objects.attachments import (
    ATTACHMENT,
    VolumeAttachmentDict,
    is_attached,
    volume_of_attachment,
)
from kubesim.objects.kindnames import PERSISTENT_VOLUME, STORAGE_CLASS
from kubesim.objects.volumes import class_of_volume, mount_seconds_of

if TYPE_CHECKING:
    from kubesim.objects.types import ObjectMetaDict

FINALIZER = "external-attacher/{}"


class VolumeAttacher(Controller):
    """Attaches and detaches volumes; keys are names of VolumeAttachments."""

    name = "volume-attacher"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._attachments = self.informer(ATTACHMENT, self._changed)
        self._ready_at: dict[str, float] = {}  # uid of an attachment -> when it is attached

    def _changed(self, event: ResourceEvent[VolumeAttachmentDict]) -> Iterable[str]:
        attachment = event.object
        if event.type == "DELETED":
            self._ready_at.pop(meta.uid_of(attachment), None)
        elif meta.is_terminating(attachment) or not is_attached(attachment):
            yield meta.name_of(attachment)

    def reconcile(self, key: str) -> None:
        """Attach the volume, or detach it and let the object go."""
        attachment = self.api.peek(ATTACHMENT, key)
        if attachment is None:
            return
        finalizer = FINALIZER.format(attachment["spec"]["attacher"].replace("/", "-"))
        finalizers = list(attachment["metadata"].get("finalizers") or ())
        if meta.is_terminating(attachment):
            if finalizer in finalizers:
                finalizers.remove(finalizer)
                self._set_finalizers(attachment, finalizers)
                self.counts["detached"] += 1
            return
        if is_attached(attachment):
            return
        if finalizer not in finalizers:
            attachment = self._set_finalizers(attachment, [*finalizers, finalizer])
        uid = meta.uid_of(attachment)
        if uid not in self._ready_at:
            self._ready_at[uid] = self.clock.now() + self._seconds(attachment)
        remaining = self._ready_at[uid] - self.clock.now()
        if remaining > 0:
            self.queue.add_after(key, remaining)
            return
        del self._ready_at[uid]
        self.api.update_status({**attachment, "status": {"attached": True}})
        self.counts["attached"] += 1

    def _set_finalizers(
        self, attachment: VolumeAttachmentDict, finalizers: list[str]
    ) -> VolumeAttachmentDict:
        metadata: ObjectMetaDict = {**attachment["metadata"], "finalizers": finalizers}
        changed: VolumeAttachmentDict = {**attachment, "metadata": metadata}
        return self.api.update(changed)

    def _seconds(self, attachment: VolumeAttachmentDict) -> float:
        """Return how long attaching takes."""
        name = volume_of_attachment(attachment)
        volume = self.api.peek(PERSISTENT_VOLUME, name) if name else None
        class_name = "" if volume is None else class_of_volume(volume)
        storage_class = self.api.peek(STORAGE_CLASS, class_name) if class_name else None
        return 0.0 if storage_class is None else mount_seconds_of(storage_class)
