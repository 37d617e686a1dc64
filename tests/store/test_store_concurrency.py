"""Real threads, switched at opcodes: the store is correct, and the test would notice if not."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kubesim.errors import Compacted, WatchClosed
from kubesim.store import EtcdStore

sys.path.insert(0, str(Path(__file__).parent))
from broken_stores import BROKEN, JournalClearedFirst, JournalClearedWhole
from witness import opcode_yields, record

pytestmark = pytest.mark.live

PODS = "/registry/metrics.k8s.io/pods/default/"
READERS = 4
SEEDS = 6
FULL_SEEDS = 20


@pytest.mark.parametrize("seed", range(SEEDS))
def test_histories_of_eight_threads_are_possible(seed: int) -> None:
    """Revisions, real-time order, compare-and-set, snapshots, watch: no fault."""
    assert record(EtcdStore, seed) == []


@pytest.mark.slow
@pytest.mark.witness
@pytest.mark.parametrize("broken", BROKEN, ids=lambda store: store.__name__)
def test_the_witness_finds_a_seeded_mistake(broken: type[EtcdStore]) -> None:
    """A thread test that cannot fail proves nothing: at least 19 of 20 runs find the mistake."""
    caught = sum(bool(record(broken, 1000 + seed)) for seed in range(FULL_SEEDS))
    assert caught >= FULL_SEEDS - 1


def sample_faults(store: EtcdStore, seed: int, pods: int = 4, each: int = 200) -> list[str]:
    """Pods write samples without the lock, a watcher and a reader look: what went wrong.

    A reader that starts after a write has ended must see that sample or a later one; a watcher
    sees each once and in order.
    """
    ended = [0] * pods
    faults: list[str] = []
    watch = store.watch(PODS, since_revision=0)
    seen: list[tuple[int, str, float]] = []
    # One flag for each writer: a shared count would lose one of two decrements at the same moment,
    # and the readers would look for ever.
    done = [False] * pods

    def write(pod: int) -> None:
        try:
            writer = store.sample_writer(f"{PODS}{pod}")
            for number in range(1, each + 1):
                writer(float(number), 1.0, "main", number, 5)
                ended[pod] = number
                if number % 10 == 0:
                    store.set("/other", number)
        finally:  # a broken store may raise
            done[pod] = True

    def read(watching: bool) -> None:
        last = False
        while not last:
            last = all(done)
            for pod in range(pods):
                least = ended[pod]
                sample = store.sample(f"{PODS}{pod}")
                if (sample[0] if sample else 0) < least:
                    faults.append(f"pod {pod}: {sample} after {least} was acknowledged")
            found = watch.poll() if watching else []
            seen.extend((e.revision, e.kv.key, e.kv.value["sample"][0]) for e in found)

    with opcode_yields(seed):
        threads = [threading.Thread(target=write, args=(pod,)) for pod in range(pods)]
        threads += [threading.Thread(target=read, args=(n == 0,)) for n in range(READERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    revisions = [revision for revision, _, _ in seen]
    if revisions != sorted(set(revisions)):
        faults.append("the watcher saw revisions out of order")
    for pod in range(pods):
        mine = [number for _, key, number in seen if key == f"{PODS}{pod}"]
        if mine != [float(number) for number in range(1, each + 1)]:
            faults.append(f"pod {pod}: the watcher saw {mine}")
    if store.revision != pods * each + pods * each // 10:
        faults.append(f"revision {store.revision}")
    return faults


@pytest.mark.parametrize("seed", range(SEEDS))
def test_samples_written_without_the_lock_are_all_placed_in_order(seed: int) -> None:
    """Each sample once, in order, none late."""
    assert sample_faults(EtcdStore(), seed) == []


def read_while_settling(store: EtcdStore, patience_seconds: float) -> Any:
    """Read a sample on another thread, at the moment in which it gets its revision.

    Args:
        store: a new one.
        patience_seconds: the writer waits so long for the reader, which a correct store blocks
            until the writer is done.

    Returns:
        What the reader got.
    """
    key, seen = f"{PODS}web", []
    reader = threading.Thread(target=lambda: seen.append(store.sample(key)))
    samples = store._space.samples
    extend = samples.extend

    def extend_with_reader(first: int, rows: Any) -> None:
        reader.start()
        reader.join(patience_seconds)
        extend(first, rows)

    samples.extend = extend_with_reader  # type: ignore[method-assign]
    store.sample_writer(key)(1.0, 1.0, "main", 100, 5)
    assert store.revision == 1  # settles the journal
    reader.join(30)
    return seen[0]


def test_a_reader_never_sees_a_sample_that_is_written_and_not_yet_settled() -> None:
    """The journal is emptied only after its samples have been placed."""
    assert read_while_settling(EtcdStore(), 0.2) == (1.0, 1.0, (("main", 100, 5),))
    assert read_while_settling(JournalClearedFirst(), 30.0) is None


def write_while_settling(store: EtcdStore) -> tuple[int, Any]:
    """Write a sample at the moment in which another one gets its revision.

    Returns:
        The revision after both, and the newest sample of the second.
    """
    first, second = (store.sample_writer(f"{PODS}{pod}") for pod in ("web", "db"))
    samples = store._space.samples
    extend = samples.extend

    def extend_with_write(revision: int, rows: Any) -> None:
        samples.extend = extend  # type: ignore[method-assign]
        second(2.0, 1.0, "main", 200, 5)
        extend(revision, rows)

    samples.extend = extend_with_write  # type: ignore[method-assign]
    first(1.0, 1.0, "main", 100, 5)
    assert store.revision == 1
    return store.revision, store.sample(f"{PODS}db")


def test_a_sample_that_is_written_while_others_are_settled_is_kept() -> None:
    """Only what was placed is taken out of the journal."""
    revision, sample = write_while_settling(EtcdStore())
    assert (revision, sample) == (2, (2.0, 1.0, (("main", 200, 5),)))
    revision, sample = write_while_settling(JournalClearedWhole())
    assert (revision, sample) == (1, None)


def test_a_watcher_that_never_reads_holds_nobody_up() -> None:
    """Writers go on, memory stays bounded, and the watcher is told to list again."""
    store = EtcdStore(history_limit=100)
    lazy = store.watch("/")
    for number in range(5_000):
        store.set(f"/k/{number % 10}", number)
    assert store.statistics()["changes"] <= 125
    with pytest.raises(Compacted):
        lazy.poll()


def test_a_hundred_watchers_see_every_change_once_and_in_order() -> None:
    """While four threads write: no gap, no double, the same order for all."""
    store = EtcdStore(history_limit=50_000)
    seen: list[list[int]] = [[] for _ in range(100)]
    done = threading.Event()

    def read(number: int) -> None:
        watch = store.watch("/k/", since_revision=0)
        while not done.is_set() or seen[number][-1:] != [4 * 500]:
            seen[number] += [event.revision for event in watch.poll(limit=50)]
            watch.wait(0.05)

    def write(number: int) -> None:
        for count in range(500):
            store.set(f"/k/{number}", count)

    readers = [threading.Thread(target=read, args=(n,)) for n in range(100)]
    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in [*readers, *writers]:
        thread.start()
    for thread in writers:
        thread.join(30)
    done.set()
    for thread in readers:
        thread.join(30)
    assert all(revisions == list(range(1, 2001)) for revisions in seen)


def test_a_waiting_thread_is_woken_and_a_closed_watch_ends_the_wait() -> None:
    """wait() returns soon after a write, and soon after close()."""
    store = EtcdStore()
    watch = store.watch("/k/")
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(watch.wait(20)))
    thread.start()
    store.set("/k/a", 1)
    thread.join(10)
    assert woken == [True]
    watch.poll()
    thread = threading.Thread(target=lambda: woken.append(watch.wait(20)))
    thread.start()
    watch.close()
    thread.join(10)
    assert len(woken) == 2
    with pytest.raises(WatchClosed):
        watch.poll()
