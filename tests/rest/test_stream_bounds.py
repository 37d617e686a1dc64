"""What streams and caches keep for clients is bounded in bytes, whatever the clients do."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver.options import is_valid
from kubesim.apiserver.patch.strategies import field_named
from kubesim.apiserver.validation import label_key_error, label_value_error
from kubesim.kubelet.pod.containers import image_id
from kubesim.objects import meta, nodeaffinity
from kubesim.rest.http import streams
from kubesim.rest.http.encodings import EncodingCache
from kubesim.rest.http.streams import Stream, StreamWriter, lines_within
from kubesim.rest.kube.jsoncache import JSONCache
from kubesim.rest.kube.podlogs import LogFollower, LogOptions
from kubesim.rest.kube.requestinfo import ListQuery, RequestInfo, resolve
from kubesim.rest.kube.response import Transformer
from kubesim.rest.kube.watch import KubeWatch
from kubesim.rest.serializer.negotiation import OBJECTS
from kubesim.rest.simple.watch import ChangeStream

MIB = 1024 * 1024
LARGE = "x" * 900_000
MAPS = RequestInfo("", "v1", "configmaps", "default")


def config_map(name: str, text: str) -> dict[str, Any]:
    """A ConfigMap that holds a text."""
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}}


def nothing() -> None:
    """Be called when there is news."""


def kube_watch(cluster: Cluster, encodings: EncodingCache, *, initial: bool = False) -> KubeWatch:
    """The stream of one watch of the ConfigMaps."""
    target = resolve(cluster.api.registry, MAPS)
    options = ListQuery("", "", None, "", "" if initial else "0", "", True, initial, initial, None)
    transformer = Transformer(OBJECTS, target, cluster.api.clock)
    return KubeWatch(cluster.api, target, options, transformer, encodings, nothing)


# -- streams --------------------------------------------------------------------------------------


def test_a_watch_takes_a_backlog_of_large_objects_and_no_more() -> None:
    """Forty changes of 900 kB wait in the store; a stream takes few of them at once."""
    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        encodings = EncodingCache()
        watches = [kube_watch(cluster, encodings) for _ in range(20)]
        first = [len(watch.pull(0)) for watch in watches]
        cluster.api.create(config_map("big", "0"))
        for number in range(40):
            cluster.api.update({**config_map("big", f"{number}{LARGE}"), "apiVersion": "v1"})
        waiting = [len(watch.pull(0)) for watch in watches]
        assert max(first) < MIB
        assert MIB < max(waiting) < 5 * MIB
        assert all(watch.pull(2 * MIB) == b"" for watch in watches)
        assert len(encodings) <= 17  # 16 MiB
        received = 0
        while data := watches[0].pull(0):
            received += data.count(b'{"type":"MODIFIED"')
            assert len(data) < 5 * MIB
        assert received >= 34
        for watch in watches:
            watch.close()


def test_many_small_events_still_come_together() -> None:
    """A thousand small changes are taken in one pull, in their order."""
    events = list(range(1_000))

    def poll(limit: int) -> list[int]:
        taken, events[:] = events[:limit], events[limit:]
        return taken

    data = bytearray()
    lines_within(data, poll, lambda event: b"%d\n" % event)
    assert data.split() == [b"%d" % number for number in range(1_000)]


@pytest.mark.parametrize("api", ["kubernetes", "simple"])
def test_the_objects_of_the_beginning_come_piece_by_piece(api: str) -> None:
    """Twelve objects of 900 kB are not serialized before the client takes them."""
    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        for number in range(12):
            cluster.api.create(config_map(f"big-{number}", LARGE))
        stream: Any
        if api == "simple":
            stream = ChangeStream(cluster.api, "ConfigMap", "", False, EncodingCache(), nothing)
        else:
            stream = kube_watch(cluster, EncodingCache(), initial=True)
        whole, pulls = b"", 0
        while data := stream.pull(0):
            assert len(data) < 3 * MIB
            whole, pulls = whole + data, pulls + 1
        assert pulls >= 6
        added, end = whole.count(b'{"type":"ADDED"'), whole.rfind(b'"BOOKMARK"')
        assert added >= 12
        assert api == "simple" or end > whole.rfind(b'"ADDED"')
        stream.close()


def test_one_large_change_does_not_end_a_simple_watch() -> None:
    """A client that has nothing waiting is not slow, however large the event is."""
    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        api = cluster.api
        api.create(config_map("two", ""))
        stream = ChangeStream(
            api, "ConfigMap", f"{cluster.store.revision}", False, EncodingCache(), nothing
        )
        for number in range(2):
            api.update({**config_map("two", f"{number}{LARGE}"), "apiVersion": "v1"})
        assert stream.pull(0).count(b"MODIFIED") == 2
        assert not stream.done
        stream.close()


class Flood:
    """A source with more and more bytes."""

    done = False

    def pull(self, waiting: int) -> bytes:
        """Return bytes while less than a backlog waits."""
        return b"x" * 300_000 if waiting < streams.BACKLOG_BYTES else b""

    def close(self) -> None:
        """Do nothing."""


def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its backlog is full, and it has accepted nothing for a minute; reading saves it."""
    now = [0.0]
    monkeypatch.setattr(streams, "monotonic", lambda: now[0])
    writer = StreamWriter()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    stream = Stream(ours, Flood(), moved=0.0)
    try:
        for _ in range(50):
            assert writer._serve(stream)
        assert streams.BACKLOG_BYTES <= len(stream.pending) < 1.5 * MIB
        now[0] = streams.STALLED_SECONDS - 1
        assert writer._serve(stream)
        assert len(theirs.recv(4 * MIB)) > 0  # it reads after all
        assert writer._serve(stream)
        now[0] += 2
        for _ in range(50):
            assert writer._serve(stream)
        now[0] += streams.STALLED_SECONDS + 1
        assert not writer._serve(stream)
    finally:
        ours.close()
        theirs.close()
        writer.close()


def test_an_idle_stream_may_wait_as_long_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client is slow only while something waits for it."""
    now = [0.0]
    monkeypatch.setattr(streams, "monotonic", lambda: now[0])
    writer = StreamWriter()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    flood = Flood()
    stream = Stream(ours, flood, moved=0.0)
    try:
        monkeypatch.setattr(flood, "pull", lambda waiting: b"", raising=False)
        assert writer._serve(stream)
        now[0] = 10_000.0
        monkeypatch.setattr(flood, "pull", lambda waiting: b"x" * 8 * MIB, raising=False)
        assert writer._serve(stream)  # more than the socket takes
        assert stream.pending
    finally:
        ours.close()
        theirs.close()
        writer.close()


def test_a_followed_log_waits_for_a_client_that_does_not_read() -> None:
    """While a backlog waits, no further line is taken."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.sleep(20)
        api = cluster.api
        pod: Any = api.get("Pod", "auto-pod-0")
        container = pod["spec"]["containers"][0]["name"]
        options = LogOptions(container, True, None, None, False, None, False)
        follower = LogFollower(api, pod, container, options)
        assert follower.pull(0) != b""
        cluster.sleep(20)
        assert follower.pull(streams.BACKLOG_BYTES) == b""
        assert follower.pull(0) != b""


# -- caches ---------------------------------------------------------------------------------------


def test_serialized_events_are_kept_up_to_a_number_of_bytes() -> None:
    """The oldest make room; a line that is larger than the cache is not kept."""
    cache = EncodingCache(items=3, size=1_000)
    for number in range(5):
        cache.keep((number,), b"x" * 100)
    assert [cache.get((number,)) is not None for number in range(5)] == [False] * 2 + [True] * 3
    cache.keep((5,), b"x" * 850)
    assert (len(cache), cache.get((4,)) is not None) == (2, True)
    cache.keep((6,), b"x" * 1_001)
    assert len(cache) == 0
    cache.keep((7,), b"x" * 600)
    cache.keep((7,), b"x" * 700)
    assert len(cache) == 1


def test_serialized_objects_are_kept_up_to_a_number_of_bytes() -> None:
    """A list of large objects does not stay in memory."""
    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        target = resolve(cluster.api.registry, MAPS)
        transformer = Transformer(OBJECTS, target, cluster.api.clock)
        cache = JSONCache(cluster.api.clock, size=2 * MIB)
        for number in range(2):
            cluster.api.create(config_map(f"big-{number}", LARGE))
        documents = cluster.api.list("ConfigMap", "default")["items"]
        for _ in range(10):  # the same objects again and again do not fill it
            assert len(cache.many(transformer, {"kind": "L", "metadata": {}, "items": documents}))
        assert len(cache) == len(documents)
        for number in range(2, 6):
            cluster.api.create(config_map(f"big-{number}", LARGE))
        documents = cluster.api.list("ConfigMap", "default")["items"]
        for _ in range(3):
            body = cache.many(transformer, {"kind": "L", "metadata": {}, "items": documents})
            assert [item["metadata"]["name"] for item in json.loads(body)["items"]] == [
                meta.name_of(document) for document in documents
            ]
            assert MIB < cache.size <= 2 * MIB


def test_results_for_long_strings_are_not_kept_for_ever() -> None:
    """Caches of functions of strings hold at most one long string; the results stay right."""
    requirement = nodeaffinity._is_valid
    for number in range(3):
        text = f"{number}" + "x" * MIB
        assert image_id(text).startswith(text)
        assert "must" in label_value_error(text)
        assert label_key_error(text)
        assert not is_valid("Strict", text)
        assert not requirement("key", "In", (text,))
        assert not field_named(text).keys
    bounded: list[Any] = [
        image_id,
        label_value_error,
        label_key_error,
        is_valid,
        requirement,
        field_named,
    ]
    assert [cache.cache_info().currsize for cache in bounded] == [1] * len(bounded)
    assert label_value_error("fine") == "" == label_value_error("fine")
    assert label_value_error.cache_info().currsize == 2
