"""Custom kinds: definitions, their rules, their objects, and what is left when they go."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_pod, an_hpa, make_api

from kubesim.apiserver import Kind, KubeAPI
from kubesim.apiserver.schema.custom import check, fill_defaults
from kubesim.apiserver.schema.schemas import component_name, components
from kubesim.apiserver.schema.structural import unknown_fields
from kubesim.apiserver.validation import FieldErrors
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.cluster import Cluster
from kubesim.errors import (
    AlreadyExists,
    BadRequest,
    Invalid,
    MethodNotAllowed,
    NotFound,
    UnsupportedMediaType,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["cron"],
            "properties": {
                "cron": {"type": "string", "pattern": r"^[0-9* ]+$"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "slow"},
                "port": {"x-kubernetes-int-or-string": True},
                "tags": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
                "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        },
        "status": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}

GOAL = {"type": "Utilization", "averageUtilization": 10}
CPU_TARGET = {"type": "Resource", "resource": {"name": "cpu", "target": GOAL}}


def a_definition(**changes: Any) -> dict[str, Any]:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [{"name": "Cron", "type": "string", "jsonPath": ".spec.cron"}],
    }
    older = {"name": "v1beta1", "served": True, "storage": False, "schema": version["schema"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"]},
            "versions": [version, older],
            **changes,
        },
    }


def a_tab(name: str = "nightly", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": name},
        "spec": {"cron": "0 2 * * *", **spec},
    }


@pytest.fixture
def crd_api(api: KubeAPI) -> KubeAPI:
    api.create(a_definition())
    return api


def causes(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(cause.field, cause.message) for cause in refused.value.causes]


def test_a_definition_is_established_at_once(crd_api: KubeAPI) -> None:
    """Names are completed and accepted, and the conditions say that the kind is served."""
    definition = crd_api.get("crd", "crontabs.example.com")
    assert definition["spec"]["names"]["singular"] == "crontab"
    assert definition["spec"]["names"]["listKind"] == "CronTabList"
    status = definition["status"]
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    assert status["storedVersions"] == ["v1"]
    kind = crd_api.registry.find("ct")
    assert (kind.kind, kind.resource, kind.columns[0]["name"]) == (
        "CronTab",
        "crontabs.example.com",
        "Cron",
    )
    assert crd_api.registry.at("example.com", "v1beta1", "crontabs") is kind
    assert crd_api.registry.at("example.com", "v2", "crontabs") is None


def test_objects_have_every_verb(crd_api: KubeAPI) -> None:
    """Created with defaults, listed, watched, patched, scaled, with a status of their own."""
    watch = crd_api.watch("crontabs")
    made = crd_api.create(a_tab())
    assert made["spec"] == {"cron": "0 2 * * *", "replicas": 1, "mode": "slow"}
    crd_api.patch("CronTab", "nightly", {"spec": {"mode": "fast"}})
    assert crd_api.update_scale("ct", "nightly", replicas=4)["spec"]["replicas"] == 4
    made["status"] = {"replicas": 3, "selector": "app=x"}
    del made["metadata"]["resourceVersion"]
    crd_api.update_status(made)
    scale = crd_api.get_scale("ct", "nightly")
    assert scale["status"] == {"replicas": 3, "selector": "app=x"}
    found = crd_api.get("ct", "nightly")
    assert found["spec"]["replicas"] == 4 and found["metadata"]["generation"] == 3
    assert [event.type for event in watch.poll()] == ["ADDED"] + ["MODIFIED"] * 3
    with pytest.raises(UnsupportedMediaType):
        crd_api.patch("ct", "nightly", {}, patch_type="strategic")


BROKEN = [
    (
        {"cron": 5},
        "spec.cron",
        'Invalid value: "integer": spec.cron in body must be of type string: "integer"',
    ),
    (
        {"cron": "x"},
        "spec.cron",
        "Invalid value: \"x\": spec.cron in body should match '^[0-9* ]+$'",
    ),
    (
        {"replicas": 0},
        "spec.replicas",
        "Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
    ),
    (
        {"replicas": 11},
        "spec.replicas",
        "Invalid value: 11: spec.replicas in body should be less than or equal to 10",
    ),
    ({"mode": "odd"}, "spec.mode", 'Unsupported value: "odd": supported values: "fast", "slow"'),
    ({"tags": ["a", "b", "c"]}, "spec.tags", "Too many: 3: must have at most 2 items"),
    (
        {"tags": [1]},
        "spec.tags[0]",
        'Invalid value: "integer": spec.tags[0] in body must be of type string: "integer"',
    ),
    (
        {"limits": {"a": "b"}},
        "spec.limits[a]",
        'Invalid value: "string": spec.limits[a] in body must be of type integer: "string"',
    ),
    (
        {"port": 1.5},
        "spec.port",
        'Invalid value: "number": spec.port in body must be of type integer,string: "number"',
    ),
]


@pytest.mark.parametrize(("spec", "field", "message"), BROKEN)
def test_rules_of_the_schema(
    crd_api: KubeAPI, spec: dict[str, Any], field: str, message: str
) -> None:
    """Each broken rule is named by its path, in upstream's words."""
    with pytest.raises(Invalid) as refused:
        crd_api.create(a_tab(**spec))
    assert causes(refused) == [(field, message)]


def test_what_is_required_and_what_is_unknown(crd_api: KubeAPI) -> None:
    """A missing field is required; an unknown one is found by strict decoding, and pruned."""
    tab = a_tab(color="red")
    assert unknown_fields(crd_api.registry.find("CronTab"), tab) == ["spec.color"]
    assert "color" not in crd_api.create(tab)["spec"]
    del tab["spec"]["cron"]
    with pytest.raises(Invalid) as refused:
        crd_api.update(tab)
    assert causes(refused) == [("spec.cron", "Required value")]


def test_a_status_follows_the_schema_too(crd_api: KubeAPI) -> None:
    """Wrong types in a custom status are refused."""
    crd_api.create(a_tab())
    with pytest.raises(Invalid) as refused:
        crd_api.update_status({**a_tab(), "status": {"replicas": "many"}})
    assert causes(refused)[0][0] == "status.replicas"


def test_another_version_differs_in_name_alone(crd_api: KubeAPI) -> None:
    """Written in one version, stored in another, read in both."""
    made = crd_api.create({**a_tab(), "apiVersion": "example.com/v1beta1"})
    assert made["apiVersion"] == "example.com/v1"
    assert crd_api.convert(made, "example.com/v1beta1") == {
        **made,
        "apiVersion": "example.com/v1beta1",
    }


def test_a_definition_that_goes_takes_its_objects_along(crd_api: KubeAPI) -> None:
    """No object is left, no name is known, and the kind may be defined anew."""
    crd_api.create(a_tab())
    watch = crd_api.watch("CronTab")
    crd_api.delete("crd", "crontabs.example.com")
    assert [event.type for event in watch.poll()] == ["DELETED"]
    for name in ("ct", "crontabs", "crontabs.example.com"):
        with pytest.raises(NotFound):
            crd_api.registry.find(name)
    assert crd_api.list("CronTab")["items"] == []  # who watched it sees an empty list
    with pytest.raises(NotFound, match="no matches for kind"):
        crd_api.create(a_tab())
    crd_api.create(a_definition(scope="Cluster"))
    assert "namespace" not in crd_api.create(a_tab())["metadata"]


def test_an_update_changes_the_rules(crd_api: KubeAPI) -> None:
    """A new schema holds for the next write; group, scope and kind are for life."""
    definition = crd_api.get("crd", "crontabs.example.com")
    version = definition["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["replicas"][
        "maximum"
    ] = 100
    crd_api.update(definition)
    assert crd_api.create(a_tab(replicas=50))["spec"]["replicas"] == 50
    with pytest.raises(Invalid) as refused:
        crd_api.update(a_definition(scope="Cluster"))
    assert causes(refused)[0][0] == "spec.scope"


def test_a_restored_store_knows_its_kinds(crd_api: KubeAPI) -> None:
    """A server over a store with definitions serves their kinds."""
    crd_api.create(a_tab())
    again = KubeAPI(crd_api.store, VirtualClock(), NamedStreams(0))
    assert again.get("ct", "nightly")["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"group": ""}, "spec.group"),
        ({"group": "nodots"}, "spec.group"),
        ({"scope": "World"}, "spec.scope"),
        ({"names": {"plural": "tabs", "kind": "CronTab"}}, "metadata.name"),
        ({"names": {"plural": "crontabs"}}, "spec.names.singular"),
        ({"versions": []}, "spec.versions"),
        (
            {"versions": [{"name": "v1", "storage": True}]},
            "spec.versions[0].schema.openAPIV3Schema",
        ),
    ],
)
def test_rules_of_definitions(api: KubeAPI, changes: dict[str, Any], field: str) -> None:
    """A definition that makes no kind is refused with the path of what is wrong."""
    with pytest.raises(Invalid) as refused:
        api.create(a_definition(**changes))
    assert field in [path for path, _ in causes(refused)]


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "list"}, "type"),
        ({"type": "object", "properties": {"a": {}}}, "properties[a].type"),
        (
            {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
            "properties[a].pattern",
        ),
    ],
)
def test_a_schema_must_be_one(api: KubeAPI, schema: Any, field: str) -> None:
    """What would make the server stumble later is refused when it is defined."""
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    with pytest.raises(Invalid) as refused:
        api.create(a_definition(versions=[version]))
    assert f"spec.versions[0].schema.openAPIV3Schema.{field}" in [f for f, _ in causes(refused)]


def test_names_of_other_kinds_are_taken(api: KubeAPI) -> None:
    """A definition cannot take the name of a kind of its group, not even in a dry run.

    That of another group's kind is free (test_kinds_groups.py).
    """
    api.create(a_definition())
    second: dict[str, Any] = a_definition(names={"plural": "tables", "kind": "CronTab"})
    second["metadata"]["name"] = "tables.example.com"
    with pytest.raises(AlreadyExists):
        api.create(second, dry_run=True)
    assert api.create(a_pod())["apiVersion"] == "v1"


def test_a_kind_from_python_needs_no_document() -> None:
    """`register_kind` adds a kind with its own rules."""
    api = make_api()
    api.register_kind(Kind("Lamp", "lamps", group="example.com", categories=("home",)))
    assert api.create({"kind": "Lamp", "metadata": {"name": "a"}, "spec": {"on": True}})
    assert api.registry.find("lamps").singular == "lamp"


def test_the_schema_is_there_for_explain(crd_api: KubeAPI) -> None:
    """A custom kind's OpenAPI schema is its own, under its reversed group."""
    kind = crd_api.registry.find("ct")
    assert component_name(kind) == "com.example.v1.CronTab"
    found = components(kind)["com.example.v1.CronTab"]
    assert found["properties"]["spec"]["required"] == ["cron"]


COMBINED = [
    ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 3, 2),
    ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 6, 0),
    ({"oneOf": [{"minimum": 1}, {"minimum": 5}]}, 6, 1),
    ({"oneOf": [{"minimum": 1}, {"minimum": 5}]}, 3, 0),
    ({"not": {"enum": [1]}}, 1, 1),
    ({"allOf": [{"minimum": 1}, {"multipleOf": 2}]}, 3, 2),
    ({"minimum": 1, "exclusiveMinimum": True}, 1, 1),
    ({"type": "array", "x-kubernetes-list-type": "set"}, [1, 1], 1),
    ({"type": "string", "minLength": 3}, "ab", 1),
    ({"type": "object", "minProperties": 1}, {}, 1),
    ({"type": "string", "nullable": True}, None, 0),
]


@pytest.mark.parametrize(("schema", "value", "count"), COMBINED)
def test_constraints(schema: dict[str, Any], value: Any, count: int) -> None:
    """Each constraint of a schema counts once, and a combination beside what broke in it."""
    errors = FieldErrors()
    check(schema, value, "spec", errors)
    assert len(errors.causes) == count


def test_defaults_reach_any_depth_and_nulls() -> None:
    """Items, values of maps and nulls of fields that may not be null get their defaults."""
    inner = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}
    schema = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": inner},
            "map": {"type": "object", "additionalProperties": inner},
            "made": {**inner, "default": {}},
            "free": {"type": "integer", "nullable": True, "default": 7},
        },
    }
    value: dict[str, Any] = {"items": [{}, {"a": None}], "map": {"x": {}}, "free": None}
    fill_defaults(schema, value)
    assert value == {
        "items": [{"a": 1}, {"a": 1}],
        "map": {"x": {"a": 1}},
        "made": {"a": 1},
        "free": None,
    }


def test_a_null_that_is_not_allowed_is_removed(crd_api: KubeAPI) -> None:
    """A field without a default is as good as absent, so a required one is missing."""
    created = crd_api.create(a_tab(port=None, mode=None, limits={"a": None, "b": 1}))
    assert created["spec"] == {
        "cron": "0 2 * * *",
        "mode": "slow",
        "limits": {"b": 1},
        "replicas": 1,
    }
    with pytest.raises(Invalid) as refused:
        crd_api.create(a_tab("b", cron=None))
    assert causes(refused) == [("spec.cron", "Required value")]


def test_an_autoscaler_scales_a_custom_kind() -> None:
    """The HPA knows nothing of a kind but its scale: paths of its own will do."""
    target = {"apiVersion": "example.com/v1", "kind": "CronTab", "name": "nightly"}
    tab = a_tab(replicas=1)
    pod = a_pod("tab-0")
    pod["metadata"]["labels"] = {"app": "tab"}
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    hpa = an_hpa("tab", scaleTargetRef=target, metrics=[CPU_TARGET])
    with Cluster(nodes=1, hpa=False, seed=3) as cluster:
        cluster.apply([a_definition(), tab, pod, hpa])
        cluster.api.update_status({**tab, "status": {"replicas": 1, "selector": "app=tab"}})
        cluster.sleep(120)
        assert cluster.api.get("ct", "nightly")["spec"]["replicas"] == 5
        assert cluster.get("ct").columns == ("Namespace", "Name", "Cron")


def test_objects_with_finalizers_hold_their_definition(crd_api: KubeAPI) -> None:
    """The definition is Terminating until the last object is gone; nothing new is created."""
    for name in ("held", "free"):
        crd_api.create(a_tab(name))
    finalizer: dict[str, Any] = {"metadata": {"finalizers": ["example.com/wait"]}}
    crd_api.patch("ct", "held", finalizer)
    for _ in range(2):  # a second deletion changes nothing
        crd_api.delete("crd", "crontabs.example.com")
    definition = crd_api.get("crd", "crontabs.example.com")
    assert definition["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    condition = definition["status"]["conditions"][-1]
    assert (condition["type"], condition["status"]) == ("Terminating", "True")
    assert condition["reason"] == "InstanceDeletionInProgress"
    assert [tab["metadata"]["name"] for tab in crd_api.list("ct")["items"]] == ["held"]
    with pytest.raises(MethodNotAllowed, match="create not allowed while custom resource"):
        crd_api.create(a_tab("late"))
    crd_api.patch("ct", "held", {"metadata": {"finalizers": None}})
    for name in ("crontabs.example.com", "other"):
        with pytest.raises(NotFound):
            crd_api.get("crd", name)
    crd_api.create(a_definition())  # nothing is inherited
    assert crd_api.list("ct")["items"] == []
    assert "finalizers" not in crd_api.get("crd", "crontabs.example.com")["metadata"]


def test_a_restored_server_finishes_a_deletion(crd_api: KubeAPI) -> None:
    """A definition that was terminating goes with its last object in the next server, too."""
    crd_api.create(a_tab())
    crd_api.patch("ct", "nightly", {"metadata": {"finalizers": ["example.com/wait"]}})
    crd_api.delete("crd", "crontabs.example.com", dry_run=True)
    assert "deletionTimestamp" not in crd_api.get("ct", "nightly")["metadata"]
    crd_api.delete("crd", "crontabs.example.com")
    again = KubeAPI(crd_api.store, VirtualClock(), NamedStreams(0))
    again.patch("ct", "nightly", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        again.get("crd", "crontabs.example.com")


def test_fields_that_a_definition_declares_selectable(api: KubeAPI) -> None:
    """Lists and watches select by them; other fields are refused."""
    definition = a_definition()
    definition["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".spec.mode"}]
    api.create(definition)
    for name, mode in (("a", "fast"), ("b", "slow")):
        api.create(a_tab(name, mode=mode))
    items = api.list("ct", field_selector="spec.mode=fast")["items"]
    assert [tab["metadata"]["name"] for tab in items] == ["a"]
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.cron"):
        api.list("ct", field_selector="spec.cron=x")


def test_a_version_that_is_not_served(api: KubeAPI) -> None:
    """Objects are written and read in the served versions alone, whichever of them is stored."""
    definition = a_definition()
    definition["spec"]["versions"][0]["served"] = False
    stored = api.create(definition)["status"]["storedVersions"]
    assert stored == ["v1"]
    with pytest.raises(BadRequest, match="no matches for kind"):
        api.create(a_tab())
    created = api.create({**a_tab(), "apiVersion": "example.com/v1beta1"})
    assert created["apiVersion"] == "example.com/v1beta1"
    assert api.registry.at("example.com", "v1", "crontabs") is None


@pytest.mark.parametrize(
    ("warning", "others", "expected"),
    [
        (
            None,
            ["v1", "v2beta1"],
            "example.com/v1beta1 CronTab is deprecated; use example.com/v1 CronTab",
        ),
        (None, ["v1alpha1"], "example.com/v1beta1 CronTab is deprecated"),
        (
            None,
            ["v10", "v2"],
            "example.com/v1beta1 CronTab is deprecated; use example.com/v10 CronTab",
        ),
        ("Use something else", ["v1"], "Use something else"),
    ],
)
def test_deprecated_versions(
    api: KubeAPI, warning: str | None, others: list[str], expected: str
) -> None:
    """Requests for them are warned; the best version that is not deprecated is named."""
    definition = a_definition()
    old, template = definition["spec"]["versions"][1], definition["spec"]["versions"][0]
    old |= {"deprecated": True, **({"deprecationWarning": warning} if warning else {})}
    better = [{**template, "name": name, "storage": name == others[0]} for name in others]
    definition["spec"]["versions"] = [*better, old]
    api.create(definition)
    kind = api.registry.find("ct")
    assert kind.in_version("example.com/v1beta1").deprecation == expected
    assert kind.deprecation == ""


def test_all_fields_of_a_custom_object_count_as_a_generation(api: KubeAPI) -> None:
    """Only its metadata do not, nor its status if that is a subresource."""
    definition = a_definition()
    definition["spec"]["versions"] = definition["spec"]["versions"][:1]
    schema: Any = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition["spec"]["versions"][0] |= {"schema": {"openAPIV3Schema": schema}}
    api.create(definition)
    api.create({**a_tab(), "data": "a"})
    generations = [
        api.patch("ct", "nightly", change)["metadata"]["generation"]
        for change in ({"data": "b"}, {"metadata": {"labels": {"a": "b"}}}, {"status": {"a": 1}})
    ]
    assert generations == [2, 2, 2]
    definition = api.get("crd", "crontabs.example.com")
    definition["spec"]["versions"][0]["subresources"] = {}
    api.update(definition)
    patched = api.patch("ct", "nightly", {"status": {"a": 1}})
    assert (patched["metadata"]["generation"], patched["status"]) == (3, {"a": 1})
