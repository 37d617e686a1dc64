"""The StatefulSet controller: pods with ordinals, ordered rollout, volume claims."""

from kubesim.controllers.statefulset.controller import StatefulSetController

__all__ = ["StatefulSetController"]
