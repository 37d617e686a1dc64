"""Virtual time: order, ties, shuffling, drivers."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator

import pytest

from kubesim.clock import NamedStreams, VirtualClock, keyed_bytes, keyed_fraction
from kubesim.errors import ClockError

pytestmark = pytest.mark.usefixtures("ctrl_c")
GOLDEN_DRAWS = [819, 266, 625, 514]
GOLDEN_BYTES = "0f2e0267"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the shell that runs the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ties_run_in_the_order_of_registration() -> None:
    """Same instant, same priority: first registered, first run."""
    clock, seen = VirtualClock(), []
    for name in "cab":
        clock.worker(name).call_later(1, lambda n=name: seen.append(n))
    clock.sleep(1)
    assert seen == ["c", "a", "b"]


def test_lower_priorities_run_first() -> None:
    """Whatever was registered first."""
    clock, seen = VirtualClock(), []
    clock.worker("late", priority=5).call_later(1, lambda: seen.append("late"))
    clock.worker("early", priority=-5).call_later(1, lambda: seen.append("early"))
    clock.sleep(1)
    assert seen == ["early", "late"]


def test_what_a_callback_asks_for_now_runs_in_the_same_instant() -> None:
    """call_soon from within a callback: after what was queued, before time moves on."""
    clock, seen = VirtualClock(), []
    a, b = clock.worker("a"), clock.worker("b")

    def first() -> None:
        seen.append(("a", clock.now()))
        b.call_soon(lambda: seen.append(("soon", clock.now())))

    a.call_later(1, first)
    b.call_later(1, lambda: seen.append(("b", clock.now())))
    clock.sleep(1)
    assert seen == [("a", 1.0), ("b", 1.0), ("soon", 1.0)]


def test_a_million_periods_do_not_drift() -> None:
    """0.1 is no binary fraction; n * 0.1 stays what it is."""
    clock, last = VirtualClock(), []
    worker = clock.worker("w")
    worker.every(0.1, lambda: last.append(clock.now()))
    clock.sleep(1000.05)
    assert len(last) == 10_000
    assert last[-1] == pytest.approx(1000.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_shuffling_is_seeded_and_keeps_each_worker_in_order(seed: int) -> None:
    """Another order of workers, the same for the same seed, and FIFO for each worker."""

    def run() -> list[tuple[str, int]]:
        clock, seen = VirtualClock(shuffle_seed=seed), []
        for name in "abcdef":
            worker = clock.worker(name)
            for number in range(3):
                worker.call_soon(lambda n=name, i=number: seen.append((n, i)))
        clock.sleep(0)
        return seen

    first = run()
    assert first == run()
    for name in "abcdef":
        assert [i for n, i in first if n == name] == [0, 1, 2]


def test_some_seed_changes_the_order() -> None:
    """The shuffle is no no-op."""
    orders = set()
    for seed in range(10):
        clock, seen = VirtualClock(shuffle_seed=seed), []
        for name in "abcd":
            clock.worker(name).call_soon(lambda n=name, s=seen: s.append(n))
        clock.sleep(0)
        orders.add(tuple(seen))
    assert len(orders) > 3


def test_wait_until_stops_at_the_instant() -> None:
    """The predicate is tested after each instant, so time does not overshoot."""
    clock, seen = VirtualClock(), []
    clock.worker("w").every(1.0, lambda: seen.append(1))
    assert clock.wait_until(lambda: len(seen) == 3, 60)
    assert clock.now() == 3.0
    assert not clock.wait_until(lambda: len(seen) == 100, 10)
    assert clock.now() == 13.0


def test_several_threads_may_drive_one_at_a_time() -> None:
    """A request on another thread waits for its turn."""
    clock, seen = VirtualClock(), []
    clock.worker("w").every(1.0, lambda: seen.append(threading.get_ident()))
    threads = [threading.Thread(target=clock.sleep, args=(100,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert clock.now() == 400.0
    assert len(seen) == 400


def test_another_thread_may_register_while_the_driver_drives() -> None:
    """Nothing is lost and nothing runs in the past."""
    clock, seen = VirtualClock(), []
    worker = clock.worker("w")
    clock.worker("busy").every(0.001, lambda: None)
    done = threading.Event()

    def register() -> None:
        for number in range(500):
            worker.call_soon(lambda n=number: seen.append(n))
        done.set()

    thread = threading.Thread(target=register)
    thread.start()
    while not done.is_set():
        clock.sleep(1)
    thread.join()
    clock.sleep(0)
    assert seen == list(range(500))


def test_the_reader_s_collector_settings_come_back() -> None:
    """Driving calms the garbage collector, also when a callback raises."""
    before = gc.get_threshold()
    clock, inside = VirtualClock(), []
    worker = clock.worker("w")
    worker.call_soon(lambda: inside.append(gc.get_threshold()))
    clock.sleep(0)
    assert inside[0] != before
    worker.call_soon(lambda: 1 / 0)
    with pytest.raises(Exception, match="ZeroDivision"):
        clock.sleep(1)
    assert gc.get_threshold() == before


@pytest.mark.parametrize("shuffle_seed", [None, 5])
def test_ctrl_c_lets_the_instant_end(shuffle_seed: int | None) -> None:
    """The first Ctrl-C stops between two instants: everybody keeps every tick."""
    clock, ticks = VirtualClock(shuffle_seed=shuffle_seed), []
    for number in range(4):
        clock.worker(f"w{number}").every(1.0, lambda n=number: ticks.append((clock.now(), n)))

    def press() -> None:
        signal.raise_signal(signal.SIGINT)
        ticks.append((clock.now(), "after"))

    clock.worker("user").call_later(2.0, press)
    with pytest.raises(KeyboardInterrupt):
        clock.sleep(5)
    assert clock.now() == 2.0
    assert (2.0, "after") in ticks
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    clock.sleep(3)
    expected = {(float(second), n) for second in range(1, 6) for n in range(4)}
    assert set(ticks) - {(2.0, "after")} == expected
    assert len(ticks) == len(expected) + 1
    assert clock.pending() == 4


@pytest.mark.parametrize("shuffle_seed", [None, 5])
def test_the_second_ctrl_c_strikes_at_once_and_loses_no_timer(shuffle_seed: int | None) -> None:
    """A callback that hangs can be left; it and its neighbours of that instant stay due."""
    clock, ran = VirtualClock(shuffle_seed=shuffle_seed), []
    patience = [2]

    def hang() -> None:
        while patience[0]:
            patience[0] -= 1
            signal.raise_signal(signal.SIGINT)
        ran.append("once")

    clock.worker("first").every(1.0, lambda: ran.append("tick a"))
    clock.worker("hanging").call_later(1.0, hang)
    clock.worker("last").every(1.0, lambda: ran.append("tick b"))
    with pytest.raises(KeyboardInterrupt):
        clock.sleep(1)
    assert "once" not in ran
    clock.sleep(1)
    assert sorted(ran) == ["once", "tick a", "tick a", "tick b", "tick b"]
    assert clock.now() == 2.0
    assert clock.pending() == 2


def test_pending_and_next_due() -> None:
    """What waits, and when the next of it is due; stopped and cancelled do not count."""
    clock = VirtualClock()
    worker, other = clock.worker("w"), clock.worker("x")
    worker.call_later(3, lambda: None)
    other.call_later(2, lambda: None)
    assert (clock.pending(), clock.next_due()) == (2, 2.0)
    clock.sleep(0)
    other.stop()
    assert clock.pending() == 1


def test_a_period_must_be_positive() -> None:
    """Zero would never let time pass."""
    with pytest.raises(ClockError, match="positive"):
        VirtualClock().worker("w").every(0, lambda: None)


# -- randomness -----------------------------------------------------------------------------------


def test_streams_are_the_same_in_every_process_and_release() -> None:
    """Golden numbers: a change here changes every recorded run."""
    stream = NamedStreams(7)("uids")
    assert [stream.randrange(1000) for _ in range(4)] == GOLDEN_DRAWS
    assert keyed_bytes("7/pod-a/0", 4).hex() == GOLDEN_BYTES


def test_one_stream_does_not_shift_another() -> None:
    """Adding a pod changes no other pod's numbers."""
    alone, beside = NamedStreams(1), NamedStreams(1)
    beside("other").random()
    assert alone("mine").random() == beside("mine").random()
    assert NamedStreams(2)("mine").random() != NamedStreams(1)("mine").random()


def test_keyed_fractions_spread() -> None:
    """In [0, 1), and all over it."""
    values = [keyed_fraction(f"pod-{n}") for n in range(2000)]
    assert all(0 <= value < 1 for value in values)
    assert 0.45 < sum(values) / len(values) < 0.55
