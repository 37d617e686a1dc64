"""What the scheduler wants to know of a pod, worked out once: requests, ports, affinity terms.

Source: pkg/scheduler/framework/types.go (PodInfo, AffinityTerm), pkg/scheduler/util/utils.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import Document, FrozenDict
from kubesim.objects.pods import is_sidecar
from kubesim.objects.selectors import Requirement, Selector, selector_from
from kubesim.scheduler.framework.resources import Resources, request_of, scoring_of

Port = tuple[str, str, int]  # address, protocol, port on the host
KEPT = 4_096  # classes of pods whose reading is kept before all are read anew
_OWN_NAMES = ("hostname", "nodeName")  # parts of a spec that differ inside a class


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One term of podAffinity or podAntiAffinity, read.

    Attributes:
        namespaces: by name.
        namespace_selector: by label; selects nothing if the term has none.
        selector: of the pods that are meant.
        topology_key: nodes with the same value of this label are one place.
        weight: of a preferred term; 0 for a required one.
    """

    namespaces: frozenset[str]
    namespace_selector: Selector
    selector: Selector
    topology_key: str
    weight: int = 0

    def matches(self, pod: Document, namespace_labels: Mapping[str, str]) -> bool:
        """Whether it means this pod, whose namespace has these labels."""
        if meta.namespace_of(pod) not in self.namespaces:
            if not self.namespace_selector.matches(namespace_labels):
                return False
        return self.selector.matches(meta.labels_of(pod))


@dataclass(frozen=True, slots=True)
class PodInfo:
    """A pod, read for the scheduler.

    Attributes:
        request: what it asks for, of every resource.
        scoring: CPU and memory with the defaults for containers that name none.
        ports: on the host.
        affinity, anti_affinity: required terms.
        likes, dislikes: preferred terms of affinity and anti-affinity.
    """

    request: Resources
    scoring: Resources
    ports: tuple[Port, ...] = ()
    affinity: tuple[AffinityTerm, ...] = ()
    anti_affinity: tuple[AffinityTerm, ...] = ()
    likes: tuple[AffinityTerm, ...] = ()
    dislikes: tuple[AffinityTerm, ...] = ()

    @property
    def has_affinity(self) -> bool:
        """It has terms of any kind."""
        return bool(self.affinity or self.anti_affinity or self.likes or self.dislikes)


def class_of(pod: Document) -> str:
    """A text that is equal for pods which differ in nothing that the scheduler reads.

    Namespace, labels, owners and spec count; names, the host's name and the node do not.
    """
    spec = {key: value for key, value in (pod.get("spec") or {}).items() if key not in _OWN_NAMES}
    metadata = pod.get("metadata") or {}
    owners = metadata.get("ownerReferences")
    return repr((meta.namespace_of(pod), metadata.get("labels"), owners, spec))


class _Reader:
    """Keeps what it read, by class: pods of one workload are read once."""

    def __init__(self, placed: bool) -> None:
        self._placed = placed
        self._kept: dict[str, PodInfo] = {}
        self._last: tuple[Any, PodInfo | None] = (None, None)

    def read(self, pod: Document) -> PodInfo:
        last, info = self._last
        if last is pod and info is not None:  # the same pod on one node after the other
            return info
        key = class_of(pod)
        if self._placed:
            key += _sizes(pod)
        known = self._kept.get(key)
        if known is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            known = self._kept[key] = _read(pod, self._placed)
        if type(pod) is FrozenDict:  # others may be changed in place before they come again
            self._last = (pod, known)
        return known


def _sizes(pod: Document) -> str:
    """What a resize gave the containers; "" if there was none."""
    status = pod.get("status") or {}
    listed = status.get("containerStatuses") or (), status.get("initContainerStatuses") or ()
    given = [
        (item.get("name"), item.get("allocatedResources"), item.get("resources"))
        for item in (*listed[0], *listed[1])
        if item.get("allocatedResources")
    ]
    return repr(given) if given else ""


_incoming, _placed = _Reader(placed=False), _Reader(placed=True)


def pod_info(pod: Document, *, placed: bool = False) -> PodInfo:
    """Read a pod.

    Args:
        pod: the document.
        placed: it is on a node; see `scoring_of` for what that changes.
    """
    return (_placed if placed else _incoming).read(pod)


def priority_of(pod: Document) -> int:
    """spec.priority; 0 if it has none."""
    return int((pod.get("spec") or {}).get("priority") or 0)


def _read(pod: Document, placed: bool) -> PodInfo:
    affinity = (pod.get("spec") or {}).get("affinity") or {}
    near, far = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    return PodInfo(
        request=request_of(pod, placed=placed),
        scoring=scoring_of(pod, placed=placed),
        ports=host_ports(pod),
        affinity=_required(pod, near),
        anti_affinity=_required(pod, far),
        likes=_preferred(pod, near),
        dislikes=_preferred(pod, far),
    )


def host_ports(pod: Document) -> tuple[Port, ...]:
    """The host's ports that a pod claims: containers and sidecars, not ordinary init containers."""
    spec = pod.get("spec") or {}
    holders = [c for c in spec.get("initContainers") or () if is_sidecar(c)]
    found = []
    for container in (*holders, *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or "0.0.0.0"
                found.append((address, port.get("protocol") or "TCP", int(port["hostPort"])))
    return tuple(found)


def ports_clash(mine: Port, theirs: Port) -> bool:
    """Same protocol and port, and the same address or the wildcard on either side.

    >>> ports_clash(("0.0.0.0", "TCP", 80), ("10.0.0.1", "TCP", 80))
    True
    """
    if mine[1:] != theirs[1:]:
        return False
    return mine[0] == theirs[0] or "0.0.0.0" in (mine[0], theirs[0])


def _required(pod: Document, affinity: Mapping[str, Any]) -> tuple[AffinityTerm, ...]:
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_term(pod, term) for term in terms)


def _preferred(pod: Document, affinity: Mapping[str, Any]) -> tuple[AffinityTerm, ...]:
    terms = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(
        _term(pod, item.get("podAffinityTerm") or {}, int(item.get("weight") or 0))
        for item in terms
    )


def _term(pod: Document, term: Mapping[str, Any], weight: int = 0) -> AffinityTerm:
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
    selector: Selector, term: Mapping[str, Any], labels: Mapping[str, str]
) -> Selector:
    """matchLabelKeys and mismatchLabelKeys: the owner's own values become requirements.

    The API server merges them at creation; doing it again changes nothing.
    """
    more = [
        Requirement(key, operator, (labels[key],))
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in labels
    ]
    if selector.nothing or not more:
        return selector
    return Selector((*selector.requirements, *more))


def selector_or_nothing(document: Mapping[str, Any] | None) -> Selector:
    """A LabelSelector; a missing or malformed one selects nothing, an empty one everything."""
    try:
        return selector_from(document)
    except BadRequest:
        return Selector(nothing=True)
