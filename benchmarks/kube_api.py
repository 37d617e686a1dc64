"""The Kubernetes routes: lists, GET one and watches, against aiohttp and naive http.server.

As in `rest_load`, each server has a process and a core of its own, and what is counted is its CPU
time. The peers hold the same 1,000 pod documents and encode them for each answer, as their
tutorials do; their table is finished, so that they compute no cells. The cluster stands still
meanwhile: kubesim's rows say what a list costs whose objects did not change since the last one.

The watch: streams that began at the present revision, an event each 250 ms. The time runs from the
order to change a pod until the last stream has read the event; CPU for each delivery includes the
change itself.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import statistics
import time
from collections.abc import Callable
from functools import partial

from benchmarks.measure import BenchmarkRow, row
from benchmarks.rest_load import Client, Load, leave_the_first_core
from benchmarks.rest_peers import PODS, Server, serve_aiohttp, serve_kubesim, serve_naive

PEERS = {"aiohttp": "aiohttp", "naive": "http.server, naive"}
TABLE = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n"
LIST = "/api/v1/pods"
EVENT_SECONDS = 0.25
PATIENCE_SECONDS = 20

Figures = dict[str, list[float]]  # of each server, one for each round


def _get(path: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()


def _requests(case: str, count: int) -> list[bytes]:
    if case == "GET one":
        base = "/api/v1/namespaces/default/pods/pod-"
        return [_get(f"{base}{number % PODS}") for number in range(count)]
    return [_get(LIST, TABLE if case == "list of 1,000, Table" else "")] * count


COUNTS = {"GET one": 2_000, "list of 1,000, JSON": 60, "list of 1,000, Table": 60}


def _check(servers: dict[str, Server]) -> None:
    """All answer with the same documents; else the comparison would mean nothing."""
    for case in COUNTS:
        request = _requests(case, 1)[0]
        bodies = {name: _body(server, request) for name, server in servers.items()}
        for name, body in bodies.items():
            assert _stripped(body) == _stripped(bodies["kubesim"]), (case, name)


def _body(server: Server, request: bytes) -> object:
    status, body = Client(server.port).ask(request)
    assert status == 200, status
    return json.loads(bytes(body))


def _stripped(value: object) -> object:
    """Without what differs between two clusters with the same pods."""
    if isinstance(value, dict):
        apart = ("uid", "creationTimestamp", "resourceVersion", "time")
        return {k: _stripped(v) for k, v in value.items() if k not in apart}
    return [_stripped(item) for item in value] if isinstance(value, list) else value


def latencies(server: Server, requests: list[bytes]) -> tuple[float, float]:
    """(p50, p99) in milliseconds of a single client."""
    client, times = Client(server.port), []
    for request in requests:
        start = time.perf_counter()
        client.ask(request)
        times.append((time.perf_counter() - start) * 1000)
    return _quantiles(times)


def _quantiles(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


class Watchers:
    """Streams of one server.

    Args:
        server: whose.
        count: so many.
    """

    def __init__(self, server: Server, count: int) -> None:
        self._server = server
        listed = _body(server, _get(LIST))
        assert isinstance(listed, dict)
        revision = listed["metadata"]["resourceVersion"]
        self._selector = selectors.DefaultSelector()
        for _ in range(count):
            stream = socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS)
            stream.sendall(_get(f"{LIST}?watch=true&resourceVersion={revision}"))
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(65_536)
            assert b" 200 " in head[:20], head
            self._selector.register(stream, selectors.EVENT_READ, bytearray())
        self._count = count

    def event(self, marker: str) -> float:
        """Milliseconds from the order to change a pod until the last stream has it."""
        pattern, missing = marker.encode(), self._count
        start = time.perf_counter()
        self._server.change(marker)
        while missing:
            ready = self._selector.select(PATIENCE_SECONDS)
            assert ready, f"{missing} of {self._count} streams got nothing"
            for key, _events in ready:
                got = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                assert got, "the server ended a stream"
                key.data.extend(got)
                if pattern in key.data:
                    key.data.clear()
                    missing -= 1
        return (time.perf_counter() - start) * 1000

    def close(self) -> None:
        """Hang up."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


def watch(server: Server, streams: int, events: int, turn: int) -> tuple[float, float, float]:
    """(p50 and p99 until the last stream has it in ms, CPU of a delivery in us)."""
    watchers = Watchers(server, streams)
    try:
        watchers.event(f"warm-{turn}-")
        before, times = server.cpu(), []
        for number in range(events):
            time.sleep(EVENT_SECONDS)
            times.append(watchers.event(f"event-{turn}-{number}-"))
        used = server.cpu() - before
    finally:
        watchers.close()
    return *_quantiles(times), used / (events * streams) * 1e6


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    rounds, scale, streams, events = (3, 1, 50, 12) if quick else (3, 2, 100, 40)
    servers = {
        "kubesim": Server(serve_kubesim),
        "aiohttp": Server(serve_aiohttp),
        "naive": Server(serve_naive),
    }
    load = Load()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    leave_the_first_core()
    figures: dict[tuple[str, str], Figures] = {}

    try:
        _check(servers)
        for turn in range(rounds):
            for name, server in servers.items():
                note = partial(_note, figures, name)
                _round(load, server, scale, note)
                p50, p99, cost = watch(server, streams, events, turn)
                note(f"watch, last of {streams} streams, p50", "ms", p50)
                note(f"watch, last of {streams} streams, p99", "ms", p99)
                note(f"watch, a delivery to {streams} streams", "CPU us", cost)
    finally:
        load.close()
        for server in servers.values():
            server.close()
        if cores:
            os.sched_setaffinity(0, cores)
    return [
        row(
            f"Kubernetes {what}",
            unit,
            results["kubesim"],
            results[peer],
            title,
            less_is_better=unit != "req/CPU s",
        )
        for (what, unit), results in figures.items()
        for peer, title in PEERS.items()
    ]


def _note(
    figures: dict[tuple[str, str], Figures], name: str, what: str, unit: str, value: float
) -> None:
    """Append a value to the figures of one server."""
    figures.setdefault((what, unit), {}).setdefault(name, []).append(value)


def _round(load: Load, server: Server, scale: int, note: Callable[[str, str, float], None]) -> None:
    """The requests of one turn of one server."""
    for case, count in COUNTS.items():
        note(case, "req/CPU s", load(server, _requests(case, count * scale), 200)[0])
        p50, p99 = latencies(server, _requests(case, max(100, count // 4) * scale))
        note(f"{case}, one client, p50", "ms", p50)
        note(f"{case}, one client, p99", "ms", p99)
