"""What becomes of the dependents of an object that is deleted: the finalizers that say so.

Three policies (`propagationPolicy` of the delete options):

- Background: the object goes now; the garbage collector deletes its dependents afterwards.
- Foreground: the object stays, marked, with the finalizer ``foregroundDeletion`` until those of its
  dependents are gone that have `blockOwnerDeletion`.
- Orphan: it stays with the finalizer ``orphan`` until no dependent names it any more; they live on.

Here stands only which finalizers a deletion leaves on the object. Who acts on them is the garbage
collector (kubesim.controllers.garbage.controller).

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


def effective_policy(finalizers: Sequence[str], asked: str | None, default: str) -> str:
    """The policy of one deletion: what was asked for, what the object carries, the kind's default.

    Args:
        finalizers: of the object.
        asked: `propagationPolicy` of the request; None: it does not say.
        default: of the kind; "": the kind has no dependents that anybody collects.
    """
    if not default:
        return BACKGROUND
    if asked is not None:
        return asked
    for policy, finalizer in COLLECTED.items():
        if finalizer in finalizers:
            return policy
    return default


def finalizers_after(finalizers: Sequence[str], asked: str | None, default: str) -> list[str]:
    """The finalizers of an object once its deletion was asked for; arguments as above.

    A later deletion with another policy exchanges them, so that Background lets an object go that
    waits in the foreground.
    """
    wanted = COLLECTED.get(effective_policy(finalizers, asked, default))
    kept = [name for name in finalizers if name not in COLLECTED.values() or name == wanted]
    return kept if wanted is None or wanted in kept else [*kept, wanted]


def check_policy(policy: object, kind: str, name: str) -> None:
    """Refuse what is no policy.

    Raises:
        Invalid: with upstream's words and the three that exist.
    """
    if policy is None or policy in POLICIES:
        return
    listed = ", ".join(f'"{known}"' for known in POLICIES)
    why = f'Unsupported value: "{policy}": supported values: {listed}'
    cause = Cause("propagationPolicy", "FieldValueNotSupported", why)
    said = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {why}'
    raise Invalid(said, kind=kind, name=name, causes=[cause])
