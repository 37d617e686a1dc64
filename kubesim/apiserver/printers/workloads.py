"""Printers of workloads: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob.

Source: pkg/printers/internalversion/printers.go (printDeployment, printJob ...).
"""

from __future__ import annotations

from kubesim.apiserver.printers.ages import Ages, human_duration
from kubesim.apiserver.printers.cells import (
    AGE,
    NONE,
    Cell,
    Printer,
    at,
    column,
    container_images,
    container_names,
    count,
    integer_at,
    is_true,
    labels_at,
    length_at,
    mapping,
    number,
    objects,
    part,
    printer_of,
    selector_at,
    wide,
)
from kubesim.objects.frozen import Document

CONTAINERS = wide("Containers", "names of the containers in the pod template")
IMAGES = wide("Images", "images of the containers in the pod template")
SELECTOR = wide("Selector", "label selector of the pods")


def _template_containers(workload: Document) -> list[Document]:
    return objects(workload, "spec", "template", "spec", "containers")


TEMPLATE = (
    Cell(CONTAINERS, lambda document, ages: container_names(_template_containers(document))),
    Cell(IMAGES, lambda document, ages: container_images(_template_containers(document))),
)
LABEL_SELECTOR = selector_at(SELECTOR, "spec.selector")
READY = Cell(
    column("Ready", "ready pods of the desired number"),
    lambda workload, ages: (
        f"{count(workload, 'status', 'readyReplicas')}/{count(workload, 'spec', 'replicas')}"
    ),
)


# -- Job and CronJob -------------------------------------------------------------------------------


def _completions(job: Document, ages: Ages) -> str:
    completions, parallel = part(job, "spec", "completions"), count(job, "spec", "parallelism")
    succeeded = count(job, "status", "succeeded")
    if completions is not None:
        return f"{succeeded}/{completions}"
    return f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"


def _duration(job: Document, ages: Ages) -> str:
    start = ages.seconds(part(job, "status", "startTime"))
    end = ages.seconds(part(job, "status", "completionTime"))
    if start is None:
        return ""
    return human_duration((ages.now if end is None else end) - start)


def _job_status(job: Document, ages: Ages) -> str:
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


def _last_schedule(job: Document, ages: Ages) -> str:
    last = part(job, "status", "lastScheduleTime")
    return ages.since(last) if last else NONE


def _job_containers(job: Document) -> list[Document]:
    return objects(job, "spec", "jobTemplate", "spec", "template", "spec", "containers")


WORKLOADS: dict[str, Printer] = {
    "Deployment": printer_of(
        READY,
        integer_at(number("Up-to-date", "pods of the newest template"), "status.updatedReplicas"),
        integer_at(
            number("Available", "pods that have been ready for minReadySeconds"),
            "status.availableReplicas",
        ),
        AGE,
        *TEMPLATE,
        LABEL_SELECTOR,
    ),
    "ReplicaSet": printer_of(
        integer_at(number("Desired", "desired number of pods"), "spec.replicas"),
        integer_at(number("Current", "current number of pods"), "status.replicas"),
        integer_at(number("Ready", "number of ready pods"), "status.readyReplicas"),
        AGE,
        *TEMPLATE,
        LABEL_SELECTOR,
    ),
    "ReplicationController": printer_of(
        integer_at(number("Desired", "desired number of pods"), "spec.replicas"),
        integer_at(number("Current", "current number of pods"), "status.replicas"),
        integer_at(number("Ready", "number of ready pods"), "status.readyReplicas"),
        AGE,
        *TEMPLATE,
        labels_at(SELECTOR, "spec.selector"),
    ),
    "StatefulSet": printer_of(READY, AGE, *TEMPLATE),
    "DaemonSet": printer_of(
        integer_at(
            number("Desired", "nodes that should run a pod"), "status.desiredNumberScheduled"
        ),
        integer_at(
            number("Current", "nodes that should run a pod and do"),
            "status.currentNumberScheduled",
        ),
        integer_at(number("Ready", "nodes whose pod is ready"), "status.numberReady"),
        integer_at(
            number("Up-to-date", "nodes with a pod of the newest template"),
            "status.updatedNumberScheduled",
        ),
        integer_at(
            number("Available", "nodes whose pod has been ready for minReadySeconds"),
            "status.numberAvailable",
        ),
        labels_at(
            column("Node Selector", "labels of the nodes that should run a pod"),
            "spec.template.spec.nodeSelector",
        ),
        AGE,
        *TEMPLATE,
        LABEL_SELECTOR,
    ),
    "Job": printer_of(
        Cell(column("Status", "state of the job"), _job_status),
        Cell(column("Completions", "succeeded pods of the desired number"), _completions),
        Cell(column("Duration", "time from start to completion"), _duration),
        AGE,
        *TEMPLATE,
        LABEL_SELECTOR,
    ),
    "CronJob": printer_of(
        at(column("Schedule", "schedule in cron format"), "spec.schedule"),
        at(column("Timezone", "time zone of the schedule"), "spec.timeZone", NONE),
        Cell(
            column("Suspend", "whether no further jobs are created"),
            lambda job, ages: "True" if part(job, "spec", "suspend") else "False",
        ),
        length_at(number("Active", "number of running jobs"), "status.active"),
        Cell(column("Last Schedule", "time since the last job was created"), _last_schedule),
        AGE,
        Cell(CONTAINERS, lambda job, ages: container_names(_job_containers(job))),
        Cell(IMAGES, lambda job, ages: container_images(_job_containers(job))),
        Cell(SELECTOR, lambda job, ages: NONE),
    ),
}
