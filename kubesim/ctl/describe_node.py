"""A node as facts and small tables, much like ``kubectl describe node``.

Source: k8s.io/kubectl/pkg/describe/describe.go (describeNode, describeNodeResource).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import Decision
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.objects.pods import NOTHING, is_finished, node_of, pod_requests
from kubesim.objects.taints import taints_of
from kubesim.quantity import MEBIBYTE, parse_cpu_milli, parse_memory
from kubesim.table import Table

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, TaintDict


def pods_on(api: KubeAPI, node: str) -> list[PodDict]:
    """Return the pods that are bound to a node, frozen, by key."""
    return [pod for pod in api.snapshot(POD)[0] if node_of(pod) == node]


def taint_text(taint: TaintDict) -> str:
    """Return a taint as kubectl writes it.

    >>> taint_text({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"})
    'dedicated=gpu:NoSchedule'
    """
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def facts(node: NodeDict, latest: Decision | None) -> list[tuple[str, str]]:
    """Return (label, value) pairs: name, labels, taints, and the newest decision about the node."""
    labels = ", ".join(f"{key}={value}" for key, value in meta.labels_of(node).items())
    result = [
        ("Name", meta.name_of(node)),
        ("Labels", labels or "<none>"),
        ("Taints", ", ".join(map(taint_text, taints_of(node))) or "<none>"),
        ("Unschedulable", str(bool(node["spec"].get("unschedulable"))).lower()),
    ]
    if latest is not None:
        result.append(("Why", f"t={latest.time:g}s {latest.verdict} ({latest.component})"))
    return result


def conditions(node: NodeDict) -> Table:
    """Return the conditions: type, status, last transition, reason, message."""
    rows = [
        (
            c.get("type"),
            c.get("status"),
            c.get("lastTransitionTime"),
            c.get("reason"),
            c.get("message"),
        )
        for c in (node.get("status") or {}).get("conditions") or ()
    ]
    return Table(("type", "status", "since", "reason", "message"), rows, "conditions")


def pods(api: KubeAPI, name: str) -> Table:
    """Return the pods of a node: status and requests."""
    rows = []
    for pod in pods_on(api, name):
        requested = pod_requests(pod)
        status = (pod.get("status") or {}).get("phase", "Pending")
        rows.append(
            (
                meta.namespace_of(pod),
                meta.name_of(pod),
                "Terminating" if meta.is_terminating(pod) else status,
                requested.cpu_milli,
                requested.memory_bytes // MEBIBYTE,
            )
        )
    columns = ("namespace", "pod", "status", "cpu requested [m]", "memory requested [Mi]")
    return Table(columns, rows, f"pods on {name}")


def allocated(api: KubeAPI, node: NodeDict) -> Table:
    """Return what the running pods of a node request, and what is allocatable."""
    running = [pod for pod in pods_on(api, meta.name_of(node)) if not is_finished(pod)]
    requested = sum(map(pod_requests, running), NOTHING)
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    cpu, memory = (
        parse_cpu_milli(allocatable.get("cpu", 0)),
        parse_memory(allocatable.get("memory", 0)),
    )
    size = requested.memory_bytes
    rows = [
        ("cpu [m]", requested.cpu_milli, cpu, _percent(requested.cpu_milli, cpu)),
        ("memory [Mi]", size // MEBIBYTE, memory // MEBIBYTE, _percent(size, memory)),
        ("pods", len(running), int(allocatable.get("pods", 0)), ""),
    ]
    return Table(("resource", "requested", "allocatable", "of it"), rows, "allocated")


def events(api: KubeAPI, name: str) -> Table:
    """Return the Events about a node, by time."""
    rows = [
        (e.get("lastTimestamp"), e.get("type"), e.get("reason"), e.get("message"))
        for e in api.snapshot("Event")[0]
        if e["involvedObject"].get("kind") == "Node" and e["involvedObject"].get("name") == name
    ]
    return Table(("time", "type", "reason", "message"), sorted(rows, key=str), "events")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole}%" if whole else ""
