"""Kubernetes objects as JSON documents, and the small functions that read and write them."""

from kubesim.objects.frozen import (
    Document,
    FrozenDict,
    FrozenList,
    ReadOnlyDocument,
    freeze,
    thaw,
)

__all__ = ["Document", "FrozenDict", "FrozenList", "ReadOnlyDocument", "freeze", "thaw"]
