"""Pod watch events for controllers whose objects select pods by label: PDBs and Services.

Source: pkg/controller/util/endpoint/controller_utils.go (GetServicesToUpdateOnPodChange),
pkg/controller/disruption/disruption.go (updatePod).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


def affected_labels(
    event: ResourceEvent[PodDict], relevant_state: Callable[[PodDict], object]
) -> list[Mapping[str, str]]:
    """Return the label sets whose selectors a pod event affects: the pod's new and old labels.

    Args:
        event: a watch event of a pod.
        relevant_state: extracts from a pod what the controller depends on; a modification that
            leaves it equal affects nothing.

    Returns:
        One label set, two if the labels changed; none if no relevant state changed.
    """
    pod, before = event.object, event.previous
    if event.type == "MODIFIED" and before is not None:
        if relevant_state(pod) == relevant_state(before):
            return []
    labels = [meta.labels_of(pod)]
    if before is not None and meta.labels_of(before) != labels[0]:
        labels.append(meta.labels_of(before))
    return labels
