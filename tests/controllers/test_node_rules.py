"""The pure rules about nodes: signs of life, taints, zones, rates, tolerations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.controllers.node.health import (
    Health,
    eviction_taint,
    is_silent,
    observe,
    ready_status,
    scheduling_taints,
    taint_changes,
    unknown_conditions,
)
from kubesim.controllers.node.tainteviction import keeps_clock
from kubesim.controllers.node.zones import (
    EvictionQueue,
    ZoneState,
    counts_for_disruption,
    eviction_rate,
    turn,
    zone_of,
    zone_state,
)
from kubesim.objects.taints import eviction_delay, taints_of, tolerates, with_taints

KEY = "node.kubernetes.io/"


@pytest.mark.parametrize(
    ("before", "heartbeat", "renewed", "probe"),
    [
        (None, None, None, 3.0),  # new, never reported: counted from its creation
        (None, "h1", None, 100.0),  # new to the controller
        (None, None, "r1", 100.0),  # a lease alone is a sign of life
        (Health(50.0, None, None), None, None, 50.0),
        (Health(50.0, None, None), "h1", None, 100.0),  # its first report
        (Health(50.0, "h1", None), None, None, 100.0),  # its report vanished
        (Health(50.0, "h1", "r1"), "h1", "r1", 50.0),
        (Health(50.0, "h1", "r1"), "h2", "r1", 100.0),
        (Health(50.0, "h1", "r1"), "h1", "r2", 100.0),
        (Health(50.0, "h1", "r2"), "h1", "r1", 50.0),  # an older lease is no watch events
        (Health(50.0, "h1", "r1"), "h1", None, 50.0),  # nor is one that is gone
    ],
)
def test_when_a_sign_of_life_was_seen(
    before: Health | None, heartbeat: str | None, renewed: str | None, probe: float
) -> None:
    """By the controller's own clock: at the check at which heartbeat or lease had changed."""
    seen = observe(before, created=3.0, heartbeat=heartbeat, renewed=renewed, now=100.0)
    assert seen.probe == probe


@pytest.mark.parametrize(
    ("now", "has_ready", "grace", "silent"),
    [
        (150.0, True, 50.0, False),
        (150.1, True, 50.0, True),
        (155.0, True, 50.0, True),
        (140.0, True, 40.0, False),
        (145.0, True, 40.0, True),
        (160.0, False, 50.0, False),
        (165.0, False, 50.0, True),
    ],
)
def test_silence_is_strictly_longer_than_the_grace(
    now: float, has_ready: bool, grace: float, silent: bool
) -> None:
    """50 s (40 s before 1.32), or 60 s for a node that never reported; equality is not enough."""
    health = Health(100.0, "h", "r")
    assert is_silent(health, has_ready=has_ready, now=now, grace_seconds=grace) is silent


def test_conditions_of_a_silent_node() -> None:
    """Reported ones stop, missing ones never were; those of others and old Unknowns stay."""
    before = [
        {"type": "Ready", "status": "True", "lastHeartbeatTime": "h", "lastTransitionTime": "t"},
        {"type": "MemoryPressure", "status": "Unknown", "reason": "old"},
        {"type": "NetworkUnavailable", "status": "False"},
    ]
    after = unknown_conditions(before, created="c", now="n")
    assert after == [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastHeartbeatTime": "h",
            "lastTransitionTime": "n",
        },
        before[1],
        before[2],
        *[
            {
                "type": type,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": "c",
                "lastTransitionTime": "n",
            }
            for type in ("DiskPressure", "PIDPressure")
        ],
    ]
    assert unknown_conditions(after, created="c", now="later") == after


@pytest.mark.parametrize(
    ("type", "status", "key"),
    [
        ("Ready", "True", None),
        ("Ready", "False", "not-ready"),
        ("Ready", "Unknown", "unreachable"),
        ("MemoryPressure", "True", "memory-pressure"),
        ("MemoryPressure", "Unknown", None),
        ("DiskPressure", "True", "disk-pressure"),
        ("PIDPressure", "True", "pid-pressure"),
        ("NetworkUnavailable", "True", "network-unavailable"),
        ("NetworkUnavailable", "False", None),
        ("Other", "True", None),
    ],
)
def test_taints_of_conditions(type: str, status: str, key: str | None) -> None:
    """Each condition has its NoSchedule taint."""
    taints = scheduling_taints([{"type": type, "status": status}], unschedulable=False)
    assert [taint["key"] for taint in taints] == ([KEY + key] if key else [])
    assert all(taint["effect"] == "NoSchedule" for taint in taints)


def test_only_our_own_taints_are_changed() -> None:
    """Those of others, and ours with another effect, stay; a value does not matter."""
    present = [
        {"key": "dedicated", "effect": "NoSchedule", "value": "gpu"},
        {"key": KEY + "not-ready", "effect": "NoExecute"},
        {"key": KEY + "disk-pressure", "effect": "NoSchedule"},
        {"key": KEY + "unschedulable", "effect": "NoSchedule", "value": "x"},
    ]
    wanted = scheduling_taints([{"type": "Ready", "status": "False"}], unschedulable=True)
    add, remove = taint_changes(present, wanted)
    assert add == [{"key": KEY + "not-ready", "effect": "NoSchedule"}]
    assert remove == [present[2]]
    after = with_taints(present, add, remove)
    assert after == [present[0], present[1], present[3], add[0]]
    assert taint_changes(after, wanted) == ([], [])


def test_the_taint_of_an_eviction() -> None:
    """Unknown is unreachable, False is not-ready, and one excludes the other."""
    assert eviction_taint("True") is None
    for ready, key in (("Unknown", "unreachable"), ("False", "not-ready")):
        decided = eviction_taint(ready)
        assert decided is not None
        assert decided[0] == {"key": KEY + key, "effect": "NoExecute"}
        assert decided[1]["key"] != decided[0]["key"]


@pytest.mark.parametrize(
    ("ready", "not_ready", "state"),
    [
        (0, 0, ZoneState.NORMAL),
        (3, 0, ZoneState.NORMAL),
        (1, 2, ZoneState.NORMAL),  # not more than 2, whatever the fraction
        (0, 1, ZoneState.FULL),
        (0, 3, ZoneState.FULL),
        (1, 3, ZoneState.PARTIAL),
        (3, 3, ZoneState.NORMAL),  # 0.5
        (9, 11, ZoneState.PARTIAL),  # exactly 0.55
        (46, 54, ZoneState.NORMAL),
        (45, 55, ZoneState.PARTIAL),
    ],
)
def test_state_of_a_zone(ready: int, not_ready: int, state: ZoneState) -> None:
    """None ready: full; more than two and at least 55 % not ready: partial; else normal."""
    assert zone_state(ready=ready, not_ready=not_ready) is state


@pytest.mark.parametrize(
    ("state", "size", "rate"),
    [
        (ZoneState.NORMAL, 3, 0.1),
        (ZoneState.PARTIAL, 50, 0.0),
        (ZoneState.PARTIAL, 51, 0.01),
        (ZoneState.FULL, 3, 0.1),
    ],
)
def test_rate_of_a_zone(state: ZoneState, size: int, rate: float) -> None:
    """A zone that is fully down is evicted at full speed, as long as another one lives."""
    assert eviction_rate(state, size) == rate


N, P, F, NEW = ZoneState.NORMAL, ZoneState.PARTIAL, ZoneState.FULL, ZoneState.INITIAL


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], "stay"),
        ([NEW], [N], "adjust"),
        ([NEW], [F], "stop"),
        ([N, F], [F, F], "stop"),
        ([F, F], [F, F], "stay"),
        ([F, F], [F, N], "resume"),
        ([F], [P], "resume"),
        ([N, N], [N, F], "adjust"),
        ([F, N], [N, F], "adjust"),
    ],
)
def test_what_a_check_means(before: list[ZoneState], after: list[ZoneState], expected: str) -> None:
    """All zones dark: stop; light again: resume; otherwise each zone has its own rate."""
    assert turn(before, after) == expected


def test_zones_by_label() -> None:
    """Region and zone together; without labels all nodes are one zone."""

    def node(**labels: str) -> dict[str, Any]:
        return {"metadata": {"labels": {f"topology.kubernetes.io/{k}": labels[k] for k in labels}}}

    assert zone_of(node()) == ""
    assert zone_of(node(region="eu", zone="a")) == "eu/a"
    assert (zone_of(node(zone="a")), zone_of(node(region="eu"))) == ("/a", "eu/")
    excluded = {"metadata": {"labels": {"node.kubernetes.io/exclude-disruption": ""}}}
    assert counts_for_disruption(node()) and not counts_for_disruption(excluded)


def test_one_node_in_ten_seconds() -> None:
    """The first at once, each next one when the bucket has its token again, first come first."""
    queue = EvictionQueue(0.0)
    assert queue.wait(0.0) is None
    assert [queue.add(name, 100.0) for name in ("b", "a", "b")] == [True, True, False]
    assert queue.take(100.0) == "b"
    queue.serve("b")
    assert queue.take(100.0) is None
    assert queue.wait(100.0) == pytest.approx(10.0)
    assert queue.take(109.9) is None
    assert queue.take(110.0) == "a"
    queue.serve("a")
    assert not queue.add("a", 120.0), "served, and not Ready since"
    assert queue.remove("a") and queue.add("a", 120.0)


def test_a_changed_rate_gives_no_token_away() -> None:
    """An empty bucket is replaced by an empty one; a rate of 0 evicts no node."""
    queue = EvictionQueue(0.0)
    queue.add("a", 0.0)
    queue.add("b", 0.0)
    assert queue.take(0.0) == "a"
    queue.serve("a")
    queue.set_rate(0.01, 5.0)
    assert queue.wait(5.0) == pytest.approx(100.0)
    queue.set_rate(0.0, 50.0)
    assert queue.take(1000.0) is None and queue.wait(1000.0) is None
    queue.set_rate(0.1, 1000.0)
    assert queue.wait(1000.0) == pytest.approx(10.0)


@given(
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from("abcdef")), max_size=40),
    st.sampled_from([0.1, 0.5]),
)
def test_never_faster_than_the_rate(steps: list[tuple[float, str]], rate: float) -> None:
    """Whatever comes when: in any time span at most one node more than the rate allows."""
    queue, now, served = EvictionQueue(0.0, rate), 0.0, []
    for wait, name in steps:
        now += wait
        queue.remove(name)
        queue.add(name, now)
        taken = queue.take(now)
        if taken is not None:
            queue.serve(taken)
            served.append(now)
    for first in range(len(served)):
        for last in range(first, len(served)):
            allowed = 1 + (served[last] - served[first]) * rate
            assert last - first + 1 <= allowed + 1e-6


def test_what_a_node_says_of_itself() -> None:
    """The Ready condition with its heartbeat, and the taints by effect; nothing where none is."""
    others = [{"type": "DiskPressure", "status": "False", "lastHeartbeatTime": "d"}]
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "h"}
    assert ready_status({"status": {"conditions": [*others, ready]}}) == ("True", "h")
    assert ready_status({"status": {"conditions": others}}) is None
    assert ready_status({}) is None
    assert ready_status({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}) == (
        "False",
        "",
    )
    soft, hard = ({"key": "a", "effect": effect} for effect in ("NoSchedule", "NoExecute"))
    node = {"spec": {"taints": [soft, hard]}}
    assert taints_of(node) == [soft, hard]
    assert taints_of(node, "NoExecute") == [hard]
    assert taints_of({}) == taints_of({"spec": {"taints": None}}) == []


TAINT = {"key": "a", "value": "x", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "a", "value": "x"}, True),
        ({"key": "a", "value": "y"}, False),
        ({"key": "b", "operator": "Exists"}, False),
        ({"value": "x"}, True),
        ({"value": "y"}, False),
        ({"key": "a", "operator": "Near", "value": "x"}, False),
    ],
)
def test_one_toleration_and_one_taint(toleration: dict[str, Any], expected: bool) -> None:
    """Empty fields cover all; Equal needs a key and the same value."""
    assert tolerates(toleration, TAINT) is expected


def seconds(key: str, value: int | None = None) -> dict[str, Any]:
    """A toleration of a key, for so long."""
    result = {"key": key, "operator": "Exists", "effect": "NoExecute"}
    return result if value is None else {**result, "tolerationSeconds": value}


@pytest.mark.parametrize(
    ("keys", "tolerations", "delay"),
    [
        ("a", [], 0.0),
        ("a", [seconds("b")], 0.0),
        ("a", [seconds("a")], None),
        ("a", [seconds("a", 300)], 300.0),
        ("a", [seconds("a", 0)], 0.0),
        ("a", [seconds("a", -5)], 0.0),
        ("a", [seconds("a", 300), seconds("a", 10)], 300.0),  # the first that fits is used
        ("a", [seconds("a"), seconds("a", 10)], None),
        ("ab", [seconds("a", 300), seconds("b", 60)], 60.0),
        ("ab", [seconds("a", 300), seconds("b")], 300.0),
        ("ab", [seconds("a", 300)], 0.0),
        ("ab", [{"operator": "Exists", "tolerationSeconds": 7}], 7.0),
    ],
)
def test_how_long_a_pod_may_stay(
    keys: str, tolerations: list[dict[str, Any]], delay: float | None
) -> None:
    """Every taint needs a toleration, and the shortest of those used counts."""
    taints = [{"key": key, "effect": "NoExecute"} for key in keys]
    assert eviction_delay(taints, tolerations) == delay


@pytest.mark.parametrize(
    ("started", "due", "delay", "now", "kept"),
    [
        (None, 0.0, 300.0, 100.0, False),
        (100.0, 400.0, 300.0, 100.0, True),
        (100.0, 400.0, 10.0, 100.0, False),
        (100.0, 400.0, 10.0, 101.0, True),
        (100.0, 110.0, 900.0, 105.0, True),
    ],
)
def test_a_clock_that_runs_is_left_alone(
    started: float | None, due: float, delay: float, now: float, kept: bool
) -> None:
    """Neither lengthened nor shortened, but at the very second of its start."""
    assert keeps_clock(started, due, delay, now) is kept
