"""Strict decoding: fields that a kind does not have, and fields that a request names twice.

`fieldValidation` decides: Strict refuses them, Warn answers with warnings, Ignore accepts them
silently. In each case unknown fields are dropped and never stored (`pruning`).

>>> parse_json('{"spec": {"replicas": 1, "replicas": 2}}')
({'spec': {'replicas': 2}}, ['spec.replicas'])

Source: k8s.io/apiserver/pkg/endpoints/handlers (create.go, patch.go: transformDecodeError,
NewStrictDecodingError), apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from kubesim.apiserver.options import IGNORE, STRICT, WARN, WriteOptions
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.structural import unknown_fields
from kubesim.errors import BadRequest, Cause, Invalid
from kubesim.objects.frozen import Document


def check_fields(kind: Kind, document: Document, asked: WriteOptions) -> None:
    """Warn of unknown and duplicate fields of an object that was sent, or refuse them.

    Args:
        kind: of the object.
        document: the object.
        asked: the options of the write; warnings are added to them.

    Raises:
        BadRequest: there are some, and the client asked for strict decoding.
    """
    kind = kind.in_version(str(document.get("apiVersion", kind.api_version)))
    warnings = _warnings(kind, document, asked, ())
    if warnings and asked.get("field_validation") == STRICT:
        raise BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"strict decoding error: {', '.join(warnings)}"
        )


def check_patched(
    kind: Kind, new: Document, old: Document, shown: Callable[[], str], asked: WriteOptions
) -> None:
    """Warn of unknown fields that a patch added and of its duplicate ones, or refuse them.

    Args:
        kind: of the object.
        new, old: the object after the patch and before it.
        shown: returns the patch as the message shows it.
        asked: the options of the write; warnings are added to them.

    Raises:
        Invalid: there are some, and the client asked for strict decoding.
    """
    if asked.get("field_validation", IGNORE) == IGNORE:
        return
    warnings = _warnings(kind, new, asked, unknown_fields(kind, old))
    if warnings and asked.get("field_validation") == STRICT:
        detail = f"strict decoding error: {', '.join(warnings)}"
        message = f"Invalid value: {json.dumps(shown())}: {detail}"
        cause = Cause("patch", "FieldValueInvalid", message)
        raise Invalid(f' "" is invalid: patch: {message}', causes=[cause])


def _warnings(
    kind: Kind, document: Document, options: WriteOptions, tolerated: Sequence[str]
) -> list[str]:
    directive = options.get("field_validation") or IGNORE
    if directive == IGNORE:
        return []
    warnings = [f'duplicate field "{path}"' for path in options.get("duplicates", ())]
    unknown = (path for path in unknown_fields(kind, document) if path not in tolerated)
    warnings += [f'unknown field "{path}"' for path in unknown]
    if directive == WARN and "warnings" in options:
        options["warnings"].extend(warnings)
    return warnings


class _Pairs(list[tuple[str, object]]):
    """A JSON object as its pairs, so that a name that occurs twice is seen."""


def parse_json(text: str | bytes) -> tuple[Any, list[str]]:
    """Parse JSON; return the value and the paths of the fields that it names twice.

    Of two fields with the same name the last one counts.

    Raises:
        ValueError: it is not JSON.
    """
    duplicates: list[str] = []
    parsed = json.loads(text, object_pairs_hook=_Pairs)
    return _plain(parsed, "", duplicates), duplicates


def _plain(value: object, path: str, duplicates: list[str]) -> object:
    if isinstance(value, _Pairs):
        result: Document = {}
        for name, item in value:
            step = f"{path}.{name}" if path else name
            if name in result and step not in duplicates:
                duplicates.append(step)
            result[name] = _plain(item, step, duplicates)
        return result
    if isinstance(value, list):
        return [_plain(item, f"{path}[{i}]", duplicates) for i, item in enumerate(value)]
    return value
