"""The simulator's own routes: the eight of the original simulator, and further ones.

    GET    /api/pods              all pods
    POST   /api/pods              {"name": ...}
    GET    /api/pods/:id          one pod
    DELETE /api/pods/:id          stop a pod gracefully
    GET    /api/hpa/config        the configuration of the autoscaler
    POST   /api/hpa/config        change it
    GET    /api/nodes             the nodes
    GET    /api/watch             every change of a kind, as a stream
    GET    /api/events            Kubernetes Events, newest last
    GET    /api/logs              the analytics log
    GET    /api/summary           counts of log rows, pods and nodes
    GET    /api/explain/:kind/:name   decision records
    GET    /api/etcd              the store: sizes, quota, alarms
    POST   /api/etcd/:action      compact, defrag or disarm it
    GET    /health                {"status": "ok"}
    GET    /                      the list of routes
    GET    /metrics               metrics for Prometheus

Bodies, codes and error texts of the first seven are the original's, to the letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, NotFound
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import NODE, POD
from kubesim.rest.handler import Router
from kubesim.rest.http.response import Response
from kubesim.rest.http.streams import StreamWriter
from kubesim.rest.http.wire import Request
from kubesim.rest.simple.etcd import StoreRoutes
from kubesim.rest.simple.logs import LogRoutes
from kubesim.rest.simple.pods import PodRoutes
from kubesim.rest.simple.watch import WatchRoute
from kubesim.simple import hpaconfig
from kubesim.simple.nodes import node_records

HINT_SIZE = 10  # objects listed in the hint of a 404 of /api/explain
ROUTES = {
    "GET /api/pods": "all pods",
    "POST /api/pods": 'create a pod: {"name": "my-new-pod"}',
    "GET /api/pods/:id": "one pod",
    "DELETE /api/pods/:id": "stop a pod gracefully and remove it",
    "GET /api/hpa/config": "the configuration of the autoscaler",
    "POST /api/hpa/config": 'change it: {"target_cpu": 75}',
    "GET /api/nodes": "the nodes",
    "GET /api/watch?kind=Pod": "every change as a stream; also since=REVISION, format=sse|jsonl",
    "GET /api/events": "Kubernetes Events",
    "GET /api/logs": "the analytics log; also since=, limit=, component=, level=, cursor=",
    "GET /api/summary": "counts of log rows, pods by phase, nodes by condition",
    "GET /api/etcd": "the store: sizes in bytes, quota, alarms",
    "POST /api/etcd/:action": "compact, defrag, disarm: the way out of a full store",
    "GET /health": '{"status": "ok"}',
    "GET /api/explain/hpa/auto-pod": "why: decision records",
    "GET /healthz": "health as text",
    "GET /api/v1, /apis": "the Kubernetes API, for kubectl and other clients",
    "GET /metrics": "metrics for Prometheus",
}


class DecisionRecord(Protocol):
    """A decision record (kubesim.client.decisions.Decision)."""

    def to_dict(self) -> Document:
        """Return the record as JSON data."""


class DecisionSource(Protocol):
    """A log of decision records (kubesim.client.decisions.DecisionLog)."""

    def of(self, object: str, /) -> Sequence[DecisionRecord]:
        """Return the records about one object."""

    def objects(self) -> list[str]:
        """Return the objects that have records."""


def make_router(
    api: KubeAPI, decisions: DecisionSource | None, analytics: Analytics, streams: StreamWriter
) -> Router:
    """Return a router with all routes of the simulator.

    Args:
        api: the API server.
        decisions: the decision log, for /api/explain; None: there are no records.
        analytics: the log, for /api/logs and /api/summary.
        streams: writes the streams of /api/watch.
    """
    router = Router()
    pods, logs, cluster = PodRoutes(api), LogRoutes(api, analytics), ClusterRoutes(api, decisions)
    router.add("GET", "/api/pods", pods.list)
    router.add("POST", "/api/pods", pods.create)
    router.add("GET", "/api/pods/:id", pods.get)
    router.add("DELETE", "/api/pods/:id", pods.delete)
    router.add("GET", "/api/hpa/config", cluster.hpa_config)
    router.add("POST", "/api/hpa/config", cluster.configure_hpa)
    router.add("GET", "/api/nodes", cluster.nodes)
    router.add("GET", "/api/watch", WatchRoute(api, streams).watch)
    router.add("GET", "/api/events", cluster.events)
    router.add("GET", "/api/logs", logs.logs)
    router.add("GET", "/api/summary", logs.summary)
    router.add("GET", "/api/explain/:kind/:name", cluster.explain)
    router.add("GET", "/api/explain/:kind/:namespace/:name", cluster.explain_in_namespace)
    router.add("GET", "/api/etcd", StoreRoutes(api).status)
    router.add("POST", "/api/etcd/:action", StoreRoutes(api).act)
    router.add("GET", "/health", lambda _request: Response.json({"status": "ok"}))
    router.add("GET", "/", lambda _request: Response.json({"routes": ROUTES}))
    return router


class ClusterRoutes:
    """The autoscaler, the nodes, the events and the decision records of a cluster.

    Args:
        api: the API server.
        decisions: the decision log; None: there are no records.
    """

    def __init__(self, api: KubeAPI, decisions: DecisionSource | None) -> None:
        self._api = api
        self._decisions = decisions

    def hpa_config(self, _request: Request) -> Response:
        """Return the configuration of the autoscaler; 404 "HPA not configured"."""
        return Response.json(hpaconfig.read(self._api))

    def configure_hpa(self, request: Request) -> Response:
        """Change the configuration of the autoscaler: all keys of the body, or none."""
        body = request.json()
        if not isinstance(body, dict):
            names = ", ".join(hpaconfig.KEYS)
            raise BadRequest(f"the body must be an object with some of: {names}")
        config = hpaconfig.write(self._api, body)
        return Response.json({"message": "HPA config updated", "config": config})

    def nodes(self, _request: Request) -> Response:
        """Return the records of all nodes."""
        api = self._api
        nodes, pods = api.snapshot(NODE)[0], api.snapshot(POD)[0]
        return Response.json(node_records(nodes, pods, api.sample, api.node_log))

    def events(self, _request: Request) -> Response:
        """Return the Kubernetes Events, by time."""
        events = self._api.list("Event")["items"]
        rows = [
            {
                "time": event.get("lastTimestamp"),
                "type": event.get("type"),
                "reason": event.get("reason"),
                "object": f"{event['involvedObject'].get('kind', '').lower()}/"
                f"{event['involvedObject'].get('name', '')}",
                "message": event.get("message"),
                "count": event.get("count", 1),
            }
            for event in events
        ]
        return Response.json(sorted(rows, key=lambda row: str(row["time"])))

    def explain(self, _request: Request, kind: str, name: str) -> Response:
        """Return the decision records about an object of the namespace ``default`` or of none."""
        return self._explain(f"{kind}/{name}")

    def explain_in_namespace(
        self, _request: Request, kind: str, namespace: str, name: str
    ) -> Response:
        """Return the decision records about an object of any namespace.

        Args:
            kind, namespace, name: of the object.
        """
        path = name if namespace == "default" else f"{namespace}/{name}"
        return self._explain(f"{kind}/{path}")

    def _explain(self, reference: str) -> Response:
        records = self._decisions.of(reference) if self._decisions is not None else ()
        if not records:
            names = self._decisions.objects()[:HINT_SIZE] if self._decisions is not None else []
            raise NotFound(
                f"no decision about {reference[:100]!r} has been recorded",
                hint=f"there are records about: {', '.join(names)}" if names else "",
            )
        return Response.json([record.to_dict() for record in records])
