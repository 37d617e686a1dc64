"""The machines of a cluster: each runs a kubelet, which registers itself as a node.

The kubelets are the only components whose number changes while a cluster runs: `Cluster.add_node`
switches another machine on. A machine without its own options is like the first ones.

Real counterpart: what a cloud provider or an administrator does before `kubeadm join`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.client.tools import Tools
from kubesim.errors import BadRequest
from kubesim.kubelet import Kubelet
from kubesim.kubelet.usage.workload import Factory
from kubesim.options import NodeOptions, check_node_options
from kubesim.traffic import Traffic


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
        self.kubelets = [self._make(f"node-{n}", {}) for n in range(1, number + 1)]

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

    def _make(self, name: str, options: NodeOptions) -> Kubelet:
        merged: NodeOptions = {**self._options, **options}
        return Kubelet(
            self._tools, node_name=name, workloads=self._workloads, load=self._traffic, **merged
        )
