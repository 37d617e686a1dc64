"""Bodies in protobuf: Go clients send them, and kubectl 1.32 and newer for what it generates.

An envelope (``k8s`` and a zero byte, then a message ``Unknown``) holds kind, version and the
message itself. Fields travel by number; the generated data says which number is which field of
which type, for every type of Kubernetes 1.34. Only reading is implemented: answers are JSON, which
every client accepts.

Nothing that a client sent is lost: a zero that says nothing is left out as Go's JSON leaves it out
(mode ``value`` of `data.messages`), other zeros stay, and a field of a later release is refused
unless it is empty: its name is unknown here, so that a warning could not name it. The real server
drops it.

Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf; the hand-written (un)marshalling of
meta/v1, resource, intstr, runtime and apiextensions; protobuf's wire format.
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import NamedTuple, NoReturn

from kubesim.apiserver.schema import data as api_data
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document

MAGIC = b"k8s\0"
# Options may come in the version of any group.
OPTIONS = frozenset({"CreateOptions", "DeleteOptions", "PatchOptions", "UpdateOptions"})
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
DEPTH = 100  # of messages inside messages
CUT_OFF = "unexpected EOF"  # io.ErrUnexpectedEOF, as the generated decoders return it
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE_OF = {"string": _BYTES, "bytes": _BYTES, "double": _FIXED64} | dict.fromkeys(
    ("bool", "int32", "int64"), _VARINT
)
_EMPTY = {"string": "", "bytes": "", "bool": False, "int32": 0, "int64": 0, "double": 0.0}


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        name: in JSON.
        type: a scalar, or the component name of a message.
        mode: as in `data.messages`.
    """

    name: str
    type: str
    mode: str


def decode(data: bytes) -> Document:
    """Return the document in an envelope.

    Raises:
        BadRequest: it is malformed, of a kind that Kubernetes does not have, or with a field that
            Kubernetes 1.34 does not have.
    """
    if not data.startswith(MAGIC):
        raise BadRequest(r"the body is not Kubernetes protobuf: it must start with `k8s\x00`")
    try:
        return _envelope(data[len(MAGIC) :], DEPTH)
    except BadRequest:
        raise
    except (ValueError, struct.error, OverflowError, RecursionError) as error:
        raise BadRequest(f"the body is malformed protobuf: {error}"[:200]) from error


def _envelope(data: bytes, depth: int) -> Document:
    parts = {number: _bytes(raw) for number, _, raw in _fields(data)}
    if parts.get(3):
        raise ValueError("the content encoding is not supported")
    if parts.get(4, b"").decode("utf-8") not in ("", CONTENT_TYPE):
        raise ValueError("the content type inside the envelope is not protobuf")
    meta = {number: _bytes(raw).decode("utf-8") for number, _, raw in _fields(parts.get(1, b""))}
    api_version, kind = meta.get(1, ""), meta.get(2, "")
    name = api_data.kinds().get(f"{api_version} {kind}")
    if kind in OPTIONS:
        name = api_data.META + kind
    if name is None or name not in api_data.messages():
        raise BadRequest(f'no kind "{kind[:60]}" is registered for version "{api_version[:60]}"')
    return {"kind": kind, "apiVersion": api_version, **message(name, parts.get(2, b""), depth)}


def message(name: str, data: bytes, depth: int) -> Document:
    """Return one message as a JSON object.

    Args:
        name: component name of its type.
        data: the message, without its length.
        depth: of messages that it may hold inside one another.

    Raises:
        BadRequest: a field of it is not known.
        ValueError, struct.error: it is malformed.
    """
    if depth == 0:
        raise ValueError("nested too deep")
    by_number = fields_of(name)
    document: Document = {}
    for number, wire, raw in _fields(data):
        field = by_number.get(number)
        if field is None:
            if raw:
                _refuse(name, number)
        elif field.mode == "map":
            document.setdefault(field.name, {}).update(_entry(field, _bytes(raw), depth))
        elif field.mode == "list":
            document.setdefault(field.name, []).extend(_items(field, wire, raw, depth))
        else:
            value = _value(field, wire, raw, depth)
            if field.mode == "inline" and isinstance(value, dict):
                document.update(value)
            elif value if field.mode == "value" else value is not None or raw:
                document[field.name] = value
    return document


@lru_cache(maxsize=1024)
def fields_of(name: str) -> dict[int, Field]:
    """Return the fields of a message by number.

    >>> fields_of("io.k8s.api.core.v1.ContainerPort")[3]
    Field(name='containerPort', type='int32', mode='')
    """
    return {
        number: Field(own_name, type_, mode)
        for number, own_name, type_, mode in api_data.messages()[name]
    }


def _refuse(name: str, number: int) -> NoReturn:
    raise BadRequest(
        f"field {number} of {name.rpartition('.')[2]} is not known in Kubernetes 1.34: send the "
        "object as JSON, or with a client of that version"
    )


def _value(field: Field, wire: int, raw: int | bytes, depth: int) -> object:
    """Return the value of one field; None is JSON's null."""
    if wire != _WIRE_OF.get(field.type, _BYTES):
        raise ValueError(f"{field.name} is of another type")
    if isinstance(raw, int):
        return _number(field.type, raw)
    if field.type == "string":
        return raw.decode("utf-8")
    if field.type == "bytes":
        return b64encode(raw).decode()
    special = _SPECIAL.get(field.type)
    return special(raw, depth - 1) if special else message(field.type, raw, depth - 1)


def _number(type_: str, raw: int) -> int | float | bool:
    if type_ == "bool":
        return bool(raw)
    if type_ == "double":
        (number,) = struct.unpack("<d", raw.to_bytes(8, "little"))
        if not isfinite(number):
            raise ValueError("a number must be finite")
        return float(number)
    return _signed(raw)


def _items(field: Field, wire: int, raw: int | bytes, depth: int) -> list[object]:
    """Return what one entry adds to a list: one item, or the items of a packed list."""
    if wire == _BYTES and _WIRE_OF.get(field.type) == _VARINT:
        return [_number(field.type, number) for number in _packed(_bytes(raw))]
    return [_value(field, wire, raw, depth)]


def _entry(field: Field, data: bytes, depth: int) -> Document:
    """Return one entry of a map: {1: key, 2: value}."""
    key, value = "", None
    for number, wire, raw in _fields(data):
        if number == 1:
            key = _bytes(raw).decode("utf-8")
        elif number == 2:
            value = _value(field, wire, raw, depth)
    if value is None:
        empty = field.type not in _EMPTY and _value(field, _BYTES, b"", depth)
        value = _EMPTY.get(field.type, empty)
    return {key: value}


# -- types that are one value in JSON --------------------------------------------------------------


def _quantity(data: bytes, depth: int) -> str:
    """Return a resource.Quantity; an empty one is zero."""
    parts = {number: _bytes(raw).decode("utf-8") for number, _, raw in _fields(data)}
    return parts.get(1) or "0"


def _int_or_string(data: bytes, depth: int) -> int | str:
    """Return an intstr.IntOrString: {1: type, 2: number, 3: string}."""
    parts = {number: raw for number, _, raw in _fields(data)}
    if parts.get(1):
        return _bytes(parts.get(3, b"")).decode("utf-8")
    return _signed(_integer(parts.get(2, 0)))


def _time(data: bytes, depth: int) -> str | None:
    """Return a metav1.Time, in whole seconds; an empty one is null."""
    return _moment(data, "seconds") if data else None


def _micro_time(data: bytes, depth: int) -> str | None:
    """Return a metav1.MicroTime; an empty one is null."""
    return _moment(data, "microseconds") if data else None


def _moment(data: bytes, precision: str) -> str:
    parts = {number: _signed(_integer(raw)) for number, _, raw in _fields(data)}
    since = timedelta(seconds=parts.get(1, 0), microseconds=parts.get(2, 0) // 1000)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + since
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _raw_json(data: bytes, depth: int) -> object:
    """Return what {1: raw} holds: JSON, or an object in its own envelope."""
    raw = next((_bytes(raw) for number, _, raw in _fields(data) if number == 1), b"")
    if raw.startswith(MAGIC):
        if depth <= 0:
            raise ValueError("nested too deep")
        return _envelope(raw[len(MAGIC) :], depth)
    return json.loads(raw, parse_constant=_refuse_constant) if raw else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _strings(data: bytes, depth: int) -> list[str]:
    """Return a list of strings that has its own message (ExtraValue)."""
    return [_bytes(raw).decode("utf-8") for _, _, raw in _fields(data)]


def _schema_or_bool(data: bytes, depth: int) -> object:
    """Return a JSONSchemaPropsOrBool: {1: allows, 2: schema}."""
    parts = {number: raw for number, _, raw in _fields(data)}
    if 2 in parts:
        return message(f"{APIEXTENSIONS}JSONSchemaProps", _bytes(parts[2]), depth)
    return bool(_integer(parts.get(1, 0)))


def _schema_or_schemas(data: bytes, depth: int) -> object:
    """Return a JSONSchemaPropsOrArray: {1: schema, 2: schemas}."""
    parts = [(number, _bytes(raw)) for number, _, raw in _fields(data)]
    schemas = [
        message(f"{APIEXTENSIONS}JSONSchemaProps", raw, depth)
        for number, raw in parts
        if number == 2
    ]
    own = next((raw for number, raw in parts if number == 1), None)
    if schemas or own is None:
        return schemas or None
    return message(f"{APIEXTENSIONS}JSONSchemaProps", own, depth)


def _schema_or_strings(data: bytes, depth: int) -> object:
    """Return a JSONSchemaPropsOrStringArray: {1: schema, 2: names of properties}."""
    parts = [(number, _bytes(raw)) for number, _, raw in _fields(data)]
    names = [raw.decode("utf-8") for number, raw in parts if number == 2]
    own = next((raw for number, raw in parts if number == 1), None)
    if names or own is None:
        return names or None
    return message(f"{APIEXTENSIONS}JSONSchemaProps", own, depth)


APIEXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
_SPECIAL: dict[str, Callable[[bytes, int], object]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    f"{api_data.META}Time": _time,
    f"{api_data.META}MicroTime": _micro_time,
    f"{api_data.META}FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
    f"{APIEXTENSIONS}JSON": _raw_json,
    f"{APIEXTENSIONS}JSONSchemaPropsOrArray": _schema_or_schemas,
    f"{APIEXTENSIONS}JSONSchemaPropsOrBool": _schema_or_bool,
    f"{APIEXTENSIONS}JSONSchemaPropsOrStringArray": _schema_or_strings,
    "io.k8s.api.authentication.v1.ExtraValue": _strings,
    "io.k8s.api.authorization.v1.ExtraValue": _strings,
    "io.k8s.api.certificates.v1.ExtraValue": _strings,
}


# -- the wire format -------------------------------------------------------------------------------


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, value) of each field of a message, in order."""
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
                raise ValueError(CUT_OFF)
            value, at = data[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            if at + size > end:
                raise ValueError(CUT_OFF)
            value, at = int.from_bytes(data[at : at + size], "little"), at + size
        else:
            raise ValueError(f"wire type {wire}")
        yield number, wire, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at == len(data):
            raise ValueError(CUT_OFF)
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


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _packed(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _bytes(raw: int | bytes) -> bytes:
    if not isinstance(raw, bytes):
        raise ValueError("a string was expected")
    return raw


def _integer(raw: int | bytes) -> int:
    if not isinstance(raw, int):
        raise ValueError("a number was expected")
    return raw
