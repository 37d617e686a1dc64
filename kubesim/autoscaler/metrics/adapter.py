"""The adapter of custom and external metrics: your own figures, and those of the traffic.

In a real cluster an adapter (prometheus-adapter, KEDA ...) serves them from a database. Here it is
`cluster.metrics`, and a metric is a number or a function:

    cluster.metrics.external("queue_length", lambda second: 40 + second, labels={"queue": "mail"})
    cluster.metrics.pods("sessions", lambda pod, second: 12)
    cluster.metrics.object("hits", "Service", "shop", 250)

An HPA names them in `spec.metrics` with type External, Pods or Object. Without any registration,
the measurements of the traffic are served (`sources.BUILT_IN`): as external series and metrics of
Services, with the label ``service``, and requests_per_second of each pod.

With a resolution the adapter reads all metrics once in that time and serves the last reading in
between, as an adapter of Prometheus does; without one, it serves the value of the present second.

Source: k8s.io/metrics/pkg/client; kubernetes-sigs/custom-metrics-apiserver/pkg/provider
(CustomMetricsProvider, ExternalMetricsProvider).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubesim.apiserver import KubeAPI
from kubesim.autoscaler.constants import DEFAULTS
from kubesim.autoscaler.metrics.metrics_server import MetricsServer
from kubesim.autoscaler.metrics.sources import (
    BUILT_IN,
    PER_POD,
    MetricSource,
    PodValue,
    Total,
    TrafficFigures,
    checked_pod_value,
    checked_total,
    milli_of,
)
from kubesim.autoscaler.types import Sample
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.objects.selectors import parse_label_selector
from kubesim.usercode import USER_ERRORS, error_text

Key = tuple[str, ...]
LabeledValues = list[tuple[Mapping[str, str], float]]
"""The series of an external metric: (labels, value)."""


class CustomMetrics:
    """The adapter: `cluster.metrics`.

    Args:
        api, clock: the cluster's tools.
        traffic: source of the built-in figures, or None.
        resolution_seconds: time between two readings; 0: each request reads the metric.

    Raises:
        BadRequest: a negative resolution.
    """

    name = "metrics-adapter"

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        traffic: TrafficFigures | None = None,
        *,
        resolution_seconds: float = 0.0,
    ) -> None:
        if not resolution_seconds >= 0:
            raise BadRequest(f"resolution_seconds must be 0 or more, not {resolution_seconds!r}")
        self.resolution = float(resolution_seconds)
        self._api = api
        self._clock = clock
        self._traffic = traffic
        self._worker = clock.worker(self.name) if resolution_seconds else None
        # Replaced and never changed in place, since other workers read them.
        self._pods: dict[Key, MetricSource[PodValue]] = {}  # (namespace, name)
        self._objects: dict[Key, MetricSource[Total]] = {}  # (namespace, kind, object, name)
        self._external: dict[Key, MetricSource[Total]] = {}  # (namespace, name, label, value ...)
        self._kept: dict[Key, float | LabeledValues] = {}  # the last reading, with a resolution
        self._read_at = 0.0

    def start(self) -> None:
        """Serve the two APIs, and begin to read if there is a resolution."""
        self._api.register_metrics_adapter(self)
        if self._worker is not None:
            self._worker.every(self.resolution, self._read_all)

    def stop(self) -> None:
        """Stop reading."""
        if self._worker is not None:
            self._worker.stop()

    def statistics(self) -> dict[str, int]:
        """Return counts for tests and tables."""
        return {
            "pods": len(self._pods),
            "object": len(self._objects),
            "external": len(self._external),
        }

    # -- registering ----------------------------------------------------------------------------

    def pods(
        self,
        name: str,
        value: PodValue,
        *,
        namespace: str = "default",
        window_seconds: float = DEFAULTS.custom_window_seconds,
    ) -> None:
        """Register a metric of pods (HPA type Pods); one of that name is replaced.

        Args:
            name: of the metric.
            value: a number, or a function of pod name and second.
            namespace: of the pods.
            window_seconds: time that each value covers.

        Raises:
            BadRequest: the value is neither a number nor a function.
        """
        source = MetricSource(checked_pod_value(value), window=window_seconds)
        self._pods = {**self._pods, (namespace, name): source}

    def object(
        self, name: str, kind: str, object_name: str, value: Total, *, namespace: str = "default"
    ) -> None:
        """Register a metric of one object (HPA type Object); one of that name is replaced.

        Args:
            name: of the metric.
            kind, object_name, namespace: of the object.
            value: a number, or a function of the second.

        Raises:
            BadRequest: the value is neither a number nor a function.
        """
        key = (namespace, kind, object_name, name)
        self._objects = {**self._objects, key: MetricSource(checked_total(value))}

    def external(
        self,
        name: str,
        value: Total,
        *,
        labels: Mapping[str, str] | None = None,
        namespace: str = "default",
    ) -> None:
        """Register one series of an external metric (HPA type External).

        A series with the same name and labels is replaced; one with other labels is a further
        series, and an HPA whose selector matches several series gets their sum.

        Args:
            name: of the metric.
            value: a number, or a function of the second.
            labels: of the series.
            namespace: of the HPAs that may use it.

        Raises:
            BadRequest: the value is neither a number nor a function.
        """
        given = dict(labels or {})
        key = (namespace, name, *(part for pair in sorted(given.items()) for part in pair))
        self._external = {**self._external, key: MetricSource(checked_total(value), given)}

    def remove(self, name: str, namespace: str = "default") -> None:
        """Remove every metric of that name; HPAs that name it fail from then on."""
        removed = (namespace, name)
        self._pods = {k: v for k, v in self._pods.items() if k != removed}
        self._objects = {k: v for k, v in self._objects.items() if (k[0], k[3]) != removed}
        self._external = {k: v for k, v in self._external.items() if k[:2] != removed}
        self._kept = {k: v for k, v in self._kept.items() if name not in k}

    def names(self) -> list[str]:
        """Return the names of all metrics, sorted, including the built-in ones of the traffic."""
        registered = {key[1] for key in (*self._pods, *self._external)}
        registered |= {key[3] for key in self._objects}
        return sorted(registered.union(BUILT_IN if self._traffic is not None else ()))

    # -- serving (apiserver.metricsapis.MetricsAdapter) -------------------------------------------

    def pods_metric(self, namespace: str, name: str, pods: Sequence[str]) -> Mapping[str, Sample]:
        """Return a metric of pods, by pod name; pods without a value are left out.

        Args:
            namespace: of the pods.
            name: of the metric.
            pods: their names.
        """
        source = self._pods.get((namespace, name))
        window = DEFAULTS.custom_window_seconds if source is None else source.window
        second = self._clock.now() if not self.resolution else self._read_at
        values = {pod: self._value(("pod", namespace, name, pod)) for pod in pods}
        return {
            pod: Sample(milli_of(value), second, window)
            for pod, value in values.items()
            if isinstance(value, float)
        }

    def object_metric(self, namespace: str, kind: str, object_name: str, name: str) -> int:
        """Return a metric of one object, in milli.

        Args:
            namespace, kind, object_name: of the object.
            name: of the metric.

        Raises:
            LookupError: there is no such metric; the message lists the known ones.
        """
        value = self._value(("object", namespace, kind, object_name, name))
        if not isinstance(value, float):
            names = ", ".join(self.names()) or "none"
            raise LookupError(f"no metric {name} of {kind} {object_name}; there are: {names}")
        return milli_of(value)

    def external_metric(self, namespace: str, name: str, selector: str) -> Sequence[int]:
        """Return the series of an external metric whose labels match the selector, in milli.

        Args:
            namespace: of the HPA.
            name: of the metric.
            selector: written as in ``queue=mail``.
        """
        desired = parse_label_selector(selector)
        series = self._value(("external", namespace, name))
        if not isinstance(series, list):
            return []
        return [milli_of(value) for labels, value in series if desired.matches(labels)]

    # -- reading --------------------------------------------------------------------------------

    def _value(self, key: Key) -> float | LabeledValues | None:
        """Return the value of the present second; with a resolution, the last reading."""
        return self._kept.get(key) if self.resolution else self._evaluate(key)

    def _evaluate(self, key: Key) -> float | LabeledValues | None:
        metric_type, rest = key[0], key[1:]
        if metric_type == "pod":
            return self._pod_value(*rest)
        return self._object_value(*rest) if metric_type == "object" else self._series(*rest)

    def _pod_value(self, namespace: str, name: str, pod: str) -> float | None:
        source = self._pods.get((namespace, name))
        if source is not None:
            value = source.value
            result = value(pod, self._clock.now()) if callable(value) else value
            return None if result is None else float(result)
        if name != PER_POD or self._traffic is None:
            return None
        document = self._api.peek(POD, pod, namespace)
        if document is None:
            return None
        load = self._traffic.load_for(document, self._clock.now())
        return None if load is None else float(load)

    def _object_value(self, namespace: str, kind: str, object_name: str, name: str) -> float | None:
        source = self._objects.get((namespace, kind, object_name, name))
        if source is not None:
            return self._present(source)
        if kind != "Service" or self._traffic is None:
            return None
        route = object_name if namespace == "default" else f"{namespace}/{object_name}"
        figure = self._traffic.figures().get(route, {}).get(name)
        return None if figure is None else float(figure)

    def _series(self, namespace: str, name: str) -> LabeledValues:
        registered = [
            (source.labels, self._present(source))
            for key, source in self._external.items()
            if key[:2] == (namespace, name)
        ]
        if registered or self._traffic is None:
            return registered
        return [
            ({"service": route}, figures[name])
            for route, figures in self._traffic.figures().items()
            if name in figures
        ]

    def _present(self, source: MetricSource[Total]) -> float:
        value = source.value
        return float(value(self._clock.now()) if callable(value) else value)

    def _read_all(self) -> None:
        """Read every metric; one that raises has no value until the next reading."""
        self._read_at = self._clock.now()
        retained: dict[Key, float | LabeledValues] = {}
        for key in self._keys():
            try:
                value = self._evaluate(key)
            except USER_ERRORS as error:  # a function of the user's own
                message = f"{'/'.join(key)}: {error_text(error)}"
                self._api.analytics.log("Metrics", "ReadFailed", message, "error")
                continue
            if value is not None:
                retained[key] = value
        self._kept = retained

    def _keys(self) -> list[Key]:
        """Return the keys of all metrics that have a value now, sorted."""
        built_in = BUILT_IN if self._traffic is not None else ()
        pods = [(meta.namespace_of(p), meta.name_of(p)) for p in self._api.snapshot(POD)[0]]
        spaces = {where for where, _ in pods} | {"default"}
        of_pods = {*self._pods, *((where, PER_POD) for where in spaces)}
        objects = {*self._objects}
        series = {key[:2] for key in self._external}
        for name in built_in:
            objects |= {(where, "Service", route, name) for where, route in self._routes()}
            series |= {(where, name) for where in spaces}
        keys: list[Key] = [
            ("pod", *key, pod) for where, pod in pods for key in of_pods if key[0] == where
        ]
        keys += [("object", *key) for key in objects]
        keys += [("external", *key) for key in series]
        return sorted(keys)

    def _routes(self) -> list[tuple[str, str]]:
        """Return (namespace, Service) of each route."""
        routes = self._traffic.figures() if self._traffic is not None else ()
        parts = [route.rpartition("/") for route in routes]
        return [(namespace or "default", name) for namespace, _, name in parts]


def make_metrics(
    api: KubeAPI,
    traffic: TrafficFigures,
    resolution_seconds: float | None = None,
    custom_resolution_seconds: float = 0.0,
) -> tuple[MetricsServer | None, CustomMetrics]:
    """Create a cluster's metrics-server, if it has a resolution, and its adapter; start neither.

    Args:
        api: the API server.
        traffic: source of the built-in figures.
        resolution_seconds: of the metrics-server; None: no metrics-server.
        custom_resolution_seconds: of the adapter.

    Raises:
        BadRequest: a resolution out of range.
    """
    server = None
    if resolution_seconds is not None:
        server = MetricsServer(api, api.clock, resolution_seconds)
    adapter = CustomMetrics(api, api.clock, traffic, resolution_seconds=custom_resolution_seconds)
    return server, adapter
