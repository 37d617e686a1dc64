"""The ReplicaSet controller: keeps the wanted number of equal pods."""

from kubesim.controllers.replicaset.controller import ReplicaSetController
from kubesim.controllers.replicaset.replication import ReplicationManager

__all__ = ["ReplicaSetController", "ReplicationManager"]
