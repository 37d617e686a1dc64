"""The HorizontalPodAutoscaler: a pure policy, and the loop around it.

Reading order: types, constants, ratios, grouping, replicas, totals, weighing, normalize, policy,
whatif; then observing, records, hpa; metricsserver and adapter serve the figures.
"""

from kubesim.autoscaler.adapter import CustomMetrics
from kubesim.autoscaler.constants import PolicyConstants, Rules, ScalingPolicy
from kubesim.autoscaler.hpa import HorizontalController
from kubesim.autoscaler.metricsserver import MetricsServer
from kubesim.autoscaler.policy import HorizontalPolicy
from kubesim.autoscaler.predictive import Predictive
from kubesim.autoscaler.queuedriven import QueueDriven
from kubesim.autoscaler.shadows import shadow_controllers, side_by_side
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
    "CustomMetrics",
    "HorizontalController",
    "HorizontalPolicy",
    "Metric",
    "MetricsServer",
    "Observation",
    "PodFacts",
    "PolicyConstants",
    "Predictive",
    "QueueDriven",
    "Reading",
    "Recommendation",
    "Rules",
    "Sample",
    "ScalingPolicy",
    "State",
    "shadow_controllers",
    "side_by_side",
]
