"""Deployments on virtual time: rollouts step by step, stuck ones, scaling, rolling back."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import controller_of
from deployment_cases import (
    REVISION,
    break_it,
    change,
    condition,
    deployment,
    events,
    sizes,
    status,
    versions,
)

from kubesim import Cluster
from kubesim.controllers.deployment.controller import DeploymentController


@pytest.fixture
def cluster() -> Any:
    """Three nodes, nothing on them."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        yield created


def test_a_first_rollout_makes_everything_at_once(cluster: Cluster) -> None:
    """One ReplicaSet of full size, revision 1, with the hash in labels, selector and template."""
    cluster.api.create(deployment())
    cluster.sleep(5)
    (created,) = cluster.api.list("ReplicaSet")["items"]
    text = created["metadata"]["labels"]["pod-template-hash"]
    assert created["metadata"]["name"] == f"web-{text}"
    assert created["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": text}
    assert created["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == text
    assert created["metadata"]["annotations"] == {
        REVISION: "1",
        "deployment.kubernetes.io/desired-replicas": "10",
        "deployment.kubernetes.io/max-replicas": "13",
    }
    assert events(cluster) == [f"Scaled up replica set web-{text} from 0 to 10"]
    counters = {key: value for key, value in status(cluster).items() if key != "conditions"}
    assert counters == {
        "observedGeneration": 1,
        "replicas": 10,
        "updatedReplicas": 10,
        "readyReplicas": 10,
        "availableReplicas": 10,
    }
    assert condition(cluster)["reason"] == "NewReplicaSetAvailable"
    assert condition(cluster, "Available")["status"] == "True"
    assert cluster.api.get("Deployment", "web")["metadata"]["annotations"] == {REVISION: "1"}


def test_a_rolling_update_of_ten_step_by_step(cluster: Cluster) -> None:
    """3 new and old 8, new 5; then in turns as pods become available, never out of the limits."""
    cluster.api.create(deployment())
    cluster.sleep(5)
    old = cluster.api.list("ReplicaSet")["items"][0]["metadata"]["name"]
    watch = cluster.api.watch("ReplicaSet")
    change(cluster, "2")
    cluster.sleep(30)
    steps = events(cluster)[1:]
    new = next(
        n
        for n in (rs["metadata"]["name"] for rs in cluster.api.list("ReplicaSet")["items"])
        if n != old
    )
    assert steps[:3] == [
        f"Scaled up replica set {new} from 0 to 3",
        f"Scaled down replica set {old} from 10 to 8",
        f"Scaled up replica set {new} from 3 to 5",
    ]
    assert sizes(cluster) == {"1": 0, "2": 10}
    size, available = {old: 10}, {old: 10}
    for event in watch.poll():
        name = event.object["metadata"]["name"]
        size[name] = event.object["spec"]["replicas"]
        available[name] = (event.object.get("status") or {}).get("availableReplicas", 0)
        assert sum(size.values()) <= 13
        assert sum(available.values()) >= 8
    assert condition(cluster)["message"] == f'ReplicaSet "{new}" has successfully progressed.'
    assert versions(cluster) == {"2": 10}


def test_pods_that_never_become_ready_stop_a_rollout_at_eight_and_five(cluster: Cluster) -> None:
    """It never continues, fails after the deadline, and explains what would help."""
    cluster.api.create(deployment())
    cluster.sleep(10)
    break_it(cluster, "2")
    cluster.sleep(590)
    assert sizes(cluster) == {"1": 8, "2": 5}
    assert condition(cluster)["reason"] == "ReplicaSetUpdated"
    why = str(cluster.explain("deploy/web"))
    assert "13 pods - 8 that must stay - 5 new ones not available = 0" in why
    assert "maxUnavailable 2: 8 must stay available, 8 are" in why
    assert "5 x ContainerCreating" in why
    assert "the rollout is reported as failed after t=610 s" in why
    assert "becomes available, or maxUnavailable is raised to 3" in why
    cluster.sleep(20)
    result = condition(cluster)
    assert (result["status"], result["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert result["message"].endswith(" has timed out progressing.")
    assert "exceeded: the rollout is reported as failed" in str(cluster.explain("deployment/web"))
    watches = [cluster.api.watch(kind) for kind in ("Deployment", "ReplicaSet", "Event")]
    cluster.sleep(300)
    assert sizes(cluster) == {"1": 8, "2": 5}
    assert not any(watch.poll() for watch in watches), "a rollout that stands still writes nothing"
    change(cluster, "3")
    cluster.sleep(60)
    assert versions(cluster) == {"3": 10}
    assert condition(cluster)["reason"] == "NewReplicaSetAvailable"


def container(cluster: Cluster, **fields: Any) -> None:
    """Another template: fields of its one container."""
    main = {**deployment()["spec"]["template"]["spec"]["containers"][0], **fields}
    cluster.api.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": [main]}}}})


def test_a_bad_image_stops_a_rollout_and_undo_heals_it(cluster: Cluster) -> None:
    """The explanation names the image pull; eight old pods serve all the time."""
    cluster.api.create(deployment())
    cluster.sleep(10)
    container(cluster, image="kubesim/pod:does-not-exist")
    cluster.sleep(300)
    assert sizes(cluster) == {"1": 8, "2": 5}
    assert status(cluster)["availableReplicas"] == 8
    why = cluster.explain("deploy/web")
    (step,) = [step for step in why.latest.steps if step.rule == "new pods"]
    assert set(step.inputs) <= {"ErrImagePull", "ImagePullBackOff"}
    assert sum(step.inputs.values()) == 5
    assert len(why.decisions) < 20, "pulls that are retried make no records"
    assert cluster.rollout("deploy/web").status() == (
        'Waiting for deployment "web" rollout to finish: 5 out of 10 new replicas have been '
        "updated..."
    )
    cluster.rollout("deploy/web").undo()
    cluster.sleep(30)
    assert sizes(cluster) == {"2": 0, "3": 10}
    assert condition(cluster)["reason"] == "NewReplicaSetAvailable"


def test_a_readiness_probe_sets_the_pace(cluster: Cluster) -> None:
    """Old pods are deleted when new ones become ready, not when they start."""
    cluster.api.create(deployment(replicas=4, strategy={"rollingUpdate": {"maxUnavailable": 0}}))
    cluster.sleep(10)
    notes = {"kubesim.dev/probe": '{"ready_after_seconds": 20}'}
    main = deployment()["spec"]["template"]["spec"]["containers"][0]
    main["readinessProbe"] = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    template = {"metadata": {"annotations": notes}, "spec": {"containers": [main]}}
    cluster.api.patch("Deployment", "web", {"spec": {"template": template}})
    cluster.sleep(15)
    assert sizes(cluster) == {"1": 4, "2": 1}
    assert "1 x not ready" in str(cluster.explain("deploy/web"))
    cluster.sleep(200)
    assert sizes(cluster) == {"1": 0, "2": 4}


def test_pods_that_crash_pass_for_available_unless_min_ready_seconds_guard(
    cluster: Cluster,
) -> None:
    """A pod that is ready briefly counts as available, unless minReadySeconds is set."""
    cluster.api.create(deployment(minReadySeconds=20))
    cluster.sleep(40)
    notes = {"kubesim.dev/run-seconds": "5", "kubesim.dev/exit-code": "1"}
    cluster.api.patch(
        "Deployment", "web", {"spec": {"template": {"metadata": {"annotations": notes}}}}
    )
    cluster.sleep(300)
    assert sizes(cluster) == {"1": 8, "2": 5}
    assert status(cluster)["availableReplicas"] == 8
    assert "CrashLoopBackOff" in str(cluster.explain("deploy/web"))
    assert len(cluster.explain("deploy/web").decisions) < 60


def test_what_is_said_to_free_a_rollout_frees_it(cluster: Cluster) -> None:
    """Raising maxUnavailable by one deletes one old pod, and creates one new pod."""
    cluster.api.create(deployment())
    cluster.sleep(10)
    break_it(cluster, "2")
    cluster.sleep(10)
    assert sizes(cluster) == {"1": 8, "2": 5}
    rolling = {"maxUnavailable": 3}
    cluster.api.patch("Deployment", "web", {"spec": {"strategy": {"rollingUpdate": rolling}}})
    cluster.sleep(10)
    assert sizes(cluster) == {"1": 7, "2": 6}


def test_going_back_uses_the_old_set_again_and_renumbers(cluster: Cluster) -> None:
    """Revisions 1, 2, 3; the first template again: its ReplicaSet becomes 4, history "1"."""
    cluster.api.create(deployment(replicas=3))
    cluster.sleep(5)
    first = cluster.api.get("Deployment", "web")["spec"]["template"]
    name = cluster.api.list("ReplicaSet")["items"][0]["metadata"]["name"]
    for version in ("2", "3"):
        change(cluster, version)
        cluster.sleep(20)
    document = cluster.api.get("Deployment", "web")
    cluster.api.update({**document, "spec": {**document["spec"], "template": first}})
    cluster.sleep(20)
    assert sizes(cluster) == {"2": 0, "3": 0, "4": 3}
    notes = cluster.api.get("ReplicaSet", name)["metadata"]["annotations"]
    assert (notes[REVISION], notes["deployment.kubernetes.io/revision-history"]) == ("4", "1")
    assert cluster.api.get("Deployment", "web")["metadata"]["annotations"][REVISION] == "4"
    assert any(
        "is revision 4 now, it was 1" in d.verdict for d in cluster.explain("deploy/web").decisions
    )


def test_scaling_during_a_stuck_rollout_is_proportional(cluster: Cluster) -> None:
    """10 -> 50 at old 8, new 5 with surge 3 -> 6: 34 and 22; the annotations follow."""
    cluster.api.create(deployment(strategy={"rollingUpdate": {"maxSurge": "12%"}}))
    cluster.sleep(10)
    break_it(cluster, "2")
    cluster.sleep(5)
    before = sizes(cluster)
    assert before == {"1": 8, "2": 4}, "surge 2: at most 12 pods"
    cluster.api.update_scale("Deployment", "web", replicas=50)
    cluster.sleep(2)
    assert sizes(cluster) == {"1": 37, "2": 19}, "8 * 56 / 12 = 37.3, 4 * 56 / 12 = 18.7"
    for created in cluster.api.list("ReplicaSet")["items"]:
        assert (
            created["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] == "50"
        )
        assert created["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "56"
    result = cluster.explain("deploy/web").decisions
    assert any(step.rule == "proportional scaling" for d in result for step in d.steps)


def test_scaling_a_finished_rollout_changes_one_set(cluster: Cluster) -> None:
    """Progressing is not touched; the Deployment keeps its revision."""
    cluster.api.create(deployment(replicas=2))
    cluster.sleep(5)
    before = condition(cluster)
    cluster.api.update_scale("Deployment", "web", replicas=6)
    cluster.sleep(10)
    assert sizes(cluster) == {"1": 6}
    assert condition(cluster) == before
    assert status(cluster)["availableReplicas"] == 6
    cluster.api.update_scale("Deployment", "web", replicas=0)
    cluster.sleep(10)
    assert sizes(cluster) == {"1": 0}
    assert "replicas" not in status(cluster)
    assert condition(cluster, "Available")["status"] == "True"


def test_a_paused_deployment_only_scales(cluster: Cluster) -> None:
    """A new template waits, a new size does not; resuming starts the deadline over."""
    cluster.api.create(deployment(replicas=3))
    cluster.sleep(5)
    cluster.api.patch("Deployment", "web", {"spec": {"paused": True}})
    cluster.sleep(1)
    assert condition(cluster)["reason"] == "DeploymentPaused"
    assert condition(cluster)["message"] == "Deployment is paused"
    change(cluster, "2")
    cluster.api.update_scale("Deployment", "web", replicas=5)
    cluster.sleep(1200)
    assert sizes(cluster) == {"1": 5}
    assert versions(cluster) == {"1": 5}
    assert condition(cluster)["status"] == "Unknown", "no deadline runs while it is paused"
    assert "spec.paused" in str(cluster.explain("deploy/web"))
    cluster.api.patch("Deployment", "web", {"spec": {"paused": None}})
    cluster.sleep(30)
    assert versions(cluster) == {"2": 5}
    assert condition(cluster)["reason"] == "NewReplicaSetAvailable"


def test_recreate_stops_all_before_it_starts_any(cluster: Cluster) -> None:
    """No moment with pods of both versions."""
    cluster.api.create(deployment(replicas=4, strategy={"type": "Recreate"}))
    cluster.sleep(5)
    notes = cluster.api.list("ReplicaSet")["items"][0]["metadata"]["annotations"]
    assert notes["deployment.kubernetes.io/max-replicas"] == "4"
    watch = cluster.api.watch("Pod")
    alive: dict[str, str] = {p["metadata"]["name"]: "1" for p in cluster.api.list("Pod")["items"]}
    change(cluster, "2")
    cluster.sleep(30)
    for event in watch.poll():
        name = event.object["metadata"]["name"]
        if event.type == "DELETED":
            del alive[name]
        else:
            alive[name] = (event.object["metadata"].get("annotations") or {}).get("version", "1")
        assert len(set(alive.values())) <= 1, "pods of both versions at once"
    assert versions(cluster) == {"2": 4}
    result = [d.verdict for d in cluster.explain("deploy/web").decisions]
    assert any("old pods have not ended" in verdict for verdict in result)


def test_the_history_limit_holds(cluster: Cluster) -> None:
    """Empty ReplicaSets beyond the limit are deleted when a rollout is complete, oldest first."""
    cluster.api.create(deployment(replicas=1, revisionHistoryLimit=2))
    for version in "23456":
        cluster.sleep(20)
        change(cluster, version)
    cluster.sleep(20)
    assert sorted(sizes(cluster)) == ["4", "5", "6"]
    assert versions(cluster) == {"6": 1}


def test_orphans_are_adopted_and_strangers_let_go(cluster: Cluster) -> None:
    """A matching ReplicaSet without owner is taken; one whose label changes is released."""
    cluster.api.create(deployment(replicas=2))
    cluster.sleep(5)
    (mine,) = cluster.api.list("ReplicaSet")["items"]
    labels = {"app": "web", "track": "stray"}
    template = deployment()["spec"]["template"]
    orphan = {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": "stray", "labels": labels},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {**template, "metadata": {"labels": labels}},
        },
    }
    cluster.api.create(orphan)
    cluster.sleep(20)
    result = cluster.api.get("ReplicaSet", "stray")
    assert result["metadata"]["ownerReferences"][0]["name"] == "web"
    assert result["spec"]["replicas"] == 0, "its pods are of another template"
    name = mine["metadata"]["name"]
    cluster.api.patch("ReplicaSet", name, {"metadata": {"labels": {"app": "else"}}})
    cluster.sleep(1)
    assert not cluster.api.get("ReplicaSet", name)["metadata"].get("ownerReferences")


def test_the_annotation_of_old_clients_rolls_back(cluster: Cluster) -> None:
    """To a revision or to the last one; a wrong one is refused with a warning."""
    key = "deprecated.deployment.rollback.to"

    def ask(revision: str) -> None:
        cluster.api.patch("Deployment", "web", {"metadata": {"annotations": {key: revision}}})
        cluster.sleep(20)
        assert key not in cluster.api.get("Deployment", "web")["metadata"]["annotations"]

    cluster.api.create(deployment(replicas=2))
    cluster.sleep(5)
    ask("0")
    change(cluster, "2")
    cluster.sleep(20)
    ask("1")
    assert versions(cluster) == {"1": 2}
    assert events(cluster, "DeploymentRollback") == ['Rolled back deployment "web" to revision 1']
    ask("0")
    assert versions(cluster) == {"2": 2}, "0 is the last one"
    ask("77")
    ask(cluster.api.get("Deployment", "web")["metadata"]["annotations"][REVISION])
    assert events(cluster, "DeploymentRollbackRevisionNotFound") == [
        "Unable to find last revision.",
        "Unable to find the revision to rollback to.",
    ]
    message = 'The rollback revision contains the same template as current deployment "web"'
    assert events(cluster, "DeploymentRollbackTemplateUnchanged") == [message]


def test_a_hash_collision_is_got_around(cluster: Cluster) -> None:
    """A stranger has the name: the collision is counted, and another hash is taken."""
    cluster.api.create(deployment(replicas=2))
    cluster.sleep(5)
    (mine,) = cluster.api.list("ReplicaSet")["items"]
    stranger = {**mine, "metadata": {"name": mine["metadata"]["name"]}}
    del stranger["status"]
    cluster.api.delete("Deployment", "web")
    cluster.sleep(10)
    labels = {"app": "other"}
    stranger["spec"] = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {**mine["spec"]["template"], "metadata": {"labels": labels}},
    }
    cluster.api.create(stranger)
    cluster.api.create(deployment(replicas=2))
    cluster.sleep(10)
    assert status(cluster)["collisionCount"] == 1
    assert status(cluster)["availableReplicas"] == 2
    assert controller_of(cluster, DeploymentController).statistics()["collisions"] == 1


def test_min_ready_seconds_slow_a_rollout_down(cluster: Cluster) -> None:
    """Ready is not available; the new value reaches the ReplicaSet that is there already."""
    cluster.api.create(deployment(replicas=2, minReadySeconds=30))
    cluster.sleep(10)
    assert status(cluster)["readyReplicas"] == 2
    assert "availableReplicas" not in status(cluster)
    assert "2 x ready, but not yet for 30 s" in str(cluster.explain("deploy/web"))
    cluster.sleep(30)
    assert status(cluster)["availableReplicas"] == 2
    cluster.api.patch("Deployment", "web", {"spec": {"minReadySeconds": 5}})
    cluster.sleep(1)
    assert cluster.api.list("ReplicaSet")["items"][0]["spec"]["minReadySeconds"] == 5


def test_deleting_it_collects_everything(cluster: Cluster) -> None:
    """ReplicaSets and pods are deleted with it."""
    cluster.api.create(deployment(replicas=2))
    cluster.sleep(5)
    cluster.api.delete("Deployment", "web")
    cluster.sleep(10)
    assert cluster.api.list("ReplicaSet")["items"] == []
    assert cluster.api.list("Pod")["items"] == []


def test_one_that_is_being_deleted_makes_nothing_new(cluster: Cluster) -> None:
    """Foreground: its ReplicaSets are deleted first; until then only the status is written."""
    cluster.api.create(deployment(replicas=2))
    cluster.sleep(5)
    watch = cluster.api.watch("ReplicaSet")
    cluster.api.delete("Deployment", "web", propagation_policy="Foreground")
    cluster.sleep(30)
    assert not [event for event in watch.poll() if event.type == "ADDED"]
    for kind in ("Deployment", "ReplicaSet", "Pod"):
        assert cluster.api.list(kind)["items"] == []


def test_orphans_of_a_deleted_deployment_are_taken_by_the_next(cluster: Cluster) -> None:
    """kubectl delete --cascade=orphan, then the same manifest: the pods are adopted."""
    cluster.api.create(deployment(replicas=3))
    cluster.sleep(5)
    pods = {pod["metadata"]["uid"] for pod in cluster.api.list("Pod")["items"]}
    cluster.api.delete("Deployment", "web", propagation_policy="Orphan")
    cluster.sleep(10)
    assert not cluster.api.list("Deployment")["items"]
    cluster.api.create(deployment(replicas=3))
    cluster.sleep(10)
    assert {pod["metadata"]["uid"] for pod in cluster.api.list("Pod")["items"]} == pods
    assert sizes(cluster) == {"1": 3}
    assert condition(cluster)["reason"] == "NewReplicaSetAvailable"


def test_change_cause_goes_along(cluster: Cluster) -> None:
    """Annotations of the Deployment are copied to its new ReplicaSet."""
    created = deployment(replicas=1)
    created["metadata"]["annotations"] = {"kubernetes.io/change-cause": "first"}
    cluster.api.create(created)
    cluster.sleep(2)
    notes = cluster.api.list("ReplicaSet")["items"][0]["metadata"]["annotations"]
    assert notes["kubernetes.io/change-cause"] == "first"
