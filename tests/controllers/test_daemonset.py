"""The DaemonSet controller on virtual time: nodes that come and change, rollouts, faults."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import (
    controller_of,
    events_of,
    pods_refused,
)

from kubesim import Cluster
from kubesim.controllers.daemonset.controller import DaemonSetController
from kubesim.controllers.daemonset.nodes import target_of


def daemonset(**changes: Any) -> dict[str, Any]:
    """A DaemonSet ``agent`` of small pods; changes of the spec, pod_spec of the template's."""
    pod_spec = changes.pop("pod_spec", {})
    container = {"name": "main", "image": "kubesim/pod", "resources": {"requests": {"cpu": "1m"}}}
    labels = {"app": "agent"}
    return {
        "kind": "DaemonSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], **pod_spec},
            },
            **changes,
        },
    }


def rolling(**numbers: Any) -> dict[str, Any]:
    """An update strategy."""
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": numbers}}


@pytest.fixture
def cluster() -> Any:
    """Four nodes, nothing on them."""
    with Cluster(nodes=4, seed=1, hpa=False) as created:
        yield created


def pods_of(cluster: Cluster) -> list[dict[str, Any]]:
    """Pods that are not terminating."""
    items = cluster.api.list("Pod")["items"]
    return [p for p in items if "deletionTimestamp" not in p["metadata"]]


def places(cluster: Cluster) -> list[str]:
    """The nodes that pods run on, or were created for, sorted."""
    return sorted(target_of(pod) for pod in pods_of(cluster))


def images(cluster: Cluster) -> list[str]:
    """The images of the pods by node."""
    pods = sorted(pods_of(cluster), key=target_of)
    return [pod["spec"]["containers"][0]["image"] for pod in pods]


def status_of(cluster: Cluster) -> dict[str, Any]:
    """Of the DaemonSet."""
    return cluster.api.get("DaemonSet", "agent")["status"]  # type: ignore[no-any-return]


def available(cluster: Cluster) -> int:
    """Ready pods that stay."""
    return sum(
        any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"]["conditions"])
        for p in pods_of(cluster)
        if p["status"].get("conditions")
    )


def set_image(cluster: Cluster, image: str) -> None:
    """A new template."""
    result = cluster.api.get("DaemonSet", "agent")
    result["spec"]["template"]["spec"]["containers"][0]["image"] = image
    cluster.api.update(result)


def taint(cluster: Cluster, name: str, *taints: str) -> None:
    """Set the taints of a node, written ``key:effect``."""
    listed = [dict(zip(("key", "effect"), text.split(":"), strict=True)) for text in taints]
    cluster.api.patch("Node", name, {"spec": {"taints": listed}})


ALL = ["node-1", "node-2", "node-3", "node-4"]


def test_each_node_has_one(cluster: Cluster) -> None:
    """Bound by the default scheduler, with events and counts."""
    cluster.api.create(daemonset())
    cluster.sleep(10)
    assert places(cluster) == ALL
    assert all(p["spec"]["nodeName"] == target_of(p) for p in pods_of(cluster))
    result = status_of(cluster)
    assert result == {
        "desiredNumberScheduled": 4,
        "currentNumberScheduled": 4,
        "numberMisscheduled": 0,
        "numberReady": 4,
        "updatedNumberScheduled": 4,
        "numberAvailable": 4,
        "observedGeneration": 1,
    }
    names = sorted(p["metadata"]["name"] for p in pods_of(cluster))
    reported = sorted(events_of(cluster, "DaemonSet", "SuccessfulCreate"))
    assert reported == [f"Created pod: {name}" for name in names]
    assert "create a pod on node-1" in str(cluster.explain("ds/agent").decisions[0])
    labels = pods_of(cluster)[0]["metadata"]["labels"]
    assert labels["pod-template-generation"] == "1"
    (revision,) = cluster.api.list("ControllerRevision")["items"]
    assert labels["controller-revision-hash"] in revision["metadata"]["name"]
    tolerated = {t["key"] for t in pods_of(cluster)[0]["spec"]["tolerations"]}
    assert "node.kubernetes.io/unschedulable" in tolerated


def test_a_new_node_gets_its_pod(cluster: Cluster) -> None:
    """As soon as the node is there."""
    cluster.api.create(daemonset())
    cluster.sleep(10)
    node = cluster.api.get("Node", "node-1")
    status = node["status"]
    metadata = {"name": "node-9", "labels": {"kubernetes.io/hostname": "node-9"}}
    cluster.api.create({"kind": "Node", "metadata": metadata, "status": status})
    cluster.sleep(1)
    assert places(cluster) == [*ALL, "node-9"]


def test_a_full_node_keeps_the_pod_pending(cluster: Cluster) -> None:
    """The pod is created all the same, and waits for resources on its node."""
    request = {"resources": {"requests": {"cpu": "3500m"}}}
    pod = {"name": "big", "image": "i", **request}
    metadata = {"name": "big"}
    spec = {"containers": [pod], "nodeName": "node-2"}
    cluster.api.create({"kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.sleep(2)
    asks = {"name": "main", "image": "i", "resources": {"requests": {"cpu": "1"}}}
    cluster.api.create(daemonset(pod_spec={"containers": [asks]}))
    cluster.sleep(10)
    waiting = [p for p in pods_of(cluster) if not p["spec"].get("nodeName")]
    assert [target_of(p) for p in waiting] == ["node-2"]
    assert status_of(cluster)["numberUnavailable"] == 1
    cluster.api.delete("Pod", "big")
    cluster.sleep(60)
    assert status_of(cluster)["numberAvailable"] == 4


def test_labels_say_where(cluster: Cluster) -> None:
    """A new label brings a pod, a removed label deletes it."""
    cluster.api.create(daemonset(pod_spec={"nodeSelector": {"gpu": "yes"}}))
    cluster.sleep(5)
    assert places(cluster) == []
    assert "node selector or affinity does not match" in str(cluster.explain("ds/agent").latest)
    cluster.api.patch("Node", "node-2", {"metadata": {"labels": {"gpu": "yes"}}})
    cluster.sleep(5)
    assert places(cluster) == ["node-2"]
    cluster.api.patch("Node", "node-2", {"metadata": {"labels": {"gpu": "no"}}})
    cluster.sleep(5)
    assert places(cluster) == []
    assert status_of(cluster)["desiredNumberScheduled"] == 0


def test_taints_keep_away_or_drive_out(cluster: Cluster) -> None:
    """NoSchedule lets a running pod stay, misscheduled; NoExecute does not."""
    cluster.sleep(1)
    taint(cluster, "node-1", "gpu:NoSchedule")
    cluster.api.create(daemonset())
    cluster.sleep(5)
    assert places(cluster) == ALL[1:]
    taint(cluster, "node-2", "gpu:NoSchedule")
    cluster.sleep(5)
    assert places(cluster) == ALL[1:]
    result = status_of(cluster)
    assert (result["desiredNumberScheduled"], result["numberMisscheduled"]) == (2, 1)
    assert "node-1, node-2: taint gpu:NoSchedule is not tolerated" in str(
        cluster.explain("ds/agent").latest
    )
    taint(cluster, "node-2", "gpu:NoExecute")
    cluster.sleep(40)
    assert places(cluster) == ALL[2:]
    taint(cluster, "node-2")
    cluster.sleep(5)
    assert places(cluster) == ALL[1:]


def test_a_cordoned_node_keeps_its_daemon(cluster: Cluster) -> None:
    """Daemons tolerate what keeps ordinary pods away; a deleted one comes back there."""
    cluster.api.create(daemonset())
    cluster.sleep(5)
    cluster.api.patch("Node", "node-3", {"spec": {"unschedulable": True}})
    cluster.sleep(5)
    (victim,) = [p for p in pods_of(cluster) if target_of(p) == "node-3"]
    cluster.api.delete("Pod", victim["metadata"]["name"])
    cluster.sleep(60)
    assert places(cluster) == ALL
    assert status_of(cluster)["numberAvailable"] == 4


def fail(cluster: Cluster, place: str, phase: str) -> str:
    """End the pod of a node, as its kubelet would write it; returns the pod's name."""
    (pod,) = [p for p in pods_of(cluster) if target_of(p) == place]
    conditions = [{"type": "Ready", "status": "False"}]
    status = {**pod["status"], "phase": phase, "conditions": conditions}
    cluster.api.update_status({**pod, "status": status})
    return str(pod["metadata"]["name"])


def test_failed_pods_are_replaced_slower_and_slower(cluster: Cluster) -> None:
    """At once, then after the back-off of their node, each with an event."""
    created = daemonset()
    quick = {"kubesim.dev/start-seconds": "0"}
    created["spec"]["template"]["metadata"]["annotations"] = quick
    cluster.api.create(created)
    cluster.sleep(10)
    first = fail(cluster, "node-1", "Failed")
    cluster.sleep(0.4)
    (second,) = [p["metadata"]["name"] for p in pods_of(cluster) if target_of(p) == "node-1"]
    assert second != first
    fail(cluster, "node-1", "Failed")
    cluster.sleep(0.2)
    assert second in {p["metadata"]["name"] for p in pods_of(cluster)}
    message = "failed pods stay until their back-off is over: node-1"
    assert message in str(cluster.explain("ds/agent").latest)
    cluster.sleep(1.5)
    assert second not in {p["metadata"]["name"] for p in pods_of(cluster)}
    reported = events_of(cluster, "DaemonSet", "FailedDaemonPod")
    assert reported == [
        f"Found failed daemon pod default/{name} on node node-1, will try to kill it"
        for name in (first, second)
    ]
    ended = fail(cluster, "node-2", "Succeeded")
    cluster.sleep(5)
    message = f"Found succeeded daemon pod default/{ended} on node node-2, will try to delete it"
    assert events_of(cluster, "DaemonSet", "SucceededDaemonPod") == [message]
    assert places(cluster) == ALL


@pytest.mark.parametrize(("number", "fewest"), [(1, 3), ("30%", 2), ("100%", 0)])
def test_a_rolling_update(cluster: Cluster, number: Any, fewest: int) -> None:
    """Never more nodes without an available pod than allowed; percentages round up."""
    cluster.api.create(daemonset(**rolling(maxUnavailable=number)))
    cluster.sleep(10)
    set_image(cluster, "kubesim/pod:2")
    seen = []
    for _ in range(200):
        cluster.sleep(0.5)
        seen.append(available(cluster))
    assert min(seen) == fewest
    assert images(cluster) == ["kubesim/pod:2"] * 4
    result = status_of(cluster)
    assert (result["updatedNumberScheduled"], result["observedGeneration"]) == (4, 2)
    assert pods_of(cluster)[0]["metadata"]["labels"]["pod-template-generation"] == "2"


def test_an_update_with_surge_serves_throughout(cluster: Cluster) -> None:
    """New pods are created first, at most maxSurge of them; every node keeps an available pod."""
    cluster.api.create(daemonset(**rolling(maxSurge="50%", maxUnavailable=0)))
    cluster.sleep(10)
    set_image(cluster, "kubesim/pod:2")
    most = 0
    for _ in range(200):
        cluster.sleep(0.5)
        served = {
            target_of(p)
            for p in pods_of(cluster)
            if any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in p["status"].get("conditions", ())
            )
        }
        assert served == set(ALL)
        most = max(most, len(pods_of(cluster)) - 4)
    assert most == 2
    assert images(cluster) == ["kubesim/pod:2"] * 4


def test_a_broken_update_stands_still(cluster: Cluster) -> None:
    """New pods that never become ready hold the rollout; the record says which number binds."""
    cluster.api.create(daemonset())
    cluster.sleep(10)
    result = cluster.api.get("DaemonSet", "agent")
    asks = {"requests": {"cpu": "64"}}
    result["spec"]["template"]["spec"]["containers"][0]["resources"] = asks
    cluster.api.update(result)
    cluster.sleep(120)
    assert available(cluster) == 3
    assert status_of(cluster)["updatedNumberScheduled"] == 1
    latest = cluster.explain("ds/agent").latest
    assert latest.verdict.startswith("nothing to do: 3 old pods; 1 node is unavailable, at most 1")


def test_on_delete_waits_for_somebody(cluster: Cluster) -> None:
    """Only a pod that is deleted by hand is recreated from the new template."""
    cluster.api.create(daemonset(updateStrategy={"type": "OnDelete"}))
    cluster.sleep(10)
    set_image(cluster, "kubesim/pod:2")
    cluster.sleep(60)
    assert images(cluster) == ["kubesim/pod"] * 4
    (victim,) = [p for p in pods_of(cluster) if target_of(p) == "node-2"]
    cluster.api.delete("Pod", victim["metadata"]["name"])
    cluster.sleep(60)
    assert images(cluster) == ["kubesim/pod", "kubesim/pod:2", "kubesim/pod", "kubesim/pod"]


def test_min_ready_seconds_slow_the_rollout(cluster: Cluster) -> None:
    """A pod counts as available after them, without any event in between."""
    cluster.api.create(daemonset(minReadySeconds=10))
    assert cluster.wait_until(lambda: available(cluster) == 4)
    cluster.sleep(1)
    assert "numberAvailable" not in status_of(cluster)
    cluster.sleep(11)
    assert status_of(cluster)["numberAvailable"] == 4


def revisions(cluster: Cluster) -> list[int]:
    """Numbers of the kept templates."""
    return sorted(item["revision"] for item in cluster.api.list("ControllerRevision")["items"])


def test_templates_are_kept_and_numbered_again(cluster: Cluster) -> None:
    """A rollback gives the old template the next number; the oldest beyond the limit go."""
    cluster.api.create(daemonset(revisionHistoryLimit=1, **rolling(maxUnavailable="100%")))
    cluster.sleep(10)
    set_image(cluster, "kubesim/pod:2")
    cluster.sleep(60)
    assert revisions(cluster) == [1, 2]
    set_image(cluster, "kubesim/pod")
    cluster.sleep(60)
    assert revisions(cluster) == [2, 3]
    assert images(cluster) == ["kubesim/pod"] * 4
    set_image(cluster, "kubesim/pod:4")
    cluster.sleep(60)
    assert revisions(cluster) == [3, 4]


def test_a_taken_name_of_a_revision_gives_another_hash(cluster: Cluster) -> None:
    """Another template's revision has the name: a collision is counted."""
    from kubesim.controllers.daemonset.history import hash_of

    created = cluster.api.create(daemonset(), dry_run=True)
    name = f"agent-{hash_of(created)}"
    other = {"kind": "ControllerRevision", "metadata": {"name": name}, "data": {}, "revision": 1}
    cluster.api.create(other)
    cluster.api.create(daemonset())
    cluster.sleep(20)
    assert status_of(cluster)["collisionCount"] == 1
    assert status_of(cluster)["numberAvailable"] == 4


def test_orphans_are_adopted(cluster: Cluster) -> None:
    """A matching pod without controller counts for its node; there is no second one."""
    template = daemonset()["spec"]["template"]
    metadata = {"name": "bare", **template["metadata"]}
    spec = {**template["spec"], "nodeName": "node-3"}
    cluster.api.create({"kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.sleep(5)
    cluster.api.create(daemonset(updateStrategy={"type": "OnDelete"}))
    cluster.sleep(10)
    assert places(cluster) == ALL
    assert cluster.api.get("Pod", "bare")["metadata"]["ownerReferences"][0]["name"] == "agent"


def test_pods_go_with_their_daemonset(cluster: Cluster) -> None:
    """And its revisions, too."""
    cluster.api.create(daemonset())
    cluster.sleep(10)
    cluster.api.delete("DaemonSet", "agent")
    cluster.sleep(60)
    assert cluster.api.list("Pod")["items"] == []
    assert cluster.api.list("ControllerRevision")["items"] == []


def test_a_refused_creation_is_reported_and_retried(cluster: Cluster) -> None:
    """With the server's words."""
    with pods_refused(cluster, "exceeded quota"):
        cluster.api.create(daemonset())
        cluster.sleep(2)
        assert events_of(cluster, "DaemonSet", "FailedCreate") == ["Error creating: exceeded quota"]
        assert "stopped: exceeded quota" in str(cluster.explain("ds/agent").latest)
    cluster.sleep(120)
    assert status_of(cluster)["numberAvailable"] == 4


def test_a_cluster_without_daemonsets_watches_no_pods(cluster: Cluster) -> None:
    """The watches of pods and nodes begin with the first DaemonSet."""
    cluster.sleep(5)
    controller = controller_of(cluster, DaemonSetController)
    assert len(controller._on_demand) == 2
    cluster.api.create(daemonset())
    cluster.sleep(1)
    assert controller._on_demand == []
