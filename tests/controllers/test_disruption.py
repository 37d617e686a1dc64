"""PodDisruptionBudgets: counting as rows, and the controller with evictions and faults."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import Flaky, controller_of, events_of

from kubesim import Cluster
from kubesim.controllers.disruption.controller import DisruptionController, unmanaged_message
from kubesim.controllers.disruption.plan import BudgetPod, healthy_pods, still_disrupted
from kubesim.errors import TooManyRequests

A, B = BudgetPod("a"), BudgetPod("b")


@pytest.mark.parametrize(
    ("pods", "noted", "now", "kept", "overdue", "look_again"),
    [
        ([A], {}, 500.0, [], (), None),
        ([A], {"a": "100"}, 101.0, ["a"], (), 220.0),
        ([A], {"a": "100"}, 220.0, ["a"], (), 220.0),
        ([A], {"a": "100"}, 220.5, [], ("a",), None),
        ([BudgetPod("a", terminating=True)], {"a": "100"}, 101.0, [], (), None),
        ([B], {"a": "100"}, 101.0, [], (), None),
        ([A, B], {"a": "100", "b": "90"}, 101.0, ["a", "b"], (), 210.0),
    ],
)
def test_how_long_an_evicted_pod_is_remembered(
    pods: Any, noted: Any, now: float, kept: Any, overdue: Any, look_again: Any
) -> None:
    """Until it is terminating or deleted, at most 120 s: overdue is strictly after that."""
    result = still_disrupted(pods, noted, now, float)
    assert (list(result.kept), result.overdue, result.look_again) == (kept, overdue, look_again)


@pytest.mark.parametrize(
    ("pods", "disrupted", "now", "healthy"),
    [
        ([A, B], {}, 0.0, 2),
        ([A, BudgetPod("b", ready=False)], {}, 0.0, 1),
        ([A, BudgetPod("b", terminating=True)], {}, 0.0, 1),
        ([A, B], {"b": "100"}, 219.0, 1),
        ([A, B], {"b": "100"}, 220.0, 2),
    ],
)
def test_who_counts_as_healthy(pods: Any, disrupted: Any, now: float, healthy: int) -> None:
    """Ready, staying, and not evicted within the last 120 s."""
    assert healthy_pods(pods, disrupted, now, float) == healthy


def test_the_selector_in_an_event_is_shown_as_go_prints_it() -> None:
    """People grep for these texts."""
    expression = {"key": "k", "operator": "In", "values": ["a", "b"]}
    selector = {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [expression]}
    assert (
        "(selector: &LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:"
        "[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[a b],},},})"
    ) in unmanaged_message(selector)


# -- the controller on virtual time ----------------------------------------------------------------


def workload(replicas: int, name: str = "web", kind: str = "ReplicaSet") -> dict[str, Any]:
    """A workload of small pods with label app=web."""
    container = {"name": "main", "image": "kubesim/pod", "resources": {"requests": {"cpu": "1m"}}}
    labels = {"app": "web", "of": name}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def budget(**spec: Any) -> dict[str, Any]:
    """A budget for app=web."""
    selector = {"matchLabels": {"app": "web"}}
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"selector": selector, **spec},
    }


def counts(cluster: Cluster) -> tuple[int, int, int, int]:
    """expected, desired, healthy, allowed."""
    status = cluster.api.get("PodDisruptionBudget", "web")["status"]
    fields = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    return tuple(status[field] for field in fields)  # type: ignore[return-value]


def reason(cluster: Cluster) -> str:
    """Of the condition DisruptionAllowed."""
    (condition,) = cluster.api.get("PodDisruptionBudget", "web")["status"]["conditions"]
    assert condition["type"] == "DisruptionAllowed"
    return str(condition["reason"])


def names(cluster: Cluster) -> list[str]:
    """Pods that stay."""
    items = cluster.api.list("Pod")["items"]
    return sorted(p["metadata"]["name"] for p in items if "deletionTimestamp" not in p["metadata"])


@pytest.fixture
def cluster() -> Any:
    """Three nodes, nothing on them."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        yield created


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 2}, (7, 2, 7, 5)),
        ({"minAvailable": 9}, (7, 9, 7, 0)),
        ({"minAvailable": "50%"}, (7, 4, 7, 3)),
        ({"maxUnavailable": "30%"}, (7, 4, 7, 3)),
        ({"maxUnavailable": 1}, (7, 6, 7, 1)),
        ({"maxUnavailable": 0}, (7, 7, 7, 0)),
        ({"maxUnavailable": "100%"}, (7, 0, 7, 7)),
        ({}, (0, 0, 7, 0)),
    ],
)
def test_the_counts_of_seven_pods(cluster: Cluster, spec: Any, expected: Any) -> None:
    """Percentages round up, of what is available as of what is not."""
    cluster.api.create(workload(7))
    cluster.api.create(budget(**spec))
    cluster.sleep(10)
    assert counts(cluster) == expected
    assert reason(cluster) == ("SufficientPods" if expected[3] else "InsufficientPods")
    result = cluster.api.get("PodDisruptionBudget", "web")["status"]
    assert result["observedGeneration"] == 1
    assert result["conditions"][0]["observedGeneration"] == 1


def test_percentages_are_of_what_the_controllers_want(cluster: Cluster) -> None:
    """Not of the pods that are there: each distinct controller counts once."""
    cluster.api.create(workload(4))
    cluster.api.create(workload(2, "more", "StatefulSet"))
    cluster.api.create(budget(minAvailable="50%"))
    cluster.sleep(15)
    assert counts(cluster) == (6, 3, 6, 3)
    cluster.api.update_scale("ReplicaSet", "web", replicas=500)  # more than three nodes take
    cluster.sleep(5)
    expected, desired, healthy, _ = counts(cluster)
    assert (expected, desired) == (502, 251)
    assert healthy < 502


def test_a_deployment_counts_for_its_replicasets(cluster: Cluster) -> None:
    """The wanted number is the Deployment's, whatever its ReplicaSets say."""
    deployment = workload(5, kind="Deployment")
    controller = controller_of(cluster, DisruptionController)
    created = cluster.api.create({**deployment, "spec": {**deployment["spec"], "paused": True}})
    owned = workload(2)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True}
    owned["metadata"]["ownerReferences"] = [{**owner, "uid": created["metadata"]["uid"]}]
    replicaset = cluster.api.create(owned)
    reference = {"kind": "ReplicaSet", "name": "web", "uid": replicaset["metadata"]["uid"]}
    pod = {"metadata": {"name": "p", "namespace": "default"}}
    assert controller._scale_of(reference, pod) == (created["metadata"]["uid"], 5)
    cluster.api.delete("Deployment", "web")
    assert controller._scale_of(reference, pod) == (replicaset["metadata"]["uid"], 2)


def test_no_pods_no_disruptions(cluster: Cluster) -> None:
    """Reported once as an event; no disruption is allowed until the first pods are counted."""
    cluster.api.create(budget(minAvailable=0))
    cluster.sleep(5)
    assert counts(cluster) == (0, 0, 0, 0)
    assert events_of(cluster, "PodDisruptionBudget", "NoPods") == ["No matching pods found"]
    assert "no pod is expected" in str(cluster.explain("pdb/web").latest)


def test_bare_pods_are_reported(cluster: Cluster) -> None:
    """With an integer they count; a percentage needs a controller."""
    pod = workload(1)["spec"]["template"]
    cluster.api.create({"kind": "Pod", **pod, "metadata": {"name": "bare", **pod["metadata"]}})
    cluster.api.create(budget(maxUnavailable=1))
    cluster.sleep(5)
    assert counts(cluster) == (0, 0, 1, 0)
    (expected_message,) = events_of(cluster, "PodDisruptionBudget", "UnmanagedPods")
    assert expected_message.startswith(
        "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{"
    )
    assert expected_message.endswith(
        'please set ".spec.minAvailable" field of the PDB to an integer value.'
    )
    cluster.api.patch(
        "PodDisruptionBudget", "web", {"spec": {"maxUnavailable": None, "minAvailable": 0}}
    )
    cluster.sleep(5)
    assert counts(cluster) == (1, 0, 1, 1)


@pytest.mark.parametrize(
    ("owner", "expected_message"),
    [
        (("ReplicaSet", "gone"), 'found no controllers for pod "odd"'),
        (("Robot", "r2"), 'found no controllers for pod "odd"'),
        (("DaemonSet", "d"), "daemonsets.apps does not implement the scale subresource"),
    ],
)
def test_an_unknown_controller_allows_nothing(
    cluster: Cluster, owner: Any, expected_message: str
) -> None:
    """SyncFailed, and the refusal says why."""
    cluster.api.create(workload(3))
    cluster.api.create(budget(maxUnavailable=1))
    cluster.sleep(10)
    assert counts(cluster)[3] == 1
    pod = workload(1)["spec"]["template"]
    reference = {"apiVersion": "v1", "kind": owner[0], "name": owner[1], "uid": "u"}
    metadata = {"name": "odd", **pod["metadata"]}
    metadata["ownerReferences"] = [{**reference, "controller": True}]
    metadata["finalizers"] = ["example.com/stay"]  # or the garbage collector would take it
    cluster.api.create({"kind": "Pod", **pod, "metadata": metadata})
    cluster.sleep(2)
    assert counts(cluster)[3] == 0
    assert reason(cluster) == "SyncFailed"
    reported = events_of(cluster, "PodDisruptionBudget", "CalculateExpectedPodCountFailed")
    assert reported == [f"Failed to calculate the number of expected pods: {expected_message}"]
    with pytest.raises(TooManyRequests) as caught:
        cluster.api.evict(next(name for name in names(cluster) if name != "odd"))
    assert caught.value.causes[0].message.endswith(f"because it failed sync: {expected_message}")
    assert expected_message in str(cluster.explain("pdb/web").latest)


def test_a_drain_waits_for_the_budget(cluster: Cluster) -> None:
    """Evicting everything at once: the budget allows one, the next once another pod is ready."""
    cluster.api.create(workload(3))
    cluster.api.create(budget(minAvailable=2))
    cluster.sleep(10)
    first, second, third = names(cluster)
    cluster.api.evict(first)
    with pytest.raises(TooManyRequests) as caught:
        cluster.api.evict(second)
    # The status still shows three healthy pods, since nobody has counted anew.
    expected_message = "The disruption budget web does not allow evicting pods currently"
    assert caught.value.causes[0].message == expected_message
    cluster.sleep(0.5)
    verdicts = [str(decision) for decision in cluster.explain(f"pod/{first}").decisions]
    expected_message = "budget web allowed a disruption, and has one less now"
    assert sum(expected_message in verdict for verdict in verdicts) == 1
    assert counts(cluster)[3] == 0
    with pytest.raises(TooManyRequests, match="disruption budget"):
        cluster.api.evict(third)
    cluster.sleep(5)
    assert counts(cluster) == (3, 2, 3, 1)
    cluster.api.evict(second)
    cluster.sleep(5)
    assert len(names(cluster)) == 3
    assert not {first, second} & set(names(cluster))


def test_scaling_down_asks_no_budget(cluster: Cluster) -> None:
    """It only lowers the number of healthy pods."""
    cluster.api.create(workload(4))
    cluster.api.create(budget(minAvailable=3))
    cluster.sleep(10)
    cluster.api.update_scale("ReplicaSet", "web", replicas=1)
    cluster.sleep(5)
    assert counts(cluster) == (1, 3, 1, 0)


def test_an_eviction_that_is_never_done_is_forgotten(cluster: Cluster) -> None:
    """The pod counts again after two minutes, and an event says that it was not deleted."""
    cluster.api.create(workload(3))
    cluster.api.create(budget(minAvailable=2))
    cluster.sleep(10)
    victim = names(cluster)[0]
    result = cluster.api.get("PodDisruptionBudget", "web")
    noted = {"disruptedPods": {victim: cluster.clock.timestamp()}, "disruptionsAllowed": 0}
    cluster.api.update_status({**result, "status": {**result["status"], **noted}})
    cluster.sleep(1)
    assert counts(cluster) == (3, 2, 2, 0)
    cluster.sleep(118)
    assert counts(cluster) == (3, 2, 2, 0)
    before = controller_of(cluster, DisruptionController).counts["reconciled"]
    cluster.sleep(3)
    assert counts(cluster) == (3, 2, 3, 1)
    assert controller_of(cluster, DisruptionController).counts["reconciled"] - before < 5
    expected_message = "Pod was expected by PDB default/web to be deleted but it wasn't"
    assert events_of(cluster, "Pod", "NotDeleted") == [expected_message]


@pytest.mark.parametrize("seed", range(4))
def test_conflicts_never_let_too_many_go(seed: int) -> None:
    """One write in ten fails, evictions at every moment: two pods stay healthy throughout."""
    with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
        cluster.api.create(workload(4))
        cluster.api.create(budget(minAvailable=2))
        cluster.sleep(10)
        flaky = Flaky(cluster.api, 0.1, seed)
        evicted = 0
        for step in range(60):
            cluster.sleep(0.3)
            listed = names(cluster)
            flaky.share = 0.0
            try:
                cluster.api.evict(listed[step % len(listed)])
                evicted += 1
            except TooManyRequests:
                pass
            healthy = [
                p
                for p in cluster.api.snapshot("Pod")[0]
                if "deletionTimestamp" not in p["metadata"]
                and any(
                    c["type"] == "Ready" and c["status"] == "True"
                    for c in p["status"].get("conditions", ())
                )
            ]
            assert len(healthy) >= 2
            flaky.share = 0.1
        cluster.sleep(120)
        assert evicted > 5
        assert flaky.raised > 0
        assert counts(cluster) == (4, 2, 4, 2)


def test_the_explanation_has_the_figures(cluster: Cluster) -> None:
    """How many are healthy, and how many of how many are needed."""
    cluster.api.create(workload(3))
    cluster.api.create(budget(maxUnavailable=1))
    cluster.sleep(10)
    assert "1 eviction allowed: 3 healthy, 2 needed of 3" in str(cluster.explain("pdb/web"))
