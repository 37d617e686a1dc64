"""Every Python block of the documentation runs, one after the other, as a reader types them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_blocks import FENCE, blocks, name_of, pages

PAGES = [page for page in pages() if any(b.language == "python" for b in blocks(page))]
Names = dict[str, object]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: "nginx:1"}]
"""
POD_SPEC = {"containers": [{"name": "main", "image": "nginx"}]}
DEPLOYMENT = {
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD_SPEC},
    },
}


def pod_named(name: str) -> dict[str, object]:
    """Return a pod's manifest, which the page about operators leaves to its reader."""
    return {"metadata": {"name": name}, "spec": POD_SPEC}


# Names that a page uses and does not define.
GIVEN: dict[str, Names] = {
    "docs/testing-operators.md": {"DEPLOYMENT": DEPLOYMENT, "pod_named": pod_named},
}
# A rollback needs an earlier revision: the reader of the page has rolled out before.
UNDO = '    cluster.rollout("deployment/web").undo()'
CHANGED_FIRST = f"""\
    cluster.apply(open("web.yaml").read().replace("nginx:1", "nginx:2"))
    cluster.sleep(60)
{UNDO}"""


def experiments_hold(names: Names, printed: str) -> None:
    """What docs/experiments.md prints is what it promises."""
    assert "1m0s" in printed
    assert "hpa/auto-pod: real and shadows" in printed
    assert names["result"].pareto()  # type: ignore[attr-defined]
    assert len(names["result"].table()) == 10  # type: ignore[attr-defined]
    assert names["later"].rows == []  # type: ignore[attr-defined]


def readme_holds(names: Names, printed: str) -> None:
    """The README's first cluster is traced and explained."""
    assert "create deployment/web" in printed
    assert "hpa/auto-pod" in printed


def operators_hold(names: Names, printed: str) -> None:
    """The tests that the page shows pass."""
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        assert callable(test)
        test()


HOLDS: dict[str, Callable[[Names, str], None]] = {
    "README.md": readme_holds,
    "docs/experiments.md": experiments_hold,
    "docs/testing-operators.md": operators_hold,
}


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_blocks_of_a_page_run(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one namespace; what they print and define is what the page promises."""
    for package in ("kubernetes", "kopf"):
        if any(package in block.text for block in blocks(page)):
            pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yaml").write_text(WEB)
    names: Names = {"__name__": "page", **GIVEN.get(name_of(page), {})}
    for block in blocks(page):
        if block.language == "python":
            code = block.text.replace(UNDO, CHANGED_FIRST)
            exec(compile(code, f"{name_of(page)}:{block.line}", "exec"), names)
    HOLDS.get(name_of(page), lambda names, printed: None)(names, capsys.readouterr().out)


def test_blocks_are_found() -> None:
    """The README and the guides have Python in them, and every block says its language."""
    assert {"README.md", "docs/index.md", "docs/experiments.md"} <= set(map(name_of, PAGES))
    known = {"python", "bash", ""}
    for page in pages():
        for block in blocks(page):
            assert block.language in known, (
                f"{name_of(page)}:{block.line}: say which language this block has"
            )


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    """So that its links open on GitHub and in a learner's copy; the site's build checks anchors."""
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text())):
        assert (page.parent / link).exists(), link
