r"""Parse a program of `awk` into a tree.

>>> rules = parse_program("$2 > 5 { n++ } END { print n }", Effort())
>>> [(rule.when, rule.pattern and rule.pattern.kind) for rule in rules]
[('line', 'compare'), ('END', None)]

Ours leaves out: functions of your own, `getline`, `system`, output to files and pipes, ranges of
patterns, `do`. They are an error, so that a program does not do half of what it says.

Source: IEEE Std 1003.1-2017, Utilities, awk.
"""

from __future__ import annotations

from kubesim.kubelet.text.awktokens import KEYWORDS, tokens_of, unescape
from kubesim.kubelet.text.awktree import MAX_DEPTH, AwkNode, AwkRule, node
from kubesim.kubelet.text.patterns import Effort, TextProgramError
from kubesim.kubelet.text.patternsyntax import compile_pattern

FUNCTIONS = {  # name -> fewest and most arguments
    "length": (0, 1),
    "substr": (2, 3),
    "index": (2, 2),
    "split": (2, 3),
    "sub": (2, 3),
    "gsub": (2, 3),
    "match": (2, 2),
    "toupper": (1, 1),
    "tolower": (1, 1),
    "sprintf": (1, 50),
    "int": (1, 1),
    "sqrt": (1, 1),
}


def parse_program(source: str, effort: Effort) -> list[AwkRule]:
    """Parse a program.

    Args:
        source: the program.
        effort: counts the steps of its patterns.

    Raises:
        TextProgramError: it is malformed, or uses what is not simulated.
    """
    parser = _AwkParser(tokens_of(source), effort)
    rules: list[AwkRule] = []
    parser.skip_ends()
    while parser.token != ("end", ""):
        rules.append(parser.rule())
        parser.skip_ends()
    return rules


class _AwkParser:
    """A parser by recursive descent."""

    def __init__(self, tokens: list[tuple[str, str]], effort: Effort) -> None:
        self._tokens, self._at, self._effort = [*tokens, ("end", "")], 0, effort
        self._depth = 0
        self._in_print = self._in_for = False

    @property
    def token(self) -> tuple[str, str]:
        """The next token: its kind and text."""
        return self._tokens[self._at]

    def _is(self, *texts: str) -> bool:
        return self.token[0] in ("operator", "name") and self.token[1] in texts

    def _accept(self, *texts: str) -> str:
        """Take the next token if it is one of these; return it, or ""."""
        if not self._is(*texts):
            return ""
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _require(self, text: str) -> None:
        if not self._accept(text):
            raise self._error()

    def _error(self) -> TextProgramError:
        text = self.token[1] or "end of the program"
        return TextProgramError(f"syntax error near {text[:20]!r}")

    def skip_ends(self) -> None:
        """Skip newlines and semicolons."""
        while self._accept("\n", ";"):
            pass

    def _skip_newlines(self) -> None:
        while self._accept("\n"):
            pass

    # -- rules and statements ---------------------------------------------------------------------

    def rule(self) -> AwkRule:
        """Parse a rule."""
        if special := self._accept("BEGIN", "END"):
            return AwkRule(special, None, self._block())
        pattern = None if self._is("{") else self._expression()
        if self._is(","):
            raise TextProgramError("ranges of patterns are not simulated")
        action = self._block() if self._is("{") else node("print")
        return AwkRule("line", pattern, action)

    def _block(self) -> AwkNode:
        self._require("{")
        statements: list[AwkNode] = []
        self.skip_ends()
        while not self._accept("}"):
            statements.append(self._statement())
            self.skip_ends()
        return node("block", *statements)

    def _statement(self) -> AwkNode:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TextProgramError("the statements are nested too deeply")
        try:
            if self._is("{"):
                return self._block()
            if self._accept("if"):
                return self._if()
            if self._accept("while"):
                condition = self._parenthesized()
                return node("while", condition, self._body())
            if self._accept("for"):
                return self._for()
            statement = self._simple()
        finally:
            self._depth -= 1
        if not self._is(";", "\n", "}") and self.token[0] != "end":
            raise self._error()
        return statement

    def _body(self) -> AwkNode:
        self._skip_newlines()
        return node("block") if self._accept(";") else self._statement()

    def _parenthesized(self) -> AwkNode:
        self._require("(")
        condition = self._expression()
        self._require(")")
        return condition

    def _if(self) -> AwkNode:
        condition = self._parenthesized()
        body = self._body()
        before = self._at
        self.skip_ends()
        if self._accept("else"):
            return node("if", condition, body, self._body())
        self._at = before
        return node("if", condition, body)

    def _for(self) -> AwkNode:
        self._require("(")
        ahead = [text for _, text in self._tokens[self._at : self._at + 4]]
        if len(ahead) == 4 and ahead[1] == "in" and ahead[3] == ")":
            self._at += 4
            return node("for-in", node("name", text=ahead[2]), self._body(), text=ahead[0])
        nothing = node("block")
        begin = nothing if self._is(";") else self._simple()
        self._require(";")
        condition = AwkNode("number", number=1.0) if self._is(";") else self._expression()
        self._require(";")
        step = nothing if self._is(")") else self._simple()
        self._require(")")
        return node("for", begin, condition, step, self._body())

    def _simple(self) -> AwkNode:
        if keyword := self._accept("next", "break", "continue"):
            return node(keyword)
        if self._accept("exit"):
            ended = self._is(";", "\n", "}") or self.token[0] == "end"
            return node("exit") if ended else node("exit", self._expression())
        if self._accept("delete"):
            target = self._primary()
            if target.kind not in ("index", "variable"):
                raise self._error()
            return node("delete", target)
        if keyword := self._accept("print", "printf"):
            self._in_print = True
            values = [] if self._is(";", "\n", "}") or self.token[0] == "end" else self._list()
            self._in_print = False
            if self._is(">", "|"):
                raise TextProgramError("output to files and pipes is not simulated")
            if len(values) == 1 and values[0].kind == "list":
                values = list(values[0].parts)
            if keyword == "printf" and not values:
                raise TextProgramError("printf: no format")
            return node(keyword, *values)
        return node("expression", self._expression())

    def _list(self) -> list[AwkNode]:
        values = [self._expression()]
        while self._accept(","):
            self._skip_newlines()
            values.append(self._expression())
        return values

    # -- expressions, the loosest first -----------------------------------------------------------

    def _expression(self) -> AwkNode:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TextProgramError("the expressions are nested too deeply")
        try:
            left = self._ternary()
            operator = self._accept("=", "+=", "-=", "*=", "/=", "%=", "^=")
            if not operator:
                return left
            _require_target(left)
            return node("assign", left, self._expression(), text=operator[:-1])
        finally:
            self._depth -= 1

    def _ternary(self) -> AwkNode:
        condition = self._or()
        if not self._accept("?"):
            return condition
        yes = self._expression()
        self._require(":")
        return node("choose", condition, yes, self._expression())

    def _or(self) -> AwkNode:
        left = self._and()
        while self._accept("||"):
            self._skip_newlines()
            left = node("or", left, self._and())
        return left

    def _and(self) -> AwkNode:
        left = self._in()
        while self._accept("&&"):
            self._skip_newlines()
            left = node("and", left, self._in())
        return left

    def _in(self) -> AwkNode:
        left = self._matching()
        while self._accept("in"):
            keys = left.parts if left.kind == "list" else (left,)
            left = node("in", *keys, text=self._name())
        return left

    def _name(self) -> str:
        kind, text = self.token
        if kind != "name" or text in KEYWORDS or text in FUNCTIONS:
            raise self._error()
        self._at += 1
        return text

    def _matching(self) -> AwkNode:
        left = self._comparison()
        while operator := self._accept("~", "!~"):
            if left.kind == "unary" and left.text == "!":
                raise TextProgramError("put parentheses behind the !")  # awks differ here
            left = node("match", left, self._comparison(), text=operator)
        return left

    def _comparison(self) -> AwkNode:
        left = self._concatenation()
        operators = ("<", "<=", "==", "!=", ">=") + (() if self._in_print else (">",))
        if operator := self._accept(*operators):
            return node("compare", left, self._concatenation(), text=operator)
        return left

    def _concatenation(self) -> AwkNode:
        parts = [self._additive()]
        while self._begins_operand():
            parts.append(self._additive())
        return parts[0] if len(parts) == 1 else node("concatenate", *parts)

    def _begins_operand(self) -> bool:
        kind, text = self.token
        if kind in ("number", "string"):
            return True
        if kind == "name":
            return text not in KEYWORDS
        return kind == "operator" and text in ("$", "(", "++", "--")

    def _additive(self) -> AwkNode:
        left = self._product()
        while operator := self._accept("+", "-"):
            left = node("arithmetic", left, self._product(), text=operator)
        return left

    def _product(self) -> AwkNode:
        left = self._unary()
        while operator := self._accept("*", "/", "%"):
            left = node("arithmetic", left, self._unary(), text=operator)
        return left

    def _unary(self) -> AwkNode:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TextProgramError("the expressions are nested too deeply")
        try:
            if operator := self._accept("!", "-", "+"):
                return node("unary", self._unary(), text=operator)
            base = self._postfix()
            if self._accept("^"):
                return node("arithmetic", base, self._unary(), text="^")
            return base
        finally:
            self._depth -= 1

    def _postfix(self) -> AwkNode:
        if operator := self._accept("++", "--"):
            target = self._primary()
            _require_target(target)
            return node("assign", target, AwkNode("number", number=1.0), text=operator[0])
        target = self._primary()
        if target.kind in ("variable", "field", "index"):
            if operator := self._accept("++", "--"):
                return node("step", target, text=operator[0])
        return target

    def _primary(self) -> AwkNode:
        kind, text = self.token
        self._at += 1
        if kind == "number":
            return AwkNode("number", number=float(text))
        if kind == "string":
            return AwkNode("string", unescape(text[1:-1]))
        if kind == "pattern":
            pattern = compile_pattern(text, self._effort, extended=True)
            return AwkNode("pattern", text, pattern=pattern)
        if text == "$" and kind == "operator":
            prefix = self._is("++", "--", "-", "+")
            return node("field", self._unary() if prefix else self._primary())
        if text == "(" and kind == "operator":
            return self._group()
        self._at -= 1
        if kind == "name" and text in FUNCTIONS:
            return self._call(text)
        name = self._name()
        if self._accept("["):
            keys = self._list()
            self._require("]")
            return node("index", *keys, text=name)
        if self._is("("):
            raise TextProgramError(f"the function {name} is not simulated")
        return AwkNode("variable", name)

    def _group(self) -> AwkNode:
        outer, self._in_print = self._in_print, False
        values = self._list()
        self._in_print = outer
        self._require(")")
        return values[0] if len(values) == 1 else node("list", *values)

    def _call(self, name: str) -> AwkNode:
        self._at += 1
        arguments: list[AwkNode] = []
        if self._accept("("):
            outer, self._in_print = self._in_print, False
            arguments = [] if self._is(")") else self._list()
            self._in_print = outer
            self._require(")")
        elif name != "length":
            raise self._error()
        fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            raise TextProgramError(f"{name}: wrong number of arguments")
        return node("call", *arguments, text=name)


def _require_target(target: AwkNode) -> None:
    """Raise an error for something that has no value of its own to change."""
    if target.kind not in ("variable", "field", "index"):
        raise TextProgramError("syntax error: only a variable or a field can be assigned")
    if target.text == "RS":
        raise TextProgramError("RS is not simulated: a record is a line")
