"""Randomness: named streams of one seed, and keyed bytes.

A simulation is repeatable only if every draw comes from the seed, and it can be *compared* with
another run only if adding one pod does not shift the numbers of all others. So no generator is
shared: each use has its own stream, named after its purpose.

>>> streams = NamedStreams(seed=7)
>>> streams("scheduler").random() == NamedStreams(seed=7)("scheduler").random()
True
>>> streams("scheduler") is streams("scheduler")
True

Python's `hash()` differs between processes, so names are hashed with SHAKE-128, which is the same
everywhere. No counterpart in Kubernetes, whose components draw from math/rand.
"""

from __future__ import annotations

from hashlib import shake_128
from random import Random

BLOCK_SECONDS = 64  # draws for so many seconds are made at once


def keyed_bytes(key: str, n: int) -> bytes:
    """Return `n` bytes that depend on the key alone; a prefix stays the same when `n` grows.

    >>> keyed_bytes("7/pod-a/0", 4) == keyed_bytes("7/pod-a/0", 8)[:4]
    True
    """
    return shake_128(key.encode("utf-8", "surrogatepass")).digest(n)


def keyed_fraction(key: str) -> float:
    """Return a number in [0, 1) that depends on the key alone."""
    return int.from_bytes(keyed_bytes(key, 6), "big") / (1 << 48)


class NamedStreams:
    """Random streams by name, all derived from one seed.

    Args:
        seed: any whole number.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}

    def __call__(self, name: str) -> Random:
        """Return the stream of that name; its numbers depend on seed and name alone."""
        stream = self._streams.get(name)
        if stream is None:
            key = int.from_bytes(keyed_bytes(f"{self.seed}/{name}", 32), "big")
            stream = self._streams.setdefault(name, Random(key))
        return stream
