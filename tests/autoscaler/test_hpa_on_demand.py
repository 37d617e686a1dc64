"""Records that are rendered on demand: the same as those read at once, and they cannot change."""

from __future__ import annotations

import copy
import gc
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from types import CellType, FunctionType
from typing import Any

import pytest
from hpa_builders import broken, cpu, decide, pods

from kubesim import Cluster
from kubesim.autoscaler import HorizontalPolicy, PodFacts, Recommendation, Sample
from kubesim.autoscaler.records import RescaleResult, decision_of
from kubesim.autoscaler.types import Observation
from kubesim.client import Decision
from kubesim.traffic import Step

HPA = {"metadata": {"name": "web", "namespace": "default", "resourceVersion": "7"}}


def seen_by(*metrics: Any, count: int = 4, **fields: Any) -> Observation:
    """An observation with some pods."""
    return Observation(1_000.0, count, 10, metrics, pods(count), **fields)


def record_of(seen: Observation, policy: Any = None) -> Decision:
    """The decision record of a pass, before anybody has read it."""
    result = (policy or HorizontalPolicy()).recommend(seen)
    return decision_of(HPA, seen, result, RescaleResult(), "hpa")


def reachable(root: object) -> list[object]:
    """All objects that a record refers to, through data, functions and their closures."""
    found, queue, known = [], [root], set()
    while queue:
        item = queue.pop()
        if id(item) in known or isinstance(item, type):
            continue
        known.add(id(item))
        found.append(item)
        if isinstance(item, FunctionType):
            queue += [item.__closure__, item.__defaults__]
        elif isinstance(item, (tuple, list, dict, CellType)) or hasattr(item, "__slots__"):
            queue += gc.get_referents(item)
    return found


def test_records_read_late_equal_those_read_at_once() -> None:
    """Whether they are read at each pass, or at the end of the run."""
    histories, read = [], []
    for at_once in (True, False):
        with Cluster(nodes=3, seed=1) as cluster:
            cluster.set_traffic(Step(100, 5, 60))
            for _ in range(60):
                cluster.sleep(5.0)  # its sync period
                if at_once:
                    read.append(cluster.decisions.latest("hpa/auto-pod").to_dict())
            records = cluster.decisions.of("hpa/auto-pod")
            assert any(record.is_rendered for record in records) is at_once
            histories.append([record.to_dict() for record in records])
    assert histories[0] == histories[1] == read
    assert len({row["verdict"] for row in read}) > 5


@pytest.mark.parametrize("field", ["verdict", "steps", "binding", "would_change_if", "data"])
def test_any_field_renders_the_record(field: str) -> None:
    """Whichever is read first."""
    seen = seen_by(cpu(600, 700, 500, 800))
    first, other = record_of(seen), record_of(seen)
    assert (first.is_rendered, first.object, first.time) == (False, "hpa/web", 1_000.0)
    assert getattr(first, field) == getattr(other.rendered(), field)
    assert first.is_rendered and first == other


def test_a_record_that_is_not_rendered_keeps_no_sample() -> None:
    """It keeps sums, so that hundreds of records of a thousand pods stay small."""
    seen = seen_by(cpu(600, 700, 500, 800))
    assert any(isinstance(item, Sample) for item in reachable(seen))
    kept = reachable(record_of(seen))
    assert any(isinstance(item, Recommendation) for item in kept)
    assert not any(isinstance(item, (Sample, PodFacts)) for item in kept)


def test_a_rendered_record_keeps_no_input() -> None:
    """What it was rendered from is released."""
    record = record_of(seen_by(cpu(600, 700, 500, 800))).rendered()
    assert not any(isinstance(item, (Observation, Recommendation)) for item in reachable(record))


def test_a_pass_with_a_failed_metric_is_rendered_at_once() -> None:
    """An exception refers to its frames, and these to all samples."""
    seen = seen_by(cpu(600, 700, 500, 800), broken())
    result = HorizontalPolicy().recommend(seen)
    assert result.is_rendered and [step.rule for step in result.steps].count("metric queue") == 1


def test_a_policy_of_the_users_own_cannot_change_its_record_later() -> None:
    """Its record is rendered at once, since the policy may reuse its objects."""
    figures = {"metric": "mine", "utilization": 60, "target": 50}

    class Reuses:
        def recommend(self, seen: Observation) -> Recommendation:
            return Recommendation(5, data=figures)

    record = record_of(seen_by(cpu(600)), Reuses())
    figures["utilization"] = 99
    assert record.is_rendered and record.data["utilization"] == 60
    assert record.verdict == "4 -> 5 replicas (mine 60% of request, target 50%)"


def test_copies_and_pickles_are_complete() -> None:
    """They are ordinary records."""
    seen = seen_by(cpu(600, 700, 500, 800))
    expected = record_of(seen).rendered()
    assert pickle.loads(pickle.dumps(record_of(seen))) == expected
    assert copy.deepcopy(record_of(seen)) == expected
    assert replace(record_of(seen), component="other").steps == expected.steps
    assert str(record_of(seen)) == str(expected)


def test_a_record_is_frozen_and_has_no_other_fields() -> None:
    """Also before it is rendered; a wrong name renders nothing."""
    record = record_of(seen_by(cpu(600, 700, 500, 800)))
    with pytest.raises(AttributeError, match="'Decision' object has no attribute 'verdit'"):
        record.verdit  # type: ignore[attr-defined]  # noqa: B018
    assert not record.is_rendered
    with pytest.raises(FrozenInstanceError):
        record.verdict = "another"  # type: ignore[misc]


def test_several_threads_may_read_a_record_first() -> None:
    """All read the same."""
    seen = seen_by(cpu(600, 700, 500, 800))
    expected = record_of(seen).to_dict()
    records = [record_of(seen) for _ in range(50)]
    with ThreadPoolExecutor(8) as pool:
        rows = pool.map(lambda number: records[number % 50].to_dict(), range(400))
        assert all(row == expected for row in rows)


def test_the_result_of_the_policy_is_the_same_with_and_without_explanation() -> None:
    """But for what would change it."""
    metrics = cpu(600, 700, 500, 800)
    full = decide(metrics, current=4)
    short = HorizontalPolicy(explained=False).recommend(seen_by(metrics))
    assert (short.would_change_if, short.changes) == ("", ())
    assert short.steps == full.steps and short.binding == full.binding
