"""delete: graceful, forced, kept by finalizers; and the end of a namespace."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_config_map, a_pod, a_running_pod, a_statefulset

from kubesim.apiserver import KubeAPI
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


def test_a_namespace_takes_everything_in_it_along(shop: KubeAPI) -> None:
    """Nothing is left that nobody could reach any more; others stay."""
    shop.create(a_config_map())
    shop.delete("Namespace", "shop")
    assert shop.peek("Namespace", "shop") is None
    for kind in shop.registry.kinds():
        assert not kind.namespaced or shop.snapshot(kind.kind, "shop")[0] == []
    assert shop.peek("cm", "settings") is not None
    shop.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    assert shop.snapshot("cm", "shop")[0] == []


def test_a_namespace_waits_for_its_pods(shop: KubeAPI) -> None:
    """Terminating while a pod stops; nothing new comes in; with the last object it goes."""
    shop.create(a_pod(), namespace="shop")
    shop.bind("web", "shop", "node-1")
    marked = shop.delete("Namespace", "shop")
    assert marked["status"]["phase"] == "Terminating" and grace_of(marked)[0]
    assert grace_of(shop.get("Pod", "web", "shop"))[1] == 30
    assert shop.peek("cm", "settings", "shop") is None
    with pytest.raises(Forbidden) as refused:
        shop.create(a_config_map("new"), namespace="shop")
    assert refused.value.message == (
        'configmaps "new" is forbidden: unable to create new content in namespace shop because it '
        "is being terminated"
    )
    assert [cause.reason for cause in refused.value.causes] == ["NamespaceTerminating"]
    shop.delete("Namespace", "shop")
    shop.delete("Pod", "web", "shop", grace_period_seconds=0)
    assert shop.peek("Namespace", "shop") is None


def test_finalizers_inside_and_on_a_namespace(shop: KubeAPI) -> None:
    """It waits for both kinds."""
    shop.patch("cm", "settings", {"metadata": {"finalizers": ["example.com/a"]}}, "shop")
    shop.patch("Namespace", "shop", {"metadata": {"finalizers": ["example.com/ns"]}})
    shop.delete("Namespace", "shop")
    assert grace_of(shop.get("cm", "settings", "shop"))[1] == 0
    shop.patch("cm", "settings", {"metadata": {"finalizers": []}}, "shop")
    assert shop.snapshot("cm", "shop")[0] == []
    assert shop.get("Namespace", "shop")["spec"] == {"finalizers": []}
    shop.patch("Namespace", "shop", {"metadata": {"finalizers": []}})
    assert shop.peek("Namespace", "shop") is None


def test_a_creation_that_meets_the_end_of_its_namespace(shop: KubeAPI) -> None:
    """The namespace ends between the look at it and the write: refused, and nothing is left."""
    txn = shop.store.txn
    done: list[int] = []

    def interfering(compare: Any, puts: Any = (), deletes: Any = (), **options: Any) -> Any:
        if puts and puts[0][0].endswith("/late") and not done:
            done.append(1)
            shop.delete("Namespace", "shop")
        return txn(compare, puts, deletes, **options)

    shop.store.txn = interfering  # type: ignore[method-assign]
    with pytest.raises(NotFound, match='namespaces "shop" not found'):
        shop.create(a_config_map("late"), namespace="shop")
    assert done and shop.snapshot("cm", "shop")[0] == []
