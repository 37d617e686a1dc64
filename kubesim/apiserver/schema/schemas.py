"""OpenAPI schemas of the kinds: for validation, for strict decoding, for `kubectl explain`.

Built-in kinds get theirs from the API types of Kubernetes 1.34 (`data`); custom kinds bring their
own. A schema refers to its parts by ``$ref``; `components` returns all that a kind reaches.

`schema_of` and `component` describe each field, as OpenAPI does; `structure_of` and `structure`
are the same without the descriptions, for checks, merges and field ownership.

Source: k8s.io/kube-openapi; the patch and list extensions are tags of the API types.
"""

from __future__ import annotations

from functools import lru_cache

from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema import data
from kubesim.apiserver.schema.data import Schema
from kubesim.objects.wellknown import METRICS_GROUP

REF = "#/components/schemas/"
METRICS = "io.k8s.metrics.pkg.apis.metrics.v1beta1."
OBJECT_META: Schema = {"$ref": f"{REF}{data.META}ObjectMeta"}


def schema_of(kind: Kind) -> Schema | None:
    """Return the schema of a kind, its parts by reference, or None."""
    return kind.schema if kind.schema is not None else component(component_name(kind))


def structure_of(kind: Kind) -> Schema | None:
    """Return the schema of a kind without descriptions, or None."""
    return kind.schema if kind.schema is not None else structure(component_name(kind))


def component_name(kind: Kind) -> str:
    """Return OpenAPI's name of a kind, for example ``io.k8s.api.apps.v1.Deployment``."""
    if kind.schema is None:
        name = component_of(kind.api_version, kind.kind)
        if name is not None:
            return name
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def component_of(api_version: str, kind: str) -> str | None:
    """Return the component name of a built-in kind; None if there is no such kind."""
    if api_version == f"{METRICS_GROUP}/v1beta1" and METRICS + kind in OWN:
        return METRICS + kind
    return data.kinds().get(f"{api_version} {kind}")


def components(kind: Kind) -> dict[str, Schema]:
    """Return all schemas that a kind reaches, its own first, by component name; {} without one."""
    own = schema_of(kind)
    if own is None:
        return {}
    top = component_name(kind)
    result = reached_from(top, own)
    described = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    result[top] = {**result[top], "x-kubernetes-group-version-kind": [described]}
    return result


def reached_from(name: str, schema: Schema) -> dict[str, Schema]:
    """Return a schema and all that it reaches, by component name; itself first."""
    result: dict[str, Schema] = {}
    waiting = [(name, schema)]
    while waiting:
        name, schema = waiting.pop()
        if name not in result:
            result[name] = schema
            for other in sorted(references(schema), reverse=True):
                part = component(other)
                if part is not None:
                    waiting.append((other, part))
    return result


@lru_cache(maxsize=2048)
def component(name: str) -> Schema | None:
    """Return one schema by its component name, described; None if it is not known."""
    schema = structure(name)
    if schema is None or name in OWN:
        return schema
    about, fields = data.descriptions()[name]
    properties = {
        field: {**part, "description": fields[field]} if field in fields else part
        for field, part in (schema.get("properties") or {}).items()
    }
    described = {**schema, "description": about} if about else schema
    return {**described, "properties": properties} if properties else described


def structure(name: str) -> Schema | None:
    """Return one schema by its component name, without descriptions; None if it is not known."""
    return OWN[name] if name in OWN else data.types().get(name)


def resolve(schema: Schema) -> Schema:
    """Return the schema that a reference means, without descriptions; any other as it is."""
    reference = schema.get("$ref")
    return schema if reference is None else REFERENCES[reference]


class _References(dict[str, Schema]):
    """The schemas by reference, without descriptions; {} for an unknown one."""

    def __missing__(self, reference: str) -> Schema:
        schema = self[reference] = structure(reference.removeprefix(REF)) or {}
        return schema


REFERENCES = _References()


def type_name_of(schema: Schema) -> str:
    """Return the short name of a reference's type: ``PodSpec``; "" if it is not a reference."""
    return str(schema.get("$ref", "")).rpartition(".")[2]


def references(schema: object, prefix: str = REF) -> set[str]:
    """Return the names of all components to which a schema refers, at any depth.

    Args:
        schema: a schema, or a list or mapping of schemas.
        prefix: of a reference.
    """
    if isinstance(schema, list):
        return set().union(*(references(part, prefix) for part in schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].removeprefix(prefix)} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*(references(part, prefix) for part in schema.values()))


def _metrics_schemas() -> dict[str, Schema]:
    """Return the types of metrics.k8s.io, which is an API separate from Kubernetes'."""
    quantity = {"$ref": f"{REF}io.k8s.apimachinery.pkg.api.resource.Quantity"}
    usage = {"type": "object", "additionalProperties": quantity}
    time = {"type": "string", "format": "date-time"}
    container: Schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "usage": usage},
    }
    shared = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": OBJECT_META,
        "timestamp": time,
        "window": {"type": "string"},
    }
    containers = {"type": "array", "items": {"$ref": f"{REF}{METRICS}ContainerMetrics"}}
    return {
        f"{METRICS}ContainerMetrics": container,
        f"{METRICS}PodMetrics": {
            "type": "object",
            "description": "PodMetrics is the measured use of a pod's containers.",
            "properties": {**shared, "containers": containers},
        },
        f"{METRICS}NodeMetrics": {
            "type": "object",
            "description": "NodeMetrics is the measured use of a node.",
            "properties": {**shared, "usage": usage},
        },
    }


OWN = _metrics_schemas()
