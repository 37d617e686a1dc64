"""The rules of the source tree: layers, clocks, sizes, docstrings, machine paths, decision records.

Each rule is one test that lists every place that breaks it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from source_tree import ROOT, Source, import_cycles, sources

KUBESIM = sources("kubesim")
LESSONS = sources("lessons")
PYTHON = [*KUBESIM, *LESSONS]

# A module may import from those in the same set's row and from every row above it; rows that hold
# siblings in separate sets never import each other.
LAYERS: list[list[set[str]]] = [
    [{"errors"}, {"version"}, {"usercode"}],
    [{"bytetext"}, {"quantity"}, {"table"}, {"clock"}, {"yamltext"}],
    [{"analytics"}, {"arguments"}],
    [{"objects"}],
    [{"store"}],
    [{"simple"}],  # the original's pod records: a projection of the store, behind KubeAPI
    [{"apiserver"}],
    [{"client"}],
    [{"rest"}],
    [{"kindtable"}, {"controllers"}, {"scheduler"}, {"autoscaler"}, {"kubelet"}, {"traffic"}],
    [{"ctl"}, {"options"}],
    [{"machines"}],
    [{"cluster"}],
    [{"experiment"}, {"testing"}],
    [{"__main__"}],
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for group in row for name in group}

# The packages that may use wall time, threads and randomness, and why.
MAY_USE = {
    "time": {"clock", "rest"},  # rest: deadlines of sockets are wall time
    # store: its lock; __main__: signals; testing: a driver of virtual time beside the test
    "threading": {"clock", "store", "rest", "__main__", "testing"},
    "random": {"clock"},
    "sched": set(),
    "asyncio": set(),
    "secrets": {"apiserver", "rest", "__main__"},  # tokens must not come from the seed
    "uuid": set(),
    "concurrent": {"experiment"},  # an executor that the caller gives
    "multiprocessing": set(),
    "_thread": set(),
}
FORBIDDEN_CALLS = re.compile(
    r"\b(datetime|dt)\.(now|utcnow|today)\b|\bdate\.today\b|\burandom\b|\b__import__\b"
)
# Names that `kubesim/__init__.py` imports at their first use, and the modules they are in.
LAZY = {"Cluster": "cluster"}

# Packages that the core uses if they are installed, where, and why; a message says what to install.
OPTIONAL = {
    ("testing.py", "kubernetes"),  # a lab returns configured clients
    ("testing.py", "pytest"),  # and is a fixture
    ("table.py", "pandas"),  # people who work with DataFrames have it
    ("yamltext.py", "yaml"),  # manifests are YAML
}

MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 50


def _is_module(name: str) -> bool:
    return (ROOT / "kubesim" / name).is_dir() or (ROOT / "kubesim" / f"{name}.py").exists()


def report(broken: list[str]) -> None:
    """Fail with every place that breaks the rule."""
    if broken:
        pytest.fail("\n" + "\n".join(broken), pytrace=False)


# ------------------------------------------------------------------------------ imports


def test_imports_are_written_in_full() -> None:
    """No relative import: a reader sees where a name comes from."""
    report(
        [
            f"{source.where}:{node.lineno}"
            for source in PYTHON
            for node in ast.walk(source.tree)
            if isinstance(node, ast.ImportFrom) and node.level
        ]
    )


def test_imports_follow_the_layers() -> None:
    """A component imports only from the layers beneath it and never from its siblings."""
    broken = []
    for source in KUBESIM:
        here = source.package
        if here == "__init__":
            continue
        assert here in RANK, f"{source.where}: add {here!r} to LAYERS"
        for module, line, _ in source.imports:
            parts = module.split(".")
            if parts[0] != "kubesim" or len(parts) < 2:
                continue
            other = LAZY.get(parts[1], parts[1])
            if other != here and _is_module(other) and RANK[other] >= RANK[here]:
                broken.append(f"{source.where}:{line}: {here} may not import {other}")
    report(broken)


def test_an_import_cycle_would_be_found() -> None:
    """The search for cycles sees short ones, long ones, and one behind a chain."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}, "e": {"f"}, "f": {"e"}, "g": {"a"}}
    assert sorted(import_cycles(graph)) == [["b", "c", "d"], ["e", "f"]]
    assert import_cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_kubesim_needs_the_standard_library_alone() -> None:
    """The core imports nothing that has to be installed, least of all Jupyter, Bokeh or pandas."""
    report(
        [
            f"{source.where}:{line}: {module}"
            for source in KUBESIM
            for module, line, _ in source.imports
            if module.split(".")[0] not in {"kubesim", *sys.stdlib_module_names}
        ]
    )


def test_optional_packages_are_used_only_where_listed() -> None:
    """No module imports a package by name at run time, but for those in OPTIONAL."""
    report(
        [
            f"{source.where}: {name}"
            for source in KUBESIM
            for name in re.findall(r"import_module\(([^)]*)\)", source.text)
            if (source.path.name, name.strip("\"'")) not in OPTIONAL
        ]
    )


def test_time_and_randomness_come_from_the_clock() -> None:
    """Only the packages in MAY_USE use wall time, threads or randomness."""
    broken = []
    for source in KUBESIM:
        here = source.package
        for module, line, typing_only in source.imports:
            top = module.split(".")[0]
            if top in MAY_USE and not typing_only and here not in MAY_USE[top]:
                broken.append(f"{source.where}:{line}: {top} belongs to {MAY_USE[top]}")
        if here != "clock" and (match := FORBIDDEN_CALLS.search(source.text)):
            broken.append(f"{source.where}: only the clock may call {match.group()}")
    report(broken)


def test_kubesim_never_imports_the_lessons() -> None:
    """The core does not depend on the lessons."""
    report(
        [
            f"{source.where}:{line}"
            for source in KUBESIM
            for module, line, _ in source.imports
            if module.split(".")[0] == "lessons"
        ]
    )


def test_only_the_api_server_and_the_composition_root_touch_the_store() -> None:
    """One path for data: components exchange data through the API server and nowhere else."""
    allowed = {"store", "apiserver", "cluster", "simple"}  # simple: its lists read whole prefixes
    report(
        [
            f"{source.where}:{line}: go through KubeAPI"
            for source in KUBESIM
            for module, line, _ in source.imports
            if module.startswith("kubesim.store") and source.package not in allowed
        ]
    )


# ---------------------------------------------------------------------- sizes and folders


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function without its signature and its docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = node.body[1].lineno if documented and len(node.body) > 1 else first.lineno
    return (node.end_lineno or node.lineno) - start + 1


def test_files_and_functions_stay_small() -> None:
    """No file over 400 lines, no function over 50: people read this code to learn."""
    broken = []
    for source in PYTHON:
        lines = source.text.count("\n")
        if lines > MAX_FILE_LINES:
            broken.append(f"{source.where} has {lines} lines")
        for node in ast.walk(source.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = _length(node)
                if lines > MAX_FUNCTION_LINES:
                    broken.append(f"{source.where}:{node.lineno}: {node.name} has {lines} lines")
    report(broken)


# -------------------------------------------------------------------------- documentation


def _undocumented(source: Source) -> list[str]:
    """Return the public classes and functions of a file that have no docstring."""
    tree = source.tree
    private = {
        id(member)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.startswith("_")
        for member in ast.walk(node)
    }
    nested = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef)
        for inner in ast.walk(outer)
        if inner is not outer
    }
    broken = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if node.name.startswith("_"):
            continue
        if id(node) in private or id(node) in nested:
            continue
        if any("overload" in ast.dump(d) or "setter" in ast.dump(d) for d in node.decorator_list):
            continue
        if not ast.get_docstring(node) and not _is_stub(node):
            broken.append(f"{source.where}:{node.lineno}: {node.name} has no docstring")
    return broken


def _is_stub(node: ast.AST) -> bool:
    """Whether the body of a function is ``...`` alone, as in an overload."""
    return (
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    )


def test_public_names_are_documented() -> None:
    """Every module, public class and public function has a docstring."""
    broken = [f"{s.where} has no docstring" for s in PYTHON if not ast.get_docstring(s.tree)]
    report([*broken, *(line for source in PYTHON for line in _undocumented(source))])


def test_no_exception_is_swallowed() -> None:
    """A broad except that only passes would hide a failing component."""
    broken = []
    for source in KUBESIM:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ExceptHandler) and _names_all_errors(node.type):
                if all(_does_nothing(statement) for statement in node.body):
                    broken.append(f"{source.where}:{node.lineno}: say what failed")
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                if any(_names_all_errors(argument) for argument in node.args):
                    broken.append(f"{source.where}:{node.lineno}: say what failed")
    report(broken)


def _names_all_errors(errors: ast.expr | None) -> bool:
    """Whether the errors of an except clause are all, or those of a tuple with `Exception`."""
    broad = {"Exception", "BaseException"}
    return errors is None or any(
        isinstance(name, ast.Name) and name.id in broad for name in ast.walk(errors)
    )


def _does_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, (ast.Pass, ast.Continue))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (test_imports_follow_the_layers, "from kubesim import Cluster"),
        (test_imports_follow_the_layers, "from kubesim import cluster"),
        (test_time_and_randomness_come_from_the_clock, "from uuid import uuid4"),
        (test_time_and_randomness_come_from_the_clock, "import concurrent.futures"),
        (test_time_and_randomness_come_from_the_clock, "dt.now(UTC)"),
        (test_time_and_randomness_come_from_the_clock, "os.urandom(3)"),
        (test_public_names_are_documented, "def shout(word):\n    print(word)"),
        (test_public_names_are_documented, "async def shout(word):\n    print(word)"),
        (test_no_exception_is_swallowed, "try:\n    x\nexcept (KeyError, Exception):\n    pass"),
        (test_no_exception_is_swallowed, "try:\n    x\nexcept Exception:\n    ..."),
        (test_no_exception_is_swallowed, "with contextlib.suppress(Exception):\n    x"),
    ],
)
def test_a_broken_rule_would_be_found(
    rule: Callable[[], None], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule fails for a file that breaks it, and passes for one that does not."""
    module = sys.modules[__name__]
    for content, broken in (("", False), (text, True)):
        path = tmp_path / "kubesim" / "store" / "module.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""A module."""\n\n{content}\n')
        source = Source(path, "kubesim.store.module")
        monkeypatch.setattr(Source, "where", str(path))
        monkeypatch.setattr(module, "KUBESIM", [source])
        monkeypatch.setattr(module, "PYTHON", [source])
        if broken:
            with pytest.raises(pytest.fail.Exception):
                rule()
        else:
            rule()


MARKS = re.compile("TO" + "DO|FIX" + "ME|NotImplemented" + "Error")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home)/[a-z]")
TRACKED = (
    *("kubesim/**/*.py", "lessons/**/*.py", "tests/**/*.py", "tools/**/*.py", "benchmarks/**/*.py"),
    *("*.md", "docs/**/*.md", "docs/**/*.csv", "notebooks/*.ipynb", ".github/**/*.*"),
    *("Makefile", "*.toml", "*.yml", "*.yaml", "*.cff", "*.in", "setup.py"),
)


def unfinished_work_and_machine_paths(root: Path) -> list[str]:
    """Return ``file: mark`` of the tracked texts below a folder, but for this file's."""
    paths = [path for pattern in TRACKED for path in sorted(root.glob(pattern))]
    return [
        f"{path.relative_to(root)}: {mark.group()}"
        for path in paths
        if path.resolve() != Path(__file__).resolve()
        for pattern in (MARKS, MACHINE_PATHS)
        if (mark := pattern.search(path.read_text()))
    ]


def test_no_unfinished_work_and_no_machine_paths() -> None:
    """Tracked text carries no mark of unfinished work and no path of somebody's machine."""
    report(unfinished_work_and_machine_paths(ROOT))


@pytest.mark.parametrize(
    "name",
    [
        *("kubesim/a.py", "lessons/ui/a.py", "tests/a/b.py", "tools/a.py", "benchmarks/a.py"),
        *("A.md", "docs/a/b.md", "docs/a.csv", "notebooks/a.ipynb", ".github/workflows/a.yml"),
        *("Makefile", "a.toml", "a.yml", "a.yaml", "a.cff", "a.in", "setup.py"),
    ],
)
@pytest.mark.parametrize(
    "mark", ["see TO" + "DO", "in /wor" + "k/a", "(/hom" + "e/me/a.py)", "/roo" + "t/a"]
)
def test_a_machine_path_would_be_found(name: str, mark: str, tmp_path: Path) -> None:
    """In each kind of tracked file; an address or a relative path is none."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("https://example.org/wor" + "k/a, ./hom" + "e/a, /Work, /works/a")
    assert unfinished_work_and_machine_paths(tmp_path) == []
    path.write_text(mark)
    (place,) = unfinished_work_and_machine_paths(tmp_path)
    assert place.startswith(f"{name}: ")


def test_every_decision_has_a_number_of_its_own_and_a_line_in_the_index() -> None:
    """Numbers run from 1 without a gap; titles say them, and the index has title and file."""
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    records = sorted(folder.glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for number, path in enumerate(records, 1):
        title = path.read_text().splitlines()[0].removeprefix("# ")
        assert title.startswith(f"{number}. ")
        assert f"- [{title}]({path.name}): " in index, path.name
    assert index.count("\n- [") == len(records)
