"""What is left in a namespace that is being deleted: conditions and waiting times, pure functions.

>>> retry_after(30)
16
>>> conditions_for(NamespaceContent())[3]
('NamespaceContentRemaining', 'False', 'ContentRemoved', 'All content successfully removed')

Source: pkg/controller/namespace/deletion/status_condition_utils.go,
namespaced_resources_deleter.go (estimateGracefulTerminationForPods),
pkg/controller/namespace/namespace_controller.go (worker).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesim.objects.meta import set_condition
from kubesim.objects.pods import is_finished

if TYPE_CHECKING:
    from kubesim.objects.types import NamespaceConditionDict, PodDict

START_DELAY_SECONDS = 5.0  # namespaceDeletionGracePeriod: requests in flight finish
FINALIZER_WAIT_SECONDS = 15  # finalizerEstimateSeconds
FINALIZER = "kubernetes"

CONDITIONS_WHEN_EMPTY: tuple[tuple[str, str, str], ...] = (
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    (
        "NamespaceFinalizersRemaining",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
)


@dataclass
class NamespaceContent:
    """What is left in a namespace after one round of deletion.

    Attributes:
        resources: number of objects by ``plural.group`` (``pods.`` for the core group).
        finalizers: number of objects that carry each finalizer.
        failures: messages of the deletions that failed.
        seconds: estimated time until the last object is gone.
    """

    resources: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: int = 0

    def wait_at_least(self, seconds: int) -> None:
        """Raise the estimate to at least that many seconds."""
        self.seconds = max(self.seconds, seconds)


def grace_of_pods(pods: Iterable[PodDict], seconds_since_deletion: float) -> int:
    """Return the longest termination grace period of the pods that still run, in seconds.

    Args:
        pods: the pods that are left; finished ones need no time.
        seconds_since_deletion: time since the deletion of the namespace; once it exceeds every
            grace period, the result is 0.
    """
    longest = max(
        (
            int(pod["spec"].get("terminationGracePeriodSeconds") or 0)
            for pod in pods
            if not is_finished(pod)
        ),
        default=0,
    )
    return 0 if seconds_since_deletion >= longest else longest


def retry_after(seconds: int) -> int:
    """Return the seconds until the next round: half the estimate, plus 1.

    >>> retry_after(30), retry_after(15)
    (16, 8)
    """
    return seconds // 2 + 1


def conditions_for(remains: NamespaceContent) -> list[tuple[str, str, str, str]]:
    """Return the five conditions of a terminating namespace: (type, status, reason, message)."""
    resources, finalizers = remains.resources, remains.finalizers
    true_conditions: dict[str, tuple[str, str]] = {}
    if remains.failures:
        count = len(remains.failures)
        errors = ", ".join(remains.failures)
        message = f"Failed to delete all resource types, {count} remaining: {errors}"
        true_conditions["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
    if resources:
        parts = (f"{name} has {resources[name]} resource instances" for name in sorted(resources))
        message = f"Some resources are remaining: {', '.join(parts)}"
        true_conditions["NamespaceContentRemaining"] = ("SomeResourcesRemain", message)
    if finalizers:
        parts = (f"{name} in {finalizers[name]} resource instances" for name in sorted(finalizers))
        message = f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
        true_conditions["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    return [
        (type, "True", *true_conditions[type])
        if type in true_conditions
        else (type, "False", reason, message)
        for type, reason, message in CONDITIONS_WHEN_EMPTY
    ]


def with_conditions(
    old: Sequence[NamespaceConditionDict], updates: Sequence[tuple[str, str, str, str]], now: str
) -> list[NamespaceConditionDict]:
    """Return the conditions with those of `updates` set; a changed status gets a new time.

    Args:
        old: status.conditions of the namespace.
        updates: (type, status, reason, message) of each condition to set.
        now: RFC 3339 timestamp.
    """
    conditions = list(old)
    for type, status, reason, message in updates:
        conditions = set_condition(conditions, type, status, reason, message, now)
    return conditions
