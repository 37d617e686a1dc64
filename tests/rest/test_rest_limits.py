"""Every wait and every store of things has an end: slow clients, crowds, descriptors, restarts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from rest_raw import (
    HOST,
    Served,
    check_unharmed,
    connect,
    drain,
    eventually,
    exchange,
    get,
    post,
    serving,
    statuses,
)

from kubesim import Cluster
from kubesim.rest.http import connections, reader
from kubesim.rest.http.connections import Connections, connection_limit, stream_limit
from kubesim.rest.http.response import Response

pytestmark = pytest.mark.live

HEALTH = get(b"/healthz")
HALF = b"GET /api/pods HTTP/1.1\r\nHost: lo"
posix = pytest.mark.skipif(os.name != "posix", reason="counts what only POSIX shows")


@pytest.fixture
def served() -> Iterator[Served]:
    """A server of its own for each test."""
    with serving() as made:
        yield made


def drip(port: int, start: bytes, each: bytes) -> bytes:
    """Send a byte now and then until the server answers; what it answered."""
    with connect(port) as connection:
        connection.sendall(start)
        connection.settimeout(0.05)
        answer = b""
        while not answer:
            try:
                connection.sendall(each)
                answer = connection.recv(65536) or b"closed"
            except TimeoutError:
                continue
            except OSError:
                return answer
        connection.settimeout(10)
        return answer if answer == b"closed" else answer + drain(connection)


@pytest.mark.parametrize(
    ("start", "each"),
    [
        (b"G", b"E"),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
        (b"GET / HTTP/1.1\r\nA: ", b"x"),
        (b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Content-Length: 9999\r\n\r\n", b"{"),
        (b"\r\n", b"\r\n"),
    ],
    ids=["line", "headers", "one header", "body", "empty lines"],
)
def test_a_slow_writer_does_not_reset_the_clock(
    served: Served, monkeypatch: pytest.MonkeyPatch, start: bytes, each: bytes
) -> None:
    """The whole request has one deadline: 408, however steadily bytes drip in."""
    monkeypatch.setattr(reader, "REQUEST_SECONDS", 0.3)
    assert statuses(drip(served.server.port, start, each)) == [408]
    check_unharmed(served)


def test_a_silent_client_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two requests the kernel counts; then the connection is closed without a word."""
    monkeypatch.setattr(reader, "IDLE_SECONDS", 0.2)
    with serving() as served, connect(served.server.port) as connection:
        connection.sendall(HEALTH)
        assert statuses(drain(connection)) == [200]
        assert eventually(lambda: len(served.server.connections) == 0)


def test_a_slow_reader_does_not_hold_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is not taken in time is given up; the thread and its memory are free again."""
    with serving() as served, monkeypatch.context() as hurried:
        hurried.setattr(reader, "SEND_SECONDS", 0.1)
        hurried.setattr(reader, "ANSWER_SECONDS", 0.3)
        big = b"x" * 20_000_000
        served.server.router.add("GET", "/big", lambda _request: Response(200, big))
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            lazy.connect(("127.0.0.1", served.server.port))
            lazy.sendall(get(b"/big"))
            taken = 0
            while taken < len(big):  # a little at a time, for ever
                time.sleep(0.002)
                chunk = lazy.recv(512)
                if not chunk or not len(served.server.connections):
                    break
                taken += len(chunk)
            assert taken < len(big)
        assert eventually(lambda: len(served.server.connections) == 0)
        hurried.undo()
        # A client that reads gets all of it; the usual time, since a busy machine is slower.
        answer = exchange(served.server.port, get(b"/big"))
        assert answer.endswith(b"\r\n\r\n" + big)


def test_two_hundred_half_open_requests_hinder_nobody(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are served meanwhile; at the deadline each gets 408, and all threads end."""
    monkeypatch.setattr(reader, "REQUEST_SECONDS", 1.0)
    before = threading.active_count()
    half_open = [connect(served.server.port) for _ in range(200)]
    for connection in half_open:
        connection.sendall(HALF)
    for _ in range(20):
        assert statuses(exchange(served.server.port, get(b"/api/pods"))) == [200]
    for connection in half_open:
        assert statuses(connection.recv(65536)) == [408]
        connection.close()
    assert eventually(lambda: threading.active_count() <= before)
    check_unharmed(served)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that wait for their first response are not evicted so soon: machines are busy."""
    monkeypatch.setattr(connections, "MOMENT_SECONDS", 10.0)


@pytest.mark.usefixtures("patient")
def test_a_thousand_requests_at_once_are_all_answered(served: Served) -> None:
    """More than there is room for: an answered connection makes room, once its client can read."""
    resource = pytest.importorskip("resource")
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    served.server.connections.limit = 200
    clients = []
    try:
        for _ in range(min(1_000, descriptors - 400)):
            client = connect(served.server.port, 30)
            client.sendall(HEALTH)
            clients.append(client)
        assert {bytes(client.recv(65536)[:15]) for client in clients} == {b"HTTP/1.1 200 OK"}
        assert len(served.server.connections) <= 200
    finally:
        for connection in clients:
            connection.close()
    check_unharmed(served)


@pytest.mark.usefixtures("patient")
def test_a_crowd_is_larger_than_the_room(served: Served) -> None:
    """Forty at once where ten have room: all are answered; answered ones are evicted first."""
    served.server.connections.limit = 10
    answered: list[int] = []

    def ask() -> None:
        with connect(served.server.port, 30) as connection:
            connection.sendall(HEALTH)
            answered.extend(statuses(connection.recv(65536)))

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answered == [200] * 40
    assert len(served.server.connections) <= 10


def test_when_the_server_is_full_connections_are_evicted_in_order(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First answered and idle ones, the longest idle first; then silent ones; then half-way ones.

    Each step waits until the server has noticed the one before: on a busy machine its threads are
    slower than the client.
    """
    monkeypatch.setattr(reader, "REQUEST_SECONDS", 60.0)
    server = served.server
    server.connections.limit = 4

    def states() -> list[tuple[bool, bool]]:
        """(busy, served) of every connection."""
        return sorted((c.busy, c.served) for c in list(server.connections._open))

    half = connect(server.port, 30)
    half.sendall(HALF)
    assert eventually(lambda: states() == [(True, False)])
    silent = connect(server.port, 30)
    assert eventually(lambda: states() == [(False, False), (True, False)])
    old, young = connect(server.port, 30), connect(server.port, 30)
    for number, connection in enumerate((old, young), 1):
        connection.sendall(HEALTH)
        assert statuses(connection.recv(65536)) == [200]
        assert eventually(lambda number=number: states().count((False, True)) == number)
    newcomers = []
    for number, evicted in enumerate((old, young, silent, half), 1):
        newcomer = connect(server.port, 30)
        newcomers.append(newcomer)
        newcomer.sendall(HALF)  # a request in progress keeps its place
        assert drain(evicted) == b"", "closed without an answer"
        evicted.close()
        busy = min(number + 1, 4)
        assert eventually(lambda busy=busy: states().count((True, False)) == busy)
    assert len(server.connections) == 4
    for newcomer in newcomers:
        newcomer.sendall(b"calhost\r\n\r\n")
    assert [statuses(newcomer.recv(65536)) for newcomer in newcomers] == [[200]] * 4
    for newcomer in newcomers:
        newcomer.close()
    check_unharmed(served)


def test_limits_leave_descriptors_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half for connections, a quarter for streams, both bounded."""
    resource = pytest.importorskip("resource")
    for soft, most_connections, most_streams in (
        (64, 32, 16),
        (1_024, 512, 256),
        (2**20, 512, 2_000),
        (resource.RLIM_INFINITY, 512, 2_000),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _which, soft=soft: (soft, soft))
        assert (connection_limit(), stream_limit()) == (most_connections, most_streams)


def test_beyond_the_limit_no_stream_is_opened(served: Served) -> None:
    """429 with Retry-After; when one goes, there is room again."""
    server = served.server
    server.streams.limit = 2
    watch = get(b"/api/watch?kind=Pod")
    first = [connect(server.port) for _ in range(2)]
    for connection in first:
        connection.sendall(watch)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
    refused = exchange(server.port, watch)
    assert statuses(refused) == [429]
    assert b"Retry-After: " in refused
    first[0].close()
    assert eventually(lambda: len(server.streams) == 1)
    with connect(server.port) as again:
        again.sendall(watch)
        assert again.recv(65536).startswith(b"HTTP/1.1 200 OK")
    first[1].close()


SERVE = """
import resource, sys, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
from kubesim import Cluster
with Cluster(nodes=1, seed=1) as cluster:
    server = cluster.serve()
    server.connections.limit = 10_000  # so that the descriptors run out first
    print(server.port, flush=True)
    sys.stdin.readline()
"""


@posix
def test_without_descriptors_the_server_makes_room() -> None:
    """Two hundred half-open connections where sixty descriptors are: others are served."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    held = []
    try:
        for _ in range(200):
            connection = connect(port)
            connection.setblocking(False)
            connection.send(HALF)
            held.append(connection)
        assert statuses(exchange(port, HEALTH, patience=60)) == [200]
    finally:
        for connection in held:
            connection.close()
        _, errors = process.communicate("end\n", timeout=30)
    assert "Traceback" not in errors


def test_fifty_times_started_and_stopped_nothing_stays() -> None:
    """On one port: threads, descriptors and places are as before, whatever was open."""

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    with Cluster(nodes=1, seed=1) as cluster:
        first = cluster.serve()
        port = first.port
        first.close()
        threads, open_before = threading.active_count(), descriptors()
        clients: list[socket.socket] = []
        for _ in range(50):
            server = cluster.serve(port=port)
            for start in (HEALTH, HALF, b"", get(b"/api/watch?kind=Pod")):
                client = connect(port)
                client.sendall(start)
                clients.append(client)
            assert clients[-4].recv(65536).startswith(b"HTTP/1.1 200")
            assert clients[-1].recv(65536).startswith(b"HTTP/1.1 200")
            server.close(grace_seconds=0.01)
            assert len(server.streams) == 0
            for client in clients[-4:]:
                client.close()
        cluster._servers.clear()
        del server, first
        assert eventually(lambda: threading.active_count() <= threads)
        assert eventually(lambda: descriptors() <= open_before)


def test_a_request_in_flight_is_finished_when_the_server_stops(served: Served) -> None:
    """Its handler still runs: it has the grace; a half-open one is cut afterwards."""
    entered, leave = threading.Event(), threading.Event()

    def slow(_request: object) -> Response:
        entered.set()
        assert leave.wait(10)
        return Response(200, b"done", "text/plain")

    port = served.server.port
    served.server.router.add("GET", "/slow", slow)
    with connect(served.server.port) as busy, connect(served.server.port) as half:
        busy.sendall(get(b"/slow"))
        half.sendall(HALF)
        assert entered.wait(10)
        stopping = threading.Thread(target=served.server.close, kwargs={"grace_seconds": 0.5})
        stopping.start()
        leave.set()
        assert busy.recv(65536).endswith(b"\r\n\r\ndone")
        assert drain(half) == b""
        stopping.join(10)
        assert not stopping.is_alive()
    with pytest.raises(ConnectionRefusedError):
        connect(port)


def test_a_handler_that_fails_is_answered_and_logged_once(served: Served) -> None:
    """500 as JSON without the reason, one row in the log, and the connection goes on."""

    def broken(_request: object) -> Response:
        raise ZeroDivisionError("secret")

    served.server.router.add("GET", "/broken", broken)
    answer = exchange(served.server.port, get(b"/broken") + HEALTH)
    assert statuses(answer) == [500, 200]
    assert b"secret" not in answer
    (row,) = served.analytics.since(level="error").rows
    assert row.action == "InternalError"
    assert "ZeroDivisionError: secret" in row.message


def test_bookkeeping_survives_many_threads() -> None:
    """Connections come and go in eight threads while others are evicted: nothing is left over."""
    table = Connections(limit=20)
    failures: list[BaseException] = []
    barrier = threading.Barrier(8)
    interval = sys.getswitchinterval()

    def churn() -> None:
        try:
            barrier.wait(10)
            for number in range(150):
                ours, theirs = socket.socketpair()
                with ours, theirs:
                    channel = reader.Connection.__new__(reader.Connection)
                    channel.connection = ours
                    channel.busy, channel.served = bool(number % 3), bool(number % 2)
                    channel.stalled, channel.unread = channel.busy, bool(number % 5)
                    channel.since = time.monotonic() - 1.0
                    table.make_room()
                    table.add(channel)
                    if number % 7 == 0:
                        table.evict()
                    table.remove(channel)
        except BaseException as error:  # noqa: BLE001 - asserted in the test's own thread
            failures.append(error)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=churn) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert len(table) == 0


def test_a_stream_that_fails_harms_no_other(served: Served) -> None:
    """Its client is cut off, one row says why, and the other stream goes on."""
    server, api = served.server, served.api
    clients = [connect(server.port) for _ in range(2)]
    for client in clients:
        client.sendall(get(b"/api/watch?kind=ConfigMap&format=jsonl"))
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
    assert eventually(lambda: len(server.streams) == 2)

    def fail(_waiting: int) -> bytes:
        raise ZeroDivisionError("broken watch")

    server.streams._streams[0].source.pull = fail  # type: ignore[method-assign]
    api.create({"kind": "ConfigMap", "metadata": {"name": "news"}, "data": {}})
    received = [drain(client) if n == 0 else client.recv(65536) for n, client in enumerate(clients)]
    assert received[0] == b""
    assert json.loads(received[1])["object"]["metadata"]["name"] == "news"
    (row,) = served.analytics.since(level="error").rows
    assert row.action == "StreamFailed"
    for client in clients:
        client.close()


def test_what_is_posted_is_bounded(served: Served) -> None:
    """3 MiB of body are read, one byte more is refused before it comes."""
    limit = 3 * 1024 * 1024
    fits = post(b'{"name": "' + b"a" * (limit - 12) + b'"}')
    assert statuses(exchange(served.server.port, fits)) == [400]  # no name is that long
    assert b"Content-Length: %d\r\n" % limit in fits
    head = b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (limit + 1)
    assert statuses(exchange(served.server.port, head)) == [413]
    check_unharmed(served)
