"""The routes as the original promises them, over a real socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rest_raw import eventually

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.rest import RestServer

pytestmark = pytest.mark.live


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster on virtual time."""
    with Cluster(nodes=2, seed=1) as made:
        yield made


@pytest.fixture
def server(cluster: Cluster) -> RestServer:
    """Its server."""
    return cluster.serve()


class Client:
    """A keep-alive connection."""

    def __init__(self, server: RestServer) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """(status, JSON or text, headers)."""
        data = None if body is None else json.dumps(body)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.connection.request(method, path, data, named)
        reply = self.connection.getresponse()
        text = reply.read().decode()
        is_json = reply.headers.get("Content-Type", "").startswith("application/json") and text
        return reply.status, json.loads(text) if is_json else text, reply.headers


@pytest.fixture
def ask(server: RestServer) -> Client:
    """A client of the server."""
    return Client(server)


def test_pods_from_birth_to_deletion(cluster: Cluster, ask: Client) -> None:
    """Bodies, codes and texts to the letter."""
    status, created, _ = ask("POST", "/api/pods", {"name": "my-new-pod"})
    assert status == 201
    assert created == {"message": "Pod created", "id": created["id"]}
    assert ask("GET", f"/api/pods/{created['id']}")[1]["status"] == "Pending"
    cluster.sleep(5)
    status, record, _ = ask("GET", f"/api/pods/{created['id']}")
    assert status == 200
    assert list(record)[:6] == ["id", "name", "status", "cpu", "memory", "logs"]
    assert record["id"] == created["id"]
    assert record["name"] == "my-new-pod"
    assert record["status"] == "Running"
    assert type(record["cpu"]) is int
    assert 100 <= record["cpu"] <= 200
    assert type(record["memory"]) is int
    assert 50 <= record["memory"] <= 100
    assert record["logs"][-1] == "[tick] Pod is running..."
    assert ask("POST", "/api/pods", {"name": "my-new-pod"})[0] == 409
    assert {p["name"] for p in ask("GET", "/api/pods")[1]} == {"auto-pod-0", "my-new-pod"}
    watch = cluster.api.watch("Pod")
    assert ask("DELETE", f"/api/pods/{created['id']}")[:2] == (200, {"message": "Pod deleted"})
    assert [e.object["status"]["phase"] for e in watch.poll()][-1] == "Succeeded"
    for method in ("GET", "DELETE"):
        assert ask(method, f"/api/pods/{created['id']}")[:2] == (404, {"error": "Pod not found"})


def test_the_configuration_of_the_autoscaler(cluster: Cluster, ask: Client) -> None:
    """Defaults, a full and a partial change; keys left out keep their values."""
    assert ask("GET", "/api/hpa/config")[:2] == (
        200,
        {"target_cpu": 70, "min_pods": 1, "max_pods": 10, "interval": "5s"},
    )
    wanted = {"target_cpu": 75, "min_pods": 2, "max_pods": 15, "interval": "10s"}
    assert ask("POST", "/api/hpa/config", wanted)[:2] == (
        200,
        {"message": "HPA config updated", "config": wanted},
    )
    assert ask("POST", "/api/hpa/config", {"min_pods": 3})[1]["config"] == wanted | {"min_pods": 3}
    assert ask("POST", "/api/hpa/config", {})[1]["config"] == wanted | {"min_pods": 3}
    status, error, _ = ask("POST", "/api/hpa/config", {"interval": "ten"})
    assert (status, error) == (400, {"error": "Invalid interval format"})
    status, error, _ = ask("POST", "/api/hpa/config", {"max_pods": "many"})
    assert status == 400
    assert "max_pods" in error["error"]
    assert "many" in error["error"]
    cluster.sleep(30)
    assert len(ask("GET", "/api/pods")[1]) == 3


def test_without_the_autoscaler_its_routes_say_so() -> None:
    """404 on both."""
    with Cluster(nodes=1, hpa=False) as cluster:
        ask = Client(cluster.serve())
        assert ask("GET", "/api/hpa/config")[:2] == (404, {"error": "HPA not configured"})
        assert ask("POST", "/api/hpa/config", {})[:2] == (404, {"error": "HPA not configured"})


def test_nodes_are_real_ones(cluster: Cluster, ask: Client) -> None:
    """The original's six keys, then capacity, allocatable, requested and pods."""
    cluster.sleep(10)
    status, nodes, _ = ask("GET", "/api/nodes")
    assert status == 200
    assert [node["name"] for node in nodes] == ["node-1", "node-2"]
    for node in nodes:
        assert list(node)[:6] == ["id", "name", "status", "cpu", "memory", "logs"]
        assert node["status"] == "Ready"
        assert node["capacity"] == {"cpu": "4", "memory": "8Gi", "pods": "110"}
        assert node["logs"]
    busy = next(node for node in nodes if node["pods"])
    assert busy["pods"] == ["auto-pod-0"]
    assert busy["requested"] == {"cpu": "200m", "memory": "128Mi", "pods": 1}
    assert 100 <= busy["cpu"] <= 200


def test_head_and_options(ask: Client) -> None:
    """HEAD is GET without its body; OPTIONS says what is allowed."""
    _, _, headers = ask("GET", "/api/nodes")
    status, body, head = ask("HEAD", "/api/nodes")
    assert (status, body) == (200, "")
    assert head["Content-Length"] == headers["Content-Length"]
    assert head["Content-Type"] == headers["Content-Type"] == "application/json"
    status, _, headers = ask("OPTIONS", "/api/pods")
    assert status == 204
    assert set(headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_a_notebook_page_on_loopback_may_read(ask: Client) -> None:
    """An Origin of another loopback port is allowed, and echoed; never a star."""
    status, _, headers = ask("GET", "/api/pods", Origin="http://localhost:8888")
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:8888"
    assert headers["Vary"] == "Origin"


def test_curl_needs_no_content_type(server: RestServer) -> None:
    """curl -d says form-urlencoded, and sends JSON all the same."""
    ask = Client(server)
    kind = "application/x-www-form-urlencoded"
    assert ask("POST", "/api/pods", {"name": "by-curl"}, Content_Type=kind)[0] == 201


def test_requests_in_a_row_are_answered_in_order(server: RestServer) -> None:
    """Pipelining, each answer in one piece."""
    head = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /healthz" + head + b"GET /nope" + head + b"GET /healthz" + head)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


def test_logs_and_events_and_explanations(cluster: Cluster, ask: Client) -> None:
    """By cursor; by time; by object."""
    cluster.sleep(20)
    page = ask("GET", "/api/logs?component=Pod")[1]
    assert any(row["action"] == "PodStart" for row in page["rows"])
    assert ask("GET", f"/api/logs?cursor={page['cursor']}&component=Pod")[1]["rows"] == []
    assert any(e["reason"] == "Scheduled" for e in ask("GET", "/api/events")[1])
    records = ask("GET", "/api/explain/hpa/auto-pod")[1]
    assert records[-1]["component"] == "horizontal-pod-autoscaler"
    assert records[-1]["steps"]
    assert ask("GET", "/api/explain/pod/default/auto-pod-0")[0] == 200
    assert "POST /api/pods" in ask("GET", "/")[1]["routes"]


def test_an_explanation_names_what_holds_an_object_up(cluster: Cluster, ask: Client) -> None:
    """The diagnosis of Python's explain(), for objects without any recorded decision, too."""
    pod = {"metadata": {"name": "gated"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    pod["spec"]["schedulingGates"] = [{"name": "example.com/quota"}]
    service = {"metadata": {"name": "lonely"}, "spec": {"selector": {"app": "none"}}}
    service["spec"]["ports"] = [{"port": 80}]
    cluster.api.create({"kind": "Pod", **pod})
    cluster.api.create({"kind": "Service", **service})
    cluster.sleep(5)
    for path, reference in (
        ("pod/gated", "pod/gated"),
        ("po/default/gated", "pod/gated"),
        ("service/lonely", "service/lonely"),
        ("svc/lonely", "service/lonely"),
    ):
        status, records, _ = ask("GET", f"/api/explain/{path}")
        assert status == 200
        assert records == json.loads(json.dumps(cluster.explain(reference).to_dicts()))
    assert ask("GET", "/api/explain/svc/lonely")[1][-1]["verdict"]
    assert ask("GET", "/api/explain/svc/none")[0] == 404


def read_lines(server: RestServer, path: str, count: int) -> list[str]:
    """The first lines of a stream, without its head."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        data = b""
        while data.count(b"\n") < count + 9:
            chunk = connection.recv(65536)
            if not chunk:
                break
            data += chunk
            if data.partition(b"\r\n\r\n")[2].count(b"\n") >= count:
                break
    return data.partition(b"\r\n\r\n")[2].decode().splitlines()


def test_a_stream_shows_what_is_and_then_every_change(cluster: Cluster, server: RestServer) -> None:
    """JSON lines: the present pods as ADDED, then each change, in order."""
    cluster.sleep(5)
    lines: list[str] = []
    thread = threading.Thread(
        target=lambda: lines.extend(read_lines(server, "/api/watch?kind=Pod&format=jsonl", 4))
    )
    thread.start()
    assert eventually(lambda: len(server.streams) > 0)
    cluster.api.create_pod("later")
    cluster.sleep(5)
    thread.join(15)
    events = [json.loads(line) for line in lines]
    assert events[0]["type"] == "ADDED"
    assert events[0]["object"]["metadata"]["name"] == "auto-pod-0"
    assert events[1]["type"] == "ADDED"
    assert events[1]["object"]["metadata"]["name"] == "later"
    assert events[2]["type"] == "MODIFIED"
    revisions = [event["revision"] for event in events]
    assert revisions == sorted(revisions)


def test_a_stream_of_server_sent_events(cluster: Cluster, server: RestServer) -> None:
    """event, id and data lines."""
    cluster.sleep(5)
    lines = read_lines(server, "/api/watch?kind=Node", 3)
    assert lines[0] == "event: ADDED"
    assert lines[1].startswith("id: ")
    assert json.loads(lines[2].removeprefix("data: "))["object"]["kind"] == "Node"


def test_a_stream_from_a_compacted_revision_is_refused(cluster: Cluster, ask: Client) -> None:
    """410: list again."""
    cluster.sleep(5)
    cluster.store.compact(cluster.store.revision)
    assert ask("GET", "/api/watch?kind=Pod&since=1")[0] == 410


def test_a_client_that_does_not_read_is_cut_off(
    cluster: Cluster, server: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its backlog is bounded; other requests do not notice."""
    monkeypatch.setattr("kubesim.rest.http.streams.BACKLOG_BYTES", 20_000)
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(b"GET /api/watch?kind=ConfigMap HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not len(server.streams):
            time.sleep(0.02)
        big = {"kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "x" * 200_000}}
        cluster.api.create(big)
        for number in range(60):
            cluster.api.patch("ConfigMap", "big", {"data": {"n": str(number)}})
        assert Client(server)("GET", "/healthz")[0] == 200
        data = b""
        try:
            while chunk := lazy.recv(65536):
                data += chunk
        except OSError:
            pass
        assert len(data) < 60 * 200_000
        assert b"EXPIRED" in data


def test_a_token_is_asked_for_where_one_is_set(cluster: Cluster) -> None:
    """401 without or with a wrong one; beyond loopback there must be one."""
    ask = Client(cluster.serve(token="secret"))
    assert ask("GET", "/api/pods")[0] == 401
    ask = Client(cluster._servers[-1])
    assert ask("GET", "/api/pods", Authorization="Bearer wrong")[0] == 401
    ask = Client(cluster._servers[-1])
    assert ask("GET", "/api/pods", Authorization="Bearer secret")[0] == 200
    with pytest.raises(BadRequest, match="token"):
        cluster.serve(host="0.0.0.0")


def test_starting_and_stopping_on_one_port_leaks_nothing(cluster: Cluster) -> None:
    """Twenty times, with an open stream each time; threads are back to where they were."""
    first = cluster.serve()
    port = first.port
    first.close()
    before = threading.active_count()
    for _ in range(20):
        server = cluster.serve(port=port)
        stream = socket.create_connection(("127.0.0.1", port), timeout=5)
        stream.sendall(b"GET /api/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert Client(server)("GET", "/healthz")[0] == 200
        server.close()
        server.close()
        stream.close()
    assert eventually(lambda: threading.active_count() <= before)


def test_half_open_connections_do_not_stop_others(server: RestServer) -> None:
    """A hundred connections never finish their requests; all others are served."""
    half_open = []
    for _ in range(100):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        connection.sendall(b"GET /api/pods HTTP/1.1\r\nHost: lo")
        half_open.append(connection)
    assert Client(server)("GET", "/api/pods")[0] == 200
    for connection in half_open:
        connection.close()


def test_three_hundred_requests_at_once_are_all_answered(server: RestServer) -> None:
    """A backlog that is large enough."""
    statuses: list[int] = []

    def one() -> None:
        statuses.append(Client(server)("GET", "/healthz")[0])

    threads = [threading.Thread(target=one) for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * 300


def test_beyond_the_limit_the_idlest_connection_goes(cluster: Cluster) -> None:
    """A new client is served although others hold all places."""
    server = cluster.serve()
    server.connections.limit = 10
    held = [Client(server) for _ in range(10)]
    for client in held:
        assert client("GET", "/healthz")[0] == 200
    assert Client(server)("GET", "/healthz")[0] == 200
    assert len(server.connections) <= 10
