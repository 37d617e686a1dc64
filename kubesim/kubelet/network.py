"""The addresses of nodes and pods: each node has a subnet of its own.

In Kubernetes the node IPAM controller gives each Node a ``spec.podCIDR``, the next free part of
the cluster's 10.244.0.0/16, in a write of its own; the network plug-in takes the addresses of pods
from it. Here a kubelet knows its subnet when it registers, and names it in the Node that it
creates. The subnet follows the number in the node's name, so that addresses can be read: a pod of
node-2 is 10.244.2.N.

>>> networks = PodNetworks()
>>> networks.take("node-2").pod_cidr, networks.take("gpu").pod_cidr, networks.take("big").pod_cidr
('10.244.2.0/24', '10.244.0.0/24', '10.244.1.0/24')

Source: pkg/controller/nodeipam/ipam/range_allocator.go (AllocateOrOccupyCIDR),
pkg/controller/nodeipam/ipam/cidrset/cidr_set.go (AllocateNext, Occupy).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

SUBNETS = 256  # of /24 in a block of /16
FIRST_BLOCK = 244  # 10.244.0.0/16, as in the documentation of kubeadm
FURTHER_BLOCKS = 128  # 10.128.0.0/16 and up: for more than 256 nodes
MOST_SUBNETS = SUBNETS * (FIRST_BLOCK - FURTHER_BLOCKS)
HOSTS = 254  # addresses of a /24


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """The addresses of one node and of its pods.

    Attributes:
        number: of its subnet, 0 and up.

    >>> network = NodeNetwork(300)
    >>> network.pod_cidr, network.pod_address(1), network.address
    ('10.128.44.0/24', '10.128.44.2', '10.0.1.47')
    """

    number: int

    @property
    def address(self) -> str:
        """The node's own address: InternalIP."""
        return f"10.0.{self.number // HOSTS}.{self.number % HOSTS + 1}"

    @property
    def pod_cidr(self) -> str:
        """The subnet of its pods: spec.podCIDR."""
        return f"{self._subnet}.0/24"

    def pod_address(self, count: int) -> str:
        """Return the address of the node's next pod.

        Args:
            count: how many pods the node has started, this one included.
        """
        return f"{self._subnet}.{count % HOSTS + 1}"

    @property
    def _subnet(self) -> str:
        block, subnet = divmod(self.number, SUBNETS)
        return f"10.{FIRST_BLOCK if block == 0 else FURTHER_BLOCKS + block - 1}.{subnet}"


class PodNetworks:
    """Which subnet belongs to which node of a cluster."""

    def __init__(self) -> None:
        self._owners: dict[int, object] = {}  # of each subnet that is used

    def take(self, name: str) -> NodeNetwork:
        """Occupy the subnet of the number in a node's name, or else the lowest free one.

        Args:
            name: of the node.
        """
        owner, number = object(), node_number(name)
        preferred = () if number is None or number >= MOST_SUBNETS else (number,)
        # setdefault is atomic: two threads never get one subnet.
        free = (n for n in chain(preferred, range(MOST_SUBNETS)) if n not in self._owners)
        return NodeNetwork(next(n for n in free if self._owners.setdefault(n, owner) is owner))

    def release(self, network: NodeNetwork) -> None:
        """Free the subnet of a node that is gone."""
        self._owners.pop(network.number, None)


def node_number(name: str) -> int | None:
    """Return the number at the end of a node's name; None if it has none.

    >>> node_number("node-12"), node_number("gpu")
    (12, None)
    """
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else None
