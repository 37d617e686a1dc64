"""What `update_kubernetes` makes of the published descriptions of the Kubernetes API. Pure.

Two sources come in: the OpenAPI definitions as the package `kubernetes-validate` holds them, and
the field numbers of the protobuf messages. Five sections go out (see `Sections`).

>>> clean({"type": ["string", "null"], "enum": ["v1"]})
{'type': 'string'}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypedDict

from tools.zero_values import is_always_present, is_dropped

Json = dict[str, object]
Definitions = Mapping[str, Json]
Protobuf = Mapping[str, list[tuple[int, str, str, str]]]
"""Message -> (number, name, optional | repeated | map, type) of each field."""
Field = tuple[int, str, str, str]
"""(number, JSON name, type, mode): see `messages_of`."""

OLD_REF, REF = "#/$defs/", "#/components/schemas/"
OPEN = "x-kubernetes-preserve-unknown-fields"
SCALARS = frozenset(("string", "bytes", "bool", "int32", "int64", "double"))
# Types that hold any JSON value, or JSON that is a number as often as it is a string.
SPECIAL: dict[str, Json] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "type": "string",
        "x-kubernetes-quantity": True,
    },
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"x-kubernetes-int-or-string": True},
}
# Messages without a definition of their own: in JSON they are plain lists of strings.
LISTS = re.compile(r"\.(ExtraValue|Verbs)$")


class Sections(TypedDict):
    """The content of the data file.

    Attributes:
        types: schema of each API type without its descriptions, by component name.
        kinds: ``apps/v1 Deployment`` -> component name, for every group, version and kind.
        descriptions: component name -> [of the type, {field: of the field}].
        messages: component name -> the fields of its protobuf message.
        present: component name -> the structures, lists and maps that Go always writes.
    """

    types: dict[str, Json]
    kinds: dict[str, str]
    descriptions: dict[str, tuple[str, dict[str, str]]]
    messages: dict[str, list[Field]]
    present: dict[str, list[str]]


SECTIONS: tuple[Literal["types", "kinds", "descriptions", "messages", "present"], ...] = (
    "types",
    "kinds",
    "descriptions",
    "messages",
    "present",
)


def build(definitions: Definitions, protobuf: Protobuf) -> Sections:
    """Return all five sections, each in alphabetical order."""
    types: dict[str, Json] = {}
    kinds: dict[str, str] = {}
    descriptions: dict[str, tuple[str, dict[str, str]]] = {}
    for name in sorted(definitions):
        definition = definitions[name]
        types[name] = structure_of(name, definition)
        descriptions[name] = descriptions_of(definition)
        for item in _list(definition.get("x-kubernetes-group-version-kind")):
            entry = _object(item)
            group, version = str(entry["group"]), str(entry["version"])
            kinds[f"{group}/{version} {entry['kind']}".lstrip("/")] = name
    messages = messages_of(types, protobuf)
    return Sections(
        types=types,
        kinds=dict(sorted(kinds.items())),
        descriptions=descriptions,
        messages=messages,
        present=present_in(types),
    )


# -- types -----------------------------------------------------------------------------------------


def structure_of(name: str, definition: Json) -> Json:
    """Return the schema of a type without its descriptions."""
    if name in SPECIAL:
        return dict(SPECIAL[name])
    schema = _object(clean(definition))
    holds_anything = "properties" not in schema and "additionalProperties" not in schema
    if schema.get("type", "object") == "object" and holds_anything:
        schema[OPEN] = True
    return schema


def clean(schema: object) -> object:
    """Return a schema in the words of OpenAPI v3, without descriptions.

    The source allows null everywhere and lists the values of `apiVersion` and `kind`; both are
    additions of its own.
    """
    if isinstance(schema, list):
        return [clean(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result: Json = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {field: clean(value[field]) for field in sorted(value)}
        elif key == "type" and isinstance(value, list):
            (result[key],) = (kind for kind in value if kind != "null")
        elif key == "$ref":
            result[key] = str(value).replace(OLD_REF, REF)
        elif key not in ("description", "enum"):
            result[key] = clean(value)
    return result


def present_in(types: Mapping[str, Json]) -> dict[str, list[str]]:
    """Return the fields of each type that Go always writes, plain values left out."""
    result: dict[str, list[str]] = {}
    for name, schema in types.items():
        required = frozenset(map(str, _list(schema.get("required"))))
        result[name] = [
            field
            for field, part in _object(schema.get("properties")).items()
            if _has_parts(types, _object(part))
            and is_always_present(name, field, field in required)
        ]
    return {name: fields for name, fields in result.items() if fields}


def _has_parts(types: Mapping[str, Json], schema: Json) -> bool:
    """Whether values of a schema have fields, entries or items."""
    target = types.get(str(schema.get("$ref", "")).removeprefix(REF), schema)
    return any(word in target for word in ("properties", "additionalProperties", "items"))


def descriptions_of(definition: Json) -> tuple[str, dict[str, str]]:
    """Return the description of a type, and of each field that has one, each in one line."""
    fields = {
        field: _one_line(part)
        for field, part in sorted(_object(definition.get("properties")).items())
    }
    return _one_line(definition), {field: line for field, line in fields.items() if line}


def _one_line(schema: object) -> str:
    return " ".join(str(_object(schema).get("description", "")).split())


# -- protobuf --------------------------------------------------------------------------------------


def messages_of(types: Mapping[str, Json], protobuf: Protobuf) -> dict[str, list[Field]]:
    """Return the fields of each message that 1.34 knows.

    A field is (number, JSON name, type, mode). The type is a scalar or a component name. The mode
    is ``list``, ``map`` (of strings to the type), ``inline`` (the message has no name in JSON: its
    fields stand in the object around it), ``value`` (a zero says nothing, see `zero_values`) or
    ``""``. Fields of a later release are left out.
    """
    by_component = {component_of(message): message for message in protobuf}
    schemas = {name: types.get(name, {}) for name in filter(LISTS.search, by_component)}
    schemas |= types
    result: dict[str, list[Field]] = {}
    while schemas:
        name, schema = schemas.popitem()
        if name not in by_component:
            continue
        message = by_component[name]
        fields = (_field(name, schema, message, entry) for entry in protobuf[message])
        result[name] = sorted(field for field in fields if field is not None)
        # A message that is embedded has no type in JSON: its fields are those of its embedder.
        for _, _, type_, mode in result[name]:
            if mode == "inline" and type_ not in types and type_ not in result:
                schemas[type_] = schema
    return dict(sorted(result.items()))


def component_of(message: str) -> str:
    """Return the component name of a message.

    >>> component_of("k8s.io.kube_aggregator.pkg.apis.apiregistration.v1.APIService")
    'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService'
    """
    return "io.k8s." + message.removeprefix("k8s.io.").replace("_", "-")


def _field(name: str, schema: Json, message: str, entry: tuple[int, str, str, str]) -> Field | None:
    number, own_name, label, written = entry
    written = written.removeprefix("map<string,").removesuffix(">").lstrip(".")
    package = message.rpartition(".")[0]
    full = written if "." in written else f"{package}.{written}"
    type_ = written if written in SCALARS else component_of(full)
    properties = _object(schema.get("properties"))
    if not properties:  # a special type, which the decoder reads by hand
        return number, own_name, type_, {"repeated": "list", "map": "map"}.get(label, "")
    json_name = _json_name(own_name, properties)
    if json_name is None:
        is_inline = label == "optional" and type_ not in SCALARS and own_name in INLINE
        return (number, own_name, type_, "inline") if is_inline else None
    if label != "optional":
        return number, json_name, type_, {"repeated": "list", "map": "map"}[label]
    required = json_name in _list(schema.get("required"))
    if type_ in SCALARS and is_dropped(name, json_name, type_, required):
        return number, json_name, type_, "value"
    return number, json_name, type_, ""


# Go embeds these; where a type has a field of that name in JSON (RuntimeClass.handler), it is one.
INLINE = frozenset(
    (
        "deviceConfiguration",
        "ephemeralContainerCommon",
        "handler",
        "ingressRuleValue",
        "localObjectReference",
        "persistentVolumeSource",
        "rule",
        "ruleWithOperations",
        "volumeSource",
    )
)


def _json_name(own_name: str, properties: Json) -> str | None:
    """Return the property that a field is: by its name, or by its name but for case and marks."""
    if own_name in properties:
        return own_name
    plain_name = _plain(own_name)
    return next((name for name in properties if _plain(name) == plain_name), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


# -- JSON ------------------------------------------------------------------------------------------


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
