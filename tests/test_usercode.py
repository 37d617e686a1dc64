"""An error in code that a user plugs in is reported with its line: log, Event, `explain`."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.usercode import error_text
from lessons import clusters


class BrokenAutoscaling:
    """An autoscaling policy with a mistake."""

    def recommend(self, seen: Any) -> int:
        sizes = {"small": 1}
        return sizes["large"]


class BrokenPlacement:
    """A scheduler policy with a mistake."""

    def choose(self, pod: Any, nodes: Any) -> str:
        return nodes[99].name


class BrokenModel:
    """A traffic model with a mistake."""

    def rate(self, now: float) -> float:
        return 1 / (now - now)


AUTOSCALING = (
    """KeyError: 'large' in line 3 of `BrokenAutoscaling.recommend`: return sizes["large"]"""
)
PLACEMENT = (
    "IndexError: list index out of range in line 2 of `BrokenPlacement.choose`: "
    "return nodes[99].name"
)


def test_an_autoscaling_policy_that_raises() -> None:
    """The log, the Event and explain name the line; explain blames no metric."""
    with Cluster(policy=BrokenAutoscaling()) as cluster:
        cluster.set_traffic(50)
        cluster.sleep(60)
        row = cluster.analytics.since(level="error").rows[-1]
        assert (row.action, row.message) == (
            "PolicyFailed",
            f"auto-pod: the policy raised {AUTOSCALING}",
        )
        events = [event["message"] for event in cluster.api.list("Event")["items"]]
        assert events.count(f"the policy raised {AUTOSCALING}") == 1  # one, counted up
        explanation = str(cluster.explain("hpa/auto-pod"))
        assert f"the policy raised {AUTOSCALING}" in explanation
        assert "keep 1 replica: the policy failed" in explanation


def test_a_placement_policy_that_raises() -> None:
    """The same for the scheduler."""
    with Cluster(profile=BrokenPlacement()) as cluster:
        cluster.sleep(5)
        assert PLACEMENT in cluster.analytics.since(level="error").rows[-1].message
        assert any(PLACEMENT in event["message"] for event in cluster.api.list("Event")["items"])
        assert PLACEMENT in str(cluster.explain("pod/auto-pod-0"))


def test_a_traffic_model_that_raises() -> None:
    """It has no object, so it has no Event."""
    with Cluster() as cluster:
        cluster.set_traffic(BrokenModel())
        cluster.sleep(5)
        told = "ZeroDivisionError: float division by zero in line 2 of `BrokenModel.rate`"
        assert told in cluster.analytics.since(level="error").rows[-1].message


def test_a_lesson_prints_an_error_once_below_the_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """A learner who never asks `explain` sees it, too; twelve passes print one line."""
    cluster = clusters.fresh_cluster(policy=BrokenAutoscaling())
    try:
        cluster.sleep(60)
        assert capsys.readouterr().out == (
            f"[ERROR] HPA: PolicyFailed: auto-pod: the policy raised {AUTOSCALING}\n"
        )
    finally:
        clusters.close_all()


def test_a_panel_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Its clusters run in threads, and a thread's output lands below any cell."""
    cluster = clusters.fresh_cluster(slot="panel", policy=BrokenAutoscaling())
    try:
        cluster.sleep(60)
        assert capsys.readouterr().out == ""
    finally:
        clusters.close_all()


def test_an_error_of_kubesim_itself_names_no_line_and_no_address() -> None:
    """Only the user's own lines help the user; addresses differ from run to run."""
    with pytest.raises(TypeError) as caught:
        raise TypeError(f"no {object()!r}")
    assert error_text(caught.value).startswith("TypeError: no <object object> in line ")
    assert error_text(ValueError()) == "ValueError"
