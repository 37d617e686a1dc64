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
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.client.decisions import Decision, RuleStep
from kubesim.client.informer import Informer
from kubesim.client.recorder import EventRecorder
from kubesim.client.tools import Tools
from kubesim.client.workqueue import WorkQueue
from kubesim.errors import AlreadyExists, Conflict, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import RESYNC_SECONDS

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
        tools: Tools,
        *,
        resync_seconds: float = RESYNC_SECONDS,
    ) -> None:
        self.api = tools.api
        self.clock = tools.clock
        self.streams = tools.streams
        self.analytics = tools.analytics
        self.decisions = tools.decisions
        self.worker = tools.clock.worker(self.name)
        self.recorder = EventRecorder(tools.api, self.name)
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
        """Start the informers. What the controller decided before a crash is forgotten."""
        self.decisions.forget(self.name)
        for informer in self._informers:
            informer.start()

    def stop(self) -> None:
        """Stop watching; a reconcile in flight ends first."""
        self.stopped = True
        for informer in self._informers:
            informer.stop()
        self.worker.stop()

    def statistics(self) -> Document:
        """Counts for tests and tables."""
        return {**self.counts, "queue": len(self.queue)}

    def about(self, key: str) -> Document | None:
        """The object that an Event about a failing key is told of; None: no Event."""
        return None

    def decide(
        self,
        obj: Document,
        verdict: str,
        *,
        steps: Sequence[RuleStep] = (),
        binding: str = "",
        would_change_if: str = "",
        data: Mapping[str, object] | None = None,
        signature: Hashable = None,
        acted: bool = True,
    ) -> None:
        """Record a decision about an object.

        Args:
            obj: the object, with its kind.
            verdict: the outcome in one sentence.
            steps, binding, would_change_if, data: see `Decision`.
            signature: what tells this decision from the one before.
            acted: something was written because of the decision. A decision on which nothing was
                done is recorded only if its signature differs from the last one's.
        """
        decision = Decision(
            time=self.clock.now(),
            revision=meta.resource_version_of(obj),
            component=self.name,
            object=meta.reference_to(obj),
            verdict=verdict,
            steps=tuple(steps),
            binding=binding,
            would_change_if=would_change_if,
            data=data or {},
        )
        self.decisions.record_if_new(decision, signature, always=acted)

    def last_signature(self, obj: Document) -> Hashable:
        """Return the signature of the last decision about an object; None if there is none."""
        return self.decisions.signature_of(self.name, meta.reference_to(obj))

    def forget_decisions(self, obj: Document) -> None:
        """Forget the signature of the last decision about an object that was deleted."""
        self.decisions.forget(self.name, meta.reference_to(obj))

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
