"""Rules about words: what docstrings say of parameters, and names that say what a value holds.

Each rule is one test that lists every place that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
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
    """Return the names that a section of a docstring explains."""
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


@cache
def methods() -> list[Method]:
    """Return the public functions and methods of the whole tree."""
    return [method for source in PYTHON for method in methods_in(source, source.tree.body)]


@cache
def classes_by_name() -> dict[str, ast.ClassDef]:
    """Return the classes that have methods, by their names."""
    return {method.owner.name: method.owner for method in methods() if method.owner is not None}


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
        classes += [classes_by_name()[base] for base in bases if base in classes_by_name()]
    return names


def test_parameters_are_explained() -> None:
    """Each public function with three or more parameters has Args that name all of them.

    A method with the name of another class's method may leave out what that one explains: an
    implementation takes what its protocol or base class says. Constructors are explained by the
    Args and Attributes of their class and its bases.
    """
    elsewhere: dict[str, set[str]] = defaultdict(set)
    for method in methods():
        if method.owner is not None and method.node.name != "__init__":
            elsewhere[method.node.name] |= explained(method)
    broken = []
    for method in methods():
        names, node = parameters(method), method.node
        if len(names) < FEWEST_PARAMETERS or "overload" in ast.dump(node):
            continue
        described = explained(method) | (elsewhere[node.name] if method.owner else set())
        if missing := [name for name in names if name not in described]:
            owner = f"{method.owner.name}." if method.owner else ""
            place = f"{method.source.where}:{node.lineno}"
            broken.append(f"{place}: {owner}{node.name} does not explain {', '.join(missing)}")
    report(broken)


# ------------------------------------------------------------------------------- names

# Participles and pronouns: a local variable says what it holds (`existing`, `message`, `plan`).
VAGUE = {
    "asked",
    "care",
    "drawn",
    "found",
    "gone",
    "held",
    "known",
    "made",
    "mended",
    "mine",
    "news",
    "said",
    "seen",
    "somebody",
    "taken",
    "there",
    "told",
    "wanted",
    "who",
    "whoever",
    "wish",
}
# Parameters of functions in ARCHITECTURE.md's table, and of what the lessons export, are stable.
STABLE = {
    ("kubesim.apiserver.admission.quotas", "exceeded", "asked"),
    ("kubesim.apiserver.fieldmanager.managed", "after_apply", "wanted"),
    ("kubesim.apiserver.schema.strict", "check_fields", "asked"),
    ("kubesim.apiserver.schema.strict", "check_patched", "asked"),
    ("kubesim.apiserver.verbs.create", "check_options", "asked"),
    ("kubesim.autoscaler.metrics.metrics_server", "next_points", "known"),
    ("kubesim.autoscaler.policy.horizontal", "propose", "seen"),
    ("kubesim.autoscaler.policy.horizontal", "propose_for_metrics", "seen"),
    ("kubesim.controllers.node.health", "taint_changes", "wanted"),
    ("kubesim.scheduler.framework.preemption", "find_candidates", "wanted"),
    ("lessons.feedback.predictions", "predict", "mine"),
}


def vague_names(function: Function) -> dict[str, int]:
    """Return the vague names of a function's parameters and local variables, with their lines."""
    names: dict[str, int] = {}
    for node in ast.walk(function):
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) if name in VAGUE:
                names.setdefault(name, node.lineno)
    return names


def test_local_variables_say_what_they_hold() -> None:
    """No parameter or local variable is called `found`, `seen`, `wanted`, `said` ..."""
    broken = []
    for source in PYTHON:
        for node in ast.walk(source.tree):
            if isinstance(node, Function):
                broken += [
                    f"{source.where}:{line}: {node.name} has a variable {name!r}"
                    for name, line in vague_names(node).items()
                    if (source.name, node.name, name) not in STABLE
                ]
    report(broken)


def test_a_broken_rule_of_words_would_be_found() -> None:
    """A section ends where its indentation does; parameters, locals and loop variables count."""
    docstring = "Do.\n\nArgs:\n    a, *b: one\n        or two: lines.\n\nRaises:\n    C: never.\n"
    assert section(docstring, "Args") == {"a", "b"}
    function = ast.parse(
        "def f(seen):\n    found, plan = g(seen)\n    for known in plan: ..."
    ).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert vague_names(function) == {"seen": 1, "found": 2, "known": 3}
