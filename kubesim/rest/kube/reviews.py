"""Reviews: requests about authentication and authorization that are answered in their status.

`kubectl auth can-i` and `kubectl auth whoami` create a review and read its status, `kubectl create
token` a TokenRequest; none is stored. They are decoded as other objects are: fields that a review
does not have are dropped, with a warning, or refused (`fieldValidation`). The answer is the review
with its status, and with managedFields in its metadata; a SelfSubjectReview (with its time) and a
SelfSubjectRulesReview are new objects.

Source: pkg/registry/authorization, pkg/registry/authentication (*/rest.go),
pkg/apis/authorization/validation/validation.go, k8s.io/apiserver/pkg/endpoints/handlers/create.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.access.attributes import MASTERS_GROUP
from kubesim.apiserver.access.tokens import GROUP as AUTHENTICATION
from kubesim.apiserver.fieldmanager.manager import FieldManager
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.structural import refuse_wrong_types
from kubesim.apiserver.validation import FieldErrors
from kubesim.apiserver.verbs.create import SET_BY_THE_SERVER
from kubesim.errors import BadRequest, Invalid
from kubesim.objects.frozen import Document
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube import bodies
from kubesim.rest.kube.requestinfo import RequestInfo, Target, dry_run
from kubesim.rest.kube.response import object_response
from kubesim.rest.kube.verbs import write_options
from kubesim.rest.users import EVERYTHING, RequestAttributes, User, Users

AUTHORIZATION = "authorization.k8s.io"
Spec = Document
ONE_OF_TWO = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class ReviewRequest(NamedTuple):
    """A review that a user sends.

    Attributes:
        spec: what is asked; its values have the types of its kind.
        namespace: of the path; "" for reviews without one.
        user: the requesting user.
        users: all users.
    """

    spec: Spec
    namespace: str
    user: User
    users: Users


Answer = Callable[[ReviewRequest], Document]


class Review(NamedTuple):
    """One kind of review.

    Attributes:
        resource: names and scope; it is created, and never stored.
        answer: computes the status.
        renewed: the answer is a new object, without what the client sent.
    """

    resource: Kind
    answer: Answer
    renewed: bool


def attributes_of(spec: Spec, kind: str = "SelfSubjectAccessReview") -> RequestAttributes:
    """Return the attempt that an access review asks about.

    Raises:
        Invalid: neither or both of the attributes are given.
    """
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        if resource is None:
            raise _invalid(kind, "resourceAttributes", None, ONE_OF_TWO)
        rule = "cannot be specified in combination with resourceAttributes"
        raise _invalid(kind, "nonResourceAttributes", path, rule)
    attributes: Spec = (resource if path is None else path) or {}
    attributes = {key: value or "" for key, value in attributes.items() if key not in SELECTORS}
    if path is not None:
        return RequestAttributes(attributes.get("verb", ""), path=attributes.get("path", "") or "/")
    part = attributes.get("subresource", "")
    return RequestAttributes(
        attributes.get("verb", ""),
        attributes.get("group", ""),
        attributes.get("resource", "") + (f"/{part}" if part else ""),
        attributes.get("namespace", ""),
        attributes.get("name", ""),
    )


SELECTORS = ("fieldSelector", "labelSelector")  # RBAC does not read them


def _invalid(kind: str, field: str, value: object, rule: str) -> Invalid:
    errors = FieldErrors()
    errors.invalid(field if field == "metadata" else f"spec.{field}", value, rule)
    cause = errors.causes[0]
    message = f'{kind}.{AUTHORIZATION} "" is invalid: {cause.field}: {cause.message}'
    return Invalid(message, kind=kind, group=AUTHORIZATION, causes=errors.causes)


def _access(users: Users, user: User, attempt: RequestAttributes) -> Document:
    decision = users.access.decide(user, attempt)
    return {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})


def self_access(review: ReviewRequest) -> Document:
    """Answer a SelfSubjectAccessReview: may the requesting user do this?"""
    return _access(review.users, review.user, attributes_of(review.spec))


def subject_access(review: ReviewRequest) -> Document:
    """Answer a SubjectAccessReview: may the user or the groups of the spec do this?"""
    spec, kind = review.spec, "SubjectAccessReview"
    local = bool(review.namespace)
    if local:
        kind = "LocalSubjectAccessReview"
    attempt = attributes_of(spec, kind)
    if local and attempt.path:
        rule = "disallowed on this kind of request"
        raise _invalid(kind, "nonResourceAttributes", spec.get("nonResourceAttributes"), rule)
    if local and attempt.namespace != review.namespace:
        rule = "must match metadata.namespace"
        raise _invalid(kind, "resourceAttributes.namespace", attempt.namespace, rule)
    name, groups = spec.get("user") or "", spec.get("groups") or []
    if not name and not groups:
        raise _invalid(kind, "user", name, "at least one of user or group must be specified")
    return _access(review.users, review.users.subject(name, map(str, groups)), attempt)


def self_rules(review: ReviewRequest) -> Document:
    """Answer a SelfSubjectRulesReview: what may the requesting user do in a namespace?"""
    namespace = review.spec.get("namespace")
    if not namespace:
        raise BadRequest("no namespace on request")
    rules, errors = review.users.access.rules(review.user, namespace)
    if not rules and MASTERS_GROUP in review.user.groups:
        rules = list(EVERYTHING)
    resources = [rule.policy_rule() for rule in rules if not rule.paths]
    paths = [rule.policy_rule() for rule in rules if rule.paths]
    status: Document = {
        "resourceRules": resources,
        "nonResourceRules": paths,
        "incomplete": bool(errors),
    }
    return status | ({"evaluationError": ", ".join(errors)} if errors else {})


def self_subject(review: ReviewRequest) -> Document:
    """Answer a SelfSubjectReview: who is the requesting user?"""
    return {"userInfo": review.user.info()}


def token_review(review: ReviewRequest) -> Document:
    """Answer a TokenReview: whose token is this?"""
    token, audiences = review.spec.get("token"), review.spec.get("audiences") or []
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    owner, fault = review.users.check(token, tuple(map(str, audiences)))
    if owner is None:  # Go leaves out what is false, and shows each struct
        return {"user": {}} | ({"error": fault} if fault else {})
    status: Document = {"authenticated": True, "user": owner.info()}
    return status | ({"audiences": audiences} if audiences else {})


def _review(group: str, kind: str, answer: Answer) -> Review:
    namespaced, verbs = kind.startswith("Local"), ("create",)
    names = (kind, f"{kind.lower()}s", group)
    kind_of_review = Kind(*names, namespaced=namespaced, status=False, verbs=verbs)
    return Review(kind_of_review, answer, answer in (self_subject, self_rules))


_ALL = (
    _review(AUTHENTICATION, "SelfSubjectReview", self_subject),
    _review(AUTHENTICATION, "TokenReview", token_review),
    _review(AUTHORIZATION, "LocalSubjectAccessReview", subject_access),
    _review(AUTHORIZATION, "SelfSubjectAccessReview", self_access),
    _review(AUTHORIZATION, "SelfSubjectRulesReview", self_rules),
    _review(AUTHORIZATION, "SubjectAccessReview", subject_access),
)
REVIEWS = {review.resource.plural: review for review in _ALL}


def answer(api: KubeAPI, request: Request, info: RequestInfo, user: User, users: Users) -> Response:
    """Answer a review.

    Args:
        api: decodes the review.
        request: the request; its body is the review.
        info: names the kind of review.
        user: the requesting user.
        users: all users.
    """
    review = REVIEWS[info.plural]
    kind = review.resource
    document, warnings = _read(api, request, Target(info, kind))
    if kind.group == AUTHORIZATION and not review.renewed:
        sent = {name for name, value in document["metadata"].items() if value}
        if sent - {"managedFields", "namespace"}:
            raise _invalid(kind.kind, "metadata", document["metadata"], "must be empty")
    spec = document.get("spec") or {}
    namespace = info.namespace if kind.namespaced else ""
    status = review.answer(ReviewRequest(spec, namespace, user, users))
    if review.renewed:
        document = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {}}
        if kind.group == AUTHENTICATION:
            document["metadata"]["creationTimestamp"] = api.clock.timestamp()
        else:
            document["spec"] = {}
        return object_response({**document, "status": status}, 201, warnings)
    return object_response({**document, "spec": spec, "status": status}, 201, warnings)


def _read(api: KubeAPI, request: Request, target: Target) -> tuple[Document, list[str]]:
    """Return the object of a request that creates it without storing it, and warnings.

    Raises:
        BadRequest: malformed, or with fields that its kind does not have, under strict decoding.
        Invalid: an option is not supported.
    """
    kind = target.kind
    document, duplicates = bodies.read_object(request, target)
    options, warnings = write_options(request, duplicates)
    dry_run(request.parameters("dryRun"))  # nothing is stored in any case
    api.write_path.check_fields(kind, document, options, "Create")
    api.write_path.drop_unknown(kind, document)
    refuse_wrong_types(kind, document)
    metadata = document["metadata"]
    for name in (*SET_BY_THE_SERVER, "selfLink"):
        metadata.pop(name, None)
    if not kind.namespaced:
        metadata.pop("namespace", None)
    manager = options["field_manager"]
    FieldManager(api.clock.timestamp, api.audit.actor).created(kind, document, manager)
    return document, warnings


TOKEN_REQUEST = Kind("TokenRequest", "tokenrequests", AUTHENTICATION, status=False)


def issue_token(api: KubeAPI, request: Request, info: RequestInfo) -> Response:
    """Answer a TokenRequest: POST /serviceaccounts/NAME/token.

    Args:
        api: issues the token.
        request: its body is the TokenRequest.
        info: names the account.
    """
    where = RequestInfo(AUTHENTICATION, "v1", TOKEN_REQUEST.plural, info.namespace, info.name)
    document, warnings = _read(api, request, Target(where, TOKEN_REQUEST))
    issued = api.tokens.issue(info.namespace, info.name, document)
    return object_response(issued, 201, warnings)
