"""What a CustomResourceDefinition says of each version of its kind, as the registry takes it.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubesim.apiserver.registry import KindVersion, ScalePaths, ServerView
from kubesim.apiserver.schema.custom import compile_schema
from kubesim.apiserver.schema.shapes import Shape
from kubesim.errors import MethodNotAllowed
from kubesim.objects.frozen import Document


def main_version(versions: Sequence[Document]) -> Document:
    """Return the version of the objects in the store: the storage version, if it is served.

    Versions differ in name only, so an object may be kept under the name of a served one.
    """
    ranked = sorted(versions, key=lambda each: (not each.get("served"), not each.get("storage")))
    return ranked[0]


def version_of(version: Document, spec: Document) -> KindVersion:
    """Return a further version of a kind."""
    return KindVersion(
        version["name"],
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        schema=schema_of(version),
        deprecation=deprecation_of(version, spec),
    )


def selectable_fields_of(version: Document) -> tuple[str, ...]:
    """Return the fields by which clients may select the objects of a version."""
    return tuple(str(field["jsonPath"])[1:] for field in version.get("selectableFields") or ())


def deprecation_of(version: Document, spec: Document) -> str:
    """Return the warning with which requests for a deprecated version are answered, or "".

    Source: customresource_handler.go (defaultDeprecationWarning).
    """
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    better = [
        other["name"]
        for other in spec["versions"]
        if other.get("served")
        and not other.get("deprecated")
        and _stability(other["name"]) > _stability(version["name"])
    ]
    use = f"; use {group}/{max(better, key=_stability)} {kind}" if better else ""
    return f"{group}/{version['name']} {kind} is deprecated{use}"


def _stability(version: str) -> tuple[int, int, int, str]:
    """Return the rank of a version: v2 before v1, before v2beta1, before v1alpha2.

    Source: k8s.io/apimachinery/pkg/version/helpers.go (CompareKubeAwareVersionStrings).
    """
    match = re.fullmatch(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?", version, re.ASCII)
    if match is None:
        return (0, 0, 0, "".join(chr(0x10FFFF - ord(sign)) for sign in version))
    return (
        3 if not match[2] else 2 if match[2] == "beta" else 1,
        int(match[1]),
        int(match[3] or 0),
        "",
    )


def is_terminating(definition: Document) -> bool:
    """Return whether a definition waits for the last of its objects to be removed."""
    return "deletionTimestamp" in definition["metadata"]


def refuse_creation(_server: ServerView, _new: Document, old: Document | None) -> None:
    """Refuse new objects of a kind whose definition is being deleted.

    Args:
        _server, _new: not needed; the hook of a kind gets them.
        old: the stored object; None at creation.

    Raises:
        MethodNotAllowed: there is none.
    """
    if old is None:
        raise MethodNotAllowed("create not allowed while custom resource definition is terminating")


def schema_of(version: Document) -> Document:
    """Return the schema of a version."""
    schema: Document = version["schema"]["openAPIV3Schema"]
    return schema


def shapes_of(schema: Document) -> tuple[Shape, Shape | None]:
    """Return the compiled schema of the object, and of its status if the schema has one."""
    status = (schema.get("properties") or {}).get("status")
    shape = compile_schema({**schema, "required": _without_status(schema)})
    return shape, compile_schema(status) if status else None


def _without_status(schema: Document) -> list[str]:
    return [name for name in schema.get("required") or () if name not in ("status", "metadata")]


def scale_paths_of(scale: Document) -> ScalePaths:
    """Return where the objects of a version keep the fields of their scale."""

    def path(field: str) -> str:
        return str(scale.get(field) or "").lstrip(".")

    return ScalePaths(
        path("specReplicasPath") or "spec.replicas",
        path("statusReplicasPath") or "status.replicas",
        path("labelSelectorPath"),
    )
