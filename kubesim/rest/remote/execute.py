"""`kubectl exec` and `kubectl attach` over a websocket.

A command runs to its end at one moment, and its output is sent in its own time. So its input has to
be complete first: a command that reads it is started when the client closes stdin, one that does
not at once. `cat` sends its input back as it comes (`CopySource`). A shell that a client types into
(with a terminal, or from the Python client) takes its input line by line (`ShellSession`). SPDY,
which kubectl used before 1.30, is not supported.

Source: pkg/kubelet/server/server.go (getExec, getAttach), k8s.io/kubelet/pkg/cri/streaming.
"""

from __future__ import annotations

import json
import posixpath
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import inf

from kubesim.apiserver.verbs.subresources import CommandResult, OutputChunk
from kubesim.bytetext import bytes_of, text_of
from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document
from kubesim.rest.remote.websocket import (
    CLOSE,
    ERROR,
    STDIN,
    STDOUT,
    FrameReader,
    channel_frames,
    frame,
    goodbye,
)

LINGER_SECONDS = 1.0  # for the client to close the connection
HEAD_START_SECONDS = 0.05
"""Wall time before the first output, as a container runtime takes to start a program. kubectl
before 1.34 discards what comes while it sets up its streams (kubernetes/kubernetes#131189)."""
INPUT_BYTES = 1024 * 1024
END_OF_INPUT = b"\x04"  # Ctrl-D on a terminal
SHELLS = frozenset({"sh", "bash", "ash", "dash"})
READERS = SHELLS | {
    "base64",
    "cat",
    "cut",
    "egrep",
    "fgrep",
    "grep",
    "gunzip",
    "gzip",
    "head",
    "read",
    "sort",
    "tail",
    "tar",
    "tee",
    "tr",
    "uniq",
    "wc",
    "xargs",
    "zcat",
}
"""Programs that read their input if no file is named."""

Runner = Callable[[Sequence[str], str], CommandResult]
"""runner(command, stdin) runs a command in the container."""


def closing_frames(code: int) -> bytes:
    """Return the frames of an exit status and of the end of the connection."""
    return frame(bytes([ERROR]) + json.dumps(exit_status(code)).encode()) + goodbye()


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


def reads_input(command: Sequence[str]) -> bool:
    """Return whether a command may read its input.

    >>> reads_input(["echo", "cat"]), reads_input(["cat"]), reads_input(["sh", "-c", "wc -l"])
    (False, True, True)
    """
    name = posixpath.basename(command[0])
    if name in SHELLS and "-c" in command:
        return any(word in READERS for word in re.findall(r"[\w-]+", command[-1]))
    return name in READERS


def is_shell(command: Sequence[str]) -> bool:
    """Return whether a command is a shell that reads what it does: ``sh``, ``/bin/bash -i``."""
    flags = all(word.startswith("-") and word != "-c" for word in command[1:])
    return posixpath.basename(command[0]) in SHELLS and flags


def copies_input(command: Sequence[str]) -> bool:
    """Return whether a command copies its input to its output: ``cat``, ``sh -c cat``.

    >>> copies_input(["cat"]), copies_input(["/bin/sh", "-c", "cat"]), copies_input(["cat", "a"])
    (True, True, False)
    """
    words = list(command)
    if posixpath.basename(words[0]) in SHELLS and words[1:2] == ["-c"] and len(words) == 3:
        words = words[2].split() or words
    return posixpath.basename(words[0]) == "cat" and set(words[1:]) <= {"-", "-u"}


class CopySource:
    """The stream of a command that sends its input back until that ends, and then succeeds.

    Args:
        reader: what the client sends.
    """

    def __init__(self, reader: FrameReader) -> None:
        self.done = False
        self._reader = reader
        self._until: float | None = None

    def pull(self, waiting: int) -> bytes:
        """Return the input that has come; LINGER_SECONDS after its end, end the stream."""
        if waiting > INPUT_BYTES:  # the client does not read: neither does the server
            return b""
        data = b""
        for channel, piece in self._reader.messages():
            if self._until is not None:
                break
            if channel == STDIN:
                data += channel_frames(STDOUT, piece)
            elif channel == CLOSE and piece[:1] == bytes([STDIN]):
                data += closing_frames(0)
                self._until = time.monotonic() + LINGER_SECONDS
        ended = self._until is not None and not waiting and time.monotonic() > self._until
        self.done = self._reader.closed or ended
        return self._reader.replies() + data

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class CommandSource:
    """The stream of a command: its output in its own time, then its exit status.

    Args:
        run: runs the command with an input.
        clock: on a virtual one, which nobody moves during a request, all is sent at once.
        reader: what the client sends; None: the command gets no input.
        terminal: lines end as on a terminal.
        waits: the command reads its input, so it starts when that is complete.
    """

    def __init__(
        self,
        run: Callable[[str], CommandResult],
        clock: Clock,
        reader: FrameReader | None = None,
        *,
        terminal: bool = False,
        waits: bool = True,
    ) -> None:
        self.done = False
        self._run, self._clock, self._reader, self._terminal = run, clock, reader, terminal
        self._input = b""
        self._began = 0.0
        self._chunks: deque[OutputChunk] = deque()
        self._end: tuple[float, int] | None = None
        self._until: float | None = None
        self._started = False
        self._first_output = time.monotonic() + HEAD_START_SECONDS
        if reader is None or not waits:
            self._start()

    def pull(self, waiting: int) -> bytes:
        """Return the output that is due; end the stream LINGER_SECONDS after the exit status."""
        data = self._read() if self._reader is not None else b""
        if not self._started or time.monotonic() < self._first_output:
            return data
        elapsed = self._clock.now() - self._began
        while self._chunks and self._chunks[0].second <= elapsed:
            data += output_frames(self._chunks.popleft(), terminal=self._terminal)
        if self._end is not None and not self._chunks and self._end[0] <= elapsed:
            data += closing_frames(self._end[1])
            self._end = None
        elif self._end is None and not waiting:
            self._until = self._until or time.monotonic() + LINGER_SECONDS
            self.done = self.done or time.monotonic() > self._until
        return data

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _read(self) -> bytes:
        """Read the client's input; start the command at its end; return replies."""
        reader = self._reader
        if reader is None:
            return b""
        ended = False
        for channel, data in reader.messages():
            if channel == STDIN and not self._started:
                self._input += data
                ended = ended or (self._terminal and END_OF_INPUT in data)
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                ended = True
        if reader.closed or len(self._input) > INPUT_BYTES:
            self.done = True
        elif ended and not self._started:
            self._start()
        return reader.replies()

    def _start(self) -> None:
        text = self._input.partition(END_OF_INPUT)[0] if self._terminal else self._input
        result = self._run(text_of(text))
        self._started = True
        self._began = -inf if self._clock.virtual else self._clock.now()
        self._chunks = deque(result.chunks)
        self._end = (result.seconds, result.code)


def output_frames(chunk: OutputChunk, *, terminal: bool = False) -> bytes:
    """Return the frames of a piece of output; a terminal has one channel and CR LF.

    Args:
        chunk: the piece.
        terminal: whether the client has a terminal.
    """
    if not terminal:
        return channel_frames(chunk.stream, bytes_of(chunk.text))
    return channel_frames(1, bytes_of(chunk.text.replace("\n", "\r\n")))
