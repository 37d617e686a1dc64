"""NodeInfo: a node with its pods and their total requests, as filters and scores read it.

Source: pkg/scheduler/framework/types.go (NodeInfo).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.pods import is_finished
from kubesim.quantity import parse_quantity
from kubesim.scheduler.framework.podinfo import HostPort, PodInfo, pod_info
from kubesim.scheduler.framework.resources import Resources, offered_by

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, TaintDict

_EMPTY: ReadOnlyDocument = {}


class NodeInfo:
    """A node and the resources that its pods request.

    Args:
        node: the Node document.
        pods: the pods that are assigned to it.

    >>> node = NodeInfo({"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "2"}}})
    >>> node.allocatable, node.max_pods
    ({'cpu': 2000}, 0)

    Attributes:
        node: the Node document.
        name, labels, taints: of the node.
        unschedulable: whether the node is cordoned.
        allocatable: status.allocatable: cpu in millicores, all else in whole units.
        max_pods: how many pods the node takes; 0 if status.allocatable does not name pods.
        requested: sum of the requests of its pods.
        scoring: CPU and memory of the same pods, with defaults for containers without requests.
        pods: its pods by key, in order of arrival; bound and assumed ones, without finished ones.
        infos: the same pods, parsed.
        affine: the pods with (anti-)affinity terms of any kind.
        images: image name -> size in bytes.
        version: increases with each change of the node or its pods.
        counted: cache of counts over its pods: any key -> (version, count).
    """

    __slots__ = (
        "affine",
        "allocatable",
        "counted",
        "images",
        "infos",
        "labels",
        "max_pods",
        "name",
        "node",
        "pods",
        "requested",
        "scoring",
        "taints",
        "unschedulable",
        "version",
    )

    def __init__(self, node: NodeDict, pods: Iterable[PodDict] = ()) -> None:
        self.requested = Resources()
        self.scoring = Resources()
        self.pods: dict[str, PodDict] = {}
        self.infos: dict[str, PodInfo] = {}
        self.affine: dict[str, PodDict] = {}
        self.version = 0
        self.counted: dict[Hashable, tuple[int, int]] = {}
        self.set_node(node)
        for pod in pods:
            self.add(pod)

    def refresh_node(self, node: NodeDict) -> None:
        """Replace the document by one that differs in nothing that the scheduler reads."""
        self.node = node

    def set_node(self, node: NodeDict) -> None:
        """Replace the Node document by a newer one."""
        self.node = node
        self.name = meta.name_of(node)
        self.labels: Mapping[str, str] = meta.labels_of(node)
        spec, status = node.get("spec") or _EMPTY, node.get("status") or _EMPTY
        self.taints: Sequence[TaintDict] = spec.get("taints") or ()
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = offered_by(node)
        self.max_pods = ceil(parse_quantity((status.get("allocatable") or {}).get("pods", 0)))
        self.images = {
            str(name): image["sizeBytes"]
            for image in status.get("images") or ()
            if isinstance(
                image.get("sizeBytes"), int
            )  # the API server does not check this part of status
            for name in image.get("names") or ()
        }
        self.version += 1

    def add(self, pod: PodDict) -> None:
        """Add a pod; an older state of it is replaced, a finished pod is left out."""
        key = meta.key_of(pod)
        self.remove(key)
        if is_finished(pod):
            return
        info = pod_info(pod, placed=True)
        self.pods[key] = pod
        self.infos[key] = info
        self.requested.take(info.request)
        self.scoring.take(info.scoring)
        if info.has_affinity:
            self.affine[key] = pod
        self.version += 1

    def remove(self, key: str) -> None:
        """Remove a pod, if it is there."""
        if self.pods.pop(key, None) is not None:
            info = self.infos.pop(key)
            self.requested.give_back(info.request)
            self.scoring.give_back(info.scoring)
            self.affine.pop(key, None)
            self.version += 1

    def ports(self) -> Iterable[HostPort]:
        """Yield the host ports that its pods use."""
        for info in self.infos.values():
            yield from info.ports

    def clone(self) -> NodeInfo:
        """Return a copy on which pods can be added and removed."""
        twin = NodeInfo.__new__(NodeInfo)
        for field in NodeInfo.__slots__:
            setattr(twin, field, getattr(self, field))
        twin.requested, twin.scoring = Resources(self.requested), Resources(self.scoring)
        twin.pods, twin.infos = dict(self.pods), dict(self.infos)
        twin.affine = dict(self.affine)
        twin.counted = {}  # the copy's versions go their own way from here
        return twin
