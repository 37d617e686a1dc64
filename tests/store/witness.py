"""The witness: was a recorded history of concurrent operations possible for a correct store?

Every answer of the store carries a revision, so no search is needed: sort the operations by
revision and check that the order agrees with real time and with every value that was seen. Exact,
and O(n log n).
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from kubesim.store import EtcdStore

YIELD_PROBABILITY = 0.02
ROUND_OPERATIONS = 20
OUR_FILES = ("kubesim/store/", "tests/store/")


@dataclass(frozen=True)
class Operation:
    """One operation of one thread, with what it saw."""

    kind: str  # set, cas, get, list
    key: str
    begin: float
    end: float
    revision: int  # of the write, or of the snapshot that was read
    value: Any = None  # written, or read
    mod_revision: int = 0  # of the value read; for cas: the one that was expected
    succeeded: bool = True


def find_faults(operations: list[Operation], events: list[tuple[int, str, Any]]) -> list[str]:
    """What a correct store could not have answered.

    Args:
        operations: of all threads.
        events: (revision, key, value) as a watcher from revision 0 saw them.
    """
    faults: list[str] = []
    writes = sorted(
        (op for op in operations if op.kind in ("set", "cas") and op.succeeded),
        key=lambda op: op.revision,
    )
    revisions = [op.revision for op in writes]
    if len(set(revisions)) != len(revisions):
        faults.append("two writes share a revision")
    if revisions and revisions != list(range(revisions[0], revisions[0] + len(revisions))):
        faults.append("revisions do not rise by one")
    faults += _real_time(operations, writes)
    faults += _values(operations, writes)
    seen = [(op.revision, op.key, op.value) for op in writes]
    if events != seen:
        faults.append(f"a watcher saw {len(events)} changes, {len(seen)} were made")
    return faults


def _real_time(operations: list[Operation], writes: list[Operation]) -> list[str]:
    """What ended before something began has a smaller revision; reads are never older."""
    faults = []
    newest = 0
    points = sorted(
        [(op.end, 0, op) for op in operations if op.succeeded]
        + [(op.begin, 1, op) for op in operations if op.succeeded],
        key=lambda point: (point[0], point[1]),
    )
    floor: dict[int, int] = {}
    for _moment, begins, op in points:
        if begins:
            floor[id(op)] = newest
        else:
            newest = max(newest, op.revision)
    for op in operations:
        if op.succeeded and op.revision < floor.get(id(op), 0):
            faults.append(f"{op.kind} of {op.key} answered {op.revision}, older than known")
        if op.succeeded and op.kind in ("set", "cas") and op.revision <= floor.get(id(op), 0):
            faults.append(f"a write took revision {op.revision}, which had passed")
    del writes
    return faults


def _values(operations: list[Operation], writes: list[Operation]) -> list[str]:
    """Replay by revision: reads see exactly the writes up to theirs, compares hold."""
    faults = []
    state: dict[str, tuple[int, Any]] = {}
    reads = sorted(
        (op for op in operations if op.kind in ("get", "list")), key=lambda op: op.revision
    )
    position = 0
    for read in reads:
        while position < len(writes) and writes[position].revision <= read.revision:
            faults += _apply(state, writes[position])
            position += 1
        if read.kind == "list":
            expected = {key: value for key, (_, value) in state.items()}
            if read.value != expected:
                faults.append(f"a list at {read.revision} is no snapshot")
        elif read.value is not None:
            if state.get(read.key) != (read.mod_revision, read.value):
                faults.append(f"get of {read.key} saw value and revision that never were one")
    for write in writes[position:]:
        faults += _apply(state, write)
    return faults


def _apply(state: dict[str, tuple[int, Any]], write: Operation) -> list[str]:
    faults = []
    if write.kind == "cas" and state.get(write.key, (0, None))[0] != write.mod_revision:
        faults.append(f"a compare of {write.key} held although the key had moved on")
    state[write.key] = (write.revision, write.value)
    return faults


# -- recording ------------------------------------------------------------------------------------


@contextmanager
def opcode_yields(seed: int) -> Iterator[None]:
    """Let other threads in before 2 % of the opcodes of our own files.

    Without it, plain threads switch every 5 ms and meet none of the dangerous moments.
    """
    rng = random.Random(seed)

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "call":
            if not any(part in frame.f_code.co_filename for part in OUR_FILES):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            return trace
        if event == "opcode" and rng.random() < YIELD_PROBABILITY:
            time.sleep(0)
        return trace

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threading.settrace(trace)
    try:
        yield
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
        sys.setswitchinterval(interval)


def record(
    make_store: Callable[[], EtcdStore], seed: int, threads: int = 8, operations: int = 140
) -> list[str]:
    """Run random operations on several threads, in rounds, and look for faults after each.

    A store with a mistake is mostly found in its first rounds, and the rest need not run; a correct
    store runs them all.
    """
    store = make_store()
    watch = store.watch("/k/", since_revision=0)
    history: list[list[Operation]] = [[] for _ in range(threads)]
    events: list[tuple[int, str, Any]] = []
    errors: list[Exception] = []
    generators = [random.Random(f"{seed}/{number}") for number in range(threads)]

    def work(number: int, counts: range) -> None:
        try:
            for count in counts:
                history[number].append(_operate(store, generators[number], f"{number}-{count}"))
        except Exception as error:  # noqa: BLE001 - reported as a fault
            errors.append(error)

    with opcode_yields(seed):
        for first in range(0, operations, ROUND_OPERATIONS):
            counts = range(first, min(first + ROUND_OPERATIONS, operations))
            workers = [threading.Thread(target=work, args=(n, counts)) for n in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(60)
            faults = [f"an operation raised {error!r}" for error in errors]
            events += [(event.revision, event.kv.key, event.kv.value) for event in watch.poll()]
            faults += find_faults([op for part in history for op in part], events)
            if faults:
                return faults
    return []


def _operate(store: EtcdStore, rng: random.Random, unique: str) -> Operation:
    key = f"/k/{rng.randrange(4)}"
    kind = rng.choice(("set", "set", "cas", "cas", "get", "list", "list"))
    begin = time.monotonic()
    if kind == "set":
        revision = store.set(key, unique)
        return Operation(kind, key, begin, time.monotonic(), revision, unique)
    if kind == "cas":
        known = store.get(key)
        expected = known.mod_revision if known is not None else 0
        begin = time.monotonic()
        result = store.txn([(key, expected)], [(key, unique)])
        end = time.monotonic()
        return Operation(kind, key, begin, end, result.revision, unique, expected, result.succeeded)
    if kind == "get":
        found = store.get(key)
        end = time.monotonic()
        if found is None:
            return Operation(kind, key, begin, end, store.revision, None, succeeded=False)
        revision = found.mod_revision
        return Operation(kind, key, 0.0, end, revision, found.value, revision)
    listed = store.list("/k/")
    value = {kv.key: kv.value for kv in listed.items}
    return Operation(kind, key, begin, time.monotonic(), listed.revision, value)
