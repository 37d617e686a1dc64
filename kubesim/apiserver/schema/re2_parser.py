"""Go's regular expressions: from the text to a tree.

The syntax is that of RE2 as Go reads it, without back references and without looking around; errors
are worded as by Go. A tree is made of nested tuples: ``("set", CharSet)``, ``("assert", NAME)``,
``("all", parts)``, ``("any", parts)``, ``("repeat", part, least, most)``.

Source: Go's regexp/syntax/parse.go (Parse, with the flags Perl).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kubesim.apiserver.schema.re2_classes import PERL, POSIX, CharSet, complement_of, is_group

MAX_REPEAT = 1_000  # of one part, also of repetitions in repetitions: as Go
MAX_DEPTH = 100  # of groups in groups (Go: 1,000)
Tree = tuple[object, ...]
EMPTY: Tree = ("all", ())
ESCAPES = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
ASSERTIONS = {"A": "begin text", "z": "end text", "b": "word boundary", "B": "no word boundary"}
_REPEAT = re.compile(r"\{([0-9]{1,9})(,([0-9]{0,9}))?\}", re.ASCII)
_GROUP_NAME = re.compile(r"\?P?<([A-Za-z0-9_]+)>", re.ASCII)
_FLAGS = re.compile(r"\?([imsU]*)(-[imsU]+)?([:)])", re.ASCII)
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))", re.ASCII)
_OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}", re.ASCII)
_UNICODE = re.compile(r"([pP])(?:\{(\^?)(\w+)\}|([A-Z]))", re.ASCII)


class PatternError(ValueError):
    """A text is no regular expression of Go."""

    def __init__(self, problem: str, where: str) -> None:
        super().__init__(f"error parsing regexp: {problem}: `{where}`")


class Flags(NamedTuple):
    """The flags that hold at a place: i, m and s."""

    fold: bool = False
    lines: bool = False
    dot_all: bool = False


def parse_pattern(text: str) -> Tree:
    """Parse a regular expression.

    Raises:
        PatternError: it is malformed, or has what RE2 does not support.
    """
    return _Parser(text).parse()


class _Parser:
    """Reads one text from left to right.

    Args:
        text: the regular expression.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._flags = Flags()
        self._names: set[str] = set()

    def parse(self) -> Tree:
        """Return the tree of the whole text."""
        tree = self._alternatives(0)
        if self._at < len(self._text):
            raise PatternError("unexpected )", self._text)
        _check_repeats(tree)
        return tree

    # -- groups and repetitions -----------------------------------------------------------------

    def _alternatives(self, depth: int) -> Tree:
        """Parse up to the end or to the closing parenthesis."""
        if depth > MAX_DEPTH:
            raise PatternError("expression nests too deeply", self._text)
        branches: list[Tree] = []
        parts: list[Tree] = []
        start = -1  # where the last repetition begins; -1: there is none before this place
        while self._at < len(self._text) and self._text[self._at] != ")":
            character = self._text[self._at]
            if character == "|":
                self._at += 1
                branches.append(("all", tuple(parts)))
                parts, start = [], -1
            elif repeat := self._repeat():
                begin, least, most = repeat
                if start >= 0:
                    where = self._text[start : self._at]
                    raise PatternError("invalid nested repetition operator", where)
                if not parts:
                    where = self._text[begin : self._at]
                    raise PatternError("missing argument to repetition operator", where)
                parts[-1] = ("repeat", parts[-1], least, most)
                start = begin
            else:
                part = self._one(depth)
                if part is not None:
                    parts.extend(part)
                start = -1
        branches.append(("all", tuple(parts)))
        return branches[0] if len(branches) == 1 else ("any", tuple(branches))

    def _repeat(self) -> tuple[int, int, int | None] | None:
        """Parse a repetition: (its place, least, most); None if there is none here."""
        begin = self._at
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._text[begin])
        if simple is not None:
            self._at += 1
            least, most = simple
        else:
            match = _REPEAT.match(self._text, begin)
            if match is None:
                return None  # a brace that is no repetition stands for itself
            self._at = match.end()
            least = int(match[1])
            most = least if match[2] is None else int(match[3]) if match[3] else None
            if least > MAX_REPEAT or (most is not None and (most > MAX_REPEAT or most < least)):
                raise PatternError("invalid repeat count", match[0])
        if self._text[self._at : self._at + 1] == "?":
            self._at += 1  # a lazy repetition matches the same texts
        return begin, least, most

    def _one(self, depth: int) -> list[Tree] | None:
        """Parse one part that may be repeated; None: flags, which hold from here on."""
        text, character = self._text, self._text[self._at]
        if character == "(":
            return self._group(depth)
        if character == "\\":
            return self._escaped()
        if character == "[":
            return [("set", self._class())]
        self._at += 1
        if character == ".":
            newline = () if self._flags.dot_all else ((10, 10),)
            return [("set", CharSet(newline, negated=True))]
        if character == "^":
            return [("assert", "begin line" if self._flags.lines else "begin text")]
        if character == "$":
            return [("assert", "end line" if self._flags.lines else "end text")]
        return [self._literal(text[self._at - 1])]

    def _literal(self, character: str) -> Tree:
        code = ord(character)
        return ("set", CharSet([(code, code)], folded=self._flags.fold))

    def _group(self, depth: int) -> list[Tree] | None:
        """Parse a group; its flags end with it."""
        begin, before = self._at, self._flags
        self._at += 1
        if self._text[self._at : self._at + 1] == "?":
            named = _GROUP_NAME.match(self._text, self._at)
            flags = _FLAGS.match(self._text, self._at)
            if named is not None:
                if named[1] in self._names:
                    raise PatternError("duplicate capture group name", named[1])
                self._names.add(named[1])
                self._at = named.end()
            elif flags is not None and flags[0] != "?)":
                self._set_flags(flags[1], flags[2] or "")
                self._at = flags.end()
                if flags[3] == ")":
                    return None
            else:
                end = self._text.find(")", begin)
                where = self._text[begin : begin + 3 + (self._text[begin + 2 : begin + 3] == "<")]
                if self._text[begin + 2 : begin + 4].startswith(("P", "<")) and end >= 0:
                    is_name = self._text[begin + 2 : begin + 4] not in ("<=", "<!", "P=", "P>")
                    if is_name:
                        where = self._text[begin : end + 1]
                        raise PatternError("invalid named capture", where)
                raise PatternError("invalid or unsupported Perl syntax", where)
        tree = self._alternatives(depth + 1)
        if self._at >= len(self._text):
            raise PatternError("missing closing )", self._text)
        self._at += 1
        self._flags = before
        return [tree]

    def _set_flags(self, on: str, off: str) -> None:
        flags = self._flags
        self._flags = Flags(
            (flags.fold or "i" in on) and "i" not in off,
            (flags.lines or "m" in on) and "m" not in off,
            (flags.dot_all or "s" in on) and "s" not in off,
        )

    # -- escapes and classes --------------------------------------------------------------------

    def _escaped(self) -> list[Tree]:
        """Parse what begins with a backslash, outside of a class."""
        following = self._text[self._at + 1 : self._at + 2]
        if following in ASSERTIONS and following:
            self._at += 2
            return [("assert", ASSERTIONS[following])]
        if following == "Q":
            end = self._text.find("\\E", self._at + 2)
            quoted = self._text[self._at + 2 : end if end >= 0 else None]
            self._at = len(self._text) if end < 0 else end + 2
            return [self._literal(character) for character in quoted]
        shorthand = self._shorthand()
        if shorthand is not None:
            ranges, groups = shorthand
            return [("set", CharSet(ranges, groups, folded=self._flags.fold))]
        return [self._literal(chr(self._escape()))]

    def _shorthand(self) -> tuple[tuple[tuple[int, int], ...], list[tuple[str, bool]]] | None:
        r"""Parse ``\d`` or ``\pL``: (ranges, groups); None if neither stands here."""
        letter = self._text[self._at + 1 : self._at + 2]
        if letter.lower() in PERL and letter:
            self._at += 2
            ranges = PERL[letter.lower()]
            return (complement_of(ranges) if letter.isupper() else ranges), []
        if letter not in ("p", "P") or not letter:
            return None
        match = _UNICODE.match(self._text, self._at + 1)
        name = "" if match is None else match[3] or match[4]
        if match is None or not is_group(name):
            end = self._text.find("}", self._at)
            where = self._text[self._at : (end + 1) if end >= 0 else None]
            raise PatternError("invalid character class range", where)
        self._at = match.end()
        return (), [(name, (match[1] == "P") is not bool(match[2]))]

    def _escape(self) -> int:
        """Parse an escape of one character; return its code point."""
        begin, text = self._at, self._text
        letter = text[begin + 1 : begin + 2]
        if not letter:
            raise PatternError("trailing backslash at end of expression", "")
        self._at += 2
        if letter in ESCAPES:
            return ESCAPES[letter]
        if match := _OCTAL.match(text, begin + 1):
            self._at = match.end()
            return int(match[0], 8)
        if match := _HEX.match(text, begin + 1):
            self._at = match.end()
            code = int(match[1] or match[2], 16)
            if code <= 0x10FFFF:
                return code
        elif letter.isascii() and not letter.isalnum():
            return ord(letter)
        raise PatternError("invalid escape sequence", text[begin : self._at])

    def _class(self) -> CharSet:
        """Parse a class in brackets."""
        begin = self._at
        self._at += 1
        negated = self._text[self._at : self._at + 1] == "^"
        self._at += negated
        ranges: list[tuple[int, int]] = []
        groups: list[tuple[str, bool]] = []
        first = True
        while first or self._text[self._at : self._at + 1] != "]":
            if self._at >= len(self._text):
                raise PatternError("missing closing ]", self._text[begin:])
            first = False
            if self._text.startswith("[:", self._at) and (named := self._posix()):
                ranges += named
            elif self._text[self._at] == "\\" and (shorthand := self._shorthand()):
                ranges += shorthand[0]
                groups += shorthand[1]
            else:
                ranges.append(self._range())
        self._at += 1
        return CharSet(ranges, groups, negated=negated, folded=self._flags.fold)

    def _posix(self) -> tuple[tuple[int, int], ...]:
        """Parse ``[:alpha:]``; () if it is no such class."""
        end = self._text.find(":]", self._at + 2)
        if end < 0:
            return ()
        name = self._text[self._at + 2 : end]
        ranges = POSIX.get(name.removeprefix("^"))
        if ranges is None:
            where = self._text[self._at : end + 2]
            raise PatternError("invalid character class range", where)
        self._at = end + 2
        return complement_of(ranges) if name.startswith("^") else ranges

    def _range(self) -> tuple[int, int]:
        """Parse one character of a class, or a range of them."""
        begin = self._at
        low = high = self._class_character()
        following = self._text[self._at : self._at + 2]
        if following[:1] == "-" and following[1:] not in ("", "]"):
            self._at += 1
            high = self._class_character()
            if high < low:
                where = self._text[begin : self._at]
                raise PatternError("invalid character class range", where)
        return low, high

    def _class_character(self) -> int:
        if self._text[self._at] == "\\":
            return self._escape()
        self._at += 1
        return ord(self._text[self._at - 1])


def _check_repeats(tree: Tree, allowed: int = MAX_REPEAT) -> None:
    """Refuse repetitions in repetitions that are more than 1,000 together.

    Source: repeatIsValid in Go's regexp/syntax/parse.go.
    """
    if tree[0] == "repeat":
        _, part, least, most = tree
        assert isinstance(least, int) and (most is None or isinstance(most, int))
        count = max(least, most or 0)
        if count > 1 or most not in (None, 1):
            if count > allowed:
                shown = f"{{{least},{'' if most is None else most}}}"
                raise PatternError("invalid repeat count", shown)
            allowed //= max(count, 1)
        assert isinstance(part, tuple)
        _check_repeats(part, allowed)
    elif tree[0] in ("all", "any"):
        parts = tree[1]
        assert isinstance(parts, tuple)
        for part in parts:
            _check_repeats(part, allowed)
