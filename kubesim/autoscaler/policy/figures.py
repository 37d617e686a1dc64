"""The figures that a pass computes on its way: plain data, from which its steps are rendered.

No counterpart in Kubernetes, which keeps them in local variables.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.autoscaler.types import Metric, MetricFailed, MetricProposal, ToleranceRange
from kubesim.client.decisions import OnDemand, RuleStep

# -- one metric ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Groups:
    """The selected pods, by name.

    Attributes:
        ready: their samples count.
        unready: pending, starting, or never ready; their samples are dropped.
        missing: without a sample.
        ignored: terminating or failed; they take no part at all.
    """

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleSums:
    """The samples of a metric added up, so that the rest is arithmetic on a few integers.

    Attributes:
        used: sum of the samples that count, in milli.
        base: divisor of `used`: the requests of the same pods, or their number.
        sampled: number of pods in `used`.
        entries: number of samples, including those of pods that are not selected.
        ready, missing, unready: number of pods in each group.
        missing_base, unready_base: what these pods would add to `base`.
        missing_use: assumed usage of the missing pods when scaling down, in milli.
    """

    used: int
    base: int
    sampled: int
    entries: int
    ready: int
    missing: int = 0
    unready: int = 0
    missing_base: int = 0
    unready_base: int = 0
    missing_use: int = 0


@dataclass(frozen=True, slots=True)
class RatioResult:
    """The proposal that follows from a ratio.

    Attributes:
        replicas: the proposal.
        first, second: ratios of the two readings; second is None if one reading was enough.
        second_measured: percent or average of the second reading.
        count: number of pods that were multiplied.
        held: the rule that kept the current number, or "".
    """

    replicas: int
    first: float
    second: float | None
    second_measured: int
    count: int
    held: str


@dataclass(frozen=True, slots=True)
class PodFigures:
    """The figures of a proposal that follows from the samples of pods.

    Attributes:
        metric: the metric.
        groups: number of pods: ready, unready, missing, ignored.
        sums: of the samples.
        target: percent, or milli for each pod.
        measured: percent or average of the first reading.
        average_milli: average of the samples that count.
        outcome: the ratios, and the proposal.
        tolerance: as configured.
    """

    metric: Metric
    groups: tuple[int, int, int, int]
    sums: SampleSums
    target: int
    measured: int
    average_milli: int
    outcome: RatioResult
    tolerance: ToleranceRange


# -- all metrics ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """A metric without a proposal, and why."""

    metric: Metric
    error: MetricFailed


@dataclass(frozen=True, slots=True)
class MetricsResult(OnDemand):
    """The result of all metrics of a pass.

    Attributes:
        ok: there is a usable proposal.
        metric, proposal: the metric with the largest proposal; None if there is no proposal.
        rest: the largest proposal of the other metrics; 0 if they have none.
        failure: the first metric that failed; None: all succeeded.
        readings: the proposal of each metric in order; None where it failed.
        conditions, events: as in `types.Recommendation`.
        steps: the rules applied; rendered when they are first read.
    """

    ok: bool
    metric: Metric | None = None
    proposal: MetricProposal | None = None
    rest: int = 0
    failure: Failure | None = None
    readings: tuple[MetricProposal | None, ...] = ()
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    steps: tuple[RuleStep, ...] = ()
