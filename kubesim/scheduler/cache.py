"""The scheduler's cache: nodes, and the pods that are bound to them or assumed to be.

A pod counts from the moment in which it is *assumed* on a node, so that the next pod sees its room
taken; the binding follows. When a binding fails, the pod is released again.

Source: pkg/scheduler/backend/cache/cache.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubesim.apiserver import KubeAPI
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot, World, by_zone

LOG_LIMIT = 50_000  # changes of nodes that are kept for those who follow them


class ApiWorld:
    """What there is besides nodes and pods, read from the API server when somebody asks."""

    def __init__(self, api: KubeAPI) -> None:
        self._api = api

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Labels of a namespace."""
        found = self._api.peek("Namespace", name)
        return {} if found is None else meta.labels_of(found)

    def services(self, namespace: str) -> Sequence[Document]:
        """The Services of a namespace."""
        return list(self._api.snapshot("Service", namespace)[0])

    def workload(self, kind: str, name: str, namespace: str) -> Document | None:
        """A ReplicaSet or StatefulSet; kinds that this API server does not have: None."""
        if kind not in ("ReplicaSet", "StatefulSet"):
            return None
        return self._api.peek(kind, name, namespace)

    def budgets(self) -> Sequence[Document]:
        """All PodDisruptionBudgets."""
        return list(self._api.snapshot("PodDisruptionBudget")[0])


class NodeCache:
    """Nodes by name, in the order in which they came, with the pods that count on them.

    Args:
        world: what there is besides nodes and pods.

    Attributes:
        nodes: the nodes.
        epoch: rises when a node comes, goes or changes itself (not when its pods do).
        log: names of nodes whose pods changed, in order; `log_start` entries were dropped.
    """

    def __init__(self, world: World) -> None:
        self.nodes: dict[str, NodeInfo] = {}
        self.epoch = 0
        self.log: list[str] = []
        self.log_start = 0
        self._world = world
        self._placed: dict[str, tuple[str, Document]] = {}  # key of a pod -> its node, itself
        self._assumed: set[str] = set()
        self._affine_nodes: set[str] = set()
        self._waiting: dict[str, set[str]] = {}  # node that is not here -> keys of its pods
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """The nodes in the order in which they are searched; they change under it, it is no copy.

        An attempt runs without a break, so nothing changes while it looks.
        """
        if self._snapshot is None:
            affine = self._affine_nodes.__len__
            nodes = by_zone(self.nodes.values())
            self._snapshot = Snapshot(nodes, self._world, affine=lambda: affine() > 0)
        return self._snapshot

    # -- nodes ------------------------------------------------------------------------------------

    def set_node(self, node: Document) -> None:
        """A node came or changed."""
        name = meta.name_of(node)
        info = self.nodes.get(name)
        if info is None:
            info = self.nodes[name] = NodeInfo(node)
            for key in sorted(self._waiting.pop(name, ())):
                info.add(self._placed[key][1])
            self._note(name)
        else:
            info.set_node(node)
        self._new_epoch()

    def refresh_node(self, node: Document) -> None:
        """A node reported without changing anything that matters here."""
        self.nodes[meta.name_of(node)].node = node

    def remove_node(self, name: str) -> None:
        """A node is gone; its pods are remembered, in case that it comes back."""
        info = self.nodes.pop(name, None)
        if info is not None:
            self._affine_nodes.discard(name)
            if info.pods:
                self._waiting.setdefault(name, set()).update(info.pods)
            self._new_epoch()

    def _new_epoch(self) -> None:
        self.epoch += 1
        self._snapshot = None

    # -- pods -------------------------------------------------------------------------------------

    def assume(self, pod: Document, node: str) -> None:
        """Count a pod where it is about to be bound."""
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}}
        self._put(pod, bound, node)
        self._assumed.add(meta.key_of(pod))

    def is_assumed(self, key: str) -> bool:
        """It is counted somewhere, and no watch has confirmed it."""
        return key in self._assumed

    def count(self, pod: Document, node: str) -> bool:
        """A pod is bound; True if that is news (it was neither counted there nor assumed)."""
        key = meta.key_of(pod)
        known = self._placed.get(key)
        news = known is None or known[0] != node or key in self._assumed
        self._assumed.discard(key)
        self._put(pod, pod, node)
        return news

    def _put(self, pod: Document, counted: Document, node: str) -> None:
        key = meta.key_of(pod)
        known = self._placed.get(key)
        if known is not None and known[0] != node:
            self.release(key)
        self._placed[key] = (node, counted)
        info = self.nodes.get(node)
        if info is None:
            self._waiting.setdefault(node, set()).add(key)
        else:
            info.add(counted)
            self._note(node)

    def release(self, key: str) -> tuple[str, Document] | None:
        """No longer count a pod; its node and its last state, or None if it was not counted."""
        known = self._placed.pop(key, None)
        self._assumed.discard(key)
        if known is None:
            return None
        info = self.nodes.get(known[0])
        if info is not None:
            info.remove(key)
            self._note(known[0])
        else:
            self._waiting.get(known[0], set()).discard(key)
        return known

    def placed(self, key: str) -> Document | None:
        """The pod as it is counted; None if it is not."""
        known = self._placed.get(key)
        return None if known is None else known[1]

    def node_document(self, name: str) -> Document | None:
        """The document of a node."""
        info = self.nodes.get(name)
        return None if info is None else info.node

    def _note(self, node: str) -> None:
        if self.nodes[node].affine:
            self._affine_nodes.add(node)
        else:
            self._affine_nodes.discard(node)
        self.log.append(node)
        if len(self.log) >= 2 * LOG_LIMIT:
            del self.log[:LOG_LIMIT]
            self.log_start += LOG_LIMIT

    def changed_since(self, position: int) -> Iterable[str] | None:
        """Nodes whose pods changed since a position (`position()`); None: too long ago."""
        if position < self.log_start:
            return None
        return dict.fromkeys(self.log[position - self.log_start :])

    def position(self) -> int:
        """Where the log ends now."""
        return self.log_start + len(self.log)
