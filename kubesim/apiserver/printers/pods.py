"""Printers of Pod and Node.

Source: pkg/printers/internalversion/printers.go (printPod, printNode).
"""

from __future__ import annotations

from collections.abc import Callable, Set

from kubesim.apiserver.printers.ages import UNKNOWN, Ages, human_duration
from kubesim.apiserver.printers.cells import (
    AGE,
    NAME,
    NONE,
    Cell,
    Printer,
    age,
    at,
    column,
    count,
    is_true,
    mapping,
    objects,
    part,
    printer_of,
    wide,
)
from kubesim.objects.frozen import Document

# -- Pod -------------------------------------------------------------------------------------------

POD_COLUMNS = (
    NAME,
    column("Ready", "ready containers of all containers"),
    column("Status", "aggregate status of the pod and its containers"),
    column("Restarts", "number of container restarts, and time since the last one"),
    AGE.column,
    wide("IP", "IP address of the pod"),
    wide("Node", "node that the pod is assigned to"),
    wide("Nominated Node", "node on which preemption is making room for the pod"),
    wide("Readiness Gates", "readiness gates whose conditions are true, of all"),
)


def _pod_cells(pod: Document, ages: Ages) -> list[object]:
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
    init_reason, initialized = _init_reason(pod, init, sidecars), is_true(status, "Initialized")
    counted = init
    if init_reason:
        reason = init_reason
    if not init_reason or initialized:
        counted = [s for s in init if s.get("name") in sidecars] + statuses
        ready += sum(
            1 for s in statuses if s.get("ready") and part(s, "state", "running") is not None
        )
        reason = _main_reason(reason, status, statuses)
    if part(pod, "metadata", "deletionTimestamp"):
        if status.get("reason") == "NodeLost":
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


def _init_reason(pod: Document, statuses: list[Document], sidecars: Set[object]) -> str:
    """Return why the main containers have not started; "" if init containers do not block them."""
    for index, status in enumerate(statuses):
        ended = _terminated(status)
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


def _terminated(status: Document) -> Document | None:
    ended = part(status, "state", "terminated")
    return ended if isinstance(ended, dict) else None


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
        ended = _terminated(container)
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

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"


def _node_status(node: Document, ages: Ages) -> str:
    states = [
        "Ready" if condition.get("status") == "True" else "NotReady"
        for condition in objects(node, "status", "conditions")
        if condition.get("type") == "Ready"
    ]
    if part(node, "spec", "unschedulable"):
        states = [*(states or ["Unknown"]), "SchedulingDisabled"]
    return ",".join(states) or "Unknown"


def _roles(node: Document, ages: Ages) -> str:
    labels = mapping(node, "metadata", "labels")
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    if labels.get(ROLE_LABEL):
        roles.add(labels[ROLE_LABEL])
    return ",".join(sorted(roles)) or NONE


def _address(type_: str) -> Callable[[Document, Ages], object]:
    def value(node: Document, ages: Ages) -> object:
        for address in reversed(objects(node, "status", "addresses")):
            if address.get("type") == type_:
                return address.get("address") or NONE
        return NONE

    return value


PODS: dict[str, Printer] = {
    "Pod": Printer(POD_COLUMNS, _pod_cells),
    "Node": printer_of(
        Cell(column("Status", "whether the node is ready and schedulable"), _node_status),
        Cell(column("Roles", "roles of the node, from its labels"), _roles),
        AGE,
        at(column("Version", "version of the kubelet"), "status.nodeInfo.kubeletVersion"),
        Cell(wide("Internal-IP", "address inside the cluster"), _address("InternalIP")),
        Cell(wide("External-IP", "address outside the cluster"), _address("ExternalIP")),
        at(wide("OS-Image", "operating system"), "status.nodeInfo.osImage", UNKNOWN),
        at(
            wide("Kernel-Version", "kernel version"),
            "status.nodeInfo.kernelVersion",
            UNKNOWN,
        ),
        at(
            wide("Container-Runtime", "container runtime and its version"),
            "status.nodeInfo.containerRuntimeVersion",
            UNKNOWN,
        ),
    ),
}
