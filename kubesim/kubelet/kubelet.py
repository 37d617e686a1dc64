"""The kubelet: the agent of one node. It registers the node, and runs the pods bound to it.

Ours keeps: registration with capacity and conditions, heartbeats by Lease each 10 s and by node
status each 5 minutes, admission (a pod that does not fit is refused), one worker for each pod,
logs, graceful deletion, and the power cut: `fail()` and `recover()`. It leaves out: static pods,
volumes.

Source: pkg/kubelet/kubelet.go (syncLoop, HandlePodAdditions), pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import DecisionLog, EventRecorder, Informer, retry_on_conflict
from kubesim.clock.base import Clock, Streams
from kubesim.errors import BadRequest, NotFound
from kubesim.kubelet.admission import admission
from kubesim.kubelet.config import KubeletConfig
from kubesim.kubelet.images import ImageStore, Pulled
from kubesim.kubelet.meter import Load
from kubesim.kubelet.models import PodModels
from kubesim.kubelet.nodestatus import (
    LEASE_SECONDS,
    NodeReporter,
    meta_number,
    node_document,
)
from kubesim.kubelet.pod import PodRunner
from kubesim.kubelet.podstatus import delete_for_good
from kubesim.kubelet.pressure import MemoryWatch
from kubesim.kubelet.records import refusal_record
from kubesim.kubelet.workload import Factory
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import PodResources, is_finished, pod_requests
from kubesim.quantity import parse_cpu_milli, parse_memory

REGISTER_RETRY_SECONDS = 1.0
RESYNC_SECONDS = 600.0
LOG_LINES = 100


class Kubelet:
    """The agent of one node.

    Args:
        api, clock, streams, analytics, decisions: the cluster's tools.
        node_name: for example ``node-1``.
        cpu, memory, max_pods: what the node offers, as Kubernetes quantities.
        load: requests per second that reach a pod, asked at each tick.
        workloads: workload models by name.
        labels: of the node, besides its hostname.
        config: reserves, eviction thresholds, image pulls.
    """

    def __init__(
        self,
        api: KubeAPI,
        *,
        clock: Clock,
        streams: Streams,
        analytics: Analytics,
        decisions: DecisionLog,
        node_name: str,
        cpu: str = "4",
        memory: str = "8Gi",
        max_pods: int = 110,
        load: Load | None = None,
        workloads: Mapping[str, Factory] | None = None,
        labels: Mapping[str, str] | None = None,
        config: KubeletConfig | None = None,
    ) -> None:
        self.name = f"kubelet/{node_name}"
        self.node_name = node_name
        self.api = api
        self.clock = clock
        self.analytics = analytics
        self.decisions = decisions
        self.worker = clock.worker(self.name)
        self.recorder = EventRecorder(api, "kubelet")
        self.counts: Counter[str] = Counter()
        self._seed = streams.seed
        self._capacity = {"cpu": str(cpu), "memory": str(memory), "pods": str(max_pods)}
        self.config = config or KubeletConfig()
        offered = self._offered = self.config.allocatable(self._capacity)
        self._allocatable = PodResources(
            parse_cpu_milli(offered["cpu"]), parse_memory(offered["memory"])
        )
        self._images = ImageStore(self.config.image_pull)
        self._max_pods = max_pods
        self._labels = dict(labels or {})
        self._load = load
        self._workloads = workloads
        self._runners: dict[str, PodRunner] = {}  # key -> runner, kept until the object is gone
        self._requests: dict[str, PodResources] = {}  # of the pods that run
        self._log: deque[tuple[float, str]] = deque(maxlen=LOG_LINES)
        self._addresses = 0
        self._subnet = int(meta_number(node_name))
        self._reporter = NodeReporter(
            api,
            clock,
            node_name,
            document=self._node_document,
            facts=lambda: self._memory.facts(),
            images=self._images.status,
            pulls=lambda: self._images.pulled,
            say=self._say,
        )
        self._memory = self._memory_watch()
        self.down = False
        self._found: dict[str, PodRunner] = {}  # what ran here when the power was cut, by key
        self._pods = self._informer()

    def _memory_watch(self) -> MemoryWatch:
        return MemoryWatch(
            self.api,
            self.clock,
            self.recorder,
            self.decisions,
            node_name=self.node_name,
            memory=self._capacity["memory"],
            config=self.config,
            runners=lambda: {key: self._runners[key] for key in self._requests},
            changed=self._reporter.report,
        )

    def _informer(self) -> Informer:
        return Informer(
            self.api,
            self.worker,
            "Pod",
            field_selector=f"spec.nodeName={self.node_name}",
            on_event=self._pod_event,
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
        self.clock.stop_workers([runner.worker for runner in self._runners.values()])

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
        for key in self._requests:  # the metrics-server drops whom it cannot ask
            namespace, _, name = key.partition("/")
            self.api.forget_metrics(namespace, name)
        self._found, self._runners, self._requests = self._runners, {}, {}
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
        self._memory = self._memory_watch()
        self._pods = self._informer()
        self._say("The power is back")
        self.start()
        self.worker.call_soon(self._forget_the_gone)

    def _forget_the_gone(self) -> None:
        """What ran here and is no object any more is only a memory on the disk."""
        for key in self._found:
            self._say(f"Pod {key} is gone")
        self._found = {}

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
        evicted = {"evicted": self._memory.evictions} if self._memory.evictions else {}
        return {**self.counts, **evicted, "running": len(self._requests)}

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
        runner = self._runners.get(f"{namespace}/{pod}")
        if runner is None or self.down:
            return []
        if previous and not runner.has_previous(container or ""):
            raise BadRequest(
                f'previous terminated container "{container}" in pod "{pod}" not found'
            )
        return runner.lines(container, previous=previous)

    # -- the node -------------------------------------------------------------------------------

    def _register(self) -> None:
        """Register the node; tried until it is done."""
        if not self._reporter.register():
            self.worker.call_later(REGISTER_RETRY_SECONDS, self._register)
            return
        self._reporter.renew_lease()
        self._say(f"Node {self.node_name} is ready: {self._capacity}")

    def _say(self, line: str) -> None:
        self._log.append((self.clock.now(), line))
        self.analytics.log("Kubelet", self.node_name, line, "debug")

    # -- its pods -------------------------------------------------------------------------------

    def _pod_event(self, event: ResourceEvent) -> None:
        pod, key = event.object, meta.key_of(event.object)
        runner = self._runners.get(key)
        if runner is not None and runner.uid != meta.uid_of(pod):
            self._drop(key, runner)  # made anew under its name before we saw the old one go
            runner = None
        if event.type == "DELETED":
            if runner is not None:
                self._drop(key, runner)
        elif meta.is_terminating(pod):
            self._terminate(key, pod, runner)
        elif runner is None:
            if not is_finished(pod):
                self._take(key, pod)
        elif pod["spec"].get("readinessGates"):
            runner.worker.call_soon(runner.refresh)

    def _take(self, key: str, pod: Document) -> None:
        """A pod was bound to this node: admit it, and give it a worker."""
        refusal = admission(
            pod,
            self._requests,
            self._allocatable,
            self._max_pods,
            memory_pressure=self._memory.pressed,
        )
        if refusal is None:
            try:
                models = PodModels(self._seed, pod, self._workloads)
            except Exception as error:  # noqa: BLE001 - a learner's factory, or a bad annotation
                refusal = "InvalidWorkload", f"{error}"
        if refusal is not None:
            self._refuse(pod, *refusal)
            return
        self._requests[key] = pod_requests(pod)
        self._addresses += 1
        found = self._found.pop(key, None)
        runner = self._runners[key] = PodRunner(
            self.api,
            self.clock.worker(f"pod/{key}"),
            pod,
            models,
            ip=f"10.244.{self._subnet % 256}.{self._addresses % 254 + 1}",
            component=self.name,
            recorder=self.recorder,
            analytics=self.analytics,
            decisions=self.decisions,
            images=self._images,
            pull=self._puller(key),
            load=self._load,
            ended=self._ended,
            found=found if found is not None and found.uid == meta.uid_of(pod) else None,
        )
        self.counts["started"] += 1
        self._say(f"Admitted pod {key}")
        runner.worker.call_soon(runner.start)

    def _look(self) -> None:
        """Each 10 s: a sign of life, and a look at the memory."""
        self._reporter.look()
        self._memory.look()

    def _puller(self, key: str) -> Callable[[str, Callable[[Pulled], Any]], None]:
        """How a pod asks for an image: on the kubelet's worker; the answer comes on the pod's."""

        def pull(image: str, done: Callable[[Pulled], Any]) -> None:
            def arrived(result: Pulled) -> None:
                runner = self._runners.get(key)
                if runner is not None:
                    runner.worker.call_soon(lambda: done(result))

            worker = self.worker
            worker.call_soon(lambda: self._images.pull(image, self.clock.now(), worker, arrived))

        return pull

    def _terminate(self, key: str, pod: Document, runner: PodRunner | None) -> None:
        if runner is None:  # it never ran here
            delete_for_good(self.api, meta.namespace_of(pod), meta.name_of(pod), meta.uid_of(pod))
        elif key in self._requests:
            grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            runner.worker.call_soon(lambda: runner.stop(grace))
            if runner.worker.stopped:  # it had ended by itself
                delete_for_good(self.api, runner.namespace, runner.name, runner.uid)
        else:
            delete_for_good(self.api, runner.namespace, runner.name, runner.uid)

    def _drop(self, key: str, runner: PodRunner) -> None:
        """The object is gone: end what still runs, and forget the logs."""
        del self._runners[key]
        self._requests.pop(key, None)
        runner.worker.call_soon(runner.vanish)
        self._say(f"Removed pod {key}")

    def _ended(self, runner: PodRunner) -> None:
        """Called on the pod's worker: its thread is no longer needed, its logs still are."""
        runner.worker.stop()
        key = f"{runner.namespace}/{runner.name}"
        self.worker.call_soon(lambda: self._release(key, runner))

    def _release(self, key: str, runner: PodRunner) -> None:
        if self._runners.get(key) is runner:
            self._requests.pop(key, None)

    def _refuse(self, pod: Document, reason: str, message: str) -> None:
        self.counts["refused"] += 1
        self._say(f"Refused pod {meta.key_of(pod)}: {reason}")
        self.recorder.event(pod, "Warning", reason, message)
        self.decisions.record(refusal_record(self.clock.now(), pod, self.name, reason, message))
        key = meta.key_of(pod)

        def write() -> None:
            current = self.api.get("Pod", meta.name_of(pod), meta.namespace_of(pod))
            if meta.uid_of(current) != meta.uid_of(pod):
                return  # another pod of that name
            status = {
                **current.get("status", {}),
                "phase": "Failed",
                "reason": reason,
                "message": f"Pod was rejected: {message}",
            }
            self.api.update_status({**current, "status": status})

        try:
            retry_on_conflict(write)
        except NotFound:
            self._say(f"Pod {key} is gone")
