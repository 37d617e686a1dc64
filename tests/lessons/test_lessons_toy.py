"""The miniature controller: lost and duplicate events have the effects that lesson 6 shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kubesim import Cluster
from lessons.toy import DESIRED, RESYNC, Toy, race


def edge(event: str, _desired: int, _pods: Any) -> int:
    """A pod went, so make one."""
    return 1 if event == "DELETED" else 0


def level(_event: str, desired: int, pods: Any) -> int:
    """So many are missing."""
    return desired - len(pods)


@pytest.mark.parametrize(
    ("options", "by_edge"), [({}, 5), ({"lost": 1.0}, 0), ({"twice": True}, 35)]
)
def test_the_edge_triggered_function_drifts_and_the_level_triggered_does_not(
    options: dict[str, Any], by_edge: int
) -> None:
    """A lost event costs it a pod, a duplicate adds one; the level-triggered one stays at five."""
    last = race(edge, level, **options).rows[-1]
    assert last == (300, DESIRED, by_edge, DESIRED)


def test_without_events_the_resync_is_enough() -> None:
    """Every event is lost: the resync every 30 seconds replaces the deleted pods."""
    calls: list[str] = []

    def react(event: str, desired: int, pods: Any) -> tuple[int, Sequence[str]]:
        calls.append(event)
        return desired - len(pods), []

    with Cluster(nodes=1, hpa=False) as cluster:
        toy = Toy(cluster, react, lost=1.0)
        toy.run(90)
        toy.run(30, kill=False)
        assert len(toy.alive()) == DESIRED
    assert calls == [RESYNC] * 4


def test_pods_that_end_by_themselves_are_seen_as_ended() -> None:
    """Each third pod fails; it is in the list with its phase, and not among the living."""
    with Cluster(nodes=1, hpa=False) as cluster:
        toy = Toy(cluster, lambda _event, desired, _pods: (max(0, desired - len(toy.alive())), []))
        toy.run(60, fail=True)
        assert "Failed" in {pod["phase"] for pod in toy.pods()}
        assert len(toy.alive()) == DESIRED
