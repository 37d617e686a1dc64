"""Controller: the loop that every controller is.

Watch -> key -> queue -> reconcile(key). `reconcile` reads what is wanted and what is, and does what
is missing. It is *level-triggered*: it does not matter which event brought the key, how often, or
how late; running it twice does no harm, and a lost event is repaired by the next one or by the
resync.

An error in `reconcile` costs that key a back-off and nothing else: it is logged, told as an Event,
and tried again.

Source: k8s.io/sample-controller/controller.go; community/contributors/devel/sig-api-machinery/
controllers.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client.decisions import DecisionLog
from kubesim.client.informer import Informer
from kubesim.client.recorder import EventRecorder
from kubesim.client.workqueue import WorkQueue
from kubesim.clock.base import Clock, Streams
from kubesim.errors import AlreadyExists, Conflict, NotFound
from kubesim.objects.frozen import Document

RESYNC_SECONDS = 600.0  # list again, in case anything was missed
MAX_DELAY_SECONDS = 60.0  # of the back-off of failing keys; upstream 1000 s


class Controller(ABC):
    """Base of the controllers.

    Attributes:
        name: of the worker (on the live clock: of the thread) and of the event source.
        max_delay_seconds: of the back-off of failing keys.
        max_retries: failures in a row after which a key is dropped until it is added anew; None:
            it is tried for ever.
        stopped: it was stopped, and does nothing any more.
    """

    name = "controller"
    max_delay_seconds = MAX_DELAY_SECONDS
    max_retries: int | None = None

    def __init__(
        self,
        api: KubeAPI,
        *,
        clock: Clock,
        streams: Streams,
        analytics: Analytics,
        decisions: DecisionLog,
        resync_seconds: float = RESYNC_SECONDS,
    ) -> None:
        self.api = api
        self.clock = clock
        self.streams = streams
        self.analytics = analytics
        self.decisions = decisions
        self.worker = clock.worker(self.name)
        self.recorder = EventRecorder(api, self.name)
        self.queue = WorkQueue(self.worker, self._process, max_delay_seconds=self.max_delay_seconds)
        self.counts: Counter[str] = Counter()
        self._informers: list[Informer] = []
        self._on_demand: list[Informer] = []
        self._resync_seconds = resync_seconds
        self.stopped = False

    @abstractmethod
    def reconcile(self, key: str) -> None:
        """Bring the world one step closer to what the object of this key wants."""

    def informer(
        self,
        kind: str,
        keys_for: Callable[[ResourceEvent], Iterable[str]],
        *,
        on_demand: bool = False,
        **options: Any,
    ) -> Informer:
        """An informer whose events put keys into the queue; started with the controller.

        Args:
            kind: any name of the kind.
            keys_for: the keys that an event is about.
            on_demand: it is started by `demand` only, so that a controller without work costs
                nothing.
            options: of the `Informer`.
        """

        def on_event(event: ResourceEvent) -> None:
            for key in keys_for(event):
                self.queue.add(key)

        options.setdefault("resync_seconds", self._resync_seconds)
        informer = Informer(self.api, self.worker, kind, on_event=on_event, **options)
        (self._on_demand if on_demand else self._informers).append(informer)
        return informer

    def demand(self) -> None:
        """There is work: start the informers that were made `on_demand`.

        Called for the first object that a controller is there for, before its key is queued: the
        lists that it needs are then read before its first pass.
        """
        waiting, self._on_demand = self._on_demand, []
        self._informers += waiting
        for informer in waiting:
            informer.start()

    def start(self) -> None:
        """Begin to watch."""
        for informer in self._informers:
            informer.start()

    def stop(self) -> None:
        """Stop watching; a reconcile in flight ends first."""
        self.stopped = True
        for informer in self._informers:
            informer.stop()
        self.worker.stop()

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
        return {**self.counts, "queue": len(self.queue)}

    def about(self, key: str) -> Document | None:
        """The object that an Event about a failing key is told of; None: no Event."""
        return None

    def _process(self, key: str) -> None:
        self.counts["reconciled"] += 1
        try:
            self.reconcile(key)
        except (Conflict, NotFound, AlreadyExists):
            # Somebody was faster; the cache will say so in a moment.
            self.counts["conflicts"] += 1
            self._try_again(key)
        except Exception as error:  # noqa: BLE001 - one bad object must not end the controller
            self.counts["errors"] += 1
            delay = self._try_again(key)
            then = f"trying again in {delay:g} s" if delay is not None else "given up"
            said = f"{key}: {type(error).__name__}: {error}; {then}"
            self.analytics.log(self.name, "ReconcileFailed", said, "error")
            obj = self.about(key)
            if obj is not None:
                self.recorder.event(obj, "Warning", "ReconcileFailed", f"{error}")
        else:
            self.queue.forget(key)

    def _try_again(self, key: str) -> float | None:
        """Queue a failed key with its back-off, which is returned; None: it failed too often."""
        if self.max_retries is not None and self.queue.failures(key) >= self.max_retries:
            self.counts["dropped"] += 1
            self.queue.forget(key)
            return None
        return self.queue.add_rate_limited(key)
