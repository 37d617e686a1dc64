"""Group storage.k8s.io: StorageClass, and what CSI drivers tell a cluster about themselves.

Source: pkg/apis/storage/v1/defaults.go, pkg/apis/storage/validation/validation.go.
"""

from __future__ import annotations

from kubesim.apiserver.podvalidation.formats import validate_label_name
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import (
    LABEL_RULE,
    SUBDOMAIN_RULE,
    FieldErrors,
    fill,
    label_key_error,
)
from kubesim.objects.frozen import Document
from kubesim.objects.meta import valid_dns1123_subdomain
from kubesim.objects.volumes import DEFAULT_CLASS
from kubesim.quantity import parse_quantity

GROUP = "storage.k8s.io"
RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
LIFECYCLE_MODES = ("Ephemeral", "Persistent")
GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
MOST_PARAMETERS, MOST_PARAMETER_BYTES = 512, 256 * 1024
MOST_DRIVER_NAME, MOST_NODE_ID = 63, 192
STANDARD_CLASS: Document = {
    "kind": "StorageClass",
    "apiVersion": f"{GROUP}/v1",
    "metadata": {"name": "standard", "annotations": {DEFAULT_CLASS: "true"}},
    "provisioner": "kubesim.dev/local",
    "allowVolumeExpansion": True,
}


# -- StorageClass ----------------------------------------------------------------------------------


def default_storage_class(storage_class: Document) -> None:
    """Default to reclaim policy Delete and immediate binding."""
    fill(storage_class, "reclaimPolicy", "Delete")
    fill(storage_class, "volumeBindingMode", "Immediate")


def validate_storage_class(storage_class: Document, errors: FieldErrors) -> None:
    """Validate provisioner, parameters, policies and topologies."""
    provisioner = storage_class.get("provisioner")
    if not provisioner:
        errors.required("provisioner")
    elif message := label_key_error(str(provisioner).lower()):
        errors.invalid("provisioner", provisioner, message)
    _validate_parameters(storage_class.get("parameters") or {}, errors)
    errors.one_of("reclaimPolicy", storage_class.get("reclaimPolicy"), RECLAIM_POLICIES)
    errors.one_of("volumeBindingMode", storage_class.get("volumeBindingMode"), BINDING_MODES)
    _validate_topologies(storage_class.get("allowedTopologies") or [], errors)


def _validate_parameters(
    parameters: Document, errors: FieldErrors, *, required: bool = False
) -> None:
    if required and not parameters:
        errors.required("parameters", "must contain at least one key/value pair")
    if len(parameters) > MOST_PARAMETERS:
        errors.too_long("parameters", MOST_PARAMETERS)
        return
    if "" in parameters:
        errors.invalid("parameters", "", "field can not be empty.")
    size = sum(len(name) + len(value or "") for name, value in parameters.items())
    if size > MOST_PARAMETER_BYTES:
        errors.too_long("parameters", MOST_PARAMETER_BYTES)


def _validate_topologies(terms: list[Document], errors: FieldErrors) -> None:
    """Validate terms of label expressions: each key once, values without duplicates.

    Source: pkg/apis/core/validation/validation.go (ValidateTopologySelectorTerm).
    """
    earlier: list[dict[str, set[str]]] = []
    for index, term in enumerate(terms):
        path = f"allowedTopologies[{index}]"
        expressions: dict[str, set[str]] = {}
        for number, item in enumerate(term.get("matchLabelExpressions") or ()):
            place = f"{path}.matchLabelExpressions[{number}]"
            key, values = item.get("key") or "", item.get("values") or ()
            if not values:
                errors.required(f"{place}.values")
            listed: set[str] = set()
            for position, value in enumerate(values):
                if value in listed:
                    errors.duplicate(f"{place}.values[{position}]", value)
                listed.add(value)
            validate_label_name(f"{place}.key", key, errors)
            if key in expressions:
                errors.duplicate(f"{place}.key", key)
            expressions[key] = listed
        if expressions in earlier:
            errors.duplicate(f"{path}.matchLabelExpressions", "")
        earlier.append(expressions)


def validate_storage_class_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of parameters, provisioner, reclaim policy and binding mode.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(field) or None) != (old.get(field) or None):
            errors.forbidden(field, f"updates to {field} are forbidden.")
    if new.get("volumeBindingMode") != old.get("volumeBindingMode"):
        errors.invalid("volumeBindingMode", new.get("volumeBindingMode"), "field is immutable")


# -- what only documents are -----------------------------------------------------------------------


def _validate_driver_name(path: str, name: object, errors: FieldErrors) -> None:
    """Validate the name of a CSI driver.

    Args:
        path: of the name.
        name: the name.
        errors: collects the errors.

    Source: pkg/apis/core/validation/validation.go (ValidateCSIDriverName).
    """
    if not name:
        errors.required(path)
        return
    if len(str(name)) > MOST_DRIVER_NAME:
        errors.too_long(path, MOST_DRIVER_NAME)
    if not valid_dns1123_subdomain(str(name).lower()):
        errors.invalid(path, name, SUBDOMAIN_RULE)


def default_driver(driver: Document) -> None:
    """Default to an attachable driver of persistent volumes without special wishes."""
    fill(driver, "spec", {})
    spec = driver["spec"]
    if isinstance(spec, dict):
        fill(spec, "attachRequired", True)
        for field in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
            fill(spec, field, False)
        fill(spec, "fsGroupPolicy", GROUP_POLICIES[2])
        fill(spec, "volumeLifecycleModes", ["Persistent"])
        # Its feature, MutableCSINodeAllocatableCount, is off by default in 1.34.
        spec.pop("nodeAllocatableUpdatePeriodSeconds", None)


def validate_driver(driver: Document, errors: FieldErrors) -> None:
    """Validate the name of a CSIDriver, its modes and its policy for groups."""
    _validate_driver_name("metadata.name", (driver.get("metadata") or {}).get("name"), errors)
    spec = errors.mapping("spec", driver.get("spec"))
    for mode in spec.get("volumeLifecycleModes") or ():
        errors.one_of("spec.volumeLifecycleModes", mode, LIFECYCLE_MODES)
    errors.one_of("spec.fsGroupPolicy", spec.get("fsGroupPolicy"), GROUP_POLICIES)


def validate_driver_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of whether a driver attaches and which volumes it has.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    for field in ("attachRequired", "volumeLifecycleModes"):
        value = (new.get("spec") or {}).get(field)
        if value != (old.get("spec") or {}).get(field):
            errors.invalid(f"spec.{field}", value, "field is immutable")


def validate_csi_node(csi_node: Document, errors: FieldErrors) -> None:
    """Validate the drivers of a CSINode: each once, with the node's name and its limit."""
    drivers: set[str] = set()
    spec = errors.mapping("spec", csi_node.get("spec"))
    for path, driver in errors.items("spec.drivers", spec.get("drivers")):
        name = driver.get("name") or ""
        _validate_driver_name(f"{path}.name", name, errors)
        if not driver.get("nodeID"):
            errors.required(f"{path}.nodeID")
        elif len(driver["nodeID"]) > MOST_NODE_ID:
            errors.invalid(f"{path}.nodeID", driver["nodeID"], "must be 192 characters or less")
        limit = (driver.get("allocatable") or {}).get("count")
        if limit is not None and limit < 0:
            detail = "must be greater than or equal to 0"
            errors.invalid(f"{path}.allocatable.count", limit, detail)
        if name in drivers:
            errors.duplicate(f"{path}.name", name)
        drivers.add(name)


def validate_capacity(capacity: Document, errors: FieldErrors) -> None:
    """Validate class, sizes and topology of a CSIStorageCapacity."""
    name = capacity.get("storageClassName") or ""
    if not valid_dns1123_subdomain(name):
        errors.invalid("storageClassName", name, SUBDOMAIN_RULE)
    for field in ("capacity", "maximumVolumeSize"):
        if capacity.get(field) is not None:
            errors.quantity(field, capacity[field], parse_quantity)
    if capacity.get("nodeTopology") is not None:
        validate_selector(capacity["nodeTopology"], "nodeTopology", errors)


def validate_attachment(attachment: Document, errors: FieldErrors) -> None:
    """Validate attacher, source and node of a VolumeAttachment."""
    spec = errors.mapping("spec", attachment.get("spec"))
    _validate_driver_name("spec.attacher", spec.get("attacher"), errors)
    source = errors.mapping("spec.source", spec.get("source"))
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and name is None:
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        errors.required("spec.source", detail)
    elif inline is not None and name is not None:
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        errors.forbidden("spec.source", detail)
    elif inline is None and not name:
        detail = "must specify non empty persistentVolumeName"
        errors.required("spec.source.persistentVolumeName", detail)
    node = spec.get("nodeName") or ""
    if not valid_dns1123_subdomain(node):
        errors.invalid("spec.nodeName", node, LABEL_RULE if not node else SUBDOMAIN_RULE)


def validate_attachment_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid all changes of the spec of a VolumeAttachment.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    if new.get("spec") != old.get("spec"):
        errors.invalid("spec", new.get("spec"), "field is immutable")


def validate_attributes_class(attributes: Document, errors: FieldErrors) -> None:
    """Validate driver and parameters of a VolumeAttributesClass."""
    _validate_driver_name("driverName", attributes.get("driverName"), errors)
    _validate_parameters(attributes.get("parameters") or {}, errors, required=True)


def validate_attributes_class_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of driver and parameters.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    if new.get("driverName") != old.get("driverName"):
        errors.invalid("driverName", new.get("driverName"), "field is immutable")
    if new.get("parameters") != old.get("parameters"):
        errors.forbidden("parameters", "updates to parameters are forbidden.")


KINDS = (
    Kind(
        "StorageClass",
        "storageclasses",
        group=GROUP,
        namespaced=False,
        short_names=("sc",),
        default=default_storage_class,
        validate=validate_storage_class,
        validate_update=validate_storage_class_update,
        status=False,
        counts_generation=False,
    ),
    Kind(
        "VolumeAttachment",
        "volumeattachments",
        group=GROUP,
        namespaced=False,
        validate=validate_attachment,
        validate_update=validate_attachment_update,
        zero_status={"attached": False},
        counts_generation=False,
    ),
    Kind(
        "CSIDriver",
        "csidrivers",
        partly="its attachRequired is followed, but no driver is called",
        group=GROUP,
        namespaced=False,
        default=default_driver,
        validate=validate_driver,
        validate_update=validate_driver_update,
        status=False,
        counts_generation=False,
    ),
    Kind(
        "CSINode",
        "csinodes",
        group=GROUP,
        namespaced=False,
        validate=validate_csi_node,
        status=False,
        counts_generation=False,
    ),
    Kind(
        "CSIStorageCapacity",
        "csistoragecapacities",
        kept="the scheduler does not look at it",
        group=GROUP,
        validate=validate_capacity,
        status=False,
        counts_generation=False,
    ),
    Kind(
        "VolumeAttributesClass",
        "volumeattributesclasses",
        kept="no volume is changed by it",
        group=GROUP,
        namespaced=False,
        short_names=("vac",),
        validate=validate_attributes_class,
        validate_update=validate_attributes_class_update,
        status=False,
        counts_generation=False,
    ),
)
