"""The options of a request other than its object: how a list is narrowed, how a write is decoded.

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (ListOptions, CreateOptions, UpdateOptions,
PatchOptions) and its validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, TypedDict

from kubesim.apiserver.validation import FieldErrors
from kubesim.errors import BadRequest, Invalid
from kubesim.objects.wellknown import META_GROUP

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
DIRECTIVES = (IGNORE, STRICT, WARN)
MAX_MANAGER = 128  # FieldManagerMaxLength
PATCH_ATTEMPTS = 5  # MaxRetryWhenPatchConflicts
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
MATCHES = (EXACT, NOT_OLDER)
REVISION_DIGITS = 18  # a resourceVersion has at most so many digits


class WriteOptions(TypedDict, total=False):
    """Options of a write.

    Attributes:
        field_manager: the name under which the client writes, for managedFields; "": a component
            of the simulator.
        field_validation: Strict, Warn or Ignore (the default of calls inside the process; over
            HTTP it is Warn).
        warnings: a list of the caller, to which warnings are added.
        duplicates: paths of fields that the body named twice (see `schema.strict.parse_json`).
    """

    field_manager: str
    field_validation: str
    warnings: list[str]
    duplicates: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Options of a list.

    Attributes:
        label_selector: for example ``app=web,tier in (front,back)``.
        field_selector: for example ``status.phase=Running``.
        resource_version: the revision that is listed; None or "0": now.
        resource_version_match: "Exact", or "NotOlderThan": now, if now is late enough.
        limit: number of objects in a page; None or 0: all.
        continue_token: metadata.continue of the page before.
    """

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str | int | None = None
    resource_version_match: str = EXACT
    limit: int | None = None
    continue_token: str = ""

    def check(self) -> None:
        """Refuse invalid options.

        Raises:
            BadRequest: a negative limit.
            Invalid: an unknown match rule.
        """
        if self.limit is not None and self.limit < 0:
            raise BadRequest(f"limit must be 0 or more, not {self.limit}")
        if self.resource_version_match not in MATCHES:
            errors = FieldErrors()
            match = self.resource_version_match
            errors.not_supported("resourceVersionMatch", match, ("", *MATCHES))
            refuse_options("ListOptions", errors)


def parse_resource_version(value: str | int | None) -> int:
    """Parse a resourceVersion of a client; None and "" count as 0.

    Raises:
        BadRequest: it is not a whole number.

    >>> parse_resource_version("42"), parse_resource_version(None)
    (42, 0)
    """
    if value is None or value == "":
        return 0
    digits = str(value)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= REVISION_DIGITS):
        raise BadRequest(f"resourceVersion: Invalid value: {digits[:40]!r}: must be a whole number")
    return int(digits)


@lru_cache(maxsize=1024)  # clients send the same few repeatedly
def is_valid(directive: str, manager: str) -> bool:
    """Return whether a directive of field validation is known, and a manager's name is valid."""
    if len(directive) + len(manager) > 2 * MAX_MANAGER:
        is_valid.cache_clear()  # keeps one long string at most
    return directive in DIRECTIVES and len(manager) <= MAX_MANAGER and manager.isprintable()


def refuse_options(kind: str, errors: FieldErrors) -> NoReturn:
    """Refuse the options of a request, a document of that kind.

    Raises:
        Invalid: always.
    """
    details = "; ".join(f"{cause.field}: {cause.message}" for cause in errors.causes)
    message = f'{kind}.meta.k8s.io "" is invalid: {details}'
    raise Invalid(message, kind=kind, group=META_GROUP, causes=errors.causes)
