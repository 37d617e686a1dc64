"""The input of a pass: unchanged pods and HPAs are parsed once, changed ones at once anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hpa_world import World

from kubesim import Cluster
from kubesim.autoscaler import Metric, Observation
from kubesim.autoscaler.metrics.adapter import CustomMetrics
from kubesim.errors import BadRequest


class Recorder:
    """A policy that keeps what it observes, and changes nothing."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def recommend(self, observation: Observation) -> int:
        """Return the present number of replicas."""
        self.seen.append(observation)
        return observation.current


@pytest.fixture
def policy() -> Recorder:
    """A recorder."""
    return Recorder()


@pytest.fixture
def world(policy: Recorder) -> World:
    """Two pods, each at 50 percent of its request, and an HPA."""
    world = World(policy=policy)
    world.workload(replicas=2)
    world.run(2)
    world.hpa()
    return world


def test_facts_and_requests_of_unchanged_pods_are_kept(world: World, policy: Recorder) -> None:
    """The same document gives the same facts; samples are read at each pass."""
    world.steady(50, 50, seconds=20)
    world.steady(80, 80, seconds=15)
    first, second = policy.seen
    assert [a is b for a, b in zip(first.pods, second.pods, strict=True)] == [True, True]
    readings = [seen.metrics[0][1] for seen in policy.seen]
    assert [r.samples["web-0"].milli for r in readings] == [100, 160]
    assert readings[0].requests == readings[1].requests == {"web-0": 200, "web-1": 200}


def test_a_changed_pod_has_new_facts_at_the_next_pass(world: World, policy: Recorder) -> None:
    """One pod becomes unready, the other is replaced by one of the same name."""
    world.steady(50, 50, seconds=20)
    world.set_pod_status(world.api.get("Pod", "web-0"), ready="False")
    world.api.delete("Pod", "web-1", grace_period_seconds=0)
    world.run(1, first=1)
    world.steady(50, 50, seconds=15)
    first, second = policy.seen
    assert [pod.ready for pod in first.pods] == [True, True]
    assert [(pod.name, pod.ready) for pod in second.pods] == [("web-0", False), ("web-1", True)]
    assert second.pods[1].started == 20.0


def test_an_edited_hpa_and_a_relabelled_pod_count_at_the_next_pass(
    world: World, policy: Recorder
) -> None:
    """Target and behavior are parsed again; a pod without the label is no longer selected."""
    world.steady(50, 50, seconds=20)
    target = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    world.edit(metrics=[metric], behavior={"scaleDown": {"stabilizationWindowSeconds": 30}})
    pod = world.api.get("Pod", "web-1")
    world.api.update({**pod, "metadata": {**pod["metadata"], "labels": {"app": "other"}}})
    world.steady(50, 50, seconds=15)
    first, second = policy.seen
    assert [seen.metrics[0][0].utilization for seen in policy.seen] == [50, 70]
    assert first.behavior is None
    assert second.behavior is not None and second.behavior.down.window_seconds == 30.0
    assert [len(seen.pods) for seen in policy.seen] == [2, 1]


def test_a_rival_that_comes_and_goes_is_noticed(world: World, policy: Recorder) -> None:
    """The selection is ambiguous as long as there are two HPAs for the same pods."""
    world.steady(50, 50, seconds=20)
    other = world.api.get("HorizontalPodAutoscaler", "web")
    metadata = {"name": "rival", "namespace": "default"}
    world.api.create({"kind": other["kind"], "metadata": metadata, "spec": other["spec"]})
    world.steady(50, 50, seconds=30)
    world.api.delete("HorizontalPodAutoscaler", "rival")
    world.steady(50, 50, seconds=15)
    problems = [seen.selector_problem for seen in policy.seen if seen.name == "web"]
    assert problems[0] == problems[-1] == ""
    assert "AmbiguousSelector" in problems


def test_a_copy_of_a_metric_has_its_own_description() -> None:
    """What is computed from the fields follows them."""
    cpu = Metric(utilization=50)
    plain = replace(cpu, utilization=None, average_milli=100)
    assert (cpu.by_request, cpu.described()) == (
        True,
        "cpu resource utilization (percentage of request)",
    )
    assert (plain.by_request, plain.described()) == (False, "cpu resource")
    assert cpu == Metric(utilization=50)
    assert "description" not in repr(cpu)


@pytest.mark.parametrize("policy", [3, "auto", object()], ids=["number", "string", "object"])
def test_a_policy_without_recommend_is_refused(policy: Any) -> None:
    """The message says what a policy needs, in the controller and in the cluster."""
    expected = "policy must be an object with a method recommend"
    with pytest.raises(BadRequest, match=expected):
        World(policy=policy)
    with pytest.raises(BadRequest, match=expected):
        Cluster(nodes=1, policy=policy)


@pytest.mark.parametrize("value", ["12", None, float("nan"), True])
def test_a_metric_is_a_number_or_a_function(value: Any) -> None:
    """The message says which function."""
    with Cluster(nodes=1, hpa=False) as cluster:
        metrics: CustomMetrics = cluster.metrics
        with pytest.raises(BadRequest, match="a number, or a function of the second"):
            metrics.external("queue", value)
        with pytest.raises(BadRequest, match="a number, or a function of pod name and second"):
            metrics.pods("sessions", value)
