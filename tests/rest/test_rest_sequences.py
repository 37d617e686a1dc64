"""Several requests on one connection, requests in pieces, and requests at random."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_raw import (
    HOST,
    JSON,
    Served,
    check_unharmed,
    connect,
    drain,
    exchange,
    get,
    post,
    serving,
    statuses,
)

pytestmark = pytest.mark.live

BAD_NAME = post(b'{"name": ""}')
HEALTH = get(b"/healthz")
QUICK = settings(max_examples=300, deadline=None)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One server for all tests."""
    with serving() as made:
        yield made


SEQUENCES = {
    "three in one piece": (HEALTH + get(b"/nope") + BAD_NAME, [200, 404, 400]),
    "fifty in one piece": (HEALTH * 50, [200] * 50),
    "known and unknown heads in turn": ((HEALTH + get(b"/")) * 10, [200] * 20),
    "an empty line between": (HEALTH + b"\r\n" + HEALTH, [200, 200]),
    "many empty lines before": (b"\r\n" * 50 + HEALTH, [200]),
    "a body behind a GET": (
        get(b"/healthz", b"Content-Length: 5\r\n") + b"xxxxx" + HEALTH,
        [200] * 2,
    ),
    "a request as the body of a GET": (
        get(b"/healthz", b"Content-Length: %d\r\n" % len(BAD_NAME)) + BAD_NAME + HEALTH,
        [200, 200],
    ),
    "a request as the body of a DELETE": (
        b"DELETE /api/pods/x HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: %d\r\n\r\n" % len(BAD_NAME)
        + BAD_NAME,
        [404],
    ),
    "a request as the body of a 404": (post(HEALTH, path=b"/nope") + HEALTH, [404, 200]),
    "a request as the body of a 405": (post(HEALTH, path=b"/api/nodes") + HEALTH, [405, 200]),
    "a request as the body of a 415": (post(HEALTH, b"Content-Type: a/b\r\n") + HEALTH, [415, 200]),
    "a request as a bad body": (post(HEALTH) + HEALTH, [400, 200]),
    "nothing runs behind bad framing": (
        b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n" + HEALTH,
        [400],
    ),
    "nothing runs behind chunks": (
        b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + HEALTH,
        [411],
    ),
    "nothing runs behind a bare line feed": (b"GET / HTTP/1.1\r\n" + HOST + b"\n" + HEALTH, [400]),
    "nothing runs behind Connection: close": (
        get(b"/healthz", b"Connection: close\r\n") * 2,
        [200],
    ),
    "HTTP/1.0 asks once": (
        b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + HEALTH,
        [200],
    ),
    "a stranger's Host leaves the connection closed": (
        get(b"/", host=b"Host: evil.example\r\n") + HEALTH,
        [403],
    ),
    "the second of two is unfinished": (HEALTH + b"GET /hea", [200, 400]),
    "the second of two has a short body": (HEALTH + BAD_NAME[:-3], [200, 400]),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_requests_in_a_row_keep_their_borders(served: Served, name: str) -> None:
    """Answered in order, each once; what is a body is never run."""
    raw, wanted = SEQUENCES[name]
    assert statuses(exchange(served.server.port, raw)) == wanted
    check_unharmed(served)


def test_a_known_head_is_the_same_request_again(served: Served) -> None:
    """A head that was seen before gives the same answer; one that differs in a byte does not."""
    for _ in range(3):
        assert statuses(exchange(served.server.port, HEALTH)) == [200]
    stranger = HEALTH.replace(b"127.0.0.1", b"evil.example")
    assert statuses(exchange(served.server.port, stranger)) == [403]
    assert statuses(exchange(served.server.port, HEALTH.replace(b"GET", b"PUT"))) == [411]
    two_hosts = HEALTH.replace(b"\r\n\r\n", b"\r\nHost: evil.example\r\n\r\n")
    assert statuses(exchange(served.server.port, two_hosts)) == [400]
    body = HEALTH.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")
    for _ in range(3):
        assert statuses(exchange(served.server.port, body + b"abc" + HEALTH)) == [200, 200]
    absolute = HEALTH.replace(b"/healthz", b"http://evil.example/healthz")
    assert statuses(exchange(served.server.port, absolute)) == [403]


def test_a_token_is_looked_at_with_every_known_head() -> None:
    """A head that was allowed is allowed; the same line without its token is not."""
    with serving(token="secret") as served:
        port = served.server.port
        allowed = get(b"/healthz", b"Authorization: Bearer secret\r\n")
        for _ in range(3):
            assert statuses(exchange(port, allowed)) == [200]
            assert statuses(exchange(port, HEALTH)) == [401]
            wrong = allowed.replace(b"secret", b"secreT")
            assert statuses(exchange(port, wrong)) == [401]


def test_a_request_may_come_in_two_pieces(served: Served) -> None:
    """Cut at every byte, the answer is the same."""
    with connect(served.server.port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        for cut in range(1, len(BAD_NAME)):
            connection.sendall(BAD_NAME[:cut])
            connection.sendall(BAD_NAME[cut:])
            assert statuses(connection.recv(65536)) == [400], cut
    check_unharmed(served)


def test_a_request_may_come_byte_by_byte(served: Served) -> None:
    """And so may two."""
    pieces = [bytes([byte]) for byte in HEALTH + BAD_NAME]
    assert statuses(exchange(served.server.port, *pieces)) == [200, 400]


def test_a_continue_is_sent_before_the_body_is_waited_for(served: Served) -> None:
    """Then the body is read, and answered."""
    head, _, body = post(b'{"name": ""}', JSON + b"Expect: 100-Continue\r\n").partition(b"\r\n\r\n")
    with connect(served.server.port) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert statuses(connection.recv(65536)) == [400]


@QUICK
@given(st.binary(max_size=300))
def test_random_bytes_do_no_harm(served: Served, noise: bytes) -> None:
    """A refusal or silence."""
    assert all(400 <= status <= 505 for status in statuses(exchange(served.server.port, noise)))
    assert served.analytics.since(level="error").rows == []


@QUICK
@given(
    st.sampled_from([HEALTH, BAD_NAME, get(b"/api/watch?since=x"), post(b"{}", path=b"/nope")]),
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 6), st.binary(max_size=6)),
        min_size=1,
        max_size=4,
    ),
)
def test_requests_with_random_damage_do_no_harm(
    served: Served, request_: bytes, damage: list[tuple[int, int, bytes]]
) -> None:
    """Bytes replaced, removed, put in: every answer is proper HTTP, none is a 500."""
    for at, removed, new in damage:
        request_ = request_[:at] + new + request_[at + removed :]
    assert 500 not in statuses(
        exchange(served.server.port, request_), head=request_[:5] == b"HEAD "
    )
    assert served.analytics.since(level="error").rows == []
    assert served.api.list_pods() == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@QUICK
@given(JSON_VALUES, st.sampled_from([b"/api/pods", b"/api/hpa/config"]))
def test_random_json_is_refused_politely(served: Served, value: object, path: bytes) -> None:
    """No pod by accident (a name must be a string), no 500."""
    import json

    body = json.dumps({"name": [value]} if path == b"/api/pods" else value).encode()
    assert statuses(exchange(served.server.port, post(body, path=path))) in ([400], [404])
    check_unharmed(served)


def test_a_client_that_resets_is_not_news(served: Served) -> None:
    """RST in the middle of an answer, or before it: no traceback, nothing logged."""
    for request in (HEALTH, HEALTH * 200, b"GET / HT", post(b"x" * 1_000)[:-5]):
        connection = connect(served.server.port)
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
        )  # close() resets
        connection.sendall(request)
        connection.close()
    check_unharmed(served)


def test_an_answer_is_read_although_the_request_was_refused_early(served: Served) -> None:
    """413 arrives whole, although the client is still sending megabytes."""
    with connect(served.server.port) as connection:
        connection.sendall(
            b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Content-Length: 6000000\r\n\r\n"
        )
        connection.sendall(b"x" * 1_000_000)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(drain(connection)) == [413]
