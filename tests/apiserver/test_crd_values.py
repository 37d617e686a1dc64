"""Values of custom kinds against each keyword of a schema, in the words of kube-openapi.

Sources: k8s.io/kube-openapi/pkg/validation/{errors,validate,strfmt},
k8s.io/apiextensions-apiserver/pkg/apiserver/validation/{validation,formats}.go.
"""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.apiserver.schema.custom import check
from kubesim.apiserver.stringformats import is_well_formed
from kubesim.apiserver.validation import FieldErrors

Schema = dict[str, Any]
A, B = {"required": ["a"]}, {"required": ["b"]}
NONE, TYPE, INVALID = "<nil>", "FieldValueTypeInvalid", "FieldValueInvalid"
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True}


def causes(schema: Schema, value: object) -> list[tuple[str, str, str]]:
    errors = FieldErrors()
    check(schema, value, "spec.x", errors)
    return [(cause.field, cause.reason, cause.message) for cause in errors.causes]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (
            {"type": "string", "format": "date"},
            "x",
            [("spec.x", TYPE, 'Invalid value: "x": spec.x in body must be of type date: "x"')],
        ),
        ({"type": "integer", "format": "date"}, 5, []),
        (
            {"type": "integer"},
            2**63,
            [
                (
                    "spec.x",
                    TYPE,
                    'Invalid value: "number": spec.x in body must be of type integer: "number"',
                )
            ],
        ),
        (  # the first broken rule of a string alone
            {"type": "string", "maxLength": 2, "pattern": "^b"},
            "aaa",
            [("spec.x", "FieldValueTooLong", "Too long: may not be more than 2 bytes")],
        ),
        ({"type": "string", "maxLength": 2, "minLength": 2}, "éé", []),
        (
            {"type": "object", "oneOf": [A, B]},
            {"a": 1, "b": 2},
            [
                (
                    NONE,
                    INVALID,
                    'Invalid value: "": "spec.x" must validate one and only one schema (oneOf). '
                    "Found 2 valid alternatives",
                )
            ],
        ),
        (
            {"type": "object", "oneOf": [A, B]},
            {},
            [
                (
                    NONE,
                    INVALID,
                    'Invalid value: "": "spec.x" must validate one and only one schema (oneOf). '
                    "Found none valid",
                ),
                ("spec.x.a", "FieldValueRequired", "Required value"),
            ],
        ),
        (
            {"type": "object", "anyOf": [A, B]},
            {},
            [
                (
                    NONE,
                    INVALID,
                    'Invalid value: "": "spec.x" must validate at least one schema (anyOf)',
                ),
                ("spec.x.a", "FieldValueRequired", "Required value"),
            ],
        ),
        (
            {"type": "object", "allOf": [A, B]},
            {"a": 1},
            [
                ("spec.x.b", "FieldValueRequired", "Required value"),
                (
                    NONE,
                    INVALID,
                    'Invalid value: "": "spec.x" must validate all the schemas (allOf)',
                ),
            ],
        ),
        (
            {"type": "object", "not": A},
            {"a": 1},
            [(NONE, INVALID, 'Invalid value: "": "spec.x" must not validate the schema (not)')],
        ),
        (
            {"type": "object", "enum": [{"a": [1, 2]}]},
            {},
            [
                (
                    "spec.x",
                    "FieldValueNotSupported",
                    r'Unsupported value: {}: supported values: "{\"a\":[1,2]}"',
                )
            ],
        ),
        (
            EMBEDDED,
            {"apiVersion": "a/b/c"},
            [
                (
                    "spec.x.apiVersion",
                    INVALID,
                    'Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
                ),
                ("spec.x.kind", "FieldValueRequired", "Required value: must not be empty"),
            ],
        ),
        (EMBEDDED, {"apiVersion": "v1", "kind": "Pod"}, []),
    ],
)
def test_broken_rules(schema: Schema, value: object, expected: list[tuple[str, str, str]]) -> None:
    """Combinations have no path of their own, as upstream reports them."""
    assert causes(schema, value) == expected


UUID = "123e4567-e89b-42d3-a456-426614174000"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", ["2024-02-29"], ["2025-02-29", "2024-2-29", ""]),
        ("date-time", ["2025-01-01T00:00:00Z", "2025-01-01t23:59:59.5+01:00"], ["2025", "x"]),
        ("datetime", ["2025-01-01T00:00:00Z"], ["2025-01-01T24:00:00Z"]),
        ("duration", ["1h30m", "-1.5s", "2 days", "0"], ["x", "1 eon", ""]),
        ("byte", ["aGk=", "aGkh"], ["!!", "aGk", ""]),
        ("ipv4", ["10.0.0.1"], ["::1", "1.2.3", "01.2.3.4"]),
        ("ipv6", ["::1", "::ffff:1.2.3.4"], ["10.0.0.1", "fe80::1%eth0"]),
        ("cidr", ["10.0.0.0/8", "fd00::/64"], ["10.0.0.0", "10.0.0.0/33", "x/8"]),
        ("mac", ["00:11:22:33:44:55", "0011.2233.4455"], ["00:11:22", "00-11:22:33:44:55"]),
        ("email", ["a@b.c", "Ann <a@b.c>"], ["a", "a@", "a b@c"]),
        ("uri", ["http://a/b?c", "/a", "urn:x"], ["a", "", "http://a b"]),
        ("hostname", ["web", "a.example.com"], ["a_b", "-a", "a..b"]),
        ("uuid", [UUID, UUID.upper().replace("-", "")], ["x", UUID[:-1]]),
        ("uuid4", [UUID], [UUID.replace("42d3", "32d3")]),
        ("hexcolor", ["#fff"], ["#ff"]),
        ("rgbcolor", ["rgb(0, 10,255)"], ["rgb(256,0,0)"]),
        ("ssn", ["123-45-6789"], ["1"]),
        ("bsonobjectid", ["0" * 24], ["0" * 23]),
        ("k8s-short-name", ["web-1"], ["Web", "-web", "a" * 64]),
        ("k8s-long-name", ["web.example"], ["web..example", "a" * 254]),
        ("password", ["anything"], []),
        ("int32", ["anything"], []),
    ],
)
def test_formats(name: str, good: list[str], bad: list[str]) -> None:
    """Formats that Kubernetes 1.34 knows are checked; others accept every string."""
    assert [text for text in good if not is_well_formed(name, text)] == []
    assert [text for text in bad if is_well_formed(name, text)] == []
