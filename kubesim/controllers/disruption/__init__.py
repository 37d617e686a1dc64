"""The disruption controller: how many disruptions each PodDisruptionBudget allows."""

from kubesim.controllers.disruption.controller import DisruptionController

__all__ = ["DisruptionController"]
