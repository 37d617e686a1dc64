"""Decision records: as text, as data for charts, as HTML; and that what they promise comes true."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hpa_builders import cpu, decide, pods
from hpa_world import World

from kubesim import Cluster
from kubesim.autoscaler import HorizontalPolicy, Metric, Observation, Reading
from kubesim.autoscaler.records import metric_figures
from kubesim.traffic import Step


@pytest.fixture(scope="module")
def explanation() -> Any:
    """Of a cluster that grew and shrank."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_traffic(Step(100, 5, 60))
        cluster.sleep(450)
        return cluster.explain("hpa/auto-pod")


def test_the_record_is_text(explanation) -> None:
    """Rules with figures, what bound the result, what would change it."""
    text = str(explanation)
    assert "hpa/auto-pod" in text and "bound by:" in text and "would change if:" in text
    assert "sort pods" in text and "first reading" in text and "stabilize" in text


def test_the_record_is_data(explanation) -> None:
    """Plain JSON that says the same when it comes back."""
    rows = explanation.to_dicts()
    assert json.loads(json.dumps(rows)) == json.loads(json.dumps(explanation.to_dicts()))
    grown = [row for row in rows if row["data"]["to"] > row["data"]["from"]]
    assert grown and all(row["data"]["written"] for row in grown)
    for row in rows:
        data = row["data"]
        assert data["min"] <= data["to"] <= data["max"]
        assert {"from", "to", "pods", "reason", "metrics", "changes"} <= set(data)


def test_the_record_is_html(explanation) -> None:
    """A table with a row for each rule."""
    html = explanation._repr_html_()
    assert html.count("<tr>") == len(explanation.latest.steps) + 1
    assert "Would change if:" in html


def test_the_history_is_a_table(explanation) -> None:
    """One line for each sync, oldest first."""
    table = explanation.history()
    assert len(table) == len(explanation.decisions)
    assert table.column("time [s]") == sorted(table.column("time [s]"))


def test_each_metric_has_its_figures_in_the_data() -> None:
    """Failed ones, too; and none for a pass without metrics."""
    queue = (Metric("External", "q", average_milli=100), Reading(total_milli=900))
    broken = (Metric("Pods", "qps", average_milli=1), Reading(error="no"))
    metrics = (cpu(500, 500), queue, broken)
    seen = Observation(0.0, 2, 10, metrics, pods(2), status_replicas=2)
    found = metric_figures(seen, HorizontalPolicy().recommend(seen))
    assert [figures["proposal"] for figures in found] == [2, 9, None]
    assert [figures.get("unit") for figures in found] == ["percent", "milli", None]
    assert (found[1]["measured"], found[1]["target"]) == (900, 200)
    above = replace(seen, maximum=1)
    assert metric_figures(above, HorizontalPolicy().recommend(above)) == []


def test_a_ratio_that_is_infinite_is_no_json() -> None:
    """status.replicas 0: the data says None."""
    queue = (Metric("External", "q", average_milli=100), Reading(total_milli=900))
    seen = Observation(0.0, 1, 10, (queue,), ())
    (figures,) = metric_figures(seen, HorizontalPolicy().recommend(seen))
    assert figures["ratio"] is None
    json.dumps(figures, allow_nan=False)


def test_a_change_in_the_data_comes_true() -> None:
    """The utilization that the record names is set, and the size is the one that it names."""
    result = decide(cpu(500, 500), current=2)
    assert len(result.changes) == 2
    for change in result.changes:
        assert change.kind == "measured"
        again = decide(cpu(change.value * 10, change.value * 10), current=2)
        assert again.replicas == change.replicas != result.replicas


def test_data_of_a_pass_that_could_not_write_says_so() -> None:
    """written is False, and the verdict says why."""
    from test_hpa_faults import Flaky

    world = World(Flaky)
    world.workload()
    world.run(1)
    world.hpa()
    world.api.scale_conflicts = 1
    world.steady(200, seconds=16)
    decision = world.decisions.latest("hpa/web")
    assert decision.data["written"] is False
    assert (decision.data["from"], decision.data["to"]) == (1, 4)
    assert "not written" in decision.verdict
