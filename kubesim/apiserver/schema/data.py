"""The API types of Kubernetes 1.34: the generated file next to this module, read when first needed.

`tools/update_kubernetes.py` writes the file: gzip members, first a header, then the sections. Each
section is decompressed and parsed on its own, at its first use: checking a pod reads the types
(4 ms, 1.7 MB of memory) and never the descriptions. What is returned is shared by everybody and
must not be changed.

>>> kinds()["apps/v1 Deployment"]
'io.k8s.api.apps.v1.Deployment'
>>> types()["io.k8s.api.core.v1.PodIP"]["required"]
['ip']
>>> header()["kubernetes"]
'1.34.0'
"""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import cast

from kubesim.objects.frozen import Document

Schema = Document
MessageField = tuple[int, str, str, str]
"""(number, JSON name, type, mode) of a field of a protobuf message (see `messages`)."""
FILE = Path(__file__).with_name("kubernetes-1.34.json.gz")
GZIP = 31  # wbits value for gzip
META = "io.k8s.apimachinery.pkg.apis.meta.v1."  # prefix of the component names of meta/v1


@lru_cache(maxsize=1)
def header() -> Document:
    """Return the versions of the sources, and the offset of each section."""
    return _header()[0]


@lru_cache(maxsize=1)
def types() -> dict[str, Schema]:
    """Return the schema of each API type by component name, without descriptions."""
    return cast(dict[str, Schema], _section("types"))


@lru_cache(maxsize=1)
def kinds() -> dict[str, str]:
    """Return the component name of each kind, ``apps/v1 Deployment``."""
    return cast(dict[str, str], _section("kinds"))


@lru_cache(maxsize=1)
def descriptions() -> dict[str, tuple[str, dict[str, str]]]:
    """Return what describes a type, and each of its fields, by component name."""
    return cast(dict[str, tuple[str, dict[str, str]]], _section("descriptions"))


@lru_cache(maxsize=1)
def messages() -> dict[str, list[MessageField]]:
    """Return the fields of each type's protobuf message, by component name.

    The type of a field is a scalar or a component name. Its mode is ``list``, ``map`` (of strings
    to the type), ``inline`` (the message's fields are inlined in the parent object), ``value`` (a
    zero says nothing and is left out of the document) or ``""``.
    """
    return cast(dict[str, list[MessageField]], _section("messages"))


@lru_cache(maxsize=1)
def present() -> dict[str, list[str]]:
    """Return the structures, lists and maps that Go writes in every object of a type.

    They are held by value, or have no ``omitempty``: an empty one is ``{}`` or null.

    >>> present()["io.k8s.api.apps.v1.DeploymentSpec"]
    ['selector', 'strategy', 'template']
    """
    return cast(dict[str, list[str]], _section("present"))


def _header() -> tuple[Document, bytes]:
    """Return the header, and what follows it."""
    member = zlib.decompressobj(GZIP)
    return json.loads(member.decompress(FILE.read_bytes())), member.unused_data


def _section(name: str) -> object:
    head, body = _header()
    start, size = head["sections"][name]
    return json.loads(zlib.decompress(body[start : start + size], GZIP))
