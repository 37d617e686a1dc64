"""The rule that an attribute is set in the file that declares it, and the rule's own cases."""

from __future__ import annotations

import pytest
from attribute_owners import foreign_settings
from source_tree import module, sources

OWNERS = """
    from dataclasses import dataclass, field
    from typing import NamedTuple

    class Pod:
        __slots__ = ("node", "ready")

        def __init__(self) -> None:
            self.node, self.ready = "", False
            self.volumes: dict[str, Volume] = {}

    class Base:
        def __init__(self, pod: Pod) -> None:
            self.pod = pod
            self._shown = 0

        @property
        def speed(self) -> float:
            return 1.0

        @speed.setter
        def speed(self, value: float) -> None: ...

    @dataclass
    class Volume:
        size: int = 0

        def grow(self) -> None:
            self.size += 1

    class Point(NamedTuple):
        x: int

    def new_pod(points: list[Point]) -> Pod:
        pod = Pod()
        pod.node = "a record may be filled in by the file that declares it"
        return pod
"""
SETTERS = {
    "a parameter": ("def f(pod: Pod) -> None:\n    pod.node = ''", "Pod"),
    "one that may be None": ("def f(pod: Pod | None) -> None:\n    pod.ready |= True", "Pod"),
    "made here": ("def f() -> None:\n    pod = Pod()\n    pod.node = ''", "Pod"),
    "returned": ("def f() -> None:\n    pod = owners.new_pod([])\n    del pod.node", "Pod"),
    "setattr": ("def f(pod: Pod) -> None:\n    setattr(pod, 'node', '')", "Pod"),
    "of an attribute": ("def f(base: Base) -> None:\n    base.pod.node = ''", "Pod"),
    "in a tuple": ("def f(a: Pod, b: Pod) -> None:\n    a.node, x = '', 1", "Pod"),
    "in a loop": (
        "def f(a: dict[str, Pod]) -> None:\n    for _, p in a.items(): p.node = ''",
        "Pod",
    ),
    "in a container": ("def f(pod: Pod) -> None:\n    pod.volumes['a'].size = 1", "Volume"),
    "in a closure": ("def f(pod: Pod) -> None:\n    def g() -> None: pod.node = ''", "Pod"),
    "inherited": ("class C(Base):\n    def f(self) -> None: self._shown = 1", "Base"),
    "unknown": ("def f(pod: Any) -> None:\n    pod.node = ''", "a class of p/owners.py"),
}
ALLOWED = {
    "of itself": "class C(Base):\n    def f(self) -> None: self.mine = 1",
    "of a record of this file": (
        "class R:\n    node: str = ''\ndef f(r: R) -> None:\n    r.node = ''"
    ),
    "a property's setter": "def f(base: Base) -> None:\n    base.speed = 2.0",
    "of another library": "def f() -> None:\n    widget = W.HTML()\n    widget.node = ''",
    "of another library's object": "def f(box: W.Box) -> None:\n    box.layout.node = ''",
    "unknown, and declared nowhere": "def f(widget: Any) -> None:\n    widget.tooltip = ''",
    "of what cannot be changed": "def f(widget: Any) -> None:\n    widget.x = 1",
    "a call of a method": "def f(pod: Pod) -> None:\n    pod.volumes['a'].grow()",
}
IMPORTS = """
from typing import Any

import ipywidgets as W

from p import owners
from p.owners import Base, Pod
"""


def owners_named(text: str) -> list[str]:
    """Return the owners of the attributes that a module sets although another declares them."""
    files = [module("owners", OWNERS), module("here", IMPORTS + text)]
    settings = foreign_settings(files)
    assert all(setting.where.startswith("p/here.py:") for setting in settings)
    return [setting.owner.removeprefix("p.owners.") for setting in settings]


def test_an_attribute_is_set_in_the_file_that_declares_it() -> None:
    """No file sets or deletes an attribute that a class of another file declares.

    The owner has a method for it, named by what it does; or it is an argument of a constructor, or
    a value that is returned. This holds for local objects and for inherited attributes, too. The
    file that declares a record may fill it in. A property's setter is a method.
    """
    broken = foreign_settings(sources("kubesim", "lessons"))
    if broken:
        lines = [f"{each.where}: {each.attribute} is declared by {each.owner}" for each in broken]
        pytest.fail("\n" + "\n".join(lines), pytrace=False)


@pytest.mark.parametrize("case", SETTERS)
def test_a_foreign_attribute_would_be_found(case: str) -> None:
    """Each way to set an attribute of another file's class is found, with the class."""
    text, owner = SETTERS[case]
    assert owners_named(text) == [owner]


@pytest.mark.parametrize("case", ALLOWED)
def test_what_a_file_owns_may_be_set(case: str) -> None:
    """Own attributes, records, setters, and objects of other libraries are no one else's."""
    assert owners_named(ALLOWED[case]) == []
