"""`grep`, `sed` and `awk`, the shell's side of `kubesim.kubelet.text`; `dd` and `fallocate`.

Their steps count as commands, so that an endless loop takes simulated time, as in the shell itself.

Source: IEEE Std 1003.1-2017, Utilities; GNU grep and sed for the options beyond it.
"""

from __future__ import annotations

import re
from collections.abc import Generator

from kubesim.kubelet.shell.files import FileError
from kubesim.kubelet.shell.state import Call, Program
from kubesim.kubelet.shell.steps import (
    OUTPUT_BYTES,
    STDOUT,
    USAGE_ERROR,
    Output,
    Run,
    Step,
    complaint,
    line,
)
from kubesim.kubelet.shell.textprograms import LineReader, parse_options
from kubesim.kubelet.text.awk import AwkRunner, Printed
from kubesim.kubelet.text.patterns import Effort, TextPattern, TextProgramError
from kubesim.kubelet.text.patternsyntax import compile_pattern
from kubesim.kubelet.text.sed import EditCommand, Editor
from kubesim.kubelet.text.sedscript import needs_last_line, parse_script

STEPS_PER_COMMAND = 50  # of the matcher, in the shell's budget
SPECIAL = re.compile(r"([][.*^$\\])")


def _charge(call: Call, effort: Effort) -> Generator[Step, None, None]:
    """Count a line, and the steps that it took."""
    for _ in range(1 + effort.take() // STEPS_PER_COMMAND):
        yield from call.state.budget.spend()


# -- grep ----------------------------------------------------------------------------------------


def _grep(call: Call) -> Run:
    options, operands = parse_options(call, "em")
    unknown = set(options) - set("eEFGcHhilmnoqsvwx")
    if unknown:
        yield complaint(f"grep: the option -{min(unknown)} is not simulated")
        return USAGE_ERROR
    source = options["e"] if "e" in options else (operands.pop(0) if operands else "")
    effort = Effort()
    try:
        pattern = _grep_pattern(call, source, options, effort)
        return (yield from _grep_files(call, options, operands, pattern))
    except TextProgramError as error:
        yield complaint(f"grep: {source[:60]!r}: {error}")
        return USAGE_ERROR


def _grep_pattern(call: Call, source: str, options: dict[str, str], effort: Effort) -> TextPattern:
    """Compile the pattern of `grep`, with what -F, -w and -x do to it."""
    extended = ("E" in options or call.name.endswith("egrep")) and "F" not in options
    if "F" in options or call.name.endswith("fgrep"):
        source = SPECIAL.sub(r"\\\1", source)
    if "w" in options or "x" in options:
        begin, end = ("(", ")") if extended else ("\\(", "\\)")
        outer = ("^", "$") if "x" in options else ("\\b", "\\b")
        source = f"{outer[0]}{begin}{source}{end}{outer[1]}"
    return compile_pattern(source, effort, extended=extended, ignore_case="i" in options)


def _grep_files(
    call: Call, options: dict[str, str], operands: list[str], pattern: TextPattern
) -> Run:
    names = (len(operands) > 1 or "H" in options) and "h" not in options
    code, matched = 0, False
    for operand in operands or ["-"]:
        inputs = LineReader(call, [operand])
        if "s" not in options:
            yield from inputs.errors
        code = max(code, 2 * inputs.code)
        count = number = 0
        while text := (yield from inputs.next_line()):
            number += 1
            body = text.removesuffix("\n")
            match = pattern.search(body)
            yield from _charge(call, pattern.effort)
            if (match is not None) == ("v" in options):
                continue
            count += 1
            if "q" in options:
                return 0
            if not {"c", "l"} & set(options):
                prefix = f"{operand}:" * names + f"{number}:" * ("n" in options)
                for part in _only(pattern, body) if "o" in options else [body]:
                    yield line(prefix + part)
            if "l" in options or str(count) == options.get("m"):
                break
        matched = matched or count > 0
        if "l" in options and count:
            yield line(operand)
        elif "c" in options:
            yield line(f"{operand}:" * names + str(count))
    return code or int(not matched)


def _only(pattern: TextPattern, body: str) -> list[str]:
    """Return the parts of a line that match."""
    return [match.groups[0] for match in pattern.matches(body) if match.end > match.start]


# -- sed -----------------------------------------------------------------------------------------


def _sed(call: Call) -> Run:
    scripts: list[str] = []
    words, flags, operands = list(call.words), "", []
    while words:
        word = words.pop(0)
        if word in ("-e", "--expression") and words:
            scripts.append(words.pop(0))
        elif word.startswith("-i") and "." not in word and set(word[1:]) <= set("inEr"):
            flags += word[1:]
        elif word[:1] == "-" and len(word) > 1 and set(word[1:-1]) <= set("nEr"):
            flags += word[1:-1]
            if word[-1] == "e" and words:  # sed -ne SCRIPT
                scripts.append(words.pop(0))
            elif word[-1] in "nEr":
                flags += word[-1]
            else:
                yield complaint(f"sed: the option {word[:20]} is not simulated")
                return USAGE_ERROR
        elif word[:1] == "-" and len(word) > 1:
            yield complaint(f"sed: the option {word[:20]} is not simulated")
            return USAGE_ERROR
        else:
            operands.append(word)
    if not scripts and not operands:
        yield complaint("sed: usage: sed [-n] [-E] [-i] script [file...]")
        return 1
    source = "\n".join(scripts) if scripts else operands.pop(0)
    effort = Effort()
    try:
        commands = parse_script(source, effort, extended=bool(set(flags) & set("Er")))
        if "i" not in flags:
            editor = Editor(commands, quiet="n" in flags)
            return (yield from _edit(call, operands, commands, editor, effort))
        return (yield from _edit_in_place(call, operands, source, flags))
    except TextProgramError as error:
        yield complaint(f"sed: -e expression #1: {error}")
        return USAGE_ERROR


def _edit(
    call: Call, operands: list[str], commands: list[EditCommand], editor: Editor, effort: Effort
) -> Run:
    """Print what a script makes of its lines."""
    inputs = LineReader(call, operands)
    yield from inputs.errors
    asks = needs_last_line(commands)
    text = yield from inputs.next_line()
    while text:
        following = (yield from inputs.next_line()) if asks else ""
        printed = editor.edit(text.removesuffix("\n"), last=asks and not following)
        end = "\n" if text.endswith("\n") or following else ""
        for at, each in enumerate(printed, 1):
            yield Output(STDOUT, each + ("\n" if at < len(printed) else end))
        yield from _charge(call, effort)
        if editor.code is not None:
            return editor.code
        text = following if asks else (yield from inputs.next_line())
    return 2 * inputs.code


def _edit_in_place(call: Call, operands: list[str], source: str, flags: str) -> Run:
    """Write what a script makes of each file back to it."""
    code = 0
    for operand in operands:
        effort = Effort()  # each file is edited for itself
        commands = parse_script(source, effort, extended=bool(set(flags) & set("Er")))
        editor = Editor(commands, quiet="n" in flags)
        pieces: list[str] = []
        size = 0
        run = _edit(call, [operand], commands, editor, effort)
        while True:
            try:
                step = next(run)
            except StopIteration as end:
                result = int(end.value)
                break
            if not isinstance(step, Output) or step.stream != STDOUT:
                yield step
                continue
            size += len(step.text)
            if size > OUTPUT_BYTES:
                raise TextProgramError("the file is too long")
            pieces.append(step.text)
        try:
            if result != USAGE_ERROR:
                call.state.files.write(call.state.path(operand), "".join(pieces))
        except FileError as error:
            yield complaint(f"sed: couldn't write {operand}: {error}")
            result = 4
        code = code or result
    return code


# -- awk -----------------------------------------------------------------------------------------


def _awk(call: Call) -> Run:
    words, variables = list(call.words), {}
    source: str | None = None
    while words and words[0][:1] == "-" and len(words[0]) > 1:
        word = words.pop(0)
        if word == "--":
            break
        value = word[2:] or (words.pop(0) if words else "")
        if word[1] == "F":
            variables["FS"] = "\t" if value == "t" else value
        elif word[1] == "v" and "=" in value:
            name, _, text = value.partition("=")
            variables[name] = text
        elif word[1] == "f":
            try:
                source = call.state.files.read(call.state.path(value))
            except FileError as error:
                yield complaint(f"awk: can't open file {value}: {error}")
                return USAGE_ERROR
        else:
            yield complaint(f"awk: the option {word[:20]} is not simulated")
            return USAGE_ERROR
    if source is None:
        if not words:
            yield complaint("awk: usage: awk [-F fs] [-v var=value] 'program' [file...]")
            return USAGE_ERROR
        source = words.pop(0)
    if any(re.match(r"[A-Za-z_]\w*=", word) for word in words):
        yield complaint("awk: assignments between files are not simulated; use -v")
        return USAGE_ERROR
    try:
        runner = AwkRunner(source, variables, call.state.environment)
        return (yield from _run_awk(call, runner, words))
    except TextProgramError as error:
        yield complaint(f"awk: {error}")
        return USAGE_ERROR


def _run_awk(call: Call, runner: AwkRunner, operands: list[str]) -> Run:
    yield from _print(call, runner, runner.begin())
    code = 0
    if runner.reads and not runner.over:
        for operand in operands or ["-"]:
            inputs = LineReader(call, [operand])
            yield from inputs.errors
            code = max(code, 2 * inputs.code)
            runner.open_file("" if operand == "-" else operand)
            while not runner.over and (text := (yield from inputs.next_line())):
                yield from _print(call, runner, runner.line(text.removesuffix("\n")))
    yield from _print(call, runner, runner.end())
    return runner.code or code


def _print(call: Call, runner: AwkRunner, printed: Printed) -> Generator[Step, None, None]:
    for text in printed:
        if text:
            yield Output(STDOUT, text)
        yield from _charge(call, runner.effort)
    yield from _charge(call, runner.effort)


# -- files of zeros -----------------------------------------------------------------------------

UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "KB": 1000, "MB": 1_000_000}
SIZE = re.compile(r"(\d{1,12})(KB|MB|[BKMG]?)(?:iB)?", re.IGNORECASE)


def _size(text: str) -> int | None:
    """Parse a size such as 10M; None if it is malformed."""
    match = SIZE.fullmatch(text)
    return None if match is None else int(match[1]) * UNITS[match[2].upper()]


def _write_zeros(call: Call, path: str, size: int | None) -> Run:
    if size is None or not path:
        yield complaint(f"{call.name}: {' '.join(call.words)[:60]}: not simulated")
        return USAGE_ERROR
    try:
        call.state.files.write_zeros(call.state.path(path), size)
    except FileError as error:
        yield complaint(f"{call.name}: {path}: {error}")
        return 1
    return 0


def _allocate(call: Call) -> Run:
    """`fallocate -l SIZE FILE` and `truncate -s SIZE FILE`."""
    options, operands = parse_options(call, "ls")
    size = _size(options.get("l") or options.get("s") or "")
    return (yield from _write_zeros(call, "".join(operands[-1:]), size))


def _dd(call: Call) -> Run:
    """`dd if=/dev/zero of=FILE bs=SIZE count=N`; without `count`, the disk is full at last."""
    words = dict(word.partition("=")[::2] for word in call.words)
    block, count = _size(words.get("bs", "512")), _size(words.get("count", "1000G"))
    source = words.get("if", "")
    plain = source.startswith("/dev/") and source.endswith(("zero", "random"))
    size = block * count if plain and block is not None and count is not None else None
    code = yield from _write_zeros(call, words.get("of", ""), size)
    if code == 0:
        yield complaint(f"{count}+0 records in\n{count}+0 records out")
    return code


EDITOR_PROGRAMS: dict[str, Program] = {
    "awk": _awk,
    "dd": _dd,
    "egrep": _grep,
    "fallocate": _allocate,
    "fgrep": _grep,
    "gawk": _awk,
    "grep": _grep,
    "mawk": _awk,
    "sed": _sed,
    "truncate": _allocate,
}
