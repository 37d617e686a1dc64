"""Conversion between the versions of a kind; the store holds one version.

Source: k8s.io/apimachinery/pkg/runtime (Scheme.Convert); for custom kinds (strategy None: versions
differ in name alone): apiextensions-apiserver/pkg/apiserver/conversion.
"""

from __future__ import annotations

from kubesim.apiserver.registry import Kind
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, thaw


def to_stored(kind: Kind, document: Document) -> Document:
    """Convert a document of any served version to the stored version; return a copy."""
    version = kind.version_of(str(document.get("apiVersion") or kind.api_version))
    if version is None:
        raise _no_match(kind, str(document.get("apiVersion")))
    converted = version.to_stored(thaw(document))
    return {**converted, "apiVersion": kind.api_version}


def in_version(kind: Kind, document: Document, api_version: str) -> Document:
    """Convert a stored document to another version.

    Args:
        kind: of the document.
        document: as it is stored; it is not changed.
        api_version: for example ``autoscaling/v1``.

    Returns:
        The document itself if it has that version; else a converted copy.

    Raises:
        BadRequest: the kind is not served in that version.
    """
    if api_version == document.get("apiVersion"):
        return document
    version = kind.version_of(api_version)
    if version is None:
        raise _no_match(kind, api_version)
    converted = version.from_stored(thaw(document))
    return {**converted, "apiVersion": api_version}


def _no_match(kind: Kind, api_version: str) -> BadRequest:
    message = f'no matches for kind "{kind.kind}" in version "{api_version}"'
    return BadRequest(message, hint=f"use {kind.api_version}")
