"""An OpenAPI document of version 2 as protobuf, in the messages of gnostic: what Go clients read.

Only the fields that documents of this server have are written.

>>> document({"swagger": "2.0", "info": {"title": "T", "version": "v1"}, "paths": {}}).hex()
'0a03322e3012070a0154120276314200'

Source: github.com/google/gnostic-models/openapiv2 (OpenAPIv2.proto).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from kubesim.apiserver.schema.data import Schema
from kubesim.objects.frozen import Document

METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def document(source: Document) -> bytes:
    """Return the message Document of a whole document."""
    info = source["info"]
    paths = source.get("paths") or {}
    definitions = source.get("definitions") or {}
    parts = [
        _text(1, source["swagger"]),
        _bytes(2, _text(1, info["title"]) + _text(2, info["version"])),
        _bytes(8, b"".join(_bytes(2, _named(name, _path(item))) for name, item in paths.items())),
    ]
    if definitions:
        schemas = (_bytes(1, _named(name, schema(s))) for name, s in definitions.items())
        parts.append(_bytes(9, b"".join(schemas)))
    return b"".join(parts)


def schema(source: Schema) -> bytes:
    """Return the message Schema of a schema."""
    parts: list[bytes] = []
    for name, value in source.items():
        match name:
            case "$ref":
                parts.append(_text(1, value))
            case "format":
                parts.append(_text(2, value))
            case "description":
                parts.append(_text(4, value))
            case "required":
                parts += (_text(19, field) for field in value)
            case "additionalProperties":
                item = (
                    _varint_field(2, value) if isinstance(value, bool) else _bytes(1, schema(value))
                )
                parts.append(_bytes(21, item))
            case "type":
                parts.append(_bytes(22, _text(1, value)))
            case "items":
                parts.append(_bytes(23, _bytes(1, schema(value))))
            case "properties":
                fields = (_bytes(1, _named(field, schema(part))) for field, part in value.items())
                parts.append(_bytes(25, b"".join(fields)))
            case _ if name.startswith("x-"):
                parts.append(_bytes(31, _extension(name, value)))
    return b"".join(parts)


def _path(item: Schema) -> bytes:
    parts = [
        _bytes(METHODS[method], _operation(operation))
        for method, operation in item.items()
        if method in METHODS
    ]
    parts += [_bytes(9, _parameter(parameter)) for parameter in item.get("parameters") or ()]
    return b"".join(parts)


def _operation(source: Schema) -> bytes:
    responses = b"".join(
        _bytes(1, _named(code, _bytes(1, _response(response))))
        for code, response in source["responses"].items()
    )
    parts = [
        *_texts(1, source["tags"]),
        _text(5, source["operationId"]),
        *_texts(6, source["produces"]),
        *_texts(7, source["consumes"]),
        *(_bytes(8, _parameter(parameter)) for parameter in source["parameters"]),
        _bytes(9, responses),
        *_texts(10, source["schemes"]),
    ]
    parts += [_bytes(13, _extension(k, v)) for k, v in source.items() if k.startswith("x-")]
    return b"".join(parts)


def _response(source: Schema) -> bytes:
    body = source.get("schema")
    return _text(1, source["description"]) + (
        b"" if body is None else _bytes(2, _bytes(1, schema(body)))
    )


def _parameter(source: Schema) -> bytes:
    """Return the message ParametersItem of a parameter in the body, the query or the path."""
    name, place = source["name"], source["in"]
    required = source.get("required", False)
    if place == "body":
        body = _text(2, name) + _text(3, place) + _varint_field(4, required)
        return _bytes(1, _bytes(1, body + _bytes(5, schema(source["schema"]))))
    plain = _varint_field(1, required) + _text(2, place) + _text(4, name)
    if place == "query":
        return _bytes(1, _bytes(2, _bytes(3, plain + _text(6, source["type"]))))
    return _bytes(1, _bytes(2, _bytes(4, plain + _text(5, source["type"]))))


def _extension(name: str, value: object) -> bytes:
    """Return the message NamedAny of an extension: its value as YAML, of which JSON is a part."""
    return _named(name, _text(2, f"{json.dumps(value)}\n"))


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _bytes(2, value)


def _texts(number: int, values: Iterable[str]) -> Iterable[bytes]:
    return (_text(number, value) for value in values)


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(int(value)) if value else b""


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
