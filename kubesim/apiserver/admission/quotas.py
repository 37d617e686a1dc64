"""ResourceQuota: what a namespace may hold in all; asked at each creation in it.

The last word before an object is stored: each quota of the namespace that is about the object and
names something that it takes must have room for it. What is used is counted anew each time, from
what is there; upstream keeps the count in the quota's status and raises it by compare-and-set. The
status is the quota controller's. So two creations at the same instant on two threads may both pass.
Changes of what is there (a claim that grows, a Service that gets a port) are not asked about.

Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go (CheckRequest).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from kubesim.apiserver.registry import Kind, ServerView
from kubesim.errors import Forbidden
from kubesim.objects.frozen import Document
from kubesim.objects.pods import containers_of
from kubesim.objects.usage import (
    Usage,
    added,
    amounts,
    is_in_scope,
    text_of,
    usage_of,
)
from kubesim.quantity import parse_quantity
from kubesim.store import KeyValue

PREFIX = "/registry/resourcequotas/"
COMPUTE = ("cpu", "memory")  # what every container must state where a quota limits it
NOTHING = Fraction(0)


def admit_quota(
    server: ServerView, kind: Kind, document: Document, quotas: Iterable[KeyValue]
) -> None:
    """Refuse a new object that a quota of its namespace has no room for.

    Args:
        server: counts what is used.
        kind: of the object.
        document: the object, with its defaults.
        quotas: the ResourceQuotas of its namespace.

    Raises:
        Forbidden: a quota would be exceeded, or cannot be counted.
    """
    namespace = document["metadata"].get("namespace", "")
    taken = usage_of(kind.plural, kind.group, document)
    for kv in quotas:
        hard = hard_of(kv.value)
        asked = {name: value for name, value in taken.items() if name in hard}
        if not is_in_scope(kv.value, kind.plural, document):
            continue
        name = kv.value["metadata"]["name"]
        if kind.kind == "Pod" and (missing := unstated(document, hard)):
            raise _refused(kind, document, f"failed quota: {name}: must specify {missing}")
        if asked:
            there = server.store.list(kind.prefix_of(namespace)).items
            used = used_of(kv.value, kind, (other.value for other in there))
            if complaint := exceeded(name, hard, used, asked):
                raise _refused(kind, document, complaint)


def hard_of(quota: Mapping[str, Any]) -> dict[str, Any]:
    """The limits of a quota: name -> quantity as it is written."""
    return (quota.get("spec") or {}).get("hard") or {}


def used_of(quota: Mapping[str, Any], kind: Kind, documents: Iterable[Document]) -> Usage:
    """What objects of one kind take of a quota."""
    return added(
        usage_of(kind.plural, kind.group, document)
        for document in documents
        if is_in_scope(quota, kind.plural, document)
    )


def unstated(pod: Mapping[str, Any], hard: Mapping[str, Any]) -> str:
    """What a quota limits and containers do not state: ``limits.cpu for: a,b``; "" if nothing."""
    found = []
    for name in sorted(hard):
        side, dot, resource = name.partition(".")
        if not dot and name in COMPUTE:
            side, resource = "requests", name
        if side not in ("requests", "limits") or resource not in COMPUTE:
            continue
        silent = sorted(
            str(container.get("name"))
            for container in containers_of(pod)
            if resource not in amounts(container, side)
        )
        if silent:
            found.append(f"{name} for: {','.join(silent)}")
    return "; ".join(found)


def exceeded(name: str, hard: Mapping[str, Any], used: Usage, asked: Usage) -> str:
    """The complaint about what would go over a quota; "" if there is room.

    >>> exceeded("q", {"pods": "3"}, {"pods": Fraction(3)}, {"pods": Fraction(1)})
    'exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3'
    """
    over = sorted(
        item
        for item, value in asked.items()
        if value > 0 and used.get(item, NOTHING) + value > parse_quantity(hard[item])
    )
    if not over:
        return ""

    def listed(texts: Mapping[str, Any]) -> str:
        return ",".join(f"{item}={texts[item]}" for item in over)

    requested = listed({item: text_of(item, asked[item]) for item in over})
    there = listed({item: text_of(item, used.get(item, NOTHING)) for item in over})
    return f"exceeded quota: {name}, requested: {requested}, used: {there}, limited: {listed(hard)}"


def _refused(kind: Kind, document: Document, why: str) -> Forbidden:
    name = document["metadata"].get("name", "")
    said = f'{kind.resource} "{name}" is forbidden: {why}'
    return Forbidden(said, kind=kind.plural, group=kind.group, name=name)
