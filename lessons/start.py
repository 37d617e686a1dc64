"""Work on the lessons in a folder of your own: ``python -m lessons start [DIR]``.

Copies the notebooks and the pages that they link to into DIR and opens JupyterLab there, with
lesson 0 in front. The lessons that came with kubesim stay as they are, so an update never
overwrites your work and `git pull` never conflicts with it:

- a file that you have not changed is replaced by the newer one;
- a file that you have changed stays, and the newer one comes beside it as ``NAME.new.ipynb``.

What is copied is remembered in ``DIR/.kubesim-lessons.json`` by checksum.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent
MANIFEST = ".kubesim-lessons.json"
FIRST = "notebooks/00_start_here.ipynb"
DEFAULT_FOLDER = "my-lessons"
PATTERNS = ("notebooks/*.ipynb", "docs/*.md", "docs/guides/*.md", "docs/images/*", "*.md")
USAGE_ERROR = 2


class Copied(NamedTuple):
    """What came of a copy: paths below the folder, in the order of their names.

    Attributes:
        new: files that were not there.
        updated: files that you had not changed, replaced by newer ones.
        kept: files that you have changed; where the course changed, too, the newer one is beside.
    """

    new: list[str]
    updated: list[str]
    kept: list[str]


def course_folder() -> Path:
    """Where the lessons are that came with this installation.

    Raises:
        FileNotFoundError: the installation has none.
    """
    for folder in (PACKAGE.parent, PACKAGE / "course"):
        if (folder / FIRST).is_file():
            return folder
    raise FileNotFoundError(
        "this installation has no notebooks: install the wheel, or clone kubesim"
    )


def course_files(course: Path) -> Iterator[str]:
    """The paths of the files that a learner needs, below the course's folder."""
    for pattern in PATTERNS:
        for path in sorted(course.glob(pattern)):
            if path.is_file():
                yield path.relative_to(course).as_posix()


def copy_course(course: Path, folder: Path) -> Copied:
    """Bring a learner's folder up to date without overwriting their work.

    Args:
        course: where the lessons come from.
        folder: the learner's own; made if it is not there.

    Raises:
        ValueError: the folder is the course's own.
    """
    if folder.resolve() == course.resolve():
        raise ValueError(f"{folder} holds the original lessons: choose another folder")
    before = _read_manifest(folder)
    after: dict[str, str] = {}
    result = Copied([], [], [])
    for name in course_files(course):
        data, target = (course / name).read_bytes(), folder / name
        after[name] = checksum = _checksum(data)
        if not target.exists():
            result.new.append(name)
        elif (mine := _checksum(target.read_bytes())) == checksum:
            continue
        elif mine == before.get(name):
            result.updated.append(name)
        else:
            result.kept.append(name)
            if before.get(name) != checksum:
                target.with_suffix(f".new{target.suffix}").write_bytes(data)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps(after, indent=1, sort_keys=True) + "\n")
    return result


def _read_manifest(folder: Path) -> dict[str, str]:
    """The checksums of what was copied last; a manifest that cannot be read counts as none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in manifest.items()} if isinstance(manifest, dict) else {}


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def jupyter_command(folder: Path, *, root: bool) -> list[str]:
    """The command that opens JupyterLab in a learner's folder, with lesson 0 in front.

    Args:
        folder: the learner's folder; its pages and notebooks can be opened, nothing above it.
        root: the user is root, which JupyterLab refuses unless it is told.
    """
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--LabApp.default_url=/lab/tree/{FIRST}",
        # No question about news before the first lesson; pages open as a reader wants them.
        f"--LabApp.app_settings_dir={PACKAGE / 'jupyter'}",
        "--LabApp.news_url=None",
    ]
    return [*command, "--allow-root"] if root else command


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code.

    Args:
        arguments: without the program's name; None: those of this process.
    """
    parser = argparse.ArgumentParser(prog="lessons", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="copy the lessons into a folder and open them")
    start.add_argument("folder", nargs="?", default=DEFAULT_FOLDER, help=f"({DEFAULT_FOLDER})")
    start.add_argument("--no-lab", action="store_true", help="copy only; do not open JupyterLab")
    options, more = parser.parse_known_args(arguments)
    folder = Path(options.folder)
    try:
        result = copy_course(course_folder(), folder)
    except (OSError, ValueError) as error:
        print(f"lessons start: {error}", file=sys.stderr)
        return USAGE_ERROR
    print(f"Your lessons are in {folder}: {len(result.new)} new, {len(result.updated)} updated.")
    for name in result.kept:
        print(f"  {name}: yours is kept")
    if options.no_lab:
        return 0
    print("JupyterLab opens with lesson 0; Ctrl-C ends it.", flush=True)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return subprocess.call([*jupyter_command(folder, root=root), *more])
