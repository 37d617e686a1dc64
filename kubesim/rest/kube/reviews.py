"""Questions to the API server that no object answers: may I, who am I.

`kubectl auth can-i` and `whoami` create a review, and read the answer from its status.

Source: pkg/registry/authorization, pkg/registry/authentication.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kubesim.errors import BadRequest
from kubesim.rest.users import RequestAttributes, User, Users

AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
Spec = Mapping[str, Any]
Status = dict[str, Any]


class Review(NamedTuple):
    """One kind of question.

    Attributes:
        group, kind, namespaced: how it is called.
        answer: (spec, who asks, everybody) -> status.
    """

    group: str
    kind: str
    namespaced: bool
    answer: Callable[[Spec, User, Users], Status]


def attributes_of(spec: Spec) -> RequestAttributes:
    """What a review asks about.

    Raises:
        BadRequest: it asks about nothing, or about two things.
    """
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        raise BadRequest(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    given = resource if path is None else path
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        raise BadRequest("the attributes of a review are texts")
    if path is not None:
        return RequestAttributes(given.get("verb", ""), path=given.get("path", "") or "/")
    part = given.get("subresource", "")
    return RequestAttributes(
        given.get("verb", ""),
        given.get("group", ""),
        given.get("resource", "") + (f"/{part}" if part else ""),
        given.get("namespace", ""),
        given.get("name", ""),
    )


def self_access(spec: Spec, user: User, _users: Users) -> Status:
    """May I?"""
    allowed = user.may(attributes_of(spec))
    return {"allowed": allowed} | ({} if allowed else {"reason": "no rule allows it"})


def subject_access(spec: Spec, _user: User, users: Users) -> Status:
    """May he?"""
    who = users.named(str(spec.get("user", "")))
    allowed = who is not None and who.may(attributes_of(spec))
    return {"allowed": allowed} | ({} if allowed else {"reason": "no rule allows it"})


def self_rules(spec: Spec, user: User, _users: Users) -> Status:
    """What may I in a namespace?"""
    namespace = spec.get("namespace", "")
    resources = [
        rule.document()
        for rule in user.rules
        if not rule.paths and ("*" in rule.namespaces or namespace in rule.namespaces)
    ]
    paths = [rule.document() for rule in user.rules if rule.paths]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def self_subject(_spec: Spec, user: User, _users: Users) -> Status:
    """Who am I?"""
    return {"userInfo": {"username": user.name, "groups": list(user.groups)}}


def token_review(spec: Spec, _user: User, users: Users) -> Status:
    """Whose token is this?"""
    found = users.of({"authorization": f"Bearer {spec.get('token', '')}"}) if users.known else None
    if found is None:
        return {"authenticated": False, "user": {}}
    info = {"username": found.name, "groups": list(found.groups)}
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
