"""The HorizontalPodAutoscaler: a pure policy, and the loop around it."""

from kubesim.autoscaler.hpa import HorizontalController
from kubesim.autoscaler.policy import HorizontalPolicy
from kubesim.autoscaler.types import AutoscalingPolicy, Observation, Recommendation

__all__ = [
    "AutoscalingPolicy",
    "HorizontalController",
    "HorizontalPolicy",
    "Observation",
    "Recommendation",
]
