"""PodInfo: a pod parsed for the scheduler: requests, host ports, affinity terms.

Source: pkg/scheduler/framework/types.go (PodInfo, AffinityTerm), pkg/scheduler/util/utils.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import FrozenDict, ReadOnlyDocument
from kubesim.objects.pods import is_sidecar
from kubesim.objects.selectors import Requirement, Selector, selector_from
from kubesim.objects.wellknown import TOKEN_VOLUME
from kubesim.scheduler.framework.resources import Resources, request_of, scoring_of

if TYPE_CHECKING:
    from kubesim.objects.types import (
        LabelSelectorDict,
        PodAffinityDict,
        PodAffinityTermDict,
        PodAntiAffinityDict,
        PodDict,
    )

HostPort = tuple[str, str, int]  # address, protocol, port on the host
CACHED_CLASSES = 4_096  # classes of pods in the cache before it is cleared
_INDIVIDUAL_FIELDS = ("hostname", "nodeName")  # fields of spec that differ within a class


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One parsed term of podAffinity or podAntiAffinity.

    Attributes:
        namespaces: names of the namespaces in which pods are selected.
        namespace_selector: selects further namespaces by label; nothing if the term has none.
        selector: selects the pods.
        topology_key: nodes with the same value of this label belong to the same domain.
        weight: of a preferred term; 0 for a required one.
    """

    namespaces: frozenset[str]
    namespace_selector: Selector
    selector: Selector
    topology_key: str
    weight: int = 0

    def matches(self, pod: PodDict, namespace_labels: Mapping[str, str]) -> bool:
        """Return whether the term selects this pod, whose namespace has these labels."""
        if meta.namespace_of(pod) not in self.namespaces:
            if not self.namespace_selector.matches(namespace_labels):
                return False
        return self.selector.matches(meta.labels_of(pod))


@dataclass(frozen=True, slots=True)
class PodInfo:
    """A pod, parsed for the scheduler.

    Attributes:
        request: the requested resources.
        scoring: CPU and memory, with defaults for containers without requests.
        ports: host ports.
        affinity, anti_affinity: required terms.
        preferred_affinity, preferred_anti_affinity: preferred terms.
    """

    request: Resources
    scoring: Resources
    ports: tuple[HostPort, ...] = ()
    affinity: tuple[AffinityTerm, ...] = ()
    anti_affinity: tuple[AffinityTerm, ...] = ()
    preferred_affinity: tuple[AffinityTerm, ...] = ()
    preferred_anti_affinity: tuple[AffinityTerm, ...] = ()

    @property
    def has_affinity(self) -> bool:
        """Whether the pod has terms of any kind."""
        return bool(
            self.affinity
            or self.anti_affinity
            or self.preferred_affinity
            or self.preferred_anti_affinity
        )


def class_of(pod: PodDict) -> str:
    """Return a string that is the same for pods which the scheduler cannot tell apart.

    It contains namespace, labels, owners and spec, but not the pod's name, hostname and node, nor
    the volume with its token, whose name is random.
    """
    spec = {
        key: value
        for key, value in (pod.get("spec") or {}).items()
        if key not in _INDIVIDUAL_FIELDS
    }
    metadata = pod.get("metadata") or {}
    owners = metadata.get("ownerReferences")
    volumes = (pod.get("spec") or {}).get("volumes")
    name = str(volumes[-1].get("name")) if volumes else ""
    if volumes and name.startswith(TOKEN_VOLUME):
        spec["volumes"] = volumes[:-1]
        text = repr((meta.namespace_of(pod), metadata.get("labels"), owners, spec))
        return text.replace(name, TOKEN_VOLUME)
    return repr((meta.namespace_of(pod), metadata.get("labels"), owners, spec))


class _Parser:
    """Parses pods and caches the result by class: pods of one workload are parsed once."""

    def __init__(self, placed: bool) -> None:
        self._placed = placed
        self._cache: dict[str, PodInfo] = {}
        self._last: tuple[ReadOnlyDocument | None, PodInfo | None] = (None, None)

    def parse(self, pod: PodDict) -> PodInfo:
        last, info = self._last
        if last is pod and info is not None:  # the same pod on one node after the other
            return info
        key = class_of(pod)
        if self._placed:
            key += _allocated_sizes(pod)
        cached = self._cache.get(key)
        if cached is None:
            if len(self._cache) >= CACHED_CLASSES:
                self._cache.clear()
            cached = self._cache[key] = _parse(pod, self._placed)
        if type(pod) is FrozenDict:  # a plain dict may be changed in place before the next call
            self._last = (pod, cached)
        return cached


def _allocated_sizes(pod: PodDict) -> str:
    """Return the resources allocated by an in-place resize as a string; "" without one."""
    status = pod.get("status") or {}
    listed = status.get("containerStatuses") or (), status.get("initContainerStatuses") or ()
    allocated = [
        (item.get("name"), item.get("allocatedResources"), item.get("resources"))
        for item in (*listed[0], *listed[1])
        if item.get("allocatedResources")
    ]
    return repr(allocated) if allocated else ""


_incoming, _placed = _Parser(placed=False), _Parser(placed=True)


def pod_info(pod: PodDict, *, placed: bool = False) -> PodInfo:
    """Parse a pod, or return the cached result for its class.

    Args:
        pod: the Pod document.
        placed: whether the pod is assigned to a node; see `scoring_of` for what that changes.
    """
    return (_placed if placed else _incoming).parse(pod)


def priority_of(pod: PodDict) -> int:
    """Return spec.priority; 0 if the pod has none."""
    return int((pod.get("spec") or {}).get("priority") or 0)


def _parse(pod: PodDict, placed: bool) -> PodInfo:
    rules = (pod.get("spec") or {}).get("affinity") or {}
    affinity = rules.get("podAffinity") or {}
    anti_affinity = rules.get("podAntiAffinity") or {}
    return PodInfo(
        request=request_of(pod, placed=placed),
        scoring=scoring_of(pod, placed=placed),
        ports=host_ports(pod),
        affinity=_required(pod, affinity),
        anti_affinity=_required(pod, anti_affinity),
        preferred_affinity=_preferred(pod, affinity),
        preferred_anti_affinity=_preferred(pod, anti_affinity),
    )


def host_ports(pod: PodDict) -> tuple[HostPort, ...]:
    """Return the host ports of a pod's containers and sidecars, not of ordinary init containers."""
    spec = pod.get("spec") or {}
    sidecars = [c for c in spec.get("initContainers") or () if is_sidecar(c)]
    ports = []
    for container in (*sidecars, *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or "0.0.0.0"
                ports.append((address, port.get("protocol") or "TCP", int(port["hostPort"])))
    return tuple(ports)


def ports_clash(one: HostPort, other: HostPort) -> bool:
    """Return whether two host ports conflict: same protocol and port, same or wildcard address.

    >>> ports_clash(("0.0.0.0", "TCP", 80), ("10.0.0.1", "TCP", 80))
    True
    """
    if one[1:] != other[1:]:
        return False
    return one[0] == other[0] or "0.0.0.0" in (one[0], other[0])


def _required(
    pod: PodDict, rule: PodAffinityDict | PodAntiAffinityDict
) -> tuple[AffinityTerm, ...]:
    terms = rule.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_term(pod, term) for term in terms)


def _preferred(
    pod: PodDict, rule: PodAffinityDict | PodAntiAffinityDict
) -> tuple[AffinityTerm, ...]:
    terms = rule.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(
        _term(pod, item.get("podAffinityTerm") or {}, int(item.get("weight") or 0))
        for item in terms
    )


def _term(pod: PodDict, term: PodAffinityTermDict, weight: int = 0) -> AffinityTerm:
    names, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    own = (meta.namespace_of(pod),) if not names and selector is None else ()
    return AffinityTerm(
        frozenset((*names, *own)),
        selector_or_nothing(selector),
        _with_label_keys(selector_or_nothing(term.get("labelSelector")), term, meta.labels_of(pod)),
        str(term.get("topologyKey") or ""),
        weight,
    )


def _with_label_keys(
    selector: Selector, term: PodAffinityTermDict, labels: Mapping[str, str]
) -> Selector:
    """Add the requirements of matchLabelKeys and mismatchLabelKeys, from the pod's own labels.

    The API server merges them at creation; merging them again changes nothing.
    """
    equal, different = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    more = [
        Requirement(key, operator, (labels[key],))
        for keys, operator in ((equal, "In"), (different, "NotIn"))
        for key in keys
        if key in labels
    ]
    if selector.nothing or not more:
        return selector
    return Selector((*selector.requirements, *more))


def selector_or_nothing(document: LabelSelectorDict | None) -> Selector:
    """Parse a LabelSelector; a missing or malformed one selects nothing, an empty one all pods."""
    try:
        return selector_from(document)
    except BadRequest:
        return Selector(nothing=True)
