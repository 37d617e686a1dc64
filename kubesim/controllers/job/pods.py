"""The pods that a Job creates: names, completion indexes, finalizer. Pure functions.

>>> name_base("resize-images", 12)
'resize-images-12-'

Source: pkg/controller/job/indexed_job_utils.go (addCompletionIndexEnvVariables,
podGenerateNameWithIndex, getNewIndexFailureCountValue), job_controller.go (manageJob).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ContainerDict,
        JobDict,
        ObjectMetaDict,
        OwnerReferenceDict,
        PodDict,
    )

MAX_BASE = 58  # characters of a generateName; a suffix of five characters follows
INDEX_ENV = "JOB_COMPLETION_INDEX"


def name_base(job_name: str, index: int | None) -> str:
    """Return generateName of a pod; the Job's name is truncated so that the index fits."""
    if index is None:
        return f"{job_name}-"
    number = f"-{index}-"
    return f"{job_name[: MAX_BASE - len(number)]}{number}"


def failure_counts(spec: JobSpec, failed: JobPod | None) -> dict[str, str]:
    """Return the annotations that carry an index's failure counts over to its next pod.

    Args:
        spec: the Job's spec; without backoffLimitPerIndex the result is empty.
        failed: the pod that is replaced; None: the new pod is the first of its index.
    """
    if spec.per_index is None:
        return {}
    if failed is None:
        return {INDEX_FAILURES: "0"}
    counts = match_failure(spec.failure_rules, failed).counts
    annotations = {INDEX_FAILURES: str(failed.index_failures + counts)}
    ignored = failed.index_ignored + (not counts)
    return {**annotations, INDEX_IGNORED: str(ignored)} if ignored else annotations


def job_pod(
    job: JobDict,
    owner_reference: OwnerReferenceDict,
    index: int | None = None,
    notes: Mapping[str, str] | None = None,
) -> PodDict:
    """Return the pod to create for a Job; the API server generates its name.

    Args:
        job: the document.
        owner_reference: the controllerRef to the Job.
        index: completion index; None: the Job is not Indexed.
        notes: further annotations.
    """
    template = job["spec"]["template"]
    template_metadata, pod_spec = template.get("metadata") or {}, template["spec"]
    finalizers = list(template_metadata.get("finalizers") or ())
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    annotations = {**(template_metadata.get("annotations") or {}), **(notes or {})}
    labels = dict(template_metadata.get("labels") or {})
    if index is not None:
        annotations[INDEX] = labels[INDEX] = str(index)
        pod_spec = {**pod_spec, "hostname": f"{meta.name_of(job)}-{index}"}
        for field in ("containers", "initContainers"):
            if pod_spec.get(field):
                pod_spec[field] = [
                    _add_completion_index_env(container) for container in pod_spec[field]
                ]
    metadata: ObjectMetaDict = {
        "generateName": name_base(meta.name_of(job), index),
        "namespace": meta.namespace_of(job),
        "labels": labels,
        "finalizers": finalizers,
        "ownerReferences": [owner_reference],
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec}


def _add_completion_index_env(container: ContainerDict) -> ContainerDict:
    """Return the container with JOB_COMPLETION_INDEX in its env, unless that is set already."""
    env = list(container.get("env") or ())
    if any(variable.get("name") == INDEX_ENV for variable in env):
        return container
    path = f"metadata.labels['{INDEX}']"
    env.append({"name": INDEX_ENV, "valueFrom": {"fieldRef": {"fieldPath": path}}})
    return {**container, "env": env}
