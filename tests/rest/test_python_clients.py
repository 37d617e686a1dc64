"""Python clients against the simulator: the official one, lightkube, and an operator in kopf."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kube_http import deployment

from kubesim.testing import Lab

pytestmark = pytest.mark.live


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A cluster of two nodes, its server, and clients for it."""
    with Lab(nodes=2, seed=1) as made:
        yield made


def pod(name: str) -> dict[str, Any]:
    """A Pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "nginx"}]},
    }


def test_the_official_client_drives_a_deployment(lab: Lab) -> None:
    """Create, scale, patch, watch, read the log, delete: with typed objects all the way."""
    pytest.importorskip("kubernetes", reason="the official Python client is not installed")
    from kubernetes import watch

    apps, core = lab.client("AppsV1Api"), lab.client()
    apps.create_namespaced_deployment("default", deployment("web"))
    lab.wait_until(
        lambda: apps.read_namespaced_deployment("web", "default").status.ready_replicas == 2
    )
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 3}})
    lab.wait_until(
        lambda: apps.read_namespaced_deployment("web", "default").status.ready_replicas == 3
    )
    patched = apps.patch_namespaced_deployment(
        "web",
        "default",
        {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}}}},
    )
    assert patched.spec.template.spec.containers[0].image == "nginx:2"
    lab.advance(60)
    listed = core.list_namespaced_pod("default", label_selector="app=web")
    name = listed.items[0].metadata.name
    assert "Pod is running" in core.read_namespaced_pod_log(name, "default")
    events = [
        event["object"].metadata.name
        for event in watch.Watch().stream(
            core.list_namespaced_pod, "default", label_selector="app=web", timeout_seconds=1
        )
    ]
    assert name in events
    apps.delete_namespaced_deployment("web", "default", propagation_policy="Foreground")
    lab.wait_until(lambda: not core.list_namespaced_pod("default").items)


def test_the_official_client_meets_real_errors(lab: Lab) -> None:
    """404, 409, 422 and an expired watch arrive as ApiException with their Status."""
    pytest.importorskip("kubernetes", reason="the official Python client is not installed")
    from kubernetes import watch
    from kubernetes.client.exceptions import ApiException

    core = lab.client()
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_pod("none", "default")
    assert missing.value.status == 404
    core.create_namespaced_pod("default", pod("a"))
    with pytest.raises(ApiException) as taken:
        core.create_namespaced_pod("default", pod("a"))
    assert "AlreadyExists" in taken.value.body
    with pytest.raises(ApiException) as invalid:
        core.create_namespaced_pod("default", pod("Not A Name"))
    assert invalid.value.status == 422
    lab.cluster.store.compact(lab.cluster.store.revision)
    with pytest.raises(ApiException) as expired:
        for _ in watch.Watch().stream(core.list_namespaced_pod, "default", resource_version="1"):
            pass
    assert expired.value.status == 410


def test_the_official_client_executes_binds_and_evicts(lab: Lab) -> None:
    """A command by websocket, the old binding path, the eviction API, custom objects."""
    kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")
    from kubernetes.stream import stream

    core = lab.client()
    mine = pod("mine")
    mine["spec"]["schedulerName"] = "me"
    core.create_namespaced_pod("default", mine)
    target = kubernetes.client.V1ObjectReference(kind="Node", name="node-2")
    meta = kubernetes.client.V1ObjectMeta(name="mine")
    binding = kubernetes.client.V1Binding(metadata=meta, target=target)
    core.create_namespaced_binding("default", binding, _preload_content=False)
    lab.wait_until(lambda: core.read_namespaced_pod("mine", "default").status.phase == "Running")
    output = stream(
        core.connect_get_namespaced_pod_exec,
        "mine",
        "default",
        command=["echo", "hello"],
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
    )
    assert output == "hello\n"
    eviction = kubernetes.client.V1Eviction(metadata=meta)
    core.create_namespaced_pod_eviction("mine", "default", eviction)
    lab.wait_until(lambda: not core.list_namespaced_pod("default").items)


def test_the_dynamic_client_finds_its_way_by_discovery(lab: Lab) -> None:
    """Legacy discovery, and objects without classes."""
    pytest.importorskip("kubernetes", reason="the official Python client is not installed")
    from kubernetes.dynamic import DynamicClient

    dynamic = DynamicClient(lab.client().api_client)
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    maps.create({"metadata": {"name": "a"}, "data": {"k": "v"}}, namespace="default")
    assert maps.get(name="a", namespace="default").data.k == "v"


def test_lightkube_lists_waits_and_deletes(lab: Lab) -> None:
    """Its pages, its waiting by watch, and its patches."""
    pytest.importorskip("lightkube", reason="lightkube is not installed")
    from lightkube import Client, KubeConfig
    from lightkube.resources.core_v1 import ConfigMap, Pod

    client = Client(config=KubeConfig.from_file(str(lab.kubeconfig())))
    client.create(Pod.from_dict(pod("a")))
    with lab.driven():
        ready = client.wait(Pod, "a", for_conditions=["Ready"])
    assert ready.status.phase == "Running"
    for index in range(5):
        client.create(ConfigMap.from_dict({"metadata": {"name": f"m{index}"}}), namespace="default")
    listed = [m.metadata.name for m in client.list(ConfigMap, namespace="default", chunk_size=2)]
    assert listed == ["kube-root-ca.crt", "m0", "m1", "m2", "m3", "m4"]
    client.patch(ConfigMap, "m0", {"data": {"k": "v"}}, namespace="default")
    assert client.get(ConfigMap, "m0", namespace="default").data == {"k": "v"}
    client.delete(ConfigMap, "m0", namespace="default")


def test_an_operator_in_kopf_lives_on_the_simulator(lab: Lab) -> None:
    """It sees a new ConfigMap, makes a Pod of it, and notes its progress by merge patches."""
    kopf = pytest.importorskip("kopf", reason="kopf is not installed")
    registry = kopf.OperatorRegistry()
    core = lab.client()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> Any:
        return kopf.ConnectionInfo(server=lab.url)

    @kopf.on.create("configmaps", labels={"make": "pod"}, registry=registry)
    def made(name: str, namespace: str, **_: Any) -> dict[str, str]:
        core.create_namespaced_pod(namespace, pod(f"{name}-pod"))
        return {"made": f"{name}-pod"}

    stop, ready = threading.Event(), threading.Event()

    def run() -> None:
        asyncio.run(
            kopf.operator(
                registry=registry,
                standalone=True,
                namespaces=["default"],
                stop_flag=stop,
                ready_flag=ready,
            )
        )

    thread = threading.Thread(target=run, daemon=True)
    with lab.driven():
        thread.start()
        assert ready.wait(20)
        core.create_namespaced_config_map(
            "default", {"metadata": {"name": "a", "labels": {"make": "pod"}}}
        )
        lab.wait_until(
            lambda: (
                [item.status.phase for item in core.list_namespaced_pod("default").items]
                == ["Running"]
            ),
            timeout=2_000,
        )
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
