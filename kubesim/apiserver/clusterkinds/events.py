"""Group events.k8s.io: Events of the core group under other names of their fields.

Source: pkg/apis/events/v1/conversion.go, pkg/apis/events/install.
"""

from __future__ import annotations

from dataclasses import replace

from kubesim.apiserver.registry import Kind, KindVersion
from kubesim.objects.frozen import Document

GROUP = "events.k8s.io"
NAMES = {  # of the core group -> of events.k8s.io
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
CORE_NAMES = {new: old for old, new in NAMES.items()}


def to_core(event: Document) -> Document:
    """Convert an Event of events.k8s.io to the core group.

    >>> to_core({"note": "Started", "regarding": {"kind": "Pod"}})
    {'message': 'Started', 'involvedObject': {'kind': 'Pod'}}
    """
    return {CORE_NAMES.get(field, field): value for field, value in event.items()}


def from_core(event: Document) -> Document:
    """Convert an Event of the core group to events.k8s.io; eventTime is always there."""
    converted = {NAMES.get(field, field): value for field, value in event.items()}
    return {**converted, "eventTime": event.get("eventTime")}


def in_events_group(event: Kind) -> Kind:
    """Return the kind Event of the core group, served in events.k8s.io/v1, too."""
    version = KindVersion("v1", to_core, from_core, group=GROUP)
    return replace(event, versions=(*event.versions, version))
