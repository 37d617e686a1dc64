"""Hostile requests as data: name -> (raw bytes, the statuses of the answers, in order)."""

from __future__ import annotations

from rest_raw import HOST, JSON, get, post

Cases = dict[str, tuple[bytes, list[int]]]
GOOD = b'{"name": "smuggled"}'
LINE = b" HTTP/1.1\r\n"
END = b"\r\n"


def _shown(value: bytes) -> str:
    return ascii(value)[1:][:50]


def request_lines() -> Cases:
    """First lines that are none, and some that look odd and are right."""
    rest = HOST + END
    bad = {
        b"": 400,
        b"GET": 400,
        b"GET /": 400,
        b"GET  / HTTP/1.1": 400,
        b"GET /  HTTP/1.1": 400,
        b"GET / HTTP/1.1 ": 400,
        b"GET / HTTP/1.1\t": 400,
        b"GET /\tHTTP/1.1": 400,
        b"GET /\x0bHTTP/1.1": 400,
        b"GET / HTTP/": 400,
        b"GET / HTTP/1": 400,
        b"GET / HTTP/1.": 400,
        b"GET / HTTP/1.1.1": 400,
        b"GET / HTTP/11": 400,
        b"GET / HTTP/-1.1": 400,
        b"GET / HTTP/1,1": 400,
        b"GET / HTTP/1.1HTTP/1.1": 400,
        b"GET / HTTPS/1.1": 400,
        b"GET / FTP/1.1": 400,
        b"GET / XHTTP/1.1": 400,
        b"GET / HTTP /1.1": 400,
        b"GET / HTTP/0.9": 505,
        b"GET / HTTP/1.2": 505,
        b"GET / HTTP/2.0": 505,
        b"GET / HTTP/3.0": 505,
        b"GET / HTTP/1.\xb2": 400,
        b"GET /\xc3\xa4 HTTP/1.1": 400,
        b"GET /\xff HTTP/1.1": 400,
        b"GET /\x7f HTTP/1.1": 400,
        b"GET /\x01 HTTP/1.1": 400,
        b"GET /\0 HTTP/1.1": 400,
        b"G\xc3\x84T / HTTP/1.1": 400,
        b"G(T / HTTP/1.1": 400,
        b"G,T / HTTP/1.1": 400,
        b'"GET" / HTTP/1.1': 400,
        b"GET: / HTTP/1.1": 400,
        b" / HTTP/1.1": 400,
        b"GET * HTTP/1.1": 400,
        b"GET ? HTTP/1.1": 400,
        b"GET pods HTTP/1.1": 400,
        b"GET ./ HTTP/1.1": 400,
        b"GET \\ HTTP/1.1": 400,
        b"GET javascript:alert(1) HTTP/1.1": 400,
        b"GET file:///etc/passwd HTTP/1.1": 400,
        b"GET ftp://127.0.0.1/ HTTP/1.1": 400,
        b"GET 127.0.0.1:80 HTTP/1.1": 400,
        b"CONNECT 127.0.0.1:80 HTTP/1.1": 400,
        b"CONNECT evil.example:443 HTTP/1.1": 400,
        b"GET http://evil.example/healthz HTTP/1.1": 403,
        b"GET http://127.0.0.1@evil.example/ HTTP/1.1": 403,
        b"GET http://evil.example:80@127.0.0.1/ HTTP/1.1": 403,
        b"GET http:///healthz HTTP/1.1": 403,
        b"GET http:// HTTP/1.1": 403,
        b"GET HTTP://EVIL.example/healthz HTTP/1.1": 403,
        b"GET https://evil.example HTTP/1.1": 403,
        b"HEAD /nope HTTP/1.0": 404,
    }
    good = {
        b"GET http://127.0.0.1/healthz HTTP/1.1": 200,
        b"GET http://localhost:8080/healthz HTTP/1.1": 200,
        b"GET HTTP://LOCALHOST/healthz HTTP/1.1": 200,
        b"GET http://[::1]/healthz HTTP/1.1": 200,
        b"GET http://127.0.0.1 HTTP/1.1": 200,
        b"GET http://127.0.0.1?x=1 HTTP/1.1": 200,
        b"GET /healthz HTTP/1.0": 200,
        b"GET /healthz? HTTP/1.1": 200,
        b"GET /healthz?x HTTP/1.1": 200,
        b"GET /healthz/ HTTP/1.1": 200,
        b"OPTIONS * HTTP/1.1": 204,
        b"OPTIONS / HTTP/1.1": 204,
        b"OPTIONS /api/pods HTTP/1.1": 204,
    }
    # An empty line before a request is skipped; what follows here is not a request line.
    cases = {
        f"line {_shown(line)}": (line + END + rest, [status])
        for line, status in (bad | good).items()
    }
    del cases["line 'HEAD /nope HTTP/1.0'"]  # answered without a body: see the tests of HEAD
    return cases


def header_lines() -> Cases:
    """Names with separators, values with control characters, lines that are none."""
    cases: Cases = {}
    for byte in b'()<>@,;\\"/[]?={} \t\x00\x01\x0b\x0c\x1f\x7f\x80\xff':
        name = b"X" + bytes([byte]) + b"Y"
        cases[f"header name with {byte:#04x}"] = (get(b"/healthz", name + b": 1\r\n"), [400])
    for byte in [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]:
        value = b"X: a" + bytes([byte]) + b"b\r\n"
        cases[f"header value with {byte:#04x}"] = (get(b"/healthz", value), [400])
    for line in (
        b"X\r\n",
        b"X 1\r\n",
        b": 1\r\n",
        b" X: 1\r\n",
        b"\tX: 1\r\n",
        b"X: 1\r\n 2\r\n",
        b"X: 1\r\n\t2\r\n",
        b"X : 1\r\n",
        b"X\t: 1\r\n",
        b"X: 1\r\r\n",
        b"X: 1\n",
        b"X: 1\r",
        b"X: 1\n\r\n",
        b"Content-Length : 0\r\n",
        b"Content-Length\x00: 0\r\n",
        b"\xef\xbb\xbfX: 1\r\n",
        b"Host: 127.0.0.1\r\n",
        b"Host: evil.example\r\n",
        b"host: 127.0.0.1\r\n",
        b"HOST: evil.example\r\n",
        b"Content-Type: a\r\nContent-Type: b\r\n",
        b"Authorization: a\r\nAuthorization: b\r\n",
    ):
        cases[f"header line {_shown(line)}"] = (get(b"/healthz", line), [400])
    for line in (
        b"X:1\r\n",
        b"X:\r\n",
        b"X: \r\n",
        b"X:\t1 \t\r\n",
        b"X: caf\xc3\xa9\r\n",
        b"X: \xff\r\n",
        b"X: 1\r\nX: 2\r\n",
        b"!#$%&'*+-.^_`|~: 1\r\n",
        b"Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nUser-Agent: curl/8\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade\r\n",
        b"Range: bytes=0-1\r\n",
        b"Range: bytes=0-0,1-1,2-2\r\n",
        b"If-None-Match: *\r\n",
        b"X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n",
        b"X-HTTP-Method-Override: DELETE\r\n",
        b"Trailer: X\r\nTE: trailers\r\n",
        b"Connection: keep-alive, close\r\n",
        b"Connection: nonsense\r\n",
        b"A: 1\r\n" * 99,
    ):
        cases[f"harmless {_shown(line)}"] = (get(b"/healthz", line), [200])
    cases["1,000 headers and one"] = (get(b"/healthz", b"A: 1\r\n" * 1_000), [431])
    cases["a header of 60 kB"] = (get(b"/healthz", b"A: " + b"x" * 60_000 + b"\r\n"), [200])
    cases["a header of 66 kB"] = (get(b"/healthz", b"A: " + b"x" * 66_000 + b"\r\n"), [200])
    cases["a header of 1.1 MB"] = (get(b"/healthz", b"A: " + b"x" * 1_100_000 + b"\r\n"), [431])
    cases["a name of 1.1 MB"] = (get(b"/healthz", b"x" * 1_100_000 + b": 1\r\n"), [431])
    cases["a head that never ends"] = (b"GET / HTTP/1.1\r\n" + b"A: 1\r\n" * 200_000, [431])
    cases["a line that never ends"] = (b"GET /" + b"x" * 1_100_000, [414])
    return cases


def framing() -> Cases:
    """Bodies with a wrong length, two lengths, or in chunks."""
    cases: Cases = {}
    for method in (b"POST", b"GET", b"DELETE", b"PUT"):
        first = method + b" /api/pods" + LINE + HOST + JSON
        for value in (
            b"-1", b"-0", b"+20", b"2_0", b"0x14", b"20 20", b"20,20", b"20, 20", b"20.0", b"2e1",
            b"", b" ", b"twenty", b"\xb2\xb0", b"20;", b'"20"', b"1" * 19, b"9" * 40,
        ):  # fmt: skip
            header = b"Content-Length: " + value + b"\r\n\r\n"
            cases[f"{method.decode()} length {_shown(value)}"] = (first + header + GOOD, [400])
        for value in (b"3145729", b"2147483648", b"1000000000000", b"9" * 18):
            header = b"Content-Length: " + value + b"\r\n\r\n"
            cases[f"{method.decode()} announces {_shown(value)}"] = (first + header, [413])
        for more in (
            b"Content-Length: 20\r\n",
            b"content-length: 0\r\n",
            b"CONTENT-LENGTH: 21\r\n",
        ):
            header = b"Content-Length: 20\r\n" + more + END + GOOD
            cases[f"{method.decode()} two lengths {_shown(more)}"] = (first + header, [400])
        header = b"Content-Length: 99\r\n\r\n" + GOOD
        cases[f"{method.decode()} short body"] = (first + header, [400])
    chunks = {
        "good": b"14\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "upper case": b"1A\r\n" + GOOD + b"      \r\n0\r\n\r\n",
        "extension": b"14;x=y\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "negative": b"-14\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "huge": b"FFFFFFFFFFFFFFFF\r\n" + GOOD,
        "no hex": b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "no line end": b"14" + GOOD + b"0\r\n\r\n",
        "bare line feed": b"14\n" + GOOD + b"\n0\n\n",
        "never ended": b"14\r\n" + GOOD + b"\r\n",
        "trailers": b"14\r\n" + GOOD + b"\r\n0\r\nHost: evil.example\r\n\r\n",
        "a request behind": b"0\r\n\r\n" + post(GOOD),
    }
    for name, body in chunks.items():
        head = b"POST /api/pods" + LINE + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
        cases[f"chunks: {name}"] = (head + body, [411])
    for value in (
        b"chunked", b"CHUNKED", b" chunked", b"chunked ", b"\tchunked", b"xchunked",
        b"chunked, chunked",
        b"chunked, identity", b"identity", b"gzip", b"cow", b"", b"chunked\x0b", b'"chunked"',
        b"chunk\xffed",
    ):  # fmt: skip
        bad = 400 if b"\x0b" in value else 411
        for length in (b"Content-Length: 4\r\n", b""):
            header = b"Transfer-Encoding: " + value + b"\r\n" + length + END
            body = b"0\r\n\r\n" + post(GOOD)
            name = f"TE {_shown(value)} {'and length' if length else ''}"
            cases[name] = (b"POST /api/pods" + LINE + HOST + JSON + header + body, [bad])
    header = b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"
    cases["TE twice"] = (b"POST /api/pods" + LINE + HOST + header + chunks["good"], [400])
    cases["GET in chunks"] = (get(b"/healthz", b"Transfer-Encoding: chunked\r\n"), [411])
    cases["expects the impossible"] = (post(GOOD, JSON + b"Expect: a-pony\r\n"), [417])
    cases["expects twice"] = (post(GOOD, JSON + b"Expect: 100-continue\r\n" * 2), [417])
    return cases


def paths() -> Cases:
    """Paths that try to leave, to end early, or to be something else when decoded twice."""
    wanted = {
        400: (
            "/api/pods/%", "/api/pods/%2", "/api/pods/%g0", "/api/pods/%0g", "/api/pods/%%", "/%zz",
            "/api/pods/%c0%ae", "/api/pods/%ff", "/api/pods/%ed%a0%80", "/api/pods/%f4%90%80%80",
            "/api/pods#frag", "/api/pods/x#", "/api/watch?kind=%zz%ff", "/api/watch?since=-1",
            "/api/watch?since=%00", "/api/watch?since=1e3", "/api/watch?since=0x1",
            "/api/watch?since=" + "9" * 40, "/api/watch?since=" + "9" * 5_000,
            "/api/watch?since=%EF%BC%91", "/api/watch?format=", "/api/watch?format=SSE",
            "/api/logs?cursor=%EF%BC%91", "/api/logs?cursor=" + "9" * 30, "/api/logs?cursor=1_0",
            "/api/logs?cursor=+1", "/api/logs?level=nope", "/api/logs?cursor=1&cursor=2",
            "/api/logs?limit=0", "/api/logs?limit=-1", "/api/logs?limit=10001",
            "/api/logs?limit=", "/api/logs?limit=%EF%BC%91", "/api/logs?limit=" + "9" * 5_000,
            "/api/logs?limit=1&limit=2", "/api/logs?level=INFO", "/api/logs?level=info%00",
            "/api/logs?since=-1", "/api/logs?since=nan", "/api/logs?since=inf",
            "/api/logs?since=1e3", "/api/logs?since=%EF%BC%91", "/api/logs?since=" + "9" * 5_000,
            "/api/logs?since=2025-01-01", "/api/logs?since=2025-01-01T00:00:00",
            "/api/logs?since=2025-13-01T00:00:00Z", "/api/logs?since=2025-01-01T00:00:00+01:00",
            "/api/logs?since=now",
            "/api/watch?" + "&".join(f"a{n}=1" for n in range(60)),
        ),
        404: (
            "//api/pods", "/api//pods", "/api/pods//", "/api/./pods", "/api/../api/pods",
            "/%2e%2e/",
            "/api%2Fpods", "/api%5Cpods", "/api/pods/%2e%2e%2f", "/api/pods/%00",
            "/api/pods/%0d%0a",
            "/api/pods/%0d%0aSet-Cookie:x", "/api/pods/%252e", "/api/pods/%25", "/api/pods/%20",
            "/api/pods/%E2%80%AE", "/api/pods/%F0%9F%98%80", "/api/pods/..;/", "/api/pods/;x",
            "/API/pods", "/api/Pods", "/api/pods.json", "/api/pods;v=1", "/.git/config",
            "/favicon.ico",
            "/robots.txt", "/index.php", "/cgi-bin/x", "/etc/passwd", "/C:/", "/" + "a/" * 3_000,
            "/" + "x" * 8_200, "/api/pods/" + "x" * 4_000, "/api/pods/__class__", "/api/pods/{id}",
            "/api/pods/:id", "/api/pods/$(id)", "/api/pods/'--", "/api/pods/<script>",
            "/api/watch?kind=", "/api/watch?kind=..", "/api/watch?kind=Pod%00",
            "/api/watch?kind=" + "x" * 2_000,
            "/api/explain/hpa/..", "/api/explain/%00/%00", "/api/explain/hpa/" + "x" * 2_000,
            "/api/explain/a/b/c/d", "/api/explain/hpa",
        ),
        414: ("/" + "x" * 1_050_000, "/?" + "x" * 1_050_000, "/" + "%41" * 350_000),
        200: (
            "//", "/api/pods", "/api/pods/", "/%68ealthz", "/healthz?x=%zz",
            "/healthz?" + "&" * 4_000,
            "/api/logs?cursor=00", "/api/logs?limit=10000", "/api/logs?since=0.5",
            "/api/logs?since=2025-01-01T00:00:00Z", "/api/logs?since=9999-12-31T23:59:59Z",
            "/api/logs?since=0001-01-01T00:00:00%2B23:59",
            "/api/logs?component=%00", "/api/logs?component=" + "x" * 4_000, "/api/logs/",
            "/api/summary", "/api/summary/", "/api/summary?x=%zz", "/health", "/health/",
        ),
    }  # fmt: skip
    return {
        f"path {path[:60]}": (get(path.encode()), [status])
        for status, some in wanted.items()
        for path in some
    }


def strangers() -> Cases:
    """Hosts and Origins that are not ours, and those that are."""
    cases: Cases = {}
    for host in (
        "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "127.0.0.1:80.evil.example",
        "0", "0.0.0.0",
        "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.2", "localhost.",
        "localhost..", "local host",
        "localhost,evil.example", "localhost:", "localhost:80x", "localhost:-1", "localhost:123456",
        "localhost:\xb2", "[::1", "::1", "[::1]x", "[::]", "[::ffff:127.0.0.1]", "[::1]:x",
        "user@localhost",
        "localhost/", "localhost?x", "localhost#x", "localhost\\", "%6cocalhost",
        "http://localhost", "", ".", ":", ":80",
        "@", "*", "null",
    ):  # fmt: skip
        line = b"Host: " + host.encode("latin-1") + b"\r\n"
        cases[f"Host {host!a}"] = (get(b"/api/pods", host=line), [403])
    for host in ("localhost", "LocalHost", "localhost:1", "127.0.0.1:65535", "[::1]", "[::1]:8080"):
        line = b"Host: " + host.encode() + b"\r\n"
        cases[f"Host {host!a}"] = (get(b"/api/pods", host=line), [200])
    for origin in (
        "http://evil.example", "https://evil.example", "http://localhost.evil.example",
        "http://evil.example:8888",
        "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example",
        "http://evil.example@127.0.0.1",
        "http://evil.example#@localhost", "http://evil.example?localhost",
        "http://localhost:80@evil.example",
        "http://localhost/path", "http://[::1", "http://[::2]", "http://[", "http://", "http:",
        "localhost",
        "//localhost", "null", "file://", "chrome-extension://abc", "ftp://localhost",
        "ws://localhost", "http://0.0.0.0",
        "http://127.0.0.2", "http://0x7f000001", "*", "http://*",
        "http://localhost, http://evil.example", "data:,x",
    ):  # fmt: skip
        line = b"Origin: " + origin.encode() + b"\r\n"
        cases[f"GET from {origin!a}"] = (get(b"/api/pods", line), [403])
        cases[f"POST from {origin!a}"] = (post(GOOD, JSON + line), [403])
    both = b"Origin: http://localhost:1\r\nOrigin: http://evil.example\r\n"
    cases["two Origins"] = (post(GOOD, JSON + both), [403])
    for kind in (b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data", b""):
        line = b"Origin: http://localhost:8888\r\nContent-Type: " + kind + b"\r\n"
        cases[f"a simple post of {kind!a} from a page"] = (post(GOOD, line), [415])
    return cases
