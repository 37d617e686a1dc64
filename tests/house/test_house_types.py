"""Rules about the types of documents: who takes one kind says which, and `Document` stays rare.

Each rule is one test that lists every place that breaks it. What a TypedDict is worth is shown by
`tests/tools/test_update_kubernetes.py`; that the annotations hold is mypy's business.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

import pytest
from source_tree import Source, sources

KUBESIM = sources("kubesim")

# Parameter -> the TypedDict of an object of that name, alone or as the item of a collection.
KINDS = {
    "budget": "PodDisruptionBudgetDict",
    "claim": "PersistentVolumeClaimDict",
    "container": "ContainerDict",
    "cronjob": "CronJobDict",
    "daemonset": "DaemonSetDict",
    "deployment": "DeploymentDict",
    "endpoint": "EndpointDict",
    "hpa": "HorizontalPodAutoscalerDict",
    "job": "JobDict",
    "node": "NodeDict",
    "pod": "PodDict",
    "quota": "ResourceQuotaDict",
    "replicaset": "ReplicaSetDict",
    "revision": "ControllerRevisionDict",
    "service": "ServiceDict",
    "slice": "EndpointSliceDict",
    "statefulset": "StatefulSetDict",
    "taint": "TaintDict",
    "template": "PodTemplateSpecDict",
    "toleration": "TolerationDict",
    "victim": "PodDict",
}
NAMES = {
    **KINDS,
    **{f"{name}s": kind for name, kind in KINDS.items()},
    "pod_spec": "PodSpecDict",
    "selector": "LabelSelectorDict",
}
UNTYPED = {"Any", "Document", "ReadOnlyDocument", "dict", "object"}

# Where any kind may come, or a document that is not checked yet; and, for the printers, one whose
# shape is wrong: they show what is stored.
GENERIC = ("apiserver", "rest", "store")

# The hooks of kinds take documents that are not checked yet; each further kind has some.
HOOKS = ("apiserver/clusterkinds/", "apiserver/kindrules/", "apiserver/storagekinds/")

# Names `Document` and `ReadOnlyDocument` in the code. Measured: 192 and 595; before the TypedDicts
# were used 1,127 and 597.
MOST_IN_COMPONENTS = 210
MOST_IN_GENERIC_ROOMS = 726  # roles and bindings have no TypedDicts


def report(broken: list[str]) -> None:
    """Fail with every place that breaks the rule."""
    if broken:
        pytest.fail("\n" + "\n".join(broken), pytrace=False)


def names_in(annotation: ast.expr) -> set[str]:
    """Return the names in an annotation, also in a part that is written as a string.

    >>> sorted(names_in(ast.parse('Callable[["PodDict"], dict[str, Any]]', mode="eval").body))
    ['Any', 'Callable', 'PodDict', 'dict', 'str']
    """
    names = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= names_in(ast.parse(node.value, mode="eval").body)
    return names


def parameters_of(source: Source) -> Iterator[tuple[int, str, ast.arg]]:
    """Yield (line, function, parameter) of each annotated parameter, but for special methods."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
            arguments = node.args
            for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if each.annotation is not None:
                    yield node.lineno, node.name, each


def is_untyped(annotation: ast.expr) -> bool:
    """Whether an annotation says that a parameter is a document, but not of which kind.

    A mapping of something else by name (`dict[str, PodDict]`) says it.
    """
    names = names_in(annotation)
    return bool(names & UNTYPED) and not any(name.endswith("Dict") for name in names)


COMPONENTS = [source for source in KUBESIM if source.package not in GENERIC]


def test_a_parameter_that_is_named_like_a_kind_has_its_type() -> None:
    """`pod` is a `PodDict` and no `Document`, so that the type checker finds a misspelt field."""
    report(
        [
            f"{source.where}:{line}: {function}({each.arg}): say {NAMES[each.arg]}"
            for source in COMPONENTS
            for line, function, each in parameters_of(source)
            if each.arg in NAMES and each.annotation is not None and is_untyped(each.annotation)
        ]
    )


def test_a_function_that_takes_any_document_would_be_found() -> None:
    """The rule sees a plain document, one in a list, and one that may be None; and no other."""
    untyped = ("Document", "list[Document]", "'dict[str, Any] | None'", "ReadOnlyDocument")
    typed = ("PodDict", "list[PodDict]", "dict[str, PodDict]", "NodeInfo", "'PodDict | None'")
    assert all(is_untyped(ast.parse(each, mode="eval").body) for each in untyped)
    assert not any(is_untyped(ast.parse(each, mode="eval").body) for each in typed)


def _documents(files: list[Source]) -> Counter[str]:
    return Counter(
        {
            source.where: sum(
                isinstance(node, ast.Name) and node.id in ("Document", "ReadOnlyDocument")
                for node in ast.walk(source.tree)
            )
            for source in files
        }
    )


def test_documents_stay_rare() -> None:
    """`Document` hides an `Any`: it belongs where any kind may come."""
    components = _documents(COMPONENTS)
    assert components.total() <= MOST_IN_COMPONENTS, components.most_common(12)
    rooms = [source for source in KUBESIM if source.package in GENERIC]
    generic = _documents(
        [source for source in rooms if not any(hooks in source.where for hooks in HOOKS)]
    )
    assert generic.total() <= MOST_IN_GENERIC_ROOMS, generic.most_common(12)


def test_the_typed_dicts_cost_nothing_at_run_time() -> None:
    """Only type checkers import them, but for their own package."""
    report(
        [
            f"{source.where}:{line}: import {module} under TYPE_CHECKING"
            for source in KUBESIM
            if not source.name.startswith("kubesim.objects.types")
            for module, line, typing_only in source.imports
            if module.startswith("kubesim.objects.types") and not typing_only
        ]
    )
