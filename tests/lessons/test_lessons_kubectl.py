"""%%kubectl: the real kubectl in a cell, or a word about where to get one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubesim import Cluster
from lessons import kubectl

pytestmark = pytest.mark.live
needed = pytest.mark.skipif(kubectl.program() is None, reason="there is no kubectl in PATH")
CELL = """
# a Deployment, and what becomes of it
create deployment web --image=nginx --replicas=2
kubectl rollout status deploy/web
apply -f - <<EOF
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
EOF
get pod none
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster on virtual time."""
    with Cluster(nodes=2, seed=7, hpa=False) as made:
        made.sleep(5)
        yield made


@needed
def test_a_cell_is_run_by_the_real_kubectl(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line by line, with input, while time passes; a refusal is printed and the rest goes on."""
    kubectl.run_cell(CELL, cluster)
    printed = capsys.readouterr().out
    assert "deployment.apps/web created" in printed
    assert 'deployment "web" successfully rolled out' in printed
    assert "configmap/settings created" in printed
    assert 'pods "none" not found' in printed
    assert kubectl.server_of(cluster) == kubectl.server_of(cluster)


def test_without_kubectl_the_cell_says_how_to_get_one(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No error, one address, and the cluster is left alone."""
    monkeypatch.delenv("KUBECTL", raising=False)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    before = cluster.store.revision
    kubectl.run_cell(CELL, cluster)
    assert "https://kubernetes.io/docs/tasks/tools/" in capsys.readouterr().out
    assert cluster.store.revision == before


def test_what_does_not_end_is_an_error() -> None:
    """An input without its mark, a quotation without its end."""
    with pytest.raises(ValueError, match="does not end with a line 'EOF'"):
        list(kubectl.parse_cell("apply -f - <<EOF\na: 1"))
    with pytest.raises(ValueError, match="quotation"):
        list(kubectl.parse_cell("get 'pods"))


@pytest.mark.parametrize("line", ["apply -f - <<", "apply -f - << ''", "apply -f - <<-"])
def test_an_input_needs_a_mark(line: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ValueError, match="has no mark after <<: write, for example"):
        list(kubectl.parse_cell(f"{line}\na: 1\nEOF"))


@pytest.mark.parametrize("cell", ["<<EOF", "<<EOF\na: 1\nEOF", "  <<'EOF'\nEOF"])
def test_an_input_needs_a_command(cell: str) -> None:
    """It was an IndexError."""
    with pytest.raises(ValueError, match="is an input without a command: write a command before"):
        list(kubectl.parse_cell(cell))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("apply -f - <<'EOF'", ["apply", "-f", "-"]),
        ("apply -f - << EOF", ["apply", "-f", "-"]),
        ("apply -f -<<-EOF --dry-run=server", ["apply", "-f", "-", "--dry-run=server"]),
    ],
)
def test_an_input_may_be_announced_as_in_a_shell(line: str, words: list[str]) -> None:
    """With quotes, a space, a dash; what follows belongs to the command."""
    (command,) = kubectl.parse_cell(f"{line}\na: 1\n EOF")
    assert command == kubectl.Command(words, "a: 1\n")


def test_two_angle_brackets_inside_a_value_are_no_input() -> None:
    """Only a word of its own, or the end of one, announces an input."""
    patch = '{"data":{"a":"<<"}}'
    (command,) = kubectl.parse_cell(f"patch cm web -p '{patch}'")
    assert command == kubectl.Command(["patch", "cm", "web", "-p", patch], "")


def test_the_folder_of_kubectl_is_private() -> None:
    """Nobody can know its name before, and nobody else may enter it."""
    folder = Path(kubectl._home().name)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert str(os.getpid()) != folder.name.removeprefix("kubesim-kubectl-")
    assert kubectl._home().name == str(folder)


class Shell:
    """A notebook, as far as a magic needs one."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.magics: dict[str, Any] = {}

    def register_magic_function(self, function: Any, _kind: str, name: str) -> None:
        self.magics[name] = function


def test_the_magic_finds_the_lessons_cluster_or_the_one_that_is_named(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name the lesson's; with one that variable; else a word about what to do."""
    shell, ran = Shell(), []
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    monkeypatch.setattr(kubectl, "run_cell", lambda text, given: ran.append((text, given)))
    lesson: list[Cluster | None] = [None]
    assert kubectl.load(lambda: lesson[0])
    magic = shell.magics["kubectl"]
    with pytest.raises(LookupError, match="no cluster yet"):
        magic("", "get pods")
    lesson[0] = cluster
    magic("", "get pods")
    magic("get nodes")
    shell.user_ns["mine"] = cluster
    magic("mine", "get hpa")
    with pytest.raises(LookupError, match="'other'"):
        magic("other", "get hpa")
    assert ran == [("get pods", cluster), ("get nodes", cluster), ("get hpa", cluster)]
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: None)
    assert not kubectl.load()
