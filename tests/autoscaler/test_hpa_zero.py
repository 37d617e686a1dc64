"""Scaling to zero and back, with the feature gate HPAScaleToZero: the whole loop."""

from __future__ import annotations

from typing import Any

import pytest
from hpa_world import World

from kubesim.apiserver import KubeAPI, default_registry
from kubesim.autoscaler import CustomMetrics
from kubesim.errors import Invalid


class Gated(KubeAPI):
    """An API server with the gate on."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, registry=default_registry(scale_to_zero=True), **options)


def external(**target: str) -> dict[str, Any]:
    """The queue as a metric."""
    kind = "AverageValue" if "averageValue" in target else "Value"
    metric = {"metric": {"name": "queue"}, "target": {"type": kind, **target}}
    return {"type": "External", "external": metric}


def a_world(replicas: int, waiting: list[float], **target: str) -> World:
    """A queue of length `waiting[0]`, and an HPA from 0 to 10 on it."""
    world = World(Gated)
    adapter = CustomMetrics(world.api, world.clock)
    adapter.external("queue", lambda second: waiting[0])
    adapter.start()
    world.workload(replicas=replicas)
    world.run(replicas)
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    world.hpa(low=0, metrics=[external(**target)], behavior=behavior)
    return world


@pytest.mark.parametrize("target", [{"averageValue": "10"}, {"value": "10"}])
def test_it_goes_to_zero_and_comes_back(target: dict[str, str]) -> None:
    """An empty queue needs no pod; 35 messages at 10 each need 4 pods, from zero."""
    waiting = [0.0]
    world = a_world(2, waiting, **target)
    world.clock.sleep(16)
    assert world.size() == 0
    assert world.condition("ScalingActive") == ("True", "ValidMetricFound")
    world.clock.sleep(60)
    assert world.size() == 0
    waiting[0] = 35.0
    world.clock.sleep(15)
    assert world.size() == 4
    assert world.events("SuccessfulRescale")[-1][1] == (
        "New size: 4; reason: external metric queue(nil) above target"
    )


def test_zero_by_hand_is_no_pause_when_the_minimum_is_zero() -> None:
    """With minReplicas 0 the metrics are evaluated nevertheless."""
    waiting = [20.0]
    world = a_world(3, waiting, averageValue="10")
    world.resize(0)
    world.clock.sleep(16)
    assert world.size() == 2


def test_a_metric_that_fails_leaves_zero_at_zero() -> None:
    """It is unknown whether pods are needed."""
    waiting = [float("nan")]
    world = a_world(2, waiting, averageValue="10")
    world.resize(0)
    world.clock.sleep(16)
    assert world.size() == 0
    assert world.condition("ScalingActive") == ("False", "FailedGetExternalMetric")


def test_cpu_alone_is_refused_a_minimum_of_zero() -> None:
    """Without pods there is no CPU usage; the API server says so."""
    world = World(Gated)
    world.workload()
    with pytest.raises(Invalid, match="at least one Object or External metric"):
        world.hpa(low=0)


def test_without_the_gate_zero_is_refused() -> None:
    """As by default."""
    world = World()
    world.workload()
    with pytest.raises(Invalid, match="minReplicas"):
        world.hpa(low=0, metrics=[external(value="10")])
