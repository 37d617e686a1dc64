"""A shell that a client types into: `kubectl exec -it web -- sh`, and what the Python client does.

Each line is a command of its own; the directory, variables and the last exit code are carried over
to the next one. With a terminal, characters are echoed, a prompt is shown, and backspace, Ctrl-C
and Ctrl-D do what they do. Functions and aliases are not carried over. A script that comes whole,
through a pipe, is run as one.
"""

from __future__ import annotations

import re
import shlex
import time
from collections import deque
from math import inf

from kubesim.apiserver.verbs.subresources import CommandResult, OutputChunk
from kubesim.clock.base import Clock
from kubesim.rest.remote.execute import (
    HEAD_START_SECONDS,
    INPUT_BYTES,
    Runner,
    closing_frames,
    output_frames,
)
from kubesim.rest.remote.websocket import CLOSE, STDIN, STDOUT, FrameReader, channel_frames

MARK, NEXT = "\x1e", "\x1f"  # before what is carried over, and between its parts
GATHER_SECONDS = 0.2  # for the rest of a script
ASSIGNED = re.compile(r"(?:^|[;&\s])(?:read\s+)?([A-Za-z_]\w*)(?==)|\bread\s+([A-Za-z_]\w*)")
UNFINISHED = ("unexpected end of file", "unterminated")
SYNTAX = "syntax error"
BACKSPACE, INTERRUPT, END = ("\x7f", "\b"), "\x03", "\x04"


class ShellSession:
    """The stream of an interactive shell.

    Args:
        run: runs a command in the container.
        shell: its name.
        reader: what the client sends.
        clock: of the cluster.
        terminal: whether the client has a terminal.
    """

    def __init__(
        self, run: Runner, shell: str, reader: FrameReader, clock: Clock, *, terminal: bool
    ) -> None:
        self.done = False
        self._run, self._shell, self._reader = run, shell, reader
        self._clock, self._terminal = clock, terminal
        self._typed = ""  # of a line that is not complete
        self._lines: deque[str] = deque()
        self._unfinished = ""  # lines of a command that goes on
        self._directory, self._status = "", 0
        self._variables: dict[str, str] = {}
        self._began = 0.0
        self._chunks: deque[OutputChunk] = deque()
        self._busy_until: float | None = None
        self._ended = False
        self._code: int | None = None  # the shell has exited
        self._greeted = not terminal
        self._begun = terminal  # commands are run: no whole script is expected any more
        self._script_text, self._first_input = "", 0.0
        self._first_output = time.monotonic() + HEAD_START_SECONDS

    def pull(self, waiting: int) -> bytes:
        """Return echoes, output that is due, and prompts; at the end, the exit status."""
        if time.monotonic() < self._first_output:
            return b""
        data = self._read()
        if not self._greeted:
            self._greeted = True
            data += self._prompt()
        if not self._begun and not self._begin():
            return data
        while True:
            data += self._output()
            if self._busy_until is not None or self.done:
                return data
            if self._code is not None or (self._ended and not self._lines):
                self.done = True
                return data + closing_frames(self._status if self._code is None else self._code)
            if not self._lines:
                return data
            self._execute(self._lines.popleft())

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _begin(self) -> bool:
        """Run a whole script if its end has come; return whether to run commands from now on."""
        if self._ended:
            self._lines.clear()
            result = self._run([self._shell], self._script_text)
            self._code = result.code
            self._finish(result, result.seconds)
        elif not self._lines or time.monotonic() - self._first_input < GATHER_SECONDS:
            return False
        self._begun = True
        return True

    # -- input ------------------------------------------------------------------------------------

    def _read(self) -> bytes:
        echo = ""
        for channel, data in self._reader.messages():
            if channel == STDIN:
                echo += self._type(data.decode("utf-8", "replace"))
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                self._end_input()
        if self._reader.closed or max(len(self._typed), len(self._script_text)) > INPUT_BYTES:
            self.done = True
        return self._reader.replies() + channel_frames(STDOUT, echo.encode())

    def _type(self, text: str) -> str:
        """Take typed characters; return what a terminal shows of them."""
        if not self._terminal:
            if not self._begun:
                self._first_input = self._first_input or time.monotonic()
                self._script_text += text
            *lines, self._typed = (self._typed + text).split("\n")
            self._lines.extend(lines)
            return ""
        echo = ""
        for character in text:
            if character in "\r\n":
                self._lines.append(self._typed)
                self._typed = ""
                echo += "\r\n"
            elif character in BACKSPACE:
                echo += "\b \b" if self._typed else ""
                self._typed = self._typed[:-1]
            elif character == INTERRUPT:
                self._typed = self._unfinished = ""
                echo += "^C\r\n" + self._prompt_text()
            elif character == END and not self._typed:
                self._end_input()
            elif character.isprintable() or character == "\t":
                self._typed += character
                echo += character
        return echo

    def _end_input(self) -> None:
        if self._typed:
            self._lines.append(self._typed)
            self._typed = ""
        self._ended = True

    # -- commands ---------------------------------------------------------------------------------

    def _execute(self, line: str) -> None:
        """Run one line; a command that is not complete waits for the next one."""
        command = f"{self._unfinished}{line}"
        if not command.strip():
            self._finish(CommandResult((), self._status), 0.0)
            return
        names = [a or b for a, b in ASSIGNED.findall(command)]
        result = self._run([self._shell, "-c", self._script(command, names)], "")
        text = "".join(chunk.text for chunk in result.chunks if chunk.stream == STDOUT)
        errors = "".join(chunk.text for chunk in result.chunks if chunk.stream != STDOUT)
        if MARK not in text and SYNTAX in errors:
            if any(reason in errors for reason in UNFINISHED) and not self._ended:
                self._unfinished = f"{command}\n"
                self._finish(CommandResult((), self._status), 0.0)
                return
            self._unfinished, self._status = "", result.code
        elif MARK not in text:
            self._unfinished, self._code = "", result.code  # it called exit
        else:
            self._unfinished, self._status = "", result.code
            kept = text.partition(MARK)[2].split(NEXT)
            self._directory = kept[0]
            self._variables.update(zip((*self._variables, *names), kept[1:], strict=False))
        self._finish(result, result.seconds)

    def _script(self, command: str, names: list[str]) -> str:
        """Return a script that restores the state, runs a command and prints the new state."""
        before = [f"export {k}={shlex.quote(v)}" for k, v in self._variables.items()]
        before += [f"cd {shlex.quote(self._directory)}"] if self._directory else []
        after = "".join(f"printf '{NEXT}%s' \"${k}\"; " for k in (*self._variables, *names))
        lines = [
            *before,
            f"(exit {self._status})",
            f"eval {shlex.quote(command)}",
            f"_status=$?; printf '{MARK}%s' \"$PWD\"; {after}exit $_status",
        ]
        return "\n".join(lines)

    def _finish(self, result: CommandResult, seconds: float) -> None:
        """Queue the output of a command, without the state behind it."""
        chunks, hidden = [], False
        for chunk in result.chunks:
            if chunk.stream == STDOUT and not hidden:
                shown, mark, _ = chunk.text.partition(MARK)
                hidden = bool(mark)
                chunks.append(chunk._replace(text=shown))
            elif chunk.stream != STDOUT:
                chunks.append(chunk)
        if self._unfinished:
            chunks = []
        self._chunks = deque(chunks)
        self._began = -inf if self._clock.virtual else self._clock.now()
        self._busy_until = seconds

    def _output(self) -> bytes:
        """Return the output of the running command that is due; a prompt after its end."""
        if self._busy_until is None:
            return b""
        elapsed = self._clock.now() - self._began
        data = b""
        while self._chunks and self._chunks[0].second <= elapsed:
            data += output_frames(self._chunks.popleft(), terminal=self._terminal)
        if not self._chunks and self._busy_until <= elapsed:
            self._busy_until = None
            if self._code is None and not (self._ended and not self._lines):
                data += self._prompt()
        return data

    def _prompt(self) -> bytes:
        return channel_frames(STDOUT, self._prompt_text().encode()) if self._terminal else b""

    def _prompt_text(self) -> str:
        return "> " if self._unfinished else f"{self._directory or '/'} # "
