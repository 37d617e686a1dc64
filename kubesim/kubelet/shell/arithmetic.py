"""Evaluate ``$((expression))``, C's integer arithmetic in 64 bits, and the conditions of `test`.

>>> evaluate("2 + 3 * 4", {})
14
>>> variables = {"i": "7"}
>>> evaluate("i++ % 4", variables), variables["i"]
(3, '8')
>>> evaluate("1 / 0", {})
Traceback (most recent call last):
kubesim.kubelet.shell.steps.ShellError: arithmetic syntax error: division by zero

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.6.4 Arithmetic Expansion.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, MutableMapping
from fnmatch import fnmatchcase

from kubesim.kubelet.shell.state import ShellState
from kubesim.kubelet.shell.steps import NESTING, ShellError

TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<=|>>=|\*\*|\+\+|--|<<|>>|<=|>=|==|!="
    r"|&&|\|\||[-+*/%&|^]=|[-+*/%<>=!~&|^?:()])"
)
MAX_EXPRESSION = 1_000  # characters
WORD_BITS = 64

Binary = Callable[[int, int], int]


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise ShellError("arithmetic syntax error: division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _power(left: int, right: int) -> int:
    if right < 0:
        raise ShellError("arithmetic syntax error: exponent less than 0")
    return pow(left, right, 1 << WORD_BITS)


LEVELS: tuple[dict[str, Binary], ...] = (
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    {
        "<<": lambda left, right: left << (right % WORD_BITS),
        ">>": lambda left, right: left >> (right % WORD_BITS),
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divide, "%": lambda a, b: a - b * _divide(a, b)},
)
"""The binary operators, the ones that bind least first; `&&`, `||` and `**` stand apart."""
ASSIGNMENTS: dict[str, Binary] = {
    f"{name}=": function
    for level in (LEVELS[0], LEVELS[1], LEVELS[2], LEVELS[5], LEVELS[6], LEVELS[7])
    for name, function in level.items()
} | {"=": lambda _left, right: right}


def evaluate(expression: str, variables: MutableMapping[str, str]) -> int:
    """Return the value of an expression; assignments in it change the variables.

    Args:
        expression: after the expansion of parameters; "" is 0.
        variables: of the shell; one that is unset counts as 0.

    Raises:
        ShellError: the expression is malformed, or divides by zero.
    """
    if len(expression) > MAX_EXPRESSION:
        raise ShellError("arithmetic syntax error: the expression is too long")
    tokens: list[str] = []
    position, end = 0, len(expression.rstrip())
    while position < end:
        match = TOKEN.match(expression, position)
        if match is None:
            raise ShellError(f"arithmetic syntax error: {expression[position:].strip()[:40]!r}")
        tokens.append(match[1])
        position = match.end()
    if not tokens:
        return 0
    evaluator = _Evaluator(tokens, variables)
    value = evaluator.assignment()
    if evaluator.token:
        raise ShellError(f"arithmetic syntax error near {evaluator.token!r}")
    return value


class _Evaluator:
    """Evaluates while it parses; in a branch that does not count, nothing is assigned."""

    def __init__(self, tokens: list[str], variables: MutableMapping[str, str]) -> None:
        self._tokens = tokens
        self._variables = variables
        self._at = 0
        self._depth = 0
        self._skipping = 0

    @property
    def token(self) -> str:
        """The next token; "" at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self.token
        self._at += 1
        return token

    def assignment(self) -> int:
        """Evaluate an assignment or a conditional expression."""
        self._depth += 1
        if self._depth > NESTING:
            raise ShellError("arithmetic syntax error: nested too deeply")
        try:
            following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""
            if _is_name(self.token) and following in ASSIGNMENTS:
                name, function = self._take(), ASSIGNMENTS[self._take()]
                right = self.assignment()
                return self._set(name, function(self._get(name), right))
            return self._conditional()
        finally:
            self._depth -= 1

    def _conditional(self) -> int:
        condition = self._logical_or()
        if self.token != "?":
            return condition
        self._take()
        first = self._branch(condition != 0, self.assignment)
        if self._take() != ":":
            raise ShellError("arithmetic syntax error: expecting ':'")
        second = self._branch(condition == 0, self.assignment)
        return first if condition else second

    def _branch(self, counts: bool, parse: Callable[[], int]) -> int:
        """Parse an operand; where it does not count, it has no effect."""
        self._skipping += not counts
        try:
            return parse()
        finally:
            self._skipping -= not counts

    def _logical_or(self) -> int:
        value = self._logical_and()
        while self.token == "||":
            self._take()
            right = self._branch(value == 0, self._logical_and)
            value = int(bool(value) or bool(right))
        return value

    def _logical_and(self) -> int:
        value = self._binary(0)
        while self.token == "&&":
            self._take()
            right = self._branch(value != 0, lambda: self._binary(0))
            value = int(bool(value) and bool(right))
        return value

    def _binary(self, level: int) -> int:
        if level == len(LEVELS):
            return self._raise_to_power()
        value = self._binary(level + 1)
        while self.token in LEVELS[level]:
            function = LEVELS[level][self._take()]
            right = self._binary(level + 1)
            value = 0 if self._skipping else _wrap(function(value, right))
        return value

    def _raise_to_power(self) -> int:
        value = self._unary()
        if self.token != "**":
            return value
        self._take()
        return _wrap(_power(value, self._raise_to_power()))

    def _unary(self) -> int:
        token = self._take()
        self._depth += 1
        if self._depth > NESTING:
            raise ShellError("arithmetic syntax error: nested too deeply")
        try:
            if token in ("++", "--"):
                name = self._take()
                return self._set(name, self._get(name) + (1 if token == "++" else -1))
            if token in ("+", "-", "!", "~"):
                value = self._unary()
                return _wrap({"+": value, "-": -value, "!": int(not value), "~": ~value}[token])
            if token == "(":
                value = self.assignment()
                if self._take() != ")":
                    raise ShellError("arithmetic syntax error: expecting ')'")
                return value
            return self._operand(token)
        finally:
            self._depth -= 1

    def _operand(self, token: str) -> int:
        if _is_name(token):
            value = self._get(token)
            if self.token in ("++", "--"):
                self._set(token, value + (1 if self._take() == "++" else -1))
            return value
        return _integer(token)

    def _get(self, name: str) -> int:
        if not _is_name(name):
            raise ShellError(f"arithmetic syntax error near {name!r}")
        return _integer(self._variables.get(name, "").strip() or "0")

    def _set(self, name: str, value: int) -> int:
        if not self._skipping:
            self._variables[name] = str(_wrap(value))
        return _wrap(value)


def _is_name(token: str) -> bool:
    return token.isascii() and token.isidentifier()


def _integer(text: str) -> int:
    """Parse a decimal, octal or hexadecimal constant."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    try:
        if digits[:2].lower() == "0x":
            value = int(digits, 16)
        else:
            value = int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)
    except ValueError:
        raise ShellError(f"arithmetic syntax error: {text[:40]!r} is not a number") from None
    return _wrap(sign * value)


def _wrap(value: int) -> int:
    """Return an integer as a signed 64-bit one."""
    half = 1 << (WORD_BITS - 1)
    return (int(value) + half) % (1 << WORD_BITS) - half


# -- test ------------------------------------------------------------------------------------------


def condition(state: ShellState, words: list[str], *, glob: bool) -> bool:
    """Evaluate a condition of `test`: `-o` binds less than `-a`, which binds less than `!`.

    Args:
        state: for its files.
        words: the condition.
        glob: `=` compares with a pattern, as `[[` does.

    Raises:
        ValueError: it is malformed.
    """
    for joint in ("-o", "-a"):
        if joint in words[1:-1] and len(words) > 3:
            at = words.index(joint, 1)
            left = condition(state, words[:at], glob=glob)
            right = condition(state, words[at + 1 :], glob=glob)
            return left or right if joint == "-o" else left and right
    if words[:1] == ["!"]:
        return not condition(state, words[1:], glob=glob)
    if len(words) <= 1:
        return bool(words and words[0])
    if len(words) == 2:
        return _unary(state, *words)
    if len(words) == 3:
        return _binary(*words, glob=glob)
    raise ValueError(f"test: {words[0][:40]}: unexpected operator")


def _unary(state: ShellState, test: str, operand: str) -> bool:
    path = state.path(operand)
    match test:
        case "-n":
            return operand != ""
        case "-z":
            return operand == ""
        case "-e" | "-r" | "-w":
            return state.files.exists(path)
        case "-f":
            return state.files.is_file(path)
        case "-d":
            return state.files.is_directory(path)
        case "-s":
            return state.files.is_file(path) and state.files.size_of(path) > 0
        case "-x":
            return state.files.is_directory(path)
        case "-t" | "-L" | "-h" | "-S" | "-p":
            return False
    raise ValueError(f"test: {test[:40]}: unexpected operator")


def _binary(left: str, test: str, right: str, *, glob: bool) -> bool:
    if test in ("=", "==", "!="):
        equal = fnmatchcase(left, right[:200]) if glob else left == right
        return equal == (test != "!=")
    if test in ("<", ">"):
        return left < right if test == "<" else left > right
    try:
        first, second = int(left[:40]), int(right[:40])
    except ValueError:
        raise ValueError(f"test: {left[:40]} {test} {right[:40]}: bad number") from None
    results = {
        "-eq": first == second,
        "-ne": first != second,
        "-lt": first < second,
        "-le": first <= second,
        "-gt": first > second,
        "-ge": first >= second,
    }
    if test not in results:
        raise ValueError(f"test: {test[:40]}: unexpected operator")
    return results[test]
