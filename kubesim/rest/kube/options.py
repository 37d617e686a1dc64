"""Options in query strings and bodies, parsed strictly: an unknown value is an error.

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (ListOptions, DeleteOptions, PatchOptions) and
meta/internalversion/validation.
"""

from __future__ import annotations

import re
from typing import NamedTuple

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
    """Return a boolean query parameter; an absent one is false.

    Raises:
        BadRequest: the value is not a boolean.
    """
    value = request.parameter(name)
    if value not in TRUE and value not in FALSE:
        raise BadRequest(f"{name}: Invalid value: {value[:40]!r}: must be true or false")
    return value in TRUE


def number(request: Request, name: str, least: int | None = None) -> int | None:
    """Return an integer query parameter; None if it is absent.

    Args:
        request: the request.
        name: of the parameter.
        least: the smallest accepted value.

    Raises:
        BadRequest: the value is not an integer, or too small.
    """
    text = request.parameter(name)
    if not text:
        return None
    if _DECIMAL.fullmatch(text) is None:
        raise BadRequest(f"{name}: Invalid value: {text[:40]!r}: must be an integer")
    value = int(text)
    if least is not None and value < least:
        raise BadRequest(f"{name}: Invalid value: {value}: must be {least} or more")
    return value


def dry_run(values: list[str]) -> bool:
    """Return whether the parameter `dryRun` asks for a dry run.

    Raises:
        Invalid: an unknown stage.
    """
    for value in values:
        if value != "All":
            rule = f'Unsupported value: "{value[:40]}": supported values: "All"'
            cause = Cause("dryRun", "FieldValueNotSupported", rule)
            raise Invalid(f"dryRun: {rule}", causes=[cause])
    return bool(values)


class ListQuery(NamedTuple):
    """Options of a list or a watch.

    Attributes:
        labels, fields: selectors.
        limit, token: size of a page, and the continue token of the page before it.
        revision, match: resourceVersion and resourceVersionMatch.
        watch: send changes in place of a list.
        bookmarks: allowWatchBookmarks.
        initial: sendInitialEvents: first the existing objects, then a bookmark.
        seconds: timeoutSeconds: the watch ends after so many seconds of wall time.
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


def list_query(request: Request) -> ListQuery:
    """Parse the options of a list or a watch.

    Raises:
        BadRequest, Invalid: a value is malformed, or two options contradict each other.
    """
    parameter = request.parameter
    options = ListQuery(
        parameter("labelSelector"),
        parameter("fieldSelector"),
        number(request, "limit", 0),
        parameter("continue"),
        parameter("resourceVersion"),
        parameter("resourceVersionMatch"),
        flag(request, "watch"),
        flag(request, "allowWatchBookmarks"),
        flag(request, "sendInitialEvents"),
        number(request, "timeoutSeconds", 0),
    )
    _check_match(options, "sendInitialEvents" in request.query)
    return options


def _check_match(options: ListQuery, initial_given: bool) -> None:
    field, match = "resourceVersionMatch", options.match
    if match not in MATCHES:
        listed = '"Exact", "NotOlderThan", ""'
        raise _invalid(field, f'Unsupported value: "{match[:40]}": supported values: {listed}')
    if initial_given and not options.watch:
        raise _invalid("sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list")
    if options.initial and match != "NotOlderThan":
        rule = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise _invalid(field, rule)
    if not match:
        return
    if options.watch and not initial_given:
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
    message = f'ListOptions.meta.k8s.io "" is invalid: {field}: {rule}'
    cause = Cause(field, reason, rule)
    return Invalid(message, kind="ListOptions", group=META_GROUP, causes=[cause])


class DeleteQuery(NamedTuple):
    """Options of a deletion.

    Attributes:
        grace_seconds: gracePeriodSeconds; None: the object's default.
        uid, revision: preconditions: delete the object only if it has these.
        policy: propagationPolicy: Background, Foreground, Orphan; "": the kind's default.
        dry_run: change nothing.
    """

    grace_seconds: int | None
    uid: str | None
    revision: str | None
    policy: str
    dry_run: bool


def delete_query(request: Request, body: object) -> DeleteQuery:
    """Parse the options of a deletion: from its body, otherwise from the query string.

    Args:
        request: the request.
        body: the DeleteOptions of the body; None if there is no body.

    Raises:
        BadRequest, Invalid: a value is malformed or not supported.
    """
    if body is not None and not isinstance(body, dict):
        raise BadRequest("the body of a deletion must be a DeleteOptions object")
    given: Document = body or {}
    if given.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f"a deletion accepts DeleteOptions, not {str(given['kind'])[:60]!r}")
    grace = given.get("gracePeriodSeconds")
    if grace is None:
        grace = number(request, "gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int)):
        raise BadRequest("gracePeriodSeconds must be an integer")
    policy = given.get("propagationPolicy") or request.parameter("propagationPolicy")
    if given.get("orphanDependents") or flag(request, "orphanDependents"):
        policy = "Orphan"
    if policy and policy not in PROPAGATION:
        supported = '"Foreground", "Background", "Orphan", nil'
        rule = f'Unsupported value: "{str(policy)[:40]}": supported values: {supported}'
        cause = Cause("propagationPolicy", "FieldValueNotSupported", rule)
        message = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {rule}'
        raise Invalid(message, kind="DeleteOptions", group=META_GROUP, causes=[cause])
    conditions, stages = given.get("preconditions"), given.get("dryRun")
    conditions = {} if conditions is None else conditions
    stages = [] if stages is None else stages
    if not isinstance(conditions, dict) or not isinstance(stages, list):
        raise BadRequest("preconditions must be an object, and dryRun a list")
    stages = [str(stage) for stage in stages] or request.parameters("dryRun")
    return DeleteQuery(
        grace,
        _optional_string(conditions, "uid"),
        _optional_string(conditions, "resourceVersion"),
        str(policy or ""),
        dry_run(stages),
    )


def _optional_string(given: Document, key: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"preconditions.{key} must be a string")
    return value
