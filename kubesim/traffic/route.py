"""One way of requests: from a traffic model to the pods that share it.

No counterpart in Kubernetes; what a Service is to the data plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from kubesim.objects.selectors import Selector
from kubesim.traffic.models import TrafficModel
from kubesim.traffic.queueing import FluidQueue
from kubesim.traffic.series import Series


@dataclass(eq=False)
class Route:
    """Traffic to the pods of one selector, or to the endpoints of one Service.

    Attributes:
        name: of the workload or Service.
        selector: which pods; None for a Service.
        model: how much arrives.
        queue: who waits.
        service: (namespace, name) of the Service; None for a selector.
        ready: uids of the pods that share it now.
        members: uids of all endpoints of the Service, those that are not ready included.
        rates: requests per second that each of the route's pods can serve, by uid.
        share: requests that each pod worked on in the last second, if there is a queue.
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
        """Whether anybody waits here, or comes again."""
        return self.queue.rules.limit > 0 or self.queue.rules.retries > 0

    def capacity(self, routes: Sequence[Route] = ()) -> float:
        """Requests per second that the ready pods can serve together, less what other routes to
        the same pods took in their last second."""
        rates = self.rates
        found = sum([rates.get(uid, inf) for uid in self.ready])
        for other in routes:
            if other is not self and other.share:
                found -= other.share * len(self.ready & other.ready)
        return max(0.0, found)

    def load(self, uid: str, now: float) -> float:
        """Requests per second that reach one pod."""
        sharing = len(self.ready)
        if not sharing or uid not in self.ready:
            return 0.0
        if self.queues:
            return self.share
        known, rate = self._rate
        if known != now:  # asked by every pod in the same instant
            rate = self.model.rate(now)
            self._rate = (now, rate)
        return rate / sharing
