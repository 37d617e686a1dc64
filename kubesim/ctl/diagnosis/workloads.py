"""Workloads that wait for one of their pods: the pod's own trouble, told at the workload.

Source: pkg/controller/statefulset/stateful_set_control.go, pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.ctl.diagnosis.containers import half_ended_pod
from kubesim.ctl.diagnosis.deletion import held_pod
from kubesim.ctl.diagnosis.facts import Diagnosis, Facts
from kubesim.objects import meta
from kubesim.objects.wellknown import REVISION_HASH_LABEL
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import DaemonSetDict, JobDict, StatefulSetDict

STATEFULSET = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/"
UPDATE = f"{STATEFULSET}#partitions"
ON_DELETE = f"{STATEFULSET}#update-strategies"
DAEMON_UPDATE = "https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/"
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


def kept_revisions(facts: Facts, statefulset: StatefulSetDict) -> Diagnosis | None:
    """Return why pods of a StatefulSet keep an older revision for good; None: none does.

    Pods below the partition do, and with OnDelete those that nobody deletes.
    """
    spec, update = statefulset["spec"], (statefulset.get("status") or {}).get("updateRevision")
    if not update:
        return None
    strategy = spec.get("updateStrategy") or {}
    old = [
        meta.name_of(pod)
        for pod in sorted(facts.pods_of(statefulset), key=meta.name_of)
        if meta.labels_of(pod).get(REVISION_HASH_LABEL) != update
    ]
    if strategy.get("type") == "OnDelete":
        return _updated_on_delete(old, ON_DELETE)
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    first = (spec.get("ordinals") or {}).get("start") or 0
    if not old or any(int(name.rpartition("-")[2]) - first >= partition for name in old):
        return None
    names = ", ".join(old)
    return Diagnosis(
        f"{names} {'keeps' if len(old) == 1 else 'keep'} an older revision: below the partition "
        f"{partition} no pod is updated",
        (RuleStep("partition", {"partition": partition, "updateRevision": update}, names, UPDATE),),
        "spec.updateStrategy.rollingUpdate.partition",
        "spec.updateStrategy.rollingUpdate.partition were 0: the update goes on from the highest "
        "ordinal below it",
    )


def kept_daemon_pods(daemonset: DaemonSetDict) -> Diagnosis | None:
    """Return that pods of a DaemonSet with OnDelete keep an older revision; None: none does."""
    status = daemonset.get("status") or {}
    desired = int(status.get("desiredNumberScheduled") or 0)
    old = desired - int(status.get("updatedNumberScheduled") or 0)
    if (daemonset["spec"].get("updateStrategy") or {}).get("type") != "OnDelete" or old <= 0:
        return None
    return _updated_on_delete([count_of(old, "pod")], DAEMON_UPDATE)


def _updated_on_delete(old: Sequence[str], page: str) -> Diagnosis | None:
    if not old:
        return None
    names = ", ".join(old)
    return Diagnosis(
        f"older revision: {names}; with OnDelete a pod is updated when it is deleted",
        (RuleStep("update strategy", {"type": "OnDelete"}, names, page),),
        "spec.updateStrategy",
        "these pods were deleted, or spec.updateStrategy.type were RollingUpdate",
    )


def waiting_job(facts: Facts, job: JobDict) -> Diagnosis | None:
    """Return the container that keeps a Job's pod from its end; None: there is none."""
    for pod in sorted(facts.pods_of(job), key=meta.name_of):
        halfway = half_ended_pod(pod)
        if halfway is not None:
            return replace(halfway, verdict=f"waits for {meta.name_of(pod)}: {halfway.verdict}")
    return None
