"""Which class an expression is an instance of, as far as the annotations of the tree say it.

The tree is annotated in full, so the source names the class of each parameter and attribute, and of
the result of each call.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from declarations import Function, Owner, Scope, names_of, owner_of
from source_tree import Source

ELEMENTS = {"pop", "popleft", "get", "setdefault", "values", "copy"}
TRANSPARENT = {"Annotated", "ClassVar", "Final", "Optional", "Required", "type"}
SAME = {"deepcopy", "iter", "list", "reversed", "set", "sorted", "tuple"}  # an iterable of the same
ONE_OF = {"max", "min", "next"}


class Type(NamedTuple):
    """A class with its arguments: ``Type("dict", ((Type("str"),), (Type("m.Pod"),)))``."""

    name: str
    args: tuple[tuple[Type, ...], ...] = ()


Types = tuple[Type, ...]  # one of them; (): unknown


class Tree:
    """The classes and functions of some files, and the types of the expressions in them."""

    def __init__(self, files: Iterable[Source]) -> None:
        self.files = list(files)
        self.packages = {source.name.partition(".")[0] for source in self.files}
        self.nodes = {source.name: list(ast.walk(source.tree)) for source in self.files}
        self.names = {s.name: dict(names_of(s, self.nodes[s.name])) for s in self.files}
        self.parents: dict[ast.AST, ast.AST] = {}
        self.source_of: dict[ast.AST, Source] = {}
        self.bindings: dict[ast.AST, dict[str, list[ast.AST]]] = {}
        self.owners: dict[str, Owner] = {}
        self.functions: dict[str, Function] = {}
        self.values: dict[str, ast.expr] = {}  # what a name of a module is bound to
        self._busy: set[tuple[int, str]] = set()
        for source in self.files:
            self._read(source)

    # -- reading --------------------------------------------------------------------------------

    def _read(self, source: Source) -> None:
        for parent in self.nodes[source.name]:
            self.source_of[parent] = source
            for child in ast.iter_child_nodes(parent):
                self.parents[child] = parent
        for node in self.nodes[source.name]:
            dotted = f"{source.name}.{self._path(node)}" if hasattr(node, "name") else ""
            if isinstance(node, ast.ClassDef):
                self.owners[dotted] = owner_of(dotted, source, node)
            elif isinstance(node, Function):
                self.functions[dotted] = node
        for statement in source.tree.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                self.values[f"{source.name}.{statement.targets[0].id}"] = statement.value
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                self.values[f"{source.name}.{statement.target.id}"] = statement.annotation

    def _path(self, node: ast.AST) -> str:
        names = [str(getattr(node, "name", ""))]
        while (node := self.parents[node]) in self.parents:
            if isinstance(node, (ast.ClassDef, Function)):
                names.append(node.name)
        return ".".join(reversed(names))

    # -- types ----------------------------------------------------------------------------------

    def dotted(self, name: str, at: ast.AST) -> str:
        """Return the full name of what a name refers to in the file of a node."""
        source = self.source_of[at]
        first, _, rest = name.partition(".")
        whole = self.names[source.name].get(first, first)
        whole = f"{whole}.{rest}" if rest else whole
        while (again := self._exported(whole)) != whole:
            whole = again
        return whole

    def _exported(self, dotted: str) -> str:
        """Follow one re-export: ``kubesim.store.KeyValue`` is ``kubesim.store.base.KeyValue``."""
        module, _, name = dotted.rpartition(".")
        return self.names.get(module, {}).get(name, dotted)

    def annotated(self, note: ast.expr | None, at: ast.AST) -> Types:
        """Return the types that an annotation names."""
        if isinstance(note, ast.Constant) and isinstance(note.value, str):
            parsed = ast.parse(note.value, mode="eval").body
            return self.annotated(parsed, at)
        if isinstance(note, ast.BinOp):
            return (*self.annotated(note.left, at), *self.annotated(note.right, at))
        if isinstance(note, ast.Subscript):
            head = ast.unparse(note.value).rpartition(".")[2]
            parts = note.slice.elts if isinstance(note.slice, ast.Tuple) else [note.slice]
            args = tuple(self.annotated(part, at) for part in parts)
            if head in TRANSPARENT:
                return args[0]
            return tuple(Type(each.name, args) for each in self.annotated(note.value, at))
        if not isinstance(note, (ast.Name, ast.Attribute)):
            return ()
        name = self.dotted(ast.unparse(note), at)
        if name == "typing.Self" and (owner := self._class_around(at)):
            return (Type(owner.name),)
        if name in self.values and name not in self.owners:  # an alias, or a type variable
            value = self.values[name]
            if isinstance(value, ast.Call):
                bounds = [word.value for word in value.keywords if word.arg == "bound"]
                return self.annotated(bounds[0], at) if bounds else ()
            return self.annotated(value, value if value in self.parents else at)
        return () if name in ("typing.Any", "object", "None") else (Type(name),)

    def types(self, node: ast.expr, scope: Scope) -> Types:
        """Return the types of an expression in a function; () if the source does not say."""
        if isinstance(node, ast.Name):
            return self._variable(node.id, scope)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, scope)
        if isinstance(node, ast.Call):
            return self._result(node, scope)
        if isinstance(node, ast.Subscript):
            return _elements(self.types(node.value, scope))
        if isinstance(node, ast.IfExp):
            return (*self.types(node.body, scope), *self.types(node.orelse, scope))
        if isinstance(node, ast.BoolOp):
            return tuple(each for value in node.values for each in self.types(value, scope))
        if isinstance(node, ast.NamedExpr):
            return self.types(node.value, scope)
        if isinstance(node, (ast.List, ast.Set, ast.Tuple)):
            args = tuple(self.types(element, scope) for element in node.elts)
            return (Type("tuple" if isinstance(node, ast.Tuple) else "list", args),)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            return (Type("list", (self.types(node.elt, scope),)),)
        return ()

    def _variable(self, name: str, scope: Scope) -> Types:
        if (id(scope), name) in self._busy:
            return ()
        self._busy.add((id(scope), name))
        try:
            for around in self._scopes(scope):
                bound = self._bound_in(name, around)
                if bound is not None:
                    return bound
        finally:
            self._busy.discard((id(scope), name))
        dotted = self.dotted(name, scope)
        if dotted in self.values:
            value = self.values[dotted]
            home = self.source_of[value].tree
            return self.types(value, home) or self.annotated(value, home)
        return ()

    def _scopes(self, scope: ast.AST) -> Iterator[Function]:
        while scope in self.parents:
            if isinstance(scope, Function):
                yield scope
            scope = self.parents[scope]

    def _bound_in(self, name: str, function: Function) -> Types | None:
        """Return the types that a function binds a name to; None if it does not bind it."""
        arguments = function.args
        for position, argument in enumerate([*arguments.posonlyargs, *arguments.args]):
            if argument.arg == name and position == 0 and argument.annotation is None:
                owner = self._class_around(function)
                return (Type(owner.name),) if owner else ()
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            if argument.arg == name:
                return self.annotated(argument.annotation, function)
        found: list[Type] = []
        is_bound = False
        for node in self._binding(name, function):
            for target, types in self._bindings(node, function, name):
                if (here := _within(target, types, name)) is not None:
                    is_bound = True
                    found += here
        return tuple(found) if is_bound else None

    def _binding(self, name: str, function: Function) -> list[ast.AST]:
        """Return the statements of a function that bind a name."""
        if function not in self.bindings:
            by_name = self.bindings[function] = defaultdict(list)
            for node in ast.walk(function):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    statement = self.parents[node]
                    while isinstance(statement, (ast.Tuple, ast.List, ast.Starred)):
                        statement = self.parents[statement]
                    by_name[node.id].append(statement)
                elif isinstance(node, ast.ExceptHandler) and node.name:
                    by_name[node.name].append(node)
        return self.bindings[function].get(name, [])

    def _bindings(
        self, node: ast.AST, function: Function, name: str
    ) -> Iterator[tuple[ast.expr, Types]]:
        """Yield (target, types of its value) of a statement that binds the name."""
        if isinstance(node, ast.Assign) and any(_binds(each, name) for each in node.targets):
            types = self.types(node.value, function)
            yield from ((target, types) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and _binds(node.target, name):
            yield node.target, self.annotated(node.annotation, function)
        elif isinstance(node, ast.NamedExpr) and _binds(node.target, name):
            yield node.target, self.types(node.value, function)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            if _binds(node.target, name):
                yield node.target, _elements(self.types(node.iter, function), keys=True)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            if _binds(node.optional_vars, name):
                yield node.optional_vars, self.types(node.context_expr, function)
        elif isinstance(node, ast.ExceptHandler) and node.name == name and node.type:
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            types = tuple(each for kind in caught for each in self.annotated(kind, function))
            yield ast.Name(name), types

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Types:
        found: list[Type] = []
        for kind in self.types(node.value, scope):
            owners = list(self.lineage(kind.name))
            if not owners and kind.name:
                found.append(Type(f"{kind.name}.{node.attr}"))  # of a foreign object: foreign
            for owner in owners:
                for note, at, is_annotation in owner.attributes.get(node.attr, ()):
                    found += self.annotated(note, at) if is_annotation else self.types(note, at)
                method = self.functions.get(f"{owner.name}.{node.attr}")
                if method is not None:
                    found += self.annotated(method.returns, method)  # a property
                if owner.attributes.get(node.attr) or method is not None:
                    break
        return tuple(found)

    def _result(self, node: ast.Call, scope: Scope) -> Types:
        """Return the types of what a call returns."""
        name = ast.unparse(node.func)
        if name in ONE_OF | SAME and node.args:
            types = self.types(node.args[0], scope)
            return types if name in SAME else _elements(types, keys=True)
        if name in ("zip", "enumerate"):
            elements = [_elements(self.types(each, scope), keys=True) for each in node.args]
            counted = [(Type("int"),), *elements] if name == "enumerate" else elements
            return (Type("list", ((Type("tuple", tuple(counted)),),)),)
        if name == "super" and (owner := self._class_around(scope)):
            return tuple(Type(base.name) for base in list(self.lineage(owner.name))[1:])
        if name == "copy" and node.args:
            return self.types(node.args[0], scope)
        if name.endswith(".__new__") and node.args:
            node, name = ast.Call(node.args[0]), ast.unparse(node.args[0])
        if name in ("cls", "type(self)", "self.__class__"):
            owner = self._class_around(scope)
            return (Type(owner.name),) if owner else ()
        if isinstance(node.func, ast.Attribute):
            receivers = self.types(node.func.value, scope)
            if receivers:
                return self._result_of_method(node.func.attr, receivers)
        return self._result_of_name(self.dotted(name, scope))

    def _result_of_name(self, dotted: str) -> Types:
        if dotted in self.owners:
            return (Type(dotted),)
        if dotted in self.functions:
            function = self.functions[dotted]
            return self.annotated(function.returns, function)
        if self.lineage_of_member(dotted) is not None:
            function = self.lineage_of_member(dotted)
            return self.annotated(function.returns, function) if function else ()
        return (Type(dotted),) if self._is_of_a_library(dotted) else ()

    def lineage_of_member(self, dotted: str) -> Function | None:
        """Return a method by its dotted name, also an inherited one."""
        owner, _, name = dotted.rpartition(".")
        methods = (self.functions.get(f"{each.name}.{name}") for each in self.lineage(owner))
        return next((method for method in methods if method is not None), None)

    def _result_of_method(self, name: str, receivers: Types) -> Types:
        found: list[Type] = []
        for receiver in receivers:
            method = self.lineage_of_member(f"{receiver.name}.{name}")
            if method is not None:
                found += self.annotated(method.returns, method)
            elif receiver.args and name in ELEMENTS:
                element = _elements((receiver,))
                found += [Type("list", (element,))] if name == "values" else element
            elif receiver.args and name == "items":
                found.append(Type("list", ((Type("tuple", receiver.args),),)))
            elif receiver.name not in self.owners:
                found.append(Type(f"{receiver.name}.{name}"))
        return tuple(found)

    def is_known(self, kind: Type) -> bool:
        """Return whether a type is a class of the tree or of another library."""
        return kind.name in self.owners or self._is_of_a_library(kind.name)

    def _is_of_a_library(self, dotted: str) -> bool:
        return "." in dotted and dotted.partition(".")[0] not in self.packages

    def scope_of(self, node: ast.AST) -> Scope:
        """Return the function that a node stands in, or its module."""
        while not isinstance(node, (Function, ast.Module)):
            node = self.parents[node]
        return node

    def _class_around(self, node: ast.AST) -> Owner | None:
        while node in self.parents:
            if isinstance(node, ast.ClassDef):
                return self.owners[f"{self.source_of[node].name}.{self._path(node)}"]
            node = self.parents[node]
        return None

    def lineage(self, name: str) -> Iterator[Owner]:
        """Yield a class and its bases that belong to the tree."""
        owner = self.owners.get(name)
        if owner is not None:
            yield owner
            for base in owner.node.bases:
                head = base.value if isinstance(base, ast.Subscript) else base
                yield from self.lineage(self.dotted(ast.unparse(head), owner.node))


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(target))


def _within(target: ast.expr, types: Types, name: str) -> Types | None:
    """Return the types of a name in a target that may be a tuple; None if it is not in there."""
    if isinstance(target, ast.Name):
        return types if target.id == name else None
    if isinstance(target, (ast.Tuple, ast.List)):
        for position, part in enumerate(target.elts):
            several = [each.args for each in types if each.name == "tuple"]
            inner = tuple(
                each for args in several if position < len(args) for each in args[position]
            )
            if (here := _within(part, inner, name)) is not None:
                return here
    return None


def _elements(types: Types, *, keys: bool = False) -> Types:
    """Return the types of the elements of containers; of mappings the values, or the keys."""
    chosen: list[Type] = []
    for each in types:
        if each.args:
            mapping = len(each.args) == 2 and each.name != "tuple"
            chosen += each.args[0 if keys or not mapping else -1]
        elif "." in each.name:
            chosen.append(Type(f"{each.name}[]"))  # of a foreign container: foreign
    return tuple(chosen)
