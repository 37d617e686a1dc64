"""Reviews: requests about authentication and authorization that are answered in their status.

`kubectl auth can-i` and `kubectl auth whoami` create a review and read its status; no review is
stored.

Source: pkg/registry/authorization, pkg/registry/authentication.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.rest.users import RequestAttributes, User, Users

AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
Spec = Mapping[str, object]


class Review(NamedTuple):
    """One kind of review.

    Attributes:
        group, kind, namespaced: the resource.
        answer: (spec, requesting user, all users) -> status.
    """

    group: str
    kind: str
    namespaced: bool
    answer: Callable[[Spec, User, Users], Document]


def attributes_of(spec: Spec) -> RequestAttributes:
    """Return the attempt that an access review asks about.

    Raises:
        BadRequest: neither or both of the attributes are given, or they are malformed.
    """
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        raise BadRequest(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    attributes = resource if path is None else path
    if not isinstance(attributes, dict) or not all(isinstance(v, str) for v in attributes.values()):
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


def self_access(spec: Spec, user: User, _users: Users) -> Document:
    """Answer a SelfSubjectAccessReview: may the requesting user do this?"""
    allowed = user.may(attributes_of(spec))
    return {"allowed": allowed} | ({} if allowed else {"reason": "no rule allows it"})


def subject_access(spec: Spec, _user: User, users: Users) -> Document:
    """Answer a SubjectAccessReview: may the user named in the spec do this?"""
    subject = users.find(str(spec.get("user", "")))
    allowed = subject is not None and subject.may(attributes_of(spec))
    return {"allowed": allowed} | ({} if allowed else {"reason": "no rule allows it"})


def self_rules(spec: Spec, user: User, _users: Users) -> Document:
    """Answer a SelfSubjectRulesReview: what may the requesting user do in a namespace?"""
    namespace = spec.get("namespace", "")
    resources = [
        rule.policy_rule()
        for rule in user.rules
        if not rule.paths and ("*" in rule.namespaces or namespace in rule.namespaces)
    ]
    paths = [rule.policy_rule() for rule in user.rules if rule.paths]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def self_subject(_spec: Spec, user: User, _users: Users) -> Document:
    """Answer a SelfSubjectReview: who is the requesting user?"""
    return {"userInfo": {"username": user.name, "groups": list(user.groups)}}


def token_review(spec: Spec, _user: User, users: Users) -> Document:
    """Answer a TokenReview: whose token is this?"""
    headers = {"authorization": f"Bearer {spec.get('token', '')}"}
    owner = users.authenticate(headers) if users.configured else None
    if owner is None:
        return {"authenticated": False, "user": {}}
    info = {"username": owner.name, "groups": list(owner.groups)}
    return {"authenticated": True, "user": info}


REVIEWS: dict[str, Review] = {
    "selfsubjectreviews": Review(AUTHENTICATION, "SelfSubjectReview", False, self_subject),
    "tokenreviews": Review(AUTHENTICATION, "TokenReview", False, token_review),
    "localsubjectaccessreviews": Review(
        AUTHORIZATION, "LocalSubjectAccessReview", True, subject_access
    ),
    "selfsubjectaccessreviews": Review(
        AUTHORIZATION, "SelfSubjectAccessReview", False, self_access
    ),
    "selfsubjectrulesreviews": Review(AUTHORIZATION, "SelfSubjectRulesReview", False, self_rules),
    "subjectaccessreviews": Review(AUTHORIZATION, "SubjectAccessReview", False, subject_access),
}
