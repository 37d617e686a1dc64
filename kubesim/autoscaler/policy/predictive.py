"""A predictive policy: the real algorithm, with a linear forecast of the demand.

The real algorithm reacts: a pod that it adds now is ready a minute later, when the load has grown
further. This policy fits a line through the demand of the last minutes, computes the demand at the
time when a new pod would be ready, and scales up early. It never recommends fewer pods than the
real algorithm. Its recommendations go into the log, so a scale-down waits for the window as usual.

    Cluster(policy=Predictive(ahead_seconds=60))
    Cluster(shadow_policies={"predictive": Predictive()})       # decides, records, does not act

>>> round(trend([(0.0, 2.0), (15.0, 3.0), (30.0, 4.0)], 90.0), 6)        # one pod in 15 s
8.0

Demand is counted in pods: ready pods times measured divided by target. Nearest relatives outside:
predictive-horizontal-pod-autoscaler (linear and Holt-Winters models); no counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kubesim.autoscaler.policy.horizontal import HorizontalPolicy, limits_for
from kubesim.autoscaler.policy.replica_calculator import ceiling
from kubesim.autoscaler.types import MetricProposal, Observation, Recommendation
from kubesim.client.decisions import RuleStep
from kubesim.quantity import count_of

AHEAD_SECONDS = 60.0
HISTORY_SECONDS = 180.0
LEAST_POINTS = 3  # a line through fewer would be a guess

History = tuple[tuple[float, float], ...]
"""(second, demand in pods) of earlier passes."""


def trend(points: Sequence[tuple[float, float]], at: float) -> float:
    """Return the value of the least-squares line at a second.

    Args:
        points: (second, value).
        at: second.

    Raises:
        ValueError: the points have fewer than two different seconds.
    """
    count = len(points)
    middle = sum(second for second, _ in points) / count if count else 0.0
    level = sum(value for _, value in points) / count if count else 0.0
    spread = sum((second - middle) ** 2 for second, _ in points)
    if not spread:
        raise ValueError("a line needs points at two seconds at least")
    slope = sum((second - middle) * (value - level) for second, value in points) / spread
    return level + slope * (at - middle)


def demand_of(proposal: MetricProposal) -> float:
    """Return how many pods one metric would keep busy at its target.

    It is the usage of the ready pods divided by the target, without assumptions about other pods
    and without tolerance.
    """
    curve = proposal.curve
    if curve is None or curve.level <= 0:
        return proposal.ratio * proposal.ready
    return proposal.ready * curve.measured / curve.level


class Predictive:
    """The real algorithm with a linear forecast.

    Args:
        ahead_seconds: forecast horizon: the time until a new pod is ready.
        history_seconds: age of the oldest demand that the line is fitted to.
    """

    def __init__(
        self, ahead_seconds: float = AHEAD_SECONDS, history_seconds: float = HISTORY_SECONDS
    ) -> None:
        self.ahead = ahead_seconds
        self.history = history_seconds
        self._real = HorizontalPolicy()

    def recommend(self, observation: Observation) -> Recommendation:
        """Return the recommendation; the demand so far is in `observation.state.memory`."""
        result = self._real.recommend(observation)
        demands = [demand_of(p) for p in result.readings if p is not None]
        if result.failed or not demands:
            return result
        points_before: History = observation.state.memory or ()
        recent = tuple(
            point for point in points_before if observation.now - point[0] <= self.history
        )
        points = (*recent, (observation.now, max(demands)))
        result = replace(result, state=replace(result.state, memory=points))
        if len(points) < LEAST_POINTS:
            return result
        expected = trend(points, observation.now + self.ahead)
        return self._raised(observation, result, points, expected)

    def _raised(
        self, observation: Observation, result: Recommendation, points: History, expected: float
    ) -> Recommendation:
        """Return the real recommendation, raised to the expected demand as far as limits permit."""
        limits = limits_for(observation, observation.now)
        desired = ceiling(max(0.0, expected))
        inputs = {
            "points": len(points),
            "demand_now_pods": round(points[-1][1], 3),
            "demand_expected_pods": round(expected, 3),
            "ahead_seconds": self.ahead,
        }
        size = limits.final(desired) if desired > observation.current else result.replicas
        data = {**result.data, "expected": expected, "to": max(size, result.replicas)}
        if size <= result.replicas:
            step = RuleStep("predict", inputs, f"the real algorithm's {result.replicas} will do")
            return replace(result, steps=(*result.steps, step), data=data)
        step = RuleStep("predict", inputs, f"{count_of(desired, 'pod')} will be needed: {size} now")
        log = tuple(
            (max(pods, desired) if at == observation.now else pods, at)
            for pods, at in result.state.recommendations or ()
        )
        return replace(
            result,
            state=replace(result.state, recommendations=log),
            replicas=size,
            reason=f"demand of {expected:.1f} pods expected in {self.ahead:g} s",
            steps=(*result.steps, step),
            binding="the prediction",
            would_change_if=f"the demand expected in {self.ahead:g} s were below "
            f"{count_of(size - 1, 'pod')}",
            changes=(),
            data=data,
        )
