"""What the files of the tree declare: classes with their attributes, and the names of a module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from source_tree import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef | Function | ast.Lambda


@dataclass(eq=False)
class Owner:
    """A class of the tree.

    Attributes:
        name: dotted.
        source: its file.
        node: its definition.
        attributes: attribute -> what says its type: (expression, where it stands, whether it is an
            annotation and not a value).
        setters: properties that can be set: setting them calls a method.
        fixed: its objects cannot be changed, as those of a NamedTuple.
        protocol: it is a Protocol.
    """

    name: str
    source: Source
    node: ast.ClassDef
    attributes: dict[str, list[tuple[ast.expr, Scope, bool]]] = field(default_factory=dict)
    setters: set[str] = field(default_factory=set)
    fixed: bool = False
    protocol: bool = False


def owner_of(dotted: str, source: Source, node: ast.ClassDef) -> Owner:
    """Read a class.

    Args:
        dotted: its name.
        source: its file.
        node: its definition.
    """
    bases = {ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases}
    frozen = any("frozen=True" in ast.unparse(each) for each in node.decorator_list)
    owner = Owner(dotted, source, node)
    owner.fixed = frozen or bool(bases & {"NamedTuple", "TypedDict"})
    owner.protocol = "Protocol" in bases
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = (statement.annotation, node, True)
            owner.attributes.setdefault(statement.target.id, []).append(kind)
        elif isinstance(statement, ast.Assign):
            for name in _declared_by(statement):
                owner.attributes.setdefault(name, [])
        elif isinstance(statement, Function):
            if any(ast.unparse(each).endswith(".setter") for each in statement.decorator_list):
                owner.setters.add(statement.name)
            _read_method(owner, statement)
    return owner


def _read_method(owner: Owner, method: Function) -> None:
    for node in ast.walk(method):
        if isinstance(node, ast.AnnAssign) and _of_self(node.target):
            kinds = owner.attributes.setdefault(node.target.attr, [])
            kinds.append((node.annotation, method, True))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                for part, value in _pairs(target, node.value):
                    if _of_self(part):
                        kinds = owner.attributes.setdefault(part.attr, [])
                        kinds.append((value, method, False))


def names_of(source: Source, nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Yield (name, dotted name) of what a file imports and defines."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (
                    (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
    for statement in source.tree.body:
        if isinstance(statement, (ast.ClassDef, Function)):
            yield statement.name, f"{source.name}.{statement.name}"
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, f"{source.name}.{target.id}"


def _declared_by(statement: ast.Assign) -> Iterator[str]:
    """Yield the attributes that an assignment in a class body declares, also by `__slots__`."""
    for target in statement.targets:
        if isinstance(target, ast.Name) and target.id != "__slots__":
            yield target.id
        elif isinstance(target, ast.Name) and isinstance(statement.value, ast.Tuple):
            yield from (str(slot.value) for slot in statement.value.elts)  # type: ignore[attr-defined]


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield (target, value) of an assignment; in ``a, b = (f() for ...)`` both values are f()."""
    if not isinstance(target, (ast.Tuple, ast.List)):
        yield target, value
    elif isinstance(value, (ast.Tuple, ast.List)):
        yield from zip(target.elts, value.elts, strict=False)
    else:
        element = value.elt if isinstance(value, (ast.GeneratorExp, ast.ListComp)) else None
        yield from ((part, element or ast.Constant(None)) for part in target.elts)


def _of_self(target: ast.expr) -> bool:
    return (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id in ("self", "cls")
    )
