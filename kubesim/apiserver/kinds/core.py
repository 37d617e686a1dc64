"""Core group: Namespace, Node, Pod, Event, ConfigMap.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
plugin/pkg/admission/defaulttolerationseconds.
"""

from __future__ import annotations

from kubesim.apiserver.admission.priority import admit_pod
from kubesim.apiserver.fields import MUST_BE_STRING, FieldErrors, fill
from kubesim.apiserver.kinds.podspec import (
    CONTAINER_LISTS,
    default_pod_spec,
    objects_in,
    validate_pod_spec,
)
from kubesim.apiserver.kinds.rules import (
    MAX_DATA_BYTES,
    validate_config_key,
    validate_immutable_data,
)
from kubesim.apiserver.metadata import LABEL_RULE
from kubesim.apiserver.registry import VERBS, Kind, ServerView
from kubesim.objects.frozen import Document
from kubesim.objects.meta import valid_dns1123_label
from kubesim.objects.pods import qos_class
from kubesim.objects.wellknown import NAMESPACE_NAME_LABEL, NOT_READY, TAINT_EFFECTS, UNREACHABLE
from kubesim.quantity import parse_quantity

TOLERATION_SECONDS = 300  # --default-not-ready-toleration-seconds
EVENT_TTL_SECONDS = 3600.0  # kube-apiserver --event-ttl


# -- Pod -------------------------------------------------------------------------------------------


def default_pod(pod: Document) -> None:
    """Set the defaults of a pod, and the tolerations that admission adds."""
    fill(pod, "spec", {})
    spec = pod["spec"]
    if not isinstance(spec, dict):
        return
    default_pod_spec(spec)
    fill(spec, "enableServiceLinks", True)
    fill(spec, "serviceAccountName", "default")
    fill(spec, "tolerations", [])
    tolerations = spec["tolerations"]
    if isinstance(tolerations, list):
        for key in (NOT_READY, UNREACHABLE):
            if not any(_tolerates_no_execute(toleration, key) for toleration in tolerations):
                tolerations.append(
                    {
                        "key": key,
                        "operator": "Exists",
                        "effect": "NoExecute",
                        "tolerationSeconds": TOLERATION_SECONDS,
                    }
                )
    fill(pod, "status", {"phase": "Pending", **_qos_class(pod), **_scheduling_gated(spec)})


def _scheduling_gated(spec: Document) -> Document:
    """Return the condition of a pod with scheduling gates (applySchedulingGatedCondition)."""
    if not spec.get("schedulingGates"):
        return {}
    message = "Scheduling is blocked due to non-empty scheduling gates"
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    return {"conditions": [{**condition, "message": message}]}


def _qos_class(pod: Document) -> Document:
    """Return status.qosClass; {} for a spec that validation is going to refuse."""
    try:
        return {"qosClass": qos_class(pod)}
    except (ValueError, TypeError, AttributeError):
        return {}


def _tolerates_no_execute(toleration: object, key: str) -> bool:
    if not isinstance(toleration, dict):
        return False
    covers_key = toleration.get("key") in (None, "", key)
    return covers_key and toleration.get("effect") in (None, "", "NoExecute")


def validate_pod(pod: Document, errors: FieldErrors) -> None:
    """Validate a pod."""
    validate_pod_spec(errors.mapping("spec", pod.get("spec")), "spec", errors)


POD_IS_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def validate_pod_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a pod's spec, except of images, the deadline and added tolerations."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before == after:
        return
    if not isinstance(after, dict) or _fixed_part(before) != _fixed_part(after):
        errors.forbidden("spec", POD_IS_FIXED)
        return
    gates = [gate.get("name") for gate in before.get("schedulingGates") or ()]
    for gate in objects_in(after.get("schedulingGates")):
        if gate.get("name") not in gates:
            rule = "only deletion is allowed, but found new scheduling gate"
            errors.forbidden("spec.schedulingGates", f"{rule} '{gate.get('name')}'")
    kept = _without_seconds(after)
    if any(toleration not in kept for toleration in _without_seconds(before)):
        errors.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )
    deadline, previous = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if previous is not None and (deadline is None or deadline > previous):
        rule = "must be less than or equal to previous value"
        errors.invalid("spec.activeDeadlineSeconds", deadline, rule)


def _without_seconds(spec: Document) -> list[Document]:
    """Return the tolerations without tolerationSeconds."""
    tolerations = spec.get("tolerations") or []
    return [{k: v for k, v in item.items() if k != "tolerationSeconds"} for item in tolerations]


def _fixed_part(spec: Document) -> Document:
    """Return a pod spec without the fields that may change."""
    may_change = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
    fixed = {k: v for k, v in spec.items() if k not in may_change}
    for field in CONTAINER_LISTS:
        if isinstance(spec.get(field), list):
            fixed[field] = [
                {k: v for k, v in item.items() if k != "image"} if isinstance(item, dict) else item
                for item in spec[field]
            ]
    return fixed


# -- Namespace, Node, ConfigMap, Event -------------------------------------------------------------


def default_namespace(namespace: Document) -> None:
    """Set phase, finalizer and the label with the namespace's name."""
    metadata = namespace["metadata"]
    fill(metadata, "labels", {})
    if isinstance(metadata["labels"], dict):
        metadata["labels"][NAMESPACE_NAME_LABEL] = metadata.get("name", "")
    fill(namespace, "spec", {"finalizers": ["kubernetes"]})
    fill(namespace, "status", {"phase": "Active"})


def admit_namespace(_server: ServerView, namespace: Document, old: Document | None) -> None:
    """Keep spec.finalizers in an update: only `finalize` changes them."""
    spec = namespace.get("spec")
    if old is not None and isinstance(spec, dict):
        before = (old.get("spec") or {}).get("finalizers")
        if before is None:
            spec.pop("finalizers", None)
        else:
            spec["finalizers"] = list(before)


def validate_namespace(namespace: Document, errors: FieldErrors) -> None:
    """Validate that spec.finalizers are strings."""
    finalizers = errors.mapping("spec", namespace.get("spec")).get("finalizers")
    if finalizers is not None and not (
        isinstance(finalizers, list) and all(isinstance(item, str) for item in finalizers)
    ):
        errors.invalid("spec.finalizers", finalizers, "must be a list of strings")


def default_node(node: Document) -> None:
    """Default status.allocatable to status.capacity."""
    fill(node, "spec", {})
    fill(node, "status", {})
    status = node["status"]
    if isinstance(status, dict) and status.get("capacity") is not None:
        fill(status, "allocatable", status["capacity"])


def validate_node(node: Document, errors: FieldErrors) -> None:
    """Validate taints: a key, an effect, and each pair of them once."""
    spec = errors.mapping("spec", node.get("spec"))
    seen = []
    for path, taint in errors.items("spec.taints", spec.get("taints")):
        key, effect = taint.get("key"), taint.get("effect")
        if not key:
            errors.required(f"{path}.key", "name part must be non-empty")
        errors.one_of(f"{path}.effect", effect, TAINT_EFFECTS)
        if (key, effect) in seen:
            errors.duplicate(path, taint)
        seen.append((key, effect))
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
    """Forbid changes of an immutable ConfigMap."""
    validate_immutable_data(new, old, ("data", "binaryData", "immutable"), errors)


def validate_event(event: Document, errors: FieldErrors) -> None:
    """Validate that an Event concerns an object in the Event's namespace."""
    about = errors.mapping("involvedObject", event.get("involvedObject"))
    if not about:
        errors.required("involvedObject")
    namespace = event["metadata"].get("namespace")
    if about.get("namespace") and about["namespace"] != namespace:
        rule = "does not match event.namespace"
        errors.invalid("involvedObject.namespace", about["namespace"], rule)


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
        validate=validate_node,
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
        validate=validate_pod,
        validate_update=validate_pod_update,
        trigger_field="spec.nodeName",
        selectable_fields=(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
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
