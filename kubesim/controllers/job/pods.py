"""The pods that a Job makes: names, numbers, finalizer. Pure functions.

>>> name_base("resize-images", 12)
'resize-images-12-'

Source: pkg/controller/job/indexed_job_utils.go (addCompletionIndexEnvVariables,
podGenerateNameWithIndex, getNewIndexFailureCountValue), job_controller.go (manageJob).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.controllers.job.facts import (
    FINALIZER,
    INDEX,
    INDEX_FAILURES,
    INDEX_IGNORED,
    JobPod,
    JobSpec,
)
from kubesim.controllers.job.policies import match_failure
from kubesim.objects import meta
from kubesim.objects.frozen import Document

MAX_BASE = 58  # of a generateName, before the five characters that follow
INDEX_ENV = "JOB_COMPLETION_INDEX"


def name_base(job_name: str, index: int | None) -> str:
    """generateName of a pod; the Job's name is cut so that the index survives."""
    if index is None:
        return f"{job_name}-"
    number = f"-{index}-"
    return f"{job_name[: MAX_BASE - len(number)]}{number}"


def failure_counts(spec: JobSpec, failed: JobPod | None) -> dict[str, str]:
    """Annotations that carry an index's failures over to its next pod.

    Args:
        spec: of the Job; without limits by index there are none.
        failed: the pod that is replaced; None: it is the first of its index.
    """
    if spec.per_index is None:
        return {}
    if failed is None:
        return {INDEX_FAILURES: "0"}
    counts = match_failure(spec.failure_rules, failed).counts
    notes = {INDEX_FAILURES: str(failed.index_failures + counts)}
    ignored = failed.index_ignored + (not counts)
    return {**notes, INDEX_IGNORED: str(ignored)} if ignored else notes


def job_pod(
    job: Mapping[str, Any],
    owner_reference: Document,
    index: int | None = None,
    notes: Mapping[str, str] | None = None,
) -> Document:
    """The pod that a Job makes; the API server finds its name by generateName.

    Args:
        job: the document.
        owner_reference: a reference to it, as its controller.
        index: completion index; None: the Job is not indexed.
        notes: further annotations.
    """
    template = job["spec"]["template"]
    given, pod_spec = template.get("metadata") or {}, template["spec"]
    finalizers = list(given.get("finalizers") or ())
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    annotations = {**(given.get("annotations") or {}), **(notes or {})}
    labels = dict(given.get("labels") or {})
    if index is not None:
        annotations[INDEX] = labels[INDEX] = str(index)
        pod_spec = {**pod_spec, "hostname": f"{meta.name_of(job)}-{index}"}
        for field in ("containers", "initContainers"):
            if pod_spec.get(field):
                pod_spec[field] = [_with_index(container) for container in pod_spec[field]]
    metadata: Document = {
        "generateName": name_base(meta.name_of(job), index),
        "namespace": meta.namespace_of(job),
        "labels": labels,
        "finalizers": finalizers,
        "ownerReferences": [owner_reference],
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec}


def _with_index(container: Document) -> Document:
    """The container with the variable that tells it its index, unless it has one of that name."""
    env = list(container.get("env") or ())
    if any(variable.get("name") == INDEX_ENV for variable in env):
        return container
    path = f"metadata.labels['{INDEX}']"
    env.append({"name": INDEX_ENV, "valueFrom": {"fieldRef": {"fieldPath": path}}})
    return {**container, "env": env}
