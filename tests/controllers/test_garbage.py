"""The garbage collector: background, foreground and orphan deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver.registry import Kind
from kubesim.controllers.garbage.plan import GarbagePlan, OwnerState, plan, waits_in_foreground
from kubesim.errors import Conflict
from kubesim.objects import meta
from kubesim.objects.wellknown import ROOT_CA

S, D, W, U = OwnerState.SOLID, OwnerState.DANGLING, OwnerState.WAITING, OwnerState.UNKNOWN


@pytest.mark.parametrize(
    ("states", "finalizers", "has_dependents", "circular", "expected"),
    [
        ([], [], False, False, GarbagePlan("keep")),
        ([S], [], True, False, GarbagePlan("keep")),
        ([S, S], [], False, False, GarbagePlan("keep")),
        ([S, D], [], False, False, GarbagePlan("strip", ("1",))),
        ([W, S, D], [], True, False, GarbagePlan("strip", ("0", "2"))),
        ([D], [], False, False, GarbagePlan("delete", policy="Background")),
        ([D, D], [], True, False, GarbagePlan("delete", policy="Background")),
        ([D], ["orphan"], False, False, GarbagePlan("delete", policy="Orphan")),
        ([D], ["foregroundDeletion"], False, False, GarbagePlan("delete", policy="Foreground")),
        ([W], [], False, False, GarbagePlan("delete", policy="Background")),
        ([W], [], True, False, GarbagePlan("delete", policy="Foreground")),
        ([W, D], ["orphan"], True, False, GarbagePlan("delete", policy="Foreground")),
        ([W], [], True, True, GarbagePlan("delete", policy="Foreground", unblock=True)),
        ([U], [], False, False, GarbagePlan("later")),
        ([D, U], [], False, False, GarbagePlan("later")),
    ],
)
def test_what_becomes_of_an_object(
    states: Sequence[OwnerState],
    finalizers: list[str],
    has_dependents: bool,
    circular: bool,
    expected: GarbagePlan,
) -> None:
    """One living owner keeps it; who waits in the foreground takes it along."""
    owners = [(str(number), state) for number, state in enumerate(states)]
    decided = plan(owners, finalizers, has_dependents=has_dependents, circular=circular)
    assert decided == expected


@pytest.mark.parametrize(
    ("deleted", "finalizers", "expected"),
    [
        (True, ["foregroundDeletion"], True),
        (False, ["foregroundDeletion"], False),
        (True, ["orphan"], False),
        (True, None, False),
    ],
)
def test_who_waits_in_the_foreground(
    deleted: bool, finalizers: list[str] | None, expected: bool
) -> None:
    """Deleted, and held by that very finalizer."""
    metadata = {"deletionTimestamp": "t" if deleted else None, "finalizers": finalizers}
    assert waits_in_foreground({"metadata": metadata}) is expected


# -- on virtual time -------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Any:
    """One node, nothing on it."""
    with Cluster(nodes=1, seed=3, hpa=False) as created:
        created.sleep(1)
        yield created


def config(
    cluster: Cluster,
    name: str,
    *owners: dict[str, Any],
    blocking: bool = True,
    namespace: str = "default",
) -> dict[str, Any]:
    """A ConfigMap with these owners."""
    references = [
        {
            **meta.owner_reference(owner, controller=False),
            "blockOwnerDeletion": blocking,
        }
        for owner in owners
    ]
    metadata = {"name": name, "namespace": namespace, "ownerReferences": references}
    return cluster.api.create({"kind": "ConfigMap", "metadata": metadata})


def there(cluster: Cluster, namespace: str = "default") -> list[str]:
    """Names of the ConfigMaps that are left."""
    names = [meta.name_of(obj) for obj in cluster.api.snapshot("ConfigMap", namespace)[0]]
    return [name for name in names if name != ROOT_CA]


def finalizers(cluster: Cluster, name: str) -> Any:
    return cluster.api.get("ConfigMap", name)["metadata"].get("finalizers")


def test_background_deletion_goes_down_the_whole_tree(cluster: Cluster) -> None:
    """The owner is deleted at once, then its dependents, recursively."""
    a = config(cluster, "a")
    b = config(cluster, "b", a)
    config(cluster, "c", b)
    cluster.sleep(1)
    cluster.api.delete("ConfigMap", "a")
    assert there(cluster) == ["b", "c"]
    cluster.sleep(1)
    assert there(cluster) == []
    assert "its owner is gone: ConfigMap b" in str(cluster.explain("configmap/c"))


def test_one_living_owner_is_enough(cluster: Cluster) -> None:
    """The reference to a deleted owner is removed; without any owner the object is deleted."""
    a, b = config(cluster, "a"), config(cluster, "b")
    config(cluster, "shared", a, b)
    cluster.sleep(1)
    cluster.api.delete("ConfigMap", "a")
    cluster.sleep(1)
    owners = cluster.api.get("ConfigMap", "shared")["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in owners] == ["b"]
    cluster.api.delete("ConfigMap", "b")
    cluster.sleep(1)
    assert there(cluster) == []


def test_the_uid_counts_not_the_name(cluster: Cluster) -> None:
    """An owner recreated under its name owns nothing of the old one."""
    a = config(cluster, "a")
    config(cluster, "child", a)
    cluster.api.delete("ConfigMap", "a")
    config(cluster, "a")
    cluster.sleep(1)
    assert there(cluster) == ["a"]


def test_an_object_born_an_orphan_goes(cluster: Cluster) -> None:
    """Its owner never existed, or was deleted before it was created."""
    a = config(cluster, "a")
    cluster.api.delete("ConfigMap", "a")
    cluster.sleep(1)
    config(cluster, "late", a)
    cluster.sleep(1)
    assert there(cluster) == []


def test_foreground_deletion_waits_for_those_that_block(cluster: Cluster) -> None:
    """The owner stays, terminating, until they are deleted; those that do not block may stay."""
    a = config(cluster, "a")
    config(cluster, "blocking", a)
    config(cluster, "free", a, blocking=False)
    cluster.sleep(1)
    for name in ("blocking", "free"):
        keep = {"metadata": {"finalizers": ["example.com/keep"]}}
        cluster.api.patch("ConfigMap", name, keep)
    cluster.api.delete("ConfigMap", "a", propagation_policy="Foreground")
    cluster.sleep(5)
    assert finalizers(cluster, "a") == ["foregroundDeletion"]
    assert meta.is_terminating(cluster.api.get("ConfigMap", "free")), "deleted, too"
    assert "a waits for its dependents: ConfigMap blocking" in str(cluster.explain("configmap/a"))
    cluster.api.patch("ConfigMap", "blocking", {"metadata": {"finalizers": None}})
    cluster.sleep(1)
    assert there(cluster) == ["free"]


def test_foreground_deletion_goes_down_the_whole_tree(cluster: Cluster) -> None:
    """A dependent with dependents is deleted in the foreground itself: leaves first."""
    a = config(cluster, "a")
    b = config(cluster, "b", a)
    config(cluster, "c", b)
    cluster.sleep(1)
    watch = cluster.api.watch("ConfigMap")
    cluster.api.delete("ConfigMap", "a", propagation_policy="Foreground")
    cluster.sleep(2)
    removed = [meta.name_of(e.object) for e in watch.poll() if e.type == "DELETED"]
    assert removed == ["c", "b", "a"]


def test_a_shared_dependent_only_loses_the_reference(cluster: Cluster) -> None:
    """Foreground: another owner is solid, so that it lives."""
    a, b = config(cluster, "a"), config(cluster, "b")
    config(cluster, "shared", a, b)
    cluster.sleep(1)
    cluster.api.delete("ConfigMap", "a", propagation_policy="Foreground")
    cluster.sleep(2)
    assert there(cluster) == ["b", "shared"]
    owners = cluster.api.get("ConfigMap", "shared")["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in owners] == ["b"]


def test_a_circle_in_the_foreground_ends(cluster: Cluster) -> None:
    """Two that own each other would wait for ever: one gives up its right to block."""
    a = config(cluster, "a")
    b = config(cluster, "b", a)
    back = [meta.owner_reference(b, controller=False)]
    cluster.api.patch("ConfigMap", "a", {"metadata": {"ownerReferences": back}})
    cluster.sleep(1)
    cluster.api.delete("ConfigMap", "a", propagation_policy="Foreground")
    cluster.sleep(2)
    assert there(cluster) == []


def test_orphans_live_on(cluster: Cluster) -> None:
    """The references are removed, then the owner is deleted."""
    a, b = config(cluster, "a"), config(cluster, "b")
    config(cluster, "c", a)
    config(cluster, "d", a, b)
    cluster.sleep(1)
    cluster.api.delete("ConfigMap", "a", propagation_policy="Orphan")
    assert finalizers(cluster, "a") == ["orphan"]
    cluster.sleep(1)
    assert there(cluster) == ["b", "c", "d"]
    owners = {
        name: [o["name"] for o in meta.owners_of(cluster.api.get("ConfigMap", name))]
        for name in ("c", "d")
    }
    assert owners == {"c": [], "d": ["b"]}


def test_background_ends_a_wait_in_the_foreground(cluster: Cluster) -> None:
    """A second deletion with another policy deletes the owner at once."""
    a = config(cluster, "a")
    config(cluster, "child", a)
    keep = {"metadata": {"finalizers": ["example.com/keep"]}}
    cluster.api.patch("ConfigMap", "child", keep)
    cluster.api.delete("ConfigMap", "a", propagation_policy="Foreground")
    cluster.sleep(2)
    cluster.api.delete("ConfigMap", "a", propagation_policy="Background")
    assert there(cluster) == ["child"]


def test_an_owner_in_another_namespace_is_none(cluster: Cluster) -> None:
    """The dependent is deleted, and an Event says why."""
    cluster.api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    a = config(cluster, "a")
    child = config(cluster, "child", a, namespace="shop")
    cluster.sleep(1)
    assert there(cluster, "shop") == []
    events = [
        e for e in cluster.api.list("Event")["items"] if e["reason"] == "OwnerRefInvalidNamespace"
    ]
    assert [(e["type"], e["involvedObject"]["uid"], e["message"]) for e in events] == [
        (
            "Warning",
            child["metadata"]["uid"],
            f"ownerRef [v1/ConfigMap, namespace: shop, name: a, uid: {a['metadata']['uid']}] does "
            'not exist in namespace "shop"',
        )
    ]


def test_an_owner_of_an_unknown_kind_is_not_judged(cluster: Cluster) -> None:
    """Nothing is deleted on a guess: the kind may be registered later."""
    owner = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "uid": "1-2-3"},
    }
    config(cluster, "child", owner)
    cluster.sleep(60)
    assert there(cluster) == ["child"]
    cluster.api.registry.register(Kind("Widget", "widgets", group="example.com"))
    cluster.sleep(60)
    assert there(cluster) == []


def test_kinds_that_are_registered_at_run_time_are_collected(cluster: Cluster) -> None:
    """As owners and as dependents, at the next check for new kinds."""
    cluster.api.registry.register(Kind("Widget", "widgets", group="example.com"))
    cluster.sleep(31)
    widget = cluster.api.create({"kind": "Widget", "metadata": {"name": "w"}})
    child = config(cluster, "child", widget)
    cluster.api.create(
        {
            "kind": "Widget",
            "metadata": {
                "name": "part",
                "ownerReferences": [meta.owner_reference(child, controller=False)],
            },
        }
    )
    cluster.sleep(1)
    cluster.api.delete("Widget", "w", propagation_policy="Foreground")
    cluster.sleep(1)
    assert there(cluster) == [] and cluster.api.snapshot("Widget")[0] == []


def test_a_kind_that_is_redefined_is_followed(cluster: Cluster) -> None:
    """A definition is deleted, and the kind is defined again with another plural."""
    for plural in ("widgets", "gadgets"):
        definition = {
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"kind": "Widget", "plural": plural},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
        cluster.api.create(definition)
        cluster.sleep(31)
        widget = cluster.api.create({"kind": "Widget", "metadata": {"name": "w"}})
        config(cluster, "child", widget)
        cluster.sleep(1)
        cluster.api.delete("Widget", "w", propagation_policy="Foreground")
        cluster.sleep(1)
        assert there(cluster) == [] and cluster.api.snapshot("Widget")[0] == []
        widget = cluster.api.create({"kind": "Widget", "metadata": {"name": "w"}})
        config(cluster, "child", widget)
        cluster.sleep(1)
        cluster.api.delete("CustomResourceDefinition", f"{plural}.example.com")
        cluster.sleep(1)
        assert there(cluster) == [], "its objects go with a definition, their dependents after them"


def test_pods_of_a_set_deleted_in_the_foreground_stop_first(cluster: Cluster) -> None:
    """A ReplicaSet waits while its pods stop; orphaned, it leaves them running."""
    for policy, running in (("Foreground", 0), ("Orphan", 2)):
        cluster.api.create(a_replicaset())
        cluster.sleep(10)
        cluster.api.delete("ReplicaSet", "web", propagation_policy=policy)
        assert cluster.api.peek("ReplicaSet", "web") is not None
        cluster.sleep(10)
        assert cluster.api.peek("ReplicaSet", "web") is None
        pods = [p for p in cluster.api.snapshot("Pod")[0] if not meta.is_terminating(p)]
        assert len(pods) == running
        assert all(not meta.owners_of(p) for p in pods)


def test_a_new_set_adopts_the_orphans(cluster: Cluster) -> None:
    """kubectl delete --cascade=orphan, then apply again: the same pods."""
    cluster.api.create(a_replicaset())
    cluster.sleep(10)
    before = {meta.uid_of(pod) for pod in cluster.api.snapshot("Pod")[0]}
    cluster.api.delete("ReplicaSet", "web", propagation_policy="Orphan")
    cluster.sleep(5)
    created = cluster.api.create(a_replicaset())
    cluster.sleep(5)
    pods = cluster.api.snapshot("Pod")[0]
    assert {meta.uid_of(pod) for pod in pods} == before
    assert all(meta.is_owned_by(pod, created) for pod in pods)


def a_replicaset() -> dict[str, Any]:
    """A ReplicaSet of two pods."""
    labels = {"app": "web"}
    container = {"name": "main", "image": "kubesim/pod"}
    return {
        "kind": "ReplicaSet",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_conflicts_change_nothing_in_the_end(policy: str) -> None:
    """Every third write of the collector meets one; the tree still ends as it should."""
    with Cluster(nodes=0, seed=4, hpa=False) as cluster:
        cluster.sleep(1)
        calls = [0]

        def flaky(verb: Any) -> Any:
            def call(*args: Any, **options: Any) -> Any:
                calls[0] += 1
                if calls[0] % 3 == 0:
                    raise Conflict("injected")
                return verb(*args, **options)

            return call

        a = config(cluster, "a")
        parts = [config(cluster, f"b{n}", a) for n in range(5)]
        for number, part in enumerate(parts):
            config(cluster, f"c{number}", part)
        cluster.sleep(1)
        for verb in ("update", "delete"):
            setattr(cluster.api, verb, flaky(getattr(cluster.api, verb)))
        calls[0] = 0
        cluster.api.delete("ConfigMap", "a", propagation_policy=policy)
        cluster.sleep(120)
        expected = [f"{x}{n}" for x in "bc" for n in range(5)] if policy == "Orphan" else []
        assert sorted(there(cluster)) == expected
        assert calls[0] > 5
