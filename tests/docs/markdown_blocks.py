"""The fenced code blocks of the project's pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```", re.S | re.M)


class Block(NamedTuple):
    """One block: its language ("" for output and drawings), its text, its first line."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """Return every Markdown page of the site and of the project's root, ordered by path."""
    own = [*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    return sorted([*own, *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, without the indentation of a list around them."""
    text = page.read_text()
    result = []
    for match in FENCE.finditer(text):
        indent = len(match["indent"])
        lines = [line[indent:] for line in match["text"].splitlines()]
        line = text.count("\n", 0, match.start()) + 1
        result.append(Block(match["language"], "\n".join(lines) + "\n", line))
    return result


def name_of(page: Path) -> str:
    """Return the page's path from the project's root."""
    return str(page.relative_to(ROOT))
