"""Retry on conflict: read, change, write; somebody wrote in between: read again.

Source: k8s.io/client-go/util/retry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kubesim.errors import Conflict

T = TypeVar("T")
ATTEMPTS = 5


def retry_on_conflict(attempt: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """The result of `attempt`, which reads, changes and writes; on a Conflict it is tried again.

    Raises:
        Conflict: the last attempt met one, too.
    """
    for _ in range(attempts - 1):
        try:
            return attempt()
        except Conflict:
            continue
    return attempt()
