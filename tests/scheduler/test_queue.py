"""The scheduling queue: pools, order, back-off, hints."""

from __future__ import annotations

import pytest
from sched_builders import pod

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.scheduler import configured_profile
from kubesim.scheduler.framework.events import POD_DELETE, POD_ITSELF, ClusterEvent
from kubesim.scheduler.queue import SchedulingQueue, backoff_seconds

GONE = ClusterEvent(POD_DELETE, old=pod("deleted"))


def keys(queue: SchedulingQueue, now: float = 1e9) -> list[str]:
    """Pop all pods, in order."""
    result = []
    while (queued := queue.pop(now)) is not None:
        result.append(queued.key.removeprefix("default/"))
    return result


def test_back_off_doubles_up_to_ten_seconds() -> None:
    """1, 2, 4, 8, 10, 10 s."""
    assert [backoff_seconds(n) for n in range(7)] == [0, 1, 2, 4, 8, 10, 10]
    assert backoff_seconds(10_000) == 10


def test_priority_first_then_who_waits_longer() -> None:
    """The order of PrioritySort."""
    queue = SchedulingQueue()
    queue.add(pod("low"), 0.0)
    queue.add(pod("high", priority=5), 1.0)
    queue.add(pod("late"), 2.0)
    assert keys(queue) == ["high", "low", "late"]


def test_a_queue_sort_of_one_s_own_decides() -> None:
    """A QueueSort plug-in decides; equal pods keep their order of arrival."""
    queue = SchedulingQueue(less=lambda a, b: a.key[-1] < b.key[-1])
    for name in ("c1", "a3", "b1", "b2"):
        queue.add(pod(name), 0.0)
    assert keys(queue) == ["c1", "b1", "b2", "a3"]


def test_a_refused_pod_waits_for_an_event_and_its_back_off() -> None:
    """The back-off starts with the failed attempt and ends at a whole second."""
    queue = SchedulingQueue(pop_from_backoff=False)
    queue.add(pod("p"), 0.0)
    assert keys(queue) == ["p"]
    queue.refused("default/p", 10.7, ["NodeResourcesFit"])
    assert queue.counts()["unschedulable"] == 1
    assert [q.backoff_until for q in queue.move(GONE, 10.9)] == [11.0]
    assert keys(queue) == []
    queue.flush(10.99)
    assert keys(queue) == []
    queue.flush(11.0)
    assert keys(queue) == ["p"]


def test_an_event_after_the_back_off_makes_it_active_at_once() -> None:
    """A pod past its back-off becomes active at once."""
    queue = SchedulingQueue(pop_from_backoff=False)
    queue.add(pod("p"), 0.0)
    keys(queue)
    queue.refused("default/p", 10.0, ["X"])
    assert queue.move(GONE, 11.0) == []
    assert keys(queue) == ["p"]


def test_only_a_helpful_event_moves_a_pod() -> None:
    """Only the plug-ins that refused the pod are asked."""
    requested = []

    def hint(incoming: object, plugins: object, event: object) -> bool:
        requested.append(list(plugins))  # type: ignore[call-overload]
        return False

    queue = SchedulingQueue(hint)
    queue.add(pod("p"), 0.0)
    keys(queue)
    queue.refused("default/p", 1.0, ["B", "A"])
    queue.move(GONE, 100.0)
    assert requested == [["A", "B"]]
    assert keys(queue) == []


def test_an_event_during_the_attempt_is_not_lost() -> None:
    """Events during an attempt are considered when the pod is refused."""
    queue = SchedulingQueue(lambda *_: True, pop_from_backoff=False)
    queue.add(pod("p"), 0.0)
    keys(queue)
    queue.move(GONE, 0.5)
    queued = queue.refused("default/p", 1.0, ["X"])
    assert queued is not None
    assert queued.pool == "backoff"
    deaf = SchedulingQueue(lambda *_: False)
    deaf.add(pod("p"), 0.0)
    keys(deaf)
    deaf.move(GONE, 0.5)
    assert deaf.refused("default/p", 1.0, ["X"]).pool == "unschedulable"  # type: ignore[union-attr]


def test_an_error_backs_off_at_once_and_counts_by_itself() -> None:
    """Consecutive errors double the back-off; a refusal resets their number."""
    queue = SchedulingQueue()
    queue.add(pod("p"), 0.0)
    for now, until in ((0.0, 1.0), (10.0, 12.0), (20.0, 24.0)):
        queue.activate("default/p")
        keys(queue)
        queued = queue.refused("default/p", now)
        assert queued is not None
        assert (queued.pool, queued.backoff_until) == ("backoff", until)
    queue.activate("default/p")
    keys(queue)
    queued = queue.refused("default/p", 30.0, ["X"])
    assert queued is not None
    assert (queued.errors, queued.refusals, queued.backoff_until) == (0, 1, 31.0)


def test_the_back_off_is_popped_early_but_not_after_an_error() -> None:
    """Without active pods the head of the back-off is popped, unless its attempt failed."""
    queue = SchedulingQueue()
    for name in ("refused", "broken"):
        queue.add(pod(name), 0.0)
    keys(queue)
    queue.refused("default/broken", 1.0)
    queue.refused("default/refused", 1.0, ["X"])
    queue.move(GONE, 1.0)
    assert keys(queue, now=1.0) == []  # not at the instant of its refusal: the clock would stand
    assert keys(queue, now=1.1) == ["refused"]
    queue.flush(2.0)
    assert keys(queue) == ["broken"]


def test_after_five_minutes_it_is_tried_in_any_case() -> None:
    """A pod is requeued after more than 300 s, not after exactly 300."""
    queue = SchedulingQueue(lambda *_: False)
    queue.add(pod("p"), 0.0)
    keys(queue)
    queue.refused("default/p", 11.0, ["X"])
    queue.flush(311.0)
    assert keys(queue) == []
    queue.flush(311.1)
    assert keys(queue) == ["p"]


def test_gated_pods_come_when_the_gate_is_gone() -> None:
    """Pods become active at the end of their back-off; removed pods never do."""
    queue = SchedulingQueue()
    queue.add(pod("p"), 0.0, gated=True)
    assert (keys(queue), queue.counts()["gated"]) == ([], 1)
    event = ClusterEvent(POD_ITSELF, pod("p"), pod("p"))
    queue.update(pod("p"), 1.0, event, gated=True)
    assert keys(queue) == []
    queue.update(pod("p"), 2.0, event, gated=False)
    assert keys(queue) == ["p"]
    queue.remove("default/p")
    assert len(queue) == 0


def test_a_removed_pod_is_not_popped() -> None:
    """Any waiting pod can be activated."""
    queue = SchedulingQueue()
    queue.add(pod("a"), 0.0)
    queue.remove("default/a")
    assert queue.pop(1.0) is None
    assert queue.refused("default/a", 1.0, ["X"]) is None


def test_a_raised_priority_moves_an_active_pod_ahead() -> None:
    """A change of the priority reorders an active pod; other changes do not."""
    queue = SchedulingQueue()
    for name in ("a", "b", "c"):
        queue.add(pod(name), 0.0)
    event = ClusterEvent(POD_ITSELF, pod("c"), pod("c"))
    queue.update(pod("a", labels={"x": "y"}), 1.0, event, gated=False)
    queue.update(pod("c", priority=5), 1.0, event, gated=False)
    assert keys(queue) == ["c", "a", "b"]


def test_the_back_off_of_a_configuration() -> None:
    """podInitialBackoffSeconds and podMaxBackoffSeconds: first, doubled, at most."""
    assert [backoff_seconds(n, 3, 20) for n in range(6)] == [0, 3, 6, 12, 20, 20]
    profile = configured_profile({"podInitialBackoffSeconds": 3, "podMaxBackoffSeconds": 20})
    assert (profile.initial_backoff, profile.max_backoff) == (3, 20)
    queue = SchedulingQueue(backoff=(3, 20))
    queue.add(pod("a"), 0.0)
    waits = []
    for _ in range(4):
        queue.activate("default/a")
        queue.pop(100.0)
        refused = queue.refused("default/a", 100.0, ["NodeResourcesFit"])
        assert refused is not None
        waits.append(refused.backoff_until - 100.0)
    assert waits == [3.0, 6.0, 12.0, 20.0]


@pytest.mark.parametrize(
    "config",
    [
        {"podInitialBackoffSeconds": 0},
        {"podInitialBackoffSeconds": "1"},
        {"podInitialBackoffSeconds": 11},
        {"podInitialBackoffSeconds": 5, "podMaxBackoffSeconds": 4},
    ],
)
def test_a_back_off_that_is_refused(config: dict[str, object]) -> None:
    """The first is above 0, the longest not below the first."""
    with pytest.raises(BadRequest, match="BackoffSeconds"):
        configured_profile(config)


def test_a_cluster_obeys_the_back_off_of_its_profile() -> None:
    """A pod that fits nowhere is tried again no sooner than the configuration says."""
    profile = {"podInitialBackoffSeconds": 40, "podMaxBackoffSeconds": 40}
    with Cluster(nodes=1, seed=1, hpa=False, profile=profile) as cluster:
        cluster.sleep(1)
        cluster.api.create(pod("big", "64"))
        cluster.sleep(1)
        (queued,) = cluster.scheduler.queue.pods()
        assert queued.backoff_until - queued.since > 39
