"""The plug-ins by name, the default profile, and profiles from a configuration.

Device claims (DynamicResources) are left out.

Source: pkg/scheduler/framework/plugins/registry.go, apis/config/v1/default_plugins.go,
apis/config/types_pluginargs.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias, TypedDict

from kubesim.errors import BadRequest
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.scheduler.framework.interface import Plugin
from kubesim.scheduler.framework.profile import Entry, Factory, Profile, make_profile, profile_from
from kubesim.scheduler.plugins.defaultbinder import DefaultBinder
from kubesim.scheduler.plugins.defaultpreemption import (
    MIN_CANDIDATES,
    MIN_CANDIDATES_PERCENT,
    DefaultPreemption,
)
from kubesim.scheduler.plugins.dynamicresources import DynamicResources
from kubesim.scheduler.plugins.imagelocality import ImageLocality
from kubesim.scheduler.plugins.interpodaffinity import HARD_POD_AFFINITY_WEIGHT, InterPodAffinity
from kubesim.scheduler.plugins.nodeaffinity import NodeAffinity
from kubesim.scheduler.plugins.nodename import NodeName
from kubesim.scheduler.plugins.nodeports import NodePorts
from kubesim.scheduler.plugins.noderesources import (
    NodeResourcesBalancedAllocation,
    NodeResourcesFit,
)
from kubesim.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from kubesim.scheduler.plugins.podtopologyspread import PodTopologySpread
from kubesim.scheduler.plugins.queuesort import PrioritySort
from kubesim.scheduler.plugins.schedulinggates import SchedulingGates
from kubesim.scheduler.plugins.tainttoleration import TaintToleration
from kubesim.scheduler.volumes.nodevolumelimits import NodeVolumeLimits
from kubesim.scheduler.volumes.volumebinding import BIND_TIMEOUT_SECONDS, VolumeBinding
from kubesim.scheduler.volumes.volumerestrictions import VolumeRestrictions
from kubesim.scheduler.volumes.volumezone import VolumeZone

# Name and weight of each default plug-in; 0: it does not score.
DEFAULT_WEIGHTS = (
    ("SchedulingGates", 0),
    ("PrioritySort", 0),
    ("NodeUnschedulable", 0),
    ("NodeName", 0),
    ("TaintToleration", 3),
    ("NodeAffinity", 2),
    ("NodePorts", 0),
    ("NodeResourcesFit", 1),
    ("VolumeRestrictions", 0),
    ("NodeVolumeLimits", 0),
    ("VolumeBinding", 0),
    ("VolumeZone", 0),
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("DefaultPreemption", 0),
    ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
    ("DefaultBinder", 0),
)

ProfileSource: TypeAlias = Profile | ReadOnlyDocument | Iterable[Entry] | Plugin | None
"""What a scheduler's profile can be made from; see `read_profile`."""


class _FitOptions(TypedDict, total=False):
    resources: Mapping[str, int]


def _fit(args: ReadOnlyDocument) -> NodeResourcesFit:
    strategy = args.get("scoringStrategy") or {}
    shape = (strategy.get("requestedToCapacityRatio") or {}).get("shape") or ()
    options: _FitOptions = {}
    if strategy.get("resources"):
        options["resources"] = {r["name"]: int(r.get("weight") or 1) for r in strategy["resources"]}
    return NodeResourcesFit(
        strategy.get("type") or "LeastAllocated",
        shape=[(int(p["utilization"]), int(p["score"])) for p in shape],
        ignored_resources=args.get("ignoredResources") or (),
        ignored_groups=args.get("ignoredResourceGroups") or (),
        **options,
    )


def _balanced(args: ReadOnlyDocument) -> NodeResourcesBalancedAllocation:
    names = [resource["name"] for resource in args.get("resources") or ()]
    return NodeResourcesBalancedAllocation(names or ("cpu", "memory"))


def _spread(args: ReadOnlyDocument) -> PodTopologySpread:
    constraints = args.get("defaultConstraints") or ()
    return PodTopologySpread(constraints, args.get("defaultingType", "System") == "System")


def _interpod(args: ReadOnlyDocument) -> InterPodAffinity:
    return InterPodAffinity(
        int(args.get("hardPodAffinityWeight", HARD_POD_AFFINITY_WEIGHT)),
        bool(args.get("ignorePreferredTermsOfExistingPods")),
    )


def _binding(args: ReadOnlyDocument) -> VolumeBinding:
    return VolumeBinding(float(args.get("bindTimeoutSeconds") or BIND_TIMEOUT_SECONDS))


def _preemption(args: ReadOnlyDocument) -> DefaultPreemption:
    return DefaultPreemption(
        int(args.get("minCandidateNodesPercentage", MIN_CANDIDATES_PERCENT)),
        int(args.get("minCandidateNodesAbsolute", MIN_CANDIDATES)),
    )


REGISTRY: dict[str, Factory] = {
    "SchedulingGates": lambda args: SchedulingGates(),
    "PrioritySort": lambda args: PrioritySort(),
    "NodeUnschedulable": lambda args: NodeUnschedulable(),
    "NodeName": lambda args: NodeName(),
    "TaintToleration": lambda args: TaintToleration(),
    "NodeAffinity": lambda args: NodeAffinity(args.get("addedAffinity")),
    "NodePorts": lambda args: NodePorts(),
    "NodeResourcesFit": _fit,
    "VolumeRestrictions": lambda args: VolumeRestrictions(),
    "NodeVolumeLimits": lambda args: NodeVolumeLimits(),
    "VolumeBinding": _binding,
    "VolumeZone": lambda args: VolumeZone(),
    "PodTopologySpread": _spread,
    "InterPodAffinity": _interpod,
    "DynamicResources": lambda args: DynamicResources(),
    "DefaultPreemption": _preemption,
    "NodeResourcesBalancedAllocation": _balanced,
    "ImageLocality": lambda args: ImageLocality(),
    "DefaultBinder": lambda args: DefaultBinder(),
}
"""Plug-in by name: a function from the args of a KubeSchedulerConfiguration."""


def default_profile() -> Profile:
    """Return the default plug-ins in order, with upstream's weights."""
    return profile_from({}, REGISTRY, DEFAULT_WEIGHTS)


def read_profile(profile: ProfileSource) -> Profile:
    """Make a profile from any of the forms that `Scheduler` and `Cluster` accept.

    Args:
        profile: None: the default plug-ins; a mapping: see `configured_profile`; else plug-ins, see
            `make_profile`.

    Raises:
        BadRequest: an element is not a plug-in, or an unknown one; the message says what is
            expected.
    """
    if profile is None:
        return default_profile()
    return configured_profile(profile) if isinstance(profile, Mapping) else make_profile(profile)


def configured_profile(config: ReadOnlyDocument, **more: Factory) -> Profile:
    """Read a profile of a KubeSchedulerConfiguration, on top of the default plug-ins.

    Args:
        config: one entry of ``profiles``: ``plugins`` and ``pluginConfig``.
        more: your own plug-ins by name: functions from their args.

    >>> packed = configured_profile({"pluginConfig": [{"name": "NodeResourcesFit", "args": {
    ...     "scoringStrategy": {"type": "MostAllocated"}}}]})
    >>> next(e.plugin.strategy for e in packed if e.name == "NodeResourcesFit")
    'MostAllocated'

    Raises:
        BadRequest: an unknown plug-in or extension point, or bad arguments.
    """
    if not isinstance(config, Mapping):
        raise BadRequest(
            f"a configured profile is a mapping, not {config!r}",
            hint='for example {"plugins": {"score": {"disabled": [{"name": "ImageLocality"}]}}}',
        )
    return profile_from(config, {**REGISTRY, **more}, DEFAULT_WEIGHTS)
