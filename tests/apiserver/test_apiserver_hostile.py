"""Broken documents of every kind and verb: refused in words, never with an error of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from api_builders import (
    a_budget,
    a_config_map,
    a_job,
    a_node,
    a_pod,
    a_priority,
    a_service,
    a_slice,
    a_statefulset,
    a_workload,
    an_hpa,
    make_api,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_apiserver_crds import a_definition, a_tab
from test_apiserver_properties import JSON, objects_in

from kubesim.apiserver.kinds.autoscaling_v1 import from_v2, to_v2
from kubesim.apiserver.printers.table import table_for
from kubesim.ctl import apply as manifests
from kubesim.errors import Invalid, StatusError
from kubesim.objects import thaw

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def small(kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": "a", "labels": {"a": "b"}},
        **fields,
    }


def a_claim() -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return small("PersistentVolumeClaim", spec=spec)


BUILDERS: list[Callable[[], dict[str, Any]]] = [
    a_pod,
    a_node,
    a_config_map,
    a_service,
    a_statefulset,
    an_hpa,
    a_job,
    a_budget,
    a_priority,
    a_slice,
    a_claim,
    a_definition,
    a_tab,
    lambda: a_workload("Deployment"),
    lambda: a_workload("ReplicaSet"),
    lambda: a_workload("DaemonSet"),
    lambda: small("Secret", data={"a": "aGk="}, stringData={"b": "c"}),
    lambda: small("ResourceQuota", spec={"hard": {"pods": "1"}}),
    lambda: small("LimitRange", spec={"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}),
    lambda: small(
        "Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}]}]
    ),
]


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A valid object of any kind in which some fields hold anything at all."""
    document = draw(st.sampled_from(BUILDERS))()
    document = thaw(document)
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from(objects_in(document)))
        if part:
            part[draw(st.sampled_from(sorted(part)))] = draw(JSON)
    return document


def attempt(act: Callable[[], Any]) -> Any:
    """What it returns; None if it is refused."""
    try:
        return act()
    except StatusError as error:
        assert error.status()["message"]
        return None


@settings(QUICK, max_examples=300)
@given(broken())
def test_every_verb_answers_every_document(document: dict[str, Any]) -> None:
    """Create, update, patch, apply, status, table, YAML: taken, or refused in words."""
    api = make_api()
    api.create(a_definition() if document.get("kind") == "CronTab" else a_config_map("there"))
    before = thaw(document)
    strict: Any = {"field_manager": "me", "field_validation": "Strict"}
    made = attempt(lambda: api.create(document, dry_run=True, **strict))
    made = attempt(lambda: api.create(document)) or made
    attempt(lambda: api.update(document, field_manager="you"))
    attempt(lambda: api.update_status(document, field_manager="you"))
    attempt(lambda: api.apply(document, field_manager="me", force=True))
    attempt(lambda: api.apply(document, field_manager="me", subresource="status"))
    attempt(lambda: manifests.apply(api, document))
    attempt(lambda: manifests.diff(api, document))
    if made is not None:
        kind = api.registry.find(made["kind"])
        table_for(kind, [made], api.clock, api.clock.now())
        name, namespace = made["metadata"]["name"], made["metadata"].get("namespace")
        attempt(lambda: api.patch(kind.kind, name, document, namespace, **strict))
        attempt(lambda: api.patch(kind.kind, name, document, namespace, patch_type="strategic"))
        attempt(lambda: api.delete(kind.kind, name, namespace))
    assert document == before, "the caller's document is never changed"


@QUICK
@given(broken())
def test_any_document_can_be_converted_and_shown(document: dict[str, Any]) -> None:
    """Conversions and tables take whatever is stored; neither changes it."""
    before = thaw(document)
    api = make_api()
    to_v2(document), from_v2(document)
    if isinstance(document.get("metadata"), dict):
        for kind in api.registry.kinds():
            table_for(kind, [document], api.clock, 0.0)
    assert document == before


@pytest.mark.parametrize("build", BUILDERS)
def test_what_is_applied_twice_is_unchanged(build: Callable[[], dict[str, Any]]) -> None:
    """For every kind: all that was applied is there, and applying it again changes nothing."""
    api = make_api()
    if build is a_tab:
        api.create(a_definition())
    manifests.apply(api, build())
    assert [result for _, result in manifests.apply(api, build())] == ["unchanged"]
    assert len(manifests.diff(api, build())) == 0
    api.apply(build(), field_manager="me", force=True)
    revision = api.store.revision
    api.clock.sleep(5)
    api.apply(build(), field_manager="me")
    assert api.store.revision == revision, "not even a time has moved"


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("metadata", [None, {}, {"name": None}, {"name": ""}])
def test_an_object_without_a_name_is_refused(
    build: Callable[[], dict[str, Any]], metadata: Any
) -> None:
    """Whatever the kind: the name is asked for, and nothing stumbles over its absence."""
    api = make_api()
    if build is a_tab:
        api.create(a_definition())
    with pytest.raises(Invalid) as refused:
        api.create({**build(), "metadata": metadata})
    assert "metadata.name" in [cause.field for cause in refused.value.causes]
