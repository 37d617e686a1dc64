"""Manifests: YAML as Go reads it, and apply, diff and delete as kubectl does them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_builders import a_config_map, a_pod, a_service, a_workload, make_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_apiserver_properties import BUILDERS, JSON, is_kept

from kubesim import Cluster, yamltext
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.patch.merge import merge_patch
from kubesim.apiserver.patch.strategic import strategic_patch
from kubesim.apiserver.patch.threeway import annotated, merging, strategic
from kubesim.ctl import apply as manifests
from kubesim.errors import BadRequest, Invalid, NotFound
from kubesim.objects import thaw
from kubesim.objects.wellknown import LAST_APPLIED

pytest.importorskip("yaml")
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# -- YAML ------------------------------------------------------------------------------------------

GO_READS = [
    ("2024-01-01", "2024-01-01"),
    ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    ("12:30", "12:30"),
    ("80:80", "80:80"),
    ("1e3", 1000.0),
    ("0644", 420),
    ("0x1F", 31),
    ("-5", -5),
    ("1_000", 1000),
    (".5", 0.5),
    ("1.0.0", "1.0.0"),
    ("500m", "500m"),
    ("yes", True),
    ("off", False),
    ("~", None),
    ('"1"', "1"),
    ("<<", "<<"),
]


@pytest.mark.parametrize(("text", "value"), GO_READS)
def test_plain_words_are_read_as_go_reads_them(text: str, value: object) -> None:
    """Dates and times stay strings; numbers and booleans are parsed as in Kubernetes."""
    (parsed,) = yamltext.parse(f"a: {text}")
    assert parsed == {"a": value} and type(parsed["a"]) is type(value)


@QUICK
@given(st.dictionaries(st.text(min_size=1, max_size=6), JSON, max_size=4))
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    """A JSON object survives a round trip through YAML."""
    (parsed,) = yamltext.parse(yamltext.render([document]))
    assert parsed == document and is_kept(document, parsed)


@pytest.mark.parametrize(
    "word", ["yes", "n", "12:30", "1e3", "0644", "2024-01-01", "=", "null", ""]
)
def test_strings_that_look_like_something_else_are_quoted(word: str) -> None:
    """Strings that look like other types are quoted."""
    assert yamltext.render([{"a": word}]) == f"a: '{word}'\n"


def test_a_key_twice_is_an_error_and_a_merge_key_is_none() -> None:
    """Invalid YAML is refused with its line; `<<` may be overridden."""
    with pytest.raises(BadRequest, match='line 2: key "a" already set in map'):
        yamltext.parse("a: 1\na: 2")
    assert yamltext.parse("x: &x {b: 1}\ny: {<<: *x, b: 2}")[0]["y"] == {"b": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!bool yes", True),
        ("!!timestamp 2024-01-01", "2024-01-01T00:00:00Z"),
        ("!!timestamp 2024-01-01T10:00:00+02:00", "2024-01-01T10:00:00+02:00"),
        ("!!binary aGk=", "hi"),
        ("!!set {x, y}", {"x": None, "y": None}),
        ("!!omap [{x: 1}]", [{"x": 1}]),
        ("!!str 5", "5"),
    ],
)
def test_explicit_tags_give_json(text: str, value: object) -> None:
    """What Go makes of them in JSON, and never a date, a set or bytes of Python."""
    assert yamltext.parse(f"a: {text}") == [{"a": value}]


@pytest.mark.parametrize(
    "text",
    [
        "!!bool x",
        "!!bool [x]",
        "!!timestamp x",
        "!!timestamp [x]",
        "!!binary '!'",
        "!!binary /w==",
        "!!int x",
        "!!int ''",
        "!!float x",
        "!!map x",
        "!!seq x",
        "!!set [x]",
        "!!omap {x: 1}",
        "!!python/object:os.system x",
        "!foo x",
    ],
)
def test_a_value_that_its_tag_does_not_allow_is_refused(text: str) -> None:
    """Each is a bad request, and no error of the parser's own."""
    with pytest.raises(BadRequest):
        yamltext.parse(f"a: {text}")


@pytest.mark.parametrize("tag", ["bool", "int", "float", "timestamp"])
def test_the_refusal_names_line_value_and_tag(tag: str) -> None:
    """As that of yaml.v3 does, without a word of Python's."""
    with pytest.raises(BadRequest) as refused:
        yamltext.parse(f"b: 1\na: !!{tag} x")
    assert str(refused.value) == f"line 2: cannot decode !!str `x` as a !!{tag}"


def test_hostile_yaml_is_refused_at_once() -> None:
    """Alias bombs, endless nesting and Python tags are refused."""
    pairs = [("bcdefghij"[i], "abcdefghi"[i]) for i in range(9)]
    layers = [f"{a}: &{a} [{','.join(['*' + b] * 10)}]" for a, b in pairs]
    bombs = [
        "\n".join(["a: &a [x]", *layers]),
        "a: " + "[" * 5_000 + "]" * 5_000,
        "a: &a [*a]",
        "a: !!python/object/apply:os.getcwd []",
        "a: " + "9" * 5_000,
    ]
    for text in bombs:
        with pytest.raises(BadRequest):
            yamltext.parse(text)
    assert yamltext.parse("a: &a {x: 1}\nb: [*a, *a]")[0]["b"] == [{"x": 1}, {"x": 1}]


def test_broken_yaml_says_where() -> None:
    """Invalid YAML is refused with its line."""
    with pytest.raises(BadRequest, match="line 2"):
        manifests.read("kind: Pod\n  x: [")


def test_several_documents_lists_files_and_folders(tmp_path: Path) -> None:
    """Documents keep their order: in a string, a List, the files of a folder."""
    text = yamltext.render([a_pod("a"), {"kind": "PodList", "items": [a_pod("b"), a_pod("c")]}])
    (tmp_path / "1.yaml").write_text(f"---\n{text}---\n")
    (tmp_path / "2.json").write_text('{"kind": "Pod", "metadata": {"name": "d"}}')
    (tmp_path / "notes.txt").write_text("not a manifest: [")
    for manifest in (tmp_path, str(tmp_path)):
        names = [document["metadata"]["name"] for document in manifests.read(manifest)]
        assert names == ["a", "b", "c", "d"]
    assert manifests.read(str(tmp_path / "1.yaml"))[0] == a_pod("a")
    assert manifests.read([a_pod("a"), a_pod("b")]) == [a_pod("a"), a_pod("b")]
    with pytest.raises(BadRequest, match="does not exist"):
        manifests.read("missing.yaml")
    with pytest.raises(BadRequest, match="a manifest is an object, not str"):
        manifests.read("just words: no\n---\nwords")


def test_without_pyyaml_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML, YAML says what to install; dictionaries and JSON work."""

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(yamltext, "import_module", missing)
    with pytest.raises(ImportError, match="pip install"):
        manifests.read("kind: Pod")
    assert manifests.read('{"kind": "Pod"}') == [{"kind": "Pod"}]


# -- apply -----------------------------------------------------------------------------------------


def results(table: Any) -> list[tuple[Any, ...]]:
    return list(table)


def test_created_unchanged_configured(api: KubeAPI) -> None:
    """The three results of kubectl apply: created, configured, unchanged."""
    both = [a_workload("Deployment", replicas=2), a_config_map(a="1")]
    assert results(manifests.apply(api, both)) == [
        ("deployment.apps/web", "created"),
        ("configmap/settings", "created"),
    ]
    revision = api.store.revision
    assert {what for _, what in manifests.apply(api, both)} == {"unchanged"}
    assert api.store.revision == revision
    both[1]["data"] = {"b": "2"}
    assert results(manifests.apply(api, both))[1] == ("configmap/settings", "configured")
    assert api.get("ConfigMap", "settings")["data"] == {"b": "2"}


def test_the_annotation_is_kubectls(api: KubeAPI) -> None:
    """The last applied configuration: sorted, compact JSON with its namespace and a line end."""
    manifests.apply(api, a_config_map(b="2", a="1"))
    annotations = api.get("ConfigMap", "settings")["metadata"]["annotations"]
    assert annotations[LAST_APPLIED] == (
        '{"apiVersion":"v1","data":{"a":"1","b":"2"},"kind":"ConfigMap","metadata":'
        '{"annotations":{},"name":"settings","namespace":"default"}}\n'
    )


def test_what_others_set_is_left_alone(api: KubeAPI) -> None:
    """An autoscaler's replicas survive an apply that does not name them; a named one wins."""
    manifests.apply(api, a_workload("Deployment"))
    api.update_scale("Deployment", "web", replicas=7)
    manifests.apply(api, a_workload("Deployment", minReadySeconds=5))
    spec = api.get("Deployment", "web")["spec"]
    assert (spec["replicas"], spec["minReadySeconds"]) == (7, 5)
    manifests.apply(api, a_workload("Deployment", replicas=3))
    spec = api.get("Deployment", "web")["spec"]
    assert spec["replicas"] == 3 and spec.get("minReadySeconds", 0) == 0


def container(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", **fields}


def test_containers_come_go_and_keep_their_order(api: KubeAPI) -> None:
    """In keyed lists items are removed, added and changed; the manifest's order holds."""

    def deployment(*containers: Any) -> dict[str, Any]:
        new = a_workload("Deployment")
        new["spec"]["template"]["spec"]["containers"] = list(containers)
        return new

    manifests.apply(api, deployment(container("a"), container("b")))
    env = [{"name": "X", "value": "1"}]
    manifests.apply(api, deployment(container("c"), container("b", env=env)))
    containers = api.get("Deployment", "web")["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in containers] == ["c", "b"]
    assert containers[1]["env"] == env
    manifests.apply(api, deployment(container("b"), container("c")))
    containers = api.get("Deployment", "web")["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in containers] == ["b", "c"]
    assert not containers[0].get("env")


def test_a_change_of_strategy_drops_the_defaults_of_the_old_one(api: KubeAPI) -> None:
    """A change to Recreate removes the defaulted rollingUpdate by $retainKeys."""
    manifests.apply(api, a_workload("Deployment"))
    manifests.apply(api, a_workload("Deployment", strategy={"type": "Recreate"}))
    assert api.get("Deployment", "web")["spec"]["strategy"] == {"type": "Recreate"}


def test_an_object_made_without_apply_is_adopted(api: KubeAPI) -> None:
    """Without the annotation nothing is removed, and the annotation is added."""
    api.create(a_config_map(a="1", b="2"))
    assert results(manifests.apply(api, a_config_map(a="9")))[0][1] == "configured"
    config = api.get("ConfigMap", "settings")
    assert (
        config["data"] == {"a": "9", "b": "2"} and LAST_APPLIED in config["metadata"]["annotations"]
    )


def test_a_dry_run_changes_nothing(api: KubeAPI) -> None:
    """A dry run has the same result and does not change the store."""
    revision = api.store.revision
    assert results(manifests.apply(api, a_pod(), dry_run=True)) == [("pod/web", "created")]
    assert api.store.revision == revision


def test_one_refused_object_does_not_stop_the_others(api: KubeAPI) -> None:
    """The error is raised at the end and lists what was applied."""
    with pytest.raises(Invalid) as refused:
        manifests.apply(api, [a_pod("a", containers=[]), a_pod("b")])
    assert refused.value.__notes__ == ["the other objects were applied: pod/b created"]
    assert api.get("Pod", "b")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "resource name may not be empty"),
        ({"generateName": "a-"}, "cannot use generate name with apply"),
        ({"name": "a", "namespace": "x"}, 'does not match the namespace "y"'),
    ],
)
def test_what_cannot_be_applied(api: KubeAPI, metadata: dict[str, str], words: str) -> None:
    """Names and namespaces must be unambiguous."""
    with pytest.raises(BadRequest, match=words):
        manifests.apply(api, {**a_pod(), "metadata": metadata}, namespace="y")


def test_diff_shows_fields_and_is_empty_after_apply(api: KubeAPI) -> None:
    """Each changed field with both values; right after an apply there is no difference."""
    manifests.apply(api, a_workload("Deployment", replicas=2))
    wanted = a_workload("Deployment", replicas=3)
    assert results(manifests.diff(api, wanted)) == [("deployment.apps/web", "spec.replicas", 2, 3)]
    manifests.apply(api, wanted)
    assert results(manifests.diff(api, wanted)) == []


def test_delete_takes_all_and_reports_what_was_not_there(api: KubeAPI) -> None:
    """Objects are deleted in order; a missing one is an error unless ignored."""
    manifests.apply(api, [a_config_map(), a_service()])
    with pytest.raises(NotFound):
        manifests.delete(api, [a_pod(), a_service()])
    rest = [a_pod(), a_config_map()]
    assert results(manifests.delete(api, rest, ignore_not_found=True)) == [
        ("configmap/settings", "deleted")
    ]
    assert [each["metadata"]["name"] for each in api.list("Service")["items"]] == ["kubernetes"]


def without_nulls(value: Any) -> Any:
    """A patch cannot carry a null that is meant as a value."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value if v is not None] if isinstance(value, list) else value


@QUICK
@given(st.sampled_from(BUILDERS).map(lambda build: without_nulls(build())))
def test_apply_gives_every_field_back(document: dict[str, Any]) -> None:
    """An applied object is read back completely; a second apply changes nothing."""
    api = make_api()
    kind, name = document["kind"], document["metadata"]["name"]
    if kind == "Node":
        document["spec"].pop("taints", None)  # admission adds one to the list, which is atomic
    manifests.apply(api, document)
    assert is_kept(document, api.get(kind, name))
    assert results(manifests.diff(api, document)) == []
    ((_, result),) = manifests.apply(api, document)
    assert result == "unchanged"


@QUICK
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4), min_size=3, max_size=3))
def test_three_way_patches_lead_where_they_should(documents: list[dict[str, Any]]) -> None:
    """The patch adds desired fields and removes formerly applied ones."""
    original, wanted, live = documents
    for build, patch in ((strategic, strategic_patch), (merging, merge_patch)):
        before = thaw(live)
        after = patch(live, build(original, wanted, live))
        assert live == before
        for field, value in wanted.items():
            if value is not None and not isinstance(value, (dict, list)):
                assert after[field] == value
        for field in original:
            if field not in wanted:
                assert field not in after


def test_annotated_leaves_the_manifest_alone() -> None:
    """Apply does not change the manifest."""
    document = a_pod()
    before = thaw(document)
    annotated(document)
    assert document == before


def test_a_manifest_of_another_version_is_unchanged_when_it_is_applied_again() -> None:
    """An HPA of autoscaling/v1: created, unchanged, configured; it is stored as v2."""
    hpa = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 50,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        },
    }
    with Cluster(nodes=1) as cluster:
        results = [cluster.apply(hpa).rows[0][1] for _ in range(2)]
        hpa["spec"]["targetCPUUtilizationPercentage"] = 60  # type: ignore[index]
        fields = [row[1] for row in manifests.diff(cluster.api, hpa).rows]
        assert fields == ["spec.targetCPUUtilizationPercentage"]
        results.append(cluster.apply(hpa).rows[0][1])
        stored = cluster.api.get("HorizontalPodAutoscaler", "web")
    assert results == ["created", "unchanged", "configured"]
    assert stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


def test_a_misspelt_field_is_refused_as_by_kubectl() -> None:
    """When it is created and when it is changed; nothing is stored."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "datum": {}}
    with Cluster(nodes=1) as cluster:
        with pytest.raises(BadRequest, match='unknown field "datum"'):
            cluster.apply(manifest)
        assert cluster.api.peek("ConfigMap", "m") is None
        del manifest["datum"]
        cluster.apply(manifest)
        with pytest.raises(Invalid, match='unknown field "datum"'):
            cluster.apply({**manifest, "datum": {"a": "1"}})


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_block_text_keeps_its_newline_without_a_last_line_break(tmp_path: Path, end: str) -> None:
    """kubectl reads lines, and ends each."""
    file = tmp_path / "map.yaml"
    text = "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: m\ndata:\n  a: |\n    line"
    file.write_text(text + end)
    assert manifests.read(file)[0]["data"] == {"a": "line\n"}
