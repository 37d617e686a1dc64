"""Remedies: how to fix the cause of each refusal, one small change at a time, on copies.

`whatif` applies them. For each plug-in REMEDIES holds a function `fix(trial, status)` that changes
the copies in the trial, and returns whether it could.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.nodeaffinity import required_terms, term_matches
from kubesim.quantity import format_cpu, format_memory, parse_quantity
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import host_ports, pod_info, ports_clash, priority_of
from kubesim.scheduler.framework.resources import request_of
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import Status
from kubesim.scheduler.plugins.nodeunschedulable import UNSCHEDULABLE_TAINT
from kubesim.scheduler.plugins.spread_counts import (
    HARD_WHEN,
    constraints_of,
    count_pods,
    has_all_keys,
)
from kubesim.scheduler.plugins.tainttoleration import HARD, untolerated_taint

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ContainerDict,
        NodeDict,
        NodeSelectorTermDict,
        NodeSpecDict,
        PodAffinityDict,
        PodAntiAffinityDict,
        PodDict,
        PodSpecDict,
        TolerationDict,
    )


class TrialChange:
    """Copies of a pod and of the cluster, and the changes made to them.

    Args:
        pod: a copy of the pod; it is changed.
        snapshot: the cluster; a node is copied before it is changed.
        name: name of the node on which the pod should fit.
        prefer: "request": request less; "pods": remove other pods.

    Attributes:
        steps: the changes as sentences.
        changes: the same as data.
        weight: how large the changes are.
    """

    def __init__(self, pod: PodDict, snapshot: Snapshot, name: str, prefer: str) -> None:
        self.pod = pod
        self.snapshot = Snapshot(list(snapshot.nodes), snapshot.world)
        self._copied: set[str] = set()
        self.node: NodeInfo = self.copied(snapshot[name])
        self.prefer = prefer
        self.steps: list[str] = []
        self.changes: list[Document] = []
        self.weight = 0.0

    def copied(self, node: NodeInfo) -> NodeInfo:
        """Return the copy of a node; the first call makes it and puts it into the snapshot."""
        if node.name in self._copied:
            return self.snapshot[node.name]
        nodes = [n.clone() if n is node else n for n in self.snapshot.nodes]
        self.snapshot = Snapshot(nodes, self.snapshot.world)
        self._copied.add(node.name)
        return self.snapshot[node.name]

    def note(self, step: str, weight: float, kind: str, **about: object) -> bool:
        """Record a change; return True, so that a remedy can end with this call.

        Args:
            step: the change as a sentence.
            weight: how large the change is.
            kind: the kind of change.
            about: what the change concerns.
        """
        self.steps.append(step)
        self.changes.append({"kind": kind, **about})
        self.weight += weight
        return True


def amount(resource: str, value: int) -> str:
    """Format an amount as a Kubernetes quantity.

    >>> amount("cpu", 1500), amount("memory", 134217728), amount("example.com/gpu", 2)
    ('1500m', '128Mi', '2')
    """
    if resource == "cpu":
        return format_cpu(value)
    return format_memory(value) if resource in ("memory", "ephemeral-storage") else str(value)


# -- resources ------------------------------------------------------------------------------------


def fix_fit(trial: TrialChange, status: Status) -> bool:
    """Request less of the resources that are short, or remove one pod from the node."""
    node, request = trial.node, pod_info(trial.pod).request
    short = [r.removeprefix("Insufficient ") for r in status.reasons if r != "Too many pods"]
    if trial.prefer == "pods" or len(short) < len(status.reasons):
        return _remove_cheapest_pod(trial, short)
    for resource in short:
        free = max(0, node.allocatable[resource] - node.requested[resource])
        desired = request[resource]
        if not reduce_request(trial.pod, resource, free):
            return False
        excess, remaining = amount(resource, desired - free), amount(resource, free)
        step = f"request {excess} less {resource} ({remaining} in total)"
        weight = (desired - free) / desired
        trial.note(step, weight, "request", resource=resource, asked=desired, fits=free)
    return True


def reduce_request(pod: PodDict, resource: str, most: int) -> bool:
    """Reduce the requests of a pod so that it requests at most `most` of one resource.

    Args:
        pod: a copy; it is changed.
        resource: name of the resource.
        most: cpu in millicores, all else in whole units.

    Returns:
        Whether that was possible; False if `most` is 0.
    """
    if most <= 0:
        return False
    spec = pod["spec"]
    unit = 1000 if resource == "cpu" else 1
    holders: list[ContainerDict | PodSpecDict] = [spec] if resource in _requests(spec) else []
    if not holders:
        holders = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    for _ in range(len(holders) + 1):
        excess = request_of(pod)[resource] - most
        if excess <= 0:
            return True
        largest = max(holders, key=lambda h: parse_quantity(_requests(h).get(resource, 0)))
        requested = parse_quantity(_requests(largest).get(resource, 0)) * unit
        rest = max(0, int(requested) - excess)
        _requests(largest)[resource] = f"{rest}m" if resource == "cpu" else str(rest)
    return request_of(pod)[resource] <= most


def _requests(holder: ContainerDict | PodSpecDict) -> dict[str, str | float]:
    return holder.setdefault("resources", {}).setdefault("requests", {})


def _remove_cheapest_pod(trial: TrialChange, short: list[str]) -> bool:
    """Remove the least important pod whose resources suffice, else the one that frees most."""
    node, request = trial.node, pod_info(trial.pod).request

    def missing(key: str) -> float:
        freed = node.infos[key].request
        gap = 0.0
        for resource in short:
            free = node.allocatable[resource] - node.requested[resource] + freed[resource]
            if request[resource] > node.allocatable[resource]:
                return inf
            gap += max(0, request[resource] - free) / max(1, request[resource])
        return gap

    ranked = sorted(node.pods, key=lambda key: (missing(key), priority_of(node.pods[key]), key))
    if not ranked or missing(ranked[0]) == inf:
        return False
    return _remove(trial, node, ranked[0])


def _remove(trial: TrialChange, node: NodeInfo, key: str) -> bool:
    """Remove a pod; that helps less if the pod's own controller then makes another one."""
    owner = meta.controller_of(node.pods[key])
    trial.copied(node).remove(key)
    step, weight = f"remove a pod from {node.name} ({key.removeprefix('default/')})", 1.0
    if owner is not None and owner == meta.controller_of(trial.pod):
        step += f", in place of which its {owner['kind']} makes one that waits"
        weight = 3.0
    return trial.note(step, weight, "pod", pod=key, node=node.name)


# -- node -----------------------------------------------------------------------------------------


def _change_node(
    trial: TrialChange, *, labels: dict[str, str] | None = None, spec: NodeSpecDict | None = None
) -> None:
    """Replace the labels or fields of spec in the node's document."""
    node = trial.node.node
    new: NodeDict = {
        **node,
        "metadata": {**node["metadata"]},
        "spec": {**(node.get("spec") or {}), **(spec or {})},
    }
    if labels is not None:
        new["metadata"]["labels"] = labels
    trial.node.set_node(new)


def fix_cordon(trial: TrialChange, status: Status) -> bool:
    """Uncordon the node; the node controller then removes the taint of a cordoned node, too."""
    taints = [
        taint for taint in trial.node.taints if taint.get("key") != UNSCHEDULABLE_TAINT["key"]
    ]
    _change_node(trial, spec={"unschedulable": False, "taints": taints})
    name = trial.node.name
    return trial.note(f"uncordon {name}", 1.0, "uncordon", node=name)


def fix_taint(trial: TrialChange, status: Status) -> bool:
    """Tolerate the first untolerated taint."""
    taint = untolerated_taint(trial.pod, trial.node.taints, HARD)
    if taint is None:
        return False
    key, value, effect = taint.get("key", ""), taint.get("value") or "", taint["effect"]
    toleration: TolerationDict = {"key": key, "operator": "Equal", "value": value, "effect": effect}
    trial.pod["spec"].setdefault("tolerations", []).append(toleration)
    shown = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    return trial.note(f"tolerate the taint {shown}", 1.0, "toleration", **toleration)


def fix_selector(trial: TrialChange, status: Status) -> bool:
    """Label the node so that nodeSelector and one of the required terms match."""
    labels = dict(trial.node.labels)
    desired = dict(trial.pod["spec"].get("nodeSelector") or {})
    terms = required_terms(trial.pod["spec"])
    more = None if terms is None else _labels_for(terms, {**labels, **desired}, trial.node.name)
    if terms is not None and more is None:
        return False
    new = {**desired, **(more or {})}
    changed = {key: value for key, value in new.items() if labels.get(key) != value}
    if not changed:
        return False
    _change_node(trial, labels={**labels, **changed})
    name = trial.node.name
    shown = " ".join(f"{key}={value}" for key, value in sorted(changed.items()))
    step = f"label {name} with {shown}"
    return trial.note(step, float(len(changed)), "label", node=name, labels=changed)


def _labels_for(
    terms: list[NodeSelectorTermDict], labels: Mapping[str, str], name: str
) -> dict[str, str] | None:
    """Return the fewest labels that make one of the terms match, or None."""
    best: dict[str, str] | None = None
    for term in terms:
        new: dict[str, str] = {}
        for item in term.get("matchExpressions") or ():
            key, values = str(item.get("key")), list(item.get("values") or ())
            if term_matches({"matchExpressions": [item]}, labels, name):
                continue
            if item.get("operator") == "In" and values:
                new[key] = str(values[0])
            elif item.get("operator") == "Exists":
                new[key] = "true"
            elif item.get("operator") in ("Gt", "Lt") and values:
                new[key] = str(int(values[0]) + (1 if item["operator"] == "Gt" else -1))
        fits = term_matches(term, {**labels, **new}, name)
        if fits and (best is None or len(new) < len(best)):
            best = new
    return best


# -- other pods -----------------------------------------------------------------------------------


def fix_ports(trial: TrialChange, status: Status) -> bool:
    """Remove the first pod that uses one of the host ports."""
    desired = host_ports(trial.pod)
    for key, info in trial.node.infos.items():
        if any(ports_clash(port, used) for used in info.ports for port in desired):
            return _remove(trial, trial.node, key)
    return False


def fix_spread(trial: TrialChange, status: Status) -> bool:
    """Raise maxSkew to the skew that the pod would cause on this node."""
    constraints = constraints_of(trial.pod, HARD_WHEN)
    node, namespace = trial.node, meta.namespace_of(trial.pod)
    if not has_all_keys(node, constraints):
        missing = next(c.key for c in constraints if c.key not in node.labels)
        _change_node(trial, labels={**node.labels, missing: node.name})
        step = f"label {node.name} with {missing}"
        return trial.note(step, 1.0, "label", node=node.name, labels={missing: node.name})
    listed = trial.pod["spec"]["topologySpreadConstraints"]
    hard = [c for c in listed if (c.get("whenUnsatisfiable") or HARD_WHEN) == HARD_WHEN]
    for document, constraint in zip(hard, constraints, strict=True):
        counts: dict[str, int] = {}
        for other in trial.snapshot:
            if has_all_keys(other, constraints) and constraint.includes(trial.pod, other):
                value = other.labels[constraint.key]
                pods = count_pods(other, constraint.selector, namespace)
                counts[value] = counts.get(value, 0) + pods
        least = min(counts.values(), default=0) if len(counts) >= constraint.min_domains else 0
        itself = 1 if constraint.selector.matches(meta.labels_of(trial.pod)) else 0
        skew = counts.get(node.labels[constraint.key], 0) + itself - least
        if skew > constraint.max_skew:
            document["maxSkew"] = skew
            step = f"allow maxSkew {skew} instead of {constraint.max_skew} over {constraint.key}"
            by = float(skew - constraint.max_skew)
            return trial.note(step, by, "maxSkew", key=constraint.key, value=skew)
    return False


def fix_affinity(trial: TrialChange, status: Status) -> bool:
    """Drop the pod's own rule, or remove the pod that causes the refusal."""
    affinity = trial.pod["spec"].get("affinity") or {}
    reason = status.message
    if "existing pods" in reason:
        return _remove_pod_with_anti_affinity(trial)
    if "anti-affinity" in reason and trial.prefer == "pods" and _remove_anti_affine_pod(trial):
        return True
    field = "podAntiAffinity" if "anti-affinity" in reason else "podAffinity"
    rule: PodAffinityDict | PodAntiAffinityDict = (
        affinity.get("podAntiAffinity")
        if "anti-affinity" in reason
        else affinity.get("podAffinity")
    ) or {}
    if not rule.pop("requiredDuringSchedulingIgnoredDuringExecution", None):
        return False
    return trial.note(f"drop its required {field}", 2.0, "affinity", field=field)


def _remove_anti_affine_pod(trial: TrialChange) -> bool:
    """Remove the first pod of the same domain that the pod's anti-affinity selects."""
    world = trial.snapshot.world
    for term in pod_info(trial.pod).anti_affinity:
        for node in trial.snapshot:
            if not _same_domain(trial.node, node, term.topology_key):
                continue
            for key, pod in node.pods.items():
                if term.matches(pod, world.namespace_labels(meta.namespace_of(pod))):
                    return _remove(trial, node, key)
    return False


def _remove_pod_with_anti_affinity(trial: TrialChange) -> bool:
    """Remove the first pod of the same domain whose anti-affinity selects the pod."""
    labels = trial.snapshot.world.namespace_labels(meta.namespace_of(trial.pod))
    for node in trial.snapshot:
        for key in list(node.affine):
            for term in node.infos[key].anti_affinity:
                same = _same_domain(trial.node, node, term.topology_key)
                if same and term.matches(trial.pod, labels):
                    return _remove(trial, node, key)
    return False


def _same_domain(one: NodeInfo, other: NodeInfo, topology_key: str) -> bool:
    value = one.labels.get(topology_key)
    return value is not None and value == other.labels.get(topology_key)


Fix: TypeAlias = Callable[[TrialChange, Status], bool]

REMEDIES: dict[str, Fix] = {
    "NodeResourcesFit": fix_fit,
    "NodeUnschedulable": fix_cordon,
    "TaintToleration": fix_taint,
    "NodeAffinity": fix_selector,
    "NodePorts": fix_ports,
    "PodTopologySpread": fix_spread,
    "InterPodAffinity": fix_affinity,
}
"""Plug-in -> the function that fixes the cause of its refusals."""
