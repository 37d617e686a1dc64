"""Several versions of one kind: the store holds one, the others are made of it and turned into it.

Source: k8s.io/apimachinery/pkg/runtime (Scheme.Convert); for custom kinds (strategy None: versions
differ in name alone): apiextensions-apiserver/pkg/apiserver/conversion.
"""

from __future__ import annotations

from kubesim.apiserver.registry import Kind
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, thaw


def to_stored(kind: Kind, document: Document) -> Document:
    """A document of any served version as one of the stored version; a copy."""
    version = kind.version_of(str(document.get("apiVersion") or kind.api_version))
    if version is None:
        raise _no_match(kind, str(document.get("apiVersion")))
    made = version.to_stored(thaw(document))
    return {**made, "apiVersion": kind.api_version}


def in_version(kind: Kind, document: Document, api_version: str) -> Document:
    """A stored document as clients of another version see it.

    Args:
        kind: of the document.
        document: as it is stored; it is not changed.
        api_version: for example ``autoscaling/v1``.

    Returns:
        The document itself if it is of that version; else a new one.

    Raises:
        BadRequest: the kind is not served in that version.
    """
    if api_version == document.get("apiVersion"):
        return document
    version = kind.version_of(api_version)
    if version is None:
        raise _no_match(kind, api_version)
    made = version.from_stored(thaw(document))
    return {**made, "apiVersion": api_version}


def _no_match(kind: Kind, api_version: str) -> BadRequest:
    said = f'no matches for kind "{kind.kind}" in version "{api_version}"'
    return BadRequest(said, hint=f"use {kind.api_version}")
