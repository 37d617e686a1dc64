"""Counts of the components in the text format of Prometheus: what /metrics answers.

Where a real component has a metric of that meaning, it has the same name and labels here; every
other count is called ``kubesim_component_value``, with component and count as labels.

>>> print(exposition([MetricFamily("a_total", "counter", "As.", [({"b": "c"}, 1)])]), end="")
# HELP a_total As.
# TYPE a_total counter
a_total{b="c"} 1

Source: k8s.io/apiserver/pkg/endpoints/metrics, pkg/scheduler/metrics, pkg/kubelet/metrics,
k8s.io/component-base/metrics/prometheus/workqueue; the exposition format of Prometheus, 0.0.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any, NamedTuple

from kubesim.apiserver import KubeAPI
from kubesim.version import KUBERNETES_VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
Statistics = Mapping[str, Mapping[str, Any]]
REQUEST_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "code")
QUEUES = ("active", "backoff", "unschedulable", "gated")
KUBELET, SCHEDULER = "kubelet/", "scheduler"


class MetricFamily(NamedTuple):
    """One metric: its name, "counter" or "gauge", what it means, and its samples."""

    name: str
    type: str
    help: str
    samples: list[tuple[Labels, float]]


class RequestCounts:
    """How many requests there were, by what they asked for and how they ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str) -> None:
        """One more request, with the values of REQUEST_LABELS."""
        with self._lock:
            self._counts[labels] = self._counts.get(labels, 0) + 1

    def metric(self) -> MetricFamily:
        """All of them so far."""
        with self._lock:
            counts = sorted(self._counts.items())
        samples: list[tuple[Labels, float]] = [
            (dict(zip(REQUEST_LABELS, labels, strict=True)), count) for labels, count in counts
        ]
        said = "Requests of the Kubernetes API by verb, place and code."
        return MetricFamily("apiserver_request_total", "counter", said, samples)


def exposition(metrics: Iterable[MetricFamily]) -> str:
    """Metrics as text; those without samples are left out. Pure."""
    lines = []
    for metric in metrics:
        if not metric.samples:
            continue
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.type}")
        for labels, value in metric.samples:
            listed = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            shown = f"{{{listed}}}" if listed else ""
            number = int(value) if value == int(value) else value
            lines.append(f"{metric.name}{shown} {number}")
    return "".join(f"{line}\n" for line in lines)


def component_metrics(statistics: Statistics) -> list[MetricFamily]:
    """The counts of the components under the names of the real ones. Pure.

    Args:
        statistics: by component, as `Cluster.statistics` gives them.
    """
    pending, attempts, preempted = _empty(
        ("scheduler_pending_pods", "gauge", "Pods that wait, by queue."),
        ("scheduler_schedule_attempts_total", "counter", "Attempts to place a pod, by result."),
        ("scheduler_preemption_attempts_total", "counter", "Attempts to make room for a pod."),
    )
    depth, retries = _empty(
        ("workqueue_depth", "gauge", "Keys that wait in a controller's queue."),
        ("workqueue_retries_total", "counter", "Keys that were queued again after an error."),
    )
    running, started, evicted = _empty(
        ("kubelet_running_pods", "gauge", "Pods whose containers run on a node."),
        ("kubelet_started_pods_total", "counter", "Pods that a kubelet started."),
        ("kubelet_evictions", "counter", "Pods that a kubelet evicted."),
    )
    others = MetricFamily(
        "kubesim_component_value", "gauge", "Counts without a real counterpart.", []
    )
    for name, counts in statistics.items():
        figures = {k: v for k, v in counts.items() if type(v) in (int, float)}
        if name.startswith(KUBELET):
            node = {"node": name.removeprefix(KUBELET)}
            running.samples.append((node, figures.pop("running", 0)))
            started.samples.append((node, figures.pop("started", 0)))
            evicted.samples.append((node, figures.pop("evicted", 0)))
        elif SCHEDULER in name and "attempts" in figures:
            for queue in QUEUES:
                pending.samples.append(({"queue": queue, "profile": name}, figures.pop(queue, 0)))
            done, failed = figures.pop("scheduled", 0), figures.pop("errors", 0)
            rest = max(0, figures.pop("attempts", 0) - done - failed)
            for result, value in (("scheduled", done), ("error", failed), ("unschedulable", rest)):
                attempts.samples.append(({"profile": name, "result": result}, value))
            preempted.samples.append(({"profile": name}, figures.pop("preemptions", 0)))
        elif "queue" in figures:
            again = figures.pop("errors", 0) + figures.pop("conflicts", 0)
            depth.samples.append(({"name": name}, figures.pop("queue", 0)))
            retries.samples.append(({"name": name}, again))
        others.samples.extend(
            ({"component": name, "name": key}, value) for key, value in figures.items()
        )
    return [pending, attempts, preempted, depth, retries, running, started, evicted, others]


def _empty(*described: tuple[str, str, str]) -> list[MetricFamily]:
    return [MetricFamily(*one, []) for one in described]


def server_metrics(api: KubeAPI, streams: int) -> list[MetricFamily]:
    """What the API server and the store know of themselves.

    Args:
        api: the server.
        streams: so many watches and logs are open.
    """
    objects: list[tuple[Labels, float]] = [
        ({"resource": kind.resource}, len(api.snapshot(kind.kind)[0]))
        for kind in api.registry.kinds()
        if kind.compute is None
    ]
    version = {"git_version": f"v{KUBERNETES_VERSION}.0", "platform": "kubesim"}
    return [
        MetricFamily("kubernetes_build_info", "gauge", "What is mirrored.", [(version, 1)]),
        MetricFamily("apiserver_storage_objects", "gauge", "Objects in the store.", objects),
        MetricFamily(
            "apiserver_longrunning_requests",
            "gauge",
            "Streams that are open.",
            [({"verb": "WATCH"}, streams)],
        ),
        MetricFamily(
            "etcd_debugging_mvcc_current_revision",
            "gauge",
            "The newest revision of the store.",
            [({}, api.store.revision)],
        ),
    ]


def metrics_text(
    api: KubeAPI,
    requests: RequestCounts,
    streams: int,
    statistics: Callable[[], Statistics] | None,
) -> str:
    """Everything that /metrics says."""
    components = component_metrics(statistics()) if statistics is not None else []
    return exposition([requests.metric(), *server_metrics(api, streams), *components])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
