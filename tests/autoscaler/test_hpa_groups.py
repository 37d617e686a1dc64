"""Which pods count, which CPU samples are trusted, and which requests are needed."""

from __future__ import annotations

import pytest
from hpa_builders import OLD, cpu, decide, plain, pod, pods

from kubesim.autoscaler import PolicyConstants, Sample
from kubesim.autoscaler.policy.figures import Groups
from kubesim.autoscaler.policy.replica_calculator import group_pods, trusts_cpu


def group_of(groups: Groups, name: str = "p0") -> str:
    found = [
        kind for kind in ("ready", "unready", "missing", "ignored") if name in getattr(groups, kind)
    ]
    assert len(found) == 1, groups
    return found[0]


@pytest.mark.parametrize(
    ("facts", "sampled", "cpu_group", "other_group"),
    [
        ({}, True, "ready", "ready"),
        ({}, False, "missing", "missing"),
        ({"terminating": True}, True, "ignored", "ignored"),
        ({"phase": "Failed"}, True, "ignored", "ignored"),
        ({"phase": "Failed"}, False, "ignored", "ignored"),
        ({"phase": "Pending"}, True, "unready", "unready"),
        ({"phase": "Pending"}, False, "unready", "unready"),
        ({"phase": "Pending", "terminating": True}, False, "ignored", "ignored"),
        ({"phase": "Succeeded"}, True, "ready", "ready"),
        ({"phase": "Succeeded"}, False, "missing", "missing"),
        ({"phase": "Unknown"}, True, "ready", "ready"),
        ({"ready": None}, True, "unready", "ready"),
        ({"started": None}, True, "unready", "ready"),
        ({"ready": None}, False, "missing", "missing"),
        ({"started": 990.0, "ready": False, "ready_changed": 990.0}, True, "unready", "ready"),
    ],
)
def test_every_pod_is_in_exactly_one_group(facts, sampled, cpu_group, other_group) -> None:
    """The order of the rules decides; only CPU has a rule for starting pods."""
    samples = {"p0": Sample(100, 1000.0, 15.0)} if sampled else {}
    for is_cpu, wanted in ((True, cpu_group), (False, other_group)):
        groups = group_pods([pod(**facts)], samples, cpu=is_cpu, now=1000.0)
        assert group_of(groups) == wanted


# Periods: initialization 300 s, readiness delay 30 s. The pod starts at 0.
@pytest.mark.parametrize(
    ("now", "ready", "changed", "time", "window", "trusted"),
    [
        # Young: ready, and the whole window after it became so.
        (100, True, 50, 80, 30, True),  # the window begins exactly with readiness
        (100, True, 50.5, 80, 30, False),  # half a second earlier
        (100, True, 50, 80, 31, False),
        (100, True, 10, 100, 15, True),
        (100, False, 10, 100, 15, False),
        (100, False, 50, 100, 15, False),
        (100, "Unknown", 10, 100, 15, True),  # only Ready=False is unready
        (100, "Unknown", 90, 100, 15, False),  # the sample began before the condition
        (100, None, 0, 100, 15, False),
        (299.999, True, 290, 299, 15, False),  # younger than the period, strictly
        (299.999, False, 200, 299, 15, False),
        # Old: untrusted only if it is unready and never was ready.
        (300, True, 290, 299, 15, True),  # age == period is old
        (300, False, 200, 299, 15, True),  # lost readiness after 200 s: it ran
        (300, False, 30, 299, 15, True),  # 30 s is not less than the delay
        (300, False, 29.999, 299, 15, False),
        (9999, False, 0, 9999, 15, False),  # hours old, never ready
        (9999, True, 0, 9999, 15, True),
        (9999, "Unknown", 0, 9999, 15, True),  # not known to be unready
        (9999, None, 0, 9999, 15, False),
    ],
)
def test_cpu_samples_of_starting_pods_are_suspect(
    now, ready, changed, time, window, trusted
) -> None:
    """Each boundary of the two start-up rules, at the boundary and just off it."""
    facts = pod(started=0.0, ready=ready, ready_changed=changed)
    assert trusts_cpu(facts, Sample(1, time, window), float(now)) is trusted


def test_the_start_up_periods_are_parameters() -> None:
    """Upstream's own tests use 120 s and 10 s."""
    constants = PolicyConstants(cpu_initialization_seconds=120.0, readiness_delay_seconds=10.0)
    facts = pod(started=0.0, ready=False, ready_changed=10.0)
    sample = Sample(1, 119.0, 15.0)
    assert not trusts_cpu(facts, sample, 119.0, constants)
    assert trusts_cpu(facts, sample, 120.0, constants)
    assert not trusts_cpu(facts, sample, 120.0)


def test_a_pod_without_start_time_is_not_trusted() -> None:
    """It has not started; whatever was measured is not its load."""
    assert not trusts_cpu(pod(started=None), Sample(1, 1e6, 0.0), 1e6)


def test_memory_and_custom_metrics_count_a_newborn_pod() -> None:
    """The start-up rules are for the resource CPU alone, in both kinds of resource metric."""
    newborn = (pod("p0"), pod("p1", started=995.0, ready=False, ready_changed=995.0))
    metric, reading = cpu(1000, 1000)
    assert decide((metric, reading), current=2, pods=newborn).data["ready"] == 1
    for name, type in (("memory", "Resource"), ("memory", "ContainerResource"), ("cpu", "Pods")):
        result = decide(plain(10, 10, target=1, type=type, name=name), current=2, pods=newborn)
        assert result.data["ready"] == 2, (name, type)
    per_container = cpu(1000, 1000, type="ContainerResource", container="main")
    assert decide(per_container, current=2, pods=newborn).data["ready"] == 1


def test_samples_of_ignored_and_unready_pods_are_dropped() -> None:
    """A dying pod's or a pending pod's use plays no part."""
    group = (
        *pods(2),
        pod("p2", terminating=True),
        pod("p3", phase="Failed"),
        pod("p4", phase="Pending"),
    )
    result = decide(cpu(250, 250, 9000, 9000, 9000), current=2, pods=group)
    assert result.data["utilization"] == 25
    assert result.replicas == 1


@pytest.mark.parametrize(
    "state", [{}, {"phase": "Failed"}, {"phase": "Pending"}, {"terminating": True}]
)
def test_one_pod_without_a_request_breaks_utilization(state) -> None:
    """Requests are collected for every selected pod, whatever its state."""
    metric, reading = cpu(600, 600)
    reading.requests["p2"] = None  # type: ignore[index]
    result = decide((metric, reading), current=2, pods=(*pods(2), pod("p2", **state)))
    assert result.failed
    assert "missing request for cpu in Pod p2" in result.events[0][2]


def test_a_pod_that_was_never_asked_for_its_request_breaks_it_too() -> None:
    """A pod without an entry has no request."""
    metric, reading = cpu(600)
    assert decide((metric, reading), current=2, pods=pods(2)).failed


def test_averages_need_no_request() -> None:
    """AverageValue of a resource needs no request."""
    result = decide(plain(300, 300, target=100, type="Resource", name="cpu"), current=2)
    assert (result.replicas, result.failed) == (4, False)  # 6 wanted, 4 is the burst limit


def test_the_named_container_is_named_in_the_failure() -> None:
    """ContainerResource says which container asks for nothing."""
    metric, reading = cpu(600, type="ContainerResource", container="main")
    reading.requests["p0"] = None  # type: ignore[index]
    result = decide((metric, reading))
    assert reasons_text(result) == (
        "failed to get cpu utilization: missing request for cpu in container main of Pod p0"
    )


def reasons_text(result) -> str:
    return result.events[0][2]


def test_old_means_old() -> None:
    """The builders' pods are beyond every start-up rule."""
    assert trusts_cpu(pod(), Sample(1, 0.0, 60.0), 0.0)
    assert OLD < -300
