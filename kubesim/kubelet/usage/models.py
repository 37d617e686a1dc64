"""The usage models of one pod: one for the pod as a whole, and one for some of its containers.

The containers of a pod share the usage of the pod's model in equal parts. The annotation
``kubesim.dev/workload.NAME`` gives the container NAME its own model; the others share the
pod's. A restarted container is a new process: its model is created again.

No counterpart in Kubernetes: there, the image decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING

from kubesim.arguments import check_arguments, function, mapping_of
from kubesim.errors import BadRequest
from kubesim.kubelet.usage.workload import (
    LOAD_MEMORY_MB,
    SEED_MEMORY,
    Context,
    DefaultWorkload,
    Factory,
    LoadWorkload,
    SeedWorkload,
    Usage,
    Workload,
    capacity_of,
    checked_usage,
    make_workload,
)
from kubesim.objects import meta
from kubesim.objects.pods import containers_of
from kubesim.objects.wellknown import WORKLOAD
from kubesim.quantity import MEGABYTE

if TYPE_CHECKING:
    from kubesim.objects.types import ObjectMetaDict, PodDict


class LeakWorkload:
    """A program with a memory leak: it grows until it reaches its limit.

    Args:
        start_mb: memory at its start, in MB (10^6 bytes).
        mb_per_second: growth of its memory.
        cpu_milli: its constant CPU usage, in millicores.

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
        """Return (CPU in millicores, memory in bytes)."""
        if self._began is None:
            self._began = now
        return self.cpu, int(self.start + self.grows * (now - self._began))


def _leak(context: Context) -> Workload:
    try:
        return LeakWorkload(**context.options)
    except TypeError as error:
        names = "start_mb, mb_per_second, cpu_milli"
        raise BadRequest(f"annotation {WORKLOAD}: options of 'leak' are: {names}") from error


def ceiling_of(model: Workload) -> float:
    """Return the most memory that a model uses, in bytes; infinite if it does not say."""
    if isinstance(model, SeedWorkload):
        return SEED_MEMORY[1] * MEGABYTE
    if isinstance(model, LoadWorkload):
        return model.memory
    if isinstance(model, DefaultWorkload):
        return max(SEED_MEMORY[1], LOAD_MEMORY_MB) * MEGABYTE
    return float(getattr(model, "memory_ceiling", inf))


BUILT_IN: dict[str, Factory] = {"leak": _leak}


def known_models(factories: Mapping[str, Factory] | None) -> dict[str, Factory]:
    """Return the built-in models and a cluster's own, which replace built-in ones of that name.

    Raises:
        BadRequest: a factory that cannot be called.
    """
    check_arguments(
        {"workloads": mapping_of(function, "functions")}, {"workloads": factories or {}}
    )
    return {**BUILT_IN, **(factories or {})}


def capacities(seed: int, factories: Mapping[str, Factory] | None) -> Callable[[PodDict], float]:
    """Return a function from a pod to the requests per second that it can serve.

    Args:
        seed: the cluster's seed.
        factories: models of the cluster's own, by name; see `capacity_of`.
    """
    models = known_models(factories)
    return lambda pod: capacity_of(pod, seed, models)


class PodModels:
    """The models of one pod, created when it is admitted.

    Args:
        seed: the cluster's seed.
        pod: the pod.
        factories: all models by name (see `known_models`).

    Attributes:
        pod: the model of the pod.
        own: the models of single containers, by name.
        usage: the method `usage` of the pod's model.
        own_usage: those of single containers, by name.

    Raises:
        BadRequest: an annotation cannot be used. A factory of a user's own may raise anything.
    """

    def __init__(self, seed: int, pod: PodDict, factories: Mapping[str, Factory]) -> None:
        self._seed = seed
        self._pod = pod
        self._factories = factories
        annotations = meta.annotations_of(pod)
        specs = (pod.get("spec") or {}).get("initContainers") or ()
        names = [str(c["name"]) for c in (*specs, *containers_of(pod))]
        self.pod: Workload = make_workload(seed, pod, self._factories)
        self.own: dict[str, Workload] = {
            name: self._create(name) for name in names if f"{WORKLOAD}.{name}" in annotations
        }
        self.usage = checked_usage(self.pod)
        self.own_usage: dict[str, Usage] = {n: checked_usage(own) for n, own in self.own.items()}

    def _create(self, container: str) -> Workload:
        """Return the model of one container, created as for a pod with this container alone."""
        annotations = dict(meta.annotations_of(self._pod))
        annotations[WORKLOAD] = annotations[f"{WORKLOAD}.{container}"]
        spec = self._pod["spec"]
        alone = [
            c
            for c in (*(spec.get("initContainers") or ()), *spec["containers"])
            if c["name"] == container
        ]
        metadata: ObjectMetaDict = {**self._pod["metadata"], "annotations": annotations}
        pod: PodDict = {**self._pod, "metadata": metadata, "spec": {**spec, "containers": alone}}
        return make_workload(self._seed, pod, self._factories)

    def ceiling(self) -> float:
        """Return the most memory that these models use, in bytes; infinite if one has no bound.

        Your own model may state its bound in an attribute ``memory_ceiling`` (bytes).
        """
        return sum(ceiling_of(model) for model in (self.pod, *self.own.values()))

    def renew(self, container: str, *, alone: bool) -> None:
        """Create the model of a restarted container again.

        Args:
            container: its name.
            alone: no other running container shares the pod's model now.
        """
        if container in self.own:
            self.own[container] = self._create(container)
            self.own_usage[container] = checked_usage(self.own[container])
        elif alone:
            self.pod = make_workload(self._seed, self._pod, self._factories)
            self.usage = checked_usage(self.pod)
