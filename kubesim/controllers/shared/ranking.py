"""Which pod goes first when a ReplicaSet shrinks: the deletion ranking, as a pure sort.

The order is meant to cost users the least: pods that never started go before pods that serve, cheap
ones before dear ones, crowded nodes are relieved first, and of two equal pods the younger goes.
Ages are compared in powers of two, so that a day more or less of a week-old pod says nothing.

Source: pkg/controller/controller_utils.go, ActivePodsWithRanks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from math import frexp

from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import node_of, phase_of

PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class RankedPod:
    """What the ranking looks at.

    Attributes:
        uid: breaks ties within an age class.
        node: spec.nodeName, empty if unassigned.
        phase: Pending, Unknown or Running.
        ready: condition Ready is True.
        ready_since: second of its last transition to Ready; None if unknown.
        created: second of creation.
        restarts: the highest restartCount of a container.
        deletion_cost: the annotation of that name as int32; malformed or missing counts 0.
        related_on_node: active pods of the same controller on that node, itself included.
    """

    uid: str
    node: str = ""
    phase: str = "Running"
    ready: bool = True
    ready_since: float | None = None
    created: float = 0.0
    restarts: int = 0
    deletion_cost: int = 0
    related_on_node: int = 1


def rank_of(pod: Document, seconds_at: Callable[[str], float], deletion_cost: int = 0) -> RankedPod:
    """What the order looks at, from a pod's document.

    Args:
        pod: the document.
        seconds_at: seconds of an RFC 3339 text.
        deletion_cost: of its annotation, for owners that heed it.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    ready = get_condition(pod, "Ready") or {}
    since = ready.get("lastTransitionTime")
    statuses = status.get("containerStatuses") or ()
    return RankedPod(
        uid=metadata["uid"],
        node=node_of(pod),
        phase=phase_of(pod),
        ready=ready.get("status") == "True",
        ready_since=seconds_at(since) if since else None,
        created=seconds_at(metadata["creationTimestamp"]),
        restarts=max((item.get("restartCount") or 0 for item in statuses), default=0),
        deletion_cost=deletion_cost,
    )


def parse_deletion_cost(text: str | None) -> int:
    """The annotation's value; 0 if it is missing, malformed or beyond 32 bits."""
    if text is None:
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or (len(digits) > 1 and digits[0] == "0"):
        return 0
    value = int(text)
    return value if -(2**31) <= value < 2**31 else 0


def rank_for_deletion(pods: Iterable[RankedPod], now: float) -> list[RankedPod]:
    """The pods in the order in which they are deleted: the first goes first.

    Args:
        pods: active pods of one ReplicaSet.
        now: in seconds, for the age classes.
    """

    def compare(a: RankedPod, b: RankedPod) -> int:
        return _compare(a, b, now)

    return sorted(pods, key=cmp_to_key(compare))


def _compare(a: RankedPod, b: RankedPod, now: float) -> int:
    """Negative if `a` goes first. Each rule only decides where the ones before it are equal."""
    rules: Sequence[tuple[object, object]] = (
        (bool(a.node), bool(b.node)),
        (PHASE_RANK.get(a.phase, 0), PHASE_RANK.get(b.phase, 0)),
        (a.ready, b.ready),
        (a.deletion_cost, b.deletion_cost),
        (-a.related_on_node, -b.related_on_node),
    )
    for left, right in rules:
        if left != right:
            return -1 if left < right else 1  # type: ignore[operator]
    if a.ready and b.ready and a.ready_since != b.ready_since:
        return _younger_first(a.ready_since, b.ready_since, a.uid, b.uid, now)
    if a.restarts != b.restarts:
        return -1 if a.restarts > b.restarts else 1
    if a.created != b.created:
        return _younger_first(a.created, b.created, a.uid, b.uid, now)
    return 0


def _younger_first(a: float | None, b: float | None, a_uid: str, b_uid: str, now: float) -> int:
    """Younger age class first, unknown ages before all; within a class the smaller uid."""
    if a is None or b is None:
        return -1 if a is None else 1
    a_class, b_class = age_class(now - a), age_class(now - b)
    if a_class != b_class:
        return -1 if a_class < b_class else 1
    return (a_uid > b_uid) - (a_uid < b_uid)


def age_class(age_seconds: float) -> int:
    """floor(log2(age in nanoseconds)): ages within a factor of two are about the same.

    >>> age_class(5 * 3600) == age_class(8 * 3600), age_class(2 * 3600) < age_class(5 * 3600)
    (True, True)
    """
    nanoseconds = round(age_seconds * 1e9)
    if nanoseconds <= 0:
        return -1
    return frexp(nanoseconds)[1] - 1


def slow_start_batches(count: int, initial: int = 1) -> list[int]:
    """Sizes of the batches in which `count` pods are created: 1, 2, 4, ... capped by the rest.

    After a batch with a failure the rest is skipped, so a full quota is met by one failing call
    and not by five hundred.

    >>> slow_start_batches(10)
    [1, 2, 4, 3]
    """
    batches: list[int] = []
    size = min(count, initial)
    while size > 0:
        batches.append(size)
        count -= size
        size = min(2 * size, count)
    return batches
