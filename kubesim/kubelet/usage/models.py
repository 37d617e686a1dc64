"""The usage models of one pod: one for the pod as a whole, or one for a container of it.

A pod's containers share the usage of the pod's model in equal parts. The annotation
``kubesim.dev/workload.NAME`` gives the container NAME a model of its own; the others share the
pod's. A container that is started again is a new process: its model is made anew.

No counterpart in Kubernetes: there, the image decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from kubesim.errors import BadRequest
from kubesim.kubelet.usage.workload import (
    LOAD_MEMORY_MB,
    MEGABYTE,
    SEED_MEMORY,
    Context,
    DefaultWorkload,
    Factory,
    LoadWorkload,
    SeedWorkload,
    Workload,
    capacity_of,
    make_workload,
)
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import containers_of
from kubesim.objects.wellknown import WORKLOAD


class LeakWorkload:
    """A program that never gives memory back: it grows until it meets its limit.

    Args:
        start_mb: memory at its start, in MB (10^6 bytes).
        mb_per_second: what it grows by.
        cpu_milli: what it uses of the CPU, always.

    >>> leak = LeakWorkload(start_mb=50, mb_per_second=2)
    >>> leak.usage(100.0, None), leak.usage(110.0, None)
    ((50, 50000000), (50, 70000000))
    """

    __slots__ = ("_began", "cpu", "grows", "start")

    def __init__(
        self, *, start_mb: float = 50, mb_per_second: float = 1.0, cpu_milli: int = 50
    ) -> None:
        self._began: float | None = None
        self.start = start_mb * MEGABYTE
        self.grows = mb_per_second * MEGABYTE
        self.cpu = cpu_milli

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """(CPU in millicores, memory in bytes)."""
        if self._began is None:
            self._began = now
        return self.cpu, int(self.start + self.grows * (now - self._began))


def _leak(context: Context) -> Workload:
    try:
        return LeakWorkload(**context.options)
    except TypeError as error:
        known = "start_mb, mb_per_second, cpu_milli"
        raise BadRequest(f"annotation {WORKLOAD}: options of 'leak' are: {known}") from error


def ceiling_of(model: Workload) -> float:
    """The most memory that a model uses, in bytes; infinite if nobody knows."""
    if isinstance(model, SeedWorkload):
        return SEED_MEMORY[1] * MEGABYTE
    if isinstance(model, LoadWorkload):
        return model.memory
    if isinstance(model, DefaultWorkload):
        return max(SEED_MEMORY[1], LOAD_MEMORY_MB) * MEGABYTE
    return float(getattr(model, "memory_ceiling", inf))


BUILT_IN: dict[str, Factory] = {"leak": _leak}


def known_models(factories: Mapping[str, Factory] | None) -> dict[str, Factory]:
    """The models of this file and a cluster's own, which win."""
    return {**BUILT_IN, **(factories or {})}


def capacities(seed: int, factories: Mapping[str, Factory] | None) -> Callable[[Document], float]:
    """A function that tells how many requests per second a pod can serve (see `capacity_of`)."""
    known = known_models(factories)
    return lambda pod: capacity_of(pod, seed, known)


class PodModels:
    """The models of one pod, made when it is admitted.

    Args:
        seed: the cluster's seed.
        pod: the pod.
        factories: all models by name (see `known_models`).

    Raises:
        BadRequest: an annotation makes no sense. A factory of a learner's may raise anything.
    """

    def __init__(self, seed: int, pod: Document, factories: Mapping[str, Factory]) -> None:
        self._seed = seed
        self._pod = pod
        self._factories = factories
        notes = meta.annotations_of(pod)
        specs = (pod.get("spec") or {}).get("initContainers") or ()
        names = [str(c["name"]) for c in (*specs, *containers_of(pod))]
        self.pod: Workload = make_workload(seed, pod, self._factories)
        self.own: dict[str, Workload] = {
            name: self._make(name) for name in names if f"{WORKLOAD}.{name}" in notes
        }

    def _make(self, container: str) -> Workload:
        """The model of one container: as that of a pod with this container alone."""
        notes = dict(meta.annotations_of(self._pod))
        notes[WORKLOAD] = notes[f"{WORKLOAD}.{container}"]
        spec = self._pod["spec"]
        alone = [
            c
            for c in (*(spec.get("initContainers") or ()), *spec["containers"])
            if c["name"] == container
        ]
        metadata = {**self._pod["metadata"], "annotations": notes}
        pod = {**self._pod, "metadata": metadata, "spec": {**spec, "containers": alone}}
        return make_workload(self._seed, pod, self._factories)

    def ceiling(self) -> float:
        """The most memory that these models use, in bytes; infinite if one of them may use any.

        A model of your own may say so with an attribute ``memory_ceiling`` (bytes).
        """
        return sum(ceiling_of(model) for model in (self.pod, *self.own.values()))

    def renew(self, container: str, *, alone: bool) -> None:
        """A container is started again; `alone`: no other one shares the pod's model just now."""
        if container in self.own:
            self.own[container] = self._make(container)
        elif alone:
            self.pod = make_workload(self._seed, self._pod, self._factories)
