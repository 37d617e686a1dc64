"""Work on the lessons in your own folder: ``python -m lessons start [DIR]``.

The command copies the notebooks, and the pages that they link to, into DIR and opens JupyterLab
there with lesson 0. The lessons of the installation stay unchanged, so an update never overwrites
your work, and `git pull` never conflicts with it:

- a file that you have not changed is replaced by the newer one;
- a file that you have changed stays, and the newer one is saved as ``NAME.new.ipynb``; if you have
  worked in that file, too, it stays as well, and the newer one is ``NAME.new2.ipynb``.

``DIR/.kubesim-lessons.json`` holds the checksums of the copied files. Kubernetes has no
counterpart.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import posixpath
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent
MANIFEST = ".kubesim-lessons.json"
FIRST = "notebooks/00_start_here.ipynb"
DEFAULT_FOLDER = "my-lessons"
PATTERNS = ("notebooks/*.ipynb", "docs/*.md", "docs/guides/*.md", "docs/images/*", "*.md")
SOURCE = "https://github.com/kubesim-lab/kubesim/blob/main"
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")  # a relative link of a Markdown page
USAGE_ERROR = 2
GRACE_SECONDS = 10.0  # for JupyterLab, to end its kernels and itself
SIGNALLED = 128  # a shell's exit code for "ended by a signal" is this plus its number
# What ipykernel tells JupyterLab about itself. Source: ipykernel, ipkernel.py and kernelspec.py.
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": sys.version_info.major},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": f"ipython{sys.version_info.major}",
    "version": sys.version.split()[0],
}


class Copied(NamedTuple):
    """The result of a copy: paths below the folder, sorted.

    Attributes:
        new: files that did not exist.
        updated: unchanged files that were replaced by newer ones.
        kept: files that you have changed.
        newer: newer versions of kept files, saved next to them.
    """

    new: list[str]
    updated: list[str]
    kept: list[str]
    newer: list[str]


def course_folder() -> Path:
    """Return the folder of the installed lessons.

    Raises:
        FileNotFoundError: the installation has no lessons.
    """
    for folder in (PACKAGE.parent, PACKAGE / "course"):
        if (folder / FIRST).is_file():
            return folder
    raise FileNotFoundError(
        "this installation has no notebooks: install the wheel, or clone kubesim"
    )


def course_files(course: Path) -> Iterator[str]:
    """Yield the paths of the files that a learner needs, below the course's folder."""
    for pattern in PATTERNS:
        for path in sorted(course.glob(pattern)):
            if path.is_file():
                yield path.relative_to(course).as_posix()


def copy_course(course: Path, folder: Path) -> Copied:
    """Update a learner's folder without overwriting their work.

    Args:
        course: the folder of the installed lessons.
        folder: the learner's folder; it is created if it does not exist.

    Returns:
        what was copied, and what was kept.

    Raises:
        ValueError: both folders are the same.
    """
    if _is_original(folder.resolve(), course.resolve()):
        raise ValueError(f"{folder} holds the original lessons: choose another folder")
    before = _read_manifest(folder)
    after = dict(before)
    result = Copied([], [], [], [])
    names = list(course_files(course))
    for name in names:
        data, target = _for_the_copy((course / name).read_bytes(), name, names), folder / name
        after[name] = checksum = _checksum(data)
        present = target.read_bytes() if target.exists() else None
        if present is None:
            result.new.append(name)
        elif _checksum(present) == before.get(name) != checksum:
            result.updated.append(name)
        elif _checksum(present) != checksum:
            result.kept.append(name)
            if before.get(name) != checksum:
                newer = _free_name(folder, name, before)
                (folder / newer).write_bytes(data)
                after[newer] = checksum
                result.newer.append(newer)
            continue
        if present != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps(after, indent=1, sort_keys=True) + "\n")
    return result


def _is_original(folder: Path, course: Path) -> bool:
    """Whether a folder is the course, or lies among its notebooks or pages."""
    parts = (course / "notebooks", course / "docs")
    return folder == course or any(folder.is_relative_to(part) for part in parts)


def _free_name(folder: Path, name: str, before: dict[str, str]) -> str:
    """Return where the newer version of a file may be saved.

    Args:
        folder: the learner's folder.
        name: the file that the learner has changed.
        before: the checksums of the last copy.
    """
    stem, suffix = os.path.splitext(name)
    for number in itertools.count(1):
        newer = f"{stem}.new{number if number > 1 else ''}{suffix}"
        file = folder / newer
        if not file.exists() or _checksum(file.read_bytes()) == before.get(newer):
            return newer
    raise AssertionError("unreachable")


def _for_the_copy(data: bytes, name: str, names: list[str]) -> bytes:
    """Return a file as it stands in the copy.

    Args:
        data: the content of the file.
        name: its path.
        names: the paths of all files of the copy; a link of a page to another file leads to GitHub.
    """
    if not name.endswith(".md"):
        return _for_this_python(data, name)

    def outward(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), link[1]))
        copied = any(f"{each}/".startswith(f"{path}/") for each in names)
        return link[0] if copied else f"]({SOURCE}/{path}"

    return LINK.sub(outward, data.decode()).encode()


def _for_this_python(data: bytes, name: str) -> bytes:
    """Return a notebook with the metadata that JupyterLab adds for this Python.

    JupyterLab writes them as soon as a kernel runs, and would mark a lesson that was only opened as
    changed. The notebooks of the installation do not hold them: they name the version of Python.

    Args:
        data: the content of a file; one that is no notebook is returned unchanged.
        name: its path.
    """
    if not name.endswith(".ipynb"):
        return data
    try:
        notebook = json.loads(data)
        notebook["metadata"].update(kernelspec=KERNEL, language_info=LANGUAGE)
    except (ValueError, KeyError, TypeError):
        return data
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _read_manifest(folder: Path) -> dict[str, str]:
    """Return the checksums of the last copy; an unreadable manifest counts as empty."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in manifest.items()} if isinstance(manifest, dict) else {}


def _checksum(data: bytes) -> str:
    """Return the checksum of a file; that of a notebook does not depend on the kernel's version."""
    try:
        notebook = json.loads(data)
        for added in ("kernelspec", "language_info"):
            notebook["metadata"].pop(added, None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha256(json.dumps(notebook, sort_keys=True).encode()).hexdigest()


def sign_course(folder: Path) -> None:
    """Sign the notebooks of a folder that are as they were copied.

    JupyterLab shows stored pictures only of a notebook that is signed, or that was run on this
    machine.
    """
    from nbformat import read
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary()
    for name, checksum in _read_manifest(folder).items():
        file = folder / name
        if file.suffix == ".ipynb" and file.is_file() and _checksum(file.read_bytes()) == checksum:
            notary.sign(read(file, as_version=4))


def jupyter_command(folder: Path, *, root: bool) -> list[str]:
    """Return the command that opens JupyterLab in a learner's folder, with lesson 0.

    Args:
        folder: the learner's folder; JupyterLab shows nothing above it.
        root: the user is root, which JupyterLab refuses without a flag.
    """
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--LabApp.default_url=/lab/tree/{FIRST}",
        # Do not ask about news before the first lesson; open pages rendered.
        f"--LabApp.app_settings_dir={PACKAGE / 'jupyter'}",
        "--LabApp.news_url=None",
    ]
    return [*command, "--allow-root"] if root else command


def run_until_signalled(command: list[str], grace_seconds: float = GRACE_SECONDS) -> int:
    """Run a command until it ends, or until this process is told to end; then end the command.

    Ctrl-C, SIGTERM and a closed terminal end the command by SIGTERM, on which JupyterLab ends its
    kernels without a question; a command that is still there after a while is killed.

    Args:
        command: the program and its arguments.
        grace_seconds: the longest time that it may take to end.

    Returns:
        the command's exit code, or 128 plus the number of the signal.
    """
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def end_command(number: int, _frame: FrameType | None = None) -> None:
        received.append(number)
        if process is None:
            return  # it is being started
        process.terminate()
        if len(received) == 1:
            killer = threading.Timer(grace_seconds, process.kill)
            killer.daemon = True
            killer.start()

    endings = [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    handlers = {number: signal.signal(number, end_command) for number in endings}
    try:
        process = subprocess.Popen(command)
        if received:
            end_command(received.pop())
        code = process.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return SIGNALLED + received[0] if received else code


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Args:
        arguments: the arguments without the program's name; None: those of this process.
    """
    parser = argparse.ArgumentParser(prog="lessons", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="copy the lessons into a folder and open them")
    start.add_argument(
        "folder", nargs="?", default=DEFAULT_FOLDER, help=f"your folder (default: {DEFAULT_FOLDER})"
    )
    start.add_argument("--no-lab", action="store_true", help="copy only; do not open JupyterLab")
    options, more = parser.parse_known_args(arguments)
    if more and not more[0].startswith("-"):
        parser.error(
            f"one folder, please: {options.folder!r} or {more[0]!r}? Quote a name with spaces"
        )
    folder = Path(options.folder)
    try:
        result = copy_course(course_folder(), folder)
    except (OSError, ValueError) as error:
        print(f"lessons start: {error}", file=sys.stderr)
        return USAGE_ERROR
    kept = f", {len(result.kept)} changed by you and kept" if result.kept else ""
    print(
        f"Your lessons are in {folder}: {len(result.new)} new, {len(result.updated)} updated{kept}."
    )
    for name in result.newer:
        print(f"  the newer version of a lesson that you have changed: {name}")
    if options.no_lab:
        return 0
    sign_course(folder)
    print("JupyterLab opens with lesson 0; Ctrl-C ends it.", flush=True)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return run_until_signalled([*jupyter_command(folder, root=root), *more])
