"""What an experiment varies (the contenders) and what it holds (the world).

No counterpart in Kubernetes; the fields are those of an HPA and of a pod, with their defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from kubesim.autoscaler import HorizontalPolicy, PolicyConstants
from kubesim.autoscaler.constants import DEFAULTS, SYNC_PERIOD_SECONDS
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.traffic import Queue

QUEUE = Queue()


@dataclass(frozen=True)
class World:
    """What is scaled: pods and their program, their clients, and the way of the metrics.

    Attributes:
        cost_milli_per_rps: millicores for one request per second.
        idle_milli: millicores of a pod without requests.
        request_milli, limit_milli: of each pod; at the limit it serves no more.
        start_seconds: from the decision until a new pod is ready.
        startup_seconds, startup_milli: what a new pod uses besides, for so long.
        pods: how many there are at the beginning, ready.
        queue: who waits.
        metrics_resolution: seconds between the scrapes of a metrics-server; None: autoscalers see
            the last second.
        latency_target_seconds: a second whose p95 is above is a slow one.
        step_seconds: how finely the model is computed; 1 is as fine as traffic models are.

    Raises:
        BadRequest: numbers that make no sense together.
    """

    cost_milli_per_rps: float = 10.0
    idle_milli: float = 20.0
    request_milli: int = 200
    limit_milli: int = 500
    start_seconds: float = 10.0
    startup_seconds: float = 0.0
    startup_milli: float = 0.0
    pods: int = 1
    queue: Queue = QUEUE
    metrics_resolution: float | None = 15.0
    latency_target_seconds: float = 0.5
    step_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not (self.cost_milli_per_rps > 0 and self.limit_milli > self.idle_milli >= 0):
            raise BadRequest("a pod must cost something for each request, and its limit be above")
        if not (self.step_seconds > 0 and self.start_seconds >= 0 and self.pods >= 0):
            raise BadRequest("step_seconds must be above 0; start_seconds and pods not below 0")

    @property
    def rate_of_a_pod(self) -> float:
        """Requests per second that one pod can serve."""
        return (self.limit_milli - self.idle_milli) / self.cost_milli_per_rps


@dataclass(frozen=True)
class Contender:
    """A policy with the HPA that it works for.

    Attributes:
        policy: the policy, its class, or a function that makes one; each run gets its own.
        target: percent of the CPU request, unless `metrics` says otherwise.
        minimum, maximum: minReplicas and maxReplicas.
        metrics: spec.metrics as in a manifest: Resource cpu; or as Pods, Object or External metric
            ``requests_per_second`` and ``queue_length`` of the traffic.
        behavior: spec.behavior as in a manifest; None: none.
        sync_seconds: how often it looks.
        constants: settings of the real algorithm.

    Raises:
        BadRequest: no policy, bounds or period that make no sense.
    """

    policy: Any = HorizontalPolicy
    target: int = 70
    minimum: int = 1
    maximum: int = 20
    metrics: Sequence[ReadOnlyDocument] = ()
    behavior: ReadOnlyDocument | None = None
    sync_seconds: float = SYNC_PERIOD_SECONDS
    constants: PolicyConstants = DEFAULTS

    def __post_init__(self) -> None:
        if not (0 <= self.minimum <= self.maximum and self.maximum >= 1 and self.sync_seconds > 0):
            raise BadRequest(
                "a contender needs 0 <= minimum <= maximum, 1 <= maximum and sync_seconds above 0, "
                f"not {self.minimum}, {self.maximum} and {self.sync_seconds:g}"
            )
        if not callable(getattr(self.policy, "recommend", self.policy)):
            raise BadRequest(f"{self.policy!r} is no policy; it needs recommend(observation)")

    def made(self) -> Any:
        """A policy for one run."""
        policy = self.policy
        if policy is HorizontalPolicy:
            return HorizontalPolicy(explained=False)
        if isinstance(policy, type) or not hasattr(policy, "recommend"):
            return policy()
        return deepcopy(policy)

    def spec(self) -> Document:
        """spec of the HPA, but for its target."""
        cpu = {"type": "Utilization", "averageUtilization": self.target}
        default = {"type": "Resource", "resource": {"name": "cpu", "target": cpu}}
        spec: Document = {
            "minReplicas": self.minimum,
            "maxReplicas": self.maximum,
            "metrics": [dict(entry) for entry in self.metrics] or [default],
        }
        if self.behavior is not None:
            spec["behavior"] = dict(self.behavior)
        return spec
