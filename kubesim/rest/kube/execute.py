"""Commands in a simulated container: a handful of harmless ones, over a websocket.

There is no process in a simulated container, so these commands are answered from what is known
about the pod. The protocol is the real one: binary frames whose first byte is a channel (1 stdout,
2 stderr, 3 the outcome as a Status). SPDY, which kubectl before 1.30 speaks, is refused.

>>> pod = {"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
>>> run_command(pod, "c", ["echo", "hi"], "2025-01-01T00:00:00Z")
CommandResult(stdout='hi\\n', stderr='', code=0)
>>> run_command(pod, "c", ["sh", "-c", "hostname"], "2025-01-01T00:00:00Z").stdout
'web-0\\n'

Source: k8s.io/apiserver/pkg/util/wsstream, k8s.io/apimachinery/pkg/util/remotecommand; RFC 6455.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of
from kubesim.objects.pods import containers_of
from kubesim.rest.http.wire import Request
from kubesim.rest.serializer.responses import GenericStatusError

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
STDOUT, STDERR, ERROR = 1, 2, 3
LINGER_SECONDS = 1.0  # for the client to say goodbye
FRAME_BYTES = 32_768
NOT_FOUND = 127
KNOWN = (
    "cat /etc/hostname, date, echo, env, false, hostname, id, ls, printenv, pwd, sh -c, true, "
    "uname, whoami"
)


class CommandResult(NamedTuple):
    """What a command wrote, and its exit code."""

    stdout: str
    stderr: str = ""
    code: int = 0


def run_command(
    pod: Mapping[str, Any], container: str, command: Sequence[str], now: str
) -> CommandResult:
    """Answer a command. Pure.

    Args:
        pod: in which pod.
        container: in which container of it.
        command: its words.
        now: the simulated time, RFC 3339.
    """
    name, words = str(command[0]).rpartition("/")[2], [str(word) for word in command[1:]]
    if name in ("sh", "bash") and len(words) == 2 and words[0] == "-c":
        try:
            inner = shlex.split(words[1])
        except ValueError as error:
            return CommandResult("", f"{name}: {error}\n", 2)
        return run_command(pod, container, inner, now) if inner else CommandResult("")
    environment = environment_of(pod, container)
    if name == "printenv" and words:
        found = [environment[word] for word in words if word in environment]
        return CommandResult(
            "".join(f"{value}\n" for value in found), code=int(len(found) < len(words))
        )
    hostname = name_of(pod)
    texts = {
        "hostname": hostname,
        "whoami": "root",
        "id": "uid=0(root) gid=0(root) groups=0(root)",
        "pwd": "/",
        "ls": "bin\ndev\netc\nproc\ntmp\nusr\nvar",
        "date": now,
        "uname": "Linux",
        "echo": " ".join(words),
        "env": "\n".join(f"{key}={value}" for key, value in environment.items()),
    }
    texts["printenv"] = texts["env"]
    if name == "cat" and words == ["/etc/hostname"]:
        return CommandResult(f"{hostname}\n")
    if name in ("true", "false"):
        return CommandResult("", code=int(name == "false"))
    if name in texts:
        return CommandResult(f"{texts[name]}\n")
    said = f'"{name[:60]}": not found; a simulated container knows: {KNOWN}\n'
    return CommandResult("", said, NOT_FOUND)


def environment_of(pod: Mapping[str, Any], container: str) -> dict[str, str]:
    """The environment of a container, as far as its values stand in the pod."""
    found = {"PATH": "/usr/bin:/bin", "HOSTNAME": name_of(pod), "HOME": "/root"}
    for entry in containers_of(pod):
        if entry.get("name") == container:
            for variable in entry.get("env") or ():
                found[str(variable.get("name"))] = str(variable.get("value", ""))
    return found


# -- the wire ------------------------------------------------------------------------------------


def handshake(request: Request) -> bytes:
    """The head of the answer that opens a websocket.

    Raises:
        StatusError: 400, the request is no websocket of ours.
    """
    offered = [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",")]
    chosen = next((protocol for protocol in PROTOCOLS if protocol in offered), None)
    key = request.headers.get("sec-websocket-key", "")
    if chosen is None or not key:
        raise GenericStatusError(
            400, f"a websocket of one of these protocols is served: {PROTOCOLS}"
        )
    digest = b64encode(hashlib.sha1(f"{key}{MAGIC}".encode(), usedforsecurity=False).digest())
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {digest.decode()}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"
    ).encode()


def frames(outcome: CommandResult) -> bytes:
    """What a command wrote as websocket frames, with its outcome and a goodbye."""
    data = bytearray()
    for channel, text in ((STDOUT, outcome.stdout), (STDERR, outcome.stderr)):
        raw = text.encode()
        for at in range(0, len(raw), FRAME_BYTES):
            data += _frame(bytes([channel]) + raw[at : at + FRAME_BYTES])
    data += _frame(bytes([ERROR]) + json.dumps(exit_status(outcome.code)).encode())
    return bytes(data) + _frame(b"\x03\xe8", opcode=8)  # 1000: a normal end


def exit_status(code: int) -> Document:
    """How a command ended, as a Status."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _frame(payload: bytes, opcode: int = 2) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    else:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    return head + payload


class StaticSource:
    """The source of bytes that are all there; the connection stays for a moment after them."""

    def __init__(self, data: bytes) -> None:
        self.done = False
        self._data = data
        self._until = 0.0

    def pull(self, waiting: int) -> bytes:
        """Everything, once."""
        if self._data:
            data, self._data = self._data, b""
            return data
        if not waiting and not self._until:
            self._until = time.monotonic() + LINGER_SECONDS
        self.done = bool(self._until) and time.monotonic() > self._until
        return b""

    def close(self) -> None:
        """Nothing to give back."""
