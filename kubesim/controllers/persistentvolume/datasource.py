"""What a claim's volume is made from: another claim, which is cloned.

A snapshot cannot be taken here, so that a claim made from one waits, as where no snapshot
controller runs. A data source of another kind is left to its populator, which nobody runs either.

Source: github.com/kubernetes-csi/external-provisioner/pkg/controller/controller.go
(prepareProvision, getVolumeContentSource, getPVCSource, getSnapshotSource).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.errors import StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kubesim.objects.volumes import FILESYSTEM, PROVISIONED_BY, has_class, requested_size

if TYPE_CHECKING:
    from kubesim.objects.types import (
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        StorageClassDict,
    )

CLAIM, SNAPSHOT, SNAPSHOT_GROUP = (
    "PersistentVolumeClaim",
    "VolumeSnapshot",
    "snapshot.storage.k8s.io",
)
MISSING = "the server could not find the requested resource (get {} {})"
POPULATED = "Assuming an external populator will provision the volume"
NOT_BOUND = "claim in dataSource not bound or invalid"


class UnusableSource(Exception):
    """No volume can be made from the data source of a claim; the text is upstream's."""


def has_populator(claim: PersistentVolumeClaimDict) -> bool:
    """Return whether a claim's data source is of a kind that its own controller has to serve."""
    source = claim["spec"].get("dataSource") or {}
    return bool(source) and source.get("kind") not in (CLAIM, SNAPSHOT)


def source_of(
    claim: PersistentVolumeClaimDict, storage_class: StorageClassDict, api: KubeAPI
) -> PersistentVolumeDict | None:
    """Return the volume that the volume of a claim is cloned from; None: it is empty.

    Args:
        claim: the claim.
        storage_class: its class.
        api: reads the source.

    Raises:
        UnusableSource: the source does not exist, is too large, or cannot be cloned.
    """
    source = claim["spec"].get("dataSource")
    if not source:
        return None
    kind, name = str(source.get("kind")), str(source.get("name"))
    try:
        if kind == SNAPSHOT:
            raise UnusableSource(_snapshot_error(name, meta.namespace_of(claim), api))
        return _claim_source(claim, name, storage_class, api)
    except UnusableSource as error:
        message = f"error getting handle for DataSource Type {kind} by Name {name}: {error}"
        raise UnusableSource(message) from None


def _snapshot_error(name: str, namespace: str, api: KubeAPI) -> str:
    """Return why a snapshot cannot be used: nobody takes it."""
    plural = f"volumesnapshots.{SNAPSHOT_GROUP}"
    try:
        existing = api.peek(SNAPSHOT, name, namespace)
    except StatusError:
        return f"error getting snapshot {name} from api server: {MISSING.format(plural, name)}"
    if existing is None:
        return f'error getting snapshot {name} from api server: {plural} "{name}" not found'
    return f"snapshot {name} not bound"


def _claim_source(
    claim: PersistentVolumeClaimDict, name: str, storage_class: StorageClassDict, api: KubeAPI
) -> PersistentVolumeDict:
    """Return the volume of another claim of the namespace.

    Args:
        claim: the new claim.
        name: of the other one.
        storage_class: of the new claim.
        api: reads both.

    Raises:
        UnusableSource: it cannot be cloned.
    """
    namespace = meta.namespace_of(claim)
    source = api.peek(PERSISTENT_VOLUME_CLAIM, name, namespace)
    if source is None:
        raise UnusableSource(
            f'error getting PVC {name} (namespace "{namespace}") from api server: '
            f'persistentvolumeclaim "{name}" not found'
        )
    phase = (source.get("status") or {}).get("phase")
    if phase != "Bound":
        raise UnusableSource(f"the PVC DataSource {name} must have a status of Bound.  Got {phase}")
    if meta.is_terminating(source):
        raise UnusableSource(f"the PVC DataSource {name} is currently being deleted")
    if not has_class(source):
        raise UnusableSource(f"the source PVC ({name}) storageclass cannot be empty")
    requested, size = requested_size(claim), requested_size(source)
    if requested < size:
        raise UnusableSource(
            "error, new PVC request must be greater than or equal in size to the specified PVC "
            f"data source, requested {int(requested)} but source is {int(size)}"
        )
    volume = api.peek(PERSISTENT_VOLUME, source["spec"].get("volumeName") or "")
    if volume is None or not _same_driver(volume, storage_class):
        raise UnusableSource(NOT_BOUND)
    modes = [each["spec"].get("volumeMode") or FILESYSTEM for each in (volume, claim)]
    if modes[0] != modes[1]:
        raise UnusableSource(
            "the source PVC and destination PVCs must have the same volume mode for cloning.  "
            f"Source is {modes[0]}, but new PVC requested {modes[1]}"
        )
    return volume


def _same_driver(volume: PersistentVolumeDict, storage_class: StorageClassDict) -> bool:
    return meta.annotations_of(volume).get(PROVISIONED_BY) == storage_class.get("provisioner")
