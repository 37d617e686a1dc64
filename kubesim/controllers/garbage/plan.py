"""What the garbage collector does with an object, given its owner references: pure functions.

>>> plan([("a", OwnerState.SOLID), ("b", OwnerState.DANGLING)], (), has_dependents=False)
GarbagePlan(action='strip', strip=('b',), policy='', unblock=False)
>>> plan([("a", OwnerState.DANGLING)], (), has_dependents=True).policy
'Background'

Source: pkg/controller/garbagecollector/garbagecollector.go (classifyReferences,
attemptToDeleteItem).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from kubesim.apiserver.verbs.propagation import (
    BACKGROUND,
    FOREGROUND,
    FOREGROUND_FINALIZER,
    effective_policy,
)
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument

if TYPE_CHECKING:
    from kubesim.objects.types import OwnerReferenceDict


class OwnerState(Enum):
    """What an owner reference refers to."""

    SOLID = "exists"
    DANGLING = "is gone, or is another object of that name"
    WAITING = "waits in the foreground for its dependents to go"
    UNKNOWN = "is of an unknown kind"


@dataclass(frozen=True, slots=True)
class GarbagePlan:
    """What to do with one object.

    Attributes:
        action: "keep" it, "strip" owner references from it, "delete" it, or retry "later".
        strip: uids of the owners whose references are removed.
        policy: the propagation policy of the deletion.
        unblock: set blockOwnerDeletion of its references to false, to break a circle.
    """

    action: Literal["keep", "strip", "delete", "later"]
    strip: tuple[str, ...] = ()
    policy: str = ""
    unblock: bool = False


def plan(
    owners: Sequence[tuple[str, OwnerState]],
    finalizers: Sequence[str],
    *,
    has_dependents: bool,
    circular: bool = False,
) -> GarbagePlan:
    """Decide what to do with an object that is not being deleted.

    Args:
        owners: (uid, state) of each owner reference.
        finalizers: finalizers of the object.
        has_dependents: other objects have an owner reference to it.
        circular: one of those dependents waits for foreground deletion itself.
    """
    if not owners:
        return GarbagePlan("keep")
    states = [state for _, state in owners]
    if OwnerState.UNKNOWN in states:
        return GarbagePlan("later")
    if OwnerState.SOLID in states:
        strip = tuple(uid for uid, state in owners if state is not OwnerState.SOLID)
        return GarbagePlan("strip", strip) if strip else GarbagePlan("keep")
    if OwnerState.WAITING in states and has_dependents:
        return GarbagePlan("delete", policy=FOREGROUND, unblock=circular)
    return GarbagePlan("delete", policy=effective_policy(finalizers, None, BACKGROUND))


def blocks(dependent: ReadOnlyDocument, owner_uid: str) -> bool:
    """Return whether a dependent blocks the foreground deletion of an owner."""
    return any(
        owner.get("uid") == owner_uid and owner.get("blockOwnerDeletion")
        for owner in meta.owners_of(dependent)
    )


def without_owners(dependent: ReadOnlyDocument, uids: Iterable[str]) -> list[OwnerReferenceDict]:
    """Return the owner references of an object without those to the given uids."""
    removed = set(uids)
    return [owner for owner in meta.owners_of(dependent) if owner.get("uid") not in removed]


def waits_in_foreground(obj: ReadOnlyDocument) -> bool:
    """Return whether an object is being deleted in the foreground: its dependents first."""
    return meta.is_terminating(obj) and FOREGROUND_FINALIZER in (
        obj["metadata"].get("finalizers") or ()
    )
