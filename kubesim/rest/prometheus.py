"""Metrics of the components in the text format of Prometheus: the response to GET /metrics.

A count that a Kubernetes component exposes has the same name and labels here; every other count is
a sample of ``kubesim_component_value`` with the component and the name of the count as labels.

>>> print(exposition([MetricFamily("a_total", "counter", "As.", [({"b": "c"}, 1)])]), end="")
# HELP a_total As.
# TYPE a_total counter
a_total{b="c"} 1

Source: k8s.io/apiserver/pkg/endpoints/metrics, pkg/scheduler/metrics, pkg/kubelet/metrics,
k8s.io/component-base/metrics/prometheus/workqueue; the exposition format of Prometheus, 0.0.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kubesim.apiserver import KubeAPI
from kubesim.version import KUBERNETES_VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
Statistics = Mapping[str, Mapping[str, object]]
REQUEST_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "code")
QUEUES = ("active", "backoff", "unschedulable", "gated")
KUBELET, SCHEDULER = "kubelet/", "scheduler"


class MetricFamily(NamedTuple):
    """One metric with its samples.

    Attributes:
        name: for example ``apiserver_request_total``.
        type: "counter" or "gauge".
        help: one sentence.
        samples: (labels, value) pairs.
    """

    name: str
    type: str
    help: str
    samples: list[tuple[Labels, float]]


def request_metric(requests: Mapping[tuple[str, ...], int]) -> MetricFamily:
    """Return the counts of requests as a metric; their keys are the values of REQUEST_LABELS."""
    samples: list[tuple[Labels, float]] = [
        (dict(zip(REQUEST_LABELS, labels, strict=True)), count)
        for labels, count in sorted(requests.items())
    ]
    help = "Requests to the Kubernetes API by verb, resource and code."
    return MetricFamily("apiserver_request_total", "counter", help, samples)


def exposition(metrics: Iterable[MetricFamily]) -> str:
    """Serialize metrics in Prometheus' text format; those without samples are omitted. Pure."""
    lines = []
    for metric in metrics:
        if not metric.samples:
            continue
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.type}")
        for labels, value in metric.samples:
            pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            label_set = f"{{{pairs}}}" if pairs else ""
            number = int(value) if value == int(value) else value
            lines.append(f"{metric.name}{label_set} {number}")
    return "".join(f"{line}\n" for line in lines)


def component_metrics(statistics: Statistics) -> list[MetricFamily]:
    """Return the counts of the components under the names that Kubernetes uses. Pure.

    Args:
        statistics: counts by name by component, as `Cluster.statistics` returns them.
    """
    pending, attempts, preempted = _empty(
        ("scheduler_pending_pods", "gauge", "Pods waiting to be scheduled, by queue."),
        ("scheduler_schedule_attempts_total", "counter", "Attempts to schedule a pod, by result."),
        ("scheduler_preemption_attempts_total", "counter", "Attempts to preempt pods."),
    )
    depth, retries = _empty(
        ("workqueue_depth", "gauge", "Keys waiting in a controller's work queue."),
        ("workqueue_retries_total", "counter", "Keys requeued after an error."),
    )
    running, started, evicted = _empty(
        ("kubelet_running_pods", "gauge", "Pods running on a node."),
        ("kubelet_started_pods_total", "counter", "Pods started by a kubelet."),
        ("kubelet_evictions", "counter", "Pods evicted by a kubelet."),
    )
    others = MetricFamily(
        "kubesim_component_value", "gauge", "Counts without a counterpart in Kubernetes.", []
    )
    for name, counts in statistics.items():
        values = {k: v for k, v in counts.items() if type(v) is int or type(v) is float}
        if name.startswith(KUBELET):
            node = {"node": name.removeprefix(KUBELET)}
            running.samples.append((node, values.pop("running", 0)))
            started.samples.append((node, values.pop("started", 0)))
            evicted.samples.append((node, values.pop("evicted", 0)))
        elif SCHEDULER in name and "attempts" in values:
            for queue in QUEUES:
                pending.samples.append(({"queue": queue, "profile": name}, values.pop(queue, 0)))
            done, failed = values.pop("scheduled", 0), values.pop("errors", 0)
            rest = max(0, values.pop("attempts", 0) - done - failed)
            for result, value in (("scheduled", done), ("error", failed), ("unschedulable", rest)):
                attempts.samples.append(({"profile": name, "result": result}, value))
            preempted.samples.append(({"profile": name}, values.pop("preemptions", 0)))
        elif "queue" in values:
            again = values.pop("errors", 0) + values.pop("conflicts", 0)
            depth.samples.append(({"name": name}, values.pop("queue", 0)))
            retries.samples.append(({"name": name}, again))
        others.samples.extend(
            ({"component": name, "name": key}, value) for key, value in values.items()
        )
    return [pending, attempts, preempted, depth, retries, running, started, evicted, others]


def _empty(*described: tuple[str, str, str]) -> list[MetricFamily]:
    return [MetricFamily(*one, []) for one in described]


def server_metrics(api: KubeAPI, streams: int) -> list[MetricFamily]:
    """Return the metrics of the API server and the store.

    Args:
        api: the API server.
        streams: number of open watches and followed logs.
    """
    objects: list[tuple[Labels, float]] = [
        ({"resource": kind.resource}, api.store.count(kind.prefix_of(None)))
        for kind in api.registry.kinds()
        if kind.compute is None
    ]
    store = api.store.maintenance.status()
    version = {"git_version": f"v{KUBERNETES_VERSION}.0", "platform": "kubesim"}
    return [
        MetricFamily(
            "kubernetes_build_info", "gauge", "The mirrored version of Kubernetes.", [(version, 1)]
        ),
        MetricFamily("apiserver_storage_objects", "gauge", "Objects in the store.", objects),
        MetricFamily(
            "apiserver_longrunning_requests",
            "gauge",
            "Open streams.",
            [({"verb": "WATCH"}, streams)],
        ),
        MetricFamily(
            "etcd_debugging_mvcc_current_revision",
            "gauge",
            "The current revision of the store.",
            [({}, store.revision)],
        ),
        MetricFamily(
            "etcd_mvcc_db_total_size_in_bytes",
            "gauge",
            "Bytes that the store has allocated.",
            [({}, store.db_size)],
        ),
        MetricFamily(
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "gauge",
            "Bytes that the store uses, old versions included.",
            [({}, store.db_size_in_use)],
        ),
        MetricFamily(
            "etcd_server_quota_backend_bytes",
            "gauge",
            "The quota of the store; 0: none.",
            [({}, store.quota)],
        ),
        MetricFamily(
            "kubesim_store_alarms",
            "gauge",
            "Active alarms of the store.",
            [({"type": alarm}, 1) for alarm in store.alarms],
        ),
    ]


def metrics_text(
    api: KubeAPI,
    requests: Mapping[tuple[str, ...], int],
    streams: int,
    statistics: Callable[[], Statistics] | None,
) -> str:
    """Return the response to GET /metrics.

    Args:
        api: the API server.
        requests: counts of requests to the Kubernetes API by the values of REQUEST_LABELS.
        streams: number of open watches and followed logs.
        statistics: returns the counts of the components; None: leave them out.
    """
    components = component_metrics(statistics()) if statistics is not None else []
    return exposition([request_metric(requests), *server_metrics(api, streams), *components])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
