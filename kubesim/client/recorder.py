"""EventRecorder: writes a component's Events about objects.

Equal events are one Event object with a count. From the tenth message of one reason within ten
minutes on, they are one Event, too: "(combined from similar events): ...". The events of a
component about one object are limited: 25 at once, then one in five minutes. The name of an Event
ends in its time in hexadecimal, so a list of events of one object is in the order of time.

Source: k8s.io/client-go/tools/record (event.go, events_cache.go), util/util.go
(GenerateEventName).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

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
MOST_SIMILAR = 10  # messages of one reason within `SIMILAR_SECONDS` that are combined
SIMILAR_SECONDS = 600.0
COMBINED = "(combined from similar events): "

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    since: float


@dataclass(slots=True)
class _Similar:
    """The events that differ in their message alone (aggregateRecord).

    Attributes:
        since: second of the last one.
        messages: those that are not combined.
    """

    since: float
    messages: set[str]


@dataclass(slots=True)
class _Observed:
    """An Event that was created, or was cut by the rate limit (eventLog)."""

    name: str
    first: str
    count: int = 0


class EventRecorder:
    """Writes Events through the API server.

    Args:
        api: the API server.
        component: the event source, for example ``default-scheduler``.
        host: name of the node on which the component runs; "": not a node's component.
    """

    def __init__(self, api: KubeAPI, component: str, host: str = "") -> None:
        self._api = api
        self._component, self._host = component, host
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._observed: OrderedDict[tuple[str, ...], _Observed] = OrderedDict()
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
        field_path: str = "",
    ) -> None:
        """Write an Event about an object. Never raises; an Event that cannot be written is logged.

        Args:
            obj: the object, or any document with its kind and metadata.
            type: "Normal" or "Warning".
            reason: one word in CamelCase, for machines.
            message: for people.
            action: what was done, in one word, where upstream sets it.
            related: a second object that the Event is about.
            field_path: the part of the object that it is about: ``spec.containers{web}``.
        """
        clock = self._api.clock
        now, timestamp = clock.now(), clock.timestamp()
        uid = meta.uid_of(obj) or meta.key_of(obj)
        namespace = meta.namespace_of(obj) or DEFAULT_NAMESPACE
        identity: tuple[str, ...] = (namespace, uid, type, reason)
        combined = self._combine(identity, now, message)
        if combined:
            message = f"{COMBINED}{message}"
        else:
            identity = (*identity, message, field_path)
        observed = self._observed.get(identity)
        if observed is None:
            moment = clock.calendar.unique_nanoseconds(now)
            observed = _Observed(f"{meta.name_of(obj)[:230]}.{moment:x}", timestamp)
            _remember(self._observed, identity, observed)
        observed.count += 1
        if not self._allowed(uid, now):
            self.dropped += 1
            return
        try:
            patch: EventDict = {
                "count": observed.count,
                "lastTimestamp": timestamp,
                "message": message,
            }
            if observed.count > 1 and self._patch(namespace, observed.name, patch):
                return
            about = _reference(obj, field_path)
            event = self._event(observed, namespace, about, type, reason, message)
            event["lastTimestamp"] = timestamp
            if action:
                event["action"] = action
            if related is not None:
                event["related"] = _reference(related)
            self._api.create(event)
        except StatusError as error:  # for example, the namespace was deleted
            message = f"{reason} about {meta.key_of(obj)}: {error}"
            self._api.analytics.log(self._component, "EventLost", message, "warn")

    def _combine(self, group: tuple[str, ...], now: float, message: str) -> bool:
        """Count an event among those that differ in their message; return whether it is combined.

        Args:
            group: what they share.
            now: second.
            message: of the event.
        """
        similar = self._similar.get(group)
        if similar is None or now - similar.since > SIMILAR_SECONDS:
            similar = _Similar(now, set())
            _remember(self._similar, group, similar)
        similar.since = now
        similar.messages.add(message)
        if len(similar.messages) < MOST_SIMILAR:
            return False
        similar.messages.remove(message)  # upstream removes any of them (PopAny)
        return True

    def _event(
        self,
        observed: _Observed,
        namespace: str,
        about: ObjectReferenceDict,
        type: str,
        reason: str,
        message: str,
    ) -> EventDict:
        """Return the document of an Event; see `event`."""
        event: EventDict = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": observed.name, "namespace": namespace},
            "involvedObject": about,
            "type": type,
            "reason": reason,
            "message": message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": observed.first,
            "count": observed.count,
        }
        if self._host:
            event["source"]["host"] = self._host
        return event

    def _patch(self, namespace: str, name: str, patch: EventDict) -> bool:
        """Change an Event; return False if it was deleted (Events last an hour)."""
        if self._api.peek("Event", name, namespace) is None:
            return False
        try:
            self._api.patch("Event", name, patch, namespace)
        except NotFound:
            return False
        return True

    def _allowed(self, uid: str, now: float) -> bool:
        bucket = self._buckets.get(uid)
        if bucket is None:
            bucket = _Bucket(BURST, now)
            _remember(self._buckets, uid, bucket)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.since) / REFILL_SECONDS)
        bucket.since = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _remember(cache: OrderedDict[K, V], key: K, value: V) -> None:
    """Put an entry into a cache, and drop the oldest ones."""
    cache[key] = value
    while len(cache) > REMEMBERED:
        cache.popitem(last=False)


def _reference(obj: ReadOnlyDocument, field_path: str = "") -> ObjectReferenceDict:
    reference: ObjectReferenceDict = {
        "kind": obj.get("kind", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "namespace": meta.namespace_of(obj),
        "name": meta.name_of(obj),
        "uid": meta.uid_of(obj),
    }
    version = obj["metadata"].get("resourceVersion")
    if version:
        reference["resourceVersion"] = version
    if field_path:
        reference["fieldPath"] = field_path
    return reference
