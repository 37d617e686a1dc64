"""The programs of a simulated container: small versions of what busybox has.

A program is a generator that yields its steps and returns its exit code; `PROGRAMS` has them by
name.

Source: IEEE Std 1003.1-2017, Utilities; busybox 1.36 for what the standard leaves open.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from kubesim.kubelet.shell.archives import ARCHIVE_PROGRAMS
from kubesim.kubelet.shell.arithmetic import evaluate
from kubesim.kubelet.shell.editors import EDITOR_PROGRAMS
from kubesim.kubelet.shell.files import FileError
from kubesim.kubelet.shell.state import Call, Program
from kubesim.kubelet.shell.steps import (
    SIGTERM_EXIT,
    STDOUT,
    USAGE_ERROR,
    ForeignProgram,
    Output,
    Run,
    ShellError,
    Sleep,
    complaint,
    line,
)
from kubesim.kubelet.shell.textprograms import TEXT_PROGRAMS
from kubesim.kubelet.text.formats import format_date, format_printf, interpret_escapes

UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
FOREVER = 10.0**9  # seconds: `sleep infinity`


def _echo(call: Call) -> Run:
    words = list(call.words)
    newline, escapes = "\n", False
    while words and words[0][:1] == "-" and words[0][1:] and set(words[0][1:]) <= set("neE"):
        flags = words.pop(0)
        newline = "" if "n" in flags else newline
        escapes = "e" in flags or (escapes and "E" not in flags)
    text = " ".join(words)
    yield Output(STDOUT, (interpret_escapes(text) if escapes else text) + newline)
    return 0


def _printf(call: Call) -> Run:
    if not call.words:
        yield complaint("printf: usage: printf format [arguments]")
        return USAGE_ERROR
    text, error = format_printf(call.words[0], call.words[1:])
    yield Output(STDOUT, text)
    if error:
        yield complaint(f"printf: {error}")
    return int(bool(error))


def _sleep(call: Call) -> Run:
    seconds = 0.0
    if not call.words:
        yield complaint("sleep: missing operand")
        return 1
    for word in call.words:
        parsed = parse_duration(word)
        if parsed is None:
            yield complaint(f"sleep: invalid number '{word[:40]}'")
            return 1
        seconds += parsed
    if seconds:
        call.state.budget.rest()
    yield Sleep(min(seconds, FOREVER))
    return 0


def parse_duration(word: str) -> float | None:
    """Return the seconds that `sleep` and `timeout` take from a word; None if it is malformed."""
    if word in ("infinity", "inf"):
        return FOREVER
    number, unit = (word[:-1], UNITS[word[-1]]) if word[-1:] in UNITS else (word, 1.0)
    if not number.replace(".", "", 1).isdigit() or not number.isascii():
        return None
    return float(number) * unit


def _true(_call: Call) -> Run:
    yield from ()
    return 0


def _false(_call: Call) -> Run:
    yield from ()
    return 1


def _hostname(call: Call) -> Run:
    yield line(call.state.host.hostname)
    return 0


def _date(call: Call) -> Run:
    words = [word for word in call.words if word not in ("-u", "--utc")]
    text, error = format_date(call.state.host.now(), words)
    yield complaint(f"date: {error}") if error else line(text)
    return int(bool(error))


def _env(call: Call) -> Run:
    state = call.state.copy()
    words = list(call.words)
    while words and (words[0] in ("-i", "-") or "=" in words[0]):
        word = words.pop(0)
        if word in ("-i", "-"):
            state.exported.clear()
        else:
            name, _, value = word.partition("=")
            state.set(name, value)
            state.exported.add(name)
    if words:
        return (yield from call.run(state, words, call.stdin))
    yield Output(STDOUT, "".join(f"{k}={v}\n" for k, v in state.environment.items()))
    return 0


def _printenv(call: Call) -> Run:
    environment = call.state.environment
    if not call.words:
        return (yield from _env(call))
    for name in call.words:
        if name in environment:
            yield line(environment[name])
    return int(not set(call.words) <= set(environment))


def _pwd(call: Call) -> Run:
    yield line(call.state.directory)
    return 0


def _whoami(_call: Call) -> Run:
    yield line("root")
    return 0


def _id(_call: Call) -> Run:
    yield line("uid=0(root) gid=0(root) groups=0(root)")
    return 0


def _uname(call: Call) -> Run:
    host = call.state.host.hostname
    words = {
        "-n": host,
        "-m": "x86_64",
        "-r": "6.1.0",
        "-a": f"Linux {host} 6.1.0 x86_64 GNU/Linux",
    }
    yield line(words.get("".join(call.words[:1]), "Linux"))
    return 0


def _seq(call: Call) -> Run:
    words = [word for word in call.words if word != "-w"]
    if not 1 <= len(words) <= 3 or not all(_is_integer(word) for word in words):
        yield complaint("seq: usage: seq [first [increment]] last (integers)")
        return USAGE_ERROR
    numbers = [int(word) for word in words]
    first, last = (numbers[0] if len(numbers) > 1 else 1), numbers[-1]
    step = numbers[1] if len(numbers) == 3 else 1
    if step == 0:
        yield complaint("seq: invalid increment '0'")
        return USAGE_ERROR
    for number in range(first, last + (1 if step > 0 else -1), step):
        yield from call.state.budget.spend()
        yield line(str(number))
    return 0


def _is_integer(word: str) -> bool:
    return word.lstrip("-").isdigit() and word.isascii() and len(word) < 19


def _yes(call: Call) -> Run:
    text = " ".join(call.words) or "y"
    while True:
        yield from call.state.budget.spend()
        yield line(text)


def _expr(call: Call) -> Run:
    words = call.words
    try:
        if len(words) == 3 and words[1] in ("=", "!="):
            value = int((words[0] == words[2]) == (words[1] == "="))
        else:
            value = evaluate(" ".join(words).replace("=", "==").replace("====", "=="), {})
    except ShellError as error:
        yield complaint(f"expr: {error}")
        return USAGE_ERROR
    yield line(str(value))
    return int(value == 0)


def _timeout(call: Call) -> Run:
    words = [word for word in call.words if not word.startswith("-")]
    seconds = parse_duration(words[0]) if words else None
    if seconds is None or len(words) < 2:
        yield complaint("timeout: usage: timeout seconds program [arguments]")
        return 125
    at = call.words.index(words[0])
    run = call.run(call.state.copy(), call.words[at + 1 :], call.stdin)
    remaining = seconds
    while True:
        try:
            step = next(run)
        except StopIteration as end:
            return int(end.value)
        if isinstance(step, ForeignProgram):
            step = Sleep(FOREVER)  # it would not end by itself
        if isinstance(step, Sleep):
            if step.seconds >= remaining:
                yield Sleep(remaining)
                run.close()
                return SIGTERM_EXIT
            remaining -= step.seconds
        yield step


def _xargs(call: Call) -> Run:
    words = list(call.words)
    single = words[:1] == ["-n1"] or words[:2] == ["-n", "1"]
    if single:
        words = words[1:] if words[0] == "-n1" else words[2:]
    arguments: list[str] = []
    while text := (yield from call.stdin.read_line()):
        arguments += text.split()
    groups = [[each] for each in arguments] if single else [arguments]
    code = 0
    for group in groups:
        result = yield from call.run(call.state.copy(), [*(words or ["echo"]), *group], call.stdin)
        code = 123 if result else code
    return code


def _nslookup(call: Call) -> Run:
    name = next((word for word in call.words if not word.startswith("-")), "")
    addresses = list(call.state.host.resolve(name))
    yield Output(STDOUT, "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n")
    if not addresses:
        yield line(f"** server can't find {name}: NXDOMAIN")
        return 1
    for address in addresses:
        yield Output(STDOUT, f"Name:\t{name}\nAddress: {address}\n")
    return 0


def _no_effect(call: Call) -> Run:
    """Succeed: what `chmod`, `chown` and `sync` change is not simulated."""
    yield from ()
    return 0


# -- files ----------------------------------------------------------------------------------------


def _ls(call: Call) -> Run:
    flags = "".join(word[1:] for word in call.words if word.startswith("-"))
    targets = [word for word in call.words if not word.startswith("-")] or ["."]
    code = 0
    for target in targets:
        path = call.state.path(target)
        files = call.state.files
        if not files.exists(path):
            yield complaint(f"ls: {target}: No such file or directory")
            code = 1
            continue
        names = files.names(path) if files.is_directory(path) else [target]
        for name in names:
            if name.startswith(".") and "a" not in flags:
                continue
            if "l" not in flags:
                yield line(name)
                continue
            full = posixpath.join(path, name) if files.is_directory(path) else path
            size = 4096 if files.is_directory(full) else files.size_of(full)
            kind = "drwxr-xr-x" if files.is_directory(full) else "-rw-r--r--"
            yield line(f"{kind}    1 root     root     {size:>9} Jan  1 00:00 {name}")
    return code


def _each_file(call: Call, action: Callable[[str, str], object]) -> Run:
    """Call action(path, flags) for each file argument; report what fails."""
    flags = "".join(word[1:] for word in call.words if word.startswith("-"))
    code = 0
    for word in call.words:
        if word.startswith("-"):
            continue
        try:
            action(call.state.path(word), flags)
        except FileError as error:
            if not (call.name.endswith("rm") and "f" in flags and "No such" in str(error)):
                yield complaint(f"{call.name}: {word}: {error}")
                code = 1
    return code


def _touch(call: Call) -> Run:
    files = call.state.files
    return (yield from _each_file(call, lambda path, _: files.write(path, "", append=True)))


def _mkdir(call: Call) -> Run:
    files = call.state.files
    return (
        yield from _each_file(call, lambda path, f: files.make_directory(path, parents="p" in f))
    )


def _rm(call: Call) -> Run:
    files = call.state.files
    return (
        yield from _each_file(
            call, lambda path, flags: files.remove(path, recursive=bool(set(flags) & set("rR")))
        )
    )


def _copy(call: Call) -> Run:
    """`cp` and `mv` of files."""
    words = [word for word in call.words if not word.startswith("-")]
    if len(words) < 2:
        yield complaint(f"{call.name}: missing file operand")
        return 1
    state, files = call.state, call.state.files
    target = state.path(words[-1])
    code = 0
    for word in words[:-1]:
        source = state.path(word)
        into = files.is_directory(target)
        try:
            text = files.read(source)
            files.write(
                posixpath.join(target, posixpath.basename(source)) if into else target, text
            )
            if call.name.endswith("mv"):
                files.remove(source)
        except FileError as error:
            yield complaint(f"{call.name}: {word}: {error}")
            code = 1
    return code


PROGRAMS: dict[str, Program] = {
    "chmod": _no_effect,
    "chown": _no_effect,
    "cp": _copy,
    "date": _date,
    "echo": _echo,
    "env": _env,
    "expr": _expr,
    "false": _false,
    "hostname": _hostname,
    "id": _id,
    "ls": _ls,
    "mkdir": _mkdir,
    "mv": _copy,
    "nslookup": _nslookup,
    "printenv": _printenv,
    "printf": _printf,
    "pwd": _pwd,
    "rm": _rm,
    "seq": _seq,
    "sleep": _sleep,
    "sync": _no_effect,
    "timeout": _timeout,
    "touch": _touch,
    "true": _true,
    "uname": _uname,
    "whoami": _whoami,
    "xargs": _xargs,
    "yes": _yes,
    **ARCHIVE_PROGRAMS,
    **EDITOR_PROGRAMS,
    **TEXT_PROGRAMS,
}
