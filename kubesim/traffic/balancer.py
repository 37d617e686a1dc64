"""Traffic: requests that reach the ready pods of a workload or Service in equal shares.

This is the data plane. In a real cluster requests go from the client through a Service to a pod and
never through the API server. Here the balancer computes the share of each ready pod, and kubelets
read it at each tick. So more ready pods mean less load for each.

Labels (`route`) or, as for kube-proxy, EndpointSlices of a Service (`to_service`) say which pods
share the requests. Once a second, while there is traffic, each route is computed: requests served,
waiting, timed out, lost, and latency (see `queueing`); `series` returns them. Without a queue (the
default) requests above the capacity of the pods are lost at once. With a queue (`Queue`) they wait,
and the pods run at full load until the queue is empty.

Ours shares equally among ready pods, as kube-proxy does on average. It leaves out: session
affinity, topology, the path of a packet. A pod that several routes reach serves all of them: the
requests of one route in a second reduce its capacity for the others.

Source of the rule which pods get traffic: EndpointSlice conditions (ready and not terminating),
pkg/controller/endpointslice; pkg/proxy/topology.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import Informer
from kubesim.clock.base import Clock, Timer
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import ENDPOINT_SLICE, POD
from kubesim.objects.pods import is_ready, phase_of
from kubesim.objects.selectors import parse_label_selector
from kubesim.objects.wellknown import RESYNC_SECONDS, SERVICE_NAME_LABEL
from kubesim.traffic.endpoints import all_pods, serving_pods
from kubesim.traffic.models import TrafficModel
from kubesim.traffic.queueing import NO_QUEUE, STEP_SECONDS, Flow, FluidQueue, Queue
from kubesim.traffic.route import Route
from kubesim.traffic.series import SeriesPage, Totals
from kubesim.usercode import USER_ERRORS, error_text

if TYPE_CHECKING:
    from kubesim.objects.types import EndpointSliceDict, PodDict

Capacity = Callable[["PodDict"], float]
"""Requests per second that a pod can serve; infinite if its workload model has no limit."""


class Traffic:
    """The routes of requests, and the share of each ready pod.

    The informers run on the worker ``traffic``; `load_for` may be called from any thread.

    Args:
        api, clock: of the cluster.
        capacity: returns what a pod can serve; None: any number of requests.

    Attributes:
        routed: the pods to which requests are sent, by uid; empty without traffic.
    """

    name = "traffic"

    def __init__(self, api: KubeAPI, clock: Clock, capacity: Capacity | None = None) -> None:
        self._api = api
        self._clock = clock
        self._capacity = capacity
        self._worker = clock.worker(self.name)
        self._routes: dict[str, Route] = {}  # replaced, not changed in place: other threads read it
        self._of_pod: dict[str, tuple[Route, ...]] = {}  # uid -> its routes
        self.routed: Mapping[str, object] = self._of_pod  # always the same object
        self._timer: Timer | None = None
        self._slices: Informer[EndpointSliceDict] | None = (
            None  # None until there is traffic to a Service
        )
        self._pods = Informer(
            api, self._worker, POD, on_event=self._pod_event, resync_seconds=RESYNC_SECONDS
        )

    def start(self) -> None:
        """Start to watch pods."""
        self._pods.start()

    def stop(self) -> None:
        """Stop watching."""
        self._pods.stop()
        if self._slices is not None:
            self._slices.stop()
        self._worker.stop()

    # -- routes ---------------------------------------------------------------------------------

    def route(
        self, name: str, selector: str, model: TrafficModel, queue: Queue | None = None
    ) -> None:
        """Send requests to the ready pods that match a selector; replaces a route of that name.

        Args:
            name: of the route, for charts and `remove`.
            selector: label selector, for example ``app=web``.
            model: requests per second over time.
            queue: how requests wait; None: requests above the pods' capacity are lost.

        Raises:
            BadRequest: not a model, or a selector that cannot be parsed or matches all pods.
        """
        _check_model(model)
        parsed = parse_label_selector(selector)
        if parsed.empty:
            raise BadRequest("traffic needs a selector", hint="for example app=auto-pod")
        self._put(Route(name, parsed, model, FluidQueue(queue or NO_QUEUE)))

    def to_service(
        self,
        service: str,
        model: TrafficModel,
        *,
        namespace: str = "default",
        queue: Queue | None = None,
    ) -> None:
        """Send requests to a Service; its EndpointSlices say which pods share them.

        The Service need not exist: all requests are lost until it has endpoints.

        Args:
            service, namespace: of the Service. The route is called ``SERVICE``, or
                ``NAMESPACE/SERVICE`` if the namespace is not ``default``.
            model: requests per second over time.
            queue: as in `route`.

        Raises:
            BadRequest: not a model.
        """
        _check_model(model)
        name = service if namespace == "default" else f"{namespace}/{service}"
        route = Route(name, None, model, FluidQueue(queue or NO_QUEUE), (namespace, service))
        if self._slices is None:
            self._slices = Informer(
                self._api,
                self._worker,
                ENDPOINT_SLICE,
                on_event=self._slice_event,
                indexers={"service": _by_service},
                resync_seconds=RESYNC_SECONDS,
            )
            self._slices.start()
        self._put(route)

    def remove(self, name: str) -> None:
        """Remove a route; its pods use resources as without traffic."""
        if name in self._routes:
            self._routes = {n: route for n, route in self._routes.items() if n != name}
            self._worker.call_soon(self._redistribute)

    def _put(self, route: Route) -> None:
        old = self._routes.get(route.name)
        if old is not None:  # charts go on reading, and waiting requests go on waiting
            route.succeed(old)
        self._routes = {**self._routes, route.name: route}
        self._worker.call_soon(self._redistribute)
        if self._timer is None:
            self._timer = self._worker.every(STEP_SECONDS, self._second)

    # -- reading --------------------------------------------------------------------------------

    def load_for(self, pod: PodDict, now: float) -> float | None:
        """Return the requests per second that reach one pod; None without a route to it."""
        if not self._of_pod:
            return None  # no traffic: the most frequent case, at each tick of each pod
        uid = pod["metadata"]["uid"]
        routes = self._of_pod.get(uid)
        if routes is None:
            return None
        if len(routes) == 1:
            return routes[0].load(uid, now)
        return sum(route.load(uid, now) for route in routes)

    __call__ = load_for  # kubelets call it at each tick

    def offered(self, name: str) -> float:
        """Return the requests per second that arrive on a route now; 0 without a route."""
        route = self._routes.get(name)
        return route.model.rate(self._clock.now()) if route is not None else 0.0

    def ready_pods(self, name: str) -> int:
        """Return how many pods share the requests of a route now."""
        route = self._routes.get(name)
        return len(route.ready) if route is not None else 0

    def routes(self) -> list[str]:
        """Return the names of the routes, sorted."""
        return sorted(self._routes)

    def series(self, name: str, cursor: int = 0) -> SeriesPage:
        """Return the seconds of a route after a cursor: offered, served, waiting, lost, latency.

        Args:
            name: of the route.
            cursor: of the last page; 0: all kept seconds.

        Raises:
            BadRequest: no route of that name; the hint lists the routes.
        """
        return self._known(name).series.since(cursor)

    def totals(self, name: str) -> Totals:
        """Return the total requests of a route since its traffic began.

        Raises:
            BadRequest: as for `series`.
        """
        return self._known(name).series.totals

    def last(self, name: str) -> Flow | None:
        """Return the newest second of a route, or None."""
        route = self._routes.get(name)
        return None if route is None else route.series.last

    def figures(self) -> dict[str, dict[str, float]]:
        """Return metrics for autoscalers by route: those of its newest second; see `series`."""
        figures = {}
        for name in self.routes():
            flow = self.last(name)
            if flow is not None:
                figures[name] = {
                    "requests_per_second": flow.offered,
                    "queue_length": flow.queued,
                    "unmet_requests_per_second": flow.unmet,
                }
                if flow.p95 is not None:
                    figures[name]["latency_p95_seconds"] = flow.p95
        return figures

    def statistics(self) -> Document:
        """Return the number of ready pods of each route, for tests and tables."""
        return {name: len(route.ready) for name, route in self._routes.items()}

    def _known(self, name: str) -> Route:
        route = self._routes.get(name)
        if route is None:
            routes = ", ".join(self.routes()) or "none"
            raise BadRequest(f"there is no traffic to {name!r}", hint=f"routes: {routes}")
        return route

    # -- on the worker --------------------------------------------------------------------------

    def _second(self) -> None:
        """Compute the second that has passed for each route; stop the timer without routes."""
        if not self._routes:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            return
        begin = self._clock.now() - STEP_SECONDS
        routes = list(self._routes.values())
        for route in routes:
            ready = len(route.ready)
            arrivals = self._arrivals(route, begin)
            capacity = route.capacity(routes) * STEP_SECONDS
            flow = route.queue.step(begin, arrivals, capacity, ready)
            route.record(flow, flow.worked / STEP_SECONDS / ready if ready else 0.0)

    def _arrivals(self, route: Route, begin: float) -> float:
        """Return the requests of one second; a model that raises is logged, and sends none."""
        try:
            return max(0.0, float(route.model.rate(begin))) * STEP_SECONDS
        except USER_ERRORS as error:  # the model is user code
            message = f"{route.name}: the traffic model raised {error_text(error)}"
            self._api.analytics.log("Traffic", "ModelFailed", message, "error")
            return 0.0

    def _pod_event(self, event: ResourceEvent[PodDict]) -> None:
        pod, uid = event.object, meta.uid_of(event.object)
        stopped = event.type == "DELETED" or phase_of(pod) != "Running"
        for route in self._routes.values():
            if route.selector is None:  # its EndpointSlices say which pods serve
                if stopped:
                    self._leave(route, uid)
                elif uid in route.members:
                    self._enter(route, pod, uid)
                continue
            serves = not stopped and route.selector.matches(meta.labels_of(pod))
            if serves:
                self._enter(route, pod, uid)
            else:
                self._leave(route, uid)
            if serves and is_ready(pod) and not meta.is_terminating(pod):
                route.ready.add(uid)
            else:
                route.ready.discard(uid)

    def _enter(self, route: Route, pod: PodDict, uid: str) -> None:
        routes = self._of_pod.get(uid, ())
        if route not in routes:
            self._of_pod[uid] = (*routes, route)
        if uid not in route.rates and self._capacity is not None:
            route.rates[uid] = self._capacity(pod)

    def _leave(self, route: Route, uid: str) -> None:
        routes = self._of_pod.get(uid, ())
        if route in routes:
            remaining = tuple(other for other in routes if other is not route)
            if remaining:
                self._of_pod[uid] = remaining
            else:
                del self._of_pod[uid]
        route.ready.discard(uid)
        route.rates.pop(uid, None)

    def _slice_event(self, event: ResourceEvent[EndpointSliceDict]) -> None:
        service = _service_of(event.object)
        for route in self._routes.values():
            if route.service == service:
                self._follow(route)

    def _follow(self, route: Route) -> None:
        """Read the endpoints of a route's Service again."""
        if self._slices is None or route.service is None:
            return
        slices = self._slices.by_index("service", "/".join(route.service))
        members = all_pods(slices)
        for uid in route.members - members:
            self._leave(route, uid)
        route.set_endpoints(members, serving_pods(slices))
        for pod in self._pods.list() if members.difference(route.rates) else ():
            if meta.uid_of(pod) in members:
                self._enter(route, pod, meta.uid_of(pod))

    def _redistribute(self) -> None:
        """Assign all pods to the routes again, after the routes changed."""
        self._of_pod.clear()
        for route in self._routes.values():
            route.ready.clear()
            route.members.clear()
            route.rates.clear()
            self._follow(route)
        for pod in self._pods.list():
            self._pod_event(ResourceEvent("MODIFIED", pod, pod, 0))


def _check_model(model: object) -> None:
    if not callable(getattr(model, "rate", None)):
        raise BadRequest(f"{model!r} is not a traffic model; it needs a method rate(now)")


def _service_of(slice: EndpointSliceDict) -> tuple[str, str]:
    return meta.namespace_of(slice), meta.labels_of(slice).get(SERVICE_NAME_LABEL, "")


def _by_service(slice: EndpointSliceDict) -> list[str]:
    return ["/".join(_service_of(slice))]
