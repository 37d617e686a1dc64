"""What a query string asks for, strictly: a value that means nothing is refused, not guessed at.

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (ListOptions, DeleteOptions, PatchOptions) and
meta/internalversion/validation.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from kubesim.errors import BadRequest, Cause, Invalid
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import META_GROUP
from kubesim.rest.http.wire import Request

_DECIMAL = re.compile("-?[0-9]{1,18}", re.ASCII)
TRUE, FALSE = (
    ("true", "1", "True", "TRUE", "t", "T"),
    ("", "false", "0", "False", "FALSE", "f", "F"),
)
MATCHES = ("", "Exact", "NotOlderThan")
PROPAGATION = ("Background", "Foreground", "Orphan")


def flag(request: Request, name: str) -> bool:
    """A yes or no.

    Raises:
        BadRequest: it is neither.
    """
    text = request.parameter(name)
    if text not in TRUE and text not in FALSE:
        raise BadRequest(f"{name}: Invalid value: {text[:40]!r}: must be true or false")
    return text in TRUE


def number(request: Request, name: str, least: int | None = None) -> int | None:
    """A whole number; None if it is not said.

    Raises:
        BadRequest: it is none, or too small.
    """
    text = request.parameter(name)
    if not text:
        return None
    if _DECIMAL.fullmatch(text) is None:
        raise BadRequest(f"{name}: Invalid value: {text[:40]!r}: must be a whole number")
    value = int(text)
    if least is not None and value < least:
        raise BadRequest(f"{name}: Invalid value: {value}: must be {least} or more")
    return value


def dry_run(values: list[str]) -> bool:
    """Whether everything shall be done but stored.

    Raises:
        Invalid: a stage that there is not.
    """
    for value in values:
        if value != "All":
            rule = f'Unsupported value: "{value[:40]}": supported values: "All"'
            cause = Cause("dryRun", "FieldValueNotSupported", rule)
            raise Invalid(f"dryRun: {rule}", causes=[cause])
    return bool(values)


class ListOptions(NamedTuple):
    """What a list or a watch asks for.

    Attributes:
        labels, fields: selectors.
        limit, token: a page of so many, after that of the token.
        revision, match: resourceVersion and resourceVersionMatch.
        watch: changes instead of a list.
        bookmarks: the watch may send BOOKMARK.
        initial: the watch begins with what is there, and says when it was all.
        seconds: the watch ends after so long.
    """

    labels: str
    fields: str
    limit: int | None
    token: str
    revision: str
    match: str
    watch: bool
    bookmarks: bool
    initial: bool
    seconds: int | None


def list_options(request: Request) -> ListOptions:
    """The options of a list or a watch.

    Raises:
        BadRequest, Invalid: they contradict each other.
    """
    said = request.parameter
    options = ListOptions(
        said("labelSelector"),
        said("fieldSelector"),
        number(request, "limit", 0),
        said("continue"),
        said("resourceVersion"),
        said("resourceVersionMatch"),
        flag(request, "watch"),
        flag(request, "allowWatchBookmarks"),
        flag(request, "sendInitialEvents"),
        number(request, "timeoutSeconds", 0),
    )
    _check_match(options, "sendInitialEvents" in request.query)
    return options


def _check_match(options: ListOptions, asks_initial: bool) -> None:
    field, match = "resourceVersionMatch", options.match
    if match not in MATCHES:
        listed = '"Exact", "NotOlderThan", ""'
        raise _invalid(field, f'Unsupported value: "{match[:40]}": supported values: {listed}')
    if asks_initial and not options.watch:
        raise _invalid("sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list")
    if options.initial and match != "NotOlderThan":
        rule = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise _invalid(field, rule)
    if not match:
        return
    if options.watch and not asks_initial:
        rule = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents"
        raise _invalid(field, f"{rule} is provided")
    if options.token:
        raise _invalid(field, "Forbidden: resourceVersionMatch is forbidden when continue is set")
    if not options.watch and not options.revision:
        rule = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise _invalid(field, rule)
    if match == "Exact" and options.revision == "0":
        rule = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        raise _invalid(field, rule)


def _invalid(field: str, rule: str) -> Invalid:
    reason = "FieldValueNotSupported" if rule.startswith("Unsup") else "FieldValueForbidden"
    said = f'ListOptions.meta.k8s.io "" is invalid: {field}: {rule}'
    cause = Cause(field, reason, rule)
    return Invalid(said, kind="ListOptions", group=META_GROUP, causes=[cause])


class DeleteOptions(NamedTuple):
    """What a deletion asks for.

    Attributes:
        grace_seconds: how long it may take; None: as the object says.
        uid, revision: only if the object still has these.
        policy: Background, Foreground, Orphan, or "" for what the kind does by itself.
        dry_run: change nothing.
    """

    grace_seconds: int | None
    uid: str | None
    revision: str | None
    policy: str
    dry_run: bool


def delete_options(request: Request, body: Any) -> DeleteOptions:
    """The options of a deletion: from the body, or else from the query string.

    Raises:
        BadRequest, Invalid: they make no sense.
    """
    given: Document = {} if body is None else body
    if not isinstance(given, dict):
        raise BadRequest("the body of a deletion is a DeleteOptions object")
    if given.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f"a deletion takes DeleteOptions, not {str(given['kind'])[:60]!r}")
    grace = given.get("gracePeriodSeconds")
    if grace is None:
        grace = number(request, "gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int)):
        raise BadRequest("gracePeriodSeconds must be a whole number")
    policy = given.get("propagationPolicy") or request.parameter("propagationPolicy")
    if given.get("orphanDependents") or flag(request, "orphanDependents"):
        policy = "Orphan"
    if policy and policy not in PROPAGATION:
        listed = '"Foreground", "Background", "Orphan", nil'
        rule = f'Unsupported value: "{str(policy)[:40]}": supported values: {listed}'
        cause = Cause("propagationPolicy", "FieldValueNotSupported", rule)
        said = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {rule}'
        raise Invalid(said, kind="DeleteOptions", group=META_GROUP, causes=[cause])
    conditions, stages = given.get("preconditions"), given.get("dryRun")
    conditions = {} if conditions is None else conditions
    stages = [] if stages is None else stages
    if not isinstance(conditions, dict) or not isinstance(stages, list):
        raise BadRequest("preconditions is an object, and dryRun a list")
    stages = [str(stage) for stage in stages] or request.parameters("dryRun")
    return DeleteOptions(
        grace,
        _text(conditions, "uid"),
        _text(conditions, "resourceVersion"),
        str(policy or ""),
        dry_run(stages),
    )


def _text(given: Document, key: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"preconditions.{key} must be a text")
    return value
