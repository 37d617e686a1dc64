"""Every shell block of the documentation runs: against a server, in a new folder.

A command that no test knows how to run fails here, so that no page shows an untested command.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_blocks import ROOT, blocks, name_of, pages

PAGES = [page for page in pages() if any(b.language == "bash" for b in blocks(page))]
MAKEFILE = (ROOT / "Makefile").read_text()
ADDRESS = "http://127.0.0.1:8080"
START_SECONDS = 60
COMMAND_SECONDS = 120


class Server(NamedTuple):
    """A server that receives the requests of a page's commands."""

    url: str
    folder: Path

    @property
    def port(self) -> str:
        """Its port."""
        return self.url.rpartition(":")[2]


def environment() -> dict[str, str]:
    """Return the environment of this process, with the project's Python first."""
    folder = str(Path(sys.executable).parent)
    path = os.pathsep.join([folder, os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def started(command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start `serve` and return it as soon as it listens."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Ctrl-C" in line:
            return process
    raise AssertionError(f"{command} ended with {process.wait(START_SECONDS)}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run `python -m kubesim serve` at twenty times real time."""
    kubeconfig = tmp_path / "server.yaml"
    command = [sys.executable, "-m", "kubesim", "serve", "--port", "0", "--speed", "20"]
    process = started([*command, "--kubeconfig", str(kubeconfig)], tmp_path)
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", kubeconfig.read_text())
        assert address is not None
        yield Server(address.group(), tmp_path)
    finally:
        process.kill()
        process.communicate()


def commands(text: str) -> list[str]:
    """Return the commands of a block, without comments and with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def run_command(command: str, server: Server) -> None:
    """Do what a reader would do with one command of a page."""
    words = command.removeprefix(".venv/bin/").split()
    program = words[0]
    if program == "make":
        for target in words[1:]:
            assert re.search(rf"^{target}:", MAKEFILE, re.M), f"no target {target}"
    elif program in {"python", "pytest"} and any(word.startswith("tests/") for word in words):
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    elif words[:3] == ["python", "-m", "build"] or program in {"pre-commit", "pip"}:
        pass  # tests/packaging builds; what pip downloads is tested where it is used
    elif words[:2] == ["python", "-m"] and words[2].startswith("tools."):
        script = [sys.executable, "-m", words[2], "--help"]
        usage = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert all(word in usage for word in words if word.startswith("--"))
    elif words[:4] == ["python", "-m", "kubesim", "serve"]:
        process = started([sys.executable, *words[1:], "--port", "0"], server.folder)
        process.kill()
        process.communicate()
    elif program in {"curl", "kubectl", "python", "export"}:
        in_a_shell(command.removeprefix(".venv/bin/"), server)
    else:
        raise AssertionError(f"no test knows how to run: {command}")


def in_a_shell(command: str, server: Server) -> None:
    """Run a command against the server, with a pod's id in place of ID; it must exit with 0."""
    if shutil.which(command.split()[0]) is None and not command.startswith("export"):
        pytest.skip(f"{command.split()[0]} is not installed")
    line = command.replace(ADDRESS, server.url)
    if "kubesim kubeconfig" in line:
        line += f" --port {server.port}"
    if line.startswith("curl"):
        line = line.replace("curl", "curl --silent --show-error --fail --max-time 10", 1)
    if "-N " in line:  # a stream has no end of its own
        line = line.replace("--max-time 10", "--max-time 2") + "; test $? = 28"
    if line.startswith("kubectl"):
        line = f"export KUBECONFIG=kubesim.yaml; {line}"
    if "/ID" in line:
        first = f"curl --silent {server.url}/api/pods"
        pick = "import json, sys; print(json.load(sys.stdin)[-1]['id'])"
        line = f'ID=$({first} | python -c "{pick}"); ' + line.replace("/ID", "/$ID")
    result = subprocess.run(
        ["bash", "-c", line],
        cwd=server.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_shell_blocks_of_a_page_run(page: Path, server: Server) -> None:
    """In their order, against one server."""
    for block in blocks(page):
        if block.language == "bash":
            for command in commands(block.text):
                run_command(command, server)


def test_commands_are_read_as_a_shell_reads_them() -> None:
    """Comments and continued lines."""
    assert commands("a b  # c\n# d\ncurl -X POST u \\\n     -d '{}'\n") == [
        "a b",
        "curl -X POST u -d '{}'",
    ]


def test_a_command_that_nobody_knows_fails(tmp_path: Path) -> None:
    """An unknown program and an unknown make target are refused."""
    with pytest.raises(AssertionError, match="no test knows"):
        run_command("brew install kubesim", Server(ADDRESS, tmp_path))
    with pytest.raises(AssertionError, match="no target"):
        run_command("make coffee", Server(ADDRESS, tmp_path))
