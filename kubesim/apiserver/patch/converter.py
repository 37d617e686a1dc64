"""What is said of a patch that has another shape than its type, or whose result cannot be decoded.

The result of a strategic patch is converted from a map to the Go type by reflection, which has
words of its own; the results of the other patches are JSON, and decoded. The message repeats a
strategic patch as Go prints a map, and of the others the patched object.

>>> converter_error("x", "map[string]string"), converter_error(3, "v1.PodSpec")
('cannot restore map from string', 'cannot restore struct from: int64')
>>> converter_error("3", "int32"), converter_error(3, "string"), converter_error({}, "[]v1.Port")
('unrecognized type: int32', 'cannot convert int64 to string', 'cannot restore slice from map')
>>> converter_error(3, "v1.Time")
'json: cannot unmarshal number into Go value of type string'
>>> shown_patch("strategic", {"spec": {"b": [1, None], "a": "x y"}}, {})
'map[spec:map[a:x y b:[1 <nil>]]]'
>>> shown_patch("merge", {"spec": 3}, {"kind": "Pod", "spec": 3})
'{"kind":"Pod","spec":3}'

Ours leaves out: the names of Go's own string types (v1.PullPolicy is string here).

Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (applyPatchToObject, jsonPatcher),
k8s.io/apimachinery/pkg/runtime/converter.go (fromUnstructured).
"""

from __future__ import annotations

import json

from kubesim.apiserver.schema.faults import QUANTITY_TYPE, TIME_TYPE, WIDTHS, Fault
from kubesim.errors import BadRequest

SHOWN = 1000  # characters of a patch or an object that a message repeats
SCALARS = ("string", "bool", "float64", *WIDTHS)
NUMBERS = ("int64", "float64")
DECODE_THEMSELVES = {"intstr.IntOrString": "int32", TIME_TYPE: "string"}
JSON_TYPES = {"map": "object", "slice": "array", "float64": "number", "int64": "number"}
DECODING = "error decoding patch: "
LARGEST_PLAIN_FLOAT = 1e21  # from here on Go prints an exponent


INTO_MAP = "map[string]interface {}"
OPERATION_FIELDS = ("op", "path", "from")
OF_TYPE = "value of type "
INVALID_PATCH = "Invalid JSON Patch"  # ErrBadJSONPatch


def refuse_malformed(patch_type: str, patch: object, *, lenient: bool) -> None:
    """Refuse a patch that is no object or, of the type json, no list of operations.

    Args:
        patch_type: merge, json or strategic.
        patch: what the client sent; null is an empty patch, except of the type merge.
        lenient: unknown fields are ignored: other code of Go reads the patch then.

    Raises:
        BadRequest: the patch is malformed.

    Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (applyJSPatch, strategicPatchObject);
    github.com/evanphx/json-patch (DecodePatch, MergePatch).

    >>> refuse_malformed("merge", None, lenient=False)
    Traceback (most recent call last):
    kubesim.errors.BadRequest: Invalid JSON Patch
    """
    shape = "must be a list of operations" if patch_type == "json" else "must be a JSON object"
    if message := _shape_fault(patch_type, patch, lenient):
        raise BadRequest(message, hint=f"a {patch_type} patch {shape}")


def _shape_fault(patch_type: str, patch: object, lenient: bool) -> str:
    """Return what is said of a patch of another shape than its type has; "" for none."""
    if patch_type == "json":
        prefix, package = ("", "jsonpatch.") if lenient else (DECODING, "handlers.")
        whole, part = ("Patch", "Operation") if lenient else ("[]", "jsonPatchOp")
        if patch is not None and not isinstance(patch, list):
            into = f"{package}{whole}" if lenient else f"{whole}{package}{part}"
            return prefix + cannot_unmarshal(patch, into)
        for operation in patch or ():
            if operation is None:
                continue  # an operation without fields
            if not isinstance(operation, dict):
                return prefix + cannot_unmarshal(operation, f"{package}{part}")
            for name in OPERATION_FIELDS:
                if not lenient and not isinstance(operation.get(name, ""), str | None):
                    field = f"struct field jsonPatchOp.{name} of type string"
                    return prefix + cannot_unmarshal(operation[name], "").replace(OF_TYPE, field)
        return ""
    if isinstance(patch, dict) or (patch is None and patch_type == "strategic"):
        return ""
    if patch_type == "strategic":
        return cannot_unmarshal(patch, INTO_MAP)
    if lenient or patch is None:
        return INVALID_PATCH
    return DECODING + cannot_unmarshal(patch, INTO_MAP)


def cannot_unmarshal(value: object, go_type: str) -> str:
    """Return how Go says that a value of JSON cannot become a value of a type."""
    kind = go_kind(value)
    return f"json: cannot unmarshal {JSON_TYPES.get(kind, kind)} into Go value of type {go_type}"


def fault_detail(fault: Fault, *, strategic: bool) -> str:
    """Return what is said of a value that cannot be decoded."""
    if not strategic or fault.value is None or fault.go_type == QUANTITY_TYPE:
        return fault.detail
    if not fault.go_type:  # text that a type parses
        prefix = "error decoding from json: " if "base64" in fault.detail else ""
        return prefix + fault.detail
    return converter_error(fault.value, fault.go_type) or fault.detail


def converter_error(value: object, go_type: str) -> str:
    """Return why a value cannot be converted to a Go type; "" for a number that is too large."""
    kind = go_kind(value)
    if go_type in DECODE_THEMSELVES:
        return cannot_unmarshal(value, DECODE_THEMSELVES[go_type])
    if go_type.startswith("map["):
        return f"cannot restore map from {kind}"
    if go_type.startswith("[]"):
        return f"cannot restore slice from {kind}"
    if go_type not in SCALARS:
        return f"cannot restore struct from: {kind}"
    if kind == "int64" and go_type in WIDTHS:
        return ""
    convertible = (kind, go_type) == ("int64", "string") or (kind in NUMBERS and go_type in WIDTHS)
    return f"cannot convert {kind} to {go_type}" if convertible else f"unrecognized type: {go_type}"


def go_kind(value: object) -> str:
    """Return the kind that Go's reflection has for a value of JSON."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int64"
        case float():
            return "float64"
        case list():
            return "slice"
    return "map"


def shown_patch(patch_type: str, patch: object, new: object) -> str:
    """Return what a message shows of a patch that is refused.

    Args:
        patch_type: merge, json or strategic.
        patch: what the client sent.
        new: the object after the patch.
    """
    if patch_type == "strategic":
        return go_format(patch)[:SHOWN]
    shown = json.dumps(new, separators=(",", ":"), ensure_ascii=False, default=str)
    return shown[:SHOWN]


def go_format(value: object) -> str:
    """Return a value of JSON as Go's ``%+v`` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            plain = value.is_integer() and abs(value) < LARGEST_PLAIN_FLOAT
            return str(int(value)) if plain else repr(value)
        case list():
            return f"[{' '.join(map(go_format, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{go_format(value[key])}' for key in sorted(value))}]"
    return str(value)
