"""Group flowcontrol.apiserver.k8s.io: FlowSchema and PriorityLevelConfiguration.

Both are only kept: the server limits requests by connections, not by priority levels. Those that
Kubernetes creates at start (exempt, catch-all, system ...) are in `flowdefaults`.

Source: pkg/apis/flowcontrol/validation/validation.go, pkg/apis/flowcontrol/v1/defaults.go.
"""

from __future__ import annotations

from math import log2

from kubesim.apiserver.podvalidation.formats import validate_dns_label, validate_dns_subdomain
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import LABEL_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of, valid_dns1123_label

GROUP = "flowcontrol.apiserver.k8s.io"
EXEMPT = "exempt"
METHODS = ("ByNamespace", "ByUser")
VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
)
SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
LEVELS = ("Exempt", "Limited")
RESPONSES = ("Queue", "Reject")
DEFAULT_PRECEDENCE, MAX_PRECEDENCE = 1000, 10_000
MAX_QUEUES = 10_000_000
MAX_HASH_BITS = 60
NAMESPACES_RULE = f"each member of this list must be '*' or a DNS-1123 label; {LABEL_RULE}"


# -- FlowSchema ------------------------------------------------------------------------------------


def default_flow_schema(schema: Document) -> None:
    """Default to the precedence 1000."""
    fill(schema, "spec", {})
    if isinstance(schema["spec"], dict):
        fill(schema["spec"], "matchingPrecedence", DEFAULT_PRECEDENCE)


def validate_flow_schema(schema: Document, errors: FieldErrors) -> None:
    """Validate precedence, priority level and rules of a FlowSchema."""
    spec: Document = schema.get("spec") or {}
    precedence, path = spec.get("matchingPrecedence") or 0, "spec.matchingPrecedence"
    if precedence <= 0:
        errors.invalid(path, precedence, "must be a positive value")
    if precedence > MAX_PRECEDENCE:
        errors.invalid(path, precedence, f"must not be greater than {MAX_PRECEDENCE}")
    if precedence == 1 and name_of(schema) != EXEMPT:
        detail = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.invalid(path, precedence, detail)
    method = spec.get("distinguisherMethod")
    if method is not None:
        errors.one_of("spec.distinguisherMethod.type", method.get("type"), METHODS)
    level = (spec.get("priorityLevelConfiguration") or {}).get("name")
    if level:
        validate_dns_subdomain("spec.priorityLevelConfiguration.name", level, errors)
    else:
        detail = "must reference a priority level"
        errors.required("spec.priorityLevelConfiguration.name", detail)
    for item, rule in errors.items("spec.rules", spec.get("rules")):
        _validate_rule(rule, item, errors)


def _validate_rule(rule: Document, path: str, errors: FieldErrors) -> None:
    subjects = errors.items(f"{path}.subjects", rule.get("subjects"))
    if not subjects:
        errors.required(f"{path}.subjects", "subjects must contain at least one value")
    for item, subject in subjects:
        _validate_subject(subject, item, errors)
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.required(path, detail)
    for item, each in errors.items(f"{path}.resourceRules", rule.get("resourceRules")):
        _validate_resource_rule(each, item, errors)
    for item, each in errors.items(f"{path}.nonResourceRules", rule.get("nonResourceRules")):
        _validate_verbs(each, item, errors)
        urls: list[str] = each.get("nonResourceURLs") or []
        where = f"{item}.nonResourceURLs"
        if not urls:
            errors.required(where, "nonResourceURLs must contain at least one value")
        elif "*" in urls:
            _only_wildcard(urls, where, "non-resource URLs", errors)
        else:
            for index, url in enumerate(urls):
                _validate_url(f"{where}[{index}]", url or "", errors)


def _validate_subject(subject: Document, path: str, errors: FieldErrors) -> None:
    kind = subject.get("kind") or ""
    if not errors.one_of(f"{path}.kind", kind, tuple(SUBJECTS)):
        return
    field = SUBJECTS[kind]
    for other, name in SUBJECTS.items():
        if other != kind and subject.get(name) is not None:
            detail = f"{name} is forbidden when subject kind is not '{other}'"
            errors.forbidden(f"{path}.{name}", detail)
    target = subject.get(field)
    if target is None:
        errors.required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'")
        return
    if not target.get("name"):
        errors.required(f"{path}.{field}.name")
    elif kind == "ServiceAccount" and target["name"] != "*":
        validate_dns_subdomain(f"{path}.{field}.name", target["name"], errors)
    if kind != "ServiceAccount":
        return
    if target.get("namespace"):
        validate_dns_label(f"{path}.{field}.namespace", target["namespace"], errors)
    else:
        detail = "must specify namespace for service account"
        errors.required(f"{path}.{field}.namespace", detail)


def _only_wildcard(values: list[str], path: str, named: str, errors: FieldErrors) -> None:
    if len(values) > 1 and "*" in values:
        errors.invalid(path, values, f"if '*' is present, must not specify other {named}")


def _validate_verbs(rule: Document, path: str, errors: FieldErrors) -> None:
    verbs: list[str] = rule.get("verbs") or []
    if not verbs:
        errors.required(f"{path}.verbs", "verbs must contain at least one value")
    elif "*" in verbs:
        _only_wildcard(verbs, f"{path}.verbs", "verbs", errors)
    elif not set(verbs) <= set(VERBS):
        errors.not_supported(f"{path}.verbs", verbs, VERBS)


def _validate_resource_rule(rule: Document, path: str, errors: FieldErrors) -> None:
    _validate_verbs(rule, path, errors)
    for field, one, several in (
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
    ):
        if not rule.get(field):
            detail = f"resource rules must supply at least one {one}"
            errors.required(f"{path}.{field}", detail)
        else:
            _only_wildcard(rule[field], f"{path}.{field}", several, errors)
    namespaces: list[str] = rule.get("namespaces") or []
    where = f"{path}.namespaces"
    if not namespaces and not rule.get("clusterScope"):
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.required(where, detail)
    elif "*" in namespaces:
        _only_wildcard(namespaces, where, "namespaces", errors)
    else:
        for index, name in enumerate(namespaces):
            if not valid_dns1123_label(name):
                errors.invalid(f"{where}[{index}]", name, NAMESPACES_RULE)


def _validate_url(path: str, url: str, errors: FieldErrors) -> None:
    """Validate a path of an URL, which may end with ``/*``."""
    if not url:
        errors.invalid(path, url, "must not be empty")
    elif url != "/" and not url.startswith("/"):
        errors.invalid(path, url, "must start with slash")
    elif " " in url:
        errors.invalid(path, url, "must not contain white-space")
    elif "//" in url:
        errors.invalid(path, url, "must not contain double slash")
    elif url.count("*") > 1 or (url.count("*") == 1 and not url.endswith("/*")):
        errors.invalid(path, url, "wildcard can only do suffix matching")


# -- PriorityLevelConfiguration --------------------------------------------------------------------


def default_level(level: Document) -> None:
    """Set the defaults of shares, lending, queues and the response to excess requests."""
    fill(level, "spec", {})
    spec = level["spec"]
    if not isinstance(spec, dict):
        return
    if spec.get("type") == "Exempt":
        fill(spec, "exempt", {})
        if isinstance(spec["exempt"], dict):
            fill(spec["exempt"], "nominalConcurrencyShares", 0)
            fill(spec["exempt"], "lendablePercent", 0)
    limited = spec.get("limited")
    if not isinstance(limited, dict):
        return
    fill(limited, "nominalConcurrencyShares", 30)
    fill(limited, "lendablePercent", 0)
    fill(limited, "limitResponse", {})
    response = limited["limitResponse"]
    queuing = response.get("queuing") if isinstance(response, dict) else None
    if isinstance(queuing, dict):
        for field, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
            if not queuing.get(field):
                queuing[field] = value


def validate_level(level: Document, errors: FieldErrors) -> None:
    """Validate type, shares and queues of a PriorityLevelConfiguration."""
    spec: Document = level.get("spec") or {}
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (name_of(level) == EXEMPT) != (kind == "Exempt"):
        detail = "type must be 'Exempt' if and only if name is 'exempt'"
        errors.invalid("spec.type", kind, detail)
    if not errors.one_of("spec.type", kind, LEVELS):
        return
    if kind == "Exempt":
        if limited is not None:
            errors.forbidden("spec.limited", "must be nil if the type is not Limited")
        _validate_shares(exempt or {}, "spec.exempt", errors)
        return
    if exempt is not None:
        errors.forbidden("spec.exempt", "must be nil if the type is Limited")
    if limited is None:
        errors.required("spec.limited", "must not be empty when type is Limited")
        return
    _validate_shares(limited, "spec.limited", errors)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        detail = "if specified, must be a non-negative integer"
        errors.invalid("spec.limited.borrowingLimitPercent", borrowing, detail)
    _validate_response(limited.get("limitResponse") or {}, "spec.limited.limitResponse", errors)


def _validate_shares(level: Document, path: str, errors: FieldErrors) -> None:
    shares, lendable = level.get("nominalConcurrencyShares"), level.get("lendablePercent")
    if shares is not None and shares < 0:
        detail = "must be a non-negative integer"
        errors.invalid(f"{path}.nominalConcurrencyShares", shares, detail)
    if lendable is not None and not 0 <= lendable <= 100:
        detail = "must be between 0 and 100, inclusive"
        errors.invalid(f"{path}.lendablePercent", lendable, detail)


def _validate_response(response: Document, path: str, errors: FieldErrors) -> None:
    kind, queuing = response.get("type") or "", response.get("queuing")
    if not errors.one_of(f"{path}.type", kind, RESPONSES):
        return
    if kind == "Reject":
        if queuing is not None:
            detail = "must be nil if limited.limitResponse.type is not Limited"
            errors.forbidden(f"{path}.queuing", detail)
        return
    if queuing is None:
        detail = "must not be empty if limited.limitResponse.type is Limited"
        errors.required(f"{path}.queuing", detail)
        return
    path = f"{path}.queuing"
    queues, hand = queuing.get("queues") or 0, queuing.get("handSize") or 0
    length = queuing.get("queueLengthLimit") or 0
    if length <= 0:
        errors.invalid(f"{path}.queueLengthLimit", length, "must be positive")
    if queues <= 0:
        errors.invalid(f"{path}.queues", queues, "must be positive")
    elif queues > MAX_QUEUES:
        errors.invalid(f"{path}.queues", queues, f"must not be greater than {MAX_QUEUES}")
    if hand <= 0:
        errors.invalid(f"{path}.handSize", hand, "must be positive")
    elif hand > queues:
        detail = f"should not be greater than queues ({queues})"
        errors.invalid(f"{path}.handSize", hand, detail)
    elif entropy_bits(queues, hand) > MAX_HASH_BITS:
        detail = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater "
            f"than {MAX_HASH_BITS}"
        )
        errors.invalid(f"{path}.handSize", hand, detail)


def entropy_bits(deck: int, hand: int) -> int:
    """Return how many bits of a hash it takes to deal a hand of distinct queues.

    >>> entropy_bits(64, 8)
    48

    Source: k8s.io/apiserver/pkg/util/shufflesharding (RequiredEntropyBits).
    """
    if hand > MAX_HASH_BITS:  # each card takes at least one bit
        return MAX_HASH_BITS + 1
    bits = sum(log2(deck - dealt) for dealt in range(hand))
    return int(-(-bits // 1))


KINDS = (
    Kind(
        "FlowSchema",
        "flowschemas",
        group=GROUP,
        namespaced=False,
        default=default_flow_schema,
        validate=validate_flow_schema,
        kept="requests are not queued by priority",
    ),
    Kind(
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        group=GROUP,
        namespaced=False,
        default=default_level,
        validate=validate_level,
        kept="requests are not queued by priority",
    ),
)
