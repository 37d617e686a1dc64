r"""Split a program of `awk` into tokens.

>>> tokens_of("/a/ { x = 4 / 2 }")[:4]
[('pattern', 'a'), ('operator', '{'), ('name', 'x'), ('operator', '=')]
"""

from __future__ import annotations

import re

from kubesim.kubelet.text.patterns import TextProgramError

MAX_TOKENS = 5_000
BLOCK_WORDS = ("BEGIN", "END", "if", "else", "while", "for", "in")
STATEMENT_WORDS = ("next", "exit", "break", "continue", "delete", "print", "printf")
KEYWORDS = frozenset((*BLOCK_WORDS, *STATEMENT_WORDS))
NOT_SIMULATED = frozenset(("function", "func", "getline", "system", "close", "do", "return"))
TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\\\n|\#[^\n]*)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<operator>\|\||&&|[-+*/%^=!<>]=|\+\+|--|!~|[-+*/%^!<>?:~=$(){}\[\],;\n|])""",
    re.VERBOSE,
)
PATTERN = re.compile(r"/((?:[^/\\\n\[]|\\.|\[\^?\]?(?:[^\]\n])*\])*)/")
STRING_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "/": "/"}
ENDS_OPERAND = frozenset((")", "]", "++", "--"))


def unescape(text: str) -> str:
    """Replace the escapes of a string."""
    return STRING_ESCAPE.sub(lambda m: ESCAPES.get(m[1], m[0]), text)


def tokens_of(source: str) -> list[tuple[str, str]]:
    """Return the tokens of a program: (kind, text).

    Raises:
        TextProgramError: it is malformed, or uses what is not simulated.
    """
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(source):
        kind, text = tokens[-1] if tokens else ("", "")
        operand = kind in ("number", "string", "pattern") or text in ENDS_OPERAND
        operand = operand or (kind == "name" and text not in KEYWORDS)
        match = None if operand else PATTERN.match(source, position)
        if match is not None:
            tokens.append(("pattern", match[1].replace("\\/", "/")))
        else:
            match = TOKEN.match(source, position)
            if match is None:
                raise TextProgramError(f"syntax error near {source[position : position + 20]!r}")
            if match.lastgroup != "space":
                tokens.append((str(match.lastgroup), match[0]))
        position = match.end()
        if tokens and tokens[-1][0] == "name" and tokens[-1][1] in NOT_SIMULATED:
            raise TextProgramError(f"{tokens[-1][1]} is not simulated")
        if len(tokens) > MAX_TOKENS:
            raise TextProgramError("the program is too long")
    return tokens
