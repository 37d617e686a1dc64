"""How much a store holds in bytes: the history, the quota, the alarm, and the way out."""

from __future__ import annotations

import pytest

from kubesim import Cluster
from kubesim.errors import Compacted, Expired, NoSpace, StatusError
from kubesim.store import EtcdStore

MIB = 1024 * 1024
MESSAGE = "etcdserver: mvcc: database space exceeded"
LARGE, SMALL = "x" * 100_000, "y"


def config_map(name: str, text: str) -> dict[str, object]:
    """A ConfigMap that holds a text."""
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}}


def in_use(store: EtcdStore) -> int:
    """Bytes of all versions that a store keeps."""
    return store.maintenance.status().db_size_in_use


# -- the history ----------------------------------------------------------------------------------


def test_old_versions_of_a_large_value_are_bounded_in_bytes() -> None:
    """The number of changes is far below its limit; those who resume too far back list again."""
    store = EtcdStore(history_bytes=MIB)
    for number in range(100):
        store.set("/big", f"{number}{LARGE}")
    assert in_use(store) < 1.3 * MIB
    assert 5 <= store.statistics()["changes"] <= 12
    assert store.compact_revision > 80
    with pytest.raises(Compacted):
        store.watch("/", since_revision=50)
    with pytest.raises(Compacted):
        store.get("/big", revision=50)
    resumed = store.watch("/", since_revision=store.compact_revision)
    assert [event.revision for event in resumed.poll()][-1] == 100


def test_deleted_values_are_old_versions() -> None:
    """A hundred large values that are deleted do not stay in the history."""
    store = EtcdStore(history_bytes=MIB)
    for number in range(100):
        store.set(f"/big/{number}", LARGE)
    assert in_use(store) > 9 * MIB
    for number in range(100):
        store.delete(f"/big/{number}")
    assert in_use(store) < 1.3 * MIB


def test_small_values_fill_a_history_too() -> None:
    """Values that are not counted one by one count with their average."""
    store = EtcdStore(history_bytes=MIB)
    for number in range(5_000):
        store.set("/small", f"{number}" + "z" * 2_000)
    assert store.statistics()["changes"] < 700
    assert in_use(store) < 1.5 * MIB


def test_a_large_value_is_found_among_small_ones() -> None:
    """Only some writes are weighed; a fixed pattern of writes does not escape."""
    store = EtcdStore(history_bytes=8 * MIB)
    for number in range(20_000):
        store.set("/a" if number % 10 else "/big", SMALL if number % 10 else f"{number}{LARGE}")
    kept = store.statistics()["changes"]
    assert kept / 10 * len(LARGE) < 10 * MIB


@pytest.mark.parametrize("quota_bytes", [0, 200 * MIB])
def test_a_write_of_many_keys_counts_as_its_keys_one_by_one(quota_bytes: int) -> None:
    """Far from the quota some keys stand for all, unless one of them is large."""
    for text in ("z" * 1_000, LARGE):
        puts = [(f"/{number}", f"{number}{text}") for number in range(100)]
        options = {"quota_bytes": quota_bytes} if quota_bytes else {}
        at_once, one_by_one = EtcdStore(**options), EtcdStore(quota_bytes=200 * MIB)
        at_once.txn([], puts)
        for put in puts:
            one_by_one.set(*put)
        assert in_use(at_once) == pytest.approx(in_use(one_by_one), rel=0.02)


@pytest.mark.parametrize("index", range(5))
def test_a_large_value_in_a_write_of_many_keys_is_counted(index: int) -> None:
    """If it is not among the keys that stand for all, when the next large ones are weighed."""
    store = EtcdStore(quota_bytes=10_000 * MIB)
    store.txn([], [(f"/{n}", LARGE if n == index else SMALL) for n in range(48)])
    for number in range(3):
        store.set(f"/next/{number}", LARGE)
    assert 4.0 < in_use(store) / len(LARGE) < 4.3


def test_ordinary_objects_keep_their_history() -> None:
    """The number of changes limits the history of ordinary objects, as ever."""
    store = EtcdStore(history_limit=1_000)
    for number in range(3_000):
        store.set(f"/pods/{number % 10}", {"spec": {"n": number, "text": "x" * 2_000}})
    assert store.statistics()["changes"] >= 1_000
    assert store.maintenance.quota.dropped == 0


def test_a_transaction_is_not_cut() -> None:
    """All changes of the newest revision stay, however large they are."""
    store = EtcdStore(history_bytes=MIB)
    keys = [f"/{number}" for number in range(30)]
    store.txn([], [(key, LARGE) for key in keys])
    result = store.txn([], [(key, LARGE + SMALL) for key in keys])
    watch = store.watch("/", since_revision=result.revision - 1)
    assert len(watch.poll()) == 30


def test_a_restored_store_counts_what_it_holds() -> None:
    """A snapshot has no history, and its values are weighed."""
    store = EtcdStore()
    for number in range(10):
        store.set("/big", f"{number}{LARGE}")
    restored = EtcdStore.restore(store.snapshot())
    assert 100_000 < in_use(restored) < 110_000


# -- the quota ------------------------------------------------------------------------------------


def test_a_full_store_refuses_writes_and_nothing_else() -> None:
    """NOSPACE: puts and leases are refused; reads, watches, deletions and compactions go on."""
    store = EtcdStore(quota_bytes=MIB)
    watch = store.watch("/")
    with pytest.raises(NoSpace, match=MESSAGE):
        for number in range(20):
            store.set(f"/big/{number}", LARGE)
    stored = [entry.key for entry in store.list("/big/").items]
    assert len(stored) == 10
    assert store.maintenance.status().alarms == ("NOSPACE",)
    for write in (
        lambda: store.set("/tiny", 1),
        lambda: store.txn([], [("/tiny", 1)], ["/big/0"]),
        lambda: store.grant(60.0),
    ):
        with pytest.raises(NoSpace):
            write()
    assert store.get("/tiny") is None
    assert store.get("/big/0") is not None
    assert len(watch.poll()) == 10
    assert store.delete("/big/0") == 11
    store.compact(5)
    assert [event.type for event in watch.poll()] == ["DELETE"]


def test_the_way_out_of_a_full_store() -> None:
    """Delete, compact, defragment, disarm: without one of them the next write is refused again."""
    store = EtcdStore(quota_bytes=MIB)
    with pytest.raises(NoSpace):
        for number in range(20):
            store.set(f"/big/{number}", LARGE)
    for number in range(10):
        store.delete(f"/big/{number}")
    store.compact(store.revision)
    store.maintenance.disarm()
    with pytest.raises(NoSpace):
        store.set("/new", LARGE)  # the file has not become smaller
    assert store.maintenance.status().db_size > MIB * 0.9
    assert in_use(store) < 10_000
    store.maintenance.defragment()
    with pytest.raises(NoSpace):
        store.set("/new", LARGE)  # the alarm is still active
    store.maintenance.disarm()
    assert store.set("/new", LARGE) > 0
    assert store.maintenance.status().alarms == ()


def test_small_values_fill_a_store_too() -> None:
    """A quota is kept to a few percent whatever is stored."""
    store = EtcdStore(quota_bytes=MIB)
    written = 0
    with pytest.raises(NoSpace):
        for number in range(10_000):
            store.set(f"/small/{number}", {"text": "x" * 1_000})
            written += 1
    assert 0.7 * MIB < written * 1_256 < 1.05 * MIB


def test_the_same_object_written_again_and_again_does_not_fill_a_store() -> None:
    """Old versions take at most a quarter of the quota."""
    store = EtcdStore(quota_bytes=4 * MIB)
    for number in range(200):
        store.set("/big", f"{number}{LARGE}")
    assert store.maintenance.status().alarms == ()


def test_without_a_quota_everything_is_stored() -> None:
    """A quota below zero is none, as for etcd."""
    store = EtcdStore(quota_bytes=-1, history_bytes=MIB)
    for number in range(50):
        store.set(f"/big/{number}", LARGE)
    assert store.maintenance.status().quota == 0


# -- a cluster whose store is full ----------------------------------------------------------------


def test_a_cluster_with_a_full_store_answers_as_a_real_one_and_recovers() -> None:
    """A Status of code 500 without a reason; the components go on, and work again afterwards."""
    with Cluster(nodes=2, seed=1, quota_backend_bytes=16 * MIB) as cluster:
        cluster.set_traffic(10)
        cluster.sleep(30)
        pods = len(cluster.api.list_pods())
        with pytest.raises(StatusError) as caught:
            for number in range(40):
                cluster.api.create(config_map(f"big-{number}", "x" * 900_000))
        assert caught.value.status() == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": MESSAGE,
            "code": 500,
        }
        names = [item["metadata"]["name"] for item in cluster.api.list("ConfigMap")["items"]]
        stored = sum(name.startswith("big-") for name in names)
        assert 16 <= stored <= 18
        cluster.set_traffic(40)
        cluster.sleep(300)  # nobody can write a status, renew a lease or scale
        assert len(cluster.api.list_pods()) == pods
        for number in range(stored):
            cluster.api.delete("ConfigMap", f"big-{number}")
        store = cluster.store
        store.compact(store.revision)
        store.maintenance.defragment()
        store.maintenance.disarm()
        cluster.sleep(300)
        assert store.maintenance.status().alarms == ()
        assert len(cluster.api.list_pods()) > pods
        assert not cluster.failures


def test_watches_and_audit_of_a_cluster_do_not_keep_what_the_store_drops() -> None:
    """An object written 600 times: old resourceVersions are gone, and so are their records."""
    with Cluster(nodes=0, seed=1, hpa=False, quota_backend_bytes=16 * MIB) as cluster:
        api = cluster.api
        first = api.create(config_map("big", LARGE))
        for number in range(600):
            api.update({**config_map("big", f"{number}{LARGE}"), "apiVersion": "v1"})
        with pytest.raises(Expired):
            api.watch("ConfigMap", resource_version=first["metadata"]["resourceVersion"])
        rows = [row for row in api.audit.rows() if row.key.endswith("/big")]
        assert len(rows) < 80
        assert cluster.store.maintenance.status().alarms == ()
