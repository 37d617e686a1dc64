"""Zone states, and the rates at which nodes may be evicted.

A node without heartbeats may be dead, or the controller may be cut off from it. The more nodes of a
zone are not Ready, the more likely is the second; evictions therefore become slower, and stop when
no node of any zone is Ready.

>>> zone_state(ready=1, not_ready=2), zone_state(ready=1, not_ready=3)
(<ZoneState.NORMAL: 'Normal'>, <ZoneState.PARTIAL: 'PartialDisruption'>)
>>> eviction_rate(ZoneState.PARTIAL, zone_size=4), eviction_rate(ZoneState.PARTIAL, zone_size=51)
(0.0, 0.01)

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (ComputeZoneState,
ReducedQPSFunc, handleDisruption), scheduler/rate_limited_queue.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypedDict

from kubesim.objects import meta
from kubesim.objects.wellknown import REGION_LABEL, ZONE_LABEL

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict

EVICTION_RATE = 0.1  # nodes per second: one in ten seconds (--node-eviction-rate)
SECONDARY_RATE = 0.01  # in a large zone that is partly down (--secondary-node-eviction-rate)
LARGE_ZONE = 50  # a zone with more nodes is large (--large-cluster-size-threshold)
UNHEALTHY_FRACTION = 0.55  # --unhealthy-zone-threshold
UNHEALTHY_NODES = 2  # PartialDisruption needs more nodes than this that are not Ready
EXCLUDE_LABEL = "node.kubernetes.io/exclude-disruption"
TOKEN_EPSILON = 1e-9  # ten times 0.1 must be one token


class ZoneState(Enum):
    """The state of a zone, by how many of its nodes are Ready."""

    INITIAL = "Initial"
    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_of(node: NodeDict) -> str:
    """Return the zone of a node as ``region/zone``; "" for nodes without labels: one zone."""
    labels = meta.labels_of(node)
    region, zone = labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, "")
    return f"{region}/{zone}" if region or zone else ""


def counts_for_disruption(node: NodeDict) -> bool:
    """Return whether a node counts for its zone state: not if labelled exclude-disruption."""
    return EXCLUDE_LABEL not in meta.labels_of(node)


def zone_state(
    *, ready: int, not_ready: int, unhealthy_fraction: float = UNHEALTHY_FRACTION
) -> ZoneState:
    """Return the state of a zone.

    Args:
        ready, not_ready: numbers of its nodes.
        unhealthy_fraction: fraction of nodes not Ready from which disruption is partial.
    """
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
    """Return the eviction rate of a zone in nodes per second, while some zone has Ready nodes.

    Args:
        state: state of the zone.
        zone_size: number of its nodes.
        rate: --node-eviction-rate.
        secondary_rate: --secondary-node-eviction-rate, for large zones in partial disruption.
        large_zone: --large-cluster-size-threshold.
    """
    if state is ZoneState.PARTIAL:
        return secondary_rate if zone_size > large_zone else 0.0
    return rate


Turn = Literal["stay", "stop", "resume", "adjust"]


class EvictionRates(TypedDict, total=False):
    """Options of `eviction_rate`."""

    rate: float
    secondary_rate: float
    large_zone: int


def turn(before: Iterable[ZoneState], after: Iterable[ZoneState]) -> Turn:
    """Return what a change of zone states means for evictions.

    Args:
        before: the states after the last check; INITIAL for new zones.
        after: the states now.

    Returns:
        "stop": no node of any zone is Ready; "resume": that has ended; "stay": it continues;
        "adjust": each zone gets the rate of its state.

    >>> turn([ZoneState.NORMAL], [ZoneState.FULL]), turn([ZoneState.FULL], [ZoneState.NORMAL])
    ('stop', 'resume')
    """
    was_disrupted = all(state is ZoneState.FULL for state in before)
    is_disrupted = all(state is ZoneState.FULL for state in after)
    if was_disrupted and is_disrupted:
        return "stay"
    if is_disrupted:
        return "stop"
    return "resume" if was_disrupted else "adjust"


class EvictionQueue:
    """The rate-limited FIFO queue of the nodes of one zone that wait for eviction.

    The rate limiter is a token bucket with one token. A node that was evicted is not queued again
    until it is removed (`remove`), which happens when it is Ready.

    Args:
        now: simulated second; the bucket is full at first.
        rate: nodes per second; 0: no evictions.
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
        """Queue a node; return False if it is queued or was evicted already."""
        if node in self:
            return False
        self._waiting[node] = now
        return True

    def remove(self, node: str) -> bool:
        """Remove a node that is Ready; return whether it was queued or had been evicted."""
        queued = node in self
        self._waiting.pop(node, None)
        self._served.discard(node)
        return queued

    def serve(self, node: str) -> None:
        """Mark a node as evicted."""
        self._waiting.pop(node, None)
        self._served.add(node)

    def take(self, now: float) -> str | None:
        """Take a token and return the next node; None if the queue is empty or no token is left."""
        if not self._waiting or not self._take_token(now):
            return None
        return next(iter(self._waiting))

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next token; None if the queue is empty or the rate is 0."""
        if not self._waiting or self.rate <= 0:
            return None
        return max(0.0, (1.0 - self._filled(now)) / self.rate)

    def set_rate(self, rate: float, now: float) -> None:
        """Set the rate; the new bucket is full only if the old one had a token."""
        if rate != self.rate:
            full = self._take_token(now)
            self.rate, self._tokens, self._since = rate, 1.0 if full else 0.0, now

    def _filled(self, now: float) -> float:
        return min(1.0, self._tokens + (now - self._since) * self.rate)

    def _take_token(self, now: float) -> bool:
        if self.rate <= 0:
            return False
        tokens = self._filled(now)
        allowed = tokens >= 1.0 - TOKEN_EPSILON
        self._tokens, self._since = max(0.0, tokens - 1.0) if allowed else tokens, now
        return allowed
