"""What holds for every kind: verbs, versions, tables, watches, apply twice, schema.

Each kind of the server has a sample in `kind_samples.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import make_api
from kind_samples import SAMPLES

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.bootstrap import default_registry
from kubesim.apiserver.printers.table import columns, table_for
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema import schemas
from kubesim.ctl import apply as manifests
from kubesim.objects.frozen import thaw

REGISTRY = default_registry()
SERVED = {(kind.api_version, kind.kind) for kind in REGISTRY.kinds()}
WRITTEN = [each for each in SAMPLES if (each["apiVersion"], each["kind"]) in SERVED]
EVERY_SAMPLE = pytest.mark.parametrize(
    "document", WRITTEN, ids=[f"{each['kind']}.{each['apiVersion']}" for each in WRITTEN]
)
Sample = dict[str, Any]


def name_of(document: Sample) -> str:
    """The name of a sample."""
    return str(document["metadata"]["name"])


def revision(document: Sample) -> str:
    """The resourceVersion of an object."""
    return str(document["metadata"]["resourceVersion"])


def kind_of(api: KubeAPI, document: Sample) -> Kind:
    """The kind of a sample."""
    group = document["apiVersion"].rpartition("/")[0]
    return api.registry.find(f"{document['kind']}.{group}" if group else document["kind"])


def test_every_kind_has_a_sample() -> None:
    """All that can be written."""
    missing = SERVED - {(each["apiVersion"], each["kind"]) for each in WRITTEN}
    assert {kind for _, kind in missing} == {"ComponentStatus", "NodeMetrics", "PodMetrics"}


@EVERY_SAMPLE
def test_it_is_found_listed_and_shown(api: KubeAPI, document: Sample) -> None:
    """By all of its names; a row has a cell for each column, the name among them."""
    kind = kind_of(api, document)
    made = api.create(document, field_validation="Strict")
    assert api.get(kind.resource, name_of(document)) == made
    for name in (kind.kind, kind.plural, kind.singular, *kind.short_names):
        assert api.registry.find(name) is kind, name
    (item,) = [each for each in api.list(kind.kind)["items"] if each == made]
    shown, rows = table_for(kind, [item], api.clock, api.clock.now())
    assert len(shown) == len(rows[0]) == len(columns(kind))
    assert name_of(document) in rows[0]
    assert all(column["description"] and column["type"] for column in shown)


@EVERY_SAMPLE
def test_its_schema_is_known(api: KubeAPI, document: Sample) -> None:
    """In each version that is served, so that `kubectl explain` and strict decoding work."""
    kind = kind_of(api, document)
    for group, version in kind.group_versions():
        served = kind.in_version(f"{group}/{version}" if group else version)
        assert "metadata" in schemas.schema_of(served)["properties"]


@EVERY_SAMPLE
def test_an_update_changes_what_it_names(api: KubeAPI, document: Sample) -> None:
    """The same object again takes no revision; a label does, and keeps uid and generation."""
    made = api.create(document)
    assert api.update(made) == made
    labelled = thaw(made)
    labelled["metadata"]["labels"] = {"team": "a"}
    changed = api.update(labelled)
    assert int(revision(changed)) > int(revision(made))
    for field in ("uid", "creationTimestamp", "generation"):
        assert changed["metadata"].get(field) == made["metadata"].get(field)
    kind = document["kind"]
    patch = {"metadata": {"annotations": {"example.com/a": "b"}}}
    for patch_type in ("merge", "strategic"):
        patched = api.patch(kind, name_of(document), patch, patch_type=patch_type)
        assert patched["metadata"]["annotations"]["example.com/a"] == "b"
    assert patched["metadata"]["labels"]["team"] == "a"


@EVERY_SAMPLE
def test_applying_twice_changes_nothing(document: Sample) -> None:
    """On the server, and as kubectl does it on the client: the second time takes no revision."""
    server_side, client_side = make_api(), make_api()
    first = server_side.apply(document, field_manager="me")
    assert revision(server_side.apply(document, field_manager="me")) == revision(first)
    for action in ("created", "unchanged"):
        (row,) = manifests.apply(client_side, thaw(document)).rows
        assert row[-1] == action


@EVERY_SAMPLE
def test_a_watch_sees_it_come_change_and_go(api: KubeAPI, document: Sample) -> None:
    """ADDED, MODIFIED, DELETED."""
    if document["kind"] == "CustomResourceDefinition":
        pytest.skip("its own tests delete definitions")
    watch = api.watch(document["kind"])
    made = api.create(document)
    waits = "finalizers" in made["metadata"] or document["kind"] == "Namespace"
    patch = {"metadata": {"labels": {"team": "a"}}}
    api.patch(document["kind"], name_of(document), patch)
    api.delete(document["kind"], name_of(document), propagation_policy="Background")
    kinds = [
        event.type
        for event in watch.poll()
        if event.object["metadata"]["name"] == name_of(document)
    ]
    assert kinds[:2] == ["ADDED", "MODIFIED"]
    assert kinds[-1] == ("MODIFIED" if waits else "DELETED")
    watch.close()
