r"""Compile the regular expressions of POSIX, basic and extended ones.

>>> compile_pattern("b*c", Effort()).search("aabbc").groups
('bbc',)
>>> compile_pattern("(a|ab)(c|bcd)", Effort(), extended=True).search("abcd").groups
('abcd', 'a', 'bcd')
>>> compile_pattern(r"\(x\)\1", Effort())
Traceback (most recent call last):
kubesim.kubelet.text.patterns.TextProgramError: back-references in patterns are not simulated

Ours keeps: `.`, `[...]` with classes, `^`, `$`, `*`, groups, and `+`, `?`, `|`, `{m,n}`, with a
backslash in basic expressions; `\n`, `\t`, `\s`, `\w`, `\b`, `\<`, `\>`.

Source: IEEE Std 1003.1-2017, Base Definitions, 9 Regular Expressions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kubesim.kubelet.text.patterns import (
    ASSERT,
    CHARACTER,
    JUMP,
    MATCH,
    SAVE,
    SPLIT,
    WORD,
    Effort,
    PatternStep,
    TextPattern,
    TextProgramError,
)

MAX_INSTRUCTIONS = 1_000
MAX_DEPTH = 20  # groups inside one another
MAX_REPEAT = 255  # RE_DUP_MAX
CLASSES = {
    "alpha": frozenset(c for c in WORD if c.isalpha()),
    "digit": frozenset("0123456789"),
    "alnum": WORD - {"_"},
    "upper": frozenset(c for c in WORD if c.isupper()),
    "lower": frozenset(c for c in WORD if c.islower()),
    "space": frozenset(" \t\n\r\f\v"),
    "blank": frozenset(" \t"),
    "punct": frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "xdigit": frozenset("0123456789abcdefABCDEF"),
    "print": frozenset(map(chr, range(32, 127))),
}
SHORTHANDS = {
    "s": (CLASSES["space"], False),
    "S": (CLASSES["space"], True),
    "w": (WORD, False),
    "W": (WORD, True),
}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
INTERVAL = re.compile(r"(\d{1,4})(,?)(\d{0,4})")


def compile_pattern(
    source: str, effort: Effort, *, extended: bool = False, ignore_case: bool = False
) -> TextPattern:
    """Compile a regular expression.

    Args:
        source: the expression.
        effort: counts the steps of its matches.
        extended: `+`, `?`, `|`, `{}` and `()` have their meaning without a backslash.
        ignore_case: letters match in both cases.

    Raises:
        TextProgramError: it is malformed, too long, or not simulated.
    """
    compiler = _Compiler(source.lower() if ignore_case else source, extended=extended)
    body = compiler.alternatives(0)
    if compiler.position < len(source):
        raise TextProgramError("Unmatched ) or \\)")
    program = [PatternStep(SAVE, 0), *body, PatternStep(SAVE, 1), PatternStep(MATCH)]
    resolved = tuple(
        PatternStep(i.action, at + i.target, at + i.other) if i.action in (JUMP, SPLIT) else i
        for at, i in enumerate(program)
    )
    prefix = ""
    for instruction in body:
        if instruction.action != CHARACTER or instruction.negated:
            break
        if len(instruction.characters) != 1:
            break
        prefix += next(iter(instruction.characters))
    simple = len(prefix) == len(body)
    if not simple:
        prefix = ""  # what follows may repeat its last characters
    return TextPattern(
        resolved, compiler.groups, ignore_case, effort, prefix, literal=simple and bool(prefix)
    )


@dataclass(slots=True)
class _Compiler:
    """Translates an expression; the targets of jumps are relative."""

    source: str
    extended: bool
    position: int = 0
    groups: int = 0

    def alternatives(self, depth: int) -> list[PatternStep]:
        """Translate alternatives up to the end of the group."""
        if depth > MAX_DEPTH:
            raise TextProgramError("the groups are nested too deeply")
        branches = [self._sequence(depth)]
        while self._accept("|"):
            branches.append(self._sequence(depth))
        program = branches.pop()
        for branch in reversed(branches):
            split = PatternStep(SPLIT, 1, len(branch) + 2)
            program = self._checked([split, *branch, PatternStep(JUMP, len(program) + 1), *program])
        return program

    def _checked(self, program: list[PatternStep]) -> list[PatternStep]:
        if len(program) > MAX_INSTRUCTIONS:
            raise TextProgramError("Regular expression too big")
        return program

    def _operator(self) -> str:
        """Return the operator that comes next: one of + ? | { } ( ); "" if none does."""
        rest = self.source[self.position : self.position + 2]
        if self.extended:
            return rest[:1] if rest[:1] in set("+?|{()") else ""
        return rest[1] if len(rest) == 2 and rest[0] == "\\" and rest[1] in "+?|{}()" else ""

    def _accept(self, operator: str) -> bool:
        if self._operator() != operator:
            return False
        self.position += 1 if self.extended else 2
        return True

    def _sequence(self, depth: int) -> list[PatternStep]:
        program: list[PatternStep] = []
        first = True
        while self.position < len(self.source) and self._operator() not in ("|", ")"):
            atom = self._atom(depth, first=first)
            repeats = atom[:1] == [PatternStep(ASSERT, assertion="^")]
            program = self._checked([*program, *(atom if repeats else self._repeated(atom))])
            first = repeats
        if self._operator() == ")" and depth == 0:
            raise TextProgramError("Unmatched ) or \\)")
        return program

    def _atom(self, depth: int, *, first: bool) -> list[PatternStep]:
        if self._accept("("):
            self.groups += 1
            slot = 2 * self.groups
            body = self.alternatives(depth + 1)
            if not self._accept(")"):
                raise TextProgramError("Unmatched ( or \\(")
            return [PatternStep(SAVE, slot), *body, PatternStep(SAVE, slot + 1)]
        if self._operator() in ("+", "?", "{") and not first and self.extended:
            raise TextProgramError("Invalid preceding regular expression")
        character = self.source[self.position]
        self.position += 1
        if character == ".":
            return [PatternStep(CHARACTER, negated=True)]
        if character == "[":
            return [self._bracket()]
        if character == "^" and (first or self.extended):
            return [PatternStep(ASSERT, assertion="^")]
        if character == "$" and (self.extended or self._at_end()):
            return [PatternStep(ASSERT, assertion="$")]
        if character == "\\":
            return [self._escape()]
        return [PatternStep(CHARACTER, characters=frozenset(character))]

    def _at_end(self) -> bool:
        return self.position == len(self.source) or self._operator() in ("|", ")")

    def _escape(self) -> PatternStep:
        if self.position >= len(self.source):
            raise TextProgramError("Trailing backslash")
        character = self.source[self.position]
        self.position += 1
        if character in SHORTHANDS:
            characters, negated = SHORTHANDS[character]
            return PatternStep(CHARACTER, characters=characters, negated=negated)
        if character in "b<>":
            return PatternStep(ASSERT, assertion=character)
        if character in "123456789":
            raise TextProgramError("back-references in patterns are not simulated")
        if character.isalnum() and character not in ESCAPES:
            raise TextProgramError(f"\\{character} in patterns is not simulated")
        return PatternStep(CHARACTER, characters=frozenset(ESCAPES.get(character, character)))

    def _bracket(self) -> PatternStep:
        """Translate ``[...]``."""
        source = self.source
        negated = source[self.position : self.position + 1] == "^"
        self.position += negated
        begin = self.position
        characters: set[str] = set()
        while True:
            character = source[self.position : self.position + 1]
            if not character:
                raise TextProgramError("Unmatched [, [^, [:, [., or [=")
            if character == "]" and self.position > begin:
                self.position += 1
                return PatternStep(
                    CHARACTER, characters=frozenset(characters), negated=bool(negated)
                )
            if source.startswith("[:", self.position):
                name, colon, _ = source[self.position + 2 :].partition(":]")
                if not colon or name not in CLASSES:
                    raise TextProgramError("Invalid character class name")
                characters |= CLASSES[name]
                self.position += len(name) + 4
                continue
            self.position += 1
            if character == "\\" and source[self.position : self.position + 1] in ESCAPES:
                character = ESCAPES[source[self.position]]
                self.position += 1
            elif character == "\\" and source[self.position : self.position + 1] in ("\\", "]"):
                if source[self.position] == "\\" or "]" in source[self.position + 1 :]:
                    character = source[self.position]
                    self.position += 1
            characters |= self._range(character)

    def _range(self, first: str) -> set[str]:
        """Return the characters of ``a-z``, or the one alone."""
        rest = self.source[self.position : self.position + 2]
        if len(rest) < 2 or rest[0] != "-" or rest[1] == "]":
            return {first}
        self.position += 2
        if ord(rest[1]) < ord(first):
            raise TextProgramError("Invalid range end")
        return set(map(chr, range(ord(first), min(ord(rest[1]), ord(first) + 4096) + 1)))

    def _repeated(self, atom: list[PatternStep]) -> list[PatternStep]:
        """Translate the repetitions behind an atom."""
        while True:
            if self.source[self.position : self.position + 1] == "*":
                self.position += 1
                atom = self._times(atom, 0, None)
            elif self._accept("+"):
                atom = self._times(atom, 1, None)
            elif self._accept("?"):
                atom = self._times(atom, 0, 1)
            elif self._operator() == "{" and self._interval() is not None:
                low, high = self._interval() or (1, 1)
                self._accept("{")
                closing = "}" if self.extended else "\\}"
                self.position = self.source.index(closing, self.position) + len(closing)
                atom = self._times(atom, low, high)
            else:
                return atom

    def _interval(self) -> tuple[int, int | None] | None:
        """Return the bounds of ``{m,n}`` that comes next.

        Raises:
            TextProgramError: it is malformed.
        """
        match = INTERVAL.match(self.source, self.position + (1 if self.extended else 2))
        closing = "}" if self.extended else "\\}"
        if match is None or not self.source.startswith(closing, match.end()):
            raise TextProgramError("Invalid content of \\{\\}")
        low = int(match[1])
        high = int(match[3]) if match[3] else None if match[2] else low
        if low > MAX_REPEAT or (high or 0) > MAX_REPEAT or (high is not None and high < low):
            raise TextProgramError("Invalid content of \\{\\}")
        return low, high

    def _times(self, atom: Sequence[PatternStep], low: int, high: int | None) -> list[PatternStep]:
        """Repeat an atom; None: without an end."""
        size = len(atom)
        program = list(atom) * low
        if high is None:
            loop = [PatternStep(SPLIT, 1, size + 2), *atom, PatternStep(JUMP, -size - 1)]
            return self._checked([*program, *loop])
        for remaining in range(high - low, 0, -1):
            program += [PatternStep(SPLIT, 1, remaining * (size + 1)), *atom]
            self._checked(program)
        return program
