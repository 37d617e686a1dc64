"""The controllers: loops that bring what is closer to what is wanted."""

from kubesim.controllers.garbage import GarbageCollector
from kubesim.controllers.statefulset import StatefulSetController

__all__ = ["GarbageCollector", "StatefulSetController"]
