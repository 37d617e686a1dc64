"""DefaultBinder: binds a pod to its node through the API server.

Source: pkg/scheduler/framework/plugins/defaultbinder/default_binder.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.objects import meta
from kubesim.scheduler.framework.handle import Handle
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class DefaultBinder:
    """Bind: post a Binding; the API server sets spec.nodeName."""

    name = "DefaultBinder"

    def __init__(self) -> None:
        self._api: KubeAPI | None = None

    def attach(self, handle: Handle) -> None:
        """Take the API client from the scheduler's handle."""
        self._api = handle.api

    def bind(self, pod: PodDict, node: str) -> Status:
        """Bind the pod to the node; without an API client, skip.

        Raises:
            Conflict: the pod has a node already, or is being deleted.
            NotFound: the pod does not exist any more.
        """
        if self._api is None:
            return SKIP
        self._api.bind(meta.name_of(pod), meta.namespace_of(pod), node)
        return SUCCESS
