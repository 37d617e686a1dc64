"""Programs that read lines: `cat`, `head`, `sort` and others.

Source: IEEE Std 1003.1-2017, Utilities.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

from kubesim.bytetext import bytes_of
from kubesim.kubelet.shell.files import FileError
from kubesim.kubelet.shell.state import Call, Program
from kubesim.kubelet.shell.steps import (
    OUTPUT_BYTES,
    STDOUT,
    USAGE_ERROR,
    Input,
    Output,
    Run,
    ShellError,
    Sleep,
    Step,
    TextInput,
    complaint,
    line,
)

MAX_LINES = 100_000
FOLLOW_SECONDS = 3_600.0  # between two polls of `tail -f`


def parse_options(call: Call, with_value: str = "") -> tuple[dict[str, str], list[str]]:
    """Split arguments into options and operands.

    Args:
        call: the call.
        with_value: the letters of options that take a value.
    """
    options: dict[str, str] = {}
    operands: list[str] = []
    words = list(call.words)
    while words:
        word = words.pop(0)
        if word == "--":
            operands += words
            break
        if not word.startswith("-") or word == "-":
            operands.append(word)
        elif word[1:].isdigit():
            options["n"] = word[1:]  # head -3
        elif word[1] in with_value:
            options[word[1]] = word[2:] or (words.pop(0) if words else "")
        else:
            options |= dict.fromkeys(word[1:], "")
    return options, operands


class LineReader:
    """The files that a program reads one after the other, or its standard input.

    Args:
        call: the call.
        operands: paths; none, or ``-``: standard input.
    """

    def __init__(self, call: Call, operands: list[str]) -> None:
        self.errors: list[Output] = []
        self._inputs: list[Input] = []
        for operand in operands or ["-"]:
            try:
                self._inputs.append(call.stdin if operand == "-" else _file(call, operand))
            except FileError as error:
                self.errors.append(complaint(f"{call.name}: {operand}: {error}"))

    @property
    def code(self) -> int:
        """The exit code: 1 if a file could not be read."""
        return int(bool(self.errors))

    def next_line(self) -> Generator[Step, None, str]:
        """Return the next line with its newline; "" at the end."""
        while self._inputs:
            text = yield from self._inputs[0].read_line()
            if text:
                return text
            self._inputs.pop(0)
        return ""

    def all_lines(self) -> Generator[Step, None, list[str]]:
        """Return all lines without their newlines.

        Raises:
            ShellError: there are too many.
        """
        lines: list[str] = []
        size = 0
        while text := (yield from self.next_line()):
            lines.append(text.rstrip("\n"))
            size += len(text)
            if len(lines) > MAX_LINES or size > OUTPUT_BYTES:
                raise ShellError("out of memory")
        return lines


def _file(call: Call, operand: str) -> TextInput:
    """Return a file as an input.

    Raises:
        FileError: it cannot be read, or is a large block of zeros.
    """
    path = call.state.path(operand)
    text = call.state.files.read(path)
    if call.state.files.size_of(path) > OUTPUT_BYTES:
        raise FileError("File too large")
    return TextInput(text)


def _cat(call: Call) -> Run:
    options, operands = parse_options(call)
    inputs = LineReader(call, operands)
    yield from inputs.errors
    number = 0
    while text := (yield from inputs.next_line()):
        number += 1
        yield Output(STDOUT, f"{number:6d}\t{text}" if "n" in options else text)
        yield from call.state.budget.spend()
    return inputs.code


def _count_of(call: Call, options: dict[str, str]) -> int | None:
    text = options.get("n", "10")
    if not text.lstrip("-+").isdigit():
        return None
    return abs(int(text[:9]))


def _head(call: Call) -> Run:
    options, operands = parse_options(call, "nc")
    count = _count_of(call, options)
    if count is None:
        yield complaint(f"head: invalid number '{options['n'][:40]}'")
        return 1
    inputs = LineReader(call, operands)
    yield from inputs.errors
    if "c" in options and options["c"].isdigit():
        text = "\n".join((yield from inputs.all_lines()))
        yield Output(STDOUT, text[: int(options["c"][:9])])
        return inputs.code
    for _ in range(count):
        text = yield from inputs.next_line()
        if not text:
            break
        yield Output(STDOUT, text)
    return inputs.code


def _tail(call: Call) -> Run:
    options, operands = parse_options(call, "n")
    count = _count_of(call, options)
    if count is None:
        yield complaint(f"tail: invalid number '{options['n'][:40]}'")
        return 1
    inputs = LineReader(call, operands)
    yield from inputs.errors
    skipped = count - 1 if options.get("n", "").startswith("+") else 0
    lines: deque[str] = deque(maxlen=MAX_LINES if skipped else min(count, MAX_LINES))
    while text := (yield from inputs.next_line()):
        if skipped > 0:
            skipped -= 1
        else:
            lines.append(text)
    yield Output(STDOUT, "".join(lines))
    while {"f", "F"} & set(options):
        yield Sleep(FOLLOW_SECONDS)
    return inputs.code


def _wc(call: Call) -> Run:
    options, operands = parse_options(call)
    inputs = LineReader(call, operands)
    yield from inputs.errors
    lines = words = size = 0
    while text := (yield from inputs.next_line()):
        lines += text.endswith("\n")
        words += len(text.split())
        size += len(bytes_of(text))
    counts = {"l": lines, "w": words, "c": size, "m": size}
    chosen = [str(counts[o]) for o in options if o in counts] or [str(lines), str(words), str(size)]
    yield line(" ".join([*chosen, *operands[:1]]))
    return inputs.code


def _sort(call: Call) -> Run:
    options, operands = parse_options(call, "kt")
    first, _, kind = options.get("k", "1").partition(",")[0].partition(".")
    digits = first.rstrip("nr")
    if set(options) - set("nrukts") or kind or not digits.isdigit():
        yield complaint(f"sort: {' '.join(call.words)[:60]}: not simulated")
        return USAGE_ERROR
    flags = {*options, *first[len(digits) :]}
    inputs = LineReader(call, operands)
    yield from inputs.errors
    lines = yield from inputs.all_lines()
    at, separator = int(digits[:4]) - 1, options.get("t") or None
    last = options.get("k", "").partition(",")[2].rstrip("nr")

    def key(text: str) -> tuple[float, str]:
        fields = text.split(separator)[at : int(last[:4]) if last.isdigit() else None]
        part = (separator or " ").join(fields) if "k" in options else text
        return (_leading_number(part), "") if "n" in flags else (0.0, part)

    lines.sort(key=lambda text: (key(text), text), reverse="r" in flags)
    if "u" in options:
        lines = list({key(text): text for text in reversed(lines)}.values())[::-1]
    yield Output(STDOUT, "".join(f"{each}\n" for each in lines))
    return inputs.code


def _leading_number(text: str) -> float:
    digits = ""
    for character in text.strip()[:20]:
        if not (character.isdigit() or character in "-."):
            break
        digits += character
    try:
        return float(digits)
    except ValueError:
        return 0.0


def _uniq(call: Call) -> Run:
    options, operands = parse_options(call)
    inputs = LineReader(call, operands)
    yield from inputs.errors
    lines = yield from inputs.all_lines()
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and lines[end] == lines[at]:
            end += 1
        if not (("d" in options and end - at == 1) or ("u" in options and end - at > 1)):
            yield line(f"{end - at:7d} {lines[at]}" if "c" in options else lines[at])
        at = end
    return inputs.code


def _tee(call: Call) -> Run:
    options, operands = parse_options(call)
    files = call.state.files
    code = 0
    paths = [call.state.path(operand) for operand in operands]
    try:
        for path in paths:
            files.write(path, "", append="a" in options)
        while text := (yield from call.stdin.read_line()):
            for path in paths:
                files.write(path, text, append=True)
            yield Output(STDOUT, text)
    except FileError as error:
        yield complaint(f"tee: {error}")
        code = 1
    return code


def _tr(call: Call) -> Run:
    options, operands = parse_options(call)
    sets = [_character_set(operand) for operand in operands]
    if not sets or (len(sets) < 2 and not {"d", "s"} & set(options)):
        yield complaint("tr: usage: tr [-d] [-s] set1 [set2]")
        return 1
    table: dict[int, str | None] = {}
    if "d" in options:
        table = dict.fromkeys(map(ord, sets[0]))
    elif len(sets) > 1:
        second = sets[1] + sets[1][-1:] * max(0, len(sets[0]) - len(sets[1]))
        table = {ord(a): b for a, b in zip(sets[0], second, strict=False)}
    while text := (yield from call.stdin.read_line()):
        translated = text.translate(table)
        yield Output(STDOUT, _squeezed(translated, sets[-1]) if "s" in options else translated)
    return 0


def _squeezed(text: str, characters: str) -> str:
    """Return a string in which these characters are not repeated."""
    previous = ["", *text[:-1]]
    return "".join(
        c for c, before in zip(text, previous, strict=True) if c != before or c not in characters
    )


def _character_set(text: str) -> str:
    """Expand ``a-z``, ``[:upper:]`` and escapes of `tr`."""
    upper = "".join(map(chr, range(ord("A"), ord("Z") + 1)))
    classes = {
        "[:upper:]": upper,
        "[:lower:]": upper.lower(),
        "[:digit:]": "0123456789",
        "[:space:]": " \t\n\r",
        "\\n": "\n",
        "\\t": "\t",
    }
    for name, characters in classes.items():
        text = text.replace(name, characters)
    expanded = ""
    at = 0
    while at < len(text):
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text) and text[at].isascii():
            expanded += "".join(map(chr, range(ord(text[at]), min(ord(text[at + 2]), 127) + 1)))
            at += 3
        else:
            expanded += text[at]
            at += 1
    return expanded


def _cut(call: Call) -> Run:
    options, operands = parse_options(call, "dfc")
    positions = _positions(options.get("f") or options.get("c") or "")
    if not positions:
        yield complaint("cut: usage: cut -f list [-d delimiter] | -c list")
        return 1
    inputs = LineReader(call, operands)
    yield from inputs.errors
    delimiter = options.get("d") or "\t"
    while text := (yield from inputs.next_line()):
        body = text.rstrip("\n")
        fields = body.split(delimiter) if "f" in options else list(body)
        if "f" in options and len(fields) == 1:
            yield line(body)
            continue
        chosen = [f for at, f in enumerate(fields, 1) if any(a <= at <= b for a, b in positions)]
        yield line((delimiter if "f" in options else "").join(chosen))
    return inputs.code


def _positions(text: str) -> list[tuple[int, int]]:
    """Parse the list of `cut`: ``1,3-5,7-``; [] if it is malformed."""
    ranges = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first + last).isdigit():
            return []
        low = int(first[:9]) if first else 1
        ranges.append((low, int(last[:9]) if last else (MAX_LINES if dash else low)))
    return ranges


def _basename(call: Call) -> Run:
    words = [word for word in call.words if word not in ("--", "-a")]
    if not words:
        yield complaint("basename: missing operand")
        return 1
    name = words[0].rstrip("/").rpartition("/")[2] or words[0][:1]
    suffix = words[1] if len(words) > 1 else ""
    yield line(name.removesuffix(suffix) if name != suffix else name)
    return 0


def _dirname(call: Call) -> Run:
    if not call.words:
        yield complaint("dirname: missing operand")
        return 1
    for word in call.words:
        directory, slash, _ = word.rstrip("/").rpartition("/")
        yield line(directory.rstrip("/") or ("/" if slash or word[:1] == "/" else "."))
    return 0


TEXT_PROGRAMS: dict[str, Program] = {
    "basename": _basename,
    "cat": _cat,
    "cut": _cut,
    "dirname": _dirname,
    "head": _head,
    "sort": _sort,
    "tail": _tail,
    "tee": _tee,
    "tr": _tr,
    "uniq": _uniq,
    "wc": _wc,
}
