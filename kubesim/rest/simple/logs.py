"""The analytics log over HTTP: GET /api/logs and GET /api/summary.

    GET /api/logs?component=Pod&level=warn&since=30&limit=20
    {"rows": [{"serial": 7, "time": 31.0, "level": "warn", "component": "Pod", "action": ...,
               "message": ...}, ...], "cursor": 7, "lost": 0}

`time` is a simulated second, rounded to milliseconds. `since` is a simulated second or an RFC 3339
time of the simulated calendar. A client that polls passes the `cursor` of the previous response and
gets each row once. If no row has the requested component (its name is case-sensitive), the response
lists the `components` that have rows.

No counterpart in Kubernetes, where each component writes its own log (klog).
"""

from __future__ import annotations

import re

from kubesim.analytics import LEVELS, Analytics
from kubesim.apiserver import KubeAPI
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import NODE, POD
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request
from kubesim.simple.summary import summarize

DEFAULT_LIMIT = 500
MAX_LIMIT = 10_000
_WHOLE_NUMBER = re.compile("[0-9]{1,17}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)


class LogRoutes:
    """The routes that read the analytics log.

    Args:
        api: pods and nodes for the summary, and the clock for RFC 3339 times.
        analytics: the log.
    """

    def __init__(self, api: KubeAPI, analytics: Analytics) -> None:
        self._api = api
        self._analytics = analytics

    def logs(self, request: Request) -> Response:
        """Return the oldest rows after the cursor that pass every filter.

        Raises:
            BadRequest: a parameter is malformed; the message says what is accepted.
        """
        level = request.parameter("level") or None
        if level is not None and level not in LEVELS:
            raise BadRequest(f"level must be one of {', '.join(LEVELS)}, not {level[:40]!r}")
        since = request.parameter("since")
        component = request.parameter("component") or None
        page = self._analytics.since(
            parse_cursor(request.parameter("cursor", "0")),
            component=component,
            level=level,
            since_seconds=parse_since(since, self._api.clock) if since else None,
            limit=parse_limit(request.parameter("limit", str(DEFAULT_LIMIT))),
        )
        rows = [{**row._asdict(), "time": round(row.time, 3)} for row in page.rows]
        answer: Document = {"rows": rows, "cursor": page.cursor, "lost": page.lost}
        if component is not None and not rows:
            components = {row.component for row in self._analytics.since(0).rows}
            if component not in components:
                answer["components"] = sorted(components)
        return Response.json(answer)

    def summary(self, _request: Request) -> Response:
        """Return counts of log rows, pods by phase and nodes by condition."""
        page = self._analytics.since(0)
        pods, nodes = self._api.snapshot(POD)[0], self._api.snapshot(NODE)[0]
        return Response.json(summarize(page.rows, pods, nodes, lost=page.lost))


def parse_cursor(value: str) -> int:
    """Parse the query parameter `cursor`.

    Raises:
        BadRequest: it is not a whole number.
    """
    if _WHOLE_NUMBER.fullmatch(value) is None:
        raise BadRequest("cursor must be a whole number: pass the cursor of the previous response")
    return int(value)


def parse_limit(value: str) -> int:
    """Parse the query parameter `limit`: the maximal number of rows.

    Raises:
        BadRequest: it is not a whole number from 1 to 10000.
    """
    limit = int(value) if _WHOLE_NUMBER.fullmatch(value) is not None else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {value[:40]!r}")
    return limit


def parse_since(value: str, clock: Clock) -> float:
    """Parse the query parameter `since`.

    Args:
        value: a simulated second ("30", "12.5") or an RFC 3339 time ("2025-01-01T00:00:30Z").
        clock: converts RFC 3339 times.

    Returns:
        The simulated second.

    Raises:
        BadRequest: it is neither.
    """
    if _SECONDS.fullmatch(value) is not None:
        return float(value)
    try:
        return clock.seconds_at(value)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            "since must be a simulated second, such as 30 or 12.5, or an RFC 3339 time, such as "
            f"2025-01-01T00:00:30Z (write a + as %2B), not {value[:40]!r}"
        ) from error
