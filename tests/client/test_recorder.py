"""Events as client-go's recorder writes them (tools/record/event.go, events_cache.go)."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.client import EventRecorder
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.store import EtcdStore


@pytest.fixture
def clock() -> VirtualClock:
    """Virtual time."""
    return VirtualClock()


@pytest.fixture
def api(clock: VirtualClock) -> KubeAPI:
    """An API server alone."""
    return KubeAPI(EtcdStore(), clock, NamedStreams(1))


def config(name: str = "a") -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


def messages(api: KubeAPI) -> list[tuple[str, int]]:
    return [(e["message"], e["count"]) for e in api.list("Event")["items"]]


def test_names_list_in_the_order_of_time(api: KubeAPI, clock: VirtualClock) -> None:
    """The name ends in nanoseconds in hexadecimal, also for many events of one instant."""
    target = api.create(config())
    recorders = [EventRecorder(api, "one"), EventRecorder(api, "two")]
    for number in range(24):
        recorders[number % 2].event(target, "Normal", f"R{number}", "m")
        if number % 8 == 7:
            clock.sleep(0.25)
    events = api.list("Event")["items"]
    assert [e["reason"] for e in events] == [f"R{number}" for number in range(24)]
    first = events[0]["metadata"]["name"]
    assert first == f"a.{1_735_689_600_000_000_000:x}"


def test_the_tenth_message_and_later_ones_are_combined(api: KubeAPI, clock: VirtualClock) -> None:
    """Nine Events of their own, then one that carries the newest message and counts."""
    recorder, target = EventRecorder(api, "c"), api.create(config())
    for number in range(12):
        recorder.event(target, "Warning", "Failed", f"number {number}")
        clock.sleep(1)
    assert messages(api) == [
        *((f"number {number}", 1) for number in range(9)),
        ("(combined from similar events): number 11", 3),
    ]
    recorder.event(target, "Warning", "Failed", "number 3")
    assert ("number 3", 2) in messages(api)
    recorder.event(target, "Warning", "Other", "number 3")
    assert ("number 3", 1) in messages(api)


def test_after_ten_quiet_minutes_messages_stand_alone_again(
    api: KubeAPI, clock: VirtualClock
) -> None:
    """The group is forgotten 600 s after its last event, not after its first."""
    recorder, target = EventRecorder(api, "c"), api.create(config())
    for number in range(10):
        recorder.event(target, "Warning", "Failed", f"number {number}")
        clock.sleep(100)
    assert messages(api)[-1] == ("(combined from similar events): number 9", 1)
    clock.sleep(501)
    recorder.event(target, "Warning", "Failed", "number 10")
    assert messages(api)[-1] == ("number 10", 1)


def test_a_count_goes_on_while_the_rate_limit_cuts(api: KubeAPI, clock: VirtualClock) -> None:
    """Upstream counts before it filters: the next Event that is written has the whole count."""
    recorder, target = EventRecorder(api, "c"), api.create(config())
    for _ in range(40):
        recorder.event(target, "Warning", "BackOff", "again")
    assert messages(api) == [("again", 25)]
    clock.sleep(300)
    recorder.event(target, "Warning", "BackOff", "again")
    assert messages(api) == [("again", 41)]


def test_an_event_of_the_kubelet() -> None:
    """It names its node, and the container that it is about."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        first = {"name": "prepare", "image": "x"}
        spec = {"initContainers": [first], "containers": [{"name": "web", "image": "x"}]}
        cluster.api.create({"kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
        cluster.sleep(5)
        events = {e["message"]: e for e in cluster.api.list("Event")["items"]}
        created = events["Created container: web"]
        assert created["source"] == {"component": "kubelet", "host": "node-1"}
        assert created["reportingComponent"] == "kubelet"
        assert created["reportingInstance"] == "node-1"
        assert created["involvedObject"]["fieldPath"] == "spec.containers{web}"
        prepared = events["Started container prepare"]
        assert prepared["involvedObject"]["fieldPath"] == "spec.initContainers{prepare}"
        scheduled = next(e for e in events.values() if e["reason"] == "Scheduled")
        assert scheduled["source"] == {"component": "default-scheduler"}
        assert "fieldPath" not in scheduled["involvedObject"]
        listed = [
            e for e in cluster.api.list("Event")["items"] if e["involvedObject"]["name"] == "p"
        ]
        order = ["Scheduled", "Pulled", "Created", "Started", "Pulled", "Created", "Started"]
        assert [e["reason"] for e in listed] == order


def test_a_refused_pod_is_one_kind_of_event() -> None:
    """FailedCreate; no further Event doubles it."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.apply("""
apiVersion: v1
kind: ResourceQuota
metadata: {name: q}
spec: {hard: {pods: "0"}}
""")
        template = {"containers": [{"name": "c", "image": "x"}], "restartPolicy": "Never"}
        for kind, api_version in (("Job", "batch/v1"), ("DaemonSet", "apps/v1")):
            spec: dict[str, Any] = {"template": {"spec": template}}
            if kind == "DaemonSet":
                labels = {"app": "d"}
                pod = {"containers": template["containers"]}
                spec = {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                }
            cluster.api.create(
                {"kind": kind, "apiVersion": api_version, "metadata": {"name": "x"}, "spec": spec}
            )
        cluster.sleep(30)
        warnings = [e for e in cluster.api.list("Event")["items"] if e["type"] == "Warning"]
        assert {e["involvedObject"]["kind"] for e in warnings} == {"Job", "DaemonSet"}
        assert {e["reason"] for e in warnings} == {"FailedCreate"}
