"""Patterns of custom kinds: regular expressions in the syntax of Go, matched in linear time.

Python's own `re` reads another syntax (``^(?i)x`` is an error there, ``\\Z`` is one in Go) and goes
back and forth: ``^(a+)+$`` takes twice as long for each further letter, and one request could stop
the server. Here a text is read once, from left to right. All places of the pattern that the text so
far can have reached are one state, and what a state becomes by a character is kept.

>>> compile_pattern("^(?i)(small|large)$").search("LARGE")
True
>>> compile_pattern("^(a+)+$").search("a" * 10_000 + "!")
False
>>> compile_pattern("a**")
Traceback (most recent call last):
    ...
kubesim.apiserver.schema.re2_parser.PatternError: error parsing regexp: invalid nested ...

Source: Go's regexp (MatchString) and regexp/syntax; Thompson's algorithm with a lazy automaton.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from kubesim.apiserver.schema.re2_classes import WORD, CharSet
from kubesim.apiserver.schema.re2_parser import PatternError, Tree, parse_pattern

MAX_INSTRUCTIONS = 20_000
MAX_TRANSITIONS = 20_000  # kept for one pattern; then it starts anew
BEGIN, LINE, LETTER, OTHER, END = "begin", "line", "letter", "other", "end"
"""What stands beside a place of a text: nothing, a line end, a letter of a word, another sign."""
_IS_LETTER = CharSet(WORD)


class Instruction(NamedTuple):
    """One step of a program.

    Attributes:
        kind: set, assert, split, match.
        set: the characters that are read.
        name: of the assertion.
        targets: the instructions that follow.
    """

    kind: str
    set: CharSet | None = None
    name: str = ""
    targets: tuple[int, ...] = ()


class Reached:
    """What a text so far has reached.

    Args:
        places: the instructions that may be next.
        before: what stands before them.

    Attributes:
        following: the state after each character that was met; None: the pattern has matched.
        ends: whether the pattern matches if the text ends here; None: not computed yet.
    """

    __slots__ = ("before", "ends", "following", "places")

    def __init__(self, places: frozenset[int], before: str) -> None:
        self.places = places
        self.before = before
        self.following: dict[str, Reached | None] = {}
        self.ends: bool | None = None

    def learn(self, character: str, after: Reached | None) -> Reached | None:
        """Keep the state after a character, and return it."""
        self.following[character] = after
        return after

    def learn_end(self, matches: bool) -> bool:
        """Keep whether the pattern matches if the text ends here, and return it."""
        self.ends = matches
        return matches


class CompiledPattern:
    """A regular expression, compiled.

    Any thread may use it: tables only grow or are replaced, and an entry that two threads make at
    once means the same.

    Args:
        text: the regular expression.

    Raises:
        PatternError: it is malformed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._program = _program_of(parse_pattern(text), text)
        self._forget()

    def _forget(self) -> None:
        """Begin with empty tables."""
        self._start = Reached(frozenset((0,)), BEGIN)
        self._states: dict[tuple[frozenset[int], str], Reached] = {}
        self._transitions = 0

    def search(self, value: str) -> bool:
        """Return whether any part of a text matches."""
        state = self._start
        for character in value:
            after = state.following.get(character, state)
            if after is state and character not in state.following:
                after = self._step(state, character)
            if after is None:
                return True
            state = after
        if state.ends is None:
            return state.learn_end(self._closure(state, END) is None)
        return state.ends

    def _step(self, state: Reached, character: str) -> Reached | None:
        """Return the state after a character; None: the pattern has matched before it."""
        if self._transitions >= MAX_TRANSITIONS:
            self._forget()
        self._transitions += 1
        side = _side_of(character)
        reached = self._closure(state, side)
        if reached is None:
            return state.learn(character, None)
        steps = [self._program[place] for place in reached]
        read = {one.targets[0] for one in steps if one.set is not None and character in one.set}
        key = frozenset((0, *read)), side  # a match may also begin here
        return state.learn(character, self._states.setdefault(key, Reached(*key)))

    def _closure(self, state: Reached, side: str) -> list[int] | None:
        """Return the instructions that read a character; None if the match is reached.

        Args:
            state: the instructions that may be next, and what stands before them.
            side: what stands after them.
        """
        waiting, visited = list(state.places), set(state.places)
        reached: list[int] = []
        while waiting:
            place = waiting.pop()
            one = self._program[place]
            if one.kind == "match":
                return None
            if one.kind == "set":
                reached.append(place)
            elif one.kind == "split" or _holds(one.name, state.before, side):
                new = [target for target in one.targets if target not in visited]
                visited.update(new)
                waiting += new
        return reached


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> CompiledPattern:
    """Compile a regular expression of Go; the newest are kept.

    Raises:
        PatternError: it is malformed; the message is Go's.
    """
    return CompiledPattern(text)


def _side_of(character: str) -> str:
    if character == "\n":
        return LINE
    return LETTER if character in _IS_LETTER else OTHER


def _holds(assertion: str, before: str, after: str) -> bool:
    """Return whether an assertion holds between two characters."""
    match assertion:
        case "begin text":
            return before == BEGIN
        case "end text":
            return after == END
        case "begin line":
            return before in (BEGIN, LINE)
        case "end line":
            return after in (END, LINE)
    return ((before == LETTER) is not (after == LETTER)) is (assertion == "word boundary")


# -- from the tree to the program ------------------------------------------------------------------


def _program_of(tree: Tree, text: str) -> list[Instruction]:
    """Return the instructions of a tree; the first one starts.

    Built backwards: each part is told what follows it.
    """
    program: list[Instruction] = [Instruction("split")]

    def add(instruction: Instruction) -> int:
        if len(program) >= MAX_INSTRUCTIONS:
            raise PatternError("expression too large", text[:100])
        program.append(instruction)
        return len(program) - 1

    def build(part: Tree, then: int) -> int:
        kind = part[0]
        if kind == "set":
            assert isinstance(part[1], CharSet)
            return add(Instruction("set", part[1], targets=(then,)))
        if kind == "assert":
            return add(Instruction("assert", name=str(part[1]), targets=(then,)))
        if kind == "repeat":
            return repeat(part, then)
        inner = part[1]
        assert isinstance(inner, tuple)
        if kind == "any":
            return split(build(each, then) for each in inner)
        for each in reversed(inner):
            then = build(each, then)
        return then

    def split(targets: Iterable[int]) -> int:
        return add(Instruction("split", targets=tuple(targets)))

    def repeat(part: Tree, then: int) -> int:
        _, inner, least, most = part
        assert isinstance(inner, tuple) and isinstance(least, int)
        if most is None:
            loop = split((then,))
            body = build(inner, loop)
            program[loop] = Instruction("split", targets=(body, then))
            then = loop
        else:
            assert isinstance(most, int)
            end = then
            for _ in range(most - least):
                then = split((build(inner, then), end))
        for _ in range(least):
            then = build(inner, then)
        return then

    match = add(Instruction("match"))
    program[0] = Instruction("split", targets=(build(tree, match),))
    return program
