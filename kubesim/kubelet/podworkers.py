"""The pods of one node: admitted, refused, stopped and removed.

Each admitted pod gets its own worker and a `PodRunner`; `PodWorkers` passes the watch events
on to them. A runner is kept until its pod's object is gone, since its logs are read until then.

Source: pkg/kubelet/kubelet.go (HandlePodAdditions, HandlePodRemoves, rejectPod),
pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.verbs.subresources import CommandResult
from kubesim.client import EventRecorder, Tools, retry_on_conflict
from kubesim.clock.base import Worker
from kubesim.errors import BadRequest, ClockError, NotFound
from kubesim.kubelet.admission import admission
from kubesim.kubelet.images import ImageStore, Pulled
from kubesim.kubelet.network import NodeNetwork
from kubesim.kubelet.pod.context import NodeTools
from kubesim.kubelet.pod.image_manager import Pull
from kubesim.kubelet.pod.records import refusal_record
from kubesim.kubelet.pod.runner import PodRunner
from kubesim.kubelet.pod.status import delete_pod_object
from kubesim.kubelet.stages import PodStage, describe
from kubesim.kubelet.usage.meter import Load
from kubesim.kubelet.usage.models import PodModels, known_models
from kubesim.kubelet.usage.workload import Factory
from kubesim.kubelet.volumemanager.inuse import VolumesInUse
from kubesim.kubelet.volumemanager.storage import VolumeStore
from kubesim.objects import meta
from kubesim.objects.kindnames import NODE, POD
from kubesim.objects.pods import NOTHING, PodResources, is_finished, pod_requests
from kubesim.usercode import USER_ERRORS, error_text

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class PodWorkers:
    """The pods of one node; everything but `logs` and `running_count` runs on the kubelet's worker.

    Args:
        tools: what all components share.
        worker: the kubelet's.
        node_name: name of the node.
        network: its addresses and its pods'.
        allocatable, max_pods: what the node offers.
        load, workloads: arguments of the pods' usage models.
        images: of the node.
        recorder, log: where events and lines of the kubelet's log go.
        counts: of the kubelet's statistics.
        memory_pressure: whether the node is short of memory.
        job_seconds: how long a program with an end runs if its command is not understood.
        disk, storage: the data of volumes: of the node, and what every node reaches.
        in_use: the attached volumes that pods of the node use.
        stages: rules about the life of pods.
        previous: runners of the pods at the time of a power cut, by key: their logs are on the
            disk.
    """

    def __init__(
        self,
        tools: Tools,
        worker: Worker,
        *,
        node_name: str,
        network: NodeNetwork,
        allocatable: PodResources,
        max_pods: int,
        load: Load | None,
        workloads: Mapping[str, Factory] | None,
        images: ImageStore,
        recorder: EventRecorder,
        counts: Counter[str],
        memory_pressure: Callable[[], bool],
        log: Callable[[str], None],
        job_seconds: float,
        disk: VolumeStore,
        storage: VolumeStore,
        in_use: VolumesInUse,
        stages: Sequence[PodStage],
        previous: Mapping[str, PodRunner] | None = None,
    ) -> None:
        self._api, self._clock, self._worker = tools.api, tools.clock, worker
        self._node_name = node_name
        self._allocatable, self._max_pods = allocatable, max_pods
        self._seed, self._load, self._models = tools.streams.seed, load, known_models(workloads)
        self._images = images
        self._node_tools = NodeTools(
            host_ip=network.address,
            component=f"kubelet/{node_name}",
            recorder=recorder,
            analytics=tools.analytics,
            decisions=tools.decisions,
            job_seconds=job_seconds,
            allocatable=(allocatable.cpu_milli, allocatable.memory_bytes),
            disk=disk,
            storage=storage,
            in_use=in_use,
        )
        self._counts, self._log, self._stages = counts, log, stages
        self._memory_pressure = memory_pressure
        self._network = network
        self.runners: dict[str, PodRunner] = {}  # by key, kept until the object is gone
        self._requests: dict[str, PodResources] = {}  # of the pods that hold resources, by key
        self._previous = dict(previous or {})

    def running_count(self) -> int:
        """Return the number of pods that hold resources of the node; from any thread."""
        return len(self._requests)

    def running(self) -> dict[str, PodRunner]:
        """Return the pods that hold resources of the node, by key."""
        return {key: self.runners[key] for key in self._requests}

    def stop(self) -> None:
        """Stop all pods at once, without a write to the API server."""
        self._clock.stop_workers([runner.worker for runner in self.runners.values()])

    def logs(
        self, namespace: str, pod: str, container: str | None, *, previous: bool
    ) -> list[tuple[float, str]]:
        """Return the log lines of a pod with their seconds; see `Kubelet.logs`; from any thread."""
        runner = self.runners.get(f"{namespace}/{pod}")
        if runner is None:
            return []
        if previous and not runner.has_previous(container or ""):
            where = f'container "{container}" in pod "{pod}"'
            raise BadRequest(f"previous terminated {where} not found")
        return runner.lines(container, previous=previous)

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], stdin: str
    ) -> CommandResult:
        """Run a command in a container; see `Kubelet.exec`."""
        runner = self.runners.get(f"{namespace}/{pod}")
        if runner is None:
            raise BadRequest(f'container not found ("{container}")')
        return runner.exec(container, command, stdin)

    def forget_removed_pods(self) -> None:
        """Drop the logs of pods whose objects were removed while the node was down."""
        for key in self._previous:
            self._log(f"Pod {key} is gone")
            self._node_tools.disk.remove_pod(self._previous[key].uid)
        self._previous = {}

    # -- watch events -----------------------------------------------------------------------------

    def pod_event(self, event: ResourceEvent[PodDict]) -> None:
        """React to a pod of this node that was bound, changed or deleted."""
        pod, key = event.object, meta.key_of(event.object)
        runner = self.runners.get(key)
        if runner is not None and runner.uid != meta.uid_of(pod):
            self._drop(key, runner)  # created again under its name before its deletion was seen
            runner = None
        if event.type == "DELETED":
            if runner is not None:
                self._drop(key, runner)
        elif meta.is_terminating(pod):
            self._terminate(key, pod, runner)
        elif runner is None:
            if not is_finished(pod):
                self._admit(key, pod)
            elif key in self._previous and self._previous[key].uid == meta.uid_of(pod):
                self.runners[key] = self._previous.pop(key)  # it had ended before the power cut
        elif pod["metadata"].get("generation") != runner.pod["metadata"].get("generation"):
            runner.worker.call_soon(lambda: runner.update(pod))
        elif pod["spec"].get("readinessGates"):
            runner.worker.call_soon(runner.refresh)

    def _admit(self, key: str, pod: PodDict) -> None:
        """Admit a pod that was bound to this node, and start its worker; or refuse it."""
        refusal = admission(
            pod,
            self._requests,
            self._allocatable,
            self._max_pods,
            memory_pressure=self._memory_pressure(),
            node=self._api.peek(NODE, self._node_name),
        )
        if refusal is None:
            try:
                pod = describe(pod, self._stages)
                models = PodModels(self._seed, pod, self._models)
            except USER_ERRORS as error:  # a user's factory, or a bad annotation
                refusal = "InvalidWorkload", f"{error}" or error_text(error)
        if refusal is not None:
            self._refuse(pod, *refusal)
            return
        self._counts["started"] += 1
        address = self._network.pod_address(self._counts["started"])
        previous = self._previous.pop(key, None)
        runner = self.runners[key] = PodRunner(
            self._api,
            self._pod_worker(key, meta.uid_of(pod)),
            pod,
            models,
            self._node_tools,
            address,
            images=self._images,
            pull=self._puller(key, meta.uid_of(pod)),
            load=self._load,
            ended=self._ended,
            previous=previous
            if previous is not None and previous.uid == meta.uid_of(pod)
            else None,
        )
        self._requests[key] = pod_requests(pod)
        self._log(f"Admitted pod {key}")
        runner.worker.call_soon(runner.start)

    def _pod_worker(self, key: str, uid: str) -> Worker:
        """Return a worker named after the pod.

        Upstream's pod workers are kept by UID. After a forced deletion, the worker of an earlier
        pod of that name may still stop, here or on another node: then the UID is part of the name.
        """
        actor = self._node_tools.component
        try:
            return self._clock.worker(f"pod/{key}", actor=actor)
        except ClockError:
            return self._clock.worker(f"pod/{key}/{uid}", actor=actor)

    def _puller(self, key: str, uid: str) -> Pull:
        """Return how a pod asks for an image: on the kubelet's worker; `done` runs on the pod's."""

        def pull(image: str, done: Callable[[Pulled], object]) -> None:
            def arrived(result: Pulled) -> None:
                runner = self.runners.get(key)
                if runner is not None and runner.uid == uid:
                    runner.worker.call_soon(lambda: done(result))

            self._worker.call_soon(
                lambda: self._images.pull(image, self._clock.now(), self._worker, arrived)
            )

        return pull

    def _terminate(self, key: str, pod: PodDict, runner: PodRunner | None) -> None:
        """Stop a pod that is being deleted."""
        if runner is None:  # it never ran here
            delete_pod_object(
                self._api, meta.namespace_of(pod), meta.name_of(pod), meta.uid_of(pod)
            )
        elif key in self._requests:
            grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            runner.worker.call_soon(lambda: runner.delete(pod, grace))
            if runner.worker.stopped:  # it had ended by itself
                delete_pod_object(self._api, runner.namespace, runner.name, runner.uid)
        else:
            delete_pod_object(self._api, runner.namespace, runner.name, runner.uid)

    def _drop(self, key: str, runner: PodRunner) -> None:
        """Stop a pod whose object is gone, and drop its logs."""
        del self.runners[key]
        self._requests.pop(key, None)
        runner.worker.call_soon(runner.remove)
        self._node_tools.disk.remove_pod(runner.uid)
        self._node_tools.in_use.release(runner.uid)
        self._log(f"Removed pod {key}")

    def _ended(self, runner: PodRunner) -> None:
        """Stop the worker of a pod that has ended; its logs are kept. Called on that worker."""
        runner.worker.stop()
        key = f"{runner.namespace}/{runner.name}"
        self._worker.call_soon(lambda: self._release(key, runner))

    def _release(self, key: str, runner: PodRunner) -> None:
        if self.runners.get(key) is runner:
            self._requests.pop(key, None)
        self._node_tools.in_use.release(runner.uid)

    def _refuse(self, pod: PodDict, reason: str, message: str) -> None:
        self._counts["refused"] += 1
        self._log(f"Refused pod {meta.key_of(pod)}: {reason}")
        self._node_tools.recorder.event(pod, "Warning", reason, message)
        requested, used = pod_requests(pod), sum(self._requests.values(), NOTHING)
        figures = {
            "cpu_milli": requested.cpu_milli,
            "memory_bytes": requested.memory_bytes,
            "used_cpu_milli": used.cpu_milli,
            "used_memory_bytes": used.memory_bytes,
            "allocatable_cpu_milli": self._allocatable.cpu_milli,
            "allocatable_memory_bytes": self._allocatable.memory_bytes,
            "pods": len(self._requests),
            "max_pods": self._max_pods,
        }
        now = self._clock.now()
        record = refusal_record(now, pod, self._node_tools.component, reason, message, figures)
        self._node_tools.decisions.record(record)
        key = meta.key_of(pod)

        def write() -> None:
            current = self._api.get(POD, meta.name_of(pod), meta.namespace_of(pod))
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
            self._log(f"Pod {key} is gone")
