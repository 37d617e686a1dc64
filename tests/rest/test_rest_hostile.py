"""What is thrown at a server on loopback: every answer is a 4xx with JSON, or a closed connection.

Each case is raw bytes. Afterwards the server still answers, no pod was made, and nothing was logged
as an internal error.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.rest import RestServer
from kubesim.store import EtcdStore

pytestmark = pytest.mark.live

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    """(server, api, analytics) shared by all cases."""
    clock = VirtualClock()
    analytics = Analytics(clock.now)
    api = KubeAPI(EtcdStore(), clock, NamedStreams(1), analytics=analytics)
    with RestServer(api, analytics=analytics) as server:
        yield server, api, analytics


def exchange(port: int, data: bytes, *, patience: float = 3.0, half_close: bool = True) -> bytes:
    """Send bytes, and read until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before we were done: the answer may be there all the same
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except OSError:
            pass
        return answer


def statuses(answer: bytes) -> list[int]:
    """Status codes of all answers in a row; [] if the server only closed the connection."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        found.append(int(lines[0].split()[1]))
        length = next(
            (int(x.split(b":")[1]) for x in lines if x.lower().startswith(b"content-length")), 0
        )
        body, answer = rest[:length], rest[length:]
        if found[-1] >= 400:
            assert "error" in json.loads(body), body
    return found


def post(body: bytes, headers: bytes = JSON, path: bytes = b"/api/pods") -> bytes:
    """A plain POST."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + headers + length + b"\r\n" + body


def get(path: bytes, headers: bytes = b"") -> bytes:
    """A plain GET."""
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n"


GOOD = b'{"name": "smuggled"}'
FRAMING = {
    "no length": b"POST /api/pods HTTP/1.1\r\n" + HOST + JSON + b"\r\n" + GOOD,
    "two lengths": b"POST /api/pods HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 20\r\nContent-Length: 21\r\n\r\n"
    + GOOD,
    "two equal lengths": b"POST /api/pods HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 20\r\nContent-Length: 20\r\n\r\n"
    + GOOD,
    "body too short": b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Content-Length: 99\r\n\r\n" + GOOD,
    "bare line feeds": b"GET /api/pods HTTP/1.1\nHost: 127.0.0.1\n\n",
    "bare LF in the middle": b"GET /api/pods HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n\r\n",
    "bare CR": b"GET /api/pods HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n\r\n",
    "NUL in a header": b"GET /api/pods HTTP/1.1\r\n" + HOST + b"A: b\0c\r\n\r\n",
    "folded header": b"GET /api/pods HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n",
    "space before colon": b"GET /api/pods HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n",
    "no colon": b"GET /api/pods HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "empty name": b"GET /api/pods HTTP/1.1\r\n" + HOST + b": b\r\n\r\n",
    "no host": b"GET /api/pods HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/pods HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "http/0.9": b"GET /api/pods\r\n\r\n",
    "http/2.0": b"GET /api/pods HTTP/2.0\r\n" + HOST + b"\r\n",
    "http/9.9": b"GET /api/pods HTTP/9.9\r\n" + HOST + b"\r\n",
    "http/1.10": b"GET /api/pods HTTP/1.10\r\n" + HOST + b"\r\n",
    "lower-case protocol": b"GET /api/pods http/1.1\r\n" + HOST + b"\r\n",
    "four words": b"GET /api/pods x HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab between": b"GET\t/api/pods HTTP/1.1\r\n" + HOST + b"\r\n",
    "leading space": b" GET /api/pods HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60 + b"\r\n\r\n",
    "SSH banner": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "binary": bytes(range(256)),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "1,001 headers": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 1_001 + b"\r\n",
    "head of 2 MB": b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 2_000_000 + b"\r\n\r\n",
    "path of 70 kB": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "path of 9 kB": b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "method of 70 kB": b"G" * 70_000 + b" / HTTP/1.1\r\n" + HOST + b"\r\n",
    "method of 50": b"G" * 50 + b" / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no slash": b"GET api/pods HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": get(b"/api/pods#x"),
    "unfinished head": b"GET /api/pods HTTP/1.1\r\nHost: 127",
}
LENGTHS = [b"-1", b"+5", b"5_0", b" ", b"", b"abc", b"0x10", b"1e3", b"9" * 30, b"5, 5", b"\xb2"]
for _value in LENGTHS:
    FRAMING[f"length {_value!r}"] = (
        b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Content-Length: " + _value + b"\r\n\r\n" + GOOD
    )
for _value in (b"3145729", b"2147483648", b"1000000000000"):
    FRAMING[f"announced {_value!r}"] = (
        b"POST /api/pods HTTP/1.1\r\n" + HOST + b"Content-Length: " + _value + b"\r\n\r\n"
    )
CHUNKED = b"14\r\n" + GOOD + b"\r\n0\r\n\r\n"
for _value in (b"chunked", b"Chunked", b" chunked", b"gzip, chunked", b"identity", b"x", b""):
    FRAMING[f"transfer encoding {_value!r}"] = (
        b"POST /api/pods HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: "
        + _value
        + b"\r\n\r\n"
        + CHUNKED
    )
    FRAMING[f"length and transfer encoding {_value!r}"] = (
        b"POST /api/pods HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 4\r\nTransfer-Encoding: "
        + _value
        + b"\r\n\r\n"
        + CHUNKED
        + post(GOOD)
    )

BODIES = {
    "empty": b"",
    "no json": b"{",
    "two documents": b'{"name": "a"}{"name": "b"}',
    "trailing": b'{"name": "a"} x',
    "single quotes": b"{'name': 'a'}",
    "a list": b'["a"]',
    "a text": b'"a"',
    "a number": b"5",
    "null": b"null",
    "no name": b"{}",
    "null name": b'{"name": null}',
    "number name": b'{"name": 5}',
    "list name": b'{"name": ["a"]}',
    "object name": b'{"name": {"a": 1}}',
    "true name": b'{"name": true}',
    "empty name": b'{"name": ""}',
    "blank name": b'{"name": " "}',
    "upper case": b'{"name": "Web"}',
    "underscore": b'{"name": "a_b"}',
    "leading dash": b'{"name": "-a"}',
    "trailing dash": b'{"name": "a-"}',
    "trailing newline": b'{"name": "a\\n"}',
    "two dots": b'{"name": "a..b"}',
    "slash": b'{"name": "a/b"}',
    "dot dot": b'{"name": ".."}',
    "254 letters": b'{"name": "' + b"a" * 254 + b'"}',
    "umlaut": '{"name": "\u00e4"}'.encode(),
    "full-width": '{"name": "\uff41"}'.encode(),
    "cyrillic a": '{"name": "\u0430"}'.encode(),
    "right-to-left": '{"name": "a\u202eb"}'.encode(),
    "emoji": '{"name": "\U0001f600"}'.encode(),
    "NUL": b'{"name": "a\\u0000"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "NaN": b'{"name": "a", "x": NaN}',
    "infinity": b'{"name": "a", "x": -Infinity}',
    "1e999": b'{"name": "a", "x": 1e999}',
    "20 digits": b'{"name": "a", "x": 12345678901234567890}',
    "5000 digits": b'{"name": "a", "x": ' + b"9" * 5000 + b"}",
    "duplicate keys": b'{"name": "good", "name": "bad"}',
    "nested duplicates": b'{"name": "a", "x": {"y": 1, "y": 2}}',
    "deep list": b'{"name": "a", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep object": b'{"x": ' * 300 + b"1" + b"}" * 300,
    "utf-16": '{"name": "a"}'.encode("utf-16"),
    "utf-32": '{"name": "a"}'.encode("utf-32"),
    "latin-1": b'{"name": "\xe4"}',
    "BOM": b'\xef\xbb\xbf{"name": "a"}',
    "gzip": b"\x1f\x8b\x08\x00" + b"\0" * 20,
    "a form": b"name=a",
    "a comment": b'{"name": "a" /* x */}',
    "trailing comma": b'{"name": "a",}',
}
HPA = {
    "interval number": b'{"interval": 5}',
    "interval bare": b'{"interval": "5"}',
    "interval word": b'{"interval": "soon"}',
    "interval negative": b'{"interval": "-5s"}',
    "interval zero": b'{"interval": "0s"}',
    "interval full-width": '{"interval": "\uff15s"}'.encode(),
    "interval newline": b'{"interval": "5s\\n"}',
    "interval null": b'{"interval": null}',
    "target zero": b'{"target_cpu": 0}',
    "target negative": b'{"target_cpu": -5}',
    "target float": b'{"target_cpu": 70.5}',
    "target text": b'{"target_cpu": "70"}',
    "target true": b'{"target_cpu": true}',
    "min above max": b'{"min_pods": 20, "max_pods": 10}',
    "min above stored max": b'{"min_pods": 11}',
    "min zero": b'{"min_pods": 0}',
    "max huge": b'{"max_pods": 1000000}',
    "unknown key": b'{"target": 70}',
    "good and bad": b'{"target_cpu": 50, "interval": "soon"}',
    "a list": b"[]",
    "null": b"null",
}
TYPES = [
    b"application/xml",
    b"multipart/form-data; boundary=x",
    b"image/png",
    b"application/json; charset=utf-16",
    b"application/json; charset=latin-1",
]
STRANGERS = {
    f"Host {host!r}": b"GET /api/pods HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    for host in (
        b"evil.example",
        b"127.0.0.1.evil.example",
        b"localhost.evil.example",
        b"evil.example:80",
        b"127.0.0.1@evil.example",
        b"127.0.0.2",
        b"0.0.0.0",
        b"[::2]",
        b"127.0.0.1:99999999",
        b"127.0.0.1:x",
        b"",
        b"localhost:80:80",
    )
}
for _origin in (
    b"http://evil.example",
    b"https://127.0.0.1.evil.example",
    b"http://localhost.evil.example",
    b"http://127.0.0.1@evil.example",
    b"null",
    b"file://",
    b"http://",
    b"http://[::2]",
    b"ftp://127.0.0.1",
    b"http://127.0.0.1/x",
):
    STRANGERS[f"GET from {_origin!r}"] = get(b"/api/pods", b"Origin: " + _origin + b"\r\n")
    STRANGERS[f"POST from {_origin!r}"] = post(GOOD, JSON + b"Origin: " + _origin + b"\r\n")
PATHS = {
    "unknown": (b"/nope", 404),
    "unknown api": (b"/api/nope", 404),
    "deeper": (b"/api/pods/a/b", 404),
    "no id": (b"/api/pods/x", 404),
    "encoded slash": (b"/api/pods/a%2Fb", 404),
    "encoded NUL": (b"/api/pods/%00", 404),
    "encoded CR LF": (b"/api/pods/%0d%0aX:y", 404),
    "dot dot": (b"/api/pods/..", 404),
    "encoded dot dot": (b"/api/pods/%2e%2e", 404),
    "bad escape": (b"/api/pods/%zz", 400),
    "lone percent": (b"/api/pods/%", 400),
    "bad UTF-8": (b"/api/pods/%ff", 400),
    "overlong UTF-8": (b"/api/pods/%c0%af", 400),
    "two slashes": (b"//api/pods", 404),
    "etc passwd": (b"/../../etc/passwd", 404),
    "watch of nothing": (b"/api/watch?kind=Pudding", 404),
    "watch format": (b"/api/watch?format=xml", 400),
    "watch since": (b"/api/watch?since=abc", 400),
    "watch twice": (b"/api/watch?kind=Pod&kind=Node", 400),
    "logs cursor": (b"/api/logs?cursor=-1", 400),
    "logs cursor text": (b"/api/logs?cursor=x", 400),
    "logs level": (b"/api/logs?level=fatal", 400),
    "logs escape": (b"/api/logs?cursor=%ff", 400),
    "explain nothing": (b"/api/explain/hpa/nope", 404),
    "explain kind": (b"/api/explain/x/y", 404),
}
METHODS = {
    **{
        f"{method} {path}": (method.encode(), path.encode(), 405)
        for path in ("/api/pods", "/api/hpa/config", "/api/nodes", "/api/pods/x", "/")
        for method in ("PUT", "PATCH")
    },
    **{
        f"{method} {path}": (method.encode(), path.encode(), 405)
        for path in ("/api/logs", "/api/summary", "/health")
        for method in ("POST", "PUT", "PATCH", "DELETE")
    },
    "DELETE all": (b"DELETE", b"/api/pods", 405),
    "DELETE nodes": (b"DELETE", b"/api/nodes", 405),
    "POST nodes": (b"POST", b"/api/nodes", 405),
    "POST one": (b"POST", b"/api/pods/x", 405),
    "unknown": (b"FROB", b"/api/pods", 501),
    "lower case": (b"get", b"/api/pods", 501),
    "TRACE": (b"TRACE", b"/api/pods", 501),
    "CONNECT": (b"CONNECT", b"/api/pods", 501),
    "unknown elsewhere": (b"FROB", b"/nope", 501),
}


def check_unharmed(served: Any) -> None:
    """The server answers, no pod exists, nothing inside failed."""
    server, api, analytics = served
    assert statuses(exchange(server.port, get(b"/healthz"))) == [200]
    assert api.list_pods() == []
    assert analytics.since(level="error").rows == []


@pytest.mark.parametrize("name", FRAMING)
def test_broken_framing(served: Any, name: str) -> None:
    """At most one answer, a refusal, and the connection is closed."""
    found = statuses(exchange(served[0].port, FRAMING[name]))
    assert len(found) <= 1
    assert all(400 <= status < 500 or status in (501, 505) for status in found), found
    check_unharmed(served)


@pytest.mark.parametrize("name", BODIES)
def test_bad_bodies(served: Any, name: str) -> None:
    """400, whatever is in it; the connection may go on."""
    assert statuses(exchange(served[0].port, post(BODIES[name]))) == [400]
    check_unharmed(served)


@pytest.mark.parametrize("kind", TYPES)
def test_other_content_types(served: Any, kind: bytes) -> None:
    """415."""
    found = statuses(exchange(served[0].port, post(GOOD, b"Content-Type: " + kind + b"\r\n")))
    assert found == [415]
    check_unharmed(served)


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers(served: Any, name: str) -> None:
    """A foreign Host or Origin is refused, and gets no header that would let it read."""
    answer = exchange(served[0].port, STRANGERS[name])
    assert statuses(answer) in ([403], [400])
    assert b"Access-Control" not in answer
    check_unharmed(served)


@pytest.mark.parametrize("name", PATHS)
def test_paths(served: Any, name: str) -> None:
    """Decoded once and strictly; unknown ones are 404."""
    path, status = PATHS[name]
    assert statuses(exchange(served[0].port, get(path))) == [status]
    check_unharmed(served)


@pytest.mark.parametrize("name", METHODS)
def test_methods(served: Any, name: str) -> None:
    """405 or 501, with Allow."""
    method, path, status = METHODS[name]
    length = b"Content-Length: 0\r\n" if method in (b"POST", b"PUT", b"PATCH") else b""
    request = method + b" " + path + b" HTTP/1.1\r\n" + HOST + length + b"\r\n"
    answer = exchange(served[0].port, request)
    assert statuses(answer) == [status]
    assert b"\r\nAllow: " in answer
    check_unharmed(served)


@pytest.mark.parametrize("name", HPA)
def test_bad_configurations_of_the_autoscaler(served: Any, name: str) -> None:
    """400, and nothing is changed, also not the good part of a bad request."""
    from kubesim.simple import autopod

    server, api, _ = served
    if api.peek("HorizontalPodAutoscaler", "auto-pod") is None:
        api.create(autopod.autoscaler())
    before = api.get("HorizontalPodAutoscaler", "auto-pod")
    answer = exchange(server.port, post(HPA[name], path=b"/api/hpa/config"))
    assert statuses(answer) == [400]
    if name.startswith("interval"):
        assert b'{"error": "Invalid interval format"}' in answer
    assert api.get("HorizontalPodAutoscaler", "auto-pod") == before
    check_unharmed(served)


def test_a_body_behind_a_get_is_no_second_request(served: Any) -> None:
    """The announced body of a GET, a DELETE or a 404 is taken, never run."""
    body = post(GOOD)
    for line in (b"GET /api/pods", b"DELETE /api/pods/x", b"GET /nope"):
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        request = line + b" HTTP/1.1\r\n" + HOST + length + body
        assert len(statuses(exchange(served[0].port, request))) == 1
        check_unharmed(served)


def test_a_large_body_is_refused_before_it_is_read(served: Any) -> None:
    """413 although megabytes follow."""
    request = post(b'{"name": "' + b"a" * 6_000_000 + b'"}')
    assert statuses(exchange(served[0].port, request)) in ([413], [])
    check_unharmed(served)


def test_expect_continue_is_checked_first(served: Any) -> None:
    """No 100 for a body that would be refused; one for a good one."""
    head = b"POST /api/pods HTTP/1.1\r\n" + HOST + JSON + b"Expect: 100-continue\r\n"
    refused = exchange(served[0].port, head + b"Content-Length: 99999999\r\n\r\n")
    assert b"100 Continue" not in refused
    assert statuses(refused) == [413]
    body = b'{"name": ""}'
    answer = exchange(served[0].port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert statuses(answer.partition(b"\r\n\r\n")[2]) == [400]
    check_unharmed(served)
