"""OpenAPI schemas of the kinds: for validation, for strict decoding, for `kubectl explain`.

Built-in kinds get theirs from the API types of Kubernetes 1.34 (`typetexts`); custom kinds bring
their own. A schema refers to its parts by ``$ref``; `components` returns all that a kind reaches.
Without the package `lightkube-models` the built-in kinds have no schema, and nothing here raises.

Source: k8s.io/kube-openapi; the patch and list extensions are tags of the API types.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from kubesim.apiserver.patch.patching import MERGE_KEYS, PRIMITIVE_SETS
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.upstream_types import TypeText, aliases_of, types_of
from kubesim.objects.wellknown import METRICS_GROUP

Schema = dict[str, Any]
REF = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
OBJECT_META = {"$ref": f"{REF}{META}ObjectMeta"}

# Groups whose types stand in a package of another name than io.k8s.api.GROUP.VERSION.
PREFIXES = {
    "meta_v1": META,
    "resource": "io.k8s.apimachinery.pkg.api.resource.",
    "util_intstr": "io.k8s.apimachinery.pkg.util.intstr.",
    "runtime": "io.k8s.apimachinery.pkg.runtime.",
    "apiextensions_v1": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
}
# What the source calls a plain dict: the values are texts, but for these fields.
# fmt: off
QUANTITIES = frozenset((
    "allocatable", "allocatedResources", "capacity", "default", "defaultRequest", "hard",
    "limits", "max", "maxLimitRequestRatio", "min", "overhead", "podFixed", "requests", "usage",
    "used",
))
# fmt: on
# fmt: off
ANYTHING = frozenset((
    "definitions", "dependencies", "patternProperties", "properties",
))
# fmt: on
# fmt: off
INT64 = frozenset((
    "activeDeadlineSeconds", "deletionGracePeriodSeconds", "expirationSeconds", "fsGroup",
    "generation", "observedGeneration", "remainingItemCount", "revision", "runAsGroup",
    "runAsUser", "sizeBytes", "supplementalGroups", "terminationGracePeriodSeconds",
    "tolerationSeconds",
))
# fmt: on
ATOMS: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer", "format": "int32"},
    "bool": {"type": "boolean"},
    "float": {"type": "number", "format": "double"},
    "datetime": {"type": "string", "format": "date-time"},
    "Dict": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "Any": {"x-kubernetes-preserve-unknown-fields": True},
    "Union[int, str]": {"x-kubernetes-int-or-string": True},
}
QUANTITY: Schema = {"type": "string", "x-kubernetes-quantity": True}
# Server-side apply tells the items of these lists apart by more than one field.
LIST_KEYS = {
    ("Container", "ports"): ("containerPort", "protocol"),
    ("EphemeralContainer", "ports"): ("containerPort", "protocol"),
    ("ServiceSpec", "ports"): ("port", "protocol"),
    ("PodSpec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
}
# Objects that are replaced as a whole: what they say makes sense only together.
# fmt: off
ATOMIC_TYPES = frozenset((
    "ConfigMapKeySelector", "LabelSelector", "LocalObjectReference", "NodeSelector",
    "NodeSelectorTerm", "ObjectFieldSelector", "ObjectReference", "OwnerReference",
    "ResourceFieldSelector", "ScopeSelector", "SecretKeySelector", "SecretReference",
    "TypedLocalObjectReference",
))
# fmt: on
ATOMIC_MAPS = {("PodSpec", "nodeSelector"), ("ServiceSpec", "selector")}
# Fields that share their name with a merged list, in types where the list is replaced as a whole.
NOT_MERGED = {("EndpointSlice", "ports"), ("LoadBalancerIngress", "ports")}
_LIST = re.compile(r"List\[(.*)\]")
_OPTIONAL = re.compile(r"Optional\[(.*)\]")


def schema_of(kind: Kind) -> Schema | None:
    """The schema of a kind, its parts by reference; None if there is none."""
    if kind.schema is not None:
        return kind.schema
    return component(component_name(kind))


def component_name(kind: Kind) -> str:
    """How OpenAPI calls a kind: ``io.k8s.api.apps.v1.Deployment``, ``com.example.v1.Tab``."""
    if kind.schema is not None:
        return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])
    if kind.group == METRICS_GROUP:
        return f"io.k8s.metrics.pkg.apis.metrics.{kind.version}.{kind.kind}"
    module = f"{kind.group.partition('.')[0] or 'core'}_{kind.version}"
    return _name_in(module, kind.kind)


def components(kind: Kind) -> dict[str, Schema]:
    """All schemas that a kind reaches, its own first, by component name; {} if it has none."""
    own = schema_of(kind)
    if own is None:
        return {}
    found: dict[str, Schema] = {}
    waiting = [(component_name(kind), own)]
    while waiting:
        name, schema = waiting.pop()
        if name not in found:
            found[name] = schema
            for other in sorted(_references(schema), reverse=True):
                made = component(other)
                if made is not None:
                    waiting.append((other, made))
    top = component_name(kind)
    described = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    found[top] = {**found[top], "x-kubernetes-group-version-kind": [described]}
    return found


@lru_cache(maxsize=2048)
def component(name: str) -> Schema | None:
    """One schema by its component name; None if it is not known."""
    if name in OWN:
        return OWN[name]
    prefix, _, type_name = name.rpartition(".")
    for module, known in PREFIXES.items():
        if f"{prefix}." == known:
            return _build(module, type_name)
    found = re.fullmatch(r"io\.k8s\.api\.(\w+)\.(\w+)", prefix)
    return _build(f"{found.group(1)}_{found.group(2)}", type_name) if found else None


def resolve(schema: Schema) -> Schema:
    """The schema that a reference means; any other as it is."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    return component(str(reference).removeprefix(REF)) or {}


def type_name_of(schema: Schema) -> str:
    """The short name of what a reference means: ``PodSpec``; "" if it is none."""
    return str(schema.get("$ref", "")).rpartition(".")[2]


# -- inside ----------------------------------------------------------------------------------------


def _name_in(module: str, type_name: str) -> str:
    if module in PREFIXES:
        return PREFIXES[module] + type_name
    group, _, version = module.rpartition("_")
    return f"io.k8s.api.{group}.{version}.{type_name}"


def _build(module: str, type_name: str) -> Schema | None:
    found = types_of(module).get(type_name)
    if found is None:
        alias = aliases_of(module).get(type_name)
        if type_name == "Quantity" and alias is not None:
            return QUANTITY
        return ATOMS.get(alias) if alias is not None else None
    about, said = found.described()
    schema: Schema = {"type": "object", "description": about}
    properties = {}
    for field, (written, _) in found.fields.items():
        part = _field_schema(module, type_name, field, written)
        properties[field] = {**part, "description": said[field]} if said.get(field) else part
    schema["properties"] = properties
    if type_name in ATOMIC_TYPES:
        schema["x-kubernetes-map-type"] = "atomic"
    if required := _required(found):
        schema["required"] = required
    return schema


def _required(found: TypeText) -> list[str]:
    return [field for field, (_, required) in found.fields.items() if required]


def _field_schema(module: str, type_name: str, field: str, written: str) -> Schema:
    schema = _schema_of_type(module, field, written)
    if (type_name, field) in ATOMIC_MAPS:
        schema["x-kubernetes-map-type"] = "atomic"
    if schema.get("type") != "array" or (type_name, field) in NOT_MERGED:
        return schema
    if field in PRIMITIVE_SETS:
        schema |= {"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}
    elif field in MERGE_KEYS and "$ref" in schema["items"]:
        parts = types_of(module).get(type_name_of(schema["items"]))
        known = parts.fields if parts is not None else {}
        key = next((key for key in MERGE_KEYS[field] if not known or key in known), None)
        if key is not None:
            schema |= {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": list(LIST_KEYS.get((type_name, field), (key,))),
                "x-kubernetes-patch-merge-key": key,
                "x-kubernetes-patch-strategy": "merge",
            }
    return schema


def _schema_of_type(module: str, field: str, written: str) -> Schema:
    if inside := _OPTIONAL.fullmatch(written):
        written = inside.group(1)
    if inside := _LIST.fullmatch(written):
        return {"type": "array", "items": _schema_of_type(module, field, inside.group(1))}
    if written == "dict":
        return _map_of(field)
    if written == "int" and field in INT64:
        return {"type": "integer", "format": "int64"}
    if written in ATOMS:
        return dict(ATOMS[written])
    home, dot, name = written.rpartition(".")
    return {"$ref": REF + _name_in(home if dot else module, name)}


def _map_of(field: str) -> Schema:
    if field in ANYTHING:
        values: Schema = {"x-kubernetes-preserve-unknown-fields": True}
    elif field in QUANTITIES:
        values = {"$ref": f"{REF}io.k8s.apimachinery.pkg.api.resource.Quantity"}
    elif field == "extra":
        values = {"type": "array", "items": {"type": "string"}}
    else:
        values = {"type": "string"}
    return {"type": "object", "additionalProperties": values}


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].removeprefix(REF)} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*(_references(part) for part in schema.values()))


def _metrics_schemas() -> dict[str, Schema]:
    """The types of metrics.k8s.io, which stand in no package that we read."""
    usage = _map_of("usage")
    time = {"type": "string", "format": "date-time"}
    container: Schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    container["properties"]["usage"] = usage
    shared = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": OBJECT_META,
        "timestamp": time,
        "window": {"type": "string"},
    }
    prefix = "io.k8s.metrics.pkg.apis.metrics.v1beta1."
    containers = {"type": "array", "items": {"$ref": f"{REF}{prefix}ContainerMetrics"}}
    return {
        f"{prefix}ContainerMetrics": container,
        f"{prefix}PodMetrics": {
            "type": "object",
            "description": "PodMetrics is the measured use of a pod's containers.",
            "properties": {**shared, "containers": containers},
        },
        f"{prefix}NodeMetrics": {
            "type": "object",
            "description": "NodeMetrics is the measured use of a node.",
            "properties": {**shared, "usage": usage},
        },
    }


OWN = _metrics_schemas()
