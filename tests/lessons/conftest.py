"""Shared by the tests of the lessons: a temporary progress file, and nothing left running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lessons import session
from lessons.ui import open_panels as panels


@pytest.fixture(autouse=True)
def leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Progress goes to a temporary file; every cockpit, cluster and thread is gone afterwards."""
    monkeypatch.setenv("KUBESIM_PROGRESS", str(tmp_path / "progress.json"))
    yield
    session.close_all()
    assert panels.names() == []
    assert session.threads() == []
