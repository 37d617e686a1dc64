"""The plug-in for mypy: a misspelt field of a document is an error, also in `get`."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

PROJECT = Path(__file__).resolve().parents[2]
SAMPLE = """
from collections.abc import Mapping
from typing import TypedDict


class StatusDict(TypedDict, total=False):
    phase: str


def right(status: StatusDict, other: Mapping[str, object], key: str) -> str:
    phase: str = status.get("phase", "Pending")
    return phase + str(status.get("phase") or "") + str(other.get("any")) + str(other.get(key))


def wrong(status: StatusDict, key: str) -> str:
    status["phse"]
    return str(status.get("phse")) + str(status.get("phse") or "Pending") + str(status.get(key))
"""


@pytest.mark.slow
def test_misspelt_keys_are_found_and_right_ones_are_not(tmp_path: Path) -> None:
    """Each wrong key is one error, with its line; the type of a right one is what mypy says."""
    sample, config = tmp_path / "sample.py", tmp_path / "mypy.ini"
    sample.write_text(SAMPLE)
    plugin = PROJECT / "tools" / "mypy_typed_dict_keys.py"
    config.write_text(f"[mypy]\nstrict = true\nplugins = {plugin}\n")
    cache = tmp_path / "cache"
    output, errors, status = api.run(
        [f"--config-file={config}", f"--cache-dir={cache}", str(sample)]
    )
    assert (status, errors) == (1, "")
    reported = [line.split(": ", 1)[1] for line in output.splitlines() if ": error: " in line]
    assert reported == [
        'error: TypedDict "StatusDict" has no key "phse"  [typeddict-item]',
        'error: StatusDict has no key "phse"  [misc]',  # one for each line
        "error: StatusDict.get with a computed key; read a ReadOnlyDocument  [misc]",
    ]


def test_the_project_uses_the_plugin() -> None:
    """pyproject.toml names it; without it a misspelt field may go unseen."""
    assert 'plugins = ["tools/mypy_typed_dict_keys.py"]' in (PROJECT / "pyproject.toml").read_text()
