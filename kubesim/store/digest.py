"""A running digest of the whole history: two runs are the same if their digests are.

No counterpart in Kubernetes, where no two runs are the same.
"""

from __future__ import annotations

from hashlib import sha256

from kubesim.store.base import Store
from kubesim.store.records import KeyRevision, encode


class HistoryDigest:
    """SHA-256 over every change of every key since the digest was made, samples included.

    It reads the history through a watch; call `update` often enough that the history is not
    compacted before it is read.
    """

    def __init__(self, store: Store) -> None:
        self._watch = store.watch("", since_revision=store.revision)
        self._hash = sha256()
        self.changes = 0

    def update(self) -> None:
        """Add the changes since the last call.

        Raises:
            Compacted: some were compacted before they were read; the digest is then incomplete.
        """
        parts = []
        for event in self._watch.poll():
            entry = event.kv
            raw = entry.raw if isinstance(entry, KeyRevision) else entry.value
            body = repr(raw) if type(raw) is tuple else encode(raw)
            parts.append(f"{event.revision} {event.type} {entry.key} {body}\n")
        self.changes += len(parts)
        self._hash.update("".join(parts).encode())

    def hexdigest(self) -> str:
        """Return the digest of all changes so far."""
        return self._hash.hexdigest()
