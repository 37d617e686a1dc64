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
from typing import NamedTuple

from kubesim.objects.cron import Schedule
from kubesim.objects.frozen import Document

MANY_MISSED = 100  # more missed times than this are told
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"


class Missed(NamedTuple):
    """Times since the last one.

    Attributes:
        latest: the newest that is due; None: none is.
        times: how many there were, about.
    """

    latest: datetime | None = None
    times: int = 0


@dataclass(frozen=True, slots=True)
class CronSpec:
    """What a CronJob wants.

    Attributes:
        schedule: when.
        policy: Allow, Forbid or Replace.
        deadline: seconds after which a start that was missed is given up; None: never.
        suspended: no new runs, for now.
    """

    schedule: Schedule
    policy: str = "Allow"
    deadline: float | None = None
    suspended: bool = False


class CronPlan(NamedTuple):
    """What to do in this pass.

    Attributes:
        start: the scheduled time of a run that begins now; None: none does.
        replace: the active runs go first.
        reason: in words.
        event: (type, reason, message) to tell; None: nothing.
        wait: seconds until the next look; None: nothing will be due.
    """

    start: datetime | None = None
    replace: bool = False
    reason: str = ""
    event: tuple[str, str, str] | None = None
    wait: float | None = None


def missed(schedule: Schedule, earliest: datetime, now: datetime) -> Missed:
    """The times after `earliest` up to `now`.

    Args:
        schedule: when it is due.
        earliest: the last scheduled time, or the creation.
        now: the present.
    """
    first = schedule.next(earliest)
    if first is None or first > now:
        return Missed()
    second = schedule.next(first)
    if second is None or second > now:
        return Missed(first, 1)
    between = max(1.0, round((second - first).total_seconds()))
    count = int((now - first).total_seconds() // between) + 1
    # Start close to the end: somebody may have been away for a year.
    at = schedule.next(first + timedelta(seconds=max(0, count - 2) * between))
    latest = first
    while at is not None and at <= now:
        latest, at = at, schedule.next(at)
    return Missed(latest, count)


def plan(
    spec: CronSpec, *, created: datetime, last: datetime | None, now: datetime, active: int
) -> CronPlan:
    """Whether a run begins now, and when to look again.

    Args:
        spec: of the CronJob.
        created: when it was made.
        last: status.lastScheduleTime; None: it has never run.
        now: the present.
        active: runs that are not over.
    """
    if spec.suspended:
        return CronPlan(reason="it is suspended")
    earliest = last or created
    if spec.deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=spec.deadline))
    found = missed(spec.schedule, earliest, now)
    upcoming = spec.schedule.next(now)
    wait = None if upcoming is None else (upcoming - now).total_seconds()
    event = None
    if found.times > MANY_MISSED:
        said = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or "
        event = ("Warning", "TooManyMissedTimes", f"{said}check clock skew")
    if found.latest is None:
        return CronPlan(reason="no start is due", event=event, wait=wait)
    if spec.policy == "Forbid" and active:
        said = "Not starting job because prior execution is running and concurrency policy is "
        event = ("Normal", "JobAlreadyActive", f"{said}Forbid")
        return CronPlan(reason="the run before is not over", event=event, wait=wait)
    replace = spec.policy == "Replace" and active > 0
    return CronPlan(found.latest, replace, "a start is due", event, wait)


def superfluous(jobs: Sequence[Document], limit: int | None) -> list[Document]:
    """Finished Jobs beyond the limit: the oldest by startTime, then by name.

    Args:
        jobs: finished Jobs of one outcome.
        limit: how many are kept; None: all.
    """
    if limit is None or len(jobs) <= limit:
        return []
    ordered = sorted(
        jobs,
        key=lambda job: ((job.get("status") or {}).get("startTime") or "", job["metadata"]["name"]),
    )
    return ordered[: len(jobs) - limit]
