"""Names that people rely on: paths in pages, functions of the table, what moved, `__all__`."""

from __future__ import annotations

import csv
import re
from importlib import import_module
from types import ModuleType

import pytest
from source_tree import ROOT

MOVED = ROOT / "docs" / "moved.csv"
TABLE = "## Pure functions that take cases from outside"
PAGES = ["ARCHITECTURE.md", "CONTRIBUTING.md"]
PUBLIC = [
    "kubesim",
    "kubesim.autoscaler",
    "kubesim.experiment",
    "kubesim.scheduler",
    "kubesim.testing",
    "kubesim.traffic",
    "lessons",
]
# `kubesim/rest/`, `docs/moved.csv`; not `/scale`, not `deployment/web`.
PATH = re.compile(
    r"[\w.*-]+(?:/[\w.*-]+)*/|[\w.*/-]*\w\.(?:py|md|toml|ya?ml|csv|lock|ipynb|gz|cff|json)"
)
TOP = ("kubesim/", "lessons/", "notebooks/", "tests/", "tools/", "benchmarks/", "docs/")
PLACEHOLDER = re.compile(r"[A-Z]{2,}")  # NAME, NN: any file that fits


def resolve(dotted: str) -> object:
    """Return the module, class, function or method of that name.

    Raises:
        AttributeError: there is none.
    """
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            value = getattr(value, name)
        return value
    raise AttributeError(dotted)


def exists(path: str) -> bool:
    """Return whether a path of the project exists; `NAME` in it stands for any name."""
    return (ROOT / path).exists() or any(ROOT.glob(PLACEHOLDER.sub("*", path)))


def paths_in(page: str) -> list[str]:
    """Return the paths in a page's code spans; code blocks are left out."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
    return [span for span in re.findall(r"`([^`\n]+)`", text) if PATH.fullmatch(span)]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_a_page_exists(page: str) -> None:
    """ARCHITECTURE.md and CONTRIBUTING.md name files and folders that are there."""
    paths = paths_in(page)
    assert len(paths) > 20
    missing = [path for path in paths if not exists(path)]
    assert not missing, f"{page} names what does not exist: {missing}"


def test_the_architecture_lists_each_folder() -> None:
    """The table of folders has each package inside the packages."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    inits = [*ROOT.glob("kubesim/*/*/__init__.py"), *ROOT.glob("lessons/*/__init__.py")]
    folders = [str(init.parent.relative_to(ROOT)) for init in inits]
    assert len(folders) > 40
    assert [folder for folder in folders if f"`{folder}/`" not in text] == []


def test_every_path_from_the_root_in_a_page_exists() -> None:
    """README, guides, decision records: a path that starts at a folder of the project is there."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"]
    missing = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in sorted(pages)
        for path in paths_in(str(page.relative_to(ROOT)))
        if path.startswith(TOP) and not exists(path)
    ]
    assert not missing


def test_a_path_that_does_not_exist_would_be_found() -> None:
    """A placeholder stands for a name, and for nothing else."""
    assert exists("kubesim/controllers/NAME/plan.py")
    assert not exists("kubesim/controllers/NAME/pla.py")
    assert not exists("kubesim/controler/")


def table_names() -> list[str]:
    """Return the dotted names in ARCHITECTURE.md's table of pure functions, from `kubesim` on.

    A short name in a cell is of the same module as the dotted name before it.
    """
    names = []
    section = (ROOT / "ARCHITECTURE.md").read_text().split(TABLE)[1]
    for cell in re.findall(r"^\|[^|]*\|(.*)\|$", section, re.M):
        module = ""
        for name in re.findall(r"`([A-Za-z_][\w.]*)`", cell):
            if "." in name or not module:
                whole = f"kubesim.{name}"
                is_module = isinstance(resolve(whole), ModuleType)
                module = whole if is_module else whole.rpartition(".")[0]
                names.append(whole)
            else:
                names.append(f"{module}.{name}")
    return names


def test_every_function_of_the_table_is_there() -> None:
    """ARCHITECTURE.md names modules and functions that exist."""
    names = table_names()
    assert len(names) > 120
    for name in names:
        resolve(name)


def test_every_name_that_moved_is_at_its_new_place() -> None:
    """docs/moved.csv: each old name once, each new name importable."""
    with MOVED.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows and list(rows[0]) == ["old", "new"]
    assert len({row["old"] for row in rows}) == len(rows), "an old name stands twice"
    missing = []
    for row in rows:
        assert row["old"] != row["new"], row
        try:
            resolve(row["new"])
        except AttributeError:
            missing.append(row)
    assert not missing, f"renamed again: correct the column `new` of docs/moved.csv: {missing}"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_package_lists_its_names(name: str) -> None:
    """Every name in `__all__` exists, and stands there once."""
    module = import_module(name)
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert getattr(module, public) is not None
