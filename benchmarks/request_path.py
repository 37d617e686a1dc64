"""The path of a request: files of kubesim entered, calls made, CPU time of one request.

A request that passes through many files is hard to read and hard to step through. `sys.setprofile`
counts, for one warm request of each sort, the files of kubesim in which a function is called and
the number of those calls; CPU time is measured without the profiler, over many requests.

The rows "over HTTP" are the whole path of a request that arrives at the server's socket, from the
first byte to the last; the other rows are calls of `KubeAPI` in the process, and the largest passes
of the HorizontalPodAutoscaler with and without a new size.

The peer of a row is release 0.2.0, as it was measured with this file. To compare CPU times, run the
file with another checkout first on the path, on the same machine and in turns:

    PYTHONPATH=/path/to/other/checkout python benchmarks/request_path.py
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measure import BenchmarkRow

Work = Callable[[], object]

# Files entered and calls made in release 0.2.0 (CPython 3.11).
RELEASE_0_2_0 = {
    "POST /api/pods over HTTP": (45, 323),
    "server-side apply over HTTP": (52, 1_208),
    "create a pod": (30, 223),
    "create a pod, with a manager": (34, 496),
    "apply a change": (34, 1_333),
    "status that changes nothing": (12, 146),
    "HPA pass that rescales": (54, 1_099),
    "HPA pass that keeps the size": (45, 953),
}
# The most files that a request may enter: over HTTP, for an unchanged status and for both passes of
# the HPA half of the files of release 0.2.0, which had no ServiceAccounts. A pass that rescales
# writes a size, an Event and a status; the ordinary one writes the status.
MOST_FILES = {
    "POST /api/pods over HTTP": 22,
    "server-side apply over HTTP": 26,
    "create a pod": 15,
    "create a pod, with a manager": 18,
    "apply a change": 16,
    "status that changes nothing": 4,
    "HPA pass that rescales": 27,
    "HPA pass that keeps the size": 22,
}
RECORDER = "client/recorder.py"  # a pass that rescales writes an Event
WARM_REQUESTS = 3
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "web:1",
                "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}},
            }
        ]
    },
}


class Profile:
    """The files and calls of kubesim in the code that runs while the profile is installed."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            _, inside, path = frame.f_code.co_filename.rpartition("/kubesim/")
            if inside:
                self.calls[path] += 1

    @property
    def counts(self) -> tuple[int, int]:
        """(files entered, calls made)."""
        return len(self.calls), self.calls.total()


def profile_call(work: Work) -> Profile:
    """Call `work` once under the profiler."""
    profile = Profile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return profile


def pod(name: str) -> dict[str, Any]:
    """The manifest of a pod."""
    document = deepcopy(POD)
    document["metadata"]["name"] = name  # type: ignore[index]
    return document


# -- requests in the process -----------------------------------------------------------------------


class InProcess:
    """The requests that are made of `KubeAPI` directly; each method makes one."""

    def __init__(self) -> None:
        from kubesim import Cluster

        self.cluster = Cluster(seed=1)
        self.cluster.sleep(20.0)
        self.api = self.cluster.api
        self.created = 0
        self.applied = self.api.create(pod("applied"))
        self.reported = self.api.get("Pod", "auto-pod-0")

    def create(self, **options: Any) -> None:
        """Create a pod."""
        self.created += 1
        self.api.create(pod(f"web-{self.created}"), **options)

    def create_managed(self) -> None:
        """Create a pod under a field manager's name, as clients over HTTP do."""
        self.create(field_manager="benchmark")

    def apply(self) -> None:
        """Apply a configuration that changes a label."""
        self.created += 1
        document = pod("applied")
        document["metadata"]["labels"] = {"turn": str(self.created)}
        self.api.apply(document, field_manager="benchmark")

    def update_status(self) -> None:
        """Write a status that is there already."""
        self.api.update_status(self.reported)


# -- one pass of the autoscaler --------------------------------------------------------------------


class Passes:
    """Find the passes of the autoscaler in what a cluster does.

    A pass is the call of a function of kubesim.autoscaler, made from outside that package. The one
    that makes the most calls is kept for each sort: with a new size, and without. Its arguments are
    kept, too, so that it can be repeated without the cluster.
    """

    def __init__(self) -> None:
        self.rescaling = Profile()
        self.ordinary = Profile()
        self.repeat: Work = _nothing  # the ordinary one
        self._current: Profile | None = None
        self._root: FrameType | None = None
        self._entry: Work = _nothing

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if self._current is None and event == "call":
            if "/kubesim/autoscaler/" in frame.f_code.co_filename:
                owner = frame.f_locals.get("self")
                bound = getattr(owner, frame.f_code.co_name, None)
                if callable(bound):
                    names = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
                    arguments = [frame.f_locals[name] for name in names]
                    self._entry = lambda: bound(*arguments)
                    self._current, self._root = Profile(), frame
        if self._current is not None:
            self._current(frame, event, argument)
            if event == "return" and frame is self._root:
                self._keep(self._current)
                self._current = self._root = None

    def _keep(self, profile: Profile) -> None:
        """Keep a pass if it makes more calls than those of its sort before."""
        if RECORDER in profile.calls:
            self.rescaling = max(self.rescaling, profile, key=_calls)
        elif _calls(profile) > _calls(self.ordinary):
            self.ordinary, self.repeat = profile, self._entry


def _calls(profile: Profile) -> int:
    return profile.calls.total()


def _nothing() -> None:
    """Do nothing."""


def find_passes(seconds: float = 20.0) -> Passes:
    """Return the autoscaler's passes in a cluster with the workload ``auto-pod``.

    Args:
        seconds: of simulated time, after the first 61.
    """
    from kubesim import Cluster

    cluster = Cluster(seed=1)
    cluster.sleep(61.0)
    passes = Passes()
    sys.setprofile(passes)
    try:
        cluster.sleep(seconds)
    finally:
        sys.setprofile(None)
    return passes


# -- requests over HTTP ----------------------------------------------------------------------------


class OverHttp:
    """The same requests over the server's socket: counted, and not timed."""

    def __init__(self) -> None:
        from kubesim import Cluster

        self.cluster = Cluster(seed=1)
        self.cluster.sleep(20.0)
        self.server = self.cluster.serve()
        self.sent = 0

    def profile(self, method: str, path: str, body: object, content_type: str) -> Profile:
        """One request on a connection of its own; the server's threads are profiled."""
        profile = Profile()
        threading.setprofile(profile)
        try:
            data = json.dumps(body).encode()
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
                connection.sendall(head.encode() + data)
                answer = b""
                while part := connection.recv(65536):
                    answer += part
        finally:
            threading.setprofile(None)
        assert answer.startswith(b"HTTP/1.1 20"), answer
        time.sleep(0.1)  # the connection's thread ends after the last byte
        return profile

    def post(self) -> Profile:
        """POST /api/pods."""
        self.sent += 1
        return self.profile("POST", "/api/pods", {"name": f"web-{self.sent}"}, "application/json")

    def apply(self) -> Profile:
        """Server-side apply of a changed label, as `kubectl apply --server-side` sends it."""
        self.sent += 1
        document = pod("applied")
        document["metadata"]["labels"] = {"turn": str(self.sent)}
        path = "/api/v1/namespaces/default/pods/applied?fieldManager=benchmark"
        return self.profile("PATCH", path, document, "application/apply-patch+yaml")

    def close(self) -> None:
        """Stop the server."""
        self.cluster.close()


# -- rows ------------------------------------------------------------------------------------------


def counts() -> dict[str, tuple[int, int]]:
    """(files entered, calls made) by request."""
    result: dict[str, tuple[int, int]] = {}
    http = OverHttp()
    try:
        for name, send in (
            ("POST /api/pods over HTTP", http.post),
            ("server-side apply over HTTP", http.apply),
        ):
            for _ in range(WARM_REQUESTS):
                send()
            result[name] = send().counts
    finally:
        http.close()
    for name, work in _in_process().items():
        for _ in range(WARM_REQUESTS):
            work()
        result[name] = profile_call(work).counts
    passes = find_passes()
    result["HPA pass that rescales"] = passes.rescaling.counts
    result["HPA pass that keeps the size"] = passes.ordinary.counts
    return result


def _in_process() -> dict[str, Work]:
    requests = InProcess()
    return {
        "create a pod": requests.create,
        "create a pod, with a manager": requests.create_managed,
        "apply a change": requests.apply,
        "status that changes nothing": requests.update_status,
    }


def cpu_microseconds(rounds: int, repeats: int) -> dict[str, list[float]]:
    """CPU time of one request in microseconds by request, one figure for each round."""
    results: dict[str, list[float]] = {}
    for _ in range(rounds):
        works = {**_in_process(), "HPA pass that keeps the size": find_passes().repeat}
        for name, work in works.items():
            for _ in range(WARM_REQUESTS):
                work()
            start = time.process_time()
            for _ in range(repeats):
                work()
            spent = time.process_time() - start
            results.setdefault(name, []).append(1e6 * spent / repeats)
    return results


def run(quick: bool) -> list[BenchmarkRow]:
    """Files, calls and CPU time; a `limit` is the most files that a request may enter."""
    rows: list[BenchmarkRow] = []
    for name, (files, calls) in counts().items():
        before_files, before_calls = RELEASE_0_2_0[name]
        rows.append(_row(name, "files", files, before_files, limit=float(MOST_FILES[name])))
        rows.append(_row(name, "calls", calls, before_calls))
    rounds, repeats = (3, 200) if quick else (7, 500)
    for name, spent in cpu_microseconds(rounds, repeats).items():
        rows.append({"name": name, "unit": "us CPU", "kubesim": statistics.median(spent)})
    return rows


def _row(
    name: str, unit: str, ours: int, before: int, *, limit: float | None = None
) -> BenchmarkRow:
    measured: BenchmarkRow = {
        "name": name,
        "unit": unit,
        "kubesim": ours,
        "peer": before,
        "peer_name": "0.2.0",
        "ratio": before / ours,
    }
    if limit is not None:
        measured["limit"] = limit
    return measured


def main() -> None:
    """Print one line of JSON: counts, and the least CPU time of each request."""
    spent = {name: round(min(figures)) for name, figures in cpu_microseconds(3, 300).items()}
    print(json.dumps({"counts": counts(), "cpu_us": spent}, indent=1))


if __name__ == "__main__":
    main()
