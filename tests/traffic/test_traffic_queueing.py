"""The fluid queue: rows for each rule, sums that must hold, latency by M/M/1."""

from __future__ import annotations

import random
from math import inf, log

import pytest

from kubesim.errors import BadRequest
from kubesim.traffic.queueing import NO_QUEUE, Flow, FluidQueue, Queue, mean_service


def run(rules: Queue, *seconds: tuple[float, float, int]) -> list[tuple[float, ...]]:
    """(served, queued, timed out, lost) of each (arrivals, capacity, pods)."""
    queue = FluidQueue(rules)
    flows = [queue.step(float(now), *second) for now, second in enumerate(seconds)]
    return [(f.served, f.queued, f.timed_out, f.lost) for f in flows]


@pytest.mark.parametrize(
    ("rules", "seconds", "expected"),
    [
        (NO_QUEUE, [(60, 48, 1), (10, 48, 1)], [(48, 0, 0, 12), (10, 0, 0, 0)]),
        (Queue(100, 9), [(60, 48, 1), (10, 48, 1)], [(48, 12, 0, 0), (22, 0, 0, 0)]),
        (Queue(5, 9), [(60, 48, 1)], [(48, 5, 0, 7)]),
        (Queue(100, 9), [(60, 48, 0)], [(0, 0, 0, 60)]),  # nobody listens
        (Queue(100, 9), [(60, 48, 1), (5, 0, 0)], [(48, 12, 0, 0), (0, 0, 0, 17)]),
        (Queue(100, 9), [(60, inf, 2)], [(60, 0, 0, 0)]),
        (Queue(1e9, 1), [(60, 10, 1)] * 2, [(10, 50, 0, 0), (10, 60, 40, 0)]),
        (Queue(100, 9), [(0, 48, 1)], [(0, 0, 0, 0)]),
    ],
)
def test_what_becomes_of_requests(rules, seconds, expected) -> None:
    """Served up to the capacity; the rest waits, gives up, or finds no room."""
    assert run(rules, *seconds) == expected


def test_nobody_is_served_after_the_time_out() -> None:
    """The load is four times the capacity: served requests waited about the time-out at most."""
    queue = FluidQueue(Queue(limit=1e9, timeout_seconds=5))
    flows = [queue.step(float(t), 200, 50, 1) for t in range(60)]
    assert max(flow.waited for flow in flows) == pytest.approx(5.0, abs=0.01)
    assert flows[-1].timed_out == pytest.approx(150.0)
    assert flows[-1].queued == pytest.approx(200 * 5)


@pytest.mark.parametrize("seed", range(30))
def test_every_request_is_somewhere(seed: int) -> None:
    """Offered + sent again = served + timed out + lost + waiting, whatever happens; each failed one
    is sent again or unmet; and nothing is negative."""
    draw = random.Random(seed)
    rules = Queue(
        draw.choice([0, 10, 300, 1e9]),
        draw.choice([0.5, 1, 3.7, 30]),
        draw.choice([0, 0, 0.5, 1]),
        draw.choice([False, True]),
    )
    queue = FluidQueue(rules)
    came = gone = 0.0
    again = 0.0
    for now in range(300):
        pods = draw.choice([0, 1, 1, 2, 5])
        flow = queue.step(float(now), draw.choice([0, 20, 60, 500]), 50.0 * pods, pods)
        came += flow.offered + flow.retried
        gone += flow.served + flow.timed_out + flow.lost
        assert came == pytest.approx(gone + flow.queued)
        assert flow.retried == again
        again = flow.again
        assert flow.unmet == pytest.approx((flow.timed_out + flow.lost) * (1 - rules.retries))
        figures = (flow.served, flow.queued, flow.timed_out, flow.lost, flow.waited, flow.unmet)
        assert min(figures) >= -1e-9
        assert flow.served <= flow.worked + 1e-9 <= flow.capacity + 2e-9
        assert rules.wasted_work or flow.worked == flow.served
        assert flow.queued <= rules.limit + 1e-9


def play(rules: Queue, seconds: int, capacity: float = 48) -> list[Flow]:
    """30 s of 120 requests per second from second 50 on, else 40, on pods that can serve 48."""
    queue = FluidQueue(rules)
    return [queue.step(float(t), 120 if 50 <= t < 80 else 40, capacity, 1) for t in range(seconds)]


def test_retries_and_wasted_work_keep_a_service_down() -> None:
    """The load has been normal for minutes, the pods work at full speed, and no request is served:
    each answer comes too late, and its client has asked again."""
    flows = play(Queue(1000, 5, retries=0.9, wasted_work=True), 600)
    assert flows[40].served == 40
    last = flows[-1]
    assert (last.offered, last.served, last.worked) == (40, 0, 48)
    assert last.timed_out == pytest.approx(48)
    assert last.retried > 300


@pytest.mark.parametrize(
    "rules",
    [
        Queue(1000, 5, retries=0.9, wasted_work=False),  # servers notice who is gone
        Queue(100, 5, retries=0.9, wasted_work=True),  # a queue so short that nobody waits in vain
        Queue(1000, 30, retries=0.9, wasted_work=True),  # clients with patience
    ],
)
def test_each_of_its_cures_helps(rules: Queue) -> None:
    """Some minutes after the peak everybody is served again."""
    last = play(rules, 600)[-1]
    assert (last.served, last.retried) == (40, pytest.approx(0, abs=1e-6))


def test_more_pods_end_it_too() -> None:
    """Twice the pods, when the service is down: it comes back within a minute."""
    queue = FluidQueue(Queue(400, 5, retries=0.9, wasted_work=True))
    for t in range(200):
        flow = queue.step(float(t), 120 if 50 <= t < 80 else 40, 48, 1)
    assert flow.served == 0
    for t in range(200, 260):
        flow = queue.step(float(t), 40, 200, 4)
    assert flow.served == pytest.approx(40)


def test_latency_is_that_of_m_m_1() -> None:
    """A pod that can serve 50 a second and serves 30 takes 1/20 s on average, exponentially."""
    flow = FluidQueue().step(0.0, 60, 100, 2)
    assert flow.p50 == pytest.approx(log(2) / 20)
    assert flow.p95 == pytest.approx(-log(0.05) / 20)
    assert flow.p99 == pytest.approx(-log(0.01) / 20)
    assert FluidQueue().step(0.0, 0, 100, 2).p95 is None  # nobody was served


def test_a_full_pod_is_slow_but_not_infinitely() -> None:
    """The formula is asked with 95 % of the rate at most; a pod without a limit takes no time."""
    assert mean_service(50, 50, 1) == pytest.approx(1 / 2.5)
    assert mean_service(50, 49.9, 1) == mean_service(50, 50, 1)
    assert mean_service(inf, 10, 1) == 0.0


def test_waiting_adds_to_latency_and_ends_with_the_queue() -> None:
    """10 s of overload by a quarter: it grows; then it falls as the queue drains."""
    queue = FluidQueue(Queue(limit=1e9, timeout_seconds=60))
    rising = [queue.step(float(t), 60, 48, 1).waited for t in range(10)]
    queue.step(10.0, 24, 48, 1)
    falling = [queue.step(float(t), 24, 48, 1).waited for t in range(11, 20)]
    assert rising == sorted(rising) and rising[-1] > 1.5
    assert falling == sorted(falling, reverse=True) and falling[-1] == 0.0


@pytest.mark.parametrize(
    "figures",
    [(-1, 5), (float("nan"), 5), (1, 0), (1, -1), (1, 5, -0.1), (1, 5, 1.1), (1, 5, float("nan"))],
)
def test_a_queue_of_nonsense_is_refused(figures: tuple[float, ...]) -> None:
    """Negative limits, time-outs that are none, shares above 1."""
    with pytest.raises(BadRequest):
        Queue(*figures)
