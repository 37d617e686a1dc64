"""The attach/detach controller: attaches volumes to the nodes of their pods, and detaches them.

For each CSI volume that a pod on a node needs it creates a VolumeAttachment; when that is attached,
the volume stands in the node's `status.volumesAttached`, and the kubelet mounts it. A volume that
no pod needs on a node is detached once the node no longer reports it in `status.volumesInUse`; at
once if the node is tainted out-of-service, and 6 minutes later if it is not ready. A volume that
one node alone may have waits until it has left the other one: FailedAttachVolume, Multi-Attach
error.

Ours watches pods, nodes and attachments from the first CSI volume on. It leaves out in-tree volumes
and the options to keep volumes of terminated pods and to forbid the detaching by force.

Source: pkg/controller/volume/attachdetach (attach_detach_controller.go, reconciler/reconciler.go,
statusupdater/node_status_updater.go), pkg/volume/csi/csi_attacher.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.controllers.attachdetach.plan import Attached, multi_attach_error, plan_attachments
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.attachments import (
    ATTACHMENT,
    CSI_DRIVER,
    VolumeAttachmentDict,
    attachment_name,
    has_terminated,
    is_attached,
    is_healthy,
    is_out_of_service,
    may_be_on_several_nodes,
    needs_attaching,
    unique_name,
    volume_of_attachment,
)
from kubesim.objects.kindnames import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kubesim.objects.pods import node_of
from kubesim.objects.volumes import claim_names
from kubesim.objects.wellknown import ATTACH_DETACH

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PersistentVolumeDict, PodDict
    from kubesim.objects.types.nodes import AttachedVolumeDict, NodeStatusDict


class AttachDetachController(Controller):
    """Reconciles where volumes are attached; keys are names of volumes."""

    name = "attachdetach-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._volumes = self.informer(PERSISTENT_VOLUME, self._volume_changed)
        self._attachments = self.informer(
            ATTACHMENT, self._attachment_changed, on_demand=True, indexers={"node": _nodes}
        )
        self._pods = self.informer(
            POD, self._pod_changed, on_demand=True, indexers={"claim": claims_in_use}
        )
        self._nodes = self.informer(NODE, self._node_changed, on_demand=True)
        self._deleted: dict[str, PersistentVolumeDict] = {}  # volumes that may be attached still
        self._since: dict[tuple[str, str], float] = {}  # (volume, node) -> no pod needs it there
        self._reported: set[tuple[str, str]] = set()  # (volume, pod's uid): Multi-Attach error

    # -- watch events ---------------------------------------------------------------------------

    def _volume_changed(self, event: ResourceEvent[PersistentVolumeDict]) -> Iterable[str]:
        name = meta.name_of(event.object)
        if (event.object.get("spec") or {}).get("csi") is None:
            return
        if event.type == "DELETED":
            self._deleted[name] = event.object
        else:
            self._deleted.pop(name, None)
        self.demand()
        yield name

    def _attachment_changed(self, event: ResourceEvent[VolumeAttachmentDict]) -> Iterable[str]:
        yield volume_of_attachment(event.object)

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        pod = event.object
        if not claim_names(pod):
            return
        before = claims_in_use(event.previous) if event.previous is not None else []
        after = claims_in_use(pod) if event.type != "DELETED" else []
        for key in set(before) ^ set(after):
            namespace, _, name = key.partition("/")
            claim = self.api.peek(PERSISTENT_VOLUME_CLAIM, name, namespace)
            if claim is not None and (volume := claim["spec"].get("volumeName")):
                yield volume

    def _node_changed(self, event: ResourceEvent[NodeDict]) -> Iterable[str]:
        node, previous = event.object, event.previous
        if event.type != "DELETED" and previous is not None and _state(node) == _state(previous):
            return
        for attachment in self._attachments.by_index("node", meta.name_of(node)):
            yield volume_of_attachment(attachment)

    # -- reconcile ------------------------------------------------------------------------------

    def about(self, key: str) -> PersistentVolumeDict | None:
        """Return the volume."""
        return self._volumes.get(key)

    def reconcile(self, key: str) -> None:
        """Attach a volume to the nodes that need it, and detach it from the others."""
        volume = self._volumes.get(key) or self._deleted.get(key)
        if volume is None:
            return
        attachments = {
            each["spec"]["nodeName"]: each
            for each in self.api.snapshot(ATTACHMENT)[0]
            if volume_of_attachment(each) == key
        }
        if not attachments:
            self._deleted.pop(key, None)
        users = self._users(volume)
        now = self.clock.now()
        states = {
            node: self._state_of(volume, node, attachments.get(node), node in users)
            for node in sorted({*attachments, *users})
        }
        plan = plan_attachments(states, shared=may_be_on_several_nodes(volume), now=now)
        for node in plan.detach:
            self._detach(volume, node, attachments[node])
        for node, attachment in attachments.items():
            if node in users and is_attached(attachment) and not meta.is_terminating(attachment):
                self._set_attached(volume, node, users[node])
        holders = {*attachments, *plan.attach}
        for node in plan.refused:
            others = [pod for name in users if name in holders - {node} for pod in users[name]]
            self._refuse(volume, users[node], others)
        for node in plan.attach:
            self._attach(volume, node)
        if plan.again_after is not None:
            self.queue.add_after(key, plan.again_after)

    def _users(self, volume: PersistentVolumeDict) -> dict[str, list[PodDict]]:
        """Return the pods that need a volume, by node; nodes without a kubelet are left out."""
        reference = volume["spec"].get("claimRef")
        driver_name = (volume["spec"].get("csi") or {}).get("driver") or ""
        driver = self.api.peek(CSI_DRIVER, driver_name) if driver_name else None
        if reference is None or not needs_attaching(volume, driver):
            return {}
        users: dict[str, list[PodDict]] = {}
        key = f"{reference.get('namespace')}/{reference.get('name')}"
        for pod in self._pods.by_index("claim", key):
            node = self.api.peek(NODE, node_of(pod))
            if node is not None and ATTACH_DETACH in meta.annotations_of(node):
                users.setdefault(node_of(pod), []).append(pod)
        return users

    def _state_of(
        self,
        volume: PersistentVolumeDict,
        node_name: str,
        attachment: VolumeAttachmentDict | None,
        desired: bool,
    ) -> Attached:
        """Return what is known of a volume on a node; note since when nobody needs it there.

        Args:
            volume: the volume.
            node_name: of the node.
            attachment: of both, if there is one.
            desired: whether a pod on the node needs the volume.
        """
        since = None
        place = meta.name_of(volume), node_name
        if desired or attachment is None:
            self._since.pop(place, None)
        else:
            since = self._since.setdefault(place, self.clock.now())
        node = self.api.peek(NODE, node_name)
        in_use = ((node or {}).get("status") or {}).get("volumesInUse") or ()
        return Attached(
            desired,
            attached=attachment is not None,
            leaving=attachment is not None and meta.is_terminating(attachment),
            in_use=unique_name(volume) in in_use,
            healthy=is_healthy(node),
            out_of_service=is_out_of_service(node),
            since=since,
        )

    def _attach(self, volume: PersistentVolumeDict, node: str) -> None:
        attachment: VolumeAttachmentDict = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "VolumeAttachment",
            "metadata": {"name": attachment_name(volume, node)},
            "spec": {
                "attacher": str((volume["spec"].get("csi") or {}).get("driver")),
                "nodeName": node,
                "source": {"persistentVolumeName": meta.name_of(volume)},
            },
        }
        self.api.create(attachment)
        self.counts["attach"] += 1

    def _detach(
        self, volume: PersistentVolumeDict, node_name: str, attachment: VolumeAttachmentDict
    ) -> None:
        """Take a volume from the node's status, then delete the attachment."""
        name, node = unique_name(volume), self.api.peek(NODE, node_name)
        if node is not None:
            attached = (node.get("status") or {}).get("volumesAttached") or []
            rest = [each for each in attached if each.get("name") != name]
            if len(rest) < len(attached):
                self.api.update_status(_with_attached(node, rest))
        try:
            self.api.delete("VolumeAttachment", meta.name_of(attachment))
            self.counts["detach"] += 1
        except NotFound:
            return

    def _set_attached(
        self, volume: PersistentVolumeDict, node_name: str, pods: Iterable[PodDict]
    ) -> None:
        """Report a volume as attached, in the node's status and to its pods, once."""
        name, node = unique_name(volume), self.api.peek(NODE, node_name)
        if node is None:
            return
        attached = list((node.get("status") or {}).get("volumesAttached") or ())
        if any(each.get("name") == name for each in attached):
            return
        self.api.update_status(_with_attached(node, [*attached, {"devicePath": "", "name": name}]))
        message = f'AttachVolume.Attach succeeded for volume "{meta.name_of(volume)}" '
        for pod in pods:
            self._reported.discard((meta.name_of(volume), meta.uid_of(pod)))
            self.recorder.event(pod, "Normal", "SuccessfulAttachVolume", message)

    def _refuse(
        self, volume: PersistentVolumeDict, pods: Iterable[PodDict], others: Iterable[PodDict]
    ) -> None:
        """Tell pods, once, that their volume is attached to another node.

        Args:
            volume: the volume.
            pods: that wait for it.
            others: pods that need it where it is attached.
        """
        users = [(meta.namespace_of(pod), meta.name_of(pod)) for pod in others]
        for pod in pods:
            waiting = meta.name_of(volume), meta.uid_of(pod)
            if waiting not in self._reported:
                self._reported.add(waiting)
                message = multi_attach_error(waiting[0], meta.namespace_of(pod), users)
                self.recorder.event(pod, "Warning", "FailedAttachVolume", message)


def claims_in_use(pod: PodDict) -> list[str]:
    """Return the keys of the claims that a pod on a node needs."""
    if not node_of(pod) or has_terminated(pod):
        return []
    namespace = meta.namespace_of(pod)
    return [f"{namespace}/{name}" for name in claim_names(pod)]


def _nodes(attachment: VolumeAttachmentDict) -> list[str]:
    return [attachment["spec"]["nodeName"]]


def _state(node: NodeDict) -> tuple[object, ...]:
    """Return what of a node decides about its volumes."""
    in_use = (node.get("status") or {}).get("volumesInUse") or ()
    return list(in_use), is_healthy(node), is_out_of_service(node)


def _with_attached(node: NodeDict, attached: list[AttachedVolumeDict]) -> NodeDict:
    status: NodeStatusDict = {**(node.get("status") or {}), "volumesAttached": attached}
    if not attached:
        del status["volumesAttached"]
    return {**node, "status": status}
