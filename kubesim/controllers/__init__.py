"""The controllers: loops that bring what is closer to what is wanted."""

from kubesim.client import Controller
from kubesim.controllers.garbage import GarbageCollector
from kubesim.controllers.replicaset import ReplicaSetController
from kubesim.controllers.statefulset import StatefulSetController

CONTROLLERS: tuple[type[Controller], ...] = (  # in boot order
    StatefulSetController,
    ReplicaSetController,
    GarbageCollector,
)

__all__ = ["CONTROLLERS", "GarbageCollector", "ReplicaSetController", "StatefulSetController"]
