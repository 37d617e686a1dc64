"""README.md does what it says: its Python blocks run, and what it links to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.S)
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


@pytest.mark.slow
def test_the_python_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, as a reader types them; a rollback needs something to go back to."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yaml").write_text(WEB)
    assert len(BLOCKS) == 2
    first = BLOCKS[0].replace(
        '    cluster.rollout("deployment/web").undo()',
        '    cluster.apply(open("web.yaml").read().replace("nginx:1", "nginx:2"))\n'
        "    cluster.sleep(60)\n"
        '    cluster.rollout("deployment/web").undo()',
    )
    names: dict[str, object] = {}
    exec(first, names)
    exec(BLOCKS[1], names)
    said = capsys.readouterr().out
    assert "create deployment/web" in said
    assert "hpa/auto-pod" in said


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_what_it_links_to_is_there(target: str) -> None:
    """Lessons, pictures and pages."""
    assert (ROOT / target).exists(), target
