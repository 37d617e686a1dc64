"""A namespace always has its finalizer, so that it is emptied before it goes."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_pod

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest

SPECS: list[dict[str, Any]] = [
    {},
    {"spec": {}},
    {"spec": None},
    {"spec": {"finalizers": []}},
    {"spec": {"finalizers": None}},
    {"spec": {"finalizers": ["kubernetes"]}},
]


@pytest.mark.parametrize("sent", SPECS)
def test_a_new_namespace_has_the_finalizer(api: KubeAPI, sent: dict[str, Any]) -> None:
    """Whatever spec the client sends: kubectl, helm and clients in Go send an empty one."""
    created = api.create({"kind": "Namespace", "metadata": {"name": "q"}, **sent})
    assert created["spec"] == {"finalizers": ["kubernetes"]}


def test_further_finalizers_of_a_new_namespace_stay(api: KubeAPI) -> None:
    """The server's own is added to them."""
    spec = {"finalizers": ["example.com/mine"]}
    created = api.create({"kind": "Namespace", "metadata": {"name": "q"}, "spec": spec})
    assert created["spec"]["finalizers"] == ["example.com/mine", "kubernetes"]


def test_only_finalize_changes_the_finalizers(api: KubeAPI) -> None:
    """An update cannot remove them; without any, the field is absent."""
    created = api.create({"kind": "Namespace", "metadata": {"name": "q"}, "spec": {}})
    assert api.update({**created, "spec": {}})["spec"] == {"finalizers": ["kubernetes"]}
    assert api.finalize({**created, "spec": {"finalizers": []}})["spec"] == {}
    assert api.update({**created, "metadata": {"name": "q"}})["spec"] == {}


@pytest.mark.parametrize("spec", ["x", {"finalizers": "x"}, {"finalizers": [1]}])
def test_the_finalizers_of_finalize_are_strings(api: KubeAPI, spec: object) -> None:
    """A body that cannot be decoded is refused (it was an internal error)."""
    api.create({"kind": "Namespace", "metadata": {"name": "a"}})
    with pytest.raises(BadRequest, match="cannot be handled as a Namespace"):
        api.finalize({"kind": "Namespace", "metadata": {"name": "a"}, "spec": spec})


def test_a_deleted_namespace_is_emptied_and_leaves_nothing_to_its_successor() -> None:
    """A ConfigMap and a pod go with it; a new namespace of the same name has neither."""
    with Cluster(nodes=1) as cluster:
        api, empty = cluster.api, {"kind": "Namespace", "metadata": {"name": "q"}, "spec": {}}
        api.create(empty)
        api.create({"kind": "ConfigMap", "metadata": {"name": "m", "namespace": "q"}})
        api.create(a_pod("p"), namespace="q")
        cluster.sleep(10)
        api.delete("Namespace", "q")
        assert api.get("Namespace", "q")["status"]["phase"] == "Terminating"
        cluster.sleep(120)
        assert api.peek("Namespace", "q") is None
        api.create(empty)
        assert [api.list(kind, "q")["items"] for kind in ("ConfigMap", "Pod")] == [[], []]
