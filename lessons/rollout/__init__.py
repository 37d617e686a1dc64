"""The rollout panel: a rolling update as it happens."""
