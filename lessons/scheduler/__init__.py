"""The scheduler panel: how full each node is, and why a pod was placed there."""
