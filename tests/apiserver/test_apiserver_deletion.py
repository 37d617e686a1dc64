"""delete: graceful, forced, kept by finalizers; and the end of a namespace."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_config_map, a_pod, a_running_pod, a_statefulset

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.verbs.propagation import finalizers_after
from kubesim.errors import BadRequest, Conflict, Forbidden, Invalid, MethodNotAllowed, NotFound


def grace_of(document: dict[str, Any]) -> tuple[Any, Any]:
    metadata = document["metadata"]
    return metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")


def test_a_running_pod_is_only_marked(api: KubeAPI) -> None:
    """deletionTimestamp is when its time is up; its kubelet deletes it for good with grace 0."""
    pod = a_running_pod(api)
    api.clock.sleep(10)
    watch = api.watch("Pod")
    marked = api.delete("Pod", "web")
    assert grace_of(marked) == ("2025-01-01T00:00:40Z", 30)
    assert marked["metadata"]["generation"] == pod["metadata"]["generation"] + 1
    assert api.get("Pod", "web") == marked
    gone = api.delete("Pod", "web", grace_period_seconds=0, uid=pod["metadata"]["uid"])
    assert gone["metadata"]["uid"] == pod["metadata"]["uid"]
    assert api.peek("Pod", "web") is None
    assert [event.type for event in watch.poll()] == ["MODIFIED", "DELETED"]


@pytest.mark.parametrize("state", ["unbound", "Succeeded", "Failed"])
def test_what_does_not_run_goes_at_once(api: KubeAPI, state: str) -> None:
    """A pod without a node, or finished: whatever the grace period."""
    if state == "unbound":
        api.create(a_pod())
    else:
        pod = a_running_pod(api)
        api.update_status({**pod, "status": {"phase": state}})
    api.delete("Pod", "web", grace_period_seconds=60)
    assert api.peek("Pod", "web") is None


@pytest.mark.parametrize(
    ("spec", "asked", "seconds"),
    [
        ({}, None, 30),
        ({"terminationGracePeriodSeconds": 5}, None, 5),
        ({"terminationGracePeriodSeconds": 5}, 60, 60),
        ({}, -3, 1),
        ({}, 0, None),
        ({"terminationGracePeriodSeconds": 0}, None, None),
    ],
)
def test_how_long_it_may_take(
    api: KubeAPI, spec: dict[str, Any], asked: int | None, seconds: int | None
) -> None:
    """What the request says, else the pod, else 30 s; negative means 1; 0 means at once."""
    a_running_pod(api, **spec)
    api.delete("Pod", "web", grace_period_seconds=asked)
    pod = api.peek("Pod", "web")
    assert (None if pod is None else grace_of(pod)[1]) == seconds


def test_a_second_deletion_may_only_shorten(api: KubeAPI) -> None:
    """Longer and equal change nothing; shorter counts from when the first was asked."""
    a_running_pod(api)
    first = api.delete("Pod", "web")
    api.clock.sleep(3)
    assert api.delete("Pod", "web") == first
    assert api.delete("Pod", "web", grace_period_seconds=60) == first
    shorter = api.delete("Pod", "web", grace_period_seconds=10)
    assert grace_of(shorter) == ("2025-01-01T00:00:10Z", 10)
    assert shorter["metadata"]["generation"] == first["metadata"]["generation"]


def test_preconditions(api: KubeAPI) -> None:
    """Only if it is still that very object, or that very version of it."""
    pod = api.create(a_pod())
    with pytest.raises(Conflict, match="UID in precondition: other"):
        api.delete("Pod", "web", uid="other")
    with pytest.raises(Conflict, match="has been modified"):
        api.delete("Pod", "web", resource_version=1)
    version = pod["metadata"]["resourceVersion"]
    api.delete("Pod", "web", uid=pod["metadata"]["uid"], resource_version=version)
    with pytest.raises(NotFound) as refused:
        api.delete("Pod", "web")
    assert refused.value.message == 'pods "web" not found'


def test_refusals(api: KubeAPI) -> None:
    """Namespaces that must stay, samples, and a time that is none."""
    for name in ("default", "kube-system", "kube-public"):
        with pytest.raises(Forbidden) as refused:
            api.delete("Namespace", name)
        assert refused.value.message == (
            f'namespaces "{name}" is forbidden: this namespace may not be deleted'
        )
    with pytest.raises(MethodNotAllowed):
        api.delete("PodMetrics", "web")
    api.create(a_pod())
    with pytest.raises(BadRequest):
        api.delete("Pod", "web", grace_period_seconds="5")  # type: ignore[arg-type]


# -- finalizers ---


def kept(document: dict[str, Any], *finalizers: str) -> dict[str, Any]:
    document["metadata"]["finalizers"] = list(finalizers)
    return document


def test_finalizers_keep_an_object(api: KubeAPI) -> None:
    """Marked, and there until the last finalizer is taken away, one by one."""
    api.create(kept(a_config_map(), "example.com/a", "example.com/b"))
    marked = api.delete("cm", "settings")
    assert grace_of(marked) == ("2025-01-01T00:00:00Z", 0)
    assert api.delete("cm", "settings") == marked, "a second deletion changes nothing"
    watch = api.watch("cm")
    api.patch("cm", "settings", {"metadata": {"finalizers": ["example.com/b"]}})
    assert api.peek("cm", "settings") is not None
    last = api.patch("cm", "settings", {"metadata": {"finalizers": None}})
    assert "finalizers" not in last["metadata"]
    assert api.peek("cm", "settings") is None
    assert [event.type for event in watch.poll()] == ["MODIFIED", "DELETED"]


def test_the_dying_get_no_new_finalizers(api: KubeAPI) -> None:
    """Removing is allowed then, adding is Forbidden; other fields may change."""
    api.create(kept(a_config_map(), "example.com/a"))
    api.delete("cm", "settings")
    with pytest.raises(Invalid, match="no new finalizers can be added if the object is being del"):
        api.patch("cm", "settings", {"metadata": {"finalizers": ["example.com/a", "x.io/b"]}})
    assert api.patch("cm", "settings", {"data": {"a": "b"}})["data"] == {"a": "b"}
    api.patch("cm", "settings", {"metadata": {"deletionTimestamp": None}})
    assert grace_of(api.get("cm", "settings"))[0] is not None, "there is no way back"


def test_a_pod_with_finalizers_outlives_its_kubelet(api: KubeAPI) -> None:
    """Grace 0 from the kubelet leaves it marked with 0; the last finalizer ends it."""
    a_running_pod(api)
    api.patch("Pod", "web", {"metadata": {"finalizers": ["example.com/a"]}})
    api.delete("Pod", "web")
    api.delete("Pod", "web", grace_period_seconds=0)
    assert grace_of(api.get("Pod", "web"))[1] == 0
    api.patch("Pod", "web", {"metadata": {"finalizers": []}})
    assert api.peek("Pod", "web") is None


def test_a_pod_loses_its_finalizers_while_it_stops(api: KubeAPI) -> None:
    """Then its kubelet still has to stop it: it stays until grace 0."""
    a_running_pod(api)
    api.patch("Pod", "web", {"metadata": {"finalizers": ["example.com/a"]}})
    api.delete("Pod", "web")
    api.patch("Pod", "web", {"metadata": {"finalizers": []}})
    assert grace_of(api.get("Pod", "web"))[1] == 30
    api.delete("Pod", "web", grace_period_seconds=0)
    assert api.peek("Pod", "web") is None


# -- namespaces ---


@pytest.fixture
def shop(api: KubeAPI) -> KubeAPI:
    """A namespace with something in it."""
    api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    api.create(a_config_map(), namespace="shop")
    api.create(a_statefulset(), namespace="shop")
    api.create(a_pod("idle"), namespace="shop")
    return api


def test_a_namespace_is_only_marked(shop: KubeAPI) -> None:
    """Terminating, its content untouched; nothing new comes in; others stay open."""
    marked = shop.delete("Namespace", "shop")
    assert marked["status"]["phase"] == "Terminating" and grace_of(marked)[0]
    assert shop.peek("cm", "settings", "shop") is not None
    assert shop.delete("Namespace", "shop") == marked, "a second deletion changes nothing"
    with pytest.raises(Forbidden) as refused:
        shop.create(a_config_map("new"), namespace="shop")
    assert refused.value.message == (
        'configmaps "new" is forbidden: unable to create new content in namespace shop because it '
        "is being terminated"
    )
    assert [cause.reason for cause in refused.value.causes] == ["NamespaceTerminating"]
    shop.create(a_config_map())


def without_finalizers(api: KubeAPI) -> dict[str, Any]:
    """The namespace as its controller sends it once it is empty."""
    return {**api.get("Namespace", "shop"), "spec": {"finalizers": []}}


def test_a_namespace_goes_when_it_is_finalized(shop: KubeAPI) -> None:
    """spec.finalizers are written by `finalize` alone; the last one ends a marked namespace."""
    shop.update(without_finalizers(shop))
    shop.patch("Namespace", "shop", {"spec": {"finalizers": []}})
    assert shop.get("Namespace", "shop")["spec"] == {"finalizers": ["kubernetes"]}
    stale = without_finalizers(shop)
    shop.delete("Namespace", "shop")
    with pytest.raises(Conflict):
        shop.finalize(stale)
    assert shop.finalize(without_finalizers(shop), dry_run=True)["spec"] == {}
    shop.finalize(without_finalizers(shop))
    assert shop.peek("Namespace", "shop") is None
    with pytest.raises(NotFound):
        shop.finalize(stale)


def test_finalizing_a_living_namespace_does_not_end_it(shop: KubeAPI) -> None:
    """Then a deletion goes through at once."""
    shop.finalize(without_finalizers(shop))
    before = shop.store.revision
    shop.finalize(without_finalizers(shop))
    assert shop.store.revision == before, "what changes nothing takes no revision"
    shop.delete("Namespace", "shop")
    assert shop.peek("Namespace", "shop") is None


def test_a_namespace_waits_for_both_sorts_of_finalizers(shop: KubeAPI) -> None:
    """Its own, and those that anybody may set in its metadata."""
    shop.patch("Namespace", "shop", {"metadata": {"finalizers": ["example.com/ns"]}})
    shop.delete("Namespace", "shop")
    shop.finalize(without_finalizers(shop))
    assert shop.get("Namespace", "shop")["spec"] == {}
    shop.patch("Namespace", "shop", {"metadata": {"finalizers": []}})
    assert shop.peek("Namespace", "shop") is None


def test_a_creation_that_meets_the_end_of_its_namespace(shop: KubeAPI) -> None:
    """The namespace is marked between the look at it and the write: refused, nothing is left."""
    txn = shop.store.txn
    done: list[int] = []

    def interfering(compare: Any, puts: Any = (), deletes: Any = (), **options: Any) -> Any:
        if puts and puts[0][0].endswith("/late") and not done:
            done.append(1)
            shop.delete("Namespace", "shop")
        return txn(compare, puts, deletes, **options)

    shop.store.txn = interfering  # type: ignore[method-assign]
    with pytest.raises(Forbidden, match="is being terminated"):
        shop.create(a_config_map("late"), namespace="shop")
    assert done and shop.peek("cm", "late", "shop") is None


# -- what becomes of dependents ---


@pytest.mark.parametrize(
    ("before", "asked", "default", "after"),
    [
        ([], None, "Background", []),
        ([], None, "Orphan", ["orphan"]),
        ([], "Background", "Orphan", []),
        ([], "Foreground", "Background", ["foregroundDeletion"]),
        ([], "Orphan", "Background", ["orphan"]),
        (["orphan"], None, "Background", ["orphan"]),
        (["foregroundDeletion"], None, "Background", ["foregroundDeletion"]),
        (["foregroundDeletion"], None, "Orphan", ["foregroundDeletion"]),
        (["foregroundDeletion", "x.io/a"], "Background", "Background", ["x.io/a"]),
        (["orphan", "x.io/a"], "Foreground", "Background", ["x.io/a", "foregroundDeletion"]),
        (["x.io/a"], "Orphan", "", ["x.io/a"]),
        (["orphan"], None, "", []),
    ],
)
def test_which_finalizers_a_deletion_leaves(
    before: list[str], asked: str | None, default: str, after: list[str]
) -> None:
    """What was asked for, else what the object carries, else the default of its kind."""
    assert finalizers_after(before, asked, default) == after


def test_policies_of_a_deletion(api: KubeAPI) -> None:
    """Foreground and Orphan keep the object for the garbage collector; Background ends the wait."""
    api.create(a_statefulset())
    marked = api.delete("StatefulSet", "db", propagation_policy="Foreground")
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert grace_of(marked) == ("2025-01-01T00:00:00Z", 0)
    assert api.delete("StatefulSet", "db") == marked, "the finalizer says how"
    exchanged = api.delete("StatefulSet", "db", propagation_policy="Orphan")
    assert exchanged["metadata"]["finalizers"] == ["orphan"]
    assert exchanged["metadata"]["generation"] == marked["metadata"]["generation"]
    api.delete("StatefulSet", "db", propagation_policy="Background")
    assert api.peek("StatefulSet", "db") is None


def test_an_unknown_policy_is_refused(api: KubeAPI) -> None:
    """With the three that exist."""
    api.create(a_config_map())
    with pytest.raises(Invalid, match='Unsupported value: "Forground": supported values: "Back'):
        api.delete("cm", "settings", propagation_policy="Forground")


def test_a_job_is_orphaned_by_default(api: KubeAPI) -> None:
    """As since batch/v1; clients such as kubectl ask for Background themselves."""
    job = a_statefulset("count")["spec"]["template"]
    job = {"spec": {**job["spec"], "restartPolicy": "Never"}}
    for policy, finalizers in ((None, ["orphan"]), ("Background", None)):
        api.create({"kind": "Job", "metadata": {"name": "count"}, "spec": {"template": job}})
        api.delete("Job", "count", propagation_policy=policy)
        left = api.peek("Job", "count")
        assert (left and left["metadata"]["finalizers"]) == finalizers
        if left:
            api.patch("Job", "count", {"metadata": {"finalizers": None}})
