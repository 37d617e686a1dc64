"""The Deployment controller: rolling updates, Recreate, scaling, revision history, progress."""

from kubesim.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
