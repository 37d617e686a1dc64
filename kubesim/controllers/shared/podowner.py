"""PodOwner: what the controllers that make pods have in common.

Waking up for what they own and for what they might adopt, claiming by selector, expectations while
news are on their way, slow start, and creation and deletion with their Events. ReplicaSets,
DaemonSets and Jobs are built on it.

Source: pkg/controller/controller_utils.go (RealPodControl), controller_ref_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.client.informer import Indexer
from kubesim.controllers.shared.controllerrefs import claim
from kubesim.controllers.shared.expectations import Expectations
from kubesim.controllers.shared.ranking import slow_start_batches
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import Selector, selector_from

RETRY_MARGIN_SECONDS = 0.001  # after the moment at which expectations are overdue


class PodOwner(Controller):
    """Base of controllers whose objects own pods.

    Args:
        watch_latency_seconds: how long news of pods take; more than 0 makes a stale cache visible.

    Attributes:
        kind: of the objects that own the pods.
        pods_on_demand: pods are watched from the first owner on, so that a cluster without any
            pays for no watch.
        expectations: what was done and is not seen yet.
    """

    kind = ""
    pods_on_demand = True

    def __init__(
        self, tools: Tools, *, watch_latency_seconds: float = 0.0, **options: float
    ) -> None:
        super().__init__(tools, **options)
        self.owners = self.informer(self.kind, self._owner_changed, indexers=self.owner_indexers())
        self.pods = self.informer(
            "Pod",
            self._pod_changed,
            on_demand=self.pods_on_demand,
            indexers={"owner": _controller_uid_or_orphan},
            latency_seconds=watch_latency_seconds,
        )
        self.expectations = Expectations()
        self._selectors: dict[str, Selector] = {}  # by uid of the owner: it never changes
        self._last_reason: dict[str, str] = {}

    def owner_indexers(self) -> dict[str, Indexer]:
        """How the owners are looked up besides by key."""
        return {"namespace": lambda owner: [meta.namespace_of(owner)]}

    def about(self, key: str) -> Document | None:
        """The object itself."""
        return self.owners.get(key)

    # -- what wakes it --------------------------------------------------------------------------

    def _owner_changed(self, event: ResourceEvent) -> Iterable[str]:
        key = meta.key_of(event.object)
        if event.type == "DELETED":
            self.expectations.forget(key)
            self._selectors.pop(meta.uid_of(event.object), None)
            self._last_reason.pop(key, None)
        else:
            self.demand()
        yield key

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        pod, uid = event.object, meta.uid_of(event.object)
        if event.type == "DELETED" or meta.is_terminating(pod):
            self.expectations.gone(uid)
        else:
            self.expectations.seen(uid)
        controller = meta.controller_of(pod)
        if event.previous is not None:
            before = meta.controller_of(event.previous)
            if before is not None and before != controller:
                yield from self._key_of_owner(pod, before)
        if controller is not None:
            yield from self._key_of_owner(pod, controller)
        elif event.type != "DELETED" and _may_have_come_free(event):
            yield from self._who_might_adopt(pod)

    def _key_of_owner(self, pod: Document, controller: Document) -> Iterable[str]:
        if controller["kind"] == self.kind:
            yield f"{meta.namespace_of(pod)}/{controller['name']}"

    def _who_might_adopt(self, pod: Document) -> Iterable[str]:
        labels = meta.labels_of(pod)
        for owner in self.owners.by_index("namespace", meta.namespace_of(pod)):
            if self.selector(owner).matches(labels):
                yield meta.key_of(owner)

    # -- reading --------------------------------------------------------------------------------

    def selector(self, owner: Document) -> Selector:
        """spec.selector, parsed once."""
        uid = meta.uid_of(owner)
        selector = self._selectors.get(uid)
        if selector is None:
            selector = selector_from(owner["spec"].get("selector"))
            self._selectors[uid] = selector
        return selector

    def claimed(self, owner: Document) -> list[Document]:
        """The pods that belong to an owner, after adoption and release."""
        candidates = [
            *self.pods.by_index("owner", meta.uid_of(owner)),
            *self.pods.by_index("owner", meta.namespace_of(owner)),
        ]
        return claim(self.api, owner, self.selector(owner), candidates)

    def news_on_their_way(self, key: str) -> int:
        """How many news are waited for; the key comes back when they are overdue."""
        now = self.clock.now()
        waiting = self.expectations.waiting(key, now)
        if waiting:
            self.counts["waited"] += 1
            overdue = self.expectations.expiry(key) + RETRY_MARGIN_SECONDS
            self.queue.add_after(key, overdue - now)
        return waiting

    # -- acting ---------------------------------------------------------------------------------

    def create_pod(self, key: str, owner: Document, pod: Document) -> Exception | None:
        """Make a pod and tell; returns what went wrong, or None."""
        try:
            made = self.api.create(pod)
        except Exception as error:  # noqa: BLE001 - told in an Event, and raised by the caller
            if isinstance(error, StatusError) and any(
                cause.reason == "NamespaceTerminating" for cause in error.causes
            ):
                return None  # nothing that anybody could mend
            self.counts["failed"] += 1
            said = f"Error creating: {words_of(error)}"
            self.recorder.event(owner, "Warning", "FailedCreate", said)
            return error
        self.counts["created"] += 1
        self.expectations.made(key, meta.uid_of(made), self.clock.now())
        said = f"Created pod: {meta.name_of(made)}"
        self.recorder.event(owner, "Normal", "SuccessfulCreate", said)
        return None

    def delete_pod(self, key: str, owner: Document, name: str, uid: str) -> Exception | None:
        """Delete a pod and tell; returns what went wrong, or None."""
        try:
            self.api.delete("Pod", name, meta.namespace_of(owner), uid=uid)
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001 - told in an Event, and raised by the caller
            self.counts["failed"] += 1
            said = f"Error deleting: {words_of(error)}"
            self.recorder.event(owner, "Warning", "FailedDelete", said)
            return error
        self.counts["deleted"] += 1
        self.expectations.deleted(key, uid, self.clock.now())
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        return None


def in_batches(count: int, create: Callable[[], Exception | None]) -> list[Exception]:
    """Call `create` in batches of 1, 2, 4 ...; after a batch with a failure the rest is skipped.

    Args:
        count: how many are wanted.
        create: makes one; returns what went wrong, or None.
    """
    for size in slow_start_batches(count):
        tried = [create() for _ in range(size)]
        failures = [error for error in tried if error is not None]
        if failures:
            return failures
    return []


def words_of(error: BaseException) -> str:
    """An error as the API server words it, without our hints."""
    return error.message if isinstance(error, StatusError) else str(error)


def _may_have_come_free(event: ResourceEvent) -> bool:
    """An orphan that may have become adoptable: it is new, or its labels or controller changed."""
    before = event.previous
    return before is None or (
        meta.labels_of(before) != meta.labels_of(event.object)
        or meta.controller_of(before) is not None
    )


def _controller_uid_or_orphan(pod: Document) -> Iterable[str]:
    """Orphans are found under their namespace."""
    controller = meta.controller_of(pod)
    return [meta.namespace_of(pod) if controller is None else controller["uid"]]
