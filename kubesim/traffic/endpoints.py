"""Which pods serve the requests of a Service: the rules of kube-proxy for EndpointSlices.

>>> slice = {"endpoints": [
...     {"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "uid": "a"}},
...     {"conditions": {"ready": False, "serving": True, "terminating": True},
...      "targetRef": {"kind": "Pod", "uid": "b"}}]}
>>> serving_pods([slice])
('a',)

Source: pkg/proxy/topology.go (CategorizeEndpoints), k8s.io/api/discovery/v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubesim.objects.types import EndpointConditionsDict, EndpointSliceDict


def serving_pods(slices: Iterable[EndpointSliceDict]) -> tuple[str, ...]:
    """Return the uids of the pods that get requests, sorted and without duplicates.

    These are the ready endpoints; a missing condition counts as true. If no endpoint is ready, they
    are those that are serving and terminating.

    Args:
        slices: the EndpointSlices of one Service.
    """
    ready: set[str] = set()
    terminating: set[str] = set()
    for uid, conditions in _endpoints(slices):
        if conditions.get("ready") is not False:
            ready.add(uid)
        elif conditions.get("serving") is not False and conditions.get("terminating"):
            terminating.add(uid)
    return tuple(sorted(ready or terminating))


def all_pods(slices: Iterable[EndpointSliceDict]) -> set[str]:
    """Return the uids of all pods in the EndpointSlices of one Service, ready or not."""
    return {uid for uid, _ in _endpoints(slices)}


def _endpoints(slices: Iterable[EndpointSliceDict]) -> Iterator[tuple[str, EndpointConditionsDict]]:
    """Yield (uid, conditions) of each endpoint that is a pod."""
    for slice in slices:
        for endpoint in slice.get("endpoints") or ():
            target = endpoint.get("targetRef") or {}
            uid = str(target.get("uid", ""))
            if uid and target.get("kind", "Pod") == "Pod":
                yield uid, endpoint.get("conditions") or {}
