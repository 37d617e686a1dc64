"""What a request asks for: the resource that its path names, and its options.

Options, in query strings and bodies, are parsed strictly: an unknown value is an error.

    /api/v1/namespaces/shop/pods/web-0/log            the log of a pod
    /apis/apps/v1/namespaces/shop/deployments         the deployments of a namespace
    /apis/apps/v1/deployments                         the deployments of all namespaces
    /api/v1/nodes/node-1/status                       the status of a cluster-scoped object
    /api/v1/watch/namespaces/shop/pods                changes of the pods (deprecated: ?watch=1)

>>> info = parse_request_info(("api", "v1", "namespaces", "shop", "pods", "web-0", "log"))
>>> info.plural, info.namespace, info.name, info.subresource
('pods', 'shop', 'web-0', 'log')
>>> parse_request_info(("api", "v1", "namespaces", "shop")).name
'shop'
>>> parse_request_info(("apis", "apps", "v1", "watch", "deployments")).watch
True

Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go; k8s.io/apimachinery/pkg/apis/meta/v1
(ListOptions, DeleteOptions, PatchOptions) and meta/internalversion/validation.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kubesim.apiserver.options import refuse_options
from kubesim.apiserver.registry import Kind, Registry
from kubesim.apiserver.validation import FieldErrors
from kubesim.apiserver.verbs.versions import in_version
from kubesim.errors import BadRequest, Cause, Invalid, NotFound
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import META_GROUP
from kubesim.rest.http.wire import Request

# -- the path --------------------------------------------------------------------------------------

NO_RESOURCE = "the server could not find the requested resource"
NAMESPACE_SUBRESOURCES = ("status", "finalize")  # below namespaces/NAME; all else is a resource


class RequestInfo(NamedTuple):
    """The parts of a path.

    Attributes:
        group, version: of the API; the core group is "".
        plural: the resource.
        namespace: "" if the path names none.
        name: of the object; "" for all of them.
        subresource: for example ``status``; "" for the object itself.
        watch: a deprecated path below ``watch/``.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watch: bool = False


class Target(NamedTuple):
    """A request info and the registered kind that it names.

    Attributes:
        info: the parts of the path.
        kind: the kind of the objects.
    """

    info: RequestInfo
    kind: Kind

    @property
    def namespace(self) -> str | None:
        """The namespace as the verbs of KubeAPI take it; None: all, or the kind has none."""
        return self.info.namespace or None

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group."""
        group, version = self.info.group, self.info.version
        return f"{group}/{version}" if group else version

    def to_requested_version(self, document: Document) -> Document:
        """Convert a stored object to the version that the path names."""
        version, shown = self.api_version, document
        if document.get("apiVersion") != version:
            shown = in_version(self.kind, document, version)
        if "status" in shown or not self.kind.status or self.kind.custom:
            return shown
        return {**shown, "status": {}}  # typed clients expect a status, if only an empty one


def parse_request_info(segments: tuple[str, ...]) -> RequestInfo | None:
    """Parse the segments of a path below a group and version; None for any other path."""
    if segments[:2] == ("api", "v1"):
        group, version, rest = "", "v1", segments[2:]
    elif segments[:1] == ("apis",) and len(segments) > 3 and segments[1]:
        group, version, rest = segments[1], segments[2], segments[3:]
    else:
        return None
    if rest and rest[-1] == "":
        rest = rest[:-1]  # a trailing slash is ignored
    if not rest or "" in rest:
        return None
    namespace, watch = "", rest[0] == "watch" and len(rest) > 1
    if watch:
        rest = rest[1:]
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    plural, name = rest[0], rest[1] if len(rest) > 1 else ""
    return RequestInfo(group, version, plural, namespace, name, "/".join(rest[2:]), watch)


def resolve(registry: Registry, info: RequestInfo) -> Target:
    """Find the kind that a request info names.

    Raises:
        NotFound: no such kind, or it is not served at such a path.
    """
    kind = registry.served.get(info[:3])
    if kind is None or (info.namespace and not kind.namespaced):
        raise NotFound(NO_RESOURCE)
    if info.name and kind.namespaced and not info.namespace:
        raise NotFound(NO_RESOURCE)  # a namespaced object is only served inside its namespace
    return Target(info, kind)


# -- options ---------------------------------------------------------------------------------------

_DECIMAL = re.compile("-?[0-9]{1,18}", re.ASCII)
FALSE = ("0", "false")
MATCHES = ("", "Exact", "NotOlderThan")
PROPAGATION = ("Background", "Foreground", "Orphan")


def flag(request: Request, name: str) -> bool:
    """Return a boolean query parameter: absent, ``0`` and ``false`` are false, all else is true.

    Source: k8s.io/apimachinery/pkg/runtime/conversion.go (Convert_Slice_string_To_bool).
    """
    return request.parameter(name, "0").lower() not in FALSE


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


def dry_run(stages: list[str], kind: str = "CreateOptions") -> bool:
    """Return whether the parameter `dryRun` asks for a dry run.

    Args:
        stages: the values of the parameter.
        kind: of the request's options, as messages name it.

    Raises:
        Invalid: an unknown stage.

    Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation (ValidateDryRun).
    """
    if any(stage != "All" for stage in stages):
        errors = FieldErrors()
        errors.not_supported("dryRun", stages, ("All",))
        refuse_options(kind, errors)
    return bool(stages)


class ListQuery(NamedTuple):
    """Options of a list or a watch.

    Attributes:
        labels, fields: selectors.
        limit, token: size of a page (None: all), and the continue token of the page before it.
        revision, match: resourceVersion and resourceVersionMatch.
        watch: send changes in place of a list.
        bookmarks: allowWatchBookmarks.
        initial: sendInitialEvents: first the existing objects, then a bookmark.
        seconds: timeoutSeconds: the watch ends after that many seconds of wall time.
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
        max(0, number(request, "limit") or 0) or None,
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


def watch_query(request: Request, info: RequestInfo) -> ListQuery:
    """Parse the options of a watch by a deprecated path: it is one without ``watch=1``, too.

    Raises:
        BadRequest, Invalid: a value is malformed, or the selector names another object.

    Source: k8s.io/apiserver/pkg/endpoints/handlers/get.go (ListResource with forceWatch),
    pkg/endpoints/installer.go (WATCH, WATCHLIST).
    """
    options = list_query(request)
    if info.name and options.fields and selected_name(options.fields) != info.name:
        raise BadRequest("fieldSelector metadata.name doesn't match requested name")
    return options._replace(watch=True)


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


def selected_name(fields: str) -> str:
    """Return the name that a field selector requires; "" if it requires none.

    Authorization sees such a list or watch as one of that object.
    Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.

    >>> selected_name("metadata.name=web,status.phase=Running"), selected_name("")
    ('web', '')
    """
    for part in fields.split(",") if fields else ():
        key, _, name = part.replace("==", "=").partition("=")
        if key == "metadata.name":
            return name
    return ""


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


BOTH_ORPHANS = "orphanDependents and deletionPropagation cannot be both set"


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
    options: Document = body or {}
    if options.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f"a deletion accepts DeleteOptions, not {str(options['kind'])[:60]!r}")
    grace = options.get("gracePeriodSeconds")
    if grace is None:
        grace = number(request, "gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int)):
        raise BadRequest("gracePeriodSeconds must be an integer")
    policy = options.get("propagationPolicy") or request.parameter("propagationPolicy")
    if options.get("orphanDependents") is not None and policy:
        rule = f'Invalid value: "{str(policy)[:40]}": {BOTH_ORPHANS}'
        cause = Cause("propagationPolicy", "FieldValueInvalid", rule)
        message = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {rule}'
        raise Invalid(message, kind="DeleteOptions", group=META_GROUP, causes=[cause])
    if options.get("orphanDependents") or flag(request, "orphanDependents"):
        policy = "Orphan"
    if policy and policy not in PROPAGATION:
        supported = '"Foreground", "Background", "Orphan", nil'
        rule = f'Unsupported value: "{str(policy)[:40]}": supported values: {supported}'
        cause = Cause("propagationPolicy", "FieldValueNotSupported", rule)
        message = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {rule}'
        raise Invalid(message, kind="DeleteOptions", group=META_GROUP, causes=[cause])
    conditions, stages = options.get("preconditions"), options.get("dryRun")
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
        dry_run(stages, "DeleteOptions"),
    )


def _optional_string(document: Document, key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"preconditions.{key} must be a string")
    return value
