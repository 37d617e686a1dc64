"""EventRecorder: writes a component's Events about objects.

Equal events are one Event object with a count. The events of a component about one object are
limited: 25 at once, then one in five minutes.

Source: k8s.io/client-go/tools/record (event.go, events_cache.go).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import shake_128
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.wellknown import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from kubesim.objects.types import EventDict, ObjectReferenceDict

BURST = 25  # events about one object before the rate limit applies
REFILL_SECONDS = 300.0  # then one more in five minutes
REMEMBERED = 4_096  # events and objects that the recorder remembers


@dataclass
class _Bucket:
    tokens: float
    since: float


class EventRecorder:
    """Writes Events through the API server.

    Args:
        api: the API server.
        component: the event source, for example ``default-scheduler``.
    """

    def __init__(self, api: KubeAPI, component: str) -> None:
        self._api = api
        self._component = component
        self._names: OrderedDict[tuple[str, ...], str] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self.dropped = 0

    def event(
        self,
        obj: ReadOnlyDocument,
        type: str,
        reason: str,
        message: str,
        *,
        action: str = "",
        related: ReadOnlyDocument | None = None,
    ) -> None:
        """Write an Event about an object. Never raises; an Event that cannot be written is logged.

        Args:
            obj: the object, or any document with its kind and metadata.
            type: "Normal" or "Warning".
            reason: one word in CamelCase, for machines.
            message: for people.
            action: what was done, in one word, where upstream sets it.
            related: a second object that the Event is about.
        """
        uid = meta.uid_of(obj) or meta.key_of(obj)
        if not self._allowed(uid):
            self.dropped += 1
            return
        namespace = meta.namespace_of(obj) or DEFAULT_NAMESPACE
        identity = (namespace, uid, type, reason, message)
        try:
            name = self._names.get(identity)
            if name is None or not self._count(namespace, name):
                self._names[identity] = self._create(
                    obj, namespace, type, reason, message, action, related
                )
                while len(self._names) > REMEMBERED:
                    self._names.popitem(last=False)
        except StatusError as error:  # for example, the namespace was deleted
            message = f"{reason} about {meta.key_of(obj)}: {error}"
            self._api.analytics.log(self._component, "EventLost", message, "warn")

    def _create(
        self,
        obj: ReadOnlyDocument,
        namespace: str,
        type: str,
        reason: str,
        message: str,
        action: str,
        related: ReadOnlyDocument | None,
    ) -> str:
        now = self._api.clock.timestamp()
        salt = f"{meta.uid_of(obj)}/{self._component}/{reason}/{message}/{self._api.clock.now()}"
        name = f"{meta.name_of(obj)[:230]}.{shake_128(salt.encode()).hexdigest(8)}"
        event: EventDict = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": _reference(obj),
            "type": type,
            "reason": reason,
            "message": message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        if action:
            event["action"] = action
        if related is not None:
            event["related"] = _reference(related)
        self._api.create(event)
        return name

    def _count(self, namespace: str, name: str) -> bool:
        """Increase the count of an Event; return False if it was deleted (Events last an hour)."""
        existing = self._api.peek("Event", name, namespace)
        if existing is None:
            return False
        patch = {"count": existing["count"] + 1, "lastTimestamp": self._api.clock.timestamp()}
        try:
            self._api.patch("Event", name, patch, namespace)
        except NotFound:
            return False
        return True

    def _allowed(self, uid: str) -> bool:
        now = self._api.clock.now()
        bucket = self._buckets.setdefault(uid, _Bucket(BURST, now))
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.since) / REFILL_SECONDS)
        bucket.since = now
        while len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _reference(obj: ReadOnlyDocument) -> ObjectReferenceDict:
    return {
        "kind": obj.get("kind", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "namespace": meta.namespace_of(obj),
        "name": meta.name_of(obj),
        "uid": meta.uid_of(obj),
    }
