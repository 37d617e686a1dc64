"""REST requests per CPU second of the server, against http.server as tutorials use it, and aiohttp.

Each server runs in a process of its own, on a core of its own, and answers the same routes from the
same kind of state (`rest_peers`). What is counted is the CPU time of the *server's process* (user
and system, by getrusage), so a busy neighbour does not matter. The load comes from other processes
on the other cores: 16 connections that are kept alive, each with one request at a time (no
pipelining), every status checked. They are fast enough to keep the server busy; one that has to
be woken for every single request pays for the waking, whoever wrote it.

The row "of the floor" says how near GET one comes to a server that only receives and sends.
Latencies are wall time of one client.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import selectors
import socket
import statistics
import time

from benchmarks.measure import BenchmarkRow, median_ratio
from benchmarks.rest_peers import (
    PODS,
    Server,
    serve_aiohttp,
    serve_floor,
    serve_kubesim,
    serve_naive,
)

CONNECTIONS = 16
MARKS = {
    ("GET one", "naive"): 8.0,
    ("GET one", "aiohttp"): 2.0,
    ("list of 1,000, cached", "aiohttp"): 10.0,
}
PEERS = {"naive": "http.server, naive", "aiohttp": "aiohttp", "floor": "bare recv and send"}


class Client:
    """One connection that reads just enough of HTTP; connects anew if the server closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._space = memoryview(bytearray(2**22))
        self._got = self._body = self._end = 0  # bytes read; where the body begins and ends
        self.socket: socket.socket | None = None

    def send(self, request: bytes) -> socket.socket:
        """Begin a request; returns the socket on which the answer will come."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = self._body = 0
        self.socket.sendall(request)
        return self.socket

    def receive(self) -> tuple[int, memoryview] | None:
        """Read once; (status, body) when the answer is complete."""
        assert self.socket is not None
        count = self.socket.recv_into(self._space[self._got :])
        if not count:
            raise ConnectionError("the server closed the connection")
        self._got += count
        if not self._body:
            start = bytes(self._space[: min(self._got, 1_024)])
            end = start.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = self._head = start[: end + 2].lower()
            at = head.index(b"content-length:") + 15
            self._body = end + 4
            self._end = self._body + int(head[at : head.index(b"\r\n", at)])
        if self._got < self._end:
            return None
        if self._head.startswith(b"http/1.0") or b"connection: close" in self._head:
            self.socket.close()
            self.socket = None
        return int(self._head[9:12]), self._space[self._body : self._end]

    def ask(self, request: bytes) -> tuple[int, memoryview]:
        """(status, body) of a request."""
        self.send(request)
        while (answer := self.receive()) is None:
            pass
        return answer


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


def _work(port: int, connections: int, requests: list[bytes], expected: int) -> list[bytes]:
    """One process of the load: all requests over some connections; the bodies of 201s."""
    bodies: list[bytes] = []
    waiting = iter(requests)
    missing = len(requests)
    with selectors.DefaultSelector() as selector:

        def begin(client: Client) -> None:
            request = next(waiting, None)
            if request is not None:
                current = client.socket
                used = client.send(request)
                if used is not current:
                    selector.register(used, selectors.EVENT_READ, client)

        for _ in range(connections):
            begin(Client(port))
        while missing:
            for key, _events in selector.select(20):
                answer = key.data.receive()
                if answer is None:
                    continue
                missing -= 1
                status, body = answer
                assert status == expected, (status, bytes(body[:200]))
                if expected == 201:
                    bodies.append(bytes(body))
                if key.data.socket is None:
                    selector.unregister(key.fileobj)
                begin(key.data)
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return bodies


def leave_the_first_core() -> None:
    """It belongs to the server that is measured."""
    if hasattr(os, "sched_setaffinity"):
        others = sorted(os.sched_getaffinity(0))[1:]
        if others:
            os.sched_setaffinity(0, others)


class Load:
    """The processes that send requests."""

    def __init__(self) -> None:
        self._count = max(1, min(3, (os.cpu_count() or 2) - 1))
        context = multiprocessing.get_context("spawn")
        self._pool = context.Pool(self._count, initializer=leave_the_first_core)

    def __call__(
        self, server: Server, requests: list[bytes], expected: int
    ) -> tuple[float, list[bytes]]:
        """(requests per CPU second of the server, bodies of what was made)."""
        count = self._count
        shares = [CONNECTIONS // count + (n < CONNECTIONS % count) for n in range(count)]
        parts = [requests[n::count] for n in range(count)]
        before = server.cpu()
        answers = self._pool.starmap(
            _work,
            [
                (server.port, share, part, expected)
                for share, part in zip(shares, parts, strict=True)
            ],
        )
        used = server.cpu() - before
        return len(requests) / max(used, 1e-6), [body for part in answers for body in part]

    def close(self) -> None:
        """End them."""
        self._pool.terminate()
        self._pool.join()


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


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    rounds, scale = (3, 1) if quick else (5, 3)
    load = Load()
    servers = {
        "kubesim": Server(serve_kubesim),
        "naive": Server(serve_naive),
        "aiohttp": Server(serve_aiohttp),
        "floor": Server(serve_floor),
    }
    results: dict[str, dict[str, list[float]]] = {}
    waits: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    try:
        for turn in range(rounds):
            for name, server in servers.items():
                for case, rate in _round(load, name, server, turn, scale).items():
                    results.setdefault(case, {}).setdefault(name, []).append(rate)
                waits[name].append(latencies(server, 500 * scale))
    finally:
        load.close()
        for server in servers.values():
            server.close()
    return [*_rates(results), *_latency_rows(waits)]


def _round(load: Load, name: str, server: Server, turn: int, scale: int) -> dict[str, float]:
    """One turn of one server: all cases that it answers."""
    slow = 4 if name == "naive" else 1
    gets = [_get(f"/api/pods/{server.ids[n % PODS]}") for n in range(12_000 * scale // slow)]
    rates = {"GET one": load(server, gets, 200)[0]}
    if name == "floor":
        return rates
    rates["list of 1,000, cached"] = load(server, [_get("/api/pods")] * (400 * scale), 200)[0]
    posts = [_post(f"new-{turn}-{n}") for n in range(1_500 * scale)]
    rates["POST"], bodies = load(server, posts, 201)
    deletes = [_delete(json.loads(body)["id"]) for body in bodies]
    rates["DELETE"] = load(server, deletes, 200)[0]
    return rates


def _rates(results: dict[str, dict[str, list[float]]]) -> list[BenchmarkRow]:
    rows: list[BenchmarkRow] = []
    for case, rates in results.items():
        for peer in PEERS:
            if peer in rates:
                of_the_floor = ", of the floor" if peer == "floor" else ""
                rows.append(
                    {
                        "name": f"REST {case}{of_the_floor}",
                        "unit": "req/CPU s",
                        "kubesim": statistics.median(rates["kubesim"]),
                        "peer": statistics.median(rates[peer]),
                        "peer_name": PEERS[peer],
                        "ratio": median_ratio(rates["kubesim"], rates[peer]),
                        "mark": MARKS.get((case, peer)),
                    }
                )
    return rows


def _latency_rows(waits: dict[str, list[tuple[float, float]]]) -> list[BenchmarkRow]:
    rows: list[BenchmarkRow] = []
    for index, label in ((0, "p50"), (1, "p99")):
        ours = [pair[index] for pair in waits["kubesim"]]
        peers = [pair[index] for pair in waits["aiohttp"]]
        rows.append(
            {
                "name": f"REST GET one, one client, {label}",
                "unit": "ms",
                "kubesim": statistics.median(ours),
                "peer": statistics.median(peers),
                "peer_name": "aiohttp",
                "ratio": median_ratio(peers, ours),
            }
        )
    return rows
