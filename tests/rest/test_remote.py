"""Commands with input, interactive shells and attach, over a websocket."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kube_http import PODS, Kube, kube

from kubesim import Cluster
from kubesim.apiserver.verbs.subresources import CommandResult, OutputChunk
from kubesim.clock import VirtualClock
from kubesim.rest.kube.podlogs import INPUT_DROPPED
from kubesim.rest.remote.execute import HEAD_START_SECONDS, CommandSource
from kubesim.rest.remote.session import ShellSession
from kubesim.rest.remote.websocket import (
    BINARY,
    CLOSE,
    GOODBYE,
    MOST_BYTES,
    PING,
    PONG,
    STDIN,
    V4,
    V5,
    FrameReader,
)

pytestmark = pytest.mark.live

CAT = f"{PODS}/auto-pod-0/exec?stdin=true&stdout=true&stderr=true&command=cat"
SHELL = f"{PODS}/auto-pod-0/exec?stdin=true&stdout=true&command=sh"
NO_MORE_INPUT = bytes([CLOSE, STDIN])


@pytest.fixture
def served() -> Iterator[tuple[Cluster, Kube]]:
    """A cluster and a client."""
    with kube() as pair:
        yield pair


def frame(payload: bytes, opcode: int = BINARY, *, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """A frame as a client sends it."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 127]) + size.to_bytes(8, "big")
    plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([0x80 | opcode]) + length + mask + plain


class Socket:
    """A websocket client."""

    def __init__(self, port: int, path: str, protocol: str = V5) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        )
        self._connection.sendall(head.encode())
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._data += self._connection.recv(65536)
        self.head, _, self._data = self._data.partition(b"\r\n\r\n")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._connection.sendall(data)

    def type(self, text: str) -> None:
        """Send input."""
        self.send(frame(bytes([STDIN]) + text.encode()))

    def next(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame; (GOODBYE, b"") once the server has closed."""
        while True:
            if len(self._data) >= 2:
                size, start = self._data[1], 2
                if size == 126:
                    size, start = int.from_bytes(self._data[2:4], "big"), 4
                if len(self._data) >= start + size:
                    opcode, payload = self._data[0] & 15, self._data[start : start + size]
                    self._data = self._data[start + size :]
                    return opcode, payload
            try:
                received = self._connection.recv(65536)
            except ConnectionError:
                received = b""
            if not received:
                return GOODBYE, b""
            self._data += received

    def until(self, text: str) -> str:
        """What it prints up to a text."""
        printed = ""
        while text not in printed:
            opcode, payload = self.next()
            assert opcode == BINARY and payload[0] in (1, 2), (printed, payload)
            printed += payload[1:].decode()
        return printed

    def rest(self) -> tuple[str, dict[str, Any]]:
        """All that it prints, and the exit status."""
        printed, status = "", {}
        while True:
            opcode, payload = self.next()
            if opcode == GOODBYE:
                return printed, status
            if payload[0] == 3:
                status = json.loads(payload[1:])
            else:
                printed += payload[1:].decode()


def code_of(status: dict[str, Any]) -> int:
    """The exit code in a status."""
    if status["status"] == "Success":
        return 0
    return int(status["details"]["causes"][0]["message"])


def test_a_command_gets_its_input(served: tuple[Cluster, Kube]) -> None:
    """It starts when the client closes stdin, and reads all of it, in whatever pieces it came."""
    _, ask = served
    client = Socket(ask.server.port, CAT)
    data = frame(b"\x00one\n") + frame(b"\x00two\n")
    for at in range(0, len(data), 5):
        client.send(data[at : at + 5])
        time.sleep(0.01)
    client.send(frame(NO_MORE_INPUT))
    assert client.rest() == ("one\ntwo\n", {"metadata": {}, "status": "Success"})


def test_cat_sends_its_input_back_as_it_comes(served: tuple[Cluster, Kube]) -> None:
    """Before its end, byte by byte: what tests of the Python and JavaScript clients expect."""
    _, ask = served
    for path in (CAT, CAT.replace("command=cat", "command=sh&command=-c&command=cat")):
        client = Socket(ask.server.port, path)
        client.type("one\n")
        assert client.until("one\n") == "one\n"
        client.send(frame(b"\x00\xff\x8b"))
        assert client.next() == (BINARY, b"\x01\xff\x8b")
        client.send(frame(NO_MORE_INPUT))
        assert client.rest() == ("", {"metadata": {}, "status": "Success"})


def test_bytes_that_are_no_text_come_as_they_are(served: tuple[Cluster, Kube]) -> None:
    """What `kubectl cp` receives: an archive, here compressed."""
    _, ask = served
    client = Socket(ask.server.port, CAT.replace("cat", "gzip"))
    client.type("This is a test string")
    client.send(frame(NO_MORE_INPUT))
    _, payload = client.next()
    assert (payload[0], gzip.decompress(payload[1:])) == (1, b"This is a test string")


def test_long_input(served: tuple[Cluster, Kube]) -> None:
    """A message of 200,000 bytes: the length has eight bytes."""
    _, ask = served
    client = Socket(ask.server.port, CAT.replace("cat", "wc&command=-c"))
    client.type("x" * 200_000)
    client.send(frame(NO_MORE_INPUT))
    assert client.rest()[0].strip() == "200000"


def test_a_command_that_reads_nothing_does_not_wait(served: tuple[Cluster, Kube]) -> None:
    """`kubectl exec -i web -- echo hi` in a terminal ends at once."""
    _, ask = served
    assert Socket(ask.server.port, CAT.replace("cat", "echo&command=hi")).rest()[0] == "hi\n"


def test_the_script_of_a_shell_comes_by_stdin(served: tuple[Cluster, Kube]) -> None:
    """Loops over several lines, and the exit code of its own."""
    _, ask = served
    client = Socket(ask.server.port, SHELL)
    client.type("for i in 1 2; do\necho $i\ndone\nexit 5\n")
    client.send(frame(NO_MORE_INPUT))
    printed, status = client.rest()
    assert (printed, code_of(status)) == ("1\n2\n", 5)


def test_a_shell_answers_line_by_line(served: tuple[Cluster, Kube]) -> None:
    """As the Python client uses it, by v4, which cannot close stdin; state is carried over."""
    _, ask = served
    client = Socket(ask.server.port, SHELL, V4)
    client.type("echo hello\n")
    assert client.until("\n") == "hello\n"
    client.type("cd /tmp; A='a b'\nec")
    client.type('ho "$A" $PWD\n')
    assert client.until("\n") == "a b /tmp\n"
    client.type("for i in 1 2; do\n")
    client.type("echo $i; done; false\n")
    assert client.until("2\n") == "1\n2\n"
    client.type("echo $?; if\n")
    client.type("true; then exit 3; fi\n")
    printed, status = client.rest()
    assert (printed, code_of(status)) == ("1\n", 3)


def test_a_terminal_shows_what_is_typed(served: tuple[Cluster, Kube]) -> None:
    """Echo, prompt, backspace, Ctrl-C, errors that do not end it, Ctrl-D."""
    _, ask = served
    client = Socket(ask.server.port, f"{SHELL}&tty=true")
    assert client.until("# ") == "/ # "
    client.type("echp\x7fo hi\r")
    assert client.until("hi\r\n/ # ") == "echp\b \bo hi\r\nhi\r\n/ # "
    client.type("nonsense\x03")
    assert client.until("# ") == "nonsense^C\r\n/ # "
    client.type("fi; done\r")
    assert "syntax error" in client.until("# ")
    client.type("cd /tmp\r")
    assert client.until("# ") == "cd /tmp\r\n/tmp # "
    client.type("\x04")
    assert code_of(client.rest()[1]) == 0


def test_attach_streams_the_log(served: tuple[Cluster, Kube]) -> None:
    """From the start of the container to its end."""
    cluster, ask = served
    command = ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 1; done"]
    container = {"name": "c", "image": "busybox", "command": command}
    spec = {"containers": [container], "restartPolicy": "Never"}
    cluster.api.create(
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "counter"}, "spec": spec}
    )
    cluster.sleep(2)
    client = Socket(ask.server.port, f"{PODS}/counter/attach?stdout=true")
    before = client.until("1\n")
    cluster.sleep(10)
    printed, status = client.rest()
    assert (before + printed, code_of(status)) == ("1\n2\n3\n", 0)
    assert ask("GET", f"{PODS}/none/attach").status == 404


@pytest.mark.parametrize(("query", "channel"), [("&stderr=true", 2), ("&tty=true", 1)])
def test_input_to_what_is_attached_is_answered_with_a_note(
    served: tuple[Cluster, Kube], query: str, channel: int
) -> None:
    """Once, on stderr; on a terminal, which has one channel, on stdout."""
    _, ask = served
    path = f"{PODS}/auto-pod-0/attach?stdin=true&stdout=true{query}"
    client = Socket(ask.server.port, path)
    client.type("hello\n")
    opcode, payload = client.next()
    while payload[:1] != bytes([channel]) or INPUT_DROPPED not in payload:
        opcode, payload = client.next()  # what the container has printed
        assert opcode == BINARY
    client.type("again\n")
    client.send(frame(b"ping", PING))
    opcode, payload = client.next()
    while opcode != PONG:
        assert INPUT_DROPPED not in payload
        opcode, payload = client.next()


def test_a_client_that_breaks_the_protocol_is_dropped(served: tuple[Cluster, Kube]) -> None:
    """An unmasked frame, one beyond the bound, a goodbye; a ping is answered; nothing fails."""
    cluster, ask = served
    client = Socket(ask.server.port, CAT)
    client.send(frame(b"ping", PING))
    assert client.next() == (PONG, b"ping")
    client.send(frame(b"", GOODBYE))
    assert client.next() == (GOODBYE, b"")
    huge = bytes([0x80 | BINARY, 0x80 | 127]) + (MOST_BYTES + 1).to_bytes(8, "big")
    for wrong in (b"\x82\x02\x00a", huge):
        client = Socket(ask.server.port, CAT)
        client.send(wrong)
        assert client.next() == (GOODBYE, b"")
    assert ask("GET", f"{PODS}/auto-pod-0").status == 200
    assert "StreamFailed" not in str(cluster.analytics.table(1_000))


def test_input_for_what_does_not_run_is_refused(served: tuple[Cluster, Kube]) -> None:
    """A status in place of the websocket, as without input."""
    _, ask = served
    head = Socket(ask.server.port, CAT.replace("auto-pod-0/exec?", "auto-pod-0/exec?container=x&"))
    assert head.head.startswith(b"HTTP/1.1 400")
    # kubectl 1.30+ shows what the POST answers that follows a refused websocket.
    for part in ("exec?command=ls&container=x", "attach?container=x"):
        reply = ask("POST", f"{PODS}/auto-pod-0/{part}")
        assert (reply.status, reply.body["reason"]) == (400, "BadRequest")
        assert reply.body["message"] == "container x is not valid for pod auto-pod-0"


def test_no_output_comes_before_a_program_could_have_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """kubectl before 1.34 discards what comes while it sets up its streams."""
    wall = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: wall[0])
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader = FrameReader(ours)

    def run(command: Any, stdin: str) -> CommandResult:
        return CommandResult((OutputChunk(0.0, 1, "hi\n"),), 0, 0.0)

    sources: list[Any] = [
        CommandSource(lambda stdin: run((), stdin), VirtualClock(), reader, waits=False),
        CommandSource(lambda stdin: run((), stdin), VirtualClock()),
        ShellSession(run, "sh", reader, VirtualClock(), terminal=True),
    ]
    assert [source.pull(0) for source in sources] == [b"", b"", b""]
    wall[0] += HEAD_START_SECONDS
    parts = [source.pull(0) for source in sources]
    assert all(text in part for text, part in zip((b"hi", b"hi", b"# "), parts, strict=True))
    ours.close()
    theirs.close()
