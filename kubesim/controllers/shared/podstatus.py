"""Why a pod is not ready, as one reason: it explains what a stuck rollout waits for.

>>> why_not_ready({"status": {"phase": "Pending", "conditions": [
...     {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}})
'Unschedulable'

Source: kubectl's STATUS column (pkg/printers/internalversion/printers.go, printPod).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.meta import get_condition
from kubesim.objects.pods import is_ready, node_of, phase_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

# Reasons that normally pass by themselves: nothing is wrong with the pod yet.
STARTING = frozenset({"Pending", "ContainerCreating", "PodInitializing", "Terminating", "Ready"})

# Reasons between which a pod alternates while its problem stays the same.
FAMILIES = {
    "ErrImagePull": "image",
    "ImagePullBackOff": "image",
    "CrashLoopBackOff": "crash",
    "Error": "crash",
    "Completed": "crash",
    "Running": "crash",
}


def why_not_ready(pod: PodDict) -> str:
    """Return the reason that `kubectl get pods` shows; "Ready" if the pod is ready.

    Args:
        pod: the document.
    """
    if meta.is_terminating(pod):
        return "Terminating"
    status = pod.get("status") or {}
    if status.get("reason"):
        return str(status["reason"])  # Evicted, NodeLost
    if not node_of(pod):
        scheduled = get_condition(pod, "PodScheduled") or {}
        if scheduled.get("status") == "False":
            return str(scheduled.get("reason") or "Unschedulable")
    statuses = (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    )
    for container in statuses:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return str(waiting["reason"])
    if is_ready(pod):
        return "Ready"
    phase = phase_of(pod)
    return "not ready" if phase == "Running" else phase


def reasons_of(pods: Iterable[PodDict]) -> dict[str, int]:
    """Count the pods by `why_not_ready`, the most frequent reason first, ties by name.

    >>> reasons_of([{"status": {"phase": "Running"}}, {}, {}])
    {'Pending': 2, 'not ready': 1}
    """
    counts = Counter(map(why_not_ready, pods))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def families(reasons: Mapping[str, int]) -> dict[str, int]:
    """Merge the counts of reasons between which a pod alternates, sorted by name.

    >>> families({"ErrImagePull": 2, "ImagePullBackOff": 3, "Unschedulable": 1})
    {'Unschedulable': 1, 'image': 5}
    """
    counts: Counter[str] = Counter()
    for reason, count in reasons.items():
        counts[FAMILIES.get(reason, reason)] += count
    return dict(sorted(counts.items()))
