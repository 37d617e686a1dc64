"""Rules about the whole tree: import cycles, folders, one name for each class, few untyped places.

Each rule is one test that lists every place that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict

import pytest
from source_tree import ROOT, import_cycles, import_graph, sources

PYTHON = sources("kubesim", "lessons")
FEWEST_FILES, MOST_FILES, MOST_LEVELS = 4, 16, 3


def report(broken: list[str]) -> None:
    """Fail with every place that breaks the rule."""
    if broken:
        pytest.fail("\n" + "\n".join(broken), pytrace=False)


@pytest.mark.parametrize("package", ["kubesim", "lessons"])
def test_no_modules_import_each_other(package: str) -> None:
    """No import cycle, whether at run time, inside a function or for type checkers alone."""
    cycles = import_cycles(import_graph(sources(package)))
    report([" <-> ".join(cycle) for cycle in cycles])


# A controller and its plan belong together even where there is no third file.
SMALL_FOLDERS = re.compile(r"kubesim/controllers/[a-z]+")


def test_a_folder_holds_four_to_sixteen_files_and_the_tree_has_three_levels() -> None:
    """Names are easy to find: package/part/file.py, and no deeper.

    A folder whose parts are folders themselves may have fewer files of its own.
    """
    count = Counter(source.path.parent.relative_to(ROOT) for source in PYTHON)
    with_folders = {folder.parent for folder in count}
    broken = []
    for folder, files in count.items():
        small = SMALL_FOLDERS.fullmatch(folder.as_posix())
        fewest = 1 if folder in with_folders else 3 if small else FEWEST_FILES
        if not fewest <= files <= MOST_FILES:
            broken.append(f"{folder}: {files} files; wanted are {fewest} to {MOST_FILES}")
        if len(folder.parts) > MOST_LEVELS:
            broken.append(f"{folder} is deeper than {MOST_LEVELS} levels")
    report(broken)


def test_a_class_name_stands_once() -> None:
    """One word has one meaning in the whole tree."""
    places: dict[str, list[str]] = defaultdict(list)
    for source in PYTHON:
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(source.where)
    report(
        [f"{name}: {', '.join(where)}" for name, where in sorted(places.items()) if len(where) > 1]
    )


ANY_LIMIT = 300


def test_any_stays_rare() -> None:
    """`Any` switches the type checker off: fewer than 300 in kubesim and lessons together."""
    count = Counter(
        {
            source.where: sum(
                isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(source.tree)
            )
            for source in PYTHON
        }
    )
    assert count.total() < ANY_LIMIT, (count.total(), count.most_common(10))
