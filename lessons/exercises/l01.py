"""Exercises of lesson 1: the store and its watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubesim.errors import Compacted
from kubesim.store import EtcdStore, KeyValue, TxnResult
from lessons.check import Endless, Question, Task
from lessons.feedback.answers import a_function, a_number

PREFIX = "/pods/"
RIVALS = 3  # other clients that are faster in the check of exercise 1.1
PATIENCE = 50  # after this many transactions a loop counts as endless

Copy = dict[str, object]
Increment = Callable[[EtcdStore, str], object]
CatchUp = Callable[[EtcdStore, str, Copy, int], int]


class _BusyStore(EtcdStore):
    """A store in which another client writes just before the first few transactions."""

    def __init__(self, interruptions: int) -> None:
        super().__init__()
        self.left = interruptions
        self.calls = 0

    def txn(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, object]] = (),
        deletes: Sequence[str] = (),
        *,
        lease: int = 0,
    ) -> TxnResult:
        """Run a transaction, sometimes after a rival that was a moment faster."""
        self.calls += 1
        if self.calls > PATIENCE:
            raise Endless
        if self.left > 0:
            self.left -= 1
            current = self.get("counter")
            super().txn([], [("counter", (current.value if current else 0) + 1)])
        return super().txn(compare, puts, deletes, lease=lease)


def _check_increment(increment: Increment) -> str | None:
    store = _BusyStore(interruptions=0)
    store.set("counter", 0)
    increment(store, "counter")
    kv = store.get("counter")
    if kv is None or kv.value != 1:
        return f"one increment of 0 left {kv.value if kv else 'nothing'}, not 1"
    before = store.calls
    store.left = RIVALS
    try:
        increment(store, "counter")
    except Endless:
        return (
            f"you tried {PATIENCE} times and were refused each time: a refusal means that the value "
            "you read is outdated, so read again before you retry"
        )
    if store.calls == before:
        return "you wrote without a comparison: that overwrites a rival's increment; use txn()"
    kv, rivals = store.get("counter"), RIVALS - store.left
    if kv is None or kv.value != 2 + rivals:
        return (
            f"the counter was 1, you and {rivals} rival(s) added one each, but it is "
            f"{kv.value if kv else 'gone'}: your write was refused, and you did not retry"
        )
    return None


def _existing(store: EtcdStore, key: str) -> KeyValue:
    kv = store.get(key)
    assert kv is not None
    return kv


def _good_increment(store: EtcdStore, key: str) -> None:
    while True:
        kv = _existing(store, key)
        if store.txn([(key, kv.mod_revision)], [(key, kv.value + 1)]).succeeded:
            return


def _blind_increment(store: EtcdStore, key: str) -> None:
    store.set(key, _existing(store, key).value + 1)


def _impatient_increment(store: EtcdStore, key: str) -> None:
    kv = _existing(store, key)
    store.txn([(key, kv.mod_revision)], [(key, kv.value + 1)])


def _stubborn_increment(store: EtcdStore, key: str) -> None:
    kv = _existing(store, key)
    while not store.txn([(key, kv.mod_revision)], [(key, kv.value + 1)]).succeeded:
        pass


def _present(store: EtcdStore) -> Copy:
    return {kv.key: kv.value for kv in store.list(PREFIX).items}


def _check_catch_up(catch_up: CatchUp) -> str | None:
    store = EtcdStore()
    copy: Copy = {}
    revision = 0
    for scenario, change in enumerate((_grow, _shrink, _forget_history)):
        change(store)
        revision = catch_up(store, PREFIX, copy, revision)
        name = ("writes", "deletions", "a compaction beyond your revision")[scenario]
        if copy != _present(store):
            return f"after {name} your copy is {copy}, the store has {_present(store)}"
        if revision != store.revision:
            return f"after {name} return the store's revision {store.revision}, not {revision}"
    return None


def _grow(store: EtcdStore) -> None:
    for name in "abc":
        store.set(f"{PREFIX}{name}", {"phase": "Pending"})
    store.set("/nodes/n1", {})


def _shrink(store: EtcdStore) -> None:
    store.set(f"{PREFIX}a", {"phase": "Running"})
    store.delete(f"{PREFIX}b")


def _forget_history(store: EtcdStore) -> None:
    store.delete(f"{PREFIX}c")
    store.set(f"{PREFIX}d", {"phase": "Pending"})
    store.compact(store.revision)


def _good_catch_up(store: EtcdStore, prefix: str, copy: Copy, revision: int) -> int:
    try:
        watch = store.watch(prefix, revision)
        for event in watch.poll():
            if event.type == "DELETE":
                copy.pop(event.kv.key, None)
            else:
                copy[event.kv.key] = event.kv.value
        watch.close()
        return int(store.revision)
    except Compacted:
        listed = store.list(prefix)
        copy.clear()
        copy.update({kv.key: kv.value for kv in listed.items})
        return int(listed.revision)


def _never_relists(store: EtcdStore, prefix: str, copy: Copy, revision: int) -> int:
    for event in store.watch(prefix, revision).poll():
        if event.type == "DELETE":
            copy.pop(event.kv.key, None)
        else:
            copy[event.kv.key] = event.kv.value
    return int(store.revision)


def _ignores_deletes(store: EtcdStore, prefix: str, copy: Copy, revision: int) -> int:
    try:
        for event in store.watch(prefix, revision).poll():
            copy[event.kv.key] = event.kv.value
    except Compacted:
        copy.update({kv.key: kv.value for kv in store.list(prefix).items})
    return int(store.revision)


def _check_rise(value: object) -> str | None:
    if value == 1:
        return None
    if value == 3:
        return "three keys, but one change: no client can see one of them without the others"
    return "every write raises the revision; compare store.revision before and after"


q1 = Task(
    "1.1",
    "an increment that loses nothing",
    _check_increment,
    (
        "set() overwrites any value; txn() writes only if the key is as you read it.",
        "Read kv = store.get(key), then store.txn([(key, kv.mod_revision)], [(key, new)]).",
        "If result.succeeded is False, another client was faster: read again and retry, in a loop.",
    ),
    """def increment(store, key):
    while True:
        kv = store.get(key)
        if store.txn([(key, kv.mod_revision)], [(key, kv.value + 1)]).succeeded:
            return""",
    _good_increment,
    (_blind_increment, _impatient_increment, _stubborn_increment),
    a_function("increment", "store", "key"),
)

q2 = Task(
    "1.2",
    "a copy that catches up",
    _check_catch_up,
    (
        "store.watch(prefix, revision).poll() returns every change after that revision, once.",
        "event.type is PUT or DELETE; event.kv.key and event.kv.value are the key and its value.",
        "Compacted means that the changes are no longer available: list the prefix, replace the "
        "copy with the list, and continue from the list's revision.",
    ),
    """from kubesim.errors import Compacted

def catch_up(store, prefix, copy, revision):
    try:
        for event in store.watch(prefix, revision).poll():
            if event.type == "DELETE":
                copy.pop(event.kv.key, None)
            else:
                copy[event.kv.key] = event.kv.value
        return store.revision
    except Compacted:
        listed = store.list(prefix)
        copy.clear()
        copy.update({kv.key: kv.value for kv in listed.items})
        return listed.revision""",
    _good_catch_up,
    (_never_relists, _ignores_deletes),
    a_function("catch_up", "store", "prefix", "copy", "revision"),
)

bonus = Task(
    "1.3",
    "revisions of a transaction (bonus)",
    _check_rise,
    ("A transaction is one change of the store, however many keys it writes.",),
    "1: all writes of one transaction share one revision.",
    1,
    (3, 0),
    a_number(),
)

questions = (
    Question(
        "Two clients read revision 7 of a key, then both write with compare-and-set. What happens?",
        {
            "a": (
                "both succeed, and the later one wins",
                False,
                "that is what set() does; of two compare-and-sets on one revision, one is refused",
            ),
            "b": ("both are refused", False, "the first one finds the key exactly as it was read"),
            "c": (
                "one succeeds, the other is refused and has to read again",
                True,
                "when the second one arrives, the key has changed",
            ),
        },
    ),
    Question(
        "A client has not read its watch for a long time. What waits for it?",
        {
            "a": (
                "the writers",
                False,
                "they never wait: a watch is only a position in the history",
            ),
            "b": (
                "nothing; if the history is gone, the client must list again",
                True,
                "and it gets an error: Compacted here, 410 Gone from the API server",
            ),
            "c": ("the other watchers", False, "each of them has its own position"),
        },
    ),
    Question(
        "Why list first, and then watch from the revision of that list?",
        {
            "a": (
                "to miss nothing, and to see nothing twice",
                True,
                "there is no gap between them",
            ),
            "b": ("because it is faster", False, "it would be correct even if it were slower"),
            "c": (
                "because a watch shows only pods",
                False,
                "a watch shows every key under its prefix",
            ),
        },
    ),
)
