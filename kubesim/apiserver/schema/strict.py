"""What a client asks of a write besides the write: manager name, strict decoding, warnings.

`fieldValidation` says what becomes of fields that the kind does not have and of fields that a text
names twice: Strict refuses them, Warn tells of them, Ignore keeps silent. In each case kubesim
keeps what it does not know (decision 3), where the real server drops it.

>>> parse_json('{"spec": {"replicas": 1, "replicas": 2}}')
({'spec': {'replicas': 2}}, ['spec.replicas'])

Source: k8s.io/apiserver/pkg/endpoints/handlers (create.go, patch.go: transformDecodeError,
NewStrictDecodingError), apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubesim.apiserver.options import IGNORE, STRICT, WARN, WriteOptions
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.structural import unknown_fields
from kubesim.errors import BadRequest, Cause, Invalid
from kubesim.objects.frozen import Document

SHOWN = 1000  # characters of a patch that a message repeats


def check_fields(kind: Kind, document: Document, options: WriteOptions) -> None:
    """Unknown and duplicate fields of an object that was sent.

    Raises:
        BadRequest: there are some, and the client asked for strict decoding.
    """
    kind = kind.in_version(str(document.get("apiVersion", kind.api_version)))
    said = _complaints(kind, document, options, ())
    if said and options.get("field_validation") == STRICT:
        raise BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"strict decoding error: {', '.join(said)}"
        )


def check_patched(
    kind: Kind, new: Document, old: Document, patch: Any, options: WriteOptions
) -> None:
    """Unknown fields that a patch brought, and its duplicate ones.

    Raises:
        Invalid: there are some, and the client asked for strict decoding.
    """
    if options.get("field_validation", IGNORE) == IGNORE:
        return
    said = _complaints(kind, new, options, unknown_fields(kind, old))
    if said and options.get("field_validation") == STRICT:
        shown = json.dumps(patch, default=str)[:SHOWN]
        detail = f"strict decoding error: {', '.join(said)}"
        message = f"Invalid value: {json.dumps(shown)}: {detail}"
        cause = Cause("patch", "FieldValueInvalid", message)
        raise Invalid(f' "" is invalid: patch: {message}', causes=[cause])


def _complaints(
    kind: Kind, document: Document, options: WriteOptions, known: Sequence[str]
) -> list[str]:
    directive = options.get("field_validation") or IGNORE
    if directive == IGNORE:
        return []
    said = [f'duplicate field "{path}"' for path in options.get("duplicates", ())]
    fresh = (path for path in unknown_fields(kind, document) if path not in known)
    said += [f'unknown field "{path}"' for path in fresh]
    if directive == WARN and "warnings" in options:
        options["warnings"].extend(said)
    return said


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs: what stood twice is still there."""


def parse_json(text: str | bytes) -> tuple[Any, list[str]]:
    """A JSON text, and the paths of the fields that it names twice; the last one counts.

    Raises:
        ValueError: it is no JSON.
    """
    duplicates: list[str] = []
    parsed = json.loads(text, object_pairs_hook=_Pairs)
    return _plain(parsed, "", duplicates), duplicates


def _plain(value: Any, path: str, duplicates: list[str]) -> Any:
    if isinstance(value, _Pairs):
        made: Document = {}
        for name, item in value:
            step = f"{path}.{name}" if path else name
            if name in made and step not in duplicates:
                duplicates.append(step)
            made[name] = _plain(item, step, duplicates)
        return made
    if isinstance(value, list):
        return [_plain(item, f"{path}[{i}]", duplicates) for i, item in enumerate(value)]
    return value
