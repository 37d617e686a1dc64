"""The kubelet: the agent of one node, which registers the node and runs the pods bound to it.

Ours keeps: registration with capacity, allocatable and conditions, heartbeats by Lease every 10 s
and by node status every 5 minutes, admission, one worker for each pod (`podworkers`), images,
eviction under memory pressure (`eviction_manager`), logs, and the power cut: `fail()` and
`recover()`. It leaves out: static pods, device plug-ins, disk and PID pressure.

Source: pkg/kubelet/kubelet.go (syncLoop, HandlePodAdditions), pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kubesim.apiserver.audit import acting_as
from kubesim.apiserver.verbs.subresources import CommandResult
from kubesim.client import EventRecorder, Informer, Tools
from kubesim.errors import BadRequest
from kubesim.kubelet.config import KubeletConfig
from kubesim.kubelet.eviction_manager import EvictionManager
from kubesim.kubelet.images import ImageStore
from kubesim.kubelet.network import NodeNetwork, PodNetworks
from kubesim.kubelet.nodeobject import node_document, node_reference
from kubesim.kubelet.nodestatus import LEASE_SECONDS, NodeReporter, reported_conditions
from kubesim.kubelet.pod.behaviour import JOB_SECONDS
from kubesim.kubelet.pod.runner import PodRunner
from kubesim.kubelet.podworkers import PodWorkers
from kubesim.kubelet.stages import PodStage
from kubesim.kubelet.usage.meter import Load
from kubesim.kubelet.usage.workload import Factory
from kubesim.kubelet.volumemanager.inuse import VolumesInUse
from kubesim.kubelet.volumemanager.storage import VolumeStore
from kubesim.objects.kindnames import POD
from kubesim.objects.pods import PodResources
from kubesim.objects.wellknown import MAX_PODS, RESYNC_SECONDS
from kubesim.quantity import parse_cpu_milli, parse_memory

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict

REGISTER_RETRY_SECONDS = 1.0
LOG_LINES = 100
FURTHER_CAPACITY = {"ephemeral-storage": "100Gi", "hugepages-1Gi": "0", "hugepages-2Mi": "0"}
"""What a node offers besides CPU, memory and pods, unless it is told otherwise."""


class Kubelet:
    """The agent of one node.

    Args:
        tools: what all components share.
        node_name: for example ``node-1``.
        cpu, memory, max_pods: what the node offers, as Kubernetes quantities.
        capacity: further resources that it offers, such as ``nvidia.com/gpu``, as quantities.
        allocatable: what pods may request, where that is not what `config` says.
        network: the addresses of the node and its pods.
        load: requests per second that reach a pod, called at each tick.
        workloads: workload models by name.
        labels: of the node, in addition to its hostname, architecture and operating system.
        config: reserves, eviction thresholds, image pulls.
        job_seconds: how long a program with an end runs if its command is not understood.
        stages: rules about the life of pods.
        storage: the data of the volumes that every node reaches; None: no other node does.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        node_name: str,
        cpu: str = "4",
        memory: str = "8Gi",
        max_pods: int = MAX_PODS,
        capacity: Mapping[str, str] | None = None,
        allocatable: Mapping[str, str] | None = None,
        network: NodeNetwork | None = None,
        load: Load | None = None,
        workloads: Mapping[str, Factory] | None = None,
        labels: Mapping[str, str] | None = None,
        config: KubeletConfig | None = None,
        job_seconds: float = JOB_SECONDS,
        stages: Sequence[PodStage] = (),
        storage: VolumeStore | None = None,
    ) -> None:
        self.name = f"kubelet/{node_name}"
        self.node_name = node_name
        self.tools = tools
        self.api = api = tools.api
        self.clock = clock = tools.clock
        self.analytics = tools.analytics
        self.decisions = tools.decisions
        self.worker = clock.worker(self.name)
        self.recorder = EventRecorder(api, "kubelet", node_name)
        self.counts: Counter[str] = Counter()
        self._size = {"cpu": str(cpu), "memory": str(memory), "pods": str(max_pods)}
        resources = {**FURTHER_CAPACITY, **(capacity or {}), **self._size}
        self._capacity = dict(sorted(resources.items()))
        self.network = network or PodNetworks().take(node_name)
        self.config = config or KubeletConfig()
        offered = self._offered = self.config.allocatable(self._capacity)
        offered.update(allocatable or {})
        self._allocatable = PodResources(
            parse_cpu_milli(offered["cpu"]), parse_memory(offered["memory"])
        )
        self._images = ImageStore(self.config.image_pull)
        self._labels = dict(labels or {})
        self._log: deque[tuple[float, str]] = deque(maxlen=LOG_LINES)
        self._load, self._known_workloads = load, workloads
        self._max_pods, self._job_seconds = max_pods, job_seconds
        self._stages = tuple(stages)
        self._disk, self._storage = VolumeStore(), storage or VolumeStore()
        self._in_use = self._no_volumes()
        self._evictions: EvictionManager
        self._workers = self._pod_workers()
        self._reporter = NodeReporter(
            api,
            clock,
            node_name,
            document=self._node_document,
            facts=lambda: self._evictions.facts(),
            images=self._images.status,
            pulls=lambda: self._images.pulled,
            volumes=lambda: self._in_use.names(),
            log=self._write_line,
            event=partial(self.recorder.event, node_reference(node_name)),
        )
        self._evictions = self._eviction_manager()
        self.down = False
        self.registered = False  # since it was switched on
        self._pods = self._informer()

    def _no_volumes(self) -> VolumesInUse:
        return VolumesInUse(lambda: self.worker.call_soon(self._reporter.report))

    def _pod_workers(self, previous: Mapping[str, PodRunner] | None = None) -> PodWorkers:
        return PodWorkers(
            self.tools,
            self.worker,
            node_name=self.node_name,
            network=self.network,
            allocatable=self._allocatable,
            max_pods=self._max_pods,
            load=self._load,
            workloads=self._known_workloads,
            images=self._images,
            recorder=self.recorder,
            counts=self.counts,
            memory_pressure=lambda: self._evictions.under_pressure,
            log=self._write_line,
            job_seconds=self._job_seconds,
            disk=self._disk,
            storage=self._storage,
            in_use=self._in_use,
            stages=self._stages,
            previous=previous,
        )

    def _eviction_manager(self) -> EvictionManager:
        return EvictionManager(
            self.api,
            self.clock,
            self.recorder,
            self.decisions,
            node_name=self.node_name,
            memory=self._capacity["memory"],
            config=self.config,
            runners=self._workers.running,
            changed=self._reporter.report,
        )

    def _informer(self) -> Informer[PodDict]:
        return Informer(
            self.api,
            self.worker,
            POD,
            field_selector=f"spec.nodeName={self.node_name}",
            on_event=self._workers.pod_event,
            resync_seconds=RESYNC_SECONDS,
        )

    def _node_document(self) -> NodeDict:
        now = self.clock.timestamp()
        return node_document(
            self.node_name,
            self._capacity,
            self._labels,
            now,
            reported_conditions([], self._evictions.facts(), now),
            network=self.network,
            allocatable=self._offered,
            images=self._images.status(),
        )

    def start(self) -> None:
        """Register the node and begin to watch for pods."""
        self.api.register_log_source(self.node_name, self.logs)
        self.api.register_command_runner(self.node_name, self.exec)
        self.worker.call_soon(self._reporter.record_start)
        self.worker.call_soon(self._register)
        self.worker.every(LEASE_SECONDS, self._heartbeat)
        self._pods.start()

    def stop(self) -> None:
        """Stop the node's pods without a write to the API server; the kubelet is not used again."""
        self._pods.stop()
        self.worker.stop()
        self._workers.stop()

    # -- a power cut ----------------------------------------------------------------------------

    def fail(self) -> None:
        """Cut the power: no lease, no status, no sample and no tick any more; every object stays.

        The other components react: the node controller sees that the lease is not renewed, and
        pods that are deleted stay Terminating. A node that is down already is not changed.
        """
        if self.down:
            return
        self.down = True
        self.stop()
        for runner in self._workers.running().values():
            self.api.forget_metrics(runner.namespace, runner.name)  # nothing serves them now
        self._write_line("The power was cut")

    def recover(self) -> None:
        """Restore the power: the kubelet starts with an empty memory and lists its pods.

        The node reports itself Ready, pods that were deleted in the meantime are removed for good,
        and the others are restarted by their restartPolicy (their containers terminated with exit
        code 255). A node that is up is not changed.
        """
        if not self.down:
            return
        self.down = self.registered = False
        self.worker = self.clock.worker(self.name)
        self._images.cancel_pulls()
        self._in_use = self._no_volumes()
        self._workers = self._pod_workers(self._workers.runners)
        self._evictions = self._eviction_manager()
        self._pods = self._informer()
        self._write_line("The power is back")
        self.start()
        self.worker.call_soon(self._workers.forget_removed_pods)

    def statistics(self) -> dict[str, int]:
        """Return counts for tests and tables; from any thread."""
        counts = dict(self.counts)  # one atomic copy: pods come and go on the worker
        evictions = self._evictions.count
        evicted = {"evicted": evictions} if evictions else {}
        return {**counts, **evicted, "running": self._workers.running_count()}

    def logs(
        self, namespace: str, pod: str, container: str | None = None, previous: bool = False
    ) -> list[tuple[float, str]]:
        """Return log lines with their seconds, oldest first; of the kubelet itself for pod "".

        Args:
            namespace, pod: of the pod.
            container: name; None: all containers, in the order of time.
            previous: of the run before the present one.

        Raises:
            BadRequest: there was no such run.
        """
        if not pod:
            return list(self._log)
        if self.down:
            return []
        return self._workers.logs(namespace, pod, container, previous=previous)

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], stdin: str
    ) -> CommandResult:
        """Run a command in a container to its end; from any thread.

        Args:
            namespace, pod, container: which container.
            command: the program and its arguments.
            stdin: what it reads.

        Raises:
            BadRequest: the container does not run, or the node is down.
        """
        if self.down:
            raise BadRequest(f"error dialing backend: node {self.node_name} does not answer")
        return self._workers.exec(namespace, pod, container, command, stdin)

    # -- the node -------------------------------------------------------------------------------

    def register(self) -> None:
        """Register the node now; the driver may, before virtual time has passed."""
        with acting_as(self.name):
            self._register()

    def _register(self) -> None:
        """Register the node, unless it is registered; try again until it succeeds."""
        if self.registered:
            return
        self.registered = self._reporter.register()
        if not self.registered:
            self.worker.call_later(REGISTER_RETRY_SECONDS, self._register)
            return
        self._reporter.renew_lease()
        self._write_line(f"Node {self.node_name} is ready: {self._size}")

    def _heartbeat(self) -> None:
        """Renew the lease, report the status if it is due, and evict pods; every 10 s."""
        self._reporter.heartbeat()
        self._evictions.synchronize()

    def _write_line(self, line: str) -> None:
        self._log.append((self.clock.now(), line))
        self.analytics.log("Kubelet", self.node_name, line, "debug")
