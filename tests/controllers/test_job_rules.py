"""Jobs: counting, ends, pods and policies; rows for the pure functions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.controllers.job.backoff import BackoffRecord, format_indexes, parse_indexes
from kubesim.controllers.job.facts import (
    FINALIZER,
    JobPod,
    JobSpec,
    JobState,
    finished_at,
    pod_facts,
    spec_of,
    state_of,
)
from kubesim.controllers.job.plan import (
    Finish,
    JobView,
    by_rank,
    completed,
    count_pods,
    due_indexes,
    for_removal,
    manage,
    past_deadline,
    verdict,
)
from kubesim.controllers.job.pods import failure_counts, job_pod, name_base
from kubesim.controllers.job.policies import match_failure, match_success
from kubesim.controllers.job.tracking import (
    MAX_UNCOUNTED,
    TerminatedPodCounts,
    TrackedPods,
    job_condition,
    track_finished_pods,
)
from kubesim.controllers.shared.ranking import RankedPod


def pod(name: str = "p", phase: str = "Running", **facts: Any) -> JobPod:
    """A pod of that phase; node, ready ... go to its rank."""
    ranks = ("node", "ready", "ready_since", "created", "restarts")
    rank = {field: facts.pop(field) for field in ranks if field in facts}
    rank = {"node": "n", "ready": phase == "Running", **rank}
    return JobPod(name, RankedPod(uid=name, phase=phase, **rank), **facts)


RUN, OK, BAD = pod("run"), pod("ok", "Succeeded"), pod("bad", "Failed")
GOING = pod("going", terminating=True)


# -- counting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "state", "pods", "expected"),
    [
        (JobSpec(), JobState(), [], (0, 0, 0, 0)),
        (JobSpec(), JobState(), [RUN, OK, BAD], (1, 0, 1, 1)),
        # Terminating: failed at once, or only when it has ended.
        (JobSpec(), JobState(), [GOING], (0, 1, 0, 1)),
        (JobSpec(only_failed=True), JobState(), [GOING], (0, 1, 0, 0)),
        (JobSpec(), JobState(), [pod("g", "Succeeded", terminating=True)], (0, 0, 1, 0)),
        # Noted, counted, or without finalizer: never twice.
        (JobSpec(), JobState(uncounted_failed=("bad",)), [BAD], (0, 0, 0, 1)),
        (JobSpec(), JobState(uncounted_succeeded=("ok",)), [OK], (0, 0, 1, 0)),
        (JobSpec(), JobState(succeeded=2, failed=3), [RUN], (1, 0, 2, 3)),
        (JobSpec(), JobState(), [pod("x", "Failed", tracked=False)], (0, 0, 0, 0)),
        # A pod that was noted as failed while it went does not count as a success later.
        (JobSpec(), JobState(uncounted_failed=("ok",)), [OK], (0, 0, 0, 1)),
    ],
)
def test_pods_are_counted(spec: JobSpec, state: JobState, pods: Any, expected: Any) -> None:
    """(active, terminating, succeeded, failed)."""
    view = count_pods(spec, state, pods)
    assert (len(view.active), view.terminating, view.succeeded, view.failed) == expected


def test_pods_whose_finalizer_was_removed_are_ignored() -> None:
    """The cache does not show it yet."""
    view = count_pods(JobSpec(), JobState(failed=1), [BAD], released={"bad"})
    assert (view.failed, view.new_failed) == (1, ())


INDEXED = JobSpec(parallelism=3, completions=5, indexed=True)


def test_an_index_succeeds_once() -> None:
    """A repeated success counts once; wrong indexes count for nothing, as success or as failure."""
    pods = [
        pod("a", "Succeeded", index=1),
        pod("b", "Succeeded", index=1),
        pod("c", "Succeeded", index=7),
        pod("d", "Succeeded"),
        pod("e", "Failed", index=9),
        pod("f", "Failed", index=2),
    ]
    view = count_pods(INDEXED, JobState(completed=frozenset({0})), pods)
    assert (view.completed, view.succeeded, view.failed) == (frozenset({0, 1}), 2, 1)


PER_INDEX = JobSpec(parallelism=3, completions=3, indexed=True, per_index=1, backoff_limit=99)


def test_an_index_gives_up_after_its_own_limit() -> None:
    """The count travels in an annotation from pod to pod; the last failed pod is kept meanwhile."""
    first = pod("a", "Failed", index=0, index_failures=0, finished=5.0)
    second = pod("b", "Failed", index=1, index_failures=1)
    view = count_pods(PER_INDEX, JobState(), [first, second])
    assert view.failed_indexes == frozenset({1})
    assert view.delayed == {0: first}
    later = pod("c", "Failed", index=0, index_failures=0, finished=6.0)
    assert count_pods(PER_INDEX, JobState(), [later, first]).delayed == {0: later}
    running = pod("d", index=0, index_failures=1)
    assert count_pods(PER_INDEX, JobState(), [first, running]).delayed == {}


# -- the end ---------------------------------------------------------------------------------------


def reason(
    spec: JobSpec, state: JobState | None = None, pods: Any = (), now: float = 0.0
) -> str | None:
    """Reason of the verdict; None if the Job continues."""
    state = state or JobState()
    result = verdict(spec, state, count_pods(spec, state, list(pods)), list(pods), now)
    return result and result.reason


@pytest.mark.parametrize(
    ("limit", "failed", "restarts", "on_failure", "over"),
    [
        (6, 6, 0, False, False),
        (6, 7, 0, False, True),
        (0, 0, 0, False, False),
        (0, 1, 0, False, True),
        (3, 0, 2, True, False),
        (3, 0, 3, True, True),
        (3, 0, 3, False, False),
        (0, 0, 0, True, False),
        (0, 0, 1, True, True),
    ],
)
def test_the_backoff_limit(
    limit: int, failed: int, restarts: int, on_failure: bool, over: bool
) -> None:
    """Failed pods strictly above it, restarts from it on (and above, if it is 0)."""
    spec = JobSpec(backoff_limit=limit, on_failure=on_failure)
    pods = [pod("a", all_restarts=restarts), pod("b", "Succeeded", all_restarts=50)]
    result = reason(spec, JobState(failed=failed), pods)
    assert result == ("BackoffLimitExceeded" if over else None)


@pytest.mark.parametrize(
    ("deadline", "start", "now", "suspended", "over"),
    [
        (10.0, 0.0, 9.999, False, False),
        (10.0, 0.0, 10.0, False, True),
        (10.0, 0.0, 99.0, True, False),
        (10.0, None, 99.0, False, False),
        (None, 0.0, 99.0, False, False),
    ],
)
def test_the_deadline_is_inclusive(
    deadline: Any, start: Any, now: float, suspended: bool, over: bool
) -> None:
    """At the very second; not while it is suspended or has not started."""
    spec = JobSpec(deadline=deadline, suspended=suspended)
    assert past_deadline(spec, start, now) is over
    assert (reason(spec, JobState(start=start), now=now) == "DeadlineExceeded") is over


def test_the_order_of_ends() -> None:
    """What stands in the status, the policy, the limit, the deadline, the indexes."""
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}
    bad = pod("bad", "Failed", exits=(("main", 3),))
    spec = JobSpec(backoff_limit=0, deadline=1.0, failure_rules=[rule])
    started = JobState(start=0.0)
    assert reason(spec, started, [bad], 5.0) == "PodFailurePolicy"
    assert reason(JobSpec(backoff_limit=0, deadline=1.0), started, [bad], 5.0) == (
        "BackoffLimitExceeded"
    )
    assert reason(JobSpec(deadline=1.0), started, [bad], 5.0) == "DeadlineExceeded"
    reported = JobState(target=("Old", "said"), start=0.0)
    assert reason(spec, reported, [bad], 5.0) == "Old"
    both = JobState(target=("Old", "said"), success=("Done", "well"))
    assert verdict(spec, both, JobView(), [], 0.0) == Finish(True, "Done", "well", True)


@pytest.mark.parametrize(
    ("most", "failed", "done", "expected"),
    [
        (None, {0}, set(), None),
        (None, {0}, {1, 2}, "FailedIndexes"),
        (0, {0}, set(), "MaxFailedIndexesExceeded"),
        (1, {0}, set(), None),
        (1, {0, 1}, set(), "MaxFailedIndexesExceeded"),
        (None, set(), {0, 1, 2}, None),
    ],
)
def test_failed_indexes(most: Any, failed: Any, done: Any, expected: Any) -> None:
    """More than allowed end it at once, any of them when nothing is left to do."""
    spec = JobSpec(completions=3, indexed=True, per_index=0, max_failed_indexes=most)
    state = JobState(failed_indexes=frozenset(failed), completed=frozenset(done))
    assert reason(spec, state) == expected


@pytest.mark.parametrize(
    ("completions", "succeeded", "active", "over"),
    [
        (3, 3, 0, True),
        (3, 3, 1, False),
        (3, 2, 0, False),
        (3, 4, 0, True),
        (0, 0, 0, True),
        (None, 1, 0, True),
        (None, 1, 1, False),
        (None, 0, 0, False),
    ],
)
def test_completion(completions: Any, succeeded: int, active: int, over: bool) -> None:
    """All completions, or one of a work queue, and no pod is active."""
    result = completed(JobSpec(completions=completions), succeeded, active)
    assert (result is not None) is over


# -- pods ------------------------------------------------------------------------------------------


def active(count: int) -> JobView:
    """A view of so many working pods."""
    return JobView(active=tuple(pod(str(n)) for n in range(count)))


@pytest.mark.parametrize(
    ("spec", "view", "wait", "create", "delete"),
    [
        (JobSpec(3, 5), active(0), 0.0, 3, 0),
        (JobSpec(3, 5), active(2), 0.0, 1, 0),
        (JobSpec(3, 5), active(4), 0.0, 0, 1),
        (JobSpec(3, 5), JobView(succeeded=4), 0.0, 1, 0),
        (JobSpec(3, 5), JobView(succeeded=9), 0.0, 0, 0),
        (JobSpec(3, None), active(1), 0.0, 2, 0),
        (JobSpec(3, None), JobView(succeeded=1), 0.0, 0, 0),
        (JobSpec(0, 5), active(2), 0.0, 0, 2),
        (JobSpec(3, 5), active(0), 7.0, 0, 0),
        (JobSpec(3, 5), active(4), 7.0, 0, 1),
        (JobSpec(3, 5, per_index=1, indexed=True), active(0), 7.0, 3, 0),
        (JobSpec(3, 5, suspended=True), active(2), 0.0, 0, 2),
        (JobSpec(2000, 2000), active(0), 0.0, 500, 0),
        # Pods terminating stand in the way only where they have to end first.
        (JobSpec(3, 5), JobView(terminating=2), 0.0, 3, 0),
        (JobSpec(3, 5, only_failed=True), JobView(terminating=2), 0.0, 1, 0),
        # ... but never cause a deletion: five pods active, three desired, two deleted.
        (JobSpec(3, 9, only_failed=True), JobView(active=(RUN,) * 5), 0.0, 0, 2),
        (JobSpec(3, 9, only_failed=True), JobView(active=(RUN,) * 5, terminating=2), 0.0, 0, 2),
        (JobSpec(3, 9, only_failed=True), JobView(active=(RUN,) * 3, terminating=2), 0.0, 0, 0),
    ],
)
def test_how_many_pods(spec: JobSpec, view: JobView, wait: float, create: int, delete: int) -> None:
    """Never both in one pass; the back-off holds back creation alone."""
    plan = manage(spec, view, wait)
    assert (plan.create, len(plan.delete)) == (create, delete)
    assert bool(plan.wait) is (wait > 0 and not create and not delete)


def test_pods_with_a_wrong_or_doubled_index_go_first() -> None:
    """Even if there are not too many; of duplicates the best-ranked stays."""
    pods = [
        pod("none", index=None),
        pod("far", index=5),
        pod("new", index=1, created=9.0),
        pod("old", index=1, created=1.0),
        pod("two", index=2),
    ]
    assert [p.name for p in for_removal(INDEXED, pods, 0)] == ["none", "far", "new"]
    assert [p.name for p in for_removal(INDEXED, pods, 4)][:3] == ["none", "far", "new"]
    assert len(for_removal(INDEXED, pods, 4)) == 4
    assert [p.name for p in for_removal(JobSpec(), pods, 0)] == []


def test_the_older_deletion_ranking() -> None:
    """Unplaced, pending, not ready, ready later, restarted more often, younger."""
    order = [
        pod("unplaced", "Pending", node="", created=0.0),
        pod("pending", "Pending", created=0.0),
        pod("unready", ready=False, created=0.0),
        pod("fresh", ready_since=90.0),
        pod("restarted", ready_since=50.0, restarts=3, created=1.0),
        pod("young", ready_since=50.0, created=9.0),
        pod("old", ready_since=50.0, created=1.0),
    ]
    assert by_rank(order[::-1]) == order


def test_the_lowest_open_indexes_come_next() -> None:
    """Neither working, done nor given up."""
    view = JobView(
        active=(pod("a", index=1),), completed=frozenset({0}), failed_indexes=frozenset({3})
    )
    spec = JobSpec(completions=7, indexed=True)
    assert due_indexes(spec, view, 3, 0.0).now == (2, 4, 5)


def test_a_terminating_pod_keeps_its_index_until_it_has_failed() -> None:
    """Under the policy Failed; otherwise the index gets its next pod at once."""
    pods = [pod("going", index=0, terminating=True), pod("run", index=2)]
    for only_failed, first in ((True, (1,)), (False, (0,))):
        spec = JobSpec(3, 3, indexed=True, only_failed=only_failed)
        assert due_indexes(spec, count_pods(spec, JobState(), pods), 1, 0.0).now == first
    spec = JobSpec(3, 3, indexed=True, only_failed=True)
    ended = [pod("going", "Failed", index=0, terminating=True), *pods[1:]]
    assert due_indexes(spec, count_pods(spec, JobState(), ended), 1, 0.0).now == (0,)


def test_each_index_has_its_own_back_off() -> None:
    """Those that are due do not wait for the others."""
    failed = {
        0: pod("a", "Failed", index=0, finished=100.0),
        1: pod("b", "Failed", index=1, index_failures=1, index_ignored=1, finished=100.0),
    }
    view = JobView(delayed=failed)
    assert due_indexes(PER_INDEX, view, 3, 105.0) == ((2,), 0.0)
    assert due_indexes(PER_INDEX, view, 2, 105.0) == ((), 5.0)
    assert due_indexes(PER_INDEX, view, 2, 110.0) == ((0,), 0.0)
    assert due_indexes(PER_INDEX, view, 2, 140.0) == ((0, 1), 0.0)


@pytest.mark.parametrize(
    ("record", "succeeded", "failed", "expected"),
    [
        (BackoffRecord(), [], [], BackoffRecord()),
        (BackoffRecord(), [], [5.0], BackoffRecord(1, 5.0)),
        (BackoffRecord(2, 9.0), [], [5.0], BackoffRecord(3, 9.0)),
        (BackoffRecord(2, 9.0), [10.0], [], BackoffRecord()),
        (BackoffRecord(2, 9.0), [10.0], [10.0], BackoffRecord()),
        (BackoffRecord(2, 9.0), [10.0], [9.0, 11.0, 12.0], BackoffRecord(2, 12.0)),
    ],
)
def test_a_success_wipes_out_failures(
    record: BackoffRecord, succeeded: Any, failed: Any, expected: Any
) -> None:
    """Those before it and those of the same moment."""
    assert record.after(succeeded, failed) == expected


@pytest.mark.parametrize(
    ("failures", "wait"),
    [(0, 0.0), (1, 10.0), (2, 20.0), (3, 40.0), (6, 320.0), (7, 600.0), (50, 600.0)],
)
def test_the_wait_is_counted_from_the_last_failure(failures: int, wait: float) -> None:
    """10 s, doubling to 600 s."""
    record = BackoffRecord(failures, 100.0)
    assert record.remaining(100.0) == wait
    assert record.remaining(100.0 + wait) == 0.0


# -- policies --------------------------------------------------------------------------------------

IN = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3, 4]}}
NOT_IN = {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [3]}}
NAMED = {"action": "Count", "onExitCodes": {**IN["onExitCodes"], "containerName": "b"}}  # type: ignore[dict-item]
WHERE = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
INDEX = {"action": "FailIndex", "onPodConditions": [{"type": "Bad"}]}


@pytest.mark.parametrize(
    ("rules", "exits", "conditions", "counts", "action"),
    [
        (None, [("a", 3)], [], True, ""),
        ([], [("a", 3)], [], True, ""),
        ([IN], [("a", 3)], [], True, "FailJob"),
        ([IN], [("a", 5)], [], True, ""),
        ([IN], [("a", 0)], [], True, ""),
        ([NOT_IN], [("a", 5)], [], False, "Ignore"),
        ([NOT_IN], [("a", 0)], [], True, ""),
        ([NOT_IN], [("a", 3), ("b", 9)], [], False, "Ignore"),
        ([NAMED], [("a", 3)], [], True, ""),
        ([NAMED, IN], [("a", 0), ("b", 4)], [], True, "Count"),
        ([WHERE, IN], [("a", 3)], [("DisruptionTarget", "True")], False, "Ignore"),
        ([WHERE, IN], [("a", 3)], [("DisruptionTarget", "False")], True, "FailJob"),
        ([INDEX], [], [("Bad", "True")], True, "FailIndex"),
    ],
)
def test_the_first_rule_that_matches(
    rules: Any, exits: Any, conditions: Any, counts: bool, action: str
) -> None:
    """By exit code or by condition; a container that exited well never matches."""
    failed = pod("p", "Failed", exits=tuple(exits), conditions=tuple(conditions))
    result = match_failure(rules, failed)
    assert (result.counts, result.action) == (counts, action)


def test_the_words_of_a_job_that_a_rule_fails() -> None:
    """Container, pod, code, rule."""
    failed = pod("p", "Failed", exits=(("main", 4),), conditions=(("Bad", "True"),))
    assert match_failure([WHERE, IN], failed).message == (
        "Container main for pod default/p failed with exit code 4 matching FailJob rule at index 1"
    )
    rule = {"action": "FailJob", "onPodConditions": [{"type": "Bad"}]}
    expected_message = "Pod default/p has condition Bad matching FailJob rule at index 0"
    assert match_failure([rule], failed).message == expected_message


@pytest.mark.parametrize(
    ("rules", "done", "expected_message"),
    [
        ([], {0}, ""),
        ([{"succeededCount": 2}], {0}, ""),
        ([{"succeededCount": 2}], {0, 4}, "Matched rules at index 0"),
        ([{"succeededIndexes": "0,3-4"}], {0, 3}, ""),
        ([{"succeededIndexes": "0,3-4"}], {0, 3, 4}, "Matched rules at index 0"),
        ([{"succeededIndexes": "0-2", "succeededCount": 2}], {2, 4}, ""),
        ([{"succeededIndexes": "0-2", "succeededCount": 2}], {1, 2}, "Matched rules at index 0"),
        ([{"succeededIndexes": "4"}, {"succeededCount": 1}], {0}, "Matched rules at index 1"),
    ],
)
def test_enough_successes(rules: Any, done: Any, expected_message: str) -> None:
    """The first rule that is met is named."""
    assert match_success(rules, 5, frozenset(done)) == expected_message


# -- counting once ---------------------------------------------------------------------------------


def track(spec: JobSpec, state: JobState, pods: list[JobPod]) -> TrackedPods:
    """The finished pods of a Job that runs."""
    return track_finished_pods(spec, state, count_pods(spec, state, pods), pods, None)


def test_an_ended_pod_is_noted_released_and_counted() -> None:
    """In this order; who still works keeps its finalizer."""
    spec, state = JobSpec(3, 3), JobState(succeeded=1)
    pods = [RUN, OK, BAD]
    noted = track(spec, state, pods)
    assert noted.counts == TerminatedPodCounts(1, 0, ("ok",), ("bad",))
    assert [p.name for p in noted.release] == ["ok", "bad"]
    assert noted.counts.settled({"run", "bad"}) == TerminatedPodCounts(2, 0, (), ("bad",))
    assert noted.counts.settled({"run"}) == TerminatedPodCounts(2, 1)


def test_what_was_noted_before_is_not_noted_again() -> None:
    """A pass that died between the two writes is taken up."""
    state = JobState(uncounted_succeeded=("ok",), uncounted_failed=("bad", "gone"))
    pods = [OK, BAD]
    noted = track(JobSpec(), state, pods)
    assert noted.counts == TerminatedPodCounts(0, 1, ("ok",), ("bad",))


def test_when_a_job_fails_everybody_counts_as_failed() -> None:
    """Also active pods; when it has succeeded, none counts."""
    spec, pods = JobSpec(), [RUN, OK]
    view = count_pods(spec, JobState(), pods)
    failed = track_finished_pods(spec, JobState(), view, pods, Finish(False, "r", "m"))
    assert failed.counts == TerminatedPodCounts(0, 0, ("ok",), ("run",))
    well = track_finished_pods(spec, JobState(), view, pods, Finish(True, "r", "m"))
    assert well.counts == TerminatedPodCounts(0, 0, ("ok",), ())
    assert len(well.release) == 2


def test_ignored_failures_are_released_and_not_counted() -> None:
    """The policy says so."""
    spec = JobSpec(failure_rules=[NOT_IN])
    pods = [pod("a", "Failed", exits=(("m", 9),))]
    noted = track(spec, JobState(), pods)
    assert noted.counts == TerminatedPodCounts()
    assert len(noted.release) == 1


def test_the_last_failed_pod_of_an_open_index_keeps_its_finalizer() -> None:
    """Its successor takes the count over."""
    pods = [pod("a", "Failed", index=0)]
    noted = track_finished_pods(
        PER_INDEX, JobState(), count_pods(PER_INDEX, JobState(), pods), pods, None
    )
    assert noted.release == ()
    pods.append(pod("b", index=0))
    noted = track_finished_pods(
        PER_INDEX, JobState(), count_pods(PER_INDEX, JobState(), pods), pods, None
    )
    assert [p.name for p in noted.release] == ["a"]


def test_one_pass_notes_at_most_five_hundred() -> None:
    """There are more: the Job cannot end yet."""
    pods = [pod(str(n), "Failed") for n in range(600)]
    noted = track_finished_pods(
        JobSpec(), JobState(), count_pods(JobSpec(), JobState(), pods), pods, None
    )
    assert noted.full
    assert len(noted.release) == MAX_UNCOUNTED


@given(
    st.lists(st.tuples(st.sampled_from(["Running", "Succeeded", "Failed"]), st.booleans())),
    st.sets(st.integers(0, 20)),
    st.data(),
)
def test_no_outcome_is_lost_or_counted_twice(raw: Any, noted: Any, data: Any) -> None:
    """Wherever a pass is cut short, and whatever it takes up: the sum is right in the end."""
    pods = [pod(str(n), phase, tracked=tracked) for n, (phase, tracked) in enumerate(raw)]
    was = [p for n, p in enumerate(pods) if n in noted and p.rank.phase != "Running"]
    state = JobState(
        uncounted_succeeded=tuple(p.uid for p in was if p.rank.phase == "Succeeded"),
        uncounted_failed=tuple(p.uid for p in was if p.rank.phase == "Failed"),
    )
    first = track(JobSpec(), state, pods)
    freed = data.draw(st.sets(st.sampled_from([p.uid for p in first.release] or [""])))
    counts = first.counts.settled(first.held - freed)
    kept = [JobPod(p.name, p.rank, tracked=p.tracked and p.uid not in freed) for p in pods]
    again = JobState(counts.succeeded, counts.failed, counts.noted_succeeded, counts.noted_failed)
    second = track(JobSpec(), again, kept)
    final = second.counts.settled(second.held - {p.uid for p in second.release})
    expected = [p for p in pods if p.tracked or p in was]
    assert final == TerminatedPodCounts(
        sum(p.rank.phase == "Succeeded" for p in expected),
        sum(p.rank.phase == "Failed" for p in expected),
    )


def test_conditions_of_a_job() -> None:
    """A False one only where it was there; equal ones stay untouched; others get new times."""
    assert job_condition([], "Suspended", "False", "JobResumed", "m", "t1") == []
    first = job_condition([], "Suspended", "True", "JobSuspended", "m", "t1")
    assert first[0]["lastProbeTime"] == first[0]["lastTransitionTime"] == "t1"
    assert job_condition(first, "Suspended", "True", "JobSuspended", "m", "t2") == first
    second = job_condition(first, "Suspended", "False", "JobResumed", "m", "t3")
    assert (second[0]["status"], second[0]["lastTransitionTime"]) == ("False", "t3")


# -- documents -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        ("job", None, "job-"),
        ("job", 3, "job-3-"),
        ("x" * 60, None, "x" * 60 + "-"),
        ("x" * 60, 12, "x" * 54 + "-12-"),
    ],
)
def test_names_keep_the_index(name: str, index: int | None, expected: str) -> None:
    """The Job's name is cut, not the index."""
    assert name_base(name, index) == expected


def job(**spec: Any) -> dict[str, Any]:
    """A Job's document."""
    template = {
        "metadata": {"labels": {"job-name": "j"}, "annotations": {"a": "b"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "m"}, {"name": "n"}]},
    }
    spec = {"parallelism": 1, "backoffLimit": 6, "template": template, **spec}
    return {"metadata": {"name": "j", "namespace": "default"}, "spec": spec}


def test_a_pod_of_an_indexed_job_knows_its_number() -> None:
    """Label, annotation, host name and variable; a variable of that name is left alone."""
    document = job()
    own = {"name": "JOB_COMPLETION_INDEX", "value": "mine"}
    document["spec"]["template"]["spec"]["containers"][1]["env"] = [own]
    new_object = job_pod(document, {"uid": "u"}, 4, {"x": "y"})
    key = "batch.kubernetes.io/job-completion-index"
    assert new_object["metadata"]["labels"] == {"job-name": "j", key: "4"}
    assert new_object["metadata"]["annotations"] == {"a": "b", "x": "y", key: "4"}
    assert new_object["metadata"]["finalizers"] == [FINALIZER]
    assert new_object["spec"]["hostname"] == "j-4"
    path = new_object["spec"]["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == f"metadata.labels['{key}']"
    assert new_object["spec"]["containers"][1]["env"] == [own]
    plain = job_pod(document, {"uid": "u"})
    assert "hostname" not in plain["spec"]
    assert plain["metadata"]["generateName"] == "j-"


@pytest.mark.parametrize(
    ("failed", "notes"),
    [
        (None, ("0", None)),
        (pod("a", "Failed", index=0, exits=(("m", 3),)), ("1", None)),
        (pod("a", "Failed", index=0, index_failures=2, exits=(("m", 3),)), ("3", None)),
        (pod("a", "Failed", index=0, index_failures=2, exits=(("m", 5),)), ("2", "1")),
    ],
)
def test_the_count_of_failures_is_carried_over(failed: Any, notes: Any) -> None:
    """Ignored ones in an annotation of their own."""
    spec = JobSpec(per_index=9, indexed=True, failure_rules=[NOT_IN])
    result = failure_counts(spec, failed)
    prefix = "batch.kubernetes.io/job-index-"
    assert result.get(f"{prefix}failure-count") == notes[0]
    assert result.get(f"{prefix}ignored-failure-count") == notes[1]
    assert failure_counts(JobSpec(), failed) == {}


@pytest.mark.parametrize(
    ("status", "metadata", "expected"),
    [
        ({"containerStatuses": [{"state": {"terminated": {"finishedAt": "7"}}}]}, {}, 7.0),
        (
            {
                "containerStatuses": [
                    {"state": {"terminated": {"finishedAt": "7"}}},
                    {"state": {"terminated": {"finishedAt": "9"}}},
                ]
            },
            {},
            9.0,
        ),
        (
            {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "5"}]},
            {"deletionTimestamp": "40", "deletionGracePeriodSeconds": 30},
            5.0,
        ),
        (
            {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "5"}]},
            {"deletionTimestamp": "40", "deletionGracePeriodSeconds": 30},
            10.0,
        ),
        ({}, {}, 1.0),
    ],
)
def test_when_a_pod_ended(status: Any, metadata: Any, expected: float) -> None:
    """Its last container; else when it ceased to be ready; else when its deletion was asked for."""
    document = {"metadata": {"creationTimestamp": "1", **metadata}, "status": status}
    assert finished_at(document, float) == expected


def test_documents_are_read() -> None:
    """Spec, status and pod, with what they leave out."""
    document = job(
        completions=3,
        completionMode="Indexed",
        activeDeadlineSeconds=9,
        podFailurePolicy={"rules": [IN]},
        successPolicy={"rules": [{"succeededCount": 1}]},
    )
    spec = spec_of(document)
    assert (spec.completions, spec.indexed, spec.deadline) == (3, True, 9.0)
    assert (spec.only_failed, spec.failure_rules) == (True, [IN])
    assert spec_of(job(podReplacementPolicy="Failed")).only_failed
    document["status"] = {
        "succeeded": 2,
        "completedIndexes": "0-1",
        "startTime": "4",
        "uncountedTerminatedPods": {"failed": ["u"]},
        "conditions": [{"type": "FailureTarget", "status": "True", "reason": "R", "message": "M"}],
    }
    state = state_of(document, float)
    assert (state.succeeded, state.start, state.uncounted_failed) == (2, 4.0, ("u",))
    assert (state.completed, state.target) == (frozenset({0, 1}), ("R", "M"))
    notes = {"batch.kubernetes.io/job-completion-index": "x"}
    metadata = {"name": "p", "uid": "u", "creationTimestamp": "1", "annotations": notes}
    facts = pod_facts({"metadata": metadata, "spec": {}}, float)
    assert (facts.index, facts.tracked, facts.rank.phase) == (None, False, "Pending")


@given(st.sets(st.integers(0, 60)))
def test_index_texts_are_read_back(numbers: set[int]) -> None:
    """What format_indexes writes, parse_indexes reads."""
    assert parse_indexes(format_indexes(numbers), 61) == numbers
    assert parse_indexes(format_indexes(numbers), 30) == {n for n in numbers if n < 30}


@pytest.mark.parametrize(
    ("text", "indexes"),
    [
        ("0,1-foo", {0}),
        ("x,1", {1}),
        ("2-,3", {3}),
        ("-1,3", {3}),
        ("1-2-9,4", {1, 2, 4}),
        ("7,1", set()),
        ("9" * 5000 + ",1", {1}),
        ("3-1", set()),
    ],
)
def test_corrupted_intervals_are_skipped(text: str, indexes: set[int]) -> None:
    """The rest counts, as in succeededIndexesFromString; the first index beyond the end ends it."""
    assert parse_indexes(text, 5) == indexes


def test_an_index_that_is_no_number_is_none() -> None:
    """Whatever a client writes into the annotation; upstream's getCompletionIndex."""
    for text in ("-1", "one", "9" * 5000, ""):
        document: Any = {
            "metadata": {
                "name": "p",
                "uid": "u",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"batch.kubernetes.io/job-completion-index": text},
            }
        }
        assert pod_facts(document, lambda _: 0.0).index is None
