"""Which nodes should run a DaemonSet's pod, and the pod to create for a node: pure functions.

Daemon pods tolerate the taints of a node that is not ready, under pressure or cordoned. Each pod is
created for one node with a node affinity on its name; the default scheduler then binds it.

>>> node = {"metadata": {"name": "node-1"}, "spec": {"taints": [
...     {"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}}
>>> verdict = verdict_on({"spec": {}}, node)
>>> verdict.should_run, verdict.should_continue, verdict.why
(False, True, 'taint gpu=yes:NoSchedule is not tolerated')

Source: pkg/controller/daemon/daemon_controller.go (NodeShouldRunDaemonPod, predicates),
pkg/controller/daemon/util/daemonset_util.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from kubesim.objects import meta
from kubesim.objects.nodeaffinity import pinned, pinned_node, wants_node
from kubesim.objects.pods import node_of
from kubesim.objects.taints import taints_of, tolerates
from kubesim.objects.wellknown import (
    DISK_PRESSURE,
    MEMORY_PRESSURE,
    NETWORK_UNAVAILABLE,
    NO_EXECUTE,
    NO_SCHEDULE,
    NOT_READY,
    PID_PRESSURE,
    REVISION_HASH_LABEL,
    TEMPLATE_GENERATION,
    UNREACHABLE,
    UNSCHEDULABLE,
)

if TYPE_CHECKING:
    from kubesim.objects.types import (
        DaemonSetDict,
        NodeDict,
        ObjectMetaDict,
        OwnerReferenceDict,
        PodDict,
        PodSpecDict,
        PodTemplateSpecDict,
        TaintDict,
        TolerationDict,
    )

GENERATION_LABEL = "pod-template-generation"
NO_EXECUTE_TAINTS = (NOT_READY, UNREACHABLE)
NO_SCHEDULE_TAINTS = (DISK_PRESSURE, MEMORY_PRESSURE, PID_PRESSURE, UNSCHEDULABLE)


class NodeVerdict(NamedTuple):
    """Whether a DaemonSet's pod should run on a node.

    Attributes:
        should_run: the node needs a pod.
        should_continue: a pod that runs there may stay.
        why: the reason if one of the two is False.
    """

    should_run: bool
    should_continue: bool
    why: str = ""


def daemon_tolerations(pod_spec: PodSpecDict) -> list[TolerationDict]:
    """Return the template's tolerations with those that the controller adds to every daemon pod.

    Args:
        pod_spec: spec of the template; hostNetwork adds network-unavailable.
    """
    desired = [(key, NO_EXECUTE) for key in NO_EXECUTE_TAINTS]
    desired += [(key, NO_SCHEDULE) for key in NO_SCHEDULE_TAINTS]
    if pod_spec.get("hostNetwork"):
        desired.append((NETWORK_UNAVAILABLE, NO_SCHEDULE))
    tolerations = list(pod_spec.get("tolerations") or ())
    for key, effect in desired:
        added: TolerationDict = {"key": key, "operator": "Exists", "effect": effect}
        same = [
            index
            for index, existing in enumerate(tolerations)
            if {k: v for k, v in existing.items() if v and k != "tolerationSeconds"} == added
        ]
        if same:
            tolerations[same[0]] = added  # without tolerationSeconds
        else:
            tolerations.append(added)
    return tolerations


def verdict_on(template: PodTemplateSpecDict, node: NodeDict) -> NodeVerdict:
    """Decide whether a pod should run on a node, and whether one that runs there may stay.

    Args:
        template: spec.template of the DaemonSet.
        node: the document.
    """
    pod_spec = template.get("spec") or {}
    name = pod_spec.get("nodeName")
    if name and name != meta.name_of(node):
        return NodeVerdict(False, False, f"the template names node {name}")
    if not wants_node(pod_spec, node):
        return NodeVerdict(False, False, "node selector or affinity does not match")
    tolerations = daemon_tolerations(pod_spec)
    untolerated = [
        taint
        for taint in taints_of(node)
        if taint.get("effect") in ("NoSchedule", "NoExecute")
        and not any(tolerates(toleration, taint) for toleration in tolerations)
    ]
    if not untolerated:
        return NodeVerdict(True, True)
    evicts = any(taint.get("effect") == "NoExecute" for taint in untolerated)
    shown = _format_taint(untolerated[0])
    return NodeVerdict(False, not evicts, f"taint {shown} is not tolerated")


def _format_taint(taint: TaintDict) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def daemon_pod(
    daemonset: DaemonSetDict, owner_reference: OwnerReferenceDict, node_name: str, revision: str
) -> PodDict:
    """Return the pod to create for one node; the API server generates its name.

    Args:
        daemonset: the document.
        owner_reference: the controllerRef to the DaemonSet.
        node_name: the node that the pod is created for.
        revision: the hash of the template.
    """
    template = daemonset["spec"]["template"]
    template_metadata, pod_spec = template.get("metadata") or {}, template["spec"]
    labels = {**(template_metadata.get("labels") or {}), REVISION_HASH_LABEL: revision}
    if generation := meta.annotations_of(daemonset).get(TEMPLATE_GENERATION):
        labels[GENERATION_LABEL] = generation
    metadata: ObjectMetaDict = {
        "generateName": f"{meta.name_of(daemonset)}-",
        "namespace": meta.namespace_of(daemonset),
        "labels": labels,
        "ownerReferences": [owner_reference],
    }
    if template_metadata.get("annotations"):
        metadata["annotations"] = template_metadata["annotations"]
    if template_metadata.get("finalizers"):
        metadata["finalizers"] = template_metadata["finalizers"]
    spec: PodSpecDict = {
        **pod_spec,
        **pinned(pod_spec.get("affinity"), node_name),
        "tolerations": daemon_tolerations(pod_spec),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def target_of(pod: PodDict) -> str:
    """Return the node that a pod is bound to, or was created for, or ""."""
    return node_of(pod) or pinned_node(pod.get("spec") or {})


def summary_of(verdicts: Iterable[tuple[str, NodeVerdict]]) -> str:
    """Return the nodes that need no pod, by reason, for a decision record, or ""."""
    reasons: dict[str, list[str]] = {}
    for name, verdict in verdicts:
        if not verdict.should_run:
            reasons.setdefault(verdict.why, []).append(name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
