"""`explain("access/ann get pods")`: which binding allows something, or what would.

`kubectl auth can-i` says yes or no; this says by which binding, and, if none allows it, which roles
the user has, and which binding would help.

    access/USER VERB RESOURCE [NAMESPACE]    pods, deployments.apps, pods/log, pods/web-0
    access/USER VERB /PATH                   a path that is no resource: /metrics

A user ``system:serviceaccount:shop:robot`` is a service account. The namespace is ``default`` if it
is left out, and ``*`` stands for all. Only roles and bindings are read, not the users file of a
server.

Source: kubectl auth can-i (k8s.io/kubectl/pkg/cmd/auth/cani.go); pkg/registry/rbac/validation.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.access.attributes import (
    AUTHENTICATED_GROUP,
    MASTERS_GROUP,
    RequestAttributes,
    User,
    account_user,
    rules_of,
    split_account,
)
from kubesim.client.decisions import Decision, RuleStep
from kubesim.errors import BadRequest
from kubesim.objects.meta import name_of
from kubesim.objects.wellknown import DEFAULT_NAMESPACE

PREFIX = "access/"
COMPONENT = "RBAC authorizer"
SOURCE = "https://kubernetes.io/docs/reference/access-authn-authz/rbac/"
SUBRESOURCES = frozenset(
    {"attach", "binding", "eviction", "exec", "finalize", "log", "portforward", "proxy", "scale"}
    | {"status", "token"}
)
USER_ROLES = ("view", "edit", "admin")  # what a way out suggests, the least first
ALL_NAMESPACES = "*"


def explain_access(api: KubeAPI, reference: str) -> Decision:
    """Return why a user may do something or not.

    Args:
        api: has the roles and bindings.
        reference: see the docstring of this module.

    Raises:
        BadRequest: the reference has another form.
        NotFound: the server has no such kind.
    """
    user, attempt = _parse(api, reference)
    decision = api.access.decide(user, attempt)
    steps = tuple(_steps(api, user, attempt))
    what = f"{attempt.verb} {attempt.path or attempt.resource}"
    where = f" in namespace {attempt.namespace}" if attempt.namespace else ""
    if attempt.name:
        what += f" {attempt.name}"
    if decision.allowed:
        binding = decision.reason.removeprefix("RBAC: allowed by ") or f"group {MASTERS_GROUP}"
        change = "" if not decision.reason else "that binding, or the rule of its role, were gone"
        verdict = f"{user.name} may {what}{where}"
    else:
        binding = decision.reason or "no rule of any role that is bound to the user allows it"
        change = f"an administrator ran: {_way_out(api, user, attempt)}"
        verdict = f"{user.name} may not {what}{where}"
    return Decision(
        time=api.clock.now(),
        revision=api.store.revision,
        component=COMPONENT,
        object=reference,
        verdict=verdict,
        steps=steps,
        binding=binding,
        would_change_if=change,
        data={"allowed": decision.allowed},
    )


def _parse(api: KubeAPI, reference: str) -> tuple[User, RequestAttributes]:
    words = reference.removeprefix(PREFIX).split()
    if len(words) not in (3, 4):
        raise BadRequest(
            f"{reference!r} does not say who does what",
            hint='write access/USER VERB RESOURCE [NAMESPACE], for example "access/ann get pods"',
        )
    name, verb, resource = words[:3]
    account = split_account(name)
    user = account_user(*account) if account is not None else User(name, (AUTHENTICATED_GROUP,))
    if resource.startswith("/"):
        return user, RequestAttributes(verb, path=resource)
    plural, *parts = resource.split("/")
    kind = api.registry.find(plural)
    sub = parts.pop() if parts and parts[-1] in SUBRESOURCES else ""
    if len(parts) > 1:
        raise BadRequest(f"{resource!r}: write RESOURCE, RESOURCE/NAME or RESOURCE/SUBRESOURCE")
    namespace = words[3] if len(words) == 4 else DEFAULT_NAMESPACE
    if not kind.namespaced or namespace == ALL_NAMESPACES:
        namespace = ""
    full = f"{kind.plural}/{sub}" if sub else kind.plural
    return user, RequestAttributes(verb, kind.group, full, namespace, "".join(parts))


def _steps(api: KubeAPI, user: User, attempt: RequestAttributes) -> Iterator[RuleStep]:
    """Yield one step for each binding of the user, with what its role says about the attempt."""
    for grant in api.access.grants(user, attempt.namespace):
        if grant.missing:
            result = grant.missing
        elif any(rule.allows(attempt) for rule in grant.rules):
            result = "allows it"
        else:
            result = "none of its rules matches"
        yield RuleStep(grant.source, {"rules": len(grant.rules)}, result, SOURCE)


def _way_out(api: KubeAPI, user: User, attempt: RequestAttributes) -> str:
    """Return the commands after which the attempt would be allowed, for an administrator."""
    account = split_account(user.name)
    subject = f"--user={user.name}"
    if account is not None:
        subject = f"--serviceaccount={account[0]}:{account[1]}"
    namespaced = bool(attempt.namespace)
    bind = "rolebinding NAME" if namespaced else "clusterrolebinding NAME"
    end = f"{subject} -n {attempt.namespace}" if namespaced else subject
    role = _smallest_role(api, attempt)
    if role:
        return f"kubectl create {bind} --clusterrole={role} {end}"
    create = f"kubectl create {'role' if namespaced else 'clusterrole'} NAME --verb={attempt.verb}"
    if attempt.path:
        create += f" --non-resource-url={attempt.path}"
    else:
        plural, _, sub = attempt.resource.partition("/")
        group = f".{attempt.group}" if attempt.group else ""
        create += f" --resource={plural}{group}{f'/{sub}' if sub else ''}"
    given = "--role" if namespaced else "--clusterrole"
    where = f" -n {attempt.namespace}" if namespaced else ""
    return f"{create}{where}, then kubectl create {bind} {given}=NAME {end}"


def _smallest_role(api: KubeAPI, attempt: RequestAttributes) -> str:
    """Return the user-facing ClusterRole that allows the attempt; "" if only the largest does."""
    for name in USER_ROLES:
        role = api.peek("ClusterRole", name)
        if role is not None and any(rule.allows(attempt) for rule in rules_of(role)):
            return name_of(role)
    return ""
