"""Whether a node is alive, and which taints follow from that: the pure part of the node controller.

Two signs of life: the heartbeat in the node's Ready condition, and the renewal of its Lease. What
counts is *when the controller saw* one of them change, by its own clock; the times inside them are
only compared with each other. So clocks that differ do no harm.

>>> seen = observe(None, created=0.0, heartbeat="t0", renewed="r0", now=100.0)
>>> seen = observe(seen, created=0.0, heartbeat="t0", renewed="r0", now=150.0)
>>> is_silent(seen, has_ready=True, now=150.0)          # strictly after probe + 50 s
False
>>> is_silent(seen, has_ready=True, now=155.0)
True

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (tryUpdateNodeHealth,
doNoScheduleTaintingPass, nodeConditionToTaintKeyStatusMap).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import (
    DISK_PRESSURE,
    MEMORY_PRESSURE,
    NETWORK_UNAVAILABLE,
    NO_EXECUTE,
    NO_SCHEDULE,
    NOT_READY,
    PID_PRESSURE,
    UNREACHABLE,
    UNSCHEDULABLE,
)

MONITOR_SECONDS = 5.0  # --node-monitor-period
GRACE_SECONDS = 50.0  # --node-monitor-grace-period; 40 s before 1.32
STARTUP_GRACE_SECONDS = 60.0  # --node-startup-grace-period: of nodes that never reported
KUBELETS_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")

TAINT_KEYS: Mapping[str, Mapping[str, str]] = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": MEMORY_PRESSURE},
    "DiskPressure": {"True": DISK_PRESSURE},
    "NetworkUnavailable": {"True": NETWORK_UNAVAILABLE},
    "PIDPressure": {"True": PID_PRESSURE},
}
OUR_KEYS = {key for keys in TAINT_KEYS.values() for key in keys.values()} | {UNSCHEDULABLE}
NO_EXECUTE_KEYS = {"False": NOT_READY, "Unknown": UNREACHABLE}


@dataclass(frozen=True, slots=True)
class Health:
    """What the controller knows of one node.

    Attributes:
        probe: simulated second at which a sign of life was last *seen*.
        heartbeat: lastHeartbeatTime of Ready at that look; None: the node had no such condition.
        renewed: renewTime of the Lease; None: it had none.
    """

    probe: float
    heartbeat: str | None
    renewed: str | None


def observe(
    before: Health | None,
    *,
    created: float,
    heartbeat: str | None,
    renewed: str | None,
    now: float,
) -> Health:
    """What is known of a node after one more look.

    Args:
        before: what was known; None: the node is new to us.
        created: second of its creation: a new node without any report is counted from there.
        heartbeat: lastHeartbeatTime of its Ready condition ("" if that has none); None: it has no
            Ready condition.
        renewed: renewTime of its Lease; None: there is none.
        now: simulated second of the look.
    """
    probe = before.probe if before is not None else created
    if before is None:
        if heartbeat is not None:
            probe = now
    elif before.heartbeat != heartbeat:
        probe = now
    known = before.renewed if before is not None else None
    if renewed is not None and (known is None or renewed > known):
        probe, known = now, renewed
    return Health(probe, heartbeat, known)


def is_silent(
    health: Health,
    *,
    has_ready: bool,
    now: float,
    grace_seconds: float = GRACE_SECONDS,
    startup_grace_seconds: float = STARTUP_GRACE_SECONDS,
) -> bool:
    """Whether a node has shown no sign of life for *longer* than its grace period.

    Args:
        health: after `observe`.
        has_ready: the node has a Ready condition: somebody has reported once.
        now: simulated second.
        grace_seconds, startup_grace_seconds: how long it may be silent, having reported or not.
    """
    return now > health.probe + (grace_seconds if has_ready else startup_grace_seconds)


def unknown_conditions(conditions: Sequence[Document], *, created: str, now: str) -> list[Document]:
    """The conditions of a silent node: what its kubelet used to report is Unknown.

    Args:
        conditions: as they are; those of others stay.
        created, now: RFC 3339 texts: heartbeat of what was never reported, and of the change.
    """
    result: list[Document] = []
    for condition in conditions:
        if condition.get("type") in KUBELETS_CONDITIONS and condition.get("status") != "Unknown":
            condition = {
                **condition,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
        result.append(condition)
    reported = {condition.get("type") for condition in conditions}
    for type in KUBELETS_CONDITIONS:
        if type not in reported:
            result.append(
                {
                    "type": type,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": created,
                    "lastTransitionTime": now,
                }
            )
    return result


def scheduling_taints(conditions: Sequence[Document], unschedulable: bool) -> list[Document]:
    """The NoSchedule taints that a node should have, by its conditions and its cordon.

    >>> scheduling_taints([{"type": "Ready", "status": "Unknown"}], unschedulable=True)
    [{'key': 'node.kubernetes.io/unreachable', 'effect': 'NoSchedule'},
     {'key': 'node.kubernetes.io/unschedulable', 'effect': 'NoSchedule'}]
    """
    keys = [
        TAINT_KEYS.get(str(condition.get("type")), {}).get(str(condition.get("status")))
        for condition in conditions
    ]
    if unschedulable:
        keys.append(UNSCHEDULABLE)
    return [{"key": key, "effect": NO_SCHEDULE} for key in keys if key is not None]


def taint_changes(
    present: Sequence[Document], wanted: Sequence[Document]
) -> tuple[list[Document], list[Document]]:
    """(to add, to take off), so that of our NoSchedule taints a node has just those wanted.

    Taints of others, and ours with other effects, are left alone.
    """
    ours = [
        taint
        for taint in present
        if taint.get("effect") == NO_SCHEDULE and taint.get("key") in OUR_KEYS
    ]
    have, want = {taint["key"] for taint in ours}, {taint["key"] for taint in wanted}
    add = [taint for taint in wanted if taint["key"] not in have]
    return add, [taint for taint in ours if taint["key"] not in want]


def eviction_taint(ready: str) -> tuple[Document, Document] | None:
    """(the NoExecute taint for a Ready status, the opposite one); None for a node that is Ready.

    Args:
        ready: status of the Ready condition: "True", "False" or "Unknown".
    """
    key = NO_EXECUTE_KEYS.get(ready)
    if key is None:
        return None
    other = UNREACHABLE if key == NOT_READY else NOT_READY
    return {"key": key, "effect": NO_EXECUTE}, {"key": other, "effect": NO_EXECUTE}


def ready_status(node: Mapping[str, Any]) -> tuple[str, str] | None:
    """(status, lastHeartbeatTime) of a node's Ready condition; None if it has none."""
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return str(condition.get("status")), str(condition.get("lastHeartbeatTime") or "")
    return None
