"""The store over HTTP: what `etcdctl` tells an administrator, and the way out of a full store.

    GET  /api/etcd              revision, sizes in bytes, quota, alarms
    POST /api/etcd/compact      etcdctl compact: discard all old versions
    POST /api/etcd/defrag       etcdctl defrag: give the freed space back
    POST /api/etcd/disarm       etcdctl alarm disarm: accept writes again

Source: etcd api/etcdserverpb/rpc.proto (services Maintenance and KV); etcdctl/ctlv3/command.
"""

from __future__ import annotations

from contextlib import suppress

from kubesim.apiserver import KubeAPI
from kubesim.errors import Compacted, NotFound
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request

ACTIONS = ("compact", "defrag", "disarm")


class StoreRoutes:
    """The maintenance of the store.

    Args:
        api: the API server; the routes are about its store.
    """

    def __init__(self, api: KubeAPI) -> None:
        self._store = api.store

    def status(self, _request: Request) -> Response:
        """Return the status of the store."""
        return Response.json(self._status())

    def act(self, _request: Request, action: str) -> Response:
        """Compact, defragment or disarm the store; return its status afterwards.

        Raises:
            NotFound: there is no such action.
        """
        store = self._store
        if action == "compact":
            with suppress(Compacted):  # nothing was written since the last time
                store.compact(store.revision)
        elif action == "defrag":
            store.maintenance.defragment()
        elif action == "disarm":
            store.maintenance.disarm()
        else:
            raise NotFound(f"there is no action {action[:40]!r}", hint=f"use {', '.join(ACTIONS)}")
        return Response.json(self._status())

    def _status(self) -> dict[str, object]:
        status = self._store.maintenance.status()
        return {
            "revision": status.revision,
            "compactRevision": status.compact_revision,
            "dbSize": status.db_size,
            "dbSizeInUse": status.db_size_in_use,
            "dbSizeQuota": status.quota,
            "alarms": list(status.alarms),
        }
