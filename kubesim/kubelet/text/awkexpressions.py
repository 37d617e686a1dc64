"""The expressions of `awk`."""

from __future__ import annotations

import math
from collections.abc import Callable

from kubesim.kubelet.text.awktree import AwkNode
from kubesim.kubelet.text.awkvalues import (
    AwkValue,
    FieldText,
    compare,
    format_values,
    is_true,
    number_of,
    text_of,
)
from kubesim.kubelet.text.awkvariables import MAX_VALUES, AwkVariables
from kubesim.kubelet.text.patterns import MAX_TEXT, Effort, TextPattern, TextProgramError


class Evaluator:
    """Evaluates expressions.

    Args:
        variables: what they read and change.
        effort: counts the steps.
    """

    def __init__(self, variables: AwkVariables, effort: Effort) -> None:
        self._variables, self._effort = variables, effort

    def text(self, expression: AwkNode) -> str:
        """Return the value of an expression as a string."""
        return text_of(self.value(expression))

    def number(self, expression: AwkNode) -> float:
        """Return the value of an expression as a number."""
        return number_of(self.value(expression))

    def value(self, expression: AwkNode) -> AwkValue:
        """Return the value of an expression.

        Raises:
            TextProgramError: it has none, or is too long.
        """
        self._effort.spend()
        parts, text = expression.parts, expression.text
        match expression.kind:
            case "number":
                return expression.number
            case "string":
                return text
            case "variable":
                return self._variables.get(text)
            case "field":
                return self._variables.field(self._field_number(parts[0]))
            case "index":
                return self._variables.element(text, self._key(parts))
            case "pattern":
                return self._matches(self._variables.field(0), expression)
            case "assign":
                return self._assign(parts[0], text, parts[1])
            case "step":
                before = self.number(parts[0])
                self._store(parts[0], before + (1 if text == "+" else -1))
                return before
            case "choose":
                return self.value(parts[1] if is_true(self.value(parts[0])) else parts[2])
        return self._operation(expression)

    def delete(self, target: AwkNode) -> None:
        """Run `delete` of an element, or of a whole array."""
        key = self._key(target.parts) if target.kind == "index" else None
        self._variables.remove(target.text, key)

    def _operation(self, expression: AwkNode) -> AwkValue:
        parts, text = expression.parts, expression.text
        match expression.kind:
            case "or":
                return float(is_true(self.value(parts[0])) or is_true(self.value(parts[1])))
            case "and":
                return float(is_true(self.value(parts[0])) and is_true(self.value(parts[1])))
            case "in":
                return float(self._variables.has(text, self._key(parts)))
            case "match":
                matches = self._matches(self.value(parts[0]), parts[1])
                return matches if text == "~" else 1.0 - matches
            case "compare":
                return _compared(compare(self.value(parts[0]), self.value(parts[1])), text)
            case "concatenate":
                return self._short("".join([self.text(part) for part in parts]))
            case "arithmetic":
                return _calculated(self.number(parts[0]), text, self.number(parts[1]))
            case "unary":
                value = self.value(parts[0])
                if text == "!":
                    return float(not is_true(value))
                return -number_of(value) if text == "-" else number_of(value)
            case "call":
                return self._call(text, parts)
        raise TextProgramError("syntax error: a list has no value")

    def _short(self, text: str) -> str:
        self._effort.spend(len(text) // 100)
        if len(text) > MAX_TEXT:
            raise TextProgramError("the string is too long")
        return text

    def _key(self, parts: tuple[AwkNode, ...]) -> str:
        separator = text_of(self._variables.get("SUBSEP"))
        return separator.join(self.text(part) for part in parts)

    def _field_number(self, expression: AwkNode) -> int:
        number = self.number(expression)
        if not abs(number) <= MAX_VALUES:
            raise TextProgramError("too many fields")
        return int(number)

    def _assign(self, target: AwkNode, operator: str, source: AwkNode) -> AwkValue:
        value = self.value(source)
        if operator:
            value = _calculated(self.number(target), operator, number_of(value))
        self._store(target, value)
        return value

    def _store(self, target: AwkNode, value: AwkValue) -> None:
        if target.kind == "field":
            self._variables.set_field(self._field_number(target.parts[0]), value)
        elif target.kind == "index":
            self._variables.set_element(target.text, self._key(target.parts), value)
        else:
            self._variables.set(target.text, value)

    def _pattern(self, expression: AwkNode) -> TextPattern:
        if expression.pattern is not None:
            return expression.pattern
        return self._variables.pattern(self.text(expression))

    def _matches(self, subject: AwkValue, expression: AwkNode) -> float:
        return float(self._pattern(expression).search(text_of(subject)) is not None)

    # -- functions --------------------------------------------------------------------------------

    def _call(self, name: str, parts: tuple[AwkNode, ...]) -> AwkValue:
        match name:
            case "length":
                if (
                    parts
                    and parts[0].kind == "variable"
                    and self._variables.is_array(parts[0].text)
                ):
                    return float(len(self._variables.keys(parts[0].text)))
                return float(len(self.text(parts[0]) if parts else self._line()))
            case "substr":
                return self._substring(parts)
            case "index":
                return float(self.text(parts[0]).find(self.text(parts[1])) + 1)
            case "split":
                return self._split(parts)
            case "sub" | "gsub":
                return self._replace(parts, every=name == "gsub")
            case "match":
                result = self._pattern(parts[1]).search(self.text(parts[0]))
                begin, length = -1, -1
                if result is not None:
                    begin, length = result.start, result.end - result.start
                self._variables.set("RSTART", begin + 1.0)
                self._variables.set("RLENGTH", float(length))
                return begin + 1.0
            case "sprintf":
                template, *values = (self.value(part) for part in parts)
                return self._short(format_values(text_of(template), values))
            case "toupper" | "tolower":
                text = self.text(parts[0])
                return self._short(text.upper() if name == "toupper" else text.lower())
        return NUMERIC[name](self.number(parts[0]))

    def _line(self) -> str:
        return text_of(self._variables.field(0))

    def _substring(self, parts: tuple[AwkNode, ...]) -> str:
        text, begin = self.text(parts[0]), self.number(parts[1])
        end = begin + self.number(parts[2]) if len(parts) == 3 else math.inf
        if math.isnan(begin) or math.isnan(end):
            return ""
        first = max(1, round(max(begin, -1e9)) if begin < 1e9 else MAX_TEXT + 1)
        last = len(text) + 1 if end > len(text) else max(first, round(max(end, -1e9)))
        return text[first - 1 : last - 1]

    def _split(self, parts: tuple[AwkNode, ...]) -> float:
        if parts[1].kind != "variable":
            raise TextProgramError("split: its second argument must be an array")
        text, name = self.text(parts[0]), parts[1].text
        if len(parts) == 3 and parts[2].pattern is not None:
            separator = parts[2].text
            separator = separator if len(separator) > 1 else f"[{separator}]"
        else:
            separator = text_of(self._variables.get("FS"))
            separator = self.text(parts[2]) if len(parts) == 3 else separator
        fields = self._variables.split(text, separator)
        self._variables.remove(name, None)
        for number, field in enumerate(fields, 1):
            self._variables.set_element(name, str(number), FieldText(field))
        return float(len(fields))

    def _replace(self, parts: tuple[AwkNode, ...], *, every: bool) -> float:
        """Run `sub` and `gsub`."""
        pattern, replacement = self._pattern(parts[0]), self.text(parts[1])
        target = parts[2] if len(parts) == 3 else ZEROTH_FIELD
        if target.kind not in ("variable", "field", "index"):
            raise TextProgramError("sub: its third argument must be a variable or a field")
        text = self.text(target)
        pieces: list[str] = []
        copied = count = 0
        for match in pattern.matches(text):
            pieces += (text[copied : match.start], _with_match(replacement, match.groups[0]))
            copied = match.end
            count += 1
            if not every:
                break
        if count:
            self._store(target, self._short("".join([*pieces, text[copied:]])))
        return float(count)


ZEROTH_FIELD = AwkNode("field", parts=(AwkNode("number", number=0.0),))
NUMERIC: dict[str, Callable[[float], float]] = {
    "int": lambda number: float(math.trunc(number)) if math.isfinite(number) else number,
    "sqrt": lambda number: math.sqrt(number) if number >= 0 else math.nan,
}


def _with_match(replacement: str, matched: str) -> str:
    """Replace `&` in a replacement, unless a backslash is in front of it."""
    pieces = replacement.split("\\&")
    return "&".join(piece.replace("&", matched) for piece in pieces)


def _compared(order: int, operator: str) -> float:
    return float(
        {
            "<": order < 0,
            "<=": order <= 0,
            "==": order == 0,
            "!=": order != 0,
            ">": order > 0,
            ">=": order >= 0,
        }[operator]
    )


def _calculated(left: float, operator: str, right: float) -> float:
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
        result = left**right
        return result if isinstance(result, float) else math.nan
    except ZeroDivisionError:
        raise TextProgramError("division by zero") from None
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan
