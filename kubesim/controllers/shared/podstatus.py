"""Why a pod does not serve yet, in one word: what a stuck rollout is stuck on.

>>> why_not_ready({"status": {"phase": "Pending", "conditions": [
...     {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}})
'Unschedulable'

Source: kubectl's printed STATUS column (pkg/printers/internalversion/printers.go, printPod).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.pods import is_ready, node_of, phase_of

# Words that pass by themselves, as a rule: nothing is wrong with the pod yet.
STARTING = frozenset({"Pending", "ContainerCreating", "PodInitializing", "Terminating", "Ready"})

# Words between which a pod swings while nothing changes: one trouble, told once.
FAMILIES = {
    "ErrImagePull": "image",
    "ImagePullBackOff": "image",
    "CrashLoopBackOff": "crash",
    "Error": "crash",
    "Completed": "crash",
    "Running": "crash",
}


def why_not_ready(pod: Mapping[str, Any]) -> str:
    """One word, as `kubectl get pods` shows it; "Ready" if the pod is ready.

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


def reasons_of(pods: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many pods there are of each `why_not_ready`, the most frequent first, then by name.

    >>> reasons_of([{"status": {"phase": "Running"}}, {}, {}])
    {'Pending': 2, 'not ready': 1}
    """
    counted = Counter(map(why_not_ready, pods))
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def families(reasons: Mapping[str, int]) -> dict[str, int]:
    """The same counts by kind of trouble: an image that is tried again is still one trouble.

    >>> families({"ErrImagePull": 2, "ImagePullBackOff": 3, "Unschedulable": 1})
    {'Unschedulable': 1, 'image': 5}
    """
    counted: Counter[str] = Counter()
    for reason, count in reasons.items():
        counted[FAMILIES.get(reason, reason)] += count
    return dict(sorted(counted.items()))
