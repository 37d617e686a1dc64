"""One look at the world: scale, pods and metrics, gathered into an `Observation`.

The pods come from an informer's cache, so a look costs the API server nothing; usage samples come
from metrics.k8s.io, everything else from the adapter that serves custom.metrics.k8s.io and
external.metrics.k8s.io (`autoscaler.adapter`), all through the API server.

Source: pkg/controller/podautoscaler/metrics/client.go, horizontal.go (validateAndParseSelector,
hpasControllingPodsUnderSelector).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.verbs.metricsapis import MetricsAdapter
from kubesim.autoscaler.constants import PolicyConstants
from kubesim.autoscaler.documents import (
    behavior_of,
    facts_of,
    metrics_of,
    no_request,
    request_milli,
    sample_of,
)
from kubesim.autoscaler.policy.ratios import added_up
from kubesim.autoscaler.types import Metric, Observation, Reading, Sample, State
from kubesim.client import Informer
from kubesim.clock.base import Clock, Worker
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import Selector, parse_label_selector, selector_from
from kubesim.objects.wellknown import RESYNC_SECONDS

NO_SOURCE = "no metrics returned from {api} metrics API: this cluster has no source of such metrics"


class SelectorIndex:
    """Which HPA selects which pods, so that two that fight over the same ones are found.

    As upstream, an HPA is entered when it is looked at, not when it is created.
    """

    def __init__(self) -> None:
        self._selectors: dict[str, tuple[str, Selector]] = {}
        self._anchors: dict[tuple[str, str], set[str]] = {}

    def put(self, key: str, namespace: str, selector: Selector) -> None:
        """Enter the selector of an HPA's target."""
        if self._selectors.get(key) == (namespace, selector):
            return
        self.drop(key)
        self._selectors[key] = (namespace, selector)
        self._anchors.setdefault((namespace, anchor_of(selector)), set()).add(key)

    def drop(self, key: str) -> None:
        """Forget an HPA."""
        namespace, selector = self._selectors.pop(key, ("", Selector()))
        self._anchors.get((namespace, anchor_of(selector)), set()).discard(key)

    def selecting(self, namespace: str, pods: Iterable[Document]) -> list[str]:
        """The keys of all HPAs that select at least one of these pods, sorted."""
        found: set[str] = set()
        for pod in pods:
            labels = meta.labels_of(pod)
            for anchor in ("", *labels_index(labels)):
                for key in self._anchors.get((namespace, anchor), ()):
                    if key not in found and self._selectors[key][1].matches(labels):
                        found.add(key)
        return sorted(found)


def anchor_of(selector: Selector) -> str:
    """One label ("app=web") that every selected object has; "" if there is no such label."""
    for term in selector.requirements:
        if term.operator == "In" and len(term.values) == 1:
            return f"{term.key}={term.values[0]}"
    return ""


def labels_index(labels: Mapping[str, str]) -> list[str]:
    """All labels as ``key=value``."""
    return [f"{key}={value}" for key, value in labels.items()]


def _by_label(pod: Document) -> list[str]:
    namespace = meta.namespace_of(pod)
    return [namespace, *(f"{namespace}/{label}" for label in labels_index(meta.labels_of(pod)))]


class Observer:
    """Gathers observations; it runs on the controller's worker.

    Args:
        api, clock, worker: of the controller.
        source: of custom and external metrics; None: the adapter that registered itself with the
            API server, if any did.
        constants: settings of the algorithm.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        worker: Worker,
        source: MetricsAdapter | None,
        constants: PolicyConstants,
    ) -> None:
        self._api = api
        self._clock = clock
        self._source = source
        self._constants = constants
        self._book = SelectorIndex()
        self.pods = Informer(
            api, worker, "Pod", indexers={"label": _by_label}, resync_seconds=RESYNC_SECONDS
        )

    def forget(self, key: str) -> None:
        """An HPA is gone."""
        self._book.drop(key)

    def observe(self, hpa: Document, scale: Document, state: State) -> Observation:
        """Everything that one pass looks at.

        Args:
            hpa: the HPA.
            scale: of its target.
            state: what is remembered of it.
        """
        namespace, spec = meta.namespace_of(hpa), hpa["spec"]
        current = int(scale["spec"].get("replicas") or 0)
        minimum = spec.get("minReplicas")
        minimum = self._constants.default_min_replicas if minimum is None else int(minimum)
        status = scale.get("status") or {}
        looks = minimum <= current <= spec["maxReplicas"]
        pods, problem, said = self._select(hpa, str(status.get("selector") or ""), looks)
        return Observation(
            now=self._clock.now(),
            current=current,
            maximum=int(spec["maxReplicas"]),
            metrics=tuple(
                (metric, self._read(namespace, metric, entry, pods))
                for metric, entry in metrics_of(hpa, self._constants)
            ),
            pods=tuple(facts_of(pod, self._clock.seconds_at) for pod in pods),
            name=meta.name_of(hpa),
            status_replicas=int(status.get("replicas") or 0),
            minimum=minimum,
            behavior=behavior_of(hpa),
            selector_problem=problem,
            selector_message=said,
            constants=self._constants,
            state=state,
        )

    def _select(self, hpa: Document, text: str, looks: bool) -> tuple[list[Document], str, str]:
        """(selected pods by name, problem, the problem in words)."""
        namespace = meta.namespace_of(hpa)
        if not text:
            return [], "SelectorRequired", "selector is required"
        try:
            selector = parse_label_selector(text)
        except BadRequest as error:
            said = (
                f"couldn't convert selector into a corresponding internal selector object: {error}"
            )
            return [], "InvalidSelector", said
        anchor = anchor_of(selector)
        found = self.pods.by_index("label", f"{namespace}/{anchor}" if anchor else namespace)
        pods = sorted(
            (pod for pod in found if selector.matches(meta.labels_of(pod))), key=meta.name_of
        )
        if looks:  # a pass that looks at no metric enters nothing upstream, too
            self._book.put(meta.key_of(hpa), namespace, selector)
        rivals = self._book.selecting(namespace, pods)
        if len(rivals) > 1:
            names = " ".join(f"{{{key.partition('/')[2]} {namespace}}}" for key in rivals)
            said = f"pods by selector {text} are controlled by multiple HPAs: [{names}]"
            return pods, "AmbiguousSelector", said
        return pods, "", ""

    # -- metrics -----------------------------------------------------------------------------------

    def _read(
        self, namespace: str, metric: Metric, entry: Document, pods: Sequence[Document]
    ) -> Reading:
        """What is measured for one metric now; an error becomes `Reading.error`."""
        if metric.type in ("Resource", "ContainerResource"):
            return self._usage(namespace, metric, pods)
        if metric.type not in ("Pods", "Object", "External"):
            return Reading()
        try:
            return self._ask(namespace, metric, entry, pods)
        except Exception as error:  # noqa: BLE001 - a source of the learner's own
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            where = _where(namespace, metric, entry)
            return Reading(error=f"{_unable(namespace, metric)}: {said}{where}")

    def _usage(self, namespace: str, metric: Metric, pods: Sequence[Document]) -> Reading:
        samples: dict[str, Sample] = {}
        requests: dict[str, int | None] = {}
        unrequested: dict[str, str] = {}
        known = False
        for pod in pods:
            name = meta.name_of(pod)
            requests[name] = request_milli(pod, metric.name, metric.container)
            if requests[name] is None and metric.by_request:
                unrequested[name] = no_request(pod, metric.name, metric.container)
            raw = self._api.usage(namespace, name)
            known = known or raw is not None
            sample = sample_of(raw, metric.name, metric.container)
            if sample is not None:
                samples[name] = sample
        error = ""
        if not known:  # also without any pod: upstream asks for metrics before it looks at pods
            error = (
                f"unable to get metrics for resource {metric.name}: no metrics returned from "
                "resource metrics API"
            )
        return Reading(samples, requests, unrequested, error=error)

    def _ask(
        self, namespace: str, metric: Metric, entry: Document, pods: Sequence[Document]
    ) -> Reading:
        source, unable = self._source or self._api.metrics_adapter, _unable(namespace, metric)
        if source is None:
            api = "external" if metric.type == "External" else "custom"
            where = _where(namespace, metric, entry)
            return Reading(error=f"{unable}: {NO_SOURCE.format(api=api)}{where}")
        if metric.type == "Pods":
            values = source.pods_metric(namespace, metric.name, [meta.name_of(pod) for pod in pods])
            empty = "" if values else f"{unable}: no metrics returned from custom metrics API"
            samples = {pod: Sample(v.milli, v.time, v.window) for pod, v in values.items()}
            return Reading(samples=samples, error=empty)
        if metric.type == "Object":
            name = _described_name(entry)
            total = source.object_metric(namespace, metric.about, name, metric.name)
            return Reading(total_milli=total)
        selector = (entry["external"].get("metric") or {}).get("selector")
        text = "" if selector is None else str(selector_from(selector))
        series = source.external_metric(namespace, metric.name, text)
        if not series:  # an empty answer is never taken for zero
            return Reading(error=f"{unable}: no metrics returned from external metrics API")
        return Reading(total_milli=added_up(series))


def _described_name(entry: Document) -> str:
    return str(entry["object"]["describedObject"]["name"])


def _where(namespace: str, metric: Metric, entry: Document) -> str:
    """What upstream's message about an Object metric ends with."""
    if metric.type != "Object":
        return ""
    return f" on {metric.about} {namespace}/{_described_name(entry)}"


def _unable(namespace: str, metric: Metric) -> str:
    if metric.type == "External":
        return f"unable to get external metric {namespace}/{metric.name}/{metric.selector}"
    return f"unable to get metric {metric.name}"
