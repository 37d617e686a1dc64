"""Writes of a Deployment's status and conditions.

Source: pkg/controller/deployment/sync.go (syncDeploymentStatus), progress.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.clock.base import Clock
from kubesim.controllers.deployment import progress
from kubesim.controllers.deployment.state import SyncState

if TYPE_CHECKING:
    from kubesim.objects.types import DeploymentConditionDict, DeploymentDict, DeploymentStatusDict


class StatusWriter:
    """Writes the status of the Deployment of one sync.

    Args:
        api: the API server.
        clock: for timestamps.
        state: the Deployment; renewed by each write.
    """

    def __init__(self, api: KubeAPI, clock: Clock, state: SyncState) -> None:
        self._api = api
        self._clock = clock
        self._state = state

    def write(self, status: DeploymentStatusDict) -> bool:
        """Write the status if it changed; return whether it did."""
        deployment = self._state.deployment
        if status == (deployment.get("status") or {}):
            return False
        changed: DeploymentDict = {**deployment, "status": status}
        self._state.deployment_written(self._api.update_status(changed))
        return True

    def set_condition(self, condition: DeploymentConditionDict) -> None:
        """Write the status with one condition set."""
        status = self._state.deployment.get("status") or {}
        conditions = progress.with_condition(status.get("conditions") or (), condition)
        self.write({**status, "conditions": conditions})

    def set_progressing(self, value: str, reason: str, message: str) -> None:
        """Set the condition Progressing if the Deployment has a progress deadline.

        Args:
            value: "True", "False" or "Unknown".
            reason, message: of the condition.
        """
        if self._state.watches_progress:
            now = self._clock.timestamp()
            self.set_condition(
                progress.condition(progress.PROGRESSING, value, reason, message, now)
            )

    def count_collision(self) -> None:
        """Increment status.collisionCount, so that the next sync uses another hash."""
        status = self._state.deployment.get("status") or {}
        self.write({**status, "collisionCount": (status.get("collisionCount") or 0) + 1})
