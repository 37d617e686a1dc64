"""Watches over HTTP that fall behind: the stream ends with 410, and its buffer is bounded."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from kube_http import MAPS, Kube, config_map, kube

from kubesim import Cluster
from kubesim.apiserver import ResourceWatch
from kubesim.errors import Expired
from kubesim.rest.http import streams
from kubesim.rest.kube.watch import KubeWatch

pytestmark = pytest.mark.live


@pytest.fixture
def served() -> Iterator[tuple[Cluster, Kube]]:
    """A cluster and a client."""
    with kube() as made:
        yield made


def open_watch(client: Kube) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Open a watch of the ConfigMaps, and read the two that exist: one is the certificate."""
    connection = http.client.HTTPConnection("127.0.0.1", client.server.port, timeout=20)
    connection.request("GET", f"{MAPS}?watch=true")
    response = connection.getresponse()
    for _ in range(2):
        assert json.loads(response.readline())["type"] == "ADDED"
    return connection, response


def test_an_open_watch_that_falls_behind_ends_with_an_error_event(
    served: tuple[Cluster, Kube], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ERROR with a Status 410, and the end of the stream."""
    _, client = served
    client("POST", MAPS, config_map("a"))
    connection, response = open_watch(client)

    def expired(_watch: ResourceWatch, _limit: int | None = None) -> Any:
        raise Expired("too old resource version: 1 (2)")

    monkeypatch.setattr(ResourceWatch, "poll", expired)
    client("POST", MAPS, config_map("b"))
    event = json.loads(response.readline())
    assert event["type"] == "ERROR"
    assert event["object"]["kind"] == "Status"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert response.readline() == b""
    connection.close()


def test_a_watch_reads_no_events_for_a_client_whose_buffer_is_full(
    served: tuple[Cluster, Kube], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay in the history of the store, and are sent once the client has read."""
    _, client = served
    client("POST", MAPS, config_map("a"))
    pull, sources = KubeWatch.pull, []

    def recorded_pull(source: KubeWatch, waiting: int) -> bytes:
        sources.append(source)
        return pull(source, waiting)

    monkeypatch.setattr(KubeWatch, "pull", recorded_pull)
    connection, _response = open_watch(client)
    monkeypatch.setattr(KubeWatch, "pull", lambda _source, _waiting: b"")  # the stream is idle
    client("POST", MAPS, config_map("b"))
    source = sources[-1]
    assert pull(source, streams.BACKLOG_BYTES) == b""
    assert pull(source, streams.BACKLOG_BYTES + 1) == b""
    assert b'"name":"b"' in pull(source, streams.BACKLOG_BYTES - 1)
    connection.close()
