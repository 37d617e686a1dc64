"""Propagation policies of a deletion: what happens to the dependents of the deleted object.

Three policies (`propagationPolicy` of the delete options):

- Background: the object is removed now; the garbage collector deletes its dependents afterwards.
- Foreground: the object stays, marked, with the finalizer ``foregroundDeletion`` until all of its
  dependents with `blockOwnerDeletion` are removed.
- Orphan: it stays with the finalizer ``orphan`` until no dependent names it as an owner; they stay.

This file decides only which finalizers a deletion leaves on the object. The garbage collector
(kubesim.controllers.garbage.controller) acts on them.

>>> finalizers_after([], "Foreground", default="Background")
['foregroundDeletion']
>>> finalizers_after(["orphan", "example.com/a"], "Background", default="Background")
['example.com/a']

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (shouldOrphanDependents,
shouldDeleteDependentInForeground, deletionFinalizersForGarbageCollection).
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.errors import Cause, Invalid

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"
BACKGROUND, FOREGROUND, ORPHAN = "Background", "Foreground", "Orphan"
POLICIES = (BACKGROUND, FOREGROUND, ORPHAN)
COLLECTED = {FOREGROUND: FOREGROUND_FINALIZER, ORPHAN: ORPHAN_FINALIZER}


def effective_policy(finalizers: Sequence[str], requested: str | None, default: str) -> str:
    """Return the policy of a deletion: the request's, that of the finalizers, or the default.

    Args:
        finalizers: of the object.
        requested: `propagationPolicy` of the request; None: not given.
        default: of the kind; "": its dependents are not garbage collected.
    """
    if not default:
        return BACKGROUND
    if requested is not None:
        return requested
    for policy, finalizer in COLLECTED.items():
        if finalizer in finalizers:
            return policy
    return default


def finalizers_after(finalizers: Sequence[str], requested: str | None, default: str) -> list[str]:
    """Return the finalizers of an object after a deletion request.

    A later deletion with another policy replaces them: Background removes an object that waits for
    a foreground deletion.

    Args:
        finalizers: of the object.
        requested: `propagationPolicy` of the request; None: not given.
        default: of the kind; "": its dependents are not garbage collected.
    """
    required = COLLECTED.get(effective_policy(finalizers, requested, default))
    remaining = [name for name in finalizers if name not in COLLECTED.values() or name == required]
    return remaining if required is None or required in remaining else [*remaining, required]


def check_policy(policy: object, kind: str, name: str) -> None:
    """Refuse an unknown policy.

    Args:
        policy: `propagationPolicy` of the request.
        kind, name: of the object.

    Raises:
        Invalid: with upstream's message; it lists the three that exist.
    """
    if policy is None or policy in POLICIES:
        return
    listed = ", ".join(f'"{each}"' for each in POLICIES)
    reason = f'Unsupported value: "{policy}": supported values: {listed}'
    cause = Cause("propagationPolicy", "FieldValueNotSupported", reason)
    message = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {reason}'
    raise Invalid(message, kind=kind, name=name, causes=[cause])
