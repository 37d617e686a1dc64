"""DefaultBinder: binds a pod to its node through the API server.

Source: pkg/scheduler/framework/plugins/defaultbinder/default_binder.go.
"""

from __future__ import annotations

from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.status import SUCCESS, Status


class DefaultBinder:
    """Posts a Binding; the API server writes spec.nodeName."""

    name = "DefaultBinder"

    def __init__(self) -> None:
        self._api: Any = None

    def attach(self, handle: Any) -> None:
        """Take the API client from the scheduler's handle."""
        self._api = handle.api

    def bind(self, pod: Document, node: str) -> Status:
        """Bind the pod to the node.

        Raises:
            Conflict: it has a node already, or is being deleted.
            NotFound: it is gone.
        """
        self._api.bind(meta.name_of(pod), meta.namespace_of(pod), node)
        return SUCCESS
