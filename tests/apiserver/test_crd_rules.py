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
        "Forbidden: additionalProperties cannot be set to false",
        field(type="object", additionalProperties=False),
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
