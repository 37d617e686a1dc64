"""The tree of a program of `awk`."""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.kubelet.text.patterns import TextPattern, TextProgramError

MAX_DEPTH = 60  # expressions inside one another


@dataclass(frozen=True, slots=True)
class AwkNode:
    """An expression or a statement.

    Attributes:
        kind: what it is.
        text: a name, an operator or a string.
        parts: what is inside.
        number: of a numeric constant.
        pattern: of a regular expression.
        depth: nodes inside one another.
    """

    kind: str
    text: str = ""
    parts: tuple[AwkNode, ...] = ()
    number: float = 0.0
    pattern: TextPattern | None = None
    depth: int = 1


@dataclass(frozen=True, slots=True)
class AwkRule:
    """A pattern and its action.

    Attributes:
        when: BEGIN, line or END.
        pattern: which lines; None: all.
        action: the statements.
    """

    when: str
    pattern: AwkNode | None
    action: AwkNode


def node(kind: str, *parts: AwkNode, text: str = "") -> AwkNode:
    """Return a node.

    Args:
        kind: what it is.
        parts: what is inside.
        text: a name or an operator.

    Raises:
        TextProgramError: too many are inside one another.
    """
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise TextProgramError("the expressions are nested too deeply")
    return AwkNode(kind, text, parts, depth=depth)
