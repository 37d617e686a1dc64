"""Patterns of custom kinds: Go's syntax, Go's errors, and linear time."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.schema.re2 import CompiledPattern, compile_pattern
from kubesim.apiserver.schema.re2_parser import PatternError
from kubesim.errors import Invalid


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"^(?i)(small|large)$", "LARGE", True),
        (r"^(?i)(small|large)$", "larger", False),
        (r"a(?i)b", "aB", True),
        (r"(a(?i)b)c", "aBC", False),
        (r"(?i:aB)c", "Abc", True),
        (r"(?i)(?-i:a)b", "AB", False),
        (r"(?i)k", "\u212a", True),
        (r"^.$", "\n", False),
        (r"(?s)^.$", "\n", True),
        (r"a$", "a\n", False),
        (r"(?m)^b$", "a\nb\nc", True),
        (r"\Aa\z", "a", True),
        (r"\bab\b", "x ab y", True),
        (r"\bab\b", "xab", False),
        (r"\Bb", "ab", True),
        (r"^\pL+$", "\u00e4B", True),
        (r"\PL", "\u00e4", False),
        (r"\p{Greek}", "\u03b1", True),
        (r"\p{^Greek}", "\u03b1", False),
        (r"[\p{Lu}\d]", "x7", True),
        (r"\w", "\u00e9", False),
        (r"^[[:alpha:][:^space:]]+$", "a1", True),
        (r"[]a]b", "]b", True),
        (r"[^]a]b", "ab", False),
        (r"[a\-c]", "-", True),
        (r"[a-]", "-", True),
        (r"\Qa.b\E", "axb", False),
        (r"\Qa.b", "a.b", True),
        (r"\x41\x{263a}\101\n", "A\u263aA\n", True),
        (r"a{,2}b", "a{,2}b", True),
        (r"x{2,}", "xx", True),
        (r"^(?P<a>x)(?<b>y)?$", "xy", True),
        (r"(?U)a+?", "a", True),
        (r"", "", True),
        (r"()|b", "", True),
    ],
)
def test_what_go_matches(pattern: str, text: str, matches: bool) -> None:
    """The syntax of regexp/syntax, flags, classes and escapes."""
    assert compile_pattern(pattern).search(text) is matches


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("+", "missing argument to repetition operator: `+`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("x{2,1}", "invalid repeat count: `{2,1}`"),
        ("((a{10}){11}){10}", "invalid repeat count: `{10,10}`"),
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
        ("\\", "trailing backslash at end of expression: ``"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"[\b]", r"invalid escape sequence: `\b`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?<!a)", "invalid or unsupported Perl syntax: `(?<!`"),
        ("(?P<n-a>x)", "invalid named capture: `(?P<n-a>x)`"),
        ("(" * 101, "expression nests too deeply: `" + "(" * 101 + "`"),
    ],
)
def test_what_go_refuses(pattern: str, error: str) -> None:
    """Look-around, back references and malformed patterns, in Go's words."""
    with pytest.raises(PatternError) as refused:
        compile_pattern(pattern)
    assert str(refused.value) == f"error parsing regexp: {error}"


# What Python and Go read in the same way: no flags inside, no braces that are no repetition.
ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", r"\d", r"\w", r"\b", "^", r"\n", "-"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(PATTERNS, st.text("abc1- \n", max_size=8))
def test_python_agrees_where_the_syntax_is_the_same(pattern: str, text: str) -> None:
    """An independent oracle for the matcher."""
    assert compile_pattern(pattern).search(text) is bool(re.search(pattern, text, re.ASCII))


@pytest.mark.parametrize(
    "pattern",
    ["^(a+)+$", "(a|aa)+$", "(a?){30}a{30}b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"],
)
def test_a_long_text_takes_linear_time(pattern: str) -> None:
    """100,000 letters and a sign that does not fit: Python's own module would need for ever."""
    compiled = CompiledPattern(pattern)
    begin = time.perf_counter()
    for letter in "ax":
        assert not compiled.search(letter * 100_000 + "!")
    assert time.perf_counter() - begin < 20


def test_tables_stay_small_and_threads_share_them() -> None:
    """A pattern with very many states, from 8 threads at once, and texts of many characters."""
    compiled = CompiledPattern("(a|b)*a(a|b){12}[^ab]$")
    texts = ["".join("ab"[(n >> bit) & 1] for bit in range(14)) for n in range(0, 16_384, 5)]
    answers: list[bool] = []

    def search() -> None:
        answers.append(any(compiled.search(text) for text in texts))
        answers.append(compiled.search("a" * 13 + "".join(map(chr, range(300, 30_000))) + "!"))

    threads = [threading.Thread(target=search) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 16
    assert compiled.search("a" * 13 + "!")


def a_definition(pattern: object) -> dict[str, Any]:
    """A kind whose field size follows a pattern."""
    size = {"type": "string", "pattern": pattern}
    spec = {"type": "object", "properties": {"size": size}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "tabs.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "tabs", "kind": "Tab"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def test_a_definition_with_a_pattern_of_go(api: KubeAPI) -> None:
    """`^(?i)(small|large)$` is accepted, and objects are checked by it."""
    api.create(a_definition("^(?i)(small|large)$"))
    tab = {"apiVersion": "example.com/v1", "kind": "Tab", "metadata": {"name": "a"}}
    assert api.create(tab | {"spec": {"size": "LARGE"}})
    with pytest.raises(Invalid) as refused:
        api.update(tab | {"spec": {"size": "huge"}})
    (cause,) = refused.value.causes
    assert cause.message == (
        "Invalid value: \"huge\": spec.size in body should match '^(?i)(small|large)$'"
    )


def test_an_evil_pattern_costs_no_time(api: KubeAPI) -> None:
    """The smallest attack: 28 letters took 15 s, doubling with each further one."""
    api.create(a_definition("^(a+)+$"))
    tab = {"apiVersion": "example.com/v1", "kind": "Tab", "metadata": {"name": "a"}}
    begin = time.perf_counter()
    with pytest.raises(Invalid):
        api.create(tab | {"spec": {"size": "a" * 50_000 + "!"}})
    assert time.perf_counter() - begin < 10


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            "+",
            "must be a valid regular expression, but isn't: error parsing regexp: missing argument",
        ),
        ("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
    ],
)
def test_a_definition_with_a_malformed_pattern_is_refused(
    api: KubeAPI, pattern: str, message: str
) -> None:
    """By its path, with Go's error."""
    with pytest.raises(Invalid) as refused:
        api.create(a_definition(pattern))
    (cause,) = refused.value.causes
    assert cause.field.endswith("openAPIV3Schema.properties[spec].properties[size].pattern")
    assert message in cause.message
