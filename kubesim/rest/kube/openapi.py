"""OpenAPI documents, by which kubectl validates manifests and explains fields.

Version 3 is generated from the registry and its schemas, one document for each group and version,
each group, and for `api`, `apis` and `version`. A custom kind brings no document of its group.

>>> document([], "apis/rbac.authorization.k8s.io")["paths"]["/apis/rbac.authorization.k8s.io/"][
...     "get"]["operationId"]
'getRbacAuthorizationAPIGroup'

The `patch` operation of a kind lists the parameter `fieldValidation`, by which kubectl knows that
it may leave validation to the server. No strategic merge is listed among its formats: kubectl then
trusts the merge keys of its built-in types, and not a schema's.

Version 2 (`openapi_v2`) is one document for everything, as JSON or as protobuf. Its tag changes
with its content, so that a client that has it need not get it again.

Source: k8s.io/kube-openapi (handler, handler3, builder3), k8s.io/apiserver/pkg/endpoints/discovery
(root.go, group.go, version.go), pkg/server/routes/version.go; api/openapi-spec/v3 of Kubernetes.
"""

from __future__ import annotations

import hashlib

from kubesim.apiserver.registry import Kind, Registry
from kubesim.apiserver.schema import schemas
from kubesim.apiserver.schema.data import META, Schema
from kubesim.errors import NotFound
from kubesim.objects.frozen import Document
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube.discovery import ONLY_CREATED
from kubesim.rest.kube.openapi_v2 import capital, document_v2, tag_of
from kubesim.rest.kube.requestinfo import NO_RESOURCE
from kubesim.rest.kube.response import encode
from kubesim.rest.serializer import gnostic
from kubesim.rest.serializer.negotiation import parse_accept
from kubesim.version import KUBERNETES_VERSION

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
INFO = {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}.0"}
PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
)
VERSION_INFO = "io.k8s.apimachinery.pkg.version.Info"
ABOUT = {
    "api": ("getCoreAPIVersions", "get available API versions", "core", f"{META}APIVersions"),
    "apis": ("getAPIVersions", "get available API versions", "apis", f"{META}APIGroupList"),
    "version": (
        "getCodeVersion",
        "get the version information for this server",
        "version",
        VERSION_INFO,
    ),
}
"""The documents of one path: operation, description, tag, component of the response."""
DELETE_OPTIONS = f"{META}DeleteOptions"


class OpenAPI:
    """The documents of one server, each rendered at its first request.

    Args:
        registry: the kinds.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._versions: dict[tuple[Kind, str], Kind] = {}  # one object for each further version
        self._rendered: dict[str, tuple[list[Kind], bytes]] = {}

    def serve(self, request: Request, rest: tuple[str, ...]) -> Response:
        """Serve /openapi/v2, the index /openapi/v3 and its documents.

        Args:
            request: the request.
            rest: the parts of its path after /openapi.

        Raises:
            NotFound: no such document.
        """
        if rest[0] == "v2":
            return self._serve_v2(request)
        if len(rest) == 1:
            return Response(200, encode(self.index()).encode())
        path = "/".join(rest[1:])
        if path not in self._paths():
            raise NotFound(NO_RESOURCE)
        return Response(200, self.render(path), headers={"Cache-Control": "public, immutable"})

    def _serve_v2(self, request: Request) -> Response:
        accepted = parse_accept(request.headers.get("accept", ""))
        protobuf = bool(accepted) and "protobuf" in accepted[0].name
        kinds = [kind for kinds in self._paths().values() for kind in kinds]
        key = "v2.protobuf" if protobuf else "v2"
        cached = self._rendered.get(key)
        if cached is None or cached[0] != kinds:
            document = document_v2(kinds)
            body = gnostic.document(document) if protobuf else encode(document).encode()
            cached = self._rendered[key] = (kinds, body)
        body = cached[1]
        tag = f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache, private", "Vary": "Accept"}
        if request.headers.get("if-none-match", "") == tag:
            return Response(304, b"", headers=headers)
        return Response(200, body, V2_PROTOBUF if protobuf else "application/json", headers)

    def index(self) -> Document:
        """Return the list of documents; the hash in an address changes with its content."""
        documents = {}
        for path in sorted(self._paths()):
            digest = hashlib.sha256(self.render(path)).hexdigest()[:32].upper()
            documents[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": documents}

    def render(self, path: str) -> bytes:
        """Return one document as JSON."""
        kinds = self._paths()[path]
        cached = self._rendered.get(path)
        if cached is None or cached[0] != kinds:
            cached = self._rendered[path] = (kinds, encode(document(kinds, path)).encode())
        return cached[1]

    def _paths(self) -> dict[str, list[Kind]]:
        """Return the documents, each with its kinds; those of discovery and version have none."""
        paths: dict[str, list[Kind]] = {path: [] for path in ABOUT}
        for kind in (*self._registry.kinds(), *ONLY_CREATED):
            if kind.group and not kind.custom:
                paths.setdefault(f"apis/{kind.group}", [])
            root = f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"
            paths.setdefault(root, []).append(kind)
            for other in kind.versions:
                group = other.group or kind.group
                if not kind.custom:
                    paths.setdefault(f"apis/{group}", [])
                name = f"{group}/{other.version}"
                key = (kind, name)
                further = self._versions.setdefault(key, kind.in_version(name))
                paths.setdefault(f"apis/{name}", []).append(further)
        return paths


def document(kinds: list[Kind], path: str) -> Document:
    """Return one OpenAPI document. Pure.

    Args:
        kinds: of this group and version; [] for any other document.
        path: of the group and version, such as ``apis/apps/v1``; or one of `ABOUT`, or of a group.
    """
    paths, components = _about(path)
    if not kinds:
        return _whole(paths, components)
    options = schemas.component(DELETE_OPTIONS)
    if options is not None:
        components.update(schemas.reached_from(DELETE_OPTIONS, options))
    for kind in kinds:
        components.update(schemas.components(kind))
        base = f"/{path}/namespaces/{{namespace}}" if kind.namespaced else f"/{path}"
        paths[f"{base}/{kind.plural}"] = _collection(kind)
        if "get" in kind.verbs:
            paths[f"{base}/{kind.plural}/{{name}}"] = _object(kind)
    return _whole(paths, components)


def _whole(paths: dict[str, Schema], components: dict[str, Schema]) -> Document:
    return {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": paths,
        "components": {"schemas": components},
    }


def _about(path: str) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Return the description of a group's own path, and the schemas that it refers to."""
    if path in ABOUT:
        name, about, tag, component = ABOUT[path]
    else:
        prefix, *names = path.split("/")
        group, version = (*([""] if prefix == "api" else []), *names, "")[:2]
        tag = tag_of(group, version)
        if version:
            about, component = "get available resources", f"{META}APIResourceList"
            name = f"get{''.join(map(capital, tag.split('_')))}APIResources"
        else:
            about, component = "get information of a group", f"{META}APIGroup"
            name = f"get{capital(tag)}APIGroup"
    content = {"application/json": {"schema": {"$ref": f"{schemas.REF}{component}"}}}
    get = {
        "tags": [tag],
        "description": about,
        "operationId": name,
        "responses": {
            "200": {"description": "OK", "content": content},
            "401": {"description": "Unauthorized"},
        },
    }
    parts = schemas.reached_from(component, schemas.component(component) or {"type": "object"})
    return {f"/{path}/": {"get": get}}, parts


def _operation(kind: Kind, action: str, *parameters: str) -> Schema:
    return {
        "operationId": f"{action}{kind.kind}",
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "version": kind.version,
            "kind": kind.kind,
        },
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in parameters
        ],
        "responses": {"200": {"description": "OK", "content": {"application/json": _ref(kind)}}},
    }


def _ref(kind: Kind) -> Schema:
    if schemas.schema_of(kind) is None:
        return {"schema": {"type": "object"}}
    return {"schema": {"$ref": schemas.REF + schemas.component_name(kind)}}


WRITE_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")


def _collection(kind: Kind) -> dict[str, Schema]:
    operations: dict[str, Schema] = {}
    if "list" in kind.verbs:
        query = ("labelSelector", "fieldSelector", "limit", "watch")
        operations["get"] = _operation(kind, "list", *query)
    if not kind.read_only:
        operations["post"] = _operation(kind, "post", *WRITE_OPTIONS)
        operations["post"]["requestBody"] = {"content": {"*/*": _ref(kind)}}
    return operations


def _object(kind: Kind) -> dict[str, Schema]:
    operations = {"get": _operation(kind, "get")}
    if not kind.read_only:
        operations["put"] = _operation(kind, "put", *WRITE_OPTIONS)
        operations["put"]["requestBody"] = {"content": {"*/*": _ref(kind)}}
        operations["patch"] = _operation(kind, "patch", *WRITE_OPTIONS, "force")
        content = {name: {"schema": {"type": "object"}} for name in PATCH_TYPES}
        operations["patch"]["requestBody"] = {"content": content}
        operations["delete"] = _operation(kind, "delete", "dryRun", "gracePeriodSeconds")
    return operations
