"""Request bodies of the Kubernetes API: JSON, YAML or protobuf, checked against the path.

Source: k8s.io/apiserver/pkg/endpoints/handlers/{create,update,patch}.go, handlers/negotiation
(errors.go: NewUnsupportedMediaTypeError), endpoints/installer.go (the types of PATCH, in order).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubesim.apiserver.schema.strict import parse_json
from kubesim.errors import BadRequest, GenericStatusError
from kubesim.objects.frozen import Document
from kubesim.rest.http.wire import JSON_TYPES, SIMPLE_TYPES, Request
from kubesim.rest.kube.requestinfo import Target
from kubesim.rest.serializer import protobuf
from kubesim.rest.serializer.yamlbody import read_yaml

YAML = ("application/yaml", "application/x-yaml")
APPLY = "application/apply-patch+yaml"
PATCHES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    APPLY: "apply",
}
MEDIA_TYPES = ("application/json", "application/yaml", protobuf.CONTENT_TYPE)
CUSTOM_TYPES = MEDIA_TYPES[:2]  # no message is defined for a custom kind


class Body(NamedTuple):
    """A request body.

    Attributes:
        document: JSON data.
        duplicates: paths of the fields that the body names twice.
    """

    document: object
    duplicates: list[str]


class ObjectBody(NamedTuple):
    """A request body that is an object; see `Body`."""

    document: Document
    duplicates: list[str]


def content_type(request: Request) -> str:
    """Return the media type of a request's body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(media_types: Iterable[str]) -> GenericStatusError:
    """Return the error that a body has another media type than these."""
    about = "the body of the request was in an unknown format - accepted media types include: "
    return GenericStatusError(415, about + ", ".join(media_types))


def read_body(
    request: Request,
    types: tuple[str, ...] = JSON_TYPES,
    accepted: tuple[str, ...] = MEDIA_TYPES,
) -> Body:
    """Read the body of a request.

    Args:
        request: the request.
        types: the media types of JSON; a web page may not use those of plain text and forms.
        accepted: the media types of the resource, for the message; protobuf may be among them.

    Raises:
        RequestRejected: 400 malformed, 415 compressed or not UTF-8.
        GenericStatusError: 415, media type not supported.
        BadRequest: malformed YAML or protobuf.
    """
    media_type = content_type(request)
    if media_type == protobuf.CONTENT_TYPE and media_type in accepted:
        return Body(protobuf.decode(request.body), [])
    if media_type in YAML or (APPLY in types and request.body[:1] != b"{"):
        return Body(read_yaml(request.body), [])
    if media_type not in types or (media_type in SIMPLE_TYPES and "origin" in request.headers):
        raise unsupported(accepted)
    document = request.json(types, duplicates=True)
    text = request.body.decode()
    return (
        Body(document, parse_json(text)[1]) if _may_repeat(document, text) else Body(document, [])
    )


def read_options(request: Request) -> object:
    """Return the options in the body of a deletion; None if there is no body."""
    if not request.body:
        return None
    return read_body(request).document


def read_document(request: Request, expected: str) -> Document:
    """Return the body of a request as an object.

    Args:
        request: the request.
        expected: what the body should be, for the error message: ``a Binding``.

    Raises:
        BadRequest: the body is JSON, but not an object.
    """
    document = read_body(request).document
    if not isinstance(document, dict):
        raise BadRequest(f"the body must be {expected} object")
    return document


def read_object(request: Request, target: Target) -> ObjectBody:
    """Read an object, and fill in kind, version, namespace and name from the path.

    Raises:
        BadRequest: the object contradicts the path.
        GenericStatusError: 415, another media type, such as protobuf for a custom kind.
    """
    custom = target.kind.custom and target.info.subresource != "scale"
    accepted = CUSTOM_TYPES if custom else MEDIA_TYPES
    document, duplicates = read_body(request, accepted=accepted)
    if not isinstance(document, dict):
        raise BadRequest("the body must be a JSON object")
    info, kind = target.info, expected_kind(target)
    set_kind(document, kind[0], kind[1])
    metadata = document.get("metadata")
    if metadata is None:
        metadata = document["metadata"] = {}
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    if target.kind.namespaced:
        namespace = metadata.get("namespace")
        if namespace and info.namespace and namespace != info.namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = namespace or info.namespace
    if info.name:
        name = metadata.get("name") or info.name
        if name != info.name:
            raise BadRequest(
                f"the name of the object ({name}) does not match the name on the URL ({info.name})"
            )
        metadata["name"] = name
    return ObjectBody(document, duplicates)


def expected_kind(target: Target) -> tuple[str, str]:
    """Return (kind, apiVersion) of the objects that a path accepts."""
    if target.info.subresource == "scale":
        return "Scale", "autoscaling/v1"
    return target.kind.kind, target.api_version


def set_kind(document: Document, kind: str, api_version: str) -> None:
    """Set kind and apiVersion of a document that leaves them out.

    Args:
        document: changed in place.
        kind, api_version: what the path accepts.

    Raises:
        BadRequest: the document is of another kind or version.
    """
    body_kind, version = document.get("kind") or kind, document.get("apiVersion") or api_version
    if version != api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({api_version})"
        )
    if body_kind != kind:
        short = api_version.rpartition("/")[2]
        raise BadRequest(
            f'{body_kind} in version "{short}" cannot be handled as a {kind}: converting '
            f"({short}.{body_kind}) to ({short}.{kind}): unknown conversion"
        )
    document["kind"], document["apiVersion"] = kind, api_version


def check_applied_kind(document: Document, kind: str, api_version: str) -> None:
    """Refuse an applied configuration that is not of the kind and version of its path.

    Both are required.
    Source: staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/versioncheck.go.

    Args:
        document: the configuration.
        kind, api_version: what the path accepts.

    Raises:
        BadRequest: the document is of another kind or version, or names none.
    """
    given = str(document.get("kind") or ""), str(document.get("apiVersion") or "")
    if given != (kind, api_version):
        group, _, version = given[1].rpartition("/")
        raise BadRequest(f"invalid object type: {group[:253]}/{version[:63]}, Kind={given[0][:63]}")


def object_field(document: Document, name: str) -> Document:
    """Return a field that holds an object; {} if it is absent.

    Raises:
        BadRequest: the field is not an object.
    """
    value = document.get(name)
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"{name} must be an object")
    return value or {}


def read_patch(request: Request, target: Target, custom: bool) -> tuple[str, Body]:
    """Read a patch; returns (patch type, body).

    Args:
        request: the request.
        target: the object to patch.
        custom: the kind is user-defined, so it has no strategic merge patch.

    Raises:
        GenericStatusError: 415, the patch type is not supported.
    """
    media_type = content_type(request)
    served = {t: name for t, name in PATCHES.items() if not (custom and name == "strategic")}
    if media_type not in served:
        raise unsupported(served)
    return served[media_type], read_body(request, (media_type,))


def _may_repeat(document: object, text: str) -> bool:
    """Whether a JSON text may name a key twice: it has more colons than the document explains."""
    return text.count(":") > _keys(document)


def _keys(value: object) -> int:
    """Return the number of keys in a document plus the number of colons in its strings."""
    if isinstance(value, dict):
        return sum(1 + key.count(":") + _keys(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_keys, value))
    return value.count(":") if isinstance(value, str) else 0
