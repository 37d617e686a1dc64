"""A program that runs in a container: its steps become log lines, timers and an exit code."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.clock.base import Timer, Worker
from kubesim.kubelet.shell.steps import ForeignProgram, Output, Run, Signals, Sleep

MAX_LINE = 16_384  # characters: longer lines are cut into pieces, as container runtimes do

Write = Callable[[int, str], object]
"""write(stream, line) receives each line of output, without its newline."""
Foreign = Callable[[tuple[str, ...]], float | None]
"""foreign(words) -> seconds that a program which is not simulated runs; None: it does not end."""


class Process:
    """Runs a program on its pod's worker.

    Args:
        run: the program.
        worker: the pod's.
        write: receives the lines.
        exited: called with the exit code.
        foreign: how long other programs run.
        signals: its traps.
    """

    __slots__ = (
        "_exited",
        "_foreign",
        "_partial",
        "_run",
        "_signals",
        "_timer",
        "_worker",
        "_write",
        "over",
    )

    def __init__(
        self,
        run: Run,
        worker: Worker,
        *,
        write: Write,
        exited: Callable[[int], object],
        foreign: Foreign,
        signals: Signals | None = None,
    ) -> None:
        self._run, self._worker = run, worker
        self._write, self._exited, self._foreign = write, exited, foreign
        self._partial: dict[int, str] = {}
        self._timer: Timer | None = None
        self.over = False
        self._signals = signals or Signals()
        self._signals.connect(wake=lambda: worker.call_soon(self._interrupt))

    @property
    def catches_term(self) -> bool:
        """Whether it has a trap for SIGTERM, or ignores it."""
        return not self.over and self._signals.catches("TERM")

    def terminate(self) -> None:
        """Send SIGTERM to it."""
        self._signals.send("TERM")

    def _interrupt(self) -> None:
        """Go on at once if the program is inside of `wait`; else the command ends first."""
        if self._signals.waiting and self._signals.pending and not self.over:
            if self._timer is not None:
                self._timer.cancel()
            self.go_on()

    def go_on(self) -> None:
        """Run the program up to its next pause or its end."""
        while not self.over:
            try:
                step = next(self._run)
            except StopIteration as end:
                self._finish(int(end.value))
                return
            if isinstance(step, Output):
                self._print(step)
                continue
            seconds = step.seconds if isinstance(step, Sleep) else self._seconds_of(step)
            if seconds is None:
                return  # it goes on until it is stopped
            if seconds > 0:
                self._timer = self._worker.call_later(seconds, self.go_on)
                return

    def stop(self) -> None:
        """End the program without its exit code."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.over:
            self.over = True
            self._run.close()

    def _seconds_of(self, program: ForeignProgram) -> float | None:
        return self._foreign(program.words)

    def _print(self, step: Output) -> None:
        """Write whole lines; keep the rest until its newline comes."""
        *lines, rest = (self._partial.get(step.stream, "") + step.text).split("\n")
        for line in lines:
            for start in range(0, max(1, len(line)), MAX_LINE):
                self._write(step.stream, line[start : start + MAX_LINE])
        if len(rest) > MAX_LINE:
            self._write(step.stream, rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._partial[step.stream] = rest

    def _finish(self, code: int) -> None:
        self.over = True
        for stream, rest in self._partial.items():
            if rest:
                self._write(stream, rest)
        self._exited(code)
