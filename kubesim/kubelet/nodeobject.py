"""The Node object that a kubelet registers: labels, addresses, resources, facts about the machine.

Ours keeps: the fields, labels and annotation of a node that kubeadm has set up. Versions and names
of the machine's software say that they are simulated.

Source: pkg/kubelet/kubelet_node_status.go (initialNode, updateDefaultLabels,
reconcileCMADAnnotationWithExistingNode), pkg/kubelet/nodestatus/setters.go (MachineInfo,
VersionInfo, DaemonEndpoints).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.clock import keyed_bytes
from kubesim.errors import BadRequest
from kubesim.kubelet.network import NodeNetwork
from kubesim.objects import meta
from kubesim.objects.wellknown import ATTACH_DETACH, HOSTNAME_LABEL

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerImageDict, NodeConditionDict, NodeDict
    from kubesim.objects.types.nodes import NodeSystemInfoDict

KUBELET_VERSION = "v1.34.0-kubesim"
OS_LABEL, ARCHITECTURE_LABEL = "kubernetes.io/os", "kubernetes.io/arch"
DEFAULT_LABELS = frozenset(
    (HOSTNAME_LABEL, OS_LABEL, ARCHITECTURE_LABEL, f"beta.{OS_LABEL}", f"beta.{ARCHITECTURE_LABEL}")
)
KUBELET_PORT = 10250


def node_document(
    name: str,
    capacity: Mapping[str, str],
    labels: Mapping[str, str],
    now: str,
    conditions: Sequence[NodeConditionDict],
    *,
    network: NodeNetwork,
    allocatable: Mapping[str, str] | None = None,
    images: Sequence[ContainerImageDict] = (),
) -> NodeDict:
    """Return the Node object that a kubelet registers.

    Args:
        name, labels: of the node.
        capacity: quantities by name.
        now: RFC 3339 string.
        conditions: of the node.
        network: its address and the subnet of its pods.
        allocatable: what pods may request; None: the whole capacity.
        images: on the node, the largest first.

    Raises:
        BadRequest: the name is not a DNS subdomain.
    """
    if not meta.valid_dns1123_subdomain(name):
        raise BadRequest(f"{name!r} is not a valid node name; write, for example, node-1")
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "labels": default_labels(name, labels),
            "annotations": {ATTACH_DETACH: "true"},
        },
        "spec": {"podCIDR": network.pod_cidr, "podCIDRs": [network.pod_cidr]},
        "status": {
            "capacity": dict(capacity),
            "allocatable": dict(capacity if allocatable is None else allocatable),
            "conditions": list(conditions),
            "addresses": [
                {"type": "InternalIP", "address": network.address},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": system_info(name, now, default_labels(name, labels)),
            **({"images": list(images)} if images else {}),
        },
    }


def default_labels(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a node: those that every kubelet gives its node, and further ones.

    Args:
        name: of the node.
        labels: further ones; those about the machine win.

    >>> default_labels("node-1", {"kubernetes.io/arch": "arm64"})["beta.kubernetes.io/arch"]
    'arm64'
    """
    system = labels.get(OS_LABEL, "linux")
    architecture = labels.get(ARCHITECTURE_LABEL, "amd64")
    return {
        HOSTNAME_LABEL: name,
        OS_LABEL: system,
        ARCHITECTURE_LABEL: architecture,
        f"beta.{OS_LABEL}": system,
        f"beta.{ARCHITECTURE_LABEL}": architecture,
        **labels,
    }


def system_info(name: str, booted: str, labels: Mapping[str, str]) -> NodeSystemInfoDict:
    """Return status.nodeInfo of a machine.

    Args:
        name: of the node.
        booted: when the machine was switched on, as RFC 3339 string.
        labels: of the node, which name its operating system and its architecture.
    """
    return {
        "kubeletVersion": KUBELET_VERSION,
        "kubeProxyVersion": "",  # since 1.33 (DisableNodeKubeProxyVersion)
        "containerRuntimeVersion": "kubesim://0.1",
        "operatingSystem": labels[OS_LABEL],
        "architecture": labels[ARCHITECTURE_LABEL],
        "osImage": "simulated",
        "kernelVersion": "simulated",
        "machineID": keyed_bytes(f"machine/{name}", 16).hex(),
        "systemUUID": _uuid(f"system/{name}"),
        "bootID": _uuid(f"boot/{name}/{booted}"),
    }


def with_defaults(existing: NodeDict, node: NodeDict) -> NodeDict:
    """Return an existing Node object with what its kubelet adds to it when it registers.

    That are the default labels, which are corrected if they differ, its annotation, and the subnet
    of its pods if it has none.

    Args:
        existing: the Node in the store.
        node: the one that the kubelet would create.
    """
    old, new = existing["metadata"], node["metadata"]
    labels = {**(old.get("labels") or {})}
    labels |= {key: value for key, value in new["labels"].items() if key in DEFAULT_LABELS}
    annotations = {**(old.get("annotations") or {}), ATTACH_DETACH: "true"}
    spec = existing.get("spec") or {}
    if not spec.get("podCIDR"):
        spec = {**spec, **node["spec"]}
    return {
        **existing,
        "metadata": {**old, "labels": labels, "annotations": annotations},
        "spec": spec,
    }


def node_reference(name: str) -> NodeDict:
    """Return the node as its kubelet's events refer to it: by name, also in place of the uid."""
    return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "uid": name}}


def _uuid(key: str) -> str:
    """Return a UUID that is the same in each run."""
    digits = keyed_bytes(key, 16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
