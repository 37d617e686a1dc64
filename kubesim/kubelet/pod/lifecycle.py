"""Which containers of a pod are started next: a pure function, called after each change.

The order: init containers one after the other, each when the one before has succeeded (a sidecar:
when it has started); then all main containers at once. A container that exited is restarted by the
pod's restartPolicy; an init container of a pod that restarts Always is tried again until it
succeeds; a sidecar is restarted whatever the policy says, as long as a main container has work to
do. A container of which nothing is known is started. The pod is over when no main container runs or
will run again, or when an init container failed for good.

>>> from kubesim.kubelet.pod.phase import Container
>>> pod = [Container("waiting", kind="init", name="prepare"), Container("waiting", name="web")]
>>> plan(pod, "Always").start
('prepare',)
>>> pod[0] = Container("terminated", kind="init", name="prepare")
>>> plan(pod, "Always").start
('web',)
>>> plan([Container("terminated", exit_code=1)], "Never").over
True

Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go (computePodActions,
computeInitContainerActions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubesim.kubelet.pod.phase import (
    INIT,
    MAIN,
    NO_STATUS,
    RUNNING,
    SIDECAR,
    TERMINATED,
    WAITING,
    Container,
    should_restart,
)


@dataclass(frozen=True, slots=True)
class PodActions:
    """What a kubelet has to do next.

    Attributes:
        start: names of the containers to start, in order; a container that waits for its back-off
            or its image is listed until it runs.
        over: only sidecars will run from now on; they have to be stopped.
        why: the rule that decided.
    """

    start: tuple[str, ...] = ()
    over: bool = False
    why: str = ""


def plan(
    containers: Sequence[Container],
    restart_policy: str,
    killed: frozenset[str] = frozenset(),
    *,
    new_sandbox: bool = False,
) -> PodActions:
    """Return what to start, given the state of all containers.

    Args:
        containers: init containers and sidecars in the order of the spec, then the main ones.
        restart_policy: Always, OnFailure or Never.
        killed: names of the containers that the kubelet killed for a failed probe: they are
            restarted whatever their exit code, unless the policy is Never.
        new_sandbox: the pod starts over since its node was switched off: init containers run
            again.
    """
    mains = [c for c in containers if c.kind == MAIN]
    sidecars = [c for c in containers if c.kind == SIDECAR]
    initialized = any(c.state in (RUNNING, TERMINATED) or c.ran_before for c in mains)
    if new_sandbox or not initialized:
        step = _initialize([c for c in containers if c.kind != MAIN], restart_policy)
        if step is not None:
            return step

    def again(c: Container) -> bool:
        code = 1 if c.name in killed else c.exit_code
        return c.state == TERMINATED and should_restart(restart_policy, code)

    busy = [c for c in mains if c.state != TERMINATED or again(c)]
    if not busy:
        return PodActions(over=True, why="no main container runs or will be started again")
    dead = [c.name for c in sidecars if c.state != RUNNING]
    next = [c.name for c in mains if c.state in (WAITING, NO_STATUS) or again(c)]
    return PodActions((*dead, *next), why=f"restartPolicy {restart_policy}")


def _initialize(inits: Sequence[Container], restart_policy: str) -> PodActions | None:
    """Return the next actions before the main containers; None when these may start."""
    dead: list[str] = []
    for container in inits:
        if container.kind == INIT:
            if container.done:
                continue
            if container.state == RUNNING:
                return PodActions(tuple(dead), why=f"init container {container.name} runs")
            failed = container.state == TERMINATED
            if failed and restart_policy == "Never":
                return PodActions(over=True, why=f"init container {container.name} failed for good")
            return PodActions(
                (*dead, container.name), why=f"init container {container.name} is next"
            )
        if container.state != RUNNING:
            dead.append(container.name)
            if not container.ran_before and container.state != TERMINATED:
                return PodActions(tuple(dead), why=f"sidecar {container.name} is next")
        elif not container.started:
            return PodActions(tuple(dead), why=f"sidecar {container.name} has not started yet")
    return PodActions(tuple(dead), why="a sidecar is down") if dead else None
