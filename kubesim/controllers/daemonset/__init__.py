"""The DaemonSet controller: one pod on each eligible node, rolling updates, revision history."""

from kubesim.controllers.daemonset.controller import DaemonSetController

__all__ = ["DaemonSetController"]
