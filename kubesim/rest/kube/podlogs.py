"""The log of a pod over HTTP: `kubectl logs`, with all that it can ask for.

Source: pkg/registry/core/pod/rest/log.go, pkg/kubelet/kuberuntime/logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubesim.apiserver import KubeAPI
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest, NotFound
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of, namespace_of, uid_of
from kubesim.objects.pods import containers_of, is_finished, node_of
from kubesim.rest.http.wire import Request
from kubesim.rest.kube.options import flag, number
from kubesim.rest.kube.watch import LAST_CHUNK, chunk

Lines = Sequence[tuple[float, str]]
GONE_PULLS = 2  # looks at a finished container before its stream ends


class LogOptions(NamedTuple):
    """What a client asks for.

    Attributes:
        container: "" for the only one.
        follow: go on as lines come.
        tail: only the newest so many; None: all.
        since: only lines from this simulated second on; None: all.
        stamped: a timestamp before each line.
        limit_bytes: at most so many; None: all.
        previous: of the container's life before this one.
    """

    container: str
    follow: bool
    tail: int | None
    since: float | None
    stamped: bool
    limit_bytes: int | None
    previous: bool


def log_options(request: Request, clock: Clock) -> LogOptions:
    """The options of a request.

    Raises:
        BadRequest: they make no sense.
    """
    seconds, time = number(request, "sinceSeconds"), request.parameter("sinceTime")
    if seconds is not None and time:
        raise BadRequest("at most one of `sinceTime` or `sinceSeconds` may be specified")
    since: float | None = None
    if seconds is not None:
        if seconds < 1:
            raise BadRequest("sinceSeconds: Invalid value: must be greater than 0")
        since = clock.now() - seconds
    elif time:
        try:
            since = clock.seconds_at(time)
        except (ValueError, OverflowError) as error:
            raise BadRequest(f"sinceTime: {time[:40]!r} is no RFC 3339 time") from error
    limit = number(request, "limitBytes")
    if limit is not None and limit < 1:
        raise BadRequest("limitBytes: Invalid value: must be greater than 0")
    return LogOptions(
        request.parameter("container"),
        flag(request, "follow"),
        number(request, "tailLines"),
        since,
        flag(request, "timestamps"),
        limit,
        flag(request, "previous"),
    )


def select(lines: Lines, options: LogOptions) -> Lines:
    """The lines that were asked for. Pure.

    >>> select([(1.0, "a"), (2.0, "b"), (3.0, "c")],
    ...        LogOptions("", False, 1, 2.0, False, None, False))
    [(3.0, 'c')]
    """
    found = [line for line in lines if options.since is None or line[0] >= options.since]
    return found if options.tail is None else found[len(found) - min(options.tail, len(found)) :]


def render(lines: Lines, options: LogOptions, clock: Clock) -> bytes:
    """Lines as text, with timestamps if they are wanted."""
    if not options.stamped:
        return "".join(f"{text}\n" for _, text in lines).encode()
    return "".join(f"{_stamp(clock, seconds)} {text}\n" for seconds, text in lines).encode()


def _stamp(clock: Clock, seconds: float) -> str:
    whole = int(seconds // 1)
    return f"{clock.timestamp(whole)[:-1]}.{round((seconds - whole) * 1e9) % 10**9:09d}Z"


def find_container(pod: Document, options: LogOptions) -> str:
    """The container whose log is asked for.

    Raises:
        BadRequest: it has none yet, or there is no such container.
    """
    name, main = name_of(pod), containers_of(pod)
    if not node_of(pod):
        raise BadRequest(f"pod {name} does not have a host assigned")
    container = options.container or str(main[0].get("name"))
    status = pod.get("status") or {}
    listed = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ]
    found: Document = next((item for item in listed if item.get("name") == container), {})
    if options.previous:
        if not (found.get("lastState") or {}).get("terminated"):
            raise BadRequest(
                f'previous terminated container "{container}" in pod "{name}" not found'
            )
    elif "waiting" in (found.get("state") or {}) and not found.get("restartCount"):
        why = found["state"]["waiting"].get("reason", "ContainerCreating")
        raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {why}')
    return container


class LogFollower:
    """The source of a log that is followed, until its pod has ended.

    Args:
        api: where the log is read.
        pod: whose.
        container: which.
        options: what the client asked for.
    """

    def __init__(self, api: KubeAPI, pod: Document, container: str, options: LogOptions) -> None:
        self.done = False
        self._api = api
        self._pod = pod
        self._container = container
        self._options = options
        self._begun = False
        self._last = float("-inf")  # simulated second of the newest line that was sent
        self._there = 0  # so many lines of that second were sent
        self._quiet = 0
        self._left = options.limit_bytes

    def pull(self, waiting: int) -> bytes:
        """New lines as one chunk; the end of the stream after the last one."""
        over = self._is_over()
        lines = self._api.log_lines(self._pod, self._container)
        fresh = self._fresh(lines)
        if not self._begun:
            self._begun = True
            fresh = select(fresh, self._options)
        data = render(fresh, self._options, self._api.clock)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._quiet = self._quiet + 1 if over and not data else 0
        self.done = self._quiet >= GONE_PULLS or self._left == 0
        return chunk(data) + (LAST_CHUNK if self.done else b"")

    def close(self) -> None:
        """Nothing to give back."""

    def _fresh(self, lines: Lines) -> Lines:
        """Lines that were not sent yet; the log may have lost its oldest ones meanwhile."""
        same = [index for index, line in enumerate(lines) if line[0] == self._last]
        old = [index for index, line in enumerate(lines) if line[0] < self._last]
        start = min((old[-1] + 1 if old else 0) + min(self._there, len(same)), len(lines))
        fresh = lines[start:]
        if fresh:
            newest = fresh[-1][0]
            sent = sum(1 for line in lines if line[0] == newest)
            self._last, self._there = newest, sent
        return fresh

    def _is_over(self) -> bool:
        """Whether the pod has ended, is gone, or is another one of the same name."""
        try:
            pod = self._api.get("Pod", name_of(self._pod), namespace_of(self._pod))
        except NotFound:
            return True
        return is_finished(pod) or uid_of(pod) != uid_of(self._pod)
