"""The routes: the original's eight, and what we add for the curious.

    GET    /api/pods              all pods
    POST   /api/pods              {"name": ...}
    GET    /api/pods/:id          one pod
    DELETE /api/pods/:id          stop it gracefully
    GET    /api/hpa/config        the autoscaler
    POST   /api/hpa/config        change it
    GET    /api/nodes             the nodes
    GET    /api/watch             every change of a kind, as a stream          (ours)
    GET    /api/events            Kubernetes Events, newest last               (ours)
    GET    /api/logs              the analytics log
    GET    /api/summary           counts of log rows, pods and nodes
    GET    /health                {"status": "ok"}
    GET    /api/explain/:kind/:name   decision records                         (ours)
    GET    /healthz, GET /        is it there, what is there                   (ours)
    GET    /metrics               counts, as Prometheus reads them             (ours)

Bodies, codes and error texts of the first eight are the original's, to the letter.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, NotFound
from kubesim.objects import meta
from kubesim.objects.conditions import is_condition_true
from kubesim.objects.frozen import Document
from kubesim.objects.pods import NOTHING, is_finished, node_of, pod_requests
from kubesim.rest.http.response import Response
from kubesim.rest.http.router import Router
from kubesim.rest.http.streams import StreamWriter
from kubesim.rest.http.wire import Request, RequestRejected
from kubesim.rest.simple.logs import LogRoutes
from kubesim.rest.simple.watch import ChangeStream, Encodings
from kubesim.simple import hpaconfig

NODE_LOG_LINES = 10
MEGABYTE = 1_000_000
FRESH_SECONDS = 0.1  # simulated; so long a kept body is used without looking at the log again
KEPT_BODIES = 16_384
ROUTES = {
    "GET /api/pods": "all pods",
    "POST /api/pods": 'make a pod: {"name": "my-new-pod"}',
    "GET /api/pods/:id": "one pod",
    "DELETE /api/pods/:id": "stop a pod gracefully and remove it",
    "GET /api/hpa/config": "the autoscaler's configuration",
    "POST /api/hpa/config": 'change it: {"target_cpu": 75}',
    "GET /api/nodes": "the nodes",
    "GET /api/watch?kind=Pod": "every change as a stream; also since=REVISION, format=sse|jsonl",
    "GET /api/events": "Kubernetes Events",
    "GET /api/logs": "the analytics log; also since=, limit=, component=, level=, cursor=",
    "GET /api/summary": "counts of log rows, pods by phase, nodes by condition",
    "GET /health": '{"status": "ok"}',
    "GET /api/explain/hpa/auto-pod": "why: decision records",
    "GET /healthz": "is it there",
    "GET /api/v1, /apis": "the Kubernetes API, for kubectl and other clients",
    "GET /metrics": "counts, as Prometheus reads them",
}


class DecisionSource(Protocol):
    """The part of the decision log that is served (kubesim.client.decisions.DecisionLog)."""

    def of(self, object: str) -> Sequence[Any]:
        """The records about one object."""

    def objects(self) -> list[str]:
        """The objects with records."""


def make_router(
    api: KubeAPI, decisions: DecisionSource | None, analytics: Analytics, streams: StreamWriter
) -> Router:
    """All routes of a server."""
    router = Router()
    pods = PodRoutes(api)
    router.add("GET", "/api/pods", pods.list)
    router.add("POST", "/api/pods", pods.create)
    router.add("GET", "/api/pods/:id", pods.get)
    router.add("DELETE", "/api/pods/:id", pods.delete)
    router.add("GET", "/api/hpa/config", lambda _request: Response.json(hpaconfig.read(api)))
    router.add("POST", "/api/hpa/config", lambda request: _configure(api, request))
    router.add("GET", "/api/nodes", lambda _request: Response.json(node_records(api)))
    more = MoreRoutes(api, decisions, streams)
    router.add("GET", "/api/watch", more.watch)
    router.add("GET", "/api/events", more.events)
    logs = LogRoutes(api, analytics)
    router.add("GET", "/api/logs", logs.logs)
    router.add("GET", "/api/summary", logs.summary)
    router.add("GET", "/health", lambda _request: Response.json({"status": "ok"}))
    router.add("GET", "/api/explain/:kind/:name", more.explain)
    router.add("GET", "/api/explain/:kind/:namespace/:name", more.explain_in)
    router.add("GET", "/healthz", lambda _request: Response(200, b"ok", "text/plain"))
    router.add("GET", "/", lambda _request: Response.json({"routes": ROUTES}))
    return router


class KeptBody(NamedTuple):
    """The JSON of a pod's record, and what it was made from.

    Attributes:
        stored: the pod in the store, one object for each of its revisions.
        sample: its newest sample then.
        read_at: when, in simulated seconds; its log was read then.
        namespace, name: of the pod.
        body: the JSON.
    """

    stored: object
    sample: object
    read_at: float
    namespace: str
    name: str
    body: bytes


class PodRoutes:
    """/api/pods."""

    def __init__(self, api: KubeAPI) -> None:
        self._api = api
        self._kept: dict[str, KeptBody] = {}

    def list(self, _request: Request) -> Response:
        """All pods: running, pending and completed."""
        return Response(200, self._api.seed.list_bytes())

    def get(self, _request: Request, id: str) -> Response:
        """One pod; 404 "Pod not found"."""
        api = self._api
        try:
            stored = api.seed.find(id)
            kept = self._kept.get(id)
            if kept is not None and kept.stored is stored:
                fresh = api.clock.now() - kept.read_at < FRESH_SECONDS
                if fresh and api.sample(kept.namespace, kept.name) == kept.sample:
                    return Response(200, kept.body)
            return Response(200, self._read(id, stored))
        except NotFound as error:
            self._kept.pop(id, None)
            return Response.error(404, error.message)

    def _read(self, id: str, stored: Any) -> bytes:
        """The record of a pod as it is now; kept for the next who asks."""
        api, now = self._api, self._api.clock.now()
        namespace, name = meta.namespace_of(stored.value), meta.name_of(stored.value)
        # In this order: a sample that comes between the two makes the kept body old, not wrong.
        sample = api.sample(namespace, name)
        body = api.seed.get_bytes(id)
        if len(self._kept) >= KEPT_BODIES:
            self._kept.clear()
        self._kept[id] = KeptBody(stored, sample, now, namespace, name, body)
        return body

    def create(self, request: Request) -> Response:
        """201 with the id; 400 "Invalid pod name"; 409 if the name is taken."""
        body = request.json()
        name = body.get("name") if isinstance(body, dict) else None
        if not isinstance(name, str):
            raise BadRequest("Invalid pod name")
        record = self._api.create_pod(name)
        return Response.json({"message": "Pod created", "id": record["id"]}, 201)

    def delete(self, _request: Request, id: str) -> Response:
        """200 once the pod has stopped and is gone; 404 "Pod not found"."""
        self._api.delete_pod(id)
        return Response.json({"message": "Pod deleted"})


def check_room(streams: StreamWriter) -> None:
    """Refuse one stream too many.

    Raises:
        RequestRejected: 429, with Retry-After.
    """
    if len(streams) >= streams.limit:
        said = f"there are {streams.limit} streams, and no room for more"
        raise RequestRejected(429, said, close=False, headers={"Retry-After": "5"})


def _configure(api: KubeAPI, request: Request) -> Response:
    """Change the autoscaler: all keys of the body or none."""
    body = request.json()
    if not isinstance(body, dict):
        known = ", ".join(hpaconfig.KEYS)
        raise BadRequest(f"the body must be an object with some of: {known}")
    config = hpaconfig.write(api, body)
    return Response.json({"message": "HPA config updated", "config": config})


def node_records(api: KubeAPI) -> list[dict[str, Any]]:
    """The nodes with the original's six keys, then what they offer and what is taken."""
    pods, _ = api.snapshot("Pod")
    by_node: dict[str, list[Document]] = {}
    for pod in pods:
        if node_of(pod) and not is_finished(pod):
            by_node.setdefault(node_of(pod), []).append(pod)
    return [_node_record(api, node, by_node) for node in api.snapshot("Node")[0]]


def _node_record(
    api: KubeAPI, node: Document, by_node: dict[str, list[Document]]
) -> dict[str, Any]:
    name = meta.name_of(node)
    pods = by_node.get(name, [])
    cpu = memory = 0
    requested = NOTHING
    for pod in pods:
        requested += pod_requests(pod)
        sample = api.sample(meta.namespace_of(pod), meta.name_of(pod))
        for _container, milli, size in sample[2] if sample is not None else ():
            cpu, memory = cpu + milli, memory + size
    status = node.get("status") or {}
    return {
        "id": meta.uid_of(node),
        "name": name,
        "status": "Ready" if is_condition_true(node, "Ready") else "NotReady",
        "cpu": cpu,
        "memory": memory // MEGABYTE,
        "logs": [line for _, line in api.node_log(name)[-NODE_LOG_LINES:]],
        "capacity": status.get("capacity", {}),
        "allocatable": status.get("allocatable", {}),
        "requested": {
            "cpu": f"{requested.cpu_milli}m",
            "memory": f"{requested.memory_bytes // 1024**2}Mi",
            "pods": len(pods),
        },
        "pods": sorted(meta.name_of(pod) for pod in pods),
    }


class MoreRoutes:
    """What we add to the original."""

    def __init__(
        self,
        api: KubeAPI,
        decisions: DecisionSource | None,
        streams: StreamWriter,
    ) -> None:
        self._api = api
        self._decisions = decisions
        self._streams = streams
        self._encodings: Encodings = OrderedDict()

    def watch(self, request: Request) -> Response:
        """Every change of a kind, as server-sent events or JSON lines."""
        kind = self._api.registry.find(request.parameter("kind", "Pod")).kind
        since = request.parameter("since")
        format = request.parameter("format", "sse")
        if format not in ("sse", "jsonl"):
            raise BadRequest("format must be sse or jsonl")
        check_room(self._streams)
        # What the revision is worth is known only now: better a 4xx than a stream that ends.
        self._api.watch(kind, resource_version=since or None).close()

        def hand_over(connection: Any, head: bytes) -> None:
            sse = format == "sse"
            self._streams.open(
                connection,
                head,
                lambda news: ChangeStream(self._api, kind, since, sse, self._encodings, news),
            )

        content = "text/event-stream" if format == "sse" else "application/x-ndjson"
        headers = {"Cache-Control": "no-store"}
        return Response(200, b"", content, headers, stream=hand_over)

    def events(self, _request: Request) -> Response:
        """Kubernetes Events, by time."""
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
        """Decision records about an object of the namespace ``default``, or without one."""
        return self._explain(f"{kind}/{name}")

    def explain_in(self, _request: Request, kind: str, namespace: str, name: str) -> Response:
        """Decision records about an object of any namespace."""
        place = name if namespace == "default" else f"{namespace}/{name}"
        return self._explain(f"{kind}/{place}")

    def _explain(self, reference: str) -> Response:
        records = self._decisions.of(reference) if self._decisions is not None else ()
        if not records:
            known = self._decisions.objects()[:10] if self._decisions is not None else []
            raise NotFound(
                f"nothing was decided about {reference[:100]!r}",
                hint=f"there are records of: {', '.join(known)}" if known else "",
            )
        return Response.json([record.to_dict() for record in records])


__all__ = ["ROUTES", "DecisionSource", "make_router", "node_records"]
