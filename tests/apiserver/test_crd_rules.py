"""CustomResourceDefinitions that Kubernetes 1.34 refuses, and their valid neighbours.

Sources: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go,
pkg/apiserver/schema/validation.go.
"""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.apiserver import KubeAPI
from kubesim.errors import Invalid

Objects = dict[str, Any]
STRING = {"type": "string"}


def definition(group: str = "example.com", **fields: Any) -> Objects:
    names = {"plural": "foos", "kind": "Foo", **fields.pop("names", {})}
    version = {"name": "v1", "served": True, "storage": True}
    schema = {"openAPIV3Schema": fields.pop("schema", {"type": "object"})}
    version |= {"schema": schema, **fields.pop("version", {})}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"foos.{group}", "annotations": fields.pop("annotations", {})},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced",
            "versions": [version],
            **fields,
        },
    }


def field(**schema: Any) -> Objects:
    """A definition whose objects have one field."""
    return definition(schema={"type": "object", "properties": {"a": schema}})


VERSION = "spec.versions[0]"
SCHEMA = f"{VERSION}.schema.openAPIV3Schema"
FIELD = f"{SCHEMA}.properties[a]"
LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
TYPES = "must be one of boolean,date,integer,number,string"
ONLY_NAMES = (
    "must not specify anything other than name and generateName, but metadata is implicitly "
    "specified"
)
SCALE = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}

REFUSED: list[tuple[str, str, Objects]] = [
    (
        "spec.names.listKind",
        'Invalid value: "Foo": kind and listKind may not be the same',
        definition(names={"listKind": "Foo"}),
    ),
    (
        "spec.names.kind",
        f'Invalid value: "Foo_": may have mixed case, but should otherwise match: {LABEL}',
        definition(names={"kind": "Foo_"}),
    ),
    (
        "spec.names.shortNames[0]",
        f'Invalid value: "F_": {LABEL}',
        definition(names={"shortNames": ["F_"]}),
    ),
    (f"{VERSION}.name", f'Invalid value: "V1": {LABEL}', definition(version={"name": "V1"})),
    (
        "spec.preserveUnknownFields",
        "Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true "
        "in spec.versions[*].schema instead",
        definition(preserveUnknownFields=True),
    ),
    (
        "spec.conversion.strategy",
        'Unsupported value: "x": supported values: "None", "Webhook"',
        definition(conversion={"strategy": "x"}),
    ),
    (
        "spec.conversion.webhookClientConfig",
        "Required value: required when strategy is set to Webhook",
        definition(conversion={"strategy": "Webhook"}),
    ),
    (
        "metadata.annotations[api-approved.kubernetes.io]",
        "Required value: protected groups must have approval annotation "
        '"api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
        definition("things.k8s.io"),
    ),
    (
        f"{VERSION}.additionalPrinterColumns[0].type",
        f'Invalid value: "x": {TYPES}',
        definition(
            version={"additionalPrinterColumns": [{"name": "A", "type": "x", "jsonPath": ".a"}]}
        ),
    ),
    (
        f"{VERSION}.subresources.scale.specReplicasPath",
        'Invalid value: ".n": should be a json path under .spec',
        definition(version={"subresources": {"scale": {**SCALE, "specReplicasPath": ".n"}}}),
    ),
    (f"{FIELD}.items", "Required value: must be specified", field(type="array")),
    (
        f"{FIELD}.default",
        f'Invalid value: "integer": {FIELD}.default in body must be of type string: "integer"',
        field(type="string", default=3),
    ),
    (
        f"{FIELD}.anyOf[0].type",
        "Forbidden: must be empty to be structural",
        field(type="string", anyOf=[{"type": "string", "pattern": "a"}]),
    ),
    (
        f"{FIELD}.additionalProperties",
        "Forbidden: additionalProperties and properties are mutual exclusive",
        field(type="object", properties={"b": STRING}, additionalProperties=STRING),
    ),
    (
        f"{FIELD}.additionalProperties",
        "Forbidden: additionalProperties and properties are mutual exclusive",
        field(type="object", properties={"b": STRING}, additionalProperties=False),
    ),
    (
        f"{FIELD}.uniqueItems",
        "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes "
        "quadratic",
        field(type="array", items=STRING, uniqueItems=True),
    ),
    (
        f"{FIELD}.x-kubernetes-list-map-keys",
        "Required value: must not be empty if x-kubernetes-list-type is map",
        field(
            type="array",
            items={"type": "object"},
            **{"x-kubernetes-list-type": "map"},
        ),
    ),
    (
        f"{SCHEMA}.properties[metadata]",
        f"Forbidden: {ONLY_NAMES}",
        definition(
            schema={
                "type": "object",
                "properties": {"metadata": {"type": "object", "properties": {"labels": STRING}}},
            }
        ),
    ),
]


@pytest.mark.parametrize(("path", "message", "document"), REFUSED)
def test_a_definition_that_breaks_a_rule_is_refused(
    api: KubeAPI, path: str, message: str, document: Objects
) -> None:
    """With the path and the text of the real server."""
    with pytest.raises(Invalid) as refused:
        api.create(document)
    found = [(cause.field, cause.message) for cause in refused.value.causes]
    assert (path, message) in found


@pytest.mark.parametrize(
    "document",
    [
        definition("things.k8s.io", annotations={"api-approved.kubernetes.io": "unapproved"}),
        definition(names={"shortNames": ["f"], "categories": ["all"]}),
        definition(version={"subresources": {"status": {}, "scale": SCALE}}),
        definition(
            conversion={
                "strategy": "Webhook",
                "webhook": {
                    "conversionReviewVersions": ["v1"],
                    "clientConfig": {"url": "https://a.b/c"},
                },
            }
        ),
        definition(
            version={
                "additionalPrinterColumns": [
                    {
                        "name": "Ready",
                        "type": "string",
                        "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
                    }
                ]
            }
        ),
        field(
            **{
                "x-kubernetes-int-or-string": True,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
            }
        ),
        field(type="string", anyOf=[{"pattern": "a"}, {"enum": ["b"]}], default="a"),
        field(type="object", properties={"b": {**STRING, "default": "c"}}, default={}),
        field(type="object", **{"x-kubernetes-preserve-unknown-fields": True}),
        field(
            type="array",
            items={"type": "object", "required": ["k"], "properties": {"k": STRING}},
            **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        ),
    ],
)
def test_valid_definitions_are_accepted(api: KubeAPI, document: Objects) -> None:
    """Nothing more than the rule is refused."""
    assert api.create(document)["metadata"]["uid"]


# -- structural schemas ----------------------------------------------------------------------------

EMBEDDED, OPEN = "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING, RULES = "x-kubernetes-int-or-string", "x-kubernetes-validations"
LIST, KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
KEYED = {"type": "object", "properties": {"k": STRING}}
IN_SET = "must be atomic as item of a list with x-kubernetes-list-type=set"
NO_WEBHOOK = "Forbidden: should not be set when strategy is not set to Webhook"


def of_root(**schema: Any) -> Objects:
    return definition(schema={"type": "object", **schema})


def with_rule(**rule: Any) -> Objects:
    return field(type="object", properties={"b": STRING}, **{RULES: [rule]})


def listed(kind: str, items: Objects, *keys: str) -> Objects:
    return field(type="array", items=items, **{LIST: kind}, **({KEYS: list(keys)} if keys else {}))


def selecting(*paths: str) -> Objects:
    spec = {"type": "object", "properties": {"a": STRING, "b": {"type": "number"}}}
    fields = [{"jsonPath": path} for path in paths]
    schema = {"type": "object", "properties": {"spec": spec}}
    return definition(schema=schema, version={"selectableFields": fields})


def converting(strategy: str, versions: list[str], **client: Any) -> Objects:
    webhook = {"conversionReviewVersions": versions, "clientConfig": client}
    return definition(conversion={"strategy": strategy, "webhook": webhook})


NOT_STRUCTURAL: list[tuple[str, str, Objects]] = [
    (
        f"{SCHEMA}.nullable",
        "Forbidden: nullable cannot be true at the root",
        of_root(nullable=True),
    ),
    (
        f"{SCHEMA}.additionalProperties",
        "Forbidden: must not be used at the root",
        of_root(additionalProperties=STRING),
    ),
    (f"{SCHEMA}.type", "Required value: must not be empty at the root", definition(schema={})),
    (
        f"{FIELD}.items.type",
        "Required value: must not be empty for specified array items",
        field(type="array", items={}),
    ),
    (f"{FIELD}.type", "Required value: must not be empty for specified object fields", field()),
    (
        f"{FIELD}.type",
        f'Invalid value: "string": must be object if {EMBEDDED} is true',
        field(type="string", **{EMBEDDED: True}),
    ),
    (
        f"{FIELD}.properties",
        f"Required value: must not be empty if {EMBEDDED} is true without {OPEN}",
        field(type="object", **{EMBEDDED: True}),
    ),
    (
        f"{FIELD}.{OPEN}",
        f"Invalid value: true: must be false if {INT_OR_STRING} is true",
        field(**{INT_OR_STRING: True, OPEN: True}),
    ),
    (
        f"{FIELD}.{OPEN}",
        "Invalid value: false: must be true or undefined",
        field(type="object", **{OPEN: False}),
    ),
    (
        f"{FIELD}.type",
        'Invalid value: "array": must be object if x-kubernetes-map-type is specified',
        field(type="array", items=STRING, **{"x-kubernetes-map-type": "atomic"}),
    ),
    (
        f"{FIELD}.items.x-kubernetes-map-type",
        f"Invalid value: null: {IN_SET}",
        listed("set", KEYED),
    ),
    (
        f"{FIELD}.{KEYS}",
        'Invalid value: ["x"]: entries must all be names of item properties',
        listed("map", KEYED, "x"),
    ),
    (
        f"{FIELD}.items.properties[k].default",
        f"Required value: this property is in {KEYS}, so it must have a default or be a required "
        "property",
        listed("map", KEYED, "k"),
    ),
    (
        f"{FIELD}.items.nullable",
        "Forbidden: cannot be nullable when x-kubernetes-list-type is map",
        listed("map", {**KEYED, "required": ["k"], "nullable": True}, "k"),
    ),
    (
        f"{FIELD}.type",
        "Forbidden: type cannot be set to null, use nullable as an alternative",
        field(type="null"),
    ),
    (
        f"{SCHEMA}.properties[metadata].properties[name].default",
        "Forbidden: must not be set in top-level metadata",
        of_root(
            properties={
                "metadata": {"type": "object", "properties": {"name": {**STRING, "default": "a"}}}
            }
        ),
    ),
    (
        f"{SCHEMA}.properties[apiVersion].type",
        'Invalid value: "integer": must be string',
        of_root(properties={"apiVersion": {"type": "integer"}}),
    ),
    (
        f"{FIELD}.default",
        'Invalid value: {"c":1}: must not have unknown fields',
        field(type="object", properties={"b": STRING}, default={"c": 1}),
    ),
    (
        f"{SCHEMA}.properties[b]",
        f"Required value: because it is defined in {SCHEMA}.anyOf[0].properties[b]",
        of_root(anyOf=[{"properties": {"b": {"minLength": 1}}}]),
    ),
    (
        f"{SCHEMA}.anyOf[0].properties[metadata]",
        "Forbidden: must not be specified in a nested context",
        of_root(anyOf=[{"properties": {"metadata": {}}}]),
    ),
    (
        f"{FIELD}.anyOf[0].type",
        "Forbidden: must be empty to be structural",
        field(**{INT_OR_STRING: True}, anyOf=[{"type": "integer"}]),
    ),
    (
        f"{FIELD}.items",
        "Forbidden: items must be a schema object and not an array",
        field(type="array", items=[STRING]),
    ),
    (
        f"{VERSION}.deprecationWarning",
        'Invalid value: "x": can only be set for deprecated versions',
        definition(version={"deprecationWarning": "x"}),
    ),
    ("spec.conversion.webhookClientConfig", NO_WEBHOOK, converting("None", [], url="https://a.b")),
    (
        "spec.conversion.webhookClientConfig",
        "Required value: exactly one of url or service is required",
        converting("Webhook", ["v1"]),
    ),
    (
        "spec.conversion.conversionReviewVersions",
        'Invalid value: ["v2"]: must include at least one of v1, v1beta1',
        converting("Webhook", ["v2"], url="https://a.b"),
    ),
    (
        f"{VERSION}.selectableFields[1].jsonPath",
        'Duplicate value: ".spec.a"',
        selecting(".spec.a", ".spec.a"),
    ),
    (
        f"{VERSION}.selectableFields[0].jsonPath",
        'Invalid value: ".spec.c": is an invalid path: does not refer to a valid field',
        selecting(".spec.c"),
    ),
    (
        f"{VERSION}.selectableFields[0].jsonPath",
        'Invalid value: ".spec.b": must point to a field of type string, boolean or integer. Enum '
        "string fields and strings with formats are allowed.",
        selecting(".spec.b"),
    ),
    (f"{FIELD}.{RULES}[0].rule", "Required value: rule is not specified", with_rule(rule=" ")),
    (
        f"{FIELD}.{RULES}[0].message",
        'Invalid value: "a\\nb": message must not contain line breaks',
        with_rule(rule="true", message="a\nb"),
    ),
    (
        f"{FIELD}.{RULES}[0].message",
        "Required value: message must be specified if rule contains line breaks",
        with_rule(rule="true &&\ntrue"),
    ),
    (
        f"{FIELD}.{RULES}[0].reason",
        'Unsupported value: "Bad": supported values: "FieldValueDuplicate", '
        '"FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
        with_rule(rule="true", reason="Bad"),
    ),
    (
        f"{FIELD}.{RULES}[0].fieldPath",
        'Invalid value: ".c": fieldPath must be a valid path',
        with_rule(rule="true", fieldPath=".c"),
    ),
]


@pytest.mark.parametrize(("path", "message", "document"), NOT_STRUCTURAL)
def test_a_schema_that_breaks_a_rule_is_refused(
    api: KubeAPI, path: str, message: str, document: Objects
) -> None:
    """Structure, list types and their keys, defaults, versions, and what stands beside a rule."""
    with pytest.raises(Invalid) as refused:
        api.create(document)
    assert (path, message) in [(cause.field, cause.message) for cause in refused.value.causes]


def test_the_root_says_nothing_that_a_status_would_lose(api: KubeAPI) -> None:
    """Beside a status subresource the root of a schema has no junctors."""
    status: Objects = {"subresources": {"status": {}}}
    api.create(
        definition(schema={"type": "object", "description": "d", OPEN: True}, version=status)
    )
    with pytest.raises(Invalid, match=r"only \[Description Type .* XValidations\] fields are"):
        api.create(
            definition("b.io", schema={"type": "object", "anyOf": [{}]}, version=status),
        )


@pytest.mark.parametrize(
    "document",
    [
        of_root(anyOf=[{"required": ["b"]}]),
        field(type="object", properties={"b": STRING}, anyOf=[{"properties": {"c": {}}}]),
        field(**{INT_OR_STRING: True}, allOf=[{"anyOf": [{"type": "integer"}, STRING]}]),
        field(type="object", additionalProperties=True),
        field(type="object", **{EMBEDDED: True, OPEN: True}),
        field(**{OPEN: True}),
        listed("set", {"type": "object", "x-kubernetes-map-type": "atomic"}),
        listed("map", {**KEYED, "required": ["k"]}, "k"),
        selecting(".spec.a"),
        with_rule(rule="self.b == 'x'", fieldPath=".b", reason="FieldValueRequired"),
        definition(version={"deprecated": True, "deprecationWarning": "use v2"}),
    ],
)
def test_structural_neighbours_are_accepted(api: KubeAPI, document: Objects) -> None:
    """What differs in one detail from a refused schema is valid."""
    assert api.create(document)["metadata"]["uid"]


def test_rules_in_cel_are_kept_with_a_warning(api: KubeAPI) -> None:
    """The author of a definition learns that its rules are not evaluated."""
    warnings: list[str] = []
    created = api.create(with_rule(rule="self.b == 'x'"), warnings=warnings)
    assert warnings == [
        f"kubesim keeps the rules in CEL but does not evaluate them: {FIELD}.{RULES}"
    ]
    schema = created["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["a"][RULES] == [{"rule": "self.b == 'x'"}]
    warnings.clear()
    api.update(created, warnings=warnings)
    assert warnings == []


def test_a_version_of_stored_objects_stays(api: KubeAPI) -> None:
    """A version that was once the storage version may not leave spec.versions."""
    created = api.create(definition())
    created["spec"]["versions"][0]["name"] = "v2"
    with pytest.raises(Invalid, match="v1 was previously a storage version, and must remain"):
        api.update(created)


def test_a_required_field_need_not_be_specified(api: KubeAPI) -> None:
    """A schema may require a field that it does not have; no object can fulfil it."""
    api.create(of_root(properties={"spec": {**KEYED, "required": ["k", "other"]}}))
    foo = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "a"}}
    with pytest.raises(Invalid, match=r"spec.other: Required value"):
        api.create({**foo, "spec": {"k": "v", "other": 1}})
