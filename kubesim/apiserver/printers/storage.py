"""Printers of claims, volumes and the group storage.k8s.io.

Source: pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from kubesim.apiserver.printers.ages import Ages
from kubesim.apiserver.printers.cells import (
    AGE,
    UNSET,
    Cell,
    Printer,
    at,
    column,
    length_at,
    mapping,
    number,
    objects,
    part,
    printer_of,
    texts,
    wide,
)
from kubesim.objects.frozen import Document
from kubesim.objects.volumes import is_default_class, modes_text

if TYPE_CHECKING:
    from kubesim.objects.types import StorageClassDict


def _phase(document: Document, ages: Ages) -> object:
    if part(document, "metadata", "deletionTimestamp"):
        return "Terminating"
    return mapping(document, "status").get("phase", "")


def _modes_at(*path: str) -> Callable[[Document, Ages], str]:
    return lambda document, ages: modes_text(texts(document, *path))


def _claim_modes(claim: Document, ages: Ages) -> str:
    if not part(claim, "spec", "volumeName"):
        return ""
    return modes_text(texts(claim, "status", "accessModes"))


def _claim_size(claim: Document, ages: Ages) -> object:
    if not part(claim, "spec", "volumeName"):
        return ""
    return part(claim, "status", "capacity", "storage") or ""


def _claim_of(volume: Document, ages: Ages) -> str:
    reference = part(volume, "spec", "claimRef")
    if not isinstance(reference, dict):
        return ""
    return f"{reference.get('namespace', '')}/{reference.get('name', '')}"


def _class_name(storage_class: Document, ages: Ages) -> str:
    name = str(part(storage_class, "metadata", "name") or "")
    is_default = is_default_class(cast("StorageClassDict", storage_class))
    return f"{name} (default)" if is_default else name


def _flag(path: str, default: bool = False) -> Callable[[Document, Ages], bool]:
    """Return a function that reads a boolean.

    Args:
        path: field names joined by dots.
        default: of a missing field.
    """
    fields = path.split(".")

    def value(document: Document, ages: Ages) -> bool:
        flag = part(document, *fields)
        return default if flag is None else bool(flag)

    return value


def _requests(driver: Document, ages: Ages) -> str:
    audiences = [str(item.get("audience", "")) for item in objects(driver, "spec", "tokenRequests")]
    return ",".join(audiences) if audiences else UNSET


def _lifecycle_modes(driver: Document, ages: Ages) -> str:
    return ",".join(texts(driver, "spec", "volumeLifecycleModes")) or "<none>"


def _storage_classes() -> Printer:
    """Return the printer whose names say which class is the default."""
    printer = printer_of(
        at(column("Provisioner", "who makes the volumes"), "provisioner"),
        at(column("ReclaimPolicy", "what becomes of a released volume"), "reclaimPolicy"),
        at(column("VolumeBindingMode", "when claims are bound"), "volumeBindingMode"),
        Cell(
            column("AllowVolumeExpansion", "whether claims may grow", "boolean"),
            _flag("allowVolumeExpansion"),
        ),
        AGE,
    )
    return Printer(
        printer.columns,
        lambda document, ages: [_class_name(document, ages), *printer.cells(document, ages)],
    )


ATTRIBUTES = at(
    column("VolumeAttributesClass", "class of the volume's attributes"),
    "spec.volumeAttributesClassName",
    UNSET,
)
MODE = at(wide("VolumeMode", "Filesystem or Block"), "spec.volumeMode", UNSET)
STORAGE: dict[str, Printer] = {
    "PersistentVolumeClaim": printer_of(
        Cell(column("Status", "whether the claim is bound to a volume"), _phase),
        at(column("Volume", "name of the volume"), "spec.volumeName"),
        Cell(column("Capacity", "capacity of the volume"), _claim_size),
        Cell(column("Access Modes", "how the volume can be mounted"), _claim_modes),
        at(column("StorageClass", "class of the volume"), "spec.storageClassName"),
        ATTRIBUTES,
        AGE,
        MODE,
    ),
    "PersistentVolume": printer_of(
        at(column("Capacity", "capacity of the volume"), "spec.capacity.storage"),
        Cell(
            column("Access Modes", "how the volume can be mounted"),
            _modes_at("spec", "accessModes"),
        ),
        at(
            column("Reclaim Policy", "what becomes of a released volume"),
            "spec.persistentVolumeReclaimPolicy",
        ),
        Cell(column("Status", "whether the volume is bound to a claim"), _phase),
        Cell(column("Claim", "the claim"), _claim_of),
        at(column("StorageClass", "class of the volume"), "spec.storageClassName"),
        ATTRIBUTES,
        at(column("Reason", "why the volume is in its phase"), "status.reason"),
        AGE,
        MODE,
    ),
    "StorageClass": _storage_classes(),
    "VolumeAttributesClass": printer_of(
        at(column("DriverName", "the CSI driver"), "driverName"), AGE
    ),
    "VolumeAttachment": printer_of(
        at(column("Attacher", "the CSI driver"), "spec.attacher"),
        at(column("PV", "the volume"), "spec.source.persistentVolumeName"),
        at(column("Node", "the node"), "spec.nodeName"),
        Cell(
            column("Attached", "whether the node has the volume", "boolean"),
            _flag("status.attached"),
        ),
        AGE,
    ),
    "CSIDriver": printer_of(
        Cell(
            column("AttachRequired", "whether volumes are attached", "boolean"),
            _flag("spec.attachRequired", True),
        ),
        Cell(
            column("PodInfoOnMount", "whether mounts tell of the pod", "boolean"),
            _flag("spec.podInfoOnMount"),
        ),
        Cell(
            column("StorageCapacity", "whether the driver reports capacity", "boolean"),
            _flag("spec.storageCapacity"),
        ),
        Cell(column("TokenRequests", "audiences of the tokens it asks for"), _requests),
        Cell(
            column("RequiresRepublish", "whether volumes are mounted again", "boolean"),
            _flag("spec.requiresRepublish"),
        ),
        Cell(column("Modes", "kinds of volumes"), _lifecycle_modes),
        AGE,
    ),
    "CSINode": printer_of(
        length_at(number("Drivers", "number of CSI drivers on the node"), "spec.drivers"), AGE
    ),
    "CSIStorageCapacity": printer_of(
        at(column("StorageClassName", "the class"), "storageClassName"),
        at(column("Capacity", "what is left"), "capacity", UNSET),
    ),
}
