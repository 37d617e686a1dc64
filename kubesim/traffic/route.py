"""A route: requests of one traffic model to the pods that share them.

No counterpart in Kubernetes; in the data plane, a Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from kubesim.objects.selectors import Selector
from kubesim.traffic.models import TrafficModel
from kubesim.traffic.queueing import Flow, FluidQueue
from kubesim.traffic.series import Series


@dataclass(eq=False)
class Route:
    """Traffic to the pods of one selector, or to the endpoints of one Service.

    Attributes:
        name: of the workload or Service.
        selector: of the pods; None for a Service.
        model: requests per second over time.
        queue: the waiting requests.
        service: (namespace, name) of the Service; None for a selector.
        ready: uids of the pods that share the requests now.
        members: uids of all endpoints of the Service, ready or not.
        rates: requests per second that each of the route's pods can serve, by uid.
        share: requests that each pod worked on in the last second, with a queue.
        series: the seconds so far.
    """

    name: str
    selector: Selector | None
    model: TrafficModel
    queue: FluidQueue
    service: tuple[str, str] | None = None
    ready: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    rates: dict[str, float] = field(default_factory=dict)
    share: float = 0.0
    series: Series = field(default_factory=Series)
    _rate: tuple[float, float] = (-1.0, 0.0)

    @property
    def queues(self) -> bool:
        """Whether requests wait or are retried on this route."""
        return self.queue.rules.limit > 0 or self.queue.rules.retries > 0

    def succeed(self, old: Route) -> None:
        """Take the place of a route: go on with its series, and with its waiting requests.

        The requests go on waiting, by the new rules, if both routes have a queue and lead to the
        same Service or to none.
        """
        self.series = old.series
        if old.service == self.service and old.queues and self.queues:
            old.queue.change_rules(self.queue.rules)
            self.queue = old.queue

    def set_endpoints(self, members: set[str], ready: Iterable[str]) -> None:
        """Set the endpoints of the route's Service.

        Args:
            members: uids of all endpoints, ready or not.
            ready: uids of those that get requests.
        """
        self.members, self.ready = members, set(ready)

    def record(self, flow: Flow, share: float) -> None:
        """Add a second to the series.

        Args:
            flow: what happened to the requests of that second.
            share: requests a second that each ready pod worked on.
        """
        self.share = share
        self.series.append(flow)

    def capacity(self, routes: Sequence[Route] = ()) -> float:
        """Return the requests per second that the ready pods can serve.

        Args:
            routes: what these other routes took from the same pods in the last second is deducted.
        """
        rates = self.rates
        capacity = sum([rates.get(uid, inf) for uid in self.ready])
        for other in routes:
            if other is not self and other.share:
                capacity -= other.share * len(self.ready & other.ready)
        return max(0.0, capacity)

    def load(self, uid: str, now: float) -> float:
        """Return the requests per second that reach one pod."""
        sharing = len(self.ready)
        if not sharing or uid not in self.ready:
            return 0.0
        if self.queues:
            return self.share
        computed_at, rate = self._rate
        if computed_at != now:  # each pod asks in the same second
            rate = self.model.rate(now)
            self._rate = (now, rate)
        return rate / sharing
