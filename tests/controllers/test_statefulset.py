"""StatefulSets: the plan as rows, and the controller under faults."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import replace_controller

from kubesim import Cluster
from kubesim.controllers.statefulset.controller import StatefulSetController
from kubesim.controllers.statefulset.plan import (
    SetPod,
    SetSpec,
    ordinal_of,
    plan,
    resolve_max_unavailable,
    revision_for,
    status_of,
)
from kubesim.controllers.statefulset.revisions import beyond_history_limit
from kubesim.controllers.statefulset.volumeclaims import claims_of, volumes_of
from kubesim.errors import Forbidden
from kubesim.simple import autopod

OK = {"revision": "new"}
WRITES = ("create", "update", "update_status", "update_scale", "delete")


def spec(replicas: int, **options: Any) -> SetSpec:
    """A spec with the newest revision called "new"."""
    return SetSpec("web", replicas, update_revision="new", **options)


def pod(ordinal: int, **facts: Any) -> SetPod:
    """A healthy pod of the newest revision."""
    return SetPod(ordinal, **{**OK, **facts})


@pytest.mark.parametrize(
    ("wanted", "pods", "create", "delete"),
    [
        (spec(3), [], (0,), ()),
        (spec(3), [pod(0)], (1,), ()),
        (spec(3), [pod(0, ready=False)], (), ()),
        (spec(3), [pod(0, terminating=True)], (), ()),
        (spec(3), [pod(0, phase="Failed")], (), (0,)),
        (spec(3), [pod(0, phase="Succeeded")], (), (0,)),
        (spec(2), [pod(0), pod(1), pod(2)], (), (2,)),
        (spec(1), [pod(0), pod(1), pod(2)], (), (2,)),
        # A healthy condemned pod goes at once; an unhealthy one unless it is the lowest unhealthy.
        (spec(1), [pod(0), pod(1, ready=False), pod(2)], (), (2,)),
        (spec(1), [pod(0), pod(1, ready=False), pod(2, ready=False)], (), ()),
        (spec(1), [pod(0), pod(1, terminating=True), pod(2)], (), (2,)),
        (spec(1), [pod(0), pod(1, terminating=True), pod(2, ready=False)], (), ()),
        (spec(1), [pod(0), pod(1, phase="Pending", ready=False)], (), (1,)),
        (spec(1), [pod(0), pod(1), pod(2, ready=False)], (), (2,)),
        (spec(1), [pod(0), pod(1, terminating=True)], (), ()),
        (spec(2, start=5), [], (5,), ()),
        (spec(3, parallel=True), [], (0, 1, 2), ()),
        (spec(3, parallel=True), [pod(1, ready=False)], (0, 2), ()),
        (spec(1, parallel=True), [pod(0), pod(1), pod(2)], (), (2, 1)),
        (spec(2, parallel=True), [pod(0, phase="Failed"), pod(1)], (), (0,)),
        (spec(2), [pod(0, revision="old"), pod(1, revision="old")], (), (1,)),
        (spec(2), [pod(0, revision="old"), pod(1)], (), (0,)),
        (spec(2), [pod(0, revision="old"), pod(1, ready=False)], (), ()),
        (spec(2, partition=1), [pod(0, revision="old"), pod(1)], (), ()),
        (spec(2, rolling=False), [pod(0, revision="old"), pod(1)], (), ()),
        (spec(2, parallel=True), [pod(0, revision="old"), pod(1, revision="old")], (), (1,)),
        (spec(0), [pod(0)], (), (0,)),
        (spec(2), [pod(0), pod(1)], (), ()),
        # Ordinals below the start are condemned, too; the highest goes first.
        (spec(2, start=1), [pod(0), pod(1), pod(2)], (), (0,)),
        (spec(1, start=1), [pod(0), pod(1), pod(2)], (), (2,)),
        # The partition counts from the first ordinal, whatever its number.
        (spec(3, start=5, partition=2), [pod(o, revision="old") for o in (5, 6, 7)], (), (7,)),
        (
            spec(3, start=5, partition=2),
            [pod(5, revision="old"), pod(6, revision="old"), pod(7)],
            (),
            (),
        ),
        (spec(2, partition=9), [pod(0, revision="old"), pod(1, revision="old")], (), ()),
        # Parallel: an update goes on beside creations, and waits for the pod that was just made.
        (spec(3, parallel=True), [pod(1), pod(2, revision="old")], (0,), (2,)),
        (spec(3, parallel=True), [pod(0, revision="old"), pod(1, revision="old")], (2,), ()),
        (
            spec(2, parallel=True),
            [pod(0, revision="old"), pod(1, phase="Failed", revision="old")],
            (),
            (1,),
        ),
        # Parallel replaces a broken pod of an older revision; OrderedReady waits for it for ever.
        (spec(1, parallel=True), [pod(0, revision="bad", ready=False)], (), (0,)),
        (spec(1), [pod(0, revision="bad", ready=False)], (), ()),
        # The gate MaxUnavailableStatefulSet.
        (spec(4, max_unavailable=2), [pod(o, revision="old") for o in range(4)], (), (3, 2)),
        (
            spec(4, max_unavailable=2, parallel=True),
            [
                pod(0, revision="old"),
                pod(1, revision="old"),
                pod(2, revision="old"),
                pod(3, ready=False),
            ],
            (),
            (2,),
        ),
        (
            spec(3, max_unavailable=2, parallel=True),
            [pod(0, revision="old"), pod(1, ready=False), pod(2, terminating=True)],
            (),
            (),
        ),
        (
            spec(4, max_unavailable=3, partition=2, parallel=True),
            [pod(o, revision="old") for o in range(4)],
            (),
            (3, 2),
        ),
        (spec(2, max_unavailable=2), [pod(0), pod(1)], (), ()),
    ],
)
def test_the_next_step(wanted: SetSpec, pods: list[SetPod], create: Any, delete: Any) -> None:
    """Ordered: one at a time; parallel: all at once; updates from the highest down."""
    decided = plan(wanted, pods, now=100.0)
    assert (decided.create, decided.delete) == (create, delete)
    assert decided.reason


def test_a_condemned_pod_waits_until_it_is_available() -> None:
    """Ready for less than minReadySeconds: it goes once these have passed, not for ever later."""
    wanted = spec(1, min_ready_seconds=10)
    pods = [pod(0), pod(1, ready_since=95.0)]
    waiting = plan(wanted, pods, now=100.0)
    assert (waiting.delete, waiting.look_again, waiting.waits_for) == ((), 105.0, 1)
    assert plan(wanted, pods, now=105.0).delete == (1,)


def test_availability_is_inclusive_and_checked_again() -> None:
    """Ready for minReadySeconds, the moment itself included (1.34)."""
    wanted = spec(2, min_ready_seconds=10)
    young = [pod(0, ready_since=91.0)]
    assert plan(wanted, young, now=100.0).look_again == 101.0
    assert plan(wanted, young, now=101.0).create == (1,)


@pytest.mark.parametrize(
    ("value", "replicas", "expected"),
    [(None, 10, 1), (3, 10, 3), ("25%", 10, 2), ("25%", 3, 1), ("100%", 4, 4), (0, 5, 1)],
)
def test_max_unavailable_rounds_down_and_is_at_least_one(
    value: Any, replicas: int, expected: int
) -> None:
    """A Deployment rounds down to 0, a DaemonSet up; this one stops at 1."""
    assert resolve_max_unavailable(value, replicas) == expected


def test_what_the_status_counts() -> None:
    """Terminating pods are replicas, and ready while they are; not current and not updated."""
    pods = [
        pod(0, revision="old"),
        pod(1, revision="old", terminating=True),
        pod(2),
        pod(3, ready=False),
        pod(4, ready_since=95.0),
    ]
    result = status_of(spec(5, min_ready_seconds=10), pods, "old", now=100.0)
    assert result == {
        "replicas": 5,
        "readyReplicas": 4,
        "availableReplicas": 3,
        "currentReplicas": 1,
        "updatedReplicas": 3,
        "currentRevision": "old",
        "updateRevision": "new",
    }
    done = status_of(spec(2), [pod(0), pod(1)], "old", now=0.0)
    assert (done["currentRevision"], done["currentReplicas"]) == ("new", 2)
    held = status_of(spec(2, partition=1), [pod(0, revision="old"), pod(1)], "old", now=0.0)
    assert held["currentRevision"] == "old"


def test_revisions_in_use_are_never_trimmed() -> None:
    """The lowest numbers are deleted first, beyond the limit."""
    known = [{"metadata": {"name": name}, "revision": n} for n, name in enumerate("cabd")]
    deleted = [revision["metadata"]["name"] for revision in beyond_history_limit(known, {"a"}, 1)]
    assert deleted == ["c", "b"]
    assert beyond_history_limit(known, set("abcd"), 0) == []


CLAIMING = {
    "metadata": {"name": "db", "namespace": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "db"}},
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data", "labels": {"tier": "fast"}},
                "spec": {"accessModes": ["ReadWriteOnce"]},
            }
        ],
    },
}


def test_each_pod_has_claims_of_its_own() -> None:
    """template-set-ordinal, with the selector's labels; a volume of that name is replaced."""
    (claim,) = claims_of(CLAIMING, 2)
    assert claim["metadata"] == {
        "name": "data-db-2",
        "namespace": "shop",
        "labels": {"tier": "fast", "app": "db"},
    }
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"]}
    given = [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    assert volumes_of(CLAIMING, 2, given) == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-2"}},
        {"name": "tmp", "emptyDir": {}},
    ]


def test_names_carry_ordinals() -> None:
    """Only canonical numbers of this very set."""
    assert [ordinal_of("web", name) for name in ("web-0", "web-12", "web-01", "web-x", "db-1")] == [
        0,
        12,
        None,
        None,
        None,
    ]
    assert revision_for(spec(3, partition=2), 1, "old") == "old"
    assert revision_for(spec(3, partition=2), 2, "old") == "new"


def names(cluster: Cluster) -> list[str]:
    """Pods of the workload that are not terminating."""
    return sorted(p["name"] for p in cluster.api.list_pods() if p["status"] == "Running")


@pytest.fixture
def cluster() -> Any:
    """Three nodes, and a set of three that no autoscaler touches."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        created.api.create(autopod.workload("web", replicas=3))
        yield created


def test_scaling_up_and_down(cluster: Cluster) -> None:
    """The highest ordinals are created last and deleted first."""
    cluster.sleep(5)
    assert names(cluster) == ["web-0", "web-1", "web-2"]
    cluster.api.update_scale("StatefulSet", "web", replicas=5)
    cluster.sleep(5)
    assert names(cluster) == [f"web-{n}" for n in range(5)]
    cluster.api.update_scale("StatefulSet", "web", replicas=2)
    cluster.sleep(5)
    assert names(cluster) == ["web-0", "web-1"]
    status = cluster.api.get("StatefulSet", "web")["status"]
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (2, 2, 2)
    assert "web-2" in str(cluster.explain("statefulset/web").decisions)


def test_a_rolling_update_replaces_one_pod_at_a_time(cluster: Cluster) -> None:
    """From the highest ordinal down; each next one when the last is ready."""
    cluster.sleep(5)
    watch = cluster.api.watch("Pod")
    patch = {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}
    cluster.api.patch("StatefulSet", "web", patch)
    cluster.sleep(60)
    deleted = [e.object["metadata"]["name"] for e in watch.poll() if e.type == "DELETED"]
    assert deleted == ["web-2", "web-1", "web-0"]
    pods = cluster.api.list("Pod")["items"]
    assert all(p["metadata"]["annotations"]["v"] == "2" for p in pods)
    status = cluster.api.get("StatefulSet", "web")["status"]
    assert status["currentRevision"] == status["updateRevision"]


def test_deleting_the_set_collects_its_pods(cluster: Cluster) -> None:
    """The garbage collector looks at uids: a set recreated does not own the old pods."""
    cluster.sleep(5)
    cluster.api.delete("StatefulSet", "web")
    cluster.sleep(5)
    assert cluster.api.list_pods() == []


def test_pods_of_a_node_that_is_gone_are_removed_and_recreated(cluster: Cluster) -> None:
    """Pod garbage collection after its quarantine, then the controller and the scheduler."""
    cluster.sleep(5)
    node = cluster.api.get("Pod", "web-0")["spec"]["nodeName"]
    cluster.api.delete("Node", node)
    cluster.sleep(70)
    assert names(cluster) == ["web-0", "web-1", "web-2"]
    assert cluster.api.get("Pod", "web-0")["spec"]["nodeName"] != node


def ordered(name: str = "db", replicas: int = 3, **spec: Any) -> dict[str, Any]:
    """A set that starts one pod after the other."""
    created = autopod.workload(name, replicas)
    created["spec"].update({"podManagementPolicy": "OrderedReady", **spec})
    return created


def template_note(cluster: Cluster, name: str, **notes: Any) -> None:
    """Another template."""
    annotations = {key.replace("_", "-"): value for key, value in notes.items()}
    if "start-seconds" in annotations:
        annotations["kubesim.dev/start-seconds"] = annotations.pop("start-seconds")
    template = {"metadata": {"annotations": annotations}}
    cluster.api.patch("StatefulSet", name, {"spec": {"template": template}})


def revisions(cluster: Cluster, name: str = "db") -> dict[int, str]:
    """Names of the set's ControllerRevisions by number."""
    return {
        revision["revision"]: revision["metadata"]["name"]
        for revision in cluster.api.list("ControllerRevision")["items"]
        if revision["metadata"]["name"].startswith(f"{name}-")
    }


def test_a_reverted_template_does_not_repair_a_broken_pod() -> None:
    """The known trap: the pod has to be deleted by hand, and the explanation says so."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        cluster.api.create(ordered())
        template_note(cluster, "db", start_seconds="1")
        cluster.sleep(20)
        template_note(cluster, "db", start_seconds="100000")
        cluster.sleep(60)
        assert cluster.api.get("Pod", "db-2")["status"]["phase"] == "Pending"
        template_note(cluster, "db", start_seconds="1")
        cluster.sleep(120)
        assert cluster.api.get("Pod", "db-2")["status"]["phase"] == "Pending"
        status = cluster.api.get("StatefulSet", "db")["status"]
        assert (status["readyReplicas"], status["updatedReplicas"]) == (2, 2)
        why = cluster.explain("sts/db").latest
        assert why.binding == "waiting for db-2 to be running and ready"
        assert "somebody deletes db-2" in why.would_change_if
        cluster.api.delete("Pod", "db-2")
        cluster.sleep(30)
        assert cluster.api.get("Pod", "db-2")["status"]["phase"] == "Running"
        status = cluster.api.get("StatefulSet", "db")["status"]
        assert status["currentRevision"] == status["updateRevision"]


def test_an_old_template_gets_its_revision_again_with_the_next_number() -> None:
    """Numbers only rise; annotations are copied; the template is a replacing patch."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        created = ordered(replicas=1)
        created["metadata"]["annotations"] = {"kubernetes.io/change-cause": "first"}
        created["spec"]["template"]["metadata"]["annotations"] = {"v": "1"}
        cluster.api.create(created)
        cluster.sleep(10)
        before = revisions(cluster)
        assert list(before) == [1]
        kept = cluster.api.get("ControllerRevision", before[1])
        assert kept["metadata"]["annotations"] == {"kubernetes.io/change-cause": "first"}
        assert kept["data"]["spec"]["template"]["$patch"] == "replace"
        template_note(cluster, "db", v="2")
        cluster.sleep(30)
        template_note(cluster, "db", v="1")
        cluster.sleep(30)
        after = revisions(cluster)
        assert sorted(after) == [2, 3]
        pod_labels = cluster.api.get("Pod", "db-0")["metadata"]["labels"]
        assert pod_labels["controller-revision-hash"] == after[3]


def test_revisions_beyond_the_limit_go() -> None:
    """Those in use do not count."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        cluster.api.create(ordered(replicas=1, revisionHistoryLimit=2))
        for version in "23456":
            cluster.sleep(30)
            template_note(cluster, "db", v=version)
        cluster.sleep(30)
        assert sorted(revisions(cluster)) == [4, 5, 6]


def test_below_the_partition_pods_come_back_as_they_were() -> None:
    """A canary: only db-2 is of the new revision, even after db-0 was deleted."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        cluster.api.create(ordered(updateStrategy=rolling))
        cluster.sleep(20)
        template_note(cluster, "db", v="2")
        cluster.sleep(30)
        cluster.api.delete("Pod", "db-0")
        cluster.sleep(30)
        result = {
            pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get("v")
            for pod in cluster.api.list("Pod")["items"]
        }
        assert result == {"db-0": None, "db-1": None, "db-2": "2"}
        status = cluster.api.get("StatefulSet", "db")["status"]
        assert (status["updatedReplicas"], status["currentReplicas"]) == (1, 2)


@pytest.mark.parametrize(("gate", "most"), [(False, 1), (True, 2)])
def test_max_unavailable_needs_its_gate(gate: bool, most: int) -> None:
    """Without it, even a Parallel set updates one pod at a time."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        replace_controller(cluster, StatefulSetController, max_unavailable=gate)
        created = autopod.workload("web", replicas=4)
        created["spec"]["updateStrategy"] = {"rollingUpdate": {"maxUnavailable": "50%"}}
        cluster.api.create(created)
        cluster.sleep(20)
        watch = cluster.api.watch("StatefulSet")
        template_note(cluster, "web", v="2")
        cluster.sleep(60)
        ready = [event.object["status"]["readyReplicas"] for event in watch.poll()]
        assert 4 - min(ready) == most
        pods = cluster.api.list("Pod")["items"]
        assert [pod["metadata"]["annotations"]["v"] for pod in pods] == ["2"] * 4


def test_a_matching_orphan_is_adopted() -> None:
    """By selector and name; another name is left alone."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        template = ordered()["spec"]["template"]
        for name in ("db-0", "db-x"):
            metadata = {**template["metadata"], "name": name}
            cluster.api.create({"kind": "Pod", **template, "metadata": metadata})
        cluster.sleep(5)
        cluster.api.create(ordered(replicas=2))
        cluster.sleep(20)
        owners = {
            pod["metadata"]["name"]: [o["name"] for o in pod["metadata"].get("ownerReferences", ())]
            for pod in cluster.api.list("Pod")["items"]
        }
        assert owners == {"db-0": ["db"], "db-x": [], "db-1": ["db"]}


def test_failures_are_reported_and_the_status_is_written_all_the_same() -> None:
    """FailedCreate and FailedDelete with the server's words."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        cluster.api.create(autopod.workload("web", replicas=2))
        cluster.sleep(5)
        create, delete = cluster.api.create, cluster.api.delete

        def refuse_create(document: Any, **options: Any) -> Any:
            if document.get("kind") == "Pod":
                raise Forbidden("exceeded quota", hint="ours")
            return create(document, **options)

        def refuse_delete(kind: str, *args: Any, **options: Any) -> Any:
            if kind == "Pod" and cluster.clock.inside_worker():
                raise Forbidden("protected", hint="ours")
            return delete(kind, *args, **options)

        cluster.api.create = refuse_create  # type: ignore[method-assign]
        cluster.api.update_scale("StatefulSet", "web", replicas=3)
        cluster.sleep(5)
        observed = cluster.api.get("StatefulSet", "web")["status"]["observedGeneration"]
        assert observed == cluster.api.get("StatefulSet", "web")["metadata"]["generation"]
        cluster.api.delete = refuse_delete  # type: ignore[method-assign]
        cluster.api.update_scale("StatefulSet", "web", replicas=1)
        cluster.sleep(5)
        reported = {e["reason"]: e["message"] for e in cluster.api.list("Event")["items"]}
        message = "create Pod web-2 in StatefulSet web failed error: exceeded quota"
        assert reported["FailedCreate"] == message
        message = "delete Pod web-1 in StatefulSet web failed error: protected"
        assert reported["FailedDelete"] == message


def test_claims_are_made_once_and_outlive_their_pods() -> None:
    """Plain objects, created before the pod, with their own events; scaling down keeps them."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        created = ordered(volumeClaimTemplates=CLAIMING["spec"]["volumeClaimTemplates"])
        created["spec"]["volumeClaimTemplates"][0]["spec"]["resources"] = {
            "requests": {"storage": "1Gi"}
        }
        cluster.api.create(created)
        cluster.sleep(20)
        cluster.api.update_scale("StatefulSet", "db", replicas=1)
        cluster.sleep(20)
        cluster.api.update_scale("StatefulSet", "db", replicas=2)
        cluster.sleep(20)
        names = [c["metadata"]["name"] for c in cluster.api.list("PersistentVolumeClaim")["items"]]
        assert sorted(names) == ["data-db-0", "data-db-1", "data-db-2"]
        volumes = cluster.api.get("Pod", "db-1")["spec"]["volumes"]
        assert volumes[0]["persistentVolumeClaim"] == {"claimName": "data-db-1"}
        reported = [e for e in cluster.api.list("Event")["items"] if "Claim" in e["message"]]
        message = "create Claim data-db-1 Pod db-1 in StatefulSet db success"
        assert [(e["reason"], e["count"]) for e in reported if e["message"] == message] == [
            ("SuccessfulCreate", 1)
        ]


def claim_names(cluster: Cluster) -> list[str]:
    """Claims in the cluster, sorted."""
    return sorted(c["metadata"]["name"] for c in cluster.api.list("PersistentVolumeClaim")["items"])


@pytest.mark.parametrize(
    ("policy", "after_scale", "after_delete"),
    [
        ({}, [0, 1, 2], [0, 1, 2]),
        ({"whenScaled": "Delete"}, [0], [0]),
        ({"whenDeleted": "Delete"}, [0, 1, 2], []),
        ({"whenScaled": "Delete", "whenDeleted": "Delete"}, [0], []),
    ],
)
def test_claims_go_with_whom_the_retention_policy_says(
    policy: dict[str, str], after_scale: list[int], after_delete: list[int]
) -> None:
    """With the set, or with pods that are scaled away; the garbage collector does it."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        created = ordered(
            volumeClaimTemplates=CLAIMING["spec"]["volumeClaimTemplates"],
            persistentVolumeClaimRetentionPolicy=policy,
        )
        cluster.api.create(created)
        cluster.sleep(20)
        assert claim_names(cluster) == ["data-db-0", "data-db-1", "data-db-2"]
        cluster.api.update_scale("StatefulSet", "db", replicas=1)
        cluster.sleep(30)
        assert claim_names(cluster) == [f"data-db-{ordinal}" for ordinal in after_scale]
        cluster.api.delete("StatefulSet", "db")
        cluster.sleep(30)
        assert claim_names(cluster) == [f"data-db-{ordinal}" for ordinal in after_delete]


def test_a_pod_waits_until_the_claim_of_its_last_life_has_gone() -> None:
    """Down and up again at once: the new pod gets a new claim."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        created = ordered(
            volumeClaimTemplates=CLAIMING["spec"]["volumeClaimTemplates"],
            persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"},
            replicas=2,
        )
        cluster.api.create(created)
        cluster.sleep(20)
        before = cluster.api.get("PersistentVolumeClaim", "data-db-1")["metadata"]["uid"]
        cluster.api.update_scale("StatefulSet", "db", replicas=1)
        cluster.sleep(0.2)
        cluster.api.update_scale("StatefulSet", "db", replicas=2)
        cluster.sleep(60)
        assert cluster.api.get("Pod", "db-1")["status"]["phase"] == "Running"
        after = cluster.api.get("PersistentVolumeClaim", "data-db-1")
        assert after["metadata"]["uid"] != before
        assert not after["metadata"].get("ownerReferences")
