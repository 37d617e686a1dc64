"""YAML as Go's reader takes it, which is what Kubernetes means by YAML.

Where Python's reader differs, manifests would change their meaning: a date, ``12:30`` or ``1:2``
stay texts, ``1e3`` is a number, keys are texts, and a key that stands twice is an error. What is
written puts in quotes whatever any reader could take for something else.

>>> parse("at: 2024-01-01\\nports: 80:80\\nmode: 0644\\nbig: 1e3")
[{'at': '2024-01-01', 'ports': '80:80', 'mode': 420, 'big': 1000.0}]
>>> print(render([{"on": "yes", "time": "12:30"}]), end="")
'on': 'yes'
time: '12:30'

PyYAML is the one package outside the standard library that the core may ask for, and only here:
manifests are YAML, and a reader of our own would be wrong in a hundred ways.

Source: sigs.k8s.io/yaml (goyaml.v2: resolve.go, decode.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

from kubesim.errors import BadRequest

MAX_VALUES = 1_000_000  # in one text, with every alias written out
_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(r"[yYnN]|[0-9][0-9_]*(:[0-9]+)+(\.[0-9]*)?|\d{4}-\d\d?-\d\d?.*")


def parse(text: str) -> list[Any]:
    """The documents in a YAML text.

    Raises:
        BadRequest: it is no YAML, or a key stands twice.
        ImportError: PyYAML is not installed.
    """
    yaml = library()
    try:
        documents = list(yaml.load_all(text, Loader=_loader()))
        if "*" in text and _size(documents, {}) > MAX_VALUES:
            raise BadRequest("document contains excessive aliasing")
        return documents
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, BadRequest):
            raise
        raise BadRequest(f"error parsing the manifest: {error}") from error


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values there are once every alias is written out; each is counted once."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        inside = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known) for item in inside)
    return known[id(value)]


def render(documents: Iterable[Any]) -> str:
    """Values as a YAML text, one document each.

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


def library() -> Any:
    """The module `yaml`.

    Raises:
        ImportError: PyYAML is not installed; the message says how to get it.
    """
    try:
        return import_module("yaml")  # optional: the extra k8s
    except ImportError as error:
        raise ImportError(
            "YAML manifests need PyYAML: pip install 'kubesim[k8s]' (or pip install PyYAML); "
            "dictionaries and JSON work without it"
        ) from error


def _resolvers(base: Any, dropped: tuple[str, ...]) -> dict[str, list[Any]]:
    """A copy of the rules for plain words, but for those of some types."""
    tags = [f"tag:yaml.org,2002:{name}" for name in dropped]
    return {
        first: [rule for rule in rules if rule[0] not in tags]
        for first, rules in base.yaml_implicit_resolvers.items()
    }


@lru_cache(maxsize=1)
def _loader() -> Any:
    yaml = library()
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[valid-type, misc]
        yaml_implicit_resolvers = _resolvers(base, dropped=("timestamp", "int", "float"))

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key_node, _ in node.value:
                key = _key_text(self.construct_object(key_node, deep=True))
                if key in seen:
                    line = key_node.start_mark.line + 1
                    raise BadRequest(f'line {line}: key "{key}" already set in map')
                seen.add(key)
            self.flatten_mapping(node)  # "<<" brings the members of another object
            return {
                _key_text(self.construct_object(key_node, deep=True)): self.construct_object(
                    value_node, deep=True
                )
                for key_node, value_node in node.value
            }

    def mapping(loader: Any, node: Any) -> Any:
        return loader.construct_mapping(node)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    _add_numbers(Loader)
    Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
    Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
    for sign in ("merge", "value"):  # "<<" and "=" where they are values
        Loader.add_constructor(f"tag:yaml.org,2002:{sign}", yaml.SafeLoader.construct_yaml_str)
    return Loader


@lru_cache(maxsize=1)
def _dumper() -> Any:
    yaml = library()

    base = yaml.SafeDumper

    class Dumper(base):  # type: ignore[valid-type, misc]
        yaml_implicit_resolvers = _resolvers(base, dropped=())

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
            return super().increase_indent(flow, indentless)

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        if not value.replace("\n", "").isprintable():
            style = '"'  # line ends of other kinds would come back as another one
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    _add_numbers(Dumper)
    # What other readers take for a date, a time or a truth value is put in quotes.
    Dumper.add_implicit_resolver("tag:yaml.org,2002:timestamp", _whole(_AMBIGUOUS), None)
    return Dumper


def _add_numbers(target: Any) -> None:
    target.add_implicit_resolver("tag:yaml.org,2002:int", _whole(_INT), list("-+0123456789"))
    target.add_implicit_resolver("tag:yaml.org,2002:float", _whole(_FLOAT), list("-+.0123456789"))


def _whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern.pattern})$")


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node).replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits != "0" and digits.startswith("0") and digits[1:2].isdigit():
        digits = f"0o{digits[1:]}"  # 0644 is octal to Go, too
    return sign * int(digits, 0)


def _construct_float(loader: Any, node: Any) -> float:
    return float(loader.construct_scalar(node).replace("_", ""))


def _key_text(key: Any) -> str:
    """Keys are texts in JSON; Go writes numbers and truth values as they read."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None:
        return "null"
    if isinstance(key, (str, int, float)):
        return str(key)
    raise BadRequest(f"a key must be a string, not {key!r}")
