"""The store: what etcd is to Kubernetes.

Only the API server talks to it.
"""

from kubesim.store.base import (
    DELETE,
    PUT,
    KeyValue,
    ListResult,
    Sample,
    Store,
    TxnResult,
    Watch,
    WatchEvent,
)
from kubesim.store.digest import HistoryDigest
from kubesim.store.memory import EtcdStore

__all__ = [
    "DELETE",
    "PUT",
    "EtcdStore",
    "HistoryDigest",
    "KeyValue",
    "ListResult",
    "Sample",
    "Store",
    "TxnResult",
    "Watch",
    "WatchEvent",
]
