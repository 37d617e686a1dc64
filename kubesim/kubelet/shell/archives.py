"""Programs that pack bytes: `tar`, `gzip`, `gunzip`, `zcat`, `base64`.

`kubectl cp` runs `tar` in the container: `tar cf - PATH`, or `tar -xmf - -C DIRECTORY` with an
archive on its standard input.

Source: IEEE Std 1003.1-2017, pax (ustar and pax formats); RFC 1952; RFC 4648; busybox 1.36;
staging/src/k8s.io/kubectl/pkg/cmd/cp/cp.go.
"""

from __future__ import annotations

import binascii
import gzip
import posixpath
import tarfile
import zlib
from base64 import b64decode, encodebytes
from collections.abc import Generator, Iterator
from typing import NamedTuple

from kubesim.bytetext import bytes_of, text_of
from kubesim.kubelet.shell.files import FileError, FileSystem
from kubesim.kubelet.shell.state import Call, Program
from kubesim.kubelet.shell.steps import (
    OUTPUT_BYTES,
    STDOUT,
    Output,
    Run,
    ShellError,
    Step,
    complaint,
)

BLOCK = 512
REGULAR, DIRECTORY, LONG_NAME, PAX_HEADER = b"0", b"5", b"L", b"x"
GZIP_WINDOW = 31  # zlib's name for the gzip format


class ArchiveError(Exception):
    """The input is not in the format that the program reads."""


class Member(NamedTuple):
    """One entry of a tar archive.

    Attributes:
        path: as it stands in the archive, without a slash at its end.
        data: the content; None for a directory.
    """

    path: str
    data: bytes | None


def pack(members: list[Member], modified: int) -> bytes:
    """Return a tar archive.

    Args:
        members: directories before what is in them.
        modified: the time of all of them, in seconds since 1970.
    """
    parts: list[bytes] = []
    for path, data in members:
        header = tarfile.TarInfo(path)
        header.size, header.mtime = len(data or b""), modified
        if data is None:
            header.type, header.mode = tarfile.DIRTYPE, 0o755
        parts.append(header.tobuf(tarfile.GNU_FORMAT))
        if data:
            parts.append(data + bytes(-len(data) % BLOCK))
    return b"".join([*parts, bytes(2 * BLOCK)])


def unpack(archive: bytes) -> Iterator[Member]:
    """Yield the files and directories of a tar archive; links and devices are left out.

    >>> list(unpack(pack([Member("a", None), Member("a/b", b"hi")], modified=0)))
    [Member(path='a', data=None), Member(path='a/b', data=b'hi')]

    Raises:
        ArchiveError: it is no tar archive, or it ends too early.
    """
    at, name = 0, ""
    while any(header := archive[at : at + BLOCK]):
        size, start = _size_of(header), at + BLOCK
        data = archive[start : start + size]
        if len(header) < BLOCK or len(data) < size:
            raise ArchiveError("short read")
        at = start + size + -size % BLOCK
        kind = header[156:157]
        if kind == LONG_NAME:
            name = text_of(data.rstrip(b"\0"))
        elif kind == PAX_HEADER:
            name = _pax_path(data) or name
        else:
            path = name or _path_of(header)
            name = ""
            if kind == DIRECTORY:
                yield Member(path.rstrip("/"), None)
            elif kind in (REGULAR, b"\0"):
                yield Member(path, data)


def _size_of(header: bytes) -> int:
    try:
        return int(header[124:136].strip(b" \0") or b"0", 8)
    except ValueError:
        raise ArchiveError("invalid tar header") from None


def _path_of(header: bytes) -> str:
    name, prefix = header[:100].partition(b"\0")[0], b""
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].partition(b"\0")[0]
    return text_of(prefix + b"/" + name if prefix else name)


def _pax_path(data: bytes) -> str:
    """Return the path of an extended header: records of ``LENGTH KEY=VALUE``; "" for none."""
    at = 0
    while at < len(data):
        digits = data[at : at + 20].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        if length <= len(digits):
            raise ArchiveError("invalid tar header")
        key, _, value = data[at + len(digits) + 1 : at + length - 1].partition(b"=")
        if key == b"path":
            return text_of(value)
        at += length
    return ""


def inflate(data: bytes) -> bytes:
    """Return what a gzip stream holds.

    Raises:
        ArchiveError: it is not in gzip format, or it ends too early.
        ShellError: it holds more than a container's memory.
    """
    stream = zlib.decompressobj(GZIP_WINDOW)
    try:
        content = stream.decompress(data, OUTPUT_BYTES + 1)
    except zlib.error:
        raise ArchiveError("invalid magic") from None
    if len(content) > OUTPUT_BYTES:
        raise ShellError("out of memory")
    if not stream.eof:
        raise ArchiveError("unexpected end of file")
    return content


# -- programs -------------------------------------------------------------------------------------


def _input_of(call: Call, operands: list[str]) -> Generator[Step, None, bytes]:
    """Return what the named file holds; without a name, or for ``-``, the standard input.

    Raises:
        FileError: the file cannot be read.
        ShellError: the input is too long.
    """
    if operands and operands[0] != "-":
        return bytes_of(call.state.files.read(call.state.path(operands[0])))
    lines: list[str] = []
    size = 0
    while text := (yield from call.stdin.read_line()):
        lines.append(text)
        size += len(text)
        if size > OUTPUT_BYTES:
            raise ShellError("out of memory")
    return bytes_of("".join(lines))


def _tar_options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split arguments into options and operands; ``cf -`` without a dash is the old style."""
    options: dict[str, str] = {}
    operands: list[str] = []
    words = [f"-{words[0]}", *words[1:]] if words and words[0][:1] != "-" else list(words)
    while words:
        word = words.pop(0)
        if word.startswith("--") or word == "-":
            operands += [word] if word == "-" else []
        elif word.startswith("-"):
            letters = word[1:]
            for at, letter in enumerate(letters):
                if letter in "fC":
                    rest = letters[at + 1 :]
                    joined = rest and not set(rest) <= set("cxtzvmphfC")
                    options[letter] = rest if joined else (words.pop(0) if words else "")
                    if joined:
                        break
                else:
                    options[letter] = ""
        else:
            operands.append(word)
    return options, operands


def _tar(call: Call) -> Run:
    options, operands = _tar_options(call.words)
    modes = [letter for letter in "cxt" if letter in options]
    if len(modes) != 1:
        yield complaint("tar: must specify one of -c, -x and -t")
        return 1
    state = call.state.copy()
    if "C" in options:
        directory = state.path(options["C"])
        if not state.files.is_directory(directory):
            yield complaint(
                f"tar: can't change directory to '{options['C'][:200]}': No such file or directory"
            )
            return 1
        state.change_directory(directory)
    inside = call._replace(state=state)
    try:
        if modes == ["c"]:
            return (yield from _create(inside, options, operands))
        data = yield from _input_of(call, [options.get("f") or "-"])
        members = unpack(inflate(data) if "z" in options else data)
        return (yield from _extract(inside, members, options, operands))
    except (ArchiveError, FileError) as error:
        yield complaint(f"tar: {error}")
        return 1


def _create(call: Call, options: dict[str, str], operands: list[str]) -> Run:
    files, members, code = call.state.files, [], 0
    warned = False
    for operand in operands:
        path = call.state.path(operand)
        if not files.exists(path):
            yield complaint(f"tar: {operand[:200]}: No such file or directory")
            code = 1
            continue
        if operand.startswith("/") and not warned:
            warned = True
            yield complaint("tar: removing leading '/' from member names")
        for each in _below(files, path):
            inner = posixpath.relpath(each, path)
            name = operand.strip("/") or "."
            data = None if files.is_directory(each) else bytes_of(files.read(each))
            members.append(Member(name if inner == "." else posixpath.join(name, inner), data))
            if "v" in options and options.get("f", "-") != "-":
                yield Output(STDOUT, f"{members[-1].path}\n")
            yield from call.state.budget.spend()
    archive = pack(members, int(call.state.host.now()))
    text = text_of(gzip.compress(archive, mtime=0) if "z" in options else archive)
    if options.get("f", "-") == "-":
        yield Output(STDOUT, text)
    else:
        files.write(call.state.path(options["f"]), text)
    if code:
        yield complaint("tar: error exit delayed from previous errors")
    return code


def _below(files: FileSystem, path: str) -> Iterator[str]:
    """Yield a path and, if it is a directory, all that is in it."""
    waiting = [path]
    while waiting:
        each = waiting.pop()
        yield each
        if files.is_directory(each):
            waiting += [posixpath.join(each, name) for name in reversed(files.names(each))]


def _extract(
    call: Call, members: Iterator[Member], options: dict[str, str], operands: list[str]
) -> Run:
    files = call.state.files
    for path, data in members:
        if operands and not any(f"{path}/".startswith(f"{each}/") for each in operands):
            continue
        if "t" in options or "v" in options:
            yield Output(STDOUT, f"{path}\n")
        if "t" not in options:
            target = call.state.path(path.lstrip("/"))
            directory = target if data is None else posixpath.dirname(target)
            if not files.is_directory(directory):
                files.make_directory(directory, parents=True)
            if data is not None:
                files.write(target, text_of(data))
        yield from call.state.budget.spend()
    return 0


def _gzip(call: Call) -> Run:
    """`gzip`, `gunzip` and `zcat`."""
    name = posixpath.basename(call.name)
    flags = {letter for word in call.words if word[:1] == "-" for letter in word[1:]}
    operands = [word for word in call.words if word == "-" or word[:1] != "-"]
    unpacks = name != "gzip" or "d" in flags
    code = 0
    for operand in operands or ["-"]:
        source = "" if operand == "-" else call.state.path(operand)
        try:
            if source and unpacks and not source.endswith(".gz"):
                raise ArchiveError("unknown suffix")
            data = yield from _input_of(call, [operand])
            text = text_of(inflate(data) if unpacks else gzip.compress(data, mtime=0))
            if not source or name == "zcat" or "c" in flags:
                yield Output(STDOUT, text)
                continue
            call.state.files.write(source[:-3] if unpacks else f"{source}.gz", text)
            call.state.files.remove(source)
        except (ArchiveError, FileError) as error:
            yield complaint(f"{name}: {operand[:200]}: {error}")
            code = 1
    return code


def _base64(call: Call) -> Run:
    words = list(call.words)
    unwrapped = False
    for option in ("-w0", "--wrap=0"):
        unwrapped = unwrapped or option in words
    if "-w" in words:
        at = words.index("-w")
        unwrapped = words[at + 1 : at + 2] == ["0"]
        del words[at : at + 2]
    operands = [word for word in words if word == "-" or word[:1] != "-"]
    try:
        data = yield from _input_of(call, operands)
        if {"-d", "-D", "--decode"} & set(words):
            text = text_of(b64decode(b"".join(data.split()), validate=True))
        else:
            text = encodebytes(data).decode()
            text = text.replace("\n", "") if unwrapped else text
    except FileError as error:
        yield complaint(f"base64: {operands[0][:200]}: {error}")
        return 1
    except binascii.Error:
        yield complaint("base64: invalid input")
        return 1
    yield Output(STDOUT, text)
    return 0


ARCHIVE_PROGRAMS: dict[str, Program] = {
    "base64": _base64,
    "gunzip": _gzip,
    "gzip": _gzip,
    "tar": _tar,
    "zcat": _gzip,
}
