"""CronJobs: when a run begins, as rows; and the controller on virtual time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from controller_faults import controller_of, events_of

from kubesim import Cluster
from kubesim.controllers.cronjob.controller import CronJobController, job_from
from kubesim.controllers.cronjob.plan import CronSpec, beyond_history_limit, missed, plan
from kubesim.errors import Invalid
from kubesim.objects.cron import parse_schedule

NOON = datetime(2025, 1, 1, 12, 0)
FIVE = parse_schedule("*/5 * * * *")


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("now", "latest", "times"),
    [(4.9, None, 0), (5, 5, 1), (9.9, 5, 1), (10, 10, 2), (23, 20, 4), (60 * 24 * 400, None, -1)],
)
def test_times_that_are_due(now: float, latest: float | None, times: int) -> None:
    """The newest counts, however many were missed."""
    result = missed(FIVE, NOON, at(now))
    if times < 0:
        assert result.times == 60 * 24 * 400 / 5
        assert result.latest == at(now)
    else:
        assert (result.latest, result.times) == (None if latest is None else at(latest), times)


def decide(now: float, active: int = 0, last: float | None = 0, **spec: Any) -> Any:
    """The plan of a CronJob that was created at noon."""
    moment = None if last is None else at(last)
    new_object = CronSpec(FIVE, **spec)
    return plan(new_object, created=NOON, last=moment, now=at(now), active=active)


def test_a_run_begins_when_it_is_due() -> None:
    """Once for each time; counted from the creation if it has never run."""
    assert decide(4).start is None
    assert decide(4).wait == 60.0
    assert decide(5.002).start == at(5)
    assert decide(5.002, last=5).start is None
    assert decide(5.002, last=None).start == at(5)
    assert decide(5.002, suspended=True) == (None, False, "it is suspended", None, None)


def test_runs_that_overlap() -> None:
    """Allow, Forbid, Replace."""
    assert decide(5, active=2).start == at(5)
    forbidden = decide(5, active=1, policy="Forbid")
    assert forbidden.start is None
    assert forbidden.event[1] == "JobAlreadyActive"
    assert decide(5, policy="Forbid").start == at(5)
    replaced = decide(5, active=1, policy="Replace")
    assert (replaced.start, replaced.replace) == (at(5), True)


def test_a_late_start_is_given_up() -> None:
    """Beyond startingDeadlineSeconds; many missed times are reported otherwise."""
    assert decide(7, deadline=180.0).start == at(5)
    assert decide(7, deadline=60.0).start is None
    many = decide(5 * 101)
    assert many.start == at(5 * 101)
    assert many.event[1] == "TooManyMissedTimes"
    assert decide(5 * 101, deadline=600.0).event is None


def test_the_oldest_go_first() -> None:
    """By startTime; without a limit, none."""
    jobs = [{"metadata": {"name": n}, "status": {"startTime": t}} for n, t in ("b2", "a3", "c1")]
    assert [job["metadata"]["name"] for job in beyond_history_limit(jobs, 1)] == ["c", "b"]
    assert beyond_history_limit(jobs, 3) == beyond_history_limit(jobs, None) == []
    assert len(beyond_history_limit(jobs, 0)) == 3


# -- the controller on virtual time ----------------------------------------------------------------


def cronjob(schedule: str = "*/5 * * * *", run: float = 30, code: int = 0, **spec: Any) -> Any:
    """A CronJob ``tick`` whose Jobs run for so many seconds."""
    notes = {"kubesim.dev/run-seconds": str(run), "kubesim.dev/exit-code": str(code)}
    container = {"name": "main", "image": "kubesim/pod", "resources": {"requests": {"cpu": "1m"}}}
    pod = {"restartPolicy": "Never", "containers": [container]}
    template = {"metadata": {"annotations": notes}, "spec": pod}
    job = {"metadata": {"labels": {"of": "tick"}}, "spec": {"template": template}}
    job["spec"]["backoffLimit"] = 0  # type: ignore[assignment]
    return {
        "kind": "CronJob",
        "apiVersion": "batch/v1",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": job, **spec},
    }


@pytest.fixture
def cluster() -> Any:
    """Two nodes, nothing on them, one second old."""
    with Cluster(nodes=2, seed=1, hpa=False) as new_object:
        new_object.sleep(1)
        yield new_object


def jobs(cluster: Cluster) -> list[str]:
    """Names of the Jobs."""
    return sorted(job["metadata"]["name"] for job in cluster.api.list("Job")["items"])


def status_of(cluster: Cluster) -> dict[str, Any]:
    """Of the CronJob."""
    return cluster.api.get("CronJob", "tick").get("status") or {}


def told(cluster: Cluster, reason: str) -> list[str]:
    """Messages of events about the CronJob."""
    return events_of(cluster, "CronJob", reason)


FIRST = 28928165  # minutes since 1970 at 00:05 of the first simulated day


def test_a_job_for_each_time(cluster: Cluster) -> None:
    """Named after its minute, owned, listed as active, and taken off the list at its end."""
    cluster.api.create(cronjob())
    cluster.sleep(310)
    assert jobs(cluster) == [f"tick-{FIRST}"]
    (reference,) = status_of(cluster)["active"]
    assert reference["name"] == f"tick-{FIRST}"
    assert status_of(cluster)["lastScheduleTime"] == "2025-01-01T00:05:00Z"
    job = cluster.api.get("Job", f"tick-{FIRST}")
    assert job["metadata"]["labels"] == {"of": "tick"}
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    note = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert note == "2025-01-01T00:05:00Z"
    cluster.sleep(60)
    assert "active" not in status_of(cluster)
    assert status_of(cluster)["lastSuccessfulTime"] == "2025-01-01T00:05:32Z"
    assert told(cluster, "SuccessfulCreate") == [f"Created job tick-{FIRST}"]
    expected_message = f"Saw completed job: tick-{FIRST}, condition: Complete"
    assert told(cluster, "SawCompletedJob") == [expected_message]
    assert "start the Job of 2025-01-01T00:05" in str(cluster.explain("cj/tick").history())


@pytest.mark.parametrize(("code", "kept"), [(0, 3), (1, 1)])
def test_history_is_kept_within_limits(cluster: Cluster, code: int, kept: int) -> None:
    """Three Jobs that succeed, one that fails; their pods are deleted with them."""
    cluster.api.create(cronjob("* * * * *", run=5, code=code))
    cluster.sleep(580)
    assert len(jobs(cluster)) == kept
    assert len(cluster.api.list("Pod")["items"]) == kept
    deleted = told(cluster, "SuccessfulDelete")
    assert deleted[0].startswith("Deleted job tick-")


@pytest.mark.parametrize(
    ("policy", "count", "active"), [("Allow", 4, 4), ("Forbid", 1, 1), ("Replace", 1, 1)]
)
def test_long_runs(cluster: Cluster, policy: str, count: int, active: int) -> None:
    """They pile up, hold the next ones back, or give way."""
    cluster.api.create(cronjob("* * * * *", run=9999, concurrencyPolicy=policy))
    cluster.sleep(4 * 60 + 10)
    assert len(jobs(cluster)) == count
    assert len(status_of(cluster)["active"]) == active
    newest = {"Forbid": FIRST - 4}.get(policy, FIRST - 1)
    assert jobs(cluster)[-1] == f"tick-{newest}"
    assert bool(told(cluster, "JobAlreadyActive")) is (policy == "Forbid")


def test_suspension_and_what_was_missed(cluster: Cluster) -> None:
    """No Job starts while it is suspended; then the newest missed time is used."""
    cluster.api.create(cronjob(suspend=True))
    cluster.sleep(1000)
    assert jobs(cluster) == []
    cluster.api.patch("CronJob", "tick", {"spec": {"suspend": False}})
    cluster.sleep(5)
    assert jobs(cluster) == [f"tick-{FIRST + 10}"]


def test_a_run_that_somebody_deletes_is_missed(cluster: Cluster) -> None:
    """It is removed from the active list, with an event."""
    cluster.api.create(cronjob(run=9999))
    cluster.sleep(310)
    cluster.api.delete("Job", f"tick-{FIRST}", propagation_policy="Background")
    cluster.sleep(40)
    assert told(cluster, "MissingJob") == [f"Active job went missing: tick-{FIRST}"]
    assert "active" not in status_of(cluster)
    assert jobs(cluster) == []


def test_jobs_go_with_their_cronjob(cluster: Cluster) -> None:
    """And their pods, too."""
    cluster.api.create(cronjob(run=9999))
    cluster.sleep(310)
    cluster.api.delete("CronJob", "tick")
    cluster.sleep(90)
    assert jobs(cluster) == []
    assert cluster.api.list("Pod")["items"] == []


def test_reconciling_twice_does_nothing_more(cluster: Cluster) -> None:
    """Level-triggered; and between two times it costs nothing."""
    cluster.api.create(cronjob())
    cluster.sleep(400)
    revision, controller = cluster.store.revision, controller_of(cluster, CronJobController)
    controller.reconcile("default/tick")
    controller.reconcile("default/tick")
    assert cluster.store.revision == revision
    before = controller.counts["reconciled"]
    cluster.sleep(150)
    assert controller.counts["reconciled"] == before


@pytest.mark.parametrize(
    ("changes", "field", "expected_message"),
    [
        ({"schedule": ""}, "spec.schedule", "Required value"),
        ({"schedule": "* * *"}, "spec.schedule", "expected exactly 5 fields, found 3"),
        ({"schedule": "TZ=UTC * * * * *"}, "spec.schedule", "cannot use TZ or CRON_TZ"),
        ({"timeZone": "Mars/Base"}, "spec.timeZone", "unknown time zone Mars/Base"),
        ({"timeZone": "Europe"}, "spec.timeZone", "unknown time zone Europe"),
        ({"timeZone": "../UTC"}, "spec.timeZone", "unknown time zone ../UTC"),
        ({"timeZone": "Europe/Berlin/"}, "spec.timeZone", "unknown time zone Europe/Berlin/"),
        ({"timeZone": ""}, "spec.timeZone", "timeZone must be nil or non-empty string"),
        ({"timeZone": "Local"}, "spec.timeZone", "timeZone must be an explicit time zone"),
        ({"concurrencyPolicy": "Maybe"}, "spec.concurrencyPolicy", "Unsupported value"),
        ({"startingDeadlineSeconds": -1}, "spec.startingDeadlineSeconds", "Invalid value"),
    ],
)
def test_what_is_refused(cluster: Cluster, changes: Any, field: str, expected_message: str) -> None:
    """One broken rule, one cause."""
    document = cronjob()
    document["spec"].update(changes)
    with pytest.raises(Invalid) as caught:
        cluster.api.create(document)
    (cause,) = caught.value.causes
    assert cause.field == field
    assert expected_message in cause.message


def test_the_template_of_the_jobs_is_checked(cluster: Cluster) -> None:
    """By the rules of a Job, under its own path; a Job's defaults come when it is created."""
    document = cronjob()
    document["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    with pytest.raises(Invalid) as caught:
        cluster.api.create(document)
    (cause,) = caught.value.causes
    assert cause.field == "spec.jobTemplate.spec.template.spec.restartPolicy"
    new_object = cluster.api.create(cronjob())["spec"]
    assert "completions" not in new_object["jobTemplate"]["spec"]
    assert (new_object["successfulJobsHistoryLimit"], new_object["failedJobsHistoryLimit"]) == (
        3,
        1,
    )
    assert new_object["concurrencyPolicy"] == "Allow"


def test_the_name_of_a_run() -> None:
    """Minutes since 1970, so that a time has one Job."""
    document = cronjob()
    document["metadata"]["uid"] = "u"
    job = job_from(document, datetime(2025, 1, 1, 0, 5))
    assert job["metadata"]["name"] == f"tick-{FIRST}"


def in_zone(cluster: Cluster, zone: str, schedule: str) -> None:
    """Create a CronJob with a schedule in a time zone."""
    document = cronjob()
    document["spec"] |= {"schedule": schedule, "timeZone": zone}
    cluster.api.create(document)


def test_a_schedule_in_a_time_zone(cluster: Cluster) -> None:
    """Half past two in Berlin is half past one in UTC; the Job says the local time."""
    in_zone(cluster, "Europe/Berlin", "30 2 * * *")
    cluster.sleep(2 * 3600)
    cluster.api.get("CronJob", "tick")
    assert cluster.api.get("CronJob", "tick")["status"]["lastScheduleTime"] == (
        "2025-01-01T01:30:00Z"
    )
    (job,) = cluster.api.list("Job")["items"]
    annotation = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert annotation == "2025-01-01T02:30:00+01:00"


def test_a_zone_that_has_gone_is_an_event(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database of the system changed: no Job, and a Warning that names the zone."""
    in_zone(cluster, "Europe/Berlin", "* * * * *")

    def load_zone(name: str) -> Any:
        raise ValueError(f"unknown time zone {name}")

    monkeypatch.setattr("kubesim.controllers.cronjob.controller.load_zone", load_zone)
    cluster.sleep(90)
    assert jobs(cluster) == []
    messages = {event["message"] for event in cluster.api.list("Event")["items"]}
    assert 'invalid timeZone: "Europe/Berlin": unknown time zone Europe/Berlin' in messages
