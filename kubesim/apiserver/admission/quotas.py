"""ResourceQuota: limits the objects and resources of a namespace, at each creation.

This is the last check before an object is stored: each quota whose scope includes the object and
that limits something the object uses must have room for it. The usage is counted each time, from
the stored objects; upstream keeps the count in the quota's status and increases it by
compare-and-set. In kubesim only the quota controller writes the status. So two creations at the
same instant on two threads may both pass. Changes of stored objects (a claim that grows, a Service
that gets a port) are not checked.

Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go (CheckRequest).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, cast

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
from kubesim.quantity import Amount, parse_quantity
from kubesim.store import KeyValue

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, ResourceQuotaDict

PREFIX = "/registry/resourcequotas/"
COMPUTE = ("cpu", "memory")  # every container must name them where a quota limits them
ZERO = Fraction(0)


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
    usage = usage_of(kind.plural, kind.group, document)
    for kv in quotas:
        hard = hard_of(kv.value)
        requested = {name: value for name, value in usage.items() if name in hard}
        if not is_in_scope(kv.value, kind.plural, document):
            continue
        name = kv.value["metadata"]["name"]
        if kind.qualified_kind == "Pod" and (
            missing := missing_resources(cast("PodDict", document), hard)
        ):
            raise _refused(kind, document, f"failed quota: {name}: must specify {missing}")
        if requested:
            stored = server.store.list(kind.prefix_of(namespace)).items
            used = used_of(kv.value, kind, (other.value for other in stored))
            if message := exceeded(name, hard, used, requested):
                raise _refused(kind, document, message)


def hard_of(quota: ResourceQuotaDict) -> dict[str, Amount]:
    """Return the limits of a quota: name -> quantity, not parsed."""
    return (quota.get("spec") or {}).get("hard") or {}


def used_of(quota: ResourceQuotaDict, kind: Kind, documents: Iterable[Document]) -> Usage:
    """Return how much of a quota the objects of one kind use.

    Args:
        quota: the ResourceQuota.
        kind: of the objects.
        documents: the objects.
    """
    return added(
        usage_of(kind.plural, kind.group, document)
        for document in documents
        if is_in_scope(quota, kind.plural, document)
    )


def missing_resources(pod: PodDict, hard: Mapping[str, Amount]) -> str:
    """Return the limited resources that containers do not name: ``limits.cpu for: a,b``."""
    missing = []
    for name in sorted(hard):
        side, dot, resource = name.partition(".")
        if not dot and name in COMPUTE:
            side, resource = "requests", name
        if side not in ("requests", "limits") or resource not in COMPUTE:
            continue
        containers = sorted(
            str(container.get("name"))
            for container in containers_of(pod)
            if resource not in amounts(container, side)
        )
        if containers:
            missing.append(f"{name} for: {','.join(containers)}")
    return "; ".join(missing)


def exceeded(name: str, hard: Mapping[str, Amount], used: Usage, asked: Usage) -> str:
    """Return the message about an exceeded quota; "" if there is room.

    Args:
        name: name of the quota.
        hard: its limits: name -> quantity, not parsed.
        used: current usage.
        asked: usage of the new object.

    >>> exceeded("q", {"pods": "3"}, {"pods": Fraction(3)}, {"pods": Fraction(1)})
    'exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3'
    """
    over = sorted(
        item
        for item, value in asked.items()
        if value > 0 and used.get(item, ZERO) + value > parse_quantity(hard[item])
    )
    if not over:
        return ""

    def listed(amounts: Mapping[str, object]) -> str:
        return ",".join(f"{item}={amounts[item]}" for item in over)

    requested = listed({item: text_of(item, asked[item]) for item in over})
    current = listed({item: text_of(item, used.get(item, ZERO)) for item in over})
    limited = listed(hard)
    return f"exceeded quota: {name}, requested: {requested}, used: {current}, limited: {limited}"


def _refused(kind: Kind, document: Document, reason: str) -> Forbidden:
    name = document["metadata"].get("name", "")
    message = f'{kind.resource} "{name}" is forbidden: {reason}'
    return Forbidden(message, kind=kind.plural, group=kind.group, name=name)
