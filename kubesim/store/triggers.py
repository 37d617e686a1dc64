"""Triggers: the changes under a prefix, indexed by the value of one field.

A hundred kubelets each watch the pods of their own node. Without an index every change of a pod
notifies all of them, and 99 discard it. The real API server keeps such an index for exactly this
field; ours is in the store, with the changes.

Source: k8s.io/apiserver/pkg/storage/cacher (indexedTriggerFunc, indexedWatchers);
pkg/registry/core/pod/strategy.go (NodeNameTriggerFunc).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from kubesim.objects.selectors import field_of
from kubesim.store.records import KeyChange


class Trigger:
    """The kept changes of keys under a prefix, by the value of a field before or after them.

    Args:
        prefix: which keys.
        path: of the field, for example ``spec.nodeName``.
    """

    def __init__(self, prefix: str, path: str) -> None:
        self.prefix = prefix
        self.path = path
        self._by_value: dict[str, list[KeyChange]] = {}

    def add(self, change: KeyChange) -> Sequence[str]:
        """Index the newest change; return the values that it concerns."""
        values = [field_of(change.entry.value, self.path)]
        if change.previous is not None and change.previous is not change.entry:
            before = field_of(change.previous.value, self.path)
            if before != values[0]:
                values.append(before)
        for value in values:
            self._by_value.setdefault(value, []).append(change)
        return values

    def after(self, revision: int, value: str) -> list[KeyChange]:
        """Return the changes that concern a value after a revision, oldest first."""
        changes = self._by_value.get(value, [])
        if not changes or _revision_of(changes[-1]) <= revision:
            return []
        return changes[bisect_right(changes, revision, key=_revision_of) :]

    def compact(self, revision: int) -> None:
        """Discard the changes up to and including `revision`."""
        for value, changes in list(self._by_value.items()):
            del changes[: bisect_right(changes, revision, key=_revision_of)]
            if not changes:
                del self._by_value[value]


def _revision_of(change: KeyChange) -> int:
    return change.entry.mod_revision
