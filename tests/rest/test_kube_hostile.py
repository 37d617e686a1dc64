"""Hostile and broken requests of the Kubernetes API: each gets exactly one response."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kube_http import kube
from rest_raw import HOST, exchange, parse_answers

from kubesim.rest import RestServer

pytestmark = pytest.mark.live
CASES: dict[str, Any] = json.loads((Path(__file__).parent / "hostile" / "kube.json").read_text())
LONGEST = 3 * 1024 * 1024
MAPS = b"/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server() -> Iterator[RestServer]:
    """One server for all cases; at their end nothing has changed, and nothing has failed."""
    with kube() as (cluster, ask):
        before = cluster.store.revision
        yield ask.server
        assert cluster.store.revision == before
        assert cluster.analytics.since(level="error").rows == []
        assert ask("GET", "/healthz").body == "ok"


def raw(case: dict[str, Any]) -> bytes:
    """The bytes of a case."""
    head = case["request"].encode() + b" HTTP/1.1\r\n" + HOST
    for name, value in case.get("headers", {}).items():
        head += f"{name}: {value}\r\n".encode()
    if "body" not in case:
        return head + b"\r\n"
    body = case["body"].encode("latin-1" if case["type"].endswith("protobuf") else "utf-8")
    head += b"Content-Length: %d\r\n" % len(body)
    if case["type"]:
        head += f"Content-Type: {case['type']}\r\n".encode()
    return head + b"\r\n" + body


def test_there_are_enough_cases() -> None:
    """No case was lost."""
    assert len(CASES) >= 500


@pytest.mark.parametrize("name", CASES)
def test_every_request_gets_the_answer_it_deserves(server: RestServer, name: str) -> None:
    """One answer; a refusal is a Status whose code is that of the answer, and says why."""
    case = CASES[name]
    ((status, body),) = parse_answers(exchange(server.port, raw(case)))
    assert status == case["status"], body
    if status >= 400:
        status = json.loads(body)
        assert status["kind"] == "Status", status
        assert status["reason"] and status["message"]


def chunked(*chunks: bytes, path: bytes = MAPS, more: bytes = b"") -> bytes:
    """A POST in chunks, as they are given."""
    head = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    return head + more + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (chunked(b"0\r\n\r\n"), 400),
        (chunked(b"2\r\n{}\r\n0\r\n\r\n"), 422),
        (chunked(b"1\r\n{\r\n1;note=x\r\n}\r\n0\r\n\r\n"), 422),
        (chunked(b"x\r\n"), 400),
        (chunked(b"-1\r\n"), 400),
        (chunked(b"0x2\r\n{}\r\n0\r\n\r\n"), 400),
        (chunked(b" 2\r\n{}\r\n0\r\n\r\n"), 400),
        (chunked(b"2\r\n{}x\r\n0\r\n\r\n"), 400),
        (chunked(b"2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"), 400),
        (chunked(b"2" * 300 + b"\r\n"), 400),
        (chunked(b"fffffff\r\n"), 413),
        (chunked(b"FFFFFFFFFFFF\r\n"), 400),
        (chunked(b"2\r\n{"), 400),
        (chunked(b"0\r\n\r\n", more=b"Content-Length: 2\r\n"), 411),
        (chunked(b"0\r\n\r\n", path=b"/api/pods"), 411),
        (chunked(b"0\r\n\r\n").replace(b"chunked", b"gzip, chunked"), 411),
        (chunked(b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"), 411),
    ],
)
def test_chunks_are_read_strictly(server: RestServer, request_: bytes, status: int) -> None:
    """What is not plainly right is refused, and never read as a second request."""
    answers = parse_answers(exchange(server.port, request_))
    assert [code for code, _ in answers] == [status]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET /api/v1/" + b"x" * 1_050_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /apis/apps/v1 HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 1_050_000 + b"\r\n\r\n", 431),
        (b"GET /api/v1/pods HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 1_001 + b"\r\n", 431),
    ],
    ids=["path", "header", "headers"],
)
def test_a_head_that_is_too_long_is_refused_as_a_status(
    server: RestServer, head: bytes, code: int
) -> None:
    """The path says whose request it was, although the head was never read."""
    ((status, body),) = parse_answers(exchange(server.port, head))
    assert status == code
    assert (json.loads(body)["kind"], json.loads(body)["code"]) == ("Status", code)


def test_a_long_head_and_a_large_body_are_read(server: RestServer) -> None:
    """A selector of 100 kB, and a body of 2.9 MiB: as by kube-apiserver."""
    selector = b"a+in+(" + b",".join(b"x%d" % n for n in range(15_000)) + b")"
    get = b"GET " + MAPS + b"?labelSelector=" + selector + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    assert [code for code, _ in parse_answers(exchange(server.port, get))] == [200]
    body = b'{"x": "' + b"a" * (LONGEST - 100_000) + b'"}'
    head = b"POST " + MAPS + b"?dryRun=All HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
    post = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert [code for code, _ in parse_answers(exchange(server.port, post))] == [422]  # no name


def test_a_body_that_is_too_large_is_refused_as_a_status(server: RestServer) -> None:
    """413 before it is read, in the form that kubectl prints."""
    head = b"POST " + MAPS + b" HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (LONGEST + 1)
    ((status, body),) = parse_answers(exchange(server.port, head))
    assert status == 413
    assert json.loads(body)["reason"] == "RequestEntityTooLarge"
    assert json.loads(body)["message"] == "Request entity too large: limit is 3145728"


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Sec-WebSocket-Key: x\r\n",
        b"Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n",
        b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Protocol: chat\r\n",
    ],
)
def test_a_websocket_that_is_none_of_ours_is_refused(server: RestServer, headers: bytes) -> None:
    """400 instead of a switch to a protocol that is not supported."""
    path = b"/api/v1/namespaces/default/pods/auto-pod-0/exec?command=ls"
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    request = b"GET " + path + b" HTTP/1.1\r\n" + HOST + upgrade + headers + b"\r\n"
    ((status, body),) = parse_answers(exchange(server.port, request))
    assert (status, json.loads(body)["kind"]) == (400, "Status")
