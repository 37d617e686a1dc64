"""PodOwner: the base of the controllers that create pods: ReplicaSet, DaemonSet and Job.

It maps watch events of owners and pods to keys, claims pods by selector, tracks expectations, and
creates and deletes pods with their Events; `slow_start` creates them in growing batches.

Source: pkg/controller/controller_utils.go (RealPodControl, ComputeHash, FilterActivePods),
controller_ref_manager.go; pkg/controller/replicaset/replica_set.go (slowStartBatch, addPod).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, cast

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.client.informer import Indexer
from kubesim.controllers.shared.controllerrefs import claim
from kubesim.controllers.shared.expectations import Expectations
from kubesim.controllers.shared.ranking import slow_start_batches
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import POD, D, KindName
from kubesim.objects.selectors import Selector, selector_from

if TYPE_CHECKING:
    from kubesim.objects.types import OwnerReferenceDict, PodDict

RETRY_MARGIN_SECONDS = 0.001  # after the moment at which expectations expire


class PodOwner(Controller, Generic[D]):
    """Base of controllers whose objects, of the type `D`, own pods.

    Args:
        watch_latency_seconds: delay of the watch events of pods; more than 0 lets tests and
            lessons observe a stale cache.
        options: of the base class.

    Attributes:
        kind: kind of the objects that own the pods.
        pods_on_demand: watch pods only once the first owner exists, so that a cluster without
            owners pays for no watch.
        owners, pods: the informers.
        expectations: creations and deletions that the cache does not show yet.
    """

    kind = ""
    pods_on_demand = True

    def __init__(
        self, tools: Tools, *, watch_latency_seconds: float = 0.0, **options: float
    ) -> None:
        super().__init__(tools, **options)
        self.owners = self.informer(
            cast("KindName[D]", self.kind), self._owner_changed, indexers=self.owner_indexers()
        )
        self.pods = self.informer(
            POD,
            self._pod_changed,
            on_demand=self.pods_on_demand,
            indexers={"owner": _controller_uid_or_namespace},
            latency_seconds=watch_latency_seconds,
        )
        self.expectations = Expectations()
        self._selectors: dict[str, Selector] = {}  # by uid of the owner: it is immutable

    def owner_indexers(self) -> dict[str, Indexer[D]]:
        """Return the indexes of the owners' informer."""
        return {"namespace": lambda owner: [meta.namespace_of(owner)]}

    def about(self, key: str) -> D | None:
        """Return the owner itself."""
        return self.owners.get(key)

    # -- watch events ---------------------------------------------------------------------------

    def _owner_changed(self, event: ResourceEvent[D]) -> Iterable[str]:
        key = meta.key_of(event.object)
        if event.type == "DELETED":
            self.expectations.delete_expectations(key)
            self._selectors.pop(meta.uid_of(event.object), None)
            self.forget_decisions(event.object)
        else:
            self.demand()
        yield key

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        pod, uid = event.object, meta.uid_of(event.object)
        if event.type == "DELETED" or meta.is_terminating(pod):
            self.expectations.deletion_observed(uid)
        else:
            self.expectations.creation_observed(uid)
        controller = meta.controller_of(pod)
        if event.previous is not None:
            before = meta.controller_of(event.previous)
            if before is not None and before != controller:
                yield from self._key_of_owner(pod, before)
        if controller is not None:
            yield from self._key_of_owner(pod, controller)
        elif event.type != "DELETED" and _may_be_adoptable(event):
            yield from self._keys_of_adopters(pod)

    def _key_of_owner(self, pod: PodDict, controller: OwnerReferenceDict) -> Iterable[str]:
        if controller["kind"] == self.kind:
            yield f"{meta.namespace_of(pod)}/{controller['name']}"

    def _keys_of_adopters(self, orphan: PodDict) -> Iterable[str]:
        """Yield the keys of the owners whose selector matches an orphan."""
        labels = meta.labels_of(orphan)
        for owner in self.owners.by_index("namespace", meta.namespace_of(orphan)):
            if self.selector(owner).matches(labels):
                yield meta.key_of(owner)

    # -- reading --------------------------------------------------------------------------------

    def selector(self, owner: D) -> Selector:
        """Return an owner's spec.selector, which is parsed once."""
        uid = meta.uid_of(owner)
        selector = self._selectors.get(uid)
        if selector is None:
            selector = selector_from(owner["spec"].get("selector"))
            self._selectors[uid] = selector
        return selector

    def claimed(self, owner: D) -> list[PodDict]:
        """Adopt and release pods; return those that the owner controls afterwards."""
        candidates = [
            *self.pods.by_index("owner", meta.uid_of(owner)),
            *self.pods.by_index("owner", meta.namespace_of(owner)),
        ]
        return claim(self.api, owner, self.selector(owner), candidates)

    def unsatisfied_expectations(self, key: str) -> int:
        """Return how many watch events an owner waits for; requeue its key for their expiry."""
        now = self.clock.now()
        waiting = self.expectations.unsatisfied(key, now)
        if waiting:
            self.counts["waited"] += 1
            retry_at = self.expectations.expires_at(key) + RETRY_MARGIN_SECONDS
            self.queue.add_after(key, retry_at - now)
        return waiting

    # -- pod control ----------------------------------------------------------------------------

    def create_pod(self, key: str, owner: D, pod: PodDict) -> Exception | None:
        """Create a pod and record an Event.

        Args:
            key: the owner's key, for its expectations.
            owner: the document that the Event is about.
            pod: the document to create.

        Returns:
            The error, or None; a namespace that is terminating counts as success.
        """
        try:
            created = self.api.create(pod)
        except Exception as error:  # noqa: BLE001 - reported in an Event, raised by the caller
            if isinstance(error, StatusError) and any(
                cause.reason == "NamespaceTerminating" for cause in error.causes
            ):
                return None  # no retry can succeed
            self.counts["failed"] += 1
            message = f"Error creating: {error_message(error)}"
            self.recorder.event(owner, "Warning", "FailedCreate", message)
            return error
        self.counts["created"] += 1
        self.expectations.expect_creation(key, meta.uid_of(created), self.clock.now())
        message = f"Created pod: {meta.name_of(created)}"
        self.recorder.event(owner, "Normal", "SuccessfulCreate", message)
        return None

    def delete_pod(self, key: str, owner: D, name: str, uid: str) -> Exception | None:
        """Delete a pod and record an Event.

        Args:
            key: the owner's key, for its expectations.
            owner: the document that the Event is about.
            name, uid: of the pod.

        Returns:
            The error, or None; a pod that is gone counts as success.
        """
        try:
            self.api.delete("Pod", name, meta.namespace_of(owner), uid=uid)
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001 - reported in an Event, raised by the caller
            self.counts["failed"] += 1
            message = f"Error deleting: {error_message(error)}"
            self.recorder.event(owner, "Warning", "FailedDelete", message)
            return error
        self.counts["deleted"] += 1
        self.expectations.expect_deletion(key, uid, self.clock.now())
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        return None


def slow_start(count: int, create: Callable[[], Exception | None]) -> list[Exception]:
    """Call `create` in batches of 1, 2, 4 ...; after a batch with a failure the rest is skipped.

    Args:
        count: number of calls wanted.
        create: creates one object; returns the error, or None.

    Returns:
        The errors of the last batch.
    """
    for size in slow_start_batches(count):
        results = [create() for _ in range(size)]
        failures = [error for error in results if error is not None]
        if failures:
            return failures
    return []


def error_message(error: BaseException) -> str:
    """Return an error's message as the API server words it, without kubesim's hints."""
    return error.message if isinstance(error, StatusError) else str(error)


def _may_be_adoptable(event: ResourceEvent[PodDict]) -> bool:
    """Return whether an orphan is new, or its labels or controllerRef changed."""
    before = event.previous
    return before is None or (
        meta.labels_of(before) != meta.labels_of(event.object)
        or meta.controller_of(before) is not None
    )


def _controller_uid_or_namespace(pod: PodDict) -> Iterable[str]:
    """Index pods by the uid of their controller, and orphans by their namespace."""
    controller = meta.controller_of(pod)
    return [meta.namespace_of(pod) if controller is None else controller["uid"]]
