"""Phase and conditions of a pod, derived from its containers: pure functions.

A pod's *phase* is a summary for people; its *conditions* say more exactly what is true.
CrashLoopBackOff and Terminating, which kubectl shows in the same column, are neither: the first is
a reason why a container waits, the second a timestamp.

Ours keeps the rules for main containers, init containers, sidecars and readiness gates. It leaves
out ephemeral containers and static pods.

>>> phase([Container("waiting")], "Always"), phase([Container("running")], "Always")
('Pending', 'Running')
>>> phase([Container("terminated", exit_code=1)], "Never")
'Failed'
>>> phase([Container("waiting", restarts=3)], "Always")       # CrashLoopBackOff
'Running'
>>> phase([Container("running", kind="init"), Container("waiting")], "Always")
'Pending'
>>> phase([Container("running", kind="sidecar"), Container("terminated")], "Never")
'Running'

Source: pkg/kubelet/kubelet_pods.go (getPhase), pkg/kubelet/status/generate.go,
pkg/kubelet/container/helpers.go (ShouldContainerBeRestarted).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kubesim.objects.meta import set_condition

if TYPE_CHECKING:
    from kubesim.objects.types import PodConditionDict, PodDict

MAIN, INIT, SIDECAR = "main", "init", "sidecar"
WAITING, RUNNING, TERMINATED, NO_STATUS = "waiting", "running", "terminated", ""


@dataclass(frozen=True, slots=True)
class Container:
    """The state of one container, as the rules take it.

    Attributes:
        state: waiting, running or terminated; "" if its state is unknown.
        exit_code: of a terminated container.
        restarts: number of restarts; more than 0 means it ran before.
        ready: it runs and serves; of an init container: it succeeded.
        name: for messages.
        kind: main, init, or sidecar (an init container that restarts Always).
        started: its startup probe succeeded; relevant for sidecars.
        last_exit: exit code of the run before; None: there was no such run.
    """

    state: str
    exit_code: int = 0
    restarts: int = 0
    ready: bool = False
    name: str = "main"
    kind: str = MAIN
    started: bool = True
    last_exit: int | None = None

    @property
    def ran_before(self) -> bool:
        """Whether it has run before its present state."""
        return self.restarts > 0 or self.last_exit is not None

    @property
    def done(self) -> bool:
        """Whether it succeeded."""
        return self.state == TERMINATED and self.exit_code == 0


class EndCause(NamedTuple):
    """Why the kubelet ended a run of a container, as explanations tell it.

    Attributes:
        rule: ``memory limit``, ``liveness probe`` or ``startup probe``.
        figures: the values that decided.
        result: what happened.
        way_out: what would have kept it running.
    """

    rule: str
    figures: Mapping[str, object]
    result: str
    way_out: str


def phase(containers: Sequence[Container], restart_policy: str, *, ended: bool = False) -> str:
    """Return the phase of a pod.

    A sidecar that runs counts as a main container that runs, so a pod is over only when its
    sidecars have stopped, too. An init container that runs, runs again or waits makes a pod
    Pending; a sidecar does so only until a main container has run.

    Args:
        containers: all its containers, of all three kinds.
        restart_policy: Always, OnFailure or Never.
        ended: the pod was deleted or evicted, and no container is started again.
    """
    mains = [c for c in containers if c.kind == MAIN]
    sidecars = [c for c in containers if c.kind == SIDECAR]
    if restart_policy == "Never" and any(map(init_failed, containers)):
        return "Failed"
    started = any(c.state in (RUNNING, TERMINATED) for c in mains)
    if any(init_pending(c) for c in containers if c.kind == INIT or not started):
        return "Pending"
    counted = [*mains, *sidecars]
    if any(c.state == WAITING and not c.ran_before for c in counted):
        return "Pending"
    if any(c.state == NO_STATUS for c in counted):
        return "Pending"
    if any(c.state == RUNNING for c in counted):
        return "Running"
    if not mains:
        return "Pending"
    good = all(c.done for c in mains)
    if ended:
        return "Succeeded" if good else "Failed"
    if restart_policy == "Always":
        return "Running"
    if good:
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def init_pending(container: Container) -> bool:
    """Whether an init container or sidecar has not done its part yet."""
    state, before = container.state, container.ran_before
    if container.kind == INIT:
        return state in (NO_STATUS, RUNNING) or (state == WAITING and not before)
    if container.kind == SIDECAR:
        if state == RUNNING:
            return not container.started
        return state == NO_STATUS or (state == WAITING and not before)
    return False


def init_failed(container: Container) -> bool:
    """Whether an init container failed, or waits after a failure."""
    if container.kind != INIT:
        return False
    if container.state == TERMINATED:
        return container.exit_code != 0
    return container.state == WAITING and bool(container.last_exit)


def should_restart(restart_policy: str, exit_code: int, *, deleted: bool = False) -> bool:
    """Whether a container that has exited is restarted.

    Args:
        restart_policy: Always (also after exit code 0), OnFailure or Never.
        exit_code: of the container.
        deleted: the pod is being deleted.
    """
    if deleted or restart_policy == "Never":
        return False
    return restart_policy == "Always" or exit_code != 0


def ran_before(pod: PodDict) -> bool:
    """Whether the status has containers that ran, from before the kubelet lost its memory."""
    status = pod.get("status") or {}
    statuses = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ]
    return any(
        "running" in (c.get("state") or {})
        or "terminated" in (c.get("state") or {})
        or int(c.get("restartCount") or 0) > 0
        for c in statuses
    )


def conditions(
    old: Sequence[PodConditionDict],
    containers: Sequence[Container],
    pod_phase: str,
    now: str,
    gates: Sequence[str] = (),
    *,
    sandbox: bool = True,
) -> list[PodConditionDict]:
    """Return a pod's conditions with those that a kubelet writes.

    Args:
        old: the pod's conditions so far.
        containers: all its containers.
        pod_phase: the result of `phase`.
        now: RFC 3339 string.
        gates: condition types of spec.readinessGates.
        sandbox: whether its volumes and its network are ready for containers.
    """
    serving = containers_ready(containers, pod_phase)
    initialized = pod_initialized(containers, pod_phase)
    ready = serving
    if serving[0] == "True":
        ready = gates_open({str(c.get("type")): str(c.get("status")) for c in old}, gates)
    result = list(old)
    sandbox_status = "True" if sandbox else "False"
    result = set_condition(result, "PodReadyToStartContainers", sandbox_status, now=now)
    result = set_condition(result, "Initialized", *initialized, now=now)
    result = set_condition(result, "Ready", *ready, now=now)
    result = set_condition(result, "ContainersReady", *serving, now=now)
    if not any(condition["type"] == "PodScheduled" for condition in result):
        result = set_condition(result, "PodScheduled", "True", now=now)
    return result


ConditionValue = tuple[str, str, str]
"""(status, reason, message) of a condition."""


def containers_ready(containers: Sequence[Container], pod_phase: str) -> ConditionValue:
    """Return ContainersReady: whether all main containers and sidecars serve."""
    if pod_phase == "Succeeded":
        return "False", "PodCompleted", ""
    if pod_phase == "Failed":
        return "False", "PodFailed", ""
    counted = [c for c in containers if c.kind != INIT]
    unknown = [c.name for c in counted if c.state == NO_STATUS]
    unready = [c.name for c in counted if c.state != NO_STATUS and not c.ready]
    return _condition("ContainersNotReady", unknown, "unready", unready)


def pod_initialized(containers: Sequence[Container], pod_phase: str) -> ConditionValue:
    """Return Initialized: whether each init container succeeded and each sidecar has started."""
    inits = [c for c in containers if c.kind != MAIN]
    if pod_phase == "Succeeded":
        return "True", "PodCompleted", ""
    if any(c.state in (RUNNING, TERMINATED) or c.ran_before for c in containers if c.kind == MAIN):
        return "True", "", ""
    unknown = [c.name for c in inits if c.state == NO_STATUS]
    incomplete = [
        c.name
        for c in inits
        if c.state != NO_STATUS
        and not (c.done if c.kind == INIT else c.state == RUNNING and c.started)
    ]
    return _condition("ContainersNotInitialized", unknown, "incomplete", incomplete)


def gates_open(conditions: Mapping[str, str], gates: Sequence[str]) -> ConditionValue:
    """Return Ready for a pod whose containers are ready: each gate's condition must be True.

    Args:
        conditions: status by type.
        gates: condition types of spec.readinessGates.
    """
    problems = []
    for gate in gates:
        if gate not in conditions:
            problems.append(
                f'corresponding condition of pod readiness gate "{gate}" does not exist.'
            )
        elif conditions[gate] != "True":
            problems.append(
                f'the status of pod readiness gate "{gate}" is not "True", but {conditions[gate]}'
            )
    if not problems:
        return "True", "", ""
    return "False", "ReadinessGatesNotReady", ", ".join(problems)


def _condition(reason: str, unknown: list[str], what: str, others: list[str]) -> ConditionValue:
    problems = []
    if unknown:
        problems.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if others:
        problems.append(f"containers with {what} status: [{' '.join(others)}]")
    return ("False", reason, ", ".join(problems)) if problems else ("True", "", "")
