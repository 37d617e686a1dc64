"""watch: order, selectors, the past, falling behind."""

from __future__ import annotations

import pytest
from api_builders import a_config_map, a_pod, a_running_pod, labelled, make_api
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.apiserver import KubeAPI, ResourceWatch
from kubesim.errors import BadRequest, Expired, FrozenDocument, Timeout, WatchClosed


def seen(watch: ResourceWatch) -> list[tuple[str, str]]:
    return [(event.type, event.object["metadata"]["name"]) for event in watch.poll()]


def test_a_watch_tells_each_change_once_and_in_order(api: KubeAPI) -> None:
    """ADDED, MODIFIED, DELETED, with the object before and after, frozen."""
    watch = api.watch("Pod")
    made = api.create(a_pod())
    api.bind("web", "default", "node-1")
    api.delete("Pod", "web", grace_period_seconds=0)
    api.create(a_config_map())
    added, modified, deleted = watch.poll()
    assert (added.type, modified.type, deleted.type) == ("ADDED", "MODIFIED", "DELETED")
    assert added.object == made and added.previous is None
    assert modified.object["spec"]["nodeName"] == "node-1"
    assert modified.previous == added.object and deleted.previous == modified.object
    assert deleted.object["metadata"]["resourceVersion"] == str(deleted.revision)
    assert deleted.object["spec"] == modified.object["spec"], "the last state"
    assert added.revision < modified.revision < deleted.revision == api.store.revision - 1
    with pytest.raises(FrozenDocument):
        added.object["spec"]["nodeName"] = "x"
    assert watch.poll() == []
    assert watch.resource_version == api.store.revision


def test_watches_share_their_objects(api: KubeAPI) -> None:
    """A thousand watchers cost no copies."""
    one, two = api.watch("Pod"), api.watch("Pod", label_selector="!x")
    api.create(a_pod())
    assert one.poll()[0].object is two.poll()[0].object is api.peek("Pod", "web")


def test_a_label_selector_turns_changes_into_comings_and_goings(api: KubeAPI) -> None:
    """Entering the selection is ADDED, leaving it DELETED with the last state that matched."""
    watch = api.watch("Pod", label_selector="app=web")
    pod = api.create(labelled(a_pod(), app="db"))
    assert watch.poll() == []
    pod = api.update(labelled(pod, app="web"))
    (entered,) = watch.poll()
    assert entered.type == "ADDED" and entered.object == pod
    assert entered.previous is not None
    pod = api.update(labelled(pod, app="web", tier="front"))
    (changed,) = watch.poll()
    assert changed.type == "MODIFIED"
    after = api.update(labelled(pod, app="db"))
    (left,) = watch.poll()
    assert left.type == "DELETED"
    assert left.object["metadata"]["labels"] == {"app": "web", "tier": "front"}
    assert left.object["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    api.delete("Pod", "web")
    assert watch.poll() == [], "for this watcher it was gone already"


def test_a_field_selector_does_the_same(api: KubeAPI) -> None:
    """How a kubelet watches the pods of its node."""
    mine = api.watch("Pod", field_selector="spec.nodeName=node-1")
    unbound = api.watch("Pod", field_selector="spec.nodeName=")
    api.create(a_pod())
    assert (seen(mine), seen(unbound)) == ([], [("ADDED", "web")])
    api.bind("web", "default", "node-1")
    assert (seen(mine), seen(unbound)) == ([("ADDED", "web")], [("DELETED", "web")])
    api.delete("Pod", "web", grace_period_seconds=0)
    assert (seen(mine), seen(unbound)) == ([("DELETED", "web")], [])
    with pytest.raises(BadRequest, match="field label not supported"):
        api.watch("Pod", field_selector="spec.volumes=x")


def test_a_watch_of_one_namespace(api: KubeAPI) -> None:
    """Only what is in it, and not what is in one whose name begins the same."""
    for name in ("shop", "shop-2"):
        api.create({"kind": "Namespace", "metadata": {"name": name}})
    watch = api.watch("cm", "shop")
    api.create(a_config_map("a"), namespace="shop-2")
    api.create(a_config_map("b"), namespace="shop")
    assert seen(watch) == [("ADDED", "b")]


def test_a_watch_from_the_past(api: KubeAPI) -> None:
    """Everything after the revision, and from 0 first what is there."""
    api.create(a_pod("a"))
    revision = api.store.revision
    api.create(a_pod("b"))
    assert seen(api.watch("Pod", resource_version=revision)) == [("ADDED", "b")]
    assert seen(api.watch("Pod", resource_version=str(revision))) == [("ADDED", "b")]
    watch = api.watch("Pod", resource_version="0", label_selector="!gone")
    assert watch.wait(0)
    assert [event.type for event in watch.poll(limit=1)] == ["ADDED"]
    api.delete("Pod", "a")
    assert seen(watch) == [("ADDED", "b")]
    assert seen(watch) == [("DELETED", "a")]


def test_a_watch_of_the_future_or_of_what_is_forgotten(api: KubeAPI) -> None:
    """504 for what has not been, 410 for what is compacted."""
    api.create(a_pod("a"))
    with pytest.raises(Timeout, match="Too large resource version"):
        api.watch("Pod", resource_version=1000)
    api.store.compact(api.store.revision)
    with pytest.raises(Expired, match=r"too old resource version: 1 \(5\)"):
        api.watch("Pod", resource_version=1)


def test_a_watch_that_falls_behind_is_told_so() -> None:
    """Expired out of poll: nothing is left out in silence."""
    api = make_api(history_limit=10)
    watch = api.watch("cm")
    api.create(a_config_map())
    for number in range(50):
        api.update(a_config_map(n=str(number)))
    with pytest.raises(Expired, match="too old resource version"):
        watch.poll()
    objects, revision = api.snapshot("cm")
    watch = api.watch("cm", resource_version=revision)
    api.update(a_config_map(n="last"))
    assert [event.object["data"]["n"] for event in watch.poll()] == ["last"]
    assert objects[0]["data"] == {"n": "49"}


def test_on_ready_is_called_once_per_silence(api: KubeAPI) -> None:
    """After a poll that found nothing, the next change wakes; more changes do not wake again."""
    calls: list[int] = []
    watch = api.watch("cm", on_ready=lambda: calls.append(1))
    api.create(a_config_map("a"))
    api.create(a_config_map("b"))
    assert calls == [1]
    assert len(watch.poll()) == 2 and watch.poll() == []
    api.delete("cm", "a")
    assert calls == [1, 1]
    watch.close()
    api.delete("cm", "b")
    assert calls == [1, 1]
    with pytest.raises(WatchClosed):
        watch.poll()


def test_usage_samples_can_be_watched(api: KubeAPI) -> None:
    """As PodMetrics documents, although they are kept as tuples."""
    a_running_pod(api)
    watch = api.watch("PodMetrics")
    write = api.metrics_writer("default", "web")
    write(3.0, 1.0, "main", 150, 70_000_000)
    write(4.0, 1.0, "main", 151, 70_000_000)
    api.forget_metrics("default", "web")
    events = watch.poll()
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[1].object["containers"][0]["usage"]["cpu"] == "151m"
    assert events[1].object["metadata"]["resourceVersion"] == str(events[1].revision)


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["web", "db", None])), max_size=30
)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.integers(1, 5))
def test_a_filtered_watch_rebuilds_the_filtered_list(
    steps: list[tuple[str, str | None]], every: int
) -> None:
    """A cache fed by the watch equals a fresh list, at every point in time."""
    api = make_api()
    watch = api.watch("cm", label_selector="app=web")
    cache: dict[str, object] = {}
    for number, (name, label) in enumerate(steps):
        exists = api.peek("cm", name) is not None
        if label is None:
            if exists:
                api.delete("cm", name)
        else:
            document = labelled(a_config_map(name, n=str(number)), app=label)
            (api.update if exists else api.create)(document)
        if number % every:
            continue
        for event in watch.poll():
            key = event.object["metadata"]["name"]
            assert (event.type == "ADDED") == (key not in cache)
            if event.type == "DELETED":
                del cache[key]
            else:
                cache[key] = event.object
        listed = api.list("cm", label_selector="app=web")["items"]
        assert sorted(cache) == [item["metadata"]["name"] for item in listed]
        assert [cache[key] for key in sorted(cache)] == listed


def test_a_watch_list_says_when_it_was_all(api: KubeAPI) -> None:
    """Initial events, a marked BOOKMARK, then the changes; bookmarks move on with the watch."""
    api.create(a_config_map("a"))
    watch = api.watch_list("cm")
    first, mark = watch.poll()
    assert (first.type, first.object["metadata"]["name"]) == ("ADDED", "a")
    assert mark.type == "BOOKMARK" and mark.object["kind"] == "ConfigMap"
    assert mark.object["metadata"] == {
        "resourceVersion": str(api.store.revision),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    api.create(a_config_map("b"))
    assert [event.type for event in watch.poll()] == ["ADDED"]
    assert watch.bookmark().object["metadata"] == {"resourceVersion": str(api.store.revision)}


def test_a_watch_list_does_not_care_for_old_revisions(api: KubeAPI) -> None:
    """Any revision that was reached will do; one from the future is refused."""
    api.create(a_config_map("a"))
    watch = api.watch_list("cm", resource_version="1", label_selector="app=none")
    assert [event.type for event in watch.poll()] == ["BOOKMARK"]
    with pytest.raises(Timeout):
        api.watch_list("cm", resource_version="99")
