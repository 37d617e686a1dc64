"""What every backend promises; and a model that every history is compared with."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kubesim.errors import BadRequest, Compacted, FrozenDocument, FutureRevision, NotFound
from kubesim.store import HistoryDigest

sys.path.insert(0, str(Path(__file__).parent))
from store_backends import BACKENDS, TestedBackend

SAMPLES = "/registry/metrics.k8s.io/pods/"


class Opener:
    """One backend, and the directory of one test."""

    def __init__(self, backend: TestedBackend, directory: Path) -> None:
        self._backend = backend
        self._directory = directory
        self._opened = 0

    def __call__(self, **options: Any) -> Any:
        """Open an empty store."""
        return self._backend.open(self._next_directory(), **options)

    def restore(self, data: bytes, **options: Any) -> Any:
        """Open a store with the state of a snapshot."""
        return self._backend.restore(self._next_directory(), data, **options)

    def _next_directory(self) -> Path:
        self._opened += 1
        directory = self._directory / str(self._opened)
        directory.mkdir()
        return directory


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Each backend in turn."""
    return Opener(request.param, tmp_path)


@pytest.fixture
def store(open_store: Opener) -> Any:
    """An empty store of each backend in turn."""
    return open_store()


def test_revisions_versions_and_creation(store: Any) -> None:
    """One revision for each write of the whole store; a version for each key."""
    assert store.revision == 0
    assert store.set("/a", 1) == 1
    assert store.set("/b", 1) == 2
    assert store.set("/a", 2) == 3
    kv = store.get("/a")
    assert (kv.create_revision, kv.mod_revision, kv.version, kv.value) == (1, 3, 2, 2)
    assert store.delete("/a") == 4
    assert store.delete("/a") is None
    assert store.revision == 4
    store.set("/a", 3)
    assert store.get("/a").version == 1
    assert store.get("/a").create_revision == 5


def test_old_revisions(store: Any) -> None:
    """Reads at a revision see exactly the writes up to it."""
    store.set("/a", 1)
    store.set("/b", 1)
    store.set("/a", 2)
    store.delete("/b")
    seen = [{kv.key: kv.value for kv in store.list("/", r).items} for r in range(5)]
    assert seen == [{}, {"/a": 1}, {"/a": 1, "/b": 1}, {"/a": 2, "/b": 1}, {"/a": 2}]
    assert store.get("/b", 3).value == 1
    assert store.get("/b", 4) is None
    with pytest.raises(FutureRevision):
        store.get("/a", 5)


def test_lists_are_sorted_paged_and_by_prefix(store: Any) -> None:
    """Ascending keys; pages continue where the last one ended."""
    for key in ("/p/c", "/p/a", "/q/x", "/p/b", "/p"):
        store.set(key, key)
    assert [kv.key for kv in store.list("/p/").items] == ["/p/a", "/p/b", "/p/c"]
    first = store.list("/p/", limit=2)
    assert first.more
    rest = store.list("/p/", first.revision, start_after=first.items[-1].key)
    assert [kv.key for kv in [*first.items, *rest.items]] == ["/p/a", "/p/b", "/p/c"]
    assert not rest.more
    assert len(store.list("").items) == 5


def test_transactions_compare_and_share_one_revision(store: Any) -> None:
    """All or nothing; 0 means that the key must not exist."""
    assert store.txn([("/a", 0)], [("/a", 1), ("/b", 1)]).succeeded
    assert store.revision == 1
    assert {kv.mod_revision for kv in store.list("/").items} == {1}
    failed = store.txn([("/a", 0)], [("/c", 1)])
    assert not failed.succeeded
    assert failed.current[0].mod_revision == 1
    assert store.get("/c") is None
    assert store.txn([("/a", 1)], [("/a", 2)], ["/b"]).changed == 2
    assert store.txn([("/a", 2)]).revision == store.revision == 2


def test_a_watch_shows_each_change_once_with_what_was_before(store: Any) -> None:
    """From its start revision, in order, of its prefix alone."""
    store.set("/p/a", 1)
    watch = store.watch("/p/", 0)
    store.set("/q/a", 1)
    store.set("/p/a", 2)
    store.delete("/p/a")
    events = watch.poll()
    assert [(e.type, e.revision) for e in events] == [("PUT", 1), ("PUT", 3), ("DELETE", 4)]
    assert events[0].previous is None
    assert events[1].previous.value == 1
    assert events[2].kv.value == 2
    assert watch.poll() == []
    assert watch.revision == 4


def test_a_limited_poll_never_cuts_a_transaction(store: Any) -> None:
    """The next poll goes on behind it."""
    watch = store.watch("/")
    store.txn([], [(f"/k/{n}", n) for n in range(5)])
    store.set("/z", 1)
    assert len(watch.poll(limit=2)) == 5
    assert [e.kv.key for e in watch.poll(limit=2)] == ["/z"]


def test_limited_polls_together_return_what_one_poll_returns(store: Any) -> None:
    """From far back, with transactions and other keys between."""
    store.trigger("/p/", "node")
    for number in range(60):
        store.set(f"/q/{number}", number)
        store.txn([], [(f"/p/{number}-{n}", {"node": f"n{n % 2}"}) for n in range(number % 4)])
    for where in (None, "n0"):
        everything = [e.kv.key for e in store.watch("/p/", 0, where=where).poll()]
        watch = store.watch("/p/", 0, where=where)
        pages = []
        while page := [event.kv.key for event in watch.poll(limit=5)]:
            pages.append(page)
        assert [key for page in pages for key in page] == everything
        assert all(5 <= len(page) <= 7 for page in pages[:-1])
        assert watch.revision == store.revision


def test_keys_are_counted_without_reading_them(store: Any) -> None:
    """Under a prefix, at a part of a key, samples included."""
    for key in ("/p/a", "/p/b", "/q/a", "/pa"):
        store.set(key, 1)
    store.put_sample(f"{SAMPLES}default/p", (1.0, 1.0, ()))
    store.delete("/p/b")
    counts = [store.count(prefix) for prefix in ("/p/", "/p", "/x", "", SAMPLES)]
    assert counts == [len(store.list(prefix).items) for prefix in ("/p/", "/p", "/x", "", SAMPLES)]
    assert counts == [1, 2, 0, 4, 1]


def test_the_keys_of_changed_samples(open_store: Opener) -> None:
    """Written, deleted or written as a document; and whether some are lost."""
    store = open_store(sample_history_limit=4)
    for name in "abc":
        store.put_sample(f"{SAMPLES}{name}", (1.0, 1.0, ()))
    assert store.sample_keys_since(1) == ({f"{SAMPLES}b", f"{SAMPLES}c"}, 3, False)
    store.set("/other", 1)
    assert store.sample_keys_since(3) == (set(), 4, False)
    store.delete(f"{SAMPLES}a")
    store.set(f"{SAMPLES}b", {"a": "document"})
    assert store.sample_keys_since(3) == ({f"{SAMPLES}a", f"{SAMPLES}b"}, 6, False)
    for _ in range(9):
        store.put_sample(f"{SAMPLES}c", (1.0, 1.0, ()))
    assert store.sample_keys_since(5)[1:] == (15, True)


def test_a_watch_wakes_its_owner_once_for_each_poll(store: Any) -> None:
    """Armed by a poll that found nothing; woken outside the lock, so it may read at once."""
    woken: list[int] = []
    watch = store.watch("/p/", on_ready=lambda: woken.append(store.list("/p/").revision))
    store.set("/q/a", 1)
    assert woken == []
    store.set("/p/a", 1)
    store.set("/p/b", 1)
    assert woken == [2]
    watch.poll()
    store.set("/p/c", 1)
    assert woken == [2]
    watch.poll()
    assert watch.poll() == []
    store.set("/p/d", 1)
    assert woken == [2, 5]
    watch.close()
    store.set("/p/e", 1)
    assert woken == [2, 5]


@pytest.mark.parametrize("limit", [None, 1, 5])
def test_a_poll_that_returns_nothing_arms_the_watch(store: Any, limit: int | None) -> None:
    """Whatever its limit; a poll that returns events does not."""
    woken: list[int] = []
    watch = store.watch("/a", on_ready=lambda: woken.append(store.revision))
    store.set("/a", 1)
    assert len(watch.poll(limit)) == 1
    store.set("/a", 2)
    assert woken == [1], "the poll returned an event, so the watch is not armed"
    assert len(watch.poll(limit)) == 1
    assert watch.poll(limit) == []
    store.set("/a", 3)
    assert woken == [1, 3]


def test_compaction_leaves_no_silent_gap(store: Any) -> None:
    """Older reads and watches are told; the compacted revision itself stays readable."""
    for number in range(10):
        store.set("/a", number)
    watch = store.watch("/", 3)
    store.compact(5)
    assert store.get("/a", 5).value == 4
    for call in (
        lambda: store.get("/a", 4),
        lambda: store.list("/", 4),
        lambda: store.watch("/", 4),
        watch.poll,
        lambda: store.compact(5),
    ):
        with pytest.raises(Compacted):
            call()
    assert [e.revision for e in store.watch("/", 5).poll()] == [6, 7, 8, 9, 10]
    with pytest.raises(FutureRevision):
        store.compact(11)


def test_values_cannot_be_changed_from_outside(store: Any) -> None:
    """Neither through what was handed in nor through what was handed out."""
    mine = {"list": [1], "inner": {"a": 1}}
    store.set("/a", mine)
    mine["list"].append(2)  # type: ignore[attr-defined]
    assert store.get("/a").value == {"list": [1], "inner": {"a": 1}}
    for change in (
        lambda value: value.update(x=1),
        lambda value: value["list"].append(1),
        lambda value: value["inner"].__setitem__("a", 2),
    ):
        with pytest.raises(FrozenDocument):
            change(store.get("/a").value)
    assert store.get("/a").encoded == b'{"list":[1],"inner":{"a":1}}'


@pytest.mark.parametrize("value", [float("nan"), {1: 2}, {"a": object()}, {"a": {1, 2}}])
def test_what_is_no_json_is_refused(store: Any, value: Any) -> None:
    """And nothing is written."""
    with pytest.raises((TypeError, ValueError)):
        store.set("/a", value)
    assert store.revision == 0


def test_history_is_bounded(open_store: Opener) -> None:
    """Old changes are dropped; samples have a history of their own."""
    store = open_store(history_limit=100, sample_history_limit=50)
    store.set("/a", 0)
    for number in range(1_000):
        store.put_sample(f"{SAMPLES}default/p", (float(number), 1.0, ()))
    assert store.statistics()["samples"] <= 63
    assert [e.revision for e in store.watch("/a", 0).poll()] == [1]
    for number in range(1_000):
        store.set("/a", number)
    assert store.statistics()["changes"] <= 125


def test_samples_are_read_like_anything_else(open_store: Opener) -> None:
    """Documents on reading, in one order with all other changes."""
    store = open_store(sample_document=lambda key, s: {"name": key[-1], "cpu": s[2][0][1]})
    store.set("/registry/pods/default/p", 1)
    key = f"{SAMPLES}default/p"
    for cpu in (100, 200):
        store.put_sample(key, (1.0, 1.0, (("main", cpu, 5),)))
    store.set("/registry/pods/default/p", 2)
    kv = store.get(key)
    assert (kv.value, kv.version, kv.mod_revision) == ({"name": "p", "cpu": 200}, 2, 3)
    assert store.get(key, 2).value["cpu"] == 100
    assert store.get(key, 1) is None
    assert [e.revision for e in store.watch("/registry/", 0).poll()] == [1, 2, 3, 4]
    assert store.sample(key) == (1.0, 1.0, (("main", 200, 5),))
    assert [row[0] for row in store.samples_since(2)[0]] == [3]
    assert store.delete(key) == 5
    assert store.get(key) is None
    assert store.watch(SAMPLES, 4).poll()[0].type == "DELETE"


def test_leases_end_their_keys(store: Any) -> None:
    """Time is passed in; keeping alive starts it anew; a rewritten key is free."""
    lease = store.grant(10, now=0)
    store.set("/a", 1, lease=lease)
    store.set("/b", 1, lease=lease)
    store.set("/b", 2)
    store.keep_alive(lease, now=5)
    assert store.expire(14.9) == []
    assert store.expire(15) == [lease]
    assert store.get("/a") is None
    assert store.get("/b").value == 2
    with pytest.raises(NotFound):
        store.set("/c", 1, lease=lease)
    with pytest.raises(BadRequest):
        store.grant(0)


def test_a_deleted_key_leaves_its_lease(store: Any) -> None:
    """Created again without a lease, the key survives the end of the old one."""
    lease = store.grant(10)
    store.set("/a", 1, lease=lease)
    store.set("/b", 1, lease=lease)
    store.delete("/a")
    store.set("/a", 2)
    assert store.get("/a").lease == 0
    assert list(store.expire(20)) == [lease]
    assert store.get("/a").value == 2
    assert store.get("/b") is None


def test_a_key_that_is_written_without_a_lease_leaves_its_lease(store: Any) -> None:
    """As in etcd, every put says anew which lease the key is attached to."""
    lease, other = store.grant(10), store.grant(100)
    store.set("/a", 1, lease=lease)
    store.set("/b", 1, lease=lease)
    store.set("/a", 2)
    store.txn([], [("/b", 2)], lease=other)
    store.revoke(lease)
    assert (store.get("/a").value, store.get("/b").value) == (2, 2)
    store.revoke(other)
    assert store.get("/b") is None


def test_a_snapshot_restores_the_state(store: Any, open_store: Opener) -> None:
    """Same keys, values, revisions and leases; history begins there; damage is noticed."""
    lease = store.grant(60, now=0)
    store.set("/a", {"x": [1, "\u00e9"]}, lease=lease)
    store.set("/b", 1)
    store.put_sample(f"{SAMPLES}default/p", (1.0, 1.0, (("main", 1, 2),)))
    store.delete("/b")
    data = store.snapshot()
    again = open_store.restore(data)
    assert again.revision == store.revision
    assert [repr(kv) for kv in again.list("").items] == [repr(kv) for kv in store.list("").items]
    assert again.sample(f"{SAMPLES}default/p") == (1.0, 1.0, (("main", 1, 2),))
    assert again.set("/c", 1) == store.revision + 1
    assert again.expire(61) == [lease]
    with pytest.raises(Compacted):
        again.get("/a", 1)
    with pytest.raises(BadRequest, match="damaged"):
        open_store.restore(data[:-9] + b"0" + data[-8:])
    with pytest.raises(BadRequest, match="not a snapshot"):
        open_store.restore(b"hello")


def test_a_digest_tells_runs_apart(open_store: Opener) -> None:
    """Equal histories, equal digests; one different value, another one."""

    def run(value: int) -> str:
        store = open_store()
        digest = HistoryDigest(store)
        store.set("/a", value)
        store.put_sample(f"{SAMPLES}default/p", (1.0, 1.0, ()))
        digest.update()
        store.delete("/a")
        digest.update()
        return digest.hexdigest()

    assert run(1) == run(1)
    assert run(1) != run(2)


def sampling_document(_key: str, sample: Any) -> dict[str, int]:
    """A sample's document in the model: its CPU alone."""
    return {"v": sample[2][0][1]}


class StoreMachine(RuleBasedStateMachine):
    """Random programs against a model: a list of all changes ever made."""

    backend: TestedBackend

    KEYS = st.sampled_from(["/a/1", "/a/2", "/b/1", f"{SAMPLES}d/p"])
    SAMPLED = st.sampled_from([f"{SAMPLES}d/p", f"{SAMPLES}d/q", f"{SAMPLES}d/r"])

    @initialize()
    def begin(self) -> None:
        """An empty store, an empty model."""
        self.directory = tempfile.TemporaryDirectory()
        self.open_store = Opener(self.backend, Path(self.directory.name))
        self.store = self.open_store(sample_document=sampling_document)
        self.changes: list[tuple[int, str, Any]] = []  # (revision, key, value or None)
        self.compacted = 0
        self.watches: list[tuple[Any, str, int]] = []

    def state_at(self, revision: int) -> dict[str, Any]:
        """What the model says of a revision."""
        state: dict[str, Any] = {}
        for at, key, value in self.changes:
            if at <= revision:
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
        return state

    def history(self) -> list[tuple[Any, ...]]:
        """Each change with (create_revision, version) and (mod_revision, value) before it."""
        born: dict[str, tuple[int, int]] = {}
        last: dict[str, tuple[int, Any]] = {}
        found = []
        for revision, key, value in self.changes:
            if value is not None:
                created, version = born.get(key, (revision, 0))
                born[key] = (created, version + 1)
            found.append((revision, key, value, born[key], last.get(key)))
            if value is None:
                del born[key], last[key]
            else:
                last[key] = (revision, value)
        return found

    @rule(key=KEYS, value=st.integers(0, 9))
    def set(self, key: str, value: int) -> None:
        """A write."""
        revision = self.store.set(key, {"v": value})
        assert revision == (self.changes[-1][0] if self.changes else 0) + 1
        self.changes.append((revision, key, {"v": value}))

    @rule(rows=st.lists(st.tuples(SAMPLED, st.integers(0, 9)), min_size=1, max_size=6))
    def tick(self, rows: list[tuple[str, int]]) -> None:
        """Samples as pods write them: many, and nobody asks for a revision."""
        revision = self.changes[-1][0] if self.changes else 0
        for number, (key, value) in enumerate(rows, 1):
            self.store.sample_writer(key)(1.0, 1.0, "main", value, 5)
            self.changes.append((revision + number, key, {"v": value}))

    @rule(key=SAMPLED, value=st.integers(0, 9))
    def put_sample(self, key: str, value: int) -> None:
        """One sample, and its revision."""
        revision = self.store.put_sample(key, (1.0, 1.0, (("main", value, 5),)))
        assert revision == (self.changes[-1][0] if self.changes else 0) + 1
        assert self.store.sample(key) == (1.0, 1.0, (("main", value, 5),))
        self.changes.append((revision, key, {"v": value}))

    @rule(key=st.one_of(KEYS, SAMPLED))
    def delete(self, key: str) -> None:
        """A deletion."""
        revision = self.store.delete(key)
        if revision is not None:
            self.changes.append((revision, key, None))

    @rule(key=KEYS, value=st.integers(0, 9), right=st.booleans())
    def compare(self, key: str, value: int, right: bool) -> None:
        """A compare-and-set with the right or a wrong revision."""
        known = self.store.get(key)
        expected = (known.mod_revision if known else 0) if right else 10**6
        result = self.store.txn([(key, expected)], [(key, {"v": value})])
        assert result.succeeded is right
        if right:
            self.changes.append((result.revision, key, {"v": value}))

    @rule(prefix=st.sampled_from(["", "/a/", "/b/", SAMPLES]))
    def watch(self, prefix: str) -> None:
        """Open a watch from now."""
        self.watches.append((self.store.watch(prefix), prefix, self.store.revision))

    @precondition(lambda self: self.watches)
    @rule(data=st.data())
    def poll(self, data: st.DataObject) -> None:
        """A watch shows exactly what the model has after its position, or says Compacted."""
        index = data.draw(st.integers(0, len(self.watches) - 1))
        watch, prefix, position = self.watches[index]
        if position < self.compacted:
            with pytest.raises(Compacted):
                watch.poll()
            del self.watches[index]
            return
        expected = [change for change in self.history() if change[0] > position]
        seen = [
            (
                event.revision,
                event.kv.key,
                event.kv.value if event.type == "PUT" else None,
                (event.kv.create_revision, event.kv.version),
                event.previous and (event.previous.mod_revision, event.previous.value),
            )
            for event in watch.poll()
        ]
        assert seen == [change for change in expected if change[1].startswith(prefix)]
        self.watches[index] = (watch, prefix, self.store.revision)

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        """Forget a part of the history."""
        revision = data.draw(st.integers(1, self.changes[-1][0]))
        if revision <= self.compacted:
            with pytest.raises(Compacted):
                self.store.compact(revision)
        else:
            self.store.compact(revision)
            self.compacted = revision

    @rule(revision=st.integers(0, 30))
    def read_past(self, revision: int) -> None:
        """An old revision is as the model has it, or refused."""
        if revision > self.store.revision:
            with pytest.raises(FutureRevision):
                self.store.list("", revision)
        elif revision < self.compacted:
            with pytest.raises(Compacted):
                self.store.list("", revision)
        else:
            listed = self.store.list("", revision)
            state = self.state_at(revision)
            assert {kv.key: kv.value for kv in listed.items} == state
            for key in state:
                kv = self.store.get(key, revision)
                last = [change for change in self.history() if change[:2] == (kv.mod_revision, key)]
                assert [(kv.create_revision, kv.version)] == [change[3] for change in last]

    @rule()
    def restore(self) -> None:
        """Save and restore: the present is the same."""
        data = self.store.snapshot()
        self.store = self.open_store.restore(data, sample_document=sampling_document)
        self.compacted = self.store.revision
        self.watches = []

    @invariant()
    def present_agrees(self) -> None:
        """The present is what the model says."""
        if hasattr(self, "store"):
            listed = self.store.list("")
            assert {kv.key: kv.value for kv in listed.items} == self.state_at(10**9)
            assert listed.revision == self.store.revision

    def teardown(self) -> None:
        """Remove the directory of the store."""
        if hasattr(self, "directory"):
            self.directory.cleanup()


def machine_of(backend: TestedBackend) -> Any:
    """Return the test case of a backend."""
    machine = type("StoreMachine", (StoreMachine,), {"backend": backend})
    case = machine.TestCase  # type: ignore[attr-defined]  # hypothesis adds it to the subclass
    case.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    return case


for _backend in BACKENDS:
    globals()[f"Test{_backend.name.title()}StoreMachine"] = machine_of(_backend)
