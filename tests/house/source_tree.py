"""The source tree as data: each file is read and parsed once for all rules."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Import(NamedTuple):
    """One imported module.

    Attributes:
        module: its dotted name, in full.
        line: its line number.
        typing_only: whether it is below ``if TYPE_CHECKING``.
    """

    module: str
    line: int
    typing_only: bool


@dataclass(frozen=True)
class Source:
    """One Python file of the project.

    Attributes:
        path: the file.
        name: its dotted module name; a package has the name of its folder.
    """

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        """The content of the file."""
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text)

    @cached_property
    def where(self) -> str:
        """The path from the project's root, for messages."""
        return str(self.path.relative_to(ROOT))

    @property
    def package(self) -> str:
        """The package or module below the root: ``store``, ``cluster`` ..."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import of the file, also those inside functions and for type checkers."""
        typing_only = {
            id(node)
            for block in ast.walk(self.tree)
            if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
            for node in ast.walk(block)
        }
        return tuple(
            Import(module, node.lineno, id(node) in typing_only)
            for node in ast.walk(self.tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for module in _modules(node)
        )


def _modules(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the modules that an import statement names; for ``from a import b`` both a and a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        module = node.module or ""
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names)


def module(name: str, text: str) -> Source:
    """Return a source of a package `p` that is on no disk, for the tests of the rules."""
    source = Source(ROOT / "p" / f"{name}.py", f"p.{name}")
    source.__dict__["text"] = dedent(text)
    return source


def sources(*folders: str) -> list[Source]:
    """Return the Python files below the folders, ordered by path."""
    return [source for folder in folders for source in _sources_of(folder)]


@cache
def _sources_of(folder: str) -> tuple[Source, ...]:
    """Return the files below one folder; each is read and parsed once for all rules."""
    return tuple(Source(path, _dotted(path)) for path in sorted((ROOT / folder).rglob("*.py")))


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def project_imports() -> dict[str, set[str]]:
    """Return the import graph of `kubesim` and `lessons`."""
    return import_graph(sources("kubesim", "lessons"))


def import_graph(files: Iterable[Source]) -> dict[str, set[str]]:
    """Return module -> the project's modules that it imports.

    ``from package import name`` counts as an import of the module that the name is, or else of the
    package.
    """
    files = list(files)
    known = {source.name for source in files}
    graph: dict[str, set[str]] = {}
    for source in files:
        named: set[str] = set()
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    named.add(whole if whole in known else node.module)
        graph[source.name] = (named & known) - {source.name}
    return graph


def members_of(package: str, graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports between the members of a package: its modules, and its folders as a whole.

    The package's own `__init__` is the member `__init__`. So ``kubesim.rest`` has the members
    `http`, `kube`, `server` ...; `rest.handler` imports `rest.kube.routes`: that is an import from
    `handler` to `kube`.

    Args:
        package: dotted name of the package.
        graph: module -> the modules that it imports.
    """

    def member(module: str) -> str:
        inside = module.removeprefix(package).removeprefix(".")
        return inside.split(".")[0] or "__init__"

    def is_inside(module: str) -> bool:
        return module == package or module.startswith(f"{package}.")

    members: dict[str, set[str]] = {}
    for module in filter(is_inside, graph):
        here = members.setdefault(member(module), set())
        here |= {member(other) for other in graph[module] if is_inside(other)}
    return {name: others - {name} for name, others in members.items()}


def import_cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others.

    These are the strongly connected components of more than one module (Tarjan's algorithm).
    """
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            position = stack.index(module)
            group = stack[position:]
            del stack[position:]
            if len(group) > 1:
                cycles.append(sorted(group))

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return cycles
