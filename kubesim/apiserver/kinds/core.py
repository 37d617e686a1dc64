"""Core group: Namespace, Node, Pod, Event, ConfigMap.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
plugin/pkg/admission/defaulttolerationseconds, plugin/pkg/admission/nodetaint.
"""

from __future__ import annotations

from kubesim.apiserver.admission.serviceaccount import mount_token
from kubesim.apiserver.kindrules.events import validate_event
from kubesim.apiserver.kindrules.finalizers import validate_finalizer
from kubesim.apiserver.kindrules.nodes import validate_node_spec, validate_node_update
from kubesim.apiserver.kinds.pods import (
    admit_pod,
    default_pod,
    refuse_ephemeral_containers,
    validate_pod,
    validate_pod_update,
)
from kubesim.apiserver.kinds.rules import (
    MAX_DATA_BYTES,
    validate_immutable_data,
)
from kubesim.apiserver.podvalidation.formats import validate_config_key, validate_label_name
from kubesim.apiserver.registry import VERBS, Kind, ServerView
from kubesim.apiserver.validation import LABEL_RULE, MUST_BE_STRING, FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_label
from kubesim.objects.wellknown import NAMESPACE_NAME_LABEL, NOT_READY
from kubesim.quantity import parse_quantity

NAMESPACE_FINALIZER = "kubernetes"  # FinalizerKubernetes
EVENT_TTL_SECONDS = 3600.0  # kube-apiserver --event-ttl
NEW_NODE_TAINT = (NOT_READY, "NoSchedule")


# -- Namespace, Node, ConfigMap --------------------------------------------------------------------


def default_namespace(namespace: Document) -> None:
    """Set the phase and the label with the namespace's name."""
    metadata = namespace["metadata"]
    fill(metadata, "labels", {})
    if isinstance(metadata["labels"], dict):
        metadata["labels"][NAMESPACE_NAME_LABEL] = metadata.get("name", "")
    fill(namespace, "spec", {})
    fill(namespace, "status", {"phase": "Active"})


def admit_namespace(_server: ServerView, namespace: Document, old: Document | None) -> None:
    """Add the finalizer ``kubernetes`` to a new namespace; later only `finalize` changes them.

    Without this finalizer the namespace's content would outlive it. Clients in Go send an empty
    spec.

    Source: pkg/registry/core/namespace/strategy.go (PrepareForCreate, PrepareForUpdate).
    """
    spec = namespace.get("spec")
    if not isinstance(spec, dict):
        return
    if old is None:
        finalizers = spec.get("finalizers")
        if finalizers is None:
            spec["finalizers"] = [NAMESPACE_FINALIZER]
        elif isinstance(finalizers, list) and NAMESPACE_FINALIZER not in finalizers:
            finalizers.append(NAMESPACE_FINALIZER)
    else:
        before = (old.get("spec") or {}).get("finalizers")
        if not before:
            spec.pop("finalizers", None)
        else:
            spec["finalizers"] = list(before)


def validate_namespace(namespace: Document, errors: FieldErrors) -> None:
    """Validate spec.finalizers (ValidateNamespace, validateFinalizerName)."""
    finalizers = errors.mapping("spec", namespace.get("spec")).get("finalizers")
    for index, name in enumerate(finalizers or ()):
        validate_label_name("spec.finalizers", name, errors)
        validate_finalizer(f"spec.finalizers[{index}]", name, errors)


def default_node(node: Document) -> None:
    """Default status.allocatable to status.capacity."""
    fill(node, "spec", {})
    fill(node, "status", {})
    status = node["status"]
    if isinstance(status, dict) and status.get("capacity") is not None:
        fill(status, "allocatable", status["capacity"])


def admit_node(api: ServerView, node: Document, old: Document | None) -> None:
    """Taint a new node not-ready:NoSchedule, so that no pod is placed before its taints are right.

    The node lifecycle controller removes the taint unless the node reports Ready=False or Unknown.
    Ours leaves out the taint where the creator reports Ready=True, as kubesim's kubelets do: it
    would be removed in the same moment.

    Args:
        api: not used.
        node: the node; it is changed in place.
        old: the stored one; None at creation.

    Source: plugin/pkg/admission/nodetaint/admission.go (addNotReadyTaint);
    pkg/controller/nodelifecycle/node_lifecycle_controller.go (doNoScheduleTaintingPass).
    """
    spec, status = node.get("spec"), node.get("status")
    if old is not None or not isinstance(spec, dict):
        return
    taints = spec.get("taints") or []
    if not isinstance(taints, list):
        return  # validation refuses it
    conditions = objects_in(status.get("conditions") if isinstance(status, dict) else None)
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    present = any((t.get("key"), t.get("effect")) == NEW_NODE_TAINT for t in objects_in(taints))
    if not ready and not present:
        key, effect = NEW_NODE_TAINT
        spec["taints"] = [*taints, {"key": key, "effect": effect}]


def validate_node(node: Document, errors: FieldErrors) -> None:
    """Validate spec and resources of a Node."""
    validate_node_spec(node.get("spec") or {}, errors)
    validate_node_status(node, errors)


def validate_node_status(node: Document, errors: FieldErrors) -> None:
    """Validate that capacity and allocatable are quantities."""
    status = errors.mapping("status", node.get("status"))
    for side in ("capacity", "allocatable"):
        for name, value in errors.mapping(f"status.{side}", status.get(side)).items():
            errors.quantity(f"status.{side}[{name}]", value, parse_quantity)


def validate_config_map(config: Document, errors: FieldErrors) -> None:
    """Validate keys, values and the total size of a ConfigMap."""
    size = 0
    for field in ("data", "binaryData"):
        for key, value in errors.mapping(field, config.get(field)).items():
            path = f"{field}[{key}]"
            validate_config_key(path, str(key), errors)
            if not isinstance(value, str):
                errors.invalid(path, value, MUST_BE_STRING)
                continue
            size += len(value.encode())
            if field == "binaryData" and key in (config.get("data") or ()):
                errors.invalid(path, key, "duplicate of key present in data")
    if size > MAX_DATA_BYTES:
        errors.too_long("", MAX_DATA_BYTES)
    errors.boolean("immutable", config.get("immutable"))


def validate_config_map_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of an immutable ConfigMap.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    validate_immutable_data(new, old, ("data", "binaryData", "immutable"), errors)


KINDS = (
    Kind(
        "Namespace",
        "namespaces",
        namespaced=False,
        short_names=("ns",),
        verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
        default=default_namespace,
        admit=admit_namespace,
        validate=validate_namespace,
        valid_name=valid_dns1123_label,
        name_rule=LABEL_RULE,
        counts_generation=False,
        selectable_fields=("status.phase",),
    ),
    Kind(
        "Node",
        "nodes",
        namespaced=False,
        short_names=("no",),
        default=default_node,
        admit=admit_node,
        validate=validate_node,
        validate_update=validate_node_update,
        status_at_creation=True,
        validate_status=validate_node_status,
        counts_generation=False,
        selectable_fields=("spec.unschedulable",),
    ),
    Kind(
        "Pod",
        "pods",
        short_names=("po",),
        categories=("all",),
        default=default_pod,
        admit=admit_pod,
        validate_new=refuse_ephemeral_containers,
        complete=mount_token,
        validate=validate_pod,
        validate_update=validate_pod_update,
        trigger_field="spec.nodeName",
        selectable_fields=(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ),
    ),
    Kind(
        "Event",
        "events",
        short_names=("ev",),
        validate=validate_event,
        status=False,
        ttl_seconds=EVENT_TTL_SECONDS,
        propagation="",
        selectable_fields=(
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ),
    ),
    Kind(
        "ConfigMap",
        "configmaps",
        short_names=("cm",),
        validate=validate_config_map,
        validate_update=validate_config_map_update,
        status=False,
    ),
)
