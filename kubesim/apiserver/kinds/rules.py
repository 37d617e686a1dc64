"""Validation that several kinds share: pod templates, numbers, percentages, immutable fields.

Source: pkg/apis/apps/validation/validation.go, pkg/apis/core/validation/validation.go,
k8s.io/apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver.kinds.pods import default_pod_spec, validate_pod_spec
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.validation import FieldErrors, fill, validate_annotations, validate_labels
from kubesim.objects.frozen import Document
from kubesim.objects.intstr import is_percentage, number_in

if TYPE_CHECKING:
    from kubesim.objects.types import PodSpecDict

PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)
IMMUTABLE = "field is immutable"
UNMATCHED = "`selector` does not match template `labels`"
MAX_DATA_BYTES = 1024 * 1024  # MaxSecretSize: all values of a ConfigMap or Secret together


# -- numbers ---------------------------------------------------------------------------------------


def validate_numbers(spec: Document, path: str, fields: Iterable[str], errors: FieldErrors) -> None:
    """Validate optional integers that must not be negative.

    Args:
        spec: the object that has the fields.
        path: its path; "" is the object itself.
        fields: names of the fields.
        errors: collects the errors.
    """
    for field in fields:
        if spec.get(field) is not None:
            errors.whole_number(f"{path}.{field}" if path else field, spec[field])


def validate_int_or_percent(path: str, value: object, errors: FieldErrors) -> bool:
    """Validate a non-negative integer or a percentage such as ``25%``.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.

    Returns:
        Whether the value is one of the two.
    """
    if isinstance(value, str):
        if is_percentage(value):
            return True
        errors.invalid(path, value, PERCENT_RULE)
        return False
    if isinstance(value, bool) or not isinstance(value, int):
        errors.invalid(path, value, "must be an integer or percentage (e.g '5%%')")
        return False
    return errors.whole_number(path, value)


def validate_share(path: str, value: object, errors: FieldErrors) -> bool:
    """Validate an integer or a percentage up to 100 %.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.

    Returns:
        Whether the value is an integer or a percentage.
    """
    if not validate_int_or_percent(path, value, errors):
        return False
    if isinstance(value, str) and number_in(value) > 100:
        errors.invalid(path, value, "must not be greater than 100%")
    return True


# -- immutable fields ---------------------------------------------------------------------------


def validate_immutable(new: object, old: object, path: str, errors: FieldErrors) -> None:
    """Record an error if a field has changed.

    Args:
        new: the new value.
        old: the stored value.
        path: path of the field.
        errors: collects the errors.
    """
    if new != old:
        errors.invalid(path, new, IMMUTABLE)


def same_spec_fields(
    new: Document, old: Document, fields: Iterable[str], errors: FieldErrors
) -> None:
    """Record an error for each of these fields of spec that has changed.

    Args:
        new: the new object.
        old: the stored object.
        fields: names of the fields.
        errors: collects the errors.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    for field in fields:
        validate_immutable(after.get(field), before.get(field), f"spec.{field}", errors)


def validate_immutable_data(
    new: Document, old: Document, fields: Iterable[str], errors: FieldErrors
) -> None:
    """Forbid changes of a ConfigMap or Secret that is marked as immutable.

    Args:
        new: the new object.
        old: the stored object.
        fields: names of the fields that must stay the same.
        errors: collects the errors.
    """
    if old.get("immutable") is True:
        for field in fields:
            if new.get(field) != old.get(field):
                errors.forbidden(field, "field is immutable when `immutable` is set")


def validate_revision(revision: Document, errors: FieldErrors) -> None:
    """Validate a ControllerRevision (pkg/apis/apps/validation, ValidateControllerRevision)."""
    if revision.get("data") is None:
        errors.required("data", "data is mandatory")
    validate_numbers(revision, "", ("revision",), errors)


# -- selectors and templates -----------------------------------------------------------------------


def default_template(spec: Document) -> None:
    """Set the defaults of the pod template in a workload's spec."""
    fill(spec, "template", {})
    template = spec["template"]
    if isinstance(template, dict):
        fill(template, "metadata", {})
        fill(template, "spec", {})
        if isinstance(template["spec"], dict):
            default_pod_spec(template["spec"])


def template_labels(spec: Document, errors: FieldErrors) -> Document:
    """Validate labels and annotations of a workload's pod template; return the labels, or {}.

    Source: ValidatePodTemplateSpec, whose paths leave out `metadata`.
    """
    template = errors.mapping("spec.template", spec.get("template"))
    metadata = errors.mapping("spec.template.metadata", template.get("metadata"))
    labels = metadata.get("labels")
    if labels is not None:
        validate_labels(labels, "spec.template.labels", errors)
    if metadata.get("annotations") is not None:
        validate_annotations(metadata["annotations"], "spec.template.annotations", errors)
    return labels if isinstance(labels, dict) else {}


def validate_workload(spec: Document, named: str, errors: FieldErrors) -> None:
    """Validate selector and pod template of a ReplicaSet, Deployment, DaemonSet or StatefulSet.

    The pod spec of a StatefulSet is not validated, as upstream: its containers mount volumes that
    are named by volumeClaimTemplates alone. A pod that is refused is an Event FailedCreate.

    Args:
        spec: spec of the workload.
        named: the kind in the message about an empty selector.
        errors: collects the errors.
    """
    labels = template_labels(spec, errors)
    if spec.get("selector") is None:
        errors.required("spec.selector")
    else:
        selector = validate_selector(spec["selector"], "spec.selector", errors)
        if selector is not None and selector.empty:
            detail = f"empty selector is invalid for {named}"
            errors.invalid("spec.selector", spec["selector"], detail)
        elif selector is not None and not selector.matches(labels):
            errors.invalid("spec.template.metadata.labels", labels, UNMATCHED)
    if named != "statefulset":
        validate_template_spec(spec, errors)


def validate_template_spec(spec: Document, errors: FieldErrors) -> Document:
    """Validate the pod spec of a workload's template, and return it."""
    template = errors.mapping("spec.template", spec.get("template"))
    pod_spec = errors.mapping("spec.template.spec", template.get("spec"))
    typed: PodSpecDict = template.get("spec") or {}
    validate_pod_spec(typed, "spec.template.spec", errors)
    if typed.get("ephemeralContainers"):
        rule = "ephemeral containers not allowed in pod template"
        errors.forbidden("spec.template.spec.ephemeralContainers", rule)
    return pod_spec


def validate_long_running(spec: Document, kind: str, errors: FieldErrors) -> None:
    """Validate a template whose pods run indefinitely: they always restart and have no deadline.

    Args:
        spec: spec of the workload.
        kind: the kind in the message.
        errors: collects the errors.
    """
    template = spec.get("template")
    pod_spec = template.get("spec") if isinstance(template, dict) else None
    if not isinstance(pod_spec, dict):
        return
    if pod_spec.get("restartPolicy") in ("OnFailure", "Never"):
        path = "spec.template.spec.restartPolicy"
        errors.not_supported(path, pod_spec["restartPolicy"], ("Always",))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.forbidden("spec.template.spec.activeDeadlineSeconds", detail)
