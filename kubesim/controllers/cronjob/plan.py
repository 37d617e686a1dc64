"""What a CronJob does next: pure functions of its spec, its status and the time.

>>> from kubesim.objects.cron import parse_schedule
>>> last = datetime(2025, 1, 1, 12, 0)
>>> due = missed(parse_schedule("*/5 * * * *"), last, datetime(2025, 1, 1, 12, 12))
>>> due.latest.isoformat(), due.times
('2025-01-01T12:10:00', 2)

Source: pkg/controller/cronjob/utils.go (mostRecentScheduleTime, nextScheduleTime),
cronjob_controllerv2.go (syncCronJob, removeOldestJobs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from kubesim.objects.cron import Schedule

if TYPE_CHECKING:
    from kubesim.objects.types import JobDict

STILL_RUNNING = "the previous Job is not finished"
MANY_MISSED = 100  # above it an Event is recorded
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"


class Missed(NamedTuple):
    """The scheduled times since the last start.

    Attributes:
        latest: the most recent one, or None.
        times: approximate number of them.
    """

    latest: datetime | None = None
    times: int = 0


@dataclass(frozen=True, slots=True)
class CronSpec:
    """The spec of a CronJob.

    Attributes:
        schedule: the parsed schedule.
        policy: concurrencyPolicy: Allow, Forbid or Replace.
        deadline: startingDeadlineSeconds; None: there is no deadline.
        suspended: spec.suspend.
    """

    schedule: Schedule
    policy: str = "Allow"
    deadline: float | None = None
    suspended: bool = False


class CronPlan(NamedTuple):
    """What to do in one sync.

    Attributes:
        start: the scheduled time of the Job to start; None: none.
        replace: delete the active Jobs first.
        reason: why, as a sentence fragment.
        event: (type, reason, message) of an Event; None: none.
        wait: seconds until the next scheduled time, or None.
    """

    start: datetime | None = None
    replace: bool = False
    reason: str = ""
    event: tuple[str, str, str] | None = None
    wait: float | None = None


def missed(schedule: Schedule, earliest: datetime, now: datetime) -> Missed:
    """Return the scheduled times after `earliest`, up to `now`.

    Args:
        schedule: the schedule.
        earliest: the last scheduled time, or the creation time.
        now: the current time.
    """
    first = schedule.next(earliest)
    if first is None or first > now:
        return Missed()
    second = schedule.next(first)
    if second is None or second > now:
        return Missed(first, 1)
    between = max(1.0, round((second - first).total_seconds()))
    count = int((now - first).total_seconds() // between) + 1
    # Start close to the end: the controller may not have run for a year.
    at = schedule.next(first + timedelta(seconds=max(0, count - 2) * between))
    latest = first
    while at is not None and at <= now:
        latest, at = at, schedule.next(at)
    return Missed(latest, count)


def plan(
    spec: CronSpec, *, created: datetime, last: datetime | None, now: datetime, active: int
) -> CronPlan:
    """Decide whether a Job starts now, and when the next one is due.

    Args:
        spec: the CronJob's spec.
        created: its creation time.
        last: status.lastScheduleTime; None: no Job was started.
        now: the current time.
        active: number of unfinished Jobs.
    """
    if spec.suspended:
        return CronPlan(reason="it is suspended")
    earliest = last or created
    if spec.deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=spec.deadline))
    due = missed(spec.schedule, earliest, now)
    upcoming = spec.schedule.next(now)
    wait = None if upcoming is None else (upcoming - now).total_seconds()
    event = None
    if due.times > MANY_MISSED:
        message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or "
        event = ("Warning", "TooManyMissedTimes", f"{message}check clock skew")
    if due.latest is None:
        return CronPlan(reason="no start is due", event=event, wait=wait)
    if spec.policy == "Forbid" and active:
        message = "Not starting job because prior execution is running and concurrency policy is "
        event = ("Normal", "JobAlreadyActive", f"{message}Forbid")
        return CronPlan(reason=STILL_RUNNING, event=event, wait=wait)
    replace = spec.policy == "Replace" and active > 0
    return CronPlan(due.latest, replace, "a start is due", event, wait)


def beyond_history_limit(jobs: Sequence[JobDict], limit: int | None) -> list[JobDict]:
    """Return the finished Jobs beyond the history limit: the oldest by startTime, then by name.

    Args:
        jobs: finished Jobs with the same final condition.
        limit: number of Jobs to keep; None: keep all.
    """
    if limit is None or len(jobs) <= limit:
        return []
    ordered = sorted(
        jobs,
        key=lambda job: ((job.get("status") or {}).get("startTime") or "", job["metadata"]["name"]),
    )
    return ordered[: len(jobs) - limit]
