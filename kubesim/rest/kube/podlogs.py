"""The log of a container over HTTP: `kubectl logs` with all its options.

Source: pkg/registry/core/pod/rest/log.go, pkg/kubelet/kuberuntime/logs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from kubesim.apiserver import KubeAPI
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest, NotFound
from kubesim.objects.kindnames import POD
from kubesim.objects.meta import name_of, namespace_of, uid_of
from kubesim.objects.pods import containers_of, is_finished, node_of
from kubesim.rest.http import streams
from kubesim.rest.http.wire import Request
from kubesim.rest.kube.requestinfo import flag, number
from kubesim.rest.kube.watch import LAST_CHUNK, chunk
from kubesim.rest.remote.execute import closing_frames
from kubesim.rest.remote.websocket import STDERR, STDIN, STDOUT, FrameReader, channel_frames

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerStatusDict, PodDict

Lines = Sequence[tuple[float, str]]
INPUT_DROPPED = (  # a terminal needs the carriage return
    b"kubesim: no input reaches a container's own process; "
    b"kubectl exec -i passes it to a command\r\n"
)
FINAL_PULLS = 2  # empty pulls from a finished container before its stream ends


class LogOptions(NamedTuple):
    """Options of a request for a log (core/v1 PodLogOptions).

    Attributes:
        container: its name; "" for the only one.
        follow: keep sending new lines.
        tail: only the newest `tail` lines; None: all.
        since: only lines of this simulated second or later; None: all.
        stamped: put a timestamp before each line.
        limit_bytes: maximal number of bytes; None: all.
        previous: the log of the previous, terminated instance of the container.
    """

    container: str
    follow: bool
    tail: int | None
    since: float | None
    stamped: bool
    limit_bytes: int | None
    previous: bool


def log_options(request: Request, clock: Clock) -> LogOptions:
    """Parse the options of a request for a log.

    Raises:
        BadRequest: a value is malformed, or two options contradict each other.
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
            raise BadRequest(f"sinceTime: {time[:40]!r} is not an RFC 3339 time") from error
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
    """Return the lines that the options select. Pure.

    >>> select([(1.0, "a"), (2.0, "b"), (3.0, "c")],
    ...        LogOptions("", False, 1, 2.0, False, None, False))
    [(3.0, 'c')]
    """
    newer = [line for line in lines if options.since is None or line[0] >= options.since]
    return newer if options.tail is None else newer[len(newer) - min(options.tail, len(newer)) :]


def render(lines: Lines, options: LogOptions, clock: Clock) -> bytes:
    """Return lines as text, with timestamps if the options ask for them.

    Args:
        lines: (simulated second, text) pairs.
        options: of the request.
        clock: converts simulated seconds to timestamps.
    """
    if not options.stamped:
        return "".join(f"{text}\n" for _, text in lines).encode()
    return "".join(f"{_stamp(clock, seconds)} {text}\n" for seconds, text in lines).encode()


def _stamp(clock: Clock, seconds: float) -> str:
    whole = int(seconds // 1)
    return f"{clock.timestamp(whole)[:-1]}.{round((seconds - whole) * 1e9) % 10**9:09d}Z"


def find_container(pod: PodDict, options: LogOptions) -> str:
    """Return the name of the container whose log is requested.

    Raises:
        BadRequest: the container has no log yet, or does not exist.
    """
    name, main = name_of(pod), containers_of(pod)
    if not node_of(pod):
        raise BadRequest(f"pod {name} does not have a host assigned")
    container = options.container or str(main[0].get("name"))
    status = pod.get("status") or {}
    statuses = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ]
    nothing: ContainerStatusDict = {}
    current = next((item for item in statuses if item.get("name") == container), nothing)
    if options.previous:
        if not (current.get("lastState") or {}).get("terminated"):
            raise BadRequest(
                f'previous terminated container "{container}" in pod "{name}" not found'
            )
    elif "waiting" in (current.get("state") or {}) and not current.get("restartCount"):
        reason = current["state"]["waiting"].get("reason", "ContainerCreating")
        raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
    return container


class LogFollower:
    """The stream source of `kubectl logs --follow`; it ends when the pod has finished.

    Args:
        api: the API server.
        pod: the pod.
        container: the name of the container.
        options: of the request.
        framed: makes the bytes on the wire of new output.
        last: the bytes that end the stream.
    """

    def __init__(
        self,
        api: KubeAPI,
        pod: PodDict,
        container: str,
        options: LogOptions,
        *,
        framed: Callable[[bytes], bytes] = chunk,
        last: bytes = LAST_CHUNK,
    ) -> None:
        self.done = False
        self._framed, self._last_bytes = framed, last
        self._api = api
        self._pod = pod
        self._container = container
        self._options = options
        self._started = False
        self._last = float("-inf")  # simulated second of the newest line sent
        self._sent_at_last = 0  # number of lines of that second that were sent
        self._empty_pulls = 0
        self._bytes_left = options.limit_bytes

    def pull(self, waiting: int) -> bytes:
        """Return new lines as one chunk; after the last one, the end of the stream.

        A client that does not read gets no more; the container's log keeps its newest lines only.
        """
        if waiting >= streams.BACKLOG_BYTES:
            return b""
        finished = self._is_finished()
        lines = self._api.log_lines(self._pod, self._container)
        fresh = self._fresh(lines)
        if not self._started:
            self._started = True
            fresh = select(fresh, self._options)
        data = render(fresh, self._options, self._api.clock)
        if self._bytes_left is not None:
            data = data[: self._bytes_left]
            self._bytes_left -= len(data)
        self._empty_pulls = self._empty_pulls + 1 if finished and not data else 0
        self.done = self._empty_pulls >= FINAL_PULLS or self._bytes_left == 0
        return self._framed(data) + (self._last_bytes if self.done else b"")

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _fresh(self, lines: Lines) -> Lines:
        """Return the lines that were not sent yet; old lines may have been dropped."""
        same = [index for index, line in enumerate(lines) if line[0] == self._last]
        old = [index for index, line in enumerate(lines) if line[0] < self._last]
        start = min((old[-1] + 1 if old else 0) + min(self._sent_at_last, len(same)), len(lines))
        fresh = lines[start:]
        if fresh:
            newest = fresh[-1][0]
            sent = sum(1 for line in lines if line[0] == newest)
            self._last, self._sent_at_last = newest, sent
        return fresh

    def _is_finished(self) -> bool:
        """Whether the pod has finished, was deleted, or was replaced by one of the same name."""
        try:
            pod = self._api.get(POD, name_of(self._pod), namespace_of(self._pod))
        except NotFound:
            return True
        return self._is_over(pod)

    def _is_over(self, pod: PodDict) -> bool:
        return is_finished(pod) or uid_of(pod) != uid_of(self._pod)


class AttachedFollower(LogFollower):
    """The stream source of `kubectl attach`: the whole output of a container over a websocket.

    The real one sends only what is printed after it has attached; a simulated command may have
    ended by then. It ends with the container.

    Args:
        api: the API server.
        pod: the pod.
        container: the name of the container.
        reader: what the client sends. Its pings are answered. Its input is read and dropped, since
            a socket that is closed with unread bytes resets the connection, and output may be lost.
        notes: the channel on which the first input is answered with a note that it is dropped.
    """

    def __init__(
        self,
        api: KubeAPI,
        pod: PodDict,
        container: str,
        reader: FrameReader,
        notes: int = STDERR,
    ) -> None:
        options = LogOptions(container, True, None, None, False, None, False)
        framed, last = partial(channel_frames, STDOUT), closing_frames(0)
        super().__init__(api, pod, container, options, framed=framed, last=last)
        self._reader = reader
        self._notes: int | None = notes  # None: the note was sent

    def pull(self, waiting: int) -> bytes:
        """Return new lines as frames, after the answers to what the client has sent."""
        typed = any(each.channel == STDIN and each.data for each in self._reader.messages())
        data = self._reader.replies()
        if typed and self._notes is not None:
            data += channel_frames(self._notes, INPUT_DROPPED)
            self._notes = None
        data += super().pull(waiting)
        self.done = self.done or self._reader.closed
        return data

    def _is_over(self, pod: PodDict) -> bool:
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        running = [s for s in statuses if "running" in (s.get("state") or {})]
        names = {status.get("name") for status in running}
        return super()._is_over(pod) or self._container not in names
