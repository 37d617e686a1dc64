"""The machines of a cluster: each runs a kubelet, which registers itself as a node.

The kubelets are the only components whose number changes while a cluster runs. `Cluster.add_node`
switches another machine on, and so does whoever creates a Node with the annotation
``kubesim.dev/node`` (or that of KWOK, ``kwok.x-k8s.io/node``): it gets a kubelet whose machine
offers what the Node's status says. Such a machine is switched off when its Node is deleted. A
machine without its own options is like the first ones.

Real counterpart: what a cloud provider or an administrator does before `kubeadm join`; for the
annotation: KWOK, pkg/kwok/controllers/node_controller.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Informer, Tools
from kubesim.errors import BadRequest
from kubesim.kubelet import Kubelet
from kubesim.kubelet.network import PodNetworks
from kubesim.kubelet.usage.workload import Factory
from kubesim.kubelet.volumemanager.storage import VolumeStore
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import NODE, PERSISTENT_VOLUME
from kubesim.objects.volumes import CLONED_FROM
from kubesim.objects.wellknown import RESYNC_SECONDS, SIMULATED_NODE, SIMULATED_NODE_KWOK
from kubesim.options import NodeOptions, check_node_options
from kubesim.quantity import parse_quantity
from kubesim.traffic import Traffic

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PersistentVolumeDict


class Machines:
    """All machines of one cluster.

    Args:
        tools: the parts of the cluster that all components share.
        traffic: tells each kubelet how many requests reach its pods.
        workloads: workload models by name, in addition to those of kubesim.
        number: how many machines there are at first: ``node-1`` ...
        options: of each machine, unless it is added with others.

    Attributes:
        kubelets: one for each machine, in the order in which they were added.
    """

    name = "machines"

    def __init__(
        self,
        tools: Tools,
        traffic: Traffic,
        workloads: Mapping[str, Factory] | None,
        number: int,
        options: NodeOptions,
    ) -> None:
        self._tools, self._traffic, self._workloads = tools, traffic, workloads
        self._options = options
        self._networks = PodNetworks()
        self._storage = VolumeStore(
            lambda name: tools.api.peek(PERSISTENT_VOLUME, name) is not None
        )
        self.kubelets = [self._make(f"node-{n}", {}) for n in range(1, number + 1)]
        self._of_nodes: dict[str, Kubelet] = {}  # of annotated Nodes, by name
        self._worker = tools.clock.worker(self.name)
        self._volumes = Informer(
            tools.api,
            self._worker,
            PERSISTENT_VOLUME,
            on_event=self._volume_changed,
            resync_seconds=RESYNC_SECONDS,
        )
        self._nodes = Informer(
            tools.api,
            self._worker,
            NODE,
            on_event=self._node_changed,
            resync_seconds=RESYNC_SECONDS,
        )

    def start(self) -> None:
        """Begin to watch for annotated Nodes, and for volumes that are clones."""
        self._nodes.start()
        self._volumes.start()

    def stop(self) -> None:
        """Stop watching."""
        self._nodes.stop()
        self._volumes.stop()
        self._worker.stop()

    def statistics(self) -> Document:
        """Return the number of machines, and how many of them belong to annotated Nodes."""
        return {"machines": len(self.kubelets), "of_nodes": len(self._of_nodes)}

    def find(self, node: str) -> Kubelet | None:
        """Return the kubelet of a node; None if no machine has this name."""
        return next((kubelet for kubelet in self.kubelets if kubelet.node_name == node), None)

    def add(self, name: str, options: NodeOptions) -> str:
        """Switch another machine on; return its name.

        Args:
            name: of the node; "": ``node-N``, the next number.
            options: those left out are as for the first machines.

        Raises:
            BadRequest: there is a machine of that name, or an option makes no sense.
        """
        check_node_options(name, options)
        name = name or f"node-{len(self.kubelets) + 1}"
        if self.find(name) is not None:
            raise BadRequest(f"there is a node {name!r} already")
        kubelet = self._make(name, options)
        self.kubelets.append(kubelet)
        kubelet.start()
        return name

    # -- volumes ----------------------------------------------------------------------------------

    def _volume_changed(self, event: ResourceEvent[PersistentVolumeDict]) -> None:
        """Copy the files of the volume that a new one is a clone of."""
        if event.type != "ADDED":
            return
        name = meta.annotations_of(event.object).get(CLONED_FROM)
        source = self._tools.api.peek(PERSISTENT_VOLUME, name) if name else None
        if source is not None:
            self._storage.copy(source, event.object)

    # -- Nodes with the annotation ----------------------------------------------------------------

    def _node_changed(self, event: ResourceEvent[NodeDict]) -> None:
        """Switch the machine of an annotated Node on, or that of a deleted one off."""
        node = event.object
        name = meta.name_of(node)
        annotated = event.type != "DELETED" and is_simulated(node)
        if name in self._of_nodes:
            if not annotated:
                self._remove(name)
        elif annotated and self.find(name) is None:
            kubelet = self._of_nodes[name] = self._make(name, options_of(node))
            self.kubelets.append(kubelet)
            kubelet.start()

    def _remove(self, name: str) -> None:
        kubelet = self._of_nodes.pop(name)
        self.kubelets.remove(kubelet)
        kubelet.fail()
        self._networks.release(kubelet.network)

    def _make(self, name: str, options: NodeOptions) -> Kubelet:
        merged: NodeOptions = {**self._options, **options}
        return Kubelet(
            self._tools,
            node_name=name,
            workloads=self._workloads,
            load=self._traffic,
            network=self._networks.take(name),
            storage=self._storage,
            **merged,
        )


def is_simulated(node: NodeDict) -> bool:
    """Return whether a Node made through the API gets a simulated kubelet.

    >>> is_simulated({"metadata": {"name": "a", "annotations": {"kwok.x-k8s.io/node": "fake"}}})
    True
    """
    annotations = meta.annotations_of(node)
    return SIMULATED_NODE in annotations or SIMULATED_NODE_KWOK in annotations


def options_of(node: NodeDict) -> NodeOptions:
    """Return the options of the machine that a Node describes: its labels and resources.

    What the Node's status does not say is as for the first machines. If it has only one of
    capacity and allocatable, that is both.

    Args:
        node: the Node as it was created.
    """
    status = node.get("status") or {}
    capacity = _strings(status.get("capacity") or status.get("allocatable"))
    allocatable = _strings(status.get("allocatable"))
    options: NodeOptions = {"labels": meta.labels_of(node)}
    if "cpu" in capacity:
        options["cpu"] = capacity.pop("cpu")
    if "memory" in capacity:
        options["memory"] = capacity.pop("memory")
    pods = capacity.pop("pods", ""), allocatable.pop("pods", "")
    if any(pods):
        options["max_pods"] = int(parse_quantity(pods[1] or pods[0]))
    return {**options, "capacity": capacity, "allocatable": allocatable}


def _strings(resources: Mapping[str, str | float] | None) -> dict[str, str]:
    return {name: str(amount) for name, amount in (resources or {}).items()}
