"""The scheduler: a framework of small plug-ins, and the loop around it."""

from kubesim.scheduler.framework import Cycle, Framework
from kubesim.scheduler.nodeinfo import NodeInfo
from kubesim.scheduler.plugins import REGISTRY, configured_profile, default_profile
from kubesim.scheduler.profile import Enabled, Profile, make_profile
from kubesim.scheduler.scheduler import Scheduler
from kubesim.scheduler.snapshot import Snapshot
from kubesim.scheduler.state import CycleState
from kubesim.scheduler.status import SKIP, SUCCESS, Code, Status

__all__ = [
    "REGISTRY",
    "SKIP",
    "SUCCESS",
    "Code",
    "Cycle",
    "CycleState",
    "Enabled",
    "Framework",
    "NodeInfo",
    "Profile",
    "Scheduler",
    "Snapshot",
    "Status",
    "configured_profile",
    "default_profile",
    "make_profile",
]
