"""Retry on conflict: read, change, write; after a Conflict read again.

Source: k8s.io/client-go/util/retry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kubesim.errors import Conflict

T = TypeVar("T")
ATTEMPTS = 5


def retry_on_conflict(attempt: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """Call a function again while it raises Conflict, and return its result.

    Args:
        attempt: reads, changes and writes an object.
        attempts: how often it is called at most.

    Raises:
        Conflict: the last attempt failed, too.
    """
    for _ in range(attempts - 1):
        try:
            return attempt()
        except Conflict:
            continue
    return attempt()
