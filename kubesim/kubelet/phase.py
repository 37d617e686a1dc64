"""What state a pod is in, derived from its containers: pure functions.

A pod's *phase* is a summary for people; its *conditions* say more exactly what is true; and
CrashLoopBackOff or Terminating, which kubectl shows in the same column, are neither: the first is a
reason why a container waits, the second a timestamp.

Ours keeps the rules for main containers and all three restart policies. It leaves out init
containers, readiness gates, and probes, so far.

>>> phase([Container("waiting")], "Always"), phase([Container("running")], "Always")
('Pending', 'Running')
>>> phase([Container("terminated", exit_code=1)], "Never")
'Failed'
>>> phase([Container("waiting", restarts=3)], "Always")       # CrashLoopBackOff
'Running'

Source: pkg/kubelet/kubelet_pods.go (getPhase), pkg/kubelet/status/generate.go,
pkg/kubelet/container/helpers.go (ShouldContainerBeRestarted).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document


@dataclass(frozen=True, slots=True)
class Container:
    """One container's state.

    Attributes:
        state: waiting, running or terminated.
        exit_code: of a terminated one.
        restarts: how often it was started again; more than 0 means it ran before.
        ready: it runs and serves.
        name: for messages.
    """

    state: str
    exit_code: int = 0
    restarts: int = 0
    ready: bool = False
    name: str = "main"

    @property
    def ran_before(self) -> bool:
        """It waits to be started again, and not for the first time."""
        return self.restarts > 0


def phase(containers: Sequence[Container], restart_policy: str, *, ended: bool = False) -> str:
    """The phase of a pod.

    Args:
        containers: its main containers.
        restart_policy: Always, OnFailure or Never.
        ended: the pod was deleted or evicted, and nothing is started again.
    """
    waiting = [c for c in containers if c.state == "waiting" and not c.ran_before]
    running = [c for c in containers if c.state == "running"]
    stopped = [
        c for c in containers if c.state == "terminated" or (c.state == "waiting" and c.ran_before)
    ]
    if waiting or not containers:
        return "Pending"
    if running:
        return "Running"
    good = all(c.state == "terminated" and c.exit_code == 0 for c in stopped)
    if ended:
        return "Succeeded" if good else "Failed"
    if restart_policy == "Always":
        return "Running"
    if good:
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def should_restart(restart_policy: str, exit_code: int, *, deleted: bool = False) -> bool:
    """Whether a container that has exited is started again; Always restarts after exit 0, too."""
    if deleted or restart_policy == "Never":
        return False
    return restart_policy == "Always" or exit_code != 0


def ran_before(pod: Document) -> bool:
    """Whether the status tells of containers that ran: found by a kubelet that knows nothing."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(
        "running" in (c.get("state") or {}) or int(c.get("restartCount") or 0) > 0 for c in statuses
    )


def conditions(
    old: Sequence[Document], containers: Sequence[Container], pod_phase: str, now: str
) -> list[Document]:
    """The conditions that a kubelet writes, in place of the old ones of the same types.

    Args:
        old: the pod's conditions so far.
        containers: its main containers.
        pod_phase: as `phase` has it.
        now: RFC 3339 text.
    """
    unready = [c.name for c in containers if not c.ready]
    ready, reason, message = "True", "", ""
    if pod_phase == "Succeeded":
        ready, reason = "False", "PodCompleted"
    elif pod_phase == "Failed":
        ready, reason = "False", "PodFailed"
    elif unready:
        ready, reason = "False", "ContainersNotReady"
        message = f"containers with unready status: [{' '.join(unready)}]"
    done = "PodCompleted" if pod_phase == "Succeeded" else ""
    result = list(old)
    result = set_condition(result, "PodReadyToStartContainers", "True", now=now)
    result = set_condition(result, "Initialized", "True", done, now=now)
    result = set_condition(result, "Ready", ready, reason, message, now=now)
    result = set_condition(result, "ContainersReady", ready, reason, message, now=now)
    if not any(condition["type"] == "PodScheduled" for condition in result):
        result = set_condition(result, "PodScheduled", "True", now=now)
    return result
