"""The garbage collector: owner references, cascading deletion, orphans, finalizers."""

from kubesim.controllers.garbage.controller import GarbageCollector

__all__ = ["GarbageCollector"]
