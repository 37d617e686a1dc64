"""Every field of every message: what an encoder writes from upstream's table is read back whole.

The encoder and the documents are made from the field numbers as upstream publishes them
(`tools/protobuf-fields.json.gz`), and not from the data that the decoder reads.
"""

from __future__ import annotations

import gzip
import json
import struct
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_kube_protobuf import text, varint, whole

from kubesim.apiserver.schema import data
from kubesim.rest.serializer import protobuf
from tools.update_kubernetes import FIELDS

RAW: dict[str, Any] = json.loads(gzip.decompress(FIELDS.read_bytes()))
MESSAGES = {
    "io.k8s." + name.removeprefix("k8s.io.").replace("_", "-"): name
    for name in RAW
    if "io.k8s." + name.removeprefix("k8s.io.").replace("_", "-") in data.messages()
}
INLINE = {
    "deviceConfiguration",
    "ephemeralContainerCommon",
    "handler",
    "ingressRuleValue",
    "localObjectReference",
    "persistentVolumeSource",
    "rule",
    "ruleWithOperations",
    "volumeSource",
}
NAMES = {
    "Webhooks": "webhooks",
    "Expression": "expression",
    "Name": "name",
    "aPIGroup": "apiGroup",
    "uID": "uid",
    "xKubernetesPreserveUnknownFields": "x-kubernetes-preserve-unknown-fields",
    "xKubernetesEmbeddedResource": "x-kubernetes-embedded-resource",
    "xKubernetesIntOrString": "x-kubernetes-int-or-string",
    "xKubernetesListMapKeys": "x-kubernetes-list-map-keys",
    "xKubernetesListType": "x-kubernetes-list-type",
    "xKubernetesMapType": "x-kubernetes-map-type",
    "xKubernetesValidations": "x-kubernetes-validations",
}
SCALARS = ("string", "bytes", "bool", "int32", "int64", "double")
JSON = ("RawExtension", "FieldsV1", "JSON")


def parts_of(message: str) -> list[tuple[int, str, str, str]]:
    """(number, JSON name, label, type) of each field of a message; "" names an embedded one."""
    found = []
    for number, own, label, written in RAW[message]:
        kind = written.removeprefix("map<string,").removesuffix(">").lstrip(".")
        if kind not in SCALARS and "." not in kind:
            kind = f"{message.rpartition('.')[0]}.{kind}"
        name = NAMES.get(own, own)
        if message.endswith("JSONSchemaProps") and own in ("ref", "schema"):
            name = f"${own}"
        if own in INLINE and kind not in SCALARS:
            name = ""
        found.append((number, name, label, kind))
    return found


def known(component: str) -> set[str]:
    """The fields that a type has in 1.34; those of an embedded message stand in its embedder."""
    return {name for _, name, _, mode in data.messages()[component] if mode != "inline"}


def component(message: str) -> str:
    return "io.k8s." + message.removeprefix("k8s.io.").replace("_", "-")


# -- documents -------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
ANY_JSON = st.dictionaries(WORDS, st.integers() | WORDS | st.booleans(), min_size=1, max_size=2)
INT32 = st.integers(-(2**31), 2**31 - 1).filter(bool)
SECONDS = st.integers(0, 4_000_000_000)
SCALAR_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": WORDS,
    "bytes": st.binary(min_size=1, max_size=5).map(lambda raw: b64encode(raw).decode()),
    "bool": st.just(True),
    "int32": INT32,
    "int64": st.integers(-(2**63), 2**63 - 1).filter(bool),
    "double": st.floats(allow_nan=False, allow_infinity=False).filter(bool),
}


def timestamp(seconds: int, precision: str) -> str:
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def value_of(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """Values of one field of a scalar or message type."""
    if kind in SCALARS:
        return SCALAR_VALUES[kind]
    short = kind.rpartition(".")[2]
    if short == "Quantity":
        return WORDS
    if short == "IntOrString":
        return WORDS | INT32
    if short in ("Time", "MicroTime"):
        precision = "seconds" if short == "Time" else "microseconds"
        return SECONDS.map(lambda seconds: timestamp(seconds, precision))
    if short in JSON:
        return ANY_JSON
    if short == "ExtraValue":
        return st.lists(WORDS, min_size=1, max_size=2)
    if short.startswith("JSONSchemaPropsOr"):
        other: dict[str, st.SearchStrategy[Any]] = {
            "JSONSchemaPropsOrBool": st.booleans(),
            "JSONSchemaPropsOrStringArray": st.lists(WORDS, min_size=1, max_size=2),
            "JSONSchemaPropsOrArray": st.just([{"type": "string"}, {}]),
        }
        return other[short] | st.just({"type": "integer"})
    return documents(kind, depth - 1)


@st.composite
def documents(draw: st.DrawFn, message: str, depth: int) -> dict[str, Any]:
    """Documents of a message: some of its fields, and nothing that JSON leaves out."""
    made: dict[str, Any] = {}
    if depth == 0:
        return made
    for _, name, label, kind in parts_of(message):
        if not draw(st.booleans()) or (name and name not in known(component(message))):
            continue
        if not name:
            made |= draw(documents(kind, depth))
        elif label == "repeated":
            made[name] = draw(st.lists(value_of(kind, depth), min_size=1, max_size=2))
        elif label == "map":
            made[name] = draw(st.dictionaries(WORDS, value_of(kind, depth), min_size=1, max_size=2))
        else:
            made[name] = draw(value_of(kind, depth))
    return made


def full(message: str, depth: int) -> dict[str, Any]:
    """A document with every field of a message, down to a depth."""
    made: dict[str, Any] = {}
    for _, name, label, kind in parts_of(message) if depth else ():
        if name and name not in known(component(message)):
            continue
        if not name:
            made |= full(kind, depth)
            continue
        value = sample(kind, depth)
        made[name] = {"optional": value, "repeated": [value, value], "map": {"k": value}}[label]
    return made


def sample(kind: str, depth: int) -> Any:
    """One value of a field."""
    short = kind.rpartition(".")[2]
    fixed: dict[str, Any] = {
        "string": "s",
        "bytes": "/w==",
        "bool": True,
        "int32": -3,
        "int64": 2**40,
        "double": 0.5,
        "Quantity": "500m",
        "IntOrString": "web",
        "Time": "2025-01-01T00:00:00Z",
        "MicroTime": "2025-01-01T00:00:00.000000Z",
        "ExtraValue": ["a"],
        "JSONSchemaPropsOrBool": True,
        "JSONSchemaPropsOrStringArray": ["a"],
        "JSONSchemaPropsOrArray": [{"type": "string"}],
        **{name: {"a": 1} for name in JSON},
    }
    return fixed[short] if short in fixed else full(kind, depth - 1)


# -- the encoder -----------------------------------------------------------------------------------


def encode(message: str, document: dict[str, Any]) -> bytes:
    """The message of a document, without an envelope."""
    found = b""
    for number, name, label, kind in parts_of(message):
        if not name:
            if part := encode(kind, document):
                found += text(number, part)
        elif name in document and name in known(component(message)):
            value = document[name]
            if label == "map":
                for key, item in value.items():
                    found += text(number, text(1, key) + encode_value(2, kind, item))
            else:
                for item in value if label == "repeated" else [value]:
                    found += encode_value(number, kind, item)
    return found


def encode_value(number: int, kind: str, value: Any) -> bytes:
    """One field."""
    short = kind.rpartition(".")[2]
    if kind == "string":
        return text(number, value)
    if kind == "bytes":
        return text(number, b64decode(value))
    if kind in ("bool", "int32", "int64"):
        return whole(number, int(value))
    if kind == "double":
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return text(number, encode_special(short, kind, value))


def encode_special(short: str, kind: str, value: Any) -> bytes:
    """One message, of a special type or any other."""
    schema = f"{kind.rpartition('.')[0]}.JSONSchemaProps"
    if short == "Quantity":
        return text(1, value)
    if short == "IntOrString":
        number = isinstance(value, int)
        return (
            whole(1, not number)
            + whole(2, value if number else 0)
            + text(3, "" if number else value)
        )
    if short in ("Time", "MicroTime"):
        return whole(1, int(datetime.fromisoformat(value).timestamp())) + whole(2, 0)
    if short in JSON:
        return text(1, json.dumps(value))
    if short == "ExtraValue":
        return b"".join(text(1, item) for item in value)
    if short.startswith("JSONSchemaPropsOr"):
        inner = 2 if short.endswith("Bool") else 1
        if isinstance(value, dict):
            return text(inner, encode(schema, value))
        if isinstance(value, bool):
            return whole(1, value)
        return b"".join(
            text(2, item if isinstance(item, str) else encode(schema, item)) for item in value
        )
    return encode(kind, value)


# -- tests -----------------------------------------------------------------------------------------


def test_every_field_of_every_message_is_read_back() -> None:
    """The whole table: a document with all fields of a type comes back as it was."""
    special = {name for name in MESSAGES if name in protobuf._SPECIAL}
    for name, message in MESSAGES.items():
        if name not in special:
            document = full(message, 3)
            assert protobuf.message(name, encode(message, document), 50) == document, name
    assert len(MESSAGES) == len(data.messages()) > 700


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data(), st.sampled_from(sorted(set(MESSAGES) - set(protobuf._SPECIAL))))
def test_any_message_is_read_back(drawn: st.DataObject, name: str) -> None:
    """Some fields of a type, with any values: nothing is lost and nothing is added."""
    document = drawn.draw(documents(MESSAGES[name], 3))
    assert protobuf.message(name, encode(MESSAGES[name], document), 50) == document


def test_every_field_of_1_34_has_its_number() -> None:
    """No property of a type is without a field, but for kind and version of whole objects."""
    objects = {*data.kinds().values()}
    removed = {"io.k8s.api.resource.v1alpha3.DeviceTaintSelector"}  # its numbers were given up

    def reached(name: str) -> set[str]:
        found: set[str] = set()
        for _, field, kind, mode in data.messages()[name]:
            found |= reached(kind) if mode == "inline" else {field}
        return found

    for name in MESSAGES:
        properties = set((data.types().get(name) or {}).get("properties") or {})
        allowed = {"apiVersion", "kind"} if name in objects or name.endswith("List") else set()
        if name not in removed:
            assert properties - reached(name) <= allowed, name
