"""The pods of one node: who is taken, refused, told to stop, and forgotten.

Each pod that is taken gets a worker of its own and a `PodRunner`; this file hands news of the API
server to them. A runner is kept until its pod's object is gone, since its logs are read until then.

Source: pkg/kubelet/kubelet.go (HandlePodAdditions, HandlePodRemoves, rejectPod),
pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import DecisionLog, EventRecorder, retry_on_conflict
from kubesim.clock.base import Clock, Worker
from kubesim.errors import BadRequest, NotFound
from kubesim.kubelet.admission import admission
from kubesim.kubelet.images import ImageStore, Pulled
from kubesim.kubelet.nodestatus import meta_number, node_address
from kubesim.kubelet.pod.base import NodeTools
from kubesim.kubelet.pod.records import refusal_record
from kubesim.kubelet.pod.runner import PodRunner
from kubesim.kubelet.pod.status import delete_for_good
from kubesim.kubelet.usage.meter import Load
from kubesim.kubelet.usage.models import PodModels, known_models
from kubesim.kubelet.usage.workload import Factory
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import NOTHING, PodResources, is_finished, pod_requests


class PodWorkers:
    """The pods of one node; everything but `logs` runs on the kubelet's worker.

    Args:
        api, clock: the cluster's tools.
        worker: the kubelet's.
        node_name: whose node.
        allocatable, max_pods: what it offers.
        seed, load, workloads: what the pods' usage models need.
        images: of the node.
        recorder, analytics, decisions, say: where is told what happens.
        counts: of the kubelet's statistics.
        memory_pressure: whether the node is short of memory.
        found: what ran here when the power was cut, by key: its logs are on the disk.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        worker: Worker,
        *,
        node_name: str,
        allocatable: PodResources,
        max_pods: int,
        seed: int,
        load: Load | None,
        workloads: Mapping[str, Factory] | None,
        images: ImageStore,
        recorder: EventRecorder,
        analytics: Analytics,
        decisions: DecisionLog,
        counts: Counter[str],
        memory_pressure: Callable[[], bool],
        say: Callable[[str], None],
        found: Mapping[str, PodRunner] | None = None,
    ) -> None:
        self._api, self._clock, self._worker = api, clock, worker
        self._node_name = node_name
        self._allocatable, self._max_pods = allocatable, max_pods
        self._seed, self._load, self._models = seed, load, known_models(workloads)
        self._images = images
        self._tools = NodeTools(
            host_ip=node_address(node_name),
            component=f"kubelet/{node_name}",
            recorder=recorder,
            analytics=analytics,
            decisions=decisions,
        )
        self._counts, self._say = counts, say
        self._memory_pressure = memory_pressure
        self._subnet = int(meta_number(node_name)) % 256
        self.runners: dict[str, PodRunner] = {}  # by key, kept until the object is gone
        self._requests: dict[str, PodResources] = {}  # of the pods that run
        self._found = dict(found or {})

    def running(self) -> dict[str, PodRunner]:
        """The pods that hold resources of the node, by key."""
        return {key: self.runners[key] for key in self._requests}

    def stop(self) -> None:
        """Stop all pods at once and without a word."""
        self._clock.stop_workers([runner.worker for runner in self.runners.values()])

    def logs(
        self, namespace: str, pod: str, container: str | None, *, previous: bool
    ) -> list[tuple[float, str]]:
        """Log lines of a pod with their seconds (see `Kubelet.logs`); from any thread."""
        runner = self.runners.get(f"{namespace}/{pod}")
        if runner is None:
            return []
        if previous and not runner.has_previous(container or ""):
            which = f'container "{container}" in pod "{pod}"'
            raise BadRequest(f"previous terminated {which} not found")
        return runner.lines(container, previous=previous)

    def forget_the_gone(self) -> None:
        """What ran here and is no object any more is only a memory on the disk."""
        for key in self._found:
            self._say(f"Pod {key} is gone")
        self._found = {}

    # -- news -------------------------------------------------------------------------------------

    def pod_event(self, event: ResourceEvent) -> None:
        """A pod of this node was bound, changed or deleted."""
        pod, key = event.object, meta.key_of(event.object)
        runner = self.runners.get(key)
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
            elif key in self._found and self._found[key].uid == meta.uid_of(pod):
                self.runners[key] = self._found.pop(key)  # it had ended before the power cut
        elif pod["spec"].get("readinessGates"):
            runner.worker.call_soon(runner.refresh)

    def _take(self, key: str, pod: Document) -> None:
        """A pod was bound to this node: admit it, and give it a worker."""
        refusal = admission(
            pod,
            self._requests,
            self._allocatable,
            self._max_pods,
            memory_pressure=self._memory_pressure(),
            node=self._api.peek("Node", self._node_name),
        )
        if refusal is None:
            try:
                models = PodModels(self._seed, pod, self._models)
            except Exception as error:  # noqa: BLE001 - a learner's factory, or a bad annotation
                refusal = "InvalidWorkload", f"{error}"
        if refusal is not None:
            self._refuse(pod, *refusal)
            return
        self._requests[key] = pod_requests(pod)
        self._counts["started"] += 1
        address = f"10.244.{self._subnet}.{self._counts['started'] % 254 + 1}"
        found = self._found.pop(key, None)
        runner = self.runners[key] = PodRunner(
            self._api,
            self._clock.worker(f"pod/{key}"),
            pod,
            models,
            self._tools,
            address,
            images=self._images,
            pull=self._puller(key),
            load=self._load,
            ended=self._ended,
            found=found if found is not None and found.uid == meta.uid_of(pod) else None,
        )
        self._say(f"Admitted pod {key}")
        runner.worker.call_soon(runner.start)

    def _puller(self, key: str) -> Callable[[str, Callable[[Pulled], Any]], None]:
        """How a pod asks for an image: on the kubelet's worker; the answer comes on the pod's."""

        def pull(image: str, done: Callable[[Pulled], Any]) -> None:
            def arrived(result: Pulled) -> None:
                runner = self.runners.get(key)
                if runner is not None:
                    runner.worker.call_soon(lambda: done(result))

            self._worker.call_soon(
                lambda: self._images.pull(image, self._clock.now(), self._worker, arrived)
            )

        return pull

    def _terminate(self, key: str, pod: Document, runner: PodRunner | None) -> None:
        if runner is None:  # it never ran here
            delete_for_good(self._api, meta.namespace_of(pod), meta.name_of(pod), meta.uid_of(pod))
        elif key in self._requests:
            grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            runner.worker.call_soon(lambda: runner.stop(grace))
            if runner.worker.stopped:  # it had ended by itself
                delete_for_good(self._api, runner.namespace, runner.name, runner.uid)
        else:
            delete_for_good(self._api, runner.namespace, runner.name, runner.uid)

    def _drop(self, key: str, runner: PodRunner) -> None:
        """The object is gone: end what still runs, and forget the logs."""
        del self.runners[key]
        self._requests.pop(key, None)
        runner.worker.call_soon(runner.vanish)
        self._say(f"Removed pod {key}")

    def _ended(self, runner: PodRunner) -> None:
        """Called on the pod's worker: its thread is no longer needed, its logs still are."""
        runner.worker.stop()
        key = f"{runner.namespace}/{runner.name}"
        self._worker.call_soon(lambda: self._release(key, runner))

    def _release(self, key: str, runner: PodRunner) -> None:
        if self.runners.get(key) is runner:
            self._requests.pop(key, None)

    def _refuse(self, pod: Document, reason: str, message: str) -> None:
        self._counts["refused"] += 1
        self._say(f"Refused pod {meta.key_of(pod)}: {reason}")
        self._tools.recorder.event(pod, "Warning", reason, message)
        asked, used = pod_requests(pod), sum(self._requests.values(), NOTHING)
        figures = {
            "cpu_milli": asked.cpu_milli,
            "memory_bytes": asked.memory_bytes,
            "used_cpu_milli": used.cpu_milli,
            "used_memory_bytes": used.memory_bytes,
            "allocatable_cpu_milli": self._allocatable.cpu_milli,
            "allocatable_memory_bytes": self._allocatable.memory_bytes,
            "pods": len(self._requests),
            "max_pods": self._max_pods,
        }
        now = self._clock.now()
        record = refusal_record(now, pod, self._tools.component, reason, message, figures)
        self._tools.decisions.record(record)
        key = meta.key_of(pod)

        def write() -> None:
            current = self._api.get("Pod", meta.name_of(pod), meta.namespace_of(pod))
            if meta.uid_of(current) != meta.uid_of(pod):
                return  # another pod of that name
            status = {
                **current.get("status", {}),
                "phase": "Failed",
                "reason": reason,
                "message": f"Pod was rejected: {message}",
            }
            self._api.update_status({**current, "status": status})

        try:
            retry_on_conflict(write)
        except NotFound:
            self._say(f"Pod {key} is gone")
