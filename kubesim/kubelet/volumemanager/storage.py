"""Where the data of volumes is kept: on a node's disk, or in a storage that every node reaches.

The files of a claim belong to its volume: each pod that mounts the claim reads and writes the same
ones, on whatever node it runs, and a volume that is bound again has them still. A host path that
somebody made a volume of (`hostPath`, `local`) is a directory of the node; what a provisioner has
made is not. The data goes with a volume of policy Delete, and is wiped when a volume of policy
Recycle gets its next claim. An emptyDir lives on the node's disk until its pod is gone.

>>> store = VolumeStore()
>>> store.directory("/data").write("a", "1", append=False)
>>> store.directory("/data").read("a")
'1'

Source: pkg/volume/hostpath, pkg/volume/emptydir, pkg/volume/util/recyclerclient.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubesim.kubelet.shell.files import Volume
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.volumes import PROVISIONED_BY

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeDict

SWEEP_AT = 100  # volumes from which on the data of those that are gone is looked for
NOT_THE_SOURCE = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}
HOW_IT_IS_MOUNTED = {"fsType", "readOnly", "type"}


def storage_key(volume: PersistentVolumeDict) -> str:
    """Return what tells the storage behind a volume from another: its source.

    >>> nfs = {"server": "files", "path": "/a"}
    >>> one = {"spec": {"capacity": {"storage": "1Gi"}, "nfs": nfs}}
    >>> storage_key(one) == storage_key({"spec": {"nfs": {**nfs, "readOnly": True}}})
    True
    """
    spec: ReadOnlyDocument = volume["spec"]
    if csi := spec.get("csi"):
        return f"{csi.get('driver')}^{csi.get('volumeHandle')}"
    sources = {
        name: {field: value for field, value in source.items() if field not in HOW_IT_IS_MOUNTED}
        for name, source in spec.items()
        if name not in NOT_THE_SOURCE and isinstance(source, dict)
    }
    return json.dumps(sources, sort_keys=True, default=str)


def path_on_node(volume: PersistentVolumeDict) -> str:
    """Return the directory of the node that a volume is; "": its data is elsewhere."""
    if PROVISIONED_BY in meta.annotations_of(volume):
        return ""
    spec = volume["spec"]
    source = spec.get("hostPath") or spec.get("local") or {}
    return str(source.get("path") or "")


class VolumeStore:
    """The data of volumes; used from the workers of all pods that mount them.

    Args:
        exists: returns whether there is a volume of that name.
    """

    def __init__(self, exists: Callable[[str], bool] = lambda _name: True) -> None:
        self._exists = exists
        self._directories: dict[str, Volume] = {}
        self._of_pods: dict[str, dict[str, Volume]] = {}
        self._users: dict[str, tuple[str, str, str, str]] = {}

    def directory(self, path: str) -> Volume:
        """Return a directory, which is empty at first."""
        return self._directories.setdefault(path, Volume())

    def pod_directory(self, uid: str, name: str) -> Volume:
        """Return an emptyDir.

        Args:
            uid: of the pod.
            name: of its volume.
        """
        return self._of_pods.setdefault(uid, {}).setdefault(name, Volume())

    def remove_pod(self, uid: str) -> None:
        """Remove the emptyDirs of a pod."""
        self._of_pods.pop(uid, None)

    def data_of(self, volume: PersistentVolumeDict, path: str = "") -> Volume:
        """Return the data of a volume.

        Args:
            volume: the PersistentVolume.
            path: of its directory, if it is one of a node.
        """
        key = path or storage_key(volume)
        spec = volume["spec"]
        policy = str(spec.get("persistentVolumeReclaimPolicy") or "Retain")
        claim = str((spec.get("claimRef") or {}).get("uid") or "")
        user = meta.name_of(volume), meta.uid_of(volume), policy, claim
        last = self._users.get(key)
        if last is not None and last != user:
            deleted = last[1] != user[1] and last[2] == "Delete"
            recycled = last[3] != claim and last[2] == "Recycle"
            if deleted or recycled:
                self._directories.pop(key, None)
        if last is None and len(self._users) >= SWEEP_AT:
            self._sweep()
        self._users[key] = user
        return self.directory(key)

    def copy(self, source: PersistentVolumeDict, target: PersistentVolumeDict) -> None:
        """Copy all files and directories of a volume into a new one."""
        data, clone = self.data_of(source), self.data_of(target)
        for path in data.paths():
            clone.write(path, data.read(path) or "", append=False)
        clone.directories.update(data.directories)

    def _sweep(self) -> None:
        """Drop the data of volumes that were deleted with policy Delete."""
        for key, (name, _, policy, _) in list(self._users.items()):
            if policy == "Delete" and not self._exists(name):
                self._users.pop(key, None)
                self._directories.pop(key, None)
