"""Stages: rules about the life of pods, chosen by label."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.kubelet import PodStage
from kubesim.kubelet.stages import describe
from kubesim.objects.wellknown import RUN_SECONDS, START_SECONDS


def pod(name: str, app: str = "web", policy: str = "Always", **annotations: str) -> dict[str, Any]:
    """A pod with a label."""
    notes = {f"kubesim.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}, "annotations": notes},
        "spec": {"restartPolicy": policy, "containers": [{"name": "main", "image": "x"}]},
    }


def phases(cluster: Cluster) -> dict[str, str]:
    """The phase of each pod."""
    return {p["name"]: p["status"] for p in cluster.api.list_pods()}


def test_pods_with_a_label_start_slowly() -> None:
    """The others are not concerned; an annotation of the pod wins."""
    with Cluster(nodes=1, hpa=False, stages=[PodStage("app=web", start_seconds=20)]) as cluster:
        for each in (pod("slow"), pod("other", "db"), pod("own", start_seconds="5")):
            cluster.api.create(each)
        cluster.sleep(10)
        assert phases(cluster) == {"slow": "Pending", "other": "Running", "own": "Running"}
        cluster.sleep(15)
        assert phases(cluster)["slow"] == "Running"


def test_a_share_of_pods_fails() -> None:
    """The same ones for the same seed; about as many as the share says."""
    outcomes = []
    for _ in range(2):
        stage = PodStage(fail_share=0.3, run_seconds=3)
        with Cluster(nodes=2, hpa=False, seed=4, stages=[stage]) as cluster:
            for number in range(100):
                cluster.api.create(pod(f"p{number}", policy="Never"))
            cluster.sleep(30)
            outcomes.append(phases(cluster))
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0].values()) == {"Failed", "Succeeded"}
    assert 20 <= list(outcomes[0].values()).count("Failed") <= 40


def test_a_pod_may_have_a_stage_of_its_own() -> None:
    """As JSON; one that cannot be used is told in the pod's status."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.create(pod("p", stage='{"start_seconds": 20}'))
        cluster.api.create(pod("bad", stage='{"start": 20}'))
        cluster.sleep(10)
        assert phases(cluster)["p"] == "Pending"
        status = cluster.api.get("Pod", "bad")["status"]
        assert status["phase"] == "Failed"
        assert "its fields are: start_seconds, run_seconds" in status["message"]


def test_later_stages_override_earlier_ones() -> None:
    """Field by field."""
    stages = [PodStage(start_seconds=1, run_seconds=9), PodStage("app=web", start_seconds=2)]
    described = describe({"metadata": {"labels": {"app": "web"}, "uid": "u"}}, stages)
    assert described["metadata"]["annotations"] == {START_SECONDS: "2", RUN_SECONDS: "9"}


def test_the_figures_of_a_stage_are_kept_whole() -> None:
    """A month in seconds, and a fraction."""
    described = describe({"metadata": {"uid": "u"}}, [PodStage("", 0.25, 2592000.5)])
    notes = described["metadata"]["annotations"]
    assert notes == {START_SECONDS: "0.25", RUN_SECONDS: "2592000.5"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"selector": 3}, "selector must be a string"),
        ({"selector": "app in web"}, "found 'web'"),
        ({"start_seconds": "20"}, "start_seconds must be a number of at least 0, not '20'"),
        ({"run_seconds": -1}, "run_seconds must be a number"),
        ({"fail_share": 5}, "fail_share must be from 0 to 1, not 5"),
        ({"exit_code": 300}, "exit_code must be a whole number from 0 to 255, not 300"),
        ({"exit_code": 1.5}, "exit_code must be a whole number from 0 to 255, not 1.5"),
    ],
)
def test_a_stage_that_makes_no_sense_says_so(fields: dict[str, Any], message: str) -> None:
    """At once, and not when a pod is started."""
    with pytest.raises(BadRequest, match=message):
        PodStage(**fields)
    with pytest.raises(BadRequest, match="stages must be"):
        Cluster(stages=[{"start_seconds": 3}])  # type: ignore[list-item]
