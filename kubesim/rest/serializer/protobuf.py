"""Bodies in protobuf: what kubectl 1.32 and newer send when they make objects by themselves.

An envelope (``k8s`` and a zero byte, then a message ``Unknown``) holds kind, version and the
message itself. Fields travel by number; `wirefields` says which number is which field of which
type. Only reading is here: answers are JSON, which every client takes.

Go writes empty texts, zeros and falses for fields that its types hold by value, so they are
dropped, but for fields where nothing and zero differ (`KEEP_ZERO`).

Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf; k8s.io/api/*/generated.proto;
protobuf's encoding of the wire.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from kubesim.errors import BadRequest
from kubesim.rest.kube.wirefields import EMBEDDED, MESSAGES, Field

MAGIC = b"k8s\0"
KEEP_ZERO = frozenset(
    {
        "replicas",
        "minReplicas",
        "maxReplicas",
        "gracePeriodSeconds",
        "terminationGracePeriodSeconds",
        "backoffLimit",
        "completions",
        "parallelism",
        "ttlSecondsAfterFinished",
        "suspend",
        "immutable",
        "value",
        "allowed",
    }
)
DEPTH = 40
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def decode(data: bytes) -> dict[str, Any]:
    """The document of an envelope.

    Raises:
        BadRequest: it is malformed, or of a kind that is not read in this format.
    """
    if not data.startswith(MAGIC):
        raise BadRequest("the body is no protobuf of Kubernetes: it must begin with k8s and 0")
    try:
        envelope = _fields(data[len(MAGIC) :])
        meta, raw, api_version, kind = b"", b"", "", ""
        for number, _, value in envelope:
            if number == 1 and isinstance(value, bytes):
                meta = value
            elif number == 2 and isinstance(value, bytes):
                raw = value
        for number, _, value in _fields(meta):
            text = value.decode() if isinstance(value, bytes) else ""
            api_version = text if number == 1 else api_version
            kind = text if number == 2 else kind
        name = f"{api_version}.{kind}" if f"{api_version}.{kind}" in MESSAGES else kind
        if name not in MESSAGES:
            raise BadRequest(
                f"{kind[:60] or 'this kind'} is not read as protobuf here: send it as JSON"
            )
        document = message(name, raw, DEPTH)
    except (ValueError, IndexError, struct.error, OverflowError) as error:
        if isinstance(error, BadRequest):
            raise
        raise BadRequest(f"the body is malformed protobuf: {error}"[:200]) from error
    return {"kind": kind, "apiVersion": api_version, **document}


def message(name: str, data: bytes, depth: int) -> dict[str, Any]:
    """One message as a JSON object.

    Raises:
        ValueError, IndexError, struct.error: it is malformed.
    """
    if depth == 0:
        raise ValueError("nested too deep")
    known = MESSAGES[name]
    found: dict[str, Any] = {}
    for number, wire, raw in _fields(data):
        field = known.get(number)
        if field is None:
            continue
        value = _value(field, wire, raw, depth)
        if field.many == "map":
            found.setdefault(field.name, {}).update(value)
        elif field.many == "list":
            found.setdefault(field.name, []).extend(value if isinstance(value, list) else [value])
        elif field.name in EMBEDDED and isinstance(value, dict):
            found.update(value)
        elif value is not None and (value or field.name in KEEP_ZERO or isinstance(value, dict)):
            found[field.name] = value
    return found


def _value(field: Field, wire: int, raw: int | bytes, depth: int) -> Any:
    """The value of one field."""
    if field.many == "map":
        return _entry(field, _bytes(raw), depth)
    if isinstance(raw, int):
        if field.type not in ("int", "bool", "double"):
            raise ValueError(f"{field.name} is no number")
        if field.type == "bool":
            return bool(raw)
        if field.type == "double":
            return struct.unpack("<d", raw.to_bytes(8, "little"))[0]
        return raw - (1 << 64) if raw >> 63 else raw
    if field.type == "string":
        return raw.decode("utf-8")
    if field.type == "bytes":
        return b64encode(raw).decode()
    if field.type in ("int", "bool"):  # a packed list
        return [n - (1 << 64) if n >> 63 else n for n in _packed(raw)]
    special = _SPECIAL.get(field.type)
    return special(raw) if special is not None else message(field.type, raw, depth - 1)


def _entry(field: Field, data: bytes, depth: int) -> dict[str, Any]:
    """One entry of a map: {1: key, 2: value}."""
    key, value = "", None
    for number, wire, raw in _fields(data):
        if number == 1:
            key = _bytes(raw).decode("utf-8")
        elif number == 2:
            value = _value(field._replace(many=""), wire, raw, depth)
    empty = "" if field.type in ("string", "bytes", "Quantity") else {}
    return {key: empty if value is None else value}


def _quantity(data: bytes) -> str:
    for number, _, raw in _fields(data):
        if number == 1:
            return _bytes(raw).decode("utf-8")
    return "0"


def _int_or_string(data: bytes) -> int | str:
    found: dict[int, int | bytes] = {number: raw for number, _, raw in _fields(data)}
    if found.get(1):
        return _bytes(found.get(3, b"")).decode("utf-8")
    number = found.get(2, 0)
    if isinstance(number, bytes):
        raise ValueError("a number was expected")
    return number - (1 << 64) if number >> 63 else number


def _time(data: bytes) -> str | None:
    """A metav1.Time; one that says nothing is null."""
    seconds = next((raw for number, _, raw in _fields(data) if number == 1), None)
    if not isinstance(seconds, int):
        return None
    seconds = seconds - (1 << 64) if seconds >> 63 else seconds
    if abs(seconds) > 2**36:
        raise ValueError("a time beyond all years")
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


_SPECIAL = {"Quantity": _quantity, "IntOrString": _int_or_string, "Time": _time}


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(number, wire type, value) of each field of a message, in order."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value: int | bytes
            value, at = _varint(data, at)
        elif wire == _BYTES:
            length, at = _varint(data, at)
            if at + length > end:
                raise ValueError("a field is cut off")
            value, at = data[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            if at + size > end:
                raise ValueError("a field is cut off")
            value, at = int.from_bytes(data[at : at + size], "little"), at + size
        else:
            raise ValueError(f"wire type {wire}")
        yield number, wire, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                raise ValueError("a number of more than 64 bits")
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _packed(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _bytes(raw: int | bytes) -> bytes:
    if not isinstance(raw, bytes):
        raise ValueError("a text was expected")
    return raw
