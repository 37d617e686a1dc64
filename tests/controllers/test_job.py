"""The Job controller on virtual time: every way in which a Job runs and finishes, and faults."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import (
    controller_of,
    events_of,
    lose_watch_events,
    pods_refused,
    replace_controller,
)

from kubesim import Cluster
from kubesim.controllers.job.controller import JobController
from kubesim.controllers.job.facts import FINALIZER
from kubesim.errors import Forbidden


def job(run: float = 3, code: int = 0, **spec: Any) -> dict[str, Any]:
    """A Job ``j`` whose pods run for so many seconds and exit with a code.

    pod_spec changes the template's spec, notes its annotations.
    """
    notes = {
        "kubesim.dev/run-seconds": str(run),
        "kubesim.dev/exit-code": str(code),
        **spec.pop("notes", {}),
    }
    container = {"name": "main", "image": "kubesim/pod", "resources": {"requests": {"cpu": "1m"}}}
    pod_spec = {"restartPolicy": "Never", "containers": [container], **spec.pop("pod_spec", {})}
    return {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {"template": {"metadata": {"annotations": notes}, "spec": pod_spec}, **spec},
    }


@pytest.fixture
def cluster() -> Any:
    """Three nodes, nothing on them, one second old."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        created.sleep(1)
        yield created


def status_of(cluster: Cluster) -> dict[str, Any]:
    """Of the Job."""
    return cluster.api.get("Job", "j").get("status") or {}


def conditions(cluster: Cluster) -> list[tuple[str, str, str]]:
    """(type, status, reason) of the Job's conditions."""
    listed = status_of(cluster).get("conditions") or ()
    return [(c["type"], c["status"], c["reason"]) for c in listed]


def ended(cluster: Cluster) -> str:
    """The final condition; "" while there is none."""
    final = [c[0] for c in conditions(cluster) if c[0] in ("Complete", "Failed")]
    return final[0] if final else ""


def pods_of(cluster: Cluster, *phases: str) -> list[dict[str, Any]]:
    """Pods that stay, of some phases (none given: of all)."""
    return [
        p
        for p in cluster.api.list("Pod")["items"]
        if "deletionTimestamp" not in p["metadata"]
        and (not phases or p["status"].get("phase") in phases)
    ]


def counts(cluster: Cluster) -> tuple[int, int, int]:
    """active, succeeded, failed."""
    status = status_of(cluster)
    return status.get("active", 0), status.get("succeeded", 0), status.get("failed", 0)


def told(cluster: Cluster, reason: str) -> list[str]:
    """Messages of events about the Job."""
    return events_of(cluster, "Job", reason)


def test_a_job_completes(cluster: Cluster) -> None:
    """Never more pods than parallelism; two conditions; every finalizer is removed."""
    cluster.api.create(job(completions=5, parallelism=2))
    most = 0
    while not ended(cluster) and cluster.clock.now() < 100:
        cluster.sleep(0.5)
        most = max(most, len(pods_of(cluster, "Pending", "Running")))
    assert most == 2
    status = status_of(cluster)
    assert status["succeeded"] == 5
    assert (status["ready"], status["terminating"]) == (0, 0)
    assert status["uncountedTerminatedPods"] == {}
    assert "active" not in status
    assert "failed" not in status
    assert status["completionTime"] == status["conditions"][1]["lastTransitionTime"]
    assert conditions(cluster) == [
        ("SuccessCriteriaMet", "True", "CompletionsReached"),
        ("Complete", "True", "CompletionsReached"),
    ]
    assert status["conditions"][1]["message"] == "Reached expected number of succeeded pods"
    assert told(cluster, "Completed") == ["Job completed"]
    names = {p["metadata"]["name"] for p in pods_of(cluster, "Succeeded")}
    assert set(told(cluster, "SuccessfulCreate")) == {f"Created pod: {name}" for name in names}
    assert not any(p["metadata"].get("finalizers") for p in pods_of(cluster))
    labels = pods_of(cluster)[0]["metadata"]["labels"]
    assert labels["job-name"] == labels["batch.kubernetes.io/job-name"] == "j"
    assert labels["controller-uid"] == labels["batch.kubernetes.io/controller-uid"]
    assert cluster.explain("job/j").latest.binding == "CompletionsReached"


def test_pods_carry_the_finalizer_while_they_run(cluster: Cluster) -> None:
    """And are counted in the status; the start is the creation."""
    cluster.api.create(job(run=60))
    cluster.sleep(10)
    (pod,) = pods_of(cluster)
    assert pod["metadata"]["finalizers"] == [FINALIZER]
    status = status_of(cluster)
    assert (status["active"], status["ready"]) == (1, 1)
    assert status["startTime"] == cluster.clock.timestamp(1.0)


def test_failures_back_off_and_end_the_job(cluster: Cluster) -> None:
    """10 s, 20 s ... after each failure; then the limit, with FailureTarget before Failed."""
    cluster.api.create(job(code=1, backoffLimit=2))
    cluster.sleep(200)
    born = sorted(
        cluster.clock.seconds_at(p["metadata"]["creationTimestamp"]) for p in pods_of(cluster)
    )
    ends = sorted(
        cluster.clock.seconds_at(
            p["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
        )
        for p in pods_of(cluster)
    )
    assert [birth - end for birth, end in zip(born[1:], ends, strict=False)] == [10.0, 20.0]
    assert counts(cluster) == (0, 0, 3)
    assert conditions(cluster) == [
        ("FailureTarget", "True", "BackoffLimitExceeded"),
        ("Failed", "True", "BackoffLimitExceeded"),
    ]
    message = "Job has reached the specified backoff limit"
    assert told(cluster, "BackoffLimitExceeded") == [message]
    assert "completionTime" not in status_of(cluster)
    waits = [d for d in cluster.explain("job/j").decisions if "back-off" in d.verdict]
    assert waits[0].would_change_if == "the back-off is over, or a pod succeeds"


def test_the_deadline_takes_the_pods_along(cluster: Cluster) -> None:
    """At that very second; active pods count as failed; Failed only once they are deleted."""
    slow = {"kubesim.dev/stop-seconds": "8"}
    cluster.api.create(
        job(run=999, activeDeadlineSeconds=20, parallelism=2, completions=2, notes=slow)
    )
    cluster.sleep(20.5)
    assert conditions(cluster) == [("FailureTarget", "True", "DeadlineExceeded")]
    status = status_of(cluster)
    assert (status["failed"], status["terminating"]) == (2, 2)
    when = status["conditions"][0]["lastTransitionTime"]
    assert when == cluster.clock.timestamp(21.0)
    cluster.sleep(20)
    assert conditions(cluster)[1] == ("Failed", "True", "DeadlineExceeded")
    assert cluster.api.list("Pod")["items"] == []
    assert told(cluster, "DeadlineExceeded") == ["Job was active longer than specified deadline"]


def test_on_failure_counts_restarts(cluster: Cluster) -> None:
    """Containers are started again in their pod; the limit is reached, not exceeded."""
    pod_spec = job()["spec"]["template"]["spec"] | {"restartPolicy": "OnFailure"}
    cluster.api.create(job(run=1, code=1, backoffLimit=2, pod_spec=pod_spec))
    cluster.sleep(120)
    assert ended(cluster) == "Failed"
    assert told(cluster, "BackoffLimitExceeded") != []
    assert counts(cluster) == (0, 0, 1)
    assert len(told(cluster, "SuccessfulCreate")) == 1


def test_a_work_queue_is_done_when_one_pod_succeeds(cluster: Cluster) -> None:
    """No new pods are created then; active ones run to their end."""
    cluster.api.create(job(run=5, parallelism=3))
    cluster.sleep(40)
    assert ended(cluster) == "Complete"
    assert counts(cluster) == (0, 3, 0)
    assert len(told(cluster, "SuccessfulCreate")) == 3


def test_fewer_pods_are_wanted_while_some_are_slow_to_stop(cluster: Cluster) -> None:
    """Three of five stay: terminating pods hold back creations, and cause no deletion."""
    slow = {"kubesim.dev/stop-seconds": "25"}
    spec = {"podReplacementPolicy": "Failed", "completions": 9, "parallelism": 5}
    cluster.api.create(job(run=999, notes=slow, **spec))
    cluster.sleep(15)
    cluster.api.patch("Job", "j", {"spec": {"parallelism": 3}}, "default")
    cluster.sleep(10)
    assert len(pods_of(cluster, "Running")) == 3
    assert status_of(cluster)["terminating"] == 2
    cluster.sleep(60)
    assert len(pods_of(cluster, "Running")) == 3
    assert len(told(cluster, "SuccessfulDelete")) == 2


def test_a_terminating_pod_keeps_its_index(cluster: Cluster) -> None:
    """Under the policy Failed no second pod of its index is created beside it."""
    slow = {"kubesim.dev/stop-seconds": "25"}
    spec = {"podReplacementPolicy": "Failed", "completionMode": "Indexed"}
    cluster.api.create(job(run=999, notes=slow, completions=3, parallelism=3, **spec))
    cluster.sleep(15)
    by_index = {
        p["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]: p["metadata"]["name"]
        for p in pods_of(cluster)
    }
    cluster.api.delete("Pod", by_index["0"])
    cluster.sleep(1)
    cluster.api.delete("Pod", by_index["1"], grace_period_seconds=0)
    cluster.sleep(15)
    indexes = [
        p["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]
        for p in cluster.api.list("Pod")["items"]
        if p["status"]["phase"] in ("Pending", "Running")
    ]
    assert sorted(indexes) == ["0", "1", "2"]


def test_an_indexed_job_runs_each_index_once(cluster: Cluster) -> None:
    """Lowest first; names, host names and labels carry the number."""
    cluster.api.create(job(run=4, completionMode="Indexed", completions=5, parallelism=2))
    cluster.sleep(9)
    assert status_of(cluster)["completedIndexes"] == "0,1"
    cluster.sleep(60)
    assert ended(cluster) == "Complete"
    status = status_of(cluster)
    assert (status["completedIndexes"], status["succeeded"]) == ("0-4", 5)
    for pod in pods_of(cluster):
        index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        assert pod["metadata"]["name"].startswith(f"j-{index}-")
        assert pod["spec"]["hostname"] == f"j-{index}"


def test_a_failed_index_is_tried_again(cluster: Cluster) -> None:
    """By another pod of the same number."""
    cluster.api.create(job(run=6, completionMode="Indexed", completions=2, parallelism=2))
    cluster.sleep(3)
    victim = next(p for p in pods_of(cluster) if p["metadata"]["name"].startswith("j-1-"))
    cluster.api.delete("Pod", victim["metadata"]["name"])
    cluster.sleep(60)
    assert ended(cluster) == "Complete"
    assert counts(cluster) == (0, 2, 1)
    assert status_of(cluster)["completedIndexes"] == "0,1"


def test_limits_by_index(cluster: Cluster) -> None:
    """A broken index gives up alone; the others finish, and then the Job has failed."""
    bad = {"kubesim.dev/run-seconds": "2"}
    spec = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
    cluster.api.create(job(code=1, backoffLimitPerIndex=1, notes=bad, **spec))
    cluster.sleep(3)
    for pod in pods_of(cluster):
        if not pod["metadata"]["name"].startswith("j-1-"):
            done = {**pod["status"], "phase": "Succeeded"}
            cluster.api.update_status({**pod, "status": done})
    cluster.sleep(4)
    assert status_of(cluster)["completedIndexes"] == "0,2"
    assert status_of(cluster)["failedIndexes"] == ""
    held = [p for p in pods_of(cluster, "Failed") if p["metadata"].get("finalizers")]
    assert len(held) == 1, "it holds the count until its successor is made"
    cluster.sleep(60)
    assert status_of(cluster)["failedIndexes"] == "1"
    assert conditions(cluster)[-1] == ("Failed", "True", "FailedIndexes")
    assert told(cluster, "FailedIndexes") == ["Job has failed indexes"]
    tries = [p for p in pods_of(cluster) if p["metadata"]["name"].startswith("j-1-")]
    counted = sorted(
        p["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] for p in tries
    )
    assert counted == ["0", "1"]


def test_too_many_failed_indexes_end_it_at_once(cluster: Cluster) -> None:
    """maxFailedIndexes."""
    spec = {"completionMode": "Indexed", "completions": 9, "parallelism": 3}
    cluster.api.create(job(code=1, backoffLimitPerIndex=0, maxFailedIndexes=1, **spec))
    cluster.sleep(60)
    assert conditions(cluster)[-1] == ("Failed", "True", "MaxFailedIndexesExceeded")
    message = "Job has exceeded the specified maximal number of failed indexes"
    assert told(cluster, "MaxFailedIndexesExceeded") == [message]


def test_suspension(cluster: Cluster) -> None:
    """Pods are deleted and not counted as failed; resumed, the deadline starts over."""
    cluster.api.create(job(run=15, parallelism=2, completions=2, activeDeadlineSeconds=30))
    cluster.sleep(8)
    cluster.api.patch("Job", "j", {"spec": {"suspend": True}})
    cluster.sleep(5)
    assert conditions(cluster) == [("Suspended", "True", "JobSuspended")]
    assert counts(cluster) == (0, 0, 0)
    assert cluster.api.list("Pod")["items"] == []
    cluster.sleep(100)
    cluster.api.patch("Job", "j", {"spec": {"suspend": False}})
    cluster.sleep(1)
    resumed = status_of(cluster)["startTime"]
    assert resumed == cluster.clock.timestamp(114.0)
    assert conditions(cluster) == [("Suspended", "False", "JobResumed")]
    cluster.sleep(60)
    assert ended(cluster) == "Complete"
    assert counts(cluster) == (0, 2, 0)
    assert told(cluster, "Suspended") == ["Job suspended"]
    assert told(cluster, "Resumed") == ["Job resumed"]


def test_a_job_that_is_born_suspended(cluster: Cluster) -> None:
    """It has no start until it is resumed."""
    cluster.api.create(job(suspend=True))
    cluster.sleep(10)
    assert pods_of(cluster) == []
    assert "startTime" not in status_of(cluster)
    assert "it is suspended" in str(cluster.explain("job/j").latest)
    cluster.api.patch("Job", "j", {"spec": {"suspend": False}})
    cluster.sleep(30)
    assert ended(cluster) == "Complete"


def test_less_parallelism_takes_pods_away(cluster: Cluster) -> None:
    """They are not counted as failed; more brings new ones."""
    cluster.api.create(job(run=60, parallelism=4, completions=8))
    cluster.sleep(10)
    cluster.api.patch("Job", "j", {"spec": {"parallelism": 1}})
    cluster.sleep(10)
    assert counts(cluster) == (1, 0, 0)
    cluster.api.patch("Job", "j", {"spec": {"parallelism": 3}})
    cluster.sleep(10)
    assert counts(cluster) == (3, 0, 0)


def test_a_deleted_pod_counts_as_failed_and_is_replaced(cluster: Cluster) -> None:
    """With TerminatingOrFailed as soon as it is terminating."""
    slow = {"kubesim.dev/stop-seconds": "20"}
    cluster.api.create(job(run=40, notes=slow))
    cluster.sleep(5)
    cluster.api.delete("Pod", pods_of(cluster)[0]["metadata"]["name"])
    cluster.sleep(12.5)
    assert counts(cluster) == (1, 0, 1)
    assert status_of(cluster)["terminating"] == 1


def test_replacement_can_wait_for_the_end(cluster: Cluster) -> None:
    """podReplacementPolicy Failed: no second pod while the first one is still going."""
    slow = {"kubesim.dev/stop-seconds": "20"}
    cluster.api.create(job(run=40, notes=slow, podReplacementPolicy="Failed"))
    cluster.sleep(5)
    cluster.api.delete("Pod", pods_of(cluster)[0]["metadata"]["name"])
    cluster.sleep(15)
    assert counts(cluster) == (0, 0, 0)
    assert status_of(cluster)["terminating"] == 1
    assert "1 terminating" in str(cluster.explain("job/j").latest)
    cluster.sleep(30)
    assert counts(cluster) == (1, 0, 1)


def test_a_failure_policy(cluster: Cluster) -> None:
    """An exit code that no second try mends ends the Job at once."""
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    cluster.api.create(job(code=42, podFailurePolicy={"rules": [rule]}))
    cluster.sleep(30)
    assert conditions(cluster)[-1] == ("Failed", "True", "PodFailurePolicy")
    name = pods_of(cluster)[0]["metadata"]["name"]
    message = (
        f"Container main for pod default/{name} failed with exit code 42 matching FailJob rule at "
        "index 0"
    )
    assert told(cluster, "PodFailurePolicy") == [message]


def test_evictions_can_be_ignored(cluster: Cluster) -> None:
    """A rule about DisruptionTarget: a drain costs the Job none of its tries."""
    rule = {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    cluster.api.create(job(run=20, backoffLimit=0, podFailurePolicy={"rules": [rule]}))
    cluster.sleep(5)
    cluster.api.evict(pods_of(cluster)[0]["metadata"]["name"])
    cluster.sleep(90)
    assert ended(cluster) == "Complete"
    assert counts(cluster) == (0, 1, 0)
    assert len(told(cluster, "SuccessfulCreate")) == 2


def test_a_success_policy(cluster: Cluster) -> None:
    """Enough indexes: those that still work are ended and count for nothing."""
    spec = {"completionMode": "Indexed", "completions": 4, "parallelism": 4}
    policy = {"rules": [{"succeededIndexes": "0", "succeededCount": 1}]}
    cluster.api.create(job(run=300, successPolicy=policy, **spec))
    cluster.sleep(5)
    leader = next(p for p in pods_of(cluster) if p["metadata"]["name"].startswith("j-0-"))
    cluster.api.update_status({**leader, "status": {**leader["status"], "phase": "Succeeded"}})
    cluster.sleep(30)
    assert conditions(cluster) == [
        ("SuccessCriteriaMet", "True", "SuccessPolicy"),
        ("Complete", "True", "SuccessPolicy"),
    ]
    assert counts(cluster) == (0, 1, 0)
    assert len(pods_of(cluster)) == 1


def test_more_successes_than_wanted_are_reported(cluster: Cluster) -> None:
    """A pod created by hand with the Job's labels and owner counts, too."""
    cluster.api.create(job(run=999))
    cluster.sleep(5)
    (pod,) = pods_of(cluster)
    kept = ("labels", "ownerReferences", "finalizers", "annotations")
    metadata = {"name": "extra", **{field: pod["metadata"][field] for field in kept}}
    spec = {**pod["spec"], "schedulerName": "nobody"}
    del spec["nodeName"]  # or its kubelet would have its own idea of it
    extra = cluster.api.create({"kind": "Pod", "metadata": metadata, "spec": spec})
    for each in (pod, extra):
        cluster.api.update_status({**each, "status": {**each["status"], "phase": "Succeeded"}})
    cluster.sleep(5)
    assert counts(cluster) == (0, 2, 0)
    message = "Too many succeeded pods running after completion count reached"
    assert told(cluster, "TooManySucceededPods") == [message]
    assert told(cluster, "Completed") == ["Job completed"]


def test_a_finished_job_goes_after_its_time_to_live(cluster: Cluster) -> None:
    """With its pods, counted from the final condition."""
    cluster.api.create(job(ttlSecondsAfterFinished=30))
    assert cluster.wait_until(lambda: ended(cluster) == "Complete")
    cluster.sleep(29)
    assert cluster.api.peek("Job", "j") is not None
    cluster.sleep(3)
    assert cluster.api.peek("Job", "j") is None
    assert cluster.api.list("Pod")["items"] == []


def test_a_finished_job_changes_no_more(cluster: Cluster) -> None:
    """Complete and Failed are final, whatever becomes of the spec."""
    cluster.api.create(job())
    cluster.sleep(30)
    before = status_of(cluster)
    cluster.api.patch("Job", "j", {"spec": {"parallelism": 5}})
    cluster.sleep(30)
    assert status_of(cluster) == before


def test_pods_of_a_deleted_job_are_let_go(cluster: Cluster) -> None:
    """The controller removes the finalizer of pods whose Job was deleted."""
    cluster.api.create(job(run=60, parallelism=2, completions=2))
    cluster.sleep(5)
    cluster.api.delete("Job", "j", propagation_policy="Background")
    cluster.sleep(40)
    assert cluster.api.list("Pod")["items"] == []
    cluster.api.create(job(run=60))
    cluster.sleep(5)
    cluster.api.delete("Job", "j", propagation_policy="Foreground")
    cluster.sleep(60)
    assert cluster.api.peek("Job", "j") is None
    assert cluster.api.list("Pod")["items"] == []


def test_a_job_of_another_controller_is_left_alone(cluster: Cluster) -> None:
    """spec.managedBy."""
    cluster.api.create(job(managedBy="example.com/queue"))
    cluster.sleep(10)
    assert pods_of(cluster) == []
    assert status_of(cluster) == {}


def test_a_refused_creation_is_reported_and_retried(cluster: Cluster) -> None:
    """With the server's words."""
    with pods_refused(cluster, "exceeded quota"):
        cluster.api.create(job())
        cluster.sleep(2)
        assert told(cluster, "FailedCreate") == ["Error creating: exceeded quota"]
        assert "stopped: exceeded quota" in str(cluster.explain("job/j").latest)
    cluster.sleep(120)
    assert ended(cluster) == "Complete"


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [0.3, 4.0])
def test_a_lagging_watch_never_makes_doubles(latency: float) -> None:
    """However late the watch events: never more than parallelism, and each success counts once."""
    with Cluster(nodes=3, seed=2, hpa=False) as cluster:
        lagging = replace_controller(cluster, JobController, watch_latency_seconds=latency)
        cluster.api.create(job(run=2, completions=6, parallelism=2))
        for _ in range(150):
            cluster.sleep(0.5)
            lagging.queue.add("default/j")
            assert len(pods_of(cluster, "Pending", "Running")) <= 2
        assert ended(cluster) == "Complete"
        assert counts(cluster) == (0, 6, 0)
        assert len(pods_of(cluster)) == 6
        # Pod events are collected for a second, so only a longer latency is waited for.
        assert (lagging.statistics().get("waited", 0) > 0) is (latency > 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_controller_that_dies_at_any_moment(seed: int) -> None:
    """A fresh one takes up what it finds in status and finalizers."""
    with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
        cluster.api.create(job(run=2, completions=10, parallelism=3))
        for step in range(40):
            writes = {"left": (seed + step) % 5}
            update = cluster.api.update_status

            def dying(document: Any, budget: Any = writes, real: Any = update, **o: Any) -> Any:
                if document["kind"] == "Job":
                    budget["left"] -= 1
                    if budget["left"] < 0:
                        raise Forbidden("power cut")
                return real(document, **o)

            cluster.api.update_status = dying  # type: ignore[method-assign]
            cluster.sleep(1.3)
            cluster.api.update_status = update  # type: ignore[method-assign]
            replace_controller(cluster, JobController)
        cluster.sleep(120)
        assert ended(cluster) == "Complete"
        assert counts(cluster) == (0, 10, 0)


def test_lost_watch_events_are_found_by_the_next_list(cluster: Cluster) -> None:
    """A pod whose end was never reported is counted after the resync."""
    cluster.api.create(job(run=9999))
    cluster.sleep(5)
    (pod,) = pods_of(cluster)
    cluster.api.update_status({**pod, "status": {**pod["status"], "phase": "Succeeded"}})
    lose_watch_events(controller_of(cluster, JobController))
    cluster.sleep(10)
    assert counts(cluster) == (1, 0, 0)
    cluster.sleep(700)
    assert ended(cluster) == "Complete"


def test_reconciling_twice_does_nothing_more(cluster: Cluster) -> None:
    """Level-triggered: the second time there is nothing left to do, in the midst and at the end."""
    cluster.api.create(job(run=20))
    for _ in range(2):
        cluster.sleep(15)
        revision = cluster.store.revision
        controller = controller_of(cluster, JobController)
        controller.reconcile("default/j")
        controller.reconcile("default/j")
        assert cluster.store.revision == revision
    assert ended(cluster) == "Complete"


def test_an_idle_job_costs_nothing(cluster: Cluster) -> None:
    """Without watch events no pass; and without any Job no watch of pods."""
    controller = controller_of(cluster, JobController)
    assert len(controller._on_demand) == 1
    cluster.api.create(job(run=9999))
    cluster.sleep(10)
    before = controller.counts["reconciled"]
    cluster.sleep(500)
    assert controller.counts["reconciled"] == before
