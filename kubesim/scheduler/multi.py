"""Several schedulers side by side: who places which pod, and what would help a pod that waits.

In a real cluster each of them is a program of its own (or a profile of kube-scheduler); they see
each other's pods once these are bound, and not before. A pod whose schedulerName nobody serves
waits for ever, without an event: nobody looks at it.

Source: pkg/scheduler/profile, docs "Configure Multiple Schedulers".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.client import Tools
from kubesim.errors import BadRequest
from kubesim.objects.pods import node_of
from kubesim.objects.wellknown import DEFAULT_SCHEDULER
from kubesim.scheduler.cache import ApiWorld
from kubesim.scheduler.explain.whatif import Proposal, smallest_changes
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot, by_zone
from kubesim.scheduler.registry import read_profile
from kubesim.scheduler.scheduler import Scheduler


def make_schedulers(
    tools: Tools, profile: Any, others: Mapping[str, Any] | None
) -> list[Scheduler]:
    """The default scheduler, and others by their names.

    Args:
        tools: what all components share.
        profile: of the default scheduler; see `Scheduler`.
        others: schedulerName -> a profile, one plug-in, or a policy with `choose(pod, nodes)`.

    Raises:
        BadRequest: a name that is none, or the default one's; or something that is no profile.
    """
    found = [Scheduler(tools.api, profile=profile, **tools.options())]
    for name, own in (others or {}).items():
        if not isinstance(name, str) or not name or name == DEFAULT_SCHEDULER:
            raise BadRequest(
                f"{name!r} cannot be the name of a further scheduler",
                hint=f"choose another than {DEFAULT_SCHEDULER!r}; to change that one, use profile=",
            )
        found.append(Scheduler(tools.api, profile=own, scheduler_name=name, **tools.options()))
    return found


def restarted(old: Scheduler, profile: Any, tools: Tools) -> Scheduler:
    """Stop a scheduler, and start one of the same name with another profile.

    As after an edit of kube-scheduler's configuration: pods that are placed stay where they are,
    those that wait are tried again.

    Args:
        old: the scheduler that runs.
        profile: see `Scheduler`.
        tools: what all components share.

    Raises:
        BadRequest: something in it is no plug-in; the old scheduler goes on then.
    """
    if profile is not None and not callable(getattr(profile, "choose", None)):
        read_profile(profile)
    old.stop()
    new = Scheduler(tools.api, profile=profile, scheduler_name=old.name, **tools.options())
    new.start()
    return new


def current_snapshot(api: KubeAPI) -> Snapshot:
    """Nodes and bound pods as the API server has them, apart from any scheduler's cache."""
    nodes = {n["metadata"]["name"]: NodeInfo(n) for n in api.snapshot("Node")[0]}
    for pod in api.snapshot("Pod")[0]:
        if node_of(pod) in nodes:
            nodes[node_of(pod)].add(pod)
    return Snapshot(by_zone(nodes.values()), ApiWorld(api))


def proposals_for(
    api: KubeAPI, schedulers: Sequence[Scheduler], name: str, namespace: str
) -> list[Proposal]:
    """What would let a pod fit that waits; [] for any other pod, or if nothing was found.

    For a pod whose schedulerName nobody serves: just that.
    """
    pod = api.peek("Pod", name, namespace)
    if pod is None or node_of(pod):
        return []
    wanted = pod["spec"].get("schedulerName")
    for scheduler in schedulers:
        if scheduler.name == wanted:
            return smallest_changes(pod, current_snapshot(api), scheduler.framework)
    served = ", ".join(scheduler.name for scheduler in schedulers)
    said = f"nobody serves its schedulerName {wanted!r} (served: {served})"
    return [Proposal("", (said,), ({"kind": "schedulerName", "name": wanted},))]
