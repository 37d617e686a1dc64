"""Node health by lease and heartbeat, and the taints that follow from it: pure functions.

A node is healthy if the heartbeat of its Ready condition or its Lease changes. The controller uses
the time, by its own clock, at which it *saw* one of them change; the times inside are only compared
with each other. Nodes with skewed clocks therefore do no harm.

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
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from kubesim.objects.types import NodeConditionDict, NodeDict, TaintDict

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
    """The last observed lease and heartbeat of one node.

    Attributes:
        probe: simulated second at which a change of lease or heartbeat was last *seen*.
        heartbeat: lastHeartbeatTime of Ready; None: the node had no such condition.
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
    """Return the health of a node after one check.

    Args:
        before: its health so far; None: the node is new.
        created: second of its creation, from which a node that never reported is counted.
        heartbeat: lastHeartbeatTime of its Ready condition ("" if that has none); None: it has no
            Ready condition.
        renewed: renewTime of its Lease, or None.
        now: simulated second of the check.
    """
    probe = before.probe if before is not None else created
    if before is None:
        if heartbeat is not None:
            probe = now
    elif before.heartbeat != heartbeat:
        probe = now
    last_renewed = before.renewed if before is not None else None
    if renewed is not None and (last_renewed is None or renewed > last_renewed):
        probe, last_renewed = now, renewed
    return Health(probe, heartbeat, last_renewed)


def is_silent(
    health: Health,
    *,
    has_ready: bool,
    now: float,
    grace_seconds: float = GRACE_SECONDS,
    startup_grace_seconds: float = STARTUP_GRACE_SECONDS,
) -> bool:
    """Return whether lease and heartbeat have not changed for *longer* than the grace period.

    Args:
        health: the result of `observe`.
        has_ready: the node has a Ready condition: its kubelet has reported.
        now: simulated second.
        grace_seconds, startup_grace_seconds: grace periods of nodes that have reported, or not.
    """
    return now > health.probe + (grace_seconds if has_ready else startup_grace_seconds)


def unknown_conditions(
    conditions: Sequence[NodeConditionDict], *, created: str, now: str
) -> list[NodeConditionDict]:
    """Return the conditions of an unresponsive node: those of its kubelet become Unknown.

    Args:
        conditions: the present conditions; those of other components stay.
        created, now: RFC 3339 timestamps: heartbeat of conditions that were never reported, and
            time of the transition.
    """
    result: list[NodeConditionDict] = []
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


def scheduling_taints(
    conditions: Sequence[NodeConditionDict], unschedulable: bool
) -> list[TaintDict]:
    """Return the NoSchedule taints that a node should have.

    Args:
        conditions: status.conditions of the node.
        unschedulable: the node is cordoned.

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
    present: Sequence[TaintDict], wanted: Sequence[TaintDict]
) -> tuple[list[TaintDict], list[TaintDict]]:
    """Return (taints to add, taints to remove), so that a node has the wanted NoSchedule taints.

    Taints with other keys or effects are ignored.

    Args:
        present: the node's taints.
        wanted: result of `scheduling_taints`.
    """
    managed = [
        taint
        for taint in present
        if taint.get("effect") == NO_SCHEDULE and taint.get("key") in OUR_KEYS
    ]
    have, want = {taint["key"] for taint in managed}, {taint["key"] for taint in wanted}
    add = [taint for taint in wanted if taint["key"] not in have]
    return add, [taint for taint in managed if taint["key"] not in want]


def eviction_taint(ready: str) -> tuple[TaintDict, TaintDict] | None:
    """Return (NoExecute taint of a Ready status, the opposite one); None if the node is Ready.

    Args:
        ready: status of the Ready condition: "True", "False" or "Unknown".
    """
    key = NO_EXECUTE_KEYS.get(ready)
    if key is None:
        return None
    other = UNREACHABLE if key == NOT_READY else NOT_READY
    return {"key": key, "effect": NO_EXECUTE}, {"key": other, "effect": NO_EXECUTE}


def ready_status(node: NodeDict) -> tuple[str, str] | None:
    """Return (status, lastHeartbeatTime) of a node's Ready condition; None if it has none."""
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return str(condition.get("status")), str(condition.get("lastHeartbeatTime") or "")
    return None
