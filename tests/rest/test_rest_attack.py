"""A server that others can reach: tokens, files with secrets, clients that do not speak or read."""

from __future__ import annotations

import shutil
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kube_http import PODS, Kube, kube

from kubesim import Cluster
from kubesim.__main__ import main
from kubesim.errors import BadRequest
from kubesim.rest.http import connections, reader, streams
from kubesim.rest.http.streams import StreamWriter
from kubesim.rest.users import User

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


# -- tokens and files with secrets -----------------------------------------------------------------


def test_a_short_token_is_refused_where_others_can_guess_it() -> None:
    """Eight characters or more beyond loopback, of users' tokens, too; any token on loopback."""
    with Cluster(0, hpa=False) as cluster:
        with pytest.raises(BadRequest, match="at least 8 characters"):
            cluster.serve("0.0.0.0", token="x")
        with pytest.raises(BadRequest, match="at least 8 characters"):
            cluster.serve("0.0.0.0", users=[User("a", token="short")])
        cluster.serve("127.0.0.1", token="x")


def test_a_token_beside_users_is_refused() -> None:
    """No request could carry both: everybody was locked out."""
    users = [User("a", token="long-enough-of-a")]
    with (
        Cluster(0, hpa=False) as cluster,
        pytest.raises(BadRequest, match="a token and users exclude each other"),
    ):
        cluster.serve(token="long-enough", users=users)


@pytest.mark.live
def test_an_open_server_without_tls_says_so() -> None:
    """One warning in the log, which `serve` prints."""
    with Cluster(0, hpa=False) as cluster:
        cluster.serve("0.0.0.0", token="long-enough")
        (row,) = cluster.analytics.since(0, action="Unencrypted").rows
    assert row.level == "warn"
    assert "unencrypted" in row.message and "--tls" in row.message


@pytest.mark.live
@pytest.mark.parametrize("exists", [True, False])
def test_a_kubeconfig_is_for_its_owner_alone(exists: bool, tmp_path: Path) -> None:
    """Also over a file that everybody may read and that is longer, from Python and by command."""
    for name in ("served", "command"):
        path = tmp_path / name
        if exists:
            path.write_text("old " * 1_000)
            path.chmod(0o644)
        if name == "served":
            with Cluster(0, hpa=False) as cluster:
                cluster.serve(token="long-enough", kubeconfig=path)
        else:
            assert main(["kubeconfig", "--token", "long-enough", "--out", str(path)]) == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text().startswith("apiVersion: v1") and "old" not in path.read_text()


# -- unexpected errors -----------------------------------------------------------------------------


@pytest.mark.live
@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (KeyError("secret detail"), 500, "InternalError"),
        (SystemExit(3), 500, "InternalError"),
        (ConnectionRefusedError("secret detail"), 503, "ServiceUnavailable"),
    ],
)
def test_an_unexpected_error_is_a_status(
    error: BaseException, code: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the Kubernetes routes: the client reads a Status, and the log has the text."""
    with kube() as (cluster, ask):

        def fail(*_arguments: object, **_options: object) -> Any:
            raise error

        monkeypatch.setattr(cluster.api, "list_shared", fail)
        reply = ask("GET", PODS)
        assert (reply.status, reply.body["kind"], reply.body["reason"]) == (code, "Status", reason)
        assert reply.headers.get("Retry-After") == ("1" if code == 503 else None)
        assert "secret" not in str(reply.body)
        (row,) = cluster.analytics.since(0, action="InternalError").rows
        assert type(error).__name__ in row.message


# -- silent clients over TLS -----------------------------------------------------------------------


@pytest.mark.live
@needs_openssl
def test_silent_tls_connections_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a handshake, and a whole one without a request, end as over plain HTTP."""
    monkeypatch.setattr(reader, "IDLE_SECONDS", 0.5)
    with kube(tls=True) as (_, ask):
        server = ask.server
        half = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        half.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello that stops
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        idle = context.wrap_socket(plain)
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200")
        for client in (half, idle):
            begin = time.monotonic()
            assert client.recv(100) == b""
            assert time.monotonic() - begin < 20
            client.close()


# -- many clients at once --------------------------------------------------------------------------


@pytest.mark.live
def test_a_full_server_answers_everybody_who_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 GETs at once at a server of 8 connections that needs long for each: newcomers wait."""
    monkeypatch.setattr(connections, "MOMENT_SECONDS", 0.02)
    with kube() as (_, ask):
        server = ask.server
        ask.connection.close()
        answer = server.dispatch

        def slow(request: Any) -> Any:
            time.sleep(0.1)
            return answer(request)

        monkeypatch.setattr(server, "dispatch", slow)
        monkeypatch.setattr(server.connections, "limit", 8)
        replies: list[bytes] = []

        def get() -> None:
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                try:
                    replies.append(client.recv(65_536)[:12])
                except OSError as error:
                    replies.append(repr(error).encode())

        threads = [threading.Thread(target=get) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert replies == [b"HTTP/1.1 200"] * 100


@pytest.mark.live
def test_silent_connections_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 that say nothing, 8 that stop within a request: the next client is served soon."""
    with kube() as (_, ask):
        server = ask.server
        monkeypatch.setattr(server.connections, "limit", 8)
        for start in (b"", b"GET /healthz HTTP/1.1\r\nHo"):
            silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
            for client in silent:
                client.sendall(start)
            begin = time.monotonic()
            assert Kube(server)("GET", "/healthz").status == 200
            assert time.monotonic() - begin < 8  # before any time-out
            for client in silent:
                client.close()


# -- clients that do not read ----------------------------------------------------------------------


class Counted:
    """A source with a number of bytes in all; it counts how often it is asked."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.pulls, self.done = data, 0, False

    def pull(self, waiting: int) -> bytes:
        """Return what is new, unless much waits already."""
        self.pulls += 1
        if waiting:
            return b""
        data, self.data = self.data, b""
        return data

    def close(self) -> None:
        """End."""


@contextmanager
def writer() -> Iterator[StreamWriter]:
    """A running writer of streams."""
    made = StreamWriter()
    made.start()
    try:
        yield made
    finally:
        made.close()


def attach(made: StreamWriter, source: Counted) -> tuple[socket.socket, Any]:
    """Open a stream: the client's end, and the function that signals new data."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(30)
    signals: list[Any] = []

    def make(signal: Any) -> Counted:
        signals.append(signal)
        return source

    made.open(ours, b"", make)
    return theirs, signals[0]


@pytest.mark.live
def test_a_client_that_does_not_read_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its socket is waited for, not tried again and again; news for others is sent at once."""
    monkeypatch.setattr(streams, "IDLE_SECONDS", 60.0)  # no other wake-up helps
    with writer() as made:
        slow, other = Counted(b"x" * 8_000_000), Counted()
        silent, _ = attach(made, slow)
        reading, signal = attach(made, other)
        time.sleep(0.5)
        before = other.pulls
        time.sleep(1.0)
        assert other.pulls - before < 5  # some 50 with a retry each 20 ms
        for number in range(20):
            other.data = b"%03d" % number
            signal()
            assert reading.recv(100) == b"%03d" % number
        received = 0
        while received < 8_000_000:  # it reads again, and gets all
            received += len(silent.recv(1 << 20))
        silent.close()
        reading.close()


@pytest.mark.live
def test_a_watch_is_read_beside_one_that_is_not() -> None:
    """Two watches of one server: the silent one is full, the other hears each change."""
    with kube() as (cluster, ask):
        silent = socket.create_connection(("127.0.0.1", ask.server.port))
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.sendall(b"GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for number in range(60):
            cluster.api.create(big_map(f"m{number}"))
        path = "/api/v1/configmaps?watch=true&fieldSelector=metadata.name%3Dlast"
        events: list[Any] = []
        watching = threading.Thread(target=lambda: events.extend(Kube(ask.server).watch(path, 1)))
        watching.start()
        time.sleep(0.2)
        cluster.api.create({"kind": "ConfigMap", "metadata": {"name": "last"}})
        watching.join(20)
        assert [event["object"]["metadata"]["name"] for event in events] == ["last"]
        silent.close()


def big_map(name: str) -> dict[str, Any]:
    """A ConfigMap of 100 kB."""
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "x" * 100_000}}
