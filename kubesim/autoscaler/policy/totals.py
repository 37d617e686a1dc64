"""From one total to a proposed number of replicas: Object and External metrics.

A queue does not belong to any pod, so no pods are sorted and nothing is assumed. The ratio of the
total to a *Value* target is multiplied with the pods that are Running and Ready at this moment; an
*AverageValue* target is compared with the total divided by status.replicas, not spec.replicas.

>>> queue = Metric("External", "queue", average_milli=100_000)
>>> waiting = Reading(total_milli=4_500_000)
>>> propose_total(queue, waiting, (), current=30, status_replicas=30).replicas
45

Source: pkg/controller/podautoscaler/replica_calculator.go (GetObjectMetricReplicas,
GetExternalMetricReplicas, GetExternalPerPodMetricReplicas, getReadyPodsCount).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

from kubesim.autoscaler.constants import MAX_TOTAL
from kubesim.autoscaler.policy.figures import RatioResult
from kubesim.autoscaler.policy.replica_calculator import (
    DEFAULT_TOLERANCE,
    Tolerance,
    ceiling,
    ratio_of,
)
from kubesim.autoscaler.policy.steps import proposal_step
from kubesim.autoscaler.types import Metric, MetricProposal, PodFacts, Reading
from kubesim.client.decisions import RuleStep

SOURCE = "pkg/controller/podautoscaler/replica_calculator.go"


@dataclass(frozen=True, slots=True)
class ValueTarget:
    """The total against one value, multiplied with the ready pods; a `types.ProposalCurve`.

    Attributes:
        measured, target: in milli.
        current: spec.replicas.
        ready: selected pods that are Running and Ready; None: no pod is selected.
        tolerance: as configured.
    """

    measured: int
    target: int
    current: int
    ready: int | None
    tolerance: Tolerance

    @property
    def level(self) -> int:
        """The total at which the ratio is 1."""
        return self.target

    def decide(self, total: int) -> RatioResult:
        """Return the proposal for a total.

        Raises:
            ValueError: no pod is selected, and the rule multiplies with them.
        """
        ratio = ratio_of(total, self.target)
        if self.current == 0:  # possible only with minReplicas 0: no tolerance, no pods
            return RatioResult(ceiling(ratio), ratio, None, 0, 1, "")
        if self.tolerance.holds(ratio):
            return RatioResult(self.current, ratio, None, 0, self.ready or 0, "tolerance")
        if self.ready is None:
            raise ValueError(
                "unable to calculate ready pods: no pods returned by selector while calculating "
                "replica count"
            )
        return RatioResult(ceiling(ratio * self.ready), ratio, None, 0, self.ready, "")

    def attained(self, measured: int, *, rising: bool) -> int:
        """Return the total itself: it can be any number."""
        return measured

    def at(self, measured: int, *, rising: bool) -> int | None:
        """Return the proposal at that total; None if pods are needed and none is selected."""
        needs_pods = self.current != 0 and not self.tolerance.holds(measured / self.target)
        return None if needs_pods and self.ready is None else self.decide(measured).replicas


@dataclass(frozen=True, slots=True)
class AverageTarget:
    """The total against a value for each pod of status.replicas; a `types.ProposalCurve`.

    Attributes:
        measured, target: in milli; the target is for each pod.
        status_replicas: status.replicas of the target.
        tolerance: as configured.
    """

    measured: int
    target: int
    status_replicas: int
    tolerance: Tolerance

    @property
    def level(self) -> int:
        """The total at which the ratio is 1."""
        return self.target * self.status_replicas

    def _ratio(self, total: int) -> float:
        if not self.status_replicas:
            return inf  # 0 / 0 is NaN in doubles: the tolerance does not hold either way
        return float(total) / (float(self.target) * float(self.status_replicas))

    def decide(self, total: int) -> RatioResult:
        """Return the proposal for a total."""
        ratio = self._ratio(total)
        if self.tolerance.holds(ratio):
            count = self.status_replicas
            return RatioResult(count, ratio, None, 0, count, "tolerance")
        return RatioResult(ceiling(ratio_of(total, self.target)), ratio, None, 0, 1, "")

    def attained(self, measured: int, *, rising: bool) -> int:
        """Return the total itself: it can be any number."""
        return measured

    def at(self, measured: int, *, rising: bool) -> int:
        """Return the proposal at that total."""
        return self.decide(measured).replicas


def propose_total(
    metric: Metric,
    reading: Reading,
    pods: Sequence[PodFacts],
    *,
    current: int,
    status_replicas: int,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
) -> MetricProposal:
    """Return the proposal of a metric that does not belong to pods.

    Args:
        metric: an Object or External entry of spec.metrics.
        reading: what was measured.
        pods: the selected pods; only a Value target uses them.
        current: spec.replicas of the target.
        status_replicas: status.replicas of the target.
        tolerance: as configured.

    Raises:
        ValueError: there is no proposal; the message is upstream's.
    """
    total = reading.total_milli
    if total is None:
        raise ValueError(f"unable to get {metric.described()}: no metrics returned")
    average, value = _targets(metric)
    if average is not None:
        return _against_average(total, average, status_replicas, tolerance)
    if value is not None:
        return _against_value(total, value, pods, current, tolerance)
    raise ValueError(
        f"invalid {metric.type.lower()} metric source: neither a value target nor an average value "
        "target was set"
    )


def _targets(metric: Metric) -> tuple[int | None, int | None]:
    """Return the targets (average, value).

    External takes the average whenever it is set; for Object, type and field have to agree.
    """
    if metric.type == "Object":
        return (
            metric.average_milli if metric.target_type == "AverageValue" else None,
            metric.value_milli if metric.target_type == "Value" else None,
        )
    return metric.average_milli, metric.value_milli


def _against_value(
    total: int, target: int, pods: Sequence[PodFacts], current: int, tolerance: Tolerance
) -> MetricProposal:
    running = sum(pod.phase == "Running" and pod.ready is True for pod in pods)
    curve = ValueTarget(total, target, current, running if pods else None, tolerance)
    outcome = curve.decide(total)
    inputs = {"total_milli": total, "target_milli": target, "ready": running}
    steps = (
        RuleStep(
            "reading", inputs, f"ratio {outcome.first:.4g}", f"{SOURCE} getUsageRatioReplicaCount"
        ),
        proposal_step(outcome, tolerance),
    )
    return MetricProposal(
        replicas=outcome.replicas,
        value_milli=total,
        ratio=outcome.first,
        ready=running,
        held=outcome.held,
        steps=steps,
        curve=curve,
    )


def _against_average(
    total: int, target: int, status_replicas: int, tolerance: Tolerance
) -> MetricProposal:
    curve = AverageTarget(total, target, status_replicas, tolerance)
    outcome = curve.decide(total)
    inputs = {"total_milli": total, "target_milli": target, "status_replicas": status_replicas}
    result = f"ratio {outcome.first:.4g}"
    if outcome.held:
        proposal = proposal_step(outcome, tolerance)
    else:
        result_of = f"ceil({total} / {target}) = {outcome.replicas}"
        proposal = RuleStep("proposal", {"ratio": outcome.first}, result_of, SOURCE)
    return MetricProposal(
        replicas=outcome.replicas,
        average_milli=min(ceil(total / status_replicas), MAX_TOTAL) if status_replicas else 0,
        ratio=outcome.first,
        ready=status_replicas,
        held=outcome.held,
        steps=(
            RuleStep("reading", inputs, result, f"{SOURCE} GetExternalPerPodMetricReplicas"),
            proposal,
        ),
        curve=curve,
    )
