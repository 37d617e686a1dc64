"""Custom and external metrics: figures of your own, and those of the traffic, for autoscalers.

In a real cluster an adapter (prometheus-adapter, KEDA ...) serves them from somebody's database.
Here it is `cluster.metrics`, and a metric is a number or a function:

    cluster.metrics.external("queue_length", lambda second: 40 + second, labels={"queue": "mail"})
    cluster.metrics.pods("sessions", lambda pod, second: 12)
    cluster.metrics.object("hits", "Service", "shop", 250)

An HPA then names them in `spec.metrics` with type External, Pods or Object. Without any function,
there is what the traffic measures (`BUILT_IN`): external series and metrics of Services, with the
label ``service``, and requests_per_second of each pod.

With a resolution the adapter reads all of them so often and serves the last reading in between, as
one does that asks Prometheus; without, each question is answered with the value of this second.

Source: k8s.io/metrics/pkg/client; kubernetes-sigs/custom-metrics-apiserver/pkg/provider
(CustomMetricsProvider, ExternalMetricsProvider).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Any, Protocol

from kubesim.apiserver import KubeAPI
from kubesim.autoscaler.constants import DEFAULTS
from kubesim.autoscaler.metrics.metrics_server import MetricsServer
from kubesim.autoscaler.types import Sample
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import parse_label_selector

BUILT_IN = (
    "requests_per_second",
    "queue_length",
    "unmet_requests_per_second",
    "latency_p95_seconds",
)
PER_POD = "requests_per_second"  # the built-in metric of pods

Total = Callable[[float], float] | float
"""A number, or a function of the simulated second."""

PodValue = Callable[[str, float], float | None] | float
"""A number, or a function of pod name and second; None: this pod has no value."""


class TrafficFigures(Protocol):
    """What the adapter asks the traffic for."""

    def load_for(self, pod: Document, now: float) -> float | None:
        """Requests per second that reach one pod."""

    def figures(self) -> Mapping[str, Mapping[str, float]]:
        """By route, the `BUILT_IN` figures of its newest second; those without a value are left
        out."""


@dataclass(frozen=True)
class _Series:
    """One registered metric."""

    value: Any
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    window: float = 0.0


Key = tuple[str, ...]


class CustomMetrics:
    """The adapter: `cluster.metrics`.

    Args:
        api, clock: the cluster's tools.
        traffic: where the built-in figures come from; None: there are none.
        resolution_seconds: how often the figures are read; 0: whenever somebody asks.

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
        # Replaced and never changed in place, since they are read on other workers.
        self._pods: dict[Key, _Series] = {}  # (namespace, name)
        self._objects: dict[Key, _Series] = {}  # (namespace, kind, object, name)
        self._external: dict[Key, _Series] = {}  # (namespace, name, label, value ...)
        self._kept: dict[Key, Any] = {}  # the last reading, with a resolution
        self._read_at = 0.0

    def start(self) -> None:
        """Serve the two APIs, and begin to read if there is a resolution."""
        self._api.register_metrics_adapter(self)
        if self._worker is not None:
            self._worker.every(self.resolution, self._read_all)

    def stop(self) -> None:
        """Read no more."""
        if self._worker is not None:
            self._worker.stop()

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
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
        """A metric of each pod (HPA type Pods); one of that name is replaced."""
        series = _Series(_checked(value), namespace, window=window_seconds)
        self._pods = {**self._pods, (namespace, name): series}

    def object(
        self, name: str, kind: str, object_name: str, value: Total, *, namespace: str = "default"
    ) -> None:
        """A metric of one object (HPA type Object); one of that name is replaced."""
        key = (namespace, kind, object_name, name)
        self._objects = {**self._objects, key: _Series(_checked(value), namespace)}

    def external(
        self,
        name: str,
        value: Total,
        *,
        labels: Mapping[str, str] | None = None,
        namespace: str = "default",
    ) -> None:
        """One series of an external metric (HPA type External).

        A series with the same name and labels is replaced; one with other labels is a further
        series, and an HPA whose selector matches several gets their sum.
        """
        given = dict(labels or {})
        key = (namespace, name, *(part for pair in sorted(given.items()) for part in pair))
        self._external = {**self._external, key: _Series(_checked(value), namespace, given)}

    def remove(self, name: str, namespace: str = "default") -> None:
        """Forget every metric of that name; autoscalers that ask for it fail from then on."""
        here = (namespace, name)
        self._pods = {k: v for k, v in self._pods.items() if k != here}
        self._objects = {k: v for k, v in self._objects.items() if (k[0], k[3]) != here}
        self._external = {k: v for k, v in self._external.items() if k[:2] != here}
        self._kept = {k: v for k, v in self._kept.items() if name not in k}

    def names(self) -> list[str]:
        """Every metric that can be asked for, sorted, the built-in ones of the traffic included."""
        registered = {key[1] for key in (*self._pods, *self._external)}
        registered |= {key[3] for key in self._objects}
        return sorted(registered.union(BUILT_IN if self._traffic is not None else ()))

    # -- serving (apiserver.metricsapis.MetricsAdapter) -------------------------------------------

    def pods_metric(self, namespace: str, name: str, pods: Sequence[str]) -> Mapping[str, Sample]:
        """A custom metric of each pod that has it, by pod name."""
        known = self._pods.get((namespace, name))
        window = DEFAULTS.custom_window_seconds if known is None else known.window
        second = self._clock.now() if not self.resolution else self._read_at
        values = {pod: self._value(("pod", namespace, name, pod)) for pod in pods}
        return {
            pod: Sample(_milli(value), second, window)
            for pod, value in values.items()
            if value is not None
        }

    def object_metric(self, namespace: str, kind: str, object_name: str, name: str) -> int:
        """A metric of one object.

        Raises:
            LookupError: there is none; the message lists what there is.
        """
        value = self._value(("object", namespace, kind, object_name, name))
        if value is None:
            there = ", ".join(self.names()) or "none"
            raise LookupError(f"no metric {name} of {kind} {object_name}; there are: {there}")
        return _milli(value)

    def external_metric(self, namespace: str, name: str, selector: str) -> Sequence[int]:
        """The series of an external metric whose labels match the selector."""
        wanted = parse_label_selector(selector)
        series = self._value(("external", namespace, name)) or ()
        return [_milli(value) for labels, value in series if wanted.matches(labels)]

    # -- reading --------------------------------------------------------------------------------

    def _value(self, key: Key) -> Any:
        """The value of this second, or the last reading if there is a resolution."""
        return self._kept.get(key) if self.resolution else self._evaluate(key)

    def _evaluate(self, key: Key) -> Any:
        what, rest = key[0], key[1:]
        if what == "pod":
            return self._of_pod(*rest)
        return self._of_object(*rest) if what == "object" else self._of_series(*rest)

    def _of_pod(self, namespace: str, name: str, pod: str) -> float | None:
        series = self._pods.get((namespace, name))
        if series is not None:
            value = series.value
            answer = value(pod, self._clock.now()) if callable(value) else value
            return None if answer is None else float(answer)
        if name != PER_POD or self._traffic is None:
            return None
        document = self._api.peek("Pod", pod, namespace)
        return None if document is None else self._traffic.load_for(document, self._clock.now())

    def _of_object(self, namespace: str, kind: str, object_name: str, name: str) -> float | None:
        series = self._objects.get((namespace, kind, object_name, name))
        if series is not None:
            return self._now(series)
        if kind != "Service" or self._traffic is None:
            return None
        route = object_name if namespace == "default" else f"{namespace}/{object_name}"
        return self._traffic.figures().get(route, {}).get(name)

    def _of_series(self, namespace: str, name: str) -> list[tuple[Mapping[str, str], float]]:
        found = [
            (series.labels, self._now(series))
            for key, series in self._external.items()
            if key[:2] == (namespace, name)
        ]
        if found or self._traffic is None:
            return found
        return [
            ({"service": route}, figures[name])
            for route, figures in self._traffic.figures().items()
            if name in figures
        ]

    def _now(self, series: _Series) -> float:
        value = series.value
        return float(value(self._clock.now()) if callable(value) else value)

    def _read_all(self) -> None:
        """Read every metric once; one that raises has no value until the next reading."""
        self._read_at = self._clock.now()
        kept: dict[Key, Any] = {}
        for key in self._keys():
            try:
                value = self._evaluate(key)
            except Exception as error:  # noqa: BLE001 - a function of the learner's own
                said = f"{'/'.join(key)}: {type(error).__name__}: {error}"
                self._api.analytics.log("Metrics", "ReadFailed", said, "error")
                continue
            if value is not None:
                kept[key] = value
        self._kept = kept

    def _keys(self) -> list[Key]:
        """Everything that can be read now, sorted."""
        built_in = BUILT_IN if self._traffic is not None else ()
        pods = [(meta.namespace_of(p), meta.name_of(p)) for p in self._api.snapshot("Pod")[0]]
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
        """(namespace, Service) of each route."""
        routes = self._traffic.figures() if self._traffic is not None else ()
        parted = [route.rpartition("/") for route in routes]
        return [(namespace or "default", name) for namespace, _, name in parted]


def make_metrics(
    api: KubeAPI,
    traffic: TrafficFigures,
    resolution_seconds: float | None = None,
    custom_resolution_seconds: float = 0.0,
) -> tuple[MetricsServer | None, CustomMetrics]:
    """Who serves a cluster's metrics: the metrics-server, if there is a resolution for it, and the
    adapter. Neither is started.

    Raises:
        BadRequest: a resolution that makes no sense.
    """
    server = None
    if resolution_seconds is not None:
        server = MetricsServer(api, api.clock, resolution_seconds)
    adapter = CustomMetrics(api, api.clock, traffic, resolution_seconds=custom_resolution_seconds)
    return server, adapter


def _checked(value: Any) -> Any:
    """A number or a function.

    Raises:
        BadRequest: it is neither.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    if not number and not callable(value):
        raise BadRequest(f"{value!r} is no metric: give a number, or a function of the second")
    return value


def _milli(value: float) -> int:
    """Thousandths, rounded up, as a quantity is read.

    Raises:
        ValueError: no finite number.
    """
    if not isfinite(value):
        raise ValueError(f"the metric's value is {value!r}")
    return ceil(round(value * 1000, 6))
