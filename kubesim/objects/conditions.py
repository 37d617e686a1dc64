"""Conditions of an object: type, status, time of the last transition, reason, message.

>>> conditions = set_condition([], "Ready", "False", "Starting", "", now="2025-01-01T00:00:00Z")
>>> conditions = set_condition(conditions, "Ready", "True", "", "", now="2025-01-01T00:00:05Z")
>>> conditions[0]["status"], conditions[0]["lastTransitionTime"]
('True', '2025-01-01T00:00:05Z')

Source: metav1.Condition; k8s.io/apimachinery/pkg/api/meta (SetStatusCondition).
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.objects.frozen import Document, ReadOnlyDocument


def get_condition(document: ReadOnlyDocument, type: str) -> Document | None:
    """Return the condition of a type in status.conditions, or None."""
    for condition in (document.get("status") or {}).get("conditions") or ():
        if condition.get("type") == type:
            return condition  # type: ignore[no-any-return]
    return None


def is_condition_true(document: ReadOnlyDocument, type: str) -> bool:
    """Whether a condition exists and its status is "True"."""
    condition = get_condition(document, type)
    return condition is not None and condition.get("status") == "True"


def set_condition(
    conditions: Sequence[Document],
    type: str,
    status: str,
    reason: str = "",
    message: str = "",
    now: str = "",
) -> list[Document]:
    """Return a new list with one condition set; the others keep their place.

    lastTransitionTime changes only with the *status*, not with the reason.

    Args:
        conditions: the old list; not changed.
        type, status, reason, message: of the condition; status is "True", "False" or "Unknown".
        now: RFC 3339 time of a transition (`clock.timestamp()`); "": without a time.
    """
    new: Document = {"type": type, "status": status}
    if now:
        new["lastTransitionTime"] = now
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    result: list[Document] = []
    replaced = False
    for condition in conditions:
        if condition.get("type") != type:
            result.append(condition)
            continue
        replaced = True
        if condition.get("status") == status and condition.get("lastTransitionTime"):
            new["lastTransitionTime"] = condition["lastTransitionTime"]
        result.append(new)
    return result if replaced else [*result, new]
