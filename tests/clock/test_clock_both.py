"""The promises that both clocks keep: the same scenario, once without threads and once with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubesim.clock import LiveClock, VirtualClock
from kubesim.errors import ClockError, WorkerFailed

SPEED = 50.0
PATIENCE = 3_000.0  # simulated seconds: a minute on the live clock, for machines that are busy


@pytest.fixture(params=["virtual", pytest.param("live", marks=pytest.mark.live)])
def clock(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each clock in turn; afterwards no worker thread is left."""
    before = {thread.name for thread in threading.enumerate()}
    made: Any = VirtualClock() if request.param == "virtual" else LiveClock(speed=SPEED)
    yield made
    made.close()
    left = {thread.name for thread in threading.enumerate()} - before
    assert left == set()


def test_call_soon_keeps_the_order_of_a_worker(clock: Any) -> None:
    """A worker is a serial lane: first in, first out."""
    seen: list[int] = []
    worker = clock.worker("w")
    for number in range(20):
        worker.call_soon(lambda n=number: seen.append(n))
    assert clock.wait_until(lambda: len(seen) == 20, PATIENCE)
    assert seen == list(range(20))


def test_call_later_runs_at_its_time_and_not_before(clock: Any) -> None:
    """Never early; on virtual time exactly."""
    seen: list[float] = []
    clock.worker("w").call_later(5, lambda: seen.append(clock.now()))
    clock.sleep(4)
    before = list(seen)
    assert before == [] or clock.now() >= 5  # a busy machine may sleep longer
    assert clock.wait_until(lambda: bool(seen), PATIENCE)
    assert seen[0] >= 5
    if clock.virtual:
        assert seen == [5.0]


def test_every_keeps_its_phase(clock: Any) -> None:
    """start + n * period, without drift."""
    seen: list[float] = []
    clock.worker("w").every(2.0, lambda: seen.append(clock.now()))
    assert clock.wait_until(lambda: len(seen) >= 5, PATIENCE)
    assert all(moment >= 2.0 * number for number, moment in enumerate(seen, 1))
    if clock.virtual:
        assert seen == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_cancelled_timer_does_not_run(clock: Any) -> None:
    """Also when it cancels itself."""
    seen: list[str] = []
    worker = clock.worker("w")
    worker.call_later(2, lambda: seen.append("never")).cancel()
    timer = worker.every(1.0, lambda: (seen.append("tick"), timer.cancel()))
    clock.sleep(5)
    assert seen == ["tick"]


def test_a_stopped_worker_runs_nothing_more(clock: Any) -> None:
    """Its pending callbacks are dropped, its name is free again."""
    seen: list[int] = []
    worker = clock.worker("w")
    worker.every(1.0, lambda: seen.append(1))
    worker.call_later(3, lambda: seen.append(2))
    assert worker.stop()
    clock.sleep(5)
    assert seen == []
    assert clock.workers() == []
    clock.worker("w")


def test_a_worker_may_stop_itself(clock: Any) -> None:
    """After the callback in which it does so, nothing follows."""
    seen: list[int] = []
    worker = clock.worker("w")
    worker.every(1.0, lambda: (seen.append(1), worker.stop()))
    clock.sleep(5)
    assert seen == [1]


def test_names_are_unique(clock: Any) -> None:
    """Two running workers of one name would be two threads that nobody can tell apart."""
    clock.worker("w")
    with pytest.raises(ClockError, match="already"):
        clock.worker("w")


@pytest.mark.parametrize("verb", ["sleep", "wait_until", "step"])
def test_a_callback_cannot_let_time_pass(clock: Any, verb: str) -> None:
    """It is told so, and told what to do instead."""
    raised: list[BaseException] = []
    calls: dict[str, Callable[[], Any]] = {
        "sleep": lambda: clock.sleep(1),
        "wait_until": lambda: clock.wait_until(lambda: True),
        "step": lambda: clock.step(),
    }

    def misuse() -> None:
        try:
            calls[verb]()
        except ClockError as error:
            raised.append(error)

    clock.worker("w").call_soon(misuse)
    assert clock.wait_until(lambda: bool(raised), PATIENCE)
    assert "call_later" in str(raised[0])


def test_a_callback_that_raises_is_heard_of_and_the_worker_lives_on(clock: Any) -> None:
    """WorkerFailed in the driver's next call, with the worker's name; later callbacks run."""
    seen: list[int] = []
    worker = clock.worker("mine")
    worker.call_soon(lambda: 1 / 0)
    worker.call_soon(lambda: seen.append(1))
    with pytest.raises(WorkerFailed, match=r"'mine'.*ZeroDivisionError"):
        for _ in range(100):
            clock.sleep(1)
    assert clock.wait_until(lambda: seen == [1], PATIENCE)


def test_a_failure_handler_may_deal_with_it(clock: Any) -> None:
    """It is called with name and error; returning True, nothing is raised."""
    heard: list[tuple[str, BaseException]] = []
    clock.on_failure(lambda name, error: heard.append((name, error)) or True)
    clock.worker("mine").call_soon(lambda: 1 / 0)
    assert clock.wait_until(lambda: bool(heard), PATIENCE)
    assert heard[0][0] == "mine"


def test_a_callback_can_be_told_whose_it_is(clock: Any) -> None:
    """current_worker() names the worker inside its callbacks, and nobody in the driver."""
    seen: list[str] = []
    for name in ("one", "two"):
        clock.worker(name).call_later(0.5, lambda: seen.append(clock.current_worker()))
    assert clock.current_worker() == ""
    assert clock.wait_until(lambda: len(seen) == 2, PATIENCE)
    assert sorted(seen) == ["one", "two"]
    assert clock.current_worker() == ""


def test_a_worker_may_belong_to_a_component(clock: Any) -> None:
    """current_actor() names that component; else the worker itself, and nobody in the driver."""
    seen: list[tuple[str, str]] = []

    def note() -> None:
        seen.append((clock.current_worker(), clock.current_actor()))

    clock.worker("pod/default/web", actor="kubelet/node-1").call_later(0.5, note)
    clock.worker("scheduler").call_later(0.5, note)
    assert clock.wait_until(lambda: len(seen) == 2, PATIENCE)
    assert sorted(seen) == [("pod/default/web", "kubelet/node-1"), ("scheduler", "scheduler")]
    assert clock.current_actor() == ""


def test_step_lets_exactly_so_much_time_pass(clock: Any) -> None:
    """Paused before and after; what is due within the step has run, nothing beyond."""
    seen: list[float] = []
    worker = clock.worker("w")
    clock.pause()
    start = clock.now()
    for seconds in (1, 2, 2.9, 3.1):
        worker.call_later(seconds, lambda due=seconds: seen.append(due))
    clock.step(3)
    assert clock.paused
    assert clock.now() == pytest.approx(start + 3)
    assert seen == [1, 2, 2.9]
    if not clock.virtual:
        threading.Event().wait(0.1)
    assert seen == [1, 2, 2.9]


def test_timestamps_go_there_and_back(clock: Any) -> None:
    """RFC 3339 in whole seconds, as metav1.Time."""
    text = clock.timestamp(61.9)
    assert text.endswith("Z")
    assert clock.seconds_at(text) == 61
    assert clock.seconds_at("2025-01-01T00:00:00+00:00") <= clock.seconds_at(text)
    with pytest.raises(ValueError, match="RFC 3339"):
        clock.seconds_at("yesterday")


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_time_goes_forward_only(clock: Any, seconds: float) -> None:
    """A negative sleep is a mistake."""
    with pytest.raises(ClockError):
        clock.sleep(seconds)


def test_a_closed_clock_takes_no_worker(clock: Any) -> None:
    """And closing twice is harmless."""
    clock.close()
    clock.close()
    with pytest.raises(ClockError, match="closed"):
        clock.worker("w")
