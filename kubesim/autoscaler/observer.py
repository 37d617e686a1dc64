"""The input of a pass: scale, pods and metrics, gathered into an `Observation`.

The pods come from an informer's cache, so a pass does not list them from the API server. Usage
samples come from metrics.k8s.io, other values through the API server from the adapter that serves
custom.metrics.k8s.io and external.metrics.k8s.io (`autoscaler.metrics.adapter`).

>>> request_milli({"spec": {"containers": [
...     {"name": "main", "resources": {"requests": {"cpu": "250m"}}},
...     {"name": "proxy", "resources": {"requests": {"cpu": "0.1"}}}]}}, "cpu")
350

Source: pkg/controller/podautoscaler/metrics/client.go, horizontal.go (validateAndParseSelector),
replica_calculator.go (calculateRequests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.verbs.metricsapis import MetricsAdapter, Usage
from kubesim.autoscaler.constants import MAX_TOTAL, PolicyConstants
from kubesim.autoscaler.hpa_spec import behavior_of, metrics_of
from kubesim.autoscaler.selector_index import SelectorIndex, anchor_of, labels_index
from kubesim.autoscaler.types import Behavior, Metric, Observation, PodFacts, Reading, Sample, State
from kubesim.client import Informer
from kubesim.clock.base import Clock, Worker
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.objects.meta import get_condition
from kubesim.objects.pods import is_sidecar, reserved_milli
from kubesim.objects.selectors import Selector, parse_label_selector, selector_from
from kubesim.objects.wellknown import RESYNC_SECONDS
from kubesim.quantity import Amount, parse_cpu_milli
from kubesim.usercode import USER_ERRORS

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, MetricSpecDict, PodDict, ScaleDict
    from kubesim.objects.types import HorizontalPodAutoscalerDict as HPADict
    from kubesim.objects.types import HorizontalPodAutoscalerSpecDict as HPASpecDict

NO_SOURCE = "no metrics returned from {api} metrics API: this cluster has no source of such metrics"
BY_NAME = attrgetter("name")
READY = {"True": True, "False": False}
RESOURCES = {"cpu": (1, 1), "memory": (2, 1000)}  # index in a container's sample, milli per unit


def sample_of(raw: Usage | None, resource: str, container: str = "") -> Sample | None:
    """Return a pod's usage of one resource; None if it is not known.

    Args:
        raw: (second, window in seconds, ((container, CPU in milli, memory in bytes), ...)).
        resource: cpu or memory; there are no samples of others.
        container: name; "": the sum of all listed containers.
    """
    if raw is None or resource not in RESOURCES:
        return None
    second, window, containers = raw
    index, unit = RESOURCES[resource]
    values = [int(item[index]) for item in containers if not container or item[0] == container]
    return Sample(sum(values) * unit, second, window) if values else None


def facts_of(pod: PodDict, seconds_at: Callable[[str], float]) -> PodFacts:
    """Return the facts about a pod that the policy uses.

    Args:
        pod: the document.
        seconds_at: parses an RFC 3339 string (`clock.seconds_at`).
    """
    condition, pod_status = get_condition(pod, "Ready"), pod.get("status") or {}
    started = pod_status.get("startTime")
    changed = (condition or {}).get("lastTransitionTime")
    status = None if condition is None else str(condition.get("status"))
    return PodFacts(
        name=meta.name_of(pod),
        phase=str(pod_status.get("phase") or "Pending"),
        terminating=meta.is_terminating(pod),
        ready=None if status is None else READY.get(status, "Unknown"),
        ready_changed=seconds_at(changed) if changed else 0.0,
        started=seconds_at(started) if started else None,
    )


def request_milli(pod: PodDict, resource: str, container: str = "") -> int | None:
    """Return the request of a pod, or of one of its containers, in milli units.

    It is None if a counted container has no request. Containers and sidecars count, ordinary init
    containers do not. For a pod with pod-level requests it is what the scheduler reserves, overhead
    included; for a resource that they do not name, the request of any container is enough.

    Args:
        pod: the pod.
        resource: cpu or memory.
        container: name; "": the whole pod.

    Source: pkg/controller/podautoscaler/replica_calculator.go (calculatePodRequests,
    calculatePodLevelRequests).
    """
    if not container and _pod_level(pod):
        return reserved_milli(pod, resource)
    total = 0
    counted = _counted(pod, container)
    for item in counted:
        requests = (item.get("resources") or {}).get("requests") or {}
        if resource not in requests:
            return None
        total += _milli(requests[resource])
    return total if counted else None


@lru_cache(maxsize=4096)  # thousands of pods share a handful of strings
def _milli(amount: Amount) -> int:
    """Return thousandths of any unit, rounded up: "1500m" of memory are one byte and a half."""
    return parse_cpu_milli(amount)


def no_request(pod: PodDict, resource: str, container: str = "") -> str:
    """Return why `request_milli` is None, in upstream's words.

    Args:
        pod: the pod.
        resource: cpu or memory.
        container: name; "": the whole pod.

    >>> no_request({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main"}]}}, "cpu")
    'missing request for cpu in container main of Pod web'
    """
    name = meta.name_of(pod)
    if _pod_level(pod) and not container:
        return f"missing pod-level request for {resource} in Pod {name}"
    for item in _counted(pod, container):
        if resource not in ((item.get("resources") or {}).get("requests") or {}):
            return f"missing request for {resource} in container {item.get('name')} of Pod {name}"
    return f"container {container} not found in Pod {name}"


def _pod_level(pod: PodDict) -> dict[str, str | float]:
    return ((pod.get("spec") or {}).get("resources") or {}).get("requests") or {}


def _counted(pod: PodDict, container: str) -> list[ContainerDict]:
    """Return containers and sidecars; only the named one, if a name is given."""
    spec = pod.get("spec") or {}
    running = list(spec.get("containers") or ())
    if init := spec.get("initContainers"):
        running += [item for item in init if is_sidecar(item)]
    return [item for item in running if not container or item["name"] == container]


def _by_label(pod: PodDict) -> list[str]:
    namespace = meta.namespace_of(pod)
    return [namespace, *(f"{namespace}/{label}" for label in labels_index(meta.labels_of(pod)))]


@dataclass(slots=True)
class _PodEntry:
    """A selected pod with its facts, valid while the informer holds this very document."""

    pod: PodDict
    name: str
    facts: PodFacts
    requests: dict[tuple[str, str], int | None] = field(default_factory=dict)


@dataclass(slots=True)
class _HpaEntry:
    """What was parsed for an HPA at earlier passes, since it rarely changes."""

    spec: HPASpecDict | None = None
    metrics: Sequence[tuple[Metric, MetricSpecDict]] = ()
    behavior: Behavior | None = None
    selector_text: str = ""
    selector: Selector = field(default_factory=Selector)
    anchor: str = ""
    indexed: bool = False  # its selector is in the index
    pods: dict[str, _PodEntry] = field(default_factory=dict)


class Observer:
    """Gathers observations; it runs on the controller's worker.

    Args:
        api, clock, worker: of the controller.
        source: of custom and external metrics; None: the adapter that registered itself with the
            API server, if any.
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
        self._index = SelectorIndex()
        self._entries: dict[str, _HpaEntry] = {}
        self.pods = Informer(
            api, worker, POD, indexers={"label": _by_label}, resync_seconds=RESYNC_SECONDS
        )

    def forget(self, key: str) -> None:
        """Remove a deleted HPA."""
        self._index.drop(key)
        self._entries.pop(key, None)

    def observe(self, hpa: HPADict, scale: ScaleDict, state: State) -> Observation:
        """Return the input of one pass.

        Args:
            hpa: the HPA.
            scale: of its target.
            state: what the controller remembers of the HPA.
        """
        key, namespace, spec = meta.key_of(hpa), meta.namespace_of(hpa), hpa["spec"]
        entry = self._entries.setdefault(key, _HpaEntry())
        if entry.spec != spec:
            entry.spec, entry.behavior = spec, behavior_of(hpa)
            entry.metrics = metrics_of(hpa, self._constants)
        current = int(scale["spec"].get("replicas") or 0)
        minimum = spec.get("minReplicas")
        minimum = self._constants.default_min_replicas if minimum is None else int(minimum)
        maximum = int(spec["maxReplicas"])
        status = scale.get("status") or {}
        text = str(status.get("selector") or "")
        problem, message = self._select(entry, key, namespace, text, minimum <= current <= maximum)
        pods = entry.pods.values()
        return Observation(
            now=self._clock.now(),
            current=current,
            maximum=maximum,
            metrics=tuple([(m, self._read(namespace, m, e, pods)) for m, e in entry.metrics]),
            pods=tuple([pod.facts for pod in pods]),
            name=meta.name_of(hpa),
            status_replicas=int(status.get("replicas") or 0),
            minimum=minimum,
            behavior=entry.behavior,
            selector_problem=problem,
            selector_message=message,
            constants=self._constants,
            state=state,
        )

    def _select(
        self, entry: _HpaEntry, key: str, namespace: str, text: str, within_bounds: bool
    ) -> tuple[str, str]:
        """Update the selected pods of an HPA; return (problem, message)."""
        if not text:
            entry.pods = {}
            return "SelectorRequired", "selector is required"
        if text != entry.selector_text:
            try:
                entry.selector, entry.selector_text = parse_label_selector(text), text
                entry.anchor, entry.indexed = anchor_of(entry.selector), False
            except BadRequest as error:
                entry.pods, entry.selector_text = {}, ""
                return "InvalidSelector", (
                    "couldn't convert selector into a corresponding internal selector object: "
                    f"{error}"
                )
        selector, anchor = entry.selector, entry.anchor
        candidates = self.pods.by_index("label", f"{namespace}/{anchor}" if anchor else namespace)
        if not anchor or len(selector.requirements) > 1:  # the index alone does not decide
            candidates = [pod for pod in candidates if selector.matches(meta.labels_of(pod))]
        self._update_pods(entry, candidates)
        if (
            within_bounds and not entry.indexed
        ):  # upstream, too, adds none at a pass without metrics
            self._index.put(key, namespace, selector)
            entry.indexed = True
        if self._index.per_namespace[namespace] < 2:
            return "", ""
        rivals = self._index.selecting(namespace, [pod.pod for pod in entry.pods.values()])
        if len(rivals) < 2:
            return "", ""
        names = " ".join(f"{{{key.partition('/')[2]} {namespace}}}" for key in rivals)
        message = f"pods by selector {text} are controlled by multiple HPAs: [{names}]"
        return "AmbiguousSelector", message

    def _update_pods(self, entry: _HpaEntry, pods: Iterable[PodDict]) -> None:
        """Set the selected pods, sorted by name; facts of unchanged pods are kept."""
        previous, selected = entry.pods, []
        for pod in pods:
            name = str(pod["metadata"]["name"])
            old = previous.get(name)
            if old is None or old.pod is not pod:
                facts = facts_of(pod, self._clock.seconds_at)
                same = old is not None and old.pod["spec"] is pod["spec"]
                old = _PodEntry(pod, name, facts, old.requests if old and same else {})
            selected.append(old)
        selected.sort(key=BY_NAME)
        entry.pods = {pod.name: pod for pod in selected}

    # -- metrics -----------------------------------------------------------------------------------

    def _read(
        self, namespace: str, metric: Metric, entry: MetricSpecDict, pods: Iterable[_PodEntry]
    ) -> Reading:
        """Return the present measurement of one metric; an error becomes `Reading.error`."""
        if metric.type in ("Resource", "ContainerResource"):
            return self._read_usage(namespace, metric, pods)
        if metric.type not in ("Pods", "Object", "External"):
            return Reading()
        try:
            return self._read_custom(namespace, metric, entry, pods)
        except USER_ERRORS as error:  # a source of the user's own
            message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            where = _object_suffix(namespace, metric, entry)
            return Reading(error=f"{_failure(namespace, metric)}: {message}{where}")

    def _read_usage(self, namespace: str, metric: Metric, pods: Iterable[_PodEntry]) -> Reading:
        """Return CPU or memory of the pods, from metrics.k8s.io."""
        resource, container, usage = metric.name, metric.container, self._api.usage
        samples: dict[str, Sample] = {}
        requests: dict[str, int | None] = {}
        unrequested: dict[str, str] = {}
        measured = False
        for pod in pods:
            name = pod.name
            if (resource, container) not in pod.requests:
                pod.requests[resource, container] = request_milli(pod.pod, resource, container)
            request = requests[name] = pod.requests[resource, container]
            if request is None and metric.by_request:
                unrequested[name] = no_request(pod.pod, resource, container)
            raw = usage(namespace, name)
            measured = measured or raw is not None
            sample = sample_of(raw, resource, container)
            if sample is not None:
                samples[name] = sample
        error = ""
        if not measured:  # also without any pod: upstream reads metrics before it lists pods
            error = (
                f"unable to get metrics for resource {resource}: no metrics returned from "
                "resource metrics API"
            )
        return Reading(samples, requests, unrequested, error=error)

    def _read_custom(
        self, namespace: str, metric: Metric, entry: MetricSpecDict, pods: Iterable[_PodEntry]
    ) -> Reading:
        """Return a Pods, Object or External metric, from the adapter."""
        source, failure = self._source or self._api.metrics_adapter, _failure(namespace, metric)
        if source is None:
            api = "external" if metric.type == "External" else "custom"
            where = _object_suffix(namespace, metric, entry)
            return Reading(error=f"{failure}: {NO_SOURCE.format(api=api)}{where}")
        if metric.type == "Pods":
            values = source.pods_metric(namespace, metric.name, [pod.name for pod in pods])
            empty = "" if values else f"{failure}: no metrics returned from custom metrics API"
            samples = {pod: Sample(v.milli, v.time, v.window) for pod, v in values.items()}
            return Reading(samples=samples, error=empty)
        if metric.type == "Object":
            name = _described_name(entry)
            total = source.object_metric(namespace, metric.about, name, metric.name)
            return Reading(total_milli=total)
        selector = (entry["external"].get("metric") or {}).get("selector")
        text = "" if selector is None else str(selector_from(selector))
        series = source.external_metric(namespace, metric.name, text)
        if not series:  # an empty response never counts as zero
            return Reading(error=f"{failure}: no metrics returned from external metrics API")
        return Reading(total_milli=added_up(series))


def added_up(series: Iterable[int]) -> int:
    """Return the sum of an external metric's series, at most the maximum of an int64.

    >>> added_up([2**62, 2**62, 5]) == 2**63 - 1
    True
    """
    return min(sum(series), MAX_TOTAL)


def _described_name(entry: MetricSpecDict) -> str:
    return str(entry["object"]["describedObject"]["name"])


def _object_suffix(namespace: str, metric: Metric, entry: MetricSpecDict) -> str:
    """Return the end of upstream's message about an Object metric."""
    if metric.type != "Object":
        return ""
    return f" on {metric.about} {namespace}/{_described_name(entry)}"


def _failure(namespace: str, metric: Metric) -> str:
    """Return the beginning of upstream's message about a metric that cannot be read."""
    if metric.type == "External":
        return f"unable to get external metric {namespace}/{metric.name}/{metric.selector}"
    return f"unable to get metric {metric.name}"
