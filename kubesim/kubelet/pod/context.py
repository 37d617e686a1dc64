"""What every part of a pod's runner shares: the pod, its containers, and where it reports.

Source: pkg/kubelet/kubelet_pods.go, pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.client import Decision, EventRecorder
from kubesim.client.decisions import DecisionLog
from kubesim.clock.base import Worker
from kubesim.kubelet.pod.backoff import sync_seconds
from kubesim.kubelet.pod.behaviour import JOB_SECONDS, behaviour_of
from kubesim.kubelet.pod.containers import ContainerState, container_states
from kubesim.kubelet.pod.phase import MAIN
from kubesim.kubelet.process.dns import resolve
from kubesim.kubelet.process.environment import Sources
from kubesim.kubelet.process.logs import copy_log
from kubesim.kubelet.process.programs import PodPrograms
from kubesim.kubelet.process.volumes import CLAIM, HOST_PATH, PodVolumes
from kubesim.kubelet.shell.files import Volume
from kubesim.kubelet.usage.models import PodModels
from kubesim.kubelet.volumemanager.claims import volume_of_claim
from kubesim.kubelet.volumemanager.inuse import VolumesInUse
from kubesim.kubelet.volumemanager.storage import VolumeStore, path_on_node
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import SERVICE
from kubesim.objects.wellknown import DEFAULT_NAMESPACE, TERMINATION_GRACE_SECONDS

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, ServiceDict


@dataclass(frozen=True, slots=True)
class NodeTools:
    """What a kubelet lends to each of its pods.

    Attributes:
        host_ip: the node's address.
        component: name of the kubelet in decision records: ``kubelet/node-1``.
        recorder, analytics, decisions: where events, log lines and decision records go.
        job_seconds: how long a program with an end runs if its command is not understood.
        allocatable: of the node: CPU in millicores and memory in bytes.
        disk: of the node.
        storage: that every node reaches.
        in_use: the attached volumes that pods of the node use.
    """

    host_ip: str
    component: str
    recorder: EventRecorder
    analytics: Analytics
    decisions: DecisionLog
    job_seconds: float = JOB_SECONDS
    allocatable: tuple[int, int] = (0, 0)
    disk: VolumeStore = field(default_factory=VolumeStore)
    storage: VolumeStore = field(default_factory=VolumeStore)
    in_use: VolumesInUse = field(default_factory=VolumesInUse)


class PodContext:
    """One pod and its surroundings; the parts of its runner share it.

    Args:
        api: the API server.
        worker: the pod's own serial lane.
        pod: as it was bound; `follow` takes over a later spec.
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
        "_programs",
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
        self._programs: PodPrograms | None = None  # created for the first command that is run
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

    # -- programs ---------------------------------------------------------------------------------

    @property
    def programs(self) -> PodPrograms:
        """Runs the commands of its containers, probes and hooks."""
        if self._programs is None:
            volumes = PodVolumes(self._sources(), self._persistent_volume)
            self._programs = PodPrograms(self._sources, self.api.clock, volumes, self._resolve)
        return self._programs

    def storage_used(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the bytes in emptyDirs by volume, and in other files and logs by container."""
        volumes, own = self.programs.storage_used()
        for container in self.containers:
            logged = sum(len(text) + 1 for _, text in copy_log(container.log))
            own[container.name] = own.get(container.name, 0) + logged
        return volumes, own

    def _sources(self) -> Sources:
        services = list(self.api.list_shared("Service", self.namespace)["items"])
        if self.namespace != DEFAULT_NAMESPACE:
            kubernetes = self.api.peek(SERVICE, "kubernetes", DEFAULT_NAMESPACE)
            services += [] if kubernetes is None else [kubernetes]
        return Sources(self.pod, self.find, services, self.ip, self.host_ip, self.tools.allocatable)

    def _persistent_volume(self, kind: str, name: str) -> Volume:
        """Return the data of a claim, a host path, or an emptyDir of the pod."""
        disk = self.tools.disk
        if kind == HOST_PATH:
            return disk.directory(name)
        if kind == CLAIM:
            volume = volume_of_claim(name, self.find)
            if volume is None:
                return Volume()
            path = path_on_node(volume)
            return disk.data_of(volume, path) if path else self.tools.storage.data_of(volume)
        return disk.pod_directory(self.uid, name)

    def _resolve(self, name: str) -> list[str]:
        return resolve(name, self.namespace, self._service, self._ready_addresses)

    def _service(self, name: str, namespace: str) -> ServiceDict | None:
        return self.api.peek(SERVICE, name, namespace)

    def _ready_addresses(self, service: str, namespace: str) -> list[str]:
        """Return the IP addresses of the ready pods behind a Service."""
        selector = f"kubernetes.io/service-name={service}"
        slices = self.api.list_shared("EndpointSlice", namespace, label_selector=selector)["items"]
        return [
            str(endpoint["addresses"][0])
            for each in slices
            for endpoint in each.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready")
        ]

    def follow(self, pod: PodDict) -> None:
        """Take over a changed spec: of the pod, and of its containers."""
        self.pod = pod
        spec = pod["spec"]
        for entry in (*(spec.get("initContainers") or ()), *spec["containers"]):
            self.by_name[str(entry["name"])].follow(entry)

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

    def at_each_sync(
        self, container: ContainerState, until: float, fn: Callable[[], object]
    ) -> None:
        """Call `fn` now and at each sync of a pod in back-off, while the container waits.

        Args:
            container: the container.
            until: second at which its back-off ends.
            fn: the callback.
        """
        fn()
        now = self.now()
        wait = sync_seconds(f"{self.uid}/{container.name}/{now}")
        if now + wait < until:
            self.call_later(container, wait, lambda: self.at_each_sync(container, until, fn))

    # -- reports ----------------------------------------------------------------------------------

    def event(
        self, type: str, reason: str, message: str, container: ContainerState | None = None
    ) -> None:
        """Record an Event about the pod.

        Args:
            type, reason, message: see `EventRecorder.event`.
            container: the one that it is about; None: the pod as a whole.
        """
        path = ""
        if container is not None:
            field = "containers" if container.kind == MAIN else "initContainers"
            path = f"spec.{field}{{{container.name}}}"
        self.tools.recorder.event(self.pod, type, reason, message, field_path=path)

    def warn_annotation(self, message: str) -> None:
        """Record the Event about an annotation that cannot be used."""
        self.event("Warning", "InvalidAnnotation", message)

    def log(self, action: str, message: str, level: str = "info") -> None:
        """Write a line of the cluster's lifecycle log."""
        self.tools.analytics.log("Pod", action, message, level)

    def decide(self, decision: Decision) -> None:
        """Keep a decision record."""
        self.tools.decisions.record(decision)
