"""The OpenAPI document of version 2: all paths and all definitions of a server in one document.

Generators of clients, Terraform and kubectl up to 1.28 read it. Paths and operations have the names
of the real server, by which generated clients name their methods:

>>> operation_id("list", "", "v1", "Pod", namespaced=True)
'listCoreV1NamespacedPod'
>>> operation_id("patch", "rbac.authorization.k8s.io", "v1", "ClusterRole", namespaced=False)
'patchRbacAuthorizationV1ClusterRole'

Ours keeps: paths of objects, collections, all namespaces, status, scale and the subresources of
pods; parameters; definitions with their extensions. It leaves out the paths of discovery, and the
old ones below ``/watch/``.

Source: k8s.io/kube-openapi/pkg/builder, k8s.io/apiserver/pkg/endpoints/openapi (openapi.go:
GetOperationIDAndTags), k8s.io/apiserver/pkg/endpoints/installer.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema import data, schemas
from kubesim.apiserver.schema.data import Schema
from kubesim.objects.frozen import Document
from kubesim.rest.kube.discovery import POD_SUBRESOURCES
from kubesim.version import KUBERNETES_VERSION

Operations = dict[str, object]
"""The operations of a path by method, and the parameters that they share."""
Paths = dict[str, Operations]

V3_REFERENCE, V2_REFERENCE = schemas.REF, "#/definitions/"
PRODUCES = ["application/json", "application/yaml"]
PATCHES = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]
DELETE_OPTIONS, STATUS = f"{data.META}DeleteOptions", f"{data.META}Status"
LIST_QUERY = ("labelSelector", "fieldSelector", "limit", "continue", "watch", "resourceVersion")
WRITE_QUERY = ("dryRun", "fieldManager", "fieldValidation")
DELETE_QUERY = ("dryRun", "gracePeriodSeconds", "propagationPolicy")
IN_V2: dict[str, Schema] = {
    "x-kubernetes-int-or-string": {"type": "string", "format": "int-or-string"},
    "x-kubernetes-quantity": {"type": "string"},
}
"""What a schema of these marks is in version 2, which has no unions of types."""
INFIXES = {
    "deletecollection": ("delete", "Collection"),
    "connectGet": ("connect", "Get"),
    "connectPost": ("connect", "Post"),
}
"""How some verbs are written in the name of an operation."""


def document_v2(kinds: Iterable[Kind]) -> Document:
    """Return the document of a server that serves these kinds. Pure.

    Args:
        kinds: each in one version.
    """
    definitions: dict[str, Schema] = {}
    paths: Paths = {}
    for name in (DELETE_OPTIONS, STATUS):
        definitions[name] = in_v2(schemas.component(name) or {"type": "object"})
    for kind in kinds:
        for name, schema in schemas.components(kind).items():
            if name not in definitions:
                definitions[name] = in_v2(schema)
        if "list" in kind.verbs:
            list_name = f"{schemas.component_name(kind)}List"
            definitions[list_name] = _list_definition(kind)
        paths.update(_paths(kind))
    _complete(definitions, paths)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}.0"},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
    }


def _complete(definitions: dict[str, Schema], paths: Paths) -> None:
    """Add the definitions to which others, or the paths, refer."""
    waiting = schemas.references(definitions, V2_REFERENCE)
    waiting |= schemas.references(paths, V2_REFERENCE)
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions[name] = in_v2(schemas.component(name) or {"type": "object"})
            waiting |= schemas.references(definitions[name], V2_REFERENCE)


def in_v2(schema: Schema) -> Schema:
    """Return a schema in the words of version 2.

    >>> in_v2({"x-kubernetes-int-or-string": True})
    {'type': 'string', 'format': 'int-or-string'}
    """
    for mark, plain in IN_V2.items():
        if schema.get(mark):
            about = {"description": schema["description"]} if "description" in schema else {}
            return {**plain, **about}
    result: Schema = {}
    for name, value in schema.items():
        if name == "$ref":
            result[name] = str(value).replace(V3_REFERENCE, V2_REFERENCE)
        elif name == "properties":
            result[name] = {field: in_v2(part) for field, part in value.items()}
        elif name in ("items", "additionalProperties") and isinstance(value, dict):
            result[name] = in_v2(value)
        elif name not in ("nullable", "oneOf", "anyOf", "not", "allOf", "default"):
            result[name] = value
    return result


def operation_id(
    verb: str, group: str, version: str, kind: str, *, namespaced: bool, suffix: str = ""
) -> str:
    """Return the name of an operation.

    Args:
        verb: as in the name: read, list, replace ...
        group, version, kind: of the resource.
        namespaced: whether the path names a namespace.
        suffix: for example ``Status``, or ``ForAllNamespaces``.
    """
    words = capital(_words(group))
    version = capital(version)
    verb, infix = INFIXES.get(verb, (verb, ""))
    return f"{verb}{words}{version}{infix}{'Namespaced' if namespaced else ''}{kind}{suffix}"


def tag_of(group: str, version: str = "") -> str:
    """Return the tag of the operations of a group, or of one of its versions.

    >>> tag_of("flowcontrol.apiserver.k8s.io", "v1"), tag_of(""), tag_of("apps")
    ('flowcontrolApiserver_v1', 'core', 'apps')
    """
    return f"{_words(group)}_{version}" if version else _words(group)


def _words(group: str) -> str:
    first, *others = (group.removesuffix(".k8s.io") or "core").split(".")
    return first + "".join(map(capital, others))


def capital(word: str) -> str:
    """Return a word with its first letter in upper case."""
    return word[:1].upper() + word[1:]


def _list_definition(kind: Kind) -> Schema:
    generated = schemas.component(f"{schemas.component_name(kind)}List")
    if generated is not None:
        return in_v2(generated)
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "items": {"type": "array", "items": _reference(kind)},
        },
    }


def _reference(kind: Kind, suffix: str = "") -> Schema:
    if schemas.schema_of(kind) is None:
        return {"type": "object"}
    return {"$ref": f"{V2_REFERENCE}{schemas.component_name(kind)}{suffix}"}


# -- paths -----------------------------------------------------------------------------------------


def _paths(kind: Kind) -> Paths:
    """Return the paths of one kind."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    base = f"{root}/namespaces/{{namespace}}" if kind.namespaced else root
    one = f"{base}/{kind.plural}/{{name}}"
    paths: Paths = {f"{base}/{kind.plural}": _place(kind, _collection(kind))}
    if "get" not in kind.verbs:
        return paths
    paths[one] = _place(kind, _object(kind), named=True)
    if kind.namespaced:
        everywhere = _operation(
            kind, "list", "ForAllNamespaces", LIST_QUERY, _reference(kind, "List")
        )
        everywhere["operationId"] = operation_id(
            "list", kind.group, kind.version, kind.kind, namespaced=False, suffix="ForAllNamespaces"
        )
        paths[f"{root}/{kind.plural}"] = {"get": everywhere}
    if kind.status and not kind.read_only:
        paths[f"{one}/status"] = _place(
            kind, _changes(kind, "Status", _reference(kind)), named=True
        )
    if kind.scale:
        scale = {"$ref": f"{V2_REFERENCE}io.k8s.api.autoscaling.v1.Scale"}
        scale = scale if schemas.component("io.k8s.api.autoscaling.v1.Scale") else {}
        paths[f"{one}/scale"] = _place(kind, _changes(kind, "Scale", scale), named=True)
    if kind.kind == "Pod":
        for name, (_, _, _, verbs) in POD_SUBRESOURCES.items():
            paths[f"{one}/{name}"] = _place(kind, _pod_subresource(kind, name, verbs), named=True)
    return paths


def _place(kind: Kind, operations: Operations, *, named: bool = False) -> Operations:
    """Add the parameters of a path to its operations."""
    names = (["name"] if named else []) + (["namespace"] if kind.namespaced else [])
    parameters = [{"name": n, "in": "path", "required": True, "type": "string"} for n in names]
    return {**operations, **({"parameters": parameters} if parameters else {})}


def _collection(kind: Kind) -> Operations:
    whole = _reference(kind)
    operations: Operations = {}
    if "list" in kind.verbs:
        operations["get"] = _operation(kind, "list", "", LIST_QUERY, _reference(kind, "List"))
    if "create" in kind.verbs:
        operations["post"] = _operation(kind, "create", "", WRITE_QUERY, whole, body=whole)
    if "deletecollection" in kind.verbs:
        query = (*LIST_QUERY[:2], *DELETE_QUERY)
        status = {"$ref": f"{V2_REFERENCE}{STATUS}"}
        operations["delete"] = _operation(kind, "deletecollection", "", query, status)
    return operations


def _object(kind: Kind) -> Operations:
    operations: Operations = {"get": _operation(kind, "read", "", (), _reference(kind))}
    if not kind.read_only:
        operations = _changes(kind, "", _reference(kind))
        status = {"$ref": f"{V2_REFERENCE}{STATUS}"}
        options = {"$ref": f"{V2_REFERENCE}{DELETE_OPTIONS}"}
        operations["delete"] = _operation(kind, "delete", "", DELETE_QUERY, status, body=options)
    return operations


def _changes(kind: Kind, suffix: str, whole: Schema) -> Operations:
    """Return get, put and patch of an object or a subresource."""
    patch = _operation(
        kind, "patch", suffix, (*WRITE_QUERY, "force"), whole, body={"type": "object"}
    )
    patch["consumes"] = PATCHES if kind.schema is None else PATCHES[:2] + PATCHES[3:]
    return {
        "get": _operation(kind, "read", suffix, (), whole),
        "put": _operation(kind, "replace", suffix, WRITE_QUERY, whole, body=whole),
        "patch": patch,
    }


def _pod_subresource(kind: Kind, name: str, verbs: Iterable[str]) -> Operations:
    text: Schema = {"type": "string"}
    suffix = capital(name)
    operations: Operations = {}
    if "get" in verbs:
        verb = "read" if name == "log" else "connectGet"
        operations["get"] = _operation(kind, verb, suffix, (), text)
    if "create" in verbs:
        verb = "create" if name in ("binding", "eviction") else "connectPost"
        operations["post"] = _operation(kind, verb, suffix, (), text)
    return operations


ACTIONS = {"read": "get", "create": "post", "replace": "put"}


def _operation(
    kind: Kind,
    verb: str,
    suffix: str,
    query: Iterable[str],
    result: Schema,
    body: Schema | None = None,
) -> Schema:
    """Return one operation."""
    parameters: list[Schema] = [
        {"name": name, "in": "query", "type": "string", "uniqueItems": True} for name in query
    ]
    if body is not None:
        parameters.insert(0, {"name": "body", "in": "body", "required": True, "schema": body})
    name = operation_id(
        verb, kind.group, kind.version, kind.kind, namespaced=kind.namespaced, suffix=suffix
    )
    return {
        "operationId": name,
        "tags": [tag_of(kind.group, kind.version)],
        "consumes": ["*/*"],
        "produces": PRODUCES,
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {
            "200": {"description": "OK", **({"schema": result} if result else {})},
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "kind": kind.kind,
            "version": kind.version,
        },
    }
