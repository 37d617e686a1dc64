"""`kubectl exec`: a few harmless commands in a simulated container, over a websocket.

A simulated container has no process, so the output of these commands is derived from the pod. The
protocol is the real one: binary frames whose first byte is a channel (1 stdout, 2 stderr, 3 error:
the result as a Status). SPDY, which kubectl used before 1.30, is not supported.

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
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubesim.errors import GenericStatusError
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of
from kubesim.objects.pods import containers_of
from kubesim.rest.http.wire import Request

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
STDOUT, STDERR, ERROR = 1, 2, 3
LINGER_SECONDS = 1.0  # for the client to close the connection
FRAME_BYTES = 32_768
NOT_FOUND = 127
COMMANDS = (
    "cat /etc/hostname, date, echo, env, false, hostname, id, ls, printenv, pwd, sh -c, true, "
    "uname, whoami"
)


class CommandResult(NamedTuple):
    """The output of a command and its exit code."""

    stdout: str
    stderr: str = ""
    code: int = 0


def run_command(pod: PodDict, container: str, command: Sequence[str], now: str) -> CommandResult:
    """Return the result of a command in a container. Pure.

    Args:
        pod: the pod.
        container: the name of the container.
        command: the program and its arguments.
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
        values = [environment[word] for word in words if word in environment]
        return CommandResult(
            "".join(f"{value}\n" for value in values), code=int(len(values) < len(words))
        )
    hostname = name_of(pod)
    outputs = {
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
    outputs["printenv"] = outputs["env"]
    if name == "cat" and words == ["/etc/hostname"]:
        return CommandResult(f"{hostname}\n")
    if name in ("true", "false"):
        return CommandResult("", code=int(name == "false"))
    if name in outputs:
        return CommandResult(f"{outputs[name]}\n")
    message = f'"{name[:60]}": not found; available commands: {COMMANDS}\n'
    return CommandResult("", message, NOT_FOUND)


def environment_of(pod: PodDict, container: str) -> dict[str, str]:
    """Return the environment of a container: the variables whose values the pod's spec contains."""
    environment = {"PATH": "/usr/bin:/bin", "HOSTNAME": name_of(pod), "HOME": "/root"}
    for entry in containers_of(pod):
        if entry.get("name") == container:
            for variable in entry.get("env") or ():
                environment[str(variable.get("name"))] = str(variable.get("value", ""))
    return environment


# -- the websocket -------------------------------------------------------------------------------


def handshake(request: Request) -> bytes:
    """Return the head of the response that opens a websocket.

    Raises:
        GenericStatusError: 400, the request offers no supported subprotocol.
    """
    offered = [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",")]
    chosen = next((protocol for protocol in PROTOCOLS if protocol in offered), None)
    key = request.headers.get("sec-websocket-key", "")
    if chosen is None or not key:
        raise GenericStatusError(
            400, f"exec needs a websocket with one of these subprotocols: {', '.join(PROTOCOLS)}"
        )
    digest = b64encode(hashlib.sha1(f"{key}{MAGIC}".encode(), usedforsecurity=False).digest())
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {digest.decode()}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"
    ).encode()


def frames(result: CommandResult) -> bytes:
    """Return the websocket frames of a command's output, its exit status and a close frame."""
    data = bytearray()
    for channel, text in ((STDOUT, result.stdout), (STDERR, result.stderr)):
        raw = text.encode()
        for at in range(0, len(raw), FRAME_BYTES):
            data += _frame(bytes([channel]) + raw[at : at + FRAME_BYTES])
    data += _frame(bytes([ERROR]) + json.dumps(exit_status(result.code)).encode())
    return bytes(data) + _frame(b"\x03\xe8", opcode=8)  # 1000: normal closure


def exit_status(code: int) -> Document:
    """Return the exit code of a command as a Status."""
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
    """A stream source with fixed bytes; the connection stays open for a moment after them."""

    def __init__(self, data: bytes) -> None:
        self.done = False
        self._data = data
        self._until = 0.0

    def pull(self, waiting: int) -> bytes:
        """Return all bytes once, then end the stream after LINGER_SECONDS."""
        if self._data:
            data, self._data = self._data, b""
            return data
        if not waiting and not self._until:
            self._until = time.monotonic() + LINGER_SECONDS
        self.done = bool(self._until) and time.monotonic() > self._until
        return b""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
