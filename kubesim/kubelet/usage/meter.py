"""The tick of a pod: each second one sample of each running container, and one line of its log.

Limits are enforced here, as the kernel's cgroups do it: CPU above the limit is throttled, so the
sample shows the limit; memory above the limit ends the container (OOMKilled).

Source: the role of cAdvisor and cgroups; pkg/kubelet/stats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from kubesim.apiserver import KubeAPI
from kubesim.clock.base import Timer, Worker
from kubesim.kubelet.usage.models import PodModels
from kubesim.kubelet.usage.workload import checked_amounts
from kubesim.objects.pods import container_limits
from kubesim.usercode import USER_ERRORS

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodDict

TICK_SECONDS = 1.0
UNLIMITED = 1 << 62
ALWAYS = (True,)  # a load without the attribute `routed` is called at each tick

Load = Callable[["PodDict", float], float | None]
"""load(pod, second) -> requests per second that reach the pod, or None.

It may have an attribute `routed`, a collection that is empty while no traffic is routed to any pod;
it is not called then."""
Limits = tuple[int, int]
"""(CPU in millicores, memory in bytes); UNLIMITED without a limit."""


class TickLog(Protocol):
    """Where each tick of a container is written."""

    def append(self, second: float, /) -> object:
        """Add a line: the second of the tick."""


class MeteredContainer(Protocol):
    """What the meter reads of a container."""

    @property
    def name(self) -> str:
        """Of the container."""

    @property
    def spec(self) -> ContainerDict:
        """Its entry in the pod's spec."""

    @property
    def restarts(self) -> int:
        """Its restarts so far."""

    @property
    def tick_log(self) -> TickLog:
        """The log of its present run; one that keeps nothing if its own program writes the log."""


ContainerT = TypeVar("ContainerT", bound=MeteredContainer)


class Meter(Generic[ContainerT]):
    """Ticks for the running containers of one pod, on the pod's worker.

    Args:
        api: receives the samples.
        worker: the pod's.
        key: namespace and name of the pod.
        pod: the pod.
        models: its usage models.
        load: requests per second that reach it.
        exceeds: names of the containers that may exceed their memory limit; all others are capped.
        killed: called with a container above its memory limit, and the bytes that it would use.
        failed: called with the containers whose model raised, and the error.
    """

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        key: tuple[str, str],
        pod: PodDict,
        models: PodModels,
        load: Load | None,
        *,
        exceeds: frozenset[str],
        killed: Callable[[ContainerT, int], object],
        failed: Callable[[Sequence[ContainerT], BaseException], object],
    ) -> None:
        self._api = api
        self._worker = worker
        self._key = key
        self._pod = pod
        self._models = models
        self._load = load
        self._exceeds = exceeds
        self._killed = killed
        self._failed = failed
        self._timer: Timer | None = None
        self._followed: list[tuple[str, int]] = []

    def follow(self, running: Sequence[ContainerT]) -> None:
        """Sample these containers from now on; restart the ticks if others ran before."""
        now_running = [(container.name, container.restarts) for container in running]
        before = self._followed
        if now_running == before:
            return
        self.stop()
        self._followed = now_running
        if not all(run in now_running for run in before):
            self._api.forget_metrics(
                *self._key
            )  # samples of the former containers say nothing of these
        if not running:
            return
        simple = len(running) == 1 and running[0].name not in self._models.own
        tick = self._single(running[0]) if simple else self._several(list(running))
        self._timer = self._worker.every(TICK_SECONDS, tick, spread=True)

    def stop(self) -> None:
        """Stop the ticks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._followed = []

    def _single(self, container: ContainerT) -> Callable[[], None]:
        """Return the tick of a pod with one container that uses the pod's model.

        It runs a million times a second on virtual time, so everything is bound beforehand: no
        attribute chains, no formatting. The log keeps the bare second in place of `TICK_LINE`.
        """
        write = self._api.metrics_writer(*self._key)
        now, usage, pod = self._api.clock.now, self._models.pod.usage, self._pod
        load = self._load or _no_load
        routed = getattr(load, "routed", ALWAYS)
        log, name = container.tick_log.append, container.name
        most_cpu, most_memory = limits_of(container)
        exceeds = name in self._exceeds
        limited = (most_cpu, most_memory) != (UNLIMITED, UNLIMITED)

        def tick() -> None:
            try:
                moment = now()
                requests = load(pod, moment) if routed else None
                cpu, memory = usage(moment, requests)
                if type(cpu) is not int or type(memory) is not int:
                    cpu, memory = checked_amounts(cpu, memory)
            except USER_ERRORS as error:  # the pod's own code fails, the kubelet goes on
                self._failed([container], error)
                return
            if limited:
                if cpu > most_cpu:
                    cpu = most_cpu  # throttled
                if memory > most_memory:
                    if exceeds:
                        self._killed(container, int(memory))
                        return
                    memory = most_memory
            log(moment)
            write(moment, TICK_SECONDS, name, cpu, memory)

        return tick

    def _several(self, containers: list[ContainerT]) -> Callable[[], None]:
        """Return the tick of a pod with several containers, or with models for single ones."""
        write = self._api.metrics_writer(*self._key)
        sharing = [container for container in containers if container.name not in self._models.own]
        limits = {container.name: limits_of(container) for container in containers}

        def tick() -> None:
            moment = self._api.clock.now()
            used = self._usages(containers, sharing, moment)
            if used is None:
                return
            row: list[str | int] = []
            over: list[tuple[ContainerT, int]] = []
            for container in containers:
                cpu, memory = used[container.name]
                most_cpu, most_memory = limits[container.name]
                if memory > most_memory and container.name in self._exceeds:
                    over.append((container, int(memory)))
                    continue
                container.tick_log.append(moment)
                row += (container.name, min(cpu, most_cpu), min(memory, most_memory))
            if row:
                write(moment, TICK_SECONDS, *row)
            for container, memory in over:
                self._killed(container, memory)

        return tick

    def _usages(
        self, containers: list[ContainerT], sharing: list[ContainerT], moment: float
    ) -> dict[str, tuple[int, int]] | None:
        """Return (CPU, memory) of each container; None if a model raised."""
        affected: Sequence[ContainerT] = sharing
        try:
            requests = self._load(self._pod, moment) if self._load is not None else None
            usages: dict[str, tuple[int, int]] = {}
            if sharing:
                cpu, memory = self._models.usage(moment, requests)
                usages.update(split([container.name for container in sharing], cpu, memory))
            for container in containers:
                if container not in sharing:
                    affected = [container]
                    usages[container.name] = self._models.own_usage[container.name](
                        moment, requests
                    )
        except USER_ERRORS as error:  # the pod's own code fails, the kubelet goes on
            self._failed(affected or containers, error)
            return None
        return usages


def _no_load(_pod: PodDict, _now: float) -> None:
    """Return the load of a pod without traffic."""


def split(names: Sequence[str], cpu: int, memory: int) -> dict[str, tuple[int, int]]:
    """Divide a pod's usage into equal parts; the first container takes the remainder.

    Args:
        names: of the containers.
        cpu: millicores.
        memory: bytes.

    >>> split(["a", "b", "c"], 100, 10)
    {'a': (34, 4), 'b': (33, 3), 'c': (33, 3)}
    """
    parts = len(names)
    usages = dict.fromkeys(names, (cpu // parts, memory // parts))
    others = parts - 1
    usages[names[0]] = (cpu - cpu // parts * others, memory - memory // parts * others)
    return usages


def limits_of(container: MeteredContainer) -> Limits:
    """Return what a container may use."""
    cpu, memory = container_limits(container.spec)
    return UNLIMITED if cpu is None else cpu, UNLIMITED if memory is None else memory
