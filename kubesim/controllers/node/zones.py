"""Zones, and how fast their nodes may be evicted: what restrains the node controller.

A node that does not answer may be dead, or the controller may be cut off from it. The more nodes of
a zone are silent, the more likely is the second; so evictions become slower, and stop altogether
when no node of any zone answers.

>>> zone_state(ready=1, not_ready=2), zone_state(ready=1, not_ready=3)
(<ZoneState.NORMAL: 'Normal'>, <ZoneState.PARTIAL: 'PartialDisruption'>)
>>> eviction_rate(ZoneState.PARTIAL, zone_size=4), eviction_rate(ZoneState.PARTIAL, zone_size=51)
(0.0, 0.01)

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (ComputeZoneState,
ReducedQPSFunc, handleDisruption), scheduler/rate_limited_queue.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Literal

from kubesim.objects import meta
from kubesim.objects.wellknown import REGION_LABEL, ZONE_LABEL

EVICTION_RATE = 0.1  # nodes per second: one in ten seconds (--node-eviction-rate)
SECONDARY_RATE = 0.01  # in a large zone that is partly down (--secondary-node-eviction-rate)
LARGE_ZONE = 50  # a zone with more nodes is large (--large-cluster-size-threshold)
UNHEALTHY_FRACTION = 0.55  # --unhealthy-zone-threshold
UNHEALTHY_NODES = 2  # a zone is partly down only if more than so many nodes are not Ready
EXCLUDE_LABEL = "node.kubernetes.io/exclude-disruption"
ROUNDING = 1e-9  # of a token: ten times 0.1 is one


class ZoneState(Enum):
    """How many nodes of a zone answer."""

    INITIAL = "Initial"
    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_of(node: Mapping[str, Any]) -> str:
    """The zone of a node, ``region/zone``; "" for nodes without labels, which are one zone."""
    labels = meta.labels_of(node)
    region, zone = labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, "")
    return f"{region}/{zone}" if region or zone else ""


def counts_for_disruption(node: Mapping[str, Any]) -> bool:
    """Nodes labelled exclude-disruption say nothing about their zone."""
    return EXCLUDE_LABEL not in meta.labels_of(node)


def zone_state(
    *, ready: int, not_ready: int, unhealthy_fraction: float = UNHEALTHY_FRACTION
) -> ZoneState:
    """The state of a zone from the number of its nodes that are Ready and that are not."""
    if ready == 0 and not_ready > 0:
        return ZoneState.FULL
    if not_ready > UNHEALTHY_NODES and not_ready / (ready + not_ready) >= unhealthy_fraction:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def eviction_rate(
    state: ZoneState,
    zone_size: int,
    *,
    rate: float = EVICTION_RATE,
    secondary_rate: float = SECONDARY_RATE,
    large_zone: int = LARGE_ZONE,
) -> float:
    """Nodes per second that may be evicted in a zone, as long as some other zone has life in it."""
    if state is ZoneState.PARTIAL:
        return secondary_rate if zone_size > large_zone else 0.0
    return rate


Turn = Literal["stay", "stop", "resume", "adjust"]


def turn(before: Iterable[ZoneState], after: Iterable[ZoneState]) -> Turn:
    """What a look at all zones means for evictions.

    Args:
        before: the states after the last look, INITIAL for zones that are new.
        after: the states now.

    Returns:
        "stop": no node answers any more, the controller takes itself for the one cut off;
        "resume": that is over; "stay": it goes on; "adjust": each zone has the rate of its state.

    >>> turn([ZoneState.NORMAL], [ZoneState.FULL]), turn([ZoneState.FULL], [ZoneState.NORMAL])
    ('stop', 'resume')
    """
    was_dark = all(state is ZoneState.FULL for state in before)
    is_dark = all(state is ZoneState.FULL for state in after)
    if was_dark and is_dark:
        return "stay"
    if is_dark:
        return "stop"
    return "resume" if was_dark else "adjust"


class EvictionQueue:
    """The nodes of one zone that are to be evicted, first come, first served, at a rate.

    A token bucket that holds one token. A node that was served is remembered and not taken in again
    until it was taken out (`remove`), that is, until it was Ready.

    Args:
        now: simulated second; the bucket begins full.
        rate: nodes per second; 0: none.
    """

    def __init__(self, now: float, rate: float = EVICTION_RATE) -> None:
        self.rate = rate
        self._tokens, self._since = 1.0, now
        self._waiting: dict[str, float] = {}
        self._served: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, node: object) -> bool:
        return node in self._waiting or node in self._served

    def add(self, node: str, now: float) -> bool:
        """Take a node in; False if it waits, or was served, already."""
        if node in self:
            return False
        self._waiting[node] = now
        return True

    def remove(self, node: str) -> bool:
        """Take a node out: it is well again. True if it waited or had been served."""
        known = node in self
        self._waiting.pop(node, None)
        self._served.discard(node)
        return known

    def serve(self, node: str) -> None:
        """The node had its turn."""
        self._waiting.pop(node, None)
        self._served.add(node)

    def take(self, now: float) -> str | None:
        """The node whose turn it is, for one token; None if none waits or the rate forbids it."""
        if not self._waiting or not self._take_token(now):
            return None
        return next(iter(self._waiting))

    def wait(self, now: float) -> float | None:
        """Seconds until the next turn; None if nobody waits or the rate is 0."""
        if not self._waiting or self.rate <= 0:
            return None
        return max(0.0, (1.0 - self._filled(now)) / self.rate)

    def set_rate(self, rate: float, now: float) -> None:
        """Exchange the bucket: the new one is full only if the old one had a token."""
        if rate != self.rate:
            full = self._take_token(now)
            self.rate, self._tokens, self._since = rate, 1.0 if full else 0.0, now

    def _filled(self, now: float) -> float:
        return min(1.0, self._tokens + (now - self._since) * self.rate)

    def _take_token(self, now: float) -> bool:
        if self.rate <= 0:
            return False
        tokens = self._filled(now)
        taken = tokens >= 1.0 - ROUNDING
        self._tokens, self._since = max(0.0, tokens - 1.0) if taken else tokens, now
        return taken
