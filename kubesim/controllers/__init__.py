"""The controllers: loops that bring what is closer to what is wanted."""

from kubesim.client import Controller
from kubesim.controllers.daemonset.controller import DaemonSetController
from kubesim.controllers.deployment.controller import DeploymentController
from kubesim.controllers.disruption.controller import DisruptionController
from kubesim.controllers.endpointslice.controller import EndpointSliceController
from kubesim.controllers.garbage.controller import GarbageCollector
from kubesim.controllers.job.controller import JobController
from kubesim.controllers.job.cronjob import CronJobController
from kubesim.controllers.namespace import NamespaceController
from kubesim.controllers.node.lifecycle import NodeLifecycleController
from kubesim.controllers.node.podgc import PodGarbageCollector
from kubesim.controllers.node.tainteviction import TaintEvictionController
from kubesim.controllers.quota import ResourceQuotaController
from kubesim.controllers.replicaset.controller import ReplicaSetController
from kubesim.controllers.statefulset.controller import StatefulSetController

CONTROLLERS: tuple[type[Controller], ...] = (  # in boot order
    StatefulSetController,
    ReplicaSetController,
    DeploymentController,
    DaemonSetController,
    JobController,
    CronJobController,
    EndpointSliceController,
    DisruptionController,
    GarbageCollector,
    NamespaceController,
    NodeLifecycleController,
    TaintEvictionController,
    PodGarbageCollector,
    ResourceQuotaController,
)

__all__ = [
    "CONTROLLERS",
    "CronJobController",
    "DaemonSetController",
    "DeploymentController",
    "DisruptionController",
    "EndpointSliceController",
    "GarbageCollector",
    "JobController",
    "NamespaceController",
    "NodeLifecycleController",
    "PodGarbageCollector",
    "ReplicaSetController",
    "ResourceQuotaController",
    "StatefulSetController",
    "TaintEvictionController",
]
