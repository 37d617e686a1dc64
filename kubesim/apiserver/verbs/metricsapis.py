"""The three metrics APIs: resource, custom and external metrics, served by other components.

In a real cluster metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io are aggregated:
the API server proxies them to the metrics-server and to an adapter such as prometheus-adapter or
KEDA. Here, too, a component registers itself, and clients ask the API server. Without a
metrics-server, resource metrics are the kubelets' newest samples, at most one second old.

Source: k8s.io/metrics/pkg/client (resourceclient, custom_metrics, external_metrics),
k8s.io/metrics/pkg/apis/custom_metrics/v1beta2, external_metrics/v1beta1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from kubesim.apiserver.core import Core
from kubesim.apiserver.kinds.metrics import node_metrics
from kubesim.errors import NotFound
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.quantity import format_cpu
from kubesim.store import Sample, sample_key

CUSTOM = "custom.metrics.k8s.io"
EXTERNAL = "external.metrics.k8s.io"

Usage = Sample
"""(second, window in seconds, ((container, CPU in millicores, memory in bytes), ...))."""

UsageReader = Callable[[str, str], Usage | None]
"""reader(namespace, pod): the usage that is served, or None."""


class Measured(Protocol):
    """One value with its time."""

    @property
    def milli(self) -> int:
        """The value in thousandths."""

    @property
    def time(self) -> float:
        """The simulated second at which it was measured."""

    @property
    def window(self) -> float:
        """The seconds before `time` that it covers."""


class MetricsAdapter(Protocol):
    """Serves custom and external metrics. Values are in milli units; the message of an error that
    it raises is shown to the client, for example an autoscaler."""

    def pods_metric(self, namespace: str, name: str, pods: Sequence[str]) -> Mapping[str, Measured]:
        """Return a custom metric of each pod that has it, by pod name."""

    def object_metric(self, namespace: str, kind: str, object_name: str, name: str) -> int:
        """Return a metric of one object."""

    def external_metric(self, namespace: str, name: str, selector: str) -> Sequence[int]:
        """Return the series of an external metric; the selector is written as in ``app=web``."""


class MetricsApis:
    """Requests that the API server passes on to metrics-server and adapter.

    Args:
        core: of the server.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._usage_reader: UsageReader | None = None
        self._adapter: MetricsAdapter | None = None

    def register_metrics_server(
        self, reader: UsageReader, documents: Callable[[], list[Document]]
    ) -> None:
        """Serve metrics.k8s.io by a metrics-server from now on.

        A node's figures are the sum of its pods' figures.

        Args:
            reader: returns the usage of one pod.
            documents: returns the PodMetrics of all pods.
        """
        self._usage_reader = reader
        registry = self._core.registry
        pods, nodes = registry.find("PodMetrics"), registry.find("NodeMetrics")
        registry.replace(replace(pods, compute=lambda _server: documents()))
        registry.replace(replace(nodes, compute=lambda server: node_metrics(server, reader)))

    def register_metrics_adapter(self, adapter: MetricsAdapter) -> None:
        """Serve custom and external metrics by an adapter from now on."""
        self._adapter = adapter

    @property
    def adapter(self) -> MetricsAdapter | None:
        """The adapter that serves custom and external metrics, or None."""
        return self._adapter

    def usage(self, namespace: str, name: str) -> Usage | None:
        """Return a pod's usage as metrics.k8s.io serves it; None if it is not known."""
        if self._usage_reader is not None:
            return self._usage_reader(namespace, name)
        return self._core.samples.sample(sample_key(namespace, name))

    def samples_since(self, revision: int) -> tuple[Sequence[tuple[int, str, Usage]], bool]:
        """Return the kubelets' samples after a revision, for a metrics-server.

        Returns:
            (revision, key, sample) of each, and whether some are no longer kept.
        """
        return self._core.samples.samples_since(revision)

    # -- as documents ---------------------------------------------------------------------------

    def custom_metrics(
        self, kind: str, name: str, metric: str, namespace: str | None = None
    ) -> Document:
        """Return a custom metric as a MetricValueList.

        Args:
            kind: of the described object: ``Pod``, or another one.
            name: of the object; ``*``: all pods of the namespace.
            metric: its name.
            namespace: None: ``default``.

        Raises:
            NotFound: no adapter serves such metrics, or this one has no value.
        """
        core, adapter = self._core, self._serving(CUSTOM)
        namespace = namespace or DEFAULT_NAMESPACE
        values: list[tuple[str, int, float, float]] = []
        if kind in ("Pod", "pods"):
            prefix = core.registry.find("Pod").prefix_of(namespace)
            names = [kv.key.removeprefix(prefix) for kv in core.store.list(prefix).items]
            by_pod = adapter.pods_metric(namespace, metric, names if name == "*" else [name])
            values = [(pod, m.milli, m.time, m.window) for pod, m in sorted(by_pod.items())]
        else:
            total = adapter.object_metric(namespace, kind, name, metric)
            values = [(name, total, core.clock.now(), 0.0)]
        if not values:
            raise NotFound(f"the server could not find the metric {metric} for {kind} {name}")
        items = [
            {
                "describedObject": {"kind": kind, "namespace": namespace, "name": about},
                "metric": {"name": metric},
                "timestamp": core.clock.timestamp(second),
                **({"windowSeconds": round(window)} if window else {}),
                "value": format_cpu(milli),
            }
            for about, milli, second, window in values
        ]
        return {"kind": "MetricValueList", "apiVersion": f"{CUSTOM}/v1beta2", "items": items}

    def external_metrics(
        self, metric: str, namespace: str | None = None, *, label_selector: str = ""
    ) -> Document:
        """Return the series of an external metric as an ExternalMetricValueList; it may be empty.

        Args:
            metric: its name.
            namespace: None: ``default``.
            label_selector: which series; "": all.

        Raises:
            NotFound: no adapter serves such metrics.
        """
        adapter = self._serving(EXTERNAL)
        series = adapter.external_metric(namespace or DEFAULT_NAMESPACE, metric, label_selector)
        now = self._core.clock.timestamp()
        return {
            "kind": "ExternalMetricValueList",
            "apiVersion": f"{EXTERNAL}/v1beta1",
            "items": [
                {"metricName": metric, "timestamp": now, "value": format_cpu(milli)}
                for milli in series
            ],
        }

    def _serving(self, group: str) -> MetricsAdapter:
        if self._adapter is None:
            raise NotFound(f"the server could not find the API group {group}: no adapter serves it")
        return self._adapter
