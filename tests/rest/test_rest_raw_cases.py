"""Four hundred raw requests, each with its expected status; nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rest_cases import framing, header_lines, paths, request_lines, strangers
from rest_raw import HOST, Served, check_unharmed, exchange, get, parse_answers, serving, statuses

pytestmark = pytest.mark.live

CASES = {**request_lines(), **header_lines(), **framing(), **paths(), **strangers()}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One server for all cases."""
    with serving() as made:
        yield made


def test_there_are_enough_cases() -> None:
    """No case was lost."""
    assert len(CASES) >= 400


@pytest.mark.parametrize("name", CASES)
def test_every_request_gets_its_status(served: Served, name: str) -> None:
    """One answer, proper HTTP, errors as JSON, no header that lets a stranger read; no harm."""
    raw, wanted = CASES[name]
    answer = exchange(served.server.port, raw)
    assert statuses(answer) == wanted
    assert b"Access-Control-Allow-Origin: *" not in answer
    if wanted == [403]:
        assert b"Access-Control" not in answer
    check_unharmed(served)


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/api/pods",
        b"/api/nodes",
        b"/api/logs",
        b"/api/summary",
        b"/health",
        b"/nope",
        b"/api/pods/x",
    ],
)
def test_head_is_get_without_its_body(served: Served, path: bytes) -> None:
    """The same status and length, and no byte of a body."""
    ((status, body),) = parse_answers(exchange(served.server.port, get(path)))
    answer = exchange(served.server.port, b"HEAD " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert statuses(answer, head=True) == [status]
    assert b"Content-Length: %d\r\n" % len(body) in answer
