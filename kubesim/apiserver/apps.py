"""The group apps: StatefulSet, ControllerRevision. And coordination.k8s.io: Lease.

Source: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation/validation.go,
pkg/apis/coordination/validation.
"""

from __future__ import annotations

from kubesim.apiserver.fields import FieldErrors, fill
from kubesim.apiserver.kinds.podspec import default_pod_spec, validate_pod_spec
from kubesim.apiserver.metadata import validate_labels
from kubesim.apiserver.registry import Kind
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import selector_from

REVISION_HISTORY_LIMIT = 10
MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def default_statefulset(statefulset: Document) -> None:
    """OrderedReady, RollingUpdate from partition 0, one replica."""
    fill(statefulset, "spec", {})
    spec = statefulset["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "replicas", 1)
    fill(spec, "podManagementPolicy", "OrderedReady")
    fill(spec, "updateStrategy", {})
    strategy = spec["updateStrategy"]
    if isinstance(strategy, dict):
        fill(strategy, "type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(strategy, "rollingUpdate", {})
            if isinstance(strategy["rollingUpdate"], dict):
                fill(strategy["rollingUpdate"], "partition", 0)
    fill(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT)
    template = spec.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        default_pod_spec(template["spec"])


def validate_statefulset(statefulset: Document, errors: FieldErrors) -> None:
    """The selector must select what the template makes."""
    spec = errors.mapping("spec", statefulset.get("spec"))
    errors.whole_number("spec.replicas", spec.get("replicas"))
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        rule = "must be 'OrderedReady' or 'Parallel'"
        errors.invalid("spec.podManagementPolicy", policy, rule)
    strategy = errors.mapping("spec.updateStrategy", spec.get("updateStrategy"))
    if strategy.get("type") not in ("RollingUpdate", "OnDelete"):
        rule = "must be 'RollingUpdate' or 'OnDelete'"
        errors.invalid("spec.updateStrategy", strategy.get("type"), rule)
    rolling = errors.mapping("spec.updateStrategy.rollingUpdate", strategy.get("rollingUpdate"))
    if rolling.get("partition") is not None:
        path = "spec.updateStrategy.rollingUpdate.partition"
        errors.whole_number(path, rolling["partition"])
    for field in ("minReadySeconds", "revisionHistoryLimit"):
        if spec.get(field) is not None:
            errors.whole_number(f"spec.{field}", spec[field])
    template = errors.mapping("spec.template", spec.get("template"))
    validate_template_selector(spec.get("selector"), template, errors)
    template_spec = errors.mapping("spec.template.spec", template.get("spec"))
    validate_pod_spec(template_spec, "spec.template.spec", errors)
    if template_spec.get("restartPolicy") in ("OnFailure", "Never"):
        path = "spec.template.spec.restartPolicy"
        errors.not_supported(path, template_spec["restartPolicy"], ("Always",))


def validate_template_selector(selector: object, template: Document, errors: FieldErrors) -> None:
    """A workload's selector is there, can be parsed, and matches its own template."""
    if not selector:
        errors.required("spec.selector")
        return
    path = "spec.template.metadata"
    labels = errors.mapping(path, template.get("metadata")).get("labels")
    validate_labels(labels, f"{path}.labels", errors)
    if not isinstance(labels, dict):
        labels = {}
    try:
        parsed = selector_from(errors.mapping("spec.selector", selector))
    except (BadRequest, KeyError, TypeError, AttributeError) as error:
        errors.invalid("spec.selector", selector, f"invalid label selector: {error}")
        return
    if parsed.empty:
        errors.invalid("spec.selector", selector, "empty selector is invalid for statefulset")
    elif not parsed.matches(labels):
        rule = "`selector` does not match template `labels`"
        errors.invalid("spec.template.metadata.labels", labels, rule)


def validate_statefulset_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Identity never changes: selector, service name and policy stay."""
    before = {k: v for k, v in (old.get("spec") or {}).items() if k not in MUTABLE}
    after = {k: v for k, v in (new.get("spec") or {}).items() if k not in MUTABLE}
    if before != after:
        errors.forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
            "'minReadySeconds' are forbidden",
        )


def validate_revision_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """A revision is a snapshot of a template; only its number may change."""
    if new.get("data") != old.get("data"):
        errors.invalid("data", "...", "field is immutable")


def validate_lease(lease: Document, errors: FieldErrors) -> None:
    """A lease lasts a positive time."""
    spec = errors.mapping("spec", lease.get("spec"))
    for field, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        if spec.get(field) is not None:
            rule = "must be greater than 0" if least else ""
            errors.whole_number(f"spec.{field}", spec[field], least, rule=rule)


KINDS = (
    Kind(
        "StatefulSet",
        "statefulsets",
        group="apps",
        short_names=("sts",),
        categories=("all",),
        default=default_statefulset,
        validate=validate_statefulset,
        validate_update=validate_statefulset_update,
        scale=True,
    ),
    Kind(
        "ControllerRevision",
        "controllerrevisions",
        group="apps",
        validate_update=validate_revision_update,
        status=False,
    ),
    Kind(
        "Lease",
        "leases",
        group="coordination.k8s.io",
        validate=validate_lease,
        status=False,
        counts_generation=False,
    ),
)
