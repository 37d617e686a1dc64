"""Match regular expressions in a time that is linear in the text.

Python's own expressions can be made to take exponential time, so all ways through a pattern are
followed at once, one character after the other. The leftmost match wins, then the longest one.

Source: Russ Cox, Regular Expression Matching: the Virtual Machine Approach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_TEXT = 1 << 20  # characters of a value, or of one line
MAX_STEPS = 100_000  # of the matcher for one line
WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

CHARACTER, SPLIT, JUMP, SAVE, ASSERT, MATCH = range(6)


class TextProgramError(Exception):
    """A pattern, a script of `sed` or a program of `awk` cannot be read, or takes too long."""


class Effort:
    """The steps that a program spends on one line; the shell's budget counts them, too."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps = 0

    def spend(self, steps: int = 1) -> None:
        """Count some steps.

        Raises:
            TextProgramError: they are too many.
        """
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise TextProgramError("this line takes too long")

    def take(self) -> int:
        """Return the steps since the last call, and begin again."""
        steps, self._steps = self._steps, 0
        return steps


class PatternMatch(NamedTuple):
    """Where a pattern matches.

    Attributes:
        start, end: of the match.
        groups: the text of the whole match and of each group; "" for one that took no part.
    """

    start: int
    end: int
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PatternStep:
    """One step of a compiled pattern.

    Attributes:
        action: one of the constants above.
        target, other: the next instruction, or two of them for SPLIT; the slot of SAVE.
        characters: for CHARACTER: which ones; negated: all but these.
        assertion: for ASSERT: ^, $, b, < or >.
    """

    action: int
    target: int = 0
    other: int = 0
    characters: frozenset[str] = frozenset()
    negated: bool = False
    assertion: str = ""


@dataclass(slots=True)
class TextPattern:
    """A pattern that is ready to be searched for.

    Attributes:
        program: the instructions.
        groups: number of groups.
        ignore_case: whether letters match in both cases.
        effort: counts the steps.
        prefix: what every match begins with.
        literal: the whole pattern, if it is nothing but characters.
    """

    program: tuple[PatternStep, ...]
    groups: int
    ignore_case: bool
    effort: Effort
    prefix: str = ""
    literal: bool = False

    def search(self, text: str, start: int = 0) -> PatternMatch | None:
        """Return the leftmost match that begins at `start` or later; of these, the longest.

        Raises:
            TextProgramError: it takes too long.
        """
        subject = text.lower() if self.ignore_case and len(text.lower()) == len(text) else text
        self.effort.spend()
        if self.prefix:
            start = subject.find(self.prefix, start)
            if start < 0:
                return None
            if self.literal:
                end = start + len(self.prefix)
                return PatternMatch(start, end, (text[start:end],))
        slots = self._run(subject, start)
        if slots is None:
            return None
        groups = tuple(
            text[slots[at] : slots[at + 1]] if slots[at + 1] >= 0 else ""
            for at in range(0, len(slots), 2)
        )
        return PatternMatch(slots[0], slots[1], groups)

    def matches(self, text: str) -> Iterator[PatternMatch]:
        """Yield all matches that do not overlap; no empty one directly behind another match."""
        position, end = 0, -1
        while position <= len(text):
            match = self.search(text, position)
            if match is None:
                return
            empty = match.end == match.start
            if not (empty and match.start == end):
                yield match
            end = match.end
            position = end + empty

    def _run(self, text: str, position: int) -> tuple[int, ...] | None:
        """Follow all ways at once; return the slots of the best match."""
        best: tuple[int, ...] | None = None
        empty = (-1,) * (2 * self.groups + 2)
        threads: list[tuple[int, tuple[int, ...]]] = []
        visited: set[int] = set()
        while True:
            if best is None:  # a match may begin here; earlier beginnings come first
                self._follow(0, empty, text, position, threads, visited)
            elif not threads:
                return best
            character = text[position] if position < len(text) else ""
            following: list[tuple[int, tuple[int, ...]]] = []
            reached: set[int] = set()
            for at, slots in threads:
                instruction = self.program[at]
                if instruction.action == MATCH:
                    if best is None or (-slots[0], slots[1]) > (-best[0], best[1]):
                        best = slots
                elif best is not None and slots[0] > best[0]:
                    continue  # it began later
                elif character and (character in instruction.characters) != instruction.negated:
                    self._follow(at + 1, slots, text, position + 1, following, reached)
            if not character:
                return best
            threads, visited = following, reached
            position += 1

    def _follow(
        self,
        at: int,
        slots: tuple[int, ...],
        text: str,
        position: int,
        threads: list[tuple[int, tuple[int, ...]]],
        visited: set[int],
    ) -> None:
        """Add the instructions that are reached without a character.

        Args:
            at: the instruction from which to start.
            slots: of this way.
            text, position: for assertions.
            threads: receives the ways, the preferred ones first.
            visited: instructions that were reached at this position.
        """
        pending = [(at, slots)]
        while pending:
            at, slots = pending.pop()
            if at in visited:
                continue
            visited.add(at)
            self.effort.spend()
            instruction = self.program[at]
            if instruction.action == JUMP:
                pending.append((instruction.target, slots))
            elif instruction.action == SPLIT:
                pending.append((instruction.other, slots))
                pending.append((instruction.target, slots))
            elif instruction.action == SAVE:
                slot = instruction.target
                pending.append((at + 1, (*slots[:slot], position, *slots[slot + 1 :])))
            elif instruction.action == ASSERT:
                if _holds(instruction.assertion, text, position):
                    pending.append((at + 1, slots))
            else:
                threads.append((at, slots))


def _holds(assertion: str, text: str, position: int) -> bool:
    if assertion == "^":
        return position == 0
    if assertion == "$":
        return position == len(text)
    before = position > 0 and text[position - 1] in WORD
    after = position < len(text) and text[position] in WORD
    return {"b": before != after, "<": after and not before, ">": before and not after}[assertion]
