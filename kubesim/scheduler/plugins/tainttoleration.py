"""TaintToleration: taints keep pods off a node; PreferNoSchedule taints only lower its score.

Source: pkg/scheduler/framework/plugins/tainttoleration, k8s.io/component-helpers/scheduling/corev1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.objects.taints import tolerates
from kubesim.objects.wellknown import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE
from kubesim.scheduler.framework.events import NODE_ADD, NODE_UPDATE, POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SUCCESS, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, TaintDict

HARD = (NO_SCHEDULE, NO_EXECUTE)
BEST = 100


def untolerated_taint(
    pod: PodDict, taints: Iterable[TaintDict], effects: tuple[str, ...]
) -> TaintDict | None:
    """Return the first taint with one of the effects that the pod does not tolerate, or None.

    Args:
        pod: the Pod document.
        taints: of a node, in order.
        effects: for example ("NoSchedule", "NoExecute").
    """
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None


class TaintToleration:
    """Filter by hard taints; score by the number of untolerated PreferNoSchedule taints."""

    name = "TaintToleration"

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True without PreferNoSchedule taints: all nodes score the same (see fastpath)."""
        return not snapshot.any_soft_taint()

    def filter(self, pod: PodDict, node: NodeInfo) -> Status:
        """Refuse a node with an untolerated NoSchedule or NoExecute taint."""
        if not node.taints:
            return SUCCESS
        taint = untolerated_taint(pod, node.taints, HARD)
        if taint is None:
            return SUCCESS
        shown = f"{taint.get('key', '')}: {taint.get('value') or ''}"
        return Status.unresolvable(f"node(s) had untolerated taint {{{shown}}}")

    def score(self, pod: PodDict, node: NodeInfo) -> int:
        """Return the number of untolerated PreferNoSchedule taints; `normalize` reverses it."""
        if not node.taints:
            return 0
        tolerations = [
            toleration
            for toleration in (pod.get("spec") or {}).get("tolerations") or ()
            if toleration.get("effect") in (None, "", PREFER_NO_SCHEDULE)
        ]
        return sum(
            taint.get("effect") == PREFER_NO_SCHEDULE
            and not any(tolerates(toleration, taint) for toleration in tolerations)
            for taint in node.taints
        )

    def normalize(self, scores: dict[str, int]) -> dict[str, int]:
        """Give 0 to the node with most untolerated taints, 100 to a node without any."""
        most = max(scores.values(), default=0)
        if most == 0:
            return dict.fromkeys(scores, BEST)
        return {name: BEST - BEST * score // most for name, score in scores.items()}

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a node became tolerable, or the pod got another toleration."""
        if event.kind == POD_ITSELF:
            return event.spec_changed("tolerations")
        if event.kind not in (NODE_ADD, NODE_UPDATE) or not event.spec_changed("taints"):
            return False
        taints = ((event.new or {}).get("spec") or {}).get("taints") or ()
        if untolerated_taint(pod, taints, HARD) is not None:
            return False
        before = ((event.old or {}).get("spec") or {}).get("taints") or ()
        return event.old is None or untolerated_taint(pod, before, HARD) is not None
