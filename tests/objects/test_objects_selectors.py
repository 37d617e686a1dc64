"""Label and field selectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.errors import BadRequest
from kubesim.objects.meta import LABEL_KEY_RULE, LABEL_VALUE_RULE
from kubesim.objects.selectors import parse_field_selector, parse_label_selector, selector_from

WEB = {"app": "web", "tier": "front", "weight": "12"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("missing!=x", True),
        ("missing=x", False),
        ("missing=", False),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("tier in (front,back)", True),
        ("tier in ( back )", False),
        ("tier notin (back)", True),
        ("missing notin (back)", True),
        ("tier notin (front,back)", False),
        ("app=web,tier in (front,back),!legacy", True),
        ("app=web,tier in (front,back),legacy", False),
        ("weight>11", True),
        ("weight>12", False),
        ("weight<13", True),
        ("app<13", False),
        ("app.kubernetes.io/name!=x", True),
    ],
)
def test_label_selectors(text: str, matches: bool) -> None:
    """Every operator, on present and on missing labels."""
    assert parse_label_selector(text).matches(WEB) is matches


UNABLE = "unable to parse requirement: "
NUMBER = "for 'Gt', 'Lt' operators, the value must be an integer"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app=web=1", "found '=', expected: ',' or 'end of string'"),
        ("=web", "found '=', expected: !, identifier, or 'end of string'"),
        ("app in web", f"{UNABLE}found 'web' expected: '('"),
        ("app in (a", f"{UNABLE}found '', expected: ',' or ')'"),
        ("app in (=)", f"{UNABLE}found '=', expected: ',', ')' or identifier"),
        ("app in (a,=)", f"{UNABLE}found '=', expected: ',', or identifier"),
        ("a b", f"{UNABLE}found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("app=web,", "found '', expected: identifier after ','"),
        ("!!a", f"{UNABLE}found '!', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a==(b)", f"{UNABLE}found '(', expected: identifier"),
        ("\0", f'{UNABLE}<nil>: Invalid value: "\\u0000": {LABEL_KEY_RULE}'),
        ("a>x", f'{UNABLE}values[0]: Invalid value: "x": {NUMBER}'),
        ("a_=b", f'{UNABLE}<nil>: Invalid value: "a_": {LABEL_KEY_RULE}'),
        ("a=b_", f'{UNABLE}values[0][a]: Invalid value: "b_": {LABEL_VALUE_RULE}'),
        (
            "a>-",
            f'{UNABLE}[values[0]: Invalid value: "-": {NUMBER}, '
            f'values[0][a]: Invalid value: "-": {LABEL_VALUE_RULE}]',
        ),
    ],
)
def test_label_selectors_that_cannot_be_parsed(text: str, message: str) -> None:
    """Refused in the words of Go's parser, at the same place."""
    with pytest.raises(BadRequest) as refused:
        parse_label_selector(text)
    assert refused.value.message == message


def test_words_of_operators_are_values_where_a_value_is_expected() -> None:
    """`in` and `notin` are names of labels, too; values that are left out are empty."""
    for text, labels in (
        ("in in (in,notin)", {"in": "notin"}),
        ("a=in,in", {"a": "in", "in": ""}),
        ("a in (,b),c in ()", {"a": "", "c": ""}),
        (" a  notin\t(b ,, c) ", {"a": "d"}),
        ("a=,!b", {"a": ""}),
    ):
        assert parse_label_selector(text).matches(labels), text
    assert not parse_label_selector("a notin (b,,c)").matches({"a": ""})


def test_a_selector_prints_as_it_can_be_parsed() -> None:
    """The scale subresource hands selectors out as text, sorted by key."""
    text = "tier in (front,back),app=web,!legacy,x!=y,z"
    printed = str(parse_label_selector(text))
    assert printed == "app=web,!legacy,tier in (back,front),x!=y,z"
    assert str(parse_label_selector(printed)) == printed


def test_a_long_selector_is_read_in_no_time() -> None:
    """The work grows with the length of the text, not with its square."""
    parse_label_selector(",".join(["a in (b,c)"] * 20_000))
    with pytest.raises(BadRequest):
        parse_label_selector("," * 200_000)


def test_selector_documents() -> None:
    """matchLabels and matchExpressions together; null selects nothing, empty everything."""
    document = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["front"]},
            {"key": "legacy", "operator": "DoesNotExist"},
        ],
    }
    selector = selector_from(document)
    assert selector.matches(WEB)
    assert not selector.matches({**WEB, "legacy": ""})
    assert not selector.matches({"app": "web"})
    assert str(selector) == "app=web,!legacy,tier=front"
    assert not selector_from(None).matches({}) and not selector_from(None).empty
    assert selector_from({}).matches({}) and selector_from({}).empty
    assert not selector_from({"matchLabels": {"a": None}}).matches({})


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "a", "operator": "Near", "values": ["b"]},
        {"key": "a", "operator": "In", "values": []},
        {"key": "a", "operator": "Exists", "values": ["b"]},
    ],
)
def test_selector_documents_that_make_no_sense(expression: dict[str, Any]) -> None:
    """An unknown operator, or values where there may be none."""
    with pytest.raises(BadRequest):
        selector_from({"matchExpressions": [expression]})


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("status.phase=Running", True),
        ("status.phase!=Running", False),
        ("status.phase==Running,metadata.name=web", True),
        ("spec.nodeName=", True),
        ("spec.nodeName!=", False),
        ("spec.unschedulable=true", True),
        ("metadata.name.x=1", False),
    ],
)
def test_field_selectors(text: str, matches: bool) -> None:
    """Dotted paths; what is missing counts as the empty text."""
    pod = {
        "metadata": {"name": "web"},
        "spec": {"unschedulable": True},
        "status": {"phase": "Running"},
    }
    assert parse_field_selector(text).matches(pod) is matches


def test_a_field_selector_that_cannot_be_read() -> None:
    """An equals sign is the least there must be."""
    message = "invalid selector: 'z,status.phase'; can't understand 'status.phase'"
    with pytest.raises(BadRequest, match=message):
        parse_field_selector("z,status.phase")


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


@settings(max_examples=200, deadline=None)
@given(LABELS, st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), min_size=1, unique=True))
def test_notin_is_the_opposite_of_in(labels: dict[str, str], key: str, values: list[str]) -> None:
    """Whatever the labels: exactly one of the two holds."""
    listed = ",".join(values)
    inside = parse_label_selector(f"{key} in ({listed})").matches(labels)
    outside = parse_label_selector(f"{key} notin ({listed})").matches(labels)
    assert inside is not outside


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("metadata.name=x,", [("metadata.name", True, "x")]),
        (",,metadata.name==x,,", [("metadata.name", True, "x")]),
        (",", []),
        ("a!=b,c=", [("a", False, "b"), ("c", True, "")]),
        (r"a=b\,c", [("a", True, "b,c")]),
        (r"a=b\=c\\", [("a", True, "b=c\\")]),
    ],
)
def test_parts_of_a_field_selector(text: str, terms: list[tuple[str, bool, str]]) -> None:
    """Empty parts are skipped; a backslash makes a comma or an equals sign part of the value."""
    assert list(parse_field_selector(text).terms) == terms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        (r"a=b\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
    ],
)
def test_a_part_of_a_field_selector_that_cannot_be_parsed(text: str, message: str) -> None:
    """As unescaped characters and unknown escapes upstream."""
    with pytest.raises(BadRequest) as refused:
        parse_field_selector(text)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("version", "kind", "fields", "text", "matches"),
    [
        ("v1", "Node", {"spec": {}}, "spec.unschedulable=false", True),
        ("v1", "Node", {}, "spec.unschedulable!=true", True),
        ("v1", "Node", {"spec": {"unschedulable": True}}, "spec.unschedulable=true", True),
        ("v1", "Pod", {"spec": {}}, "spec.hostNetwork=false", True),
        ("v1", "Pod", {"spec": {"hostNetwork": True}}, "spec.hostNetwork=false", False),
        ("apps/v1", "ReplicaSet", {"status": {}}, "status.replicas=0", True),
        ("batch/v1", "Job", {"status": {"succeeded": 2}}, "status.successful=2", True),
        ("batch/v1", "Job", {}, "status.successful=0", True),
        ("v1", "Event", {"source": {"component": "kubelet"}}, "source=kubelet", True),
        ("v1", "Event", {"reportingComponent": "kubelet"}, "source=kubelet", True),
        ("example.com/v1", "Node", {"spec": {}}, "spec.unschedulable=false", False),
    ],
)
def test_selectable_fields_have_values_where_they_are_absent(
    version: str, kind: str, fields: dict[str, object], text: str, matches: bool
) -> None:
    """A number is 0 and a flag false, as in upstream's ToSelectableFields."""
    document = {"apiVersion": version, "kind": kind, **fields}
    assert parse_field_selector(text).matches(document) is matches
