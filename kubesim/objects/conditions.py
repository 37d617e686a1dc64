"""Conditions: what is true of an object, since when, and why.

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
    """The condition of that type in status.conditions, or None."""
    for condition in (document.get("status") or {}).get("conditions") or ():
        if condition.get("type") == type:
            return condition  # type: ignore[no-any-return]
    return None


def is_condition_true(document: ReadOnlyDocument, type: str) -> bool:
    """True if that condition exists and its status is "True"."""
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
    """A new list with that condition set; others keep their place.

    lastTransitionTime moves only when *status* changes, not when the reason does.

    Args:
        conditions: the list so far; it is not changed.
        type, status, reason, message: of the condition; status is "True", "False" or "Unknown".
        now: RFC 3339 text for a transition (`clock.timestamp()`); "" leaves the time out.
    """
    new: Document = {"type": type, "status": status}
    if now:
        new["lastTransitionTime"] = now
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    result: list[Document] = []
    found = False
    for condition in conditions:
        if condition.get("type") != type:
            result.append(condition)
            continue
        found = True
        if condition.get("status") == status and condition.get("lastTransitionTime"):
            new["lastTransitionTime"] = condition["lastTransitionTime"]
        result.append(new)
    return result if found else [*result, new]
