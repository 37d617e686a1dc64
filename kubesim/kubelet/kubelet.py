"""The kubelet: the agent of one node. It registers the node, and runs the pods bound to it.

Ours keeps: registration with capacity and conditions, heartbeats by Lease each 10 s, admission (a
pod that does not fit is refused), one worker for each pod, logs, graceful deletion. It leaves out,
so far: images, probes, eviction under pressure, static pods.

Source: pkg/kubelet/kubelet.go, kubelet_node_status.go; pkg/kubelet/lifecycle/predicate.go.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import DecisionLog, EventRecorder, Informer, retry_on_conflict
from kubesim.clock.base import Clock, Streams
from kubesim.errors import BadRequest, NotFound, StatusError
from kubesim.kubelet.pod import Load, PodRunner, delete_for_good
from kubesim.kubelet.workload import Factory, make_workload
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import NOTHING, PodResources, is_finished, pod_requests
from kubesim.quantity import parse_cpu_milli, parse_memory

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 10.0  # how often the lease is renewed; it lasts 40 s
LEASE_DURATION_SECONDS = 40
REGISTER_RETRY_SECONDS = 1.0
RESYNC_SECONDS = 600.0
LOG_LINES = 100
KUBELET_VERSION = "v1.34.0-kubesim"


class Kubelet:
    """The agent of one node.

    Args:
        api, clock, streams, analytics, decisions: the cluster's tools.
        node_name: for example ``node-1``.
        cpu, memory, max_pods: what the node offers, as Kubernetes quantities.
        load: requests per second that reach a pod, asked at each tick.
        workloads: workload models by name.
        labels: of the node, besides its hostname.
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
        self._allocatable = PodResources(parse_cpu_milli(cpu), parse_memory(memory))
        self._max_pods = max_pods
        self._labels = dict(labels or {})
        self._load = load
        self._workloads = workloads
        self._runners: dict[str, PodRunner] = {}  # key -> runner, kept until the object is gone
        self._requests: dict[str, PodResources] = {}  # of the pods that run
        self._log: deque[tuple[float, str]] = deque(maxlen=LOG_LINES)
        self._addresses = 0
        self._subnet = int(meta_number(node_name))
        self._pods = Informer(
            api,
            self.worker,
            "Pod",
            field_selector=f"spec.nodeName={node_name}",
            on_event=self._pod_event,
            resync_seconds=RESYNC_SECONDS,
        )

    def start(self) -> None:
        """Register the node and begin to watch for pods."""
        self.api.register_log_source(self.node_name, self.logs)
        self.worker.call_soon(self._register)
        self.worker.every(LEASE_SECONDS, self._renew_lease)
        self._pods.start()

    def stop(self) -> None:
        """Stop the node's pods without a word to the API server: the power is cut."""
        self._pods.stop()
        self.worker.stop()
        self.clock.stop_workers([runner.worker for runner in self._runners.values()])

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
        return {**self.counts, "running": len(self._requests)}

    def logs(
        self, namespace: str, pod: str, container: str | None = None
    ) -> list[tuple[float, str]]:
        """Log lines of a pod with their seconds, oldest first; of the kubelet itself for pod ""."""
        if not pod:
            return list(self._log)
        runner = self._runners.get(f"{namespace}/{pod}")
        return runner.lines() if runner is not None else []

    # -- the node -------------------------------------------------------------------------------

    def _register(self) -> None:
        """Make the Node object, or take over the one that is there; tried until it is done."""
        node = node_document(self.node_name, self._capacity, self._labels, self.clock.timestamp())
        try:
            if self.api.peek("Node", self.node_name) is None:
                self.api.create(node)
            else:
                known = self.api.get("Node", self.node_name)
                self.api.update_status({**known, "status": node["status"]})
        except StatusError as error:
            self._say(f"Not registered yet: {error.message}")
            self.worker.call_later(REGISTER_RETRY_SECONDS, self._register)
            return
        self._renew_lease()
        self._say(f"Node {self.node_name} is ready: {self._capacity}")

    def _renew_lease(self) -> None:
        """A sign of life: the node's Lease. A lost one does no harm, the next is near."""
        lease = {
            "kind": "Lease",
            "metadata": {"name": self.node_name, "namespace": LEASE_NAMESPACE},
            "spec": {
                "holderIdentity": self.node_name,
                "leaseDurationSeconds": LEASE_DURATION_SECONDS,
                "renewTime": f"{self.clock.timestamp()[:-1]}.000000Z",
            },
        }
        try:
            if self.api.peek("Lease", self.node_name, LEASE_NAMESPACE) is None:
                self.api.create(lease)
            else:
                self.api.update(lease)
        except StatusError as error:
            self._say(f"Lease not renewed: {error.message}")

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
        elif runner is None and not is_finished(pod):
            self._take(key, pod)

    def _take(self, key: str, pod: Document) -> None:
        """A pod was bound to this node: admit it, and give it a worker."""
        refusal = admission(pod, self._requests, self._allocatable, self._max_pods)
        if refusal is None:
            try:
                workload = make_workload(self._seed, pod, self._workloads)
            except Exception as error:  # noqa: BLE001 - a learner's factory, or a bad annotation
                refusal = "InvalidWorkload", f"{error}"
        if refusal is not None:
            self._refuse(pod, *refusal)
            return
        self._requests[key] = pod_requests(pod)
        self._addresses += 1
        runner = self._runners[key] = PodRunner(
            self.api,
            self.clock.worker(f"pod/{key}"),
            pod,
            workload,
            ip=f"10.244.{self._subnet % 256}.{self._addresses % 254 + 1}",
            recorder=self.recorder,
            analytics=self.analytics,
            load=self._load,
            ended=self._ended,
        )
        self.counts["started"] += 1
        self._say(f"Admitted pod {key}")
        runner.worker.call_soon(runner.start)

    def _terminate(self, key: str, pod: Document, runner: PodRunner | None) -> None:
        if runner is None:  # it never ran here
            delete_for_good(self.api, meta.namespace_of(pod), meta.name_of(pod), meta.uid_of(pod))
        elif key in self._requests:
            runner.worker.call_soon(runner.stop)
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


def admission(
    pod: Document,
    running: Mapping[str, PodResources],
    allocatable: PodResources,
    max_pods: int,
) -> tuple[str, str] | None:
    """Why a node refuses a pod: (reason, message); None if it takes it.

    Args:
        pod: the pod that was bound to the node.
        running: what the node's pods asked for, by key.
        allocatable, max_pods: what the node offers.
    """
    if len(running) + 1 > max_pods:
        counts = f"requested: 1, used: {len(running)}, capacity: {max_pods}"
        return "OutOfpods", f"Node didn't have enough resource: pods, {counts}"
    request = pod_requests(pod)
    used = sum(running.values(), NOTHING)
    for resource, asked, taken, offered in (
        ("cpu", request.cpu_milli, used.cpu_milli, allocatable.cpu_milli),
        ("memory", request.memory_bytes, used.memory_bytes, allocatable.memory_bytes),
    ):
        if asked > 0 and asked + taken > offered:
            counts = f"requested: {asked}, used: {taken}, capacity: {offered}"
            return f"OutOf{resource}", f"Node didn't have enough resource: {resource}, {counts}"
    return None


def node_document(
    name: str, capacity: Mapping[str, str], labels: Mapping[str, str], now: str
) -> Document:
    """The Node object that a kubelet registers."""
    if not meta.valid_dns1123_subdomain(name):
        raise BadRequest(f"{name!r} is no name for a node; write for example node-1")
    healthy = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    )
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                **labels,
            },
        },
        "spec": {},
        "status": {
            "capacity": dict(capacity),
            "allocatable": dict(capacity),
            "conditions": [
                {
                    "type": type,
                    "status": status,
                    "reason": reason,
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
                for type, status, reason in healthy
            ],
            "addresses": [
                {"type": "InternalIP", "address": f"10.0.0.{meta_number(name) % 254 + 1}"},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "kubeletVersion": KUBELET_VERSION,
                "containerRuntimeVersion": "kubesim://0.1",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "osImage": "simulated",
                "kernelVersion": "simulated",
            },
        },
    }


def meta_number(name: str) -> int:
    """The number at the end of a name, for addresses; 0 if there is none."""
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
