"""The scheduler's cache: nodes, and the pods that are bound to them or assumed to be.

A pod counts from the moment it is *assumed* on a node, so that the next pod sees its resources as
taken; the binding follows. When a binding fails, the pod is released again.

Source: pkg/scheduler/backend/cache/cache.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.kindnames import (
    CSI_NODE,
    NAMESPACE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    STORAGE_CLASS,
)
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import ObjectLister, Snapshot, by_zone

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

LOG_LIMIT = 50_000  # changes of nodes that `changed_since` can return


class ApiLister:
    """An ObjectLister that reads from the API server on demand.

    Args:
        api: the API server.
    """

    def __init__(self, api: KubeAPI) -> None:
        self._api = api

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of a namespace."""
        namespace = self._api.peek(NAMESPACE, name)
        return {} if namespace is None else meta.labels_of(namespace)

    def services(self, namespace: str) -> Sequence[ServiceDict]:
        """Return the Services of a namespace."""
        return list(self._api.snapshot(SERVICE, namespace)[0])

    def workload(self, kind: str, name: str, namespace: str) -> ReadOnlyDocument | None:
        """Return a ReplicaSet, StatefulSet or ReplicationController; None for another kind."""
        if kind not in ("ReplicaSet", "StatefulSet", "ReplicationController"):
            return None
        return self._api.peek(kind, name, namespace)

    def budgets(self) -> Sequence[PodDisruptionBudgetDict]:
        """Return all PodDisruptionBudgets."""
        return list(self._api.snapshot(POD_DISRUPTION_BUDGET)[0])

    def claim(self, name: str, namespace: str) -> PersistentVolumeClaimDict | None:
        """Return a PersistentVolumeClaim, or None."""
        return self._api.peek(PERSISTENT_VOLUME_CLAIM, name, namespace)

    def volume(self, name: str) -> PersistentVolumeDict | None:
        """Return a PersistentVolume, or None."""
        return self._api.peek(PERSISTENT_VOLUME, name)

    def volumes(self) -> Sequence[PersistentVolumeDict]:
        """Return all PersistentVolumes."""
        return list(self._api.snapshot(PERSISTENT_VOLUME)[0])

    def storage_class(self, name: str) -> StorageClassDict | None:
        """Return a StorageClass, or None."""
        return self._api.peek(STORAGE_CLASS, name)

    def csi_node(self, name: str) -> CSINodeDict | None:
        """Return the CSINode of a node, or None."""
        return self._api.peek(CSI_NODE, name)


class NodeCache:
    """Nodes by name, in the order in which they were added, with their pods.

    Args:
        lister: reads the objects other than nodes and pods.

    Attributes:
        nodes: the nodes.
        epoch: increases when a node is added, deleted or changed (not when its pods change).
        log: names of nodes whose pods changed, in order.
        log_start: number of entries that were dropped from the start of the log.
    """

    def __init__(self, lister: ObjectLister) -> None:
        self.nodes: dict[str, NodeInfo] = {}
        self.epoch = 0
        self.log: list[str] = []
        self.log_start = 0
        self._lister = lister
        self._placed: dict[str, tuple[str, PodDict]] = {}  # pod key -> (node, pod)
        self._assumed: set[str] = set()
        self._affine_nodes: set[str] = set()
        self._orphans: dict[str, set[str]] = {}  # unknown node -> keys of its pods
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return the nodes in the order in which they are searched; they are shared, not copied.

        An attempt is not interrupted, so nothing changes while it runs.
        """
        if self._snapshot is None:
            affine = self._affine_nodes.__len__
            nodes = by_zone(self.nodes.values())
            self._snapshot = Snapshot(nodes, self._lister, affine=lambda: affine() > 0)
        return self._snapshot

    # -- nodes ------------------------------------------------------------------------------------

    def set_node(self, node: NodeDict) -> None:
        """Add a node, or replace its document."""
        name = meta.name_of(node)
        info = self.nodes.get(name)
        if info is None:
            info = self.nodes[name] = NodeInfo(node)
            for key in sorted(self._orphans.pop(name, ())):
                info.add(self._placed[key][1])
            self._mark_changed(name)
        else:
            info.set_node(node)
        self._new_epoch()

    def refresh_node(self, node: NodeDict) -> None:
        """Replace a node's document by one that differs in nothing that the scheduler reads."""
        self.nodes[meta.name_of(node)].refresh_node(node)

    def remove_node(self, name: str) -> None:
        """Remove a node; its pods are kept in case it is added again."""
        info = self.nodes.pop(name, None)
        if info is not None:
            self._affine_nodes.discard(name)
            if info.pods:
                self._orphans.setdefault(name, set()).update(info.pods)
            self._new_epoch()

    def _new_epoch(self) -> None:
        self.epoch += 1
        self._snapshot = None

    # -- pods -------------------------------------------------------------------------------------

    def assume(self, pod: PodDict, node: str) -> None:
        """Count a pod on the node that it is about to be bound to."""
        bound: PodDict = {**pod, "spec": {**pod["spec"], "nodeName": node}}
        self._put(pod, bound, node)
        self._assumed.add(meta.key_of(pod))

    def is_assumed(self, key: str) -> bool:
        """Return whether a pod is counted on a node and no watch event has confirmed it yet."""
        return key in self._assumed

    def count(self, pod: PodDict, node: str) -> bool:
        """Count a bound pod; return whether this is new.

        A pod is new if it was not counted on that node, or was only assumed there.
        """
        key = meta.key_of(pod)
        placement = self._placed.get(key)
        is_new = placement is None or placement[0] != node or key in self._assumed
        self._assumed.discard(key)
        self._put(pod, pod, node)
        return is_new

    def _put(self, pod: PodDict, counted: PodDict, node: str) -> None:
        key = meta.key_of(pod)
        placement = self._placed.get(key)
        if placement is not None and placement[0] != node:
            self.release(key)
        self._placed[key] = (node, counted)
        info = self.nodes.get(node)
        if info is None:
            self._orphans.setdefault(node, set()).add(key)
        else:
            info.add(counted)
            self._mark_changed(node)

    def release(self, key: str) -> tuple[str, PodDict] | None:
        """No longer count a pod; return its node and its last state, or None if it was unknown."""
        placement = self._placed.pop(key, None)
        self._assumed.discard(key)
        if placement is None:
            return None
        info = self.nodes.get(placement[0])
        if info is not None:
            info.remove(key)
            self._mark_changed(placement[0])
        else:
            self._orphans.get(placement[0], set()).discard(key)
        return placement

    def placed(self, key: str) -> PodDict | None:
        """Return the pod as it is counted, or None."""
        placement = self._placed.get(key)
        return None if placement is None else placement[1]

    def node_document(self, name: str) -> NodeDict | None:
        """Return the document of a node, or None."""
        info = self.nodes.get(name)
        return None if info is None else info.node

    def _mark_changed(self, node: str) -> None:
        if self.nodes[node].affine:
            self._affine_nodes.add(node)
        else:
            self._affine_nodes.discard(node)
        self.log.append(node)
        if len(self.log) >= 2 * LOG_LIMIT:
            del self.log[:LOG_LIMIT]
            self.log_start += LOG_LIMIT

    def changed_since(self, position: int) -> Iterable[str] | None:
        """Return the nodes whose pods changed since a position in the log.

        Return None if that part of the log was dropped.
        """
        if position < self.log_start:
            return None
        return dict.fromkeys(self.log[position - self.log_start :])

    def position(self) -> int:
        """Return the position of the log's end."""
        return self.log_start + len(self.log)
