"""What a client sends: JSON, YAML or protobuf, checked against the info that it is sent to.

Source: k8s.io/apiserver/pkg/endpoints/handlers/{create,update,patch}.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kubesim.apiserver.schema.strict import parse_json
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.rest.http.wire import JSON_TYPES, Request
from kubesim.rest.kube.requestinfo import Target
from kubesim.rest.serializer import protobuf
from kubesim.rest.serializer.responses import GenericStatusError
from kubesim.rest.serializer.yamlbody import read_yaml

YAML = ("application/yaml", "application/x-yaml")
APPLY = "application/apply-patch+yaml"
PATCHES = {
    "application/strategic-merge-patch+json": "strategic",
    "application/merge-patch+json": "merge",
    "application/json-patch+json": "json",
    APPLY: "apply",
}


NO_PROTOBUF = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json, application/yaml"
)


class Body(NamedTuple):
    """A document, and the paths of fields that its text names twice."""

    document: Any
    duplicates: list[str]


def content_type(request: Request) -> str:
    """The media type of a body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_body(request: Request, types: tuple[str, ...] = JSON_TYPES) -> Body:
    """The document that a client sent.

    Raises:
        RequestRejected: 400 malformed, 415 in a format that is not read.
        BadRequest: malformed protobuf.
    """
    if content_type(request) == protobuf.CONTENT_TYPE:
        return Body(protobuf.decode(request.body), [])
    if content_type(request) in YAML or (APPLY in types and request.body[:1] != b"{"):
        return Body(read_yaml(request.body), [])
    document = request.json(types, duplicates=True)
    text = request.body.decode()
    return (
        Body(document, parse_json(text)[1]) if _may_repeat(document, text) else Body(document, [])
    )


def read_options(request: Request) -> Any:
    """The options in the body of a deletion; None if there is no body."""
    if not request.body:
        return None
    return read_body(request).document


def read_object(request: Request, target: Target) -> Body:
    """Return an object of the kind, version, namespace and name that the path names.

    What the object leaves out of these is filled in from the path.

    Raises:
        BadRequest: it is meant for another place.
        GenericStatusError: 415, protobuf for a custom kind.
    """
    custom = target.kind.custom and target.info.subresource != "scale"
    if custom and content_type(request) == protobuf.CONTENT_TYPE:
        raise GenericStatusError(415, NO_PROTOBUF)  # no message is defined for a custom kind
    body = read_body(request)
    document = body.document
    if not isinstance(document, dict):
        raise BadRequest("the body must be an object, in JSON")
    info, kind = target.info, expected_kind(target)
    set_kind(document, kind[0], kind[1])
    metadata = document.get("metadata")
    if metadata is None:
        metadata = document["metadata"] = {}
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    if target.kind.namespaced:
        said = metadata.get("namespace")
        if said and info.namespace and said != info.namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = said or info.namespace
    if info.name:
        name = metadata.get("name") or info.name
        if name != info.name:
            raise BadRequest(
                f"the name of the object ({name}) does not match the name on the URL ({info.name})"
            )
        metadata["name"] = name
    return body


def expected_kind(target: Target) -> tuple[str, str]:
    """(kind, apiVersion) of what a info takes."""
    if target.info.subresource == "scale":
        return "Scale", "autoscaling/v1"
    return target.kind.kind, target.api_version


def set_kind(document: Document, kind: str, api_version: str) -> None:
    """Say what a document is; refuse it if it says something else itself.

    Raises:
        BadRequest: it is of another kind or version.
    """
    said, version = document.get("kind") or kind, document.get("apiVersion") or api_version
    if version != api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({api_version})"
        )
    if said != kind:
        short = api_version.rpartition("/")[2]
        raise BadRequest(
            f'{said} in version "{short}" cannot be handled as a {kind}: converting '
            f"({short}.{said}) to ({short}.{kind}): unknown conversion"
        )
    document["kind"], document["apiVersion"] = kind, api_version


def object_field(document: Document, name: str) -> Document:
    """An object inside an object; an empty one if it is left out.

    Raises:
        BadRequest: it is something else.
    """
    part = document.get(name)
    if part is not None and not isinstance(part, dict):
        raise BadRequest(f"{name} must be an object")
    return part or {}


def read_patch(request: Request, target: Target, custom: bool) -> tuple[str, Body]:
    """(type, body) of a patch.

    Args:
        request: what came.
        target: what is patched.
        custom: a kind of somebody's own, which has no strategic merge.

    Raises:
        StatusError: 415, a type that is not served here.
    """
    said = content_type(request)
    served = {t: name for t, name in PATCHES.items() if not (custom and name == "strategic")}
    if said not in served:
        listed = ", ".join(sorted(served))
        raise GenericStatusError(
            415,
            "the body of the request was in an unknown format - accepted media types include: "
            + listed,
        )
    return served[said], read_body(request, (said,))


def _may_repeat(document: Any, text: str) -> bool:
    """Whether a text names more keys than its document has: some of them twice."""
    return text.count(":") > _keys(document)


def _keys(value: Any) -> int:
    """How many keys there are in a document, and colons in its texts at least."""
    if isinstance(value, dict):
        return sum(1 + key.count(":") + _keys(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_keys, value))
    return value.count(":") if isinstance(value, str) else 0
