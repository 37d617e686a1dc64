"""Which webhooks and admission policies would judge a request.

Pure: configurations in, rules out; a rule and a request in, yes or no out. Match conditions (CEL)
are not evaluated: a rule that has some counts as if they held.

>>> hooks = {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "images"}, "webhooks": [
...     {"name": "tags.example.com", "rules": [{"apiGroups": [""], "apiVersions": ["v1"],
...      "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}]}]}
>>> rule, = rules_of([hooks])
>>> rule.about
'ValidatingWebhookConfiguration "images": webhook "tags.example.com"'
>>> rule.matches(AdmissionRequest("CREATE", "", ("v1",), "pods", "shop", "web", {}, {}))
True

Source: k8s.io/apiserver/pkg/admission/plugin/webhook/predicates (rules, namespace, object),
k8s.io/apiserver/pkg/admission/plugin/policy/matching/matching.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import name_of
from kubesim.objects.selectors import Selector, selector_from

GROUP = "admissionregistration.k8s.io"
PREFIX = f"/registry/{GROUP}/"


class AdmissionRequest(NamedTuple):
    """What a rule may ask about a request.

    Attributes:
        operation: CREATE, UPDATE or DELETE.
        group, versions, resource: of the object; the versions are all that it can be served in.
        namespace, name: of the object; a cluster-wide object has no namespace.
        labels: of the object.
        namespace_labels: of its namespace, or of itself if it is one; None: it has none.
    """

    operation: str
    group: str
    versions: tuple[str, ...]
    resource: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """MatchResources of a policy, or the same fields of a webhook.

    Attributes:
        rules: requests that match; none: every request.
        excluded: requests that do not match, whatever the rules say.
        namespaces, objects: selectors of labels.
    """

    rules: tuple[Document, ...]
    excluded: tuple[Document, ...]
    namespaces: Selector
    objects: Selector

    def matches(self, request: AdmissionRequest) -> bool:
        """Return whether it matches a request."""
        if request.namespace_labels is not None and not self.namespaces.matches(
            request.namespace_labels
        ):
            return False
        if not self.objects.matches(request.labels):
            return False
        if any(_rule_matches(rule, request) for rule in self.excluded):
            return False
        return not self.rules or any(_rule_matches(rule, request) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class AdmissionRule:
    """A webhook, or a policy with one of its bindings.

    Attributes:
        about: which one, for a message.
        parts: all of them must match.
    """

    about: str
    parts: tuple[RequestMatch, ...]

    def matches(self, request: AdmissionRequest) -> bool:
        """Return whether it would judge a request; those for its own group are never judged."""
        return request.group != GROUP and all(part.matches(request) for part in self.parts)


def rules_of(configurations: Iterable[Document]) -> tuple[AdmissionRule, ...]:
    """Return the rules of stored webhook configurations, policies and bindings.

    A policy without a binding judges nothing.
    """
    stored = list(configurations)
    policies = {(each["kind"], name_of(each)): each for each in stored}
    rules = []
    for each in stored:
        kind, name = each["kind"], name_of(each)
        for webhook in objects_in(each.get("webhooks")):
            about = f'{kind} "{name}": webhook "{webhook.get("name")}"'
            if webhook.get("rules"):
                rules.append(AdmissionRule(about, (_match_of(webhook, "rules"),)))
        if not kind.endswith("Binding"):
            continue
        spec, policy_kind = each.get("spec") or {}, kind.removesuffix("Binding")
        policy = policies.get((policy_kind, str(spec.get("policyName"))))
        constraints = ((policy or {}).get("spec") or {}).get("matchConstraints")
        if constraints:
            parts = [_match_of(constraints, "resourceRules")]
            if spec.get("matchResources"):
                parts.append(_match_of(spec["matchResources"], "resourceRules"))
            about = f'{policy_kind} "{spec["policyName"]}" with {kind} "{name}"'
            rules.append(AdmissionRule(about, tuple(parts)))
    return tuple(rules)


def _match_of(holder: Document, rules: str) -> RequestMatch:
    return RequestMatch(
        tuple(objects_in(holder.get(rules))),
        tuple(objects_in(holder.get("excludeResourceRules"))),
        selector_from(holder.get("namespaceSelector") or {}),
        selector_from(holder.get("objectSelector") or {}),
    )


def _rule_matches(rule: Document, request: AdmissionRequest) -> bool:
    def lists(field: str, *values: str) -> bool:
        listed = rule.get(field) or ()
        return "*" in listed or any(value in listed for value in values)

    scope, named = rule.get("scope") or "*", rule.get("resourceNames")
    namespaced = bool(request.namespace) and request.resource != "namespaces"
    return (
        lists("operations", request.operation)
        and lists("apiGroups", request.group)
        and lists("apiVersions", *request.versions)
        and lists("resources", request.resource, "*/*", f"{request.resource}/*")
        and (scope == "*" or (scope == "Namespaced") == namespaced)
        and (not named or request.name in named)
    )
