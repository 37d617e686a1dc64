"""Containers beside the main one that hold a pod up: ended for good, running on, or crashing.

Source: pkg/kubelet/kubelet_pods.go (getPhase), pkg/kubelet/status/generate.go
(GeneratePodReadyCondition), pkg/kubelet/container/helpers.go (ShouldContainerBeRestarted).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubesim.client import Decision, RuleStep
from kubesim.controllers.shared.podstatus import STARTING
from kubesim.ctl.diagnosis.facts import Diagnosis, seconds_text
from kubesim.ctl.diagnosis.pods import ended_step, exit_code_of, way_out_of
from kubesim.objects import meta
from kubesim.objects.pods import is_finished, is_ready, phase_of

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerStatusDict, PodDict

SIDECARS = "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
OVER = "a pod is over when all of its containers under spec.containers have ended"
AS_SIDECAR = (
    "ended, too, or were a sidecar: listed under initContainers with restartPolicy: Always, it is "
    "stopped when the others have ended"
)


def half_ended_pod(pod: PodDict) -> Diagnosis | None:
    """Return that some containers of a pod have ended for good while others run; None: not so."""
    ended, running = _ended_and_running(pod)
    if not ended or not running or phase_of(pod) != "Running" or is_finished(pod):
        return None
    if _main_container(pod) in [status["name"] for status in ended]:
        return _runs_on(pod, ended, running)
    return _ended_beside(pod, ended, running)


def _ended_and_running(
    pod: PodDict,
) -> tuple[list[ContainerStatusDict], list[ContainerStatusDict]]:
    """Return the containers that are not started again, and those that run."""
    policy = pod["spec"].get("restartPolicy") or "Always"
    ended, running = [], []
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        state = status.get("state") or {}
        final = policy == "Never" or (policy == "OnFailure" and not exit_code_of(status))
        if "terminated" in state and final:
            ended.append(status)
        elif "running" in state:
            running.append(status)
    return ended, running


def _main_container(pod: PodDict) -> str:
    """Return the container that kubectl takes when none is named."""
    first = str(pod["spec"]["containers"][0]["name"])
    return str(meta.annotations_of(pod).get(DEFAULT_CONTAINER) or first)


def _names(statuses: Sequence[ContainerStatusDict]) -> str:
    return ", ".join(str(status["name"]) for status in statuses)


def _ends(statuses: Sequence[ContainerStatusDict]) -> str:
    codes = ", ".join(sorted({str(exit_code_of(status)) for status in statuses}))
    return f"{_names(statuses)} has ended with exit code {codes}"


def _runs_on(
    pod: PodDict, ended: Sequence[ContainerStatusDict], running: Sequence[ContainerStatusDict]
) -> Diagnosis:
    """Return which containers keep a pod running whose main one has ended.

    Args:
        pod: the pod.
        ended, running: statuses of its containers.
    """
    rest = _names(running)
    what = "container" if len(running) == 1 else "containers"
    verb = "runs" if len(running) == 1 else "run"
    return Diagnosis(
        f"{_ends(ended)}, but {what} {rest} still {verb}",
        (RuleStep("containers", {"ended": _names(ended), "running": rest}, OVER, SIDECARS),),
        f"{what} {rest} of {meta.name_of(pod)}",
        f"{rest} {AS_SIDECAR}",
    )


def _ended_beside(
    pod: PodDict, ended: Sequence[ContainerStatusDict], running: Sequence[ContainerStatusDict]
) -> Diagnosis:
    """Return which containers beside the main one have ended, so that the pod is never ready.

    Args:
        pod: the pod.
        ended, running: statuses of its containers.
    """
    policy = str(pod["spec"].get("restartPolicy"))
    rest, what = _names(running), "container" if len(ended) == 1 else "containers"
    outs = []
    for status in ended:
        name = status["name"]
        logs = f"kubectl logs {meta.name_of(pod)} -n {meta.namespace_of(pod)} -c {name}"
        if not exit_code_of(status):
            outs.append(f"the program of {name} ran on, or {name} were listed in initContainers")
        elif (status["state"].get("terminated") or {}).get("reason") == "Error":
            outs.append(f"the program of {name} ran on ({logs} shows what it wrote)")
        else:
            outs.append(way_out_of(status))
    return Diagnosis(
        f"not ready: {what} {_ends(ended)}, and restartPolicy {policy} does not start it again, "
        f"while {rest} {'runs' if len(running) == 1 else 'run'} on",
        tuple(ended_step(status) for status in ended),
        f"{what} {_names(ended)}",
        "; ".join(outs) + "; that takes a new pod",
    )


def crashing_container(pod: PodDict, records: Sequence[Decision]) -> Diagnosis | None:
    """Return what its kubelet decided about a container that waits; None: the newest record does.

    A later record about another container ("container main is ready") does not say why the pod is
    not ready.

    Args:
        pod: the pod.
        records: the recorded decisions about it, oldest first.
    """
    if is_finished(pod) or is_ready(pod):
        return None
    hindrances = []
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (status.get("state") or {}).get("waiting") or {}
        if not waiting.get("reason") or waiting["reason"] in STARTING:
            continue
        prefixes = (f"container {status['name']} ", f"{status['name']} cannot ")
        about = [record for record in records if record.verdict.startswith(prefixes)]
        hindrances += about[-1:]
    if not hindrances or records[-1] in hindrances:
        return None
    record = hindrances[0]
    return Diagnosis(
        f"not ready: {record.verdict} (decided at {seconds_text(record.time)})",
        record.steps,
        record.binding,
        record.would_change_if,
    )
