"""The volumes of one pod: waits until all of them are mounted, then lets its containers start.

Volumes that have to be attached are reported as in use, and awaited in the node's
`status.volumesAttached`.

Source: pkg/kubelet/volumemanager/volume_manager.go (WaitForAttachAndMount),
pkg/kubelet/volumemanager/reconciler/reconciler.go, pkg/volume/util/operationexecutor.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.context import PodContext
from kubesim.kubelet.volumemanager.claims import (
    attachable_volumes,
    mount_seconds,
    unusable_claims,
)
from kubesim.kubelet.volumemanager.setup import failed_mounts, mount_delay
from kubesim.objects import meta
from kubesim.objects.kindnames import NODE
from kubesim.objects.pods import node_of
from kubesim.objects.volumes import claim_names
from kubesim.objects.wellknown import ATTACH_DETACH

ATTACH_FIRST_SECONDS, ATTACH_MOST_SECONDS = 0.1, 1.0
TIMEOUT_SECONDS = 123.0  # podAttachAndMountTimeout: 2 minutes and 3 seconds


class VolumeMounter:
    """Mounts the volumes of one pod.

    Args:
        context: the pod.
        call_later: calls a function after some seconds, unless the pod stops before.
        mounted: called when all volumes are mounted.
    """

    __slots__ = ("_attempt", "_call_later", "_context", "_has_claims", "_is_mounted", "_mounted")

    def __init__(
        self,
        context: PodContext,
        call_later: Callable[[float, Callable[[], object]], object],
        mounted: Callable[[], object],
    ) -> None:
        self._context, self._call_later, self._mounted = context, call_later, mounted
        self._has_claims = bool(claim_names(context.pod))
        self._attempt, self._is_mounted = 0, False

    def start(self, delay: float) -> None:
        """Mount the volumes after some seconds, and after those that their classes say."""
        pod = self._context
        seconds = mount_seconds(pod.pod, pod.find) if self._has_claims else 0.0
        self._call_later(delay + seconds, self._mount)

    def _mount(self) -> None:
        pod = self._context
        unusable = unusable_claims(pod.pod, pod.find) if self._has_claims else ""
        unattached = self._unattached() if self._has_claims and not unusable else []
        failed = [unusable] if unusable else list(failed_mounts(pod.pod, pod.find).values())
        if not failed and not unattached:
            self._is_mounted = True
            self._mounted()
            return
        if self._attempt == 0:
            self._call_later(TIMEOUT_SECONDS, self._report)
        delay = mount_delay(self._attempt) if failed else attach_delay(self._attempt)
        self._attempt += 1
        for message in failed:
            pod.event("Warning", "FailedMount", message)
        if failed:
            reason = "; ".join(failed)
            pod.decide(
                records.waiting_record(pod.now(), pod.pod, pod.component, "volumes", reason, delay)
            )
        self._call_later(delay, self._mount)

    def _unattached(self) -> list[str]:
        """Return the volumes that are not attached to the node yet; report that they are in use."""
        pod = self._context
        names = attachable_volumes(pod.pod, pod.find)
        if not names:
            return []
        pod.tools.in_use.use(pod.uid, names.values())
        node = pod.api.peek(NODE, node_of(pod.pod))
        if node is not None and ATTACH_DETACH not in meta.annotations_of(node):
            return []  # no controller attaches volumes to this node
        status = (node or {}).get("status") or {}
        attached = {volume.get("name") for volume in status.get("volumesAttached") or ()}
        return [name for name, unique in names.items() if unique not in attached]

    def _report(self) -> None:
        """Report that the pod has waited for too long; upstream waits again after it."""
        if self._is_mounted:
            return
        pod = self._context
        if self._has_claims and unusable_claims(pod.pod, pod.find):
            return  # each attempt reports it
        unattached = self._unattached() if self._has_claims else []
        unmounted = sorted({*unattached, *failed_mounts(pod.pod, pod.find)})
        message = (
            f"Unable to attach or mount volumes: unmounted volumes=[{' '.join(unmounted)}], "
            f"unattached volumes=[{' '.join(sorted(unattached))}], failed to process volumes=[]: "
            "context deadline exceeded"
        )
        pod.event("Warning", "FailedMount", message)
        self._call_later(TIMEOUT_SECONDS, self._report)


def attach_delay(attempt: int) -> float:
    """Return the seconds until the kubelet looks again whether a volume is attached.

    Args:
        attempt: number of earlier attempts.

    >>> [attach_delay(n) for n in (0, 1, 2, 9)]
    [0.1, 0.2, 0.4, 1.0]
    """
    return min(ATTACH_FIRST_SECONDS * float(1 << min(attempt, 10)), ATTACH_MOST_SECONDS)
