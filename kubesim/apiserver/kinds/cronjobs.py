"""The group batch again: CronJob.

Source: pkg/apis/batch/v1/defaults.go (SetDefaults_CronJob), pkg/apis/batch/validation/validation.go
(validateCronJobSpec), pkg/registry/batch/cronjob.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubesim.apiserver.fields import FieldErrors, fill
from kubesim.apiserver.kinds.batch import default_job, validate_job_spec
from kubesim.apiserver.kinds.rules import validate_numbers
from kubesim.apiserver.registry import Kind
from kubesim.objects import meta
from kubesim.objects.cron import parse_schedule
from kubesim.objects.frozen import Document

POLICIES = ("Allow", "Forbid", "Replace")
MAX_NAME = 52  # 63 of a Job's name, less the time that is appended
UTC = ("Etc/UTC", "UTC")
NUMBERS = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def default_cronjob(cronjob: Document) -> None:
    """Runs may overlap; three good ones and a bad one are kept."""
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
        default_job(template)


def validate_cronjob(cronjob: Document, errors: FieldErrors) -> None:
    """Schedule, policy, and the template of the Jobs."""
    spec = errors.mapping("spec", cronjob.get("spec"))
    name = meta.name_of(cronjob)
    if len(name) > MAX_NAME:
        errors.invalid("metadata.name", name, f"must be no more than {MAX_NAME} characters")
    _validate_schedule(spec, errors)
    policy = spec.get("concurrencyPolicy")
    if policy not in POLICIES:
        errors.not_supported("spec.concurrencyPolicy", policy, POLICIES)
    if spec.get("suspend") is not None and not isinstance(spec["suspend"], bool):
        errors.invalid("spec.suspend", spec["suspend"], "must be true or false")
    validate_numbers(spec, "spec", NUMBERS, errors)
    template = errors.mapping("spec.jobTemplate", spec.get("jobTemplate"))
    inside = FieldErrors()
    job_spec = inside.mapping("spec", template.get("spec"))
    if job_spec.get("selector") is not None:
        inside.invalid("spec.selector", job_spec["selector"], "`selector` will be auto-generated")
    validate_job_spec({"metadata": {"name": name}, "spec": job_spec}, inside)
    errors.causes += [
        replace(cause, field=f"spec.jobTemplate.{cause.field}") for cause in inside.causes
    ]


def _validate_schedule(spec: Document, errors: FieldErrors) -> None:
    schedule: Any = spec.get("schedule")
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
    zone = spec.get("timeZone")
    if zone is not None and zone not in UTC:
        errors.invalid("spec.timeZone", zone, f"unknown time zone {zone}")


KINDS = (
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
