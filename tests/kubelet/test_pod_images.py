"""Before a container starts: images, configuration and volumes that are not there yet."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, events, main, reasons, status

from kubesim import Cluster
from kubesim.kubelet import ImagePulls, KubeletConfig


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def test_an_image_that_does_not_exist(cluster: Cluster) -> None:
    """ErrImagePull and ImagePullBackOff take turns, at 10, 20, 40 ... seconds."""
    cluster.api.create(a_pod("p", container(image="web:does-not-exist")))
    cluster.sleep(2)
    waiting = main(cluster)["state"]["waiting"]
    assert waiting["reason"] == "ErrImagePull"
    assert "web:does-not-exist: not found" in waiting["message"]
    cluster.sleep(2)
    waiting = main(cluster)["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "web:does-not-exist": ErrImagePu')
    assert status(cluster)["phase"] == "Pending"
    cluster.sleep(60)
    found = {(r, m): count for _, r, m, count in events(cluster)}
    assert found["Pulling", 'Pulling image "web:does-not-exist"'] == 3
    assert found["Failed", "Error: ErrImagePull"] == 3
    # At 1 s after each failure, then with each sync: each 10 to 15 s.
    assert 5 <= found["BackOff", 'Back-off pulling image "web:does-not-exist"'] <= 7
    assert "Started" not in reasons(cluster)


def test_a_malformed_image_is_looked_at_with_each_sync(cluster: Cluster) -> None:
    """The kubelet repeats a failed sync, and its Events, until the spec has another image."""
    cluster.api.create(a_pod("p", container(image="Web Server")))
    cluster.sleep(35)
    assert main(cluster)["state"]["waiting"]["reason"] == "InvalidImageName"
    counts = {(r, m): count for _, r, m, count in events(cluster)}
    text = 'couldn\'t parse image name "Web Server": invalid reference format'
    message = f'Failed to apply default image tag "Web Server": {text}'
    assert counts["InspectFailed", message] == counts["Failed", "Error: InvalidImageName"] == 4
    mended = {"spec": {"containers": [{"name": container()["name"], "image": "web"}]}}
    cluster.api.patch("Pod", "p", mended, "default", patch_type="strategic")
    cluster.sleep(5)
    assert status(cluster)["phase"] == "Running"


def test_an_image_that_is_never_pulled_may_come_with_another_pod() -> None:
    """imagePullPolicy Never looks for the image with each sync; explain names both ways out."""
    config = KubeletConfig(image_pull=ImagePulls(sizes={"c:1": 40_000_000}))
    with Cluster(nodes=1, seed=1, hpa=False, kubelet=config) as cluster:
        cluster.api.create(a_pod("p", container(image="c:1", imagePullPolicy="Never")))
        cluster.sleep(35)
        assert main(cluster)["state"]["waiting"]["reason"] == "ErrImageNeverPull"
        assert "another pod brought the image to this node" in str(cluster.explain("pod/p"))
        cluster.api.create(a_pod("q", container(image="c:1")))
        cluster.sleep(15)
        assert status(cluster)["phase"] == "Running"


def test_images_come_through_one_line() -> None:
    """Serial pulls: the second pod waits for the first one's image, the third has it already."""
    pulls = ImagePulls(
        mb_per_second=10, base_seconds=1, sizes={"a:1": 50_000_000, "b:1": 90_000_000}
    )
    config = KubeletConfig(image_pull=pulls)
    with Cluster(nodes=1, seed=1, hpa=False, kubelet=config) as cluster:
        for name, image in (("one", "a:1"), ("two", "b:1")):
            cluster.api.create(a_pod(name, container(image=image)))
        cluster.sleep(30)
        cluster.api.create(a_pod("three", container(image="a:1")))
        cluster.api.create(a_pod("four", container(image="a:1", imagePullPolicy="Always")))
        cluster.api.create(a_pod("five", container(image="c:1", imagePullPolicy="Never")))
        cluster.sleep(10)
        pulled = {
            name: next(m for _, r, m, _ in events(cluster, name) if r == "Pulled")
            for name in ("one", "two", "three", "four")
        }
        assert pulled["one"] == (
            'Successfully pulled image "a:1" in 6s (6s including waiting). '
            "Image size: 50000000 bytes."
        )
        assert 'image "b:1" in 10s (16s including waiting)' in pulled["two"]
        assert pulled["three"] == 'Container image "a:1" already present on machine'
        assert 'image "a:1" in 1s (1s including waiting)' in pulled["four"]
        assert main(cluster, "five")["state"]["waiting"]["reason"] == "ErrImageNeverPull"
        assert main(cluster, "one")["state"]["running"]["startedAt"] == "2025-01-01T00:00:07Z"
        order = [r for r in reasons(cluster, "one") if r != "Scheduled"]
        assert order == ["Pulling", "Pulled", "Created", "Started"]
        cluster.sleep(5)
        images = cluster.api.get("Node", "node-1")["status"]["images"]
        assert [(i["names"][0], i["sizeBytes"]) for i in images] == [
            ("b:1", 90_000_000),
            ("a:1", 50_000_000),
        ]


def test_by_default_every_image_is_there(cluster: Cluster) -> None:
    """A pod starts one second after it was bound, whatever its pull policy."""
    cluster.api.create(a_pod("p", container(image="nginx", imagePullPolicy="Always")))
    cluster.sleep(1)
    assert status(cluster)["phase"] == "Running"


def test_a_container_waits_for_its_configuration(cluster: Cluster) -> None:
    """CreateContainerConfigError until the ConfigMap exists, with the key; an Event every 10 s."""
    variable = {"configMapKeyRef": {"name": "settings", "key": "colour"}}
    web = container(env=[{"name": "COLOUR", "valueFrom": variable}])
    cluster.api.create(a_pod("p", web))
    cluster.sleep(15)
    waiting = main(cluster)["state"]["waiting"]
    assert waiting == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "settings" not found',
    }
    assert ("Warning", "Failed", 'Error: configmap "settings" not found', 2) in events(cluster)
    assert cluster.explain("pod/p").latest.binding == "configuration"
    settings = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"size": "1"}}
    cluster.api.create(settings)
    cluster.sleep(10)
    said = "couldn't find key colour in ConfigMap default/settings"
    assert main(cluster)["state"]["waiting"]["message"] == said
    cluster.api.patch("ConfigMap", "settings", {"data": {"colour": "red"}})
    cluster.sleep(10)
    assert status(cluster)["phase"] == "Running"
    assert main(cluster)["restartCount"] == 0


def test_a_pod_waits_for_its_volumes(cluster: Cluster) -> None:
    """FailedMount with a growing back-off; no sandbox, no container before."""
    volume = {"name": "certs", "secret": {"secretName": "tls"}}
    cluster.api.create(a_pod("p", volumes=[volume, {"name": "x", "emptyDir": {}}]))
    cluster.sleep(10)
    said = 'MountVolume.SetUp failed for volume "certs" : secret "tls" not found'
    assert ("Warning", "FailedMount", said, 5) in events(cluster)
    assert condition(cluster, "PodReadyToStartContainers")["status"] == "False"
    assert main(cluster)["state"]["waiting"]["reason"] == "ContainerCreating"
    cluster.api.create({"kind": "Secret", "metadata": {"name": "tls"}, "data": {}})
    cluster.sleep(8)
    assert condition(cluster, "PodReadyToStartContainers")["status"] == "True"
    assert status(cluster)["phase"] == "Running"


def test_what_is_optional_may_be_missing(cluster: Cluster) -> None:
    """In the environment and in volumes."""
    web = container(envFrom=[{"secretRef": {"name": "none", "optional": True}}])
    volume = {"name": "v", "configMap": {"name": "none", "optional": True}}
    cluster.api.create(a_pod("p", web, volumes=[volume]))
    cluster.sleep(2)
    assert status(cluster)["phase"] == "Running"
