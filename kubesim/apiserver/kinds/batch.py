"""The group batch: Job.

The server generates a Job's selector from its uid, so that no two Jobs count each other's pods.

Source: pkg/apis/batch/v1/defaults.go, pkg/apis/batch/validation/validation.go,
pkg/registry/batch/job/strategy.go (generateSelector).
"""

from __future__ import annotations

from kubesim.apiserver.fields import FieldErrors, fill
from kubesim.apiserver.kinds.job_policies import (
    default_failure_policy,
    validate_failure_policy,
    validate_success_policy,
)
from kubesim.apiserver.kinds.rules import (
    UNMATCHED,
    default_template,
    same_spec_fields,
    template_labels,
    validate_immutable,
    validate_numbers,
    validate_selector,
    validate_template_spec,
)
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import MAX_INT32

BACKOFF_LIMIT = 6
MAX_INDEXED_PARALLELISM = 100_000
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
LEGACY_UID, LEGACY_NAME = "controller-uid", "job-name"
FIXED = (
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
NUMBERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "ttlSecondsAfterFinished",
)
# What a Job that never ran may still change of its template while it is suspended.
SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def default_job(job: Document) -> None:
    """One pod that has to succeed once; six failures are forgiven."""
    fill(job, "spec", {})
    spec = job["spec"]
    if not isinstance(spec, dict):
        return
    _default_template(spec)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    fill(spec, "parallelism", 1)
    per_index = spec.get("backoffLimitPerIndex") is not None
    fill(spec, "backoffLimit", MAX_INT32 if per_index else BACKOFF_LIMIT)
    fill(spec, "completionMode", "NonIndexed")
    fill(spec, "suspend", False)
    fill(spec, "manualSelector", False)
    failures = spec.get("podFailurePolicy") is not None
    fill(spec, "podReplacementPolicy", "Failed" if failures else "TerminatingOrFailed")
    default_failure_policy(spec)


def _default_template(spec: Document) -> None:
    """The template's defaults; a Job must say by itself when it restarts."""
    template = spec.get("template")
    pod_spec = template.get("spec") if isinstance(template, dict) else None
    said = isinstance(pod_spec, dict) and bool(pod_spec.get("restartPolicy"))
    default_template(spec)
    if isinstance(pod_spec, dict) and not said:
        pod_spec["restartPolicy"] = "Always"  # refused below, as the real server does


def admit_job(api: ServerView, job: Document, old: Document | None) -> None:
    """Generate the selector and the labels that it selects."""
    spec = job.get("spec")
    if old is not None or not isinstance(spec, dict):
        return
    template = spec.get("template")
    if not isinstance(template, dict) or not isinstance(template.get("metadata"), dict):
        return
    metadata = job["metadata"]
    if not spec.get("manualSelector"):
        _generate_selector(
            spec, template["metadata"], metadata["uid"], str(metadata.get("name") or "")
        )
    labels = template["metadata"].get("labels")
    if isinstance(labels, dict) and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def _generate_selector(spec: Document, metadata: Document, uid: str, name: str) -> None:
    fill(metadata, "labels", {})
    labels = metadata["labels"]
    if not isinstance(labels, dict):
        return
    labels[LEGACY_NAME] = labels[JOB_NAME] = name
    labels[LEGACY_UID] = labels[CONTROLLER_UID] = uid
    fill(spec, "selector", {})
    selector = spec["selector"]
    if isinstance(selector, dict):
        fill(selector, "matchLabels", {})
        if isinstance(selector["matchLabels"], dict):
            fill(selector["matchLabels"], CONTROLLER_UID, uid)


def validate_job(job: Document, errors: FieldErrors) -> None:
    """Numbers, mode, selector and template of a Job."""
    spec = errors.mapping("spec", job.get("spec"))
    labels = template_labels(spec, errors)
    if spec.get("selector") is None:
        errors.required("spec.selector")
    elif (selector := validate_selector(spec["selector"], "spec.selector", errors)) is not None:
        uid = meta.uid_of(job)
        own = {CONTROLLER_UID: uid, LEGACY_UID: uid, JOB_NAME: meta.name_of(job)}
        own[LEGACY_NAME] = meta.name_of(job)
        if not spec.get("manualSelector") and uid and not selector.matches(own):
            errors.invalid("spec.selector", spec["selector"], "`selector` not auto-generated")
        if not selector.matches(labels):
            errors.invalid("spec.template.metadata.labels", labels, UNMATCHED)
    validate_job_spec(job, errors)


def validate_job_spec(job: Document, errors: FieldErrors) -> None:
    """What holds for the template of a CronJob, too: all but the selector."""
    spec = errors.mapping("spec", job.get("spec"))
    before = len(errors.causes)
    validate_numbers(spec, "spec", NUMBERS, errors)
    if len(errors.causes) == before:
        _validate_mode(job, spec, errors)
    _validate_policies(spec, errors)
    pod_spec = validate_template_spec(spec, errors)
    policy = pod_spec.get("restartPolicy")
    if policy == "Always":
        detail = 'valid values: "OnFailure", "Never"'
        errors.required("spec.template.spec.restartPolicy", detail)
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        errors.invalid("spec.template.spec.restartPolicy", policy, detail)


def _validate_mode(job: Document, spec: Document, errors: FieldErrors) -> None:
    """Indexed Jobs know their size; the others have no limits by index."""
    mode, completions = spec.get("completionMode"), spec.get("completions")
    if mode not in ("Indexed", "NonIndexed"):
        errors.not_supported("spec.completionMode", mode, ("Indexed", "NonIndexed"))
    elif mode == "Indexed":
        if completions is None:
            errors.required("spec.completions", "when completion mode is Indexed")
        parallelism = spec.get("parallelism") or 0
        if parallelism > MAX_INDEXED_PARALLELISM:
            rule = (
                f"must be less than or equal to {MAX_INDEXED_PARALLELISM} when completion mode is "
                "Indexed"
            )
            errors.invalid("spec.parallelism", parallelism, rule)
        longest = f"{meta.name_of(job)}-{max(0, (completions or 0) - 1)}"
        if completions and len(longest) > meta.MAX_LABEL:
            rule = f"will not able to create pod with invalid DNS label: {longest}"
            errors.invalid("metadata.name", meta.name_of(job), rule)
    else:
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                errors.invalid(f"spec.{field}", spec[field], "requires indexed completion mode")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        detail = "when maxFailedIndexes is specified"
        errors.required("spec.backoffLimitPerIndex", detail)


def _validate_policies(spec: Document, errors: FieldErrors) -> None:
    policy = spec.get("podReplacementPolicy")
    if policy not in ("Failed", "TerminatingOrFailed"):
        supported = ("Failed", "TerminatingOrFailed")
        errors.not_supported("spec.podReplacementPolicy", policy, supported)
    elif spec.get("podFailurePolicy") is not None and policy != "Failed":
        errors.not_supported("spec.podReplacementPolicy", policy, ("Failed",))
    validate_failure_policy(spec, errors)
    validate_success_policy(spec, errors)
    if spec.get("suspend") is not None and not isinstance(spec["suspend"], bool):
        errors.invalid("spec.suspend", spec["suspend"], "must be true or false")


def validate_job_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """What a Job is for never changes; how fast it goes may."""
    same_spec_fields(new, old, FIXED, errors)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after.get("completions") != before.get("completions"):
        if after.get("completionMode") != "Indexed":
            path = "spec.completions"
            validate_immutable(after.get("completions"), before.get("completions"), path, errors)
        elif after.get("completions") != after.get("parallelism"):
            rule = "can only be modified in tandem with spec.parallelism"
            errors.invalid("spec.completions", after.get("completions"), rule)
    kept, was = after.get("template"), before.get("template")
    if before.get("suspend") and not (old.get("status") or {}).get("startTime"):
        kept, was = _without_scheduling(kept), _without_scheduling(was)
    validate_immutable(kept, was, "spec.template", errors)


def _without_scheduling(template: object) -> object:
    if not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        return template
    rest = {field: value for field, value in template["spec"].items() if field not in SCHEDULING}
    return {"spec": rest}


KINDS = (
    Kind(
        "Job",
        "jobs",
        group="batch",
        categories=("all",),
        default=default_job,
        admit=admit_job,
        validate=validate_job,
        validate_update=validate_job_update,
        selectable_fields=("status.successful",),
        propagation="Orphan",  # as since its first version; kubectl asks for Background
    ),
)
