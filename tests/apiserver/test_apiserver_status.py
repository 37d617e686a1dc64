"""Status bodies: code, reason, message and details of every refusal that clients rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from api_builders import a_config_map, a_pod, a_running_pod, a_statefulset, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.errors import StatusError

Act = Callable[[KubeAPI], Any]
STALE = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def prepare(api: KubeAPI) -> None:
    """One object of several kinds, a namespace that ends, and one revision that is old."""
    api.create(a_pod("web"))
    api.create(a_workload("Deployment"))
    api.create(a_config_map("there"))
    api.create({"kind": "Namespace", "metadata": {"name": "ending", "finalizers": ["a.b/c"]}})
    api.create(a_config_map("held"), namespace="ending")
    api.delete("Namespace", "ending")


def stale(api: KubeAPI) -> Any:
    found = api.get("Pod", "web")
    found["metadata"]["resourceVersion"] = "1"
    return api.update(found)


def named(kind: str = "", group: str = "", name: str = "") -> dict[str, Any]:
    wanted = {"name": name, "group": group, "kind": kind}
    return {field: value for field, value in wanted.items() if value}


def causes(*listed: tuple[str, str, str]) -> dict[str, Any]:
    return {"causes": [{"reason": r, "message": m, "field": f} for f, r, m in listed]}


REQUIRED = ("spec.containers", "FieldValueRequired", "Required value")
ROWS: list[tuple[str, Act, int, str, str, dict[str, Any]]] = [
    (
        "a core object that is not there",
        lambda api: api.get("Pod", "x"),
        404,
        "NotFound",
        'pods "x" not found',
        named("pods", name="x"),
    ),
    (
        "one of a group",
        lambda api: api.delete("deploy", "x"),
        404,
        "NotFound",
        'deployments.apps "x" not found',
        named("deployments", "apps", "x"),
    ),
    (
        "a name that is taken",
        lambda api: api.create(a_pod("web")),
        409,
        "AlreadyExists",
        'pods "web" already exists',
        named("pods", name="web"),
    ),
    (
        "a write that came too late",
        stale,
        409,
        "Conflict",
        f'Operation cannot be fulfilled on pods "web": {STALE}',
        named("pods", name="web"),
    ),
    (
        "one broken rule",
        lambda api: api.create(a_pod("x", containers=[])),
        422,
        "Invalid",
        'Pod "x" is invalid: spec.containers: Required value',
        {**named("Pod", name="x"), **causes(REQUIRED)},
    ),
    (
        "a kind of a group in the details",
        lambda api: api.create(a_statefulset("x", replicas=-1)),
        422,
        "Invalid",
        'StatefulSet.apps "x" is invalid: spec.replicas: Invalid value: -1: must be greater than '
        "or equal to 0",
        named("StatefulSet", "apps", "x"),
    ),
    (
        "a namespace that must stay",
        lambda api: api.delete("ns", "default"),
        403,
        "Forbidden",
        'namespaces "default" is forbidden: this namespace may not be deleted',
        named("namespaces", name="default"),
    ),
    (
        "something new in a namespace that ends",
        lambda api: api.create(a_pod("x"), namespace="ending"),
        403,
        "Forbidden",
        'pods "x" is forbidden: unable to create new content in namespace ending because it is '
        "being terminated",
        named("pods", name="x"),
    ),
    (
        "two namespaces at once",
        lambda api: api.create(
            {**a_pod("x"), "metadata": {"name": "x", "namespace": "a"}}, namespace="b"
        ),
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
        {},
    ),
    (
        "a resourceVersion on what is new",
        lambda api: api.create({**a_pod("x"), "metadata": {"name": "x", "resourceVersion": "5"}}),
        400,
        "BadRequest",
        "resourceVersion should not be set on objects to be created",
        {},
    ),
    (
        "a field that nobody can select by",
        lambda api: api.list("Pod", field_selector="spec.color=red"),
        400,
        "BadRequest",
        "field label not supported: spec.color",
        {},
    ),
    (
        "a token of somebody else",
        lambda api: api.list("Pod", continue_token="bm8="),
        400,
        "BadRequest",
        "continue key is not valid",
        {},
    ),
    (
        "a revision of the future",
        lambda api: api.list("Pod", resource_version="99"),
        504,
        "Timeout",
        "",
        {"retryAfterSeconds": 1},
    ),
    (
        "another name in a patch",
        lambda api: api.patch("cm", "there", {"metadata": {"name": "b"}}),
        400,
        "BadRequest",
        "the name of the object (b) does not match the name on the URL (there)",
        {},
    ),
    (
        "a write to what is measured",
        lambda api: api.create({"kind": "PodMetrics", "metadata": {"name": "a"}}),
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        {},
    ),
    (
        "a kind that there is not",
        lambda api: api.get("gadgets", "x"),
        404,
        "NotFound",
        'the server doesn\'t have a resource type "gadgets"',
        {},
    ),
]


@pytest.mark.parametrize(
    ("act", "code", "reason", "message", "details"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_status_bodies(
    api: KubeAPI, act: Act, code: int, reason: str, message: str, details: dict[str, Any]
) -> None:
    """Each refusal is a Status whose code, reason, message and details are upstream's."""
    prepare(api)
    with pytest.raises(StatusError) as refused:
        act(api)
    status = refused.value.status()
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert (status["code"], status["reason"], status["metadata"]) == (code, reason, {})
    assert message in status["message"]
    found = status.get("details", {})
    assert {field: found.get(field) for field in details} == details
    assert "hint" not in status


def test_a_deletion_answers_with_the_object_while_it_goes(api: KubeAPI) -> None:
    """A pod that is stopping carries its deletionTimestamp; one that never ran is gone at once."""
    api.create({"kind": "Node", "metadata": {"name": "node-1"}})
    a_running_pod(api, "runs")
    assert "deletionTimestamp" in api.delete("Pod", "runs")["metadata"]
    api.create(a_pod("never"))
    assert "deletionTimestamp" not in api.delete("Pod", "never")["metadata"]
    assert api.peek("Pod", "never") is None and api.peek("Pod", "runs") is not None
