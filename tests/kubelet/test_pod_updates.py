"""The kubelet follows a changed spec, as computePodActions in kuberuntime_manager.go does."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, container, events, main, reasons, status

from kubesim import Cluster
from kubesim.kubelet import ImagePulls, KubeletConfig


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def set_image(cluster: Cluster, image: str, name: str = "main", field: str = "containers") -> None:
    """Do as ``kubectl set image pod/p name=image``."""
    change = {"spec": {field: [{"name": name, "image": image}]}}
    cluster.api.patch("Pod", "p", change, patch_type="strategic")


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_another_image_replaces_the_container(cluster: Cluster, policy: str) -> None:
    """The container is killed and started again at once, whatever the restart policy."""
    web = container(image="web:1", command=["sleep", "infinity"])
    cluster.api.create(a_pod("p", web, restartPolicy=policy))
    cluster.sleep(10)
    set_image(cluster, "web:2")
    cluster.sleep(1)
    now = main(cluster)
    assert (now["image"], now["restartCount"], now["ready"]) == ("web:2", 1, True)
    assert now["imageID"].startswith("web:2@sha256:")
    assert now["state"]["running"]["startedAt"] == "2025-01-01T00:00:10Z"
    killing = ("Normal", "Killing", "Container main definition changed, will be restarted", 1)
    assert killing in events(cluster)
    assert "definition changed" in f"{cluster.explain('pod/p')}"
    cluster.sleep(60)
    assert main(cluster)["restartCount"] == 1


def test_the_grace_period_and_the_image_that_is_shown_meanwhile(cluster: Cluster) -> None:
    """Until the old process is gone, the status shows its image; then there is no back-off."""
    cluster.api.create(a_pod("p", container(image="web:1"), notes={"stop-seconds": "never"}))
    cluster.sleep(10)
    set_image(cluster, "web:2")
    cluster.sleep(29)
    assert (main(cluster)["image"], main(cluster)["restartCount"]) == ("web:1", 0)
    cluster.sleep(2)
    assert (main(cluster)["image"], main(cluster)["restartCount"]) == ("web:2", 1)
    assert main(cluster)["lastState"]["terminated"]["exitCode"] == 137


def test_other_changes_do_not_restart(cluster: Cluster) -> None:
    """Labels, a toleration, a status: only name and image are hashed (HashContainer)."""
    cluster.api.create(a_pod("p", container(image="web:1")))
    cluster.sleep(10)
    cluster.api.patch("Pod", "p", {"metadata": {"labels": {"a": "b"}}})
    more = {"key": "k", "operator": "Exists", "effect": "NoSchedule"}
    tolerations = [*cluster.api.get("Pod", "p")["spec"].get("tolerations", []), more]
    cluster.api.patch("Pod", "p", {"spec": {"tolerations": tolerations}})
    cluster.sleep(10)
    assert main(cluster)["restartCount"] == 0
    assert "Killing" not in reasons(cluster)


def test_a_mended_image_is_pulled_at_once(cluster: Cluster) -> None:
    """The back-off of an image pull belongs to that image."""
    cluster.api.create(a_pod("p", container(image="web:does-not-exist")))
    cluster.sleep(100)
    assert main(cluster)["state"]["waiting"]["reason"] == "ImagePullBackOff"
    set_image(cluster, "web:1")
    cluster.sleep(1)
    assert (main(cluster)["image"], main(cluster)["restartCount"]) == ("web:1", 0)
    assert "running" in main(cluster)["state"]


def test_the_result_of_a_pull_that_is_no_longer_wanted(cluster: Cluster) -> None:
    """The image changes while the first one is pulled: only the new one is run."""
    pulls = ImagePulls(mb_per_second=10, base_seconds=1, sizes={"a:1": 90_000_000, "b:1": 1})
    config = KubeletConfig(image_pull=pulls)
    with Cluster(nodes=1, seed=1, hpa=False, kubelet=config) as slow:
        slow.api.create(a_pod("p", container(image="a:1")))
        slow.sleep(3)
        set_image(slow, "b:1")
        slow.sleep(30)
        assert (main(slow)["image"], main(slow)["restartCount"]) == ("b:1", 0)
        assert reasons(slow).count("Started") == 1


def test_a_mended_image_name_and_a_crash_loop(cluster: Cluster) -> None:
    """A name that cannot be parsed, and the back-off of a container that crashes."""
    cluster.api.create(a_pod("p", container(image="Web Server")))
    cluster.sleep(10)
    set_image(cluster, "web:1")
    cluster.sleep(1)
    assert "running" in main(cluster)["state"]
    cluster.api.delete("Pod", "p", grace_period_seconds=0)
    cluster.api.create(a_pod("p", container(image="web:1", command=["sh", "-c", "exit 1"])))
    cluster.sleep(60)
    before = main(cluster)["restartCount"]
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    set_image(cluster, "web:2")
    cluster.sleep(0.5)
    assert main(cluster)["restartCount"] > before
    assert main(cluster)["image"] == "web:2"


def test_init_containers_and_sidecars(cluster: Cluster) -> None:
    """A sidecar is replaced, with its own words; an init container that is done is not."""
    prepare = container("prepare", image="init:1")
    proxy = container("proxy", image="proxy:1", restartPolicy="Always")
    cluster.api.create(a_pod("p", container(image="web:1"), init=(prepare, proxy)))
    cluster.sleep(10)
    set_image(cluster, "proxy:2", "proxy", "initContainers")
    set_image(cluster, "init:2", "prepare", "initContainers")
    cluster.sleep(5)
    proxy_now = main(cluster, container="proxy")
    assert (proxy_now["image"], proxy_now["restartCount"]) == ("proxy:2", 1)
    assert main(cluster, container="prepare")["restartCount"] == 0
    assert main(cluster)["restartCount"] == 0
    assert [e[2] for e in events(cluster) if e[1] == "Killing"] == [
        "Init container proxy definition changed"
    ]


def test_a_deadline_set_on_a_running_pod(cluster: Cluster) -> None:
    """ActiveDeadlineSeconds counts from the pod's start, also when it is set later."""
    cluster.api.create(a_pod("p", container(image="web:1")))
    cluster.sleep(10)
    cluster.api.patch("Pod", "p", {"spec": {"activeDeadlineSeconds": 20}})
    cluster.sleep(8)
    assert status(cluster)["phase"] == "Running"
    cluster.sleep(4)
    assert (status(cluster)["phase"], status(cluster)["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_deadline_that_is_past_already(cluster: Cluster) -> None:
    """It ends the pod at once."""
    cluster.api.create(a_pod("p", container(image="web:1")))
    cluster.sleep(60)
    cluster.api.patch("Pod", "p", {"spec": {"activeDeadlineSeconds": 20}})
    cluster.sleep(1)
    assert status(cluster)["reason"] == "DeadlineExceeded"


def test_the_status_states_the_generation_of_the_spec(cluster: Cluster) -> None:
    """ObservedGeneration of the status and of each condition (1.34: on by default)."""

    def observed() -> tuple[int, set[int]]:
        now = status(cluster)
        return now["observedGeneration"], {c["observedGeneration"] for c in now["conditions"]}

    cluster.api.create(a_pod("p", container(image="web:1"), notes={"stop-seconds": "5"}))
    cluster.sleep(5)
    assert observed() == (1, {1})
    set_image(cluster, "web:2")
    cluster.sleep(10)
    assert observed() == (2, {2})
    more = {"key": "k", "operator": "Exists", "effect": "NoSchedule"}
    tolerations = [*cluster.api.get("Pod", "p")["spec"].get("tolerations", []), more]
    cluster.api.patch("Pod", "p", {"spec": {"tolerations": tolerations}})
    cluster.sleep(1)
    assert observed() == (3, {3})
    watch = cluster.api.watch("Pod")
    cluster.api.delete("Pod", "p")
    cluster.sleep(10)
    last = watch.poll()[-1].object["status"]
    assert last["observedGeneration"] == 4


def test_back_off_is_recorded_with_each_sync(cluster: Cluster) -> None:
    """Each 10 to 15 s while a container waits in CrashLoopBackOff, not once for each crash."""
    cluster.api.create(a_pod("p", container(command=["sh", "-c", "exit 1"])))
    cluster.sleep(31 + 40)
    before = next(count for _, reason, _, count in events(cluster) if reason == "BackOff")
    assert 5 <= before <= 8
    cluster.sleep(310)  # the rate limit cuts Events, but not their count
    after = next(count for _, reason, _, count in events(cluster) if reason == "BackOff")
    assert after > before + 8


def test_a_pod_that_is_not_scheduled_states_the_generation_as_well(cluster: Cluster) -> None:
    """The scheduler's condition PodScheduled."""
    cluster.api.create(a_pod("p", container(resources={"requests": {"cpu": "100"}})))
    cluster.sleep(5)
    scheduled = next(c for c in status(cluster)["conditions"] if c["type"] == "PodScheduled")
    assert (scheduled["reason"], scheduled["observedGeneration"]) == ("Unschedulable", 1)
