"""Queueing hints: which events wake a pod that a plug-in refused."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import ZONE, node, pod

from kubesim.scheduler.framework.events import (
    NODE_ADD,
    NODE_DELETE,
    NODE_UPDATE,
    POD_ADD,
    POD_DELETE,
    POD_ITSELF,
    POD_UPDATE,
    ClusterEvent,
)
from kubesim.scheduler.plugins.interpodaffinity import InterPodAffinity
from kubesim.scheduler.plugins.nodeaffinity import NodeAffinity
from kubesim.scheduler.plugins.nodename import NodeName
from kubesim.scheduler.plugins.nodeports import NodePorts
from kubesim.scheduler.plugins.noderesources import NodeResourcesFit
from kubesim.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from kubesim.scheduler.plugins.podtopologyspread import PodTopologySpread
from kubesim.scheduler.plugins.schedulinggates import SchedulingGates
from kubesim.scheduler.plugins.tainttoleration import TaintToleration

WEB, DB = {"app": "web"}, {"app": "db"}
TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}
SOFT = {**TAINT, "effect": "PreferNoSchedule"}


def added(item: Any) -> ClusterEvent:
    """Return the addition of a node."""
    return ClusterEvent(NODE_ADD, None, item)


def changed(before: Any, after: Any) -> ClusterEvent:
    """Return the change of a node."""
    return ClusterEvent(NODE_UPDATE, before, after)


def deleted(item: Any) -> ClusterEvent:
    """Return the deletion of an assigned pod."""
    return ClusterEvent(POD_DELETE, item, None, node())


def came(item: Any) -> ClusterEvent:
    """Return the addition of an assigned pod."""
    return ClusterEvent(POD_ADD, None, item, node())


def updated(before: Any, after: Any) -> ClusterEvent:
    """Return the change of an assigned pod."""
    return ClusterEvent(POD_UPDATE, before, after, node())


def itself(before: Any, after: Any) -> ClusterEvent:
    """Return a change of the pending pod."""
    return ClusterEvent(POD_ITSELF, before, after)


def ports(number: int) -> dict[str, Any]:
    """Return a spec with a host port."""
    return {"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": number}]}]}


SPREAD = {
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": WEB},
        }
    ]
}
TERM = {"topologyKey": ZONE, "labelSelector": {"matchLabels": DB}}
RULE = {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}
NEAR = {"affinity": {"podAffinity": RULE}}
SHY = {"affinity": {"podAntiAffinity": RULE}}
FIT, SELECTOR = NodeResourcesFit(), NodeAffinity()
TAINTS, CORDON, PORTS = TaintToleration(), NodeUnschedulable(), NodePorts()
SKEW, INTER = PodTopologySpread(), InterPodAffinity()
BIG, SSD = pod("p", "2"), pod("p", nodeSelector={"disk": "ssd"})
SPREADING = pod("p", labels=WEB, **SPREAD)

ROWS: list[tuple[str, Any, Any, ClusterEvent, bool]] = [
    ("fit: pod deleted", FIT, BIG, deleted(pod("o", "1")), True),
    ("fit: pod added", FIT, BIG, came(pod("o", "1")), False),
    ("fit: scaled down", FIT, BIG, updated(pod("o", "2"), pod("o", "1")), True),
    ("fit: scaled up", FIT, BIG, updated(pod("o", "1"), pod("o", "2")), False),
    ("fit: large node", FIT, BIG, added(node(cpu="2")), True),
    ("fit: small node", FIT, BIG, added(node(cpu="1")), False),
    ("fit: grown", FIT, BIG, changed(node(cpu="1"), node(cpu="3")), True),
    ("fit: grown, not enough", FIT, BIG, changed(node(cpu="1"), node(cpu="1500m")), False),
    ("fit: shrunk", FIT, BIG, changed(node(cpu="4"), node(cpu="3")), False),
    ("fit: more pods", FIT, BIG, changed(node(pods="1"), node(pods="2")), True),
    ("fit: node labelled", FIT, BIG, changed(node(), node(labels={"a": "b"})), False),
    ("fit: it asks for less", FIT, pod("p", "1"), itself(BIG, pod("p", "1")), True),
    ("fit: it is relabelled", FIT, BIG, itself(pod("p", "2", labels=WEB), BIG), False),
    ("affinity: matching node", SELECTOR, SSD, added(node(labels={"disk": "ssd"})), True),
    ("affinity: other node", SELECTOR, SSD, added(node()), False),
    ("affinity: labelled", SELECTOR, SSD, changed(node(), node(labels={"disk": "ssd"})), True),
    (
        "affinity: matched before",
        SELECTOR,
        SSD,
        changed(node(labels={"disk": "ssd"}), node(labels={"disk": "ssd", "x": "y"})),
        False,
    ),
    ("affinity: pod deleted", SELECTOR, SSD, deleted(pod("o")), False),
    ("taints: clean node", TAINTS, pod(), added(node()), True),
    ("taints: tainted node", TAINTS, pod(), added(node(taints=[TAINT])), False),
    ("taints: softly tainted", TAINTS, pod(), added(node(taints=[SOFT])), True),
    ("taints: removed", TAINTS, pod(), changed(node(taints=[TAINT]), node()), True),
    ("taints: were tolerated", TAINTS, pod(), changed(node(taints=[SOFT]), node()), False),
    ("taints: labelled", TAINTS, pod(), changed(node(), node(labels={"a": "b"})), False),
    ("taints: it tolerates", TAINTS, pod(), itself(pod(), pod(tolerations=[TAINT])), True),
    ("taints: pod deleted", TAINTS, pod(), deleted(pod("o")), False),
    ("cordon: node", CORDON, pod(), added(node()), True),
    ("cordon: cordoned node", CORDON, pod(), added(node(unschedulable=True)), False),
    ("cordon: lifted", CORDON, pod(), changed(node(unschedulable=True), node()), True),
    ("cordon: set", CORDON, pod(), changed(node(), node(unschedulable=True)), False),
    ("cordon: it tolerates", CORDON, pod(), itself(pod(), pod(tolerations=[TAINT])), True),
    ("ports: clashing pod gone", PORTS, pod(**ports(80)), deleted(pod("o", **ports(80))), True),
    ("ports: other pod gone", PORTS, pod(**ports(80)), deleted(pod("o", **ports(81))), False),
    ("ports: node", PORTS, pod(**ports(80)), added(node()), True),
    ("ports: node changed", PORTS, pod(**ports(80)), changed(node(), node(cpu="9")), False),
    ("name: node", NodeName(), pod(), added(node()), True),
    ("name: node changed", NodeName(), pod(), changed(node(), node(cpu="9")), False),
    ("spread: matching pod gone", SKEW, SPREADING, deleted(pod("o", labels=WEB)), True),
    ("spread: matching pod came", SKEW, SPREADING, came(pod("o", labels=WEB)), True),
    ("spread: other pod gone", SKEW, SPREADING, deleted(pod("o", labels=DB)), False),
    (
        "spread: other namespace",
        SKEW,
        SPREADING,
        deleted(pod("o", labels=WEB, namespace="other")),
        False,
    ),
    (
        "spread: relabelled",
        SKEW,
        SPREADING,
        updated(pod("o", labels=WEB), pod("o", labels=DB)),
        True,
    ),
    (
        "spread: relabelled, no matter",
        SKEW,
        SPREADING,
        updated(pod("o", labels=WEB), pod("o", labels={**WEB, "x": "y"})),
        False,
    ),
    ("spread: node with the key", SKEW, SPREADING, added(node(zone="a")), True),
    ("spread: node without", SKEW, SPREADING, added(node()), False),
    (
        "spread: node with the key gone",
        SKEW,
        SPREADING,
        ClusterEvent(NODE_DELETE, node(zone="a")),
        True,
    ),
    ("spread: node grew", SKEW, SPREADING, changed(node(zone="a"), node(zone="a", cpu="9")), False),
    (
        "spread: node retainted",
        SKEW,
        SPREADING,
        changed(node(zone="a"), node(zone="a", taints=[TAINT])),
        True,
    ),
    ("inter: wanted pod came", INTER, pod(**NEAR), came(pod("o", labels=DB)), True),
    ("inter: other pod came", INTER, pod(**NEAR), came(pod("o", labels=WEB)), False),
    ("inter: unwanted pod gone", INTER, pod(**SHY), deleted(pod("o", labels=DB)), True),
    ("inter: shy pod gone", INTER, pod(labels=DB), deleted(pod("o", **SHY)), True),
    ("inter: shy of others gone", INTER, pod(labels=WEB), deleted(pod("o", **SHY)), False),
    (
        "inter: relabelled",
        INTER,
        pod(**NEAR),
        updated(pod("o", labels=WEB), pod("o", labels=DB)),
        True,
    ),
    ("inter: no relabelling", INTER, pod(**NEAR), updated(pod("o"), pod("o", "1")), False),
    ("inter: node with the key", INTER, pod(**NEAR), added(node(zone="a")), True),
    ("inter: node without", INTER, pod(**NEAR), added(node()), False),
    (
        "inter: node grew",
        INTER,
        pod(**NEAR),
        changed(node(zone="a"), node(zone="a", cpu="9")),
        False,
    ),
    (
        "gates: the last one gone",
        SchedulingGates(),
        pod(),
        itself(pod(schedulingGates=[{"name": "a"}]), pod()),
        True,
    ),
    (
        "gates: one is left",
        SchedulingGates(),
        pod(schedulingGates=[{"name": "a"}]),
        itself(pod(), pod(schedulingGates=[{"name": "a"}])),
        False,
    ),
]


@pytest.mark.parametrize(
    ("_name", "plugin", "incoming", "event", "helps"), ROWS, ids=[r[0] for r in ROWS]
)
def test_hints(_name: str, plugin: Any, incoming: Any, event: ClusterEvent, helps: bool) -> None:
    """Check whether the event could help the pod."""
    assert plugin.hint(incoming, event) is helps
