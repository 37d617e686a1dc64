"""The kubelet: the agent of one node. It registers the node, and runs the pods bound to it.

Ours keeps: registration with capacity, allocatable and conditions, heartbeats by Lease each 10 s
and by node status each 5 minutes, admission, one worker for each pod (`podworkers`), images,
eviction under memory pressure (`pressure`), logs, and the power cut: `fail()` and `recover()`. It
leaves out: static pods, device plug-ins, disk and PID pressure.

Source: pkg/kubelet/kubelet.go (syncLoop, HandlePodAdditions), pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from functools import partial
from typing import Any

from kubesim.client import EventRecorder, Informer, Tools
from kubesim.kubelet.config import KubeletConfig
from kubesim.kubelet.images import ImageStore
from kubesim.kubelet.nodestatus import (
    LEASE_SECONDS,
    NodeReporter,
    node_document,
    node_reference,
)
from kubesim.kubelet.pod.runner import PodRunner
from kubesim.kubelet.podworkers import PodWorkers
from kubesim.kubelet.pressure import MemoryWatch
from kubesim.kubelet.usage.meter import Load
from kubesim.kubelet.usage.workload import Factory
from kubesim.objects.frozen import Document
from kubesim.objects.pods import PodResources
from kubesim.objects.wellknown import MAX_PODS, RESYNC_SECONDS
from kubesim.quantity import parse_cpu_milli, parse_memory

REGISTER_RETRY_SECONDS = 1.0
LOG_LINES = 100


class Kubelet:
    """The agent of one node.

    Args:
        tools: what all components share.
        node_name: for example ``node-1``.
        cpu, memory, max_pods: what the node offers, as Kubernetes quantities.
        load: requests per second that reach a pod, asked at each tick.
        workloads: workload models by name.
        labels: of the node, besides its hostname.
        config: reserves, eviction thresholds, image pulls.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        node_name: str,
        cpu: str = "4",
        memory: str = "8Gi",
        max_pods: int = MAX_PODS,
        load: Load | None = None,
        workloads: Mapping[str, Factory] | None = None,
        labels: Mapping[str, str] | None = None,
        config: KubeletConfig | None = None,
    ) -> None:
        self.name = f"kubelet/{node_name}"
        self.node_name = node_name
        self.api = api = tools.api
        self.clock = clock = tools.clock
        self.analytics = tools.analytics
        self.decisions = tools.decisions
        self.worker = clock.worker(self.name)
        self.recorder = EventRecorder(api, "kubelet")
        self.counts: Counter[str] = Counter()
        self._capacity = {"cpu": str(cpu), "memory": str(memory), "pods": str(max_pods)}
        self.config = config or KubeletConfig()
        offered = self._offered = self.config.allocatable(self._capacity)
        self._allocatable = PodResources(
            parse_cpu_milli(offered["cpu"]), parse_memory(offered["memory"])
        )
        self._images = ImageStore(self.config.image_pull)
        self._labels = dict(labels or {})
        self._log: deque[tuple[float, str]] = deque(maxlen=LOG_LINES)
        self._seed, self._load, self._known_workloads = tools.streams.seed, load, workloads
        self._max_pods = max_pods
        self._memory: MemoryWatch
        self._workers = self._pod_workers()
        self._reporter = NodeReporter(
            api,
            clock,
            node_name,
            document=self._node_document,
            facts=lambda: self._memory.facts(),
            images=self._images.status,
            pulls=lambda: self._images.pulled,
            say=self._say,
            event=partial(self.recorder.event, node_reference(node_name)),
        )
        self._memory = self._memory_watch()
        self.down = False
        self._pods = self._informer()

    def _pod_workers(self, found: Mapping[str, PodRunner] | None = None) -> PodWorkers:
        return PodWorkers(
            self.api,
            self.clock,
            self.worker,
            node_name=self.node_name,
            allocatable=self._allocatable,
            max_pods=self._max_pods,
            seed=self._seed,
            load=self._load,
            workloads=self._known_workloads,
            images=self._images,
            recorder=self.recorder,
            analytics=self.analytics,
            decisions=self.decisions,
            counts=self.counts,
            memory_pressure=lambda: self._memory.pressed,
            say=self._say,
            found=found,
        )

    def _memory_watch(self) -> MemoryWatch:
        return MemoryWatch(
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

    def _informer(self) -> Informer:
        return Informer(
            self.api,
            self.worker,
            "Pod",
            field_selector=f"spec.nodeName={self.node_name}",
            on_event=self._workers.pod_event,
            resync_seconds=RESYNC_SECONDS,
        )

    def _node_document(self) -> Document:
        return node_document(
            self.node_name,
            self._capacity,
            self._labels,
            self.clock.timestamp(),
            self._memory.facts(),
            allocatable=self._offered,
            images=self._images.status(),
        )

    def start(self) -> None:
        """Register the node and begin to watch for pods."""
        self.api.register_log_source(self.node_name, self.logs)
        self.worker.call_soon(self._register)
        self.worker.every(LEASE_SECONDS, self._look)
        self._pods.start()

    def stop(self) -> None:
        """Stop the node's pods without a word to the API server; the kubelet is not used again."""
        self._pods.stop()
        self.worker.stop()
        self._workers.stop()

    # -- a power cut ----------------------------------------------------------------------------

    def fail(self) -> None:
        """Cut the power: no lease, no status, no sample, no tick any more; every object stays.

        What the cluster makes of it is up to the others: a node controller sees the lease grow old,
        pods that are deleted stay Terminating. Has no effect on a node that is down already.
        """
        if self.down:
            return
        self.down = True
        self.stop()
        for runner in self._workers.running().values():
            self.api.forget_metrics(runner.namespace, runner.name)  # nobody can ask for them
        self._say("The power was cut")

    def recover(self) -> None:
        """The power is back: the kubelet starts with an empty memory and looks what is there.

        The node reports itself Ready, pods that were deleted meanwhile are removed for good, and
        the others are started again with one restart more, by their restartPolicy (their
        containers died with exit code 255). Has no effect on a node that is up.
        """
        if not self.down:
            return
        self.down = False
        self.worker = self.clock.worker(self.name)
        self._images.line_is_free()
        self._workers = self._pod_workers(self._workers.runners)
        self._memory = self._memory_watch()
        self._pods = self._informer()
        self._say("The power is back")
        self.start()
        self.worker.call_soon(self._workers.forget_the_gone)

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
        evicted = {"evicted": self._memory.evictions} if self._memory.evictions else {}
        return {**self.counts, **evicted, "running": len(self._workers.running())}

    def logs(
        self, namespace: str, pod: str, container: str | None = None, previous: bool = False
    ) -> list[tuple[float, str]]:
        """Log lines with their seconds, oldest first; of the kubelet itself for pod "".

        Args:
            namespace, pod: whose.
            container: of which container; None: of all, in the order of time.
            previous: of its run before the present one.

        Raises:
            BadRequest: there was no such run.
        """
        if not pod:
            return list(self._log)
        if self.down:
            return []
        return self._workers.logs(namespace, pod, container, previous=previous)

    # -- the node -------------------------------------------------------------------------------

    def _register(self) -> None:
        """Register the node; tried until it is done."""
        if not self._reporter.register():
            self.worker.call_later(REGISTER_RETRY_SECONDS, self._register)
            return
        self._reporter.renew_lease()
        self._say(f"Node {self.node_name} is ready: {self._capacity}")

    def _look(self) -> None:
        """Each 10 s: a sign of life, and a look at the memory."""
        self._reporter.look()
        self._memory.look()

    def _say(self, line: str) -> None:
        self._log.append((self.clock.now(), line))
        self.analytics.log("Kubelet", self.node_name, line, "debug")
