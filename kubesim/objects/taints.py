"""Taints and tolerations: what keeps a pod off a node, and what lets it stay all the same.

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

from kubesim.objects.frozen import Document, ReadOnlyDocument


def tolerates(toleration: ReadOnlyDocument, taint: ReadOnlyDocument) -> bool:
    """Whether one toleration covers one taint.

    An empty effect or key covers all; Exists needs no value; Equal (the default) needs the same.
    tolerationSeconds is not looked at: it is for eviction.
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


def same_taint(one: ReadOnlyDocument, other: ReadOnlyDocument) -> bool:
    """Key and effect make a taint; its value and its time are only said about it."""
    return one.get("key") == other.get("key") and one.get("effect") == other.get("effect")


def taints_of(node: ReadOnlyDocument, effect: str = "") -> list[Document]:
    """spec.taints of a node; with an effect: only those of that effect."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return [taint for taint in taints if not effect or taint.get("effect") == effect]


def with_taints(
    taints: Iterable[Document], add: Sequence[Document], remove: Sequence[Document]
) -> list[Document]:
    """The taints with some set and some taken off; those that are there keep their place."""
    kept = [taint for taint in taints if not any(same_taint(taint, gone) for gone in remove)]
    for new in add:
        known = [index for index, taint in enumerate(kept) if same_taint(taint, new)]
        if known:
            kept[known[0]] = new
        else:
            kept.append(new)
    return kept


def eviction_delay(
    taints: Sequence[ReadOnlyDocument], tolerations: Sequence[ReadOnlyDocument]
) -> float | None:
    """Seconds that a pod may stay on a node with these NoExecute taints.

    Every taint needs a toleration; of several that fit, the first in the list is used. The
    shortest `tolerationSeconds` of those used counts.

    Args:
        taints: of the node, of effect NoExecute.
        tolerations: of the pod.

    Returns:
        None: it may stay for ever. 0.0: it goes now.

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
