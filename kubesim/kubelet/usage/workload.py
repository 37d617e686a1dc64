"""Workload models: the simulated CPU and memory usage of a pod.

A model is a class with one method:

    usage(now, load) -> (CPU in millicores, memory in bytes)

`now` is the simulated second; `load` the requests per second that reach this pod, or None if no
traffic is routed to it. Your own model is ten lines; register it with
``Cluster(workloads={"mine": lambda context: Mine()})`` and choose it with the annotation
``kubesim.dev/workload: '{"model": "mine"}'``.

>>> model = SeedWorkload("7", "pod-uid")
>>> cpu, memory = model.usage(12.0, None)
>>> 100 <= cpu <= 200 and 50_000_000 <= memory <= 100_000_000
True
>>> model.usage(12.9, None) == (cpu, memory)        # one draw for each second
True
>>> LoadWorkload("7", "pod-uid", noise=0).usage(0.0, load=14.0)
(160, 60000000)

No counterpart in Kubernetes; the nearest is kwok's ClusterResourceUsage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Protocol, cast

from kubesim.clock.streams import BLOCK_SECONDS, keyed_bytes
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import container_limits, containers_of
from kubesim.objects.wellknown import WORKLOAD
from kubesim.quantity import MEGABYTE
from kubesim.usercode import USER_ERRORS

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

SEED_CPU = (100, 200)  # millicores, both ends included
SEED_MEMORY = (50, 100)  # MB
IDLE_MILLI = 20
COST_MILLI_PER_RPS = 10.0  # 10 ms of CPU for each request
LOAD_MEMORY_MB = 60
LOAD_NOISE = 0.05  # relative, drawn each second
LOAD_OPTIONS = (
    "cost_milli_per_rps",
    "idle_milli",
    "capacity_milli",
    "memory_mb",
    "noise",
    "startup_seconds",
    "startup_milli",
)
DEFAULT_CAPACITY_MILLI = 500
NUMBERS = (int, float)
Usage = Callable[[float, float | None], tuple[int, int]]
"""The method `Workload.usage` of a model."""
RESTART_GAP_SECONDS = 2.5  # a model that was not called for so long belongs to a restarted pod


class Workload(Protocol):
    """The protocol of a workload model.

    Three members are optional: `capacity_rps()`, the requests per second that it can serve;
    `probe(kind, now) -> bool`, its answer to a startup, liveness or readiness probe;
    `memory_ceiling`, the most memory in bytes that it ever uses (a node that its pods cannot fill
    is not checked for memory pressure).
    """

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Return (CPU in millicores, memory in bytes) at a simulated second.

        Args:
            now: simulated second.
            load: requests per second that reach the pod; None: no traffic is routed to it.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """The argument of a model's factory.

    Attributes:
        seed: the cluster's seed.
        pod: the pod, frozen.
        options: the JSON object of the annotation, without `model`.
    """

    seed: int
    pod: PodDict
    options: Document


Factory = Callable[[Context], Workload]
"""factory(context) -> the model of one pod."""


class KeyedNoise:
    """Random numbers for each second: a pure function of (seed, pod, second), drawn in blocks.

    It is pure, so that an added pod changes no other pod's numbers and any second can be computed
    by itself. It draws in blocks, since one hash a minute costs a sixtieth of one a second.
    """

    __slots__ = ("_block", "_bytes", "_key")

    def __init__(self, seed: object, uid: str) -> None:
        self._key = f"{seed}/{uid}"
        self._block = -1
        self._bytes = b""

    def at(self, now: float) -> tuple[int, int]:
        """Return two numbers from 0 to 65535 for the second in which `now` lies."""
        second = int(now)
        block, offset = divmod(second, BLOCK_SECONDS)
        if block != self._block:
            self._bytes = keyed_bytes(f"{self._key}/{block}", 4 * BLOCK_SECONDS)
            self._block = block
        block_bytes = self._bytes
        offset *= 4
        return (
            block_bytes[offset] << 8 | block_bytes[offset + 1],
            block_bytes[offset + 2] << 8 | block_bytes[offset + 3],
        )


class SeedWorkload:
    """The original's pod: 100-200 millicores and 50-100 MB, random each second."""

    __slots__ = ("_noise",)

    def __init__(self, seed: object, uid: str) -> None:
        self._noise = KeyedNoise(seed, uid)

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Return (CPU in millicores, memory in bytes)."""
        first, second = self._noise.at(now)
        return 100 + first * 101 // 65536, (50 + second * 51 // 65536) * MEGABYTE


class LoadWorkload:
    """A server whose CPU usage follows the requests that reach it, up to a capacity.

    Args:
        seed, uid: key of the noise.
        cost_milli_per_rps: millicores for one request per second: 10 is 10 ms of CPU a request.
        idle_milli: millicores without any request.
        capacity_milli: the most millicores that it can use; requests beyond that are not served.
        memory_mb: its constant memory, in MB.
        noise: relative random deviation of the CPU usage; 0: none.
        startup_seconds, startup_milli: extra millicores for some seconds after each start, as of a
            program that compiles or fills its caches; they do not lower `capacity_rps`.
    """

    __slots__ = (
        "_began",
        "_noise",
        "_seen",
        "capacity",
        "cost",
        "idle",
        "memory",
        "noise",
        "startup_milli",
        "startup_seconds",
    )

    def __init__(
        self,
        seed: object,
        uid: str,
        *,
        cost_milli_per_rps: float = COST_MILLI_PER_RPS,
        idle_milli: int = IDLE_MILLI,
        capacity_milli: int = DEFAULT_CAPACITY_MILLI,
        memory_mb: int = LOAD_MEMORY_MB,
        noise: float = LOAD_NOISE,
        startup_seconds: float = 0.0,
        startup_milli: float = 0.0,
    ) -> None:
        self._noise = KeyedNoise(seed, uid)
        self._began = self._seen = -inf
        self.cost = cost_milli_per_rps
        self.idle = idle_milli
        self.capacity = capacity_milli
        self.memory = memory_mb * MEGABYTE
        self.noise = noise
        self.startup_seconds = startup_seconds
        self.startup_milli = startup_milli

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Return (CPU in millicores, memory in bytes)."""
        cpu = self.idle + self.cost * (load or 0.0)
        if self.startup_milli:
            if now - self._seen > RESTART_GAP_SECONDS:
                self._began = now
            self._seen = now
            if now - self._began < self.startup_seconds:
                cpu += self.startup_milli
        if self.noise:
            draw = self._noise.at(now)[0] / 65535  # 0..1
            cpu *= 1 + self.noise * (2 * draw - 1)
        return min(int(cpu), self.capacity), self.memory

    def capacity_rps(self) -> float:
        """Return the requests per second that it can serve."""
        return max(0.0, (self.capacity - self.idle) / self.cost) if self.cost else float("inf")


class DefaultWorkload:
    """The original's pod while no traffic is routed to it, otherwise a server under load."""

    __slots__ = ("_idle", "_loaded")

    def __init__(self, idle: SeedWorkload, loaded: LoadWorkload) -> None:
        self._idle = idle
        self._loaded = loaded

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Return (CPU in millicores, memory in bytes)."""
        if load is None:
            return self._idle.usage(now, None)
        return self._loaded.usage(now, load)

    def capacity_rps(self) -> float:
        """Return the requests per second that it can serve."""
        return self._loaded.capacity_rps()


def make_workload(
    seed: int, pod: PodDict, factories: Mapping[str, Factory] | None = None
) -> Workload:
    """Create the model that a pod's annotation names.

    Args:
        seed: the cluster's seed.
        pod: the pod.
        factories: your own models, by name.

    Raises:
        BadRequest: the annotation is not a JSON object, or has an unknown model or option; or a
            factory returned an object without `usage`.
    """
    options = _options_of(pod)
    model = options.pop("model", "default")
    if factories and model in factories:
        return checked_model(model, factories[model](Context(seed, pod, options)))
    idle = SeedWorkload(seed, meta.uid_of(pod))
    if model == "seed":
        return idle
    if model not in ("default", "load"):
        names = ", ".join(sorted({"default", "load", "seed", *(factories or ())}))
        raise BadRequest(f"annotation {WORKLOAD}: unknown model {model!r}; known models: {names}")
    limit = container_limits(containers_of(pod)[0])[0]
    options.setdefault("capacity_milli", DEFAULT_CAPACITY_MILLI if limit is None else limit)
    try:
        loaded = LoadWorkload(seed, meta.uid_of(pod), **options)
    except TypeError as error:
        names = ", ".join(LOAD_OPTIONS)
        raise BadRequest(f"annotation {WORKLOAD}: options of {model!r} are: {names}") from error
    return loaded if model == "load" else DefaultWorkload(idle, loaded)


def _options_of(pod: PodDict) -> Document:
    """Parse the workload annotation of a pod; {} if it has none."""
    value = meta.annotations_of(pod).get(WORKLOAD)
    if value is None:
        return {}
    try:
        options = json.loads(value)
    except ValueError as error:
        raise BadRequest(f"annotation {WORKLOAD}: {value[:80]!r} is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise BadRequest(f'annotation {WORKLOAD} must be an object such as {{"model": "load"}}')
    return options


def checked_model(name: str, model: object) -> Workload:
    """Return what a factory created, if it is a workload model.

    Args:
        name: of the factory.
        model: what it returned.

    Raises:
        BadRequest: it has no method `usage`.
    """
    if not callable(getattr(model, "usage", None)):
        raise BadRequest(
            f"workload model {name!r} must have a method usage(now, load) that returns "
            f"(millicores, bytes); its factory returned {model!r}"
        )
    return cast("Workload", model)


def checked_amounts(cpu: int, memory: int) -> tuple[int, int]:
    """Return what a model has answered; raise TypeError if these are not two finite numbers."""
    for value in (cpu, memory):
        if not isinstance(value, NUMBERS) or not isfinite(value):
            raise TypeError(f"usage must return (millicores, bytes), not {(cpu, memory)!r}")
    return cpu, memory


def checked_usage(model: Workload) -> Usage:
    """Return `model.usage`; that of a model from elsewhere is checked at each call.

    A string in place of a number would reach the kubelet's sums and end its pass over all pods.
    """
    usage = model.usage
    if type(model).__module__.startswith("kubesim."):
        return usage

    def checked(now: float, load: float | None) -> tuple[int, int]:
        answer = usage(now, load)
        cpu, memory = answer
        if type(cpu) is int and type(memory) is int:  # each pod at each tick comes this way
            return answer
        return checked_amounts(cpu, memory)

    return checked


def capacity_of(
    pod: PodDict, seed: int = 0, factories: Mapping[str, Factory] | None = None
) -> float:
    """Return the requests per second that a pod can serve: `capacity_rps()` of its model.

    It is infinite if the model has no such method, and 0 if the pod's annotation cannot be used or
    a factory raises, since no kubelet admits such a pod.

    Args:
        pod: the pod.
        seed: the cluster's seed.
        factories: your own models, by name.
    """
    try:
        workload = make_workload(seed, pod, factories)
        limit = getattr(workload, "capacity_rps", None)
        return float(limit()) if callable(limit) else inf
    except USER_ERRORS:
        return 0.0
