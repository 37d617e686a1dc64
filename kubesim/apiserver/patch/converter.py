"""What is said of a patch whose result cannot be decoded.

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

SHOWN = 1000  # characters of a patch or an object that a message repeats
SCALARS = ("string", "bool", "float64", *WIDTHS)
NUMBERS = ("int64", "float64")
DECODE_THEMSELVES = {"intstr.IntOrString": "int32", TIME_TYPE: "string"}
JSON_TYPES = {"map": "object", "slice": "array", "float64": "number", "int64": "number"}
LARGEST_PLAIN_FLOAT = 1e21  # from here on Go prints an exponent


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
        into = f"Go value of type {DECODE_THEMSELVES[go_type]}"
        return f"json: cannot unmarshal {JSON_TYPES.get(kind, kind)} into {into}"
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
