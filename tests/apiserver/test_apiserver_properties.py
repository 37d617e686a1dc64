"""Properties: no field is lost, and no document crashes the server."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from api_builders import a_config_map, a_node, a_pod, a_statefulset, an_hpa, make_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubesim.analytics import NullAnalytics
from kubesim.apiserver.patch.merge import merge_patch
from kubesim.apiserver.patch.strategic import strategic_patch
from kubesim.apiserver.schema.pruning import prune
from kubesim.apiserver.schema.structural import full_shape_of, unknown_fields
from kubesim.errors import StatusError
from kubesim.objects import thaw
from kubesim.quantity import canonical_quantity

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORD = st.from_regex(r"[a-z][a-zA-Z0-9]{0,8}", fullmatch=True)
ATOM = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JSON = st.recursive(
    ATOM,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=8,
)
# What a user may add anywhere: fields with names that no API type has.
UNKNOWN = st.dictionaries(WORD.map(lambda word: f"x{word}"), JSON, max_size=3)


def rich_hpa() -> dict[str, Any]:
    rules = {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}], "selectPolicy": "Min"}
    target = {"type": "AverageValue", "averageValue": "10"}
    return an_hpa(
        metrics=[{"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": target}}],
        behavior={"scaleUp": rules},
    )


def rich_pod() -> dict[str, Any]:
    pod = a_pod(
        initContainers=[{"name": "init", "image": "busybox"}],
        tolerations=[{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        nodeSelector={"disk": "ssd"},
    )
    pod["metadata"]["labels"] = {"app": "web"}
    pod["metadata"]["annotations"] = {"a": "b"}
    pod["metadata"]["finalizers"] = ["example.com/x"]
    pod["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    ]
    pod["spec"]["containers"][0].update(
        ports=[{"containerPort": 80}],
        env=[{"name": "A", "value": "1"}],
        resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
        livenessProbe={"exec": {"command": ["true"]}},
    )
    return pod


def rich_node() -> dict[str, Any]:
    node = a_node()
    node["spec"] = {"taints": [{"key": "a", "effect": "NoSchedule"}], "podCIDRs": ["10.0.0.0/24"]}
    return node


BUILDERS = [rich_pod, a_statefulset, rich_hpa, rich_node, lambda: a_config_map(a="b")]


def objects_in(value: Any) -> list[dict[str, Any]]:
    """Yield every mapping inside a document, itself included."""
    if isinstance(value, dict):
        return [value, *(result for item in value.values() for result in objects_in(item))]
    if isinstance(value, list):
        return [result for item in value for result in objects_in(item)]
    return []


def is_kept(sent: Any, stored: Any) -> bool:
    """Return whether the stored object contains all that was sent, in its canonical form."""
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(
            is_kept(item, stored[key]) if key in stored else item in ([], {})
            for key, item in sent.items()
        )
    if isinstance(sent, list):
        return (
            isinstance(stored, list)
            and len(stored) >= len(sent)
            and all(map(is_kept, sent, stored))
        )
    same = sent == stored and type(sent) is type(stored)
    return same or (isinstance(sent, (str, int, float)) and canonical_quantity(sent) == stored)


@st.composite
def documents_with_unknown_fields(draw: st.DrawFn) -> dict[str, Any]:
    """Generate a valid object with unknown fields in any part but string maps."""
    document = draw(st.sampled_from(BUILDERS))()
    document.pop("status", None)
    maps = (
        "data",
        "labels",
        "annotations",
        "nodeSelector",
        "matchLabels",
        "overhead",
        "requests",
        "limits",
    )
    closed = [part[name] for part in objects_in(document) for name in maps if name in part]
    for part in objects_in(document):
        if not any(part is other for other in closed):
            part.update(draw(UNKNOWN))
    return document


@QUICK
@given(documents_with_unknown_fields())
def test_every_field_of_the_kind_comes_back_and_no_other(document: dict[str, Any]) -> None:
    """Create, read, update and patch keep all fields that the kind has, and drop the others."""
    api = make_api()
    kind, name = api.registry.find(document["kind"]), document["metadata"]["name"]
    whole, shape = deepcopy(document), full_shape_of(kind)
    assert shape is not None
    prune(kind, shape, whole, NullAnalytics())
    api.create(document)
    stored = api.get(document["kind"], name)
    assert is_kept(whole, stored)
    assert unknown_fields(kind, stored) == []
    updated = api.update({**document, "metadata": {**stored["metadata"], "x": 1}})
    assert is_kept(whole, updated)
    assert unknown_fields(kind, updated) == []
    patch = {"metadata": {"annotations": {"touched": "yes"}}, "future": {"a": 1}}
    patched = api.patch(document["kind"], name, patch)
    assert is_kept(whole, patched)
    assert unknown_fields(kind, patched) == []


@st.composite
def broken_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Generate an object with arbitrary values in some fields."""
    document = draw(st.sampled_from(BUILDERS))()
    for _ in range(draw(st.integers(1, 2))):
        part = draw(st.sampled_from(objects_in(document)))
        if part:
            part[draw(st.sampled_from(sorted(part)))] = draw(JSON)
    return document


@settings(QUICK, max_examples=250)
@given(broken_documents(), st.sampled_from(BUILDERS))
def test_no_document_makes_the_server_stumble(broken: Any, builder: Any) -> None:
    """The server accepts it or refuses it with a message; it never raises TypeError."""
    api = make_api()
    sent = thaw(broken)
    try:
        new = api.create(broken)
        api.update(new)
    except StatusError:
        assert api.store.revision == 4, "nothing but the namespaces was written"
    assert broken == sent, "the caller's document is never changed"
    good = api.create({**builder(), "metadata": {"name": "good"}})
    kind = good["kind"]
    changes: list[Callable[[], Any]] = [
        lambda: api.update({**broken, "metadata": {"name": "good"}}),
        lambda: api.patch(kind, "good", broken),
        lambda: api.patch(kind, "good", broken, patch_type="strategic"),
        lambda: api.update_status({**broken, "metadata": {"name": "good"}}),
    ]
    for change in changes:
        before = api.get(kind, "good")
        try:
            change()
        except StatusError:
            assert api.get(kind, "good") == before


@QUICK
@given(JSON, JSON)
def test_patches_leave_the_original_alone(document: Any, patch: Any) -> None:
    """Pure functions: neither the document nor the patch is changed."""
    before, wanted = thaw(document), thaw(patch)
    for apply in (merge_patch, strategic_patch):
        apply(document, patch)
        assert document == before and patch == wanted


@QUICK
@given(st.dictionaries(WORD, JSON, max_size=4), st.dictionaries(WORD, JSON, max_size=4))
def test_merge_patch_obeys_its_rfc(document: Any, patch: Any) -> None:
    """Patching is idempotent, and the result contains the patch without nulls."""
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once
    for key, value in patch.items():
        if value is None:
            assert key not in once
        elif not isinstance(value, dict):
            assert once[key] == value
    assert {k: v for k, v in once.items() if k not in patch} == {
        k: v for k, v in document.items() if k not in patch
    }
