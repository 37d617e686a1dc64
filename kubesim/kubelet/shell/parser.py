"""Parse a shell program into its syntax tree.

>>> from kubesim.kubelet.shell.parser import parse
>>> parse("echo hi").commands[0].words[1].literal
'hi'
>>> parse("for i in 1 2; do echo $i")
Traceback (most recent call last):
kubesim.kubelet.shell.steps.ShellError: syntax error: unexpected end of file (expecting "done")

Ours keeps: lists, pipelines, `&&`, `||`, `!`, `&`, redirections, here-documents, `for`, `while`,
`until`, `if`, `case`, groups, subshells, functions, `((...))`. It leaves out: aliases, arrays,
process substitution, C-style `for`.

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.3 and 2.10.
"""

from __future__ import annotations

from kubesim.kubelet.shell.steps import NESTING, ShellError
from kubesim.kubelet.shell.syntax import (
    AndOr,
    ArithmeticCommand,
    Assignment,
    Background,
    Case,
    Command,
    CommandList,
    For,
    FunctionDefinition,
    If,
    Literal,
    Not,
    Pipeline,
    Redirect,
    Redirected,
    SimpleCommand,
    Subshell,
    While,
    Word,
)
from kubesim.kubelet.shell.words import WordReader, is_name

ENDS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}"})
RESERVED = ENDS | {"if", "for", "in", "while", "until", "case", "{", "!"}
REDIRECTS = ("<<-", "<<<", "<<", ">>", ">&", "<&", "&>", ">", "<")
MAX_PROGRAM = 1 << 18  # characters


def parse(source: str) -> CommandList:
    """Parse a program.

    Raises:
        ShellError: the program is not in the grammar.
    """
    if len(source) > MAX_PROGRAM:
        raise ShellError("syntax error: the program is too long")
    parser = Parser(source)
    program = parser.command_list()
    parser.reader.skip_blanks()
    if not parser.reader.at_end:
        raise ShellError(f'syntax error: unexpected "{parser.reader.next_token()}"')
    return program


class Parser:
    """A parser by recursive descent; `reader` reads the characters and words.

    Args:
        source: the program.
        start: index of the first character.
        depth: command substitutions around it.
    """

    def __init__(self, source: str, start: int = 0, depth: int = 0) -> None:
        self.reader = WordReader(source, start, substitution=self._substitution)
        self._depth = depth

    # -- lists ------------------------------------------------------------------------------------

    def command_list(self) -> CommandList:
        """Parse commands up to the end of the input, a closing token or a closing word."""
        self._depth += 1
        if self._depth > NESTING:
            raise ShellError("syntax error: nested too deeply")
        commands: list[Command] = []
        while True:
            self.reader.skip_newlines()
            if self._at_close():
                break
            command = self._and_or()
            self.reader.skip_blanks()
            if self.reader.looking_at("&") and not self.reader.looking_at("&&"):
                self.reader.take("&")
                command = Background(command)
            elif self.reader.looking_at(";") and not self.reader.looking_at(";;"):
                self.reader.take(";")
            elif not self.reader.looking_at("\n") and not self._at_close():
                raise ShellError(f'syntax error: unexpected "{self.reader.next_token()}"')
            commands.append(command)
        self._depth -= 1
        return CommandList(tuple(commands))

    def _at_close(self) -> bool:
        self.reader.skip_blanks()
        if self.reader.at_end or self.reader.looking_at(")") or self.reader.looking_at(";;"):
            return True
        return self.reader.peek_plain_word() in ENDS

    def _and_or(self) -> Command:
        left = self._pipeline()
        while True:
            self.reader.skip_blanks()
            operator = next((o for o in ("&&", "||") if self.reader.looking_at(o)), None)
            if operator is None:
                return left
            self.reader.take(operator)
            self.reader.skip_newlines()
            left = AndOr(left, operator, self._pipeline())

    def _pipeline(self) -> Command:
        negated = False
        while self._accept("!"):
            negated = not negated
        commands = [self._command()]
        while True:
            self.reader.skip_blanks()
            if not self.reader.looking_at("|") or self.reader.looking_at("||"):
                break
            self.reader.take("|")
            self.reader.skip_newlines()
            commands.append(self._command())
        command = commands[0] if len(commands) == 1 else Pipeline(tuple(commands))
        return Not(command) if negated else command

    # -- commands ---------------------------------------------------------------------------------

    def _command(self) -> Command:
        self.reader.skip_blanks()
        if self.reader.looking_at("(("):
            return self._redirected(ArithmeticCommand(self.reader.arithmetic_until("))", 2)))
        if self.reader.looking_at("("):
            self.reader.take("(")
            body = self.command_list()
            self.reader.expect(")")
            return self._redirected(Subshell(body))
        word = self.reader.peek_plain_word()
        compound = {
            "{": self._group,
            "if": self._if,
            "for": self._for,
            "while": self._while,
            "until": self._while,
            "case": self._case,
        }.get(word)
        if compound is not None:
            return self._redirected(compound())
        if word in RESERVED:
            raise ShellError(f'syntax error: unexpected "{word}"')
        return self._simple()

    def _redirected(self, command: Command) -> Command:
        redirects = []
        while (redirect := self._redirect()) is not None:
            redirects += redirect
        return Redirected(command, tuple(redirects)) if redirects else command

    def _group(self) -> Command:
        self._require("{")
        body = self.command_list()
        self._require("}")
        return body

    def _if(self) -> Command:
        self._require("if")
        branches = []
        otherwise: Command | None = None
        while True:
            condition = self.command_list()
            self._require("then")
            branches.append((condition, self.command_list()))
            if self._accept("elif"):
                continue
            if self._accept("else"):
                otherwise = self.command_list()
            self._require("fi")
            return If(tuple(branches), otherwise)

    def _for(self) -> Command:
        self._require("for")
        self.reader.skip_blanks()
        name = self.reader.peek_plain_word()
        if not is_name(name):
            raise ShellError("syntax error: bad for loop variable")
        self.reader.take(name)
        self.reader.skip_newlines()
        words: list[Word] | None = None
        if self._accept("in"):
            words = []
            while (word := self.reader.word()) is not None:
                words.append(word)
        self.reader.skip_blanks()
        if self.reader.looking_at(";"):
            self.reader.take(";")
        return For(name, None if words is None else tuple(words), self._loop_body())

    def _while(self) -> Command:
        until = self._accept("until")
        if not until:
            self._require("while")
        condition = self.command_list()
        return While(condition, self._loop_body(), until)

    def _loop_body(self) -> Command:
        self.reader.skip_newlines()
        self._require("do")
        body = self.command_list()
        self._require("done")
        return body

    def _case(self) -> Command:
        self._require("case")
        subject = self.reader.word()
        self.reader.skip_newlines()
        self._require("in")
        items = []
        self.reader.skip_newlines()
        while not self._accept("esac"):
            self.reader.skip_blanks()
            if self.reader.looking_at("("):
                self.reader.take("(")
            patterns = [self._pattern()]
            self.reader.skip_blanks()
            while self.reader.looking_at("|"):
                self.reader.take("|")
                patterns.append(self._pattern())
                self.reader.skip_blanks()
            self.reader.expect(")")
            items.append((tuple(patterns), self.command_list()))
            if self.reader.looking_at(";;"):
                self.reader.take(";;")
            self.reader.skip_newlines()
            if self.reader.at_end:
                raise ShellError('syntax error: unexpected end of file (expecting "esac")')
        if subject is None:
            raise ShellError("syntax error: case needs a word")
        return Case(subject, tuple(items))

    def _pattern(self) -> Word:
        word = self.reader.word()
        if word is None:
            raise ShellError(f'syntax error: unexpected "{self.reader.next_token()}"')
        return word

    # -- simple commands --------------------------------------------------------------------------

    def _simple(self) -> Command:
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            redirect = self._redirect()
            if redirect is not None:
                redirects += redirect
                continue
            word = self.reader.word()
            if word is None:
                break
            assignment = _as_assignment(word) if not words else None
            if assignment is not None:
                assignments.append(assignment)
                continue
            words.append(word)
            if len(words) == 1 and word.unquoted == "[[":
                words += self._condition()
            if len(words) == 1 and not assignments and self.reader.looking_at("("):
                return self._function(word)
        if not words and not assignments and not redirects:
            raise ShellError(f'syntax error: unexpected "{self.reader.next_token()}"')
        command = SimpleCommand(tuple(assignments), tuple(words))
        return Redirected(command, tuple(redirects)) if redirects else command

    def _condition(self) -> list[Word]:
        """Parse ``[[ ... ]]``, in which `&&`, `||`, `<` and `>` are operators of the condition."""
        words: list[Word] = []
        while not words or words[-1].unquoted != "]]":
            self.reader.skip_newlines()
            operator = next((o for o in ("&&", "||", "<", ">") if self.reader.looking_at(o)), None)
            if operator is not None:
                self.reader.take(operator)
                name = {"&&": "-a", "||": "-o"}.get(operator, operator)
                words.append(Word((Literal(name, quoted=True),)))
                continue
            word = self.reader.word()
            if word is None:
                raise ShellError('syntax error: unexpected end of file (expecting "]]")')
            words.append(word)
        return words

    def _function(self, word: Word) -> Command:
        name = word.unquoted
        self.reader.take("(")
        self.reader.skip_blanks()
        self.reader.expect(")")
        if not is_name((name or "").replace("-", "_")):
            raise ShellError("syntax error: bad function name")
        self.reader.skip_newlines()
        return FunctionDefinition(str(name), self._command())

    def _redirect(self) -> list[Redirect] | None:
        """Parse a redirection, if one begins here; `&>` stands for two."""
        self.reader.skip_blanks()
        descriptor = self.reader.peek_descriptor()
        skipped = 0 if descriptor is None else len(str(descriptor))
        operator = next((o for o in REDIRECTS if self.reader.looking_at(o, skipped)), None)
        if operator is None:
            return None
        self.reader.skip(skipped)
        self.reader.take(operator)
        if operator in ("<<", "<<-"):
            return [Redirect(0, "<<", self.reader.here_document(strip_tabs=operator == "<<-"))]
        target = self.reader.word()
        if target is None:
            raise ShellError(f'syntax error: unexpected "{self.reader.next_token()}"')
        if operator == "<<<":
            newline = Literal("\n", quoted=True)
            return [Redirect(0, "<<", Word((*target.parts, newline)))]
        if operator == "&>":
            both = Redirect(2, ">&", Word((Literal("1", quoted=False),)))
            return [Redirect(1, ">", target), both]
        default = 0 if operator.startswith("<") else 1
        return [Redirect(default if descriptor is None else descriptor, operator, target)]

    def _substitution(self, source: str, start: int) -> tuple[Command, int]:
        """Parse the commands of ``$(...)`` from behind the parenthesis; also return the end."""
        parser = Parser(source, start, self._depth)
        body = parser.command_list()
        parser.reader.expect(")")
        return body, parser.reader.position

    # -- reserved words ---------------------------------------------------------------------------

    def _accept(self, reserved: str) -> bool:
        self.reader.skip_blanks()
        if self.reader.peek_plain_word() != reserved:
            return False
        self.reader.take(reserved)
        return True

    def _require(self, reserved: str) -> None:
        self.reader.skip_newlines()
        if not self._accept(reserved):
            token = self.reader.next_token()
            unexpected = "end of file" if self.reader.at_end else f'"{token}"'
            raise ShellError(f'syntax error: unexpected {unexpected} (expecting "{reserved}")')


def _as_assignment(word: Word) -> Assignment | None:
    """Return a word as an assignment, if it is one: an unquoted name and an equals sign first."""
    first = word.parts[0] if word.parts else None
    if not isinstance(first, Literal) or first.quoted:
        return None
    name, equals, value = first.text.partition("=")
    if not equals or not is_name(name):
        return None
    rest = (Literal(value, quoted=False), *word.parts[1:]) if value else word.parts[1:]
    return Assignment(name, Word(rest))
