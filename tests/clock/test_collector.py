"""The garbage collector while a simulation runs: calm, bounded, and given back as it was."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from kubesim.clock import LiveClock, VirtualClock, collector
from kubesim.clock.collector import FREEZE_SECONDS, LIVE, VIRTUAL, Freezer


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    """Thresholds that nobody else has, before and after."""
    before = gc.get_threshold()
    gc.set_threshold(701, 11, 12)
    yield
    assert gc.get_threshold() == (701, 11, 12)
    gc.set_threshold(*before)
    gc.unfreeze()


def test_live_clocks_and_drivers_share_the_collector() -> None:
    """In any order of opening and closing; who comes last decides; nobody closes twice."""
    first, second = LiveClock(), LiveClock()
    assert gc.get_threshold() == LIVE
    virtual, inside = VirtualClock(), []
    virtual.worker("w").call_soon(lambda: inside.append(gc.get_threshold()))
    virtual.sleep(1)
    assert (inside, gc.get_threshold()) == ([VIRTUAL], LIVE)
    first.close()
    first.close()
    assert gc.get_threshold() == LIVE
    second.close()


def test_what_is_frozen_is_collected_when_it_has_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No collection looks at old objects; cycles among them do not stay for ever."""
    wall, collections = [100.0], []
    monkeypatch.setattr(collector.time, "monotonic", lambda: wall[0])
    monkeypatch.setattr(collector, "LEAST_GROWTH", sys.maxsize)
    real = gc.collect
    monkeypatch.setattr(collector.gc, "collect", lambda: collections.append(real()))
    freezer = Freezer()
    freezer()
    frozen = gc.get_freeze_count()
    assert frozen > 10_000
    monkeypatch.setattr(collector, "LEAST_GROWTH", frozen + 20_000)
    freezer()
    wall[0] += FREEZE_SECONDS - 1
    kept = [[number] for number in range(1_000)]
    freezer()
    assert gc.get_freeze_count() == frozen, "not yet"
    wall[0] += 1
    freezer()
    assert gc.get_freeze_count() >= frozen + 1_000
    assert collections == []
    for _ in range(20_000):  # cycles that are garbage at once, and out of sight
        cycle: list[object] = []
        cycle.append(cycle)
        gc.freeze()
    del cycle
    wall[0] += FREEZE_SECONDS
    freezer()
    assert len(collections) == 1 and collections[0] >= 19_999
    assert len(kept) == 1_000
    freezer.close()
    assert gc.get_freeze_count() == 0
