"""What an experiment varies (the contenders) and what it keeps fixed (the world).

No counterpart in Kubernetes; the fields are those of an HPA and of a pod, with their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from kubesim import arguments
from kubesim.arguments import Check, check_arguments
from kubesim.autoscaler import AutoscalingPolicy, HorizontalPolicy, PolicyConstants
from kubesim.autoscaler.constants import DEFAULTS, SYNC_PERIOD_SECONDS
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.traffic import Queue

QUEUE = Queue()
MAPPING = arguments.instance_of(Mapping, "a mapping, as in a manifest")
WORLD: Mapping[str, Check] = {
    "cost_milli_per_rps": arguments.real_number,
    "idle_milli": arguments.real_number,
    "request_milli": arguments.number(above=True),
    "limit_milli": arguments.real_number,
    "start_seconds": arguments.real_number,
    "startup_seconds": arguments.number(),
    "startup_milli": arguments.number(),
    "pods": arguments.whole_number(),
    "queue": arguments.instance_of(Queue, "a Queue"),
    "metrics_resolution": arguments.optional(arguments.number(unit="seconds")),
    "latency_target_seconds": arguments.real_number,
    "step_seconds": arguments.real_number,
}
CONTENDER: Mapping[str, Check] = {
    "target": arguments.whole_number(1),
    "minimum": arguments.whole_number(),
    "maximum": arguments.whole_number(),
    "metrics": arguments.list_of(MAPPING, "metrics, as in a manifest"),
    "behavior": arguments.optional(MAPPING),
    "sync_seconds": arguments.real_number,
    "constants": arguments.instance_of(PolicyConstants, "PolicyConstants"),
}
PolicySource = AutoscalingPolicy | Callable[[], AutoscalingPolicy]
"""A policy, its class, or a function that returns one."""


@dataclass(frozen=True)
class World:
    """What is scaled: the pods, their clients, and the metrics.

    Attributes:
        cost_milli_per_rps: millicores for one request per second.
        idle_milli: millicores of a pod without requests.
        request_milli, limit_milli: CPU of each pod; the limit bounds what it serves.
        start_seconds: from the decision until a new pod is ready.
        startup_seconds, startup_milli: additional CPU of a new pod, and for how long.
        pods: ready pods at the start.
        queue: how requests wait.
        metrics_resolution: seconds between two scrapes of a metrics-server; None: autoscalers see
            the last second.
        latency_target_seconds: a second with a p95 above it is slow.
        step_seconds: step of the model; 1 is the resolution of traffic models.

    Raises:
        BadRequest: no numbers, or numbers that make no sense together.
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
        check_arguments(WORLD, {name: getattr(self, name) for name in WORLD})
        if not (self.cost_milli_per_rps > 0 and self.limit_milli > self.idle_milli >= 0):
            raise BadRequest(
                "cost_milli_per_rps must be above 0, idle_milli 0 or more, limit_milli above it"
            )
        if not (self.step_seconds > 0 and self.start_seconds >= 0 and self.pods >= 0):
            raise BadRequest("step_seconds must be above 0, start_seconds and pods 0 or more")

    @property
    def rate_of_a_pod(self) -> float:
        """Requests per second that one pod can serve."""
        return (self.limit_milli - self.idle_milli) / self.cost_milli_per_rps


IS_WORLD = arguments.optional(arguments.instance_of(World, "a World"))


@dataclass(frozen=True)
class Contender:
    """A policy and its HPA.

    Attributes:
        policy: the policy, its class, or a function that returns one; each run gets its own.
        target: percentage of the CPU request, unless `metrics` is set.
        minimum, maximum: minReplicas and maxReplicas.
        metrics: spec.metrics as in a manifest: Resource cpu; or as Pods, Object or External metric
            ``requests_per_second`` and ``queue_length`` of the traffic.
        behavior: spec.behavior as in a manifest, or None.
        sync_seconds: seconds between two syncs of the autoscaler.
        constants: settings of the real algorithm.

    Raises:
        BadRequest: not a policy, bounds or a period out of range, or a field of another type.
    """

    policy: PolicySource = HorizontalPolicy
    target: int = 70
    minimum: int = 1
    maximum: int = 20
    metrics: Sequence[ReadOnlyDocument] = ()
    behavior: ReadOnlyDocument | None = None
    sync_seconds: float = SYNC_PERIOD_SECONDS
    constants: PolicyConstants = DEFAULTS

    def __post_init__(self) -> None:
        check_arguments(CONTENDER, {name: getattr(self, name) for name in CONTENDER})
        if not (0 <= self.minimum <= self.maximum and self.maximum >= 1 and self.sync_seconds > 0):
            raise BadRequest(
                "a contender needs 0 <= minimum <= maximum, 1 <= maximum and sync_seconds above 0, "
                f"not {self.minimum}, {self.maximum} and {self.sync_seconds:g}"
            )
        if not callable(getattr(self.policy, "recommend", self.policy)):
            raise BadRequest(f"{self.policy!r} is not a policy; it needs recommend(observation)")

    def make_policy(self) -> AutoscalingPolicy:
        """Return a policy for one run."""
        policy = self.policy
        if policy is HorizontalPolicy:
            return HorizontalPolicy(explained=False)
        if isinstance(policy, type) or not hasattr(policy, "recommend"):
            return policy()
        return deepcopy(policy)

    def spec(self) -> Document:
        """Return the spec of the HPA without its target."""
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
