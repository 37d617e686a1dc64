"""The three patches, as pure functions and as a verb."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_builders import a_pod, a_statefulset, an_hpa, labelled

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.patch.jsonpatch import MAX_OPERATIONS, json_patch
from kubesim.apiserver.patch.merge import merge_patch
from kubesim.apiserver.patch.strategic import strategic_patch
from kubesim.errors import BadRequest, Conflict, Invalid, MethodNotAllowed, NotFound

# -- JSON merge patch: the table of RFC 7386, appendix A ---


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(document: Any, patch: Any, result: Any) -> None:
    """Every row of the RFC."""
    assert merge_patch(document, patch) == result


# -- JSON patch: the examples of RFC 6902, appendix A ---


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/b"}], {"a": 1}),
        ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/1"}], {"a": [1, 3]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": [1, 2]}, [{"op": "replace", "path": "/a/0", "value": 9}], {"a": [9, 2]}),
        (
            {"a": {"x": 1}, "b": {}},
            [{"op": "move", "from": "/a/x", "path": "/b/y"}],
            {"a": {}, "b": {"y": 1}},
        ),
        ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        (
            {"a/b": 1, "m~n": 2},
            [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}],
            {},
        ),
        ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        (
            {"a": [{"b": None}]},
            [{"op": "test", "path": "/a", "value": [{"b": None}]}],
            {"a": [{"b": None}]},
        ),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": None}], {"a": None}),
        ({"a": 1}, [], {"a": 1}),
    ],
)
def test_json_patch(document: Any, operations: Any, result: Any) -> None:
    """What each operation does."""
    before = json.dumps(document)
    assert json_patch(document, operations) == result
    assert json.dumps(document) == before, "the original is not changed"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "remove", "path": "/list/-"},
        {"op": "remove", "path": "/list/2"},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": "1"},
        {"op": "test", "path": "/a", "value": True},  # true is not 1
        {"op": "test", "path": "/list", "value": [2, 1]},
        {"op": "copy", "from": "/b", "path": "/c"},
        {"op": "move", "from": "/map", "path": "/map/inside"},
    ],
)
def test_json_patches_that_do_not_apply(operation: dict[str, Any]) -> None:
    """422, the message that clients know, and a hint that says which part failed."""
    document = {"a": 1, "list": [1, 2], "map": {}}
    with pytest.raises(Invalid) as refused:
        json_patch(document, [{"op": "add", "path": "/new", "value": 1}, operation])
    message = "the server rejected our request due to an error in our request"
    assert refused.value.message == message
    assert refused.value.hint
    assert document == {"a": 1, "list": [1, 2], "map": {}}, "all or nothing"


@pytest.mark.parametrize(
    "operations",
    [
        {},
        ["add"],
        [{"op": "add"}],
        [{"path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": 5, "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "swap", "path": "/a"}],
        [{"op": ["add"], "path": "/a"}],
        [{"op": "copy", "path": "/a"}],
        [{"op": "test", "path": "", "value": 1}] * (MAX_OPERATIONS + 1),
    ],
)
def test_json_patches_that_cannot_be_read(operations: Any) -> None:
    """400: malformed."""
    with pytest.raises(BadRequest):
        json_patch({"a": 1}, operations)


def test_copies_of_copies_are_bounded() -> None:
    """Doubling a list forty times would take all memory there is."""
    double = {"op": "copy", "from": "/a", "path": "/a/-"}
    with pytest.raises(Invalid) as refused:
        json_patch({"a": ["x" * 100]}, [double] * 40)
    assert "bytes" in refused.value.hint


# -- strategic merge ---


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"containers": list(items)}


A, B, C = ({"name": name, "image": name} for name in "abc")


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        # Keyed lists merge item by item; new items go to the end.
        (
            containers(A, B),
            containers({"name": "b", "image": "z"}),
            containers(A, {"name": "b", "image": "z"}),
        ),
        (containers(A), containers(B), containers(A, B)),
        (
            containers({**A, "env": [{"name": "X", "value": "1"}]}),
            containers({"name": "a", "env": [{"name": "Y", "value": "2"}]}),
            containers({**A, "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}),
        ),
        (
            {"ports": [{"containerPort": 80, "name": "w"}]},
            {"ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 81}]},
            {"ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 81}]},
        ),
        (
            {"ports": [{"port": 80, "nodePort": 1}]},
            {"ports": [{"port": 80, "nodePort": 2}]},
            {"ports": [{"port": 80, "nodePort": 2}]},
        ),
        (
            {"volumeMounts": [{"mountPath": "/a", "name": "v"}]},
            {"volumeMounts": [{"mountPath": "/b", "name": "v"}]},
            {"volumeMounts": [{"mountPath": "/a", "name": "v"}, {"mountPath": "/b", "name": "v"}]},
        ),
        (
            {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]},
            {"conditions": [{"type": "Ready", "status": "True"}]},
            {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "True"}]},
        ),
        (
            {"ownerReferences": [{"uid": "1", "name": "a"}]},
            {"ownerReferences": [{"uid": "1", "controller": True}]},
            {"ownerReferences": [{"uid": "1", "name": "a", "controller": True}]},
        ),
        # Atomic lists are replaced as a whole.
        (
            {"tolerations": [{"key": "a"}]},
            {"tolerations": [{"key": "b"}]},
            {"tolerations": [{"key": "b"}]},
        ),
        ({"taints": [{"key": "a"}]}, {"taints": []}, {"taints": []}),
        ({"args": ["a", "b"]}, {"args": ["c"]}, {"args": ["c"]}),
        (
            {"metrics": [{"type": "Resource"}]},
            {"metrics": [{"type": "Pods"}]},
            {"metrics": [{"type": "Pods"}]},
        ),
        # Sets of texts are joined.
        ({"finalizers": ["a"]}, {"finalizers": ["b", "a"]}, {"finalizers": ["a", "b"]}),
        (
            {"finalizers": ["a", "b"]},
            {"$deleteFromPrimitiveList/finalizers": ["a"]},
            {"finalizers": ["b"]},
        ),
        ({}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {}),
        # null deletes, also inside an item; in a new item it means nothing.
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        (containers({**A, "tty": True}), containers({"name": "a", "tty": None}), containers(A)),
        (containers(A), containers({**B, "tty": None}), containers(A, B)),
        (
            {"nodeSelector": {"x": "1", "y": "2"}},
            {"nodeSelector": {"x": None}},
            {"nodeSelector": {"y": "2"}},
        ),
        # Directives.
        (containers(A, B), containers({"name": "a", "$patch": "delete"}), containers(B)),
        (containers(A), containers({"name": "x", "$patch": "delete"}), containers(A)),
        (containers(A, B), containers({"$patch": "replace"}, C), containers(C)),
        (containers(A, B), containers({"$patch": "replace"}), containers()),
        (
            containers({**A, "tty": True}),
            containers({"name": "a", "$patch": "replace", "x": 1}),
            containers(),
        ),  # `replace` in a list is about the list: what bears it is no item
        ({"m": {"x": 1}}, {"m": {"$patch": "replace", "y": 2}}, {"m": {"y": 2}}),
        ({"m": {"x": 1}}, {"m": {"$patch": "delete"}}, {"m": {}}),
        ({"m": {"x": 1}}, {"m": {"$patch": "merge", "y": 2}}, {"m": {"x": 1, "y": 2}}),
        (
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"a": 1}}},
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
            {"strategy": {"type": "Recreate"}},
        ),
        # Order.
        (
            containers(A, B, C),
            {"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]},
            containers(C, B, A),
        ),
        (
            containers(A, B),
            {"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}], "containers": [C]},
            containers(A, C, B),
        ),
        (
            {"finalizers": ["a", "b"]},
            {"$setElementOrder/finalizers": ["b", "a"]},
            {"finalizers": ["b", "a"]},
        ),
        ({}, {"$setElementOrder/containers": [{"name": "a"}]}, {}),
        # A list where none was, a value where an object was.
        ({}, containers(A), containers(A)),
        ({"containers": "odd"}, containers(A), containers(A)),
        ({"m": {"x": 1}}, {"m": "text"}, {"m": "text"}),
    ],
)
def test_strategic_patch(document: Any, patch: Any, result: Any) -> None:
    """Keys, atomic lists, sets, nulls, directives, order."""
    before = json.dumps([document, patch])
    assert strategic_patch(document, patch) == result
    assert json.dumps([document, patch]) == before


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        (containers({"image": "x"}), "does not contain declared merge key: name"),
        ({"ports": [{"protocol": "TCP"}]}, "containerPort or port"),
        ({"m": {"$patch": "destroy"}}, "Unknown patch type: destroy"),
        ({"m": {"$retainKeys": ["a"], "b": 1}}, "does not name 'b'"),
        ({"m": {"$retainKeys": "a"}}, "must be a list"),
        ({"$deleteFromPrimitiveList/finalizers": "a"}, "must be a list"),
    ],
)
def test_strategic_patches_that_cannot_be_read(patch: Any, said: str) -> None:
    """400, naming the part."""
    with pytest.raises(BadRequest, match=said):
        strategic_patch({"containers": [A]}, patch)


# -- the verb ---


def test_kubectl_set_image(api: KubeAPI) -> None:
    """What kubectl sends: order directives and one container, by name."""
    api.create(a_pod())
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "main"}],
            "containers": [{"name": "main", "image": "nginx:2"}],
        }
    }
    patched = api.patch("Pod", "web", patch, patch_type="strategic")
    assert [(c["name"], c["image"]) for c in patched["spec"]["containers"]] == [("main", "nginx:2")]
    assert patched["metadata"]["generation"] == 2
    assert "$setElementOrder/containers" not in patched["spec"]


def test_the_main_resource_ignores_status_and_the_other_way_round(api: KubeAPI) -> None:
    """A patch of one never writes the other."""
    api.create(a_statefulset())
    both = {"spec": {"replicas": 3}, "status": {"replicas": 2}}
    patched = api.patch("sts", "db", both)
    assert patched["spec"]["replicas"] == 3 and patched["status"]["replicas"] == 0
    patched = api.patch("sts", "db", {**both, "spec": {"replicas": 9}}, subresource="status")
    assert patched["spec"]["replicas"] == 3 and patched["status"]["replicas"] == 2


@pytest.mark.parametrize(("field", "value"), [("resourceVersion", "1"), ("uid", "somebody")])
def test_preconditions_inside_a_patch(api: KubeAPI, field: str, value: str) -> None:
    """A resourceVersion or uid in the patch must be the current one."""
    pod = api.create(a_pod())
    patch = {"metadata": {field: value, "labels": {"a": "b"}}}
    with pytest.raises(Conflict):
        api.patch("Pod", "web", patch)
    patch["metadata"][field] = pod["metadata"][field]
    assert api.patch("Pod", "web", patch)["metadata"]["labels"] == {"a": "b"}


def test_a_patched_object_is_defaulted_and_checked(api: KubeAPI) -> None:
    """As if it had been sent whole."""
    api.create(an_hpa(behavior={}))
    api.patch("hpa", "db", {"spec": {"minReplicas": None}})
    assert api.get("hpa", "db")["spec"]["minReplicas"] == 1
    with pytest.raises(Invalid, match="must be greater than 0"):
        api.patch("hpa", "db", {"spec": {"maxReplicas": 0}})
    operations = [{"op": "replace", "path": "/spec/maxReplicas", "value": 8}]
    assert api.patch("hpa", "db", operations, patch_type="json")["spec"]["maxReplicas"] == 8


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"name": "other"}},
        {"metadata": {"namespace": "other"}},
        {"kind": "Node"},
        {"apiVersion": "v2"},
        {"metadata": None},
    ],
)
def test_a_patch_keeps_the_object_s_identity(api: KubeAPI, patch: dict[str, Any]) -> None:
    """Name, namespace, kind and version are not for changing."""
    api.create(a_pod())
    with pytest.raises(BadRequest):
        api.patch("Pod", "web", patch)
    with pytest.raises(BadRequest):
        api.patch("Pod", "web", [{"op": "remove", "path": ""}], patch_type="json")


def test_requests_that_make_no_sense(api: KubeAPI) -> None:
    """An unknown type or subresource, a body of the wrong shape, a missing object."""
    api.create(labelled(a_pod(), a="b"))
    with pytest.raises(BadRequest, match="no patch type 'apply'"):
        api.patch("Pod", "web", {}, patch_type="apply")
    with pytest.raises(NotFound, match="could not find the requested resource"):
        api.patch("Pod", "web", {}, subresource="log")
    with pytest.raises(BadRequest, match="Invalid JSON Patch"):
        api.patch("Pod", "web", [])
    with pytest.raises(BadRequest, match=r"cannot unmarshal object into .* of type jsonpatch"):
        api.patch("Pod", "web", {}, patch_type="json")
    with pytest.raises(NotFound):
        api.patch("Pod", "other", {})
    with pytest.raises(MethodNotAllowed):
        api.patch("Pod", "web", {}, subresource="scale")
    with pytest.raises(MethodNotAllowed):
        api.patch("podmetrics", "web", {})
    with pytest.raises(Invalid, match=r"number into .*ObjectMeta\.metadata\.labels"):
        api.patch("Pod", "web", {"metadata": {"labels": {"a": 1}}})


def test_a_patch_is_tried_again_when_somebody_was_faster(api: KubeAPI) -> None:
    """Without a precondition the patch is applied to what is there now."""
    api.create(a_statefulset())
    txn, interferences = api.store.txn, []

    def interfering(compare: Any, puts: Any = (), deletes: Any = (), **options: Any) -> Any:
        if len(interferences) < 3:
            interferences.append(1)
            txn(
                [],
                [
                    (
                        puts[0][0],
                        {
                            **api.store.get(puts[0][0]).value,
                            "status": {"replicas": len(interferences)},
                        },
                    )
                ],
            )
        return txn(compare, puts, deletes, **options)

    api.store.txn = interfering  # type: ignore[method-assign]
    patched = api.patch("sts", "db", {"spec": {"replicas": 4}})
    assert len(interferences) == 3
    assert patched["status"]["replicas"] == 3 and patched["spec"]["replicas"] == 4
