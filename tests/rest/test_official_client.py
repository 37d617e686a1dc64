"""What programs do with the official Python client: informers, streams, patches, deletions.

Each test is a small equivalent of something in that client's own end-to-end tests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kube_http import deployment

from kubesim.testing import Lab

kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")
pytestmark = pytest.mark.live

PROMPTLY_SECONDS = 30.0  # the fault that these tests know of took a minute
NEWCOMER = Path(__file__).parent.parent / "newcomer"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A cluster of two nodes, its server, and clients for it."""
    with Lab(nodes=2, seed=1) as made:
        yield made


def pod(name: str, command: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    """A Pod."""
    container = {"name": "main", "image": "busybox", **({"command": command} if command else {})}
    metadata = {"name": name, "labels": {"app": name}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def config_map(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap with a label."""
    metadata = {"name": name, "labels": {"test": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def started(lab: Lab, name: str, **options: Any) -> Any:
    """The core client, once a new pod runs."""
    core = lab.client()
    core.create_namespaced_pod("default", pod(name, **options))
    lab.wait_until(lambda: core.read_namespaced_pod(name, "default").status.phase == "Running")
    return core


def eventually(predicate: Callable[[], bool]) -> None:
    """Wait until something holds that a thread of the client brings about."""
    deadline = time.monotonic() + 60
    while not predicate():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stopped_watch_ends_promptly(lab: Lab) -> None:
    """`Watch.stop()` inside the loop; the connection is given back at once."""
    core, watch = lab.client(), kubernetes.watch.Watch()
    core.create_namespaced_config_map("default", config_map("watched"))
    began = time.monotonic()
    for event in watch.stream(core.list_namespaced_config_map, "default"):
        assert event["type"] == "ADDED"
        watch.stop()
    assert time.monotonic() - began < PROMPTLY_SECONDS


def test_an_informer_follows_and_stops(lab: Lab) -> None:
    """It has what exists, sees changes and deletions, and stops at once."""
    informers = pytest.importorskip("kubernetes.informer", reason="a client without informers")
    core = lab.client()
    informer = informers.SharedInformer(core.list_namespaced_secret, namespace="default")
    events: list[tuple[str, str]] = []

    def handler(kind: str) -> Any:
        return lambda obj, *_: events.append((kind, obj.metadata.name))

    informer.add_event_handler(informers.ADDED, handler("added"))
    informer.add_event_handler(informers.DELETED, handler("deleted"))
    informer.start()
    secret = {"metadata": {"name": "followed"}, "stringData": {"k": "v"}}
    core.create_namespaced_secret("default", secret)
    eventually(lambda: ("added", "followed") in events)
    core.delete_namespaced_secret("followed", "default")
    eventually(lambda: ("deleted", "followed") in events)
    began = time.monotonic()
    informer.stop()
    assert time.monotonic() - began < PROMPTLY_SECONDS


def test_each_type_of_patch(lab: Lab) -> None:
    """A list is a JSON patch, a dictionary a strategic merge; merge and apply by content type."""
    core = lab.client()
    core.create_namespaced_config_map("default", config_map("patched", a="1", b="2"))

    def patch(body: Any, **options: Any) -> dict[str, str]:
        result = core.patch_namespaced_config_map("patched", "default", body, **options)
        return dict(result.data)

    assert patch([{"op": "remove", "path": "/data/b"}]) == {"a": "1"}
    assert patch({"data": {"c": "3"}}) == {"a": "1", "c": "3"}
    merge = {"_content_type": "application/merge-patch+json"}
    assert patch({"data": {"a": None}}, **merge) == {"c": "3"}
    apply = {"_content_type": "application/apply-patch+yaml", "field_manager": "me"}
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "patched"}}
    assert patch({**mine, "data": {"d": "4"}}, **apply) == {"c": "3", "d": "4"}
    assert patch({**mine, "data": {"e": "5"}}, **apply) == {"c": "3", "e": "5"}
    with pytest.raises(kubernetes.client.ApiException) as conflict:
        patch({**mine, "data": {"c": "9"}}, **apply)
    assert conflict.value.status == 409
    assert patch({**mine, "data": {"c": "9"}}, **apply, force=True)["c"] == "9"


def test_deletions_with_options(lab: Lab) -> None:
    """Preconditions, a grace period, orphans, collections by label, dry runs."""
    core, apps, client = lab.client(), lab.client("AppsV1Api"), kubernetes.client
    for name in ("x", "y"):
        core.create_namespaced_config_map("default", config_map(name))
    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    with pytest.raises(client.ApiException) as conflict:
        core.delete_namespaced_config_map("x", "default", body=wrong)
    assert conflict.value.status == 409
    core.delete_namespaced_config_map("x", "default", dry_run="All")
    core.delete_collection_namespaced_config_map("default", label_selector="test=yes")
    left = [item.metadata.name for item in core.list_namespaced_config_map("default").items]
    assert not {"x", "y"} & set(left)
    apps.create_namespaced_deployment("default", deployment("orphans"))
    lab.advance(5)
    options = client.V1DeleteOptions(propagation_policy="Orphan")
    apps.delete_namespaced_deployment("orphans", "default", body=options)
    lab.advance(5)
    (replica_set,) = apps.list_namespaced_replica_set("default").items
    assert not replica_set.metadata.owner_references
    name = replica_set.metadata.name
    apps.delete_namespaced_replica_set(name, "default", propagation_policy="Background")
    lab.advance(60)
    assert not core.list_namespaced_pod("default", label_selector="app=orphans").items


def test_a_shell_by_stdin(lab: Lab) -> None:
    """As in the client's example: commands are written, answers are read, the code is known."""
    from kubernetes.stream import stream

    core = started(lab, "shell")
    shell = stream(
        core.connect_get_namespaced_pod_exec,
        "shell",
        "default",
        command=["/bin/sh"],
        stdin=True,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
    )
    shell.write_stdin("cd /tmp\n")
    shell.write_stdin("echo in $PWD\n")
    assert shell.readline_stdout(timeout=PROMPTLY_SECONDS) == "in /tmp"
    shell.write_stdin("nonsense\n")
    assert "not found" in shell.readline_stderr(timeout=PROMPTLY_SECONDS)
    shell.write_stdin("exit 3\n")
    shell.run_forever(timeout=PROMPTLY_SECONDS)
    assert shell.returncode == 3
    shell.close()


def test_a_log_is_followed(lab: Lab) -> None:
    """`read_namespaced_pod_log(follow=True)` as a stream, and by `Watch`."""
    command = ["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 1; done"]
    core = started(lab, "talker", command=command, restartPolicy="Never")
    lines: list[str] = []

    def follow() -> None:
        watch = kubernetes.watch.Watch()
        lines.extend(watch.stream(core.read_namespaced_pod_log, "talker", "default"))

    thread = threading.Thread(target=follow)
    thread.start()
    lab.advance(20)
    thread.join(PROMPTLY_SECONDS)
    assert not thread.is_alive() and lines == ["line 1", "line 2", "line 3"]


def test_attach_reads_the_output(lab: Lab) -> None:
    """`connect_get_namespaced_pod_attach` streams what the container prints."""
    from kubernetes.stream import stream

    command = ["sh", "-c", "echo attached; sleep 30"]
    core = started(lab, "attachable", command=command)
    output = stream(
        core.connect_get_namespaced_pod_attach,
        "attachable",
        "default",
        stdout=True,
        _preload_content=False,
    )
    assert output.readline_stdout(timeout=PROMPTLY_SECONDS) == "attached"
    output.close()


def test_manifests_of_every_kind(lab: Lab) -> None:
    """`create_from_yaml` of the newcomers' manifests: each answer fits the client's class."""
    from kubernetes import utils
    from kubernetes.client.exceptions import ApiException

    client = lab.client().api_client
    for manifest in sorted(NEWCOMER.glob("*.yaml")):
        if manifest.stem in ("crd", "rbac"):
            continue  # the client has no class for a custom kind; names in two namespaces
        try:
            utils.create_from_yaml(client, str(manifest))
        except utils.FailToCreateError as error:
            assert all(isinstance(each, ApiException) for each in error.api_exceptions)
            assert {each.status for each in error.api_exceptions} == {404}, manifest
    lab.advance(60)
    apps = lab.client("AppsV1Api")
    assert apps.read_namespaced_stateful_set("web", "default").status.ready_replicas == 2
    assert apps.read_namespaced_daemon_set("fluentd", "kube-system").status.number_ready == 2
    scaler = lab.client("AutoscalingV2Api")
    name, space = "php-apache", "default"
    hpa = scaler.read_namespaced_horizontal_pod_autoscaler(name, space)
    assert hpa.status.desired_replicas >= 0
    jobs = lab.client("BatchV1Api")
    assert jobs.read_namespaced_job("squares", "default").status.succeeded == 3


def test_the_dynamic_client(lab: Lab) -> None:
    """Custom kinds, server-side apply, status and scale, watch, deletion of a collection."""
    from kubernetes.dynamic import DynamicClient

    lab.cluster.apply(NEWCOMER / "crd.yaml")
    dynamic = DynamicClient(lab.client().api_client)
    tabs = dynamic.resources.get(api_version="stable.example.com/v1", kind="CronTab")
    assert tabs.get(name="my-cron", namespace="default").spec.replicas == 1
    body = {"apiVersion": "stable.example.com/v1", "kind": "CronTab"}
    body |= {"metadata": {"name": "mine"}, "spec": {"cronSpec": "* * * * *", "replicas": 2}}
    applied = dynamic.server_side_apply(tabs, body=body, namespace="default", field_manager="me")
    assert applied.metadata.managedFields[0].manager == "me"
    scale = tabs.scale.get(name="mine", namespace="default")
    assert scale.spec.replicas == 2
    status = {**body, "status": {"replicas": 2}}
    merge = "application/merge-patch+json"
    tabs.status.patch(body=status, name="mine", namespace="default", content_type=merge)
    assert tabs.get(name="mine", namespace="default").status.replicas == 2
    seen = [e["object"].metadata.name for e in tabs.watch(namespace="default", timeout=1)]
    assert sorted(seen) == ["mine", "my-cron"]
    tabs.delete(namespace="default", label_selector="any!=thing")
    assert not tabs.get(namespace="default").items
