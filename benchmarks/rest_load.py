"""REST requests per CPU second of the server, against http.server as tutorials use it, and aiohttp.

Each server runs in a process of its own and answers the same routes from the same kind of state:
1,000 pods with their records. The client keeps connections alive and checks every status. What is
counted is the CPU time of the *server's process* (user and system), so a busy neighbour or a slow
client does not matter; latencies are wall time of one client.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.measure import median_ratio

PODS = 1_000
CONNECTIONS = 16
Servers = dict[str, "Server"]


# -- the servers, each in a process of its own --------------------------------------------------


def _records() -> dict[str, dict[str, Any]]:
    return {
        f"id-{n}": {
            "id": f"id-{n}",
            "name": f"pod-{n}",
            "status": "Running",
            "cpu": 134,
            "memory": 76,
            "logs": ["[tick] Pod is running..."] * 10,
            "namespace": "default",
            "node": "node-1",
        }
        for n in range(PODS)
    }


def _serve_kubesim(pipe: Any) -> None:
    from kubesim.apiserver import KubeAPI
    from kubesim.clock import NamedStreams, VirtualClock
    from kubesim.rest import RestServer
    from kubesim.store import EtcdStore

    api = KubeAPI(EtcdStore(), VirtualClock(), NamedStreams(1))
    lines = [(0.0, "[tick] Pod is running...")] * 10
    api.register_log_source("node-1", lambda *_args: lines)
    ids = []
    for number in range(PODS):
        pod = api.create_pod(f"pod-{number}")
        api.bind(f"pod-{number}", "default", "node-1")
        known = api.get("Pod", f"pod-{number}")
        api.update_status({**known, "status": {**known["status"], "phase": "Running"}})
        api.metrics_writer("default", f"pod-{number}")(1.0, 1.0, "main", 134, 76_000_000)
        ids.append(pod["id"])

    def force_delete(id: str) -> None:
        """As a pod without a kubelet goes: the state is removed at once."""
        kv = api.seed.find(id)
        api.delete("Pod", kv.value["metadata"]["name"], grace_period_seconds=0)

    api.delete_pod = force_delete  # type: ignore[method-assign]
    server = RestServer(api).start()
    _answer(pipe, server.port, ids)


def _serve_naive(pipe: Any) -> None:
    pods = _records()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """As tutorials write it."""

        def _send(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            with lock:
                if self.path == "/api/pods":
                    self._send(200, list(pods.values()))
                else:
                    self._send(200, pods[self.path.rpartition("/")[2]])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            identity = str(uuid.uuid4())
            with lock:
                pods[identity] = {"id": identity, "name": body["name"], "status": "Pending"}
            self._send(201, {"message": "Pod created", "id": identity})

        def do_DELETE(self) -> None:
            with lock:
                del pods[self.path.rpartition("/")[2]]
            self._send(200, {"message": "Pod deleted"})

        def log_message(self, *_args: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _answer(pipe, server.server_address[1], list(pods))


def _serve_aiohttp(pipe: Any) -> None:
    import asyncio

    from aiohttp import web

    pods = _records()

    async def list_all(_request: Any) -> Any:
        return web.json_response(list(pods.values()))

    async def get_one(request: Any) -> Any:
        return web.json_response(pods[request.match_info["id"]])

    async def create(request: Any) -> Any:
        body = await request.json()
        identity = str(uuid.uuid4())
        pods[identity] = {"id": identity, "name": body["name"], "status": "Pending"}
        return web.json_response({"message": "Pod created", "id": identity}, status=201)

    async def delete(request: Any) -> Any:
        del pods[request.match_info["id"]]
        return web.json_response({"message": "Pod deleted"})

    def serve() -> None:
        async def main() -> None:
            app = web.Application()
            app.add_routes(
                [
                    web.get("/api/pods", list_all),
                    web.get("/api/pods/{id}", get_one),
                    web.post("/api/pods", create),
                    web.delete("/api/pods/{id}", delete),
                ]
            )
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            ports.append(site._server.sockets[0].getsockname()[1])
            ready.set()
            await asyncio.Event().wait()

        asyncio.run(main())

    ports: list[int] = []
    ready = threading.Event()
    threading.Thread(target=serve, daemon=True).start()
    ready.wait(20)
    _answer(pipe, ports[0], list(pods))


def _answer(pipe: Any, port: int, ids: list[str]) -> None:
    """Tell where the server is, then its CPU time whenever asked, until the pipe closes.

    Every server gets one core for itself, where the system can do that: what threads cost when they
    hop between cores says more about the machine than about the server.
    """
    if hasattr(os, "sched_setaffinity"):
        core = {sorted(os.sched_getaffinity(0))[0]}
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), core)
    pipe.send((port, ids))
    try:
        while pipe.recv() == "cpu":
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send(used.ru_utime + used.ru_stime)
    except EOFError:
        pass
    os._exit(0)


class Server:
    """A server process and the way to it."""

    def __init__(self, serve: Callable[[Any], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        self.port, self.ids = self._pipe.recv()
        self.made: list[str] = []

    def cpu(self) -> float:
        """CPU seconds of the process so far."""
        self._pipe.send("cpu")
        return float(self._pipe.recv())

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()


# -- the client ---------------------------------------------------------------------------------


class Client:
    """One keep-alive connection that reads just enough of HTTP."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = b""

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """(status, body) of a request; connects anew if the server closed."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._buffer = b""
        self._socket.sendall(request)
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._buffer += self._receive()
        head = self._buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
        while len(self._buffer) < end + 4 + length:
            self._buffer += self._receive()
        body = self._buffer[end + 4 : end + 4 + length]
        self._buffer = self._buffer[end + 4 + length :]
        status = int(head[9:12])
        if head.startswith(b"http/1.0") or b"connection: close" in head:
            self._socket.close()
            self._socket = None
        return status, body

    def _receive(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def _post(name: str) -> bytes:
    body = json.dumps({"name": name})
    return (
        f"POST /api/pods HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _delete(id: str) -> bytes:
    return f"DELETE /api/pods/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def load(server: Server, requests: list[bytes], expected: int) -> tuple[float, list[bytes]]:
    """(requests per CPU second of the server, bodies), over several connections."""
    bodies: list[bytes] = []

    def work(part: list[bytes]) -> None:
        client = Client(server.port)
        for request in part:
            status, body = client.ask(request)
            assert status == expected, (status, body[:200])
            if expected == 201:
                bodies.append(body)

    threads = [
        threading.Thread(target=work, args=(requests[n::CONNECTIONS],)) for n in range(CONNECTIONS)
    ]
    before = server.cpu()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(requests) / max(server.cpu() - before, 1e-6), bodies


def latencies(server: Server, count: int) -> tuple[float, float]:
    """(p50, p99) in milliseconds of GET one by a single client."""
    client = Client(server.port)
    times = []
    for number in range(count):
        request = _get(f"/api/pods/{server.ids[number % PODS]}")
        start = time.perf_counter()
        client.ask(request)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return statistics.median(times), times[int(count * 0.99)]


def run(quick: bool) -> list[dict]:
    """Rows for the driver."""
    rounds, scale = (3, 1) if quick else (5, 3)
    servers: Servers = {
        "kubesim": Server(_serve_kubesim),
        "naive": Server(_serve_naive),
        "aiohttp": Server(_serve_aiohttp),
    }
    results: dict[str, dict[str, list[float]]] = {}
    waits: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    try:
        for turn in range(rounds):
            for name, server in servers.items():
                for case, rate in _round(name, server, turn, scale).items():
                    results.setdefault(case, {}).setdefault(name, []).append(rate)
                waits[name].append(latencies(server, 500 * scale))
    finally:
        for server in servers.values():
            server.close()
    marks = {
        ("GET one", "naive"): 8.0,
        ("GET one", "aiohttp"): 2.0,
        ("list of 1,000, cached", "aiohttp"): 10.0,
    }
    rows = []
    for case, rates in results.items():
        for peer in ("naive", "aiohttp"):
            rows.append(
                {
                    "name": f"REST {case}",
                    "unit": "req/CPU s",
                    "kubesim": statistics.median(rates["kubesim"]),
                    "peer": statistics.median(rates[peer]),
                    "peer_name": "http.server, naive" if peer == "naive" else peer,
                    "ratio": median_ratio(rates["kubesim"], rates[peer]),
                    "mark": marks.get((case, peer)),
                }
            )
    for index, label in ((0, "p50"), (1, "p99")):
        mine = [pair[index] for pair in waits["kubesim"]]
        theirs = [pair[index] for pair in waits["aiohttp"]]
        rows.append(
            {
                "name": f"REST GET one, one client, {label}",
                "unit": "ms",
                "kubesim": statistics.median(mine),
                "peer": statistics.median(theirs),
                "peer_name": "aiohttp",
                "ratio": median_ratio(theirs, mine),
            }
        )
    return rows


def _round(name: str, server: Server, turn: int, scale: int) -> dict[str, float]:
    """One turn of one server: all four cases."""
    slow = 4 if name == "naive" else 1
    gets = [_get(f"/api/pods/{server.ids[n % PODS]}") for n in range(8_000 * scale // slow)]
    lists = [_get("/api/pods")] * (400 * scale)
    posts = [_post(f"new-{turn}-{n}") for n in range(1_500 * scale)]
    rates = {
        "GET one": load(server, gets, 200)[0],
        "list of 1,000, cached": load(server, lists, 200)[0],
    }
    rates["POST"], bodies = load(server, posts, 201)
    deletes = [_delete(json.loads(body)["id"]) for body in bodies]
    rates["DELETE"] = load(server, deletes, 200)[0]
    return rates
