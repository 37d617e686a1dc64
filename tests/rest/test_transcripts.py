"""What real clients sent once is answered today as it was then: recorded, so it runs everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transcript_tool import FOLDER, play

pytestmark = pytest.mark.live
FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_transcript_is_answered_as_when_it_was_recorded(path: Path) -> None:
    """Code, type, kind, reason, message, columns and warnings of every answer are the same."""
    exchanges = json.loads(path.read_text())
    assert len(exchanges) > 5
    for number, (entry, now) in enumerate(play(exchanges)):
        assert now == entry["answer"], (number, entry["method"], entry["path"])


def test_the_transcripts_hold_what_only_real_clients_send() -> None:
    """Protobuf bodies of newer kubectl, tables, aggregated and legacy discovery, patches."""
    kinds, accepts = set(), set()
    for path in FILES:
        for entry in json.loads(path.read_text()):
            kinds.add(entry["headers"].get("content-type", "").partition(";")[0])
            accepts.add(entry["headers"].get("accept", ""))
    assert "application/vnd.kubernetes.protobuf" in kinds
    assert "application/strategic-merge-patch+json" in kinds
    assert any("as=Table" in accept for accept in accepts)
    assert any("APIGroupDiscoveryList" in accept for accept in accepts)
