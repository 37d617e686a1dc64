"""Prepare docstrings for the documentation site: an extension of griffe, which parses them.

- Examples (`>>> ...` up to the next empty line) become fenced code blocks, so that Markdown does
  not interpret their brackets.
- `least, most: bounds, inclusive` in Args or Attributes is one entry for two names; griffe
  expects one for each.
- Indented blocks that show a layout are not changed.

Source: griffe, user guide, "Extensions" (`on_object`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import griffe

SECTION = re.compile(r"^(Args|Attributes):\s*$")
ARGS = re.compile(r"^Args:\s*$", re.M)
SEVERAL = re.compile(r"^(\s+)(\*{0,2}\w+(?:, \*{0,2}\w+)+): (.*)$")


def fence_examples(lines: list[str]) -> Iterator[str]:
    """Yield the lines with a fence around each example."""
    inside = False
    for line in lines:
        starts = line.lstrip().startswith(">>> ")
        if starts and not inside:
            indent = line[: len(line) - len(line.lstrip())]
            yield f"{indent}```pycon"
            inside = True
        elif inside and not line.strip():
            yield f"{indent}```"
            inside = False
        yield line
    if inside:
        yield f"{indent}```"


def split_names(lines: list[str]) -> Iterator[str]:
    """Yield the lines with one entry for each name of a shared entry, with the same description."""
    in_section = False
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if line and not line[0].isspace():
            in_section = bool(SECTION.match(line))
        entry = SEVERAL.match(line) if in_section else None
        if entry is None:
            yield line
            continue
        indent, names, text = entry.groups()
        more = []
        while position < len(lines) and lines[position].startswith(indent + " "):
            more.append(lines[position])
            position += 1
        for name in names.split(", "):
            yield f"{indent}{name}: {text}"
            yield from more


def prepare(docstring: str) -> str:
    """Return the docstring in the form that griffe parses.

    >>> prepare('Sum.\\n\\nArgs:\\n    a, b: numbers.').splitlines()[3:]
    ['    a: numbers.', '    b: numbers.']
    >>> prepare('>>> x[0][1]\\n2').splitlines()
    ['```pycon', '>>> x[0][1]', '2', '```']
    """
    return "\n".join(fence_examples(list(split_names(docstring.split("\n")))))


class DocstringMarkup(griffe.Extension):
    """Rewrites every docstring as griffe finds it, before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_options: object) -> None:
        """Prepare the docstring of a module, class, function or attribute."""
        if obj.docstring:
            text = prepare(obj.docstring.value)
            if obj.is_attribute:  # a property that returns a function has Args of that function
                text = ARGS.sub("Called with:", text)
            obj.docstring.value = text
