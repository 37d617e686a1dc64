"""Policies of your own in the place of the real algorithm, and shadows beside it."""

from __future__ import annotations

from typing import Any

import pytest
from hpa_world import KIND, World

from kubesim.autoscaler import Recommendation


def a_world(replicas: int = 1, **options: Any) -> World:
    world = World(**options)
    world.workload(replicas=replicas)
    world.run(replicas)
    return world


class Answers:
    """A policy that gives one answer, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def recommend(self, observation: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "size"),
    [(4, 4), (3.4, 3), (99, 10), (-5, 2), (float("inf"), 10), (Recommendation(50), 10), (2, 2)],
)
def test_a_policy_of_one_s_own_is_one_method(answer, size) -> None:
    """A number will do; the bounds (2 to 10) hold for it, too."""
    world = a_world(replicas=2, policy=Answers(answer))
    world.hpa(low=2)
    world.clock.sleep(16)
    assert world.size() == size
    decision = world.decisions.latest("hpa/web")
    assert (decision.data["from"], decision.data["to"]) == (2, size)


def test_a_policy_of_one_s_own_respects_the_pause() -> None:
    """Scaled to 0 by hand, it stays there."""
    world = a_world(policy=Answers(5))
    world.hpa()
    world.resize(0)
    world.clock.sleep(16)
    assert world.size() == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ZeroDivisionError("no pods"), "the policy raised ZeroDivisionError: no pods"),
        ("four", "recommend() returned 'four'"),
        (None, "recommend() returned None"),
        (True, "recommend() returned True"),
        (float("nan"), "recommend() returned nan"),
    ],
)
def test_a_policy_that_raises_is_told_and_the_loop_goes_on(answer, said) -> None:
    """A Warning event, an error row and a decision record each pass; nothing is scaled."""
    policy = Answers(answer)
    world = a_world(policy=policy)
    world.hpa()
    world.clock.sleep(31)
    ((_, message, count),) = world.events("PolicyFailed")
    assert said in message and count == 2
    assert world.analytics.since(level="error", component="HPA").rows[-1].action == "PolicyFailed"
    decision = world.decisions.latest("hpa/web")
    assert said in decision.binding and decision.data["to"] == 1
    assert world.size() == 1
    policy.answer = 3
    world.clock.sleep(15)
    assert world.size() == 3


# -- shadows ---------------------------------------------------------------------------------------


def test_a_shadow_decides_and_records_and_writes_nothing() -> None:
    """Beside the real one, on the same HPA."""
    world = a_world(name="real", policy=Answers(1))
    world.start(shadow=True, name="shadow")
    world.hpa()
    world.steady(50, seconds=10)
    revision = world.api.get(KIND, "web")["metadata"]["resourceVersion"]
    world.steady(200, seconds=6)
    shadow, real = world.decisions.latest("hpa-shadow/web"), world.decisions.latest("hpa/web")
    assert shadow.verdict == "shadow: 1 -> 4 replicas (cpu 200% of request, target 50%)"
    assert (shadow.component, shadow.data["written"]) == ("shadow", False)
    assert (real.component, real.data["to"]) == ("real", 1)
    assert world.size() == 1
    assert world.events() == []
    assert world.api.get(KIND, "web")["metadata"]["resourceVersion"] != revision  # the real one's


def test_a_lone_shadow_leaves_no_trace_in_the_store() -> None:
    """Not even when target, metrics or policy fail."""
    world = a_world(shadow=True, policy=Answers(ValueError("no")))
    world.hpa()
    world.hpa("lost")
    world.clock.sleep(1)
    revision = world.api.store.revision
    world.clock.sleep(60)
    assert world.api.store.revision == revision
    assert "raised ValueError" in world.decisions.latest("hpa-shadow/web").binding
    assert world.decisions.latest("hpa-shadow/lost").binding == "FailedGetScale"
    assert world.status() == {"desiredReplicas": 0}  # as it was created
