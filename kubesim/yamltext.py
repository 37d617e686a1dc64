"""YAML as Go's parser reads it, which is how Kubernetes reads manifests.

Python's parser would change the meaning of manifests. Here a date, ``12:30`` and ``1:2`` stay
strings, ``1e3`` is a number, keys are strings, and a key that occurs twice is an error. `render`
quotes every string that any parser could read as something else.

>>> parse("at: 2024-01-01\\nports: 80:80\\nmode: 0644\\nbig: 1e3")
[{'at': '2024-01-01', 'ports': '80:80', 'mode': 420, 'big': 1000.0}]
>>> print(render([{"on": "yes", "time": "12:30"}]), end="")
'on': 'yes'
time: '12:30'

PyYAML is the only package outside the standard library that the core may use, and only here.

Source: sigs.k8s.io/yaml (goyaml.v2: resolve.go, decode.go).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, cast

from kubesim.errors import BadRequest

MAX_VALUES = 1_000_000  # in one text, counting every alias at each of its uses
_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(r"[yYnN]|[0-9][0-9_]*(:[0-9]+)+(\.[0-9]*)?|\d{4}-\d\d?-\d\d?.*")
_TAG = "tag:yaml.org,2002:"
UNDECODABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises for a value that its explicit tag does not allow, beside YAMLError."""
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
Rules = Mapping[str, Sequence[tuple[str, object]]]
"""First character -> (tag, pattern) of the plain scalars that start with it."""


# -- the parts of PyYAML that are used -----------------------------------------------------------


class YamlMark(Protocol):
    """A position in a YAML text (yaml.Mark)."""

    line: int


class YamlNode(Protocol):
    """A node of a YAML document (yaml.Node)."""

    value: Sequence[tuple[YamlNode, YamlNode]]
    start_mark: YamlMark


class Constructor(Protocol):
    """A loader (yaml.constructor.SafeConstructor)."""

    def construct_scalar(self, node: YamlNode) -> str:
        """Return the text of a scalar."""

    def construct_mapping(self, node: YamlNode) -> dict[str, object]:
        """Return the value of a mapping."""


class Representer(Protocol):
    """A dumper (yaml.representer.SafeRepresenter)."""

    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> YamlNode:
        """Return the node of a scalar.

        Args:
            tag: YAML tag of the scalar.
            value: its text.
            style: the quotation mark; None: plain.
        """


class YamlClass(Protocol):
    """A class of PyYAML's loaders or dumpers."""

    yaml_implicit_resolvers: Rules

    def add_implicit_resolver(
        self, tag: str, pattern: re.Pattern[str], first: list[str] | None
    ) -> None:
        """Read plain scalars that match a pattern as values of a tag.

        Args:
            tag: YAML tag of the values.
            pattern: what their text matches.
            first: the characters with which it may begin; None: any.
        """


class YamlLibrary(Protocol):
    """The module `yaml`. The classes of its tokens and loaders are known at run time only."""

    SafeLoader: Any
    SafeDumper: Any
    AliasEvent: type
    SequenceStartEvent: type
    SequenceEndEvent: type
    MappingStartEvent: type
    MappingEndEvent: type
    YAMLError: type[Exception]

    def load_all(self, text: str, Loader: object) -> Iterator[object]:
        """Parse all documents of a text."""

    def parse(self, text: str, Loader: object) -> Iterator[object]:
        """Return the events of a text."""

    def dump(self, document: object, **options: object) -> str:
        """Serialize a document."""


def library() -> YamlLibrary:
    """Import the module `yaml`.

    Raises:
        ImportError: PyYAML is not installed; the message says how to install it.
    """
    try:
        return cast("YamlLibrary", import_module("yaml"))  # optional: the extra k8s
    except ImportError as error:
        raise ImportError(
            "YAML manifests need PyYAML: pip install 'kubesim[k8s]' (or pip install PyYAML); "
            "dictionaries and JSON work without it"
        ) from error


# -- parse and render ----------------------------------------------------------------------------


def parse(text: str) -> list[Any]:
    """Parse the documents of a YAML text.

    Returns:
        One value per document: JSON data.

    Raises:
        BadRequest: malformed YAML, or a key that occurs twice.
        ImportError: PyYAML is not installed.
    """
    yaml = library()
    try:
        documents = list(yaml.load_all(text, Loader=_loader()))
        if "*" in text and _size(documents, {}) > MAX_VALUES:
            raise BadRequest("document contains excessive aliasing")
        return documents
    except (yaml.YAMLError, *UNDECODABLE) as error:
        if isinstance(error, BadRequest):
            raise
        raise BadRequest(f"error parsing the manifest: {error}") from error


def render(documents: Iterable[object]) -> str:
    """Serialize values as a YAML text, one document each.

    Raises:
        ImportError: PyYAML is not installed.
    """
    yaml = library()
    texts = [
        yaml.dump(
            document,
            Dumper=_dumper(),
            sort_keys=False,
            default_flow_style=False,
            allow_unicode=True,
            width=10_000,
        )
        for document in documents
    ]
    return "---\n".join(texts)


def _size(value: object, sizes: dict[int, int]) -> int:
    """Return the number of values with every alias expanded; shared values are visited once."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in sizes:
        inside = value.values() if isinstance(value, dict) else value
        sizes[id(value)] = 1 + sum(_size(item, sizes) for item in inside)
    return sizes[id(value)]


# -- the loader ----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _loader() -> object:
    """Return the loader class, based on PyYAML's C loader where there is one."""
    yaml = library()
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[valid-type, misc] # the base is known at run time only
        yaml_implicit_resolvers = _resolvers(base, dropped=("timestamp", "int", "float"))

        def construct_mapping(self, node: YamlNode, deep: bool = False) -> dict[str, object]:
            keys: set[str] = set()
            for key_node, _ in node.value:
                key = _key(self.construct_object(key_node, deep=True))
                if key in keys:
                    line = key_node.start_mark.line + 1
                    raise BadRequest(f'line {line}: key "{key}" already set in map')
                keys.add(key)
            self.flatten_mapping(node)  # "<<" merges the members of another mapping
            return {
                _key(self.construct_object(key_node, deep=True)): self.construct_object(
                    value_node, deep=True
                )
                for key_node, value_node in node.value
            }

    Loader.add_constructor(f"{_TAG}map", _construct_mapping)
    _add_numbers(Loader)
    Loader.add_constructor(f"{_TAG}float", _construct_float)
    Loader.add_constructor(f"{_TAG}int", _construct_int)
    Loader.add_constructor(f"{_TAG}bool", _construct_bool)
    Loader.add_constructor(f"{_TAG}binary", _construct_binary)
    Loader.add_constructor(f"{_TAG}timestamp", _construct_timestamp)
    Loader.add_constructor(f"{_TAG}set", _construct_mapping)
    for sequence in ("omap", "pairs"):
        Loader.add_constructor(f"{_TAG}{sequence}", yaml.SafeLoader.construct_yaml_seq)
    for sign in ("merge", "value"):  # "<<" and "=" as plain values
        Loader.add_constructor(f"{_TAG}{sign}", yaml.SafeLoader.construct_yaml_str)
    return Loader


def _construct_mapping(loader: Constructor, node: YamlNode) -> dict[str, object]:
    return loader.construct_mapping(node)


def _construct_int(loader: Constructor, node: YamlNode) -> int:
    text = loader.construct_scalar(node).replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits != "0" and digits.startswith("0") and digits[1:2].isdigit():
        digits = f"0o{digits[1:]}"  # Go reads 0644 as octal, too
    try:
        return sign * int(digits, 0)
    except ValueError as error:
        raise _cannot_decode(node, loader.construct_scalar(node), "int") from error


def _construct_float(loader: Constructor, node: YamlNode) -> float:
    text = loader.construct_scalar(node)
    try:
        return float(text.replace("_", ""))
    except ValueError as error:
        raise _cannot_decode(node, text, "float") from error


def _construct_bool(loader: Constructor, node: YamlNode) -> bool:
    text = loader.construct_scalar(node)
    if text.lower() not in _BOOLEANS:
        raise _cannot_decode(node, text, "bool")
    return _BOOLEANS[text.lower()]


def _construct_binary(loader: Constructor, node: YamlNode) -> str:
    try:
        return b64decode("".join(loader.construct_scalar(node).split()), validate=True).decode()
    except ValueError as error:  # malformed base 64, or bytes that are no UTF-8
        raise BadRequest(f"{_line(node)}: !!binary value contains invalid base64 data") from error


def _construct_timestamp(loader: Constructor, node: YamlNode) -> str:
    """Return a time as Go writes it in JSON; only an explicit tag makes a time of a string."""
    text = loader.construct_scalar(node)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _cannot_decode(node, text, "timestamp") from error
    return moment.isoformat().replace("+00:00", "") + ("" if moment.utcoffset() else "Z")


def _cannot_decode(node: YamlNode, text: str, tag: str) -> BadRequest:
    """Return the error of a value that its explicit tag does not fit (yaml.v3 decode.go)."""
    return BadRequest(f"{_line(node)}: cannot decode !!str `{text[:40]}` as a !!{tag}")


def _line(node: YamlNode) -> str:
    return f"line {node.start_mark.line + 1}"


def _key(key: object) -> str:
    """Convert a key to a string, as JSON needs it: Go writes numbers and booleans as they read."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None:
        return "null"
    if isinstance(key, (str, int, float)):
        return str(key)
    raise BadRequest(f"a key must be a string, not {key!r}")


# -- the dumper ----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _dumper() -> object:
    """Return the dumper class."""
    base = library().SafeDumper

    class Dumper(base):  # type: ignore[valid-type, misc] # the base is known at run time only
        yaml_implicit_resolvers = _resolvers(base, dropped=())

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> object:
            return super().increase_indent(flow, indentless)

        def ignore_aliases(self, data: object) -> bool:
            return True

    Dumper.add_representer(str, _represent_string)
    _add_numbers(Dumper)
    # Quote what other parsers read as a date, a time or a boolean.
    Dumper.add_implicit_resolver(f"{_TAG}timestamp", _whole(_AMBIGUOUS), None)
    return Dumper


def _represent_string(dumper: Representer, value: str) -> YamlNode:
    style = "|" if "\n" in value else None
    if not value.replace("\n", "").isprintable():
        style = '"'  # a block scalar would normalize other line breaks
    return dumper.represent_scalar(f"{_TAG}str", value, style=style)


# -- rules for plain scalars ---------------------------------------------------------------------


def _resolvers(base: YamlClass, dropped: tuple[str, ...]) -> Rules:
    """Return the rules of a class without those for some tags."""
    tags = [_TAG + name for name in dropped]
    return {
        first: [rule for rule in rules if rule[0] not in tags]
        for first, rules in base.yaml_implicit_resolvers.items()
    }


def _add_numbers(target: YamlClass) -> None:
    target.add_implicit_resolver(f"{_TAG}int", _whole(_INT), list("-+0123456789"))
    target.add_implicit_resolver(f"{_TAG}float", _whole(_FLOAT), list("-+.0123456789"))


def _whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern.pattern})$")
