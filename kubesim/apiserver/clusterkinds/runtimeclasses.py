"""RuntimeClass (node.k8s.io), and two kinds of the core group: PodTemplate and ComponentStatus.

Containers of all RuntimeClasses run alike; `admission.runtimeclass` gives pods the overhead, node
selector and tolerations of theirs. PodTemplates are only kept, as in Kubernetes. ComponentStatuses
are computed when they are read; all components are healthy.

Source: pkg/apis/node/validation/validation.go, pkg/registry/core/{podtemplate,componentstatus},
pkg/apis/core/validation/validation.go (ValidatePodTemplate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver.kinds.pods import default_pod_spec, validate_pod_spec
from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.podvalidation.formats import validate_dns_label
from kubesim.apiserver.podvalidation.resources import validate_amount
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import FieldErrors, fill, validate_labels
from kubesim.objects.frozen import Document

if TYPE_CHECKING:
    from kubesim.objects.types import PodSpecDict

COMPONENTS = ("controller-manager", "etcd-0", "scheduler")


# -- RuntimeClass ----------------------------------------------------------------------------------


def validate_runtime_class(runtime: Document, errors: FieldErrors) -> None:
    """Validate handler, overhead and scheduling of a RuntimeClass."""
    validate_dns_label("handler", runtime.get("handler") or "", errors)
    fixed = (runtime.get("overhead") or {}).get("podFixed") or {}
    for name, amount in fixed.items():
        validate_amount(f"overhead.limits[{name}]", name, amount or 0, errors)
    scheduling: Document = runtime.get("scheduling") or {}
    if scheduling.get("nodeSelector") is not None:
        validate_labels(scheduling["nodeSelector"], "scheduling.nodeSelector", errors)


def validate_runtime_class_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the handler.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    validate_immutable(new.get("handler"), old.get("handler"), "handler", errors)


# -- PodTemplate -----------------------------------------------------------------------------------


def default_pod_template(template: Document) -> None:
    """Set the defaults of the pod spec."""
    fill(template, "template", {})
    inner = template["template"]
    if isinstance(inner, dict):
        fill(inner, "metadata", {})
        fill(inner, "spec", {})
        if isinstance(inner["spec"], dict):
            default_pod_spec(inner["spec"])


def validate_pod_template(template: Document, errors: FieldErrors) -> None:
    """Validate labels and pod spec of a PodTemplate."""
    inner: Document = template.get("template") or {}
    labels = (inner.get("metadata") or {}).get("labels")
    if labels is not None:
        validate_labels(labels, "template.metadata.labels", errors)
    typed: PodSpecDict = inner.get("spec") or {}
    validate_pod_spec(typed, "template.spec", errors)


# -- ComponentStatus -------------------------------------------------------------------------------


def component_statuses(_server: ServerView) -> list[Document]:
    """Return one ComponentStatus for each component that Kubernetes lists."""
    condition = {"type": "Healthy", "status": "True", "message": "ok"}
    return [
        {
            "kind": "ComponentStatus",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "conditions": [condition],
        }
        for name in COMPONENTS
    ]


KINDS = (
    Kind(
        "RuntimeClass",
        "runtimeclasses",
        group="node.k8s.io",
        namespaced=False,
        validate=validate_runtime_class,
        validate_update=validate_runtime_class_update,
        partly="its handler changes nothing, since all containers run alike",
        status=False,
        counts_generation=False,
    ),
    Kind(
        "PodTemplate",
        "podtemplates",
        default=default_pod_template,
        validate=validate_pod_template,
        status=False,
        counted_field="template",
    ),
    Kind(
        "ComponentStatus",
        "componentstatuses",
        namespaced=False,
        short_names=("cs",),
        status=False,
        read_only=True,
        compute=component_statuses,
        deprecation="v1 ComponentStatus is deprecated in v1.19+",
    ),
)
