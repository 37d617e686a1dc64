"""Pods that no component decides about: gated ones, and ones that have failed.

Source: pkg/scheduler/framework/plugins/schedulinggates, pkg/kubelet/kubelet_pods.go (getPhase).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.ctl.diagnosis.facts import Diagnosis
from kubesim.objects import meta
from kubesim.objects.pods import node_of, phase_of
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerStatusDict, PodDict

GATES = (
    "https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/"
    "#configuring-pod-schedulinggates"
)
PHASE = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase"


def gated_pod(pod: PodDict) -> Diagnosis | None:
    """Return the scheduling gates that keep a pod from the scheduler; None: it has none."""
    gates = [str(gate.get("name")) for gate in pod["spec"].get("schedulingGates") or ()]
    if not gates or node_of(pod):
        return None
    names = ", ".join(gates)
    remove = (
        f"kubectl patch pod {meta.name_of(pod)} -n {meta.namespace_of(pod)} --type=merge -p "
        '\'{"spec":{"schedulingGates":null}}\''
    )
    return Diagnosis(
        f"waits: no scheduler looks at it before its {count_of(len(gates), 'scheduling gate')} "
        f"({names}) {'is' if len(gates) == 1 else 'are'} removed",
        (RuleStep("scheduling gates", {"gates": names}, "SchedulingGated", GATES),),
        "spec.schedulingGates",
        f"spec.schedulingGates were empty: whoever set a gate removes it, or {remove}",
    )


def failed_pod(pod: PodDict) -> Diagnosis | None:
    """Return which containers made a pod fail; None unless it failed by its containers."""
    status = pod.get("status") or {}
    if phase_of(pod) != "Failed" or status.get("reason"):
        return None
    statuses = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    broken = [each for each in statuses if exit_code_of(each)]
    if not broken:
        return None
    steps = tuple(ended_step(each) for each in broken)
    names = ", ".join(str(each["name"]) for each in broken)
    what = "container" if len(broken) == 1 else "containers"
    policy = str(pod["spec"].get("restartPolicy"))
    return Diagnosis(
        f"failed: {what} {names} ended with another exit code than 0, and restartPolicy {policy} "
        "starts nothing again",
        steps,
        f"exit code of {what} {names}",
        "; ".join(way_out_of(each) for each in broken) + "; a new pod is needed: this one is final",
    )


def _terminated(status: ContainerStatusDict) -> tuple[int, str, str]:
    ended = (status.get("state") or {}).get("terminated") or {}
    code = int(ended.get("exitCode") or 0)
    return code, str(ended.get("reason") or ""), str(ended.get("message") or "")


def exit_code_of(status: ContainerStatusDict) -> int:
    """Return the exit code of a container; 0 if it has not ended."""
    return _terminated(status)[0]


def ended_step(status: ContainerStatusDict) -> RuleStep:
    """Return how a container ended, as a step."""
    code, reason, message = _terminated(status)
    what = f"{reason}: {message}" if message else reason
    return RuleStep(f"container {status['name']}", {"exit_code": code}, what, PHASE)


def way_out_of(status: ContainerStatusDict) -> str:
    """Return what would have let a container end well."""
    name, (_, reason, _message) = status["name"], _terminated(status)
    if reason == "OOMKilled":
        return f"{name} had a higher memory limit, or used less"
    if reason == "StartError":
        return f"the command of {name} named a program that its image contains"
    return f"the program of {name} ended with exit code 0 (kubectl logs shows what it wrote)"
