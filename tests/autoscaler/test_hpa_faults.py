"""The loop when things go wrong: targets, selectors, conflicts."""

from __future__ import annotations

from typing import Any

import pytest
from hpa_world import KIND, World

from kubesim.apiserver import KubeAPI
from kubesim.autoscaler import HorizontalPolicy
from kubesim.errors import Conflict


class Flaky(KubeAPI):
    """An API server with conflicts at its next writes, and with odd scales."""

    scale_conflicts = 0
    status_conflicts = 0
    selector: str | None = None

    def get_scale(self, kind: str, name: str, namespace: str | None = None) -> Any:
        scale = super().get_scale(kind, name, namespace)
        if self.selector is not None:
            scale["status"]["selector"] = self.selector
        return scale

    def update_scale(self, kind: str, name: str, namespace: str | None = None, **more: Any) -> Any:
        if self.scale_conflicts > 0:
            self.scale_conflicts -= 1
            raise Conflict("the object has been modified")
        return super().update_scale(kind, name, namespace, **more)

    def update_status(self, document: Any, **more: Any) -> Any:
        if self.status_conflicts > 0 and document["kind"] == KIND:
            self.status_conflicts -= 1
            raise Conflict("the object has been modified")
        return super().update_status(document, **more)


def a_world(replicas: int = 1, **options: Any) -> World:
    world = World(Flaky, **options)
    world.workload(replicas=replicas)
    world.run(replicas)
    return world


# -- targets and selectors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nobody"}, "nobody"),
        (
            {"apiVersion": "apps/v1", "kind": "Spaceship", "name": "web"},
            'no matches for kind "Spaceship" in group "apps"',
        ),
        (
            {"apiVersion": "extensions/v1beta1", "kind": "StatefulSet", "name": "web"},
            'no matches for kind "StatefulSet" in group "extensions"',
        ),
        ({"apiVersion": "batch/v1", "kind": "Job", "name": "web"}, "no scale"),
    ],
)
def test_a_bad_target_is_told_and_the_loop_goes_on(reference, said) -> None:
    """Each pass sets the condition and adds an event, a decision and a log row, nothing else."""
    world = a_world()
    world.workload("db")
    world.run(1, "db")
    world.hpa(scaleTargetRef=reference)
    world.hpa("db")
    for _ in range(32):
        world.use(200)
        world.use(200, name="db")
        world.clock.sleep(1)
    assert world.condition("AbleToScale") == ("False", "FailedGetScale")
    assert world.condition("ScalingActive") is None
    ((_, message, count),) = world.events("FailedGetScale")
    assert said in message and count == 2
    decision = world.decisions.latest("hpa/web")
    assert decision.binding == "FailedGetScale"
    rows = world.analytics.since(component="HPA", action="ScaleFailed").rows
    assert len(rows) == 2 and rows[0].level == "error"
    assert (world.size(), world.size("db")) == (1, 4)


def test_a_target_that_appears_later_is_scaled() -> None:
    """And AbleToScale becomes True again."""
    world = World()
    world.hpa(low=2)
    world.clock.sleep(16)
    assert world.condition("AbleToScale") == ("False", "FailedGetScale")
    world.workload()
    world.clock.sleep(15)
    assert (world.size(), world.condition("AbleToScale")) == (2, ("True", "SucceededRescale"))


@pytest.mark.parametrize(
    ("selector", "reason", "event", "said"),
    [
        ("", "InvalidSelector", "SelectorRequired", "selector is required"),
        ("a=(", "InvalidSelector", "InvalidSelector", "couldn't convert selector"),
    ],
)
def test_a_scale_with_a_bad_selector(selector, reason, event, said) -> None:
    """The pass fails before any metric."""
    world = a_world()
    world.api.selector = selector
    world.hpa()
    world.steady(200, seconds=16)
    assert world.condition("ScalingActive") == ("False", reason)
    assert said in world.events(event)[0][1]
    assert said in world.events("FailedComputeMetricsReplicas")[0][1]
    assert (world.size(), world.decisions.latest("hpa/web").binding) == (1, "selector")
    world.api.selector = None
    world.steady(200, seconds=15)
    assert world.size() == 4


def test_two_hpas_on_the_same_pods_stop_each_other() -> None:
    """AmbiguousSelector from the second one's first sync on, until one is deleted."""
    world = a_world()
    world.hpa()
    world.clock.sleep(1)
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    world.hpa("rival", scaleTargetRef=reference)
    world.steady(50, seconds=31)
    for name in ("web", "rival"):
        assert world.condition("ScalingActive", name) == ("False", "AmbiguousSelector")
    message = world.events("AmbiguousSelector")[0][1]
    assert message == (
        "pods by selector app=web are controlled by multiple HPAs: [{rival default} {web default}]"
    )
    first = world.decisions.of("hpa/web")[0]
    assert first.binding == "tolerance"  # at 15 the rival had no sync yet
    world.api.delete(KIND, "rival")
    world.steady(200, seconds=16)
    assert (world.size(), world.condition("ScalingActive")[0]) == (4, "True")


def test_an_hpa_that_looks_at_no_metric_is_no_rival() -> None:
    """Paused since it was made, it was never entered; woken, it is."""
    world = a_world()
    world.workload("db", replicas=0, app="web")
    world.hpa()
    world.hpa("db")
    world.steady(50, seconds=31)
    assert world.condition("ScalingActive") == ("True", "ValidMetricFound")
    world.resize(1, "db")
    world.steady(50, seconds=31)
    assert world.condition("ScalingActive") == ("False", "AmbiguousSelector")


def test_hpas_with_other_pods_do_not_meet() -> None:
    """Another workload, another namespace."""
    world = a_world()
    world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}})
    world.workload(namespace="lab")
    world.run(1, namespace="lab")
    world.workload("db")
    world.run(1, "db")
    world.hpa()
    world.hpa(namespace="lab")
    world.hpa("db")
    world.steady(50, seconds=31)
    assert world.condition("ScalingActive") == ("True", "ValidMetricFound")
    assert world.events("AmbiguousSelector") == []


# -- conflicts -------------------------------------------------------------------------------------


def test_a_conflict_on_the_scale_costs_one_pass() -> None:
    """FailedUpdateScale; desiredReplicas and lastScaleTime stay; the next pass succeeds."""
    world = a_world()
    world.hpa()
    world.steady(50, seconds=16)
    before = world.status()
    world.api.scale_conflicts = 1
    world.steady(200, seconds=15)
    status = world.status()
    assert world.size() == 1
    assert world.condition("AbleToScale") == ("False", "FailedUpdateScale")
    assert status["desiredReplicas"] == before["desiredReplicas"] == 1
    assert "lastScaleTime" not in status
    ((_, message, _),) = world.events("FailedRescale")
    assert message.startswith("New size: 4; reason: cpu resource utilization")
    assert message.endswith("error: the object has been modified")
    decision = world.decisions.latest("hpa/web")
    assert "1 -> 4 replicas" in decision.verdict and "not written" in decision.verdict
    assert decision.data["written"] is False
    assert world.analytics.since(component="HPA", action="ScaleFailed").rows[-1].level == "error"
    world.steady(200, seconds=15)
    assert (world.size(), world.condition("AbleToScale")) == (4, ("True", "SucceededRescale"))


def test_a_failed_write_keeps_the_size_that_was_written_last() -> None:
    """desiredReplicas stays 2, although the target was scaled to 5 manually in the meantime."""
    world = a_world(replicas=2)
    world.hpa()
    world.steady(50, 50, seconds=16)
    world.resize(5)
    world.api.scale_conflicts = 1
    world.steady(200, 200, seconds=15)
    status = world.status()
    assert world.condition("AbleToScale") == ("False", "FailedUpdateScale")
    assert (status["currentReplicas"], status["desiredReplicas"]) == (5, 2)


def test_a_size_changed_during_the_pass_is_not_overwritten() -> None:
    """A user scales by hand between read and write: that size stays until the next sync."""

    class Slow(HorizontalPolicy):
        def recommend(self, observation):
            if observation.now == 15.0:
                world.resize(7)
            return super().recommend(observation)

    world = a_world(policy=Slow())
    world.hpa()
    world.steady(200, seconds=16)
    assert world.size() == 7
    assert world.condition("AbleToScale") == ("False", "FailedUpdateScale")


def test_a_conflict_on_the_status_is_retried() -> None:
    """Nothing is lost, and there is no Event."""
    world = a_world()
    world.api.status_conflicts = 3
    world.hpa()
    world.steady(200, seconds=16)
    assert world.status()["desiredReplicas"] == 4
    assert world.events("FailedUpdateStatus") == []


def test_a_status_that_cannot_be_written_is_told() -> None:
    """The scale is written nevertheless."""
    world = a_world()
    world.api.status_conflicts = 1000
    world.hpa()
    world.steady(200, seconds=16)
    assert world.size() == 4
    assert world.events("FailedUpdateStatus")[0][1] == "the object has been modified"
    assert world.controller.statistics()["failed_status"] == 1


def test_an_hpa_deleted_during_its_own_pass_does_no_harm() -> None:
    """There is no status to write any more."""

    class Saw(HorizontalPolicy):
        def recommend(self, observation):
            world.api.delete(KIND, "web")
            return super().recommend(observation)

    world = a_world(policy=Saw())
    world.hpa()
    world.steady(200, seconds=40)
    assert world.controller.statistics()["hpas"] == 0
    assert world.controller.statistics()["passes"] == 1
