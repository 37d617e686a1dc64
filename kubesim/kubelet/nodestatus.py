"""The registration of a kubelet's node, its Lease, and the status that it reports.

There are two heartbeats, as upstream: the *Lease* is renewed every 10 s and is cheap; the Node's
*status* is computed every 10 s too, but written only if it changed or if the last report is 5
minutes old. So an idle cluster of a thousand nodes writes small leases, not large Node documents.

A condition that another component wrote (Unknown, by the node controller) counts as a change: the
kubelet overwrites it at its next heartbeat.

Source: pkg/kubelet/kubelet_node_status.go (tryUpdateNodeStatus, nodeStatusHasChanged,
recordNodeSchedulableEvent), pkg/kubelet/nodestatus/setters.go,
k8s.io/component-helpers/apimachinery/lease.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import retry_on_conflict
from kubesim.clock.base import Clock
from kubesim.errors import NotFound, StatusError
from kubesim.kubelet.nodeobject import with_defaults
from kubesim.objects import meta
from kubesim.objects.kindnames import LEASE, NODE
from kubesim.objects.wellknown import LEASE_NAMESPACE

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ContainerImageDict,
        NodeConditionDict,
        NodeDict,
        NodeStatusDict,
    )

LEASE_SECONDS = 10.0  # how often the lease is renewed: a quarter of its duration
LEASE_DURATION_SECONDS = 40  # nodeLeaseDurationSeconds
REPORT_SECONDS = 300.0  # nodeStatusReportFrequency: a report even if nothing changed

Fact = tuple[str, str, str, str]
"""A condition without its times: (type, status, reason, message)."""

HEALTHY: tuple[Fact, ...] = (
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
EVENT_REASONS = {
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
}


# -- decisions: pure functions ---------------------------------------------------------------------


def facts_of(conditions: Sequence[NodeConditionDict]) -> dict[str, Fact]:
    """Return conditions by type, without their times."""
    return {
        str(c.get("type")): (
            str(c.get("type")),
            str(c.get("status")),
            str(c.get("reason", "")),
            str(c.get("message", "")),
        )
        for c in conditions
    }


def reported_conditions(
    old: Sequence[NodeConditionDict], facts: Sequence[Fact], now: str
) -> list[NodeConditionDict]:
    """Return the node's conditions after a report; those of other components stay as they are.

    Args:
        old: the conditions so far.
        facts: the conditions that the kubelet observes.
        now: RFC 3339 string: the heartbeat time of each, and the transition time of those whose
            status changed.
    """
    by_type = {str(c.get("type")): c for c in old}
    own = {fact[0] for fact in facts}
    result = [c for c in old if c.get("type") not in own]
    for type, status, reason, message in facts:
        before = by_type.get(type, {})
        retained = before.get("lastTransitionTime") if before.get("status") == status else None
        result.append(
            {
                "type": type,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": retained or now,
            }
        )
    return result


def report_is_due(
    conditions: Sequence[NodeConditionDict], facts: Sequence[Fact], since_report: float
) -> bool:
    """Whether the status is written now: it has changed, or the last report is 5 minutes old.

    Args:
        conditions: of the newest Node object.
        facts: the conditions that the kubelet observes.
        since_report: seconds since its last report.

    >>> report_is_due([], HEALTHY, 0.0)
    True
    >>> reported = reported_conditions([], HEALTHY, "2025-01-01T00:00:00Z")
    >>> report_is_due(reported, HEALTHY, 290.0), report_is_due(reported, HEALTHY, 300.0)
    (False, True)
    """
    if since_report >= REPORT_SECONDS:
        return True
    reported = facts_of(conditions)
    return any(reported.get(fact[0]) != fact for fact in facts)


# -- the reporter ----------------------------------------------------------------------------------


class NodeReporter:
    """Registers one node and keeps its Lease and its status; all on the kubelet's worker.

    Args:
        api, clock: the cluster's tools.
        name: of the node.
        document: returns the Node object to register.
        facts: returns the conditions that the kubelet observes.
        images: returns the images of the node.
        pulls: returns the number of pulls so far; a new image is reported at the next heartbeat.
        volumes: returns the attached volumes in use; a change is reported at the next heartbeat.
        log: writes a line of the kubelet's log.
        event: records an Event (type, reason, message) about the node.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        name: str,
        *,
        document: Callable[[], NodeDict],
        facts: Callable[[], Sequence[Fact]],
        images: Callable[[], list[ContainerImageDict]] = list,
        pulls: Callable[[], int] = int,
        volumes: Callable[[], list[str]] = list,
        log: Callable[[str], None],
        event: Callable[[str, str, str], None],
    ) -> None:
        self._api = api
        self._clock = clock
        self._name = name
        self._document = document
        self._facts = facts
        self._images, self._pulls, self._volumes = images, pulls, volumes
        self._pulls_reported = 0
        self._log, self._event = log, event
        self._reported_at = 0.0
        self._unschedulable = False  # as in its last Event about that
        self.reports = 0

    def register(self) -> bool:
        """Create the Node object, or take over an existing one; return False to be called again.

        An existing node keeps its spec and the conditions of other components. It gets the
        labels that every node has and, if it has none, a podCIDR.
        """
        node = self._document()
        try:
            if self._api.peek(NODE, self._name) is None:
                self._api.create(node)
                self._record_events({}, node["status"])
            else:
                retry_on_conflict(lambda: self._take_over(node))
        except StatusError as error:
            self._log(f"Not registered yet: {error.message}")
            return False
        self._reported_at = self._clock.now()
        return True

    def _record_events(self, old: NodeStatusDict, status: NodeStatusDict) -> None:
        """Record that the node was rebooted, and what became of its conditions."""
        boot = (status.get("nodeInfo") or {}).get("bootID")
        before = (old.get("nodeInfo") or {}).get("bootID")
        if before and boot != before:
            message = f"Node {self._name} has been rebooted, boot id: {boot}"
            self._event("Warning", "Rebooted", message)
        old_facts = facts_of(old.get("conditions") or ())
        for type, is_true, _, _ in self._facts():
            reason = EVENT_REASONS.get((type, is_true))
            if reason and (type not in old_facts or old_facts[type][1] != is_true):
                self._record_status(reason)
        ready = old_facts.get("Ready")
        if ready is not None and ready[1] != "True":
            self._record_status("NodeReady")

    def record_start(self) -> None:
        """Record the Events of a kubelet that starts (birthCry, and the container manager's)."""
        self._unschedulable = False
        self._event("Normal", "Starting", "Starting kubelet.")
        allocatable = "Updated Node Allocatable limit across pods"
        self._event("Normal", "NodeAllocatableEnforced", allocatable)

    def _record_schedulable(self, node: NodeDict) -> None:
        """Record that the node was cordoned or uncordoned."""
        unschedulable = bool((node.get("spec") or {}).get("unschedulable"))
        if unschedulable is not self._unschedulable:
            self._unschedulable = unschedulable
            self._record_status("NodeNotSchedulable" if unschedulable else "NodeSchedulable")

    def _record_status(self, reason: str) -> None:
        self._event("Normal", reason, f"Node {self._name} status is now: {reason}")

    def _take_over(self, node: NodeDict) -> None:
        """Write the default labels and the status of an existing Node object."""
        status = node["status"]
        existing = self._api.get(NODE, self._name)
        if (completed := with_defaults(existing, node)) != existing:
            existing = self._api.update(completed)
        old = existing.get("status") or {}
        conditions = reported_conditions(
            old.get("conditions") or (), self._facts(), self._clock.timestamp()
        )
        merged = {**old, **status, "conditions": conditions}
        self._api.update_status({**existing, "status": merged})
        self._record_events(old, status)

    def heartbeat(self) -> None:
        """Renew the lease; report the status if it changed or the last report is old."""
        self.renew_lease()
        self.report()

    def renew_lease(self) -> None:
        """Renew the node's Lease; a failure is logged, since the next renewal is 10 s away.

        The Lease belongs to its Node, so it is deleted with it; without a Node there is none.
        """
        node = self._api.peek(NODE, self._name)
        if node is None:
            return
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": meta.uid_of(node)}
        lease = {
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": LEASE_NAMESPACE,
                "ownerReferences": [owner],
            },
            "spec": {
                "holderIdentity": self._name,
                "leaseDurationSeconds": LEASE_DURATION_SECONDS,
                "renewTime": f"{self._clock.timestamp()[:-1]}.000000Z",
            },
        }
        try:
            if self._api.peek(LEASE, self._name, LEASE_NAMESPACE) is None:
                self._api.create(lease)
            else:
                self._api.update(lease)
        except StatusError as error:
            self._log(f"Lease not renewed: {error.message}")

    def report(self) -> bool:
        """Write the node's status if it is due; return whether it was written."""
        node = self._api.peek(NODE, self._name)
        if node is None:
            return False  # deleted: a kubelet registers its node only when it starts
        self._record_schedulable(node)
        reported = node.get("status") or {}
        conditions, volumes = reported.get("conditions") or (), self._volumes()
        since = self._clock.now() - self._reported_at
        pulls = self._pulls()
        same = pulls == self._pulls_reported and volumes == (reported.get("volumesInUse") or [])
        if same and not report_is_due(conditions, self._facts(), since):
            return False

        def write() -> None:
            current = self._api.get(NODE, self._name)
            status = current.get("status") or {}
            now, images = self._clock.timestamp(), self._images()
            fresh = reported_conditions(status.get("conditions") or (), self._facts(), now)
            fields = {"conditions": fresh} | ({"images": images} if images else {})
            if volumes or "volumesInUse" in status:
                status = {**status, "volumesInUse": volumes}
            self._api.update_status({**current, "status": {**status, **fields}})
            self._record_events(status, status)

        try:
            retry_on_conflict(write)
        except NotFound:
            return False
        except StatusError as error:
            self._log(f"Status not reported: {error.message}")
            return False
        self._reported_at, self._pulls_reported = self._clock.now(), pulls
        self.reports += 1
        return True
