"""The guide: its code runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"


def test_every_block_of_the_guide_runs_after_the_one_before(capsys) -> None:
    """One namespace for all; what it prints is what it promises."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
    printed = capsys.readouterr().out
    assert "1m0s" in printed
    assert "hpa/auto-pod: real and shadows" in printed
    assert names["result"].pareto()
    assert len(names["result"].table()) == 10
    assert names["later"].rows == []
