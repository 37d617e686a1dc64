"""What the Kubernetes API sends little by little: watches, logs that are followed, commands."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kube_http import MAPS, MERGE, PODS, TABLE, Kube, config_map, kube
from rest_raw import eventually

from kubesim import Cluster

pytestmark = pytest.mark.live


@pytest.fixture
def served() -> Iterator[tuple[Cluster, Kube]]:
    """A cluster and a client."""
    with kube() as made:
        yield made


def names(events: list[Any]) -> list[tuple[str, str]]:
    """(type, name) of each event."""
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


def test_a_watch_from_a_list_shows_every_later_change(served: tuple[Cluster, Kube]) -> None:
    """From its resourceVersion on, each once and in order; the object carries kind and version."""
    _, ask = served
    version = ask("GET", MAPS).body["metadata"]["resourceVersion"]
    ask("POST", MAPS, config_map("a"))
    ask("PUT", f"{MAPS}/a", config_map("a", k="v"))
    ask("DELETE", f"{MAPS}/a")
    events = ask.watch(f"{MAPS}?watch=true&resourceVersion={version}", 3)
    assert names(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert {(e["object"]["kind"], e["object"]["apiVersion"]) for e in events} == {
        ("ConfigMap", "v1")
    }
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(set(versions))


def test_a_watch_from_nowhere_begins_with_what_is_there(served: tuple[Cluster, Kube]) -> None:
    """Absent and "0": one ADDED for each object; a selected name means that object alone."""
    _, ask = served
    ask("POST", MAPS, config_map("a"))
    ask("POST", MAPS, config_map("b"))
    for start in ("", "&resourceVersion=0"):
        assert names(ask.watch(f"{MAPS}?watch=1{start}", 2)) == [("ADDED", "a"), ("ADDED", "b")]
    path = f"{MAPS}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Db"
    assert names(ask.watch(path, 9)) == [("ADDED", "b")]


def test_a_named_object_is_got_whatever_options_of_a_list_there_are(
    served: tuple[Cluster, Kube],
) -> None:
    """GET of a name is never a watch, and the options of lists are not read."""
    _, ask = served
    ask("POST", MAPS, config_map("b"))
    for query in ("watch=true", "watch=1&timeoutSeconds=x", "resourceVersionMatch=x", "limit=x"):
        reply = ask("GET", f"{MAPS}/b?{query}")
        assert (reply.status, reply.body["kind"]) == (200, "ConfigMap"), query


@pytest.mark.parametrize(
    "path",
    [
        f"{MAPS}?watch=1&timeoutSeconds=1",
        f"{MAPS}?watch=1&resourceVersion=1",  # compacted: ends at once
        f"{PODS}/auto-pod-0/log?follow=1&limitBytes=1",
    ],
)
def test_the_connection_of_a_stream_that_has_ended_is_used_again(
    served: tuple[Cluster, Kube], path: str
) -> None:
    """The next request goes over the same connection, as often as the client likes."""
    cluster, ask = served
    cluster.store.compact(cluster.store.revision)
    for _ in range(2):
        ask.connection.request("GET", path)
        sock = ask.connection.sock
        reply = ask.connection.getresponse()
        assert (reply.status, reply.will_close) == (200, False)
        assert reply.read()
        assert ask("GET", MAPS).status == 200
        assert ask.connection.sock is sock


def test_a_full_server_closes_the_connection_of_a_stream_that_has_ended(
    served: tuple[Cluster, Kube], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no other's place; the client connects again."""
    _, ask = served
    ask.connection.request("GET", f"{MAPS}?watch=1&timeoutSeconds=1")
    reply = ask.connection.getresponse()
    monkeypatch.setattr(ask.server.connections, "limit", 0)
    assert reply.read()
    assert ask.connection.sock.recv(1) == b""
    monkeypatch.undo()
    assert Kube(ask.server)("GET", MAPS).status == 200


def test_a_request_that_waits_behind_a_watch_is_answered(served: tuple[Cluster, Kube]) -> None:
    """Also if it came with the request of the watch; a client that wants no more is let go."""
    _, ask = served
    head = "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: {}\r\n\r\n"
    watch = f"{MAPS}?watch=1&timeoutSeconds=1"
    for first, answers in (("keep-alive", 2), ("close", 1)):
        with socket.create_connection(("127.0.0.1", ask.server.port), timeout=20) as connection:
            both = head.format(watch, first) + head.format(MAPS, "close")
            connection.sendall(both.encode())
            received = b""
            while data := connection.recv(65536):
                received += data
        assert received.count(b"HTTP/1.1 200") == answers
        assert received.count(b"0\r\n\r\n") == 1


def test_selectors_change_what_a_change_is(served: tuple[Cluster, Kube]) -> None:
    """An object that begins to match is ADDED, one that ceases to is DELETED."""
    _, ask = served
    version = ask("GET", MAPS).body["metadata"]["resourceVersion"]
    for labels in ({}, {"on": "yes"}, {"on": "no"}):
        document = config_map("a")
        document["metadata"]["labels"] = labels
        ask("PUT" if ask("GET", f"{MAPS}/a").status == 200 else "POST", _of(labels), document)
    path = f"{MAPS}?watch=true&resourceVersion={version}&labelSelector=on%3Dyes"
    assert names(ask.watch(path, 2)) == [("ADDED", "a"), ("DELETED", "a")]


def _of(labels: dict[str, str]) -> str:
    return f"{MAPS}/a" if labels else MAPS


def test_a_revision_that_is_gone_is_told_in_the_stream(served: tuple[Cluster, Kube]) -> None:
    """200, one ERROR with a Status 410, and the end."""
    cluster, ask = served
    cluster.store.compact(cluster.store.revision)
    (event,) = ask.watch(f"{MAPS}?watch=true&resourceVersion=1", 9)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_a_watch_ends_when_it_was_told_to_with_a_bookmark(served: tuple[Cluster, Kube]) -> None:
    """timeoutSeconds ends it cleanly; bookmarks are sent only on request."""
    _, ask = served
    certificate = names(ask.watch(f"{MAPS}?watch=true&resourceVersion=0&timeoutSeconds=1", 9))
    assert certificate == [("ADDED", "kube-root-ca.crt")]
    path = f"{MAPS}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true"
    events = ask.watch(path, 9)[1:]
    assert {event["type"] for event in events} == {"BOOKMARK"}
    assert events[-1]["object"]["kind"] == "ConfigMap"
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) > 0


def test_a_watch_can_stand_in_for_a_list(served: tuple[Cluster, Kube]) -> None:
    """sendInitialEvents: everything as ADDED, a bookmark that says so, then changes."""
    _, ask = served
    ask("POST", MAPS, config_map("a"))
    path = f"{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    events = ask.watch(f"{path}&allowWatchBookmarks=true", 3)
    assert names(events) == [("ADDED", "a"), ("ADDED", "kube-root-ca.crt"), ("BOOKMARK", "")]
    assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert ask("GET", f"{MAPS}?watch=true&sendInitialEvents=true").status == 422


def test_a_watch_that_makes_no_sense_is_refused_before_it_begins(
    served: tuple[Cluster, Kube],
) -> None:
    """A bad selector 400, a future revision 504, usage of nodes 405."""
    cluster, ask = served
    assert ask("GET", f"{MAPS}?watch=true&fieldSelector=no.such%3D1").status == 400
    future = cluster.store.revision + 1000
    assert ask("GET", f"{MAPS}?watch=true&resourceVersion={future}").status == 504
    assert ask("GET", "/apis/metrics.k8s.io/v1beta1/nodes?watch=true").status == 405


def test_one_stream_too_many_is_told_when_to_come_again(served: tuple[Cluster, Kube]) -> None:
    """429 with Retry-After, for watches and for logs that are followed."""
    _, ask = served
    ask.server.streams.limit = 0
    reply = ask("GET", f"{MAPS}?watch=true")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
    assert ask("GET", f"{PODS}/auto-pod-0/log?follow=true").status == 429


def test_a_watch_whose_client_has_gone_is_forgotten(served: tuple[Cluster, Kube]) -> None:
    """No stream piles up behind a closed socket."""
    _, ask = served
    ask("POST", MAPS, config_map("a"))
    ask.watch(f"{MAPS}?watch=true", 1)
    assert eventually(lambda: len(ask.server.streams) == 0)


def test_a_log_is_followed_until_its_pod_has_ended(served: tuple[Cluster, Kube]) -> None:
    """Lines come as they are written, none twice; the end of the pod ends the stream."""
    cluster, ask = served
    connection = http.client.HTTPConnection("127.0.0.1", ask.server.port, timeout=20)
    connection.request("GET", f"{PODS}/auto-pod-0/log?follow=true&tailLines=1&timestamps=true")
    reply = connection.getresponse()
    assert reply.headers["Content-Type"] == "text/plain"
    lines = [reply.readline().decode()]
    cluster.sleep(3)
    lines += [reply.readline().decode() for _ in range(3)]
    assert len(set(lines)) == 4
    assert lines == sorted(lines)
    cluster.api.delete("Pod", "auto-pod-0", grace_period_seconds=0)
    rest = reply.read().decode().splitlines(keepends=True)
    assert len({*lines, *rest}) == len(lines) + len(rest)


def websocket(port: int, path: str, protocol: str) -> bytes:
    """Everything that a websocket says until it is closed."""
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    return data


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
def test_a_command_is_answered_over_a_websocket(
    served: tuple[Cluster, Kube], protocol: str
) -> None:
    """101 with the key of RFC 6455, output on channel 1, the outcome on channel 3, a goodbye."""
    _, ask = served
    path = f"{PODS}/auto-pod-0/exec?command=echo&command=hi&stdout=true"
    response = websocket(ask.server.port, path, f"other, {protocol}")
    head, _, data = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert f"Sec-WebSocket-Protocol: {protocol}".encode() in head
    assert data.startswith(b"\x82\x04\x01hi\n")
    outcome = data[6:]
    assert outcome[2] == 3
    assert json.loads(outcome[3 : 2 + outcome[1]])["status"] == "Success"
    assert data.endswith(b"\x88\x02\x03\xe8")


def test_what_has_no_process_behind_it_is_refused_readably(served: tuple[Cluster, Kube]) -> None:
    """501 with reason and words; a missing object is missing first.

    A proxy names scheme and port beside the object, and any path may follow.
    """
    _, ask = served
    for part in ("attach", "portforward", "exec?command=ls"):
        reply = ask("POST", f"{PODS}/auto-pod-0/{part}")
        assert (reply.status, reply.body["reason"]) == (501, "NotImplemented")
        assert ask("POST", f"{PODS}/none/{part}").status == 404
    assert ask("POST", f"{PODS}/auto-pod-0/exec").status == 400
    resized = ask("PATCH", f"{PODS}/auto-pod-0/resize", {}, MERGE).body["message"]
    assert resized.startswith("resizing in place is not supported by the simulator: change")
    services = "/api/v1/namespaces/default/services"
    for there, missing in (
        (f"{PODS}/http:auto-pod-0:80", f"{PODS}/none:80"),
        (f"{services}/https:kubernetes:https", f"{services}/none"),
        ("/api/v1/nodes/node-1", "/api/v1/nodes/none"),
    ):
        for path in ("proxy", "proxy/", "proxy/metrics/cadvisor"):
            reply = ask("GET", f"{there}/{path}")
            assert (reply.status, reply.body["reason"]) == (501, "NotImplemented")
            assert "the proxy is not supported by the simulator" in reply.body["message"]
        reply = ask("GET", f"{missing}/proxy")
        assert (reply.status, reply.body["details"]["name"]) == (404, "none")


def test_streams_end_when_the_server_does(served: tuple[Cluster, Kube]) -> None:
    """close() ends every watch within its grace."""
    cluster, ask = served
    found: list[Any] = []
    path = f"{MAPS}?watch=true&resourceVersion={cluster.store.revision}"
    thread = threading.Thread(target=lambda: found.extend(_until_cut(ask, path)))
    thread.start()
    assert eventually(lambda: len(ask.server.streams) == 1)
    ask.server.close()
    thread.join(30)  # the watch itself would go on for half an hour
    assert not thread.is_alive()
    assert found == []


def _until_cut(ask: Kube, path: str) -> list[Any]:
    try:
        return ask.watch(path, 5)
    except (OSError, http.client.HTTPException):
        return []


def test_a_watch_of_tables_says_its_columns_once(served: tuple[Cluster, Kube]) -> None:
    """Each event is a table of one row; the row carries the metadata that kubectl looks at."""
    _, ask = served
    ask("POST", MAPS, config_map("a", k="v"))
    ask("POST", MAPS, config_map("b"))
    first, second = ask.watch(f"{MAPS}?watch=true", 2, Accept=TABLE)
    assert first["object"]["kind"] == "Table"
    heads = [column["name"] for column in first["object"]["columnDefinitions"]]
    assert heads == ["Name", "Data", "Age"]
    assert first["object"]["rows"][0]["cells"][:2] == ["a", "1"]
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["object"]["metadata"]["name"] == "b"


@pytest.mark.parametrize("path", [f"{MAPS}?watch=true", "/api/watch?kind=ConfigMap&format=jsonl"])
def test_every_change_wakes_the_writer_of_streams(
    path: str, served: tuple[Cluster, Kube], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one right after another: none has to wait until the thread looks by itself."""
    monkeypatch.setattr("kubesim.rest.http.streams.IDLE_SECONDS", 3_600.0)
    _, ask = served
    ask("POST", MAPS, config_map("a"))
    connection = http.client.HTTPConnection("127.0.0.1", ask.server.port, timeout=10)
    connection.request("GET", path)
    reply = connection.getresponse()
    for number in range(5):
        ask("PUT", f"{MAPS}/a", config_map("a", number=f"n{number}"))
        while f'"n{number}"' not in (line := reply.readline().decode()):
            assert line, "the stream ended"
    connection.close()


@pytest.mark.parametrize("part", ["ephemeralcontainers", "resize"])
def test_what_is_not_changed_here_can_be_read(served: tuple[Cluster, Kube], part: str) -> None:
    """GET answers the pod, as upstream's storage of these subresources does."""
    _, ask = served
    reply = ask("GET", f"{PODS}/auto-pod-0/{part}")
    assert (reply.status, reply.body["metadata"]["name"]) == (200, "auto-pod-0")
    assert ask("GET", f"{PODS}/nobody/{part}").status == 404


def test_of_several_containers_one_must_be_named(served: tuple[Cluster, Kube]) -> None:
    """The default of an annotation is kubectl's; the message lists init containers first."""
    _, ask = served
    containers = [{"name": name, "image": name} for name in ("a", "b")]
    init = [{"name": "init", "image": "i"}]
    annotations = {"kubectl.kubernetes.io/default-container": "b"}
    pod = {
        "metadata": {"name": "two", "annotations": annotations},
        "spec": {"containers": containers, "initContainers": init},
    }
    assert ask("POST", PODS, pod).status == 201
    for path in ("exec?command=ls", "attach?stdout=1", "log?follow=1"):
        refused = ask("GET", f"{PODS}/two/{path}")
        assert (refused.status, refused.body["message"]) == (
            400,
            "a container name must be specified for pod two, choose one of: [init a b]",
        )
        refused = ask("GET", f"{PODS}/two/{path}&container=c")
        assert refused.body["message"] == "container c is not valid for pod two"
