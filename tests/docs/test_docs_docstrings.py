"""Docstrings as the documentation site reads them: it is built in strict mode, so none may warn."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

griffe = pytest.importorskip("griffe", reason="the documentation tools are not installed")

ROOT = Path(__file__).resolve().parents[2]
MARKUP = ROOT / "tools" / "docstring_markup.py"
CODE = re.compile(r"```.*?```|``.*?``|`[^`\n]*`", re.S)
REFERENCE = re.compile(r"\[[^\]\n]+\]\[[^\]\n]*\]")  # Markdown: a link to another object


def objects_of(module: griffe.Object) -> Iterator[griffe.Object]:
    """Yield a module and all that is defined in it."""
    yield module
    for member in module.members.values():
        if not member.is_alias:
            yield from objects_of(member)


@pytest.mark.parametrize("package", ["kubesim", "lessons"])
def test_every_docstring_is_understood(package: str, caplog: pytest.LogCaptureFixture) -> None:
    """Args name parameters of the signature; brackets that are no link stand in backticks."""
    loader = griffe.GriffeLoader(
        search_paths=[str(ROOT)], extensions=griffe.load_extensions(str(MARKUP))
    )
    links = []
    with caplog.at_level(logging.WARNING):
        for item in objects_of(loader.load(package)):
            if item.docstring is not None:
                item.docstring.parse("google")
                if REFERENCE.search(CODE.sub("", item.docstring.value)):
                    links.append(item.path)
    assert not links
    assert [record.getMessage() for record in caplog.records] == []
