"""Group resource.k8s.io: ResourceClaim, ResourceClaimTemplate, DeviceClass and ResourceSlice.

All are only kept: no device is allocated, and the scheduler does not look at claims of pods.

Source: pkg/apis/resource/validation/validation.go, pkg/apis/resource/v1/defaults.go.
"""

from __future__ import annotations

from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.podvalidation.formats import validate_dns_label, validate_dns_subdomain
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in

GROUP = "resource.k8s.io"
MODES = ("All", "ExactCount")
MOST = 32  # requests, constraints, configurations and selectors
MOST_ALTERNATIVES = 8
MOST_DEVICES = 128
MAX_POOL_NAME = 253
MAX_DRIVER_NAME = 63
ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"
NODES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
NODES_RULE = (
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
)


# Fields of features that are off by default in 1.34: DRADeviceTaints (taints, tolerations),
# DRAPartitionableDevices, DRAConsumableCapacity, DRADeviceBindingConditions.
DISABLED_OF_REQUEST = ("tolerations", "capacity")
DISABLED_OF_DEVICE = (
    "taints",
    "consumesCounters",
    "nodeName",
    "nodeSelector",
    "allNodes",
    "allowMultipleAllocations",
    "bindsToNode",
    "bindingConditions",
    "bindingFailureConditions",
)


def _drop(holder: object, fields: tuple[str, ...]) -> None:
    """Drop fields of an object."""
    if isinstance(holder, dict):
        for field in fields:
            holder.pop(field, None)


# -- claims ----------------------------------------------------------------------------------------


def _default_devices(spec: object) -> None:
    devices = spec.get("devices") if isinstance(spec, dict) else None
    if not isinstance(devices, dict):
        return
    for constraint in objects_in(devices.get("constraints")):
        _drop(constraint, ("distinctAttribute",))
    for request in objects_in(devices.get("requests")):
        exactly = request.get("exactly")
        for each in (exactly, *objects_in(request.get("firstAvailable"))):
            if isinstance(each, dict):
                _drop(each, DISABLED_OF_REQUEST)
                fill(each, "allocationMode", "ExactCount")
                if each["allocationMode"] == "ExactCount" and not each.get("count"):
                    each["count"] = 1


def default_claim(claim: Document) -> None:
    """Default to one device for each request."""
    fill(claim, "spec", {})
    if isinstance(claim["spec"], dict):
        fill(claim["spec"], "devices", {})
    _default_devices(claim["spec"])


def default_claim_template(template: Document) -> None:
    """Default to one device for each request."""
    fill(template, "spec", {})
    if isinstance(template["spec"], dict):
        _default_devices(template["spec"].get("spec"))


def default_device_class(device_class: Document) -> None:
    """Drop extendedResourceName: the feature DRAExtendedResource is off by default in 1.34."""
    spec = device_class.get("spec")
    if isinstance(spec, dict):
        spec.pop("extendedResourceName", None)


def default_resource_slice(resource_slice: Document) -> None:
    """Drop the fields of features that are off by default in 1.34.

    Source: pkg/registry/resource/resourceslice/strategy.go (dropDisabledFields).
    """
    spec = resource_slice.get("spec")
    if isinstance(spec, dict):
        _drop(spec, ("sharedCounters", "perDeviceNodeSelection"))
        for device in objects_in(spec.get("devices")):
            _drop(device, DISABLED_OF_DEVICE)
            capacity = device.get("capacity")
            for each in capacity.values() if isinstance(capacity, dict) else ():
                _drop(each, ("requestPolicy",))


def validate_claim(claim: Document, errors: FieldErrors) -> None:
    """Validate the devices that a ResourceClaim asks for."""
    _validate_devices((claim.get("spec") or {}).get("devices") or {}, "spec.devices", errors)


def validate_claim_template(template: Document, errors: FieldErrors) -> None:
    """Validate the devices that the claims of a template ask for."""
    inner: Document = (template.get("spec") or {}).get("spec") or {}
    _validate_devices(inner.get("devices") or {}, "spec.spec.devices", errors)


def _validate_devices(devices: Document, path: str, errors: FieldErrors) -> None:
    names: set[str] = set()
    requests = errors.items(f"{path}.requests", devices.get("requests"))
    _at_most(f"{path}.requests", len(requests), MOST, errors)
    for item, request in requests:
        name = request.get("name") or ""
        validate_dns_label(f"{item}.name", name, errors)
        if name in names:
            errors.duplicate(item, name)
        _validate_request(request, item, errors)
        alternatives = objects_in(request.get("firstAvailable"))
        names |= {name, *(f"{name}/{each.get('name')}" for each in alternatives)}
    constraints = errors.items(f"{path}.constraints", devices.get("constraints"))
    _at_most(f"{path}.constraints", len(constraints), MOST, errors)
    for item, constraint in constraints:
        _validate_names(constraint, item, names, errors)
        if constraint.get("matchAttribute") is None:
            errors.required(f"{item}.matchAttribute")
    configurations = errors.items(f"{path}.config", devices.get("config"))
    _at_most(f"{path}.config", len(configurations), MOST, errors)
    for item, configuration in configurations:
        _validate_names(configuration, item, names, errors)
        _validate_configuration(configuration, item, errors)


def _at_most(path: str, count: int, limit: int, errors: FieldErrors) -> None:
    if count > limit:
        errors.too_many(path, count, limit)


def _validate_names(holder: Document, path: str, names: set[str], errors: FieldErrors) -> None:
    for index, name in enumerate(holder.get("requests") or ()):
        if name not in names:
            detail = "must be the name of a request in the claim or the name of a request and a "
            errors.invalid(
                f"{path}.requests[{index}]", name, f"{detail}subrequest separated by '/'"
            )


def _validate_request(request: Document, path: str, errors: FieldErrors) -> None:
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not alternatives:
        errors.required(path, ONE_OF)
    elif exactly is not None and alternatives:
        errors.invalid(path, None, f"{ONE_OF}, but multiple fields are set")
    elif exactly is not None:
        _validate_exact(exactly, f"{path}.exactly", errors)
    else:
        listed = errors.items(f"{path}.firstAvailable", alternatives)
        _at_most(f"{path}.firstAvailable", len(listed), MOST_ALTERNATIVES, errors)
        for item, each in listed:
            validate_dns_label(f"{item}.name", each.get("name") or "", errors)
            _validate_exact(each, item, errors)


def _validate_exact(request: Document, path: str, errors: FieldErrors) -> None:
    if not request.get("deviceClassName"):
        errors.required(f"{path}.deviceClassName")
    else:
        validate_dns_subdomain(f"{path}.deviceClassName", request["deviceClassName"], errors)
    _validate_selectors(request.get("selectors"), f"{path}.selectors", errors)
    mode, count = request.get("allocationMode"), request.get("count") or 0
    if mode == "All" and count:
        detail = "must not be specified when allocationMode is 'All'"
        errors.invalid(f"{path}.count", count, detail)
    elif mode == "ExactCount" and count <= 0:
        errors.invalid(f"{path}.count", count, "must be greater than zero")
    errors.one_of(f"{path}.allocationMode", mode, MODES)


def _validate_selectors(selectors: object, path: str, errors: FieldErrors) -> None:
    """Validate that each selector has an expression (CEL); it is not compiled."""
    listed = errors.items(path, selectors)
    _at_most(path, len(listed), MOST, errors)
    for item, selector in listed:
        if selector.get("cel") is None:
            errors.required(f"{item}.cel")


def _validate_configuration(configuration: Document, path: str, errors: FieldErrors) -> None:
    opaque = configuration.get("opaque")
    if opaque is None:
        errors.required(f"{path}.opaque")
        return
    _validate_driver(opaque.get("driver") or "", f"{path}.opaque.driver", errors)
    if not opaque.get("parameters"):
        errors.required(f"{path}.opaque.parameters")


def _validate_driver(name: str, path: str, errors: FieldErrors) -> None:
    """Validate the name of a driver (ValidateCSIDriverName)."""
    if not name:
        errors.required(path)
    elif len(name) > MAX_DRIVER_NAME:
        errors.too_long(path, MAX_DRIVER_NAME)
    else:
        validate_dns_subdomain(path, name.lower(), errors)


def validate_spec_unchanged(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the spec.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    validate_immutable(new.get("spec"), old.get("spec"), "spec", errors)


# -- DeviceClass and ResourceSlice -----------------------------------------------------------------


def validate_device_class(device_class: Document, errors: FieldErrors) -> None:
    """Validate the selectors and configurations of a DeviceClass."""
    spec: Document = device_class.get("spec") or {}
    _validate_selectors(spec.get("selectors"), "spec.selectors", errors)
    listed = errors.items("spec.config", spec.get("config"))
    _at_most("spec.config", len(listed), MOST, errors)
    for path, configuration in listed:
        _validate_configuration(configuration, path, errors)


def validate_resource_slice(resource_slice: Document, errors: FieldErrors) -> None:
    """Validate driver, pool, nodes and devices of a ResourceSlice."""
    spec: Document = resource_slice.get("spec") or {}
    _validate_driver(spec.get("driver") or "", "spec.driver", errors)
    pool: Document = spec.get("pool") or {}
    name = pool.get("name") or ""
    if not name:
        errors.required("spec.pool.name")
    elif len(name) > MAX_POOL_NAME:
        errors.too_long("spec.pool.name", MAX_POOL_NAME)
    for part in name.split("/") if name else ():
        validate_dns_subdomain("spec.pool.name", part, errors)
    if (pool.get("resourceSliceCount") or 0) <= 0:
        count = pool.get("resourceSliceCount") or 0
        errors.invalid("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if (pool.get("generation") or 0) < 0:
        detail = "must be greater than or equal to zero"
        errors.invalid("spec.pool.generation", pool["generation"], detail)
    given = [field for field in NODES if spec.get(field)]
    if not given:
        errors.required("spec", NODES_RULE)
    elif len(given) > 1:
        errors.invalid("spec", f"{{{', '.join(given)}}}", f"{NODES_RULE}, but multiple are set")
    devices = errors.items("spec.devices", spec.get("devices"))
    _at_most("spec.devices", len(devices), MOST_DEVICES, errors)
    names: set[str] = set()
    for path, device in devices:
        validate_dns_label(f"{path}.name", device.get("name") or "", errors)
        if device.get("name") in names:
            errors.duplicate(path, device.get("name"))
        names.add(str(device.get("name")))


def validate_slice_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of driver, pool name and node.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    pools = [(spec.get("pool") or {}).get("name") for spec in (after, before)]
    validate_immutable(pools[0], pools[1], "spec.pool.name", errors)
    for field in ("driver", "nodeName"):
        validate_immutable(after.get(field), before.get(field), f"spec.{field}", errors)


WHAT = "no device is allocated"
KINDS = (
    Kind(
        "ResourceClaim",
        "resourceclaims",
        group=GROUP,
        default=default_claim,
        validate=validate_claim,
        validate_update=validate_spec_unchanged,
        kept=WHAT,
        counts_generation=False,
    ),
    Kind(
        "ResourceClaimTemplate",
        "resourceclaimtemplates",
        group=GROUP,
        default=default_claim_template,
        validate=validate_claim_template,
        validate_update=validate_spec_unchanged,
        kept=WHAT,
        status=False,
        counts_generation=False,
    ),
    Kind(
        "DeviceClass",
        "deviceclasses",
        group=GROUP,
        namespaced=False,
        default=default_device_class,
        validate=validate_device_class,
        kept=WHAT,
        status=False,
    ),
    Kind(
        "ResourceSlice",
        "resourceslices",
        group=GROUP,
        namespaced=False,
        default=default_resource_slice,
        validate=validate_resource_slice,
        validate_update=validate_slice_update,
        kept=WHAT,
        status=False,
        selectable_fields=("spec.nodeName", "spec.driver"),
    ),
)
