"""kubesim: the Kubernetes control plane in one Python process, to run, change and break.

    from kubesim import Cluster

    with Cluster(nodes=3, seed=7) as cluster:
        cluster.set_traffic(60)              # requests per second to the pods of auto-pod
        cluster.sleep(300)                   # five simulated minutes, in a blink
        print(cluster.pods())
        print(cluster.explain("hpa/auto-pod"))

To learn from the source, read it in this order:

    clock        two clocks, one protocol: threads in real time, or a heap in virtual time
    objects      Kubernetes documents, and how to read them
    store        etcd: revisions, compare-and-set, watch, compaction
    apiserver    the only door to the store: verbs, kinds, defaults, validation
    client       informer, work queue, controller: what every component is made of
    controllers  workloads, endpoints, budgets, garbage, namespaces, nodes
    scheduler    filter, score, bind
    kubelet      a node, and the life of one pod
    autoscaler   the HPA: a pure policy, and the loop around it
    traffic      requests per second, shared among the ready pods
    rest         the same over HTTP
    cluster      all of it, put together

We mirror the behaviour of Kubernetes 1.34; README.md says what is simulated and what is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubesim.errors import KubeSimError, StatusError
from kubesim.table import Table
from kubesim.version import KUBERNETES_VERSION, __version__

if TYPE_CHECKING:
    from kubesim.cluster import Cluster

__all__ = ["KUBERNETES_VERSION", "Cluster", "KubeSimError", "StatusError", "Table", "__version__"]


def __getattr__(name: str) -> Any:
    """Import `Cluster` when it is first asked for: `import kubesim.store` needs nothing above."""
    if name == "Cluster":
        from kubesim.cluster import Cluster

        return Cluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
