"""What an object takes of its namespace's quota, and whether a quota is about it.

Pure. Amounts are exact; the names are those of ``spec.hard`` of a ResourceQuota.

>>> pod = {"spec": {"containers": [{"resources": {"requests": {"cpu": "250m"}}}]}}
>>> taken = usage_of("pods", "", pod)
>>> {name: text_of(name, taken[name]) for name in sorted(taken)}
{'count/pods': '1', 'cpu': '250m', 'pods': '1', 'requests.cpu': '250m'}

Source: pkg/quota/v1/evaluator/core (pods.go, services.go, persistent_volume_claims.go),
k8s.io/apiserver/pkg/quota/v1/generic (object count).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil

from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.pods import containers_of, is_finished
from kubesim.objects.qos import BEST_EFFORT, qos_class
from kubesim.quantity import format_cpu, format_memory, parse_quantity

Usage = dict[str, Fraction]
SIDES = ("requests", "limits")
# Object counts that have a name of their own beside count/NAME.
COUNTED = (
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
)
SCOPES = ("BestEffort", "NotBestEffort", "NotTerminating", "Terminating")
ONE = Fraction(1)


def amounts(holder: object, side: str) -> Usage:
    """The quantities of one side of `resources`; what is none counts as nothing."""
    resources = holder.get("resources") if isinstance(holder, Mapping) else None
    listed = resources.get(side) if isinstance(resources, Mapping) else None
    found = {}
    for name, value in listed.items() if isinstance(listed, Mapping) else ():
        try:
            found[str(name)] = parse_quantity(value)
        except ValueError:
            continue  # the rules of the kind have refused it, or will
    return found


def added(parts: Iterable[Usage]) -> Usage:
    """The sums of several usages."""
    total: Usage = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, Fraction(0)) + value
    return total


def pod_amounts(pod: ReadOnlyDocument, side: str) -> Usage:
    """What a pod as a whole requests, or is limited to.

    Main containers and sidecars add up; an init container runs before them, so that only what it
    takes beyond them counts.
    """
    spec = pod.get("spec") or {}
    init = [item for item in spec.get("initContainers") or () if isinstance(item, Mapping)]
    sidecars = [item for item in init if item.get("restartPolicy") == "Always"]
    total = added(amounts(item, side) for item in [*containers_of(pod), *sidecars])
    for item in init:
        if item not in sidecars:
            for name, value in amounts(item, side).items():
                total[name] = max(total.get(name, Fraction(0)), value)
    if side == "requests":
        total = added([total, amounts({"resources": {"requests": spec.get("overhead")}}, side)])
    return total


def usage_of(plural: str, group: str, document: ReadOnlyDocument) -> Usage:
    """What one object takes, by the names of a quota.

    Args:
        plural, group: of its kind.
        document: the object.
    """
    if plural == "pods" and is_finished(document):
        return {}
    named = f"count/{plural}.{group}" if group else f"count/{plural}"
    found: Usage = {named: ONE}
    if not group and plural in COUNTED:
        found[plural] = ONE
    if group:
        return found
    if plural == "pods":
        for side in SIDES:
            for name, value in pod_amounts(document, side).items():
                found[f"{side}.{name}"] = value
                if side == "requests":
                    found[name] = value
    elif plural == "services":
        spec = document.get("spec") or {}
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            found["services.nodeports"] = Fraction(len(spec.get("ports") or ()))
        if spec.get("type") == "LoadBalancer":
            found["services.loadbalancers"] = ONE
    elif plural == "persistentvolumeclaims":
        storage = amounts(document.get("spec"), "requests").get("storage")
        if storage is not None:
            found["requests.storage"] = storage
    return found


def is_in_scope(quota: ReadOnlyDocument, plural: str, document: ReadOnlyDocument) -> bool:
    """Whether a quota is about an object: scopes choose among pods, and leave all else out.

    A quota with a `scopeSelector` (priority classes) is about nothing: these are not simulated.
    """
    spec = quota.get("spec") or {}
    scopes = spec.get("scopes") or ()
    if spec.get("scopeSelector"):
        return False
    if scopes and plural != "pods":
        return False
    return all(_is_in(str(scope), document) for scope in scopes)


def _is_in(scope: str, pod: ReadOnlyDocument) -> bool:
    ends = (pod.get("spec") or {}).get("activeDeadlineSeconds") is not None
    match scope:
        case "Terminating":
            return ends
        case "NotTerminating":
            return not ends
        case "BestEffort":
            return qos_class(pod) == BEST_EFFORT
        case "NotBestEffort":
            return qos_class(pod) != BEST_EFFORT
    return False


def text_of(name: str, amount: Fraction) -> str:
    """An amount as a quota shows it: ``250m``, ``64Mi``, ``3``."""
    kind = name.rpartition(".")[2]
    if kind == "cpu":
        return format_cpu(ceil(amount * 1000))
    if kind in ("memory", "storage", "ephemeral-storage"):
        return format_memory(ceil(amount))
    return str(ceil(amount))
