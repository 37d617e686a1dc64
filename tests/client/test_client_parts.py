"""Informer, work queue, recorder, decisions: what every component is made of."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import (
    Controller,
    Decision,
    DecisionLog,
    EventRecorder,
    Informer,
    RuleStep,
    Tools,
    WorkQueue,
    retry_on_conflict,
)
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.errors import Conflict
from kubesim.store import EtcdStore


@pytest.fixture
def clock() -> VirtualClock:
    """Virtual time."""
    return VirtualClock()


@pytest.fixture
def api(clock: VirtualClock) -> KubeAPI:
    """An API server with a small history, so that watches can fall behind."""
    return KubeAPI(EtcdStore(history_limit=50), clock, NamedStreams(1))


def config(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_an_informer_lists_then_follows(api: KubeAPI, clock: VirtualClock) -> None:
    """Its cache is what the store has; events tell what changed."""
    api.create(config("a"))
    events: list[tuple[str, str]] = []
    informer = Informer(
        api,
        clock.worker("w"),
        "ConfigMap",
        on_event=lambda e: events.append((e.type, e.object["metadata"]["name"])),
    )
    informer.start()
    clock.sleep(1)
    assert informer.synced
    api.create(config("b"))
    api.patch("ConfigMap", "a", {"data": {"x": "1"}})
    api.delete("ConfigMap", "b")
    clock.sleep(1)
    assert events == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert [c["metadata"]["name"] for c in informer.list()] == ["a"]
    assert informer.get("default/a")["data"] == {"x": "1"}  # type: ignore[index]


def test_an_informer_that_fell_behind_lists_again(api: KubeAPI, clock: VirtualClock) -> None:
    """The watch expires; the cache is right all the same, and differences are told."""
    events: list[str] = []
    informer = Informer(
        api,
        clock.worker("w"),
        "ConfigMap",
        on_event=lambda e: events.append(e.type),
        latency_seconds=100,
    )
    api.create(config("gone"))
    informer.start()
    clock.sleep(1)
    api.delete("ConfigMap", "gone")
    for number in range(200):
        name = f"c{number % 5}"
        if number < 5:
            api.create(config(name))
        else:
            api.patch("ConfigMap", name, {"data": {"n": str(number)}})
    clock.sleep(300)
    assert informer.relists >= 2
    assert sorted(c["metadata"]["name"] for c in informer.list()) == [f"c{n}" for n in range(5)]
    assert "DELETED" in events


def test_a_resync_repairs_what_was_lost(api: KubeAPI, clock: VirtualClock) -> None:
    """Whatever the reason, the next list brings the cache back."""
    informer = Informer(api, clock.worker("w"), "ConfigMap", resync_seconds=60)
    informer.start()
    clock.sleep(1)
    informer._watch.close()  # type: ignore[union-attr]
    informer._watch = None
    api.create(config("a"))
    clock.sleep(30)
    assert informer.get("default/a") is None
    clock.sleep(60)
    assert informer.get("default/a") is not None


def test_previous_is_what_was_seen_last(api: KubeAPI, clock: VirtualClock) -> None:
    """A change that was lost shows in the next event: its previous state is that of the cache."""
    told: list[tuple[str, str | None]] = []

    def on_event(event: ResourceEvent) -> None:
        before = event.previous
        told.append((event.type, None if before is None else before["data"].get("n")))

    informer = Informer(api, clock.worker("w"), "ConfigMap", on_event=on_event)
    informer.start()
    api.create(config("a", n="1"))
    clock.sleep(1)
    api.patch("ConfigMap", "a", {"data": {"n": "2"}})
    assert informer._watch is not None
    informer._watch.poll()  # lost
    informer._watch.poll()
    api.patch("ConfigMap", "a", {"data": {"n": "3"}})
    clock.sleep(1)
    api.delete("ConfigMap", "a")
    clock.sleep(1)
    assert told == [("ADDED", None), ("MODIFIED", "1"), ("DELETED", "3")]


def test_an_index_follows_changes(api: KubeAPI, clock: VirtualClock) -> None:
    """Objects move between values and leave with their deletion."""
    informer = Informer(
        api,
        clock.worker("w"),
        "ConfigMap",
        indexers={"colour": lambda c: [c["data"].get("colour", "")]},
    )
    informer.start()
    api.create(config("a", colour="red"))
    clock.sleep(1)
    assert [c["metadata"]["name"] for c in informer.by_index("colour", "red")] == ["a"]
    api.patch("ConfigMap", "a", {"data": {"colour": "blue"}})
    clock.sleep(1)
    assert list(informer.by_index("colour", "red")) == []
    assert len(list(informer.by_index("colour", "blue"))) == 1
    api.delete("ConfigMap", "a")
    clock.sleep(1)
    assert list(informer.by_index("colour", "blue")) == []


def test_a_key_added_while_it_is_worked_on_is_worked_on_again(clock: VirtualClock) -> None:
    """The set invariants of client-go's work queue."""
    seen: list[str] = []

    def process(key: str) -> None:
        seen.append(key)
        if len(seen) == 1:
            queue.add(key)
            queue.add(key)

    queue = WorkQueue(clock.worker("w"), process)
    for _ in range(3):
        queue.add("a")
    clock.sleep(1)
    assert seen == ["a", "a"]


def test_the_back_off_doubles_and_is_forgotten(clock: VirtualClock) -> None:
    """5 ms doubling, capped; forget starts it anew."""
    queue = WorkQueue(clock.worker("w"), lambda key: None, max_delay_seconds=0.04)
    assert [queue.add_rate_limited("a") for _ in range(5)] == [0.005, 0.01, 0.02, 0.04, 0.04]
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.005


def test_a_failed_key_comes_back_once(clock: VirtualClock) -> None:
    """However often it fails before it comes back; the sooner moment holds."""
    seen: list[float] = []
    queue = WorkQueue(clock.worker("w"), lambda key: seen.append(clock.now()))
    for _ in range(4):
        queue.add_rate_limited("a")
    clock.sleep(1)
    assert seen == [0.005]
    assert queue.failures("a") == 4
    queue.add_rate_limited("a")
    clock.sleep(1)
    assert seen == [0.005, 1.08], "the fifth failure waits 80 ms"


class Failing(Controller):
    """A controller that fails a few times before it succeeds."""

    name = "failing"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.left = 3
        self.done: list[float] = []
        self.configs = self.informer(
            "ConfigMap", lambda e: [f"default/{e.object['metadata']['name']}"]
        )

    def about(self, key: str) -> Any:
        return self.configs.get(key)

    def reconcile(self, key: str) -> None:
        if self.left:
            self.left -= 1
            raise ValueError("not yet")
        self.done.append(self.clock.now())


def test_a_failing_reconcile_is_seen_and_tried_again(clock: VirtualClock) -> None:
    """A log row, an Event, a back-off; the controller lives on."""
    from kubesim.analytics import Analytics

    analytics = Analytics(clock.now)
    api = KubeAPI(EtcdStore(), clock, NamedStreams(1), analytics=analytics)
    controller = Failing(Tools(api, clock, NamedStreams(1), analytics, DecisionLog()))
    controller.start()
    api.create(config("a"))
    clock.sleep(1)
    assert controller.done
    assert controller.statistics()["errors"] == 3
    assert len(analytics.since(level="error").rows) == 3
    events = [e for e in api.list("Event")["items"] if e["reason"] == "ReconcileFailed"]
    assert events[0]["count"] == 3
    assert events[0]["message"] == "not yet"


def test_a_key_may_be_given_up(clock: VirtualClock) -> None:
    """After max_retries failures in a row, until its next event."""

    class GivesUp(Failing):
        max_retries = 2

    api = KubeAPI(EtcdStore(), clock, NamedStreams(1))
    controller = GivesUp(Tools(api, clock, NamedStreams(1), api.analytics, DecisionLog()))
    controller.start()
    api.create(config("a"))
    clock.sleep(10)
    assert controller.statistics()["errors"] == 3
    assert controller.statistics()["dropped"] == 1
    assert not controller.done
    api.patch("ConfigMap", "a", {"data": {"new": "s"}})
    clock.sleep(10)
    assert controller.done


def test_equal_events_are_counted_and_spam_is_cut_short(api: KubeAPI, clock: VirtualClock) -> None:
    """One object with a count; after 25 about one object only one each five minutes."""
    recorder = EventRecorder(api, "test")
    target = api.create(config("a"))
    for _ in range(3):
        recorder.event(target, "Normal", "Same", "again")
    assert [e["count"] for e in api.list("Event")["items"]] == [3]
    for number in range(60):
        recorder.event(target, "Normal", "Other", f"number {number}")
    assert recorder.dropped == 63 - 25
    clock.sleep(301)
    recorder.event(target, "Normal", "Later", "one more")
    assert recorder.dropped == 63 - 25


def test_an_event_that_cannot_be_written_raises_nothing(api: KubeAPI) -> None:
    """Its namespace is gone: no decision hangs on an Event."""
    lost = {"kind": "Pod", "metadata": {"name": "x", "namespace": "nowhere", "uid": "1"}}
    EventRecorder(api, "test").event(lost, "Normal", "R", "m")


def test_retry_on_conflict_gives_up_in_the_end() -> None:
    """Five attempts, then the Conflict is yours."""
    calls: list[int] = []

    def attempt() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise Conflict("busy")
        return len(calls)

    assert retry_on_conflict(attempt) == 3

    def hopeless() -> None:
        calls.append(1)
        raise Conflict("busy")

    calls.clear()
    with pytest.raises(Conflict):
        retry_on_conflict(hopeless)
    assert len(calls) == 5


def test_decisions_are_kept_in_bounded_rings() -> None:
    """By object, by cursor; text, HTML and data carry the same figures."""
    log = DecisionLog(ring=3, objects=2)
    for number in range(5):
        step = RuleStep("rule", {"n": number}, "result", "source")
        log.record(Decision(float(number), 1, "me", "hpa/a", f"verdict {number}", (step,)))
    assert [d.verdict for d in log.of("hpa/a")] == ["verdict 2", "verdict 3", "verdict 4"]
    found, cursor = log.since(3)
    assert [d.verdict for d in found] == ["verdict 3", "verdict 4"]
    assert log.since(cursor)[0] == []
    log.record(Decision(9.0, 1, "me", "pod/b", "x"))
    log.record(Decision(9.0, 1, "me", "pod/c", "<x>"))
    assert log.objects() == ["pod/b", "pod/c"]
    latest = log.latest("pod/c")
    assert latest is not None
    assert "&lt;x&gt;" in latest._repr_html_()
    assert latest.to_dict()["object"] == "pod/c"


def test_resource_events_are_values() -> None:
    """Equal content, equal events."""
    assert ResourceEvent("ADDED", {}, None, 1) == ResourceEvent("ADDED", {}, None, 1)


def test_a_decision_that_says_the_same_again_is_recorded_once() -> None:
    """The signature decides; `always`, another component and a fresh start record it again."""
    log = DecisionLog()

    def decision(component: str = "c") -> Decision:
        return Decision(0.0, 0, component, "pod/a", "wait")

    assert log.record_if_new(decision(), None)
    assert not log.record_if_new(decision(), None)
    assert log.record_if_new(decision(), "changed")
    assert not log.record_if_new(decision(), "changed")
    assert log.record_if_new(decision(), "changed", always=True)
    assert log.record_if_new(decision("other"), "changed")
    assert (log.signature_of("c", "pod/a"), log.signature_of("c", "pod/b")) == ("changed", None)
    log.forget("c", "pod/a")
    assert log.record_if_new(decision(), "changed")
    log.forget("c")
    assert log.record_if_new(decision(), "changed")
    assert not log.record_if_new(decision("other"), "changed")
    assert len(log.of("pod/a")) == 6


def test_a_controller_decides_about_an_object_once_until_it_is_restarted(
    api: KubeAPI, clock: VirtualClock
) -> None:
    """`decide` knows component, time, revision and reference; a restart forgets signatures."""

    class Decides(Failing):
        def reconcile(self, key: str) -> None:
            obj = self.api.get("ConfigMap", key.rpartition("/")[2])
            steps = [RuleStep("rule", {}, "result")]
            self.decide(obj, "wait", steps=steps, signature="wait", acted=False, data={"n": 1})
            assert self.last_signature(obj) == "wait"

    log = DecisionLog()
    tools = Tools(api, clock, NamedStreams(1), api.analytics, log)
    first = Decides(tools, resync_seconds=1.0)
    first.start()
    made = api.create(config("a"))
    clock.sleep(1.5)
    api.patch("ConfigMap", "a", {"data": {"new": "s"}})
    clock.sleep(1)
    (only,) = log.of("configmap/a")
    assert (only.component, only.verdict, only.data) == (first.name, "wait", {"n": 1})
    assert only.revision == int(made["metadata"]["resourceVersion"])
    first.stop()
    Decides(tools).start()
    clock.sleep(1)
    assert len(log.of("configmap/a")) == 2
    first.forget_decisions(made)
    api.patch("ConfigMap", "a", {"data": {"new": "t"}})
    clock.sleep(1)
    assert len(log.of("configmap/a")) == 3
