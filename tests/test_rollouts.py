"""`kubectl rollout` for Python: its words as rows, and its verbs on a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.ctl import rollout as rollouts
from kubesim.errors import BadRequest, NotFound
from kubesim.objects.progress import progress_of
from kubesim.simple import autopod


def document(kind: str, generation: int = 2, spec: Any = None, **status: Any) -> dict[str, Any]:
    """A workload ``web`` with three replicas; observed generation 2 by default."""
    return {
        "kind": kind,
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": 3, **(spec or {})},
        "status": {"observedGeneration": 2, **status},
    }


LATE = {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}
WAIT = 'Waiting for deployment "web" rollout to finish: '
DAEMON = 'Waiting for daemon set "web" rollout to finish: '
PARTED = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


@pytest.mark.parametrize(
    ("workload", "text", "done"),
    [
        (
            document("Deployment", 3),
            "Waiting for deployment spec update to be observed...",
            False,
        ),
        (
            document("Deployment", updatedReplicas=1, replicas=4),
            f"{WAIT}1 out of 3 new replicas have been updated...",
            False,
        ),
        (
            document("Deployment", updatedReplicas=3, replicas=4),
            f"{WAIT}1 old replicas are pending termination...",
            False,
        ),
        (
            document("Deployment", updatedReplicas=3, replicas=3, availableReplicas=2),
            f"{WAIT}2 of 3 updated replicas are available...",
            False,
        ),
        (
            document("Deployment", updatedReplicas=3, replicas=3, availableReplicas=3),
            'deployment "web" successfully rolled out',
            True,
        ),
        (
            document("Deployment", **LATE),
            'error: deployment "web" exceeded its progress deadline',
            True,
        ),
        (
            document("StatefulSet", 3),
            "Waiting for statefulset spec update to be observed...",
            False,
        ),
        (document("StatefulSet", readyReplicas=1), "Waiting for 2 pods to be ready...", False),
        (
            document("StatefulSet", spec=PARTED, readyReplicas=3, updatedReplicas=1),
            "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated...",
            False,
        ),
        (
            document("StatefulSet", spec=PARTED, readyReplicas=3, updatedReplicas=2),
            "partitioned roll out complete: 2 new pods have been updated...",
            True,
        ),
        (
            document(
                "StatefulSet",
                readyReplicas=3,
                updatedReplicas=1,
                currentRevision="a",
                updateRevision="b",
            ),
            "waiting for statefulset rolling update to complete 1 pods at revision b...",
            False,
        ),
        (
            document(
                "StatefulSet",
                readyReplicas=3,
                currentReplicas=3,
                currentRevision="a",
                updateRevision="a",
            ),
            "statefulset rolling update complete 3 pods at revision a...",
            True,
        ),
        (
            document("StatefulSet", spec=ON_DELETE),
            "error: rollout status is only available for RollingUpdate strategy type",
            True,
        ),
        (
            document("DaemonSet", 3),
            "Waiting for daemon set spec update to be observed...",
            False,
        ),
        (
            document("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=1),
            f"{DAEMON}1 out of 3 new pods have been updated...",
            False,
        ),
        (
            document(
                "DaemonSet",
                desiredNumberScheduled=3,
                updatedNumberScheduled=3,
                numberAvailable=2,
            ),
            f"{DAEMON}2 of 3 updated pods are available...",
            False,
        ),
        (document("DaemonSet"), 'daemon set "web" successfully rolled out', True),
    ],
)
def test_status_in_kubectl_s_words(workload: dict[str, Any], text: str, done: bool) -> None:
    """One line for each stage of a rollout."""
    assert progress_of(workload)[:2] == (text, done)


def deployment(**metadata: Any) -> dict[str, Any]:
    """A Deployment of two."""
    labels = {"app": "web"}
    pod = {"containers": [{"name": "main", "image": "kubesim/pod:1"}]}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", **metadata},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@pytest.fixture
def cluster() -> Any:
    """Two nodes and the Deployment, rolled out."""
    with Cluster(nodes=2, seed=1, hpa=False) as made:
        made.api.create(deployment(annotations={rollouts.CHANGE_CAUSE: "first"}))
        made.sleep(5)
        yield made


def set_image(cluster: Cluster, tag: str, cause: str | None = None) -> None:
    """Change the image and the change-cause."""
    pod = {"containers": [{"name": "main", "image": f"kubesim/pod:{tag}"}]}
    patch: dict[str, Any] = {"spec": {"template": {"spec": pod}}}
    patch["metadata"] = {"annotations": {rollouts.CHANGE_CAUSE: cause}}
    cluster.api.patch("Deployment", "web", patch)


def images(cluster: Cluster) -> set[str]:
    """Of the pods that stay."""
    return {
        pod["spec"]["containers"][0]["image"]
        for pod in cluster.api.list("Pod")["items"]
        if "deletionTimestamp" not in pod["metadata"]
    }


def test_history_names_each_version_and_its_cause(cluster: Cluster) -> None:
    """By number; after an undo the revision has its new number only."""
    web = cluster.rollout("deployment/web")
    for tag, cause in (("2", "second"), ("3", None)):
        set_image(cluster, tag, cause)
        cluster.sleep(20)
    assert [row[:3] for row in web.history()] == [
        (1, "first", "kubesim/pod:1"),
        (2, "second", "kubesim/pod:2"),
        (3, "<none>", "kubesim/pod:3"),
    ]
    assert web.undo(to_revision=1) == "deployment.apps/web rolled back"
    cluster.sleep(20)
    assert [row[:2] for row in web.history()] == [(2, "second"), (3, "<none>"), (4, "first")]
    assert images(cluster) == {"kubesim/pod:1"}
    assert web.status() == 'deployment "web" successfully rolled out'


def test_undo_without_a_number_swaps_the_last_two(cluster: Cluster) -> None:
    """Two undos lead to the first template."""
    set_image(cluster, "2")
    cluster.sleep(20)
    for expected in ("1", "2"):
        rollouts.undo(cluster.api, "deploy/web")
        cluster.sleep(20)
        assert images(cluster) == {f"kubesim/pod:{expected}"}


def test_undo_refuses_in_kubectl_s_words(cluster: Cluster) -> None:
    """No earlier revision, no such revision, the same template, a paused Deployment."""
    web = cluster.rollout("deployments/default/web")
    with pytest.raises(BadRequest, match='no rollout history found for deployment "web"'):
        web.undo()
    with pytest.raises(NotFound, match="unable to find specified revision 7 in history"):
        web.undo(7)
    skipped = "skipped rollback (current template already matches revision 1)"
    assert web.undo(1) == f"deployment.apps/web {skipped}"
    web.pause()
    with pytest.raises(BadRequest, match="you cannot rollback a paused deployment"):
        web.undo(1)


def test_pause_and_resume(cluster: Cluster) -> None:
    """Several changes become one revision; pausing or resuming twice is refused."""
    web = cluster.rollout("deploy/web")
    assert web.pause() == "deployment.apps/web paused"
    with pytest.raises(BadRequest, match=r'deployments\.apps "web" is already paused'):
        web.pause()
    with pytest.raises(BadRequest, match="can't restart paused deployment"):
        web.restart()
    set_image(cluster, "2")
    cluster.sleep(10)
    set_image(cluster, "3")
    cluster.sleep(10)
    assert images(cluster) == {"kubesim/pod:1"}
    assert rollouts.resume(cluster.api, "deploy/web") == "deployment.apps/web resumed"
    with pytest.raises(BadRequest, match=r'deployments\.apps "web" is not paused'):
        web.resume()
    cluster.sleep(20)
    assert images(cluster) == {"kubesim/pod:3"}
    assert [version.number for version in web.versions()] == [1, 2]


def test_restart_makes_all_pods_anew(cluster: Cluster) -> None:
    """By an annotation with the clock's time; a second one in the same second is refused."""
    before = {pod["metadata"]["uid"] for pod in cluster.api.list("Pod")["items"]}
    web = cluster.rollout("deploy/web")
    assert web.restart() == "deployment.apps/web restarted"
    with pytest.raises(BadRequest, match="within the past second"):
        web.restart()
    cluster.sleep(20)
    pods = cluster.api.list("Pod")["items"]
    assert not before & {pod["metadata"]["uid"] for pod in pods}
    notes = {pod["metadata"]["annotations"][rollouts.RESTARTED_AT] for pod in pods}
    assert notes == {"2025-01-01T00:00:05Z"}
    assert cluster.wait_until(lambda: web.progress().done)


def test_a_reference_must_name_a_workload(cluster: Cluster) -> None:
    """kind/name or kind/namespace/name, of a kind that is rolled out, and it must exist."""
    for wrong in ("web", "deploy/", "a/b/c/d", "pod/web"):
        with pytest.raises(BadRequest):
            cluster.rollout(wrong)
    with pytest.raises(NotFound):
        cluster.rollout("deploy/nobody").status()
    assert "not found" in repr(cluster.rollout("deploy/nobody"))
    assert repr(cluster.rollout("deploy/web")).endswith("successfully rolled out")


def test_a_stateful_set_is_rolled_back_to_a_revision(cluster: Cluster) -> None:
    """Its revisions are ControllerRevisions; after an undo the revision gets the next number."""
    cluster.api.create(autopod.workload("db", replicas=2))
    cluster.sleep(10)
    db = cluster.rollout("sts/db")
    assert db.status() == "partitioned roll out complete: 2 new pods have been updated..."
    db.restart()
    cluster.sleep(60)
    assert [version.number for version in db.versions()] == [1, 2]
    assert db.undo() == "statefulset.apps/db rolled back"
    cluster.sleep(60)
    pods = [p for p in cluster.api.list("Pod")["items"] if p["metadata"]["name"].startswith("db-")]
    assert all(rollouts.RESTARTED_AT not in p["metadata"].get("annotations", {}) for p in pods)
    assert [version.number for version in db.versions()] == [2, 3]
    raw = dict(db.versions()[0].holder["data"])  # what kubectl sends to undo
    cluster.api.patch("StatefulSet", "db", raw, patch_type="strategic")
    cluster.sleep(60)
    assert [version.number for version in db.versions()] == [3, 4]
    pods = [p for p in cluster.api.list("Pod")["items"] if p["metadata"]["name"].startswith("db-")]
    assert all(rollouts.RESTARTED_AT in p["metadata"]["annotations"] for p in pods)
    with pytest.raises(BadRequest, match=r'statefulsets\.apps "db" pausing is not supported'):
        db.pause()


def test_a_daemon_set_has_the_same_verbs(cluster: Cluster) -> None:
    """Restart, undo, and kubectl's messages for the kind."""
    labels = {"app": "agent"}
    pod = {"containers": [{"name": "main", "image": "kubesim/agent:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    cluster.api.create({"kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec})
    cluster.sleep(10)
    agent = cluster.rollout("ds/agent")
    assert agent.status() == 'daemon set "agent" successfully rolled out'
    assert agent.restart() == "daemonset.apps/agent restarted"
    assert agent.status() == "Waiting for daemon set spec update to be observed..."
    cluster.sleep(60)
    assert agent.undo() == "daemonset.apps/agent rolled back"
    cluster.sleep(60)
    assert agent.progress().done
    assert [version.number for version in agent.versions()] == [2, 3]
