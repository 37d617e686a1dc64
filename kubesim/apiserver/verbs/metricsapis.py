"""The three metrics APIs: resource, custom and external metrics, each served by somebody else.

In a real cluster metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io are aggregated:
the API server proxies them to the metrics-server and to an adapter such as prometheus-adapter or
KEDA. So it is here: a component registers itself, and clients ask the API server. Without a
metrics-server, resource metrics are the kubelets' newest samples, a second old at most.

Source: k8s.io/metrics/pkg/client (resourceclient, custom_metrics, external_metrics),
k8s.io/metrics/pkg/apis/custom_metrics/v1beta2, external_metrics/v1beta1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from kubesim.apiserver.base import Base
from kubesim.apiserver.kinds.metrics import node_metrics, sample_key
from kubesim.errors import NotFound
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.quantity import format_cpu
from kubesim.store import Sample

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
        """When it was taken."""

    @property
    def window(self) -> float:
        """Seconds before `time` that it covers."""


class MetricsAdapter(Protocol):
    """Who serves custom and external metrics. Values are in milli units; whatever it raises is
    shown to the client, an autoscaler for example, as the reason of the failure."""

    def pods_metric(self, namespace: str, name: str, pods: Sequence[str]) -> Mapping[str, Measured]:
        """A custom metric of each pod that has it, by pod name."""

    def object_metric(self, namespace: str, kind: str, object_name: str, name: str) -> int:
        """A metric of one object."""

    def external_metric(self, namespace: str, name: str, selector: str) -> Sequence[int]:
        """The series of an external metric; the selector is written as in ``app=web``."""


class MetricsApis(Base):
    """What the API server passes on to metrics-server and adapter."""

    _usage_reader: UsageReader | None = None
    _adapter: MetricsAdapter | None = None

    def register_metrics_server(
        self, reader: UsageReader, documents: Callable[[], list[Document]]
    ) -> None:
        """A metrics-server serves metrics.k8s.io from now on; a node's figures are the sum of its
        pods'.

        Args:
            reader: the usage of one pod.
            documents: PodMetrics of all pods that it knows.
        """
        self._usage_reader = reader
        kind = self.registry.find("PodMetrics")
        self.registry.replace(replace(kind, compute=lambda _api: documents()))
        nodes = self.registry.find("NodeMetrics")
        self.registry.replace(replace(nodes, compute=lambda api: node_metrics(api, reader)))

    def register_metrics_adapter(self, adapter: MetricsAdapter) -> None:
        """An adapter serves custom and external metrics from now on."""
        self._adapter = adapter

    @property
    def metrics_adapter(self) -> MetricsAdapter | None:
        """Who serves custom and external metrics; None: nobody."""
        return self._adapter

    def usage(self, namespace: str, name: str) -> Usage | None:
        """A pod's usage as metrics.k8s.io serves it; None if it is not known."""
        if self._usage_reader is not None:
            return self._usage_reader(namespace, name)
        return self.store.sample(sample_key(namespace, name))

    def samples_since(self, revision: int) -> tuple[list[tuple[int, str, Usage]], bool]:
        """The kubelets' samples after a revision as (revision, key, sample), and whether some were
        lost; for a metrics-server."""
        return self.store.samples_since(revision)

    # -- as documents ---------------------------------------------------------------------------

    def custom_metrics(
        self, kind: str, name: str, metric: str, namespace: str | None = None
    ) -> Document:
        """A custom metric as a MetricValueList.

        Args:
            kind: of the described object: ``Pod``, or another one.
            name: of the object; ``*``: of all pods of the namespace.
            metric: its name.
            namespace: None is ``default``.

        Raises:
            NotFound: nobody serves such metrics, or this one has no value.
        """
        where, adapter = namespace or DEFAULT_NAMESPACE, self._serving(CUSTOM)
        values: list[tuple[str, int, float, float]] = []
        if kind in ("Pod", "pods"):
            prefix = self.registry.find("Pod").prefix_of(where)
            names = [kv.key.removeprefix(prefix) for kv in self.store.list(prefix).items]
            found = adapter.pods_metric(where, metric, names if name == "*" else [name])
            values = [(pod, m.milli, m.time, m.window) for pod, m in sorted(found.items())]
        else:
            total = adapter.object_metric(where, kind, name, metric)
            values = [(name, total, self.clock.now(), 0.0)]
        if not values:
            raise NotFound(f"the server could not find the metric {metric} for {kind} {name}")
        items = [
            {
                "describedObject": {"kind": kind, "namespace": where, "name": about},
                "metric": {"name": metric},
                "timestamp": self.clock.timestamp(second),
                **({"windowSeconds": round(window)} if window else {}),
                "value": format_cpu(milli),
            }
            for about, milli, second, window in values
        ]
        return {"kind": "MetricValueList", "apiVersion": f"{CUSTOM}/v1beta2", "items": items}

    def external_metrics(
        self, metric: str, namespace: str | None = None, *, label_selector: str = ""
    ) -> Document:
        """The series of an external metric as an ExternalMetricValueList; it may be empty.

        Raises:
            NotFound: nobody serves such metrics.
        """
        adapter = self._serving(EXTERNAL)
        found = adapter.external_metric(namespace or DEFAULT_NAMESPACE, metric, label_selector)
        now = self.clock.timestamp()
        return {
            "kind": "ExternalMetricValueList",
            "apiVersion": f"{EXTERNAL}/v1beta1",
            "items": [
                {"metricName": metric, "timestamp": now, "value": format_cpu(milli)}
                for milli in found
            ],
        }

    def _serving(self, group: str) -> MetricsAdapter:
        if self._adapter is None:
            raise NotFound(f"the server could not find the API group {group}: no adapter serves it")
        return self._adapter
