"""Watches by the value of a field: what a kubelet sees of the pods of its own node."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim import Cluster
from kubesim.errors import Compacted
from kubesim.store import EtcdStore

PREFIX = "/registry/pods/"
NODES = ("", "one", "two")


def pod(node: str) -> dict[str, Any]:
    return {"spec": {"nodeName": node} if node else {}}


def indexed(**options: Any) -> EtcdStore:
    store = EtcdStore(**options)
    store.trigger(PREFIX, "spec.nodeName")
    return store


def node_of(document: Any) -> str:
    return str(document["spec"].get("nodeName", ""))


def seen(events: list[Any]) -> list[tuple[int, str, str]]:
    return [(event.revision, event.type, event.kv.key) for event in events]


def concerns(event: Any, node: str) -> bool:
    states = [event.kv.value, event.previous.value if event.previous else None]
    return any(state is not None and state["spec"].get("nodeName", "") == node for state in states)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "delete", "both", "poll", "other"]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(NODES),
        ),
        max_size=40,
    )
)
def test_it_sees_what_a_plain_watch_sees_of_its_value(steps: list[tuple[str, str, str]]) -> None:
    """The same changes in the same order, whenever it is polled; it is woken for them alone."""
    store = indexed()
    woken: dict[str, int] = dict.fromkeys(NODES, 0)

    def wake(node: str) -> Any:
        return lambda: woken.__setitem__(node, woken[node] + 1)

    plain = store.watch(PREFIX)
    narrow = {node: store.watch(PREFIX, where=node, on_ready=wake(node)) for node in NODES}
    found: dict[str, list[Any]] = {node: [] for node in NODES}
    everything: list[Any] = []
    for what, name, node in steps:
        if what == "put":
            store.set(PREFIX + name, pod(node))
        elif what == "delete":
            store.delete(PREFIX + name)
        elif what == "both":
            store.txn([], [(PREFIX + name, pod(node))], [PREFIX + "a"] if name != "a" else [])
        elif what == "other":
            store.set("/registry/configmaps/x", {"spec": {"nodeName": node}})
        else:
            events = narrow[node].poll()
            assert not events or woken[node] > 0
            found[node] += events
        for each in NODES:
            present = [kv for kv in store.list(PREFIX).items if node_of(kv.value) == each]
            assert list(store.list(PREFIX, where=each).items) == present
    everything += plain.poll()
    for node in NODES:
        found[node] += narrow[node].poll()
        expected = [event for event in everything if concerns(event, node)]
        assert seen(found[node]) == seen(expected)
        assert woken[node] <= len(expected)


def test_it_is_told_when_it_fell_behind() -> None:
    """Compaction by hand and by the bound of the history: never a silent gap."""
    store = indexed()
    watch = store.watch(PREFIX, where="one")
    for number in range(10):
        store.set(f"{PREFIX}{number}", pod("one"))
    store.compact(5)
    with pytest.raises(Compacted):
        watch.poll()
    assert len(store.watch(PREFIX, since_revision=5, where="one").poll()) == 5
    small = indexed(history_limit=20)
    lazy = small.watch(PREFIX, where="two")
    for number in range(200):
        small.set(f"{PREFIX}{number % 3}", pod("one"))
    with pytest.raises(Compacted):
        lazy.poll()


def test_a_closed_watch_is_not_woken() -> None:
    """Closing frees it, armed or not."""
    store = indexed()
    woken: list[int] = []
    watch = store.watch(PREFIX, where="one", on_ready=lambda: woken.append(1))
    watch.close()
    store.set(PREFIX + "a", pod("one"))
    assert woken == []
    assert store.statistics()["watches"] == 0


def test_a_kubelet_is_not_woken_by_pods_of_other_nodes() -> None:
    """A hundred pods on one node cost the other kubelet nothing but its own heartbeats."""
    with Cluster(nodes=2, hpa=False, seed=1) as cluster:
        cluster.sleep(5)
        watch = cluster.api.watch("Pod", field_selector="spec.nodeName=node-2")
        assert watch.poll() == []
        for number in range(5):
            made = {"kind": "Pod", "metadata": {"name": f"p{number}"}}
            spec = {"nodeName": "node-1", "containers": [{"name": "c", "image": "x"}]}
            cluster.api.create({**made, "spec": spec})
        cluster.sleep(5)
        assert watch.poll() == []
        cluster.api.create(
            {
                "kind": "Pod",
                "metadata": {"name": "mine"},
                "spec": {"nodeName": "node-2", "containers": [{"name": "c", "image": "x"}]},
            }
        )
        events = watch.poll()
    assert next((e.type, e.object["metadata"]["name"]) for e in events) == ("ADDED", "mine")


def test_an_index_knows_what_was_there_before() -> None:
    """Keys that were written before the index, and those of a snapshot."""
    store = EtcdStore()
    store.set(f"{PREFIX}a", pod("one"))
    store.set(f"{PREFIX}b", pod("two"))
    store.set("/registry/other/c", pod("one"))
    store.trigger(PREFIX, "spec.nodeName")
    assert [kv.key for kv in store.list(PREFIX, where="one").items] == [f"{PREFIX}a"]
    store.set(f"{PREFIX}b", pod("one"))
    again = EtcdStore.restore(store.snapshot())
    again.trigger(PREFIX, "spec.nodeName")
    for each in (store, again):
        listed = each.list(PREFIX, where="one")
        assert [kv.key for kv in listed.items] == [f"{PREFIX}a", f"{PREFIX}b"]
        assert listed.revision == store.revision


def test_a_kubelet_lists_the_pods_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not those of the cluster: a thousand kubelets would list each other's pods."""
    with Cluster(nodes=6, seed=1, hpa=False) as cluster:
        container = {"name": "main", "image": "nginx"}
        for number in range(24):
            document = {"kind": "Pod", "metadata": {"name": f"p{number}"}}
            cluster.api.create({**document, "spec": {"containers": [container]}})
        cluster.sleep(20)
        listed: list[tuple[str | None, int]] = []
        real = cluster.store.list

        def spy(prefix: str, revision: int | None = None, **options: Any) -> Any:
            result = real(prefix, revision, **options)
            if prefix == PREFIX:
                listed.append((options.get("where"), len(result.items)))
            return result

        monkeypatch.setattr(cluster.store, "list", spy)
        cluster.sleep(1_300)
        of_nodes = [(where, count) for where, count in listed if where is not None]
        assert {where for where, _ in of_nodes} - {""} == {f"node-{n}" for n in range(1, 7)}
        assert max(count for _, count in of_nodes) < 10
        placed, _ = cluster.api.snapshot("Pod", field_selector="spec.nodeName=node-2")
        assert {each["spec"]["nodeName"] for each in placed} == {"node-2"}
