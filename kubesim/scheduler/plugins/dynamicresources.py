"""DynamicResources: the messages of a cluster with device claims; claims themselves are left out.

Source: pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go (PostFilter).
"""

from __future__ import annotations

from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.status import Status


class DynamicResources:
    """No device claims here, but the words of a cluster that has them on (1.34's default).

    Not in the default profile. In the list of the point postFilter it comes before preemption:
    ``{"plugins": {"postFilter": {"enabled": [{"name": "DynamicResources"}]}}}``.
    """

    name = "DynamicResources"

    def post_filter(self, pod: Document, cycle: Cycle) -> Status:
        """There is never a claim that could be given back."""
        return Status.unschedulable("no new claims to deallocate")
