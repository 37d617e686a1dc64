"""The store backends that the contract suite runs against.

A further backend is one more row of `BACKENDS`: a function that opens an empty store in a directory
of its own, and one that opens a store with the state of a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubesim.store import Backend, EtcdStore


@dataclass(frozen=True)
class TestedBackend:
    """How the suite opens a backend.

    Attributes:
        name: of the backend, for the names of the tests.
        open: open(directory, **options) -> an empty store; options are history_limit,
            sample_history_limit and sample_document.
        restore: restore(directory, snapshot, **options) -> a store with the snapshot's state.
    """

    __test__ = False  # not a test class

    name: str
    open: Callable[..., Backend]
    restore: Callable[..., Backend]


def _open_memory(_directory: Path, **options: Any) -> Backend:
    return EtcdStore(**options)


def _restore_memory(_directory: Path, data: bytes, **options: Any) -> Backend:
    return EtcdStore.restore(data, **options)


BACKENDS = [TestedBackend("memory", _open_memory, _restore_memory)]
