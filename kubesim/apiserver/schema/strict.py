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
from typing import Any, TypedDict

from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.structural import unknown_fields
from kubesim.errors import BadRequest, Cause, Invalid
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import META_GROUP

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
DIRECTIVES = (IGNORE, STRICT, WARN)
MAX_MANAGER = 128  # FieldManagerMaxLength
SHOWN = 1000  # characters of a patch that a message repeats


class Asked(TypedDict, total=False):
    """Options of a write.

    Attributes:
        field_manager: who writes, for managedFields; "": the simulator's own components.
        field_validation: Strict, Warn or Ignore (the default of calls inside the process; over
            HTTP it is Warn).
        warnings: a list of yours, to which warnings are added.
        duplicates: paths of fields that the text named twice (see `parse_json`).
        applied: managedFields as server-side apply settled them; for `apply` alone.
    """

    field_manager: str
    field_validation: str
    warnings: list[str]
    duplicates: Sequence[str]
    applied: list[Document]


def check_options(asked: Asked, verb: str) -> None:
    """Refuse options that mean nothing.

    Args:
        asked: the options.
        verb: Create, Update or Patch, for the message.

    Raises:
        Invalid: an unknown directive, or a manager's name that is too long.
    """
    errors = FieldErrors()
    directive, manager = asked.get("field_validation") or IGNORE, asked.get("field_manager") or ""
    if directive not in DIRECTIVES:
        errors.not_supported("fieldValidation", directive, ("", *DIRECTIVES))
    if len(manager) > MAX_MANAGER:
        errors.too_long("fieldManager", MAX_MANAGER)
    elif not manager.isprintable():
        errors.invalid("fieldManager", manager, "should only contain printable characters")
    if errors.causes:
        said = "; ".join(f"{cause.field}: {cause.message}" for cause in errors.causes)
        message = f'{verb}Options.meta.k8s.io "" is invalid: {said}'
        kind, group = f"{verb}Options", META_GROUP
        raise Invalid(message, kind=kind, group=group, causes=errors.causes)


def check_fields(kind: Kind, document: Document, asked: Asked) -> None:
    """Unknown and duplicate fields of an object that was sent.

    Raises:
        BadRequest: there are some, and the client asked for strict decoding.
    """
    kind = kind.in_version(str(document.get("apiVersion", kind.api_version)))
    said = _complaints(kind, document, asked, ())
    if said and asked.get("field_validation") == STRICT:
        raise BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"strict decoding error: {', '.join(said)}"
        )


def check_patched(kind: Kind, new: Document, old: Document, patch: Any, asked: Asked) -> None:
    """Unknown fields that a patch brought, and its duplicate ones.

    Raises:
        Invalid: there are some, and the client asked for strict decoding.
    """
    if asked.get("field_validation", IGNORE) == IGNORE:
        return
    said = _complaints(kind, new, asked, unknown_fields(kind, old))
    if said and asked.get("field_validation") == STRICT:
        shown = json.dumps(patch, default=str)[:SHOWN]
        detail = f"strict decoding error: {', '.join(said)}"
        message = f"Invalid value: {json.dumps(shown)}: {detail}"
        cause = Cause("patch", "FieldValueInvalid", message)
        raise Invalid(f' "" is invalid: patch: {message}', causes=[cause])


def _complaints(kind: Kind, document: Document, asked: Asked, known: Sequence[str]) -> list[str]:
    directive = asked.get("field_validation") or IGNORE
    if directive == IGNORE:
        return []
    said = [f'duplicate field "{path}"' for path in asked.get("duplicates", ())]
    fresh = (path for path in unknown_fields(kind, document) if path not in known)
    said += [f'unknown field "{path}"' for path in fresh]
    if directive == WARN and "warnings" in asked:
        asked["warnings"].extend(said)
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
