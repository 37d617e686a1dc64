"""Traffic: requests that reach the ready pods of a workload in equal shares.

This is the data plane. In a real cluster requests go from the user through a Service to a pod and
pass no API server; here the balancer works out each ready pod's share, and the kubelets ask for it
at each tick. More ready pods really lower the load of each.

Ours shares equally among ready pods, as kube-proxy does on average. It leaves out, so far: queues,
time-outs, retries.

Source of the rule who gets traffic: EndpointSlice conditions (ready and not terminating),
pkg/controller/endpointslice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import Informer
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_ready, phase_of
from kubesim.objects.selectors import Selector, parse_label_selector
from kubesim.traffic.models import TrafficModel

RESYNC_SECONDS = 600.0


@dataclass
class Route:
    """Traffic to the pods of one selector.

    Attributes:
        name: of the workload.
        selector: which pods.
        model: how much arrives.
        ready: uids of the pods that share it now.
    """

    name: str
    selector: Selector
    model: TrafficModel
    ready: set[str] = field(default_factory=set)


class Traffic:
    """Routes, and each ready pod's share of them.

    Its informer runs on the worker ``traffic``; `load_for` may be called from any thread.
    """

    name = "traffic"

    def __init__(self, api: KubeAPI, clock: Clock) -> None:
        self._clock = clock
        self._worker = clock.worker(self.name)
        self._routes: dict[str, Route] = {}
        self._of_pod: dict[str, Route] = {}  # uid -> its route; replaced, never changed in place
        self._pods = Informer(
            api, self._worker, "Pod", on_event=self._pod_event, resync_seconds=RESYNC_SECONDS
        )

    def start(self) -> None:
        """Begin to watch pods."""
        self._pods.start()

    def stop(self) -> None:
        """Stop watching."""
        self._pods.stop()
        self._worker.stop()

    def route(self, name: str, selector: str, model: TrafficModel) -> None:
        """Send requests to the ready pods of a selector; a route of that name is replaced.

        Args:
            name: of the workload, for charts and `remove`.
            selector: label selector, for example ``app=web``.
            model: requests per second over time.

        Raises:
            BadRequest: no model, or a selector that cannot be parsed or selects everything.
        """
        if not callable(getattr(model, "rate", None)):
            raise BadRequest(f"{model!r} is no traffic model; it needs rate(now)")
        parsed = parse_label_selector(selector)
        if parsed.empty:
            raise BadRequest("traffic needs a selector", hint="for example app=auto-pod")
        self._routes[name] = Route(name, parsed, model)
        self._worker.call_soon(self._share_anew)

    def remove(self, name: str) -> None:
        """End a route; its pods go on as if there had never been traffic."""
        if self._routes.pop(name, None) is not None:
            self._worker.call_soon(self._share_anew)

    def load_for(self, pod: Document, now: float) -> float | None:
        """Requests per second that reach one pod; None if no traffic is routed to it."""
        if not self._of_pod:
            return None  # no traffic at all: the common case, asked at every tick
        route = self._of_pod.get(pod["metadata"]["uid"])
        if route is None:
            return None
        sharing = len(route.ready)
        if pod["metadata"]["uid"] not in route.ready or not sharing:
            return 0.0
        return route.model.rate(now) / sharing

    def offered(self, name: str) -> float:
        """Requests per second that arrive for a workload now; 0 without a route."""
        route = self._routes.get(name)
        return route.model.rate(self._clock.now()) if route is not None else 0.0

    def ready_pods(self, name: str) -> int:
        """Pods that share a workload's requests now."""
        route = self._routes.get(name)
        return len(route.ready) if route is not None else 0

    def routes(self) -> list[str]:
        """Names of the workloads with traffic, sorted."""
        return sorted(self._routes)

    def statistics(self) -> dict[str, Any]:
        """Ready pods of each route, for tests and tables."""
        return {name: len(route.ready) for name, route in self._routes.items()}

    # -- on the worker --------------------------------------------------------------------------

    def _pod_event(self, event: ResourceEvent) -> None:
        pod, uid = event.object, meta.uid_of(event.object)
        for route in self._routes.values():
            serves = (
                event.type != "DELETED"
                and route.selector.matches(meta.labels_of(pod))
                and phase_of(pod) == "Running"
            )
            if serves:
                self._of_pod[uid] = route
            elif self._of_pod.get(uid) is route:
                self._of_pod.pop(uid)
            if serves and is_ready(pod) and not meta.is_terminating(pod):
                route.ready.add(uid)
            else:
                route.ready.discard(uid)

    def _share_anew(self) -> None:
        """Routes changed: look at every pod again."""
        self._of_pod = {}
        for route in self._routes.values():
            route.ready.clear()
        for pod in self._pods.list():
            self._pod_event(ResourceEvent("MODIFIED", pod, pod, 0))
