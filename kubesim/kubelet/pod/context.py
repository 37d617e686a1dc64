"""What every part of a pod's runner shares: the pod, its containers, and where it reports.

Source: pkg/kubelet/kubelet_pods.go, pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.client import Decision, EventRecorder
from kubesim.client.decisions import DecisionLog
from kubesim.clock.base import Worker
from kubesim.kubelet.pod.behaviour import behaviour_of
from kubesim.kubelet.pod.containers import ContainerState, container_states
from kubesim.kubelet.usage.models import PodModels
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import TERMINATION_GRACE_SECONDS

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


@dataclass(frozen=True, slots=True)
class NodeTools:
    """What a kubelet lends to each of its pods.

    Attributes:
        host_ip: the node's address.
        component: name of the kubelet in decision records: ``kubelet/node-1``.
        recorder, analytics, decisions: where events, log lines and decision records go.
    """

    host_ip: str
    component: str
    recorder: EventRecorder
    analytics: Analytics
    decisions: DecisionLog


class PodContext:
    """One pod and its surroundings; the parts of its runner share it.

    Args:
        api: the API server.
        worker: the pod's own serial lane.
        pod: as it was bound.
        models: its usage models.
        tools: of its kubelet.
        ip: its address.

    Attributes:
        containers: init containers and sidecars first, in the order of the spec.
        by_name: the same containers by name.
        restart_policy: of the pod.
        warnings: one message for each annotation that cannot be used.
        now, timestamp: of the clock.
    """

    __slots__ = (
        "api",
        "by_name",
        "component",
        "containers",
        "host_ip",
        "ip",
        "models",
        "name",
        "namespace",
        "now",
        "pod",
        "restart_policy",
        "timestamp",
        "tools",
        "uid",
        "warnings",
        "worker",
    )

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        pod: PodDict,
        models: PodModels,
        tools: NodeTools,
        ip: str,
    ) -> None:
        self.api, self.worker, self.pod, self.models = api, worker, pod, models
        self.name, self.namespace = meta.name_of(pod), meta.namespace_of(pod)
        self.uid = meta.uid_of(pod)
        self.now, self.timestamp = api.clock.now, api.clock.timestamp
        self.ip, self.host_ip, self.component = ip, tools.host_ip, tools.component
        self.tools = tools
        self.restart_policy = str(pod["spec"].get("restartPolicy", "Always"))
        self.warnings: list[str] = []
        self.containers = container_states(
            pod, lambda name, kind: behaviour_of(pod, name, kind, self.warnings.append)
        )
        self.by_name = {container.name: container for container in self.containers}

    @property
    def grace_seconds(self) -> float:
        """Seconds that the pod may take to stop, by its spec."""
        seconds = self.pod["spec"].get("terminationGracePeriodSeconds")
        return TERMINATION_GRACE_SECONDS if seconds is None else float(seconds)

    @property
    def active_since(self) -> float:
        """Second at which a kubelet first took the pod."""
        started = (self.pod.get("status") or {}).get("startTime")
        return self.api.clock.seconds_at(started) if started else self.now()

    def find(self, kind: str, name: str) -> Document | None:
        """Return an object of the pod's namespace, or None."""
        return self.api.peek(kind, name, self.namespace)

    def call_later(
        self, container: ContainerState, seconds: float, fn: Callable[[], object]
    ) -> None:
        """Call `fn` after some seconds, unless the state of the container changes before.

        Args:
            container: the container.
            seconds: simulated delay.
            fn: the callback.
        """
        container.timers.append(self.worker.call_later(seconds, fn))

    # -- reports ----------------------------------------------------------------------------------

    def event(self, type: str, reason: str, message: str) -> None:
        """Record an Event about the pod."""
        self.tools.recorder.event(self.pod, type, reason, message)

    def warn_annotation(self, message: str) -> None:
        """Record the Event about an annotation that cannot be used."""
        self.event("Warning", "InvalidAnnotation", message)

    def log(self, action: str, message: str, level: str = "info") -> None:
        """Write a line of the cluster's lifecycle log."""
        self.tools.analytics.log("Pod", action, message, level)

    def decide(self, decision: Decision) -> None:
        """Keep a decision record."""
        self.tools.decisions.record(decision)
