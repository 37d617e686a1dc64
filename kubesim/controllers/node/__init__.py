"""Node controllers: health, leases, zone states, taint eviction, pod garbage collection."""

from kubesim.controllers.node.lifecycle import NodeLifecycleController
from kubesim.controllers.node.podgc import PodGarbageCollector
from kubesim.controllers.node.tainteviction import TaintEvictionController

__all__ = ["NodeLifecycleController", "PodGarbageCollector", "TaintEvictionController"]
