"""The core group: Namespace, Node, Pod, Event, ConfigMap.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
plugin/pkg/admission/defaulttolerationseconds.
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.metadata import LABEL_RULE
from kubesim.apiserver.registry import Kind
from kubesim.objects.frozen import Document
from kubesim.objects.meta import valid_dns1123_label
from kubesim.quantity import parse_cpu_milli, parse_memory, parse_quantity

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
TOLERATION_SECONDS = 300
GRACE_SECONDS = 30
EVENT_TTL_SECONDS = 3600.0  # kube-apiserver --event-ttl


# -- Pod ----------------------------------------------------------------------------------------


def default_pod_spec(spec: Document) -> None:
    """What a pod template gets, too."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", GRACE_SECONDS)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    for container in [*_list(spec.get("containers")), *_list(spec.get("initContainers"))]:
        _default_container(container)


def _default_container(container: Document) -> None:
    image = container.get("image")
    if isinstance(image, str):
        tag = image.rpartition("/")[2].partition(":")[2]
        policy = "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
        container.setdefault("imagePullPolicy", policy)
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    resources = container.setdefault("resources", {})
    if isinstance(resources, dict) and isinstance(resources.get("limits"), dict):
        # A limit without a request is a request of the same size.
        requests = resources.setdefault("requests", {})
        if isinstance(requests, dict):
            for name, limit in resources["limits"].items():
                requests.setdefault(name, limit)
    for port in _list(container.get("ports")):
        port.setdefault("protocol", "TCP")


def default_pod(pod: Document) -> None:
    """Defaults of the pod itself, with the tolerations that admission adds."""
    spec = pod.setdefault("spec", {})
    if not isinstance(spec, dict):
        return
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("serviceAccountName", "default")
    tolerations = spec.setdefault("tolerations", [])
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
    status = pod.setdefault("status", {})
    if isinstance(status, dict):
        status.setdefault("phase", "Pending")


def _tolerates_no_execute(toleration: Any, key: str) -> bool:
    if not isinstance(toleration, dict):
        return False
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (
        None,
        "",
        "NoExecute",
    )


def validate_pod(pod: Document, errors: FieldErrors) -> None:
    """Rules of a pod."""
    validate_pod_spec(errors.mapping("spec", pod.get("spec")), "spec", errors)


def validate_pod_spec(spec: Document, path: str, errors: FieldErrors) -> None:
    """Rules of a pod spec, wherever it stands."""
    if not spec.get("containers"):
        errors.required(f"{path}.containers")
    seen: set[str] = set()
    for field in ("containers", "initContainers"):
        for item_path, container in errors.items(f"{path}.{field}", spec.get(field)):
            _validate_container(container, item_path, seen, errors)
    policy = spec.get("restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        errors.not_supported(f"{path}.restartPolicy", policy, ("Always", "OnFailure", "Never"))
    if "terminationGracePeriodSeconds" in spec:
        grace = spec["terminationGracePeriodSeconds"]
        errors.whole_number(f"{path}.terminationGracePeriodSeconds", grace)
    selector = spec.get("nodeSelector")
    if selector is not None and not _texts(selector):
        errors.invalid(f"{path}.nodeSelector", selector, "must be an object of texts")
    for item_path, toleration in errors.items(f"{path}.tolerations", spec.get("tolerations")):
        _validate_toleration(toleration, item_path, errors)


def _validate_container(
    container: Document, path: str, seen: set[str], errors: FieldErrors
) -> None:
    name = container.get("name")
    if not name:
        errors.required(f"{path}.name")
    elif not valid_dns1123_label(name):
        errors.invalid(f"{path}.name", name, LABEL_RULE)
    elif name in seen:
        errors.duplicate(f"{path}.name", name)
    else:
        seen.add(str(name))
    image = container.get("image")
    if not image or not isinstance(image, str):
        errors.required(f"{path}.image")
    elif image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    resources = errors.mapping(f"{path}.resources", container.get("resources"))
    validate_resources(resources, f"{path}.resources", errors)
    for item_path, port in errors.items(f"{path}.ports", container.get("ports")):
        if "containerPort" not in port:
            errors.required(f"{item_path}.containerPort")
        else:
            errors.whole_number(f"{item_path}.containerPort", port["containerPort"], 1, 65535)
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            known = ("SCTP", "TCP", "UDP")
            errors.not_supported(f"{item_path}.protocol", port.get("protocol"), known)


def validate_resources(resources: Document, path: str, errors: FieldErrors) -> None:
    """Requests and limits are quantities, and no request is above its limit."""
    parsed: dict[str, dict[str, Any]] = {}
    for side in ("limits", "requests"):
        amounts = errors.mapping(f"{path}.{side}", resources.get(side))
        parsed[side] = {
            name: errors.quantity(f"{path}.{side}[{name}]", value, _parser(name))
            for name, value in amounts.items()
        }
    for name, request in parsed["requests"].items():
        limit = parsed["limits"].get(name)
        if request is not None and limit is not None and request > limit:
            shown = resources["requests"][name]
            rule = f"must be less than or equal to {name} limit of {resources['limits'][name]}"
            errors.invalid(f"{path}.requests", shown, rule)


def _parser(resource: str) -> Any:
    return {"cpu": parse_cpu_milli, "memory": parse_memory}.get(resource, parse_quantity)


def _validate_toleration(toleration: Document, path: str, errors: FieldErrors) -> None:
    operator = toleration.get("operator") or "Equal"
    if operator not in ("Equal", "Exists"):
        errors.not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    if operator == "Exists" and toleration.get("value"):
        rule = "value must be empty when `operator` is 'Exists'"
        errors.invalid(f"{path}.operator", toleration.get("value"), rule)
    if not toleration.get("key") and operator != "Exists":
        rule = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        errors.invalid(f"{path}.operator", operator, rule)
    effect = toleration.get("effect")
    if effect and effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        known = ("NoExecute", "NoSchedule", "PreferNoSchedule")
        errors.not_supported(f"{path}.effect", effect, known)


MUTABLE_POD_FIELDS = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations")


def validate_pod_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """A pod's spec stays as it is, but for images, the deadline and added tolerations."""
    before, after = dict(old.get("spec") or {}), dict(new.get("spec") or {})
    for spec in (before, after):
        for field in MUTABLE_POD_FIELDS:
            spec.pop(field, None)
        for field in ("containers", "initContainers"):
            if isinstance(spec.get(field), list):
                spec[field] = [
                    {k: v for k, v in item.items() if k != "image"}
                    for item in spec[field]
                    if isinstance(item, dict)
                ]
    if before != after:
        errors.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
            "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to "
            "be set to 1 if it was previously negative)",
        )


# -- the others ---------------------------------------------------------------------------------


def default_namespace(namespace: Document) -> None:
    """A namespace is Active from the start and can be selected by its name."""
    metadata = namespace["metadata"]
    if isinstance(metadata.setdefault("labels", {}), dict):
        metadata["labels"]["kubernetes.io/metadata.name"] = metadata.get("name", "")
    namespace.setdefault("spec", {"finalizers": ["kubernetes"]})
    namespace.setdefault("status", {"phase": "Active"})


def default_node(node: Document) -> None:
    """Allocatable is the capacity, unless somebody says otherwise."""
    node.setdefault("spec", {})
    status = node.setdefault("status", {})
    if isinstance(status, dict) and "capacity" in status:
        status.setdefault("allocatable", status["capacity"])


def validate_node(node: Document, errors: FieldErrors) -> None:
    """Taints have a key and an effect; capacity and allocatable are quantities."""
    spec = errors.mapping("spec", node.get("spec"))
    for path, taint in errors.items("spec.taints", spec.get("taints")):
        if not taint.get("key"):
            errors.required(f"{path}.key", "name part must be non-empty")
        effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
        if taint.get("effect") not in effects:
            errors.not_supported(f"{path}.effect", taint.get("effect"), effects)
    status = errors.mapping("status", node.get("status"))
    for side in ("capacity", "allocatable"):
        for name, value in errors.mapping(f"status.{side}", status.get(side)).items():
            errors.quantity(f"status.{side}[{name}]", value, parse_quantity)


def validate_config_map(config: Document, errors: FieldErrors) -> None:
    """`data` holds texts; an immutable map says so with a boolean."""
    data = config.get("data")
    if data is not None and not _texts(data):
        errors.invalid("data", data, "must be an object of texts")
    if "immutable" in config and not isinstance(config["immutable"], bool):
        errors.invalid("immutable", config["immutable"], "must be true or false")


def validate_config_map_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """An immutable map stays as it is, for good."""
    if old.get("immutable") is True:
        for field in ("data", "binaryData", "immutable"):
            if new.get(field) != old.get(field):
                errors.forbidden(field, "field is immutable when `immutable` is set")


def validate_event(event: Document, errors: FieldErrors) -> None:
    """An event is about something."""
    if not event.get("involvedObject"):
        errors.required("involvedObject")


def _list(value: Any) -> list[Document]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


KINDS = (
    Kind(
        "Namespace",
        "namespaces",
        namespaced=False,
        short_names=("ns",),
        default=default_namespace,
        valid_name=valid_dns1123_label,
        name_rule=LABEL_RULE,
        selectable_fields=("status.phase",),
    ),
    Kind(
        "Node",
        "nodes",
        namespaced=False,
        short_names=("no",),
        default=default_node,
        validate=validate_node,
        selectable_fields=("spec.unschedulable",),
    ),
    Kind(
        "Pod",
        "pods",
        short_names=("po",),
        default=default_pod,
        validate=validate_pod,
        validate_update=validate_pod_update,
        selectable_fields=(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "status.phase",
            "status.podIP",
        ),
    ),
    Kind(
        "Event",
        "events",
        short_names=("ev",),
        validate=validate_event,
        status=False,
        ttl_seconds=EVENT_TTL_SECONDS,
        selectable_fields=(
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
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
