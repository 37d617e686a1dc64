"""The warnings of a write that was accepted: what a client should know of its object.

Source: k8s.io/apiserver/pkg/registry/rest/create.go (WarningsOnCreate),
k8s.io/apiserver/pkg/warning.
"""

from __future__ import annotations

from kubesim.apiserver.options import WriteOptions
from kubesim.apiserver.registry import Kind
from kubesim.objects.frozen import Document


def add_warnings(kind: Kind, document: Document, created: bool, options: WriteOptions) -> None:
    """Add the warnings of a kind to those of a write.

    Args:
        kind: of the object.
        document: the object as it was stored.
        created: whether the write created it.
        options: of the write.
    """
    if kind.warn is not None and "warnings" in options:
        options["warnings"].extend(kind.warn(document, created))
