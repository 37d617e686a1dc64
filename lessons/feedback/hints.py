"""Hints and the solution below an exercise, each behind a button that the page itself opens.

They are HTML disclosures (``<details>``), so they also work without a kernel: after a reload, on
the next day, in an exported page. Kubernetes has no counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

BUTTON = (
    "display:inline-block;cursor:pointer;padding:2px 10px;border-radius:3px;"
    "border:1px solid var(--jp-border-color1,#bdbdbd);"
    "background:var(--jp-layout-color2,transparent);color:inherit"
)
BOX = "margin:4px 0"
TEXT = "margin:4px 0 4px 12px"


def help_html(hints: Sequence[str], answer: str) -> str:
    """Return the buttons: each hint contains the button of the next one.

    Args:
        hints: from a first idea to almost the answer.
        answer: the solution as text.
    """
    nested = ""
    for number in range(len(hints), 0, -1):
        label = f"Hint {number} of {len(hints)}" if len(hints) > 1 else "Hint"
        text = f'<div style="{TEXT}">{escape(hints[number - 1])}</div>'
        nested = _disclosure(label, text + nested)
    solution = f'<pre style="{TEXT}">{escape(answer)}</pre>'
    return nested + _disclosure("Solution", solution)


def _disclosure(label: str, content: str) -> str:
    summary = f'<summary style="{BUTTON}">{label}</summary>'
    return f'<details style="{BOX}">{summary}{content}</details>'
