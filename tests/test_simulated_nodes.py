"""Nodes that are made through the API and get a simulated kubelet by their annotation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import NotFound

KWOK = """
apiVersion: v1
kind: Node
metadata:
  annotations:
    node.alpha.kubernetes.io/ttl: "0"
    kwok.x-k8s.io/node: fake
  labels:
    kubernetes.io/arch: arm64
    type: kwok
  name: kwok-node-0
spec:
  taints:
  - {effect: NoSchedule, key: kwok.x-k8s.io/node, value: fake}
status:
  allocatable: {cpu: 32, memory: 256Gi, pods: 1k, nvidia.com/gpu: 2}
  capacity: {cpu: 33, memory: 260Gi, pods: 1k, nvidia.com/gpu: 2}
  phase: Running
"""


def node(name: str, **annotations: str) -> dict[str, Any]:
    """A Node as `kubectl create` sends it."""
    metadata = {"name": name, "annotations": annotations}
    return {"kind": "Node", "apiVersion": "v1", "metadata": metadata}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod that tolerates KWOK's taint."""
    tolerations = [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]
    container = {"name": "c", "image": "nginx", **spec.pop("container", {})}
    spec = {"containers": [container], "tolerations": tolerations, **spec}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}


def ready(cluster: Cluster, name: str) -> bool:
    """Whether a node is ready and has no taint that keeps pods away."""
    document = cluster.api.peek("Node", name)
    taints = ((document or {}).get("spec") or {}).get("taints") or ()
    return document is not None and cluster.node(name).ready and len(taints) <= 1


def is_running(cluster: Cluster, name: str) -> bool:
    """Whether a pod runs."""
    return (cluster.api.peek("Pod", name, "default") or {})["status"].get("phase") == "Running"


@pytest.mark.parametrize(
    "clock", ["virtual", pytest.param("live", marks=pytest.mark.live)], ids=["virtual", "live"]
)
def test_a_node_of_kwok_runs_pods(clock: str) -> None:
    """Its manifest as KWOK's documentation has it: it becomes ready, takes pods, and goes."""
    with Cluster(nodes=0, hpa=False, clock=clock, speed=20 if clock == "live" else 1) as cluster:
        cluster.apply(KWOK)
        assert cluster.wait_until(lambda: ready(cluster, "kwok-node-0"), 60)
        document = cluster.node("kwok-node-0").document
        status = document["status"]
        assert status["capacity"]["cpu"] == "33"
        assert status["allocatable"] == {
            "cpu": "32",
            "ephemeral-storage": "100Gi",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "memory": "256Gi",
            "nvidia.com/gpu": "2",
            "pods": "1k",
        }
        assert status["nodeInfo"]["architecture"] == "arm64"
        labels = document["metadata"]["labels"]
        assert (labels["type"], labels["beta.kubernetes.io/arch"]) == ("kwok", "arm64")
        assert document["spec"]["podCIDR"] == "10.244.0.0/24"
        gpu = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
        cluster.api.create(pod("a", container=gpu))
        assert cluster.wait_until(lambda: is_running(cluster, "a"), 60)
        cluster.api.delete("Node", "kwok-node-0")
        assert cluster.wait_until(lambda: cluster.api.peek("Pod", "a", "default") is None, 200)
        assert cluster.wait_until(lambda: not cluster.kubelets, 10)
        with pytest.raises(NotFound):
            cluster.node("kwok-node-0")
        lease = ("Lease", "kwok-node-0", "kube-node-lease")
        assert cluster.wait_until(lambda: cluster.api.peek(*lease) is None, 30)


def test_a_node_without_resources_is_as_the_others() -> None:
    """kubesim's own annotation; capacity of the first machines, and an address of its own."""
    with Cluster(nodes=1, hpa=False, node_cpu="2") as cluster:
        cluster.api.create(node("more", **{"kubesim.dev/node": ""}))
        cluster.api.create(node("by-hand"))
        cluster.sleep(10)
        more, first = cluster.node("more").document, cluster.node("node-1").document
        assert more["status"]["allocatable"] == first["status"]["allocatable"]
        assert more["status"]["addresses"][0] != first["status"]["addresses"][0]
        assert cluster.node("more").ready and not cluster.node("by-hand").document.get("status")
        assert cluster.statistics()["machines"] == {"machines": 2, "of_nodes": 1}


def _annotate(cluster: Cluster) -> None:
    patch = {"metadata": {"annotations": {"kubesim.dev/node": "true"}}}
    cluster.api.patch("Node", "late", patch, patch_type="merge")


def _unannotate(cluster: Cluster) -> None:
    patch = {"metadata": {"annotations": {"kubesim.dev/node": None}}}
    cluster.api.patch("Node", "late", patch, patch_type="merge")


@pytest.mark.parametrize(
    ("change", "expected"), [(_annotate, "True"), (_unannotate, "Unknown")], ids=["on", "off"]
)
def test_the_annotation_switches_the_machine(
    change: Callable[[Cluster], None], expected: str
) -> None:
    """Added later, it switches the machine on; removed, off: the node becomes Unknown."""
    with Cluster(nodes=0, hpa=False) as cluster:
        cluster.api.create(node("late"))
        cluster.sleep(5)
        _annotate(cluster)
        cluster.sleep(5)
        change(cluster)
        cluster.sleep(120)
        conditions = cluster.node("late").document["status"]["conditions"]
        assert [c["status"] for c in conditions if c["type"] == "Ready"] == [expected]


def test_a_node_that_is_created_again_gets_a_new_machine() -> None:
    """Deleted and created at once: one kubelet, the subnet as before, pods run."""
    with Cluster(nodes=0, hpa=False) as cluster:
        for _ in range(2):
            cluster.api.create(node("again-3", **{"kubesim.dev/node": "true"}))
            cluster.sleep(10)
            assert cluster.node("again-3").document["spec"]["podCIDR"] == "10.244.3.0/24"
            cluster.api.create(pod("a"))
            cluster.sleep(5)
            assert is_running(cluster, "a")
            cluster.api.delete("Pod", "a", "default")
            cluster.sleep(40)
            assert len(cluster.kubelets) == 1
            cluster.api.delete("Node", "again-3")


def test_a_power_cut_of_such_a_node_and_its_end() -> None:
    """`fail` and `recover` work; the deletion of the Node ends a machine that is off, too."""
    with Cluster(nodes=0, hpa=False) as cluster:
        cluster.api.create(node("n", **{"kubesim.dev/node": "true"}))
        cluster.sleep(10)
        cluster.node("n").fail()
        cluster.sleep(60)
        cluster.node("n").recover()
        cluster.sleep(20)
        assert cluster.node("n").ready
        cluster.node("n").fail()
        cluster.api.delete("Node", "n")
        cluster.sleep(1)
        assert cluster.kubelets == []


def test_machines_with_devices() -> None:
    """`add_node(capacity=...)`: extended resources count in scheduling."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.add_node("gpu", capacity={"nvidia.com/gpu": "1"}, allocatable={"memory": "7Gi"})
        cluster.sleep(2)
        for name in ("a", "b"):
            limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
            cluster.api.create(pod(name, container=limits))
        cluster.sleep(5)
        assert cluster.api.get("Pod", "a")["spec"]["nodeName"] == "gpu"
        message = cluster.api.get("Pod", "b")["status"]["conditions"][0]["message"]
        assert message.startswith("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")
        assert cluster.node("gpu").document["status"]["allocatable"]["memory"] == "7Gi"
