"""What the garbage collector does with an object, given its owners: the pure part.

>>> plan([("a", OwnerState.SOLID), ("b", OwnerState.DANGLING)], (), has_dependents=False)
Verdict(action='strip', strip=('b',), policy='', unblock=False)
>>> plan([("a", OwnerState.DANGLING)], (), has_dependents=True).policy
'Background'

Source: pkg/controller/garbagecollector/garbagecollector.go (classifyReferences,
attemptToDeleteItem).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from kubesim.apiserver.verbs.propagation import (
    BACKGROUND,
    FOREGROUND,
    FOREGROUND_FINALIZER,
    effective_policy,
)
from kubesim.objects import meta
from kubesim.objects.frozen import Document


class OwnerState(Enum):
    """What an owner reference refers to."""

    SOLID = "exists"
    DANGLING = "is gone, or is another object of that name"
    WAITING = "waits in the foreground for its dependents to go"
    UNKNOWN = "is of a kind that nobody knows"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one object.

    Attributes:
        action: "keep" it, "strip" references from it, "delete" it, or look again "later".
        strip: uids of the owners whose references go.
        policy: how it is deleted.
        unblock: its own references block nobody any more: a circle of dependents would never end.
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
) -> Verdict:
    """What becomes of an object that is not being deleted.

    Args:
        owners: (uid, state) of each owner reference.
        finalizers: of the object.
        has_dependents: something names the object as its owner.
        circular: one of those dependents waits in the foreground itself.
    """
    if not owners:
        return Verdict("keep")
    states = [state for _, state in owners]
    if OwnerState.UNKNOWN in states:
        return Verdict("later")
    if OwnerState.SOLID in states:
        strip = tuple(uid for uid, state in owners if state is not OwnerState.SOLID)
        return Verdict("strip", strip) if strip else Verdict("keep")
    if OwnerState.WAITING in states and has_dependents:
        return Verdict("delete", policy=FOREGROUND, unblock=circular)
    return Verdict("delete", policy=effective_policy(finalizers, None, BACKGROUND))


def blocks(dependent: Document, owner_uid: str) -> bool:
    """Whether a dependent has to be gone before an owner that is deleted in the foreground."""
    return any(
        owner.get("uid") == owner_uid and owner.get("blockOwnerDeletion")
        for owner in meta.owners_of(dependent)
    )


def without_owners(dependent: Document, uids: Iterable[str]) -> list[Document]:
    """The owner references of an object but for those to these uids."""
    gone = set(uids)
    return [owner for owner in meta.owners_of(dependent) if owner.get("uid") not in gone]


def waits_in_foreground(obj: Document) -> bool:
    """It is being deleted, and its dependents go first."""
    return meta.is_terminating(obj) and FOREGROUND_FINALIZER in (
        obj["metadata"].get("finalizers") or ()
    )
