"""The loop when things go wrong: targets, selectors, conflicts, policies, metrics; and shadows."""

from __future__ import annotations

from typing import Any

import pytest
from hpa_world import KIND, World

from kubesim.apiserver import KubeAPI
from kubesim.autoscaler import HorizontalPolicy, Recommendation, Sample
from kubesim.errors import Conflict


class Flaky(KubeAPI):
    """An API server whose next writes meet a conflict, and whose scales can be made odd."""

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
        ({"apiVersion": "apps/v1", "kind": "Spaceship", "name": "web"}, "Spaceship"),
        ({"apiVersion": "v1/v1", "kind": "Pod", "name": "web-0"}, "no scale"),
    ],
)
def test_a_bad_target_is_told_and_the_loop_goes_on(reference, said) -> None:
    """Each pass anew: condition, event, decision, log row; nothing else is touched."""
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
    """AmbiguousSelector, from the second one's first look on; deleting one cures the other."""
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
    assert first.binding == "tolerance"  # at 15 the rival had not been looked at yet
    world.api.delete(KIND, "rival")
    world.steady(200, seconds=16)
    assert (world.size(), world.condition("ScalingActive")[0]) == (4, "True")


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


def test_a_size_changed_during_the_pass_is_not_overwritten() -> None:
    """Somebody scales by hand between read and write: his wish stands until the next look."""

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
    """Nothing is lost, and nobody is told."""
    world = a_world()
    world.api.status_conflicts = 3
    world.hpa()
    world.steady(200, seconds=16)
    assert world.status()["desiredReplicas"] == 4
    assert world.events("FailedUpdateStatus") == []


def test_a_status_that_cannot_be_written_is_told() -> None:
    """The scale is written all the same."""
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


# -- metrics ---------------------------------------------------------------------------------------


def test_no_sample_at_all_fails_with_upstream_s_words() -> None:
    """Then samples come, and it goes on."""
    world = a_world()
    world.hpa()
    world.clock.sleep(16)
    said = (
        "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics "
        "returned from resource metrics API"
    )
    assert world.events("FailedGetResourceMetric") == [("FailedGetResourceMetric", said, 1)]
    assert world.condition("ScalingActive") == ("False", "FailedGetResourceMetric")
    assert world.status()["currentMetrics"] == [{"type": ""}]
    rows = world.analytics.since(component="HPA", level="warn").rows
    assert [row.action for row in rows] == ["NoScale"]
    world.steady(200, seconds=15)
    assert world.size() == 4


class Source:
    """Custom and external metrics of a test."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[Any] = []

    def pods_metric(self, namespace, name, pods):
        self.asked.append((namespace, name, tuple(pods)))
        return {pod: Sample(self.values[name], 10.0) for pod in pods}

    def object_metric(self, namespace, kind, object_name, name):
        self.asked.append((namespace, kind, object_name, name))
        return self.values[name]

    def external_metric(self, namespace, name, selector):
        self.asked.append((namespace, name, selector))
        return self.values[name]


POD_METRIC = {
    "type": "Pods",
    "pods": {
        "metric": {"name": "qps"},
        "target": {"type": "AverageValue", "averageValue": "100"},
    },
}
OBJECT_METRIC = {
    "type": "Object",
    "object": {
        "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "front"},
        "metric": {"name": "hits"},
        "target": {"type": "Value", "value": "2k"},
    },
}
EXTERNAL_METRIC = {
    "type": "External",
    "external": {
        "metric": {"name": "queue", "selector": {"matchLabels": {"q": "mail"}}},
        "target": {"type": "AverageValue", "averageValue": "30"},
    },
}


@pytest.mark.parametrize(
    ("metric", "values", "asked", "size", "current"),
    [
        (POD_METRIC, {"qps": 250_000}, ("default", "qps", ("web-0",)), 3, {"averageValue": "250"}),
        (
            OBJECT_METRIC,
            {"hits": 4_000_000},
            ("default", "Service", "front", "hits"),
            2,
            {"value": "4k"},
        ),
        (EXTERNAL_METRIC, {"queue": [60_000, 30_000]}, ("default", "queue", "q=mail"), 3, None),
    ],
)
def test_custom_and_external_metrics_come_from_a_source(
    metric, values, asked, size, current
) -> None:
    """Its values are in milli units; status shows them as quantities, with the names of spec."""
    source = Source(**values)
    world = a_world(metrics=source)
    world.hpa(metrics=[metric])
    world.clock.sleep(16)
    assert (world.size(), source.asked) == (size, [asked])
    (entry,) = world.status()["currentMetrics"]
    field = next(key for key in entry if key != "type")
    if current is not None:
        assert entry[field]["current"] == current
    wanted = {key: value for key, value in metric[field].items() if key != "target"}
    assert {key: value for key, value in entry[field].items() if key != "current"} == wanted


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "no metrics returned from external metrics API"),
        (Source(queue=[]), "no metrics returned from external metrics API"),
        (Source(), "KeyError: 'queue'"),
    ],
)
def test_a_metric_without_an_answer_fails_with_its_reason(source, said) -> None:
    """No source, an empty answer, a source that raises: never zero."""
    world = a_world(replicas=3, metrics=source)
    world.hpa(metrics=[EXTERNAL_METRIC])
    world.clock.sleep(16)
    assert world.size() == 3
    assert world.condition("ScalingActive") == ("False", "FailedGetExternalMetric")
    message = world.events("FailedGetExternalMetric")[0][1]
    assert said in message
    assert message.startswith(
        "unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string"
        "{q: mail,},MatchExpressions:[]LabelSelectorRequirement{},}"
    )


@pytest.mark.parametrize(
    ("metric", "size", "field", "current"),
    [
        (
            {
                "type": "Resource",
                "resource": {
                    "name": "memory",
                    "target": {"type": "Utilization", "averageUtilization": 50},
                },
            },
            3,
            "resource",
            {"averageUtilization": 130, "averageValue": "130M"},
        ),
        (
            {
                "type": "Resource",
                "resource": {
                    "name": "memory",
                    "target": {"type": "AverageValue", "averageValue": "70M"},
                },
            },
            2,
            "resource",
            {"averageValue": "130M"},
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "main",
                    "target": {"type": "Utilization", "averageUtilization": 40},
                },
            },
            2,
            "containerResource",
            {"averageUtilization": 75, "averageValue": "150m"},
        ),
    ],
)
def test_resource_metrics(metric, size, field, current) -> None:
    """Memory in bytes, one container's CPU; a request of 100M and 200m."""
    world = a_world()
    world.hpa(metrics=[metric])
    for _ in range(16):
        world.use(75, memory=130_000_000)
        world.clock.sleep(1)
    assert world.size() == size
    assert world.status()["currentMetrics"][0][field]["current"] == current


def test_a_container_that_no_pod_has_fails_the_metric() -> None:
    """There is no request to divide by."""
    resource = {
        "name": "cpu",
        "container": "sidecar",
        "target": {"type": "Utilization", "averageUtilization": 40},
    }
    world = a_world()
    world.hpa(metrics=[{"type": "ContainerResource", "containerResource": resource}])
    world.steady(90, seconds=16)
    assert world.condition("ScalingActive") == ("False", "FailedGetContainerResourceMetric")


# -- policies of your own --------------------------------------------------------------------------


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
    assert world.status() == {}
