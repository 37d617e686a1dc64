"""The namespace controller: pods first, conditions, waits, and the finalizer at the end."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver.registry import Kind
from kubesim.controllers.namespace.plan import (
    NamespaceContent,
    conditions_for,
    grace_of_pods,
)
from kubesim.errors import Forbidden
from kubesim.objects import meta
from kubesim.objects.wellknown import ROOT_CA


@pytest.fixture
def cluster() -> Any:
    """One node and a namespace ``shop`` with a running pod and a ConfigMap in it."""
    with Cluster(nodes=1, seed=5, hpa=False) as created:
        created.api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
        created.api.create({"kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "shop"}})
        created.api.create(a_pod())
        created.sleep(10)
        yield created


def a_pod(name: str = "web") -> dict[str, Any]:
    """A pod in the namespace."""
    spec = {"containers": [{"name": "main", "image": "kubesim/pod"}]}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def conditions(cluster: Cluster) -> dict[str, tuple[str, str, str]]:
    """The conditions of the namespace by type: (status, reason, message)."""
    status = cluster.api.get("Namespace", "shop")["status"]
    return {
        c["type"]: (c["status"], c["reason"], c["message"]) for c in status.get("conditions", ())
    }


def test_a_namespace_takes_everything_in_it_along(cluster: Cluster) -> None:
    """Nothing is left in any kind; a namespace of that name recreated is empty."""
    cluster.api.delete("Namespace", "shop")
    cluster.sleep(4.5)
    assert cluster.api.peek("ConfigMap", "cm", "shop") is not None, "it begins after 5 s"
    assert cluster.wait_until(lambda: cluster.api.peek("Namespace", "shop") is None, 60)
    for kind in cluster.api.registry.kinds():
        assert not kind.namespaced or cluster.api.snapshot(kind.kind, "shop")[0] == []
    cluster.api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    cluster.sleep(30)
    assert cluster.api.get("Namespace", "shop")["status"] == {"phase": "Active"}


def test_other_kinds_wait_for_the_last_pod(cluster: Cluster) -> None:
    """Since 1.33: a ConfigMap that a pod may need is there until the pod has stopped."""
    cluster.kubelets[0].stop()
    cluster.api.delete("Namespace", "shop")
    cluster.sleep(10)
    assert meta.is_terminating(cluster.api.get("Pod", "web", "shop"))
    assert cluster.api.peek("ConfigMap", "cm", "shop") is not None
    assert conditions(cluster) == {
        "NamespaceDeletionDiscoveryFailure": (
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": (
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: pods. has 1 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    }
    assert "wait for 1 pod" in str(cluster.explain("namespace/shop"))
    cluster.api.delete("Pod", "web", "shop", grace_period_seconds=0)
    assert cluster.wait_until(lambda: cluster.api.peek("Namespace", "shop") is None, 30)


def test_it_waits_for_finalizers_inside(cluster: Cluster) -> None:
    """The condition names them; once they are removed, the namespace is deleted."""
    keep = {"metadata": {"finalizers": ["example.com/keep"]}}
    cluster.api.patch("ConfigMap", "cm", keep, "shop")
    cluster.api.delete("Namespace", "shop")
    cluster.sleep(60)
    reported = conditions(cluster)
    assert reported["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource "
        "instances",
    )
    assert reported["NamespaceContentRemaining"][2] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    revision = cluster.store.revision
    cluster.sleep(60)
    changed = [
        k
        for k in ("Namespace", "ConfigMap")
        for o in cluster.api.snapshot(k)[0]
        if meta.resource_version_of(o) > revision
    ]
    assert changed == [], "looking again writes nothing"
    cluster.api.patch("ConfigMap", "cm", {"metadata": {"finalizers": None}}, "shop")
    assert cluster.wait_until(lambda: cluster.api.peek("Namespace", "shop") is None, 30)


def test_its_own_finalizer_goes_last(cluster: Cluster) -> None:
    """Another component's finalizer keeps the empty namespace."""
    cluster.api.patch("Namespace", "shop", {"metadata": {"finalizers": ["example.com/ns"]}})
    cluster.api.delete("Namespace", "shop")
    cluster.sleep(60)
    left = cluster.api.get("Namespace", "shop")
    assert left["spec"] == {}
    assert conditions(cluster)["NamespaceContentRemaining"][0] == "False"
    cluster.api.patch("Namespace", "shop", {"metadata": {"finalizers": None}})
    assert cluster.api.peek("Namespace", "shop") is None


def test_what_cannot_be_deleted_is_reported(cluster: Cluster) -> None:
    """The content failure names the refusal; it is retried."""
    delete, refuse = cluster.api.delete, [True]

    def refusing(kind: str, *args: Any, **options: Any) -> Any:
        if kind == "ConfigMap" and args[0] != ROOT_CA and refuse[0]:
            raise Forbidden("not this one")
        return delete(kind, *args, **options)

    cluster.api.delete = refusing  # type: ignore[method-assign]
    delete("Namespace", "shop")
    cluster.sleep(60)
    assert conditions(cluster)["NamespaceDeletionContentFailure"] == (
        "True",
        "ContentDeletionFailed",
        "Failed to delete all resource types, 1 remaining: not this one",
    )
    refuse[0] = False
    assert cluster.wait_until(lambda: cluster.api.peek("Namespace", "shop") is None, 30)


def test_kinds_registered_at_run_time_are_emptied_too(cluster: Cluster) -> None:
    """Nothing would be reachable in a deleted namespace."""
    cluster.api.registry.register(Kind("Widget", "widgets", group="example.com"))
    cluster.api.create({"kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}})
    cluster.api.delete("Namespace", "shop")
    cluster.sleep(60)
    assert cluster.api.snapshot("Widget")[0] == []
    assert cluster.api.peek("Namespace", "shop") is None


@pytest.mark.parametrize(
    ("graces", "since", "expected"),
    [([], 0.0, 0), ([30], 5.0, 30), ([30, 600], 40.0, 600), ([30], 30.0, 0), ([0], 0.0, 0)],
)
def test_how_long_pods_may_need(graces: list[int], since: float, expected: int) -> None:
    """The longest grace period, until the namespace has waited that long."""
    pods = [{"spec": {"terminationGracePeriodSeconds": grace}} for grace in graces]
    assert grace_of_pods(pods, since) == expected
    done = [{**pod, "status": {"phase": "Failed"}} for pod in pods]
    assert grace_of_pods(done, since) == 0


def test_remaining_resources_are_listed_in_order() -> None:
    """Sorted by ``plural.group``, each with its number."""
    remains = NamespaceContent()
    remains.resources.update({"pods.": 2, "jobs.batch": 1})
    reported = {
        type: message for type, status, _, message in conditions_for(remains) if status == "True"
    }
    assert reported == {
        "NamespaceContentRemaining": "Some resources are remaining: jobs.batch has 1 resource "
        "instances, pods. has 2 resource instances"
    }
