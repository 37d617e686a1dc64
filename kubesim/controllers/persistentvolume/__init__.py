"""Claims of ephemeral volumes; binding, provisioning, expansion and protection of volumes."""

from kubesim.controllers.persistentvolume.controller import PersistentVolumeController
from kubesim.controllers.persistentvolume.ephemeral import EphemeralVolumeController
from kubesim.controllers.persistentvolume.protection import VolumeProtectionController
from kubesim.controllers.persistentvolume.provisioner import VolumeProvisioner

__all__ = [
    "EphemeralVolumeController",
    "PersistentVolumeController",
    "VolumeProtectionController",
    "VolumeProvisioner",
]
