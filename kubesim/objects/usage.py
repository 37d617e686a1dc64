"""Quota usage: what an object uses of its namespace's quotas, and which quotas count it.

Amounts are exact; resource names are those of ``spec.hard`` of a ResourceQuota.

>>> pod = {"spec": {"containers": [{"resources": {"requests": {"cpu": "250m"}}}]}}
>>> taken = usage_of("pods", "", pod)
>>> {name: text_of(name, taken[name]) for name in sorted(taken)}
{'count/pods': '1', 'cpu': '250m', 'pods': '1', 'requests.cpu': '250m'}

Source: pkg/quota/v1/evaluator/core (pods.go, services.go, persistent_volume_claims.go),
k8s.io/apiserver/pkg/quota/v1/generic (object count).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, cast

from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.pods import BEST_EFFORT, containers_of, is_finished, qos_class
from kubesim.quantity import format_cpu, format_memory, parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, ResourceQuotaDict

Usage = dict[str, Fraction]
SIDES = ("requests", "limits")
# Object counts with a name other than count/NAME.
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
    """Return the quantities of one side of `resources`.

    Args:
        holder: a container, or another document with `resources`.
        side: "requests" or "limits".
    """
    resources = holder.get("resources") if isinstance(holder, Mapping) else None
    listed = resources.get(side) if isinstance(resources, Mapping) else None
    quantities = {}
    for name, value in listed.items() if isinstance(listed, Mapping) else ():
        try:
            quantities[str(name)] = parse_quantity(value)
        except ValueError:
            continue  # validation rejects it
    return quantities


def added(parts: Iterable[Usage]) -> Usage:
    """Return the sum of several usages."""
    total: Usage = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, Fraction(0)) + value
    return total


def pod_amounts(pod: PodDict, side: str) -> Usage:
    """Return the requests or limits of a whole pod.

    Main containers and sidecars add up. An init container runs before them, beside the sidecars
    that started earlier, so that only what these use beyond that sum counts. Resources of the pod
    as a whole replace the sum where they are named; the overhead comes on top.

    Source: staging/src/k8s.io/component-helpers/resource/helpers.go (PodRequests, PodLimits).
    """
    spec = pod.get("spec") or {}
    total = added(amounts(item, side) for item in containers_of(pod))
    sidecars: Usage = {}
    peak: Usage = {}
    for item in spec.get("initContainers") or ():
        if not isinstance(item, Mapping):
            continue
        together = added([sidecars, amounts(item, side)])
        if item.get("restartPolicy") == "Always":
            sidecars = together
        for name, value in together.items():
            peak[name] = max(peak.get(name, Fraction(0)), value)
    total = added([total, sidecars])
    total |= {name: value for name, value in peak.items() if value > total.get(name, -1)}
    total |= amounts({"resources": spec.get("resources") or {}}, side)
    overhead = amounts({"resources": {side: spec.get("overhead")}}, side)
    if side == "limits":  # it raises a limit, but is none
        overhead = {name: value for name, value in overhead.items() if name in total}
    return added([total, overhead])


def usage_of(plural: str, group: str, document: ReadOnlyDocument) -> Usage:
    """Return the usage of one object, by the resource names of quotas.

    Args:
        plural, group: of the kind.
        document: the object.
    """
    if plural == "pods" and is_finished(cast("PodDict", document)):
        return {}
    count = f"count/{plural}.{group}" if group else f"count/{plural}"
    usage: Usage = {count: ONE}
    if not group and plural in COUNTED:
        usage[plural] = ONE
    if group:
        return usage
    if plural == "pods":
        for side in SIDES:
            for name, value in pod_amounts(cast("PodDict", document), side).items():
                usage[f"{side}.{name}"] = value
                if side == "requests":
                    usage[name] = value
    elif plural == "services":
        spec = document.get("spec") or {}
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            usage["services.nodeports"] = Fraction(len(spec.get("ports") or ()))
        if spec.get("type") == "LoadBalancer":
            usage["services.loadbalancers"] = ONE
    elif plural == "persistentvolumeclaims":
        storage = amounts(document.get("spec"), "requests").get("storage")
        if storage is not None:
            usage["requests.storage"] = storage
    return usage


def is_in_scope(quota: ResourceQuotaDict, plural: str, document: ReadOnlyDocument) -> bool:
    """Whether a quota counts an object: quotas with scopes count only pods in these scopes.

    All scopes and all requirements of the scope selector must match.

    Args:
        quota: the ResourceQuota.
        plural: plural name of the object's kind.
        document: the object.
    """
    spec = quota.get("spec") or {}
    scopes = spec.get("scopes") or ()
    requirements = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not scopes and not requirements:
        return True
    if plural != "pods":
        return False
    pod = cast("PodDict", document)
    return all(_is_in(str(scope), pod) for scope in scopes) and all(
        _is_in(str(each["scopeName"]), pod, str(each["operator"]), each.get("values") or ())
        for each in requirements
    )


def _is_in(scope: str, pod: PodDict, operator: str = "Exists", values: Sequence[str] = ()) -> bool:
    """Return whether a pod is in a scope.

    Args:
        scope: its name.
        pod: the pod.
        operator, values: of the requirement; they matter for priority classes alone.

    Source: pkg/quota/v1/evaluator/core/pods.go (podMatchesScopeFunc).
    """
    if scope == "PriorityClass":
        name = str((pod.get("spec") or {}).get("priorityClassName") or "")
        match operator:
            case "In":
                return bool(name) and name in values
            case "NotIn":
                return not name or name not in values
        return bool(name) is (operator == "Exists")
    if scope == "CrossNamespacePodAffinity":
        return _crosses_namespaces(pod)
    has_deadline = (pod.get("spec") or {}).get("activeDeadlineSeconds") is not None
    match scope:
        case "Terminating":
            return has_deadline
        case "NotTerminating":
            return not has_deadline
        case "BestEffort":
            return qos_class(pod) == BEST_EFFORT
        case "NotBestEffort":
            return qos_class(pod) != BEST_EFFORT
    return False


def _crosses_namespaces(pod: PodDict) -> bool:
    """Return whether a term of a pod's affinity names other namespaces."""
    affinity = cast("ReadOnlyDocument", (pod.get("spec") or {}).get("affinity") or {})
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        required = rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms = [*required, *(each.get("podAffinityTerm") or {} for each in preferred)]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False


def text_of(name: str, amount: Fraction) -> str:
    """Return an amount as a quota shows it: ``250m``, ``64Mi``, ``3``."""
    kind = name.rpartition(".")[2]
    if kind == "cpu":
        return format_cpu(ceil(amount * 1000))
    if kind in ("memory", "storage", "ephemeral-storage"):
        return format_memory(ceil(amount))
    return str(ceil(amount))
