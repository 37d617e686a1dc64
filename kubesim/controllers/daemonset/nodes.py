"""On which nodes a DaemonSet's pods belong, and what such a pod looks like: pure functions.

A daemon serves its node, so it must come even where ordinary pods would not: it tolerates the
taints of a node that is not ready, under pressure or cordoned. Each pod is made for one node and
pinned to it by name; the ordinary scheduler then binds it.

>>> node = {"metadata": {"name": "node-1"}, "spec": {"taints": [
...     {"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}}
>>> verdict = verdict_on({"spec": {}}, node)
>>> verdict.should_run, verdict.should_continue, verdict.why
(False, True, 'taint gpu=yes:NoSchedule is not tolerated')

Source: pkg/controller/daemon/daemon_controller.go (NodeShouldRunDaemonPod, predicates),
pkg/controller/daemon/util/daemonset_util.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubesim.objects import meta
from kubesim.objects.frozen import Document
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

GENERATION_LABEL = "pod-template-generation"
NO_EXECUTE_TAINTS = (NOT_READY, UNREACHABLE)
NO_SCHEDULE_TAINTS = (DISK_PRESSURE, MEMORY_PRESSURE, PID_PRESSURE, UNSCHEDULABLE)


class NodeVerdict(NamedTuple):
    """What a DaemonSet thinks of a node.

    Attributes:
        should_run: a pod belongs there, and is made if there is none.
        should_continue: a pod that is there may stay.
        why: in words, if one of the two is False.
    """

    should_run: bool
    should_continue: bool
    why: str = ""


def daemon_tolerations(pod_spec: Mapping[str, Any]) -> list[Document]:
    """The tolerations of a template with those that every daemon gets.

    Args:
        pod_spec: spec of the template; with hostNetwork it does not wait for the pod network.
    """
    wanted = [(key, NO_EXECUTE) for key in NO_EXECUTE_TAINTS]
    wanted += [(key, NO_SCHEDULE) for key in NO_SCHEDULE_TAINTS]
    if pod_spec.get("hostNetwork"):
        wanted.append((NETWORK_UNAVAILABLE, NO_SCHEDULE))
    tolerations = list(pod_spec.get("tolerations") or ())
    for key, effect in wanted:
        added = {"key": key, "operator": "Exists", "effect": effect}
        same = [
            index
            for index, known in enumerate(tolerations)
            if {k: v for k, v in known.items() if v and k != "tolerationSeconds"} == added
        ]
        if same:
            tolerations[same[0]] = added  # without a limit in time
        else:
            tolerations.append(added)
    return tolerations


def verdict_on(template: Mapping[str, Any], node: Mapping[str, Any]) -> NodeVerdict:
    """Whether a pod should run on a node, and whether one that runs there may stay.

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
    repelled = [
        taint
        for taint in taints_of(node)
        if taint.get("effect") in ("NoSchedule", "NoExecute")
        and not any(tolerates(toleration, taint) for toleration in tolerations)
    ]
    if not repelled:
        return NodeVerdict(True, True)
    driven_out = any(taint.get("effect") == "NoExecute" for taint in repelled)
    return NodeVerdict(False, not driven_out, f"taint {_shown(repelled[0])} is not tolerated")


def _shown(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def daemon_pod(
    daemonset: Mapping[str, Any], owner_reference: Document, node_name: str, revision: str
) -> Document:
    """The pod for one node; the API server finds its name by generateName.

    Args:
        daemonset: the document.
        owner_reference: a reference to it, as its controller.
        node_name: for which node.
        revision: the hash of the template.
    """
    template = daemonset["spec"]["template"]
    given, pod_spec = template.get("metadata") or {}, template["spec"]
    labels = {**(given.get("labels") or {}), REVISION_HASH_LABEL: revision}
    if generation := meta.annotations_of(daemonset).get(TEMPLATE_GENERATION):
        labels[GENERATION_LABEL] = generation
    metadata: Document = {
        "generateName": f"{meta.name_of(daemonset)}-",
        "namespace": meta.namespace_of(daemonset),
        "labels": labels,
        "ownerReferences": [owner_reference],
    }
    for field in ("annotations", "finalizers"):
        if given.get(field):
            metadata[field] = given[field]
    spec = {
        **pod_spec,
        **pinned(pod_spec.get("affinity"), node_name),
        "tolerations": daemon_tolerations(pod_spec),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def target_of(pod: Mapping[str, Any]) -> str:
    """The node that a pod is on, or was made for; "" if it was made for none."""
    return node_of(pod) or pinned_node(pod.get("spec") or {})


def summary_of(verdicts: Iterable[tuple[str, NodeVerdict]]) -> str:
    """Which nodes are passed over, and why, for a decision record; "" if none is."""
    reasons: dict[str, list[str]] = {}
    for name, verdict in verdicts:
        if not verdict.should_run:
            reasons.setdefault(verdict.why, []).append(name)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
