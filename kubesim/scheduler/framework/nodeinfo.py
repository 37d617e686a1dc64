"""NodeInfo: a node, its pods, and what is left of it: what filters and scores look at.

Source: pkg/scheduler/framework/types.go (NodeInfo).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished
from kubesim.quantity import parse_quantity
from kubesim.scheduler.framework.podinfo import PodInfo, Port, pod_info
from kubesim.scheduler.framework.resources import Resources, offered_by

_NOTHING: Mapping[str, Any] = {}


class NodeInfo:
    """A node and what is taken of it.

    >>> node = NodeInfo({"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "2"}}})
    >>> node.allocatable, node.max_pods
    ({'cpu': 2000}, 0)

    Attributes:
        node: the document.
        name, labels, taints: of the node.
        unschedulable: it is cordoned.
        allocatable: what it offers: cpu in millicores, all else in whole units.
        max_pods: how many pods it takes; a node that does not say takes none.
        requested: sum of what its pods ask for.
        scoring: CPU and memory of the same pods with the defaults for those that ask for nothing.
        pods: its pods by key, in order of arrival; bound and assumed ones, finished ones not.
        affine: those with (anti-)affinity terms of any kind.
        images: size in bytes by name.
        version: rises with each change of any node.
        counted: what was counted on it, by whatever it was counted for: (version, count).
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

    def __init__(self, node: Document, pods: Iterable[Document] = ()) -> None:
        self.requested = Resources()
        self.scoring = Resources()
        self.pods: dict[str, Document] = {}
        self.infos: dict[str, PodInfo] = {}
        self.affine: dict[str, Document] = {}
        self.version = 0
        self.counted: dict[Any, tuple[int, int]] = {}
        self.set_node(node)
        for pod in pods:
            self.add(pod)

    def set_node(self, node: Document) -> None:
        """Take over a newer state of the node."""
        self.node = node
        self.name = meta.name_of(node)
        self.labels: Mapping[str, str] = meta.labels_of(node)
        spec, status = node.get("spec") or _NOTHING, node.get("status") or _NOTHING
        self.taints: Sequence[Document] = spec.get("taints") or ()
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = offered_by(node)
        self.max_pods = ceil(parse_quantity((status.get("allocatable") or {}).get("pods", 0)))
        self.images = {
            str(name): image["sizeBytes"]
            for image in status.get("images") or ()
            if isinstance(image.get("sizeBytes"), int)  # a node's status is hardly validated
            for name in image.get("names") or ()
        }
        self.version += 1

    def add(self, pod: Document) -> None:
        """Count a pod; counting it again replaces it, a finished one is left out."""
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
        """No longer count a pod."""
        if self.pods.pop(key, None) is not None:
            info = self.infos.pop(key)
            self.requested.give_back(info.request)
            self.scoring.give_back(info.scoring)
            self.affine.pop(key, None)
            self.version += 1

    def ports(self) -> Iterable[Port]:
        """The host's ports that its pods have claimed."""
        for info in self.infos.values():
            yield from info.ports

    def clone(self) -> NodeInfo:
        """A copy on which pods may be taken away and put back."""
        twin = NodeInfo.__new__(NodeInfo)
        for field in NodeInfo.__slots__:
            setattr(twin, field, getattr(self, field))
        twin.requested, twin.scoring = Resources(self.requested), Resources(self.scoring)
        twin.pods, twin.infos = dict(self.pods), dict(self.infos)
        twin.affine = dict(self.affine)
        twin.counted = {}  # from here on its versions mean something else
        return twin
