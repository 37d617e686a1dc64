"""DynamicResources: the message of a cluster with device claims; the claims are left out.

Source: pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go (PostFilter).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.status import Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class DynamicResources:
    """PostFilter: add the message that release 1.34 gives by default.

    This plug-in is not in the default profile. In the list of the point postFilter it runs before
    preemption: ``{"plugins": {"postFilter": {"enabled": [{"name": "DynamicResources"}]}}}``.
    """

    name = "DynamicResources"

    def post_filter(self, pod: PodDict, cycle: Cycle) -> Status:
        """Refuse: there is never a claim that could be deallocated."""
        return Status.unschedulable("no new claims to deallocate")
