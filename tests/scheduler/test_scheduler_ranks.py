"""The ranks inside the scheduler: a module imports modules of its own rank or of a lower one."""

from __future__ import annotations

import ast
from pathlib import Path

import kubesim.scheduler

ROOT = Path(kubesim.scheduler.__file__).parent
DATA = ("status", "resources", "podinfo", "nodeinfo", "snapshot", "cycle_state", "cycle", "events")


def rank_of(module: str) -> int:
    """Return the rank of a module, named relative to the package."""
    folder, _, name = module.rpartition(".")
    if folder == "framework":
        if name in DATA:
            return 0
        return 1 if name == "interface" else 2
    return {"plugins": 3, "volumes": 3, "explain": 4, "": 5}[folder]


def imported_by(path: Path) -> list[str]:
    """Return the scheduler's modules that a file imports, TYPE_CHECKING imports included."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                file = ROOT.parents[1].joinpath(*full.split(".")).with_suffix(".py")
                names.append(full if file.exists() else node.module)
    prefix = "kubesim.scheduler."
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def test_lower_ranks_do_not_import_higher_ones() -> None:
    """Data < interface < framework < plugins < explain < search, queue and scheduler."""
    edges = [
        (".".join(path.relative_to(ROOT).with_suffix("").parts), imported)
        for path in ROOT.rglob("*.py")
        if path.name != "__init__.py"
        for imported in imported_by(path)
    ]
    assert len(edges) > 100
    assert [edge for edge in edges if rank_of(edge[0]) < rank_of(edge[1])] == []
