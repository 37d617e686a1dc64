"""The attached volumes that the pods of a node use, as the kubelet reports them.

Source: pkg/kubelet/volumemanager/volume_manager.go (GetVolumesInUse), pkg/kubelet/nodestatus
(VolumesInUse).
"""

from __future__ import annotations

from collections.abc import Callable, Collection


class VolumesInUse:
    """The volumes of `status.volumesInUse` of one node; called from the workers of its pods.

    Args:
        changed: called when there is another volume: the kubelet reports it at once. One that
            is used no more is reported at the next heartbeat.

    >>> volumes = VolumesInUse(lambda: print("report"))
    >>> volumes.use("uid", ["disk"])
    report
    >>> volumes.use("uid", ["disk"])
    >>> volumes.names()
    ['disk']
    """

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._changed = changed
        self._by_pod: dict[str, tuple[str, ...]] = {}

    def use(self, uid: str, names: Collection[str]) -> None:
        """Note the volumes of a pod before they are mounted.

        Args:
            uid: of the pod.
            names: unique names of its volumes.
        """
        names = tuple(names)
        if self._by_pod.get(uid) != names:
            self._by_pod[uid] = names
            self._changed()

    def release(self, uid: str) -> None:
        """Forget the volumes of a pod that has ended."""
        self._by_pod.pop(uid, None)

    def names(self) -> list[str]:
        """Return the unique names of all volumes in use, sorted."""
        return sorted({name for names in tuple(self._by_pod.values()) for name in names})
