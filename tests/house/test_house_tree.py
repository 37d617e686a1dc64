"""Rules about the whole tree: import cycles, members, folders, class names, few untyped places.

Each rule is one test that lists every place that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
from source_tree import (
    ROOT,
    Source,
    import_cycles,
    import_graph,
    members_of,
    module,
    project_imports,
    sources,
)

PYTHON = sources("kubesim", "lessons")
PACKAGES = [source.name for source in PYTHON if source.path.name == "__init__.py"]

# The members of a package are its modules and its folders. A member imports from the rows above its
# own, never from its own row or a row below. Every package that has folders is listed.
INNER_LAYERS: dict[str, list[set[str]]] = {
    "kubesim.apiserver": [
        {"audit", "kindversions", "parts", "stringformats", "validation"},
        {"options", "podvalidation", "registry"},
        {"core"},
        {"access", "admission", "printers", "schema", "typedverbs"},
        {"fieldmanager", "kindrules", "patch", "watching"},
        {"kinds"},
        {"clusterkinds", "storagekinds"},
        {"upkeep"},
        {"customkinds", "verbs"},
        {"bootstrap"},
        {"kubeapi"},
    ],
    "kubesim.autoscaler": [
        {"constants", "selector_index"},
        {"types"},
        {"hpa_spec", "metrics"},
        {"observer", "records"},
        {"policy"},
        {"horizontal"},
        {"shadow"},
    ],
    "kubesim.controllers": [
        {
            "attachdetach",
            "clusterrole",
            "garbage",
            "namespace",
            "node",
            "persistentvolume",
            "quota",
            "serviceaccount",
            "shared",
        },
        {
            "daemonset",
            "deployment",
            "disruption",
            "endpointslice",
            "job",
            "replicaset",
            "statefulset",
        },
        {"cronjob", "endpoints"},  # CronJobs make Jobs; Endpoints and slices share their rules
    ],
    "kubesim.ctl": [
        {"access", "apply", "describe_node", "diagnosis", "drain", "get", "machine", "outages"}
        | {"trace"},
        {"explain", "node", "rollout"},
    ],
    "kubesim.kubelet": [
        {"admission", "images", "network", "stages", "text", "usage"},
        {"shell"},
        {"nodeobject", "process"},
        {"volumemanager"},
        {"config", "nodestatus", "pod"},
        {"eviction", "podworkers"},
        {"localstorage"},
        {"eviction_manager"},
        {"kubelet"},
    ],
    "kubesim.objects": [
        {"cron", "frozen", "intstr", "types", "wellknown"},
        {"kindnames", "meta", "taints"},
        {"selectors"},
        {"nodeaffinity", "pods", "progress", "references"},
        {"attachments", "usage", "volumes"},
    ],
    "kubesim.rest": [
        {"http", "kubeconfig", "prometheus", "users"},
        {"remote", "serializer"},
        {"kube"},
        {"handler"},
        {"simple"},
        {"server"},
    ],
    "kubesim.scheduler": [
        {"framework", "totals_tree"},
        {"cache", "plugins", "policy", "queue", "search", "volumes"},
        {"binding", "contents", "explain", "grouped_totals", "loop", "registry"},
        {"eventhandlers", "fastpath"},
        {"scheduler"},
        {"multi"},
    ],
    "lessons": [
        {"clusters", "feedback", "health", "kubectl", "pods", "refresh", "start", "toy"},
        {"__main__", "check", "ui"},
        {"cockpit", "rollout", "scheduler", "session", "tuning"},
        {"exercises"},
    ],
    "lessons.ui": [
        {"charts", "css", "html", "live", "open_panels", "rest", "series", "still_output"}
        | {"transport", "widgets"},
        {"base_panel"},
    ],
}
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


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "kubesim"])
def test_no_members_of_a_package_import_each_other(package: str) -> None:
    """The modules and folders of a package form no cycle, each folder taken as one.

    So no two folders next to each other import each other, and no module of a package imports from
    a folder whose files import that module. A package's own `__init__` is a member, too: it exports
    what is inside, so nothing inside imports it. Imports in functions and for type checkers count.
    The members of kubesim itself are ranked by LAYERS in `test_house_rules.py`.
    """
    report([" <-> ".join(cycle) for cycle in import_cycles(members_of(package, project_imports()))])


def test_a_cycle_of_members_would_be_found() -> None:
    """Between two folders, between a module and a folder, and through the package's `__init__`."""
    folders = {"p.a.x": {"p.b.y"}, "p.b.y": {"p.b.z"}, "p.b.z": set(), "p.a.w": set()}
    assert import_cycles(members_of("p", folders)) == []
    assert import_cycles(members_of("p", {**folders, "p.b.z": {"p.a.w"}})) == [["a", "b"]]
    module = {"p.low": {"p.a.x"}, "p.a.x": set(), "p.a.y": {"p.low"}, "q.a": {"p.low"}}
    assert import_cycles(members_of("p", module)) == [["a", "low"]]
    assert import_cycles(members_of("p", {"p": {"p.low"}, "p.low": {"p"}})) == [["__init__", "low"]]


@pytest.mark.parametrize("package", INNER_LAYERS)
def test_members_import_from_the_rows_above_them(package: str) -> None:
    """Inside a package the ranks of INNER_LAYERS hold, and each member stands there once."""
    members, rows = members_of(package, project_imports()), INNER_LAYERS[package]
    del members["__init__"]
    listed = [member for row in rows for member in row]
    rank = {member: number for number, row in enumerate(rows) for member in row}
    report(
        [
            *(f"{package}: {name} is not listed" for name in members if name not in rank),
            *(f"{package}: {name} does not exist" for name in listed if name not in members),
            *(f"{package}: {name} is listed twice" for name in rank if listed.count(name) > 1),
            *(
                f"{package}: {member} may not import {other}"
                for member, others in members.items()
                for other in others
                if rank.get(other, -1) >= rank.get(member, len(rank))
            ),
        ]
    )


def test_every_package_with_folders_ranks_its_members() -> None:
    """INNER_LAYERS lists each package that has folders; those of kubesim are ranked by LAYERS."""
    with_folders = {name.rpartition(".")[0] for name in PACKAGES} - {"", "kubesim"}
    assert set(INNER_LAYERS) == with_folders


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
    report(
        [
            f"{name}: {', '.join(where)}"
            for name, where in sorted(class_places(PYTHON).items())
            if len(where) > 1
        ]
    )


def class_places(files: Iterable[Source]) -> dict[str, list[str]]:
    """Return the public classes by name, with the files that define them, once for each class.

    Also those inside of an `if`, a function or another class.
    """
    places: dict[str, list[str]] = defaultdict(list)
    for source in files:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(source.where)
    return places


@pytest.mark.parametrize(
    "text",
    [
        "class Pod: ...",
        "if True:\n    class Pod: ...",
        "if True: ...\nelse:\n    class Pod: ...",
        "try:\n    import yaml\nexcept ImportError:\n    class Pod: ...",
        "def pods():\n    class Pod: ...",
        "class _Pods:\n    class Pod: ...",
    ],
)
def test_a_class_name_that_stands_twice_would_be_found(text: str) -> None:
    """Also if one of the two is inside of another statement; a private class does not count."""
    files = [module("one", "class Pod: ..."), module("other", text)]
    assert class_places(files) == {"Pod": ["p/one.py", "p/other.py"]}
    files = [module("one", "class _Pod: ..."), module("other", text.replace("Pod", "_Pod"))]
    assert class_places(files) == {}


ANY_LIMIT = 300


def any_count(files: Iterable[Source]) -> Counter[str]:
    """Return how often each file writes `Any` or `typing.Any`; importing it does not count."""
    return Counter(
        {
            source.where: sum(
                (isinstance(node, ast.Name) and node.id == "Any")
                or (isinstance(node, ast.Attribute) and node.attr == "Any")
                for node in ast.walk(source.tree)
            )
            for source in files
        }
    )


def test_any_stays_rare() -> None:
    """`Any` switches the type checker off: fewer than 300 in kubesim and lessons together.

    `Document` hides one; `test_documents_stay_rare` in test_house_types.py counts these.
    """
    count = any_count(PYTHON)
    assert count.total() < ANY_LIMIT, (count.total(), count.most_common(10))


def test_any_would_be_found() -> None:
    """By its own name, by its module's, in a type's arguments; a string or an import is none."""
    text = """
    import typing
    from typing import Any

    def f(a: Any, b: typing.Any, c: dict[str, typing.Any]) -> "str":
        return "Any"
    """
    assert any_count([module("one", text)]) == {"p/one.py": 3}
