"""The columns and cells of workloads.

Source: pkg/printers/internalversion/printers.go (printDeployment, printJob ...).
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.printers.ages import Ages, human_duration
from kubesim.apiserver.printers.cells import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    NONE,
    SELECTOR,
    Row,
    age,
    column,
    containers_of,
    count,
    is_true,
    labels_text,
    mapping,
    number,
    objects,
    part,
    selector_text,
    wide,
)
from kubesim.objects.frozen import Document


def _deployment(deployment: Document, ages: Ages) -> list[Any]:
    status = mapping(deployment, "status")
    return [
        f"{count(status, 'readyReplicas')}/{count(deployment, 'spec', 'replicas')}",
        count(status, "updatedReplicas"),
        count(status, "availableReplicas"),
        age(deployment, ages),
        *containers_of(deployment),
        selector_text(part(deployment, "spec", "selector")),
    ]


def _replicaset(replicaset: Document, ages: Ages) -> list[Any]:
    return [
        count(replicaset, "spec", "replicas"),
        count(replicaset, "status", "replicas"),
        count(replicaset, "status", "readyReplicas"),
        age(replicaset, ages),
        *containers_of(replicaset),
        selector_text(part(replicaset, "spec", "selector")),
    ]


def _statefulset(statefulset: Document, ages: Ages) -> list[Any]:
    ready = count(statefulset, "status", "readyReplicas")
    return [
        f"{ready}/{count(statefulset, 'spec', 'replicas')}",
        age(statefulset, ages),
        *containers_of(statefulset),
    ]


def _daemonset(daemonset: Document, ages: Ages) -> list[Any]:
    status = mapping(daemonset, "status")
    return [
        count(status, "desiredNumberScheduled"),
        count(status, "currentNumberScheduled"),
        count(status, "numberReady"),
        count(status, "updatedNumberScheduled"),
        count(status, "numberAvailable"),
        labels_text(part(daemonset, "spec", "template", "spec", "nodeSelector")),
        age(daemonset, ages),
        *containers_of(daemonset),
        selector_text(part(daemonset, "spec", "selector")),
    ]


def _job(job: Document, ages: Ages) -> list[Any]:
    wanted, parallel = part(job, "spec", "completions"), count(job, "spec", "parallelism")
    succeeded = count(job, "status", "succeeded")
    if wanted is not None:
        completions = f"{succeeded}/{wanted}"
    else:
        completions = f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"
    began = ages.seconds(part(job, "status", "startTime"))
    ended = ages.seconds(part(job, "status", "completionTime"))
    lasted = ""
    if began is not None:
        lasted = human_duration((ages.now if ended is None else ended) - began)
    return [
        _job_status(job),
        completions,
        lasted,
        age(job, ages),
        *containers_of(job),
        selector_text(part(job, "spec", "selector")),
    ]


def _job_status(job: Document) -> str:
    status = mapping(job, "status")
    for type_ in ("Complete", "Failed"):
        if is_true(status, type_):
            return type_
    if part(job, "metadata", "deletionTimestamp"):
        return "Terminating"
    for type_ in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if is_true(status, type_):
            return type_
    return "Running"


def _cron_job(job: Document, ages: Ages) -> list[Any]:
    spec, last = mapping(job, "spec"), part(job, "status", "lastScheduleTime")
    containers = objects(spec, "jobTemplate", "spec", "template", "spec", "containers")
    return [
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
        len(objects(job, "status", "active")),
        ages.since(last) if last else NONE,
        age(job, ages),
        ",".join(str(item.get("name")) for item in containers),
        ",".join(str(item.get("image")) for item in containers),
        NONE,
    ]


TEMPLATE = (CONTAINERS, IMAGES, SELECTOR)
WORKLOADS: dict[str, Row] = {
    "Deployment": (
        (
            NAME,
            column("Ready", "pods that are ready, of those that are wanted"),
            number("Up-to-date", "pods of the newest template"),
            number("Available", "pods that were ready long enough"),
            AGE,
            *TEMPLATE,
        ),
        _deployment,
    ),
    "ReplicaSet": (
        (
            NAME,
            number("Desired", "how many pods are wanted"),
            number("Current", "how many there are"),
            number("Ready", "how many are ready"),
            AGE,
            *TEMPLATE,
        ),
        _replicaset,
    ),
    "StatefulSet": (
        (
            NAME,
            column("Ready", "pods that are ready, of those that are wanted"),
            AGE,
            *TEMPLATE[:2],
        ),
        _statefulset,
    ),
    "DaemonSet": (
        (
            NAME,
            number("Desired", "nodes that should run a pod"),
            number("Current", "nodes that should, and do"),
            number("Ready", "nodes whose pod is ready"),
            number("Up-to-date", "nodes with a pod of the newest template"),
            number("Available", "nodes whose pod was ready long enough"),
            column("Node Selector", "which nodes"),
            AGE,
            *TEMPLATE,
        ),
        _daemonset,
    ),
    "Job": (
        (
            NAME,
            column("Status", "how it goes"),
            column("Completions", "pods that succeeded, of those that should"),
            column("Duration", "from its start to its end"),
            AGE,
            *TEMPLATE,
        ),
        _job,
    ),
    "CronJob": (
        (
            NAME,
            column("Schedule", "when it runs"),
            column("Timezone", "of the schedule"),
            column("Suspend", "whether it pauses"),
            number("Active", "jobs that run now"),
            column("Last Schedule", "since it last ran"),
            AGE,
            wide("Containers", "names of the template's containers"),
            wide("Images", "what these containers run"),
            wide("Selector", "which pods belong to it"),
        ),
        _cron_job,
    ),
}
