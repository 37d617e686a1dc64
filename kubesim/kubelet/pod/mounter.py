"""The volumes of one pod: waits until all of them are mounted, then lets its containers start.

Source: pkg/kubelet/volumemanager/volume_manager.go (WaitForAttachAndMount),
pkg/kubelet/volumemanager/reconciler/reconciler.go, pkg/volume/util/operationexecutor.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.context import PodContext
from kubesim.kubelet.volumemanager.claims import mount_seconds, unusable_claims
from kubesim.kubelet.volumemanager.setup import failed_mounts, mount_delay
from kubesim.objects.volumes import claim_names

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
        failed = [unusable] if unusable else list(failed_mounts(pod.pod, pod.find).values())
        if not failed:
            self._is_mounted = True
            self._mounted()
            return
        for message in failed:
            pod.event("Warning", "FailedMount", message)
        if self._attempt == 0:
            self._call_later(TIMEOUT_SECONDS, self._report)
        delay = mount_delay(self._attempt)
        self._attempt += 1
        reason = "; ".join(failed)
        pod.decide(
            records.waiting_record(pod.now(), pod.pod, pod.component, "volumes", reason, delay)
        )
        self._call_later(delay, self._mount)

    def _report(self) -> None:
        """Report that the pod has waited for too long; upstream waits again after it."""
        if self._is_mounted:
            return
        pod = self._context
        if self._has_claims and unusable_claims(pod.pod, pod.find):
            return  # each attempt reports it
        names = " ".join(sorted(failed_mounts(pod.pod, pod.find)))
        message = (
            f"Unable to attach or mount volumes: unmounted volumes=[{names}], unattached "
            "volumes=[], failed to process volumes=[]: context deadline exceeded"
        )
        pod.event("Warning", "FailedMount", message)
        self._call_later(TIMEOUT_SECONDS, self._report)
