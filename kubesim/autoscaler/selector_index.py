"""The selectors of all HPAs: which of them select the same pods.

Source: pkg/controller/podautoscaler/horizontal.go (hpasControllingPodsUnderSelector),
pkg/controller/util/selectors/bimultimap.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.selectors import Selector

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class SelectorIndex:
    """The selectors of all HPAs, to find those that select the same pods.

    As upstream, an HPA is added at its first pass, not when it is created.

    Attributes:
        per_namespace: number of HPAs by namespace.
    """

    def __init__(self) -> None:
        self._selectors: dict[str, tuple[str, Selector]] = {}
        self._anchors: dict[tuple[str, str], set[str]] = {}
        self.per_namespace: Counter[str] = Counter()

    def put(self, key: str, namespace: str, selector: Selector) -> None:
        """Set the selector of an HPA's target.

        Args:
            key: of the HPA.
            namespace: of the HPA and its pods.
            selector: of its target.
        """
        if self._selectors.get(key) == (namespace, selector):
            return
        self.drop(key)
        self._selectors[key] = (namespace, selector)
        self._anchors.setdefault((namespace, anchor_of(selector)), set()).add(key)
        self.per_namespace[namespace] += 1

    def drop(self, key: str) -> None:
        """Remove an HPA."""
        if key not in self._selectors:
            return
        namespace, selector = self._selectors.pop(key)
        self._anchors[namespace, anchor_of(selector)].discard(key)
        self.per_namespace[namespace] -= 1

    def selecting(self, namespace: str, pods: Iterable[PodDict]) -> list[str]:
        """Return the keys of all HPAs that select at least one of these pods, sorted."""
        keys: set[str] = set()
        for pod in pods:
            labels = meta.labels_of(pod)
            for anchor in ("", *labels_index(labels)):
                for key in self._anchors.get((namespace, anchor), ()):
                    if key not in keys and self._selectors[key][1].matches(labels):
                        keys.add(key)
        return sorted(keys)


def anchor_of(selector: Selector) -> str:
    """Return one label ("app=web") that every selected object has; "" if there is no such label."""
    for term in selector.requirements:
        if term.operator == "In" and len(term.values) == 1:
            return f"{term.key}={term.values[0]}"
    return ""


def labels_index(labels: Mapping[str, str]) -> list[str]:
    """Return all labels as ``key=value``."""
    return [f"{key}={value}" for key, value in labels.items()]
