"""Pods: defaults and validation of pods, and of the pod specs in templates.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
plugin/pkg/admission/defaulttolerationseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from kubesim.apiserver.admission import priority, runtimeclass
from kubesim.apiserver.admission.serviceaccount import (
    MOUNT_PATH,
    SOURCES,
    TOKEN_NAME,
    is_mirror,
    set_account,
)
from kubesim.apiserver.kindrules.disabledfields import IN_CONTAINER, IN_SPEC, drop_disabled_fields
from kubesim.apiserver.podvalidation.containers import (
    MESSAGE_POLICIES,
    PULL_POLICIES,
    validate_host_ports,
)
from kubesim.apiserver.podvalidation.formats import NOT_NEGATIVE, validate_dns_label
from kubesim.apiserver.podvalidation.network import validate_dns_config
from kubesim.apiserver.podvalidation.placement import validate_tolerations
from kubesim.apiserver.podvalidation.resources import claim_names, validate_requirements
from kubesim.apiserver.podvalidation.security import validate_host_users
from kubesim.apiserver.podvalidation.tables import FIRST_RULES, FURTHER_RULES, RULES_BY_LIST
from kubesim.apiserver.podvalidation.updates import validate_spec_update
from kubesim.apiserver.registry import ServerView
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, ReadOnlyDocument, objects_in
from kubesim.objects.meta import MAX_LABEL, valid_dns1123_label, valid_dns1123_subdomain
from kubesim.objects.pods import CONTAINER_LISTS, qos_class
from kubesim.objects.wellknown import (
    DEFAULT_ACCOUNT,
    DEFAULT_SCHEDULER,
    MAX_INT32,
    NOT_READY,
    TERMINATION_GRACE_SECONDS,
    UNREACHABLE,
)
from kubesim.quantity import Amount, parse_cpu_milli, parse_memory

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodDict, PodSpecDict, TolerationDict
    from kubesim.objects.types.containers import ResourceRequirementsDict

IN_A_POD = ("spec.containers", "spec.initContainers")  # the paths in a template are longer
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
REFERENCES = ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName")
RESTART_POLICIES = ("Always", "OnFailure", "Never")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROBE_DEFAULTS = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}


PRIORITY_FIELDS = ("priorityClassName", "priority", "preemptionPolicy")
TOLERATION_SECONDS = 300  # --default-not-ready-toleration-seconds
NODE_TAINTS = (NOT_READY, UNREACHABLE)


def admit_pod(api: ServerView, pod: Document, old: Document | None) -> None:
    """Set the account of a new pod, a pod's priority, which updates keep, and its RuntimeClass.

    Most pods have neither class, and there is no default priority class.

    Args:
        api: for the accounts and the classes.
        pod: the pod; it is changed in place.
        old: the stored pod; None at creation.

    Raises:
        Forbidden: see `serviceaccount.set_account`, `priority` and `runtimeclass`.
    """
    spec = pod.get("spec")
    if isinstance(spec, dict):
        if old is None and api.service_accounts:
            set_account(api, pod)
        if old is not None:
            before = old.get("spec") or {}
            if all(spec.get(field) == before.get(field) for field in PRIORITY_FIELDS):
                return
        elif not any(field in spec for field in PRIORITY_FIELDS):
            classes = api.store.list(priority.PREFIX).items
            if not any(kv.value.get("globalDefault") for kv in classes):
                spec["priority"], spec["preemptionPolicy"] = 0, priority.PREEMPT
                if "runtimeClassName" in spec or "overhead" in spec:
                    runtimeclass.admit_pod(api, cast("PodDict", pod))
                return
    priority.admit_pod(api, pod, old)
    if old is None and isinstance(spec, dict):
        runtimeclass.admit_pod(api, cast("PodDict", pod))


def _default_toleration(key: str) -> TolerationDict:
    return {
        "key": key,
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": TOLERATION_SECONDS,
    }


DEFAULT_TOLERATIONS = [_default_toleration(key) for key in NODE_TAINTS]

# -- defaults of pod specs -------------------------------------------------------------------------


def default_pod_spec(spec: Document) -> None:
    """Set the defaults that pods and pod templates share."""
    fill(spec, "restartPolicy", "Always")
    fill(spec, "terminationGracePeriodSeconds", TERMINATION_GRACE_SECONDS)
    fill(spec, "dnsPolicy", "ClusterFirst")
    fill(spec, "schedulerName", DEFAULT_SCHEDULER)
    fill(spec, "securityContext", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # the old name of the field is always there, too
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    is_plain = IN_SPEC.isdisjoint(spec) and ("volumes" not in spec or _token_volume(spec))
    for field in CONTAINER_LISTS:
        for container in objects_in(spec.get(field)):
            is_plain = is_plain and IN_CONTAINER.isdisjoint(container)
            _default_container(container)
    if not is_plain:
        drop_disabled_fields(spec)


def _default_container(container: Document) -> None:
    image = container.get("image")
    if isinstance(image, str):
        tag = image.rpartition("/")[2].partition(":")[2]
        policy = "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
        fill(container, "imagePullPolicy", policy)
    fill(container, "terminationMessagePath", "/dev/termination-log")
    fill(container, "terminationMessagePolicy", "File")
    fill(container, "resources", {})
    resources = container["resources"]
    if isinstance(resources, dict) and isinstance(resources.get("limits"), dict):
        # A limit without a request is a request of the same size.
        fill(resources, "requests", {})
        if isinstance(resources["requests"], dict):
            for name, limit in resources["limits"].items():
                fill(resources["requests"], name, limit)
    for port in objects_in(container.get("ports")):
        fill(port, "protocol", "TCP")
    for probe in PROBES:
        if isinstance(container.get(probe), dict):
            for field, value in PROBE_DEFAULTS.items():
                if not container[probe].get(field):  # 0 is as good as absent
                    container[probe][field] = value


# -- validation of pod specs -----------------------------------------------------------------------


def validate_pod_spec(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate a pod spec, whose values have the right types.

    Args:
        spec: the pod spec.
        path: its path in the object; ``spec`` for a pod, a longer one for a template.
        errors: collects the errors.
    """
    fields: ReadOnlyDocument = spec
    token = _token_volume(spec) if fields.get("volumes") else ""
    for field, rule in FIRST_RULES:
        if fields.get(field) and not (token and field == "volumes"):
            rule(spec, path, errors)
    _validate_containers(spec, path, token, errors)
    policy, dns = spec.get("restartPolicy"), spec.get("dnsPolicy")
    if policy not in RESTART_POLICIES:
        errors.not_supported(f"{path}.restartPolicy", policy, RESTART_POLICIES)
    if dns not in DNS_POLICIES:
        errors.not_supported(f"{path}.dnsPolicy", dns, DNS_POLICIES)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        errors.invalid(f"{path}.terminationGracePeriodSeconds", grace, NOT_NEGATIVE)
    for field, rule in FURTHER_RULES:
        if fields.get(field):
            rule(spec, path, errors)
    if spec.get("dnsConfig") or dns == "None":
        validate_dns_config(spec, path, errors)
    if spec.get("hostUsers") is False:
        validate_host_users(spec, path, errors)
    for field in REFERENCES:
        name = fields.get(field)
        if name and (len(name) > MAX_SUBDOMAIN or not _is_subdomain(name)):
            errors.invalid(f"{path}.{field}", name, SUBDOMAIN_RULE)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 0 < deadline <= MAX_INT32:
        rule_of_deadline = f"must be between 1 and {MAX_INT32}, inclusive"
        errors.invalid(f"{path}.activeDeadlineSeconds", deadline, rule_of_deadline)
    tolerations = spec.get("tolerations")
    if tolerations and tolerations != DEFAULT_TOLERATIONS:
        validate_tolerations(spec, path, errors)
    preemption = spec.get("preemptionPolicy")
    if preemption and preemption not in PREEMPTION_POLICIES:
        errors.not_supported(f"{path}.preemptionPolicy", preemption, PREEMPTION_POLICIES)


def _token_volume(spec: ReadOnlyDocument) -> str:
    """Return the name of the token's volume if a pod has no other, as most pods, or ""."""
    volumes = spec.get("volumes")
    if not isinstance(volumes, list) or len(volumes) != 1:
        return ""
    name = volumes[0].get("name")
    is_token = volumes[0].get("projected") == SOURCES and len(volumes[0]) == 2
    return name if is_token and TOKEN_NAME.fullmatch(name or "") else ""


def _is_token_mount(mounts: object, volume: str) -> bool:
    """Whether a container mounts the token's volume, as admission does it, and nothing else."""
    return mounts == [{"name": volume, "readOnly": True, "mountPath": MOUNT_PATH}]


def _validate_containers(spec: PodSpecDict, path: str, token: str, errors: FieldErrors) -> None:
    if not spec.get("containers"):
        errors.required(f"{path}.containers")
    names: set[str] = set()
    has_ports = False
    lists: ReadOnlyDocument = spec
    for field, rules in RULES_BY_LIST.items():
        for index, container in enumerate(lists.get(field) or ()):
            place = f"{path}.{field}[{index}]"
            _validate_container(container, place, names, errors)
            for name, rule in rules:
                if container.get(name):
                    if token and name == "volumeMounts" and _is_token_mount(container[name], token):
                        continue
                    rule(container, place, spec, errors)
                    has_ports = has_ports or name == "ports"
            if container.get("resources"):
                _validate_resources(container["resources"], f"{place}.resources", spec, errors)
    if has_ports:
        validate_host_ports(spec, path, errors)


def _validate_container(
    container: ContainerDict, path: str, names: set[str], errors: FieldErrors
) -> None:
    """Validate what each container has: name, image and two policies."""
    name = container.get("name")
    if not name:
        errors.required(f"{path}.name")
    elif len(name) > MAX_LABEL or not _is_label(name):
        validate_dns_label(f"{path}.name", name, errors)
    elif name in names:
        errors.duplicate(f"{path}.name", name)
    else:
        names.add(name)
    image = container.get("image")
    if not image:
        errors.required(f"{path}.image")
    elif image != image.strip() and path.startswith(IN_A_POD):
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("imagePullPolicy")
    if policy and policy not in PULL_POLICIES:
        errors.not_supported(f"{path}.imagePullPolicy", policy, PULL_POLICIES)
    message = container.get("terminationMessagePolicy")
    if message not in MESSAGE_POLICIES:
        errors.not_supported(f"{path}.terminationMessagePolicy", message, MESSAGE_POLICIES)


MAX_SUBDOMAIN = 253
_is_label = lru_cache(maxsize=4096)(valid_dns1123_label)
_is_subdomain = lru_cache(maxsize=4096)(valid_dns1123_subdomain)


def _validate_resources(
    resources: ResourceRequirementsDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate requests and limits of a container: no request above its limit."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if not (requests.keys() <= PARSERS.keys() and limits.keys() <= PARSERS.keys()) or (
        resources.get("claims")
    ):
        validate_requirements(resources, path, claim_names(spec), errors)
        return
    maxima = _validate_amounts(limits, f"{path}.limits", errors)
    for name, request in _validate_amounts(requests, f"{path}.requests", errors).items():
        limit = maxima.get(name)
        if request is not None and limit is not None and request > limit:
            rule = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.invalid(f"{path}.requests", requests[name], rule)


def _validate_amounts(
    amounts: dict[str, Amount], path: str, errors: FieldErrors
) -> dict[str, int | None]:
    """Parse amounts of CPU and memory; None for one that is negative."""
    return {
        name: errors.quantity(f"{path}[{name}]", value, _parser(name, value))
        for name, value in amounts.items()
    }


def _parser(name: str, value: object) -> Callable[[Amount], int]:
    """Return the parser of a resource; it keeps strings, of which thousands of pods share few."""
    return (CACHING_PARSERS if type(value) is str else PARSERS)[name]


PARSERS: dict[str, Callable[[Amount], int]] = {"cpu": parse_cpu_milli, "memory": parse_memory}
CACHING_PARSERS: dict[str, Callable[[Amount], int]] = {
    name: lru_cache(maxsize=4096)(parse) for name, parse in PARSERS.items()
}


# -- pods ------------------------------------------------------------------------------------------


def default_pod(pod: Document) -> None:
    """Set the defaults of a pod, and the tolerations that admission adds."""
    fill(pod, "spec", {})
    spec = pod["spec"]
    if not isinstance(spec, dict):
        return
    default_pod_spec(spec)
    if spec.get("hostNetwork"):
        _default_host_ports(spec)
    fill(spec, "enableServiceLinks", True)
    if not spec.get("serviceAccountName") and not is_mirror(pod):
        spec["serviceAccountName"] = spec["serviceAccount"] = DEFAULT_ACCOUNT
    fill(spec, "tolerations", [])
    tolerations = spec["tolerations"]
    if isinstance(tolerations, list):
        for key in NODE_TAINTS:
            if not any(_tolerates_no_execute(toleration, key) for toleration in tolerations):
                tolerations.append(_default_toleration(key))
    if pod.get("status") is None:
        pod["status"] = {"phase": "Pending", **_qos_class(pod), **_scheduling_gated(spec)}


def _default_host_ports(spec: Document) -> None:
    """In the node's network, a container's port is the node's port (defaultHostNetworkPorts)."""
    for field in CONTAINER_LISTS:
        for container in objects_in(spec.get(field)):
            for port in objects_in(container.get("ports")):
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]


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
        return {"qosClass": qos_class(cast("PodDict", pod))}
    except (ValueError, TypeError, AttributeError):
        return {}


def _tolerates_no_execute(toleration: object, key: str) -> bool:
    if not isinstance(toleration, dict):
        return False
    covers_key = toleration.get("key") in (None, "", key)
    return covers_key and toleration.get("effect") in (None, "", "NoExecute")


def validate_pod(pod: Document, errors: FieldErrors) -> None:
    """Validate a pod."""
    spec: PodSpecDict = pod.get("spec") or {}
    validate_pod_spec(spec, "spec", errors)
    if spec.get("schedulingGates") and spec.get("nodeName"):
        rule = "cannot be set until all schedulingGates have been cleared"
        errors.forbidden("spec.nodeName", rule)


def refuse_ephemeral_containers(pod: Document, errors: FieldErrors) -> None:
    """Refuse a new pod with ephemeral containers: a subresource adds them (ValidatePodCreate)."""
    if (pod.get("spec") or {}).get("ephemeralContainers"):
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create")


def validate_pod_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a pod's spec, except of images, the deadline and added tolerations.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    if new.get("spec") != old.get("spec"):
        validate_spec_update(new, old, errors)
