"""Printer columns of custom kinds: their paths, and what a cell shows of each value.

Sources: k8s.io/client-go/util/jsonpath, k8s.io/apiextensions-apiserver/pkg/registry/customresource/
tableconvertor/tableconvertor.go, pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from typing import Any

import pytest
from test_crd_rules import definition

from kubesim.apiserver import Kind, KubeAPI
from kubesim.apiserver.printers.jsonpath import PathError, find_values, parse_path
from kubesim.apiserver.printers.table import cells, columns
from kubesim.clock import VirtualClock
from kubesim.errors import Invalid

CLOCK = VirtualClock()
NOW = 10_000.0
DOCUMENT: dict[str, Any] = {
    "a": {"b": 1, "c.d": 2, "none": None, "float": 2.75, "yes": True, "text": "t", "nan": "5"},
    "list": [{"k": 1, "x": "p"}, {"k": 2, "x": "q"}, {"x": "r"}],
    "deep": {"x": {"x": 7}},
}


@pytest.mark.parametrize(
    ("path", "result"),
    [
        (".a.b", [1]),
        (".list[0].x", ["p"]),
        (".list[-1].x", ["r"]),
        (".list[0:2].x", ["p", "q"]),
        (".list[::2].x", ["p", "r"]),
        (".list[*].x", ["p", "q", "r"]),
        (".list[0,2].x", ["p", "r"]),
        (".list[?(@.k==2)].x", ["q"]),
        (".list[?(@.k>=1)].x", ["p", "q"]),  # an item without the field is passed over
        (".list[?(@.x!='p')].x", ["q", "r"]),
        (".list[?(@.k)].x", ["p", "q"]),
        (".a['c.d']", []),  # as .a.c.d
        (r".a['c\.d']", [2]),
        (r".a.c\.d", [2]),
        (".a.missing.deep", []),
        (".a.none", [None]),
        (".deep..x", [{"x": 7}, 7]),
        (".deep.*", [{"x": 7}]),
        (".a.b}text{.list}", [1]),
    ],
)
def test_values_at_a_path(path: str, result: list[Any]) -> None:
    """Fields, indexes, slices, unions, filters, descents, and names with dots."""
    assert find_values(DOCUMENT, path) == result


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".a[", "unterminated array"),
        (".a[x]", "invalid array index x"),
        (".a[-]", "array index - is not a number"),
        (".a[?(@.b==1]", "unterminated filter"),
        (".a[?(@.b==1)", "unclosed array expect ]"),
        (".a#.b{", "unrecognized character in action: U+007B '{'"),
        ("....a", "invalid multiple recursive descent"),
        (".a['b\n']", "unterminated array"),
        (".a 1.2.3", "cannot parse number 1.2.3"),
        (".a\n", "unclosed action"),
        (".a" + "[?(" * 3000 + "a)]", "unterminated filter"),
        (".a 'b", "unterminated quoted string"),
    ],
)
def test_malformed_paths(path: str, message: str) -> None:
    """Each fault has the text of the real parser."""
    with pytest.raises(PathError) as refused:
        parse_path(path)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "path", [".list[9]", ".a[0]", ".a[?(@.b==1)]", ".list[?(@.k=='1')].x", ".a name", ".list[::-1]"]
)
def test_paths_that_do_not_fit_have_no_value(path: str) -> None:
    """Index out of bounds, an item of no list, types that cannot be compared: an empty cell."""
    with pytest.raises(PathError):
        find_values(DOCUMENT, path)
    assert _cell("string", path) is None


def _cell(type_: str, path: str) -> object:
    column = {"name": "C", "type": type_, "jsonPath": path}
    kind = Kind("Tab", "tabs", group="example.com", custom=True, columns=(column,))
    document = {
        "metadata": {"name": "a", "creationTimestamp": CLOCK.timestamp(NOW - 60)},
        "later": CLOCK.timestamp(NOW + 60),
        **DOCUMENT,
    }
    return cells(kind, document, CLOCK, NOW)[1]


@pytest.mark.parametrize(
    ("type_", "path", "cell"),
    [
        ("string", ".a.b", "1"),
        ("string", ".a.yes", "true"),
        ("string", ".a.float", "2.75"),
        ("string", ".list[*].x", "p"),  # the first value alone
        ("string", ".list[0]", '{"k":1,"x":"p"}'),
        ("string", ".a.none", "<no value>"),
        ("string", ".a.missing", None),
        ("integer", ".a.b", 1),
        ("integer", ".a.float", 2),
        ("integer", ".a.nan", None),
        ("integer", ".a.yes", None),
        ("integer", ".list", None),
        ("number", ".a.float", 2.75),
        ("number", ".a.text", None),
        ("boolean", ".a.yes", True),
        ("boolean", ".a.b", None),
        ("date", ".metadata.creationTimestamp", "60s"),
        ("date", ".later", "<invalid>"),
        ("date", ".a.text", "<invalid>"),
        ("date", ".a.b", None),
        ("date", ".a.missing", None),
    ],
)
def test_cells_of_each_type(type_: str, path: str, cell: object) -> None:
    """A value of another type than the column's is an empty cell; text columns show JSON."""
    assert _cell(type_, path) == cell


def test_a_malformed_path_ends_the_columns() -> None:
    """The columns before it are shown, as the real server falls back."""
    declared = tuple(
        {"name": name, "type": "integer", "jsonPath": path}
        for name, path in (("A", ".a.b"), ("B", ".a["), ("C", ".a.b"))
    )
    kind = Kind("Tab", "tabs", group="example.com", custom=True, columns=declared)
    assert [column["name"] for column in columns(kind)] == ["Name", "A"]
    assert columns(kind)[1]["description"] == (
        "Custom resource definition column (in JSONPath format): .a.b"
    )
    assert cells(kind, {"metadata": {"name": "a"}, **DOCUMENT}, CLOCK, NOW) == ["a", 1]


@pytest.mark.parametrize(
    ("column", "path", "message"),
    [
        (
            {"jsonPath": "spec.a"},
            "JSONPath",
            'Invalid value: "spec.a": must be a simple json path starting with .',
        ),
        ({"jsonPath": ""}, "JSONPath", "Required value"),
        (
            {"jsonPath": ".a", "format": "uuid"},
            "format",
            'Invalid value: "uuid": must be one of byte,date,date-time,double,float,int32,int64,'
            "password",
        ),
    ],
)
def test_columns_of_a_definition(
    api: KubeAPI, column: dict[str, Any], path: str, message: str
) -> None:
    """A path begins with a dot, and a format is one that Kubernetes knows."""
    version = {"additionalPrinterColumns": [{"name": "A", "type": "string", **column}]}
    with pytest.raises(Invalid) as refused:
        api.create(definition(version=version))
    place = f"spec.versions[0].additionalPrinterColumns[0].{path}"
    assert [(cause.field, cause.message) for cause in refused.value.causes] == [(place, message)]
