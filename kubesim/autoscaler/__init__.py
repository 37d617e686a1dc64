"""The HorizontalPodAutoscaler: a pure policy, and the controller around it.

Reading order: `types`, `constants`; in `policy`: replica_calculator, totals, normalize, horizontal,
then what only readers of a record need: steps, whatif; then hpa_spec, observer, records and
horizontal; `metrics` has the metrics-server and the adapter.
"""

from kubesim.autoscaler.constants import PolicyConstants, Rules, ScalingPolicy
from kubesim.autoscaler.horizontal import HorizontalController
from kubesim.autoscaler.metrics.adapter import CustomMetrics
from kubesim.autoscaler.metrics.metrics_server import MetricsServer
from kubesim.autoscaler.policy.horizontal import HorizontalPolicy
from kubesim.autoscaler.policy.predictive import Predictive
from kubesim.autoscaler.policy.queue_driven import QueueDriven
from kubesim.autoscaler.shadow import shadow_controllers, side_by_side
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
