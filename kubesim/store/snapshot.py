"""The store as bytes and back: `etcdctl snapshot save` and `restore`.

A snapshot is one JSON document in UTF-8 with a checksum, so that damage is noticed when it is read.

Source: etcd server/storage/backend (Snapshot), etcdutl/snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import cast

from kubesim.errors import BadRequest
from kubesim.objects.frozen import freeze
from kubesim.store.base import Sample
from kubesim.store.keyspace import Keyspace
from kubesim.store.leases import Leases
from kubesim.store.records import KeyRevision, SampleRevision, encode

MAGIC = b"kubesim-snapshot-1\n"


def dump(revision: int, entries: Sequence[KeyRevision], leases: Leases) -> bytes:
    """Serialize the state of a store.

    Args:
        revision: of the newest write.
        entries: the present keys.
        leases: the present leases.
    """
    rows = [[e.key, e.raw, e.create_revision, e.mod_revision, e.version, e.lease] for e in entries]
    body = encode({"revision": revision, "keys": rows, "leases": leases.state()}).encode()
    return MAGIC + sha256(body).hexdigest().encode() + b"\n" + body


def load(data: bytes, space: Keyspace) -> tuple[int, list[KeyRevision], Leases]:
    """Parse a snapshot: (revision, keys, leases).

    Args:
        data: what `dump` returned.
        space: says which keys are samples.

    Raises:
        BadRequest: the bytes are not a snapshot, or damaged.
    """
    if not data.startswith(MAGIC):
        raise BadRequest("these bytes are not a snapshot of a kubesim store")
    checksum, _, body = data[len(MAGIC) :].partition(b"\n")
    if sha256(body).hexdigest().encode() != checksum:
        raise BadRequest("the snapshot is damaged: its checksum does not match")
    state = json.loads(body)
    entries: list[KeyRevision] = []
    for key, raw, created, modified, version, lease in state["keys"]:
        if key.startswith(space.sample_prefix) and isinstance(raw, list):
            sample = cast(Sample, _tuples(raw))
            entries.append(SampleRevision(key, sample, created, modified, version, space.expand))
        else:
            entries.append(KeyRevision(key, freeze(raw), created, modified, version, lease))
    leases = Leases()
    leases.load(state["leases"], {entry.key: entry.lease for entry in entries if entry.lease})
    return int(state["revision"]), entries, leases


def _tuples(value: object) -> object:
    """Return nested lists as nested tuples: JSON has no tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
