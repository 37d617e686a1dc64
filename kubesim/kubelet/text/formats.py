r"""Formats of `printf`, `echo -e` and `date`.

>>> format_printf("%s is %03d\\n", ["a", "7", "b", "8"])
('a is 007\nb is 008\n', '')
>>> interpret_escapes("a\\tb")
'a\tb'
>>> format_date(0.0, ["+%Y-%m-%d"])
('1970-01-01', '')
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from kubesim.kubelet.text.patterns import MAX_TEXT

ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    "e": "\x1b",
    '"': '"',
}
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|0?[0-7]{1,3}|.)", re.DOTALL)
DIRECTIVE = re.compile(r"%([-+ 0#]{0,5})(\d{0,3})(?:\.(\d{0,3}))?([a-zA-Z%])")
DATE_DIRECTIVES = frozenset("aAbBcdDeFHIjklmMnNprRsSTuUwWxXyYzZ%")
DEFAULT_DATE = "%a %b %e %H:%M:%S UTC %Y"


def interpret_escapes(text: str) -> str:
    """Replace backslash escapes; unknown ones stay as they are."""

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8) % 256)
        return ESCAPES.get(code, match[0])

    return ESCAPE.sub(replace, text)


def format_printf(template: str, arguments: Sequence[str]) -> tuple[str, str]:
    """Return what `printf` prints, and an error or "".

    Args:
        template: its format; it is used again as long as arguments are left.
        arguments: the values.
    """
    template = interpret_escapes(template)
    remaining = list(reversed(arguments))
    pieces: list[str] = []
    error = ""
    size = 0
    while True:
        before = len(remaining)
        position = 0
        for match in DIRECTIVE.finditer(template):
            pieces.append(template[position : match.start()])
            position = match.end()
            if match[4] == "%":
                pieces.append("%")
                continue
            value = remaining.pop() if remaining else None
            text, problem = _convert(match, value)
            error = error or problem
            pieces.append(text)
        pieces.append(template[position:])
        size += sum(map(len, pieces[-3:]))
        if not remaining or len(remaining) == before or size > MAX_TEXT:
            return "".join(pieces), error


def _convert(match: re.Match[str], value: str | None) -> tuple[str, str]:
    """Format one value; return (text, error)."""
    flags, width, precision, letter = match[1], match[2], match[3], match[4]
    point = f".{precision}" if precision is not None else ""
    if letter in "sb":
        text = interpret_escapes(value or "") if letter == "b" else value or ""
        return f"%{flags.replace('0', '')}{width}{point}s" % text, ""
    if letter == "c":
        return (value or "")[:1], ""
    if letter in "diuxXo":
        number, error = _number(value, int)
        return f"%{flags}{width}{point}{letter.replace('u', 'd')}" % int(number), error
    if letter in "feEgG":
        number, error = _number(value, float)
        return f"%{flags}{width}{point}{letter}" % number, error
    return match[0], f"%{letter}: invalid directive"


def _number(value: str | None, kind: type[int] | type[float]) -> tuple[float, str]:
    """Parse a number; what is none counts as 0."""
    if not value:
        return 0, ""
    if value[0] in "'\"":
        return ord(value[1:2] or "\0"), ""
    try:
        return kind(value[:40]), ""
    except ValueError:
        return 0, f"{value[:40]}: invalid number"


def format_date(now: float, words: Sequence[str]) -> tuple[str, str]:
    """Return what `date` prints, and an error or "".

    Args:
        now: seconds since 1970.
        words: its arguments: ``+FORMAT``, ``-I``, ``-Iseconds`` or none.
    """
    moment = datetime.fromtimestamp(now, UTC)
    template = DEFAULT_DATE
    for word in words:
        if word.startswith("+"):
            template = word[1:]
        elif word in ("-I", "-Idate"):
            template = "%Y-%m-%d"
        elif word in ("-Iseconds", "--iso-8601=seconds"):
            template = "%Y-%m-%dT%H:%M:%S+00:00"
        elif word in ("-R", "--rfc-2822"):
            template = "%a, %d %b %Y %H:%M:%S +0000"
        else:
            return "", f"invalid date '{word[:40]}'"
    return "".join(_date_parts(moment, template)), ""


def _date_parts(moment: datetime, template: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while position < len(template):
        if template[position] == "%" and template[position + 1 : position + 2] in DATE_DIRECTIVES:
            parts.append(_date_part(moment, template[position + 1]))
            position += 2
        else:
            parts.append(template[position])
            position += 1
    return parts


def _date_part(moment: datetime, letter: str) -> str:
    """Format one directive of `date`, without the locale of the host."""
    own = {
        "n": "\n",
        "N": f"{moment.microsecond * 1000:09d}",
        "s": str(int(moment.timestamp())),
        "e": f"{moment.day:2d}",
        "k": f"{moment.hour:2d}",
        "l": f"{(moment.hour + 11) % 12 + 1:2d}",
        "Z": "UTC",
    }
    return own[letter] if letter in own else moment.strftime(f"%{letter}")
