"""The columns and cells of configuration, policies and metrics.

Source: pkg/printers/internalversion/printers.go; metrics-server for the two kinds of metrics.
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.printers.ages import Ages
from kubesim.apiserver.printers.cells import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Row,
    age,
    column,
    count,
    mapping,
    number,
    objects,
    part,
    texts,
    wide,
)
from kubesim.objects.frozen import Document


def _namespace(namespace: Document, ages: Ages) -> list[Any]:
    return [part(namespace, "status", "phase") or "", age(namespace, ages)]


def _data_count(document: Document) -> int:
    return len(mapping(document, "data")) + len(mapping(document, "binaryData"))


def _config_map(config: Document, ages: Ages) -> list[Any]:
    return [str(_data_count(config)), age(config, ages)]


def _secret(secret: Document, ages: Ages) -> list[Any]:
    return [secret.get("type", ""), _data_count(secret), age(secret, ages)]


def _account(account: Document, ages: Ages) -> list[Any]:
    return [len(objects(account, "secrets")), age(account, ages)]


def _quota(quota: Document, ages: Ages) -> list[Any]:
    hard = part(quota, "status", "hard") or mapping(quota, "spec", "hard")
    used = mapping(quota, "status", "used")
    sides: dict[bool, list[str]] = {False: [], True: []}
    for name in sorted(hard, key=str):
        text = f"{name}: {used.get(name, 0)}/{hard[name]}"
        sides[name.startswith("limits.")].append(text)
    return [", ".join(sides[False]), ", ".join(sides[True]), age(quota, ages)]


MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _claim(claim: Document, ages: Ages) -> list[Any]:
    status = mapping(claim, "status")
    phase = status.get("phase", "")
    if part(claim, "metadata", "deletionTimestamp"):
        phase = "Terminating"
    modes = [MODES.get(str(mode), str(mode)) for mode in texts(status, "accessModes")]
    return [
        phase,
        part(claim, "spec", "volumeName") or "",
        part(status, "capacity", "storage") or "",
        ",".join(modes),
        part(claim, "spec", "storageClassName") or "",
        part(claim, "spec", "volumeAttributesClassName") or UNSET,
        age(claim, ages),
        part(claim, "spec", "volumeMode") or UNSET,
    ]


def _budget(budget: Document, ages: Ages) -> list[Any]:
    least, most = part(budget, "spec", "minAvailable"), part(budget, "spec", "maxUnavailable")
    return [
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        count(budget, "status", "disruptionsAllowed"),
        age(budget, ages),
    ]


def _priority(priority: Document, ages: Ages) -> list[Any]:
    return [
        count(priority, "value"),
        bool(priority.get("globalDefault")),
        age(priority, ages),
        priority.get("preemptionPolicy", ""),
    ]


def _lease(lease: Document, ages: Ages) -> list[Any]:
    return [part(lease, "spec", "holderIdentity") or "", age(lease, ages)]


def _revision(revision: Document, ages: Ages) -> list[Any]:
    owners = objects(revision, "metadata", "ownerReferences")
    owner = next((item for item in owners if item.get("controller")), None)
    group = str((owner or {}).get("apiVersion", "")).rpartition("/")[0]
    named = NONE
    if owner is not None:
        kind = str(owner.get("kind", "")).lower()
        named = f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return [named, count(revision, "revision"), age(revision, ages)]


def _pod_metrics(metrics: Document, ages: Ages) -> list[Any]:
    used = [mapping(item, "usage") for item in objects(metrics, "containers")]
    cpu, memory = (_sum(used, name) for name in ("cpu", "memory"))
    return [cpu, memory, metrics.get("window", "")]


def _node_metrics(metrics: Document, ages: Ages) -> list[Any]:
    usage = mapping(metrics, "usage")
    return [usage.get("cpu", ""), usage.get("memory", ""), metrics.get("window", "")]


def _sum(used: list[Document], name: str) -> str:
    """Amounts of one unit, added up: all samples of one cluster are written in the same unit."""
    texts = [str(usage.get(name, "0")) for usage in used]
    digits = [text.rstrip("nmuKiMG") for text in texts]
    unit = next((text[len(d) :] for text, d in zip(texts, digits, strict=True) if text != d), "")
    return f"{sum(int(d or 0) for d in digits)}{unit}"


MEASURED = (NAME, column("cpu", ""), column("memory", ""), column("Window", "", format="duration"))
SMALL: dict[str, Row] = {
    "Namespace": ((NAME, column("Status", "Active or Terminating"), AGE), _namespace),
    "ConfigMap": ((NAME, column("Data", "how many keys"), AGE), _config_map),
    "Secret": ((NAME, column("Type", "of secret"), number("Data", "how many keys"), AGE), _secret),
    "ServiceAccount": ((NAME, number("Secrets", "how many"), AGE), _account),
    "ResourceQuota": (
        (NAME, column("Request", "used and allowed"), column("Limit", "used and allowed"), AGE),
        _quota,
    ),
    "PersistentVolumeClaim": (
        (
            NAME,
            column("Status", "whether it has a volume"),
            column("Volume", "which"),
            column("Capacity", "of the volume"),
            column("Access Modes", "how it may be mounted"),
            column("StorageClass", "where volumes come from"),
            column("VolumeAttributesClass", "with which attributes"),
            AGE,
            wide("VolumeMode", "a file system, or a block device"),
        ),
        _claim,
    ),
    "PodDisruptionBudget": (
        (
            NAME,
            column("Min Available", "pods that must stay"),
            column("Max Unavailable", "pods that may go"),
            number("Allowed Disruptions", "how many may go now"),
            AGE,
        ),
        _budget,
    ),
    "PriorityClass": (
        (
            NAME,
            number("Value", "higher comes first"),
            column("Global-Default", "for pods that do not say", "boolean"),
            AGE,
            column("PreemptionPolicy", "whether others make room"),
        ),
        _priority,
    ),
    "Lease": ((NAME, column("Holder", "who has it"), AGE), _lease),
    "ControllerRevision": (
        (NAME, column("Controller", "whose"), number("Revision", "its number"), AGE),
        _revision,
    ),
    "PodMetrics": (MEASURED, _pod_metrics),
    "NodeMetrics": (MEASURED, _node_metrics),
}
