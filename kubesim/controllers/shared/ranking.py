"""The deletion ranking of a ReplicaSet's pods, as a pure sort; and slow start.

The order minimizes the impact on users: pods that never started are deleted before ready ones, pods
with a low deletion cost before expensive ones, pods on crowded nodes first, and the younger of two
otherwise equal pods. Ages are compared in powers of two, so that small differences do not matter.

Source: pkg/controller/controller_utils.go, ActivePodsWithRanks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from math import frexp
from typing import TYPE_CHECKING

from kubesim.objects.intstr import parse_int
from kubesim.objects.meta import get_condition
from kubesim.objects.pods import node_of, phase_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class RankedPod:
    """The facts of a pod that the deletion ranking compares.

    Attributes:
        uid: breaks ties within an age class.
        node: spec.nodeName, empty if unassigned.
        phase: Pending, Unknown or Running.
        ready: condition Ready is True.
        ready_since: second of the last transition to Ready; None if unknown.
        created: second of creation.
        restarts: the highest restartCount of a container.
        deletion_cost: value of the annotation pod-deletion-cost; 0 if malformed or missing.
        related_on_node: active pods of the same controller on that node, this one included.
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


def rank_of(pod: PodDict, seconds_at: Callable[[str], float], deletion_cost: int = 0) -> RankedPod:
    """Return the facts of a pod that the deletion ranking compares.

    Args:
        pod: the document.
        seconds_at: converts an RFC 3339 timestamp to seconds.
        deletion_cost: from the pod's annotation, for owners that respect it.
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


def parse_deletion_cost(value: str | None) -> int:
    """Parse the annotation pod-deletion-cost; 0 if missing, malformed or beyond 32 bits."""
    if value is None:
        return 0
    digits = value.removeprefix("-")
    cost = parse_int(value)
    if cost is None or value.startswith("+") or (len(digits) > 1 and digits[0] == "0"):
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0


def rank_for_deletion(pods: Iterable[RankedPod], now: float) -> list[RankedPod]:
    """Return the pods in the order in which they are deleted.

    Args:
        pods: active pods of one ReplicaSet.
        now: in seconds; ages are measured from it.
    """

    def compare(a: RankedPod, b: RankedPod) -> int:
        return _compare(a, b, now)

    return sorted(pods, key=cmp_to_key(compare))


def _compare(a: RankedPod, b: RankedPod, now: float) -> int:
    """Return a negative number if `a` is deleted first; rules are applied in order."""
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
    """Compare: unknown age first, then the younger age class, then the smaller uid."""
    if a is None or b is None:
        return -1 if a is None else 1
    a_class, b_class = age_class(now - a), age_class(now - b)
    if a_class != b_class:
        return -1 if a_class < b_class else 1
    return (a_uid > b_uid) - (a_uid < b_uid)


def age_class(age_seconds: float) -> int:
    """Return floor(log2(age in nanoseconds)): ages within a factor of two count as equal.

    >>> age_class(5 * 3600) == age_class(8 * 3600), age_class(2 * 3600) < age_class(5 * 3600)
    (True, True)
    """
    nanoseconds = round(age_seconds * 1e9)
    if nanoseconds <= 0:
        return -1
    return frexp(nanoseconds)[1] - 1


def slow_start_batches(count: int, initial: int = 1) -> list[int]:
    """Return the sizes of the slow-start batches: 1, 2, 4, ... capped by what remains.

    The caller skips the rest after a batch with a failure, so an exhausted quota costs one failing
    call instead of five hundred.

    Args:
        count: pods to create.
        initial: size of the first batch.

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
