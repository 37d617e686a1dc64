"""GET /api/logs, /api/summary and /health: filters, bounds, and messages that say what to send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from rest_raw import exchange, get, parse_answers

from kubesim import Cluster
from kubesim.clock import VirtualClock
from kubesim.errors import BadRequest
from kubesim.rest import RestServer
from kubesim.rest.simple.logs import parse_cursor, parse_limit, parse_since


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster on virtual time, 20 s old."""
    with Cluster(nodes=2, seed=1) as made:
        made.sleep(20)
        yield made


@pytest.fixture
def server(cluster: Cluster) -> RestServer:
    """Its server."""
    return cluster.serve()


def fetch(server: RestServer, path: str) -> tuple[int, Any]:
    """(status, JSON body) of one GET."""
    ((status, body),) = parse_answers(exchange(server.port, get(path.encode())))
    return status, json.loads(body)


@pytest.mark.live
def test_rows_have_the_original_fields(server: RestServer) -> None:
    """Component, level, action, message and time, oldest first."""
    status, page = fetch(server, "/api/logs")
    assert status == 200
    assert set(page) == {"rows", "cursor", "lost"}
    assert set(page["rows"][0]) == {"serial", "time", "level", "component", "action", "message"}
    times = [row["time"] for row in page["rows"]]
    assert times == sorted(times)
    assert page["lost"] == 0


@pytest.mark.live
def test_since_takes_simulated_seconds_and_rfc_3339(cluster: Cluster, server: RestServer) -> None:
    """Both forms select the same rows: those of that second or later."""
    cluster.analytics.log("Test", "Mark", "at second 20")
    rows = fetch(server, "/api/logs?since=20&component=Test")[1]["rows"]
    assert [row["message"] for row in rows] == ["at second 20"]
    stamp = cluster.clock.timestamp(20)
    assert fetch(server, f"/api/logs?since={stamp}&component=Test")[1]["rows"] == rows
    assert fetch(server, "/api/logs?since=20.5&component=Test")[1]["rows"] == []
    everything = fetch(server, "/api/logs")[1]["rows"]
    later = fetch(server, "/api/logs?since=2")[1]["rows"]
    assert later == [row for row in everything if row["time"] >= 2]
    assert 0 < len(later) < len(everything)


@pytest.mark.live
def test_level_is_a_minimum_and_component_is_exact(cluster: Cluster, server: RestServer) -> None:
    """warn selects warn and error; a component that wrote nothing has no rows."""
    for level in ("debug", "info", "warn", "error"):
        cluster.analytics.log("Test", "Mark", level, level)
    rows = fetch(server, "/api/logs?component=Test&level=warn")[1]["rows"]
    assert [row["level"] for row in rows] == ["warn", "error"]
    assert fetch(server, "/api/logs?component=test")[1]["rows"] == []


@pytest.mark.live
def test_a_limit_pages_through_the_log_with_the_cursor(server: RestServer) -> None:
    """Pages of three give every row once, in order."""
    everything = fetch(server, "/api/logs?limit=10000")[1]["rows"]
    paged, cursor = [], 0
    while rows := (page := fetch(server, f"/api/logs?limit=3&cursor={cursor}")[1])["rows"]:
        assert len(rows) <= 3
        paged += rows
        cursor = page["cursor"]
    assert paged == everything
    assert len(paged) > 3


@pytest.mark.live
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("cursor=x", "cursor must be a whole number: pass the cursor of the previous response"),
        ("limit=0", "limit must be a whole number from 1 to 10000, not '0'"),
        ("level=fatal", "level must be one of debug, info, warn, error, not 'fatal'"),
        (
            "since=yesterday",
            "since must be a simulated second, such as 30 or 12.5, or an RFC 3339 time, such as "
            "2025-01-01T00:00:30Z (write a + as %2B), not 'yesterday'",
        ),
    ],
)
def test_a_bad_value_is_refused_with_what_to_send(
    server: RestServer, query: str, message: str
) -> None:
    """400; the message names the parameter, what is accepted, and the value."""
    assert fetch(server, f"/api/logs?{query}") == (400, {"error": message})


@pytest.mark.live
def test_the_summary_counts_what_the_other_routes_list(
    cluster: Cluster, server: RestServer
) -> None:
    """Its figures are those of /api/logs, /api/pods and /api/nodes."""
    cluster.api.create_pod("by-hand")
    status, summary = fetch(server, "/api/summary")
    rows = fetch(server, "/api/logs?limit=10000")[1]["rows"]
    assert status == 200
    assert summary["logs"]["total"] == len(rows) == sum(summary["logs"]["by_level"].values())
    assert summary["logs"]["by_component"]["Pod"] == sum(r["component"] == "Pod" for r in rows)
    created = sum(row["action"] == "CreatedPod" for row in rows)
    assert summary["logs"]["by_action"]["CreatedPod"] == created >= 2
    phases = [pod["status"] for pod in fetch(server, "/api/pods")[1]]
    assert summary["pods"]["total"] == len(phases)
    assert summary["pods"]["by_phase"]["Pending"] == phases.count("Pending") >= 1
    assert summary["pods"]["by_phase"]["Running"] == phases.count("Running") >= 1
    assert summary["nodes"]["by_condition"]["Ready"] == {"True": 2, "False": 0, "Unknown": 0}
    cluster.node("node-1").fail()
    cluster.sleep(120)
    summary = fetch(server, "/api/summary")[1]
    assert summary["nodes"]["by_condition"]["Ready"] == {"True": 1, "False": 0, "Unknown": 1}


@pytest.mark.live
def test_health_is_json(server: RestServer) -> None:
    """Beside the plain text of /healthz."""
    assert fetch(server, "/health") == (200, {"status": "ok"})
    for path in ("GET /api/logs", "GET /api/summary", "GET /health"):
        assert path in fetch(server, "/")[1]["routes"]


def test_parameters_are_parsed_strictly() -> None:
    """Digits of other scripts, signs and exponents are no numbers; offsets are understood."""
    clock = VirtualClock()
    assert parse_cursor("0") == 0
    assert parse_limit("10000") == 10_000
    assert parse_since("12.5", clock) == 12.5
    assert parse_since("2025-01-01T01:00:30+01:00", clock) == 30.0
    assert parse_since("2024-12-31T23:59:59Z", clock) == -1.0
    for value in ("", " 1", "+1", "1_0", "１", "1e3", "0x1", "-0"):
        with pytest.raises(BadRequest):
            parse_cursor(value)
        with pytest.raises(BadRequest):
            parse_limit(value)
        with pytest.raises(BadRequest):
            parse_since(value, clock)


def test_a_component_without_rows_is_answered_with_those_that_have_some(
    server: RestServer,
) -> None:
    """The name of a component is case-sensitive."""
    body = fetch(server, "/api/logs?component=pod")[1]
    assert body["rows"] == []
    assert "Pod" in body["components"]
    cursor = body["cursor"]
    assert "components" not in fetch(server, f"/api/logs?component=Pod&cursor={cursor}")[1]


def test_the_time_of_a_row_is_rounded_to_milliseconds(server: RestServer) -> None:
    times = [row["time"] for row in fetch(server, "/api/logs")[1]["rows"]]
    assert times
    assert times == [round(time, 3) for time in times]
