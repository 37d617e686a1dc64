"""Live time: threads, phases, pause, speed, stopping in bounded time."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from kubesim.clock import LiveClock
from kubesim.clock.lanes import LaneTimer
from kubesim.errors import ClockError

pytestmark = pytest.mark.live
PATIENCE = 6_000.0  # simulated seconds: a minute or more, for machines that are busy


def test_a_worker_is_a_thread_of_its_name() -> None:
    """What a learner sees in threading.enumerate()."""
    clock = LiveClock(speed=100)
    names: list[str] = []
    clock.worker("pod/default/web-0").call_soon(
        lambda: names.append(threading.current_thread().name)
    )
    assert clock.wait_until(lambda: bool(names), PATIENCE)
    assert names == ["pod/default/web-0"]
    clock.close()


def test_beyond_the_limit_workers_share_one_loop() -> None:
    """The same interface, one thread, still a serial lane each."""
    clock = LiveClock(speed=100, max_threads=3)
    names: dict[str, str] = {}
    for number in range(10):
        key = f"w{number}"
        clock.worker(key).every(
            1.0, lambda k=key: names.__setitem__(k, threading.current_thread().name)
        )
    assert clock.wait_until(lambda: len(names) == 10, PATIENCE)
    assert sum(name == "paced-loop" for name in names.values()) == 7
    assert clock.statistics()["threads"] == 4
    clock.close()


@pytest.mark.parametrize(
    ("now", "due"),
    [(1.25, 2.25), (2.2, 2.25), (2.25, 3.25), (3.7, 4.25), (100.3, 101.25)],
)
def test_a_late_timer_keeps_its_phase(now: float, due: float) -> None:
    """Missed ticks are skipped; the next one is at start + n * period, after now."""
    clock = LiveClock()
    worker = clock.worker("w")
    timer = LaneTimer(worker, lambda: None, 1.25, 1.0)
    timer.rearm(now)
    assert timer.due == due
    timer.rearm(due)
    assert timer.due == due + 1.0
    clock.close()


def test_a_worker_that_was_late_ticks_in_phase_again() -> None:
    """On the clock itself: one callback takes three and a half periods."""
    clock = LiveClock(speed=100)
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(timer.due)
        if len(ticks) == 2:
            end = clock.now() + 3.5
            while clock.now() < end:
                time.sleep(0.001)

    worker = clock.worker("w")
    timer = worker.every(1.0, tick)
    phase = timer.due % 1.0
    assert clock.wait_until(lambda: len(ticks) >= 6, PATIENCE)
    clock.close()
    assert [due % 1.0 == pytest.approx(phase, abs=1e-6) for due in ticks] == [True] * len(ticks)
    assert any(later - earlier > 2.5 for earlier, later in itertools.pairwise(ticks))


def test_pause_stops_everything_and_resume_goes_on() -> None:
    """Time and workers stand still, also those that are handed something."""
    clock = LiveClock(speed=100)
    seen: list[float] = []
    worker = clock.worker("w")
    worker.every(1.0, lambda: seen.append(clock.now()))
    clock.wait_until(lambda: len(seen) > 3, PATIENCE)
    clock.pause()
    time.sleep(0.05)
    count, now = len(seen), clock.now()
    worker.call_soon(lambda: seen.append(-1.0))
    time.sleep(0.1)
    assert len(seen) == count
    assert clock.now() == now
    clock.resume()
    assert clock.wait_until(lambda: len(seen) > count + 3, PATIENCE)
    assert -1.0 in seen
    clock.close()


def test_speed_changes_at_once_and_time_never_goes_back() -> None:
    """A worker that waits for a far tick is woken when time runs faster."""
    clock = LiveClock(speed=0.1)
    seen: list[float] = []
    clock.worker("w").call_later(5, lambda: seen.append(clock.now()))
    readings = [clock.now()]
    clock.speed = 200
    readings.append(clock.now())
    assert clock.wait_until(lambda: bool(seen), PATIENCE)
    readings.append(clock.now())
    assert readings == sorted(readings)
    with pytest.raises(ClockError, match="positive"):
        clock.speed = 0
    clock.close()


def test_spread_gives_each_worker_a_phase_of_its_own() -> None:
    """A thousand pods do not tick at the same instant."""
    clock = LiveClock(speed=20)
    first: dict[str, float] = {}
    start = clock.now()
    for number in range(20):
        key = f"pod-{number}"
        clock.worker(key).every(
            1.0, lambda k=key: first.setdefault(k, clock.now() - start), spread=True
        )
    assert clock.wait_until(lambda: len(first) == 20, PATIENCE)
    assert max(first.values()) - min(first.values()) > 0.3
    clock.close()


def test_late_ticks_are_skipped_and_the_phase_is_kept() -> None:
    """A callback that takes five periods does not make the next five run at once."""
    clock = LiveClock(speed=100)
    seen: list[float] = []

    def slow() -> None:
        seen.append(clock.now())
        if len(seen) == 1:
            time.sleep(0.055)

    clock.worker("w").every(1.0, slow)
    assert clock.wait_until(lambda: len(seen) >= 4, PATIENCE)
    assert seen[1] - seen[0] >= 4
    clock.close()


def test_three_hundred_threads_stop_together() -> None:
    """In batches, bounded, and none is left."""
    before = threading.active_count()
    clock = LiveClock()
    workers = [clock.worker(f"pod/{n}") for n in range(300)]
    for worker in workers:
        worker.every(1.0, lambda: None, spread=True)
    assert threading.active_count() >= before + 300
    assert clock.stop_workers(list(workers)) == []
    assert threading.active_count() == before
    clock.close()


def test_a_stuck_worker_is_named_and_not_waited_for_for_ever() -> None:
    """stop() is bounded; the name of the stuck one is returned."""
    clock = LiveClock()
    release = threading.Event()
    worker = clock.worker("stuck")
    started = threading.Event()

    def stick() -> None:
        started.set()
        release.wait(120)

    worker.call_soon(stick)
    assert started.wait(60)
    assert clock.stop_workers([worker], timeout_seconds=0.1) == ["stuck"]
    release.set()
    clock.close()


def test_sleep_on_a_paused_clock_says_so() -> None:
    """It would never return."""
    clock = LiveClock()
    clock.pause()
    with pytest.raises(ClockError, match="paused"):
        clock.sleep(1)
    clock.close()
