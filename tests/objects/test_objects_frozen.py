"""Frozen documents: nobody changes what everybody shares."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.errors import FrozenDocument
from kubesim.objects import FrozenDict, FrozenList, freeze, thaw

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_freezing_and_thawing_keep_every_value(value: Any) -> None:
    """What comes out equals what went in, as Python values and as JSON."""
    frozen = freeze(value)
    assert frozen == value
    assert thaw(frozen) == value
    assert json.dumps(frozen) == json.dumps(value)


def everything_frozen(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is FrozenDict and all(map(everything_frozen, value.values()))
    if isinstance(value, list):
        return type(value) is FrozenList and all(map(everything_frozen, value))
    return True


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_no_part_of_a_frozen_document_is_open(value: Any) -> None:
    """Freezing goes all the way down, and thawing opens all of it."""
    frozen = freeze(value)
    assert everything_frozen(frozen)
    thawed = thaw(frozen)
    if isinstance(thawed, (dict, list)):
        assert type(thawed) in (dict, list)
        assert not (thawed and everything_frozen(thawed))


DICT_CHANGES = [
    lambda d: d.__setitem__("a", 1),
    lambda d: d.__delitem__("a"),
    lambda d: d.update(a=1),
    lambda d: d.pop("a"),
    lambda d: d.popitem(),
    lambda d: d.clear(),
    lambda d: d.setdefault("b", 1),
    lambda d: d.__ior__({"b": 1}),
]
LIST_CHANGES = [
    lambda x: x.__setitem__(0, 1),
    lambda x: x.__delitem__(0),
    lambda x: x.append(1),
    lambda x: x.extend([1]),
    lambda x: x.insert(0, 1),
    lambda x: x.pop(),
    lambda x: x.remove(1),
    lambda x: x.reverse(),
    lambda x: x.sort(),
    lambda x: x.clear(),
    lambda x: x.__iadd__([1]),
    lambda x: x.__imul__(2),
]


@pytest.mark.parametrize("change", DICT_CHANGES)
def test_a_frozen_dict_refuses(change: Any) -> None:
    """Each way to change a dict raises, with a hint how to get a copy."""
    with pytest.raises(FrozenDocument, match="thaw"):
        change(freeze({"a": 0}))


@pytest.mark.parametrize("change", LIST_CHANGES)
def test_a_frozen_list_refuses(change: Any) -> None:
    """Each way to change a list raises."""
    with pytest.raises(FrozenDocument):
        change(freeze([1, 2]))


def test_frozen_parts_are_shared_and_copies_are_not() -> None:
    """Freezing what holds frozen parts copies none of them; thaw and deepcopy copy all."""
    inner = freeze({"spec": {"a": [1]}})
    outer = freeze({"old": inner, "new": 1})
    assert outer["old"] is inner
    for mine in (thaw(outer), copy.deepcopy(outer)):
        mine["old"]["spec"]["a"].append(2)
    assert outer["old"]["spec"]["a"] == [1]
    assert copy.copy(outer) == outer and type(copy.copy(outer)) is dict
    assert everything_frozen(pickle.loads(pickle.dumps(outer)))


@pytest.mark.parametrize(
    "value", [{"a": {1, 2}}, {1: "a"}, {"a": object()}, [float("nan")], {"a": float("inf")}, b"x"]
)
def test_what_json_has_no_word_for_is_refused(value: Any) -> None:
    """Sets, objects, keys other than strings, and NaN are refused when frozen, not when served."""
    with pytest.raises((TypeError, ValueError)):
        freeze(value)
