"""Scores as pure functions."""

from __future__ import annotations

from math import log

import pytest

from kubesim.experiment.scores import LatencyTally, count_flaps, pod_seconds
from kubesim.traffic.queueing import FluidQueue, Queue


@pytest.mark.parametrize(
    ("sizes", "flaps"),
    [
        ([(0, 1)], 0),
        ([(0, 1), (15, 4), (30, 8)], 0),
        ([(0, 1), (15, 4), (30, 2)], 1),
        ([(0, 1), (15, 4), (700, 2)], 0),  # too long ago to be a flap
        ([(0, 1), (15, 4), (30, 2), (45, 4), (60, 2)], 3),
        ([(0, 1), (15, 4), (615, 2)], 1),  # exactly ten minutes
    ],
)
def test_a_flap_takes_back_a_recent_scaling(sizes, flaps) -> None:
    """Within ten minutes, in the other direction."""
    assert count_flaps(sizes) == flaps


def test_pod_seconds_are_an_integral() -> None:
    """1 for 10 s, 3 for 20 s, 2 until the end."""
    assert pod_seconds([(0, 1), (10, 3), (30, 2)], 100) == 10 + 60 + 140


def test_percentiles_of_one_kind_of_second_are_exact() -> None:
    """An exponential of mean 1/20 s."""
    tally, queue = LatencyTally(), FluidQueue()
    for second in range(10):
        tally.add(queue.step(float(second), 60, 100, 2))
    assert tally.percentile(95) == pytest.approx(-log(0.05) / 20, rel=0.02)
    assert tally.share_within(1e9) == pytest.approx(1.0)


def test_a_few_slow_seconds_show_in_the_tail_alone() -> None:
    """A burst in one of 3,000 seconds: p50 does not move, p99.9 does."""
    tally, queue = LatencyTally(), FluidQueue(Queue(1e9, 1e9))
    for second in range(3000):
        tally.add(queue.step(float(second), 500 if second == 100 else 20, 100, 2))
    middle, tail = tally.percentile(50), tally.percentile(99.9)
    assert middle is not None and tail is not None
    assert middle == pytest.approx(log(2) / 40, rel=0.05)
    assert tail > 1.0


def test_without_requests_there_is_no_latency() -> None:
    """None, and no division by zero."""
    tally = LatencyTally()
    tally.add(FluidQueue().step(0.0, 0, 100, 2))
    assert tally.percentile(95) is None
    assert tally.share_within(1.0) == 0.0
