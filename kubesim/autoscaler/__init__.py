"""The HorizontalPodAutoscaler: a pure policy, and the loop around it.

Reading order: types, constants, ratios, grouping, replicas, totals, weighing, normalize, policy,
whatif; then observing, records, hpa.
"""

from kubesim.autoscaler.constants import PolicyConstants, Rules, ScalingPolicy
from kubesim.autoscaler.hpa import HorizontalController
from kubesim.autoscaler.observing import MetricsSource
from kubesim.autoscaler.policy import HorizontalPolicy
from kubesim.autoscaler.types import (
    AutoscalingPolicy,
    Behavior,
    Change,
    Metric,
    Observation,
    PodFacts,
    Reading,
    Recommendation,
    Sample,
    State,
)

__all__ = [
    "AutoscalingPolicy",
    "Behavior",
    "Change",
    "HorizontalController",
    "HorizontalPolicy",
    "Metric",
    "MetricsSource",
    "Observation",
    "PodFacts",
    "PolicyConstants",
    "Reading",
    "Recommendation",
    "Rules",
    "Sample",
    "ScalingPolicy",
    "State",
]
