"""Several schedulers side by side; what would let a pending pod fit.

In a real cluster each of them is its own program (or a profile of kube-scheduler); a scheduler
sees the pods of the others once these are bound. A pod whose schedulerName no scheduler serves
stays pending forever, without an event.

Source: pkg/scheduler/profile, docs "Configure Multiple Schedulers".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kubesim.apiserver import KubeAPI
from kubesim.client import Tools
from kubesim.errors import BadRequest
from kubesim.objects.kindnames import NODE, POD
from kubesim.objects.pods import node_of
from kubesim.objects.wellknown import DEFAULT_SCHEDULER
from kubesim.scheduler.cache import ApiLister
from kubesim.scheduler.explain.whatif import ChangeProposal, smallest_changes
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.profile import check_scheduler_name
from kubesim.scheduler.framework.snapshot import Snapshot, by_zone
from kubesim.scheduler.policy import PlacementPolicy
from kubesim.scheduler.registry import ProfileSource, read_profile
from kubesim.scheduler.scheduler import Scheduler

Schedulers: TypeAlias = Mapping[str, ProfileSource | PlacementPolicy]
"""schedulerName -> a profile, one plug-in, or a policy with `choose(pod, nodes)`."""


def make_schedulers(
    tools: Tools, profile: ProfileSource | PlacementPolicy, others: Schedulers | None
) -> list[Scheduler]:
    """Make the default scheduler, and others by their names.

    Args:
        tools: what all components share.
        profile: of the default scheduler; see `Scheduler`.
        others: the further schedulers; see `Schedulers`.

    Raises:
        BadRequest: a name is not usable, or something is not a profile.
    """
    if others is not None and not isinstance(others, Mapping):
        raise BadRequest(
            f"schedulers must be a mapping from schedulerName to a profile, not {others!r}",
            hint='for example {"packer": [MyPlugin()]}',
        )
    schedulers = [Scheduler(tools.api, profile=profile, **tools.options())]
    for name, own in (others or {}).items():
        check_scheduler_name(name)
        if name == DEFAULT_SCHEDULER:
            raise BadRequest(
                f"{name!r} cannot be the name of a further scheduler",
                hint=f"choose another than {DEFAULT_SCHEDULER!r}; to change that one, use profile=",
            )
        schedulers.append(Scheduler(tools.api, profile=own, scheduler_name=name, **tools.options()))
    return schedulers


def restarted(old: Scheduler, profile: ProfileSource | PlacementPolicy, tools: Tools) -> Scheduler:
    """Stop a scheduler, and start one of the same name with another profile.

    As after a change of kube-scheduler's configuration: bound pods stay where they are, pending
    ones are tried again.

    Args:
        old: the running scheduler.
        profile: see `Scheduler`.
        tools: what all components share.

    Raises:
        BadRequest: something in the profile is not a plug-in; the old scheduler keeps running.
    """
    if not isinstance(profile, PlacementPolicy):
        read_profile(profile)
    old.stop()
    new = Scheduler(tools.api, profile=profile, scheduler_name=old.name, **tools.options())
    new.start()
    return new


def current_snapshot(api: KubeAPI) -> Snapshot:
    """Build a snapshot of nodes and bound pods from the API server, without a scheduler's cache."""
    nodes = {n["metadata"]["name"]: NodeInfo(n) for n in api.snapshot(NODE)[0]}
    for pod in api.snapshot(POD)[0]:
        if node_of(pod) in nodes:
            nodes[node_of(pod)].add(pod)
    return Snapshot(by_zone(nodes.values()), ApiLister(api))


def proposals_for(
    api: KubeAPI, schedulers: Sequence[Scheduler], name: str, namespace: str
) -> list[ChangeProposal]:
    """Propose what would let a pending pod fit.

    Args:
        api: the API server.
        schedulers: all schedulers of the cluster.
        name: name of the pod.
        namespace: namespace of the pod.

    Returns:
        The smallest changes first; [] if the pod is not pending or nothing was found. For a pod
        whose schedulerName no scheduler serves: that alone.
    """
    pod = api.peek(POD, name, namespace)
    if pod is None or node_of(pod):
        return []
    desired = pod["spec"].get("schedulerName")
    for scheduler in schedulers:
        if scheduler.name == desired:
            return smallest_changes(pod, current_snapshot(api), scheduler.framework)
    served = ", ".join(scheduler.name for scheduler in schedulers)
    step = f"no scheduler serves its schedulerName {desired!r} (served: {served})"
    return [ChangeProposal("", (step,), ({"kind": "schedulerName", "name": desired},))]
