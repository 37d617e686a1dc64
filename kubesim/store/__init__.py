"""The store: what etcd is to Kubernetes.

Only the API server talks to it.
"""

from kubesim.store.administration import Dropped, StoreStatus
from kubesim.store.base import (
    DELETE,
    PUT,
    SAMPLE_PREFIX,
    Backend,
    KeyValue,
    ListResult,
    Sample,
    SampleStore,
    SampleWriter,
    Store,
    TxnResult,
    Watch,
    WatchEvent,
    sample_key,
)
from kubesim.store.digest import HistoryDigest
from kubesim.store.memory import EtcdStore

__all__ = [
    "DELETE",
    "PUT",
    "SAMPLE_PREFIX",
    "Backend",
    "Dropped",
    "EtcdStore",
    "HistoryDigest",
    "KeyValue",
    "ListResult",
    "Sample",
    "SampleStore",
    "SampleWriter",
    "Store",
    "StoreStatus",
    "TxnResult",
    "Watch",
    "WatchEvent",
    "sample_key",
]
