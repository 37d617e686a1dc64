"""Pruning: fields that a kind does not have are dropped, and never stored.

The decoder of a built-in kind skips what its Go type does not have; a custom kind is pruned by the
schema of its definition, except below ``x-kubernetes-preserve-unknown-fields``. `fieldValidation`
only decides whether the client hears of it (`strict`).

>>> from kubesim.analytics import Analytics
>>> from kubesim.apiserver.registry import Kind
>>> from kubesim.apiserver.schema.structural import full_shape_of
>>> tab = Kind("Tab", "tabs", group="example.com", schema={"type": "object", "properties": {
...     "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}})
>>> document = {"kind": "Tab", "metadata": {"name": "a"}, "spec": {"size": 1, "colour": "red"}}
>>> prune(tab, full_shape_of(tab), document, Analytics(lambda: 0.0, sink=print))
[WARN] KubeAPI: UnknownField: spec.colour of tab a is dropped: Tab has no such field
>>> document["spec"]
{'size': 1}

Source: sigs.k8s.io/json (UnmarshalCaseSensitivePreserveInts), k8s.io/apiextensions-apiserver/pkg/
apiserver/schema/pruning/algorithm.go (Prune).
"""

from __future__ import annotations

from kubesim.analytics import Analytics
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.shapes import AnyType, ArrayShape, ObjectShape, Shape
from kubesim.objects.frozen import Document


def prune(kind: Kind, shape: Shape, document: Document, analytics: Analytics) -> None:
    """Remove the fields that a kind does not have, in place.

    Args:
        kind: of the object, for the log.
        shape: of all its fields.
        document: the object.
        analytics: gets a row for each field: a call inside the process has no other warning.
    """
    metadata = document.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    for path in shape.unknown(document, ""):
        message = f"{path} of {kind.singular} {name} is dropped: {kind.kind} has no such field"
        analytics.log("KubeAPI", "UnknownField", message, "warn")
    _prune(shape, document)


def _prune(shape: Shape, value: object) -> None:
    """Remove the fields of a value that its type does not have, at any depth."""
    if isinstance(shape, ObjectShape) and isinstance(value, dict):
        fields = shape.fields
        for name, item in list(value.items()):
            part = fields.shapes.get(name, fields.additional)
            if part is not None:
                _prune(part, item)
            elif not shape.is_open:
                del value[name]
    elif isinstance(shape, ArrayShape) and isinstance(value, list):
        for item in value:
            _prune(shape.items, item)
    elif isinstance(shape, AnyType):
        for part in shape.parts:
            if isinstance(part, ArrayShape):  # an object without a type is open
                _prune(part, value)
