"""Reviews: requests about authentication and authorization that are answered in their status.

`kubectl auth can-i` and `kubectl auth whoami` create a review and read its status, `kubectl create
token` a TokenRequest; none is stored.

Source: pkg/registry/authorization, pkg/registry/authentication,
pkg/apis/authorization/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.access.attributes import MASTERS_GROUP
from kubesim.apiserver.access.tokens import GROUP as AUTHENTICATION
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors
from kubesim.errors import BadRequest, Invalid
from kubesim.objects.frozen import Document
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube import bodies
from kubesim.rest.kube.requestinfo import RequestInfo, dry_run
from kubesim.rest.kube.response import object_response
from kubesim.rest.users import EVERYTHING, RequestAttributes, User, Users

AUTHORIZATION = "authorization.k8s.io"
Spec = Mapping[str, object]
ONE_OF_TWO = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class ReviewRequest(NamedTuple):
    """A review that a user sends.

    Attributes:
        spec: what is asked.
        namespace: of the path; "" for reviews without one.
        user: the requesting user.
        users: all users.
    """

    spec: Spec
    namespace: str
    user: User
    users: Users


class Review(NamedTuple):
    """One kind of review.

    Attributes:
        resource: names and scope; it is created, and never stored.
        answer: computes the status.
    """

    resource: Kind
    answer: Callable[[ReviewRequest], Document]


def attributes_of(spec: Spec, kind: str = "SelfSubjectAccessReview") -> RequestAttributes:
    """Return the attempt that an access review asks about.

    Raises:
        BadRequest: the attributes are malformed.
        Invalid: neither or both of the attributes are given.
    """
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        if resource is None:
            raise _invalid(kind, "resourceAttributes", None, ONE_OF_TWO)
        rule = "cannot be specified in combination with resourceAttributes"
        raise _invalid(kind, "nonResourceAttributes", path, rule)
    attributes = resource if path is None else path
    if not isinstance(attributes, dict):
        raise BadRequest("the attributes of a review must be an object")
    attributes = {key: value for key, value in attributes.items() if key not in SELECTORS}
    if not all(isinstance(value, str) for value in attributes.values()):
        raise BadRequest("the attributes of a review must be strings")
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
    errors.invalid(f"spec.{field}", value, rule)
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
    if not isinstance(name, str) or not isinstance(groups, list):
        raise BadRequest("user must be a string, and groups a list")
    if not name and not groups:
        raise _invalid(kind, "user", name, "at least one of user or group must be specified")
    return _access(review.users, review.users.subject(name, map(str, groups)), attempt)


def self_rules(review: ReviewRequest) -> Document:
    """Answer a SelfSubjectRulesReview: what may the requesting user do in a namespace?"""
    namespace = review.spec.get("namespace")
    if not namespace or not isinstance(namespace, str):
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
    if not token or not isinstance(token, str):
        raise BadRequest("token is required for TokenReview in authentication")
    if not isinstance(audiences, list):
        raise BadRequest("audiences must be a list")
    owner = review.users.owner_of(token, tuple(map(str, audiences)))
    if owner is None:
        return {"authenticated": False, "user": {}}
    status: Document = {"authenticated": True, "user": owner.info()}
    return status | ({"audiences": audiences} if audiences else {})


def _review(group: str, kind: str, answer: Callable[[ReviewRequest], Document]) -> Review:
    namespaced, verbs = kind.startswith("Local"), ("create",)
    names = (kind, f"{kind.lower()}s", group)
    return Review(Kind(*names, namespaced=namespaced, status=False, verbs=verbs), answer)


_ALL = (
    _review(AUTHENTICATION, "SelfSubjectReview", self_subject),
    _review(AUTHENTICATION, "TokenReview", token_review),
    _review(AUTHORIZATION, "LocalSubjectAccessReview", subject_access),
    _review(AUTHORIZATION, "SelfSubjectAccessReview", self_access),
    _review(AUTHORIZATION, "SelfSubjectRulesReview", self_rules),
    _review(AUTHORIZATION, "SubjectAccessReview", subject_access),
)
REVIEWS = {review.resource.plural: review for review in _ALL}


def answer(request: Request, info: RequestInfo, user: User, users: Users) -> Response:
    """Answer a review.

    Args:
        request: the request; its body is the review.
        info: names the kind of review.
        user: the requesting user.
        users: all users.
    """
    review = REVIEWS[info.plural]
    document = bodies.read_document(request, "a review")
    bodies.set_kind(document, review.resource.kind, review.resource.api_version)
    spec = bodies.object_field(document, "spec")
    namespace = info.namespace if review.resource.namespaced else ""
    status = review.answer(ReviewRequest(spec, namespace, user, users))
    return object_response({**document, "status": status}, 201)


def issue_token(api: KubeAPI, request: Request, info: RequestInfo) -> Response:
    """Answer a TokenRequest: POST /serviceaccounts/NAME/token.

    Args:
        api: issues the token.
        request: its body is the TokenRequest.
        info: names the account.
    """
    document = bodies.read_document(request, "a TokenRequest")
    bodies.set_kind(document, "TokenRequest", f"{AUTHENTICATION}/v1")
    bodies.object_field(document, "spec")
    dry_run(request.parameters("dryRun"))  # nothing is stored in any case
    return object_response(api.tokens.issue(info.namespace, info.name, document), 201)
