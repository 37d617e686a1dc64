"""`make docs` fails when a page is broken: its own command on a site of one page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = re.search(r"\$\(BIN\)/mkdocs build(.*)", (ROOT / "Makefile").read_text())


def build(folder: Path, page: str) -> subprocess.CompletedProcess[str]:
    """Build a site with the project's settings, but without its pages, hooks and plug-ins."""
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(page)
    settings = f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nsite_dir: site\nhooks: []\n"
    (folder / "mkdocs.yml").write_text(settings + "plugins: []\nnav:\n  - Home: index.md\n")
    assert OPTIONS is not None
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", *OPTIONS[1].split(), "-f", "mkdocs.yml"],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("page", "warning"),
    [
        ("# A\n\n[a](#a)\n", ""),
        ("# A\n\n[a](nowhere.md)\n", "contains a link 'nowhere.md', but the target is not found"),
        ("# A\n\n[a](#b)\n", "contains a link '#b', but there is no such anchor on this page"),
    ],
    ids=["whole", "broken link", "broken anchor"],
)
def test_a_broken_page_fails_the_build(tmp_path: Path, page: str, warning: str) -> None:
    """Strict mode stops at a warning, and says which; `--quiet` would hide both from it."""
    built = build(tmp_path, page)
    assert built.returncode == (1 if warning else 0), built.stderr
    assert warning in built.stderr
