"""Finds the kubectls of this machine and runs them, each with a home of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

DISCARDED = "Unknown stream id"
PATIENCE_SECONDS = 60
ALL = "KUBESIM_ALL_KUBECTL"  # set: the tests try every version there is
MIDDLE = (1, 30)  # between the two edges: exec by websocket begins here


class Result(NamedTuple):
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int


def found() -> dict[str, str]:
    """Version -> program: kubectl itself, or the kubectl.1.NN that stand beside it."""
    first = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if first is None:
        return {}
    folder = Path(first).resolve().parent
    named = {path.name.removeprefix("kubectl."): path for path in folder.glob("kubectl.1.*")}
    return {name: str(named[name]) for name in sorted(named, key=numbers)} or {"any": first}


def numbers(version: str) -> tuple[int, ...]:
    """1.33 as (1, 33); one that is not known counts as the newest."""
    return tuple(map(int, re.findall(r"\d+", version))) or (1, 99)


def usual(versions: Iterable[str]) -> list[str]:
    """The versions that are tried by default: the oldest, the nearest to 1.30, the newest."""
    known = sorted(versions, key=numbers)
    middle = sorted(known, key=lambda name: abs(numbers(name)[1] - MIDDLE[1]))
    return [name for name in known if name in (known[0], middle[0], known[-1])]


class Kubectl:
    """One kubectl against one server.

    Args:
        program: which.
        version: for example 1.33; "any" if it is not known.
        server: address.
        home: a folder of its own: discovery is cached there.
    """

    def __init__(self, program: str, version: str, server: str, home: Path) -> None:
        self.version = numbers(version)
        self._start = [program, "--server", server]
        self._environment = {
            "HOME": str(home),
            "PATH": os.environ.get("PATH", ""),
        }

    def __call__(self, *words: str, stdin: str | None = None, **environment: str) -> Result:
        result = self._run(words, stdin, environment)
        # kubectl before 1.34 may discard the output of an exec while it sets up its streams, on a
        # machine that is busy enough (kubernetes/kubernetes#131189). It says so.
        for _ in range(3):
            if DISCARDED not in result.err:
                break
            result = self._run(words, stdin, environment)
        return result

    def _run(
        self, words: tuple[str, ...], stdin: str | None, environment: dict[str, str]
    ) -> Result:
        done = subprocess.run(
            [*self._start, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            env={**self._environment, **environment},
            check=False,
        )
        return Result(done.stdout, done.stderr, done.returncode)

    def ok(self, *words: str, stdin: str | None = None, **environment: str) -> str:
        """Run it; it must succeed."""
        result = self(*words, stdin=stdin, **environment)
        assert result.code == 0, (words, result)
        return result.out
