"""Eviction under memory pressure: which pod a kubelet evicts when its node runs out of memory.

Every 10 s the kubelet checks the available memory. Below the threshold (100 MiB) it evicts one pod,
the first one of a ranking: pods that use more than their request come first, then lower priorities,
then pods that are further above their request. The evicted pod is Failed and its object stays. Its
controller creates another one elsewhere, since the node reports MemoryPressure until five minutes
after the threshold was last met, and refuses pods without any request until then.

Ours keeps: the hard threshold of ``memory.available``, minimum reclaim, the ranking, the condition,
events and messages. Available memory is the capacity less the reserves and the usage of the pods.
It leaves out: soft thresholds, disk, process ids and images; the system's own daemons use nothing.

A node that its pods cannot fill is not checked; while less than half of the memory is used, it is
checked once a minute.

>>> pods = [
...     EvictionCandidate("default/a", priority=0, usage=300, request=100),
...     EvictionCandidate("default/b", priority=0, usage=900, request=1000),
...     EvictionCandidate("default/c", priority=5, usage=500, request=100),
... ]
>>> [candidate.key for candidate in rank_for_eviction(pods)]
['default/a', 'default/c', 'default/b']

Source: pkg/kubelet/eviction/eviction_manager.go (synchronize), helpers.go (rankMemoryPressure,
thresholdsMet, evictionMessage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.client import Decision, RuleStep
from kubesim.kubelet.pod.records import pod_record
from kubesim.objects import meta
from kubesim.objects.pods import CRITICAL_PRIORITY
from kubesim.quantity import MEBIBYTE

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

GRACE_SECONDS = 1.0  # of a hard eviction, since 1.31
SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/"


@dataclass(frozen=True, slots=True)
class EvictionCandidate:
    """A pod that could be evicted.

    Attributes:
        key: namespace/name.
        priority: spec.priority.
        usage: its working set in bytes; None: no statistics yet.
        request: bytes that its containers request.
        containers: (name, usage, request) of each, for the message.
    """

    key: str
    priority: int
    usage: int | None
    request: int
    containers: tuple[tuple[str, int, int], ...] = ()

    @property
    def above_request(self) -> bool:
        """Whether it uses more than its request."""
        return self.usage is not None and self.usage > self.request


def rank_for_eviction(candidates: Sequence[EvictionCandidate]) -> list[EvictionCandidate]:
    """Sort pods by the order of their eviction.

    Pods without statistics come first, then those above their request, lower priorities, and those
    further above their request.

    Args:
        candidates: the node's running pods; equal ones keep their order.
    """

    def rank(candidate: EvictionCandidate) -> tuple[bool, bool, int, int]:
        usage = candidate.usage or 0
        measured = candidate.usage is not None
        excess = usage - candidate.request
        return measured, not candidate.above_request, candidate.priority, -excess if measured else 0

    return sorted(candidates, key=rank)


def evictable(candidate: EvictionCandidate) -> bool:
    """Whether a pod may be evicted: critical pods may not."""
    return candidate.priority < CRITICAL_PRIORITY


def threshold_met(
    available: int, threshold: int, reclaim: int = 0, *, recovering: bool = False
) -> bool:
    """Whether memory is short.

    Args:
        available: bytes.
        threshold: bytes; memory is short below it.
        reclaim: bytes that have to be free above the threshold once it was met.
        recovering: it was met at the last check.

    >>> threshold_met(100, 100), threshold_met(99, 100)
    (False, True)
    >>> threshold_met(120, 100, reclaim=50, recovering=True)
    True
    """
    return available < threshold + (reclaim if recovering else 0)


def still_pressed(now: float, last_met: float | None, hold_seconds: float) -> bool:
    """Whether MemoryPressure is still True: it is held after the threshold was last met.

    Args:
        now: second.
        last_met: second at which the threshold was last met; None: never.
        hold_seconds: how long the condition is held (5 min).
    """
    return last_met is not None and now - last_met < hold_seconds


def amount(bytes: int) -> str:
    """Render bytes as a quantity in the largest binary unit that divides them.

    >>> amount(314572800), amount(1536), amount(1000)
    ('300Mi', '1536', '1000')
    """
    for unit, size in (("Gi", 1 << 30), ("Mi", MEBIBYTE), ("Ki", 1024)):
        if bytes and bytes % size == 0 and abs(bytes) >= size:
            return f"{bytes // size}{unit}"
    return str(bytes)


def eviction_message(threshold: int, available: int, candidate: EvictionCandidate) -> str:
    """Return the message of the Event and of the pod's status.

    Args:
        threshold, available: bytes.
        candidate: the evicted pod.

    >>> usage = ("web", 300 * MEBIBYTE, 100 * MEBIBYTE)
    >>> web = EvictionCandidate("d/p", 0, 300 * MEBIBYTE, 100 * MEBIBYTE, (usage,))
    >>> eviction_message(100 * MEBIBYTE, 80 * MEBIBYTE, web)[:82]
    'The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. '
    """
    message = "The node was low on resource: memory. "
    message += f"Threshold quantity: {amount(threshold)}, available: {amount(available)}. "
    for name, usage, request in candidate.containers:
        if usage > request:
            message += (
                f"Container {name} was using {amount(usage)}, request is {amount(request)}, "
                "has larger consumption of memory. "
            )
    return message


def eviction_record(
    now: float,
    pod: PodDict,
    component: str,
    *,
    available: int,
    threshold: int,
    ranking: Sequence[EvictionCandidate],
    message: str,
) -> Decision:
    """Return why this pod was evicted and no other, with the ranking as a table.

    Args:
        now: second.
        pod: the evicted pod.
        component: name of the kubelet.
        available, threshold: bytes.
        ranking: all candidates in the order of their eviction.
        message: of the Event.
    """
    chosen = meta.key_of(pod)
    table = [
        {
            "rank": rank,
            "pod": c.key,
            "usage_bytes": c.usage,
            "request_bytes": c.request,
            "above_request": c.above_request,
            "priority": c.priority,
            "evictable": evictable(c),
        }
        for rank, c in enumerate(ranking, 1)
    ]
    order = ", ".join(
        f"{c.key} ({'above' if c.above_request else 'within'} its request, priority {c.priority}, "
        f"{(c.usage or 0) - c.request} bytes above it)"
        for c in ranking[:10]
    )
    figures = {"available_bytes": available, "threshold_bytes": threshold}
    steps = (
        RuleStep(
            "threshold", figures, "available is below the threshold", f"{SOURCE}#hard-eviction"
        ),
        RuleStep(
            "rank", {"pods": len(ranking)}, order, f"{SOURCE}#pod-selection-for-kubelet-eviction"
        ),
        RuleStep("grace", {"seconds": GRACE_SECONDS}, message, SOURCE),
    )
    evicted = next((c for c in ranking if c.key == chosen), None)
    above = evicted is not None and evicted.above_request
    return pod_record(
        now,
        pod,
        component,
        "evicted: the node was low on memory",
        *steps,
        binding="above its request" if above else "priority" if len(ranking) > 1 else "threshold",
        would_change_if=(
            "it used no more than its request, and another pod did"
            if above
            else "another pod used more than its request, or had a lower priority"
        ),
        data={"ranking": table, "available_bytes": available, "threshold_bytes": threshold},
    )
