"""Sets of characters as Go's regular expressions write them: ``[a-z]``, ``\\d``, ``\\p{Greek}``.

Source: Go's regexp/syntax (parse.go: parseClass, perl_groups.go), unicode/tables.go. Python has the
categories of Unicode, but no table of scripts; a script is recognized by the names of its letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

Ranges = tuple[tuple[int, int], ...]
DIGIT: Ranges = ((48, 57),)
SPACE: Ranges = ((9, 10), (12, 13), (32, 32))
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
PERL = {"d": DIGIT, "s": SPACE, "w": WORD}
POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
CATEGORIES = """
C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No
P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs
"""
SCRIPT_NAMES = """
ARABIC ARMENIAN BENGALI CYRILLIC DEVANAGARI ETHIOPIC GEORGIAN GREEK GUJARATI GURMUKHI HANGUL
HEBREW HIRAGANA KANNADA KATAKANA KHMER LAO LATIN MALAYALAM MONGOLIAN MYANMAR SINHALA TAMIL TELUGU
THAI TIBETAN
"""
GROUPS = frozenset(CATEGORIES.split())
SCRIPTS = {name.capitalize(): name for name in SCRIPT_NAMES.split()} | {"Han": "CJK UNIFIED"}
FOLDED_TOGETHER = (
    "kK\u212a",
    "sS\u017f",
    "\u00e5\u00c5\u212b",
    "\u00b5\u03bc\u039c",
    "\u00df\u1e9e",
)


class CharSet:
    """A set of characters.

    Args:
        ranges: first and last code point of each range.
        groups: names of Unicode groups that belong to it, and whether their complement does.
        negated: it holds every other character.
        folded: upper and lower case are the same (the flag i).
    """

    __slots__ = ("folded", "groups", "negated", "ranges")

    def __init__(
        self,
        ranges: Iterable[tuple[int, int]] = (),
        groups: Iterable[tuple[str, bool]] = (),
        *,
        negated: bool = False,
        folded: bool = False,
    ) -> None:
        self.ranges = tuple(ranges)
        self.groups = tuple(groups)
        self.negated = negated
        self.folded = folded

    def __contains__(self, character: str) -> bool:
        same = case_variants(character) if self.folded else (character,)
        return any(map(self._holds, same)) is not self.negated

    def _holds(self, character: str) -> bool:
        code = ord(character)
        return any(first <= code <= last for first, last in self.ranges) or any(
            is_in_group(character, name) is not complement for name, complement in self.groups
        )


def complement_of(ranges: Ranges) -> Ranges:
    """Return the ranges of all other characters."""
    result, start = [], 0
    for first, last in sorted(ranges):
        if first > start:
            result.append((start, first - 1))
        start = max(start, last + 1)
    return (*result, (start, 0x10FFFF))


@lru_cache(maxsize=4096)
def case_variants(character: str) -> tuple[str, ...]:
    """Return the characters that differ from one in case alone, itself included."""
    variants = {character}
    for group in FOLDED_TOGETHER:
        if character in group:
            variants.update(group)
    for one in tuple(variants):
        variants.update(other for other in (one.lower(), one.upper()) if len(other) == 1)
    return tuple(sorted(variants))


def is_group(name: str) -> bool:
    """Return whether a group of Unicode is known: a category, a script, or Any."""
    return name == "Any" or name in GROUPS or name in SCRIPTS


@lru_cache(maxsize=4096)
def is_in_group(character: str, name: str) -> bool:
    """Return whether a character is in a group of Unicode."""
    if name == "Any":
        return True
    if name in GROUPS:
        return unicodedata.category(character).startswith(name)
    words = unicodedata.name(character, "")
    return words.startswith((SCRIPTS[name] + " ", SCRIPTS[name] + "-"))
