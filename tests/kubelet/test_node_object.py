"""The Node object: what a node that kubeadm has set up has, and who has which address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.kubelet import KubeletConfig
from kubesim.kubelet.network import MOST_SUBNETS, NodeNetwork, PodNetworks


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """One node, and no pods."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.sleep(1)
        yield cluster


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod of one container."""
    container = {"name": "c", "image": "nginx", **spec.pop("container", {})}
    spec = {"containers": [container], **spec}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}


def test_a_node_is_as_kubeadm_sets_it_up(cluster: Cluster) -> None:
    """Labels, annotation, subnet, resources, addresses, port and facts, as kubelet 1.34 reports."""
    node = cluster.api.get("Node", "node-1")
    assert node["metadata"]["labels"] == {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": "node-1",
        "kubernetes.io/os": "linux",
    }
    attach = "volumes.kubernetes.io/controller-managed-attach-detach"
    assert node["metadata"]["annotations"] == {attach: "true"}
    assert node["spec"] == {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}
    resources = {
        "cpu": "4",
        "ephemeral-storage": "100Gi",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": "8Gi",
        "pods": "110",
    }
    status = node["status"]
    assert (status["capacity"], status["allocatable"]) == (resources, resources)
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "10.0.0.2"},
        {"type": "Hostname", "address": "node-1"},
    ]
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    info = status["nodeInfo"]
    assert sorted(info) == [
        "architecture",
        "bootID",
        "containerRuntimeVersion",
        "kernelVersion",
        "kubeProxyVersion",
        "kubeletVersion",
        "machineID",
        "operatingSystem",
        "osImage",
        "systemUUID",
    ]
    assert [len(part) for part in info["bootID"].split("-")] == [8, 4, 4, 4, 12]


def test_pods_that_ask_for_the_old_label_or_for_disk_are_placed(cluster: Cluster) -> None:
    """beta.kubernetes.io/os and ephemeral-storage, which many published manifests ask for."""
    small = {"resources": {"requests": {"ephemeral-storage": "2Gi"}}}
    large = {"resources": {"requests": {"ephemeral-storage": "200Gi"}}}
    cluster.api.create(pod("old", nodeSelector={"beta.kubernetes.io/os": "linux"}))
    cluster.api.create(pod("small", container=small))
    cluster.api.create(pod("large", container=large))
    cluster.sleep(5)
    phases = {name: cluster.api.get("Pod", name)["status"]["phase"] for name in ("old", "small")}
    assert phases == {"old": "Running", "small": "Running"}
    condition = cluster.api.get("Pod", "large")["status"]["conditions"][0]
    assert "1 Insufficient ephemeral-storage" in condition["message"]


def test_reserved_disk_is_not_allocatable() -> None:
    """kubeReserved and systemReserved of ephemeral-storage are subtracted."""
    config = KubeletConfig(kube_reserved={"ephemeral-storage": "10Gi"})
    with Cluster(nodes=1, hpa=False, kubelet=config) as cluster:
        cluster.sleep(1)
        status = cluster.api.get("Node", "node-1")["status"]
    assert status["capacity"]["ephemeral-storage"] == "100Gi"
    assert status["allocatable"]["ephemeral-storage"] == "90Gi"


def test_no_two_nodes_share_an_address(cluster: Cluster) -> None:
    """Names without a number, too: node addresses, subnets and pod addresses are all different."""
    for name in ("gpu", "big", "other-1"):
        cluster.add_node(name)
    cluster.sleep(2)
    for node in ("gpu", "big", "other-1", "node-1"):
        cluster.api.create(pod(f"on-{node}", nodeName=node))
    cluster.sleep(5)
    nodes = cluster.api.list("Node")["items"]
    pods = cluster.api.list("Pod")["items"]
    cidrs = {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in nodes}
    assert len(set(cidrs.values())) == len({n["status"]["addresses"][0]["address"] for n in nodes})
    assert len({p["status"]["podIP"] for p in pods}) == len({p["status"]["hostIP"] for p in pods})
    assert len(pods) == len(set(cidrs.values())) == 4
    for each in pods:
        subnet = cidrs[each["spec"]["nodeName"]].removesuffix(".0/24")
        assert each["status"]["podIP"].startswith(f"{subnet}.")


def test_addresses_of_many_nodes() -> None:
    """All subnets differ; one that was released is given to the next node."""
    networks = [NodeNetwork(number) for number in range(MOST_SUBNETS)]
    assert len({network.pod_cidr for network in networks}) == MOST_SUBNETS
    assert len({network.address for network in networks}) == MOST_SUBNETS
    owners = PodNetworks()
    first = owners.take("a")
    owners.take("b")
    owners.release(first)
    assert owners.take("c") == first
    assert owners.take("node-123456789012").number == 2
