"""ReplicationControllers: the rules of ReplicaSets for the older kind."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import Invalid
from kubesim.objects import meta

MAIN = {"name": "main", "image": "nginx"}


def controller(name: str = "web", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [MAIN]}}
    return {
        "kind": "ReplicationController",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }


@pytest.fixture
def cluster() -> Any:
    with Cluster(2, hpa=False) as running:
        running.sleep(2)
        yield running


def pods(cluster: Cluster) -> list[Any]:
    items = cluster.api.list("Pod")["items"]
    return [pod for pod in items if not meta.is_terminating(pod)]


def test_selector_and_labels_are_those_of_the_template(cluster: Cluster) -> None:
    """One replica, owned by the controller, with its status; replaced when it is deleted."""
    created = cluster.api.create(controller())
    assert created["spec"]["selector"] == created["metadata"]["labels"] == {"app": "web"}
    cluster.sleep(10)
    (pod,) = pods(cluster)
    assert meta.controller_of(pod)["kind"] == "ReplicationController"  # type: ignore[index]
    assert pod["metadata"]["name"].startswith("web-")
    status = cluster.api.get("rc", "web")["status"]
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (1, 1, 1)
    assert status["observedGeneration"] == 1
    cluster.api.delete("Pod", pod["metadata"]["name"])
    cluster.sleep(40)
    assert [each["metadata"]["uid"] for each in pods(cluster)] != [pod["metadata"]["uid"]]
    assert len(pods(cluster)) == 1


def test_it_adopts_and_releases_by_its_map_of_labels(cluster: Cluster) -> None:
    """A matching orphan counts; a pod that loses the label is released and replaced."""
    orphan = {**controller()["spec"]["template"], "kind": "Pod", "apiVersion": "v1"}
    orphan["metadata"] = {"name": "orphan", "labels": {"app": "web"}}
    cluster.api.create(orphan)
    cluster.sleep(5)
    cluster.api.create(controller(replicas=2))
    cluster.sleep(10)
    names = {pod["metadata"]["name"] for pod in pods(cluster)}
    assert len(names) == 2 and "orphan" in names
    cluster.api.patch("Pod", "orphan", {"metadata": {"labels": {"app": "other"}}})
    cluster.sleep(10)
    assert len(pods(cluster)) == 3
    assert meta.controller_of(cluster.api.get("Pod", "orphan")) is None


def test_scale_autoscaler_and_columns(cluster: Cluster) -> None:
    """The scale subresource has the selector as a string, and an HPA may target it."""
    cluster.api.create(controller(replicas=3))
    cluster.sleep(10)
    assert cluster.api.get_scale("ReplicationController", "web")["status"] == {
        "replicas": 3,
        "selector": "app=web",
    }
    shown = str(cluster.get("rc", wide=True))
    for word in ("Desired", "Current", "Ready", "Containers", "Images", "Selector", "app=web"):
        assert word in shown
    target = {"apiVersion": "v1", "kind": "ReplicationController", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2}
    document = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2"}
    cluster.api.create({**document, "metadata": {"name": "web"}, "spec": spec})
    cluster.sleep(30)
    assert len(pods(cluster)) == 2


def test_pods_outlive_it_by_default(cluster: Cluster) -> None:
    """As since v1: the pods are orphaned unless the client asks for something else."""
    cluster.api.create(controller(replicas=2))
    cluster.sleep(10)
    cluster.api.delete("ReplicationController", "web")
    cluster.sleep(5)
    assert cluster.api.peek("rc", "web") is None
    assert [meta.controller_of(pod) for pod in pods(cluster)] == [None, None]
    cluster.api.create(controller(replicas=2))
    cluster.sleep(5)
    cluster.api.delete("ReplicationController", "web", propagation_policy="Background")
    cluster.sleep(40)
    assert pods(cluster) == []


def test_a_budget_counts_the_replicas_of_its_pods(cluster: Cluster) -> None:
    """A percentage is one of spec.replicas."""
    cluster.api.create(controller(replicas=4))
    selector = {"matchLabels": {"app": "web"}}
    budget = {"kind": "PodDisruptionBudget", "apiVersion": "policy/v1", "metadata": {"name": "b"}}
    cluster.api.create({**budget, "spec": {"selector": selector, "minAvailable": "50%"}})
    cluster.sleep(20)
    status = cluster.api.get("pdb", "b")["status"]
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (4, 2)


RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"replicas": -1}, "spec.replicas", "must be greater than or equal to 0"),
    ({"minReadySeconds": -1}, "spec.minReadySeconds", "must be greater than or equal to 0"),
    (
        {"selector": {"app": "x"}},
        "spec.template.metadata.labels",
        "`selector` does not match template `labels`",
    ),
    ({"selector": {"a/b/c": "x"}}, "spec.selector", "a qualified name"),
    ({"template": None}, "spec.template", "Required value"),
    ({"template": None}, "spec.selector", "Required value"),
]


@pytest.mark.parametrize(("spec", "path", "text"), RULES)
def test_rules(cluster: Cluster, spec: dict[str, Any], path: str, text: str) -> None:
    """Numbers, selector and template, with upstream's paths."""
    with pytest.raises(Invalid) as refused:
        cluster.api.create(controller(**spec))
    messages = [cause.message for cause in refused.value.causes if cause.field == path]
    assert any(text in message for message in messages), refused.value.causes


def test_its_pods_run_indefinitely(cluster: Cluster) -> None:
    """They always restart, and have no deadline."""
    wrong = controller()
    wrong["spec"]["template"]["spec"] |= {"restartPolicy": "Never", "activeDeadlineSeconds": 5}
    with pytest.raises(Invalid) as refused:
        cluster.api.create(wrong)
    assert {cause.field for cause in refused.value.causes} == {
        "spec.template.spec.restartPolicy",
        "spec.template.spec.activeDeadlineSeconds",
    }
    assert "activeDeadlineSeconds in ReplicationController is not Supported" in str(refused.value)
