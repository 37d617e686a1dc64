"""Deployments under faults: conflicts, late watch events, restarts, ties; and autoscaled."""

from __future__ import annotations

import random
from typing import Any

import pytest
from controller_faults import Flaky, controller_of, replace_controller
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
from kubesim.clock import VirtualClock
from kubesim.controllers.deployment.controller import MAX_RETRIES, DeploymentController
from kubesim.errors import BadRequest, Cause, Forbidden


@pytest.fixture
def cluster() -> Any:
    """Three nodes, nothing on them."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        yield created


def within_limits(cluster: Cluster, watch: Any, replicas: int, surge: int, deleted: int) -> None:
    """All that a watch of ReplicaSets from their beginning has seen stayed between the limits."""
    size: dict[str, int] = {}
    for event in watch.poll():
        name = event.object["metadata"]["name"]
        size[name] = 0 if event.type == "DELETED" else event.object["spec"]["replicas"]
        assert sum(size.values()) <= replicas + surge
    assert sum(size.values()) >= replicas - deleted


@pytest.mark.parametrize("seed", range(8))
def test_conflicts_everywhere_change_nothing_in_the_end(seed: int) -> None:
    """One write in eight fails; the rollout still ends, inside its limits."""
    with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
        cluster.api.create(deployment())
        cluster.sleep(5)
        watch = cluster.api.watch("ReplicaSet", resource_version="0")
        flaky = Flaky(cluster.api, 0.125, seed, when=cluster.clock.inside_worker)
        for version in ("2", "3"):
            change(cluster, version)
            cluster.sleep(300)
            assert versions(cluster) == {version: 10}
        assert flaky.raised > 10
        within_limits(cluster, watch, 10, 3, 2)
        assert condition(cluster)["reason"] == "NewReplicaSetAvailable"


@pytest.mark.parametrize("latency", [0.3, 2.0, 7.0])
def test_late_watch_events_never_break_the_limits(latency: float) -> None:
    """However late the cache: no second ReplicaSet for a template, never too many pods wanted."""
    with Cluster(nodes=3, seed=2, hpa=False) as cluster:
        lagging = replace_controller(cluster, DeploymentController, watch_latency_seconds=latency)
        watch = cluster.api.watch("ReplicaSet", resource_version="0")
        cluster.api.create(deployment())
        for version in ("1", "2", "3"):
            if version != "1":
                change(cluster, version)
            for _ in range(200):
                cluster.sleep(0.7)
                lagging.queue.add("default/web")
            assert versions(cluster) == {version: 10}
        assert sizes(cluster) == {"1": 0, "2": 0, "3": 10}
        within_limits(cluster, watch, 10, 3, 2)
        assert "collisionCount" not in status(cluster)


def test_a_fresh_controller_goes_on_in_the_middle(cluster: Cluster) -> None:
    """A controller keeps no state of its own; the deadline continues, too."""
    cluster.api.create(deployment())
    cluster.sleep(5)
    break_it(cluster, "2")
    cluster.sleep(300)
    replace_controller(cluster, DeploymentController)
    cluster.sleep(295)
    assert sizes(cluster) == {"1": 8, "2": 5}
    assert condition(cluster)["status"] == "True"
    cluster.sleep(15)
    assert condition(cluster)["reason"] == "ProgressDeadlineExceeded"


def test_reconciling_twice_does_nothing_more(cluster: Cluster) -> None:
    """Level-triggered: finished, stuck or paused, the second time there is nothing left to do."""
    cluster.api.create(deployment())
    cluster.sleep(10)
    for act in (
        lambda: None,
        lambda: break_it(cluster, "2"),
        lambda: cluster.api.patch("Deployment", "web", {"spec": {"paused": True}}),
    ):
        act()
        cluster.sleep(10)
        revision, reported = cluster.store.revision, len(cluster.explain("deploy/web").decisions)
        controller_of(cluster, DeploymentController).reconcile("default/web")
        controller_of(cluster, DeploymentController).reconcile("default/web")
        assert cluster.store.revision == revision
        assert len(cluster.explain("deploy/web").decisions) == reported


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_ties_does_not_matter(seed: int) -> None:
    """Shuffled ties: the same end, and the same first three steps."""
    with Cluster(nodes=3, hpa=False, clock=VirtualClock(shuffle_seed=seed)) as cluster:
        cluster.api.create(deployment())
        cluster.sleep(10)
        change(cluster, "2")
        cluster.sleep(30)
        assert versions(cluster) == {"2": 10}
        reported = [message.split(" from ")[1] for message in events(cluster)[1:4]]
        assert reported == ["0 to 3", "10 to 8", "3 to 5"]


def test_the_same_seed_gives_the_same_history() -> None:
    """Byte for byte, stuck rollout and all."""
    digests = set()
    for _ in range(2):
        with Cluster(nodes=3, seed=5, hpa=False, digest=True) as cluster:
            cluster.api.create(deployment())
            cluster.sleep(10)
            break_it(cluster, "2")
            cluster.sleep(30)
            change(cluster, "3")
            cluster.sleep(60)
            digests.add(cluster.digest())
    assert len(digests) == 1


def test_a_change_in_the_middle_of_a_rollout_takes_over(cluster: Cluster) -> None:
    """The unfinished version becomes old, and its unavailable pods are deleted first."""
    cluster.api.create(deployment())
    cluster.sleep(10)
    break_it(cluster, "2")
    cluster.sleep(5)
    change(cluster, "3")
    cluster.sleep(0.5)
    assert sizes(cluster)["2"] < 5, "pods that serve nobody are taken first"
    assert sizes(cluster)["1"] == 8
    cluster.sleep(60)
    assert sizes(cluster) == {"1": 0, "2": 0, "3": 10}


def test_a_change_of_size_that_meets_the_only_active_set_stops_the_rollout(
    cluster: Cluster,
) -> None:
    """As upstream: a scaling event with nothing to scale never ends; the explanation names it."""
    replace_controller(cluster, DeploymentController, watch_latency_seconds=0.5)
    limits = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}
    cluster.api.create(deployment(replicas=5, strategy=limits))
    cluster.sleep(10)
    change(cluster, "2")
    assert cluster.wait_until(lambda: sizes(cluster) == {"1": 3, "2": 0})
    cluster.api.update_scale("Deployment", "web", replicas=3)
    cluster.sleep(60)
    assert sizes(cluster) == {"1": 3, "2": 0}
    why = cluster.explain("deploy/web").latest
    assert why.binding.startswith("a scaling event that never ends")
    assert "was scaled last for 5, but spec.replicas is 3" in why.steps[0].result
    assert why.would_change_if == "spec.replicas is changed once more"
    cluster.api.update_scale("Deployment", "web", replicas=4)
    cluster.sleep(60)
    assert versions(cluster) == {"2": 4}


def test_an_empty_selector_is_refused(cluster: Cluster) -> None:
    """The server never lets one in; a store from elsewhere might hold one."""
    cluster.api.create(deployment(replicas=1))
    cluster.sleep(5)
    key = cluster.api.registry.find("Deployment").key("default", "web")
    kept = cluster.store.get(key)
    assert kept is not None
    document = {**kept.value, "spec": {**kept.value["spec"], "selector": {}}}
    document["metadata"] = {**document["metadata"], "generation": 2}
    cluster.store.set(key, document)
    replace_controller(cluster, DeploymentController)
    cluster.sleep(5)
    assert events(cluster, "SelectingAll") == [
        "This deployment is selecting all pods. A non-empty selector is required."
    ]
    assert status(cluster)["observedGeneration"] == 2
    assert len(cluster.api.list("ReplicaSet")["items"]) == 1


def meddle(cluster: Cluster, rng: random.Random, lag: float) -> None:
    """One thing that people do to a Deployment, or that happens to it."""
    name, web = rng.choice("abcd"), cluster.rollout("deploy/web")
    strategies: list[dict[str, Any]] = [
        {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}},
        {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}},
        {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    ]

    def kill() -> None:
        pods = cluster.api.list("Pod")["items"]
        if pods:
            cluster.api.delete("Pod", rng.choice(pods)["metadata"]["name"])

    def undo() -> None:
        versions = web.versions()
        web.undo(rng.choice(versions).number if versions else None)

    deeds: list[Any] = [
        lambda: change(cluster, name),
        lambda: break_it(cluster, name),
        lambda: cluster.api.update_scale("Deployment", "web", replicas=rng.randint(0, 6)),
        lambda: cluster.api.patch(
            "Deployment", "web", {"spec": {"strategy": rng.choice(strategies)}}
        ),
        kill,
        undo,
        web.pause,
        web.resume,
        web.restart,
        lambda: replace_controller(cluster, DeploymentController, watch_latency_seconds=lag),
    ]
    try:
        rng.choice(deeds)()
    except BadRequest:  # paused already, or not; nothing to go back to: kubectl would say so
        cluster.clock.sleep(0.1)


@pytest.mark.parametrize(("seed", "lag"), [(seed, seed % 2 * 0.4) for seed in range(16)])
def test_whatever_is_done_to_it_it_ends_where_it_should(seed: int, lag: float) -> None:
    """Thirty random actions at random times; then a good version and a new size: complete."""
    rng = random.Random(seed)
    with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
        cluster.api.create(deployment(replicas=4))
        for _ in range(30):
            meddle(cluster, rng, lag)
            cluster.sleep(rng.choice((0.0, 0.3, 1.0, 3.0, 20.0)))
        cluster.api.patch("Deployment", "web", {"spec": {"paused": None}})
        change(cluster, "last")
        cluster.api.update_scale("Deployment", "web", replicas=9)
        cluster.sleep(200)
        assert versions(cluster) == {"last": 9}
        assert cluster.rollout("deploy/web").status() == 'deployment "web" successfully rolled out'
        actual = list(sizes(cluster).values())
        assert sorted(actual) == [0] * (len(actual) - 1) + [9]
        assert controller_of(cluster, DeploymentController).statistics().get("errors", 0) == 0
        numbers = [version.number for version in cluster.rollout("deploy/web").versions()]
        # A late cache may not show the newest number when the next one is given, as upstream.
        assert lag or len(set(numbers)) == len(numbers), "no two ReplicaSets have one revision"
        revision = cluster.api.get("Deployment", "web")["metadata"]["annotations"][REVISION]
        assert int(revision) == max(numbers)


@pytest.mark.live
def test_a_rollout_on_the_live_clock() -> None:
    """The same code with a thread for each component: it ends, and inside its limits."""
    with Cluster(nodes=2, seed=1, hpa=False, clock="live", speed=20) as cluster:
        cluster.api.create(deployment(replicas=4))
        web = cluster.rollout("deploy/web")
        assert cluster.wait_until(lambda: web.progress().done, 3_000)
        watch = cluster.api.watch("ReplicaSet", resource_version="0")
        change(cluster, "2")
        assert cluster.wait_until(lambda: web.progress().done, 3_000)
        within_limits(cluster, watch, 4, 1, 1)
        assert cluster.wait_until(lambda: versions(cluster) == {"2": 4}, 3_000)


def test_a_refused_replica_set_is_reported_and_dropped(cluster: Cluster) -> None:
    """ReplicaSetCreateError as condition and event; after 15 retries the key is dropped."""
    create, calls = cluster.api.create, 0

    def refuse(document: Any, **options: Any) -> Any:
        nonlocal calls
        if document.get("kind") == "ReplicaSet":
            calls += 1
            raise Forbidden("replicasets is forbidden: exceeded quota", hint="ours")
        return create(document, **options)

    cluster.api.create = refuse  # type: ignore[method-assign]
    cluster.api.create(deployment(replicas=1))
    cluster.sleep(30)
    actual = condition(cluster)
    assert (actual["status"], actual["reason"]) == ("False", "ReplicaSetCreateError")
    assert actual["message"].startswith('Failed to create new replica set "web-')
    assert actual["message"].endswith('": replicasets is forbidden: exceeded quota')
    assert events(cluster, "ReplicaSetCreateError") == [actual["message"]]
    cluster.sleep(500)
    assert calls <= MAX_RETRIES + 3
    assert controller_of(cluster, DeploymentController).statistics()["dropped"] == 1
    cluster.api.create = create  # type: ignore[method-assign]
    change(cluster, "2")
    cluster.sleep(10)
    assert versions(cluster) == {"2": 1}


def test_a_terminating_namespace_is_not_complained_about(cluster: Cluster) -> None:
    """Nothing that anybody could mend: no event and no condition."""
    create = cluster.api.create

    def refuse(document: Any, **options: Any) -> Any:
        if document.get("kind") == "ReplicaSet":
            cause = Cause("metadata.namespace", "NamespaceTerminating", "gone soon")
            raise Forbidden("terminating", causes=[cause])
        return create(document, **options)

    cluster.api.create = refuse  # type: ignore[method-assign]
    cluster.api.create(deployment(replicas=1))
    cluster.sleep(5)
    assert condition(cluster) == {}
    assert events(cluster, "ReplicaSetCreateError") == []


def test_refused_pods_become_replica_failure(cluster: Cluster) -> None:
    """The Deployment copies the condition of the ReplicaSet, and removes it with it."""
    create, refusing = cluster.api.create, True

    def refuse(document: Any, **options: Any) -> Any:
        if document.get("kind") == "Pod" and refusing:
            raise Forbidden("exceeded quota", hint="ours")
        return create(document, **options)

    cluster.api.create = refuse  # type: ignore[method-assign]
    cluster.api.create(deployment(replicas=2))
    cluster.sleep(5)
    actual = condition(cluster, "ReplicaFailure")
    assert (actual["reason"], actual["message"]) == ("FailedCreate", "exceeded quota")
    assert "replica failure: exceeded quota" in str(cluster.explain("deploy/web"))
    refusing = False
    cluster.sleep(60)
    assert condition(cluster, "ReplicaFailure") == {}
    assert status(cluster)["availableReplicas"] == 2


def autoscaler(low: int, high: int) -> dict[str, Any]:
    """Keeps the Deployment at 50 % of its CPU request."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ],
        },
    }


def test_an_autoscaler_drives_a_deployment_in_a_closed_loop() -> None:
    """Load up, pods up; a rollout under load keeps serving; load down, pods down."""
    created = deployment(replicas=2)
    template = created["spec"]["template"]
    template["metadata"]["annotations"] = {"kubesim.dev/workload": '{"model": "load"}'}
    container = template["spec"]["containers"][0]
    container["resources"]["requests"] = {"cpu": "200m", "memory": "64Mi"}
    with Cluster(nodes=5, seed=3, hpa=False) as cluster:
        cluster.api.create(created)
        cluster.api.create(autoscaler(2, 20))
        cluster.set_traffic(60, workload="web")
        cluster.sleep(240)
        busy = cluster.api.get("Deployment", "web")["spec"]["replicas"]
        assert busy > 4
        assert status(cluster)["availableReplicas"] == busy
        assert sum(sizes(cluster).values()) == busy
        watch = cluster.api.watch("Deployment")
        change(cluster, "2")
        cluster.sleep(120)
        least = min(e.object["status"].get("availableReplicas", 0) for e in watch.poll())
        assert least >= busy - busy // 4, "maxUnavailable holds under load"
        assert set(versions(cluster)) == {"2"}
        cluster.set_traffic(2, workload="web")
        cluster.sleep(900)
        assert cluster.api.get("Deployment", "web")["spec"]["replicas"] == 2
        assert versions(cluster) == {"2": 2}
        assert cluster.api.get("Deployment", "web")["metadata"]["annotations"][REVISION] == "2"
