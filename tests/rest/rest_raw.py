"""Raw bytes to and from a server: what the hostile tests are made of."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.rest import RestServer
from kubesim.store import EtcdStore

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
_HEADER_LINE = re.compile(rb"[A-Za-z-]+: [\x20-\x7e]*")


class Served(NamedTuple):
    """A server, and what it must not have changed."""

    server: RestServer
    api: KubeAPI
    analytics: Analytics


@contextmanager
def serving(**options: Any) -> Iterator[Served]:
    """A server of an empty cluster whose time stands still."""
    clock = VirtualClock()
    analytics = Analytics(clock.now)
    api = KubeAPI(EtcdStore(), clock, NamedStreams(1), analytics=analytics)
    with RestServer(api, analytics=analytics, **options) as server:
        yield Served(server, api, analytics)


def connect(port: int, patience: float = 10.0) -> socket.socket:
    """A client's socket."""
    return socket.create_connection(("127.0.0.1", port), timeout=patience)


def drain(connection: socket.socket) -> bytes:
    """All that comes until the server closes, resets or falls silent."""
    answer = b""
    try:
        while chunk := connection.recv(65536):
            answer += chunk
    except OSError:
        pass
    return answer


def exchange(port: int, *pieces: bytes, half_close: bool = True, patience: float = 10.0) -> bytes:
    """Send bytes, piece by piece, and read until the server closes."""
    with connect(port, patience) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before we were done: the answer may be there all the same
        return drain(connection)


def parse_answers(answer: bytes, *, head: bool = False) -> list[tuple[int, bytes]]:
    """(status, body) of all answers in a row; each must be proper HTTP, each error JSON.

    Args:
        answer: what came.
        head: these are answers to HEAD, which have no body.
    """
    found = []
    while answer:
        start, end, rest = answer.partition(b"\r\n\r\n")
        assert end, answer[:200]
        first, *lines = start.split(b"\r\n")
        assert re.fullmatch(rb"HTTP/1\.1 [1-5][0-9][0-9] [A-Za-z -]+", first), first
        assert all(_HEADER_LINE.fullmatch(line) for line in lines), lines
        headers = {name.lower(): value for name, _, value in (x.partition(b": ") for x in lines)}
        status = int(first[9:12])
        length = 0 if head else int(headers.get(b"content-length", b"0"))
        body, answer = rest[:length], rest[length:]
        assert len(body) == length
        if status >= 400 and not head:
            document = json.loads(body)
            as_status = document.get("kind") == "Status" and document.get("code") == status
            assert as_status or list(document) == ["error"], body
        found.append((status, body))
    return found


def statuses(answer: bytes, *, head: bool = False) -> list[int]:
    """Status codes of all answers in a row; [] if the server only closed the connection."""
    return [status for status, _ in parse_answers(answer, head=head)]


def get(path: bytes, headers: bytes = b"", host: bytes = HOST) -> bytes:
    """A plain GET."""
    return b"GET " + path + b" HTTP/1.1\r\n" + host + headers + b"\r\n"


def post(body: bytes, headers: bytes = JSON, path: bytes = b"/api/pods") -> bytes:
    """A plain POST."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + headers + length + b"\r\n" + body


def check_unharmed(served: Served) -> None:
    """The server answers, no pod exists, nothing inside failed."""
    assert statuses(exchange(served.server.port, get(b"/healthz"))) == [200]
    assert served.api.list_pods() == []
    assert served.analytics.since(level="error").rows == []


def eventually(holds: Callable[[], bool], patience: float = 60.0) -> bool:
    """Whether something comes true; looks again and again."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
