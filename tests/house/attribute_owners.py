"""Places that set an attribute which a class of another file declares.

`foreign_settings` follows the annotations from the receiver of the attribute to its class. Where
they end (at `Any`) it compares the attribute's name with those that the tree's classes declare.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from expression_types import Tree
from source_tree import Source


class Setting(NamedTuple):
    """A place that sets an attribute of a class of another file.

    Attributes:
        where: file and line.
        attribute: its name.
        owner: the class that declares it.
    """

    where: str
    attribute: str
    owner: str = ""


def foreign_settings(files: Iterable[Source]) -> list[Setting]:
    """Return each place that sets or deletes an attribute that a class of another file declares."""
    tree = Tree(files)
    declaring: dict[str, set[Source]] = defaultdict(set)
    for owner in tree.owners.values():
        for attribute in owner.attributes if not owner.fixed else ():
            declaring[attribute].add(owner.source)
    places = [
        place
        for source in tree.files
        for node, receiver, attribute in _settings(tree.nodes[source.name])
        for place in _foreign_owners(
            tree, source, receiver, Setting(f"{source.where}:{node.lineno}", attribute), declaring
        )
    ]
    return list(dict.fromkeys(places))


def _foreign_owners(
    tree: Tree,
    source: Source,
    receiver: ast.expr,
    place: Setting,
    declaring: dict[str, set[Source]],
) -> Iterator[Setting]:
    """Yield the place with each class of another file that declares the attribute.

    Args:
        tree: all files.
        source: the file of the place.
        receiver: the object whose attribute is set.
        place: the place, without the class.
        declaring: attribute -> the files that declare one of that name.
    """
    types = tree.types(receiver, tree.scope_of(receiver))
    if not types or not all(map(tree.is_known, types)):
        others = declaring[place.attribute]
        if others and source not in others:
            files = ", ".join(sorted(other.where for other in others))
            yield place._replace(owner=f"a class of {files}")
    for kind in types:
        for owner in tree.lineage(kind.name):
            if place.attribute in owner.setters:
                break
            inherited_protocol = owner.protocol and owner.name != kind.name
            if place.attribute in owner.attributes and not inherited_protocol:
                if owner.source is not source:
                    yield place._replace(owner=owner.name)


def _settings(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.expr, ast.expr, str]]:
    """Yield (place, receiver, attribute): ``a.b = 1``, ``del a.b``, ``setattr(a, "b", 1)``."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
            yield node, node.value, node.attr
        elif isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func)
            if name in ("setattr", "delattr", "object.__setattr__") and isinstance(
                node.args[1], ast.Constant
            ):
                yield node, node.args[0], str(node.args[1].value)
