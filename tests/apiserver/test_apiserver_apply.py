"""Server-side apply and managedFields: who owns what, who may change it, and who is refused."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_config_map, a_pod, a_service, a_workload, make_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_apiserver_properties import is_kept

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.fieldmanager.structuredmerge import (
    from_fields_v1,
    leaf_paths,
    merge,
    path_text,
    to_fields_v1,
    without,
)
from kubesim.errors import BadRequest, Conflict, Invalid, NotFound
from kubesim.objects import thaw

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def config(**data: str) -> dict[str, Any]:
    return a_config_map(**data)


def managers(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in document["metadata"].get("managedFields", [])
    ]


def fields(document: dict[str, Any], manager: str) -> set[str]:
    return {
        path_text(path)
        for entry in document["metadata"].get("managedFields", [])
        if entry["manager"] == manager
        for path in from_fields_v1(entry["fieldsV1"])
    }


def data_of(api: KubeAPI) -> dict[str, str]:
    found: dict[str, str] = api.get("ConfigMap", "settings").get("data", {})
    return found


# -- applying --------------------------------------------------------------------------------------


def test_apply_creates_and_owns_what_it_names(api: KubeAPI) -> None:
    """An object that is not there is made; its defaults belong to nobody."""
    made = api.apply(a_workload("Deployment", replicas=2), field_manager="me")
    assert made["spec"]["revisionHistoryLimit"] == 10
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("me", "Apply", "apps/v1")
    assert entry["fieldsType"] == "FieldsV1" and entry["time"] == "2025-01-01T00:00:00Z"
    assert entry["fieldsV1"]["f:spec"] == {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:containers": {'k:{"name":"main"}': {".": {}, "f:image": {}, "f:name": {}}}
            },
        },
    }


def test_applying_the_same_again_writes_nothing(api: KubeAPI) -> None:
    """No revision is taken, no time moves."""
    made = api.apply(config(a="1"), field_manager="me")
    revision = api.store.revision
    assert api.apply(config(a="1"), field_manager="me") == made
    assert api.store.revision == revision


def test_what_is_named_no_longer_goes(api: KubeAPI) -> None:
    """A field that the applier owned alone is removed; what another one applied, too, stays."""
    api.apply(config(a="1", b="2", c="3"), field_manager="me")
    api.apply(config(b="2"), field_manager="you")
    done = api.apply(config(c="3"), field_manager="me")
    assert done["data"] == {"b": "2", "c": "3"}
    assert fields(done, "me") == {".data.c"} and fields(done, "you") == {".data.b"}


def test_others_fields_are_a_conflict_unless_forced(api: KubeAPI) -> None:
    """409 with a cause for each field; force takes the fields over."""
    api.apply(config(a="1", b="2"), field_manager="you")
    with pytest.raises(Conflict) as refused:
        api.apply(config(a="9"), field_manager="me")
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "you": .data.a'
    (cause,) = refused.value.causes
    assert (cause.reason, cause.field, cause.message) == (
        "FieldManagerConflict",
        ".data.a",
        'conflict with "you"',
    )
    assert data_of(api) == {"a": "1", "b": "2"}
    done = api.apply(config(a="9"), field_manager="me", force=True)
    assert done["data"] == {"a": "9", "b": "2"}
    assert fields(done, "you") == {".data.b"}


def test_several_conflicts_are_listed_by_owner(api: KubeAPI) -> None:
    """All of them are told at once."""
    api.create(config(a="1", b="2"), field_manager="kubectl-create")
    with pytest.raises(Conflict) as refused:
        api.apply(config(a="9", b="9"), field_manager="me")
    assert refused.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl-create" using v1:\n'
        "- .data.a\n- .data.b"
    )
    assert [cause.message for cause in refused.value.causes] == [
        'conflict with "kubectl-create" using v1'
    ] * 2


def test_the_same_value_is_shared(api: KubeAPI) -> None:
    """No conflict where both want the same: both own it, and one may leave."""
    api.apply(config(a="1"), field_manager="you")
    done = api.apply(config(a="1"), field_manager="me")
    assert fields(done, "me") == fields(done, "you") == {".data.a"}
    api.apply(config(), field_manager="you")
    assert data_of(api) == {"a": "1"}


def container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", **more}


def a_deployment(*containers: Any, **spec: Any) -> dict[str, Any]:
    made = a_workload("Deployment", **spec)
    made["spec"]["template"]["spec"]["containers"] = list(containers)
    return made


def test_keyed_lists_are_shared_item_by_item(api: KubeAPI) -> None:
    """A sidecar that another manager added stays, and its image is its own."""
    api.apply(a_deployment(container("web")), field_manager="me")
    side = {"spec": {"template": {"spec": {"containers": [container("side")]}}}}
    sidecar = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, **side}
    api.apply(sidecar, field_manager="mesh")
    env = [{"name": "A", "value": "1"}]
    done = api.apply(a_deployment(container("web", env=env)), field_manager="me")
    containers = done["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["web", "side"]
    assert containers[0]["env"] == env
    with pytest.raises(Conflict) as refused:
        changed = container("side") | {"image": "other"}
        api.apply(a_deployment(container("web"), changed), field_manager="me")
    assert [c.field for c in refused.value.causes] == [
        '.spec.template.spec.containers[name="side"].image'
    ]
    side["spec"]["template"]["spec"]["containers"] = []
    done = api.apply({**sidecar, **side}, field_manager="mesh", force=True)
    names = [c["name"] for c in done["spec"]["template"]["spec"]["containers"]]
    assert names == ["web"]


def test_ports_have_two_keys(api: KubeAPI) -> None:
    """Port and protocol together tell ports apart."""
    ports = [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "name": "t"}]
    done = api.apply(a_service(ports=ports), field_manager="me")
    keys = done["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]
    assert set(keys) == {'k:{"port":53,"protocol":"UDP"}', 'k:{"port":53,"protocol":"TCP"}'}


def test_finalizers_are_a_set(api: KubeAPI) -> None:
    """Each manager brings and takes its own members."""

    def with_finalizers(*names: str) -> dict[str, Any]:
        made = config()
        made["metadata"]["finalizers"] = list(names)
        return made

    api.apply(with_finalizers("a.b/one"), field_manager="one")
    api.apply(with_finalizers("a.b/two"), field_manager="two")
    done = api.apply(with_finalizers("a.b/three"), field_manager="one")
    assert done["metadata"]["finalizers"] == ["a.b/two", "a.b/three"]


def test_a_selector_is_owned_as_a_whole(api: KubeAPI) -> None:
    """Selectors are replaced, not merged."""
    api.apply(a_service(selector={"app": "web", "old": "x"}), field_manager="me")
    done = api.apply(a_service(selector={"app": "web"}), field_manager="me")
    assert done["spec"]["selector"] == {"app": "web"}


def test_a_status_is_applied_on_its_own(api: KubeAPI) -> None:
    """The status subresource has entries of its own; the rest of the document is ignored."""
    api.create(a_pod())
    status = {"conditions": [{"type": "Gate", "status": "True"}]}
    done = api.apply({**a_pod(), "status": status}, subresource="status", field_manager="gate")
    assert done["status"]["phase"] == "Pending"
    assert [c["type"] for c in done["status"]["conditions"]] == ["Gate"]
    assert ("gate", "Apply", "status") in managers(done)
    with pytest.raises(NotFound):
        api.apply({**a_pod("other")}, subresource="status", field_manager="gate")


def test_objects_from_before_have_an_owner(api: KubeAPI) -> None:
    """What nobody kept books of belongs to `before-first-apply`."""
    api.create(config(a="1"))
    with pytest.raises(Conflict, match="before-first-apply"):
        api.apply(config(a="2"), field_manager="me")
    done = api.apply(config(a="2"), field_manager="me", force=True)
    assert managers(done) == [("before-first-apply", "Update", ""), ("me", "Apply", "")]
    assert fields(done, "before-first-apply") == {".data"}  # the map itself, which it created


def test_a_dry_run_changes_nothing(api: KubeAPI) -> None:
    """Conflicts and results are told, the store stays."""
    api.apply(config(a="1"), field_manager="you")
    revision = api.store.revision
    done = api.apply(config(a="2"), field_manager="me", force=True, dry_run=True)
    assert done["data"] == {"a": "2"} and api.store.revision == revision
    assert api.apply(a_pod(), field_manager="me", dry_run=True)["spec"]["restartPolicy"]
    assert api.store.revision == revision


def test_preconditions_of_an_apply(api: KubeAPI) -> None:
    """A resourceVersion or uid in the configuration must be the current one."""
    made = api.apply(config(a="1"), field_manager="me")
    stale = config(a="2")
    stale["metadata"]["resourceVersion"] = "1"
    with pytest.raises(Conflict, match="the object has been modified"):
        api.apply(stale, field_manager="me")
    stale["metadata"] = {"name": "settings", "uid": made["metadata"]["uid"]}
    assert api.apply(stale, field_manager="me")["data"] == {"a": "2"}


@pytest.mark.parametrize(
    ("change", "options", "error"),
    [
        ({}, {}, Invalid),
        (
            {"metadata": {"name": "settings", "managedFields": []}},
            {"field_manager": "me"},
            BadRequest,
        ),
        ({"metadata": {}}, {"field_manager": "me"}, BadRequest),
        ({}, {"field_manager": "me", "name": "other"}, BadRequest),
    ],
)
def test_what_cannot_be_applied(api: KubeAPI, change: Any, options: Any, error: Any) -> None:
    """No manager, no name, another name, or books of one's own."""
    with pytest.raises(error):
        api.apply({**config(), **change}, **options)


def test_strict_apply_refuses_unknown_fields(api: KubeAPI) -> None:
    """Unknown fields are found in the configuration, not in what is there."""
    api.create({**config(), "x": 1})
    with pytest.raises(BadRequest, match='unknown field "y"'):
        api.apply({**config(), "y": 1}, field_manager="me", field_validation="Strict")
    api.apply(config(a="1"), field_manager="me", field_validation="Strict")


# -- plain writes ----------------------------------------------------------------------------------


def test_a_named_create_owns_everything(api: KubeAPI) -> None:
    """Also the defaults, as upstream; without a name nobody keeps books."""
    made = api.create(a_pod(), field_manager="kubectl-create")
    assert managers(made) == [("kubectl-create", "Update", "")]
    assert ".spec.restartPolicy" in fields(made, "kubectl-create")
    assert "managedFields" not in api.create(a_pod("other"))["metadata"]


def test_a_write_takes_over_what_it_changes(api: KubeAPI) -> None:
    """update and patch move the changed fields to their manager."""
    made = api.apply(config(a="1", b="2", c="3"), field_manager="me")
    made["data"] = {"a": "1", "b": "9"}
    done = api.update(made, field_manager="edit")
    assert fields(done, "me") == {".data.a"} and fields(done, "edit") == {".data.b"}
    patch: Any = {"data": {"a": "7"}}
    done = api.patch("cm", "settings", patch, field_manager="patch")
    assert fields(done, "patch") == {".data.a"} and fields(done, "me") == set()
    assert [name for name, *_ in managers(done)] == ["edit", "patch"]


def test_a_component_s_write_is_booked_to_it(api: KubeAPI) -> None:
    """A scale by an autoscaler is a conflict for the next apply that names replicas."""
    api.apply(a_workload("Deployment", replicas=2), field_manager="me")
    api.update_scale("Deployment", "web", replicas=5)
    found = api.get("Deployment", "web")
    assert ("client", "Update", "scale") in managers(found)
    with pytest.raises(Conflict) as refused:
        api.apply(a_workload("Deployment", replicas=2), field_manager="me")
    assert [cause.field for cause in refused.value.causes] == [".spec.replicas"]
    done = api.apply(a_workload("Deployment"), field_manager="me")
    assert done["spec"]["replicas"] == 5


def test_status_writes_of_components_are_not_booked(api: KubeAPI) -> None:
    """A kubelet's reports cost nothing and leave the books alone."""
    made = api.create(a_pod(), field_manager="kubectl-create")
    api.update_status({**a_pod(), "status": {"phase": "Running"}})
    found = api.get("Pod", "web")
    assert found["metadata"]["managedFields"] == made["metadata"]["managedFields"]
    named = {**a_pod(), "status": {"phase": "Failed"}}
    done = api.update_status(named, field_manager="me")
    assert ("me", "Update", "status") in managers(done)


def test_books_can_be_replaced_and_reset(api: KubeAPI) -> None:
    """kubectl's migration writes managedFields itself; a list of one empty entry forgets them."""
    made = api.create(config(a="1"), field_manager="kubectl-client-side-apply")
    (entry,) = made["metadata"]["managedFields"]
    moved = [{**entry, "manager": "kubectl", "operation": "Apply"}]
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": moved}]
    done = api.patch("cm", "settings", patch, patch_type="json", field_manager="kubectl-patch")
    assert managers(done) == [("kubectl", "Apply", "")]
    assert api.apply(config(), field_manager="kubectl").get("data", {}) == {}
    reset = {"metadata": {"managedFields": [{}]}}
    assert managers(api.patch("cm", "settings", reset, field_manager="x")) == []


def test_an_update_without_books_keeps_them(api: KubeAPI) -> None:
    """A client that knows nothing of managedFields does not lose them."""
    api.apply(config(a="1"), field_manager="me")
    done = api.update(config(a="1", b="2"), field_manager="put")
    assert fields(done, "me") == {".data.a"} and fields(done, "put") == {".data.b"}


# -- pure parts ------------------------------------------------------------------------------------

WORDS = st.sampled_from(["a", "b", "c"])
DOCUMENTS = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(WORDS, inner, min_size=1, max_size=3),
    max_leaves=6,
).filter(lambda value: isinstance(value, dict))


@QUICK
@given(DOCUMENTS)
def test_sets_travel(document: dict[str, Any]) -> None:
    """A set of fields goes through fieldsV1 unchanged."""
    paths = leaf_paths(document)
    assert from_fields_v1(to_fields_v1(paths)) == paths


@QUICK
@given(DOCUMENTS, DOCUMENTS)
def test_what_is_merged_is_there(live: dict[str, Any], applied: dict[str, Any]) -> None:
    """All that was applied is in the result, and neither side is changed."""
    before, wanted = thaw(live), thaw(applied)
    merged = merge(live, applied, {})
    assert (live, applied) == (before, wanted)
    assert is_kept(applied, merged)
    assert merge(merged, applied, {}) == merged


@QUICK
@given(DOCUMENTS, DOCUMENTS)
def test_what_is_taken_out_is_gone(document: dict[str, Any], other: dict[str, Any]) -> None:
    """Without some of its leaves, a document has the others left."""
    gone = leaf_paths(document) & leaf_paths(other)
    assert leaf_paths(without(document, gone, {})) == leaf_paths(document) - gone


@QUICK
@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), DOCUMENTS), min_size=1, max_size=5))
def test_owners_get_what_they_want(steps: list[tuple[str, dict[str, Any]]]) -> None:
    """Whoever applied last, by force, finds all of it; every leaf that is left has an owner."""
    api = make_api()
    for manager, data in steps:
        document = {**config(), "data": {k: str(v) for k, v in data.items()}}
        done = api.apply(document, field_manager=manager, force=True)
        assert is_kept(document["data"], done["data"])
        owned = fields(done, "one") | fields(done, "two")
        assert {f".data.{name}" for name in done["data"]} == owned
