"""The default plug-ins in their order, and all of them by name.

Each plug-in is one idea, one class, one reason; they live in the files `plugin_*.py`. Volumes
(VolumeRestrictions, NodeVolumeLimits, VolumeBinding, VolumeZone) and device claims
(DynamicResources) are left out.

Source: apis/config/v1/default_plugins.go, apis/config/types_pluginargs.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.scheduler.framework.profile import Factory, Profile, make_profile, profile_from
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
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("DefaultPreemption", 0),
    ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
    ("DefaultBinder", 0),
)


def _fit(args: Mapping[str, Any]) -> NodeResourcesFit:
    strategy = args.get("scoringStrategy") or {}
    shape = (strategy.get("requestedToCapacityRatio") or {}).get("shape") or ()
    more: dict[str, Any] = {}
    if strategy.get("resources"):
        more["resources"] = {r["name"]: int(r.get("weight") or 1) for r in strategy["resources"]}
    return NodeResourcesFit(
        strategy.get("type") or "LeastAllocated",
        shape=[(int(p["utilization"]), int(p["score"])) for p in shape],
        ignored_resources=args.get("ignoredResources") or (),
        ignored_groups=args.get("ignoredResourceGroups") or (),
        **more,
    )


def _balanced(args: Mapping[str, Any]) -> NodeResourcesBalancedAllocation:
    names = [resource["name"] for resource in args.get("resources") or ()]
    return NodeResourcesBalancedAllocation(names or ("cpu", "memory"))


def _spread(args: Mapping[str, Any]) -> PodTopologySpread:
    listed = args.get("defaultConstraints") or ()
    return PodTopologySpread(listed, args.get("defaultingType", "System") == "System")


def _interpod(args: Mapping[str, Any]) -> InterPodAffinity:
    return InterPodAffinity(
        int(args.get("hardPodAffinityWeight", HARD_POD_AFFINITY_WEIGHT)),
        bool(args.get("ignorePreferredTermsOfExistingPods")),
    )


def _preemption(args: Mapping[str, Any]) -> DefaultPreemption:
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
    """The default plug-ins in order, with upstream's weights."""
    return profile_from({}, REGISTRY, DEFAULT_WEIGHTS)


def read_profile(profile: Any) -> Profile:
    """Whatever says which plug-ins run, as a profile.

    Args:
        profile: None: the default plug-ins; a mapping: see `configured_profile`; else plug-ins, see
            `make_profile`.

    Raises:
        BadRequest: something in it is no plug-in, or an unknown one.
    """
    if profile is None:
        return default_profile()
    return configured_profile(profile) if isinstance(profile, Mapping) else make_profile(profile)


def configured_profile(config: Mapping[str, Any], **more: Factory) -> Profile:
    """A profile in the form of a KubeSchedulerConfiguration, over the default plug-ins.

    Args:
        config: one entry of ``profiles``: ``plugins`` and ``pluginConfig``.
        more: plug-ins of your own by name: functions from their args.

    >>> packed = configured_profile({"pluginConfig": [{"name": "NodeResourcesFit", "args": {
    ...     "scoringStrategy": {"type": "MostAllocated"}}}]})
    >>> next(e.plugin.strategy for e in packed if e.name == "NodeResourcesFit")
    'MostAllocated'

    Raises:
        BadRequest: an unknown plug-in or extension point, or bad arguments.
    """
    return profile_from(config, {**REGISTRY, **more}, DEFAULT_WEIGHTS)
