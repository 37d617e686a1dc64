"""Pods that wait for a volume to be attached to their node.

Source: pkg/controller/volume/attachdetach/reconciler/reconciler.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.ctl.diagnosis.facts import Diagnosis, Facts, seconds_text
from kubesim.objects import meta
from kubesim.objects.attachments import (
    ATTACHMENT,
    CSI_DRIVER,
    OUT_OF_SERVICE,
    VolumeAttachmentDict,
    has_terminated,
    is_healthy,
    is_out_of_service,
    may_be_on_several_nodes,
    needs_attaching,
    unique_name,
    volume_of_attachment,
)
from kubesim.objects.kindnames import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kubesim.objects.pods import node_of, phase_of
from kubesim.objects.volumes import claim_names
from kubesim.objects.wellknown import ATTACH_DETACH

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeDict, PodDict

MODES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes"


def unattached_pod(facts: Facts, pod: PodDict) -> Diagnosis | None:
    """Return which volume of a pod is not attached to its node, and why; None: all are."""
    names = claim_names(pod)
    if not names or not node_of(pod) or phase_of(pod) != "Pending":
        return None
    node = facts.node(node_of(pod))
    if node is None or ATTACH_DETACH not in meta.annotations_of(node):
        return None
    status = node.get("status") or {}
    attached = {each.get("name") for each in status.get("volumesAttached") or ()}
    for name in names:
        claim = facts.api.peek(PERSISTENT_VOLUME_CLAIM, name, meta.namespace_of(pod))
        volume_name = "" if claim is None else claim["spec"].get("volumeName") or ""
        volume = facts.api.peek(PERSISTENT_VOLUME, volume_name) if volume_name else None
        if volume is None or unique_name(volume) in attached:
            continue
        driver = (volume["spec"].get("csi") or {}).get("driver") or ""
        if needs_attaching(volume, facts.api.peek(CSI_DRIVER, driver) if driver else None):
            return _attaching(facts, pod, volume)
    return None


def _attaching(facts: Facts, pod: PodDict, volume: PersistentVolumeDict) -> Diagnosis:
    """Return why a volume is not attached to the node of a pod."""
    node, name = node_of(pod), meta.name_of(volume)
    others = [
        each
        for each in facts.api.snapshot(ATTACHMENT)[0]
        if volume_of_attachment(each) == name and each["spec"]["nodeName"] != node
    ]
    if others and not may_be_on_several_nodes(volume):
        return _on_another_node(facts, pod, volume, others[0])
    return Diagnosis(
        f"waits: its volume {name} is being attached to {node}",
        (RuleStep("attach", {"volume": name, "node": node}, "not attached yet", MODES),),
        f"the volume {name} is not attached to {node}",
        "the attacher were done: kubectl get volumeattachments; how long it takes says the class "
        "(kubesim.dev/mount-seconds)",
    )


def _on_another_node(
    facts: Facts, pod: PodDict, volume: PersistentVolumeDict, attachment: VolumeAttachmentDict
) -> Diagnosis:
    """Return which pod, or which node, keeps the volume.

    Args:
        facts: what there is.
        pod: that waits.
        volume: the volume.
        attachment: to the other node.
    """
    name, other = meta.name_of(volume), attachment["spec"]["nodeName"]
    reference = volume["spec"].get("claimRef") or {}
    namespace = str(reference.get("namespace"))
    users = [
        meta.name_of(each)
        for each in facts.pods_in(namespace)
        if node_of(each) == other
        and reference.get("name") in claim_names(each)
        and not has_terminated(each)
    ]
    modes = ", ".join(volume["spec"].get("accessModes") or ())
    step = RuleStep(
        "Multi-Attach",
        {"volume": name, "accessModes": modes, "attached_to": other, "pods_there": users},
        "one node alone may have the volume",
        MODES,
    )
    if users:
        binding = f"the pod {', '.join(users)} on {other} uses the volume {name}"
    else:
        binding = f"the volume {name} is still attached to {other}"
    return Diagnosis(
        f"waits for its volume {name} (Multi-Attach error): {binding}",
        (step,),
        binding,
        _way_out(facts, other, namespace, users),
    )


def _way_out(facts: Facts, other: str, namespace: str, users: list[str]) -> str:
    """Return how the volume leaves the other node.

    Args:
        facts: what there is.
        other: the node that has the volume.
        namespace, users: of the claim, and its pods on that node.
    """
    node = facts.node(other)
    pods = " ".join(users)
    if not is_healthy(node) and not is_out_of_service(node):
        silent = None if node is None else facts.silent_since(node)
        taint = f"kubectl taint nodes {other} {OUT_OF_SERVICE}=nodeshutdown:NoExecute"
        force = f"kubectl delete pod {pods} -n {namespace} --force --grace-period=0, and "
        return (
            f"{other}, silent since {seconds_text(silent)}, came back; or, if its machine is "
            f"surely off, it is marked as out of service, then the volume is detached at once "
            f"({taint}); or "
            f"{force if users else ''}6 minutes pass without a pod there that needs the volume"
        )
    if users:
        return (
            f"{pods} ended or were deleted (kubectl delete pod {pods} -n {namespace}); or both ran "
            f"on {other}; or the claim had the access mode ReadWriteMany, if its class offers it"
        )
    return f"{other} reported that it has unmounted the volume, which it does each 10 s"
