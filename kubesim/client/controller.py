"""Controller: the base class of the controllers.

Watch -> key -> queue -> reconcile(key). `reconcile` compares the desired with the actual state and
does what is missing. It is *level-triggered*: it does not matter which event queued the key, how
often, or how late. Running it twice does no harm, and the next event or the resync makes up for a
lost event.

An error in `reconcile` affects only its key: it is logged, and the key is retried after a back-off.
An error in the controller's own code is an Event of the object as well; an answer of the API server
is not: a controller has its own Events for these, such as FailedCreate.

Source: k8s.io/sample-controller/controller.go; community/contributors/devel/sig-api-machinery/
controllers.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Protocol, Unpack, cast, overload

from kubesim.apiserver import ResourceEvent
from kubesim.client.decisions import Decision, RuleStep
from kubesim.client.informer import Informer, InformerOptions
from kubesim.client.recorder import EventRecorder
from kubesim.client.tools import Tools
from kubesim.client.workqueue import WorkQueue
from kubesim.errors import AlreadyExists, Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.kindnames import D, KindName
from kubesim.objects.wellknown import RESYNC_SECONDS
from kubesim.usercode import USER_ERRORS

MAX_DELAY_SECONDS = 60.0  # longest back-off of a failing key; upstream 1000 s


class InformerRun(Protocol):
    """What the base class does with an informer, whatever the type of its objects."""

    def start(self) -> None:
        """List and watch."""

    def stop(self) -> None:
        """Close the watch."""


class Controller(ABC):
    """Base of the controllers.

    Args:
        tools: the parts of the cluster that all components share.
        resync_seconds: how often the informers list all objects again.

    Attributes:
        name: of the worker (on the live clock: of the thread) and of the event source.
        max_delay_seconds: longest back-off of a failing key.
        max_retries: failures in a row after which a key is dropped until the next event; None: a
            key is retried without limit.
        stopped: whether `stop` was called.
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
        self._informers: list[InformerRun] = []
        self._on_demand: list[InformerRun] = []
        self._resync_seconds = resync_seconds
        self.stopped = False

    @abstractmethod
    def reconcile(self, key: str) -> None:
        """Bring the actual state closer to the desired state of one object.

        Args:
            key: ``namespace/name`` of the object, or another key that `informer` queues.
        """

    @overload
    def informer(
        self,
        kind: KindName[D],
        keys_for: Callable[[ResourceEvent[D]], Iterable[str]],
        *,
        on_demand: bool = False,
        **options: Unpack[InformerOptions[D]],
    ) -> Informer[D]: ...
    @overload
    def informer(
        self,
        kind: str,
        keys_for: Callable[[ResourceEvent[Document]], Iterable[str]],
        *,
        on_demand: bool = False,
        **options: Unpack[InformerOptions[Document]],
    ) -> Informer[Document]: ...
    def informer(
        self,
        kind: KindName[D] | str,
        keys_for: Callable[[ResourceEvent[D]], Iterable[str]],
        *,
        on_demand: bool = False,
        **options: Unpack[InformerOptions[D]],
    ) -> Informer[D]:
        """Add an informer whose events queue keys; it is started with the controller.

        Args:
            kind: any name of the kind; one of `kubesim.objects.kindnames` says the type.
            keys_for: returns the keys to queue for an event.
            on_demand: the informer is started by `demand`, so that a controller without work costs
                nothing.
            options: see `Informer`.

        Returns:
            The informer.
        """

        def on_event(event: ResourceEvent[D]) -> None:
            for key in keys_for(event):
                self.queue.add(key)

        options.setdefault("resync_seconds", self._resync_seconds)
        name = cast("KindName[D]", kind)
        informer = Informer(self.api, self.worker, name, on_event=on_event, **options)
        (self._on_demand if on_demand else self._informers).append(informer)
        return informer

    def remove_informer(self, informer: InformerRun) -> None:
        """Stop an informer that is no longer needed."""
        informer.stop()
        self._informers.remove(informer)

    def demand(self) -> None:
        """Start the informers that were added `on_demand`.

        A controller calls it for the first object that it manages, before the key is queued: the
        lists are then read before the first reconcile.
        """
        waiting, self._on_demand = self._on_demand, []
        self._informers += waiting
        for informer in waiting:
            informer.start()

    def start(self) -> None:
        """Start the informers; forget the decisions of an earlier instance."""
        self.decisions.forget(self.name)
        for informer in self._informers:
            informer.start()

    def stop(self) -> None:
        """Stop the informers and the worker; a running reconcile is completed."""
        self.stopped = True
        for informer in self._informers:
            informer.stop()
        self.worker.stop()

    def statistics(self) -> Document:
        """Return counts for tests and tables."""
        return {**self.counts, "queue": len(self.queue)}

    def about(self, key: str) -> ReadOnlyDocument | None:
        """Return the object of the Event about a failing key; None: no Event is written."""
        return None

    def decide(
        self,
        obj: ReadOnlyDocument,
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

    def last_signature(self, obj: ReadOnlyDocument) -> Hashable:
        """Return the signature of the last decision about an object, or None."""
        return self.decisions.signature_of(self.name, meta.reference_to(obj))

    def forget_decisions(self, obj: ReadOnlyDocument) -> None:
        """Forget the signature of the last decision about an object that was deleted."""
        self.decisions.forget(self.name, meta.reference_to(obj))

    def _process(self, key: str) -> None:
        self.counts["reconciled"] += 1
        try:
            self.reconcile(key)
        except (Conflict, NotFound, AlreadyExists):
            # Another client was faster; the cache will show its write in a moment.
            self.counts["conflicts"] += 1
            self._requeue(key)
        except USER_ERRORS as error:  # one bad object must not end the controller
            self.counts["errors"] += 1
            delay = self._requeue(key)
            then = f"trying again in {delay:g} s" if delay is not None else "given up"
            message = f"{key}: {type(error).__name__}: {error}; {then}"
            self.analytics.log(self.name, "ReconcileFailed", message, "error")
            obj = None if isinstance(error, StatusError) else self.about(key)
            if obj is not None:
                self.recorder.event(obj, "Warning", "ReconcileFailed", f"{error}")
        else:
            self.queue.forget(key)

    def _requeue(self, key: str) -> float | None:
        """Requeue a failed key after its back-off; return the delay, or None if it is dropped."""
        if self.max_retries is not None and self.queue.failures(key) >= self.max_retries:
            self.counts["dropped"] += 1
            self.queue.forget(key)
            return None
        return self.queue.add_rate_limited(key)
