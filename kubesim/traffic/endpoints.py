"""Who serves the requests of a Service: endpoints of its EndpointSlices, as kube-proxy takes them.

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

from kubesim.objects.frozen import Document


def serving_pods(slices: Iterable[Document]) -> tuple[str, ...]:
    """The uids of the pods that get requests, sorted, each once.

    Ready endpoints do; a condition that is not said counts as true. Only if there is not one do
    those that terminate but still serve.

    Args:
        slices: the EndpointSlices of one Service.
    """
    ready: set[str] = set()
    leaving: set[str] = set()
    for uid, conditions in _endpoints(slices):
        if conditions.get("ready") is not False:
            ready.add(uid)
        elif conditions.get("serving") is not False and conditions.get("terminating"):
            leaving.add(uid)
    return tuple(sorted(ready or leaving))


def all_pods(slices: Iterable[Document]) -> set[str]:
    """The uids of all pods in the EndpointSlices of one Service, whether they serve or not."""
    return {uid for uid, _ in _endpoints(slices)}


def _endpoints(slices: Iterable[Document]) -> Iterator[tuple[str, Document]]:
    """(uid of the pod, conditions) of each endpoint that is a pod."""
    for slice in slices:
        for endpoint in slice.get("endpoints") or ():
            target = endpoint.get("targetRef") or {}
            uid = str(target.get("uid", ""))
            if uid and target.get("kind", "Pod") == "Pod":
                yield uid, endpoint.get("conditions") or {}
