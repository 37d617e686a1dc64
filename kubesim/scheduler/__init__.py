"""The scheduler: a framework of small plug-ins, and the loop around it."""

from kubesim.scheduler.framework import SUCCESS, Enabled, NodeInfo, Status
from kubesim.scheduler.plugins import default_profile
from kubesim.scheduler.scheduler import Scheduler

__all__ = ["SUCCESS", "Enabled", "NodeInfo", "Scheduler", "Status", "default_profile"]
