"""The control loop on virtual time: when it syncs, what it writes, what it reports."""

from __future__ import annotations

import pytest
from hpa_world import KIND, World

from kubesim.autoscaler import PolicyConstants
from kubesim.clock import LiveClock
from kubesim.objects import meta


@pytest.fixture
def world() -> World:
    """One workload with one pod."""
    found = World()
    found.workload()
    found.run(1)
    return found


# -- sync periods ----------------------------------------------------------------------------------


def test_the_first_look_comes_one_period_after_creation(world: World) -> None:
    """15 s unless the HPA says otherwise; creating it triggers nothing."""
    world.clock.sleep(4)
    world.hpa()
    world.steady(200, seconds=14)
    assert (world.syncs(), world.size()) == ([], 1)
    world.steady(200, seconds=40)
    assert world.syncs() == [19.0, 34.0, 49.0]


def test_the_annotation_sets_the_period_of_one_hpa(world: World) -> None:
    """In Kubernetes it is one flag for all."""
    world.workload("db")
    world.run(1, "db")
    world.hpa(period="5s")
    world.hpa("db", period="1m30s")
    world.clock.sleep(95)
    assert world.syncs() == [5.0 * n for n in range(1, 20)]
    assert world.syncs("hpa/db") == [90.0]


def test_the_default_period_is_an_option() -> None:
    """sync_period_seconds."""
    world = World(sync_period_seconds=2.5)
    world.hpa()
    world.clock.sleep(6)
    assert world.controller.statistics()["passes"] == 2


@pytest.mark.parametrize(
    ("period", "syncs"),
    [
        ("20s", [60.0, 90.0, 110.0]),  # 20 s after the change is sooner than 120
        ("1m", [60.0, 120.0]),  # the sync at 120 stays, then each minute
        ("10m", [60.0, 120.0]),
        ("50s", [60.0, 120.0]),  # 70 + 50 is 120
        ("49s", [60.0, 119.0]),
    ],
)
def test_a_new_period_replans_the_next_sync(world: World, period: str, syncs: list[float]) -> None:
    """At the earlier of the next sync and one new period from now. Changed at second 70."""
    world.hpa(period="1m")
    world.clock.sleep(70)
    world.edit(period=period)
    world.clock.sleep(51)
    assert world.syncs() == syncs


def test_an_edit_is_noticed_at_the_next_look_and_not_before(world: World) -> None:
    """Changing the bounds triggers no pass."""
    world.hpa()
    world.steady(50, seconds=16)
    world.edit(minReplicas=3)
    world.steady(50, seconds=13)
    assert (world.size(), world.syncs()) == (1, [15.0])
    world.steady(50, seconds=2)
    assert world.size() == 3


def test_a_removed_annotation_falls_back_to_the_default(world: World) -> None:
    """The time of the next sync does not change."""
    world.hpa(period="5s")
    world.clock.sleep(11)
    hpa = world.api.get(KIND, "web")
    hpa["metadata"]["annotations"] = {}
    world.api.update(hpa)
    world.clock.sleep(30)
    assert world.syncs() == [5.0, 10.0, 15.0, 30.0]


@pytest.mark.parametrize("text", ["soon", "-5s", "0s", ""])
def test_a_period_that_is_none_never_stops_the_loop(world: World, text: str, monkeypatch) -> None:
    """The API server refuses it; should one come another way, the default holds."""
    hpa = world.hpa(period="5s")
    world.clock.sleep(6)
    hpa["metadata"]["annotations"]["kubesim.dev/sync-period"] = text
    assert world.controller._period_of(hpa) == 15.0
    row = world.analytics.since(component="HPA", action="BadPeriod").rows[-1]
    assert row.level == "warn"


# -- what it writes --------------------------------------------------------------------------------


def test_growing_writes_scale_status_event_log_and_decision(world: World) -> None:
    """200 % against 50 %: 1 -> 4."""
    world.hpa()
    world.steady(200, seconds=16)
    assert world.size() == 4
    status = world.status()
    assert status["currentReplicas"] == 1  # as read at the start of the pass
    assert status["desiredReplicas"] == 4
    assert status["lastScaleTime"] == "2025-01-01T00:00:15Z"
    assert status["currentMetrics"] == [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "current": {"averageUtilization": 200, "averageValue": "400m"},
            },
        }
    ]
    assert [c["type"] for c in status["conditions"]] == [
        "AbleToScale",
        "ScalingActive",
        "ScalingLimited",
    ]
    assert world.condition("AbleToScale") == ("True", "SucceededRescale")
    assert world.condition("ScalingActive") == ("True", "ValidMetricFound")
    assert world.condition("ScalingLimited") == ("False", "DesiredWithinRange")
    reason = "cpu resource utilization (percentage of request) above target"
    assert world.events() == [("SuccessfulRescale", f"New size: 4; reason: {reason}", 1)]
    row = world.analytics.since(component="HPA", level="info").rows[-1]
    assert str(row) == (
        "[INFO] HPA: ScaleUp: web: 1 -> 4 replicas, cpu 200% of request against target 50%"
    )
    decision = world.decisions.latest("hpa/web")
    assert decision.component == "horizontal-pod-autoscaler"
    assert decision.verdict == "1 -> 4 replicas (cpu 200% of request, target 50%)"
    assert decision.data == {
        "from": 1,
        "to": 4,
        "metric": "cpu",
        "utilization": 200,
        "target": 50,
        "average_milli": 400,
        "ready": 1,
        "pods": 1,
        "proposal": 4,
        "stable": 4,
        "min": 1,
        "max": 10,
        "reason": reason,
        "written": True,
        "metrics": [
            {
                "metric": "cpu resource utilization (percentage of request)",
                "proposal": 4,
                "ratio": 4.0,
                "measured": 200,
                "target": 50,
                "unit": "percent",
                "held": "",
            }
        ],
        "changes": [
            {
                "kind": "measured",
                "value": 150,
                "replicas": 3,
                "text": "the average utilization fell to 150% (it is 200%)",
            }
        ],
    }
    assert decision.steps and decision.would_change_if


def test_the_event_s_source_is_the_controller(world: World) -> None:
    """As kubectl describe shows it."""
    world.hpa()
    world.steady(200, seconds=16)
    event = world.api.list("Event")["items"][0]
    assert event["source"] == {"component": "horizontal-pod-autoscaler"}
    assert event["involvedObject"]["name"] == "web"


def test_shrinking_waits_for_the_window_and_says_so(world: World) -> None:
    """Seeded with 3 at t = 15, so nothing before t > 315; the 30 s pass after that acts."""
    world.resize(3)
    world.run(2, first=1)
    world.hpa()
    world.steady(10, 10, 10, seconds=316)
    assert (world.size(), world.condition("AbleToScale")) == (3, ("True", "ScaleDownStabilized"))
    assert world.syncs()[-1] == 315.0
    world.steady(10, 10, 10, seconds=15)
    assert world.size() == 1
    assert world.analytics.since(component="HPA", action="ScaleDown").rows[-1].message == (
        "web: 3 -> 1 replicas, cpu 10% of request against target 50%"
    )
    assert world.events("SuccessfulRescale")[-1][1] == (
        "New size: 1; reason: All metrics below target"
    )


def test_a_quiet_pass_writes_nothing(world: World) -> None:
    """No event, no status, no revision; two debug rows and a decision."""
    world.hpa()
    world.steady(50, seconds=16)
    before = world.api.get(KIND, "web")["metadata"]["resourceVersion"]
    world.steady(50, seconds=60)
    assert world.api.get(KIND, "web")["metadata"]["resourceVersion"] == before
    assert world.events() == []
    rows = world.analytics.since(component="HPA").rows
    assert [row.action for row in rows] == ["Checking", "NoScale"] * 5
    assert {row.level for row in rows} == {"debug"}
    assert rows[1].message == "web: keeps 1 replicas, cpu 50% of request against target 50%"
    assert len(world.decisions.of("hpa/web")) == 5


def test_times_of_transitions_move_only_with_the_status(world: World) -> None:
    """The reason of AbleToScale changes, its lastTransitionTime does not."""
    world.hpa()
    world.steady(50, seconds=16)
    first = world.status()["conditions"]
    world.run(3, first=1)
    world.steady(200, 200, 200, 200, seconds=15)
    second = world.status()["conditions"]
    assert first[0]["reason"] == "ReadyForNewScale"
    assert second[0]["reason"] == "SucceededRescale"
    assert second[0]["lastTransitionTime"] == first[0]["lastTransitionTime"]


@pytest.mark.parametrize(
    ("size", "low", "high", "after", "reason"),
    [
        (7, 1, 5, 5, "Current number of replicas above Spec.MaxReplicas"),
        (1, 3, 5, 3, "Current number of replicas below Spec.MinReplicas"),
    ],
)
def test_outside_the_bounds_it_acts_without_metrics(size, low, high, after, reason) -> None:
    """No pod, no sample: and still."""
    world = World()
    world.workload(replicas=size)
    world.hpa(low=low, high=high)
    world.clock.sleep(16)
    assert world.size() == after
    assert world.events() == [("SuccessfulRescale", f"New size: {after}; reason: {reason}", 1)]
    assert world.condition("ScalingActive") is None
    assert world.status()["currentMetrics"] == []
    assert world.analytics.since(component="HPA", level="info").rows[-1].message == (
        f"web: {size} -> {after} replicas, {reason}"
    )


def test_scaled_to_zero_by_hand_it_is_paused(world: World) -> None:
    """The condition says so; after a manual scale-up the HPA continues."""
    world.hpa()
    world.resize(0)
    world.steady(200, seconds=31)
    assert (world.size(), world.condition("ScalingActive")) == (0, ("False", "ScalingDisabled"))
    assert world.condition("AbleToScale") == ("True", "SucceededGetScale")
    assert world.status()["desiredReplicas"] == 0
    world.resize(1)
    world.steady(200, seconds=15)
    assert world.size() == 4
    assert world.condition("ScalingActive") == ("True", "ValidMetricFound")


def test_a_starting_pod_counts_once_its_window_is_clean(world: World) -> None:
    """The kubelet's Ready time and the sample's window are compared as written."""
    world.resize(2)
    pod = world.api.get("Pod", "web-0")
    world.run(1, first=1)
    late = world.api.get("Pod", "web-1")
    world.set_pod_status(late, ready="False")
    world.hpa()
    world.clock.sleep(10)
    assert pod["metadata"]["name"] == "web-0"
    world.steady(100, 500, seconds=6)
    assert world.decisions.latest("hpa/web").steps[0].inputs["unready"] == 1
    world.set_pod_status(world.api.get("Pod", "web-1"), ready="True")  # at 16
    world.steady(100, 500, seconds=15)
    assert world.decisions.latest("hpa/web").steps[0].inputs["ready"] == 2


def test_pods_of_others_are_not_counted(world: World) -> None:
    """Other labels, other namespaces, bare pods."""
    world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}})
    world.run(2, "db")
    world.run(2, namespace="lab")
    world.use(500, 500, name="db")
    world.hpa()
    world.steady(50, seconds=16)
    assert world.decisions.latest("hpa/web").data["pods"] == 1


def test_an_hpa_in_another_namespace_has_it_in_its_name() -> None:
    """hpa/NAMESPACE/NAME, and the log line says so, too."""
    world = World()
    world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}})
    world.workload(namespace="lab", replicas=5)
    world.hpa(namespace="lab", high=3)
    world.clock.sleep(16)
    assert world.size(namespace="lab") == 3
    assert world.decisions.objects() == ["hpa/lab/web"]
    row = world.analytics.since(component="HPA", level="info").rows[-1]
    assert row.message.startswith("lab/web: 5 -> 3 replicas")


# -- what it remembers -----------------------------------------------------------------------------


def test_a_policy_s_budget_is_kept_over_passes(world: World) -> None:
    """scaleDown 2 Pods per 60 s, window 0: 10 -> 8 at 15, 6 at 75, when the event is 60 s old."""
    world.resize(10)
    world.run(9, first=1)
    rules = {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
    }
    world.hpa(behavior={"scaleDown": rules}, period="5s")
    world.clock.sleep(10.5)  # so long without a sample: the metric fails, nothing moves
    assert world.size() == 10
    sizes = []
    for _ in range(14):
        world.steady(*[5] * 10, seconds=5)
        sizes.append(world.size())
    assert sizes == [8] * 12 + [6] * 2
    assert world.condition("ScalingLimited") == ("True", "ScaleDownLimit")


def test_a_deleted_hpa_is_forgotten(world: World) -> None:
    """A new HPA of the same name starts empty: its window starts again."""
    world.resize(3)
    world.run(2, first=1)
    world.hpa()
    world.steady(10, 10, 10, seconds=200)
    world.api.delete(KIND, "web")
    world.clock.sleep(1)
    assert world.controller.statistics()["hpas"] == 0
    world.hpa()
    world.steady(10, 10, 10, seconds=300)
    assert world.size() == 3  # the old log would have let it go at 330
    world.steady(10, 10, 10, seconds=31)
    assert world.size() == 1


@pytest.mark.parametrize("relisted", [False, True])
def test_recreated_within_one_instant_it_is_new_as_well(world: World, relisted: bool) -> None:
    """An informer that lists again sees one change where there were two: the uid tells."""
    world.hpa()
    world.steady(50, seconds=20)
    assert world.controller._entries["default/web"].state.recommendations
    world.api.delete(KIND, "web")
    world.hpa()
    if relisted:
        world.controller._hpas._relist()
    else:
        world.clock.sleep(0)
    due = world.controller._entries["default/web"]
    assert due.state.recommendations is None
    assert due.uid == meta.uid_of(world.api.get(KIND, "web"))
    world.steady(50, seconds=16)
    assert world.syncs() == [15.0, 35.0]


def test_a_restarted_controller_has_forgotten_everything(world: World) -> None:
    """The logs live in its memory."""
    world.resize(3)
    world.run(2, first=1)
    world.hpa()
    world.steady(10, 10, 10, seconds=290)
    world.controller.stop()
    world.controller = world.start()
    world.steady(10, 10, 10, seconds=310)
    assert world.size() == 3
    world.steady(10, 10, 10, seconds=20)
    assert world.size() == 1


def test_the_constants_reach_the_algorithm() -> None:
    """A window of 30 s instead of 300."""
    world = World(constants=PolicyConstants(downscale_window_seconds=30.0))
    world.workload(replicas=2)
    world.run(2)
    world.hpa()
    world.steady(10, 10, seconds=61)
    assert world.size() == 1


def test_stopping_ends_the_looks(world: World) -> None:
    """And frees the worker's name."""
    world.hpa()
    world.clock.sleep(16)
    world.controller.stop()
    world.clock.sleep(60)
    assert world.syncs() == [15.0]
    assert "horizontal-pod-autoscaler" not in world.clock.workers()


@pytest.mark.live
def test_on_the_live_clock_it_is_one_named_thread() -> None:
    """The same code; a sync each simulated second, at twenty times real time."""
    clock = LiveClock(speed=20.0)
    try:
        world = World(clock=clock)
        world.workload(replicas=7)
        world.hpa(high=5, period="1s")
        assert clock.wait_until(lambda: world.size() == 5, 3_000)
        assert "horizontal-pod-autoscaler" in clock.workers()
        world.controller.stop()
    finally:
        clock.close()
