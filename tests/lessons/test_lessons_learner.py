"""What learners and teachers met in release 0.2.0, where no other test shows that it is mended."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kubesim import Cluster

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Packages that a learner downloaded for nothing; about half of 824 MB.
FOR_DEVELOPERS = ("mypy", "ruff", "playwright", "hypothesis", "kopf", "simpy", "pytest")
# Sentences over which native readers stumbled.
IDIOMS = (
    r"may nothing there",
    r"news (is|are) (lost|on)",
    r"keeps nobody up",
    r"master of a server",
    r"told as an event",
    r"\bact on\.",
)

SPEC = {"containers": [{"name": "main", "image": "web:1"}]}


def prose(notebook: Path) -> str:
    """The text of a notebook's cells, code included, in one line."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return re.sub(r"\s+", " ", " ".join("".join(cell["source"]) for cell in cells))


@pytest.mark.parametrize("package", FOR_DEVELOPERS)
def test_a_learner_installs_what_a_lesson_needs_and_nothing_else(package: str) -> None:
    """Linters, a browser's driver and an operator framework are for developers."""
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements-lab.lock").read_text(), re.M)
    assert {"jupyterlab", "bokeh", "ipywidgets"} <= set(names)
    assert package not in names


def test_make_lab_says_what_it_does_and_how_long_that_takes() -> None:
    """Before the first download: pip itself is quiet."""
    recipe = (ROOT / "Makefile").read_text().split("$(LAB_READY):")[1].split("\n\n")[0]
    assert recipe.index("echo") < recipe.index("$(PIP) install")
    assert re.search(r"echo .*takes about .* minute.* \d+ MB", recipe)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_native_reader_does_not_stumble(notebook: Path) -> None:
    """The sentences that were found are gone."""
    text = prose(notebook)
    assert [idiom for idiom in IDIOMS if re.search(idiom, text, re.I)] == []


def test_words_are_explained_where_they_are_met_first() -> None:
    """Namespace, millicore and `auto-pod`: in the first lesson that uses the word."""
    texts = [prose(path) for path in NOTEBOOKS]
    for word, meaning in {
        "namespace": r"namespace\*, a named group of objects",
        "millicore": r"1000m are one core",
        "auto-pod": r"workload \(a group of equal pods\), called `auto-pod`",
    }.items():
        first = next(text for text in texts if word in text.lower())
        assert re.search(meaning, first, re.I), word


def test_the_kubelet_writes_the_status_of_a_pod() -> None:
    """The trace names the node's kubelet; a pod does not report on itself."""
    with Cluster(hpa=False) as cluster:
        cluster.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": SPEC}
        )
        cluster.sleep(5)
        node = cluster.api.get("Pod", "web")["spec"]["nodeName"]
        lines = [line for line in str(cluster.trace("pod/web")).splitlines() if "Running" in line]
        assert lines and all(f"kubelet/{node}" in line for line in lines)
