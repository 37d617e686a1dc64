"""The eviction manager: it checks the memory of a node, reports pressure and evicts pods.

The rules are in `kubelet.eviction`. A real kubelet takes no shortcut: it checks every 10 s.

Source: pkg/kubelet/eviction/eviction_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import DecisionLog, EventRecorder
from kubesim.clock.base import Clock
from kubesim.kubelet.config import EVICTION_PERIOD_SECONDS, KubeletConfig
from kubesim.kubelet.eviction import (
    GRACE_SECONDS,
    EvictionCandidate,
    evictable,
    eviction_message,
    eviction_record,
    rank_for_eviction,
    still_pressed,
    threshold_met,
)
from kubesim.kubelet.localstorage import exceeded_limit, storage_record
from kubesim.kubelet.nodeobject import node_reference
from kubesim.kubelet.nodestatus import HEALTHY, Fact
from kubesim.kubelet.pod.runner import PodRunner
from kubesim.kubelet.pod.status import PodFailure
from kubesim.objects.pods import (
    CRITICAL_PRIORITY,
    container_requests,
    containers_of,
    pod_requests,
)
from kubesim.quantity import parse_memory

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

CALM_SECONDS = 60.0  # between two checks while less than half of the memory is used
PRESSED: Fact = (
    "MemoryPressure",
    "True",
    "KubeletHasInsufficientMemory",
    "kubelet has insufficient memory available",
)


class EvictionManager:
    """Checks one node's memory, on its kubelet's worker.

    Args:
        api, clock, recorder, decisions: the kubelet's tools.
        node_name: name of the node.
        memory: capacity of the node, as a quantity.
        config: thresholds and reserves.
        runners: returns the pods that run on the node, by key.
        changed: called when MemoryPressure changes, to report the node's status at once.

    Attributes:
        under_pressure: the node's condition MemoryPressure is True.
        count: number of evictions.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        recorder: EventRecorder,
        decisions: DecisionLog,
        *,
        node_name: str,
        memory: str,
        config: KubeletConfig,
        runners: Callable[[], Mapping[str, PodRunner]],
        changed: Callable[[], object],
    ) -> None:
        self._api, self._clock = api, clock
        self._recorder, self._decisions = recorder, decisions
        self._name = node_name
        self._node = node_reference(node_name)
        self._component = f"kubelet/{node_name}"
        self._threshold, self._reclaim = config.threshold_bytes, config.reclaim_bytes
        self._hold = config.pressure_seconds
        reserves = (config.kube_reserved, config.system_reserved)
        reserved = sum(parse_memory(reserve.get("memory", "0")) for reserve in reserves)
        self._usable = parse_memory(memory) - reserved
        self._runners = runners
        self._changed = changed
        self._next_check = 0.0
        self._last_met: float | None = None
        self._met = False
        self.under_pressure = False
        self.count = 0

    def facts(self) -> tuple[Fact, ...]:
        """Return the node's conditions."""
        return (PRESSED, *HEALTHY[1:]) if self.under_pressure else HEALTHY

    def synchronize(self) -> None:
        """Evict pods that write too much, else check the memory; called every 10 s."""
        if not self._evict_for_storage():
            self.check_memory()

    def _evict_for_storage(self) -> bool:
        """Evict the pods that exceed a limit of local storage; return whether there were any."""
        evicted = False
        for runner in self._runners().values():
            if runner.ending or not runner.has_storage_limits:
                continue
            message = exceeded_limit(runner.pod, *runner.storage_used())
            priority = int(runner.pod["spec"].get("priority") or 0)
            if message and priority < CRITICAL_PRIORITY:
                evicted = True
                self._recorder.event(runner.pod, "Warning", "Evicted", message)
                self._decisions.record(
                    storage_record(self._clock.now(), runner.pod, self._component, message)
                )
                self._evict(runner, PodFailure("Evicted", message))
        return evicted

    def _evict(self, runner: PodRunner, failure: PodFailure) -> None:
        self.count += 1
        runner.worker.call_soon(lambda: runner.fail(failure, GRACE_SECONDS))

    def check_memory(self) -> None:
        """Measure if memory could be short, and evict a pod if it is; called every 10 s."""
        now = self._clock.now()
        if now < self._next_check and not self.under_pressure:
            return
        runners = self._runners()
        if not self.under_pressure and self._cannot_be_filled(runners):
            return
        used = sum(self._used(runner) for runner in runners.values())
        calm = not self.under_pressure and 2 * used < self._usable
        self._next_check = now + (CALM_SECONDS if calm else EVICTION_PERIOD_SECONDS)
        available = self._usable - used
        self._met = threshold_met(available, self._threshold, self._reclaim, recovering=self._met)
        if self._met:
            self._last_met = now
        self._set_pressure(still_pressed(now, self._last_met, self._hold))
        if self._met:
            self._evict_one([self._candidate(k, r) for k, r in runners.items()], available)

    def _cannot_be_filled(self, runners: Mapping[str, PodRunner]) -> bool:
        """Whether the pods of the node cannot use so much memory that the threshold is met."""
        most = 0.0
        for runner in runners.values():
            most += runner.memory_ceiling
        return most <= self._usable - self._threshold

    def _used(self, runner: PodRunner) -> int:
        sample = self._api.sample(runner.namespace, runner.name)
        return sum(memory for _, _, memory in sample[2]) if sample is not None else 0

    def _candidate(self, key: str, runner: PodRunner) -> EvictionCandidate:
        sample = self._api.sample(runner.namespace, runner.name)
        used = {name: memory for name, _, memory in sample[2]} if sample is not None else {}
        requests = {str(c["name"]): container_requests(c) for c in containers_of(runner.pod)}
        return EvictionCandidate(
            key,
            int(runner.pod["spec"].get("priority") or 0),
            sum(used.values()) if sample is not None else None,
            pod_requests(runner.pod).memory_bytes,
            tuple(
                (name, memory, requests[name].memory_bytes if name in requests else 0)
                for name, memory in used.items()
            ),
        )

    def _set_pressure(self, under_pressure: bool) -> None:
        if under_pressure is self.under_pressure:
            return
        self.under_pressure = under_pressure
        self._changed()

    def _evict_one(self, candidates: list[EvictionCandidate], available: int) -> None:
        attempt = "Attempting to reclaim memory"
        self._recorder.event(self._node, "Warning", "EvictionThresholdMet", attempt)
        runners = self._runners()
        ranking = rank_for_eviction([c for c in candidates if not runners[c.key].ending])
        chosen = next((c for c in ranking if evictable(c)), None)
        if chosen is None:
            return
        runner: PodRunner = runners[chosen.key]
        pod: PodDict = runner.pod
        message = eviction_message(self._threshold, available, chosen)
        self._recorder.event(pod, "Warning", "Evicted", message)
        self._decisions.record(
            eviction_record(
                self._clock.now(),
                pod,
                self._component,
                available=available,
                threshold=self._threshold,
                ranking=ranking,
                message=message,
            )
        )
        self._evict(runner, PodFailure("Evicted", message, disruption=True))
