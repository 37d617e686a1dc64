"""A policy for work queues: enough pods to empty the queue in time.

CPU usage shows how busy the pods are, not how much work waits: with ten messages or a million, a
worker is at 100 %. This policy uses the length of the queue instead. It recommends as many pods as
serve the arriving messages *and* empty the queue within `drain_seconds`; it infers the arrival rate
from the growth of the queue. It scales down after it has needed fewer pods for `cooldown_seconds`.

    Cluster(policy=QueueDriven(per_pod=20))       # a pod processes 20 messages per second

The HPA names the queue as its first External or Object metric, for example `queue_length` of
`cluster.metrics`; the policy ignores its targets and respects its bounds.

>>> pods_for(queue=600, arriving=30, per_pod=20, drain_seconds=60)         # (30 + 10) / 20
2

Nearest relative outside: KEDA, which hands the queue's length to the real HPA as an AverageValue
metric; no counterpart in Kubernetes itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kubesim.autoscaler.policy.replica_calculator import ceiling
from kubesim.autoscaler.records import from_error, from_number
from kubesim.autoscaler.types import Log, Observation, Recommendation
from kubesim.client.decisions import RuleStep
from kubesim.errors import BadRequest
from kubesim.quantity import count_of

DRAIN_SECONDS = 60.0
COOLDOWN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class QueueMemory:
    """What the policy remembers of an HPA.

    Attributes:
        time, queue: second and queue length of the last pass.
        needs: (pods, second) of the last passes.
    """

    time: float
    queue: float
    needs: Log


def pods_for(queue: float, arriving: float, per_pod: float, drain_seconds: float) -> int:
    """Return the pods that serve the arriving messages and empty the queue in time.

    Args:
        queue: messages that wait.
        arriving: messages per second.
        per_pod: messages per second that a pod processes.
        drain_seconds: within which the queue is to be empty.
    """
    return ceiling((max(0.0, arriving) + queue / drain_seconds) / per_pod)


class QueueDriven:
    """As many pods as the queue needs.

    Args:
        per_pod: messages per second that a pod processes.
        drain_seconds: within which the queue is to be empty.
        cooldown_seconds: how long fewer pods must have been enough before it shrinks.

    Raises:
        BadRequest: a rate or time that is not above 0.
    """

    def __init__(
        self,
        per_pod: float,
        drain_seconds: float = DRAIN_SECONDS,
        cooldown_seconds: float = COOLDOWN_SECONDS,
    ) -> None:
        if not (per_pod > 0 and drain_seconds > 0):
            raise BadRequest("per_pod and drain_seconds must be more than 0")
        self.per_pod = per_pod
        self.drain = drain_seconds
        self.cooldown = cooldown_seconds

    def recommend(self, observation: Observation) -> Recommendation:
        """Return the recommendation of a pass; earlier passes are in `observation.state.memory`."""
        total = next(
            (r.total_milli for _, r in observation.metrics if r.total_milli is not None), None
        )
        if total is None:
            errors = [reading.error for _, reading in observation.metrics if reading.error]
            return from_error(observation, errors[0] if errors else "the HPA has no queue metric")
        queue, ready = total / 1000, sum(pod.ready is True for pod in observation.pods)
        last: QueueMemory | None = observation.state.memory
        growth = 0.0
        if last is not None and observation.now > last.time:
            growth = (queue - last.queue) / (observation.now - last.time)
        # Pods at a queue are busy: the arrival rate is what they serve plus the growth.
        arriving = growth + (ready * self.per_pod if queue > 0 else 0.0)
        needed = pods_for(queue, arriving, self.per_pod, self.drain)
        earlier = () if last is None else last.needs
        needs = (
            *((n, at) for n, at in earlier if observation.now - at < self.cooldown),
            (needed, observation.now),
        )
        size = (
            needed
            if needed >= observation.current
            else min(observation.current, max(n for n, _ in needs))
        )
        figures = {
            "queue": queue,
            "growth_per_second": round(growth, 3),
            "arriving_per_second": round(arriving, 3),
            "per_pod": self.per_pod,
        }
        steps = (
            RuleStep(
                "queue", figures, f"{count_of(needed, 'pod')} would empty it in {self.drain:g} s"
            ),
            RuleStep(
                "cooldown",
                {"seconds": self.cooldown, "current": observation.current},
                f"take {size}",
            ),
        )
        result = from_number(observation, size)
        return replace(
            result,
            reason=f"{queue:g} messages wait" if size != observation.current else "",
            steps=steps,
            binding="cooldown" if size != needed else "queue",
            would_change_if=f"the queue were not {queue:g} long, or grew otherwise",
            state=replace(observation.state, memory=QueueMemory(observation.now, queue, needs)),
            data={**result.data, "queue": queue, "needed": needed},
        )
