"""The API types of Kubernetes 1.34, read from the sources of the package `lightkube-models`.

The package holds one generated dataclass for each API type: fields with their types, and a text
that describes each. It is read as text and never imported: its modules would need an HTTP client.
Without the package there are no types, and the API server works with its own rules alone.

>>> fields_in(SAMPLE)["Port"].fields
{'name': ('Optional[str]', False), 'port': ('int', True)}
>>> fields_in(SAMPLE)["Port"].described()
('Port is where requests go.', {'name': 'How it is called.', 'port': 'Its number, of two lines.'})

Source: k8s.io/api, k8s.io/apimachinery (the types); k8s.io/kube-openapi (how they are described).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "lightkube"  # the namespace in which lightkube-models puts its modules
_CLASS = re.compile(r"^class (\w+)\(DictMixin\):\n", re.MULTILINE)
_FIELD = re.compile(r"^    (\w+): '([^']+)'( = .*)?$", re.MULTILINE)
_ALIAS = re.compile(r"^([A-Z]\w+) = (\S.*)$", re.MULTILINE)
_JSON_NAME = re.compile(r'"json": "([^"]+)"')
_PARAMETER = re.compile(r"^      \* \*\*(\w+)\*\* ``[^`]*`` ?-? ?", re.MULTILINE)

SAMPLE = '''
@dataclass
class Port(DictMixin):
    r"""Port is where requests go.

      **parameters**

      * **port** ``int`` - Its number,
        of two lines.
      * **name** ``Optional[str]`` - How it is called.
    """
    port: 'int'
    name: 'Optional[str]' = None
'''


@dataclass(frozen=True)
class TypeText:
    """One API type.

    Attributes:
        fields: JSON name -> (type as it is written in the source, must be given).
        text: what describes it, as it stands in the source.
        names: the attribute's name -> JSON name, where they differ.
    """

    fields: dict[str, tuple[str, bool]]
    text: str
    names: dict[str, str]

    def described(self) -> tuple[str, dict[str, str]]:
        """(what the type is, what each field is), each in one line."""
        about, *rest = _PARAMETER.split(self.text)
        said = {
            self.names.get(name, name): " ".join(text.split())
            for name, text in zip(rest[::2], rest[1::2], strict=True)
        }
        fields = {name: said[name] for name in self.fields if name in said}
        return " ".join(about.replace("**parameters**", "").split()), fields


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Where the package's sources are; None without the package."""
    spec = find_spec(PACKAGE)  # of a top-level name: nothing is imported
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        found = Path(place) / "models"
        if (found / "core_v1.py").is_file():
            return found
    return None


@lru_cache(maxsize=64)
def types_of(module: str) -> dict[str, TypeText]:
    """The types of one module, for example ``apps_v1``; {} if there is none."""
    text = _text_of(module)
    return fields_in(text) if text else {}


@lru_cache(maxsize=64)
def aliases_of(module: str) -> dict[str, str]:
    """Names of a module that stand for plain values: ``Time`` for ``datetime`` ..."""
    return dict(_ALIAS.findall(_text_of(module)))


def _text_of(module: str) -> str:
    where = folder()
    path = where / f"{module}.py" if where is not None and module.isidentifier() else None
    return path.read_text() if path is not None and path.is_file() else ""


def fields_in(source: str) -> dict[str, TypeText]:
    """The types in the text of a module."""
    parts = _CLASS.split(source)
    found = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        _, _, rest = body.partition('"""')
        text, _, declared = rest.partition('"""')
        fields, names = {}, {}
        for attribute, written, default in _FIELD.findall(declared):
            renamed = _JSON_NAME.search(default)
            json_name = renamed.group(1) if renamed else attribute
            names[attribute] = json_name
            fields[json_name] = (written, not default)
        found[name] = TypeText(dict(sorted(fields.items())), text, names)
    return found
