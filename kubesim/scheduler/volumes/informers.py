"""Watches claims, volumes, classes and CSINodes for the pods that wait for them.

The plug-ins read these objects from the API server when they need them; the watch events only tell
when a refused pod may be tried again. A scheduler without a pod that has claims watches nothing.

Source: pkg/scheduler/eventhandlers.go (addAllEventHandlers).
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import Informer
from kubesim.clock.base import Worker
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import RESYNC_SECONDS
from kubesim.scheduler.framework import events
from kubesim.scheduler.framework.events import ClusterEvent

# Kind -> the events of an addition and of a change.
WATCHED = {
    "StorageClass": (events.CLASS_ADD, events.CLASS_UPDATE),
    "CSINode": (events.CSI_NODE_ADD, events.CSI_NODE_UPDATE),
    "PersistentVolume": (events.VOLUME_ADD, events.VOLUME_UPDATE),
    "PersistentVolumeClaim": (events.CLAIM_ADD, events.CLAIM_UPDATE),
}


class VolumeInformers:
    """The watches of one scheduler, started for the first pod with a claim.

    Args:
        api: the API server.
        worker: of the scheduler.
        move: called with each event: requeues the pods that it might help.
        recheck: called after a change of a claim: pods may wait in PreBind for it.
    """

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        move: Callable[[ClusterEvent], None],
        recheck: Callable[[], None],
    ) -> None:
        self._api = api
        self._worker = worker
        self._move = move
        self._recheck = recheck
        self._informers: list[Informer[Document]] = []

    def start(self) -> None:
        """Start the watches, if they do not run."""
        if self._informers:
            return
        for kind in WATCHED:
            informer = Informer(
                self._api,
                self._worker,
                kind,
                on_event=self._handler(kind),
                resync_seconds=RESYNC_SECONDS,
            )
            self._informers.append(informer)
            informer.start()

    def stop(self) -> None:
        """Stop the watches."""
        for informer in self._informers:
            informer.stop()

    def _handler(self, kind: str) -> Callable[[ResourceEvent[Document]], None]:
        added, changed = WATCHED[kind]

        def on_event(event: ResourceEvent[Document]) -> None:
            if event.type != "DELETED":
                name = added if event.previous is None else changed
                self._move(ClusterEvent(name, event.previous, event.object))
            if kind == "PersistentVolumeClaim":
                self._recheck()

        return on_event
