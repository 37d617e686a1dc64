r"""Run a program of `awk` on one line after the other.

>>> runner = AwkRunner("/a/ { n += $2 } END { print NR, n }", {"FS": ":"}, {})
>>> [list(runner.line(line)) for line in ("a:1", "b:2", "a:3")]
[[], [], []]
>>> list(runner.end())
['3 4\n']

Source: IEEE Std 1003.1-2017, Utilities, awk.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from kubesim.kubelet.text.awkexpressions import Evaluator
from kubesim.kubelet.text.awksyntax import parse_program
from kubesim.kubelet.text.awktokens import unescape
from kubesim.kubelet.text.awktree import AwkNode, AwkRule
from kubesim.kubelet.text.awkvalues import FieldText, format_values, is_true, number_of, text_of
from kubesim.kubelet.text.awkvariables import AwkVariables
from kubesim.kubelet.text.patterns import Effort, TextProgramError

Printed = Generator[str, None, None]
"""What is printed; "" is a round of a loop, for the shell's budget."""


class _NextLine(Exception):
    """`next`."""


class _EndProgram(Exception):
    """`exit`."""


class _LeaveLoop(Exception):
    """`break`, or `continue`."""

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.again = again


class AwkRunner:
    """Runs a program.

    Args:
        source: the program.
        variables: assigned before it begins; their escapes are replaced.
        environment: for ENVIRON.

    Attributes:
        code: the exit code so far.
        over: `exit` was called.
        effort: the steps since they were last taken.
        reads: whether the program reads its input: it has more than BEGIN.
    """

    def __init__(
        self, source: str, variables: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        self.effort = Effort()
        self._rules = parse_program(source, self.effort)
        self._variables = AwkVariables(self.effort)
        for name, value in variables.items():
            if name == "RS":
                raise TextProgramError("RS is not simulated: a record is a line")
            self._variables.set(name, FieldText(unescape(value)))
        for name, value in environment.items():
            self._variables.set_element("ENVIRON", name, FieldText(value))
        self._evaluator = Evaluator(self._variables, self.effort)
        self.code, self.over = 0, False
        self.reads = any(rule.when != "BEGIN" for rule in self._rules)

    def begin(self) -> Printed:
        """Run the BEGIN rules."""
        yield from self._run("BEGIN")

    def line(self, text: str) -> Printed:
        """Run the rules for a line, without its newline."""
        self._variables.read(text)
        yield from self._run("line")

    def end(self) -> Printed:
        """Run the END rules; `exit` in another rule runs them, too."""
        self.over = False
        yield from self._run("END")

    def open_file(self, name: str) -> None:
        """Set FILENAME and FNR for a file that begins."""
        self._variables.set("FILENAME", name)
        self._variables.set("FNR", 0.0)

    def _run(self, when: str) -> Printed:
        rules = [rule for rule in self._rules if rule.when == when]
        try:
            for rule in rules:
                if self._applies(rule):
                    yield from self._statement(rule.action)
        except _NextLine:
            return
        except _EndProgram:
            self.over = True
        except _LeaveLoop:
            raise TextProgramError("break or continue outside of a loop") from None

    def _applies(self, rule: AwkRule) -> bool:
        return rule.pattern is None or is_true(self._evaluator.value(rule.pattern))

    def _statement(self, statement: AwkNode) -> Printed:
        parts = statement.parts
        match statement.kind:
            case "block":
                for part in parts:
                    yield from self._statement(part)
            case "expression":
                self._evaluator.value(parts[0])
            case "print":
                yield self._printed_line(parts)
            case "printf":
                template, *values = (self._evaluator.value(part) for part in parts)
                yield format_values(text_of(template), values)
            case "if":
                if is_true(self._evaluator.value(parts[0])):
                    yield from self._statement(parts[1])
                elif len(parts) == 3:
                    yield from self._statement(parts[2])
            case "while" | "for" | "for-in":
                yield from self._loop(statement)
            case "delete":
                self._evaluator.delete(parts[0])
            case "next":
                raise _NextLine
            case "exit":
                if parts:
                    self.code = int(number_of(self._evaluator.value(parts[0]))) % 256
                raise _EndProgram
            case "break" | "continue":
                raise _LeaveLoop(again=statement.kind == "continue")

    def _printed_line(self, parts: tuple[AwkNode, ...]) -> str:
        texts = [self._evaluator.text(part) for part in parts]
        separator = text_of(self._variables.get("OFS"))
        body = separator.join(texts) if parts else text_of(self._variables.field(0))
        return body + text_of(self._variables.get("ORS"))

    def _loop(self, loop: AwkNode) -> Printed:
        if loop.kind == "for-in":
            names = self._variables.keys(loop.parts[0].text)
            for name in names:
                self._variables.set(loop.text, FieldText(name))
                if (yield from self._round(loop.parts[1])):
                    return
            return
        if loop.kind == "while":
            condition, body = loop.parts
            step = None
        else:
            begin, condition, step, body = loop.parts
            yield from self._statement(begin)
        while is_true(self._evaluator.value(condition)):
            if (yield from self._round(body)):
                return
            if step is not None:
                yield from self._statement(step)

    def _round(self, body: AwkNode) -> Generator[str, None, bool]:
        """Run the body of a loop once; return whether the loop ends."""
        yield ""
        try:
            yield from self._statement(body)
        except _LeaveLoop as leave:
            return not leave.again
        return False
