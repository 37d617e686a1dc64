"""Snapshot: the nodes and pods of the cluster during one scheduling attempt.

Plug-ins with state (spread, affinity, images) consider more than the node at hand. To test them
with your own cases, build a snapshot from documents:

>>> node = {"metadata": {"name": "n1", "labels": {"zone": "a"}},
...         "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"}}}
>>> placed = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "n1"}}
>>> snapshot = Snapshot.of([node], [placed])
>>> snapshot["n1"].pods.keys()
dict_keys(['default/p'])

Source: pkg/scheduler/backend/cache/{snapshot,node_tree}.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.pods import node_of
from kubesim.objects.wellknown import (
    NAMESPACE_NAME_LABEL,
    PREFER_NO_SCHEDULE,
    REGION_LABEL,
    ZONE_LABEL,
)
from kubesim.scheduler.framework.nodeinfo import NodeInfo

if TYPE_CHECKING:
    from kubesim.objects.types import (
        CSINodeDict,
        NodeDict,
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        PodDict,
        PodDisruptionBudgetDict,
        ServiceDict,
        StorageClassDict,
    )


class ObjectLister(Protocol):
    """Reads the objects that plug-ins need other than nodes and pods."""

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of a namespace."""

    def services(self, namespace: str) -> Sequence[ServiceDict]:
        """Return the Services of a namespace."""

    def workload(self, kind: str, name: str, namespace: str) -> ReadOnlyDocument | None:
        """Return a workload, or None.

        Args:
            kind: ReplicaSet, StatefulSet or ReplicationController.
            name: its name.
            namespace: its namespace.
        """

    def budgets(self) -> Sequence[PodDisruptionBudgetDict]:
        """Return all PodDisruptionBudgets."""

    def claim(self, name: str, namespace: str) -> PersistentVolumeClaimDict | None:
        """Return a PersistentVolumeClaim, or None."""

    def volume(self, name: str) -> PersistentVolumeDict | None:
        """Return a PersistentVolume, or None."""

    def volumes(self) -> Sequence[PersistentVolumeDict]:
        """Return all PersistentVolumes."""

    def storage_class(self, name: str) -> StorageClassDict | None:
        """Return a StorageClass, or None."""

    def csi_node(self, name: str) -> CSINodeDict | None:
        """Return the CSINode of a node, or None."""


class DocumentLister:
    """An ObjectLister over given documents.

    Args:
        objects: Namespaces, Services, ReplicaSets, StatefulSets, PodDisruptionBudgets,
            PersistentVolumeClaims, PersistentVolumes, StorageClasses, CSINodes.
    """

    def __init__(self, objects: Iterable[ReadOnlyDocument] = ()) -> None:
        self._objects = list(objects)

    def _of(self, kind: str) -> list[ReadOnlyDocument]:
        return [item for item in self._objects if item.get("kind") == kind]

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of a namespace, with the name label that the API server adds."""
        namespace = next((n for n in self._of("Namespace") if meta.name_of(n) == name), {})
        return {NAMESPACE_NAME_LABEL: name, **meta.labels_of(namespace)}

    def services(self, namespace: str) -> Sequence[ServiceDict]:
        """Return the Services of a namespace."""
        listed = [s for s in self._of("Service") if meta.namespace_of(s) == namespace]
        return cast("list[ServiceDict]", listed)

    def workload(self, kind: str, name: str, namespace: str) -> ReadOnlyDocument | None:
        """Return the workload of that kind and name, or None."""
        for item in self._of(kind):
            if (meta.namespace_of(item), meta.name_of(item)) == (namespace, name):
                return item
        return None

    def budgets(self) -> Sequence[PodDisruptionBudgetDict]:
        """Return all PodDisruptionBudgets."""
        return cast("list[PodDisruptionBudgetDict]", self._of("PodDisruptionBudget"))

    def claim(self, name: str, namespace: str) -> PersistentVolumeClaimDict | None:
        """Return the PersistentVolumeClaim of that name, or None."""
        claim = self.workload("PersistentVolumeClaim", name, namespace)
        return cast("PersistentVolumeClaimDict | None", claim)

    def volume(self, name: str) -> PersistentVolumeDict | None:
        """Return the PersistentVolume of that name, or None."""
        return next((each for each in self.volumes() if meta.name_of(each) == name), None)

    def volumes(self) -> Sequence[PersistentVolumeDict]:
        """Return all PersistentVolumes."""
        return cast("list[PersistentVolumeDict]", self._of("PersistentVolume"))

    def storage_class(self, name: str) -> StorageClassDict | None:
        """Return the StorageClass of that name, or None."""
        return cast("StorageClassDict | None", self.workload("StorageClass", name, ""))

    def csi_node(self, name: str) -> CSINodeDict | None:
        """Return the CSINode of that name, or None."""
        return cast("CSINodeDict | None", self.workload("CSINode", name, ""))


class Snapshot:
    """Nodes with their pods, in the order in which they are searched.

    Args:
        nodes: in order.
        world: reads the other objects; None: there are no others.
        affine: returns whether any pod has (anti-)affinity terms; None: the nodes are searched.
    """

    def __init__(
        self,
        nodes: Sequence[NodeInfo],
        world: ObjectLister | None = None,
        affine: Callable[[], bool] | None = None,
    ) -> None:
        self.nodes = nodes
        self.world: ObjectLister = world if world is not None else DocumentLister()
        self._affine = affine
        self._soft_taints: bool | None = None
        self._by_name: dict[str, NodeInfo] | None = None
        self._image_nodes: Counter[str] | None = None

    @classmethod
    def of(
        cls,
        nodes: Iterable[NodeDict],
        pods: Iterable[PodDict] = (),
        objects: Iterable[ReadOnlyDocument] = (),
    ) -> Snapshot:
        """Build a snapshot from documents.

        Args:
            nodes: Node documents; they are searched zone by zone, round-robin.
            pods: assigned pods, each with spec.nodeName; others are left out.
            objects: what a `DocumentLister` reads.
        """
        infos = {meta.name_of(node): NodeInfo(node) for node in nodes}
        for pod in pods:
            if node_of(pod) in infos:
                infos[node_of(pod)].add(pod)
        return cls(by_zone(infos.values()), DocumentLister(objects))

    def get(self, name: str) -> NodeInfo | None:
        """Return the node of that name, or None."""
        if self._by_name is None:
            self._by_name = {node.name: node for node in self.nodes}
        return self._by_name.get(name)

    def __getitem__(self, name: str) -> NodeInfo:
        node = self.get(name)
        if node is None:
            raise KeyError(f"no node {name!r} in this snapshot")
        return node

    def __iter__(self) -> Iterator[NodeInfo]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def nodes_with_image(self, image: str) -> int:
        """Return how many nodes have an image."""
        if self._image_nodes is None:
            self._image_nodes = Counter(name for node in self.nodes for name in node.images)
        return self._image_nodes[image]

    def any_soft_taint(self) -> bool:
        """Return whether any node has a PreferNoSchedule taint."""
        if self._soft_taints is None:
            self._soft_taints = any(
                taint.get("effect") == PREFER_NO_SCHEDULE
                for node in self.nodes
                for taint in node.taints
            )
        return self._soft_taints

    def any_affine(self) -> bool:
        """Return whether any assigned pod has (anti-)affinity terms."""
        if self._affine is not None:
            return self._affine()
        return any(node.affine for node in self.nodes)


def by_zone(nodes: Iterable[NodeInfo]) -> list[NodeInfo]:
    """Order nodes for the search: the first of each zone, the second of each, and so on.

    A sample of the nodes then contains all zones evenly. Zones come in the order in which they
    first appear; a zone is the pair of the labels for region and zone.
    """
    zones: dict[tuple[str, str], list[NodeInfo]] = {}
    for node in nodes:
        key = (node.labels.get(REGION_LABEL, ""), node.labels.get(ZONE_LABEL, ""))
        zones.setdefault(key, []).append(node)
    if len(zones) == 1:
        return next(iter(zones.values()))
    longest = max(map(len, zones.values()), default=0)
    return [zone[turn] for turn in range(longest) for zone in zones.values() if turn < len(zone)]
