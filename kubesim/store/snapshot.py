"""The store as bytes and back: `etcdctl snapshot save` and `restore`.

A snapshot is one JSON document in UTF-8 with a checksum, so that damage is noticed when it is read.

Source: etcd server/storage/backend (Snapshot), etcdutl/snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from kubesim.errors import BadRequest
from kubesim.objects.frozen import freeze
from kubesim.store.keyspace import Keyspace
from kubesim.store.leases import Leases
from kubesim.store.records import Entry, encode

MAGIC = b"kubesim-snapshot-1\n"


def dump(revision: int, entries: Sequence[Entry], leases: Leases) -> bytes:
    """The state as bytes."""
    rows = [[e.key, e.raw, e.create_revision, e.mod_revision, e.version, e.lease] for e in entries]
    body = encode({"revision": revision, "keys": rows, "leases": leases.state()}).encode()
    return MAGIC + sha256(body).hexdigest().encode() + b"\n" + body


def load(data: bytes, space: Keyspace) -> tuple[int, list[Entry], Leases]:
    """Revision, entries and leases of a snapshot.

    Raises:
        BadRequest: no snapshot, or damaged.
    """
    if not data.startswith(MAGIC):
        raise BadRequest("these bytes are no snapshot of a kubesim store")
    checksum, _, body = data[len(MAGIC) :].partition(b"\n")
    if sha256(body).hexdigest().encode() != checksum:
        raise BadRequest("the snapshot is damaged: its checksum does not match")
    state = json.loads(body)
    entries = []
    for key, raw, created, modified, version, lease in state["keys"]:
        if key.startswith(space.sample_prefix) and isinstance(raw, list):
            sample = _tuples(raw)
            entries.append(Entry(key, sample, created, modified, version, lease, space.expand))
        else:
            entries.append(Entry(key, freeze(raw), created, modified, version, lease))
    leases = Leases()
    leases.load(state["leases"], {entry.key: entry.lease for entry in entries if entry.lease})
    return int(state["revision"]), entries, leases


def _tuples(value: Any) -> Any:
    """Samples are tuples in tuples; JSON knows only lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
