"""The hottest path of the simulator: writing one pod's usage sample.

Source: the role of the metrics-server's point store (pkg/storage/pod.go); ours is part of the
store.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from kubesim.store.base import Sample
from kubesim.store.keyspace import Keyspace
from kubesim.store.watching import WatchIndex


def make_sample_writer(
    lock: Lock, space: Keyspace, watches: WatchIndex, key: str
) -> Callable[[Sample], int]:
    """A function that writes samples of one key and returns the revision.

    Each pod's tick ends here, a million times a second on virtual time. So the common case (a
    further sample of a known key, and nobody waiting for samples) is written out, and the lock is
    taken by hand: `with` costs as much as the rest of the write.
    """
    acquire, release = lock.acquire, lock.release
    cells, history = space.cells, space.samples
    steps, longest = history.steps, history.longest

    def write(sample: Sample) -> int:
        acquire()
        try:
            space.revision = revision = space.revision + 1
            previous = cells.get(key)
            if type(previous) is tuple:
                cell = (revision, key, sample, previous[3], previous[4] + 1)
                cells[key] = cell
                steps.append((cell, previous))
                if len(steps) >= longest:
                    history.trim()
            else:
                space.first_sample(key, sample, revision)
            if not watches.on_samples:
                return revision
            ready = watches.ready_for(key)
        finally:
            release()
        for notify in ready:
            notify()
        return revision

    return write
