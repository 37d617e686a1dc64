"""Programs that pack bytes: what `kubectl cp` runs in a container, gzip and base64."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from kubesim.apiserver.verbs.subresources import CommandResult
from kubesim.bytetext import bytes_of, text_of
from kubesim.kubelet.process.programs import run_to_end
from kubesim.kubelet.process.start import start
from kubesim.kubelet.shell.files import MAX_PATH, FileSystem
from kubesim.kubelet.shell.state import ContainerHost

BINARY = bytes(range(256))
NOW = 1_700_000_000.0


def run(files: FileSystem, *command: str, stdin: bytes = b"") -> CommandResult:
    """Run a command to its end."""
    host = ContainerHost("web-0", files, lambda: NOW)
    program = start(command, host, {}, stdin=text_of(stdin), foreign=False)
    assert program is not None
    return run_to_end(program)


def out(files: FileSystem, *command: str, stdin: bytes = b"") -> bytes:
    """What a command that succeeds prints."""
    result = run(files, *command, stdin=stdin)
    assert (result.code, [each for each in result.chunks if each.stream == 2]) == (0, [])
    return bytes_of(result.stdout)


def errors(result: CommandResult) -> str:
    """What a command printed on stderr."""
    return "".join(each.text for each in result.chunks if each.stream == 2)


def test_every_byte_becomes_text_and_a_byte_again() -> None:
    """Valid UTF-8 is that text; all text can be encoded, so it can be logged and sent."""
    assert text_of("zürich €".encode()) == "zürich €"
    text = text_of(BINARY)
    assert bytes_of(text) == BINARY
    assert text.encode() != BINARY


def test_tar_sends_what_kubectl_cp_asks_for() -> None:
    """`tar cf - PATH`: a file, a directory with what is in it, and bytes that are no text."""
    files = FileSystem({"/tmp/a.txt": "test content\n", "/data/d/e/f": text_of(BINARY)})
    sent = out(files, "tar", "cf", "-", "-C", "/tmp", "a.txt")
    with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
        [member] = archive.getmembers()
    assert (member.name, member.size, member.mtime) == ("a.txt", 13, NOW)
    result = run(files, "tar", "cf", "-", "/data")
    assert errors(result) == "tar: removing leading '/' from member names\n"
    with tarfile.open(fileobj=io.BytesIO(bytes_of(result.stdout))) as archive:
        assert archive.getnames() == ["data", "data/d", "data/d/e", "data/d/e/f"]
        content = archive.extractfile("data/d/e/f")
        assert content is not None and content.read() == BINARY


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_takes_what_kubectl_cp_sends(form: int) -> None:
    """`tar -xmf - -C DIRECTORY`: every format of a client, with paths longer than a header's."""
    long = "/".join(["directory"] * 12) + "/file"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name in ("b.bin", long):
            header = tarfile.TarInfo(name)
            header.size = len(BINARY)
            archive.addfile(header, io.BytesIO(BINARY))
    files = FileSystem({"/srv/keep": ""})
    assert out(files, "tar", "-xmf", "-", "-C", "/srv", stdin=buffer.getvalue()) == b""
    assert bytes_of(files.read(f"/srv/{long}")) == bytes_of(files.read("/srv/b.bin")) == BINARY
    assert out(files, "wc", "-c", "/srv/b.bin") == b"256 /srv/b.bin\n"
    assert [run(files, "test", "-d", path).code for path in ("/srv", "/none")] == [0, 1]


def test_gzip_and_base64_and_back() -> None:
    """Through pipes, and with files in place."""
    files = FileSystem({"/tmp/a": "hello\n"})
    assert gzip.decompress(out(files, "sh", "-c", "echo -n hi | gzip")) == b"hi"
    assert out(files, "sh", "-c", "gzip /tmp/a && ls /tmp && zcat /tmp/a.gz") == b"a.gz\nhello\n"
    assert out(files, "sh", "-c", "gunzip /tmp/a.gz; tar czf /tmp/z -C /tmp a; tar tzf /tmp/z") == (
        b"a\n"
    )
    assert out(files, "sh", "-c", "echo hello | base64; echo aGk= | base64 -d") == b"aGVsbG8K\nhi"
    assert out(files, "cat", stdin=BINARY) == BINARY


@pytest.mark.parametrize(
    ("command", "stdin", "message"),
    [
        (["tar", "xf", "-"], b"no archive", "tar: short read\n"),
        (["tar", "xf", "-"], b"x" * 512, "tar: invalid tar header\n"),
        (["tar", "cf", "-", "none"], b"", "tar: none: No such file or directory\n"),
        (["tar", "f", "-"], b"", "tar: must specify one of -c, -x and -t\n"),
        (["tar", "xzf", "-"], b"no gzip", "tar: invalid magic\n"),
        (["gunzip"], gzip.compress(b"hi", mtime=0)[:-1], "gunzip: -: unexpected end of file\n"),
        (["zcat"], gzip.compress(bytes(1 << 22), mtime=0), "zcat: out of memory\n"),
        (["base64", "-d"], b"?", "base64: invalid input\n"),
    ],
)
def test_what_is_malformed_fails_with_a_message(
    command: list[str], stdin: bytes, message: str
) -> None:
    """Nothing is unpacked without a bound, and nothing raises."""
    result = run(FileSystem(), *command, stdin=stdin)
    assert result.code != 0 and errors(result).startswith(message)


def test_a_path_has_a_bound() -> None:
    """Linux' PATH_MAX; otherwise each of a path's directories would hold all of it again."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a/" * MAX_PATH + "b"))
    result = run(FileSystem(), "tar", "xf", "-", stdin=buffer.getvalue())
    assert (result.code, errors(result)) == (1, "tar: File name too long\n")
