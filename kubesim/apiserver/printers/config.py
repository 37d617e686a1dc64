"""Printers of configuration, policies and metrics.

Source: pkg/printers/internalversion/printers.go; metrics-server for the two kinds of metrics.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver.printers.ages import Ages
from kubesim.apiserver.printers.cells import (
    AGE,
    NONE,
    Cell,
    Printer,
    at,
    column,
    integer_at,
    length_at,
    mapping,
    number,
    objects,
    part,
    printer_of,
    wide,
)
from kubesim.objects.frozen import Document


def _data_count(document: Document) -> int:
    return len(mapping(document, "data")) + len(mapping(document, "binaryData"))


def _quota_usage(quota: Document, *, limits: bool) -> str:
    hard = part(quota, "status", "hard") or mapping(quota, "spec", "hard")
    used = mapping(quota, "status", "used")
    return ", ".join(
        f"{name}: {used.get(name, 0)}/{value}"
        for name, value in sorted(mapping(hard).items(), key=lambda item: str(item[0]))
        if name.startswith("limits.") == limits
    )


def _int_or_percent(field: str) -> Callable[[Document, Ages], str]:
    def value(budget: Document, ages: Ages) -> str:
        value = part(budget, "spec", field)
        return "N/A" if value is None else str(value)

    return value


def _controller(revision: Document, ages: Ages) -> str:
    owners = objects(revision, "metadata", "ownerReferences")
    owner = next((item for item in owners if item.get("controller")), None)
    if owner is None:
        return NONE
    kind, name = str(owner.get("kind", "")).lower(), owner.get("name")
    group = str(owner.get("apiVersion", "")).rpartition("/")[0]
    return f"{kind}.{group}/{name}" if group else f"{kind}/{name}"


def _role_of(binding: Document, ages: Ages) -> str:
    reference = mapping(binding, "roleRef")
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def _subjects(kind: str) -> Callable[[Document, Ages], str]:
    """Return a function that lists the subjects of a kind; service accounts as namespace/name."""

    def value(binding: Document, ages: Ages) -> str:
        named = [item for item in objects(binding, "subjects") if item.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{item.get('namespace', '')}/{item.get('name')}" for item in named)
        return ", ".join(str(item.get("name")) for item in named)

    return value


def _binding_printer(kind: str) -> Printer:
    """Return the printer of bindings; `kind` is their name in the columns' descriptions."""
    accounts = wide("ServiceAccounts", f"ServiceAccounts in the {kind}")
    return printer_of(
        Cell(column("Role", "the role that is granted"), _role_of),
        AGE,
        Cell(wide("Users", f"Users in the {kind}"), _subjects("User")),
        Cell(wide("Groups", f"Groups in the {kind}"), _subjects("Group")),
        Cell(accounts, _subjects("ServiceAccount")),
    )


def _total_usage(resource: str) -> Callable[[Document, Ages], str]:
    """Return a function that sums the usage of all containers of a PodMetrics."""

    def value(metrics: Document, ages: Ages) -> str:
        used = [mapping(item, "usage") for item in objects(metrics, "containers")]
        return _sum(used, resource)

    return value


def _sum(used: list[Document], name: str) -> str:
    """Sum amounts of one unit: all samples of a cluster are written in the same unit."""
    amounts = [str(usage.get(name, "0")) for usage in used]
    digits = [amount.rstrip("nmuKiMG") for amount in amounts]
    units = (a[len(d) :] for a, d in zip(amounts, digits, strict=True) if a != d)
    return f"{sum(int(d or 0) for d in digits)}{next(units, '')}"


CPU, MEMORY = column("cpu", "CPU usage"), column("memory", "memory usage")
WINDOW = at(column("Window", "time over which usage was averaged", format="duration"), "window")
CONFIG: dict[str, Printer] = {
    "Namespace": printer_of(at(column("Status", "Active or Terminating"), "status.phase"), AGE),
    "ConfigMap": printer_of(
        Cell(column("Data", "number of keys"), lambda config, ages: str(_data_count(config))), AGE
    ),
    "Secret": printer_of(
        at(column("Type", "type of the secret"), "type"),
        Cell(number("Data", "number of keys"), lambda secret, ages: _data_count(secret)),
        AGE,
    ),
    "ServiceAccount": printer_of(length_at(number("Secrets", "number of secrets"), "secrets"), AGE),
    "ResourceQuota": printer_of(
        Cell(
            column("Request", "used and allowed requests and objects"),
            lambda quota, ages: _quota_usage(quota, limits=False),
        ),
        Cell(
            column("Limit", "used and allowed limits"),
            lambda quota, ages: _quota_usage(quota, limits=True),
        ),
        AGE,
    ),
    "PodDisruptionBudget": printer_of(
        Cell(
            column("Min Available", "pods that must stay available"),
            _int_or_percent("minAvailable"),
        ),
        Cell(
            column("Max Unavailable", "pods that may be unavailable"),
            _int_or_percent("maxUnavailable"),
        ),
        integer_at(
            number("Allowed Disruptions", "pods that may be evicted now"),
            "status.disruptionsAllowed",
        ),
        AGE,
    ),
    "PriorityClass": printer_of(
        integer_at(number("Value", "priority; higher is scheduled first"), "value"),
        Cell(
            column("Global-Default", "whether pods without a class get it", "boolean"),
            lambda priority, ages: bool(priority.get("globalDefault")),
        ),
        AGE,
        at(column("PreemptionPolicy", "whether its pods preempt others"), "preemptionPolicy"),
    ),
    "RoleBinding": _binding_printer("roleBinding"),
    "ClusterRoleBinding": _binding_printer("clusterRoleBinding"),
    "Lease": printer_of(at(column("Holder", "holder of the lease"), "spec.holderIdentity"), AGE),
    "ControllerRevision": printer_of(
        Cell(column("Controller", "the owner"), _controller),
        integer_at(number("Revision", "number of the revision"), "revision"),
        AGE,
    ),
    "PodMetrics": printer_of(
        Cell(CPU, _total_usage("cpu")), Cell(MEMORY, _total_usage("memory")), WINDOW
    ),
    "NodeMetrics": printer_of(at(CPU, "usage.cpu"), at(MEMORY, "usage.memory"), WINDOW),
}
