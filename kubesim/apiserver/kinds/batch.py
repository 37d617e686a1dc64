"""Group batch: Job and CronJob.

The server generates a Job's selector from its uid, so that no two Jobs count each other's pods.

Source: pkg/apis/batch/v1/defaults.go, pkg/apis/batch/validation/validation.go,
pkg/registry/batch/job/strategy.go (generateSelector), pkg/registry/batch/cronjob.
"""

from __future__ import annotations

import re
from dataclasses import replace

from kubesim.apiserver.kinds.job_policies import (
    default_failure_policy,
    validate_failure_policy,
    validate_job_status_update,
    validate_success_policy,
)
from kubesim.apiserver.kinds.rules import (
    UNMATCHED,
    default_template,
    same_spec_fields,
    template_labels,
    validate_immutable,
    validate_numbers,
    validate_template_spec,
)
from kubesim.apiserver.podvalidation.formats import validate_prefixed_path
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects import meta
from kubesim.objects.cron import load_zone, parse_schedule
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import MAX_INT32

BACKOFF_LIMIT = 6
MAX_INDEXED_PARALLELISM = 100_000
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
LEGACY_UID, LEGACY_NAME = "controller-uid", "job-name"
IMMUTABLE_FIELDS = (
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
MAX_MANAGED_BY = 63
JOB_NUMBERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "ttlSecondsAfterFinished",
)
CRONJOB_NUMBERS = (
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
)
CONCURRENCY_POLICIES = ("Allow", "Forbid", "Replace")
MAX_CRONJOB_NAME = 52  # 63 characters of a Job's name without the appended time
ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")
# Fields of the template that a suspended Job may change if it never started.
SCHEDULING_FIELDS = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def default_job(job: Document) -> None:
    """Set the defaults of a Job: one completion, six retries."""
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
    """Set the template's defaults; a Job has no default restartPolicy."""
    template = spec.get("template")
    pod_spec = template.get("spec") if isinstance(template, dict) else None
    explicit = isinstance(pod_spec, dict) and bool(pod_spec.get("restartPolicy"))
    default_template(spec)
    if isinstance(pod_spec, dict) and not explicit:
        pod_spec["restartPolicy"] = "Always"  # validation refuses it, as in the real server


def admit_job(api: ServerView, job: Document, old: Document | None) -> None:
    """Generate a new Job's selector and the labels of its pods.

    Args:
        api: what an admission hook may use of the server.
        job: the Job; it is changed in place.
        old: the stored Job; None at creation.
    """
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
    """Validate numbers, completion mode, selector and template of a Job."""
    spec = errors.mapping("spec", job.get("spec"))
    labels = template_labels(spec, errors)
    if spec.get("selector") is None:
        errors.required("spec.selector")
    elif (selector := validate_selector(spec["selector"], "spec.selector", errors)) is not None:
        uid = meta.uid_of(job)
        generated = {CONTROLLER_UID: uid, LEGACY_UID: uid, JOB_NAME: meta.name_of(job)}
        generated[LEGACY_NAME] = meta.name_of(job)
        if not spec.get("manualSelector") and uid and not selector.matches(generated):
            errors.invalid("spec.selector", spec["selector"], "`selector` not auto-generated")
        if not selector.matches(labels):
            errors.invalid("spec.template.metadata.labels", labels, UNMATCHED)
    validate_job_spec(job, errors)


def validate_job_spec(job: Document, errors: FieldErrors) -> None:
    """Validate everything but the selector; also for the template of a CronJob."""
    spec = errors.mapping("spec", job.get("spec"))
    before = len(errors.causes)
    validate_numbers(spec, "spec", JOB_NUMBERS, errors)
    if len(errors.causes) == before:
        _validate_mode(job, spec, errors)
    _validate_policies(spec, errors)
    if spec.get("managedBy") is not None:
        validate_prefixed_path("spec.managedBy", spec["managedBy"], errors)
        if len(spec["managedBy"]) > MAX_MANAGED_BY:
            errors.too_long("spec.managedBy", MAX_MANAGED_BY)
    pod_spec = validate_template_spec(spec, errors)
    policy = pod_spec.get("restartPolicy")
    if policy == "Always":
        detail = 'valid values: "OnFailure", "Never"'
        errors.required("spec.template.spec.restartPolicy", detail)
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        errors.invalid("spec.template.spec.restartPolicy", policy, detail)


def _validate_mode(job: Document, spec: Document, errors: FieldErrors) -> None:
    """Validate the completion mode: Indexed needs completions; limits per index need Indexed."""
    mode, completions = spec.get("completionMode"), spec.get("completions")
    if mode not in (None, "Indexed", "NonIndexed"):
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
    if policy not in (None, "Failed", "TerminatingOrFailed"):
        supported = ("Failed", "TerminatingOrFailed")
        errors.not_supported("spec.podReplacementPolicy", policy, supported)
    elif spec.get("podFailurePolicy") is not None and policy not in (None, "Failed"):
        errors.not_supported("spec.podReplacementPolicy", policy, ("Failed",))
    validate_failure_policy(spec, errors)
    validate_success_policy(spec, errors)
    errors.boolean("spec.suspend", spec.get("suspend"))


def validate_job_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of everything but parallelism, suspension, limits and deadlines.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    same_spec_fields(new, old, IMMUTABLE_FIELDS, errors)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after.get("completions") != before.get("completions"):
        if after.get("completionMode") != "Indexed":
            path = "spec.completions"
            validate_immutable(after.get("completions"), before.get("completions"), path, errors)
        elif after.get("completions") != after.get("parallelism"):
            rule = "can only be modified in tandem with spec.parallelism"
            errors.invalid("spec.completions", after.get("completions"), rule)
    template, previous = after.get("template"), before.get("template")
    if before.get("suspend") and not (old.get("status") or {}).get("startTime"):
        template, previous = _without_scheduling(template), _without_scheduling(previous)
    validate_immutable(template, previous, "spec.template", errors)


def _without_scheduling(template: object) -> object:
    if not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        return template
    rest = {
        field: value for field, value in template["spec"].items() if field not in SCHEDULING_FIELDS
    }
    return {"spec": rest}


# -- CronJob ---------------------------------------------------------------------------------------


def default_cronjob(cronjob: Document) -> None:
    """Set the defaults: overlapping runs allowed, three succeeded and one failed Job kept.

    The Job template gets those of its pods alone; a Job gets its own when it is created.

    Source: pkg/apis/batch/v1/zz_generated.defaults.go (SetObjectDefaults_CronJob).
    """
    fill(cronjob, "spec", {})
    spec = cronjob["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "concurrencyPolicy", "Allow")
    fill(spec, "suspend", False)
    fill(spec, "successfulJobsHistoryLimit", 3)
    fill(spec, "failedJobsHistoryLimit", 1)
    fill(spec, "jobTemplate", {})
    template = spec["jobTemplate"]
    if isinstance(template, dict):
        fill(template, "metadata", {})
        fill(template, "spec", {})
        if isinstance(template["spec"], dict):
            _default_template(template["spec"])
            default_failure_policy(template["spec"])


def validate_cronjob(cronjob: Document, errors: FieldErrors) -> None:
    """Validate schedule, concurrency policy, numbers and Job template."""
    spec = errors.mapping("spec", cronjob.get("spec"))
    name = meta.name_of(cronjob)
    if len(name) > MAX_CRONJOB_NAME:
        errors.invalid("metadata.name", name, f"must be no more than {MAX_CRONJOB_NAME} characters")
    _validate_schedule(spec, errors)
    _validate_time_zone(spec.get("timeZone"), errors)
    errors.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), CONCURRENCY_POLICIES)
    errors.boolean("spec.suspend", spec.get("suspend"))
    validate_numbers(spec, "spec", CRONJOB_NUMBERS, errors)
    template = errors.mapping("spec.jobTemplate", spec.get("jobTemplate"))
    template_errors = FieldErrors()
    job_spec = template_errors.mapping("spec", template.get("spec"))
    if job_spec.get("selector") is not None:
        template_errors.invalid(
            "spec.selector", job_spec["selector"], "`selector` will be auto-generated"
        )
    if job_spec.get("manualSelector"):
        template_errors.not_supported("spec.manualSelector", True, ("nil", "false"))
    validate_job_spec({"metadata": {"name": name}, "spec": job_spec}, template_errors)
    errors.causes.extend(
        replace(cause, field=f"spec.jobTemplate.{cause.field}") for cause in template_errors.causes
    )


def _validate_schedule(spec: Document, errors: FieldErrors) -> None:
    schedule = spec.get("schedule")
    if not schedule or not isinstance(schedule, str):
        errors.required("spec.schedule")
        return
    if "TZ" in schedule:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.invalid("spec.schedule", schedule, detail)
        return
    try:
        parse_schedule(schedule)
    except ValueError as error:
        errors.invalid("spec.schedule", schedule, str(error))


def _validate_time_zone(zone: object, errors: FieldErrors) -> None:
    """Check spec.timeZone (validateTimeZone): a name of the IANA database."""
    path = "spec.timeZone"
    if not isinstance(zone, str):
        return
    if not zone:
        errors.invalid(path, zone, "timeZone must be nil or non-empty string")
        return
    unknown = f"unknown time zone {zone}"
    parts = zone.split("/")
    if any(p in (".", "..") or p[:1] == "-" or not ZONE_PART.fullmatch(p) for p in parts):
        errors.invalid(path, zone, unknown)
        return
    if zone.lower() == "local":
        detail = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        errors.invalid(path, zone, detail)
        if zone == "Local":
            return
    try:
        load_zone(zone)
    except ValueError as error:
        errors.invalid(path, zone, str(error))


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
        validate_status_update=validate_job_status_update,
        selectable_fields=("status.successful",),
        propagation="Orphan",  # the default since v1; kubectl asks for Background
    ),
    Kind(
        "CronJob",
        "cronjobs",
        group="batch",
        short_names=("cj",),
        categories=("all",),
        default=default_cronjob,
        validate=validate_cronjob,
    ),
)
