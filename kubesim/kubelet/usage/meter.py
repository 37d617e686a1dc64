"""A pod's tick: each second a sample of each running container, and a line of its log.

Limits are enforced here, as the kernel's cgroups do: CPU above the limit is throttled, so the
sample shows the limit; memory above the limit ends the container (OOMKilled).

Source: the role of cAdvisor and cgroups; pkg/kubelet/stats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.clock.base import Timer, Worker
from kubesim.kubelet.pod.containers import ContainerLife
from kubesim.kubelet.usage.models import PodModels
from kubesim.objects.frozen import Document
from kubesim.objects.pods import container_limits

TICK_SECONDS = 1.0
UNLIMITED = 1 << 62
ALWAYS = (True,)  # a load that does not say when nothing is routed is asked at each tick

Load = Callable[[Document, float], float | None]
"""load(pod, second) -> requests per second that reach it, or None. It may have an attribute
`routed`, a container that is empty while nothing is sent to anybody; then it is not even asked."""
Limits = tuple[int, int]
"""(CPU in millicores, memory in bytes); UNLIMITED where there is none."""


class Meter:
    """Ticks for the running containers of one pod, on the pod's worker.

    Args:
        api: where the samples go.
        worker: the pod's.
        key: namespace and name of the pod.
        pod: the pod.
        models: what it uses.
        load: requests per second that reach it.
        exceeds: names of containers whose memory above a limit is meant so; the others stay below.
        killed: called with a container above its memory limit.
        failed: called with the containers whose model raised, and the error.
    """

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        key: tuple[str, str],
        pod: Document,
        models: PodModels,
        load: Load | None,
        *,
        exceeds: frozenset[str],
        killed: Callable[[ContainerLife], Any],
        failed: Callable[[Sequence[ContainerLife], Exception], Any],
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

    def follow(self, running: Sequence[ContainerLife]) -> None:
        """These containers run now; if they are others than before, the ticks begin anew."""
        now_running = [(life.name, life.restarts) for life in running]
        before = self._followed
        if now_running == before:
            return
        self.stop()
        self._followed = now_running
        if not all(run in now_running for run in before):
            self._api.forget_metrics(*self._key)  # what ended is no usage of what runs now
        if not running:
            return
        simple = len(running) == 1 and running[0].name not in self._models.own
        tick = self._single(running[0]) if simple else self._several(list(running))
        self._timer = self._worker.every(TICK_SECONDS, tick, spread=True)

    def stop(self) -> None:
        """No further tick."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._followed = []

    def _single(self, life: ContainerLife) -> Callable[[], None]:
        """What happens each second, with everything that it needs bound beforehand.

        This runs a million times a second on virtual time: no attribute chains, no formatting. The
        log keeps the bare second, which stands for the line that every tick says.
        """
        write = self._api.metrics_writer(*self._key)
        now, usage, pod = self._api.clock.now, self._models.pod.usage, self._pod
        load = self._load or _nobody
        routed = getattr(load, "routed", ALWAYS)
        log, name = life.log.append, life.name
        most_cpu, most_memory = limits_of(life)
        exceeds = name in self._exceeds
        limited = (most_cpu, most_memory) != (UNLIMITED, UNLIMITED)

        def tick() -> None:
            try:
                moment = now()
                requests = load(pod, moment) if routed else None
                cpu, memory = usage(moment, requests)
            except Exception as error:  # noqa: BLE001 - the pod's own code: the pod fails, not we
                self._failed([life], error)
                return
            if limited:
                if cpu > most_cpu:
                    cpu = most_cpu  # throttled
                if memory > most_memory:
                    if exceeds:
                        self._killed(life)
                        return
                    memory = most_memory
            log(moment)
            write(moment, TICK_SECONDS, name, cpu, memory)

        return tick

    def _several(self, lives: list[ContainerLife]) -> Callable[[], None]:
        """The tick of a pod with several running containers, or with models of their own."""
        write = self._api.metrics_writer(*self._key)
        sharing = [life for life in lives if life.name not in self._models.own]
        limits = {life.name: limits_of(life) for life in lives}

        def tick() -> None:
            moment = self._api.clock.now()
            used = self._usages(lives, sharing, moment)
            if used is None:
                return
            row: list[Any] = []
            over: list[ContainerLife] = []
            for life in lives:
                cpu, memory = used[life.name]
                most_cpu, most_memory = limits[life.name]
                if memory > most_memory and life.name in self._exceeds:
                    over.append(life)
                    continue
                life.log.append(moment)
                row += (life.name, min(cpu, most_cpu), min(memory, most_memory))
            if row:
                write(moment, TICK_SECONDS, *row)
            for life in over:
                self._killed(life)

        return tick

    def _usages(
        self, lives: list[ContainerLife], sharing: list[ContainerLife], moment: float
    ) -> dict[str, tuple[int, int]] | None:
        """(CPU, memory) of each container; None if a model raised."""
        whose: Sequence[ContainerLife] = sharing
        try:
            requests = self._load(self._pod, moment) if self._load is not None else None
            found: dict[str, tuple[int, int]] = {}
            if sharing:
                cpu, memory = self._models.pod.usage(moment, requests)
                found.update(split([life.name for life in sharing], cpu, memory))
            for life in lives:
                if life not in sharing:
                    whose = [life]
                    found[life.name] = self._models.own[life.name].usage(moment, requests)
        except Exception as error:  # noqa: BLE001 - the pod's own code: the pod fails, not we
            self._failed(whose or lives, error)
            return None
        return found


def _nobody(_pod: Document, _now: float) -> None:
    """The load where nobody sends requests."""


def split(names: Sequence[str], cpu: int, memory: int) -> dict[str, tuple[int, int]]:
    """A pod's usage in equal parts; the first container takes what does not divide.

    >>> split(["a", "b", "c"], 100, 10)
    {'a': (34, 4), 'b': (33, 3), 'c': (33, 3)}
    """
    parts = len(names)
    found = dict.fromkeys(names, (cpu // parts, memory // parts))
    taken = parts - 1
    found[names[0]] = (cpu - cpu // parts * taken, memory - memory // parts * taken)
    return found


def limits_of(life: ContainerLife) -> Limits:
    """What a container may use."""
    cpu, memory = container_limits(life.spec)
    return UNLIMITED if cpu is None else cpu, UNLIMITED if memory is None else memory
