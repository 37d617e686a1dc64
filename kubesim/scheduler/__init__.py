"""The scheduler: a framework of small plug-ins, and the loop around it."""

from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.profile import Enabled, Profile, make_profile
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Code, Status
from kubesim.scheduler.registry import REGISTRY, configured_profile, default_profile
from kubesim.scheduler.scheduler import Scheduler

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
