"""The metrics-server: the kubelets' measurements, delayed and averaged over a window.

Once in its resolution the metrics-server scrapes the kubelets' counters and keeps the last two
points of each container; CPU is the difference of the counters divided by the time between them. So
a figure is up to one resolution old, covers one resolution before that, and a new pod has none
before its second scrape.

>>> first = Point(time=10.0, cpu=1_000.0, memory=5, started=0.0)
>>> second = Point(time=25.0, cpu=4_000.0, memory=7, started=0.0)
>>> usage_between(first, second)
(25.0, 15.0, 200, 7)

It is part of a `Cluster(metrics_resolution=15)`; without it, autoscalers see each kubelet's newest
sample, a second old. Ours adds up the kubelets' samples of one second, while the real one reads the
counters of the containers. It leaves out: the kubelet's own delay (cAdvisor measures every 10 to
15 s), unreachable nodes, and the usage of the node itself.

Source: kubernetes-sigs/metrics-server pkg/storage/pod.go (Store, GetMetrics), types.go
(resourceUsage), cmd/metrics-server/app/options (metric-resolution: 60 s by default, 15 s in the
manifests, 10 s at least).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.kinds.metrics import SAMPLE_PREFIX, document_maker
from kubesim.apiserver.verbs.metricsapis import Usage
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import POD

LEAST_RESOLUTION_SECONDS = 10.0
FRESH_SECONDS = 10.0  # least age of a container that may count from its start
COLLECT_SECONDS = 5.0  # period in which the kubelets' samples are added up, so that none is missed


class Point(NamedTuple):
    """One scrape of one container.

    Attributes:
        time: second of the newest sample.
        cpu: millicore seconds since its start.
        memory: bytes.
        started: second at which it started.
    """

    time: float
    cpu: float
    memory: int
    started: float


def next_points(
    known: tuple[Point | None, Point | None], new: Point, resolution: float
) -> tuple[Point | None, Point]:
    """Return (point before, last point) of a container after a scrape.

    A container that is younger than the resolution, but at least 10 s old, counts from its start. A
    restarted container loses the point before. A point that was scraped twice replaces itself.

    Args:
        known: (point before, last point) so far.
        new: the scraped point.
        resolution: seconds between scrapes.
    """
    before, last = known
    if FRESH_SECONDS <= new.time - new.started < resolution:
        return Point(new.started, 0.0, new.memory, new.started), new
    if last is None or new.started >= last.time:
        return None, new
    if new.time > last.time:
        return last, new
    return (before if before is not None and before.time < new.time else None), new


def usage_between(before: Point, last: Point) -> tuple[float, float, int, int]:
    """Return (second, window in seconds, CPU in millicores, memory in bytes) of two points."""
    window = last.time - before.time
    cpu = ceil(round((last.cpu - before.cpu) / window, 6))
    return last.time, window, cpu, last.memory


@dataclass
class _Count:
    """The counter of one container, as its kubelet would keep it."""

    started: float
    time: float
    cpu: float = 0.0
    memory: int = 0


@dataclass
class _Pod:
    uid: str
    counts: dict[str, _Count] = field(default_factory=dict)
    points: dict[str, tuple[Point | None, Point]] = field(default_factory=dict)
    fresh: bool = False  # it has samples since the last scrape


class MetricsServer:
    """Scrapes the kubelets, and serves metrics.k8s.io in place of their newest samples.

    Args:
        api, clock: the cluster's tools.
        resolution_seconds: between two scrapes.

    Raises:
        BadRequest: the resolution is below 10 s, which the real one rejects, too.
    """

    name = "metrics-server"

    def __init__(self, api: KubeAPI, clock: Clock, resolution_seconds: float) -> None:
        if not resolution_seconds >= LEAST_RESOLUTION_SECONDS:
            raise BadRequest(
                f"metrics_resolution must be at least {LEAST_RESOLUTION_SECONDS:g} seconds, not "
                f"{resolution_seconds!r}"
            )
        self.resolution = float(resolution_seconds)
        self._api = api
        self._clock = clock
        self._worker = clock.worker(self.name)
        self._document = document_maker(clock.timestamp)
        self._revision = 0
        self._pods: dict[str, _Pod] = {}
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Register as the server of metrics.k8s.io, and begin to scrape."""
        self._api.register_metrics_server(self.usage, self.documents)
        self._worker.every(COLLECT_SECONDS, self._collect)
        self._worker.every(self.resolution, self._scrape)

    def stop(self) -> None:
        """Stop scraping."""
        self._worker.stop()

    def statistics(self) -> dict[str, int]:
        """Return counts for tests and tables."""
        return {**self.counts, "pods": len(self._pods)}

    # -- serving --------------------------------------------------------------------------------

    def usage(self, namespace: str, name: str) -> Usage | None:
        """Return a pod's usage; None unless every container has two points.

        Time and window are those of the container with the earliest point.
        """
        pod = self._pods.get(f"{namespace}/{name}")
        if pod is None or not pod.points:
            return None
        entries, times = [], []
        for container, (before, last) in pod.points.items():
            if before is None:
                return None
            second, window, cpu, memory = usage_between(before, last)
            entries.append((container, cpu, memory))
            times.append((second, window))
        return (*min(times), tuple(entries))

    def documents(self) -> list[Document]:
        """Return PodMetrics of every pod that has two points."""
        documents = []
        for key in sorted(self._pods):
            namespace, _, name = key.partition("/")
            sample = self.usage(namespace, name)
            if sample is not None:
                documents.append(self._document(f"{SAMPLE_PREFIX}{key}", sample))
        return documents

    # -- scraping -------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Add up the samples that the kubelets wrote since the last call."""
        rows, lost = self._api.samples_since(self._revision)
        self.counts["lost"] += lost
        started: dict[str, tuple[str, Mapping[str, float]]] = {}
        for revision, path, (second, window, containers) in rows:
            self._revision = revision
            key = path.removeprefix(SAMPLE_PREFIX)
            if key not in started:
                started[key] = self._started(key)
            uid, starts = started[key]
            pod = self._pods.get(key)
            if pod is None or pod.uid != uid:
                pod = self._pods[key] = _Pod(uid)
            for name, cpu, memory in containers:
                start = starts.get(name, second - window)
                count = pod.counts.get(name)
                if count is None or count.started != start:
                    count = pod.counts[name] = _Count(start, second - window)
                # The time since the sample before it, so that a lost sample has little effect.
                count.cpu += cpu * max(0.0, second - count.time)
                count.time, count.memory = second, memory
            pod.fresh = True

    def _scrape(self) -> None:
        """Read every counter; drop pods without samples since the last scrape."""
        self._collect()
        self.counts["scrapes"] += 1
        for key, pod in list(self._pods.items()):
            if not pod.fresh:
                del self._pods[key]
                continue
            pod.fresh = False
            points: dict[str, tuple[Point | None, Point]] = {}
            for name, count in pod.counts.items():
                new = Point(count.time, count.cpu, count.memory, count.started)
                points_before = pod.points.get(name, (None, None))
                points[name] = next_points(points_before, new, self.resolution)
            pod.points = points

    def _started(self, key: str) -> tuple[str, Mapping[str, float]]:
        """Return (uid, second at which each container started) of a pod."""
        namespace, _, name = key.partition("/")
        pod = self._api.peek(POD, name, namespace) or {}
        starts = {}
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            running = (status.get("state") or {}).get("running") or {}
            if "startedAt" in running:
                starts[str(status["name"])] = self._clock.seconds_at(running["startedAt"])
        return str((pod.get("metadata") or {}).get("uid", "")), starts
