"""Taints and tolerations: which pods a node repels, and which pods may stay nevertheless.

>>> taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
>>> tolerates({"key": "node.kubernetes.io/unreachable", "operator": "Exists"}, taint)
True
>>> eviction_delay([taint], [])
0.0

Source: k8s.io/component-helpers/scheduling/corev1 (ToleratesTaint),
pkg/apis/core/v1/helper (GetMatchingTolerations), pkg/util/taints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, TaintDict, TolerationDict


def tolerates(toleration: TolerationDict, taint: TaintDict) -> bool:
    """Whether one toleration tolerates one taint.

    An empty effect or key matches all; Exists needs no value; Equal (the default) needs the same
    value. tolerationSeconds does not matter: it is for eviction.
    """
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.get("effect"):
        return False
    if key and key != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    same = (toleration.get("value") or "") == (taint.get("value") or "")
    return bool(operator == "Equal" and same)


def same_taint(one: TaintDict, other: TaintDict) -> bool:
    """Whether two taints have the same key and effect, which identify a taint."""
    return one.get("key") == other.get("key") and one.get("effect") == other.get("effect")


def taints_of(node: NodeDict, effect: str = "") -> list[TaintDict]:
    """Return spec.taints of a node; with an effect: only taints of that effect."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return [taint for taint in taints if not effect or taint.get("effect") == effect]


def with_taints(
    taints: Iterable[TaintDict], add: Sequence[TaintDict], remove: Sequence[TaintDict]
) -> list[TaintDict]:
    """Return taints with some set and some removed; the others keep their place.

    Args:
        taints: the old list.
        add: taints to set; they replace taints of the same key and effect.
        remove: taints to remove, by key and effect.
    """
    remaining = [taint for taint in taints if not any(same_taint(taint, other) for other in remove)]
    for new in add:
        indices = [index for index, taint in enumerate(remaining) if same_taint(taint, new)]
        if indices:
            remaining[indices[0]] = new
        else:
            remaining.append(new)
    return remaining


def eviction_delay(
    taints: Sequence[TaintDict], tolerations: Sequence[TolerationDict]
) -> float | None:
    """Return the seconds that a pod may stay on a node with NoExecute taints.

    Each taint needs a toleration: the first one in the list that matches. The smallest
    `tolerationSeconds` of these tolerations counts.

    Args:
        taints: of the node, of effect NoExecute.
        tolerations: of the pod.

    Returns:
        None: the pod may stay. 0.0: the pod is evicted now.

    >>> exists = {"operator": "Exists", "tolerationSeconds": 300}
    >>> eviction_delay([{"key": "a", "effect": "NoExecute"}], [exists])
    300.0
    """
    seconds: list[float] = []
    for taint in taints:
        used = next((each for each in tolerations if tolerates(each, taint)), None)
        if used is None:
            return 0.0
        if used.get("tolerationSeconds") is not None:
            seconds.append(max(0.0, float(used["tolerationSeconds"])))
    return min(seconds) if seconds else None
