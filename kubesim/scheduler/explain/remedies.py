"""How each refusal could be mended, one small change at a time, on copies (see `whatif`).

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

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


class Attempt:
    """Copies of a pod and of the cluster, and what was changed on them.

    Args:
        pod: a copy that may be changed.
        snapshot: of it only those nodes are copied that are changed.
        name: the node that the pod is to fit on.
        prefer: "request": ask for less; "pods": take pods away.
    """

    def __init__(self, pod: Document, snapshot: Snapshot, name: str, prefer: str) -> None:
        self.pod = pod
        self.snapshot = Snapshot(list(snapshot.nodes), snapshot.world)
        self._copied: set[str] = set()
        self.node: NodeInfo = self.copied(snapshot[name])
        self.prefer = prefer
        self.steps: list[str] = []
        self.changes: list[dict[str, Any]] = []
        self.weight = 0.0

    def copied(self, node: NodeInfo) -> NodeInfo:
        """A copy of a node in the snapshot, made at the first call."""
        if node.name in self._copied:
            return self.snapshot[node.name]
        nodes = [n.clone() if n is node else n for n in self.snapshot.nodes]
        self.snapshot = Snapshot(nodes, self.snapshot.world)
        self._copied.add(node.name)
        return self.snapshot[node.name]

    def note(self, step: str, weight: float, kind: str, **about: Any) -> bool:
        """Write down a change; True, so that a mender can end with it."""
        self.steps.append(step)
        self.changes.append({"kind": kind, **about})
        self.weight += weight
        return True


def amount(resource: str, value: int) -> str:
    """An amount as Kubernetes writes it.

    >>> amount("cpu", 1500), amount("memory", 134217728), amount("example.com/gpu", 2)
    ('1500m', '128Mi', '2')
    """
    if resource == "cpu":
        return format_cpu(value)
    return format_memory(value) if resource in ("memory", "ephemeral-storage") else str(value)


# -- resources ------------------------------------------------------------------------------------


def _mend_fit(attempt: Attempt, status: Status) -> bool:
    """Ask for less of what is short; or one pod fewer on the node."""
    node, request = attempt.node, pod_info(attempt.pod).request
    short = [r.removeprefix("Insufficient ") for r in status.reasons if r != "Too many pods"]
    if attempt.prefer == "pods" or len(short) < len(status.reasons):
        return _take_pod_away(attempt, short)
    for resource in short:
        free = max(0, node.allocatable[resource] - node.requested[resource])
        asked = request[resource]
        if not ask_for_less(attempt.pod, resource, free):
            return False
        left = amount(resource, free)
        said = f"ask for {amount(resource, asked - free)} less {resource} ({left} in all)"
        attempt.note(
            said, (asked - free) / asked, "request", resource=resource, asked=asked, fits=free
        )
    return True


def ask_for_less(pod: Document, resource: str, most: int) -> bool:
    """Cut the pod's requests of one resource so that it asks for `most`; False if that is 0.

    Args:
        pod: a copy, which is changed.
        resource: which.
        most: cpu in millicores, all else in whole units.
    """
    if most <= 0:
        return False
    spec = pod["spec"]
    unit = 1000 if resource == "cpu" else 1
    holders = [spec] if resource in _requests(spec) else []
    if not holders:
        holders = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    for _ in range(len(holders) + 1):
        excess = request_of(pod)[resource] - most
        if excess <= 0:
            return True
        largest = max(holders, key=lambda h: parse_quantity(_requests(h).get(resource, 0)))
        held = parse_quantity(_requests(largest).get(resource, 0)) * unit
        rest = max(0, int(held) - excess)
        _requests(largest)[resource] = f"{rest}m" if resource == "cpu" else str(rest)
    return request_of(pod)[resource] <= most


def _requests(holder: Document) -> dict[str, Any]:
    found: dict[str, Any] = holder.setdefault("resources", {}).setdefault("requests", {})
    return found


def _take_pod_away(attempt: Attempt, short: list[str]) -> bool:
    """The least important pod whose room is enough; else the one with most room."""
    node, request = attempt.node, pod_info(attempt.pod).request

    def missing(key: str) -> float:
        held = node.infos[key].request
        gap = 0.0
        for resource in short:
            free = node.allocatable[resource] - node.requested[resource] + held[resource]
            if request[resource] > node.allocatable[resource]:
                return inf
            gap += max(0, request[resource] - free) / max(1, request[resource])
        return gap

    ranked = sorted(node.pods, key=lambda key: (missing(key), priority_of(node.pods[key]), key))
    if not ranked or missing(ranked[0]) == inf:
        return False
    return _remove(attempt, node, ranked[0])


def _remove(attempt: Attempt, node: NodeInfo, key: str) -> bool:
    attempt.copied(node).remove(key)
    name = key.removeprefix("default/")
    return attempt.note(
        f"one pod fewer on {node.name} ({name})", 1.0, "pod", pod=key, node=node.name
    )


# -- node -----------------------------------------------------------------------------------------


def _change_node(attempt: Attempt, **parts: Any) -> None:
    """The node's document with other parts of metadata or spec."""
    node = attempt.node.node
    new = {**node, "metadata": {**node["metadata"]}, "spec": {**(node.get("spec") or {})}}
    if "labels" in parts:
        new["metadata"]["labels"] = parts.pop("labels")
    new["spec"].update(parts)
    attempt.node.set_node(new)


def _mend_cordon(attempt: Attempt, status: Status) -> bool:
    """Open the node; the taint of a cordoned node goes with it (the node controller sees to it)."""
    taints = [
        taint for taint in attempt.node.taints if taint.get("key") != UNSCHEDULABLE_TAINT["key"]
    ]
    _change_node(attempt, unschedulable=False, taints=taints)
    name = attempt.node.name
    return attempt.note(f"uncordon {name}", 1.0, "uncordon", node=name)


def _mend_taint(attempt: Attempt, status: Status) -> bool:
    taint = untolerated_taint(attempt.pod, attempt.node.taints, HARD)
    if taint is None:
        return False
    key, value, effect = taint.get("key", ""), taint.get("value") or "", taint.get("effect")
    toleration = {"key": key, "operator": "Equal", "value": value, "effect": effect}
    attempt.pod["spec"].setdefault("tolerations", []).append(toleration)
    shown = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    return attempt.note(f"tolerate the taint {shown}", 1.0, "toleration", **toleration)


def _mend_selector(attempt: Attempt, status: Status) -> bool:
    """Label the node as nodeSelector and one of the required terms want it."""
    labels = dict(attempt.node.labels)
    wanted = dict(attempt.pod["spec"].get("nodeSelector") or {})
    terms = required_terms(attempt.pod["spec"])
    more = None if terms is None else _labels_for(terms, {**labels, **wanted}, attempt.node.name)
    if terms is not None and more is None:
        return False
    new = {**wanted, **(more or {})}
    changed = {key: value for key, value in new.items() if labels.get(key) != value}
    if not changed:
        return False
    _change_node(attempt, labels={**labels, **changed})
    name = attempt.node.name
    shown = " ".join(f"{key}={value}" for key, value in sorted(changed.items()))
    said = f"label {name} with {shown}"
    return attempt.note(said, float(len(changed)), "label", node=name, labels=changed)


def _labels_for(
    terms: list[Document], labels: Mapping[str, str], name: str
) -> dict[str, str] | None:
    """The fewest labels that make one of the terms match."""
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


def _mend_ports(attempt: Attempt, status: Status) -> bool:
    mine = host_ports(attempt.pod)
    for key, info in attempt.node.infos.items():
        if any(ports_clash(port, taken) for taken in info.ports for port in mine):
            return _remove(attempt, attempt.node, key)
    return False


def _mend_spread(attempt: Attempt, status: Status) -> bool:
    """Let the skew be as large as it would be with the pod on this node."""
    constraints = constraints_of(attempt.pod, HARD_WHEN)
    node, namespace = attempt.node, meta.namespace_of(attempt.pod)
    if not has_all_keys(node, constraints):
        missing = next(c.key for c in constraints if c.key not in node.labels)
        _change_node(attempt, labels={**node.labels, missing: node.name})
        said = f"label {node.name} with {missing}"
        return attempt.note(said, 1.0, "label", node=node.name, labels={missing: node.name})
    listed = attempt.pod["spec"]["topologySpreadConstraints"]
    hard = [c for c in listed if (c.get("whenUnsatisfiable") or HARD_WHEN) == HARD_WHEN]
    for document, constraint in zip(hard, constraints, strict=True):
        counts: dict[str, int] = {}
        for other in attempt.snapshot:
            if has_all_keys(other, constraints) and constraint.includes(attempt.pod, other):
                value = other.labels[constraint.key]
                found = count_pods(other, constraint.selector, namespace)
                counts[value] = counts.get(value, 0) + found
        least = min(counts.values(), default=0) if len(counts) >= constraint.min_domains else 0
        itself = 1 if constraint.selector.matches(meta.labels_of(attempt.pod)) else 0
        skew = counts.get(node.labels[constraint.key], 0) + itself - least
        if skew > constraint.max_skew:
            document["maxSkew"] = skew
            said = f"allow maxSkew {skew} instead of {constraint.max_skew} over {constraint.key}"
            by = float(skew - constraint.max_skew)
            return attempt.note(said, by, "maxSkew", key=constraint.key, value=skew)
    return False


def _mend_affinity(attempt: Attempt, status: Status) -> bool:
    """Without the pod's own rule; or without the pod that keeps it away."""
    affinity = attempt.pod["spec"].get("affinity") or {}
    reason = status.message
    if "existing pods" in reason:
        return _remove_repelling(attempt)
    if "anti-affinity" in reason and attempt.prefer == "pods" and _remove_disliked(attempt):
        return True
    field = "podAntiAffinity" if "anti-affinity" in reason else "podAffinity"
    rule = affinity.get(field) or {}
    if not rule.pop("requiredDuringSchedulingIgnoredDuringExecution", None):
        return False
    return attempt.note(f"drop its required {field}", 2.0, "affinity", field=field)


def _remove_disliked(attempt: Attempt) -> bool:
    """Without the first pod in the same place that the waiting one wants to be apart from."""
    world, here = attempt.snapshot.world, attempt.node.labels
    for term in pod_info(attempt.pod).anti_affinity:
        for node in attempt.snapshot:
            same = here.get(term.topology_key) == node.labels.get(term.topology_key)
            for key, pod in node.pods.items() if same and term.topology_key in here else ():
                if term.matches(pod, world.namespace_labels(meta.namespace_of(pod))):
                    return _remove(attempt, node, key)
    return False


def _remove_repelling(attempt: Attempt) -> bool:
    world, pod = attempt.snapshot.world, attempt.pod
    labels = world.namespace_labels(meta.namespace_of(pod))
    here = attempt.node.labels
    for node in attempt.snapshot:
        for key in list(node.affine):
            for term in node.infos[key].anti_affinity:
                same = here.get(term.topology_key) == node.labels.get(term.topology_key)
                if same and term.topology_key in here and term.matches(pod, labels):
                    return _remove(attempt, node, key)
    return False


MENDERS: dict[str, Callable[[Attempt, Status], bool]] = {
    "NodeResourcesFit": _mend_fit,
    "NodeUnschedulable": _mend_cordon,
    "TaintToleration": _mend_taint,
    "NodeAffinity": _mend_selector,
    "NodePorts": _mend_ports,
    "PodTopologySpread": _mend_spread,
    "InterPodAffinity": _mend_affinity,
}
"""What can be tried when a plug-in refuses: changes the attempt, and says whether it could."""
