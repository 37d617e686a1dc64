"""The rules of the house, executed: layers, clocks, sizes, docstrings, secrets of the machine."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KUBESIM = sorted((ROOT / "kubesim").rglob("*.py"))
LESSONS = sorted((ROOT / "lessons").rglob("*.py"))
PYTHON = [*KUBESIM, *LESSONS]

# A module may import from those in the same set's row and from every row above it; rows that hold
# siblings in separate sets never import each other.
LAYERS: list[list[set[str]]] = [
    [{"errors"}, {"version"}],
    [{"quantity"}, {"table"}, {"clock"}, {"yamltext"}],
    [{"analytics"}],
    [{"objects"}],
    [{"store"}],
    [{"apiserver"}],
    [{"client"}, {"simple"}],
    [{"rest"}],
    [{"controllers"}, {"scheduler"}, {"autoscaler"}, {"kubelet"}, {"traffic"}],
    [
        {"ctl"},
        {"explain"},
        {"overview"},
        {"autopod"},
        {"tracing"},
        {"rollouts"},
        {"nodes"},
        {"outages"},
    ],
    [{"cluster"}],
    [{"experiment"}, {"testing"}],
    [{"__main__"}],
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for group in row for name in group}

# Who may know wall time, threads and randomness, and why.
MAY_USE = {
    "time": {"clock", "rest"},  # rest: deadlines of sockets are wall time
    # store: its lock; __main__: signals; testing: a driver of virtual time beside the test
    "threading": {"clock", "store", "rest", "__main__", "testing"},
    "random": {"clock"},
    "sched": set(),
    "asyncio": set(),
    "secrets": {"rest", "__main__"},  # tokens must not come from the seed
}
FORBIDDEN_CALLS = re.compile(r"datetime\.(now|utcnow|today)|uuid\.?uuid[14]|date\.today")


def part_of(path: Path) -> str:
    """The room of the house that a file belongs to: ``store``, ``cluster`` ..."""
    inside = path.relative_to(ROOT / "kubesim").parts
    return inside[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(module, line, only for type checkers) of each import in a file."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the import in full"
            yield node.module or "", node.lineno, id(node) in typing_only
            if node.module == "kubesim":
                for alias in node.names:
                    yield f"kubesim.{alias.name}", node.lineno, id(node) in typing_only


def _is_module(name: str) -> bool:
    return (ROOT / "kubesim" / name).is_dir() or (ROOT / "kubesim" / f"{name}.py").exists()


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", KUBESIM, ids=ids(KUBESIM))
def test_imports_follow_the_layers(path: Path) -> None:
    """A component imports only from the layers beneath it and never from its siblings."""
    here = part_of(path)
    if here == "__init__":
        return
    assert here in RANK, f"{path}: say in LAYERS where {here!r} stands"
    for module, line, _ in imports_of(path):
        if not module.startswith("kubesim."):
            continue
        other = module.split(".")[1]
        if other == here or not _is_module(other):
            continue
        assert RANK[other] < RANK[here], f"{path}:{line}: {here} may not import {other}"


@pytest.mark.parametrize("path", KUBESIM, ids=ids(KUBESIM))
def test_kubesim_needs_the_standard_library_alone(path: Path) -> None:
    """The core imports nothing that has to be installed, least of all Jupyter, Bokeh or pandas."""
    for module, line, _ in imports_of(path):
        top = module.split(".")[0]
        assert top == "kubesim" or top in sys.stdlib_module_names, f"{path}:{line}: {module}"


# What the core may use if it is there, where, and why; each says what to install if it is not.
OPTIONAL = {
    ("testing.py", "kubernetes"),  # a lab hands out clients
    ("testing.py", "pytest"),  # and is a fixture
    ("table.py", "pandas"),  # a reader who works with frames has it
    ("yamltext.py", "yaml"),  # manifests are YAML
}


@pytest.mark.parametrize("path", KUBESIM, ids=ids(KUBESIM))
def test_optional_packages_are_used_where_it_is_said(path: Path) -> None:
    """No module imports a package by name at run time, but for those in OPTIONAL."""
    for name in re.findall(r"import_module\(([^)]*)\)", path.read_text()):
        assert (path.name, name.strip("\"'")) in OPTIONAL, f"{path}: {name}"


@pytest.mark.parametrize("path", KUBESIM, ids=ids(KUBESIM))
def test_time_and_randomness_come_from_the_clock(path: Path) -> None:
    """Only the rooms listed in MAY_USE know wall time, threads or randomness."""
    here = part_of(path)
    for module, line, typing_only in imports_of(path):
        top = module.split(".")[0]
        if top in MAY_USE and not typing_only:
            assert here in MAY_USE[top], f"{path}:{line}: {top} belongs to {MAY_USE[top]}"
    if here != "clock":
        found = FORBIDDEN_CALLS.search(path.read_text())
        assert found is None, f"{path}: {found.group() if found else ''} is for the clock alone"


@pytest.mark.parametrize("path", PYTHON, ids=ids(PYTHON))
def test_files_and_functions_stay_small(path: Path) -> None:
    """No file over 400 lines, no function over 50: people read this code to learn."""
    text = path.read_text()
    assert text.count("\n") <= 400, f"{path} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            first = body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            start = body[1].lineno if documented and len(body) > 1 else first.lineno
            lines = (node.end_lineno or node.lineno) - start + 1
            assert lines <= 50, f"{path}:{node.lineno}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", PYTHON, ids=ids(PYTHON))
def test_public_names_are_documented(path: Path) -> None:
    """Every module, public class and public function says what it is."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path} has no docstring"
    private = {
        id(member)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.startswith("_")
        for member in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
            continue
        if id(node) in private:
            continue
        nested = any(
            node in ast.walk(outer) and node is not outer
            for outer in ast.walk(tree)
            if isinstance(outer, ast.FunctionDef)
        )
        if nested or any(
            "overload" in ast.dump(d) or "setter" in ast.dump(d) for d in node.decorator_list
        ):
            continue
        small_protocol_member = len(node.body) == 1 and isinstance(node.body[0], ast.Expr)
        assert ast.get_docstring(node) or small_protocol_member, (
            f"{path}:{node.lineno}: {node.name} has no docstring"
        )


@pytest.mark.parametrize("path", KUBESIM, ids=ids(KUBESIM))
def test_nothing_is_swallowed(path: Path) -> None:
    """A broad except that only passes would hide a failing component."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            )
            silent = all(isinstance(statement, ast.Pass) for statement in node.body)
            assert not (broad and silent), f"{path}:{node.lineno}: say what failed"


def test_kubesim_never_looks_at_the_lessons() -> None:
    """The core does not know that lessons exist."""
    for path in KUBESIM:
        for module, line, _ in imports_of(path):
            assert module.split(".")[0] != "lessons", f"{path}:{line}"


def test_only_the_api_server_and_the_composition_root_touch_the_store() -> None:
    """One road for data: components meet in the API server and nowhere else."""
    allowed = {"store", "apiserver", "cluster"}
    for path in KUBESIM:
        for module, line, _ in imports_of(path):
            if module.startswith("kubesim.store"):
                assert part_of(path) in allowed, f"{path}:{line}: go through KubeAPI"


def test_no_unfinished_work_and_no_machine_paths() -> None:
    """Tracked text carries no mark of unfinished work and no path of anybody's machine."""
    marks = re.compile("TO" + "DO|FIX" + "ME|NotImplemented" + "Error")
    paths = re.compile(r"(?<![\w.])/(work|root|home)/[a-z]")
    texts = [*PYTHON, *sorted((ROOT / "tests").rglob("*.py")), *sorted(ROOT.glob("*.md"))]
    texts += [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]
    for path in texts:
        if path == Path(__file__):
            continue
        text = path.read_text()
        for pattern in (marks, paths):
            found = pattern.search(text)
            assert found is None, f"{path}: {found.group() if found else ''}"


def test_the_house_has_three_levels_of_folders() -> None:
    """kubesim/component/part/file.py and no deeper: a folder has the real component's name."""
    deep = {"/".join(path.relative_to(ROOT).parts[:-1]) for path in PYTHON}
    assert {folder for folder in deep if folder.count("/") > 2} == set()


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
