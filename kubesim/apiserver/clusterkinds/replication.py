"""Core group: ReplicationController, the older kind of what ReplicaSets do.

Its selector is a map of labels, and defaults to the labels of its template.

Source: pkg/apis/core/v1/defaults.go (SetDefaults_ReplicationController),
pkg/apis/core/validation/validation.go (ValidateReplicationControllerSpec),
pkg/registry/core/replicationcontroller/strategy.go.
"""

from __future__ import annotations

from kubesim.apiserver.kinds.apps import validate_counts
from kubesim.apiserver.kinds.rules import (
    UNMATCHED,
    default_template,
    template_labels,
    validate_long_running,
    validate_numbers,
    validate_template_spec,
)
from kubesim.apiserver.kindversions import ScalePaths
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill, validate_labels
from kubesim.objects.frozen import Document


def default_replication(controller: Document) -> None:
    """Default to one replica; selector and labels are those of the template."""
    fill(controller, "spec", {})
    spec = controller["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "replicas", 1)
    if spec.get("template") is None:
        return
    default_template(spec)
    template = spec["template"]
    metadata = template.get("metadata") if isinstance(template, dict) else None
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if isinstance(labels, dict) and labels:
        for holder, field in ((spec, "selector"), (controller["metadata"], "labels")):
            if not holder.get(field):
                holder[field] = dict(labels)


def validate_replication(controller: Document, errors: FieldErrors) -> None:
    """Validate numbers, selector and template of a ReplicationController."""
    spec = errors.mapping("spec", controller.get("spec"))
    validate_numbers(spec, "spec", ("minReadySeconds",), errors)
    selector = spec.get("selector")
    if not selector:
        errors.required("spec.selector")
    else:
        validate_labels(selector, "spec.selector", errors)
    validate_numbers(spec, "spec", ("replicas",), errors)
    if spec.get("template") is None:
        errors.required("spec.template")
        return
    labels = template_labels(spec, errors)
    if isinstance(selector, dict) and not selector.items() <= labels.items():
        errors.invalid("spec.template.metadata.labels", labels, UNMATCHED)
    validate_template_spec(spec, errors)
    validate_long_running(spec, "ReplicationController", errors)


KINDS = (
    Kind(
        "ReplicationController",
        "replicationcontrollers",
        short_names=("rc",),
        categories=("all",),
        default=default_replication,
        validate=validate_replication,
        validate_status=validate_counts,
        zero_status={"replicas": 0},
        scale=True,
        scale_paths=ScalePaths(is_map=True),
        selectable_fields=("status.replicas",),
        propagation="Orphan",
    ),
)
