"""Rules about words: what docstrings say of parameters, and names that say what a value holds.

Each rule is one test that lists every place that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from source_tree import Source, sources

PYTHON = sources("kubesim", "lessons")
FEWEST_PARAMETERS = 3  # from here on, the docstring has Args

Function = ast.FunctionDef | ast.AsyncFunctionDef


def report(broken: list[str]) -> None:
    """Fail with every place that breaks the rule."""
    if broken:
        pytest.fail("\n" + "\n".join(broken), pytrace=False)


# --------------------------------------------------------------------------- parameters


class Method(NamedTuple):
    """A public function, or a public method with its class.

    Attributes:
        source: its file.
        owner: its class; None for a function.
        node: its definition.
    """

    source: Source
    owner: ast.ClassDef | None
    node: Function


def section(docstring: str, title: str) -> set[str]:
    """Return the names that a section of a docstring explains.

    >>> sorted(section("Do.\\n\\nArgs:\\n    a, *b: one\\n        or two: lines.\\n", "Args"))
    ['a', 'b']
    """
    match = re.search(rf"^{title}:\n((?:    .*\n?|\n)*)", docstring, re.M)
    names = re.findall(r"^    ([\w*][^:]*?):(?:\s|$)", match[1], re.M) if match else []
    return {name.strip().lstrip("*") for each in names for name in each.split(",")}


def parameters(method: Method) -> list[str]:
    """Return the names of the parameters, without self and those that are ignored (`_name`)."""
    arguments = method.node.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    is_static = any("staticmethod" in ast.dump(each) for each in method.node.decorator_list)
    if method.owner is not None and not is_static:
        names = names[1:]
    names += [each.arg for each in arguments.kwonlyargs]
    names += [each.arg for each in (arguments.vararg, arguments.kwarg) if each is not None]
    return [name for name in names if not name.startswith("_")]


def methods_in(
    source: Source, body: list[ast.stmt], owner: ast.ClassDef | None = None
) -> Iterator[Method]:
    """Yield the public functions, methods and constructors of a module or class."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from methods_in(source, node.body, node)
        elif isinstance(node, Function):
            if node.name == "__init__" or not node.name.startswith("_"):
                yield Method(source, owner, node)


METHODS = [method for source in PYTHON for method in methods_in(source, source.tree.body)]
CLASSES = {m.owner.name: m.owner for m in METHODS if m.owner is not None}


def explained(method: Method) -> set[str]:
    """Return the parameters that the function's docstring explains; a constructor's class does."""
    if method.node.name != "__init__" or method.owner is None:
        return section(ast.get_docstring(method.node) or "", "Args")
    names: set[str] = set()
    classes = [method.owner]
    while classes:
        each = classes.pop()
        docstring = ast.get_docstring(each) or ""
        names |= section(docstring, "Args") | section(docstring, "Attributes")
        plain = (base.value if isinstance(base, ast.Subscript) else base for base in each.bases)
        bases = (base.id for base in plain if isinstance(base, ast.Name))
        classes += [CLASSES[base] for base in bases if base in CLASSES]
    return names


def test_parameters_are_explained() -> None:
    """Each public function with three or more parameters has Args that name all of them.

    A method with the name of another class's method may leave out what that one explains: an
    implementation takes what its protocol or base class says. Constructors are explained by the
    Args and Attributes of their class and its bases.
    """
    elsewhere: dict[str, set[str]] = defaultdict(set)
    for method in METHODS:
        if method.owner is not None and method.node.name != "__init__":
            elsewhere[method.node.name] |= explained(method)
    broken = []
    for method in METHODS:
        names, node = parameters(method), method.node
        if len(names) < FEWEST_PARAMETERS or "overload" in ast.dump(node):
            continue
        described = explained(method) | (elsewhere[node.name] if method.owner else set())
        if missing := [name for name in names if name not in described]:
            owner = f"{method.owner.name}." if method.owner else ""
            place = f"{method.source.where}:{node.lineno}"
            broken.append(f"{place}: {owner}{node.name} does not explain {', '.join(missing)}")
    report(broken)
