"""What a change of a pod means for objects that select pods by label: budgets and Services.

Source: pkg/controller/util/endpoint/controller_utils.go (GetServicesToUpdateOnPodChange),
pkg/controller/disruption/disruption.go (updatePod).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.objects import meta
from kubesim.objects.frozen import Document


def labels_concerned(
    event: ResourceEvent, seen: Callable[[Document], Any]
) -> list[Mapping[str, str]]:
    """The labels whose selectors have to look again: a pod's own, and those that it had before.

    Args:
        event: about a pod.
        seen: what of a pod makes a difference to whoever asks; a change of anything else is none.

    Returns:
        One set of labels, two if they changed; none if nothing did that makes a difference.
    """
    pod, before = event.object, event.previous
    if event.type == "MODIFIED" and before is not None and seen(pod) == seen(before):
        return []
    labels = [meta.labels_of(pod)]
    if before is not None and meta.labels_of(before) != labels[0]:
        labels.append(meta.labels_of(before))
    return labels
