"""The columns and cells of pods and nodes.

Source: pkg/printers/internalversion/printers.go (printPod, printNode).
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.printers.ages import Ages, human_duration
from kubesim.apiserver.printers.cells import (
    AGE,
    NAME,
    NONE,
    Row,
    age,
    column,
    count,
    is_true,
    mapping,
    objects,
    part,
    wide,
)
from kubesim.objects.frozen import Document

# -- Pod -------------------------------------------------------------------------------------------

POD_COLUMNS = (
    NAME,
    column("Ready", "containers that are ready, of all"),
    column("Status", "what the pod and its containers are about"),
    column("Restarts", "how often containers were started again"),
    AGE,
    wide("IP", "the pod's address"),
    wide("Node", "where it runs"),
    wide("Nominated Node", "where room is being made for it"),
    wide("Readiness Gates", "further conditions that must hold, and how many do"),
)


def _pod(pod: Document, ages: Ages) -> list[Any]:
    status = mapping(pod, "status")
    statuses = objects(status, "containerStatuses")
    init = objects(status, "initContainerStatuses")
    sidecars = {
        item.get("name")
        for item in objects(pod, "spec", "initContainers")
        if item.get("restartPolicy") == "Always"
    }
    total = len(objects(pod, "spec", "containers")) + len(sidecars)
    ready = sum(1 for s in init if s.get("name") in sidecars and s.get("ready"))
    reason = _pod_reason(pod, status)
    begun, started = _init_reason(pod, init, sidecars), is_true(status, "Initialized")
    counted = init
    if begun:
        reason = begun
    if not begun or started:
        counted = [s for s in init if s.get("name") in sidecars] + statuses
        ready += sum(
            1 for s in statuses if s.get("ready") and part(s, "state", "running") is not None
        )
        reason = _main_reason(reason, status, statuses)
    if part(pod, "metadata", "deletionTimestamp"):
        lost = status.get("reason") == "NodeLost"
        if lost:
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    ips = objects(status, "podIPs")
    address = ips[0].get("ip") if ips else status.get("podIP")
    return [
        f"{ready}/{total}",
        reason,
        _restarts(counted, ages),
        age(pod, ages),
        address or NONE,
        part(pod, "spec", "nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(pod, status),
    ]


def _pod_reason(pod: Document, status: Document) -> str:
    for condition in objects(status, "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            return "SchedulingGated"
    return str(status.get("reason") or status.get("phase") or "Unknown")


def _init_reason(pod: Document, statuses: list[Document], sidecars: set[Any]) -> str:
    """What keeps the pod from starting its main containers; "" if nothing does."""
    for index, status in enumerate(statuses):
        ended = part(status, "state", "terminated")
        waiting = part(status, "state", "waiting", "reason")
        if ended is not None and not ended.get("exitCode"):
            continue
        if status.get("name") in sidecars and status.get("started"):
            continue
        if ended is not None:
            return f"Init:{_ended_reason(ended)}"
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{index}/{len(objects(pod, 'spec', 'initContainers'))}"
    return ""


def _ended_reason(ended: Document) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _main_reason(reason: str, status: Document, statuses: list[Document]) -> str:
    running = False
    for container in reversed(statuses):
        waiting = part(container, "state", "waiting", "reason")
        ended = part(container, "state", "terminated")
        if waiting:
            reason = str(waiting)
        elif ended is not None:
            reason = _ended_reason(ended)
        elif container.get("ready"):
            running = True
    if reason == "Completed" and running:
        return "Running" if is_true(status, "Ready") else "NotReady"
    return reason


def _restarts(statuses: list[Document], ages: Ages) -> str:
    total = sum(count(status, "restartCount") for status in statuses)
    times = [
        seconds
        for status in statuses
        if (seconds := ages.seconds(part(status, "lastState", "terminated", "finishedAt")))
        is not None
    ]
    if not total or not times:
        return str(total)
    return f"{total} ({human_duration(ages.now - max(times))} ago)"


def _gates(pod: Document, status: Document) -> str:
    gates = objects(pod, "spec", "readinessGates")
    if not gates:
        return NONE
    met = sum(is_true(status, str(gate.get("conditionType"))) for gate in gates)
    return f"{met}/{len(gates)}"


# -- Node ------------------------------------------------------------------------------------------

NODE_COLUMNS = (
    NAME,
    column("Status", "whether pods can run there"),
    column("Roles", "from its labels"),
    AGE,
    column("Version", "of its kubelet"),
    wide("Internal-IP", "its address inside the cluster"),
    wide("External-IP", "its address outside"),
    wide("OS-Image", "its operating system"),
    wide("Kernel-Version", "its kernel"),
    wide("Container-Runtime", "what runs its containers"),
)
ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"


def _node(node: Document, ages: Ages) -> list[Any]:
    said = [
        "Ready" if condition.get("status") == "True" else "NotReady"
        for condition in objects(node, "status", "conditions")
        if condition.get("type") == "Ready"
    ]
    if part(node, "spec", "unschedulable"):
        said = [*(said or ["Unknown"]), "SchedulingDisabled"]
    labels = mapping(node, "metadata", "labels")
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    if labels.get(ROLE_LABEL):
        roles.add(labels[ROLE_LABEL])
    addresses = {a.get("type"): a.get("address") for a in objects(node, "status", "addresses")}
    about = mapping(node, "status", "nodeInfo")
    return [
        ",".join(said) or "Unknown",
        ",".join(sorted(roles)) or NONE,
        age(node, ages),
        about.get("kubeletVersion", ""),
        addresses.get("InternalIP") or NONE,
        addresses.get("ExternalIP") or NONE,
        about.get("osImage") or "<unknown>",
        about.get("kernelVersion") or "<unknown>",
        about.get("containerRuntimeVersion") or "<unknown>",
    ]


PODS: dict[str, Row] = {"Pod": (POD_COLUMNS, _pod), "Node": (NODE_COLUMNS, _node)}
