"""Bodies in protobuf: every type of field, and nothing but a refusal for what is malformed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.apiserver.schema import data
from kubesim.errors import BadRequest
from kubesim.rest.serializer import protobuf


def varint(value: int) -> bytes:
    """A number as it goes over the wire; a negative one takes ten bytes."""
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def text(number: int, value: bytes | str) -> bytes:
    """A field of bytes."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def whole(number: int, value: int) -> bytes:
    """A field that is a number."""
    return varint(number << 3) + varint(value)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """A message in its envelope."""
    return b"k8s\0" + text(1, text(1, api_version) + text(2, kind)) + text(2, raw)


def config_map(raw: bytes) -> dict[str, Any]:
    """What a ConfigMap of these bytes is."""
    return protobuf.decode(envelope("v1", "ConfigMap", raw))


def test_kind_and_version_come_from_the_envelope() -> None:
    """The message itself names neither."""
    assert config_map(b"") == {"kind": "ConfigMap", "apiVersion": "v1"}


def test_each_type_of_field_is_read() -> None:
    """Texts, maps, bytes, lists, flags, times, quantities, numbers or texts, negative numbers."""
    metadata = (
        text(1, "a") + text(11, text(1, "k") + text(2, "v")) + text(14, "one") + text(14, "two")
    )
    metadata += text(8, whole(1, 1_735_689_600))
    found = config_map(text(1, metadata) + text(3, text(1, "b") + text(2, b"\xff")) + whole(4, 0))
    assert found["metadata"] == {
        "name": "a",
        "labels": {"k": "v"},
        "finalizers": ["one", "two"],
        "creationTimestamp": "2025-01-01T00:00:00Z",
    }
    assert found["binaryData"] == {"b": "/w=="}
    assert found["immutable"] is False
    port = text(1, "http") + whole(3, 80) + text(4, whole(1, 1) + whole(2, 0) + text(3, "web"))
    other = whole(3, 81) + text(4, whole(1, 0) + whole(2, 8080) + text(3, ""))
    service = protobuf.decode(envelope("v1", "Service", text(2, text(1, port) + text(1, other))))
    assert service["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": "web"},
        {"port": 81, "targetPort": 8080},
    ]
    quota = text(2, text(1, text(1, "cpu") + text(2, text(1, "500m"))))
    assert protobuf.decode(envelope("v1", "ResourceQuota", quota))["spec"] == {
        "hard": {"cpu": "500m"}
    }
    negative = protobuf.decode(envelope("scheduling.k8s.io/v1", "PriorityClass", whole(2, -7)))
    assert negative["value"] == -7


def test_what_go_writes_without_meaning_is_dropped() -> None:
    """Empty texts, empty times and falses go; zero replicas stay."""
    metadata = text(1, "a") + text(3, "") + text(8, b"")
    spec = whole(1, 0) + whole(5, 0) + whole(7, 0)
    found = protobuf.decode(envelope("apps/v1", "Deployment", text(1, metadata) + text(2, spec)))
    assert found["metadata"] == {"name": "a"}
    assert found["spec"] == {"replicas": 0}


def test_parts_without_a_name_of_their_own_stand_where_they_belong() -> None:
    """A key of a ConfigMap, and where a volume comes from."""
    source = text(3, text(1, text(1, "settings")) + text(2, "color"))
    container = text(1, "c") + text(7, text(1, "COLOR") + text(3, source))
    volume = text(1, "v") + text(2, text(2, b""))
    spec = text(2, container) + text(1, volume)
    found = protobuf.decode(envelope("v1", "Pod", text(2, spec)))["spec"]
    reference = found["containers"][0]["env"][0]["valueFrom"]["configMapKeyRef"]
    assert reference == {"name": "settings", "key": "color"}
    assert found["volumes"] == [{"name": "v", "emptyDir": {}}]


@pytest.mark.parametrize(
    "more",
    [
        whole(900, 5),
        text(901, "x"),
        varint(902 << 3 | 1) + b"8bytes..",
        varint(903 << 3 | 5) + b"four",
    ],
)
def test_a_field_of_a_later_release_is_refused_unless_it_is_empty(more: bytes) -> None:
    """Nothing is lost in silence; what says nothing may be left out."""
    with pytest.raises(BadRequest, match=r"field 90\d of ConfigMap is not known"):
        config_map(more + text(1, text(1, "a")))
    assert config_map(whole(900, 0) + text(901, "") + text(1, text(1, "a")))["metadata"]["name"]


def test_two_versions_of_a_kind_have_each_their_own_fields() -> None:
    """autoscaling/v1 has a percentage where v2 has metrics."""
    first = envelope("autoscaling/v1", "HorizontalPodAutoscaler", text(2, whole(4, 60)))
    assert protobuf.decode(first)["spec"] == {"targetCPUUtilizationPercentage": 60}
    second = envelope(
        "autoscaling/v2", "HorizontalPodAutoscaler", text(2, text(4, text(1, "Pods")))
    )
    assert protobuf.decode(second)["spec"] == {"metrics": [{"type": "Pods"}]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"k8s",
        b"k8s\0",
        b"k8s\0\xff",
        envelope("v1", "Unheard", b""),
        envelope("v1", "ConfigMap", b"\x0a\x7f"),
        envelope("v1", "ConfigMap", b"\x0b"),
        envelope("v1", "ConfigMap", text(1, text(1, b"\xff"))),
        envelope("v1", "ConfigMap", text(1, b"\x80" * 20)),
        envelope("v1", "ConfigMap", text(1, text(8, whole(1, 1 << 60)))),
        envelope("v1", "ConfigMap", whole(2, 1)),
        envelope("v1", "ConfigMap", whole(1, 1) * 3),
    ],
)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    """Cut off, of another encoding, a number where a message belongs, of no kind that is read."""
    with pytest.raises(BadRequest):
        protobuf.decode(data)


ENVELOPE = envelope("v1", "ConfigMap", b"")
WHOLE = envelope("v1", "ConfigMap", text(1, text(1, "a")) + text(3, text(1, "k") + text(2, b"v")))
BETWEEN_FIELDS = len(ENVELOPE) - 2, len(WHOLE)  # an empty field takes two bytes


@pytest.mark.parametrize("end", sorted({*range(5, len(WHOLE))} - {*BETWEEN_FIELDS}))
def test_a_body_that_is_cut_off_is_told_as_upstream_tells_it(end: int) -> None:
    """In a tag, a length or a value: io.ErrUnexpectedEOF of the generated decoders."""
    with pytest.raises(BadRequest, match=r"^the body is malformed protobuf: unexpected EOF$"):
        protobuf.decode(WHOLE[:end])


KINDS = sorted(data.kinds())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_are_a_document_or_a_refusal(raw: bytes, name: str) -> None:
    """Never another exception, and what comes out is JSON."""
    api_version, _, kind = name.rpartition(" ")
    try:
        json.dumps(protobuf.decode(envelope(api_version, kind, raw)), allow_nan=False)
    except BadRequest as error:
        assert error.code == 400


@pytest.mark.parametrize("api_version", ["v1", "apps/v1", "example.com/v7"])
def test_options_come_in_the_version_of_any_group(api_version: str) -> None:
    """Deletions of helm and of Go operators carry their options as protobuf."""
    raw = whole(1, 0) + text(4, "Foreground") + text(2, text(1, "abc"))
    assert protobuf.decode(envelope(api_version, "DeleteOptions", raw)) == {
        "kind": "DeleteOptions",
        "apiVersion": api_version,
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "abc"},
    }


@pytest.mark.parametrize(
    ("api_version", "kind", "raw", "expected"),
    [
        ("autoscaling/v1", "Scale", text(2, whole(1, 0)), {"spec": {"replicas": 0}}),
        ("v1", "Binding", text(2, text(3, "node-1")), {"target": {"name": "node-1"}}),
        (
            "policy/v1",
            "Eviction",
            text(2, whole(1, 30)),
            {"deleteOptions": {"gracePeriodSeconds": 30}},
        ),
        (
            "authentication.k8s.io/v1",
            "TokenRequest",
            text(2, text(1, "api") + whole(4, 600)),
            {"spec": {"audiences": ["api"], "expirationSeconds": 600}},
        ),
        (
            "authorization.k8s.io/v1",
            "SubjectAccessReview",
            text(2, text(3, "ann") + text(5, text(1, "k") + text(2, text(1, "v")))),
            {"spec": {"user": "ann", "extra": {"k": ["v"]}}},
        ),
        (
            "authentication.k8s.io/v1",
            "TokenReview",
            text(2, text(1, "secret")),
            {"spec": {"token": "secret"}},
        ),
        (
            "batch/v1",
            "CronJob",
            text(2, whole(4, 0) + whole(6, 0)),
            {"spec": {"suspend": False, "successfulJobsHistoryLimit": 0}},
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            text(2, text(5, "") + text(3, "")),
            {"spec": {"storageClassName": ""}},
        ),
        (
            "v1",
            "Pod",
            text(2, whole(11, 0) + whole(21, 0) + text(19, "")),
            {"spec": {"automountServiceAccountToken": False}},
        ),
    ],
)
def test_request_objects_and_zeros_that_are_meant(
    api_version: str, kind: str, raw: bytes, expected: dict[str, Any]
) -> None:
    """Every object of a request decodes; zeros that Go holds by pointer stay, others go."""
    found = protobuf.decode(envelope(api_version, kind, raw))
    assert found == {"kind": kind, "apiVersion": api_version, **expected}


def test_values_of_a_schema_that_are_no_messages_in_json() -> None:
    """Items, additionalProperties, defaults and enums of a definition's schema."""
    boolean = text(5, "boolean")
    schema = text(5, "object") + text(8, text(1, "null")) + text(20, text(1, b'["a"]'))
    schema += text(30, whole(1, 0) + text(2, boolean)) + text(33, whole(1, 0)) + whole(38, 0)
    items = text(24, text(1, boolean)) + text(32, text(1, "y") + text(2, text(2, "z")))
    schema += text(29, text(1, "x") + text(2, items)) + text(3, "#/r") + whole(40, 1)
    raw = text(2, text(7, text(1, "v1") + text(4, text(1, schema))))
    found = protobuf.decode(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", raw))
    assert found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "default": None,
        "enum": [["a"]],
        "additionalProperties": {"type": "boolean"},
        "additionalItems": False,
        "x-kubernetes-preserve-unknown-fields": False,
        "properties": {"x": {"items": {"type": "boolean"}, "dependencies": {"y": ["z"]}}},
        "$ref": "#/r",
        "x-kubernetes-int-or-string": True,
    }


def test_times_and_raw_objects() -> None:
    """Seconds for Time, microseconds for MicroTime; a raw object may be JSON or an envelope."""
    moment = whole(1, 1_735_689_600) + whole(2, 1_234_567)
    lease = text(2, text(4, moment))
    found = protobuf.decode(envelope("coordination.k8s.io/v1", "Lease", lease))
    assert found["spec"] == {"renewTime": "2025-01-01T00:00:00.001234Z"}
    for raw in (b'{"kind":"ConfigMap","apiVersion":"v1"}', envelope("v1", "ConfigMap", b"")):
        revision = text(2, text(1, raw)) + whole(3, 2)
        found = protobuf.decode(envelope("apps/v1", "ControllerRevision", revision))
        assert found["data"] == {"kind": "ConfigMap", "apiVersion": "v1"}
    owned = text(1, text(17, text(1, "me") + text(7, text(1, b'{"f:data":{}}'))))
    entry = config_map(owned)["metadata"]["managedFields"][0]
    assert entry == {"manager": "me", "fieldsV1": {"f:data": {}}}
