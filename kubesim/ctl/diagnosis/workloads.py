"""Workloads that wait for one of their pods: the pod's own trouble, told at the workload.

Source: pkg/controller/statefulset/stateful_set_control.go, pkg/controller/job/job_controller.go,
https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.ctl.diagnosis.deletion import held_pod
from kubesim.ctl.diagnosis.facts import Diagnosis, Facts
from kubesim.objects import meta
from kubesim.objects.pods import is_finished, phase_of

if TYPE_CHECKING:
    from kubesim.objects.types import JobDict, PodDict, StatefulSetDict

SIDECARS = "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"
IDENTITY = (
    "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/"
    "#deployment-and-scaling-guarantees"
)


def waiting_statefulset(facts: Facts, statefulset: StatefulSetDict) -> Diagnosis | None:
    """Return the pod that a StatefulSet waits for because it cannot stop; None: there is none.

    A name is used again only when the pod that has it is gone for certain.
    """
    for pod in sorted(facts.pods_of(statefulset), key=meta.name_of):
        blocked = held_pod(facts, pod)
        if blocked is None or blocked.binding == "terminationGracePeriodSeconds":
            continue
        name = meta.name_of(pod)
        step = RuleStep("pod", {"pod": name}, blocked.verdict, IDENTITY)
        return Diagnosis(
            f"waits for {name} to stop: {blocked.verdict}",
            (step, *blocked.steps),
            f"{name}: {blocked.binding}",
            blocked.way_out,
        )
    return None


def waiting_job(facts: Facts, job: JobDict) -> Diagnosis | None:
    """Return the container that keeps a Job's pod running after the work is done; None: none."""
    for pod in sorted(facts.pods_of(job), key=meta.name_of):
        ended, running = _containers(pod)
        if not ended or not running or phase_of(pod) != "Running" or is_finished(pod):
            continue
        name, rest = meta.name_of(pod), ", ".join(running)
        what = "container" if len(running) == 1 else "containers"
        verb = "runs" if len(running) == 1 else "run"
        return Diagnosis(
            f"waits for {name}: {', '.join(ended)} has ended with exit code 0, but {what} {rest} "
            f"still {verb}",
            (
                RuleStep(
                    "containers",
                    {"ended": ", ".join(ended), "running": rest},
                    "a pod is over when all of its containers under spec.containers have ended",
                    SIDECARS,
                ),
            ),
            f"{what} {rest} of {name}",
            f"{rest} ended, too, or were a sidecar: listed under initContainers with "
            "restartPolicy: Always, it is stopped when the others have ended",
        )
    return None


def _containers(pod: PodDict) -> tuple[list[str], list[str]]:
    """Return the main containers that have succeeded, and those that run."""
    ended, running = [], []
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        state = status.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode") == 0:
            ended.append(str(status["name"]))
        elif "running" in state:
            running.append(str(status["name"]))
    return ended, running
