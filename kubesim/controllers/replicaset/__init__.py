"""The ReplicaSet controller: keeps the wanted number of equal pods."""

from kubesim.controllers.replicaset.controller import ReplicaSetController

__all__ = ["ReplicaSetController"]
